/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on objects, one exchange each (protocol section 4). */
#include "../support/emu.h"

#include <string.h>

#include "util/clock.h"

#define H(...) ((const char *const[]){__VA_ARGS__, NULL})

static void has_header(const struct answer *a, const char *name,
		       const char *want)
{
	const char *got = kvs_get(&a->headers, name);

	if (!got || strcmp(got, want) != 0)
		fail_msg("%s: got %s, want %s", name, got ? got : "none", want);
}

static void put_answers_with_its_sums(void **state)
{
	AUTO(answer_release) struct answer a;

	emu_expect(*state, "PUT", "/bucket/k", NULL, "hi oss", 200, &a);
	has_header(&a, "x-oss-hash-crc64ecma", "8707180448768400016");
	has_header(&a, "ETag", "\"B22E0DC370A7F7067FACF5F75D7FA385\"");
}

static void empty_object_has_the_documented_sums(void **state)
{
	AUTO(answer_release) struct answer a;

	emu_expect(*state, "PUT", "/bucket/k", NULL, "", 200, &a);
	has_header(&a, "x-oss-hash-crc64ecma", "0");
	has_header(&a, "ETag", "\"D41D8CD98F00B204E9800998ECF8427E\"");
	has_header(&a, "Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==");
	assert_int_equal(a.body.len, 0);
}

static void object_comes_back_with_what_was_stored(void **state)
{
	AUTO(answer_release) struct answer a;

	emu_do(*state, "PUT", "/bucket/k",
	       H("Content-Type: text/plain", "Cache-Control: no-cache",
		 "Content-Disposition: attachment", "x-oss-meta-Author: alice",
		 "x-oss-tagging: a=1&b=%20x", "x-oss-storage-class: IA",
		 "x-oss-persistent-headers: X-Own:aGk="),
	       "hi oss", 200);
	emu_expect(*state, "GET", "/bucket/k", NULL, NULL, 200, &a);
	assert_string_equal(buf_str(&a.body), "hi oss");
	has_header(&a, "Content-Type", "text/plain");
	has_header(&a, "Cache-Control", "no-cache");
	has_header(&a, "Content-Disposition", "attachment");
	has_header(&a, "x-oss-meta-author", "alice");
	has_header(&a, "x-oss-tagging-count", "2");
	has_header(&a, "x-oss-storage-class", "IA");
	has_header(&a, "x-oss-object-type", "Normal");
	has_header(&a, "x-oss-hash-crc64ecma", "8707180448768400016");
	has_header(&a, "X-Own", "hi");
	has_header(&a, "Accept-Ranges", "bytes");
	answer_header(&a, "Last-Modified");
}

static void content_type_has_a_default(void **state)
{
	AUTO(answer_release) struct answer a;

	emu_do(*state, "PUT", "/bucket/k", NULL, "x", 200);
	emu_expect(*state, "HEAD", "/bucket/k", NULL, NULL, 200, &a);
	has_header(&a, "Content-Type", "application/octet-stream");
}

static void fast_mode_has_etags_without_md5(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer a;
	AUTO(answer_release) struct answer b;

	e->opt.fast = true;
	emu_expect(e, "PUT", "/bucket/k", NULL, "hi oss", 200, &a);
	has_header(&a, "ETag", "\"78D61E7C4C111A900000000000000006\"");
	assert_null(kvs_get(&a.headers, "Content-MD5"));
	emu_expect(e, "PUT", "/bucket/k",
		   H("Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="), "", 200, &b);
	has_header(&b, "ETag", "\"D41D8CD98F00B204E9800998ECF8427E\"");
}

struct refusal {
	const char *name;
	const char *method;
	const char *target;
	const char *headers[4];
	const char *body; /* NULL: no Content-Length */
	int status;
	const char *code;
};

#define LONG100                                                                \
	"0123456789012345678901234567890123456789012345678901234567890123456"  \
	"789012345678901234567890123456789"
#define LONG1000                                                               \
	LONG100 LONG100 LONG100 LONG100 LONG100 LONG100 LONG100 LONG100        \
		LONG100 LONG100

static const struct refusal refusals[] = {
	{"no length",
	 "PUT",			    "/bucket/k",
	 {0},
	 NULL,											 411,
	 "MissingContentLength"											       },
	{"wrong MD5",
	 "PUT",			    "/bucket/k",
	 {"Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="},
	 "x",											  400,
	 "InvalidDigest"												      },
	{"MD5 that is none",
	 "PUT",			    "/bucket/k",
	 {"Content-MD5: abc"},
	 "x",											  400,
	 "InvalidDigest"												      },
	{"wrong CRC",
	 "PUT",			    "/bucket/k",
	 {"x-oss-hash-crc64ecma: 1"},
	 "x",											  400,
	 "InvalidCRC64"												       },
	{"condition on PUT",
	 "PUT",			    "/bucket/k",
	 {"If-Modified-Since: Wed, 28 Dec 2022 10:27:41 GMT"},
	 "x",											  400,
	 "NotImplemented"												     },
	{"no bucket",             "PUT",   "/no-bucket/k",                                  {0}, "x",  404, "NoSuchBucket"    },
	{"bad bucket",
	 "PUT",			    "/No_Bucket/k",
	 {0},
	 "x",											  400,
	 "InvalidBucketName"												  },
	{"no key",                "GET",   "/bucket/none",                                  {0}, NULL, 404, "NoSuchKey"       },
	{"key too long",
	 "PUT",			    "/bucket/" LONG1000 "0123456789012345678901234",
	 {0},
	 "x",											  400,
	 "InvalidObjectName"												  },
	{"key with a slash",
	 "PUT",			    "/bucket//k",
	 {0},
	 "x",											  400,
	 "InvalidObjectName"												  },
	{"key with a backslash",
	 "PUT",			    "/bucket/%5Ck",
	 {0},
	 "x",											  400,
	 "InvalidObjectName"												  },
	{"key that is not UTF-8",
	 "PUT",			    "/bucket/%FF",
	 {0},
	 "x",											  400,
	 "InvalidObjectName"												  },
	{"class",
	 "PUT",			    "/bucket/k",
	 {"x-oss-storage-class: Gold"},
	 "x",											  400,
	 "InvalidArgument"												    },
	{"ACL",
	 "PUT",			    "/bucket/k",
	 {"x-oss-object-acl: mine"},
	 "x",											  400,
	 "InvalidArgument"												    },
	{"encryption",
	 "PUT",			    "/bucket/k",
	 {"x-oss-server-side-encryption: ROT13"},
	 "x",											  400,
	 "InvalidEncryptionAlgorithmError"										    },
	{"tag characters",
	 "PUT",			    "/bucket/k",
	 {"x-oss-tagging: a%21=1"},
	 "x",											  400,
	 "InvalidTag"													 },
	{"tags twice",
	 "PUT",			    "/bucket/k",
	 {"x-oss-tagging: a=1&a=2"},
	 "x",											  400,
	 "RepeatedTags"												       },
	{"too many tags",
	 "PUT",			    "/bucket/k",
	 {"x-oss-tagging: a&b&c&d&e&f&g&h&i&j&k"},
	 "x",											  400,
	 "TooManyTags"													},
	{"metadata name",
	 "PUT",			    "/bucket/k",
	 {"x-oss-meta-a_b: 1"},
	 "x",											  400,
	 "InvalidArgument"												    },
	{"metadata size",
	 "PUT",			    "/bucket/k",
	 {"x-oss-meta-a: " LONG1000 LONG1000 LONG1000,
	  "x-oss-meta-b: " LONG1000 LONG1000 LONG1000,
	  "x-oss-meta-c: " LONG1000 LONG1000 LONG1000},
	 "x",											  400,
	 "InvalidArgument"												    },
	{"traffic limit",
	 "PUT",			    "/bucket/k",
	 {"x-oss-traffic-limit: 100"},
	 "x",											  400,
	 "InvalidArgument"												    },
	{"method",                "PATCH", "/bucket/k",                                     {0}, NULL, 405, "MethodNotAllowed"},
	{"head of a bucket",
	 "HEAD",			   "/bucket",
	 {0},
	 NULL,											 405,
	 "MethodNotAllowed"												   },
	{"unknown subresource",
	 "GET",			    "/bucket?lifecycle",
	 {0},
	 NULL,											 400,
	 "NotImplemented"												     },
	{"no link",
	 "GET",			    "/bucket/there?symlink",
	 {0},
	 NULL,											 400,
	 "NotSymlink"													 },
	{"position",
	 "POST",			   "/bucket/new?append&position=1",
	 {0},
	 "x",											  409,
	 "PositionNotEqualToLength"											   },
	{"not appendable",
	 "POST",			   "/bucket/there?append&position=1",
	 {0},
	 "x",											  409,
	 "ObjectNotAppendable"												},
	{"restore of Standard",
	 "POST",			   "/bucket/there?restore",
	 {0},
	 "",											   400,
	 "OperationNotSupported"											      },
	{"version",
	 "GET",			    "/bucket/there?versionId=V",
	 {0},
	 NULL,											 404,
	 "NoSuchVersion"												      },
	{"overwrite",
	 "PUT",			    "/bucket/there",
	 {"x-oss-forbid-overwrite: true"},
	 "x",											  409,
	 "FileAlreadyExists"												  },
	{"range",
	 "GET",			    "/bucket/there",
	 {"Range: bytes=9-", "x-oss-range-behavior: standard"},
	 NULL,											 416,
	 "InvalidRange"												       },
	{"if-match",
	 "GET",			    "/bucket/there",
	 {"If-Match: \"AB\""},
	 NULL,											 412,
	 "PreconditionFailed"												 },
	{"copy source",
	 "PUT",			    "/bucket/k",
	 {"x-oss-copy-source: there"},
	 "",											   400,
	 "InvalidArgument"												    },
	{"copy of nothing",
	 "PUT",			    "/bucket/k",
	 {"x-oss-copy-source: /bucket/none"},
	 "",											   404,
	 "NoSuchKey"													  },
	{"delete list",
	 "POST",			   "/bucket?delete",
	 {"Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="},
	 "<Delete/>",										  400,
	 "InvalidDigest"												      },
	{"delete without MD5",
	 "POST",			   "/bucket?delete",
	 {0},
	 "<Delete/>",										  400,
	 "InvalidArgument"												    },
};

static void bad_requests_have_their_codes(void **state)
{
	struct emu *e = *state;

	emu_do(e, "PUT", "/bucket/there", NULL, "there", 200);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *r = &refusals[i];
		AUTO(answer_release) struct answer a;

		emu_request(e, r->method, r->target, r->headers, r->body,
			    r->body ? strlen(r->body) : 0, &a);
		if (a.status != r->status || strcmp(a.code, r->code) != 0)
			fail_msg("%s: got %d %s, want %d %s", r->name, a.status,
				 a.code, r->status, r->code);
	}
	emu_fails(e, "GET", "/bucket/k", NULL, NULL, 404, "NoSuchKey");
}

static void error_of_head_stands_in_its_header(void **state)
{
	AUTO(answer_release) struct answer a;

	emu_expect(*state, "HEAD", "/bucket/none", NULL, NULL, 404, &a);
	assert_int_equal(a.body.len, 0);
	has_header(&a, "x-oss-ec", "0026-00000001");
	/* base64 of "<?xml" */
	assert_memory_equal(answer_header(&a, "x-oss-err"), "PD94bW", 6);
}

static void conditions_hold_or_fail(void **state)
{
#define ETAG "\"336D5EBC5436534E61D16E63DDFCA327\"" /* of "-" */
	static const struct {
		const char *header;
		int status;
	} cases[] = {
		{"If-Match: " ETAG,				    200},
		{"If-Match: 336d5ebc5436534e61d16e63ddfca327",         200},
		{"If-Match: \"AB\", " ETAG,                            200},
		{"If-Match: \"AB\"",                                   412},
		{"If-None-Match: " ETAG,                               304},
		{"If-None-Match: \"AB\"",                              200},
		{"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",   304},
		{"If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT",   200},
		{"If-Modified-Since: nonsense",                        200},
		{"If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 200},
		{"If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT", 412},
	};

	emu_do(*state, "PUT", "/bucket/k", NULL, "-", 200);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(answer_release) struct answer get;
		AUTO(answer_release) struct answer head;

		emu_request(*state, "GET", "/bucket/k", H(cases[i].header),
			    NULL, 0, &get);
		emu_request(*state, "HEAD", "/bucket/k", H(cases[i].header),
			    NULL, 0, &head);
		if (get.status != cases[i].status ||
		    head.status != cases[i].status)
			fail_msg("%s: got %d and %d", cases[i].header,
				 get.status, head.status);
		if (get.status == 304)
			assert_int_equal(get.body.len, 0);
	}
}

static void range_answers_206_with_the_whole_sum(void **state)
{
	AUTO(answer_release) struct answer a;

	emu_do(*state, "PUT", "/bucket/k", NULL, "hi oss", 200);
	emu_expect(*state, "GET", "/bucket/k", H("Range: bytes=3-4"), NULL, 206,
		   &a);
	assert_string_equal(buf_str(&a.body), "os");
	has_header(&a, "Content-Range", "bytes 3-4/6");
	has_header(&a, "x-oss-hash-crc64ecma", "8707180448768400016");
}

static void responses_can_be_overridden(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer a;

	emu_do(e, "PUT", "/bucket/k", H("Content-Type: text/plain"), "x", 200);
	emu_expect(e, "GET",
		   "/bucket/k?response-content-type=image%2Fpng&"
		   "response-cache-control=none",
		   NULL, NULL, 200, &a);
	has_header(&a, "Content-Type", "image/png");
	has_header(&a, "Cache-Control", "none");
}

static void copy_takes_or_replaces_metadata(void **state)
{
	AUTO(answer_release) struct answer copied;
	AUTO(answer_release) struct answer replaced;
	AUTO(answer_release) struct answer a;

	emu_do(*state, "PUT", "/bucket/a%20%2B",
	       H("Content-Type: text/plain", "x-oss-meta-m: 1",
		 "x-oss-tagging: t=1", "x-oss-object-acl: public-read"),
	       "hi oss", 200);
	emu_expect(*state, "PUT", "/bucket/b",
		   H("x-oss-copy-source: /bucket/a%20%2B",
		     "x-oss-meta-m: ignored"),
		   "", 200, &a);
	has_header(&a, "x-oss-hash-crc64ecma", "8707180448768400016");
	emu_do(*state, "PUT", "/bucket/c",
	       H("x-oss-copy-source: /bucket/a%20%2B",
		 "x-oss-metadata-directive: REPLACE", "x-oss-meta-m: 2",
		 "x-oss-tagging-directive: Replace", "x-oss-tagging: u=1&v=2"),
	       "", 200);
	emu_expect(*state, "GET", "/bucket/b", NULL, NULL, 200, &copied);
	assert_string_equal(buf_str(&copied.body), "hi oss");
	has_header(&copied, "x-oss-meta-m", "1");
	has_header(&copied, "Content-Type", "text/plain");
	has_header(&copied, "x-oss-tagging-count", "1");
	emu_expect(*state, "GET", "/bucket/c", NULL, NULL, 200, &replaced);
	has_header(&replaced, "x-oss-meta-m", "2");
	has_header(&replaced, "Content-Type", "application/octet-stream");
	has_header(&replaced, "x-oss-tagging-count", "2");
}

static void copy_onto_itself_replaces_metadata_alone(void **state)
{
	AUTO(answer_release) struct answer before;
	AUTO(answer_release) struct answer a;
	AUTO(answer_release) struct answer acl;
	AUTO_FREE char *grant = NULL;

	emu_expect(*state, "PUT", "/bucket/k",
		   H("x-oss-meta-m: 1", "x-oss-object-acl: public-read",
		     "x-oss-tagging: t=1"),
		   "hi oss", 200, &before);
	emu_do(*state, "PUT", "/bucket/k",
	       H("x-oss-copy-source: /bucket/k", "x-oss-meta-n: 2"), "", 200);
	emu_expect(*state, "GET", "/bucket/k", NULL, NULL, 200, &a);
	has_header(&a, "x-oss-meta-n", "2");
	assert_null(kvs_get(&a.headers, "x-oss-meta-m"));
	has_header(&a, "ETag", answer_header(&before, "ETag"));
	has_header(&a, "x-oss-tagging-count", "1");
	assert_string_equal(buf_str(&a.body), "hi oss");
	emu_expect(*state, "GET", "/bucket/k?acl", NULL, NULL, 200, &acl);
	grant = answer_element(&acl, "Grant", 0);
	assert_string_equal(grant, "public-read");
}

static void copy_obeys_its_conditions(void **state)
{
	static const struct {
		const char *header;
		int status;
	} cases[] = {
		{"x-oss-copy-source-if-match: \"AB\"",                    412},
		{"x-oss-copy-source-if-none-match: "
		 "\"336D5EBC5436534E61D16E63DDFCA327\"", 304},
		{"x-oss-copy-source-if-unmodified-since: "
		 "Sat, 01 Jan 2000 00:00:00 GMT",        412},
		{"x-oss-copy-source-if-modified-since: "
		 "Fri, 01 Jan 2100 00:00:00 GMT",        304},
		{"x-oss-forbid-overwrite: true",                          409},
		{"x-oss-copy-source-if-none-match: \"AB\"",               200},
	};

	emu_do(*state, "PUT", "/bucket/k", NULL, "-", 200);
	emu_do(*state, "PUT", "/bucket/to", NULL, "", 200);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		emu_do(*state, "PUT", "/bucket/to",
		       H("x-oss-copy-source: /bucket/k", cases[i].header), "",
		       cases[i].status);
}

static void delete_is_always_204(void **state)
{
	emu_do(*state, "PUT", "/bucket/k", NULL, "x", 200);
	emu_do(*state, "DELETE", "/bucket/k", NULL, NULL, 204);
	emu_do(*state, "DELETE", "/bucket/k", NULL, NULL, 204);
	emu_fails(*state, "GET", "/bucket/k", NULL, NULL, 404, "NoSuchKey");
	emu_fails(*state, "DELETE", "/no-bucket/k", NULL, NULL, 404,
		  "NoSuchBucket");
}

static void many_are_deleted_at_once(void **state)
{
	static const char verbose[] =
		"<Delete><Object><Key>a&amp;b</Key></Object>"
		"<Object><Key>none</Key></Object></Delete>";
	static const char quiet[] = "<Delete><Quiet>true</Quiet>"
				    "<Object><Key>c</Key></Object></Delete>";
	AUTO(answer_release) struct answer a;
	AUTO(answer_release) struct answer q;
	AUTO_FREE char *key = NULL;

	emu_do(*state, "PUT", "/bucket/a%26b", NULL, "x", 200);
	emu_do(*state, "PUT", "/bucket/c", NULL, "x", 200);
	emu_expect(*state, "POST", "/bucket?delete&encoding-type=url",
		   H("Content-MD5: mMhwt693RtHDJx+o6JeZjQ=="), verbose, 200,
		   &a);
	key = answer_element(&a, "Key", 0);
	assert_string_equal(key, "a%26b");
	emu_expect(*state, "POST", "/bucket?delete",
		   H("Content-MD5: b4MQUsxJIXMKvIpmbQMTrg=="), quiet, 200, &q);
	assert_int_equal(q.body.len, 0);
	emu_do(*state, "GET", "/bucket/c", NULL, NULL, 404);
	emu_do(*state, "GET", "/bucket/a%26b", NULL, NULL, 404);
}

static void appending_goes_on_where_it_ended(void **state)
{
	AUTO(answer_release) struct answer first;
	AUTO(answer_release) struct answer second;
	AUTO(answer_release) struct answer wrong;
	AUTO(answer_release) struct answer get;

	emu_expect(*state, "POST", "/bucket/k?append&position=0", NULL, "hi ",
		   200, &first);
	has_header(&first, "x-oss-next-append-position", "3");
	emu_expect(*state, "POST", "/bucket/k?append&position=3", NULL, "oss",
		   200, &second);
	has_header(&second, "x-oss-next-append-position", "6");
	has_header(&second, "x-oss-hash-crc64ecma", "8707180448768400016");
	emu_expect(*state, "POST", "/bucket/k?append&position=3", NULL, "x",
		   409, &wrong);
	has_header(&wrong, "x-oss-next-append-position", "6");
	emu_expect(*state, "GET", "/bucket/k", NULL, NULL, 200, &get);
	assert_string_equal(buf_str(&get.body), "hi oss");
	has_header(&get, "x-oss-object-type", "Appendable");
}

static void symlinks_lead_to_their_target(void **state)
{
	AUTO(answer_release) struct answer link;
	AUTO(answer_release) struct answer get;
	AUTO(answer_release) struct answer meta;

	emu_do(*state, "PUT", "/bucket/t%20x", NULL, "hi oss", 200);
	emu_do(*state, "PUT", "/bucket/l?symlink",
	       H("x-oss-symlink-target: t%20x", "x-oss-meta-m: 1"), NULL, 200);
	emu_expect(*state, "GET", "/bucket/l?symlink", NULL, NULL, 200, &link);
	has_header(&link, "x-oss-symlink-target", "t%20x");
	emu_expect(*state, "GET", "/bucket/l", NULL, NULL, 200, &get);
	assert_string_equal(buf_str(&get.body), "hi oss");
	has_header(&get, "x-oss-object-type", "Symlink");
	has_header(&get, "x-oss-meta-m", "1");
	emu_expect(*state, "HEAD", "/bucket/l?objectMeta", NULL, NULL, 200,
		   &meta);
	assert_null(kvs_get(&meta.headers, "x-oss-meta-m"));
	emu_do(*state, "PUT", "/bucket/l2?symlink",
	       H("x-oss-symlink-target: l"), NULL, 200);
	emu_fails(*state, "GET", "/bucket/l2", NULL, NULL, 400,
		  "InvalidTargetType");
	emu_do(*state, "DELETE", "/bucket/t%20x", NULL, NULL, 204);
	emu_fails(*state, "GET", "/bucket/l", NULL, NULL, 404,
		  "SymlinkTargetNotExist");
}

static void tags_are_put_and_taken_away(void **state)
{
	static const char xml[] =
		"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>"
		"<Tag><Key>b</Key><Value/></Tag></TagSet></Tagging>";
	AUTO(answer_release) struct answer a;
	AUTO(answer_release) struct answer none;
	AUTO_FREE char *key = NULL;

	emu_do(*state, "PUT", "/bucket/k", NULL, "x", 200);
	emu_do(*state, "PUT", "/bucket/k?tagging", NULL, xml, 200);
	emu_expect(*state, "GET", "/bucket/k?tagging", NULL, NULL, 200, &a);
	key = answer_element(&a, "Key", 1);
	assert_string_equal(key, "b");
	emu_do(*state, "DELETE", "/bucket/k?tagging", NULL, NULL, 204);
	emu_expect(*state, "GET", "/bucket/k?tagging", NULL, NULL, 200, &none);
	assert_null(answer_element(&none, "Key", 0));
	emu_fails(*state, "PUT", "/bucket/k?tagging", NULL, "<x", 400,
		  "MalformedXML");
}

static void archived_objects_are_restored_first(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer head;
	AUTO(answer_release) struct answer done;

	e->opt.restore_ms = 60000;
	emu_do(e, "PUT", "/bucket/k", H("x-oss-storage-class: Archive"), "x",
	       200);
	emu_fails(e, "GET", "/bucket/k", NULL, NULL, 403, "InvalidObjectState");
	emu_fails(e, "PUT", "/bucket/to", H("x-oss-copy-source: /bucket/k"), "",
		  403, "InvalidObjectState");
	emu_do(e, "POST", "/bucket/k?restore", NULL, "", 202);
	emu_fails(e, "POST", "/bucket/k?restore", NULL, "", 409,
		  "RestoreAlreadyInProgress");
	emu_expect(e, "HEAD", "/bucket/k", NULL, NULL, 200, &head);
	has_header(&head, "x-oss-restore", "ongoing-request=\"true\"");
	e->em->skew_ms += 61000;
	emu_do(e, "GET", "/bucket/k", NULL, NULL, 200);
	emu_expect(e, "HEAD", "/bucket/k", NULL, NULL, 200, &done);
	assert_non_null(strstr(answer_header(&done, "x-oss-restore"),
			       "\"false\", expiry-date="));
	emu_do(e, "POST", "/bucket/k?restore", NULL, "", 200);
	e->em->skew_ms += INT64_C(2) * 86400000;
	emu_do(e, "GET", "/bucket/k", NULL, NULL, 403);
}

static void versioned_buckets_ignore_forbid_overwrite(void **state)
{
	AUTO(answer_release) struct answer a;
	AUTO(answer_release) struct answer d;

	emu_do(*state, "PUT", "/bucket/k", NULL, "x", 200);
	emu_do(*state, "PUT", "/bucket?versioning", NULL,
	       "<VersioningConfiguration><Status>Enabled</Status>"
	       "</VersioningConfiguration>",
	       200);
	emu_expect(*state, "PUT", "/bucket/k",
		   H("x-oss-forbid-overwrite: true"), "y", 200, &a);
	answer_header(&a, "x-oss-version-id");
	emu_expect(*state, "DELETE", "/bucket/k", NULL, NULL, 204, &d);
	has_header(&d, "x-oss-delete-marker", "true");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
	const struct CMUnitTest tests[] = {
		T(put_answers_with_its_sums),
		T(empty_object_has_the_documented_sums),
		T(object_comes_back_with_what_was_stored),
		T(content_type_has_a_default),
		T(fast_mode_has_etags_without_md5),
		T(bad_requests_have_their_codes),
		T(error_of_head_stands_in_its_header),
		T(conditions_hold_or_fail),
		T(range_answers_206_with_the_whole_sum),
		T(responses_can_be_overridden),
		T(copy_takes_or_replaces_metadata),
		T(copy_onto_itself_replaces_metadata_alone),
		T(copy_obeys_its_conditions),
		T(delete_is_always_204),
		T(many_are_deleted_at_once),
		T(appending_goes_on_where_it_ended),
		T(symlinks_lead_to_their_target),
		T(tags_are_put_and_taken_away),
		T(archived_objects_are_restored_first),
		T(versioned_buckets_ignore_forbid_overwrite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
