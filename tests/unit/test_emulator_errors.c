/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: status, code, EC and words of each, and the form they come in
 * (protocol sections 2, 4 to 6). */
#include "../support/emu.h"

#include <string.h>

#include "util/codec.h"

static const struct {
	enum oss_err err;
	struct oss_err_info want;
} errors[] = {
	{OE_AUTH_HEADER,
	 {400, "InvalidArgument", "Authorization header is invalid.",
	  "0002-00000202"}							       },
	{OE_AUTH_NO_SIGNATURE,
	 {400, "InvalidArgument", "Authorization header is invalid.",
	  "0002-00000208"}							       },
	{OE_AUTH_EMPTY_ADDITIONAL,
	 {400, "InvalidArgument", "Authorization header is invalid.",
	  "0002-00000209"}							       },
	{OE_INVALID_ACCESS_KEY_ID,
	 {403, "InvalidAccessKeyId",
	  "The OSS Access Key Id you provided does not exist in our records.",
	  "0002-00000902"}							       },
	{OE_SIGNATURE_MISMATCH,
	 {403, "SignatureDoesNotMatch",
	  "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
	  "0002-00000040"}							       },
	{OE_TIME_SKEWED,
	 {403, "RequestTimeTooSkewed",
	  "The difference between the request time and the current time is too large.",
	  "0002-00000504"}							       },
	{OE_TOKEN_INVALID,
	 {403, "InvalidSecurityToken",
	  "The security token you provided is invalid.", ""}                             },
	{OE_TOKEN_EXPIRED,
	 {403, "SecurityTokenExpired",
	  "The security token you provided has expired.", ""}                            },
	{OE_TOKEN_MISMATCH,
	 {403, "AccessKeyIdAndSecurityTokenNotMatch",
	  "The OSS access key id and security token you provided does not match.",
	  ""}									    },
	{OE_ANONYMOUS_OVERRIDE,
	 {400, "InvalidRequest",
	  "Request specific response headers cannot be used for anonymous GET requests.",
	  ""}									    },
	{OE_METHOD_NOT_ALLOWED,
	 {405, "MethodNotAllowed",
	  "The specified method is not allowed against this resource.", ""}              },
	{OE_NOT_IMPLEMENTED,
	 {400, "NotImplemented",
	  "A header you provided implies functionality that is not implemented.",
	  ""}									    },
	{OE_MISSING_CONTENT_LENGTH,
	 {411, "MissingContentLength",
	  "You must provide the Content-Length HTTP header.", ""}                        },
	{OE_SECOND_LEVEL_DOMAIN,
	 {403, "SecondLevelDomainForbidden",
	  "Please use virtual hosted style to access.", ""}                              },
	{OE_INVALID_BUCKET_NAME,
	 {400, "InvalidBucketName", "The specified bucket is not valid.", ""}            },
	{OE_NO_SUCH_BUCKET,
	 {404, "NoSuchBucket", "The specified bucket does not exist.",
	  "0015-00000101"}							       },
	{OE_BUCKET_NOT_EMPTY,
	 {409, "BucketNotEmpty", "The bucket you tried to delete is not empty.",
	  "0015-00000301"}							       },
	{OE_KEY_EMPTY,
	 {400, "InvalidObjectName", "The Object name can not be empty.", ""}             },
	{OE_KEY_TOO_LONG,
	 {400, "InvalidObjectName",
	  "The Length of Object name must be less than 1024.", ""}                       },
	{OE_KEY_INVALID,
	 {400, "InvalidObjectName", "The specified object is not valid.", ""}            },
	{OE_NO_SUCH_KEY,
	 {404, "NoSuchKey", "The specified key does not exist.",
	  "0026-00000001"}							       },
	{OE_FILE_EXISTS,
	 {409, "FileAlreadyExists",
	  "The object you specified already exists and can not be overwritten.",
	  ""}									    },
	{OE_INVALID_DIGEST,
	 {400, "InvalidDigest", "The Content-MD5 you specified was invalid.",
	  ""}									    },
	{OE_INVALID_CRC64,
	 {400, "InvalidCRC64",
	  "The x-oss-hash-crc64ecma you specified does not match what we calculated.",
	  ""}									    },
	{OE_COPY_TOO_LARGE,
	 {400, "EntityTooLarge",
	  "Source object Length exceeds the maximum allowed size.", ""}                  },
	{OE_INVALID_RANGE,
	 {416, "InvalidRange", "The requested range cannot be satisfied", ""}            },
	{OE_PRECONDITION_FAILED,
	 {412, "PreconditionFailed",
	  "At least one of the pre-conditions you specified did not hold.",
	  ""}									    },
	{OE_SYMLINK_NO_TARGET,
	 {404, "SymlinkTargetNotExist",
	  "The symlink target object does not exist.", ""}                               },
	{OE_INVALID_TARGET_TYPE,
	 {400, "InvalidTargetType",
	  "The symbolic's target file type is invalid", "0026-00000011"}                 },
	{OE_NOT_SYMLINK,            {400, "NotSymlink", "The object is not symlink.", ""}},
	{OE_INVALID_OBJECT_STATE,
	 {403, "InvalidObjectState",
	  "The operation is not valid for the object's state.", ""}                      },
	{OE_RESTORE_IN_PROGRESS,
	 {409, "RestoreAlreadyInProgress",
	  "The restore operation is in progress.", ""}                                   },
	{OE_COPY_SOURCE,
	 {400, "InvalidArgument",
	  "Copy Source must mention the source bucket and key: /sourcebucket/sourcekey.",
	  ""}									    },
	{OE_POSITION,
	 {409, "PositionNotEqualToLength",
	  "Position is not equal to file length", "0026-00000016"}                       },
	{OE_NOT_APPENDABLE,
	 {409, "ObjectNotAppendable", "The object is not appendable.", ""}               },
	{OE_MALFORMED_XML,
	 {400, "MalformedXML",
	  "The XML you provided was not well-formed or did not validate against our published schema.",
	  ""}									    },
	{OE_NO_SUCH_UPLOAD,
	 {404, "NoSuchUpload",
	  "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
	  "0042-00000002"}							       },
	{OE_INVALID_PART,
	 {400, "InvalidPart",
	  "One or more of the specified parts could not be found or the specified entity tag might not have matched the part's entity tag.",
	  ""}									    },
	{OE_INVALID_PART_ORDER,
	 {400, "InvalidPartOrder",
	  "The list of parts was not in ascending order.", ""}                           },
	{OE_ENTITY_TOO_SMALL,
	 {400, "EntityTooSmall",
	  "Your proposed upload smaller than the minimum allowed size.", ""}             },
	{OE_PART_NUMBER,
	 {400, "InvalidArgument",
	  "Part number must be an integer between 1 and 10000, inclusive.",
	  ""}									    },
	{OE_COMPLETE_ALL_AND_BODY,
	 {400, "InvalidArgument",
	  "Should not speficy both complete all header and http body.",
	  "0042-00000216"}							       },
	{OE_META_TOO_LARGE,         {400, "InvalidArgument", "Meta is too large.", ""}   },
	{OE_INTERNAL,
	 {500, "InternalError",
	  "Please contact the server administrator, oss@service.aliyun.com.",
	  ""}									    },
};

static void errors_have_oss_s_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		const struct oss_err_info *got = oss_err_info(errors[i].err);
		const struct oss_err_info *want = &errors[i].want;

		assert_int_equal(got->status, want->status);
		assert_string_equal(got->code, want->code);
		assert_string_equal(got->message, want->message);
		assert_string_equal(got->ec, want->ec);
	}
}

/* Protocol 6.1, to the byte. */
static void an_error_has_oss_s_form(void **state)
{
	static const char *const host[] = {"Host: bucket.localhost:80", NULL};
	AUTO(answer_release) struct answer a;
	AUTO(answer_release) struct answer head;
	AUTO(buf_release) struct buf xml = BUF_INIT;
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *want = NULL;
	const char *coded;
	struct emu e;

	(void)state;
	emu_open(&e);
	emu_expect(&e, "GET", "/a%26b", host, NULL, 404, &a);
	id = answer_element(&a, "RequestId", 0);
	assert_int_equal(strlen(id), 24);
	want = str_printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			  "<Error>\n"
			  "<Code>NoSuchKey</Code>"
			  "<Message>The specified key does not exist.</Message>"
			  "<RequestId>%s</RequestId>"
			  "<HostId>bucket.localhost:80</HostId>"
			  "<Key>a&amp;b</Key>"
			  "<EC>0026-00000001</EC>"
			  "<RecommendDoc>https://api.aliyun.com/troubleshoot?q="
			  "0026-00000001</RecommendDoc>"
			  "</Error>\n",
			  id);
	assert_string_equal(buf_str(&a.body), want);
	assert_string_equal(answer_header(&a, "Content-Type"),
			    "application/xml");
	assert_string_equal(answer_header(&a, "x-oss-ec"), "0026-00000001");
	assert_null(kvs_get(&a.headers, "x-oss-err"));
	/* Without a body it stands in a header. */
	emu_expect(&e, "HEAD", "/a%26b", host, NULL, 404, &head);
	assert_int_equal(head.body.len, 0);
	coded = answer_header(&head, "x-oss-err");
	assert_int_equal(base64_decode(&xml, coded, strlen(coded)), 0);
	assert_non_null(strstr(buf_str(&xml), "<Key>a&amp;b</Key>"));
	emu_close(&e);
}

/* What some errors say besides. */
static void errors_have_their_elements(void **state)
{
	static const struct {
		const char *method;
		const char *target;
		const char *header; /* NULL: none */
		const char *body;
		const char *element;
	} cases[] = {
		{"GET",    "/no-bucket/k",          NULL,                        NULL,
		 "<BucketName>no-bucket</BucketName>"									},
		{"PATCH",  "/bucket/k",             NULL,                        NULL,
		 "<Method>PATCH</Method><ResourceType>Object</ResourceType>"                                                 },
		{"PATCH",  "/bucket",               NULL,                        NULL,
		 "<Method>PATCH</Method><ResourceType>Bucket</ResourceType>"                                                 },
		{"PUT",    "/",                     NULL,                        "",   "<ResourceType>Service</ResourceType>"},
		{"PUT",    "/bucket/k",             "If-None-Match: *",          "x",
		 "<Header>If-None-Match</Header>"									    },
		{"PUT",    "/bucket/k",             "x-oss-storage-class: Gold", "x",
		 "<ArgumentName>x-oss-storage-class</ArgumentName><ArgumentValue>Gold</ArgumentValue>"                       },
		{"GET",    "/bucket/there",         "If-Match: \"AB\"",          NULL,
		 "<Condition>If-Match</Condition>"									   },
		{"GET",    "/bucket/k",
		 "Authorization: OSS4-HMAC-SHA256 Signature=x",                  NULL,
		 "<EC>0002-00000202</EC>"										    },
		{"POST",   "/bucket/there?restore", NULL,                        "",
		 "<EC>0016-00000702</EC>"										    },
		{"POST",   "/bucket/there?restore", NULL,                        "",
		 "<Detail>RestoreObject operation does not support this object storage class</Detail>"                       },
		{"DELETE", "/bucket",               NULL,                        NULL, "<EC>0015-00000301</EC>"              },
	};
	struct emu e;

	(void)state;
	emu_open(&e);
	emu_do(&e, "PUT", "/bucket/there", NULL, "x", 200);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const headers[] = {cases[i].header, NULL};
		const char *body = cases[i].body;
		AUTO(answer_release) struct answer a;

		emu_request(&e, cases[i].method, cases[i].target, headers, body,
			    body ? strlen(body) : 0, &a);
		if (!strstr(buf_str(&a.body), cases[i].element))
			fail_msg("%s %s: got %s, want %s", cases[i].method,
				 cases[i].target, buf_str(&a.body),
				 cases[i].element);
	}
	e.opt.quirks.no_condition_element = true;
	{
		AUTO(answer_release) struct answer a;

		emu_expect(&e, "GET", "/bucket/there",
			   (const char *[]){"If-Match: \"AB\"", NULL}, NULL,
			   412, &a);
		assert_null(strstr(buf_str(&a.body), "<Condition>"));
	}
	emu_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_have_oss_s_words),
		cmocka_unit_test(an_error_has_oss_s_form),
		cmocka_unit_test(errors_have_their_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
