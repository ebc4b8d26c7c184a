/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of objects that need more than one request, or bodies of a size that
 * no test can send (protocol 4.2, 4.5 to 4.8, 4.10). */
#include "../support/emu.h"

#include <openssl/evp.h>
#include <string.h>

#include "emulator/store.h"
#include "util/clock.h"
#include "util/codec.h"

#define H(...) ((const char *const[]){__VA_ARGS__, NULL})
#define GIB ((uint64_t)1 << 30)

static void has_header(const struct answer *a, const char *name,
		       const char *want)
{
	const char *got = kvs_get(&a->headers, name);

	if (!str_eq(got, want))
		fail_msg("%s: got %s, want %s", name, got ? got : "none",
			 want ? want : "none");
}

/* ---- copies ---- */

/* An object of that size whose bytes are nowhere. */
static void make_large(struct emu *e, const char *key, uint64_t size)
{
	struct object *like = object_new("like");

	assert_non_null(like);
	like->body->size = size;
	assert_int_equal(store_seed(e->em->store, "bucket", like, key, 0, 1),
			 0);
	object_put(like);
}

struct copy_case {
	const char *name;
	const char *target;
	uint64_t size;
	const char *header; /* NULL: none */
	bool limit_1g;
	int status;
};

static const struct copy_case copies[] = {
	{"in place",			 "/bucket/l00000000", 6 * GIB,     NULL,                      false, 200},
	{"in place, by the old rule",        "/bucket/l00000000", 6 * GIB,     NULL,                      true,
	 200													},
	{"in place, other class",            "/bucket/l00000000", GIB + 1,
	 "x-oss-storage-class: IA",								       false, 400},
	{"same bucket",                      "/bucket/to",        6 * GIB,     NULL,                      false, 200},
	{"same bucket, by the old rule",     "/bucket/to",        GIB + 1,     NULL,                      true,
	 400													},
	{"same bucket, old rule, just fits", "/bucket/to",        GIB,         NULL,                      true,
	 200													},
	{"same bucket, same class",          "/bucket/to",        6 * GIB,
	 "x-oss-storage-class: Standard",								 false, 200},
	{"same bucket, other class",         "/bucket/to",        GIB + 1,
	 "x-oss-storage-class: IA",								       false, 400},
	{"other class, just fits",           "/bucket/to",        GIB,         "x-oss-storage-class: IA",
	 false,												  200},
	{"encrypted",			"/bucket/to",        GIB + 1,
	 "x-oss-server-side-encryption: AES256",							  false, 400},
	{"other bucket",                     "/other/to",         5 * GIB,     NULL,                      false, 200},
	{"other bucket, too large",          "/other/to",         5 * GIB + 1, NULL,                      false, 400},
};

static void copies_have_their_limits(void **state)
{
	struct emu *e = *state;

	emu_do(e, "PUT", "/other", NULL, "", 200);
	for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
		const struct copy_case *c = &copies[i];
		AUTO(answer_release) struct answer a;

		make_large(e, "l", c->size);
		e->opt.quirks.copy_limit_1g = c->limit_1g;
		emu_request(
			e, "PUT", c->target,
			H("x-oss-copy-source: /bucket/l00000000", c->header),
			"", 0, &a);
		if (a.status != c->status ||
		    (a.status == 400 && strcmp(a.code, "EntityTooLarge") != 0))
			fail_msg("%s: got %d %s", c->name, a.status,
				 buf_str(&a.body));
	}
}

static void a_copy_inherits_neither_acl_nor_encryption(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer put;
	AUTO(answer_release) struct answer source;
	AUTO(answer_release) struct answer copy;
	AUTO(answer_release) struct answer acl;
	AUTO_FREE char *grant = NULL;

	emu_expect(e, "PUT", "/bucket/a",
		   H("x-oss-server-side-encryption: KMS",
		     "x-oss-server-side-encryption-key-id: id",
		     "x-oss-object-acl: public-read", "Expires: never"),
		   "x", 200, &put);
	has_header(&put, "x-oss-server-side-encryption", "KMS");
	emu_expect(e, "HEAD", "/bucket/a", NULL, NULL, 200, &source);
	has_header(&source, "x-oss-server-side-encryption-key-id", "id");
	emu_do(e, "PUT", "/bucket/b", H("x-oss-copy-source: /bucket/a"), "",
	       200);
	emu_expect(e, "HEAD", "/bucket/b", NULL, NULL, 200, &copy);
	has_header(&copy, "x-oss-server-side-encryption", NULL);
	has_header(&copy, "x-oss-server-side-encryption-key-id", NULL);
	has_header(&copy, "Expires", "never");
	emu_expect(e, "GET", "/bucket/b?acl", NULL, NULL, 200, &acl);
	grant = answer_element(&acl, "Grant", 0);
	assert_string_equal(grant, "default");
}

static void a_copy_of_a_link_is_a_link(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer a;

	emu_do(e, "PUT", "/bucket/l?symlink", H("x-oss-symlink-target: k"),
	       NULL, 200);
	emu_do(e, "PUT", "/bucket/m", H("x-oss-copy-source: /bucket/l"), "",
	       200);
	emu_expect(e, "GET", "/bucket/m?symlink", NULL, NULL, 200, &a);
	has_header(&a, "x-oss-symlink-target", "k");
}

/* ---- versions ---- */

static void set_versioning(struct emu *e, const char *status)
{
	AUTO_FREE char *xml = str_printf("<VersioningConfiguration><Status>%s"
					 "</Status></VersioningConfiguration>",
					 status);

	emu_do(e, "PUT", "/bucket?versioning", NULL, xml, 200);
}

static void a_suspended_bucket_has_null_versions(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer plain;
	AUTO(answer_release) struct answer on;
	AUTO(answer_release) struct answer off;

	emu_expect(e, "PUT", "/bucket/k", NULL, "x", 200, &plain);
	has_header(&plain, "x-oss-version-id", NULL);
	emu_fails(e, "PUT", "/bucket/k", H("x-oss-forbid-overwrite: true"), "y",
		  409, "FileAlreadyExists");
	set_versioning(e, "Enabled");
	emu_expect(e, "PUT", "/bucket/k", H("x-oss-forbid-overwrite: true"),
		   "y", 200, &on);
	assert_memory_equal(answer_header(&on, "x-oss-version-id"), "CAEQ", 4);
	set_versioning(e, "Suspended");
	emu_expect(e, "PUT", "/bucket/k", H("x-oss-forbid-overwrite: true"),
		   "z", 200, &off);
	has_header(&off, "x-oss-version-id", "null");
}

/* Onto itself a version is a copy like others: it keeps its metadata. */
static void a_version_copied_onto_itself_stays(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer a;

	set_versioning(e, "Enabled");
	emu_do(e, "PUT", "/bucket/k", H("x-oss-meta-m: 1"), "x", 200);
	emu_do(e, "PUT", "/bucket/k",
	       H("x-oss-copy-source: /bucket/k", "x-oss-meta-m: 2"), "", 200);
	emu_expect(e, "HEAD", "/bucket/k", NULL, NULL, 200, &a);
	has_header(&a, "x-oss-meta-m", "1");
}

/* ---- times ---- */

/* A date is of whole seconds: the object's own has not passed. */
static void an_object_is_not_newer_than_its_date(void **state)
{
	static const struct {
		const char *header;
		int status; /* with the object's time */
		int before; /* with an earlier one */
	} cases[] = {
		{"If-Modified-Since",   304, 200},
		{"If-Unmodified-Since", 200, 412},
	};
	struct emu *e = *state;
	AUTO(answer_release) struct answer a;
	const char *date;
	char earlier[CLOCK_TEXT_LEN];
	int64_t when;

	emu_do(e, "PUT", "/bucket/k", NULL, "x", 200);
	emu_expect(e, "HEAD", "/bucket/k", NULL, NULL, 200, &a);
	date = answer_header(&a, "Last-Modified");
	assert_int_equal(clock_parse_http_date(date, &when), 0);
	clock_http_date(earlier, when - 1000);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *same =
			str_printf("%s: %s", cases[i].header, date);
		AUTO_FREE char *before =
			str_printf("%s: %s", cases[i].header, earlier);

		emu_do(e, "GET", "/bucket/k", H(same), NULL, cases[i].status);
		emu_do(e, "GET", "/bucket/k", H(before), NULL, cases[i].before);
	}
}

/* ---- five gigabytes ---- */

static void one_request_stores_five_gigabytes_at_most(void **state)
{
	static const char *const targets[] = {
		"/bucket/k", "/bucket/k?append&position=0", "/bucket"};
	static const char *const methods[] = {"PUT", "POST", "POST"};
	struct emu *e = *state;
	struct object *o = object_new("full");

	for (size_t i = 0; i < ARRAY_LEN(targets); i++)
		emu_fails(e, methods[i], targets[i],
			  H("Content-Length: 5368709121"), NULL, 400,
			  "EntityTooLarge");
	assert_non_null(o);
	o->body->size = 5 * GIB;
	o->type = OBJECT_APPENDABLE;
	assert_int_equal(store_put(e->em->store, "bucket", o, false), 0);
	emu_fails(e, "POST", "/bucket/full?append&position=5368709120", NULL,
		  "x", 400, "EntityTooLarge");
}

/* ---- links ---- */

static void a_link_shows_its_target_under_its_own_headers(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer target;
	AUTO(answer_release) struct answer link;
	AUTO(answer_release) struct answer get;
	AUTO(answer_release) struct answer own;
	AUTO(answer_release) struct answer newer;
	AUTO(answer_release) struct answer later;
	AUTO(answer_release) struct answer meta;

	emu_expect(e, "PUT", "/bucket/t",
		   H("x-oss-meta-of: target", "Content-Type: a/target"),
		   "hi oss", 200, &target);
	e->em->skew_ms += 5000;
	emu_expect(e, "PUT", "/bucket/l?symlink",
		   H("x-oss-symlink-target: t", "x-oss-meta-of: link"), NULL,
		   200, &link);
	has_header(&link, "x-oss-hash-crc64ecma", NULL);
	emu_expect(e, "GET", "/bucket/l", NULL, NULL, 200, &get);
	assert_string_equal(buf_str(&get.body), "hi oss");
	has_header(&get, "ETag", answer_header(&target, "ETag"));
	has_header(&get, "Content-MD5", answer_header(&target, "Content-MD5"));
	has_header(&get, "x-oss-object-type", "Symlink");
	has_header(&get, "x-oss-meta-of", "link");
	has_header(&get, "Content-Type", "application/octet-stream");
	has_header(&get, "x-oss-hash-crc64ecma", NULL);
	/* The later of the two; here the link's. */
	emu_expect(e, "GET", "/bucket/l?symlink", NULL, NULL, 200, &own);
	has_header(&get, "Last-Modified", answer_header(&own, "Last-Modified"));
	emu_expect(e, "HEAD", "/bucket/l?objectMeta", NULL, NULL, 200, &meta);
	has_header(&meta, "ETag", answer_header(&own, "ETag"));
	has_header(&meta, "Last-Modified",
		   answer_header(&own, "Last-Modified"));
	e->em->skew_ms += 5000;
	emu_do(e, "PUT", "/bucket/t", NULL, "hi oss", 200);
	emu_expect(e, "HEAD", "/bucket/t", NULL, NULL, 200, &newer);
	emu_expect(e, "HEAD", "/bucket/l", NULL, NULL, 200, &later);
	has_header(&later, "Last-Modified",
		   answer_header(&newer, "Last-Modified"));
	has_header(&meta, "x-oss-hash-crc64ecma", NULL);
	emu_fails(e, "PUT", "/bucket/l?symlink",
		  H("x-oss-symlink-target: t", "x-oss-forbid-overwrite: true"),
		  NULL, 409, "FileAlreadyExists");
}

static void the_meta_of_an_object_is_short(void **state)
{
	static const char *const absent[] = {
		"Content-Type", "x-oss-meta-a", "Content-MD5",
		"x-oss-storage-class", "Cache-Control"};
	AUTO(answer_release) struct answer a;

	emu_do(*state, "PUT", "/bucket/k",
	       H("x-oss-meta-a: 1", "Cache-Control: no-cache"), "hi oss", 200);
	emu_expect(*state, "HEAD", "/bucket/k?objectMeta", NULL, NULL, 200, &a);
	has_header(&a, "ETag", "\"B22E0DC370A7F7067FACF5F75D7FA385\"");
	has_header(&a, "x-oss-hash-crc64ecma", "8707180448768400016");
	answer_header(&a, "Last-Modified");
	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		has_header(&a, absent[i], NULL);
}

/* ---- many deletions ---- */

static void delete_many(struct emu *e, const struct buf *xml, int status,
			const char *code)
{
	AUTO(buf_release) struct buf md5 = BUF_INIT;
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *line = NULL;
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	EVP_Digest(buf_str(xml), xml->len, md, &len, EVP_md5(), NULL);
	base64_encode(&md5, md, len);
	line = str_printf("Content-MD5: %s", buf_str(&md5));
	emu_request(e, "POST", "/bucket?delete", H(line), buf_str(xml),
		    xml->len, &a);
	if (a.status != status || strcmp(a.code, code) != 0)
		fail_msg("got %d %s", a.status, a.code);
}

static void delete_list(struct buf *xml, size_t count, size_t key_len)
{
	buf_reset(xml);
	buf_adds(xml, "<Delete>");
	for (size_t i = 0; i < count; i++)
		buf_addf(xml, "<Object><Key>%0*zu</Key></Object>", (int)key_len,
			 i);
	buf_adds(xml, "</Delete>");
}

static void mass_deletions_have_their_limits(void **state)
{
	AUTO(buf_release) struct buf xml = BUF_INIT;
	AUTO(buf_release) struct buf root = BUF_INIT;

	delete_list(&xml, 1000, 10);
	delete_many(*state, &xml, 200, "");
	delete_list(&xml, 1001, 10);
	delete_many(*state, &xml, 400, "MalformedXML");
	delete_list(&xml, 0, 10);
	delete_many(*state, &xml, 400, "MalformedXML");
	delete_list(&xml, 900, 2400); /* more than 2 MB */
	delete_many(*state, &xml, 400, "MalformedXML");
	buf_adds(&root, "<Remove><Object><Key>k</Key></Object></Remove>");
	delete_many(*state, &root, 400, "MalformedXML");
	emu_fails(*state, "POST", "/bucket?delete",
		  H("Transfer-Encoding: chunked"), NULL, 411,
		  "MissingContentLength");
}

static void a_wrong_root_is_named(void **state)
{
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *detail = NULL;

	emu_expect(*state, "POST", "/bucket?delete",
		   H("Content-MD5: iPDPXRE3teLRGxkk02gTgg=="), "<Remove/>", 400,
		   &a);
	detail = answer_element(&a, "ErrorDetail", 0);
	assert_string_equal(detail, "the root node is not named Delete.");
	has_header(&a, "x-oss-ec", "0016-00000608");
}

/* ---- metadata ---- */

/* Names without their prefix, and values: 8 KB. */
static void metadata_has_its_limit(void **state)
{
	static const struct {
		size_t value; /* beside a name of 100 bytes */
		bool names_are_free;
		int status;
	} cases[] = {
		{8092, false, 200},
		{8093, false, 400},
		{8192, true,  200},
		{8193, true,  400},
	};
	struct emu *e = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *line = str_printf("x-oss-meta-%0100d: %0*d", 0,
						  (int)cases[i].value, 0);

		e->opt.quirks.meta_names_are_free = cases[i].names_are_free;
		emu_do(e, "PUT", "/bucket/k", H(line), "x", cases[i].status);
	}
}

static void limits_of_headers_are_kept(void **state)
{
	static const struct {
		const char *header;
		int status;
	} cases[] = {
		{"x-oss-traffic-limit: 245759",          400},
		{"x-oss-traffic-limit: 245760",          200},
		{"x-oss-traffic-limit: 838860800",       200},
		{"x-oss-traffic-limit: 838860801",       400},
		{"x-oss-storage-class: ColdArchive",     200},
		{"x-oss-storage-class: DeepColdArchive", 200},
		{"x-oss-storage-class: STANDARD",        400},
		{"x-oss-object-acl: public-read-write",  200},
		{"x-oss-server-side-encryption: SM4",    200},
		{"x-oss-forbid-overwrite: false",        200},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		emu_do(*state, "PUT", "/bucket/k", H(cases[i].header), "x",
		       cases[i].status);
}

#define TEN(c) c c c c c c c c c c
#define HUNDRED(c) TEN(TEN(c))
#define K128 HUNDRED("k") TEN("k") TEN("k") "kkkkkkkk"
#define V256                                                                   \
	HUNDRED("v")                                                           \
	HUNDRED("v") TEN("v") TEN("v") TEN("v") TEN("v") TEN("v") "vvvvvv"

static void tags_have_their_limits(void **state)
{
	static const struct {
		const char *header;
		int status;
		const char *code;
	} cases[] = {
		{"x-oss-tagging: a=1&A=1&b&c=&d=%2B%20-%3D._:/", 200, ""            },
		{"x-oss-tagging: a&b&c&d&e&f&g&h&i&j",           200, ""            },
		{"x-oss-tagging: a&b&c&d&e&f&g&h&i&j&k",         400, "TooManyTags" },
		{"x-oss-tagging: " K128 "=" V256,                200, ""            },
		{"x-oss-tagging: k" K128 "=1",                   400, "InvalidTag"  },
		{"x-oss-tagging: a=v" V256,                      400, "InvalidTag"  },
		{"x-oss-tagging: =1",                            400, "InvalidTag"  },
		{"x-oss-tagging: a=%2",                          400, "InvalidTag"  },
		{"x-oss-tagging: a=%23",                         400, "InvalidTag"  },
		{"x-oss-tagging: a=1&a=2",                       400, "RepeatedTags"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		emu_fails(*state, "PUT", "/bucket/k", H(cases[i].header), "x",
			  cases[i].status, cases[i].code);
}

static void keys_have_1023_bytes_at_most(void **state)
{
	AUTO(buf_release) struct buf target = BUF_INIT;

	buf_adds(&target, "/bucket/");
	for (int i = 0; i < 341; i++)
		buf_adds(&target, "%E4%BD%A0"); /* three bytes each */
	emu_do(*state, "PUT", buf_str(&target), NULL, "x", 200);
	buf_adds(&target, "k");
	emu_fails(*state, "PUT", buf_str(&target), NULL, "x", 400,
		  "InvalidObjectName");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
	const struct CMUnitTest tests[] = {
		T(copies_have_their_limits),
		T(a_copy_inherits_neither_acl_nor_encryption),
		T(a_copy_of_a_link_is_a_link),
		T(a_suspended_bucket_has_null_versions),
		T(a_version_copied_onto_itself_stays),
		T(an_object_is_not_newer_than_its_date),
		T(one_request_stores_five_gigabytes_at_most),
		T(a_link_shows_its_target_under_its_own_headers),
		T(the_meta_of_an_object_is_short),
		T(mass_deletions_have_their_limits),
		T(a_wrong_root_is_named),
		T(metadata_has_its_limit),
		T(limits_of_headers_are_kept),
		T(tags_have_their_limits),
		T(keys_have_1023_bytes_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
