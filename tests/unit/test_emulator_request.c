/* SPDX-License-Identifier: Apache-2.0 */
/* Targets, headers, addressing (protocol 1.2, 1.3). */
#include "../support/test.h"

#include <string.h>

#include "emulator/names.h"
#include "emulator/request.h"

static void targets_are_decoded_once(void **state)
{
	static const struct {
		const char *target;
		const char *path;
		const char *query;
	} cases[] = {
		{"/b/k",               "/b/k",       ""     },
		{"/b/a%20b+c%2Fd",     "/b/a b+c/d", ""     },
		{"/b//k/../.",         "/b//k/../.", ""     },
		{"/b/%2520",           "/b/%20",     ""     },
		{"/b/k?x=%20+y&z",     "/b/k",       "x=  y"},
		{"http://h:1/b/k?x=1", "/b/k",       "x=1"  },
		{"http://h:1",         "/",          ""     },
		{"*",                  "*",          ""     },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct request r;
		AUTO_FREE char *got = NULL;

		assert_int_equal(request_init(&r, "GET", cases[i].target), 0);
		assert_string_equal(r.path, cases[i].path);
		got = r.query.count ? str_printf("%s=%s", r.query.items[0].name,
						 r.query.items[0].value)
				    : str_dup("");
		assert_string_equal(got, cases[i].query);
		assert_int_equal(strlen(r.id), 24);
		request_release(&r);
	}
}

static void bad_escapes_are_refused(void **state)
{
	static const char *const bad[] = {"/b/%",   "/b/%4",   "/b/%zz",
					  "/b/%00", "/b?x=%q", "/b?%00"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct request r;

		if (request_init(&r, "GET", bad[i]) == 0)
			fail_msg("%s", bad[i]);
		request_release(&r);
	}
}

static void parameters_keep_their_case(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(
		request_init(&r, "GET", "/b?uploadid=1&uploadId=2&uploads"), 0);
	assert_string_equal(request_query(&r, "uploadId"), "2");
	assert_string_equal(request_query(&r, "uploads"), "");
	assert_null(request_query(&r, "UPLOADS"));
	request_release(&r);
}

struct address_case {
	const char *host;
	const char *target;
	const char *base_host;
	enum addressing want;
	const char *bucket;
	const char *key;
};

static const struct address_case addresses[] = {
	{"127.0.0.1:80",                   "/b/k",   NULL,              ADDRESS_PATH,    "b",  "k"   },
	{"[::1]:80",		       "/b/k",   NULL,              ADDRESS_PATH,    "b",  "k"   },
	{"localhost:80",                   "/b/k/l", NULL,              ADDRESS_PATH,    "b",  "k/l" },
	{"localhost",		      "/b/",    NULL,              ADDRESS_PATH,    "b",  NULL  },
	{"localhost",		      "/b",     NULL,              ADDRESS_PATH,    "b",  NULL  },
	{"localhost",		      "/",      NULL,              ADDRESS_PATH,    NULL, NULL  },
	{"localhost",		      "/b//k",  NULL,              ADDRESS_PATH,    "b",  "/k"  },
	{NULL,			     "/b/k",   NULL,              ADDRESS_PATH,    "b",  "k"   },
	{"b.localhost:80",                 "/k",     NULL,              ADDRESS_VIRTUAL, "b",  "k"   },
	{"b.oss-cn-hangzhou.aliyuncs.com", "/",      NULL,              ADDRESS_VIRTUAL, "b",
	 NULL											},
	{"b.localhost",                    "//k",    NULL,              ADDRESS_VIRTUAL, "b",  "/k"  },
	{"b.127.0.0.1:80",                 "/b/k",   NULL,              ADDRESS_EITHER,  "b",  "k"   },
	{"b.localhost",                    "/b",     NULL,              ADDRESS_EITHER,  "b",  NULL  },
	{"b.localhost",                    "/bb/k",  NULL,              ADDRESS_VIRTUAL, "b",  "bb/k"},
	{"oss.example.com",                "/b/k",   "oss.example.com", ADDRESS_PATH,    "b",  "k"   },
};

static void bucket_and_key_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		const struct address_case *c = &addresses[i];
		struct request r;
		enum addressing got;

		assert_int_equal(request_init(&r, "GET", c->target), 0);
		if (c->host)
			request_add_header(&r, "Host", c->host);
		got = request_addressing(&r, c->base_host);
		if (got != c->want)
			fail_msg("%s %s: got %d", c->host, c->target, got);
		assert_int_equal(request_address(&r, got == ADDRESS_EITHER
							     ? ADDRESS_PATH
							     : got),
				 0);
		if (!str_eq(r.bucket, c->bucket) || !str_eq(r.key, c->key))
			fail_msg("%s %s: got %s %s", c->host, c->target,
				 r.bucket, r.key);
		request_release(&r);
	}
}

static void s3_headers_stand_for_ours(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(request_init(&r, "PUT", "/b/k"), 0);
	request_add_header(&r, "x-amz-copy-source", "/b/s");
	assert_null(request_header(&r, "x-oss-copy-source"));
	assert_int_equal(request_finish_headers(&r), 0);
	assert_int_equal(r.dialect, DIALECT_S3);
	assert_string_equal(request_header(&r, "x-oss-copy-source"), "/b/s");
	request_release(&r);
}

static void names_are_checked(void **state)
{
	static const char sixty_four[] =
		"0123456789012345678901234567890123456789012345678901234567890"
		"123";
	const char *sixty_three = sixty_four + 1;

	(void)state;
	assert_true(bucket_name_is_valid("a-1"));
	assert_true(bucket_name_is_valid("123"));
	assert_false(bucket_name_is_valid("ab"));
	assert_false(bucket_name_is_valid("-ab"));
	assert_false(bucket_name_is_valid("ab-"));
	assert_false(bucket_name_is_valid("aB1"));
	assert_false(bucket_name_is_valid("a.b"));
	assert_true(bucket_name_is_valid(sixty_three));
	assert_false(bucket_name_is_valid(sixty_four));
	assert_int_equal(key_check("a//b/../c"), OE_NONE);
	assert_int_equal(key_check(""), OE_KEY_EMPTY);
	assert_int_equal(key_check("\xed\xa0\x80"), OE_KEY_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_are_decoded_once),
		cmocka_unit_test(bad_escapes_are_refused),
		cmocka_unit_test(parameters_keep_their_case),
		cmocka_unit_test(bucket_and_key_are_found),
		cmocka_unit_test(s3_headers_stand_for_ours),
		cmocka_unit_test(names_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
