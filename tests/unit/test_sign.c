/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <string.h>

#include "oss/sign.h"
#include "oss/signer.h"
#include "util/clock.h"

/* {"name": "value"} or [["name", "value"]] */
static void pairs(const json_t *from, struct kvs *out)
{
	const char *name;
	const json_t *value;
	size_t i;

	if (json_is_array(from)) {
		json_array_foreach(from, i, value) assert_int_equal(
			kvs_add(out,
				json_string_value(json_array_get(value, 0)),
				json_string_value(json_array_get(value, 1))),
			0);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)from, name, value)
		assert_int_equal(kvs_add(out, name, json_string_value(value)),
				 0);
}

struct vector {
	const char *name;
	struct sign_request req;
	struct sign_keys keys;
	struct kvs query;
	struct kvs headers;
};

static const char *maybe(const json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

static void vector_open(struct vector *v, const json_t *json)
{
	memset(v, 0, sizeof(*v));
	v->name = test_json_str(json, "name");
	pairs(json_object_get(json, "query"), &v->query);
	pairs(json_object_get(json, "headers"), &v->headers);
	v->req = (struct sign_request){.method = test_json_str(json, "method"),
				       .bucket = maybe(json, "bucket"),
				       .key = maybe(json, "key"),
				       .query = &v->query,
				       .headers = &v->headers};
	v->keys = (struct sign_keys){.id = maybe(json, "access_key_id"),
				     .secret = maybe(json, "access_key_secret"),
				     .token = maybe(json, "security_token"),
				     .region = maybe(json, "region"),
				     .product = maybe(json, "product")};
}

static void vector_close(struct vector *v)
{
	kvs_release(&v->query);
	kvs_release(&v->headers);
}

static void same(const char *name, const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		fail_msg("%s:\n got %s\nwant %s", name, got, want);
}

static void check_v1(const json_t *json)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf auth = BUF_INIT;
	struct vector v;

	vector_open(&v, json);
	sign_v1_string(&v.req, &text);
	same(v.name, buf_str(&text), test_json_str(json, "string_to_sign"));
	assert_int_equal(sign_v1_authorization(&v.req, &v.keys, &auth), 0);
	same(v.name, buf_str(&auth), test_json_str(json, "authorization"));
	vector_close(&v);
}

/* One for all: it must notice what differs. */
static struct signer *signer;

static int signer_up(void **state)
{
	(void)state;
	return signer_new(&signer);
}

static int signer_down(void **state)
{
	(void)state;
	signer_free(signer);
	return 0;
}

static void check_v4(const json_t *json)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf auth = BUF_INIT;
	struct vector v;

	vector_open(&v, json);
	sign_v4_canonical(&v.req, &text);
	same(v.name, buf_str(&text), test_json_str(json, "canonical_request"));
	assert_int_equal(
		sign_v4_authorization(signer, &v.req, &v.keys,
				      kvs_get(&v.headers, "x-oss-date"), &auth),
		0);
	same(v.name, buf_str(&auth), test_json_str(json, "authorization"));
	vector_close(&v);
}

/* Signed URLs and additional headers are not the client's. */
static bool is_ours(const json_t *json)
{
	return strcmp(test_json_str(json, "kind"), "header") == 0 &&
	       json_array_size(json_object_get(
		       json, "additional_headers_requested")) == 0;
}

static int run(const char *file, void (*check)(const json_t *))
{
	json_t *root = test_vectors(file);
	const json_t *v;
	size_t i;
	int n = 0;

	json_array_foreach(json_object_get(root, "vectors"), i, v)
	{
		if (!is_ours(v))
			continue;
		check(v);
		n++;
	}
	json_decref(root);
	return n;
}

static void version_1_agrees_with_the_vectors(void **state)
{
	(void)state;
	assert_int_equal(run("v1.json", check_v1), 9);
}

static void version_4_agrees_with_the_vectors(void **state)
{
	(void)state;
	assert_int_equal(run("v4.json", check_v4), 10);
}

static void headers_are_signed_in_lower_case_and_trimmed(void **state)
{
	struct kvs query = KVS_INIT;
	struct kvs headers = KVS_INIT;
	struct sign_request req = {.method = "PUT",
				   .bucket = "b",
				   .key = "k/ \xc3\xa9",
				   .query = &query,
				   .headers = &headers};
	AUTO(buf_release) struct buf v1 = BUF_INIT;
	AUTO(buf_release) struct buf v4 = BUF_INIT;

	(void)state;
	kvs_add(&headers, "X-OSS-Meta-B", " 1\t");
	kvs_add(&headers, "x-oss-meta-a", "0  0");
	kvs_add(&headers, "Range", "bytes=0-1");
	kvs_add(&headers, "Date", "D");
	kvs_add(&query, "uploads", "");
	kvs_add(&query, "acl", "a b");
	sign_v1_string(&req, &v1);
	assert_string_equal(buf_str(&v1),
			    "PUT\n\n\nD\nx-oss-meta-a:0  0\n"
			    "x-oss-meta-b:1\n/b/k/ \xc3\xa9?acl=a b&uploads");
	sign_v4_canonical(&req, &v4);
	assert_string_equal(buf_str(&v4),
			    "PUT\n/b/k/%20%C3%A9\nacl=a%20b&uploads\n"
			    "x-oss-meta-a:0  0\nx-oss-meta-b:1\n\n\n"
			    "UNSIGNED-PAYLOAD");
	kvs_release(&query);
	kvs_release(&headers);
}

/* oss-protocol 2.1: the first three rows and what begins with x-oss-. */
static void version_1_signs_these_parameters_alone(void **state)
{
	static const char signed_names[] =
		"acl append bucketInfo callback callback-var cloudboxes "
		"continuation-token delete location objectMeta partNumber "
		"position regionList response-cache-control "
		"response-content-disposition response-content-encoding "
		"response-content-language response-content-type "
		"response-expires restore security-token sequential stat "
		"symlink tagging uploadId uploads versionId versioning "
		"versions x-oss-process";
	static const char others[] =
		"list-type prefix delimiter marker max-keys start-after "
		"fetch-owner encoding-type key-marker upload-id-marker "
		"max-uploads max-parts part-number-marker version-id-marker";
	AUTO(kvs_release) struct kvs query = KVS_INIT;
	struct kvs none = KVS_INIT;
	struct sign_request req = {.method = "GET",
				   .bucket = "b",
				   .query = &query,
				   .headers = &none};
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf want = BUF_INIT;
	AUTO_FREE char *all = str_printf("%s %s", others, signed_names);

	(void)state;
	for (char *at = strtok(all, " "); at; at = strtok(NULL, " "))
		assert_int_equal(kvs_add(&query, at, ""), 0);
	buf_addf(&want, "GET\n\n\n\n/b/?%s", signed_names);
	for (char *p = want.data; (p = strchr(p, ' '));)
		*p = '&';
	sign_v1_string(&req, &text);
	assert_string_equal(buf_str(&text), buf_str(&want));
}

/* The whole function gives what its steps give. */
static void version_4_adds_date_payload_and_token(void **state)
{
	struct kvs query = KVS_INIT;
	struct kvs headers = KVS_INIT;
	struct sign_request req = {.method = "PUT",
				   .bucket = "bucket",
				   .key = "1234+-/123/1.txt",
				   .query = &query};
	struct sign_keys keys = {.id = "ak",
				 .secret = "sk",
				 .token = "token",
				 .region = "cn-hangzhou",
				 .product = "oss"};
	static const char *const names[][2] = {
		{"param1",  "value1"},
                {"+param1", "value3"},
		{"|param1", "value4"},
                {"+param2", ""      },
		{"|param2", ""      },
                {"param2",  ""      }
        };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(kvs_add(&query, names[i][0], names[i][1]), 0);
	assert_int_equal(kvs_add(&headers, "x-oss-head1", "value"), 0);
	assert_int_equal(kvs_add(&headers, "Content-Type", "text/plain"), 0);
	assert_int_equal(sign_v4(signer, &req, &keys, 1702784856000, &headers),
			 0);
	assert_string_equal(kvs_get(&headers, "x-oss-date"),
			    "20231217T034736Z");
	assert_string_equal(
		kvs_get(&headers, "Authorization"),
		"OSS4-HMAC-SHA256 Credential=ak/20231217/cn-hangzhou/oss/"
		"aliyun_v4_request,Signature=b94a3f999cf85bcdc00d332fbd3734ba0"
		"3e48382c36fa4d5af5df817395bd9ea");
	/* Signing anew replaces, it does not pile up. */
	assert_int_equal(sign_v4(signer, &req, &keys, 1702784856000, &headers),
			 0);
	assert_int_equal(headers.count, 6);
	kvs_release(&query);
	kvs_release(&headers);
}

static void version_1_adds_date_and_token(void **state)
{
	struct kvs query = KVS_INIT;
	struct kvs headers = KVS_INIT;
	struct sign_request req = {
		.method = "GET", .bucket = "b", .key = "k", .query = &query};
	struct sign_keys keys = {.id = "ak", .secret = "sk", .token = "t"};

	(void)state;
	assert_int_equal(sign_v1(&req, &keys, 1672223261000, &headers), 0);
	assert_string_equal(kvs_get(&headers, "Date"),
			    "Wed, 28 Dec 2022 10:27:41 GMT");
	assert_string_equal(kvs_get(&headers, "x-oss-security-token"), "t");
	assert_memory_equal(kvs_get(&headers, "Authorization"), "OSS ak:", 7);
	kvs_release(&headers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_agrees_with_the_vectors),
		cmocka_unit_test(version_4_agrees_with_the_vectors),
		cmocka_unit_test(headers_are_signed_in_lower_case_and_trimmed),
		cmocka_unit_test(version_1_signs_these_parameters_alone),
		cmocka_unit_test(version_4_adds_date_payload_and_token),
		cmocka_unit_test(version_1_adds_date_and_token),
	};

	return cmocka_run_group_tests(tests, signer_up, signer_down);
}
