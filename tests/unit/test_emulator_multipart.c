/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads (protocol section 5). */
#include "../support/emu.h"

#include <string.h>

#include "util/crc64.h"

#define PART_SIZE ((size_t)102400)
#define H(...) ((const char *const[]){__VA_ARGS__, NULL})

/* free() it. */
static char *initiate(struct emu *e, const char *const *headers)
{
	AUTO(answer_release) struct answer a;

	emu_expect(e, "POST", "/bucket/k?uploads", headers, NULL, 200, &a);
	return answer_element(&a, "UploadId", 0);
}

/* A part of len bytes c; its ETag, free() it. */
static char *upload(struct emu *e, const char *id, int number, char c,
		    size_t len)
{
	AUTO_FREE char *target =
		str_printf("/bucket/k?partNumber=%d&uploadId=%s", number, id);
	AUTO_FREE char *data = malloc(len + 1);
	AUTO(answer_release) struct answer a;

	memset(data, c, len);
	emu_request(e, "PUT", target, NULL, data, len, &a);
	assert_int_equal(a.status, 200);
	answer_header(&a, "x-oss-hash-crc64ecma");
	return str_dup(answer_header(&a, "ETag"));
}

static void list_begin(struct buf *xml)
{
	buf_reset(xml);
	buf_adds(xml, "<CompleteMultipartUpload>");
}

static void list_add(struct buf *xml, int number, const char *etag)
{
	buf_addf(xml, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>",
		 number, etag);
}

static void complete(struct emu *e, const char *id, struct buf *xml, int status,
		     struct answer *a)
{
	AUTO_FREE char *target = str_printf("/bucket/k?uploadId=%s", id);

	buf_adds(xml, "</CompleteMultipartUpload>");
	emu_expect(e, "POST", target, NULL, buf_str(xml), status, a);
}

static void complete_fails(struct emu *e, const char *id, struct buf *xml,
			   const char *code)
{
	AUTO(answer_release) struct answer a;

	complete(e, id, xml, strcmp(code, "NoSuchUpload") == 0 ? 404 : 400, &a);
	assert_string_equal(a.code, code);
}

static void parts_become_one_object(void **state)
{
	struct emu *e = *state;
	AUTO_FREE char *id =
		initiate(e, H("Content-Type: text/plain", "x-oss-meta-m: 1"));
	AUTO_FREE char *two = upload(e, id, 2, 'b', 10);
	AUTO_FREE char *wrong = upload(e, id, 1, 'x', 10);
	AUTO_FREE char *one = upload(e, id, 1, 'a', PART_SIZE);
	AUTO(buf_release) struct buf xml = BUF_INIT;
	AUTO(answer_release) struct answer done;
	AUTO(answer_release) struct answer get;
	AUTO_FREE char *etag = NULL;

	list_begin(&xml);
	list_add(&xml, 1, one);
	list_add(&xml, 2, two);
	complete(e, id, &xml, 200, &done);
	etag = answer_element(&done, "ETag", 0);
	assert_non_null(strstr(etag, "-2&quot;"));
	emu_expect(e, "GET", "/bucket/k", NULL, NULL, 200, &get);
	assert_int_equal(get.body.len, PART_SIZE + 10);
	assert_int_equal(get.body.data[PART_SIZE - 1], 'a');
	assert_int_equal(get.body.data[PART_SIZE], 'b');
	assert_int_equal(strtoull(answer_header(&done, "x-oss-hash-crc64ecma"),
				  NULL, 10),
			 crc64_update(0, get.body.data, get.body.len));
	assert_string_equal(answer_header(&get, "Content-Type"), "text/plain");
	assert_string_equal(answer_header(&get, "x-oss-meta-m"), "1");
	assert_string_equal(answer_header(&get, "x-oss-object-type"),
			    "Multipart");
	assert_null(kvs_get(&get.headers, "Content-MD5"));
	list_begin(&xml);
	list_add(&xml, 1, one);
	complete_fails(e, id, &xml, "NoSuchUpload");
}

static void etags_are_taken_in_any_dress(void **state)
{
	static const char *const dresses[] = {"%s", "\"%s\"", "&quot;%s&quot;",
					      "&#34;%s&#34;"};
	struct emu *e = *state;

	for (size_t i = 0; i < ARRAY_LEN(dresses); i++) {
		AUTO_FREE char *id = initiate(e, NULL);
		AUTO_FREE char *etag = upload(e, id, 7, 'a', 5);
		AUTO_FREE char *bare = strndup(etag + 1, 32);
		AUTO(buf_release) struct buf dressed = BUF_INIT;
		AUTO(buf_release) struct buf xml = BUF_INIT;
		AUTO(answer_release) struct answer a;
		const char *mark = strstr(dresses[i], "%s");

		buf_addf(&dressed, "%.*s%s%s", (int)(mark - dresses[i]),
			 dresses[i], bare, mark + 2);
		list_begin(&xml);
		list_add(&xml, 7, buf_str(&dressed));
		complete(e, id, &xml, 200, &a);
	}
}

static void bad_lists_are_refused(void **state)
{
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, NULL);
	AUTO_FREE char *one = upload(e, id, 1, 'a', 10);
	AUTO_FREE char *two = upload(e, id, 2, 'b', 10);
	AUTO(buf_release) struct buf xml = BUF_INIT;

	list_begin(&xml);
	list_add(&xml, 2, two);
	list_add(&xml, 1, one);
	complete_fails(e, id, &xml, "InvalidPartOrder");
	list_begin(&xml);
	list_add(&xml, 1, one);
	list_add(&xml, 1, one);
	complete_fails(e, id, &xml, "InvalidPartOrder");
	list_begin(&xml);
	list_add(&xml, 1, two);
	complete_fails(e, id, &xml, "InvalidPart");
	list_begin(&xml);
	list_add(&xml, 3, one);
	complete_fails(e, id, &xml, "InvalidPart");
	list_begin(&xml);
	list_add(&xml, 1, one);
	list_add(&xml, 2, two);
	complete_fails(e, id, &xml, "EntityTooSmall");
	list_begin(&xml);
	complete_fails(e, id, &xml, "MalformedXML");
	list_begin(&xml);
	buf_adds(&xml, "<Part>");
	complete_fails(e, id, &xml, "MalformedXML");
	list_begin(&xml);
	list_add(&xml, 1, one);
	complete_fails(e, "0123456789ABCDEF0123456789ABCDEF", &xml,
		       "NoSuchUpload");
	emu_do(e, "GET", "/bucket/k", NULL, NULL, 404);
}

static void the_smallest_part_has_a_hundred_kilobytes(void **state)
{
	static const struct {
		size_t first;
		size_t last;
		int status;
	} cases[] = {
		{PART_SIZE - 1, 1,             400},
		{PART_SIZE,     1,             200},
		{PART_SIZE,     PART_SIZE - 1, 200},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *id = initiate(*state, NULL);
		AUTO_FREE char *one =
			upload(*state, id, 1, 'a', cases[i].first);
		AUTO_FREE char *two =
			upload(*state, id, 10000, 'b', cases[i].last);
		AUTO(buf_release) struct buf xml = BUF_INIT;
		AUTO(answer_release) struct answer a;

		list_begin(&xml);
		list_add(&xml, 1, one);
		list_add(&xml, 10000, two);
		complete(*state, id, &xml, cases[i].status, &a);
	}
}

static void complete_checks_its_digest_and_drops_the_rest(void **state)
{
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, NULL);
	AUTO_FREE char *one = upload(e, id, 1, 'a', 10);
	AUTO_FREE char *two = upload(e, id, 2, 'b', 10);
	AUTO_FREE char *target = str_printf("/bucket/k?uploadId=%s", id);
	AUTO(buf_release) struct buf xml = BUF_INIT;
	AUTO(answer_release) struct answer done;
	AUTO(answer_release) struct answer get;

	list_begin(&xml);
	list_add(&xml, 2, two);
	buf_adds(&xml, "</CompleteMultipartUpload>");
	emu_fails(e, "POST", target, H("Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="),
		  buf_str(&xml), 400, "InvalidDigest");
	emu_expect(e, "POST", target, NULL, buf_str(&xml), 200, &done);
	assert_string_equal(answer_header(&done, "ETag") + 33, "-1\"");
	assert_null(kvs_get(&done.headers, "Content-MD5"));
	emu_expect(e, "GET", "/bucket/k", NULL, NULL, 200, &get);
	assert_string_equal(buf_str(&get.body), "bbbbbbbbbb");
}

/* "a b" where the key's text stands, in both forms. */
static void answers_encode_keys_when_asked(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer plain;
	AUTO(answer_release) struct answer init;
	AUTO(answer_release) struct answer parts;
	AUTO(answer_release) struct answer uploads;
	AUTO(answer_release) struct answer done;
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *part = NULL;
	AUTO_FREE char *list = NULL;

	emu_expect(e, "POST", "/bucket/a%20b?uploads", NULL, NULL, 200, &plain);
	assert_non_null(strstr(buf_str(&plain.body), "<Key>a b</Key>"));
	emu_expect(e, "POST", "/bucket/a%20b?uploads&encoding-type=url", NULL,
		   NULL, 200, &init);
	assert_non_null(strstr(buf_str(&init.body), "<Key>a%20b</Key>"));
	id = answer_element(&init, "UploadId", 0);
	assert_int_equal(strlen(id), 32);
	assert_int_equal(strspn(id, "0123456789ABCDEF"), 32);
	part = str_printf("/bucket/a%%20b?partNumber=1&uploadId=%s", id);
	list = str_printf("/bucket/a%%20b?encoding-type=url&uploadId=%s", id);
	emu_do(e, "PUT", part, NULL, "x", 200);
	emu_expect(e, "GET", list, NULL, NULL, 200, &parts);
	assert_non_null(strstr(buf_str(&parts.body), "<Key>a%20b</Key>"));
	emu_expect(e, "GET", "/bucket?uploads&encoding-type=url&prefix=a%20",
		   NULL, NULL, 200, &uploads);
	assert_non_null(strstr(buf_str(&uploads.body), "<Key>a%20b</Key>"));
	assert_non_null(
		strstr(buf_str(&uploads.body), "<Prefix>a%20</Prefix>"));
	emu_expect(e, "POST", list, H("x-oss-complete-all: yes"), NULL, 200,
		   &done);
	assert_non_null(strstr(buf_str(&done.body), "<Key>a%20b</Key>"));
	assert_non_null(strstr(buf_str(&done.body), "/a%20b</Location>"));
}

static void complete_all_takes_every_part(void **state)
{
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, NULL);
	AUTO_FREE char *two = upload(e, id, 20, 'b', 10);
	AUTO_FREE char *one = upload(e, id, 3, 'a', PART_SIZE);
	AUTO_FREE char *target = str_printf("/bucket/k?uploadId=%s", id);
	AUTO(answer_release) struct answer both;
	AUTO(answer_release) struct answer get;

	emu_expect(e, "POST", target, H("x-oss-complete-all: yes"), "<x/>", 400,
		   &both);
	assert_string_equal(answer_header(&both, "x-oss-ec"), "0042-00000216");
	emu_do(e, "POST", target, H("x-oss-complete-all: yes"), NULL, 200);
	emu_expect(e, "GET", "/bucket/k", NULL, NULL, 200, &get);
	assert_int_equal(get.body.len, PART_SIZE + 10);
	assert_int_equal(get.body.data[0], 'a');
}

static void parts_are_copied_by_range(void **state)
{
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, NULL);
	AUTO_FREE char *target =
		str_printf("/bucket/k?partNumber=1&uploadId=%s", id);
	AUTO(answer_release) struct answer part;
	AUTO(answer_release) struct answer get;
	AUTO(buf_release) struct buf xml = BUF_INIT;
	AUTO(answer_release) struct answer done;
	AUTO_FREE char *etag = NULL;

	emu_do(e, "PUT", "/bucket/src", NULL, "--hi oss--", 200);
	emu_expect(e, "PUT", target,
		   H("x-oss-copy-source: /bucket/src",
		     "x-oss-copy-source-range: bytes=2-7"),
		   "", 200, &part);
	assert_string_equal(answer_header(&part, "Content-Range"),
			    "bytes 2-7/10");
	etag = answer_element(&part, "ETag", 0);
	assert_string_equal(etag,
			    "&quot;B22E0DC370A7F7067FACF5F75D7FA385&quot;");
	list_begin(&xml);
	list_add(&xml, 1, etag);
	complete(e, id, &xml, 200, &done);
	assert_string_equal(answer_header(&done, "x-oss-hash-crc64ecma"),
			    "8707180448768400016");
	/* The source may go: the bytes stay. */
	emu_do(e, "DELETE", "/bucket/src", NULL, NULL, 204);
	emu_reopen(e);
	emu_expect(e, "GET", "/bucket/k", NULL, NULL, 200, &get);
	assert_string_equal(buf_str(&get.body), "hi oss");
}

/* A range that is none copies all; one that leads beyond the end, which the
 * protocol page does not mention, is refused: it would be a mistake. */
static void odd_copy_ranges_have_their_rule(void **state)
{
	static const struct {
		const char *range;
		const char *etag; /* NULL: refused */
	} cases[] = {
		{NULL,        "B22E0DC370A7F7067FACF5F75D7FA385"},
		{"bytes=3-",  "B22E0DC370A7F7067FACF5F75D7FA385"},
		{"3-4",       "B22E0DC370A7F7067FACF5F75D7FA385"},
		{"bytes=4-3", "B22E0DC370A7F7067FACF5F75D7FA385"},
		{"bytes=0-6", NULL                              },
		{"bytes=6-6", NULL                              },
	};
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, NULL);
	AUTO_FREE char *target =
		str_printf("/bucket/k?partNumber=1&uploadId=%s", id);

	emu_do(e, "PUT", "/bucket/src", NULL, "hi oss", 200);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *range =
			str_printf("x-oss-copy-source-range: %s",
				   cases[i].range ? cases[i].range : "");
		AUTO(answer_release) struct answer a;

		emu_expect(e, "PUT", target,
			   H("x-oss-copy-source: /bucket/src",
			     cases[i].range ? range : NULL),
			   "", cases[i].etag ? 200 : 400, &a);
		if (!cases[i].etag)
			continue;
		assert_non_null(strstr(buf_str(&a.body), cases[i].etag));
		assert_null(kvs_get(&a.headers, "Content-Range"));
	}
	emu_do(e, "POST", "/bucket/app?append&position=0", NULL, "x", 200);
	emu_fails(e, "PUT", target, H("x-oss-copy-source: /bucket/app"), "",
		  400, "OperationNotSupported");
	emu_do(e, "PUT", target,
	       H("x-oss-copy-source: /bucket/src",
		 "x-oss-copy-source-if-match: \"AB\""),
	       "", 412);
}

static void part_requests_are_checked(void **state)
{
	static const char *const bad[] = {"0", "10001", "x", "-1", "1.5"};
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, NULL);
	AUTO_FREE char *plain = str_printf("/bucket/k?uploadId=%s", id);
	AUTO_FREE char *other =
		str_printf("/bucket/other?partNumber=1&uploadId=%s", id);
	AUTO_FREE char *good =
		str_printf("/bucket/k?partNumber=1&uploadId=%s", id);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_FREE char *target = str_printf(
			"/bucket/k?partNumber=%s&uploadId=%s", bad[i], id);

		emu_fails(e, "PUT", target, NULL, "x", 400, "InvalidArgument");
	}
	emu_fails(e, "PUT", plain, NULL, "x", 400, "InvalidArgument");
	emu_fails(e, "PUT", other, NULL, "x", 404, "NoSuchUpload");
	emu_fails(e, "PUT", good, H("x-oss-server-side-encryption: AES256"),
		  "x", 400, "InvalidArgument");
	emu_fails(e, "PUT", good, H("Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="),
		  "x", 400, "InvalidDigest");
	emu_fails(e, "PUT", good, H("x-oss-hash-crc64ecma: 1"), "x", 400,
		  "InvalidCRC64");
	emu_fails(e, "PUT", good, NULL, NULL, 411, "MissingContentLength");
}

static void aborted_uploads_are_gone(void **state)
{
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, NULL);
	AUTO_FREE char *etag = upload(e, id, 1, 'a', 10);
	AUTO_FREE char *target = str_printf("/bucket/k?uploadId=%s", id);

	emu_fails(e, "DELETE", "/bucket", NULL, NULL, 409, "BucketNotEmpty");
	emu_do(e, "DELETE", target, NULL, NULL, 204);
	emu_fails(e, "DELETE", target, NULL, NULL, 404, "NoSuchUpload");
	emu_fails(e, "GET", target, NULL, NULL, 404, "NoSuchUpload");
	emu_do(e, "DELETE", "/bucket", NULL, NULL, 204);
}

static void parts_are_listed_in_pages(void **state)
{
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, NULL);
	AUTO_FREE char *target = str_printf("/bucket/k?uploadId=%s", id);
	AUTO_FREE char *first_page =
		str_printf("/bucket/k?uploadId=%s&max-parts=2", id);
	AUTO_FREE char *second_page = str_printf(
		"/bucket/k?uploadId=%s&max-parts=2&part-number-marker=5", id);
	AUTO(answer_release) struct answer first;
	AUTO(answer_release) struct answer second;
	AUTO(answer_release) struct answer all;
	AUTO_FREE char *next = NULL;
	AUTO_FREE char *truncated = NULL;
	AUTO_FREE char *number = NULL;
	AUTO_FREE char *end = NULL;

	free(upload(e, id, 9, 'a', 10));
	free(upload(e, id, 1, 'a', 10));
	free(upload(e, id, 5, 'a', 10));
	emu_expect(e, "GET", first_page, NULL, NULL, 200, &first);
	next = answer_element(&first, "NextPartNumberMarker", 0);
	truncated = answer_element(&first, "IsTruncated", 0);
	assert_string_equal(next, "5");
	assert_string_equal(truncated, "true");
	emu_expect(e, "GET", second_page, NULL, NULL, 200, &second);
	number = answer_element(&second, "PartNumber", 0);
	end = answer_element(&second, "IsTruncated", 0);
	assert_string_equal(number, "9");
	assert_string_equal(end, "false");
	/* And they are still there after a restart. */
	emu_reopen(e);
	emu_expect(e, "GET", target, NULL, NULL, 200, &all);
	assert_non_null(strstr(buf_str(&all.body), "<Size>10</Size>"));
}

static int count_elements(const struct answer *a, const char *name)
{
	int n = 0;
	char *text;

	while ((text = answer_element(a, name, n))) {
		free(text);
		n++;
	}
	return n;
}

static void uploads_are_listed_and_grouped(void **state)
{
	static const char *const keys[] = {"a/1", "a/1", "a/2", "b", "c/3"};
	struct emu *e = *state;
	AUTO(answer_release) struct answer all;
	AUTO(answer_release) struct answer grouped;
	AUTO(answer_release) struct answer page;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		AUTO_FREE char *target =
			str_printf("/bucket/%s?uploads", keys[i]);

		emu_do(e, "POST", target, NULL, NULL, 200);
	}
	emu_expect(e, "GET", "/bucket?uploads&prefix=a/", NULL, NULL, 200,
		   &all);
	assert_int_equal(count_elements(&all, "Key"), 3);
	emu_expect(e, "GET", "/bucket?uploads&delimiter=/", NULL, NULL, 200,
		   &grouped);
	assert_int_equal(count_elements(&grouped, "Key"), 1);
	assert_int_equal(count_elements(&grouped, "CommonPrefixes"), 2);
	emu_expect(e, "GET", "/bucket?uploads&max-uploads=2&key-marker=a/1",
		   NULL, NULL, 200, &page);
	assert_int_equal(count_elements(&page, "Key"), 2);
	assert_non_null(strstr(buf_str(&page.body),
			       "<NextKeyMarker>b</NextKeyMarker>"));
}

/* Every page of one upload, on and on by both markers. */
static void pages_of_uploads_give_each_once(void **state)
{
	static const char *const keys[] = {"a", "a", "a", "b/1", "b/2", "c"};
	struct emu *e = *state;
	AUTO_FREE char *key = str_dup("");
	AUTO_FREE char *id = str_dup("");
	AUTO_FREE char *last_id = str_dup("");
	int seen = 0;
	int groups = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		AUTO_FREE char *target =
			str_printf("/bucket/%s?uploads", keys[i]);

		emu_do(e, "POST", target, NULL, NULL, 200);
	}
	for (int pages = 0; pages < 10; pages++) {
		AUTO_FREE char *target =
			str_printf("/bucket?uploads&delimiter=/&max-uploads=1&"
				   "key-marker=%s&upload-id-marker=%s",
				   key, id);
		AUTO(answer_release) struct answer a;
		AUTO_FREE char *more = NULL;
		AUTO_FREE char *this_id = NULL;

		emu_expect(e, "GET", target, NULL, NULL, 200, &a);
		this_id = answer_element(&a, "UploadId", 0);
		if (this_id)
			assert_string_not_equal(this_id, last_id);
		assert_int_equal(str_set(&last_id, this_id ? this_id : ""), 0);
		seen += count_elements(&a, "Upload");
		groups += count_elements(&a, "CommonPrefixes");
		more = answer_element(&a, "IsTruncated", 0);
		if (strcmp(more, "true") != 0)
			break;
		free(take_ptr(key));
		free(take_ptr(id));
		key = answer_element(&a, "NextKeyMarker", 0);
		id = answer_element(&a, "NextUploadIdMarker", 0);
	}
	assert_int_equal(seen, 4);
	assert_int_equal(groups, 1);
}

static void forbid_overwrite_counts_twice(void **state)
{
	struct emu *e = *state;
	AUTO_FREE char *id = initiate(e, H("x-oss-forbid-overwrite: true"));
	AUTO_FREE char *etag = upload(e, id, 1, 'a', 10);
	AUTO_FREE char *target = str_printf("/bucket/k?uploadId=%s", id);
	AUTO(buf_release) struct buf xml = BUF_INIT;

	emu_do(e, "PUT", "/bucket/k", NULL, "faster", 200);
	list_begin(&xml);
	list_add(&xml, 1, etag);
	buf_adds(&xml, "</CompleteMultipartUpload>");
	emu_fails(e, "POST", target, H("x-oss-forbid-overwrite: true"),
		  buf_str(&xml), 409, "FileAlreadyExists");
	emu_fails(e, "POST", "/bucket/k?uploads",
		  H("x-oss-forbid-overwrite: true"), NULL, 409,
		  "FileAlreadyExists");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
	const struct CMUnitTest tests[] = {
		T(parts_become_one_object),
		T(etags_are_taken_in_any_dress),
		T(bad_lists_are_refused),
		T(the_smallest_part_has_a_hundred_kilobytes),
		T(complete_checks_its_digest_and_drops_the_rest),
		T(answers_encode_keys_when_asked),
		T(complete_all_takes_every_part),
		T(parts_are_copied_by_range),
		T(odd_copy_ranges_have_their_rule),
		T(part_requests_are_checked),
		T(aborted_uploads_are_gone),
		T(parts_are_listed_in_pages),
		T(uploads_are_listed_and_grouped),
		T(pages_of_uploads_give_each_once),
		T(forbid_overwrite_counts_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
