/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/sign.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <strings.h>

#include "util/codec.h"
#include "util/lock.h"

#define OSS_PREFIX "x-oss-"
#define KEY_LEN 32 /* of V4: a SHA-256 */

/*
 * The union of all SDKs' lists (protocol 2.1), in byte order for bsearch().
 * Names that begin with "x-oss-" are all signed and not listed.
 */
static const char *const subresources[] = {
	"accessPoint",
	"accessPointPolicy",
	"acl",
	"append",
	"asyncFetch",
	"bucketArchiveDirectRead",
	"bucketInfo",
	"callback",
	"callback-var",
	"cloudboxes",
	"cname",
	"comp",
	"continuation-token",
	"cors",
	"delete",
	"encryption",
	"endTime",
	"group",
	"httpsConfig",
	"img",
	"inventory",
	"inventoryId",
	"lifecycle",
	"link",
	"live",
	"location",
	"logging",
	"metaQuery",
	"objectInfo",
	"objectMeta",
	"partNumber",
	"policy",
	"policyStatus",
	"position",
	"processConfiguration",
	"publicAccessBlock",
	"qos",
	"qosInfo",
	"qosRequester",
	"redundancyTransition",
	"referer",
	"regionList",
	"replication",
	"replicationLocation",
	"replicationProgress",
	"requestPayment",
	"requesterQosInfo",
	"resourceGroup",
	"resourcePool",
	"resourcePoolBuckets",
	"resourcePoolInfo",
	"response-cache-control",
	"response-content-disposition",
	"response-content-encoding",
	"response-content-language",
	"response-content-type",
	"response-expires",
	"responseHeader",
	"restore",
	"rtc",
	"seal",
	"security-token",
	"sequential",
	"startTime",
	"stat",
	"status",
	"style",
	"styleName",
	"symlink",
	"tagging",
	"transferAcceleration",
	"udf",
	"udfApplication",
	"udfApplicationLog",
	"udfId",
	"udfImage",
	"udfImageDesc",
	"udfName",
	"uploadId",
	"uploads",
	"versionId",
	"versioning",
	"versions",
	"vip",
	"vod",
	"vpcip",
	"website",
	"withHashContext",
	"worm",
	"wormExtend",
	"wormId",
};

static int compare_name(const void *name, const void *row)
{
	return strcmp(name, *(const char *const *)row);
}

bool sign_v1_is_subresource(const char *name)
{
	return strncmp(name, OSS_PREFIX, strlen(OSS_PREFIX)) == 0 ||
	       bsearch(name, subresources, ARRAY_LEN(subresources),
		       sizeof(subresources[0]), compare_name) != NULL;
}

/* ---- lists of name and value, sorted ---- */

static int compare_pair(const void *a, const void *b)
{
	const struct kv *x = a;
	const struct kv *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->value, y->value);
}

static void sort_pairs(struct kvs *l)
{
	if (l->count > 1)
		qsort(l->items, l->count, sizeof(l->items[0]), compare_pair);
}

/* By name, case aside; those of one name as they came. */
static int compare_header(const void *a, const void *b)
{
	const struct kv *x = *(const struct kv *const *)a;
	const struct kv *y = *(const struct kv *const *)b;
	int c = strcasecmp(x->name, y->name);

	return c ? c : (x > y) - (x < y);
}

static void add_lowered(struct buf *out, const char *name)
{
	for (; *name; name++)
		buf_addc(out, (char)tolower((unsigned char)*name));
}

static void add_trimmed(struct buf *out, const char *value)
{
	size_t len;

	while (*value == ' ' || *value == '\t')
		value++;
	len = strlen(value);
	while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	buf_add(out, value, len);
}

/* The lines "name:value\n" of every header that wanted() takes; values of one
 * name are joined with ','. */
static int header_lines(const struct kvs *headers, const char *extra,
			bool (*wanted)(const char *name, const char *extra),
			struct buf *out)
{
	AUTO_FREE const struct kv **list =
		calloc(headers->count + 1, sizeof(const struct kv *));
	size_t count = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < headers->count; i++)
		if (wanted(headers->items[i].name, extra))
			list[count++] = &headers->items[i];
	qsort(list, count, sizeof(list[0]), compare_header);
	for (size_t i = 0; i < count; i++) {
		if (i && strcasecmp(list[i - 1]->name, list[i]->name) == 0) {
			buf_truncate(out, out->len - 1);
			buf_addc(out, ',');
		} else {
			add_lowered(out, list[i]->name);
			buf_addc(out, ':');
		}
		add_trimmed(out, list[i]->value);
		buf_addc(out, '\n');
	}
	return buf_error(out);
}

/* Whether list "a;b" has name, case aside. */
static bool in_list(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (*list) {
		size_t n = strcspn(list, ";");

		if (n == len && strncasecmp(list, name, n) == 0)
			return true;
		list += n;
		if (*list)
			list++;
	}
	return false;
}

/* ---- HMAC ---- */

static int hmac(const EVP_MD *md, const void *key, size_t key_len,
		const char *text, unsigned char out[EVP_MAX_MD_SIZE],
		unsigned *out_len)
{
	if (!HMAC(md, key, (int)key_len, (const unsigned char *)text,
		  strlen(text), out, out_len))
		return -EIO;
	return 0;
}

/* ---- V1 ---- */

static bool is_oss_header(const char *name, const char *extra)
{
	(void)extra;
	return strncasecmp(name, OSS_PREFIX, strlen(OSS_PREFIX)) == 0;
}

static const char *header_or_empty(const struct kvs *headers, const char *name)
{
	const char *v = kvs_get(headers, name);

	return v ? v : "";
}

static void v1_resource(const struct sign_request *r, struct buf *out)
{
	buf_addc(out, '/');
	if (!r->bucket)
		return;
	buf_addf(out, "%s/", r->bucket);
	if (r->key)
		buf_adds(out, r->key);
}

static int v1_query(const struct sign_request *r, struct buf *out)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;
	char sep = '?';

	for (size_t i = 0; i < r->query->count; i++) {
		const struct kv *q = &r->query->items[i];

		if (sign_v1_is_subresource(q->name) &&
		    kvs_add(&l, q->name, q->value) < 0)
			return -ENOMEM;
	}
	sort_pairs(&l);
	for (size_t i = 0; i < l.count; i++) {
		buf_addf(out, "%c%s", sep, l.items[i].name);
		if (l.items[i].value[0])
			buf_addf(out, "=%s", l.items[i].value);
		sep = '&';
	}
	return 0;
}

int sign_v1_string(const struct sign_request *r, const char *date,
		   struct buf *out)
{
	buf_addf(out, "%s\n%s\n%s\n%s\n", r->method,
		 header_or_empty(r->headers, "Content-MD5"),
		 header_or_empty(r->headers, "Content-Type"), date);
	if (header_lines(r->headers, NULL, is_oss_header, out) < 0)
		return -ENOMEM;
	v1_resource(r, out);
	if (v1_query(r, out) < 0)
		return -ENOMEM;
	return buf_error(out);
}

int sign_v1(const char *secret, const char *text, struct buf *out)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int rc = hmac(EVP_sha1(), secret, strlen(secret), text, mac, &len);

	if (rc < 0)
		return rc;
	base64_encode(out, mac, len);
	return buf_error(out);
}

/* ---- V4, OSS's and AWS's ---- */

/* Encode names and values, sort by the encoded name, join. */
static int v4_query(const struct kvs *query, const char *leave_out,
		    bool bare_names, struct buf *out)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;
	AUTO(buf_release) struct buf name = BUF_INIT;
	AUTO(buf_release) struct buf value = BUF_INIT;

	for (size_t i = 0; i < query->count; i++) {
		const struct kv *q = &query->items[i];

		if (strcmp(q->name, leave_out) == 0)
			continue;
		buf_reset(&name);
		buf_reset(&value);
		percent_encode(&name, q->name, strlen(q->name), PERCENT_ALL);
		percent_encode(&value, q->value, strlen(q->value), PERCENT_ALL);
		if (kvs_add(&l, buf_str(&name), buf_str(&value)) < 0)
			return -ENOMEM;
	}
	sort_pairs(&l);
	for (size_t i = 0; i < l.count; i++) {
		if (i)
			buf_addc(out, '&');
		buf_adds(out, l.items[i].name);
		if (l.items[i].value[0] || !bare_names)
			buf_addf(out, "=%s", l.items[i].value);
	}
	return buf_error(out);
}

static bool is_v4_header(const char *name, const char *additional)
{
	return is_oss_header(name, NULL) ||
	       strcasecmp(name, "content-type") == 0 ||
	       strcasecmp(name, "content-md5") == 0 ||
	       in_list(additional, name);
}

int sign_v4_canonical(const struct sign_request *r, const char *additional,
		      const char *payload, struct buf *out)
{
	AUTO(buf_release) struct buf uri = BUF_INIT;

	v1_resource(r, &uri);
	if (buf_error(&uri) < 0)
		return -ENOMEM;
	buf_addf(out, "%s\n", r->method);
	percent_encode(out, buf_str(&uri), uri.len, PERCENT_PATH);
	buf_addc(out, '\n');
	if (v4_query(r->query, "x-oss-signature", true, out) < 0)
		return -ENOMEM;
	buf_addc(out, '\n');
	if (header_lines(r->headers, additional, is_v4_header, out) < 0)
		return -ENOMEM;
	buf_addf(out, "\n%s\n%s", additional, payload);
	return buf_error(out);
}

static bool is_listed(const char *name, const char *list)
{
	return in_list(list, name);
}

int sign_aws_canonical(const struct sign_request *r, const char *path,
		       const char *signed_headers, const char *payload,
		       struct buf *out)
{
	buf_addf(out, "%s\n%s\n", r->method, path);
	if (v4_query(r->query, "X-Amz-Signature", false, out) < 0)
		return -ENOMEM;
	buf_addc(out, '\n');
	if (header_lines(r->headers, signed_headers, is_listed, out) < 0)
		return -ENOMEM;
	buf_addf(out, "\n%s\n%s", signed_headers, payload);
	return buf_error(out);
}

/* Where the two V4 schemes differ in words. */
struct flavour {
	const char *algorithm;
	const char *key_prefix;
	const char *terminator;
};

static const struct flavour oss4 = {"OSS4-HMAC-SHA256", "aliyun_v4",
				    "aliyun_v4_request"};
static const struct flavour aws4 = {"AWS4-HMAC-SHA256", "AWS4", "aws4_request"};

static char *scope_text(const struct flavour *f, const struct sign_scope *s)
{
	return str_printf("%s/%s/%s/%s", s->date, s->region, s->product,
			  f->terminator);
}

static int scoped_string(const struct flavour *f, const char *canonical,
			 const char *date, const struct sign_scope *s,
			 struct buf *out)
{
	AUTO_FREE char *scope = scope_text(f, s);
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!scope)
		return -ENOMEM;
	if (!EVP_Digest(canonical, strlen(canonical), md, &len, EVP_sha256(),
			NULL))
		return -EIO;
	buf_addf(out, "%s\n%s\n%s\n", f->algorithm, date, scope);
	hex_encode(out, md, len);
	return buf_error(out);
}

static int derive(const struct flavour *f, const char *secret,
		  const struct sign_scope *s, unsigned char key[KEY_LEN])
{
	const char *steps[] = {s->date, s->region, s->product, f->terminator};
	AUTO_FREE char *first = str_printf("%s%s", f->key_prefix, secret);
	unsigned char next[EVP_MAX_MD_SIZE] = {0};
	unsigned len = 0;
	int rc;

	if (!first)
		return -ENOMEM;
	rc = hmac(EVP_sha256(), first, strlen(first), steps[0], next, &len);
	for (size_t i = 1; !rc && i < ARRAY_LEN(steps); i++) {
		memcpy(key, next, KEY_LEN);
		rc = hmac(EVP_sha256(), key, KEY_LEN, steps[i], next, &len);
	}
	memcpy(key, next, KEY_LEN);
	OPENSSL_cleanse(next, sizeof(next));
	OPENSSL_cleanse(first, strlen(first));
	return rc;
}

/* ---- the key that was derived last ---- */

struct sign_memo {
	struct lock lock; /* guards what follows */
	char *secret;
	char *scope; /* NULL: there is no key */
	unsigned char key[KEY_LEN];
};

int sign_memo_new(struct sign_memo **out)
{
	struct sign_memo *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	lock_init(&m->lock, LOCK_LEAF);
	*out = m;
	return 0;
}

static void forget(struct sign_memo *m)
{
	if (m->secret)
		OPENSSL_cleanse(m->secret, strlen(m->secret));
	free(take_ptr(m->secret));
	free(take_ptr(m->scope));
	OPENSSL_cleanse(m->key, sizeof(m->key));
}

void sign_memo_free(struct sign_memo *m)
{
	if (!m)
		return;
	forget(m);
	lock_destroy(&m->lock);
	free(m);
}

static int renew_locked(struct sign_memo *m, const struct flavour *f,
			const char *secret, const struct sign_scope *s)
	ACK_REQUIRES(m->lock)
{
	int rc;

	forget(m);
	rc = derive(f, secret, s, m->key);
	if (!rc)
		rc = str_set(&m->secret, secret);
	if (rc < 0)
		return rc;
	m->scope = scope_text(f, s);
	return m->scope ? 0 : -ENOMEM;
}

static int key_of(struct sign_memo *m, const struct flavour *f,
		  const char *secret, const struct sign_scope *s,
		  unsigned char key[KEY_LEN])
{
	AUTO_FREE char *scope = scope_text(f, s);
	int rc = scope ? 0 : -ENOMEM;

	lock_acquire(&m->lock);
	if (!rc && !(str_eq(m->scope, scope) && str_eq(m->secret, secret)))
		rc = renew_locked(m, f, secret, s);
	if (!rc)
		memcpy(key, m->key, KEY_LEN);
	lock_release(&m->lock);
	return rc;
}

static int scoped_sign(const struct flavour *f, struct sign_memo *m,
		       const char *secret, const struct sign_scope *s,
		       const char *text, struct buf *out)
{
	unsigned char key[KEY_LEN];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int rc = m ? key_of(m, f, secret, s, key) : derive(f, secret, s, key);

	if (!rc)
		rc = hmac(EVP_sha256(), key, KEY_LEN, text, mac, &len);
	OPENSSL_cleanse(key, sizeof(key));
	if (rc < 0)
		return rc;
	hex_encode(out, mac, len);
	return buf_error(out);
}

int sign_v4_string(const char *canonical, const char *date,
		   const struct sign_scope *scope, struct buf *out)
{
	return scoped_string(&oss4, canonical, date, scope, out);
}

int sign_v4(struct sign_memo *m, const char *secret,
	    const struct sign_scope *scope, const char *text, struct buf *out)
{
	return scoped_sign(&oss4, m, secret, scope, text, out);
}

int sign_aws_string(const char *canonical, const char *date,
		    const struct sign_scope *scope, struct buf *out)
{
	return scoped_string(&aws4, canonical, date, scope, out);
}

int sign_aws(struct sign_memo *m, const char *secret,
	     const struct sign_scope *scope, const char *text, struct buf *out)
{
	return scoped_sign(&aws4, m, secret, scope, text, out);
}

bool sign_equal(const char *a, const char *b)
{
	size_t len = strlen(a);

	return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}
