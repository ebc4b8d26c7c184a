/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures: the vectors as pure functions, then through a whole request. */
#include "../support/emu.h"

#include <string.h>

#include "emulator/auth.h"
#include "emulator/keyring.h"
#include "emulator/sign.h"
#include "util/clock.h"
#include "util/codec.h"

static const char *maybe(const json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

static void same(const char *name, const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		fail_msg("%s:\n got %s\nwant %s", name, got, want);
}

static void add_query(struct buf *target, const char *name, const char *value)
{
	buf_addc(target, strchr(buf_str(target), '?') ? '&' : '?');
	percent_encode(target, name, strlen(name), PERCENT_ALL);
	if (!*value)
		return;
	buf_addc(target, '=');
	percent_encode(target, value, strlen(value), PERCENT_ALL);
}

/* The request line of a vector, path style. */
static void make_target(const json_t *v, struct buf *out)
{
	const json_t *query = json_object_get(v, "query");
	const char *bucket = maybe(v, "bucket");
	const char *key = maybe(v, "key");
	const char *name;
	const json_t *value;
	size_t i;

	buf_addf(out, "/%s%s", bucket ? bucket : "", bucket ? "/" : "");
	if (key)
		percent_encode(out, key, strlen(key), PERCENT_PATH);
	json_array_foreach(query, i, value)
		add_query(out, json_string_value(json_array_get(value, 0)),
			  json_string_value(json_array_get(value, 1)));
	if (json_is_object(query))
		json_object_foreach((json_t *)(uintptr_t)query, name, value)
			add_query(out, name, json_string_value(value));
}

/* ---- the strings and their signatures ---- */

struct parsed {
	struct request req;
	struct sign_request sign;
};

static void parse(struct parsed *p, const json_t *v, const char *target)
{
	const char *name;
	const json_t *value;

	assert_int_equal(
		request_init(&p->req, test_json_str(v, "method"), target), 0);
	json_object_foreach(json_object_get(v, "headers"), name, value)
		assert_int_equal(request_add_header(&p->req, name,
						    json_string_value(value)),
				 0);
	assert_int_equal(request_address(&p->req, ADDRESS_PATH), 0);
	p->sign =
		(struct sign_request){p->req.method, p->req.bucket, p->req.key,
				      &p->req.headers, &p->req.query};
}

static const char *v1_date(const json_t *v, char out[32])
{
	const json_t *headers = json_object_get(v, "headers");
	const char *date = maybe(headers, "x-oss-date");

	if (json_object_get(v, "expires")) {
		snprintf(out, 32, "%lld",
			 (long long)test_json_int(v, "expires"));
		return out;
	}
	return date ? date : test_json_str(headers, "Date");
}

static void check_v1(const json_t *v)
{
	AUTO(buf_release) struct buf target = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf sig = BUF_INIT;
	const char *name = test_json_str(v, "name");
	struct parsed p;
	char date[32];

	make_target(v, &target);
	if (json_object_get(v, "expires") && maybe(v, "security_token"))
		add_query(&target, "security-token",
			  maybe(v, "security_token"));
	parse(&p, v, buf_str(&target));
	assert_int_equal(sign_v1_string(&p.sign, v1_date(v, date), &text), 0);
	same(name, buf_str(&text), test_json_str(v, "string_to_sign"));
	assert_int_equal(sign_v1(test_json_str(v, "access_key_secret"),
				 buf_str(&text), &sig),
			 0);
	same(name, buf_str(&sig), test_json_str(v, "signature"));
	request_release(&p.req);
}

static void v1_vectors_give_their_signatures(void **state)
{
	json_t *root = test_vectors("v1.json");
	const json_t *v;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(root, "vectors")), 13);
	json_array_foreach(json_object_get(root, "vectors"), i, v) check_v1(v);
	json_decref(root);
}

/* Line n of a text, counted from its end (1 is the last); free() it. */
static char *line_from_end(const char *text, int n)
{
	const char *end = text + strlen(text);
	const char *begin;

	for (;;) {
		begin = end;
		while (begin > text && begin[-1] != '\n')
			begin--;
		if (--n == 0)
			return strndup(begin, (size_t)(end - begin));
		end = begin - 1;
	}
}

/* The query as the canonical request has it: in presigned vectors that is
 * more than "query". */
static void canonical_target(const json_t *v, struct buf *out)
{
	const char *text = test_json_str(v, "canonical_request");
	const char *path = strchr(text, '\n') + 1;
	const char *query = strchr(path, '\n') + 1;

	buf_add(out, path, (size_t)(query - path - 1));
	buf_addc(out, '?');
	buf_add(out, query, (size_t)(strchr(query, '\n') - query));
}

static void check_v4(const json_t *v, struct sign_memo *memo)
{
	AUTO(buf_release) struct buf target = BUF_INIT;
	AUTO(buf_release) struct buf canonical = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf sig = BUF_INIT;
	const char *name = test_json_str(v, "name");
	const char *want = test_json_str(v, "canonical_request");
	const char *to_sign = test_json_str(v, "string_to_sign");
	bool is_doc = strcmp(test_json_str(v, "kind"), "doc") == 0;
	AUTO_FREE char *additional = line_from_end(want, 2);
	AUTO_FREE char *date = strndup(strchr(to_sign, '\n') + 1, 16);
	AUTO_FREE char *day = strndup(date, 8);
	struct sign_scope scope = {day, test_json_str(v, "region"),
				   test_json_str(v, "product")};
	struct parsed p;

	canonical_target(v, &target);
	parse(&p, v, buf_str(&target));
	assert_int_equal(sign_v4_canonical(&p.sign, additional,
					   "UNSIGNED-PAYLOAD", &canonical),
			 0);
	same(name, buf_str(&canonical), want);
	assert_int_equal(
		sign_v4_string(buf_str(&canonical), date, &scope, &text), 0);
	same(name, buf_str(&text), to_sign);
	assert_int_equal(sign_v4(memo,
				 test_json_str(v, is_doc ? "literal_secret"
							 : "access_key_secret"),
				 &scope, buf_str(&text), &sig),
			 0);
	same(name, buf_str(&sig),
	     test_json_str(v,
			   is_doc ? "literal_secret_signature" : "signature"));
	request_release(&p.req);
}

static void v4_vectors_give_their_signatures(void **state)
{
	json_t *root = test_vectors("v4.json");
	const json_t *v;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(root, "vectors")), 19);
	json_array_foreach(json_object_get(root, "vectors"), i, v)
		check_v4(v, NULL);
	json_decref(root);
}

static void signature_does_not_depend_on_what_was_signed_before(void **state)
{
	json_t *root = test_vectors("v4.json");
	struct sign_memo *memo = NULL;
	const json_t *v;
	size_t i;

	(void)state;
	assert_int_equal(sign_memo_new(&memo), 0);
	json_array_foreach(json_object_get(root, "vectors"), i, v)
	{
		check_v4(v, memo);
		check_v4(v, memo);
	}
	sign_memo_free(memo);
	json_decref(root);
}

/* Each differs from the one before in one word. */
static void memo_keeps_secrets_and_scopes_apart(void **state)
{
	static const struct {
		const char *secret;
		struct sign_scope scope;
		bool is_aws;
	} cases[] = {
		{"s",  {"20260101", "r", "oss"},  false},
		{"t",  {"20260101", "r", "oss"},  false},
		{"t",  {"20260102", "r", "oss"},  false},
		{"t",  {"20260102", "rr", "oss"}, false},
		{"t",  {"20260102", "rr", "s3"},  false},
		{"t",  {"20260102", "rr", "s3"},  true },
		{"tt", {"20260102", "rr", "s3"},  true },
	};
	AUTO(buf_release) struct buf seen = BUF_INIT;
	struct sign_memo *memo = NULL;

	(void)state;
	assert_int_equal(sign_memo_new(&memo), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf got = BUF_INIT;
		AUTO(buf_release) struct buf want = BUF_INIT;
		int (*sign)(struct sign_memo *, const char *,
			    const struct sign_scope *, const char *,
			    struct buf *) =
			cases[i].is_aws ? sign_aws : sign_v4;

		assert_int_equal(sign(memo, cases[i].secret, &cases[i].scope,
				      "text", &got),
				 0);
		assert_int_equal(sign(NULL, cases[i].secret, &cases[i].scope,
				      "text", &want),
				 0);
		assert_string_equal(buf_str(&got), buf_str(&want));
		assert_null(strstr(buf_str(&seen), buf_str(&got)));
		buf_adds(&seen, buf_str(&got));
	}
	sign_memo_free(memo);
}

/* Names in lower case, values trimmed, several of one name joined. */
static void headers_are_signed_in_one_form(void **state)
{
	struct kvs headers = KVS_INIT;
	struct kvs query = KVS_INIT;
	struct sign_request r = {"PUT", "b", "k/ \xc3\xa9", &headers, &query};
	AUTO(buf_release) struct buf v1 = BUF_INIT;
	AUTO(buf_release) struct buf v4 = BUF_INIT;

	(void)state;
	kvs_add(&headers, "X-OSS-Meta-B", " 1 ");
	kvs_add(&headers, "x-oss-meta-b", "2\t");
	kvs_add(&headers, "x-oss-meta-a", "0  0");
	kvs_add(&headers, "Host", "h");
	kvs_add(&headers, "RANGE", " bytes=0-1");
	kvs_add(&query, "uploads", "");
	kvs_add(&query, "prefix", "p");
	kvs_add(&query, "acl", "a b");
	assert_int_equal(sign_v1_string(&r, "D", &v1), 0);
	assert_string_equal(buf_str(&v1),
			    "PUT\n\n\nD\nx-oss-meta-a:0  0\n"
			    "x-oss-meta-b:1,2\n/b/k/ \xc3\xa9?acl=a b&uploads");
	assert_int_equal(sign_v4_canonical(&r, "range", "P", &v4), 0);
	assert_string_equal(buf_str(&v4),
			    "PUT\n/b/k/%20%C3%A9\nacl=a%20b&prefix=p&uploads\n"
			    "range:bytes=0-1\nx-oss-meta-a:0  0\n"
			    "x-oss-meta-b:1,2\n\nrange\nP");
	kvs_release(&headers);
	kvs_release(&query);
}

/* The parameters of protocol 2.1, to the last one. */
static const char signed_names[] =
	"acl uploads uploadId partNumber append position tagging objectMeta "
	"symlink restore delete versionId sequential security-token "
	"callback callback-var continuation-token response-content-type "
	"response-content-language response-expires response-cache-control "
	"response-content-disposition response-content-encoding bucketInfo "
	"location stat versions versioning regionList cloudboxes "
	"x-oss-process x-oss-traffic-limit x-oss-request-payer x-oss-ac-any "
	"x-oss-any cors logging website referer lifecycle cname encryption "
	"policy policyStatus requestPayment inventory inventoryId worm "
	"wormId wormExtend replication replicationProgress "
	"replicationLocation rtc transferAcceleration metaQuery "
	"resourceGroup accessPoint accessPointPolicy publicAccessBlock "
	"httpsConfig bucketArchiveDirectRead redundancyTransition "
	"responseHeader qos qosInfo requesterQosInfo qosRequester "
	"resourcePool resourcePoolInfo resourcePoolBuckets asyncFetch "
	"withHashContext objectInfo link group seal img style styleName "
	"processConfiguration live status vod comp startTime endTime udf "
	"udfName udfImage udfId udfImageDesc udfApplication "
	"udfApplicationLog vpcip vip";

static const char unsigned_names[] =
	"list-type prefix delimiter marker max-keys start-after fetch-owner "
	"encoding-type key-marker upload-id-marker max-uploads max-parts "
	"part-number-marker version-id-marker ACL uploadid X-OSS-PROCESS a";

static void check_names(const char *list, bool want)
{
	while (*list) {
		size_t len = strcspn(list, " ");
		AUTO_FREE char *name = strndup(list, len);

		if (sign_v1_is_subresource(name) != want)
			fail_msg("%s: signed is not %d", name, want);
		list += len + (list[len] == ' ');
	}
}

static void version_1_signs_the_parameters_of_the_page(void **state)
{
	(void)state;
	check_names(signed_names, true);
	check_names(unsigned_names, false);
}

/* ---- through a request ---- */

static void add_key(struct emu *e, const char *id, const char *secret,
		    const char *token)
{
	AUTO_FREE char *i = str_dup(id);
	AUTO_FREE char *s = str_dup(secret);
	AUTO_FREE char *t = str_dup(token);
	struct credential c = {i, s, t, 0};

	assert_int_equal(keyring_set(e->em->keys, &c), 0);
}

/* Let it be that time in the emulator. */
static void set_clock(struct emu *e, int64_t real_ms)
{
	e->em->skew_ms = real_ms - clock_real_ms();
}

static int64_t signed_at(const json_t *v)
{
	const json_t *headers = json_object_get(v, "headers");
	const char *date = maybe(headers, "x-oss-date");
	int64_t ms = 0;

	if (json_object_get(v, "sign_time"))
		return test_json_int(v, "sign_time") * 1000;
	if (json_object_get(v, "expires"))
		return test_json_int(v, "expires") * 1000 - 60000;
	if (!date)
		date = test_json_str(headers, "Date");
	if (clock_parse_iso_basic(date, &ms) < 0)
		assert_int_equal(clock_parse_http_date(date, &ms), 0);
	return ms;
}

static size_t header_lines(const json_t *v, char *lines[32])
{
	const char *auth = maybe(v, "authorization");
	const char *name;
	const json_t *value;
	size_t n = 0;

	json_object_foreach(json_object_get(v, "headers"), name, value)
		lines[n++] =
			str_printf("%s: %s", name, json_string_value(value));
	if (auth)
		lines[n++] = str_printf("Authorization: %s", auth);
	lines[n] = NULL;
	return n;
}

static void presigned_target(const json_t *v, struct buf *out)
{
	if (json_object_get(v, "canonical_request")) {
		canonical_target(v, out);
		add_query(out, "x-oss-signature",
			  test_json_str(v, "signature"));
		return;
	}
	make_target(v, out);
	if (maybe(v, "security_token"))
		add_query(out, "security-token", maybe(v, "security_token"));
	add_query(out, "OSSAccessKeyId", test_json_str(v, "access_key_id"));
	add_query(out, "Signature", test_json_str(v, "signature"));
	buf_addf(out, "&Expires=%lld", (long long)test_json_int(v, "expires"));
}

static bool is_presigned(const json_t *v)
{
	return strcmp(test_json_str(v, "kind"), "presign") == 0;
}

static const char *token_of(const json_t *v)
{
	const char *token = maybe(v, "security_token");

	return token ? token
		     : maybe(json_object_get(v, "headers"),
			     "x-oss-security-token");
}

/* The vector as a request; `spoil` changes one byte of its path. */
static void send_vector_at(struct emu *e, const json_t *v, int64_t now_ms,
			   bool spoil, struct answer *a)
{
	AUTO(buf_release) struct buf target = BUF_INIT;
	char *lines[32];
	size_t n = header_lines(v, lines);

	if (is_presigned(v))
		presigned_target(v, &target);
	else
		make_target(v, &target);
	if (spoil)
		target.data[2] = target.data[2] == 'q' ? 'r' : 'q';
	add_key(e, test_json_str(v, "access_key_id"),
		test_json_str(v, "access_key_secret"), token_of(v));
	set_clock(e, now_ms);
	emu_request(e, test_json_str(v, "method"), buf_str(&target),
		    (const char *const *)(uintptr_t)lines, NULL, 0, a);
	for (size_t i = 0; i < n; i++)
		free(lines[i]);
}

static void send_vector(struct emu *e, const json_t *v, bool spoil,
			struct answer *a)
{
	send_vector_at(e, v, signed_at(v), spoil, a);
}

static bool is_for_this_server(const json_t *v)
{
	const char *product = maybe(v, "product");

	return strcmp(test_json_str(v, "kind"), "doc") != 0 &&
	       (!product || strcmp(product, "oss") == 0) &&
	       (is_presigned(v) || maybe(v, "authorization"));
}

static int check_file(struct emu *e, const char *file)
{
	json_t *root = test_vectors(file);
	int checked = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(root, "vectors"), i, v)
	{
		AUTO(answer_release) struct answer good = {0};
		AUTO(answer_release) struct answer bad = {0};

		if (!is_for_this_server(v))
			continue;
		send_vector(e, v, false, &good);
		if (good.auth == AUTH_NONE || good.status == 403)
			fail_msg("%s: %s", test_json_str(v, "name"),
				 buf_str(&good.body));
		send_vector(e, v, maybe(v, "bucket") != NULL, &bad);
		if (maybe(v, "bucket"))
			assert_string_equal(bad.code, "SignatureDoesNotMatch");
		checked++;
	}
	json_decref(root);
	return checked;
}

static void vectors_are_accepted_and_one_changed_byte_is_not(void **state)
{
	struct emu e;

	(void)state;
	emu_open(&e);
	assert_int_equal(check_file(&e, "v1.json"), 13);
	assert_int_equal(check_file(&e, "v4.json"), 14);
	emu_close(&e);
}

/* ---- a small signer for what the vectors do not cover ---- */

struct signer {
	const char *id;
	const char *secret;
	const char *token;
	const char *region;
	int64_t offset_ms; /* of the request's clock */
};

static const struct signer ours = {"emulator-key", "emulator-secret", NULL,
				   "cn-hangzhou", 0};

static void send_v1(struct emu *e, const struct signer *s, const char *target,
		    const char *host, struct answer *a)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf sig = BUF_INIT;
	char date[CLOCK_TEXT_LEN];
	AUTO_FREE char *date_line = NULL;
	AUTO_FREE char *auth = NULL;
	AUTO_FREE char *token = NULL;
	AUTO_FREE char *host_line = str_printf("Host: %s", host);
	struct request r;

	clock_http_date(date, clock_real_ms() + s->offset_ms);
	date_line = str_printf("Date: %s", date);
	assert_int_equal(request_init(&r, "GET", target), 0);
	assert_int_equal(request_address(&r, ADDRESS_PATH), 0);
	if (s->token) {
		token = str_printf("x-oss-security-token: %s", s->token);
		request_add_header(&r, "x-oss-security-token", s->token);
	}
	assert_int_equal(
		sign_v1_string(&(struct sign_request){"GET", r.bucket, r.key,
						      &r.headers, &r.query},
			       date, &text),
		0);
	assert_int_equal(sign_v1(s->secret, buf_str(&text), &sig), 0);
	auth = str_printf("Authorization: OSS %s:%s", s->id, buf_str(&sig));
	emu_request(e, "GET", target,
		    (const char *[]){host_line, date_line, auth, token, NULL},
		    NULL, 0, a);
	request_release(&r);
}

static void send_v4(struct emu *e, const struct signer *s, struct answer *a)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf sig = BUF_INIT;
	AUTO(kvs_release) struct kvs headers = KVS_INIT;
	struct kvs query = KVS_INIT;
	char date[CLOCK_TEXT_LEN];
	AUTO_FREE char *date_line = NULL;
	AUTO_FREE char *auth = NULL;
	AUTO_FREE char *day = NULL;
	struct sign_scope scope = {NULL, s->region, "oss"};

	clock_iso_basic(date, clock_real_ms() + s->offset_ms);
	date_line = str_printf("x-oss-date: %s", date);
	day = strndup(date, 8);
	scope.date = day;
	kvs_add(&headers, "x-oss-date", date);
	kvs_add(&headers, "x-oss-content-sha256", "UNSIGNED-PAYLOAD");
	sign_v4_canonical(
		&(struct sign_request){"GET", "bucket", "k", &headers, &query},
		"", "UNSIGNED-PAYLOAD", &canonical);
	sign_v4_string(buf_str(&canonical), date, &scope, &text);
	sign_v4(NULL, s->secret, &scope, buf_str(&text), &sig);
	auth = str_printf("Authorization: OSS4-HMAC-SHA256 Credential=%s/%s/%s"
			  "/oss/aliyun_v4_request, Signature=%s",
			  s->id, day, s->region, buf_str(&sig));
	emu_request(e, "GET", "/bucket/k",
		    (const char *[]){date_line, auth,
				     "x-oss-content-sha256: UNSIGNED-PAYLOAD",
				     NULL},
		    NULL, 0, a);
}

static void clock_skew_is_refused_in_both_directions(void **state)
{
	static const struct {
		const char *name;
		int64_t offset_ms;
		const char *code;
	} cases[] = {
		{"now",              0,       "NoSuchKey"           },
		{"before the limit", -880000, "NoSuchKey"           },
		{"behind it",        -902000, "RequestTimeTooSkewed"},
		{"ahead of it",      898000,  "NoSuchKey"           },
		{"beyond it",        920000,  "RequestTimeTooSkewed"},
	};
	struct emu e;

	(void)state;
	emu_open(&e);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct signer s = ours;
		AUTO(answer_release) struct answer v1;
		AUTO(answer_release) struct answer v4;

		s.offset_ms = cases[i].offset_ms;
		send_v1(&e, &s, "/bucket/k", "127.0.0.1", &v1);
		send_v4(&e, &s, &v4);
		same(cases[i].name, v1.code, cases[i].code);
		same(cases[i].name, v4.code, cases[i].code);
	}
	emu_close(&e);
}

static void skew_answer_names_both_times(void **state)
{
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *max = NULL;
	AUTO_FREE char *request_time = NULL;
	struct signer s = ours;
	struct emu e;

	(void)state;
	emu_open(&e);
	s.offset_ms = 3600000;
	send_v1(&e, &s, "/bucket/k", "127.0.0.1", &a);
	assert_int_equal(a.status, 403);
	max = answer_element(&a, "MaxAllowedSkewMilliseconds", 0);
	request_time = answer_element(&a, "RequestTime", 0);
	assert_string_equal(max, "900000");
	assert_non_null(request_time);
	assert_string_equal(answer_header(&a, "x-oss-ec"), "0002-00000504");
	emu_close(&e);
}

static void mismatch_shows_the_string_to_sign(void **state)
{
	AUTO(answer_release) struct answer v1;
	AUTO(answer_release) struct answer v4;
	AUTO_FREE char *bytes = NULL;
	struct signer s = ours;
	struct emu e;

	(void)state;
	emu_open(&e);
	s.secret = "wrong";
	send_v1(&e, &s, "/bucket/k", "127.0.0.1", &v1);
	send_v4(&e, &s, &v4);
	assert_string_equal(v1.code, "SignatureDoesNotMatch");
	assert_non_null(strstr(buf_str(&v1.body), "<StringToSign>GET&#xA;"));
	assert_non_null(strstr(buf_str(&v1.body), "<SignatureProvided>"));
	bytes = answer_element(&v1, "StringToSignBytes", 0);
	assert_memory_equal(bytes, "47 45 54 0A", 11);
	assert_string_equal(v4.code, "SignatureDoesNotMatch");
	assert_non_null(strstr(buf_str(&v4.body), "<CanonicalRequest>GET"));
	e.opt.quirks.no_canonical_request = true;
	answer_release(&v4);
	send_v4(&e, &s, &v4);
	assert_string_equal(v4.code, "SignatureDoesNotMatch");
	assert_null(strstr(buf_str(&v4.body), "<CanonicalRequest>"));
	emu_close(&e);
}

static void keys_and_tokens_are_checked(void **state)
{
	static const struct {
		const char *name;
		const char *id;
		const char *token;
		const char *code;
	} cases[] = {
		{"permanent key",            "emulator-key", NULL, "NoSuchKey"           },
		{"unknown key",              "nobody",       NULL, "InvalidAccessKeyId"  },
		{"STS key with token",       "sts",          "t1", "NoSuchKey"           },
		{"STS key without",          "sts",          NULL, "InvalidAccessKeyId"  },
		{"wrong token",              "sts",          "t0", "InvalidSecurityToken"},
		{"another's token",          "sts",          "t2",
		 "AccessKeyIdAndSecurityTokenNotMatch"                                   },
		{"token of a permanent key", "emulator-key", "t0",
		 "InvalidSecurityToken"						  },
	};
	struct emu e;

	(void)state;
	emu_open(&e);
	add_key(&e, "sts", "emulator-secret", "t1");
	add_key(&e, "sts2", "emulator-secret", "t2");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(answer_release) struct answer a;
		struct signer s = ours;

		s.id = cases[i].id;
		s.token = cases[i].token;
		send_v1(&e, &s, "/bucket/k", "127.0.0.1", &a);
		same(cases[i].name, a.code, cases[i].code);
	}
	emu_close(&e);
}

static void expired_token_says_so(void **state)
{
	AUTO(answer_release) struct answer a;
	char id[] = "sts";
	char secret[] = "emulator-secret";
	char token[] = "t1";
	struct credential c = {id, secret, token, 1000};
	struct signer s = ours;
	struct emu e;

	(void)state;
	emu_open(&e);
	keyring_set(e.em->keys, &c);
	s.id = "sts";
	s.token = "t1";
	send_v1(&e, &s, "/bucket/k", "127.0.0.1", &a);
	assert_string_equal(a.code, "SecurityTokenExpired");
	emu_close(&e);
}

/* ali-oss names the bucket in Host and in the path: the signature tells. */
static void bucket_in_host_and_path_is_borne(void **state)
{
	static const char *const hosts[] = {"127.0.0.1:80", "bucket.localhost",
					    "bucket.127.0.0.1:99"};
	struct emu e;

	(void)state;
	emu_open(&e);
	emu_do(&e, "PUT", "/bucket/k", NULL, "x", 200);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		AUTO(answer_release) struct answer a;

		send_v1(&e, &ours, "/bucket/k", hosts[i], &a);
		if (a.status != 200)
			fail_msg("%s: %s", hosts[i], buf_str(&a.body));
	}
	emu_close(&e);
}

static void wrong_region_is_refused(void **state)
{
	AUTO(answer_release) struct answer a;
	struct signer s = ours;
	struct emu e;

	(void)state;
	emu_open(&e);
	s.region = "cn-beijing";
	send_v4(&e, &s, &a);
	assert_int_equal(a.status, 400);
	assert_string_equal(a.code, "InvalidArgument");
	emu_close(&e);
}

static void malformed_headers_have_their_ec(void **state)
{
#define CRED "Credential=a/20231216/cn-hangzhou/oss/aliyun_v4_request"
	static const struct {
		const char *text;
		const char *ec;
	} cases[] = {
		{"OSS",						      "0002-00000202"},
		{"OSS ak",						   "0002-00000202"},
		{"OSS :x",						   "0002-00000202"},
		{"OSS ak:",						  "0002-00000202"},
		{"Basic YTpi",					       "0002-00000202"},
		{"OSS4-HMAC-SHA256 " CRED,                                   "0002-00000208"},
		{"OSS4-HMAC-SHA256 " CRED ",Signature=",                     "0002-00000208"},
		{"OSS4-HMAC-SHA256 " CRED ",AdditionalHeaders=,Signature=x",
		 "0002-00000209"							    },
		{"OSS4-HMAC-SHA256 Credential=a/b,Signature=x",
		 "0002-00000202"							    },
		{"OSS4-HMAC-SHA256 Signature=x",                             "0002-00000202"},
	};
	struct emu e;

	(void)state;
	emu_open(&e);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *line =
			str_printf("Authorization: %s", cases[i].text);
		AUTO(answer_release) struct answer a;

		emu_expect(&e, "GET", "/bucket/k", (const char *[]){line, NULL},
			   NULL, 400, &a);
		same(cases[i].text, answer_header(&a, "x-oss-ec"), cases[i].ec);
	}
	emu_close(&e);
}

static void signed_urls_expire_before_their_signature_counts(void **state)
{
	static const struct {
		const char *target;
		int status;
		const char *code;
	} cases[] = {
		{"/bucket/k?OSSAccessKeyId=emulator-key&Signature=x&Expires=1",
		 403,								"AccessDenied"         },
		{"/bucket/k?OSSAccessKeyId=emulator-key&Signature=x&Expires=a",
		 403,								"AccessDenied"         },
		{"/bucket/k?OSSAccessKeyId=emulator-key&Signature=x",           403,
		 "AccessDenied"									     },
		{"/bucket/k?OSSAccessKeyId=emulator-key&Signature=x&"
		 "Expires=99999999999",			403, "SignatureDoesNotMatch"},
		{"/bucket/k?x-oss-signature=x",                                 400, "InvalidArgument"      },
	};
	struct emu e;

	(void)state;
	emu_open(&e);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		emu_fails(&e, "GET", cases[i].target, NULL, NULL,
			  cases[i].status, cases[i].code);
	emu_fails(&e, "GET", cases[0].target,
		  (const char *[]){"Authorization: OSS a:b", NULL}, NULL, 400,
		  "InvalidArgument");
	emu_close(&e);
}

/* A URL of version 4 is good for as long as it says. */
static void signed_urls_of_version_4_expire(void **state)
{
	json_t *root = test_vectors("v4.json");
	const json_t *list = json_object_get(root, "vectors");
	static const struct {
		int64_t after_ms;
		const char *code;
	} cases[] = {
		{598000,  "MissingContentLength"},
		{600000,  "AccessDenied"        },
		{-840000, "MissingContentLength"},
		{-960000, "RequestTimeTooSkewed"},
	};
	int seen = 0;
	struct emu e;
	const json_t *v;
	size_t i;

	(void)state;
	emu_open(&e);
	json_array_foreach(list, i, v)
	{
		if (!is_presigned(v) || !is_for_this_server(v))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
			AUTO(answer_release) struct answer a = {0};

			send_vector_at(&e, v, signed_at(v) + cases[k].after_ms,
				       false, &a);
			same(test_json_str(v, "name"), a.code, cases[k].code);
		}
		seen++;
	}
	assert_true(seen >= 3);
	json_decref(root);
	emu_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v1_vectors_give_their_signatures),
		cmocka_unit_test(v4_vectors_give_their_signatures),
		cmocka_unit_test(
			signature_does_not_depend_on_what_was_signed_before),
		cmocka_unit_test(memo_keeps_secrets_and_scopes_apart),
		cmocka_unit_test(headers_are_signed_in_one_form),
		cmocka_unit_test(version_1_signs_the_parameters_of_the_page),
		cmocka_unit_test(
			vectors_are_accepted_and_one_changed_byte_is_not),
		cmocka_unit_test(clock_skew_is_refused_in_both_directions),
		cmocka_unit_test(skew_answer_names_both_times),
		cmocka_unit_test(mismatch_shows_the_string_to_sign),
		cmocka_unit_test(keys_and_tokens_are_checked),
		cmocka_unit_test(expired_token_says_so),
		cmocka_unit_test(bucket_in_host_and_path_is_borne),
		cmocka_unit_test(wrong_region_is_refused),
		cmocka_unit_test(malformed_headers_have_their_ec),
		cmocka_unit_test(
			signed_urls_expire_before_their_signature_counts),
		cmocka_unit_test(signed_urls_of_version_4_expire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
