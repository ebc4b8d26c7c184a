/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/keyring.h"
#include "emulator/operations.h"
#include "emulator/sign.h"
#include "emulator/store.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/strnum.h"

#define MAX_SKEW_MS INT64_C(900000)
#define MAX_EXPIRES_S 604800
#define UNSIGNED "UNSIGNED-PAYLOAD"

/* What a signature claims, whatever form it came in. */
struct claim {
	enum auth_kind kind;
	const char *id;
	const char *signature;
	const char *date;    /* V1: the Date line; V4: x-oss-date as signed */
	const char *headers; /* additional or signed headers, "" for none */
	const char *payload;
	const char *token;
	struct v4_header header;
	struct v4_credential credential;
	char iso[CLOCK_TEXT_LEN];
};

/* ---- time ---- */

static int fail_skew(struct exchange *x, int64_t request_ms)
{
	AUTO(kvs_release) struct kvs e = KVS_INIT;
	char requested[CLOCK_TEXT_LEN];
	char now[CLOCK_TEXT_LEN];

	if (kvs_addf(&e, "MaxAllowedSkewMilliseconds", "%lld",
		     (long long)MAX_SKEW_MS) < 0 ||
	    kvs_add(&e, "RequestTime", clock_rfc3339(requested, request_ms)) <
		    0 ||
	    kvs_add(&e, "ServerTime", clock_rfc3339(now, x->now_ms)) < 0)
		return fail(x, OE_INTERNAL);
	return fail_custom(x, oss_err_info(OE_TIME_SKEWED), &e);
}

static int check_skew(struct exchange *x, int64_t request_ms)
{
	int64_t diff = request_ms - x->now_ms;

	if (diff > MAX_SKEW_MS || diff < -MAX_SKEW_MS)
		return fail_skew(x, request_ms);
	return 0;
}

static int fail_date(struct exchange *x)
{
	return fail(x, x->em->opt->quirks.missing_date_is_400 ? OE_NO_DATE_400
							      : OE_NO_DATE_403);
}

/* ---- keys and tokens ---- */

static int fail_key_id(struct exchange *x, const char *id)
{
	return fail_with(x, OE_INVALID_ACCESS_KEY_ID, "OSSAccessKeyId", id);
}

int auth_check_token(struct exchange *x, const struct credential *key,
		     const char *token)
{
	if (!token)
		return key->token ? fail_key_id(x, key->id) : 0;
	if (key->token && strcmp(key->token, token) == 0)
		return key->expires_ms && key->expires_ms <= x->now_ms
			       ? fail(x, OE_TOKEN_EXPIRED)
			       : 0;
	return fail(x, keyring_has_token(x->em->keys, token)
			       ? OE_TOKEN_MISMATCH
			       : OE_TOKEN_INVALID);
}

/* ---- the signature itself ---- */

struct computed {
	struct buf canonical; /* empty in V1 */
	struct buf string;
	struct buf signature;
};

static void computed_release(struct computed *c)
{
	buf_release(&c->canonical);
	buf_release(&c->string);
	buf_release(&c->signature);
}

static int compute_v4(const struct exchange *x, const struct claim *c,
		      const struct sign_request *r, const char *secret,
		      struct computed *out)
{
	struct sign_scope scope = {c->credential.date, c->credential.region,
				   c->credential.product};
	AUTO(buf_release) struct buf path = BUF_INIT;
	bool is_aws = c->kind == AUTH_AWS4 || c->kind == AUTH_AWS4_QUERY;
	const char *canonical;
	int rc;

	if (is_aws) {
		percent_encode(&path, x->req.path, strlen(x->req.path),
			       PERCENT_PATH);
		rc = sign_aws_canonical(r, buf_str(&path), c->headers,
					c->payload, &out->canonical);
	} else {
		rc = sign_v4_canonical(r, c->headers, c->payload,
				       &out->canonical);
	}
	canonical = buf_str(&out->canonical);
	if (rc < 0)
		return rc;
	rc = is_aws ? sign_aws_string(canonical, c->date, &scope, &out->string)
		    : sign_v4_string(canonical, c->date, &scope, &out->string);
	if (rc < 0)
		return rc;
	return is_aws ? sign_aws(x->em->sign_memo, secret, &scope,
				 buf_str(&out->string), &out->signature)
		      : sign_v4(x->em->sign_memo, secret, &scope,
				buf_str(&out->string), &out->signature);
}

static int compute(const struct exchange *x, const struct claim *c,
		   const char *secret, struct computed *out)
{
	struct sign_request r = {x->req.method, x->req.bucket, x->req.key,
				 &x->req.headers, &x->req.query};
	int rc;

	if (c->kind != AUTH_V1 && c->kind != AUTH_V1_QUERY)
		return compute_v4(x, c, &r, secret, out);
	rc = sign_v1_string(&r, c->date, &out->string);
	return rc < 0 ? rc
		      : sign_v1(secret, buf_str(&out->string), &out->signature);
}

static void add_bytes(struct kvs *e, const char *name, const struct buf *text)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;

	for (size_t i = 0; i < text->len; i++)
		buf_addf(&bytes, i ? " %02X" : "%02X",
			 (unsigned char)text->data[i]);
	(void)kvs_add(e, name, buf_str(&bytes));
}

/* The server's own string to sign is the best help there is. */
static int fail_mismatch(struct exchange *x, const struct claim *c,
			 const struct computed *ours)
{
	AUTO(kvs_release) struct kvs e = KVS_INIT;

	if (kvs_add(&e, "OSSAccessKeyId", c->id) < 0 ||
	    kvs_add(&e, "SignatureProvided", c->signature) < 0 ||
	    kvs_add(&e, "StringToSign", buf_str(&ours->string)) < 0)
		return fail(x, OE_INTERNAL);
	add_bytes(&e, "StringToSignBytes", &ours->string);
	if (ours->canonical.len && !x->em->opt->quirks.no_canonical_request &&
	    kvs_add(&e, "CanonicalRequest", buf_str(&ours->canonical)) < 0)
		return fail(x, OE_INTERNAL);
	return fail_custom(x, oss_err_info(OE_SIGNATURE_MISMATCH), &e);
}

/* 1: equal, 0: not, negative: -errno. */
static int try_address(struct exchange *x, const struct claim *c,
		       const char *secret, enum addressing how,
		       struct computed *out)
{
	int rc = request_address(&x->req, how);

	if (!rc)
		rc = compute(x, c, secret, out);
	if (rc < 0)
		return rc;
	return sign_equal(buf_str(&out->signature), c->signature);
}

static int check_signature(struct exchange *x, const struct claim *c,
			   const char *secret)
{
	AUTO(computed_release) struct computed first = {0};
	AUTO(computed_release) struct computed second = {0};
	enum addressing how =
		request_addressing(&x->req, x->em->opt->base_host);
	bool either = how == ADDRESS_EITHER;
	int rc;

	rc = try_address(x, c, secret, either ? ADDRESS_VIRTUAL : how, &first);
	if (!rc && either)
		rc = try_address(x, c, secret, ADDRESS_PATH, &second);
	if (rc < 0)
		return fail_errno(x, rc);
	return rc ? 0 : fail_mismatch(x, c, &first);
}

static int check_claim(struct exchange *x, const struct claim *c)
{
	AUTO(credential_release) struct credential key = {0};
	int rc = keyring_find(x->em->keys, c->id, &key);

	x->auth = c->kind;
	if (rc == -ENOENT)
		return fail_key_id(x, c->id);
	if (rc < 0)
		return fail_errno(x, rc);
	rc = auth_check_token(x, &key, c->token);
	return rc < 0 ? rc : check_signature(x, c, key.secret);
}

/* ---- V1 ---- */

static const char *header(const struct exchange *x, const char *name)
{
	return kvs_get(&x->req.headers, name);
}

static const char *query(const struct exchange *x, const char *name)
{
	return request_query(&x->req, name);
}

static int check_v1_header(struct exchange *x, const char *text)
{
	struct claim c = {.kind = AUTH_V1};
	const char *colon = strchr(text, ':');
	AUTO_FREE char *id = NULL;
	int64_t when;
	int rc;

	if (!colon || colon == text || !colon[1] || strchr(colon + 1, ':'))
		return fail(x, OE_AUTH_HEADER);
	id = strndup(text, (size_t)(colon - text));
	if (!id)
		return fail(x, OE_INTERNAL);
	c.id = id;
	c.signature = colon + 1;
	c.token = header(x, "x-oss-security-token");
	c.date = header(x, "x-oss-date");
	if (!c.date)
		c.date = header(x, "Date");
	if (!c.date || clock_parse_http_date(c.date, &when) < 0)
		return fail_date(x);
	rc = check_skew(x, when);
	return rc < 0 ? rc : check_claim(x, &c);
}

/* A token belongs into a signed URL, not beside it. */
static int check_url_token(struct exchange *x, const char *in_query)
{
	if (!header(x, "x-oss-security-token"))
		return 0;
	return fail(x, in_query ? OE_INVALID_ARGUMENT : OE_TOKEN_NOT_IN_QUERY);
}

static int check_v1_query(struct exchange *x)
{
	struct claim c = {.kind = AUTH_V1_QUERY,
			  .id = query(x, "OSSAccessKeyId"),
			  .signature = query(x, "Signature"),
			  .date = query(x, "Expires"),
			  .token = query(x, "security-token")};
	int64_t expires;
	int rc;

	if (!c.id || !c.signature || !c.date)
		return fail(x, OE_QUERY_AUTH_INCOMPLETE);
	if (parse_i64(c.date, 0, INT64_MAX / 1000, &expires) < 0)
		return fail(x, OE_QUERY_AUTH_BAD_DATE);
	if (expires * 1000 <= x->now_ms)
		return fail_with(x, OE_REQUEST_EXPIRED, "Expires", c.date);
	rc = check_url_token(x, c.token);
	return rc < 0 ? rc : check_claim(x, &c);
}

/* ---- V4 ---- */

static int fail_auth(struct exchange *x, const char *message)
{
	struct oss_err_info e = *oss_err_info(OE_AUTH_HEADER);

	e.message = message;
	return fail_custom(x, &e, NULL);
}

int auth_check_scope(struct exchange *x, const struct v4_credential *s,
		     const char *date)
{
	/* How far the two may lie apart nobody says: not at all. */
	if (strncmp(s->date, date, 8) != 0 || strlen(s->date) != 8)
		return fail_auth(x, "Invalid signing date in Authorization "
				    "header.");
	if (strcmp(s->region, x->em->opt->region) != 0)
		return fail_auth(x, "Invalid signing region in Authorization "
				    "header.");
	if (strcmp(s->product, "oss") != 0)
		return fail_auth(x, "Invalid signing product in Authorization "
				    "header.");
	if (strcmp(s->terminator, "aliyun_v4_request") != 0)
		return fail_auth(x, "Invalid signing version in Authorization "
				    "header.");
	return 0;
}

/* x-oss-date, or Date in either form; the text that was signed goes to
 * c->date. */
static int v4_header_date(struct exchange *x, struct claim *c, int64_t *when)
{
	bool rfc1123 = x->em->opt->quirks.v4_takes_rfc1123_date;

	c->date = header(x, "x-oss-date");
	if (!c->date) {
		c->date = header(x, "Date");
		rfc1123 = true;
	}
	if (!c->date)
		return fail_date(x);
	if (clock_parse_iso_basic(c->date, when) == 0)
		return 0;
	if (!rfc1123 || clock_parse_http_date(c->date, when) < 0)
		return fail_date(x);
	c->date = clock_iso_basic(c->iso, *when);
	return 0;
}

static int check_v4_header(struct exchange *x, const char *text)
{
	struct claim c = {.kind = AUTH_V4, .id = c.credential.id};
	enum oss_err err =
		v4_header_parse(text, "AdditionalHeaders", &c.header);
	int64_t when = 0;
	int rc;

	if (err)
		return fail(x, err);
	if (v4_credential_parse(c.header.credential, &c.credential) < 0)
		return fail(x, OE_AUTH_HEADER);
	rc = v4_header_date(x, &c, &when);
	if (!rc)
		rc = check_skew(x, when);
	if (!rc)
		rc = auth_check_scope(x, &c.credential, c.date);
	if (rc < 0)
		return rc;
	c.payload = header(x, "x-oss-content-sha256");
	if (!c.payload || strcmp(c.payload, UNSIGNED) != 0)
		return fail_auth(x, "x-oss-content-sha256 must be "
				    "UNSIGNED-PAYLOAD.");
	c.signature = c.header.signature;
	c.headers = c.header.headers;
	c.token = header(x, "x-oss-security-token");
	return check_claim(x, &c);
}

static int check_expiry(struct exchange *x, const char *expires,
			int64_t signed_ms)
{
	int64_t seconds;

	if (parse_i64(expires, 1, MAX_EXPIRES_S, &seconds) < 0)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "Invalid expires time, it must be an "
				     "integer between 1 and 604800.",
				     "x-oss-expires", expires);
	if (signed_ms + seconds * 1000 <= x->now_ms)
		return fail(x, OE_REQUEST_EXPIRED);
	if (signed_ms - x->now_ms > MAX_SKEW_MS)
		return fail_skew(x, signed_ms);
	return 0;
}

static int check_v4_query(struct exchange *x)
{
	const char *credential = query(x, "x-oss-credential");
	const char *version = query(x, "x-oss-signature-version");
	const char *expires = query(x, "x-oss-expires");
	const char *additional = query(x, "x-oss-additional-headers");
	struct claim c = {.kind = AUTH_V4_QUERY,
			  .id = c.credential.id,
			  .signature = query(x, "x-oss-signature"),
			  .date = query(x, "x-oss-date"),
			  .headers = additional ? additional : "",
			  .payload = header(x, "x-oss-content-sha256"),
			  .token = query(x, "x-oss-security-token")};
	int64_t when;
	int rc;

	if (!credential || !version || !expires || !c.signature || !c.date ||
	    strcmp(version, "OSS4-HMAC-SHA256") != 0 ||
	    v4_credential_parse(credential, &c.credential) < 0)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "The signature parameters of the query "
				     "string are invalid.",
				     "x-oss-credential", credential);
	if (clock_parse_iso_basic(c.date, &when) < 0)
		return fail_date(x);
	rc = check_expiry(x, expires, when);
	if (!rc)
		rc = auth_check_scope(x, &c.credential, c.date);
	if (!rc)
		rc = check_url_token(x, c.token);
	if (rc < 0)
		return rc;
	if (!c.payload)
		c.payload = UNSIGNED;
	return check_claim(x, &c);
}

/* ---- AWS, for the S3 dialect: any region ---- */

static int check_aws_header(struct exchange *x, const char *text)
{
	struct claim c = {.kind = AUTH_AWS4, .id = c.credential.id};
	enum oss_err err = v4_header_parse(text, "SignedHeaders", &c.header);
	int64_t when;
	int rc;

	if (err)
		return fail(x, err);
	if (v4_credential_parse(c.header.credential, &c.credential) < 0)
		return fail(x, OE_AUTH_HEADER);
	c.date = header(x, "x-amz-date");
	if (!c.date || clock_parse_iso_basic(c.date, &when) < 0)
		return fail_date(x);
	rc = check_skew(x, when);
	if (rc < 0)
		return rc;
	c.payload = header(x, "x-amz-content-sha256");
	if (!c.payload)
		return fail(x, OE_AUTH_HEADER);
	c.signature = c.header.signature;
	c.headers = c.header.headers;
	c.token = header(x, "x-amz-security-token");
	return check_claim(x, &c);
}

static int check_aws_query(struct exchange *x)
{
	const char *credential = query(x, "X-Amz-Credential");
	const char *expires = query(x, "X-Amz-Expires");
	struct claim c = {.kind = AUTH_AWS4_QUERY,
			  .id = c.credential.id,
			  .signature = query(x, "X-Amz-Signature"),
			  .date = query(x, "X-Amz-Date"),
			  .headers = query(x, "X-Amz-SignedHeaders"),
			  .payload = UNSIGNED,
			  .token = query(x, "X-Amz-Security-Token")};
	int64_t when;
	int rc;

	if (!credential || !expires || !c.signature || !c.date || !c.headers ||
	    v4_credential_parse(credential, &c.credential) < 0)
		return fail(x, OE_AUTH_HEADER);
	if (clock_parse_iso_basic(c.date, &when) < 0)
		return fail_date(x);
	rc = check_expiry(x, expires, when);
	return rc < 0 ? rc : check_claim(x, &c);
}

/* ---- which of them ---- */

static int check_anonymous(struct exchange *x)
{
	enum addressing how =
		request_addressing(&x->req, x->em->opt->base_host);
	int rc = request_address(&x->req,
				 how == ADDRESS_EITHER ? ADDRESS_VIRTUAL : how);

	x->auth = AUTH_NONE;
	return rc < 0 ? fail_errno(x, rc) : 0;
}

static int check_header(struct exchange *x, const char *text)
{
	if (strncmp(text, "OSS ", 4) == 0)
		return check_v1_header(x, text + 4);
	if (strncmp(text, "OSS4-HMAC-SHA256 ", 17) == 0)
		return check_v4_header(x, text + 17);
	if (strncmp(text, "AWS4-HMAC-SHA256 ", 17) == 0)
		return check_aws_header(x, text + 17);
	return fail(x, OE_AUTH_HEADER);
}

static int check_query(struct exchange *x, bool *found)
{
	*found = true;
	if (query(x, "x-oss-signature-version") || query(x, "x-oss-signature"))
		return check_v4_query(x);
	if (query(x, "X-Amz-Algorithm"))
		return check_aws_query(x);
	if (query(x, "Signature") || query(x, "OSSAccessKeyId"))
		return check_v1_query(x);
	*found = false;
	return 0;
}

static bool has_query_signature(const struct exchange *x)
{
	return query(x, "x-oss-signature") || query(x, "Signature") ||
	       query(x, "X-Amz-Signature");
}

/* What is checked of a form stands inside it (protocol 2.8). */
static bool is_form(const struct exchange *x)
{
	const struct operation *op = route(x);

	return op && strcmp(op->name, "PostObject") == 0;
}

int auth_check(struct exchange *x)
{
	const char *text = header(x, "Authorization");
	bool found;
	int rc;

	/* For what fails before a signature is looked at. */
	rc = check_anonymous(x);
	if (rc < 0)
		return rc;
	if (x->em->opt->quirks.refuse_path_style &&
	    request_addressing(&x->req, x->em->opt->base_host) ==
		    ADDRESS_PATH &&
	    x->req.bucket)
		return fail(x, OE_SECOND_LEVEL_DOMAIN);
	if (is_form(x))
		return 0;
	if (text && has_query_signature(x))
		return fail(x, OE_AUTH_BOTH_WAYS);
	if (text)
		return check_header(x, text);
	rc = check_query(x, &found);
	return rc;
}

/* ---- anonymous requests ---- */

static bool acl_allows(const char *acl, bool is_write)
{
	return strcmp(acl, "public-read-write") == 0 ||
	       (!is_write && strcmp(acl, "public-read") == 0);
}

static bool object_allows(struct exchange *x, const char *bucket_acl)
{
	AUTO(object_putp) struct object *o = NULL;
	const char *acl = bucket_acl;

	if (x->op->is_write ||
	    store_get(x->em->store, x->req.bucket, x->req.key, &o) < 0)
		return acl_allows(bucket_acl, x->op->is_write);
	if (o->acl && strcmp(o->acl, "default") != 0)
		acl = o->acl;
	return acl_allows(acl, false);
}

static int anonymous_permission(struct exchange *x)
{
	struct bucket_info info;
	int rc;

	if (x->em->opt->anonymous)
		return 0;
	if (x->op->level == LEVEL_SERVICE)
		return fail(x, OE_ACCESS_DENIED);
	rc = store_bucket_info(x->em->store, x->req.bucket, &info);
	if (rc < 0)
		return fail_errno(x, rc);
	if (x->op->level == LEVEL_BUCKET)
		return acl_allows(info.acl, x->op->is_write)
			       ? 0
			       : fail(x, OE_ANONYMOUS_BUCKET);
	return object_allows(x, info.acl) ? 0 : fail(x, OE_ANONYMOUS_OBJECT);
}

int auth_permission(struct exchange *x)
{
	/* A form carries its own signature (protocol 2.8). */
	if (x->auth != AUTH_NONE || strcmp(x->op->name, "PostObject") == 0)
		return 0;
	return anonymous_permission(x);
}
