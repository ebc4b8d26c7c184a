/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oss/answers.h"
#include "oss/credentials.h"
#include "oss/error.h"
#include "oss/headers.h"
#include "oss/retry.h"
#include "oss/sign.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/crc64.h"
#include "util/log.h"

enum {
	/* OSS waits 5 s for each callback address, while we wait for it
	   (fuse-facts 14). */
	CALLBACK_MS = 5000,
	ANSWER_MARGIN_MS = 5000,
	MIN_RATE = 16 << 10, /* past the deadline: bytes a second */
	/* A repeated large body asks first: the reset may have been a refusal
	   that could not be read. */
	EXPECT_MIN = 1 << 20,
};

/* All that one attempt needs. */
struct attempt {
	struct oss_client *client;
	struct oss_call *call;
	const struct oss_ctl *ctl;
	int64_t deadline_ms;
	const char *url;
	struct http_response *resp;
	struct oss_reply *reply;
	uint64_t generation; /* of the keys that signed it */
	uint64_t crc;        /* of the body, as far as it was read */
	/* An earlier attempt may have done it: sent whole, no clear answer. */
	bool maybe_done;
};

void oss_call_release(struct oss_call *call)
{
	kvs_release(&call->query);
	kvs_release(&call->headers);
}

/* ---- sending ----------------------------------------------------------- */

static ssize_t read_body(void *arg, void *to, size_t len, uint64_t off)
{
	struct attempt *a = arg;
	const struct oss_source *src = a->call->body;
	ssize_t n = src->read(src->arg, to, len, off);

	if (off == 0)
		a->crc = 0;
	if (n > 0)
		a->crc = crc64_update(a->crc, to, (size_t)n);
	return n;
}

static bool is_oss(const struct http_response *r)
{
	const char *id = kvs_get(&r->headers, "x-oss-request-id");

	return id && *id;
}

static bool is_2xx(int status)
{
	return status >= 200 && status <= 299;
}

/* A stranger's 200 must not reach the caller's sink. */
static int on_begin(void *arg, const struct http_response *r)
{
	struct attempt *a = arg;
	int rc;

	if (!a->call->begin || !is_2xx(r->status) || !is_oss(r))
		return 0;
	rc = a->call->begin(a->call->arg, r, a->reply);
	return rc < 0 ? rc : 1;
}

static int on_write(void *arg, const void *data, size_t len)
{
	struct attempt *a = arg;

	return a->call->write(a->call->arg, data, len);
}

static int sign(struct attempt *a, struct kvs *headers)
{
	struct oss_client *c = a->client;
	struct credentials_set set;
	struct sign_request req = {.method = a->call->method,
				   .bucket = c->endpoint.bucket,
				   .key = a->call->key,
				   .query = &a->call->query};
	int64_t now = clock_real_ms() + atomic_load(&c->clock_offset_ms);
	struct sign_keys keys;
	int rc = credentials_get(c->creds, &set);

	if (rc < 0)
		return rc;
	a->generation = set.generation;
	keys = (struct sign_keys){.id = set.id,
				  .secret = set.secret,
				  .token = set.token,
				  .region = c->endpoint.region,
				  .product = c->endpoint.product};
	if (c->signature == OSS_SIGN_V1)
		rc = sign_v1(&req, &keys, now, headers);
	else
		rc = sign_v4(c->signer, &req, &keys, now, headers);
	credentials_set_release(&set);
	return rc;
}

static void set_limits(const struct attempt *a, struct http_request *req)
{
	const struct oss_ctl *ctl = a->ctl;
	bool moves = req->body || a->call->begin;

	req->deadline_ms = a->deadline_ms;
	req->idle_ms = a->client->request_timeout_ms;
	req->min_rate = moves ? MIN_RATE : 0;
	if (req->body)
		req->answer_ms = ANSWER_MARGIN_MS;
	if (!ctl)
		return;
	req->cancel = ctl->cancel;
	req->progress = req->body ? ctl->progress : NULL;
	if (ctl->callback_urls > 0)
		req->answer_ms = ANSWER_MARGIN_MS +
				 (int64_t)CALLBACK_MS * ctl->callback_urls;
}

static int send_once(struct attempt *a)
{
	AUTO(kvs_release) struct kvs headers = KVS_INIT;
	const struct oss_source *src = a->call->body;
	struct http_source body = {read_body, a, src ? src->size : 0};
	struct http_request req = {
		.method = a->call->method,
		.url = a->url,
		.headers = &headers,
		.body = src ? &body : NULL,
		.expect_continue =
			a->reply->attempts > 1 && body.size >= EXPECT_MIN,
		.bulk = a->call->bulk,
		.begin = on_begin,
		.write = on_write,
		.arg = a,
		.body_max = a->call->answer_max,
		.expected_size = a->call->expected_size,
	};
	int rc = 0;

	if (a->call->prepare)
		rc = a->call->prepare(a->call->arg, a->call);
	if (rc == 0)
		rc = kvs_copy(&headers, &a->call->headers);
	if (rc == 0)
		rc = sign(a, &headers);
	if (rc < 0) {
		a->resp->local = true;
		return rc;
	}
	set_limits(a, &req);
	return http_perform(a->client->pool, &req, a->resp);
}

/* ---- judging ----------------------------------------------------------- */

static void copy_header(const struct http_response *r, const char *name,
			char *to, size_t size)
{
	const char *value = kvs_get(&r->headers, name);

	(void)snprintf(to, size, "%s", value ? value : "");
}

static void read_head(struct attempt *a)
{
	const struct http_response *r = a->resp;
	struct oss_reply *reply = a->reply;
	const char *date = kvs_get(&r->headers, "Date");

	reply->http = r->status;
	reply->sent_all = r->sent_all;
	copy_header(r, "x-oss-request-id", reply->request_id,
		    sizeof(reply->request_id));
	copy_header(r, "x-oss-ec", reply->ec, sizeof(reply->ec));
	if (date)
		(void)clock_parse_http_date(date, &reply->server_ms);
}

static int failed(struct attempt *a, const char *code, const char *message)
{
	oss_reply_set(a->reply, code, message);
	return oss_errno(a->reply->http, code);
}

/* No answer, or none to the end. */
static int judge_transport(struct attempt *a, int rc)
{
	const char *why = a->resp->why;

	a->reply->http = 0; /* half an answer is none */
	switch (-rc) {
	case ENOMEM:
	case EINVAL:
		a->resp->local = true;
		oss_reply_set(a->reply, "", why);
		return rc;
	case ECANCELED:
		return failed(a, "Canceled", why);
	case ETIMEDOUT:
		return failed(a, "Timeout", why);
	case EKEYREJECTED:
		return failed(a, "CertificateRefused", why);
	case ECONNRESET:
	case EPROTO:
		return failed(a, "ConnectionLost", why);
	default:
		return failed(a, "ConnectFailed", why);
	}
}

/* The caller's own functions ended it. */
static int judge_local(struct attempt *a, int rc)
{
	if (rc == -EBADMSG && !a->reply->code[0])
		return failed(a, "BadAnswer", a->resp->why);
	if (!a->reply->message[0])
		oss_reply_set(a->reply, a->reply->code, a->resp->why);
	return rc;
}

/* HEAD has no body: the XML stands in a header, in base64. */
static int read_error_header(const struct http_response *r,
			     struct oss_reply *reply)
{
	AUTO(buf_release) struct buf xml = BUF_INIT;
	const char *text = kvs_get(&r->headers, "x-oss-err");
	int rc;

	if (!text)
		return -EBADMSG;
	rc = base64_decode(&xml, text, strlen(text));
	return rc < 0 ? rc : answer_error(xml.data, xml.len, reply);
}

/* Statuses that mean something to the layers above mean it only when OSS
   itself said so: a proxy's 404 is not a missing key. */
static bool needs_oss(int status)
{
	return status == 404 || status == 409 || status == 412 || status == 416;
}

static int judge_error(struct attempt *a)
{
	const struct http_response *r = a->resp;
	struct oss_reply *reply = a->reply;
	int rc = -EBADMSG;

	if (r->body.len)
		rc = answer_error(r->body.data, r->body.len, reply);
	if (rc < 0)
		rc = read_error_header(r, reply);
	if (rc < 0 && !is_oss(r) && needs_oss(r->status))
		return failed(
			a, "NotOss",
			"an error that is not OSS's: a proxy in between?");
	if (rc < 0)
		(void)snprintf(reply->message, sizeof(reply->message),
			       "HTTP status %d without OSS's XML", r->status);
	return oss_errno(reply->http, reply->code);
}

static int check_crc(struct attempt *a)
{
	uint64_t theirs;

	if (!a->call->is_data || !oss_read_crc(&a->resp->headers, &theirs) ||
	    theirs == a->crc)
		return 0;
	return failed(a, "CrcMismatch",
		      "OSS's CRC-64 is not that of the bytes sent");
}

static int judge_success(struct attempt *a)
{
	const struct http_response *r = a->resp;
	int rc;

	if (!is_oss(r))
		return failed(a, "NotOss",
			      "the answer has no x-oss-request-id: a proxy or "
			      "a login page in between?");
	if (a->call->body && !r->sent_all)
		return failed(a, "BadAnswer",
			      "answered before the body was sent");
	if (r->body_cut)
		return failed(a, "BadAnswer", "the answer is too long");
	rc = check_crc(a);
	/* Not of every call's: UploadPart answers 203 to nobody. */
	if (rc == 0 && r->status == 203 && r->body.len)
		(void)answer_error(r->body.data, r->body.len, a->reply);
	if (rc == 0 && a->call->accept) {
		rc = a->call->accept(a->call->arg, r, a->reply);
		if (rc == -EBADMSG)
			return failed(a, "BadAnswer",
				      "the answer cannot be understood");
	}
	return rc;
}

static int attempt(struct attempt *a)
{
	int attempts = a->reply->attempts + 1;
	int rc;

	http_response_release(a->resp);
	*a->resp = (struct http_response)HTTP_RESPONSE_INIT;
	*a->reply = (struct oss_reply){.attempts = attempts};
	a->crc = 0;
	rc = send_once(a);
	if (a->resp->sent_all)
		a->call->sent_crc = a->crc;
	read_head(a);
	if (rc < 0 && a->call->enough)
		return 0;
	if (rc < 0 && a->resp->local)
		return judge_local(a, rc);
	/* An error is one, even when its body breaks off. */
	if (rc < 0 && a->resp->status < 300)
		return judge_transport(a, rc);
	return is_2xx(a->resp->status) ? judge_success(a) : judge_error(a);
}

/* ---- again ------------------------------------------------------------- */

/* 4xx is a no; anything else, once the request was out, a maybe. */
static bool was_refused(const struct oss_reply *r)
{
	return r->http >= 300 && r->http < 500;
}

static void log_retry(const struct attempt *a)
{
	char line[800];

	log_info("oss: will try again: op=%s key=%s attempt=%d %s",
		 a->call->name, LOG_Q(a->call->key ? a->call->key : ""),
		 a->reply->attempts,
		 oss_reply_describe(a->reply, line, sizeof(line)));
}

static bool with_new_keys(struct attempt *a, struct retry *r)
{
	struct credentials_set set;
	bool changed;

	if (r->reloaded)
		return false;
	r->reloaded = true;
	if (credentials_reload(a->client->creds) > 0)
		return true;
	/* Another thread may have been faster. */
	if (credentials_get(a->client->creds, &set) < 0)
		return false;
	changed = set.generation != a->generation;
	credentials_set_release(&set);
	return changed;
}

static bool with_new_clock(struct attempt *a, struct retry *r)
{
	int64_t offset = a->reply->server_ms - clock_real_ms();

	if (r->corrected || a->reply->server_ms == 0)
		return false;
	r->corrected = true;
	atomic_store(&a->client->clock_offset_ms, offset);
	log_warn("oss: this host's clock differs from the server's by %lld s; "
		 "requests are dated by the server's",
		 (long long)(offset / 1000));
	return true;
}

/* @return whether to go on; *rc may become another error */
static bool again(struct attempt *a, struct retry *r, int *rc)
{
	const struct oss_reply *reply = a->reply;
	int waited;

	if (a->resp->local && strcmp(reply->code, "BadAnswer") != 0)
		return false;
	if (a->call->once && reply->sent_all && reply->http < 300)
		return false;
	switch (oss_retry_class(reply->http, reply->code)) {
	case OSS_RETRY_NO:
		return false;
	case OSS_RETRY_CREDENTIALS:
		return with_new_keys(a, r);
	case OSS_RETRY_CLOCK:
		return with_new_clock(a, r);
	case OSS_RETRY_YES:
		break;
	}
	waited = retry_wait(r);
	if (waited == -ECANCELED)
		*rc = failed(a, "Canceled", "cancelled");
	if (waited == 0)
		log_retry(a);
	return waited == 0;
}

/* An attempt that the deadline cut short tells less than the one before: then
   that one's verdict stands.
   @param before  what the last attempt came to; 0: there was none */
static int attempt_after(struct attempt *a, int before)
{
	struct oss_reply told = *a->reply;
	int rc = attempt(a);

	if (rc < 0 && a->reply->sent_all && !was_refused(a->reply))
		a->maybe_done = true;
	if (rc == -ETIMEDOUT && before < 0 &&
	    clock_mono_ms() >= a->deadline_ms) {
		told.attempts = a->reply->attempts;
		*a->reply = told;
		rc = before;
	}
	return rc;
}

int oss_call_run(struct oss_client *c, struct oss_call *call,
		 const struct oss_ctl *ctl, struct http_response *resp,
		 struct oss_reply *reply)
{
	AUTO(buf_release) struct buf url = BUF_INIT;
	struct oss_reply spare = {.http = 0};
	struct attempt a = {.client = c,
			    .call = call,
			    .ctl = ctl,
			    .resp = resp,
			    .reply = reply ? reply : &spare};
	struct retry r;
	int rc;

	*a.reply = (struct oss_reply){.http = 0};
	a.deadline_ms = ctl && ctl->deadline_ms
				? ctl->deadline_ms
				: clock_mono_ms() + c->request_timeout_ms;
	rc = endpoint_url(&c->endpoint, call->key, &call->query, &url);
	if (rc < 0)
		return rc;
	a.url = buf_str(&url);
	retry_init(&r, a.deadline_ms, ctl ? ctl->cancel : NULL);
	do
		rc = attempt_after(&a, rc);
	while (rc < 0 && again(&a, &r, &rc));
	a.reply->sent_all |= a.maybe_done;
	return rc;
}

int oss_call_do(struct oss_client *c, struct oss_call *call,
		const struct oss_ctl *ctl, struct oss_reply *reply)
{
	struct http_response resp = HTTP_RESPONSE_INIT;
	int rc = oss_call_run(c, call, ctl, &resp, reply);

	http_response_release(&resp);
	return rc;
}

int oss_take_result(struct http_response *resp, const struct oss_callback *cb,
		    struct oss_put_result *out)
{
	const char *type = kvs_get(&resp->headers, "Content-Type");
	int rc = oss_read_result(&resp->headers, out);

	if (rc < 0 || !cb || !cb->callback)
		return rc;
	out->callback_sent = true;
	out->body = resp->body;
	resp->body = (struct buf)BUF_INIT;
	return type ? str_set(&out->body_type, type) : 0;
}
