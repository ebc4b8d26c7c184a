/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "oss/endpoint.h"

static const struct {
	const char *endpoint;
	const char *want; /* NULL: nothing to derive */
} regions[] = {
	{"oss-cn-hangzhou.aliyuncs.com",                    "cn-hangzhou"},
	{"https://oss-us-west-1.aliyuncs.com",              "us-west-1"  },
	{"http://oss-cn-beijing-internal.aliyuncs.com:80/", "cn-beijing" },
	{"cn-shanghai.oss.aliyuncs.com",                    "cn-shanghai"},
	{"bucket.oss-cn-hangzhou.aliyuncs.com",             "cn-hangzhou"},
	{"bucket.cn-shanghai.oss.aliyuncs.com",             "cn-shanghai"},
	{"oss.aliyuncs.com",				NULL         },
	{"oss-internal.aliyuncs.com",                       NULL         },
	{"oss-accelerate.aliyuncs.com",                     NULL         },
	{"oss-accelerate-overseas.aliyuncs.com",            NULL         },
	{"oss-.aliyuncs.com",			       NULL         },
	{"img.example.com",				 NULL         },
	{"oss-cn-hangzhou.aliyuncs.com.example.com",        NULL         },
	{"127.0.0.1:8080",				  NULL         },
	{"",						NULL         },
};

static void regions_come_from_standard_endpoints_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(regions); i++) {
		char got[64] = "untouched";
		int rc = oss_region_of_endpoint(regions[i].endpoint, got);
		const char *want =
			regions[i].want ? regions[i].want : "untouched";

		if (rc != (regions[i].want ? 0 : -EINVAL) ||
		    strcmp(got, want) != 0)
			fail_msg("%s: got %d %s, want %s", regions[i].endpoint,
				 rc, got, want);
	}
}

struct url_case {
	struct oss_conf conf;
	const char *key;
	const char *want;
};

#define STD "oss-cn-hangzhou.aliyuncs.com"

static const struct url_case urls[] = {
	CASE({.endpoint = STD, .bucket = "bkt"}, "a/b",
	     "https://bkt." STD "/a/b"),
	CASE({.endpoint = STD, .bucket = "bkt"}, NULL, "https://bkt." STD "/"),
	CASE({.endpoint = "http://" STD "/", .bucket = "bkt"},
	     " +%&?#/\xe4\xb8\xad",
	     "http://bkt." STD "/%20%2B%25%26%3F%23/%E4%B8%AD"),
	CASE({.endpoint = STD, .bucket = "bkt"}, "a/../b//./c",
	     "https://bkt." STD "/a/../b//./c"),
	CASE({.endpoint = "http://127.0.0.1:8080",
	      .bucket = "bkt",
	      .region = "cn-hangzhou"},
	     "k", "http://127.0.0.1:8080/bkt/k"),
	CASE({.endpoint = "127.0.0.1",
	      .bucket = "bkt",
	      .signature = OSS_SIGN_V1},
	     NULL, "https://127.0.0.1/bkt/"),
	CASE({.endpoint = "http://[::1]:9",
	      .bucket = "bkt",
	      .region = "oss-cn-hangzhou"},
	     "k", "http://[::1]:9/bkt/k"),
	CASE({.endpoint = "localhost:9000",
	      .bucket = "bkt",
	      .region = "cn-x",
	      .addressing = OSS_ADDR_PATH},
	     "k", "https://localhost:9000/bkt/k"),
	CASE({.endpoint = "http://localhost:9000",
	      .bucket = "bkt",
	      .region = "x"},
	     "k", "http://bkt.localhost:9000/k"),
};

static void urls_follow_the_addressing(void **state)
{
	const struct kvs none = KVS_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		AUTO(buf_release) struct buf got = BUF_INIT;
		AUTO_FREE char *why = NULL;
		struct endpoint e;

		if (endpoint_open(&e, &urls[i].conf, &why) < 0)
			fail_msg("%s: %s", urls[i].want, why);
		assert_int_equal(endpoint_url(&e, urls[i].key, &none, &got), 0);
		assert_string_equal(buf_str(&got), urls[i].want);
		endpoint_close(&e);
	}
}

static void queries_are_encoded_and_names_may_stand_alone(void **state)
{
	struct oss_conf conf = {.endpoint = STD, .bucket = "bkt"};
	AUTO(buf_release) struct buf got = BUF_INIT;
	AUTO_FREE char *why = NULL;
	struct kvs query = KVS_INIT;
	struct endpoint e;

	(void)state;
	assert_int_equal(kvs_add(&query, "uploads", ""), 0);
	assert_int_equal(kvs_add(&query, "prefix", "a b/+&="), 0);
	assert_int_equal(endpoint_open(&e, &conf, &why), 0);
	assert_int_equal(endpoint_url(&e, NULL, &query, &got), 0);
	assert_string_equal(buf_str(&got),
			    "https://bkt." STD
			    "/?uploads&prefix=a%20b%2F%2B%26%3D");
	endpoint_close(&e);
	kvs_release(&query);
}

static const struct {
	struct oss_conf conf;
	const char *says; /* part of the message */
} wrong[] = {
	CASE({.endpoint = NULL, .bucket = "bkt"}, "endpoint = "),
	CASE({.endpoint = "ftp://" STD, .bucket = "bkt"}, "scheme"),
	CASE({.endpoint = "https://", .bucket = "bkt"}, "not a host name"),
	CASE({.endpoint = "a b", .bucket = "bkt"}, "not a host name"),
	CASE({.endpoint = "a..b", .bucket = "bkt"}, "not a host name"),
	CASE({.endpoint = "[::1", .bucket = "bkt"}, "not a host name"),
	CASE({.endpoint = "[zz]", .bucket = "bkt"}, "not a host name"),
	CASE({.endpoint = STD ":0", .bucket = "bkt"}, "not a port"),
	CASE({.endpoint = STD ":70000", .bucket = "bkt"}, "not a port"),
	CASE({.endpoint = STD ":", .bucket = "bkt"}, "not a port"),
	CASE({.endpoint = STD "/folder", .bucket = "bkt"}, "prefix"),
	CASE({.endpoint = STD, .bucket = NULL}, "bucket's name"),
	CASE({.endpoint = STD, .bucket = "Bad_Name"}, "bucket's name"),
	CASE({.endpoint = STD, .bucket = "ab"}, "bucket's name"),
	CASE({.endpoint = STD, .bucket = "-abc"}, "bucket's name"),
	CASE({.endpoint = "bkt." STD, .bucket = "bkt"},
	     "write endpoint = " STD),
	CASE({.endpoint = "img.example.com", .bucket = "bkt"}, "region = "),
	CASE({.endpoint = "127.0.0.1:80", .bucket = "bkt"}, "region = "),
	CASE({.endpoint = STD, .bucket = "bkt", .region = "cn_x"},
	     "not a region"),
	CASE({.endpoint = "127.0.0.1",
	      .bucket = "bkt",
	      .region = "r",
	      .addressing = OSS_ADDR_VIRTUAL},
	     "addressing = path"),
};

static void mistakes_are_named_with_what_to_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO_FREE char *why = NULL;
		struct endpoint e;
		int rc = endpoint_open(&e, &wrong[i].conf, &why);

		if (rc != -EINVAL || !strstr(why, wrong[i].says))
			fail_msg("%s: got %d %s, want \"%s\"",
				 wrong[i].conf.endpoint, rc, why ? why : "-",
				 wrong[i].says);
	}
}

static void a_cloudbox_is_its_own_region_and_product(void **state)
{
	struct oss_conf conf = {
		.endpoint = "cb-123.cn-heyuan.oss-cloudbox.aliyuncs.com",
		.bucket = "bkt"};
	AUTO_FREE char *why = NULL;
	struct endpoint e;

	(void)state;
	assert_int_equal(endpoint_open(&e, &conf, &why), 0);
	assert_string_equal(e.region, "cb-123");
	assert_string_equal(e.product, "oss-cloudbox");
	endpoint_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_come_from_standard_endpoints_alone),
		cmocka_unit_test(urls_follow_the_addressing),
		cmocka_unit_test(queries_are_encoded_and_names_may_stand_alone),
		cmocka_unit_test(mistakes_are_named_with_what_to_write),
		cmocka_unit_test(a_cloudbox_is_its_own_region_and_product),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
