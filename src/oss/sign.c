/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/sign.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <string.h>

#include "oss/signer.h"
#include "util/clock.h"
#include "util/codec.h"

#define V4_ALGORITHM "OSS4-HMAC-SHA256"
#define V4_TERMINATOR "aliyun_v4_request"
#define V4_PAYLOAD "UNSIGNED-PAYLOAD"

enum { DAY_LEN = 8 };

/* Query parameters that version 1 signs: those that the client sends, with
   their kin (oss-protocol 2.1).  Those beginning with x-oss- are, too. */
static const char *const subresources[] = {
	"acl",
	"append",
	"bucketInfo",
	"callback",
	"callback-var",
	"cloudboxes",
	"continuation-token",
	"delete",
	"location",
	"objectMeta",
	"partNumber",
	"position",
	"regionList",
	"resourceGroup",
	"response-cache-control",
	"response-content-disposition",
	"response-content-encoding",
	"response-content-language",
	"response-content-type",
	"response-expires",
	"restore",
	"security-token",
	"sequential",
	"stat",
	"symlink",
	"tagging",
	"uploadId",
	"uploads",
	"versionId",
	"versioning",
	"versions",
};

/* ---- shared ------------------------------------------------------------ */

static bool has_oss_prefix(const char *name)
{
	return strncasecmp(name, "x-oss-", 6) == 0;
}

static int pair_cmp(const void *a, const void *b)
{
	const struct kv *x = a;
	const struct kv *y = b;

	return strcmp(x->name, y->name);
}

/* Not kvs_sort(): here capitals matter. */
static void sort_bytewise(struct kvs *l)
{
	if (l->count)
		qsort(l->items, l->count, sizeof(l->items[0]), pair_cmp);
}

static void lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

/* "name:value\n" with the name in lower case and the value trimmed. */
static void add_header_line(struct buf *out, const struct kv *h)
{
	const char *value = h->value + strspn(h->value, " \t");
	size_t len = strlen(value);

	while (len > 0 && strchr(" \t", value[len - 1]))
		len--;
	buf_adds(out, h->name);
	buf_addc(out, ':');
	buf_add(out, value, len);
	buf_addc(out, '\n');
}

/* Headers that take part, names in lower case, sorted. */
static int collect_headers(const struct kvs *headers,
			   bool (*takes_part)(const char *name),
			   struct kvs *out)
{
	for (size_t i = 0; i < headers->count; i++) {
		const struct kv *h = &headers->items[i];

		if (!takes_part(h->name))
			continue;
		if (kvs_add(out, h->name, h->value) < 0)
			return -ENOMEM;
		lower(out->items[out->count - 1].name);
	}
	sort_bytewise(out);
	return 0;
}

static void add_headers(struct buf *out, const struct kvs *headers,
			bool (*takes_part)(const char *name))
{
	AUTO(kvs_release) struct kvs list = KVS_INIT;

	if (collect_headers(headers, takes_part, &list) < 0) {
		out->err = out->err ? out->err : -ENOMEM;
		return;
	}
	for (size_t i = 0; i < list.count; i++)
		add_header_line(out, &list.items[i]);
}

static int set_token(struct kvs *headers, const struct sign_keys *keys)
{
	if (!keys->token || !*keys->token)
		return 0;
	return kvs_set(headers, "x-oss-security-token", keys->token);
}

/* ---- version 1 --------------------------------------------------------- */

static int word_cmp(const void *key, const void *element)
{
	return strcmp(key, *(const char *const *)element);
}

static bool is_subresource(const char *name)
{
	return strncmp(name, "x-oss-", 6) == 0 ||
	       bsearch(name, subresources, ARRAY_LEN(subresources),
		       sizeof(subresources[0]), word_cmp);
}

static void add_resource(struct buf *out, const struct sign_request *req)
{
	AUTO(kvs_release) struct kvs signed_query = KVS_INIT;
	char separator = '?';

	buf_addc(out, '/');
	if (req->bucket) {
		buf_adds(out, req->bucket);
		buf_addc(out, '/');
		if (req->key)
			buf_adds(out, req->key);
	}
	for (size_t i = 0; i < req->query->count; i++) {
		const struct kv *q = &req->query->items[i];

		if (is_subresource(q->name) &&
		    kvs_add(&signed_query, q->name, q->value) < 0)
			out->err = out->err ? out->err : -ENOMEM;
	}
	sort_bytewise(&signed_query);
	for (size_t i = 0; i < signed_query.count; i++) {
		const struct kv *q = &signed_query.items[i];

		buf_addc(out, separator);
		separator = '&';
		buf_adds(out, q->name);
		if (*q->value)
			buf_addf(out, "=%s", q->value);
	}
}

static void add_line_of(struct buf *out, const struct kvs *headers,
			const char *name)
{
	const char *value = kvs_get(headers, name);

	buf_adds(out, value ? value : "");
	buf_addc(out, '\n');
}

void sign_v1_string(const struct sign_request *req, struct buf *out)
{
	bool dated = kvs_get(req->headers, "x-oss-date") != NULL;

	buf_addf(out, "%s\n", req->method);
	add_line_of(out, req->headers, "Content-MD5");
	add_line_of(out, req->headers, "Content-Type");
	add_line_of(out, req->headers, dated ? "x-oss-date" : "Date");
	add_headers(out, req->headers, has_oss_prefix);
	add_resource(out, req);
}

int sign_v1_authorization(const struct sign_request *req,
			  const struct sign_keys *keys, struct buf *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int rc;

	sign_v1_string(req, &text);
	rc = buf_error(&text);
	if (rc < 0)
		return rc;
	if (!HMAC(EVP_sha1(), keys->secret, (int)strlen(keys->secret),
		  (const unsigned char *)text.data, text.len, mac, &len))
		return -EIO;
	buf_addf(out, "OSS %s:", keys->id);
	base64_encode(out, mac, len);
	return buf_error(out);
}

int sign_v1(const struct sign_request *req, const struct sign_keys *keys,
	    int64_t now_ms, struct kvs *headers)
{
	AUTO(buf_release) struct buf auth = BUF_INIT;
	struct sign_request all = *req;
	char date[CLOCK_TEXT_LEN];
	int rc;

	all.headers = headers;
	rc = kvs_set(headers, "Date", clock_http_date(date, now_ms));
	if (rc == 0)
		rc = set_token(headers, keys);
	if (rc == 0)
		rc = sign_v1_authorization(&all, keys, &auth);
	if (rc == 0)
		rc = kvs_set(headers, "Authorization", buf_str(&auth));
	return rc;
}

/* ---- version 4 --------------------------------------------------------- */

static bool is_v4_header(const char *name)
{
	return strcasecmp(name, "content-type") == 0 ||
	       strcasecmp(name, "content-md5") == 0 || has_oss_prefix(name);
}

static void add_uri(struct buf *out, const struct sign_request *req)
{
	buf_addc(out, '/');
	if (!req->bucket)
		return;
	percent_encode(out, req->bucket, strlen(req->bucket), PERCENT_PATH);
	buf_addc(out, '/');
	if (req->key)
		percent_encode(out, req->key, strlen(req->key), PERCENT_PATH);
}

static int encode_pair(const struct kv *q, struct kvs *out)
{
	AUTO(buf_release) struct buf name = BUF_INIT;
	AUTO(buf_release) struct buf value = BUF_INIT;

	percent_encode(&name, q->name, strlen(q->name), PERCENT_ALL);
	percent_encode(&value, q->value, strlen(q->value), PERCENT_ALL);
	if (buf_error(&name) < 0 || buf_error(&value) < 0)
		return -ENOMEM;
	return kvs_add(out, buf_str(&name), buf_str(&value));
}

static void add_canonical_query(struct buf *out, const struct kvs *query)
{
	AUTO(kvs_release) struct kvs list = KVS_INIT;

	for (size_t i = 0; i < query->count; i++)
		if (encode_pair(&query->items[i], &list) < 0) {
			out->err = out->err ? out->err : -ENOMEM;
			return;
		}
	sort_bytewise(&list);
	for (size_t i = 0; i < list.count; i++) {
		const struct kv *q = &list.items[i];

		buf_addf(out, "%s%s", i ? "&" : "", q->name);
		if (*q->value)
			buf_addf(out, "=%s", q->value);
	}
}

void sign_v4_canonical(const struct sign_request *req, struct buf *out)
{
	const char *payload = kvs_get(req->headers, "x-oss-content-sha256");

	buf_addf(out, "%s\n", req->method);
	add_uri(out, req);
	buf_addc(out, '\n');
	add_canonical_query(out, req->query);
	buf_addc(out, '\n');
	add_headers(out, req->headers, is_v4_header);
	/* An empty line ends the headers; the next would name additional
	   ones, of which there are none. */
	buf_addf(out, "\n\n%s", payload ? payload : V4_PAYLOAD);
}

static int v4_string(const struct signer *s, const struct sign_request *req,
		     const char *date, const char *scope, struct buf *out)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT;
	unsigned char digest[SIGNER_LEN];
	int rc;

	sign_v4_canonical(req, &canonical);
	rc = buf_error(&canonical);
	if (rc == 0)
		rc = signer_digest(s, canonical.data, canonical.len, digest);
	if (rc < 0)
		return rc;
	buf_addf(out, V4_ALGORITHM "\n%s\n%s\n", date, scope);
	hex_encode(out, digest, sizeof(digest));
	return buf_error(out);
}

int sign_v4_authorization(struct signer *s, const struct sign_request *req,
			  const struct sign_keys *keys, const char *date,
			  struct buf *out)
{
	AUTO(buf_release) struct buf scope = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	unsigned char mac[SIGNER_LEN];
	int rc;

	buf_addf(&scope, "%.*s/%s/%s/" V4_TERMINATOR, DAY_LEN, date,
		 keys->region, keys->product);
	rc = buf_error(&scope);
	if (rc == 0)
		rc = v4_string(s, req, date, buf_str(&scope), &text);
	if (rc == 0)
		rc = signer_mac(s, keys->secret, buf_str(&scope), text.data,
				text.len, mac);
	if (rc < 0)
		return rc;
	buf_addf(out, V4_ALGORITHM " Credential=%s/%s,Signature=", keys->id,
		 buf_str(&scope));
	hex_encode(out, mac, sizeof(mac));
	return buf_error(out);
}

int sign_v4(struct signer *s, const struct sign_request *req,
	    const struct sign_keys *keys, int64_t now_ms, struct kvs *headers)
{
	AUTO(buf_release) struct buf auth = BUF_INIT;
	struct sign_request all = *req;
	char date[CLOCK_TEXT_LEN];
	int rc;

	all.headers = headers;
	clock_iso_basic(date, now_ms);
	rc = kvs_set(headers, "x-oss-date", date);
	if (rc == 0)
		rc = kvs_set(headers, "x-oss-content-sha256", V4_PAYLOAD);
	if (rc == 0)
		rc = set_token(headers, keys);
	if (rc == 0)
		rc = sign_v4_authorization(s, &all, keys, date, &auth);
	if (rc == 0)
		rc = kvs_set(headers, "Authorization", buf_str(&auth));
	return rc;
}
