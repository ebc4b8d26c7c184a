/* SPDX-License-Identifier: Apache-2.0 */
/* One POST to the application (protocol 3.6 to 3.9). */
#include <curl/curl.h>
#include <errno.h>
#include <expat.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emulator/callback.h"
#include "emulator/callback_key.h"
#include "emulator/emulator.h"
#include "emulator/xml.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/strnum.h"

#define EC_TIMEOUT "0007-00000202"
#define EC_STATUS "0007-00000203"
#define EC_NOT_JSON "0007-00000205"

void callback_result_release(struct callback_result *r)
{
	buf_release(&r->body);
	free(r->content_type);
	r->content_type = NULL;
}

/* ---- the answer ---- */

static void failed(struct callback_result *r, const char *ec, const char *fmt,
		   ...) ACK_PRINTF(3, 4);

static void failed(struct callback_result *r, const char *ec, const char *fmt,
		   ...)
{
	va_list ap;

	r->ok = false;
	r->ec = ec;
	va_start(ap, fmt);
	vsnprintf(r->message, sizeof(r->message), fmt, ap);
	va_end(ap);
}

static bool is_json(const struct emu_options *opt, const struct buf *body)
{
	size_t flags = JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL;
	json_t *j;

	if (opt->quirks.scalars_are_json)
		flags |= JSON_DECODE_ANY;
	j = json_loadb(buf_str(body), body->len, flags, NULL);
	json_decref(j);
	return j != NULL;
}

static bool is_xml(const struct callback_result *r)
{
	struct xml_node *root = NULL;

	if (!r->content_type ||
	    strncasecmp(r->content_type, "application/xml", 15) != 0 ||
	    xml_parse(buf_str(&r->body), r->body.len, &root) < 0)
		return false;
	xml_free(root);
	return true;
}

void callback_judge(const struct emu_options *opt, const char *length,
		    struct callback_result *r)
{
	uint64_t len;

	if (r->status != 200) {
		failed(r, EC_STATUS, "Error status : %d.", r->status);
		return;
	}
	if (!length) {
		failed(r, "",
		       "Error Status : 400.User server missing "
		       "content-length.");
		return;
	}
	if (parse_u64(length, 1, UINT64_MAX, &len) < 0) {
		failed(r, "",
		       "Error Status : 400.User server return invalid "
		       "conent-length value.");
		return;
	}
	if (len > opt->callback_answer_max) {
		failed(r, "",
		       "Error Status : 400.User server return too long "
		       "content-length value.");
		return;
	}
	r->ok = is_json(opt, &r->body) || is_xml(r);
	if (!r->ok)
		failed(r, EC_NOT_JSON,
		       "Response body is not valid json format.");
}

/* ---- the request ---- */

static int signature(struct exchange *x, const struct callback_url *u,
		     const char *body, size_t len, struct buf *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT;

	if (percent_decode(&text, u->path, strlen(u->path), false) < 0)
		buf_adds(&text, u->path);
	buf_adds(&text, u->query);
	buf_addc(&text, '\n');
	buf_add(&text, body, len);
	if (buf_error(&text) < 0)
		return -ENOMEM;
	return callback_key_sign(x->em->key, buf_str(&text), text.len, out);
}

static void key_url(struct exchange *x, struct buf *out)
{
	AUTO(buf_release) struct buf url = BUF_INIT;

	if (x->em->opt->public_url)
		buf_adds(&url, x->em->opt->public_url);
	else
		buf_addf(&url, "%s" CALLBACK_KEY_PATH,
			 x->em->url ? x->em->url : "");
	base64_encode(out, buf_str(&url), url.len);
}

static void host_text(const struct callback *c, const struct callback_url *u,
		      struct buf *out)
{
	bool is_default = strcmp(u->port, u->is_https ? "443" : "80") == 0;

	if (c->host)
		buf_adds(out, c->host);
	else if (is_default)
		buf_adds(out, u->host);
	else
		buf_addf(out, "%s:%s", u->host, u->port);
}

static int content_md5(const char *body, size_t len, struct buf *out)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!EVP_Digest(body, len, md, &n, EVP_md5(), NULL))
		return -EIO;
	base64_encode(out, md, n);
	return buf_error(out);
}

int callback_headers(struct exchange *x, const struct callback *c,
		     const struct callback_url *u, const char *body, size_t len,
		     struct kvs *out)
{
	AUTO(buf_release) struct buf host = BUF_INIT;
	AUTO(buf_release) struct buf sig = BUF_INIT;
	AUTO(buf_release) struct buf md5 = BUF_INIT;
	AUTO(buf_release) struct buf url = BUF_INIT;
	char date[CLOCK_TEXT_LEN];
	int rc = signature(x, u, body, len, &sig);

	if (!rc)
		rc = content_md5(body, len, &md5);
	if (rc < 0)
		return rc;
	key_url(x, &url);
	host_text(c, u, &host);
	clock_http_date(date, emulator_now_ms(x->em));
	const struct {
		const char *name;
		const char *value;
	} rows[] = {
		{"Host",                     buf_str(&host)                               },
		{"Connection",               "close"				      },
		{"Authorization",            buf_str(&sig)                                },
		{"Content-MD5",              buf_str(&md5)                                },
		{"Content-Type",             c->is_json ? "application/json"
					    : "application/x-www-form-"
					      "urlencoded"},
		{"Date",                     date					 },
		{"User-Agent",               "aliyun-oss-callback"                        },
		{"x-oss-additional-headers", ""                                           },
		{"x-oss-bucket",             x->req.bucket                                },
		{"x-oss-owner",              EMULATOR_OWNER                               },
		{"x-oss-pub-key-url",        buf_str(&url)                                },
		{"x-oss-request-id",         x->req.id                                    },
		{"x-oss-requester",          EMULATOR_OWNER                               },
		{"x-oss-signature-version",  "1.0"                                        },
		{"x-oss-tag",                "CALLBACK"                                   },
	};

	for (size_t i = 0; !rc && i < ARRAY_LEN(rows); i++)
		rc = kvs_add(out, rows[i].name, rows[i].value);
	return rc;
}

/* ---- libcurl ---- */

struct transfer {
	CURL *curl;
	struct curl_slist *headers;
	struct curl_slist *resolve;
	struct callback_result *result;
	char *length; /* the answer's Content-Length as sent */
	uint64_t max;
	const char *verify_host; /* when the URL holds an address instead */
};

static void transfer_release(struct transfer *t)
{
	curl_easy_cleanup(t->curl);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->resolve);
	free(t->length);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;

	if (t->result->body.len + len > t->max)
		return len; /* judged by its length anyway */
	buf_add(&t->result->body, data, len);
	return len;
}

static char *header_value(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return NULL;
	for (n++; n < len && (line[n] == ' ' || line[n] == '\t'); n++)
		;
	while (len > n && strchr("\r\n \t", line[len - 1]))
		len--;
	return strndup(line + n, len - n);
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;
	char *length = header_value(data, len, "Content-Length");
	char *type = header_value(data, len, "Content-Type");

	if (length) {
		free(t->length);
		t->length = length;
	}
	if (type) {
		free(t->result->content_type);
		t->result->content_type = type;
	}
	return len;
}

/* No SNI: the URL has the address, the certificate is still checked against
 * the name. */
static CURLcode on_ssl(CURL *curl, void *ctx, void *arg)
{
	const struct transfer *t = arg;

	(void)curl;
	if (!X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(ctx),
					 t->verify_host, 0))
		return CURLE_SSL_CONNECT_ERROR;
	return CURLE_OK;
}

static int add_line(struct transfer *t, const char *line)
{
	struct curl_slist *l = curl_slist_append(t->headers, line);

	if (!l)
		return -ENOMEM;
	t->headers = l;
	return 0;
}

static int add_headers(struct transfer *t, const struct kvs *headers)
{
	/* Neither is in OSS's request. */
	if (add_line(t, "Accept:") < 0 || add_line(t, "Expect:") < 0)
		return -ENOMEM;
	for (size_t i = 0; i < headers->count; i++) {
		const struct kv *h = &headers->items[i];
		/* "Name;" is libcurl's way to send an empty one. */
		AUTO_FREE char *line =
			*h->value ? str_printf("%s: %s", h->name, h->value)
				  : str_printf("%s;", h->name);

		if (!line || add_line(t, line) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool is_name(const struct callback_url *u)
{
	return strcmp(u->host, u->ip) != 0;
}

/* The address that was checked is the one that is used. */
static int set_target(struct transfer *t, const struct callback *c,
		      const struct callback_url *u)
{
	AUTO_FREE char *url = NULL;
	AUTO_FREE char *pin = str_printf("%s:%s:%s", u->host, u->port, u->ip);

	if (u->is_https && !c->sni && is_name(u)) {
		t->verify_host = u->host;
		curl_easy_setopt(t->curl, CURLOPT_SSL_CTX_FUNCTION, on_ssl);
		curl_easy_setopt(t->curl, CURLOPT_SSL_CTX_DATA, t);
		curl_easy_setopt(t->curl, CURLOPT_SSL_VERIFYHOST, 0L);
	} else if (is_name(u)) {
		t->resolve = pin ? curl_slist_append(NULL, pin) : NULL;
		if (!t->resolve)
			return -ENOMEM;
		curl_easy_setopt(t->curl, CURLOPT_RESOLVE, t->resolve);
	}
	url = str_printf("%s://%s:%s%s%s", u->is_https ? "https" : "http",
			 t->verify_host ? u->ip : u->host, u->port, u->path,
			 u->query);
	if (!url)
		return -ENOMEM;
	curl_easy_setopt(t->curl, CURLOPT_URL, url);
	return 0;
}

static void set_options(struct transfer *t, const struct emu_options *opt,
			const char *body, size_t len, int64_t timeout_ms)
{
	CURL *c = t->curl;

	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	if (opt->callback_ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, opt->callback_ca);
	if (opt->quirks.no_certificate_check) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

/* Nobody answered in time, or the answer did not end. */
static void judge_timeout(const struct callback_url *u, int64_t timeout_ms,
			  struct callback_result *r)
{
	if (r->status)
		failed(r, EC_TIMEOUT, "Cost too long time.");
	else
		failed(r, EC_TIMEOUT,
		       "Error status : -1 %s:%s reply timeout, cost:%lldms, "
		       "timeout:%lldms (err -4, errno115)",
		       u->ip, u->port, (long long)timeout_ms,
		       (long long)timeout_ms);
}

/* There is no way to it; a refusal is an answer. */
static bool is_unreachable(const struct transfer *t)
{
	long err = 0;

	(void)curl_easy_getinfo(t->curl, CURLINFO_OS_ERRNO, &err);
	return err == ENETUNREACH || err == EHOSTUNREACH;
}

static void judge_transfer(const struct emu_options *opt, CURLcode code,
			   const struct callback_url *u, int64_t timeout_ms,
			   struct transfer *t)
{
	struct callback_result *r = t->result;

	if (code == CURLE_OK) {
		callback_judge(opt, t->length, r);
		return;
	}
	switch ((int)code) {
	case CURLE_OPERATION_TIMEDOUT:
		judge_timeout(u, timeout_ms, r);
		return;
	case CURLE_COULDNT_CONNECT:
		if (!is_unreachable(t))
			break;
		failed(r, EC_STATUS,
		       "Error status : -1.OSS can not connect to your "
		       "callbackUrl, please check it.");
		return;
	case CURLE_WEIRD_SERVER_REPLY: /* Content-Length: -1, x */
		if (t->length) {
			r->status = 200;
			callback_judge(opt, "invalid", r);
			return;
		}
		break;
	}
	/* Refused, reset, no TLS: its proxy says so to OSS. */
	failed(r, EC_STATUS, "Error status : 502.");
}

static int prepare(struct exchange *x, const struct callback *c,
		   const struct callback_url *u, const char *body, size_t len,
		   int64_t timeout_ms, struct transfer *t)
{
	AUTO(kvs_release) struct kvs headers = KVS_INIT;
	int rc;

	t->max = x->em->opt->callback_answer_max;
	t->curl = curl_easy_init();
	if (!t->curl)
		return -ENOMEM;
	rc = callback_headers(x, c, u, body, len, &headers);
	if (!rc)
		rc = add_headers(t, &headers);
	if (!rc)
		rc = set_target(t, c, u);
	if (!rc)
		set_options(t, x->em->opt, body, len, timeout_ms);
	return rc;
}

void callback_send(struct exchange *x, const struct callback *c,
		   const struct callback_url *u, const char *body, size_t len,
		   int64_t timeout_ms, struct callback_result *r)
{
	AUTO(transfer_release) struct transfer t = {.result = r};
	int64_t start = clock_mono_ms();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;

	if (prepare(x, c, u, body, len, timeout_ms, &t) == 0)
		code = curl_easy_perform(t.curl);
	curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
	r->status = (int)status;
	r->elapsed_ms = clock_mono_ms() - start;
	judge_transfer(x->em->opt, code, u, timeout_ms, &t);
}
