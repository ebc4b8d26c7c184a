/* SPDX-License-Identifier: Apache-2.0 */
/* Who is refused, in which words (protocol 1.2, 2.2 to 2.7). */
#include "../support/emu.h"

#include <string.h>

#include "emulator/sign.h"
#include "util/clock.h"

struct refused {
	const char *target;
	const char *header; /* NULL: none */
	int status;
	const char *code;
	const char *message;
};

#define V1_URL "/bucket/k?OSSAccessKeyId=emulator-key&Signature=x&Expires="
#define V4_URL                                                                 \
	"/bucket/k?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature="  \
	"x&x-oss-credential=emulator-key/20200101/cn-hangzhou/oss/"            \
	"aliyun_v4_request&x-oss-date=20200101T000000Z&x-oss-expires="

static const struct refused refused_urls[] = {
	{V1_URL "1",			       NULL,				403, "AccessDenied",    "Request has expired."},
	{V1_URL "soon",			    NULL,				403, "AccessDenied",
	 "Invalid date (should be seconds since epoch)."									      },
	{"/bucket/k?OSSAccessKeyId=a&Signature=x", NULL,                                403, "AccessDenied",
	 "Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters"                                  },
	{"/bucket/k?Signature=x&Expires=1",        NULL,                                403, "AccessDenied",
	 "Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters"                                  },
	{V1_URL "99999999999",                     "x-oss-security-token: t",           400, "InvalidRequest",
	 "Security-token must be provided by query string parameter."                                                                 },
	{V1_URL "99999999999&security-token=t",    "x-oss-security-token: t",           400,
	 "InvalidArgument",										     NULL                  },
	{V4_URL "604800",			  NULL,				403, "AccessDenied",    "Request has expired."},
	{V4_URL "0",			       NULL,				400, "InvalidArgument", NULL                  },
	{V4_URL "604801",			  NULL,				400, "InvalidArgument", NULL                  },
	{V4_URL "x",			       NULL,				400, "InvalidArgument", NULL                  },
	{V1_URL "99999999999",                     "Authorization: OSS a:b",            400, "InvalidArgument",
	 NULL															 },
	{V4_URL "600",			     "Authorization: OSS a:b",            400, "InvalidArgument", NULL                  },
	{"/bucket/k",			      "Authorization: OSS emulator-key:x", 403, "AccessDenied",
	 "OSS authentication requires a valid Date."										  },
};

static void expect_refusal(struct emu *e, const struct refused *r)
{
	const char *const headers[] = {r->header, NULL};
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *message = NULL;

	emu_request(e, "GET", r->target, headers, NULL, 0, &a);
	message = answer_element(&a, "Message", 0);
	if (a.status != r->status || strcmp(a.code, r->code) != 0 ||
	    (r->message && !str_eq(message, r->message)))
		fail_msg("%s: got %d %s %s", r->target, a.status, a.code,
			 message);
}

static void bad_signatures_have_oss_s_words(void **state)
{
	struct emu e;

	(void)state;
	emu_open(&e);
	for (size_t i = 0; i < ARRAY_LEN(refused_urls); i++)
		expect_refusal(&e, &refused_urls[i]);
	e.opt.quirks.missing_date_is_400 = true;
	expect_refusal(&e,
		       &(struct refused){
			       "/bucket/k", "Authorization: OSS emulator-key:x",
			       400, "InvalidArgument",
			       "OSS authentication requires a valid Date."});
	emu_close(&e);
}

/* ---- what a header of version 4 needs ---- */

struct v4_case {
	const char *name;
	const char *payload; /* NULL: no header */
	const char *date;    /* the header's name; NULL: none */
	bool rfc1123;
	struct quirks quirks;
	int status;
	const char *code;
};

static void send_v4_with(struct emu *e, const struct v4_case *c,
			 struct answer *a)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf sig = BUF_INIT;
	AUTO(kvs_release) struct kvs headers = KVS_INIT;
	struct kvs query = KVS_INIT;
	char iso[CLOCK_TEXT_LEN];
	char http[CLOCK_TEXT_LEN];
	char day[9];
	struct sign_scope scope = {day, "cn-hangzhou", "oss"};
	struct sign_request r = {"GET", "bucket", "k", &headers, &query};
	int64_t now = clock_real_ms();
	AUTO_FREE char *auth = NULL;
	const char *lines[4] = {NULL};
	char *owned[2] = {NULL};
	size_t n = 0;

	clock_iso_basic(iso, now);
	clock_http_date(http, now);
	snprintf(day, sizeof(day), "%.8s", iso);
	if (c->date) {
		kvs_add(&headers, c->date, c->rfc1123 ? http : iso);
		owned[0] =
			str_printf("%s: %s", c->date, c->rfc1123 ? http : iso);
		lines[n++] = owned[0];
	}
	if (c->payload) {
		kvs_add(&headers, "x-oss-content-sha256", c->payload);
		owned[1] = str_printf("x-oss-content-sha256: %s", c->payload);
		lines[n++] = owned[1];
	}
	sign_v4_canonical(&r, "", c->payload ? c->payload : "UNSIGNED-PAYLOAD",
			  &canonical);
	sign_v4_string(buf_str(&canonical), iso, &scope, &text);
	sign_v4(NULL, "emulator-secret", &scope, buf_str(&text), &sig);
	auth = str_printf("Authorization: OSS4-HMAC-SHA256 Credential="
			  "emulator-key/%s/cn-hangzhou/oss/aliyun_v4_request,"
			  "Signature=%s",
			  day, buf_str(&sig));
	lines[n] = auth;
	e->opt.quirks = c->quirks;
	emu_request(e, "GET", "/bucket/k", lines, NULL, 0, a);
	free(owned[0]);
	free(owned[1]);
}

static const struct v4_case v4_cases[] = {
	{"all",		"UNSIGNED-PAYLOAD", "x-oss-date", false, {0},                             404, "NoSuchKey"      },
	{"no payload",         NULL,               "x-oss-date", false, {0},                             400, "InvalidArgument"},
	{"a sum as payload",
	 "e3b0c44298fc1c149afbf4c8996fb924",       "x-oss-date",
	 false,							 {0},
	 400,												 "InvalidArgument"},
	{"Date instead",
	 "UNSIGNED-PAYLOAD",		       "Date",
	 true,							  {0},
	 404,												 "NoSuchKey"      },
	{"no date",            "UNSIGNED-PAYLOAD", NULL,         false, {0},                             403, "AccessDenied"   },
	{"no date, switched",
	 "UNSIGNED-PAYLOAD",		       NULL,
	 false,							 {.missing_date_is_400 = true},
	 400,												 "InvalidArgument"},
	{"RFC 1123",
	 "UNSIGNED-PAYLOAD",		       "x-oss-date",
	 true,							  {0},
	 403,												 "AccessDenied"   },
	{"RFC 1123, switched",
	 "UNSIGNED-PAYLOAD",		       "x-oss-date",
	 true,							  {.v4_takes_rfc1123_date = true},
	 404,												 "NoSuchKey"      },
};

static void a_header_of_version_4_needs_date_and_payload(void **state)
{
	struct emu e;

	(void)state;
	emu_open(&e);
	for (size_t i = 0; i < ARRAY_LEN(v4_cases); i++) {
		AUTO(answer_release) struct answer a;

		send_v4_with(&e, &v4_cases[i], &a);
		if (a.status != v4_cases[i].status ||
		    strcmp(a.code, v4_cases[i].code) != 0)
			fail_msg("%s: got %s", v4_cases[i].name,
				 buf_str(&a.body));
	}
	emu_close(&e);
}

/* The scope is looked at before the signature. */
static void each_part_of_the_scope_counts(void **state)
{
	static const struct {
		const char *scope; /* behind the day */
		int status;
		const char *code;
	} cases[] = {
		{"/cn-hangzhou/oss/aliyun_v4_request",  403,
		 "SignatureDoesNotMatch"                                      },
		{"0/cn-hangzhou/oss/aliyun_v4_request", 400, "InvalidArgument"},
		{"/cn-beijing/oss/aliyun_v4_request",   400, "InvalidArgument"},
		{"/cn-hangzhou/s3/aliyun_v4_request",   400, "InvalidArgument"},
		{"/cn-hangzhou/oss/aliyun_v5_request",  400, "InvalidArgument"},
		{"/cn-hangzhou/oss",                    400, "InvalidArgument"},
		{"/cn-hangzhou/oss/aliyun_v4_request/", 400, "InvalidArgument"},
	};
	char iso[CLOCK_TEXT_LEN];
	AUTO_FREE char *date = NULL;
	struct emu e;

	(void)state;
	emu_open(&e);
	date = str_printf("x-oss-date: %s",
			  clock_iso_basic(iso, clock_real_ms()));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *auth =
			str_printf("Authorization: OSS4-HMAC-SHA256 Credential="
				   "emulator-key/%.8s%s,Signature=x",
				   iso, cases[i].scope);

		emu_fails(&e, "GET", "/bucket/k",
			  (const char *[]){
				  date, auth,
				  "x-oss-content-sha256: UNSIGNED-PAYLOAD",
				  NULL},
			  NULL, cases[i].status, cases[i].code);
	}
	emu_close(&e);
}

static void path_style_can_be_refused(void **state)
{
	struct emu e;

	(void)state;
	emu_open(&e);
	e.opt.quirks.refuse_path_style = true;
	emu_fails(&e, "GET", "/bucket/k", NULL, NULL, 403,
		  "SecondLevelDomainForbidden");
	emu_do(&e, "GET", "/", NULL, NULL, 200);
	emu_fails(&e, "GET", "/k",
		  (const char *[]){"Host: bucket.localhost:80", NULL}, NULL,
		  404, "NoSuchKey");
	emu_close(&e);
}

static void anonymous_requests_need_a_public_acl(void **state)
{
	struct emu e;

	(void)state;
	emu_open(&e);
	emu_do(&e, "PUT", "/bucket/k", NULL, "x", 200);
	e.opt.anonymous = false;
	emu_fails(&e, "GET", "/bucket/k", NULL, NULL, 403, "AccessDenied");
	emu_fails(&e, "GET", "/bucket", NULL, NULL, 403, "AccessDenied");
	emu_fails(&e, "GET", "/", NULL, NULL, 403, "AccessDenied");
	e.opt.anonymous = true;
	emu_do(&e, "PUT", "/bucket?acl",
	       (const char *[]){"x-oss-acl: public-read", NULL}, NULL, 200);
	e.opt.anonymous = false;
	emu_do(&e, "GET", "/bucket/k", NULL, NULL, 200);
	emu_fails(&e, "PUT", "/bucket/k", NULL, "y", 403, "AccessDenied");
	emu_fails(&e, "GET", "/bucket/k?response-content-type=a", NULL, NULL,
		  400, "InvalidRequest");
	emu_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_signatures_have_oss_s_words),
		cmocka_unit_test(a_header_of_version_4_needs_date_and_payload),
		cmocka_unit_test(each_part_of_the_scope_counts),
		cmocka_unit_test(path_style_can_be_refused),
		cmocka_unit_test(anonymous_requests_need_a_public_acl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
