/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "oss/answers.h"
#include "oss/xml.h"

#define DECL "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

static const char error_xml[] =
	DECL "<Error>\n"
	     "  <Code>NoSuchKey</Code>\n"
	     "  <Message>The specified key does not exist.</Message>\n"
	     "  <RequestId>6557176CD11E5535303C0000</RequestId>\n"
	     "  <HostId>bucket.oss-cn-hangzhou.aliyuncs.com</HostId>\n"
	     "  <Key>walker-not.txt</Key>\n"
	     "  <EC>0026-00000001</EC>\n"
	     "  <Detail><Code>inner</Code></Detail>\n"
	     "</Error>\n";

static void errors_are_read(void **state)
{
	struct oss_reply r = {.http = 404};

	(void)state;
	assert_int_equal(answer_error(error_xml, strlen(error_xml), &r), 0);
	assert_string_equal(r.code, "NoSuchKey");
	assert_string_equal(r.message, "The specified key does not exist.");
	assert_string_equal(r.request_id, "6557176CD11E5535303C0000");
	assert_string_equal(r.ec, "0026-00000001");
	assert_int_equal(r.http, 404);
}

static void a_broken_rest_does_not_hide_the_code(void **state)
{
	static const char *const texts[] = {
		("<Error><Code>X</Code><Key>a\x01"
		 "b</Key></Error>"),
		"<Error><Code>X</Code></Error>trailing",
		"<Error><Code>X</Code><Mess",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct oss_reply r = {.http = 404};

		assert_int_equal(answer_error(texts[i], strlen(texts[i]), &r),
				 0);
		assert_string_equal(r.code, "X");
	}
}

static void words_too_long_are_cut(void **state)
{
	AUTO(buf_release) struct buf xml = BUF_INIT;
	struct oss_reply r = {0};

	(void)state;
	buf_adds(&xml, "<Error><Code>X</Code><Message>");
	for (int i = 0; i < 10000; i++)
		buf_adds(&xml, "long ");
	buf_adds(&xml, "</Message></Error>");
	assert_int_equal(answer_error(xml.data, xml.len, &r), 0);
	assert_int_equal(strlen(r.message), sizeof(r.message) - 1);
}

static const char *const not_errors[] = {
	"",
	" ",
	"garbage",
	"<html><body><h1>502 Bad Gateway</h1></body></html>",
	"<!DOCTYPE html><html></html>",
	"<Error>",
	"<Error></Error>",
	"<Error><Code></Code></Error>",
	"<Error><Code>X</Error></Code>",
	"<NotError><Code>X</Code></NotError>",
	"<!DOCTYPE Error [<!ENTITY a \"aaaa\">]><Error><Code>&a;</Code></Error>",
	"<!DOCTYPE Error SYSTEM \"f.dtd\"><Error><Code>X</Code></Error>",
	"<Error><Code>&unknown;</Code></Error>",
	"<Error><Code>\xff\xfe</Code></Error>",
	"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
};

static void what_is_no_error_leaves_the_reply_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(not_errors); i++) {
		struct oss_reply r = {.code = "Before"};
		int rc = answer_error(not_errors[i], strlen(not_errors[i]), &r);

		if (rc != -EBADMSG || strcmp(r.code, "Before") != 0)
			fail_msg("%s: got %d", not_errors[i], rc);
	}
}

static void endless_text_is_refused(void **state)
{
	AUTO(buf_release) struct buf xml = BUF_INIT;
	struct oss_reply r = {0};

	(void)state;
	buf_adds(&xml, "<Error><Code>");
	for (size_t i = 0; i < XML_TEXT_MAX / 8 + 1; i++)
		buf_adds(&xml, "01234567");
	buf_adds(&xml, "</Code></Error>");
	assert_int_equal(answer_error(xml.data, xml.len, &r), -EBADMSG);
}

static const struct oss_list all = {.prefix = ""};

static const char list_xml[] = DECL
	"<ListBucketResult xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\">\n"
	"  <Name>examplebucket</Name>\n"
	"  <Prefix>a%2F</Prefix>\n"
	"  <MaxKeys>3</MaxKeys>\n"
	"  <Delimiter>%2F</Delimiter>\n"
	"  <EncodingType>url</EncodingType>\n"
	"  <IsTruncated>true</IsTruncated>\n"
	"  <NextContinuationToken>CgJiYw--</NextContinuationToken>\n"
	"  <Contents>\n"
	"    <Key>a%2Fb+c%2B%E4%B8%AD</Key>\n"
	"    <LastModified>2020-05-18T05:45:47.000Z</LastModified>\n"
	"    <ETag>\"35a27c2b9eaeeb6f48fd7fb5861d0000\"</ETag>\n"
	"    <Type>Normal</Type>\n"
	"    <Size>25</Size>\n"
	"    <StorageClass>Standard</StorageClass>\n"
	"    <Owner><ID>0022012</ID><DisplayName>u</DisplayName></Owner>\n"
	"  </Contents>\n"
	"  <Contents><Key>a%2Fz</Key><Size>0</Size></Contents>\n"
	"  <CommonPrefixes>\n"
	"    <Prefix>a%2Fdir%2F</Prefix>\n"
	"  </CommonPrefixes>\n"
	"  <KeyCount>3</KeyCount>\n"
	"</ListBucketResult>\n";

static void listings_are_decoded_and_merged_in_key_order(void **state)
{
	struct oss_list_page p = {.count = 0};

	(void)state;
	assert_int_equal(answer_list(list_xml, strlen(list_xml), &all, &p), 0);
	assert_int_equal(p.count, 3);
	assert_string_equal(p.entries[0].key, "a/b c+\xe4\xb8\xad");
	assert_false(p.entries[0].is_prefix);
	assert_int_equal(p.entries[0].size, 25);
	assert_int_equal(p.entries[0].modified_ms, 1589780747000);
	assert_string_equal(p.entries[0].etag,
			    "35A27C2B9EAEEB6F48FD7FB5861D0000");
	assert_string_equal(p.entries[0].type, "Normal");
	assert_string_equal(p.entries[0].storage_class, "Standard");
	assert_string_equal(p.entries[1].key, "a/dir/");
	assert_true(p.entries[1].is_prefix);
	assert_string_equal(p.entries[2].key, "a/z");
	assert_string_equal(p.next_token, "CgJiYw--");
	oss_list_page_release(&p);
}

static void plain_listings_are_not_decoded(void **state)
{
	static const char xml[] =
		"<ns:ListBucketResult xmlns:ns=\"x\"><ns:IsTruncated>false"
		"</ns:IsTruncated><ns:NextContinuationToken/><ns:Contents>"
		"<ns:Key>a%2Fb+&amp;&#x9;</ns:Key><ns:Size>1</ns:Size>"
		"</ns:Contents></ns:ListBucketResult>";
	struct oss_list_page p = {.count = 0};

	(void)state;
	assert_int_equal(answer_list(xml, strlen(xml), &all, &p), 0);
	assert_int_equal(p.count, 1);
	assert_string_equal(p.entries[0].key, "a%2Fb+&\t");
	assert_null(p.next_token);
	oss_list_page_release(&p);
}

#define LIST(inner) "<ListBucketResult>" inner "</ListBucketResult>"

static const char *const bad_lists[] = {
	"<ListAllMyBucketsResult/>",
	LIST("<Contents><Size>1</Size></Contents>"),
	LIST("<Contents><Key>a</Key></Contents>"),
	LIST("<Contents><Key>a</Key><Size>-1</Size></Contents>"),
	LIST("<Contents><Key>a</Key><Size>1 </Size></Contents>"),
	LIST("<Contents><Key>a</Key><Size>99999999999999999999</Size>"
	     "</Contents>"),
	LIST("<Contents><Key>a</Key><Size>1</Size><LastModified>now"
	     "</LastModified></Contents>"),
	LIST("<CommonPrefixes></CommonPrefixes>"),
	LIST("<EncodingType>url</EncodingType><Contents><Key>%zz</Key>"
	     "<Size>1</Size></Contents>"),
	LIST("<EncodingType>url</EncodingType><Contents><Key>a%00b</Key>"
	     "<Size>1</Size></Contents>"),
	LIST("<IsTruncated>true</IsTruncated>"),
	"<ListBucketResult><Contents><Key>a</Key>",
};

static void malformed_listings_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_lists); i++) {
		struct oss_list_page p = {.count = 77};
		int rc = answer_list(bad_lists[i], strlen(bad_lists[i]), &all,
				     &p);

		if (rc != -EBADMSG || p.count != 77)
			fail_msg("%s: got %d", bad_lists[i], rc);
	}
}

static void pages_that_answer_another_question_are_refused(void **state)
{
	static const struct {
		const char *prefix, *token;
		int want;
	} rows[] = {
		{NULL,				   NULL,       0       },
		{"",				     "other",    0       },
		{"a/",				   NULL,       0       },
		{"a/b",				  NULL,       -EBADMSG},
		{"b/",				   NULL,       -EBADMSG},
		{"a/a long prefix, longer than any key", NULL,       -EBADMSG},
		{"a/",				   "CgJiYw--", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct oss_list asked = {.prefix = rows[i].prefix,
					       .token = rows[i].token};
		struct oss_list_page p = {.count = 0};
		int rc = answer_list(list_xml, strlen(list_xml), &asked, &p);

		if (rc != rows[i].want || (rc < 0 && p.count != 0))
			fail_msg("row %zu: got %d", i, rc);
		if (rc == 0)
			oss_list_page_release(&p);
	}
}

static void results_of_copies_and_initiate_are_read(void **state)
{
	static const char copy[] =
		DECL "<CopyObjectResult><ETag>\"F2064A169EE92E97\"</ETag>"
		     "<LastModified>2018-12-28T09:41:56.000Z</LastModified>"
		     "</CopyObjectResult>";
	static const char part[] =
		"<CopyPartResult><LastModified>2014-07-17T06:27:54.000Z"
		"</LastModified><ETag>\"5B3C1A2E\"</ETag></CopyPartResult>";
	static const char init[] =
		"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
		"<UploadId>0004B989</UploadId></InitiateMultipartUploadResult>";
	static const char empty[] = "<InitiateMultipartUploadResult/>";
	char etag[72];
	int64_t ms = 0;
	char *id = NULL;

	(void)state;
	assert_int_equal(answer_copy(copy, strlen(copy), etag, &ms), 0);
	assert_string_equal(etag, "F2064A169EE92E97");
	assert_int_equal(ms, 1545990116000);
	assert_int_equal(answer_copy(part, strlen(part), etag, NULL), 0);
	assert_string_equal(etag, "5B3C1A2E");
	assert_int_equal(answer_copy(init, strlen(init), etag, NULL), -EBADMSG);
	assert_int_equal(answer_initiate(init, strlen(init), &id), 0);
	assert_string_equal(id, "0004B989");
	free(id);
	id = NULL;
	assert_int_equal(answer_initiate(empty, strlen(empty), &id), -EBADMSG);
	assert_null(id);
}

static void pages_of_parts_are_appended(void **state)
{
	static const char first[] =
		"<ListPartsResult><IsTruncated>true</IsTruncated>"
		"<NextPartNumberMarker>2</NextPartNumberMarker>"
		"<Part><PartNumber>1</PartNumber><ETag>\"aa\"</ETag>"
		"<HashCrc64ecma>18446744073709551615</HashCrc64ecma>"
		"<Size>102400</Size></Part>"
		"<Part><PartNumber>2</PartNumber><ETag>\"bb\"</ETag>"
		"<Size>5</Size></Part></ListPartsResult>";
	static const char last[] =
		"<ListPartsResult><NextPartNumberMarker>7</NextPartNumberMarker>"
		"<IsTruncated>false</IsTruncated>"
		"<Part><PartNumber>7</PartNumber><ETag>c</ETag><Size>1</Size>"
		"</Part></ListPartsResult>";
	static const char bad[] =
		"<ListPartsResult><Part><PartNumber>10001</PartNumber>"
		"<ETag>c</ETag></Part></ListPartsResult>";
	struct oss_part *parts = NULL;
	size_t count = 0;
	int next = -1;

	(void)state;
	assert_int_equal(
		answer_parts(first, strlen(first), &parts, &count, &next), 0);
	assert_int_equal(next, 2);
	assert_int_equal(
		answer_parts(last, strlen(last), &parts, &count, &next), 0);
	assert_int_equal(next, 0);
	assert_int_equal(count, 3);
	assert_true(parts[0].has_crc64);
	assert_true(parts[0].crc64 == UINT64_MAX);
	assert_false(parts[1].has_crc64);
	assert_int_equal(parts[2].number, 7);
	assert_string_equal(parts[2].etag, "C");
	assert_int_equal(answer_parts(bad, strlen(bad), &parts, &count, &next),
			 -EBADMSG);
	assert_int_equal(count, 3);
	free(parts);
}

static void pages_of_uploads_are_appended(void **state)
{
	static const char xml[] =
		"<ListMultipartUploadsResult><EncodingType>url</EncodingType>"
		"<NextKeyMarker>k%2F2</NextKeyMarker><NextUploadIdMarker>ID2"
		"</NextUploadIdMarker><IsTruncated>true</IsTruncated>"
		"<Upload><Key>k%2F1</Key><UploadId>ID1</UploadId>"
		"<Initiated>2020-05-18T05:45:47.000Z</Initiated></Upload>"
		"</ListMultipartUploadsResult>";
	static const char bad[] =
		"<ListMultipartUploadsResult><Upload><Key>k</Key></Upload>"
		"</ListMultipartUploadsResult>";
	struct oss_upload *list = NULL;
	size_t count = 0;
	char *key = NULL;
	char *id = NULL;

	(void)state;
	assert_int_equal(
		answer_uploads(xml, strlen(xml), &list, &count, &key, &id), 0);
	assert_int_equal(count, 1);
	assert_string_equal(list[0].key, "k/1");
	assert_string_equal(list[0].upload_id, "ID1");
	assert_int_equal(list[0].initiated_ms, 1589780747000);
	assert_string_equal(key, "k/2");
	assert_string_equal(id, "ID2");
	free(key);
	free(id);
	assert_int_equal(
		answer_uploads(bad, strlen(bad), &list, &count, &key, &id),
		-EBADMSG);
	oss_uploads_free(list, count);
}

static void note_key(void *arg, const char *key)
{
	buf_addf(arg, "[%s]", key);
}

static void deleted_keys_are_told(void **state)
{
	static const char xml[] = DECL
		"<DeleteResult><EncodingType>url</EncodingType>"
		"<Deleted><Key>a%2Fb</Key></Deleted><Deleted><Key>c+d</Key>"
		"<DeleteMarker>true</DeleteMarker></Deleted></DeleteResult>";
	AUTO(buf_release) struct buf got = BUF_INIT;

	(void)state;
	assert_int_equal(answer_deleted(xml, strlen(xml), note_key, &got), 0);
	assert_string_equal(buf_str(&got), "[a/b][c d]");
}

static void tags_become_a_header_value(void **state)
{
	static const char xml[] =
		"<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value>"
		"</Tag><Tag><Key>c</Key><Value></Value></Tag></TagSet>"
		"</Tagging>";
	static const char none[] = "<Tagging><TagSet/></Tagging>";
	char *tags = NULL;

	(void)state;
	assert_int_equal(answer_tagging(xml, strlen(xml), &tags), 0);
	assert_string_equal(tags, "a%20b=1%262&c=");
	free(tags);
	assert_int_equal(answer_tagging(none, strlen(none), &tags), 0);
	assert_string_equal(tags, "");
	free(tags);
}

static void keys_are_escaped_for_xml(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT;

	(void)state;
	xml_escape(&out, "a&<b>\"\t\n\r'\xe4\xb8\xad");
	assert_string_equal(
		buf_str(&out),
		"a&amp;&lt;b&gt;&quot;&#x9;&#xA;&#xD;'\xe4\xb8\xad");
	assert_false(xml_cannot_hold("a\tb\xe4\xb8\xad"));
	assert_true(xml_cannot_hold("a\x01"));
	assert_true(xml_cannot_hold("a\xff"));
	assert_true(xml_cannot_hold("a\xef\xbf\xbf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_are_read),
		cmocka_unit_test(a_broken_rest_does_not_hide_the_code),
		cmocka_unit_test(words_too_long_are_cut),
		cmocka_unit_test(what_is_no_error_leaves_the_reply_alone),
		cmocka_unit_test(endless_text_is_refused),
		cmocka_unit_test(listings_are_decoded_and_merged_in_key_order),
		cmocka_unit_test(plain_listings_are_not_decoded),
		cmocka_unit_test(malformed_listings_are_refused),
		cmocka_unit_test(
			pages_that_answer_another_question_are_refused),
		cmocka_unit_test(results_of_copies_and_initiate_are_read),
		cmocka_unit_test(pages_of_parts_are_appended),
		cmocka_unit_test(pages_of_uploads_are_appended),
		cmocka_unit_test(deleted_keys_are_told),
		cmocka_unit_test(tags_become_a_header_value),
		cmocka_unit_test(keys_are_escaped_for_xml),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
