/* SPDX-License-Identifier: Apache-2.0 */
/* PostObject: what counts of a form, and who may send it (protocol 2.8,
 * 4.2.1). */
#include "../support/emu.h"

#include <string.h>

#include "emulator/keyring.h"
#include "emulator/sign.h"
#include "util/clock.h"
#include "util/codec.h"

#define TYPE "Content-Type: multipart/form-data; boundary=XX"
#define H(...) ((const char *const[]){TYPE, __VA_ARGS__, NULL})

static void has_header(const struct answer *a, const char *name,
		       const char *want)
{
	const char *got = kvs_get(&a->headers, name);

	if (!got || strcmp(got, want) != 0)
		fail_msg("%s: got %s, want %s", name, got ? got : "none", want);
}

/* ---- forms ---- */

static void add_field(struct buf *form, const char *name, const char *value)
{
	buf_addf(form,
		 "--XX\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n",
		 name);
	buf_adds(form, value);
	buf_adds(form, "\r\n");
}

static void add_file(struct buf *form, const char *type, const char *data)
{
	buf_adds(form, "--XX\r\nContent-Disposition: form-data; name=\"file\"; "
		       "filename=\"f.txt\"\r\n");
	if (type)
		buf_addf(form, "Content-Type: %s\r\n", type);
	buf_addf(form, "\r\n%s\r\n--XX--\r\n", data);
}

/* Fields by name and value, up to a NULL; then the file "hi oss". */
static void make_form(struct buf *form, const char *const *fields)
{
	for (; *fields; fields += 2)
		add_field(form, fields[0], fields[1]);
	add_file(form, "text/plain", "hi oss");
}

static void post(struct emu *e, const char *const *fields, int status,
		 struct answer *a)
{
	AUTO(buf_release) struct buf form = BUF_INIT;

	make_form(&form, fields);
	emu_expect(e, "POST", "/bucket", H(NULL), buf_str(&form), status, a);
}

#define F(...) ((const char *const[]){__VA_ARGS__, NULL})

static void fields_become_properties_and_headers_do_not(void **state)
{
	AUTO(buf_release) struct buf form = BUF_INIT;
	AUTO(answer_release) struct answer posted;
	AUTO(answer_release) struct answer a;

	make_form(&form, F("Key", "in/${filename}", "x-oss-meta-a", "1",
			   "Cache-Control", "no-cache", "x-oss-storage-class",
			   "IA", "x-oss-server-side-encryption", "KMS",
			   "x-oss-server-side-encryption-key-id", "id"));
	emu_expect(*state, "POST", "/bucket",
		   H("x-oss-meta-b: 2", "Expires: never", "x-oss-tagging: a=1",
		     "x-oss-forbid-overwrite: true", "x-oss-callback: @@"),
		   buf_str(&form), 204, &posted);
	has_header(&posted, "x-oss-hash-crc64ecma", "8707180448768400016");
	has_header(&posted, "ETag", "\"B22E0DC370A7F7067FACF5F75D7FA385\"");
	has_header(&posted, "x-oss-server-side-encryption", "KMS");
	emu_expect(*state, "GET", "/bucket/in/f.txt", NULL, NULL, 200, &a);
	assert_string_equal(buf_str(&a.body), "hi oss");
	has_header(&a, "Content-Type", "text/plain");
	has_header(&a, "x-oss-meta-a", "1");
	has_header(&a, "Cache-Control", "no-cache");
	has_header(&a, "x-oss-storage-class", "IA");
	has_header(&a, "x-oss-server-side-encryption-key-id", "id");
	assert_null(kvs_get(&a.headers, "x-oss-meta-b"));
	assert_null(kvs_get(&a.headers, "Expires"));
	assert_null(kvs_get(&a.headers, "x-oss-tagging-count"));
}

static void three_content_types_have_their_rank(void **state)
{
	static const struct {
		const char *field;
		const char *file;
		const char *oss;
		const char *want;
	} cases[] = {
		{"a/field", "a/file", "a/oss", "a/oss"                   },
		{"a/field", "a/file", NULL,    "a/file"                  },
		{"a/field", NULL,     NULL,    "a/field"                 },
		{NULL,      NULL,     NULL,    "application/octet-stream"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf form = BUF_INIT;
		AUTO(answer_release) struct answer a;

		add_field(&form, "key", "k");
		if (cases[i].field)
			add_field(&form, "Content-Type", cases[i].field);
		if (cases[i].oss)
			add_field(&form, "x-oss-content-type", cases[i].oss);
		add_file(&form, cases[i].file, "x");
		emu_do(*state, "POST", "/bucket", H(NULL), buf_str(&form), 204);
		emu_expect(*state, "HEAD", "/bucket/k", NULL, NULL, 200, &a);
		has_header(&a, "Content-Type", cases[i].want);
	}
}

static void success_is_answered_as_asked(void **state)
{
	AUTO(answer_release) struct answer none;
	AUTO(answer_release) struct answer ok;
	AUTO(answer_release) struct answer created;
	AUTO(answer_release) struct answer odd;
	AUTO(answer_release) struct answer moved;
	AUTO_FREE char *key = NULL;
	AUTO_FREE char *bucket = NULL;

	post(*state, F("key", "a b"), 204, &none);
	post(*state, F("key", "k", "success_action_status", "200"), 200, &ok);
	assert_int_equal(ok.body.len, 0);
	post(*state, F("key", "a b", "success_action_status", "201"), 201,
	     &created);
	key = answer_element(&created, "Key", 0);
	bucket = answer_element(&created, "Bucket", 0);
	assert_string_equal(key, "a b");
	assert_string_equal(bucket, "bucket");
	assert_non_null(strstr(buf_str(&created.body), "/a%20b</Location>"));
	assert_non_null(strstr(buf_str(&created.body), "<PostResponse>"));
	post(*state, F("key", "k", "success_action_status", "299"), 204, &odd);
	post(*state, F("key", "k", "success_action_redirect", "http://h/x"),
	     303, &moved);
	has_header(&moved, "Location", "http://h/x");
}

static void bad_forms_have_their_codes(void **state)
{
	struct emu *e = *state;
	AUTO(buf_release) struct buf long_field = BUF_INIT;
	AUTO(buf_release) struct buf no_file = BUF_INIT;
	AUTO(buf_release) struct buf tagged = BUF_INIT;
	AUTO(buf_release) struct buf plain = BUF_INIT;
	AUTO(buf_release) struct buf there = BUF_INIT;

	add_field(&no_file, "key", "k");
	buf_adds(&no_file, "--XX--\r\n");
	emu_fails(e, "POST", "/bucket", H(NULL), buf_str(&no_file), 400,
		  "IncorrectNumberOfFilesInPOSTRequest");
	make_form(&plain, F("key", "k"));
	emu_fails(e, "POST", "/bucket",
		  (const char *[]){"Content-Type: text/plain", NULL},
		  buf_str(&plain), 400, "RequestIsNotMultiPartContent");
	emu_fails(e, "POST", "/bucket", H(NULL), "junk--XX and more", 400,
		  "IncorrectNumberOfFilesInPOSTRequest");
	make_form(&tagged, F("key", "k", "x-oss-tagging", "a=1"));
	emu_fails(e, "POST", "/bucket", H(NULL), buf_str(&tagged), 400,
		  "InvalidArgument");
	add_field(&long_field, "key", "k");
	buf_adds(&long_field, "--XX\r\nContent-Disposition: form-data; "
			      "name=\"a\"\r\n\r\n");
	for (size_t i = 0; i <= (size_t)2 << 20; i++)
		buf_addc(&long_field, 'v');
	buf_adds(&long_field, "\r\n--XX--\r\n");
	emu_fails(e, "POST", "/bucket", H(NULL), buf_str(&long_field), 400,
		  "FieldItemTooLong");
	emu_fails(e, "GET", "/bucket/k", NULL, NULL, 404, "NoSuchKey");
	emu_do(e, "PUT", "/bucket/there", NULL, "x", 200);
	make_form(&there, F("key", "there", "x-oss-forbid-overwrite", "true"));
	emu_fails(e, "POST", "/bucket", H(NULL), buf_str(&there), 409,
		  "FileAlreadyExists");
	emu_fails(e, "POST", "/bucket", H(NULL), NULL, 411,
		  "MissingContentLength");
}

/* ---- signatures ---- */

struct signing {
	const char *bucket;
	const char *version;
	const char *region;
	const char *product;
	const char *day; /* of the scope; NULL: today */
	const char *secret;
	const char *id;
	const char *token;
	const char *no_condition; /* the policy does not name it */
	const char *no_field;     /* the form does not have it */
};

static const struct signing good = {
	.bucket = "bucket",
	.version = "OSS4-HMAC-SHA256",
	.region = "cn-hangzhou",
	.product = "oss",
	.secret = "emulator-secret",
	.id = "emulator-key",
};

#define EXPIRES "{\"expiration\":\"2100-01-01T00:00:00.000Z\",\"conditions\":["

static void make_policy(const char *const *conditions, const char *leave_out,
			struct buf *out)
{
	AUTO(buf_release) struct buf json = BUF_INIT;

	buf_adds(&json, EXPIRES "[\"starts-with\",\"$key\",\"\"]");
	for (; *conditions; conditions += 2)
		if (!str_eq(conditions[0], leave_out))
			buf_addf(&json, ",{\"%s\":\"%s\"}", conditions[0],
				 conditions[1]);
	buf_adds(&json, "]}");
	base64_encode(out, buf_str(&json), json.len);
}

static void post_fields(struct emu *e, const char *const *fields,
			const char *leave_out, struct answer *a)
{
	AUTO(buf_release) struct buf form = BUF_INIT;

	for (; *fields; fields += 2)
		if (fields[1][0] && !str_eq(fields[0], leave_out))
			add_field(&form, fields[0], fields[1]);
	add_file(&form, NULL, "x");
	emu_request(e, "POST", "/bucket", H(NULL), buf_str(&form), form.len, a);
}

static void post_v4(struct emu *e, const struct signing *s, struct answer *a)
{
	AUTO(buf_release) struct buf policy = BUF_INIT;
	AUTO(buf_release) struct buf sig = BUF_INIT;
	AUTO_FREE char *credential = NULL;
	char date[CLOCK_TEXT_LEN];
	char day[9];
	struct sign_scope scope = {day, s->region, s->product};

	clock_iso_basic(date, clock_real_ms());
	snprintf(day, sizeof(day), "%.8s", s->day ? s->day : date);
	credential = str_printf("%s/%s/%s/%s/aliyun_v4_request", s->id, day,
				s->region, s->product);
	make_policy(F("bucket", s->bucket, "x-oss-signature-version",
		      s->version, "x-oss-credential", credential, "x-oss-date",
		      date),
		    s->no_condition, &policy);
	assert_int_equal(
		sign_v4(NULL, s->secret, &scope, buf_str(&policy), &sig), 0);
	post_fields(e,
		    F("key", "k", "policy", buf_str(&policy),
		      "x-oss-signature-version", s->version, "x-oss-credential",
		      credential, "x-oss-date", date, "x-oss-security-token",
		      s->token ? s->token : "", "x-oss-signature",
		      buf_str(&sig)),
		    s->no_field, a);
}

#define WITH(field) offsetof(struct signing, field)

static const struct {
	size_t field;
	const char *value;
	int status;
	const char *code;
} v4_cases[] = {
	{WITH(bucket),       "bucket",                  204, ""                     },
	{WITH(bucket),       "other",                   403, "AccessDenied"         },
	{WITH(secret),       "other",                   403, "SignatureDoesNotMatch"},
	{WITH(id),           "nobody",                  403, "InvalidAccessKeyId"   },
	{WITH(version),      "OSS5",                    400, "InvalidArgument"      },
	{WITH(region),       "cn-beijing",              400, "InvalidArgument"      },
	{WITH(product),      "other",                   400, "InvalidArgument"      },
	{WITH(day),          "20200101",                400, "InvalidArgument"      },
	{WITH(no_condition), "bucket",                  403, "AccessDenied"         },
	{WITH(no_condition), "x-oss-signature-version", 403, "AccessDenied"         },
	{WITH(no_condition), "x-oss-credential",        403, "AccessDenied"         },
	{WITH(no_condition), "x-oss-date",              403, "AccessDenied"         },
	{WITH(no_field),     "policy",                  400, "InvalidArgument"      },
	{WITH(no_field),     "x-oss-signature-version", 400, "InvalidArgument"      },
	{WITH(no_field),     "x-oss-credential",        400, "InvalidArgument"      },
	{WITH(no_field),     "x-oss-date",              400, "InvalidArgument"      },
	{WITH(no_field),     "x-oss-signature",         400, "InvalidArgument"      },
	{WITH(token),        "t0",                      403, "InvalidSecurityToken" },
};

static void a_form_of_version_4_is_checked(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(v4_cases); i++) {
		AUTO(answer_release) struct answer a;
		struct signing s = good;

		*(const char **)(void *)((char *)&s + v4_cases[i].field) =
			v4_cases[i].value;
		post_v4(*state, &s, &a);
		if (a.status != v4_cases[i].status ||
		    strcmp(a.code, v4_cases[i].code) != 0)
			fail_msg("case %zu %s: got %d %s", i, v4_cases[i].value,
				 a.status, buf_str(&a.body));
	}
}

static void add_key(struct emu *e, const char *id, const char *token,
		    int64_t expires_ms)
{
	AUTO_FREE char *i = str_dup(id);
	AUTO_FREE char *s = str_dup("emulator-secret");
	AUTO_FREE char *t = str_dup(token);
	struct credential c = {i, s, t, expires_ms};

	assert_int_equal(keyring_set(e->em->keys, &c), 0);
}

/* The same rules as for a request's token (protocol 2.5). */
static void a_form_of_an_sts_key_needs_its_token(void **state)
{
	static const struct {
		const char *id;
		const char *token;
		const char *code;
	} cases[] = {
		{"sts",  "t1", ""				   },
		{"sts",  NULL, "InvalidAccessKeyId"                 },
		{"sts",  "t2", "AccessKeyIdAndSecurityTokenNotMatch"},
		{"late", "t2", "SecurityTokenExpired"               },
	};

	add_key(*state, "sts", "t1", 0);
	add_key(*state, "late", "t2", 1000);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(answer_release) struct answer a;
		struct signing s = good;

		s.id = cases[i].id;
		s.token = cases[i].token;
		post_v4(*state, &s, &a);
		assert_string_equal(a.code, cases[i].code);
	}
}

static void a_form_of_version_1_is_checked(void **state)
{
	static const struct {
		const char *no_field;
		const char *secret;
		int status;
		const char *code;
	} cases[] = {
		{NULL,             "emulator-secret", 204, ""                     },
		{NULL,             "other",           403, "SignatureDoesNotMatch"},
		{"policy",         "emulator-secret", 400, "InvalidArgument"      },
		{"Signature",      "emulator-secret", 400, "InvalidArgument"      },
		{"OSSAccessKeyId", "emulator-secret", 400, "InvalidArgument"      },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf policy = BUF_INIT;
		AUTO(buf_release) struct buf sig = BUF_INIT;
		AUTO(answer_release) struct answer a;

		make_policy(F("bucket", "bucket"), NULL, &policy);
		sign_v1(cases[i].secret, buf_str(&policy), &sig);
		post_fields(*state,
			    F("key", "k", "OSSAccessKeyId", "emulator-key",
			      "policy", buf_str(&policy), "Signature",
			      buf_str(&sig)),
			    cases[i].no_field, &a);
		if (a.status != cases[i].status ||
		    strcmp(a.code, cases[i].code) != 0)
			fail_msg("case %zu: got %d %s", i, a.status,
				 buf_str(&a.body));
	}
}

static void an_unsigned_form_needs_a_public_bucket(void **state)
{
	struct emu *e = *state;
	AUTO(buf_release) struct buf form = BUF_INIT;

	make_form(&form, F("key", "k"));
	e->opt.anonymous = false;
	emu_fails(e, "POST", "/bucket", H(NULL), buf_str(&form), 403,
		  "AccessDenied");
	/* Headers and URL are not looked at. */
	emu_fails(e, "POST", "/bucket?Signature=x", H("Authorization: OSS a:b"),
		  buf_str(&form), 403, "AccessDenied");
	e->opt.anonymous = true;
	emu_do(e, "PUT", "/bucket?acl",
	       (const char *[]){"x-oss-acl: public-read-write", NULL}, NULL,
	       200);
	e->opt.anonymous = false;
	emu_do(e, "POST", "/bucket", H("Authorization: OSS a:b"),
	       buf_str(&form), 204);
}

static void a_failed_policy_says_which_condition(void **state)
{
	static const struct {
		const char *json;
		int status;
		const char *code;
		const char *message;
	} cases[] = {
		{"{\"expiration\":\"2000-01-01T00:00:00Z\",\"conditions\":[]}",
		 403,								"AccessDenied",
		 "Invalid according to Policy: Policy expired."													    },
		{EXPIRES "[\"eq\",\"$key\",\"other\"]]}",                       403, "AccessDenied",
		 "Invalid according to Policy: Policy Condition failed: "
		 "[&quot;eq&quot;,&quot;$key&quot;,&quot;other&quot;]"												     },
		{EXPIRES "[\"content-length-range\",2,9]]}",                    400,
		 "EntityTooSmall",									    "Your proposed upload smaller than the minimum allowed size."},
		{EXPIRES "[\"content-length-range\",0,0]]}",                    400,
		 "EntityTooLarge",									    "Your proposed upload exceeds the maximum allowed object "
		 "size."														 },
		{"[]",							  400, "InvalidPolicyDocument",
		 "Invalid Policy: Invalid JSON."															   },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf policy = BUF_INIT;
		AUTO(buf_release) struct buf sig = BUF_INIT;
		AUTO(answer_release) struct answer a;
		AUTO_FREE char *message = NULL;

		base64_encode(&policy, cases[i].json, strlen(cases[i].json));
		sign_v1("emulator-secret", buf_str(&policy), &sig);
		post_fields(*state,
			    F("key", "k", "OSSAccessKeyId", "emulator-key",
			      "policy", buf_str(&policy), "Signature",
			      buf_str(&sig)),
			    NULL, &a);
		message = answer_element(&a, "Message", 0);
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(a.code, cases[i].code);
		assert_string_equal(message, cases[i].message);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
	const struct CMUnitTest tests[] = {
		T(fields_become_properties_and_headers_do_not),
		T(three_content_types_have_their_rank),
		T(success_is_answered_as_asked),
		T(bad_forms_have_their_codes),
		T(a_form_of_version_4_is_checked),
		T(a_form_of_an_sts_key_needs_its_token),
		T(a_form_of_version_1_is_checked),
		T(an_unsigned_form_needs_a_public_bucket),
		T(a_failed_policy_says_which_condition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
