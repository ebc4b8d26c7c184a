/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/errors.h"

#include <assert.h>
#include <stddef.h>

#include "util/base.h"

static const struct oss_err_info table[OE_COUNT] = {
	[OE_NONE] = {200, "",				    "",                             ""             },
	[OE_INVALID_ARGUMENT] = {400, "InvalidArgument",                     "Invalid Argument.",
                     ""											 },
	[OE_AUTH_HEADER] = {400, "InvalidArgument",
                     "Authorization header is invalid.",					 "0002-00000202"},
	[OE_AUTH_EMPTY_ADDITIONAL] = {400, "InvalidArgument",
                     "Authorization header is invalid.",					 "0002-00000209"},
	[OE_AUTH_NO_SIGNATURE] = {400, "InvalidArgument",
                     "Authorization header is invalid.",					 "0002-00000208"},
	[OE_AUTH_BOTH_WAYS] = {400, "InvalidArgument",
                     "Only one auth mechanism allowed; only the "
			       "Signature query string parameter or the "
			       "Authorization header should be specified.",                      ""             },
	[OE_NO_DATE_403] = {403, "AccessDenied",
                     "OSS authentication requires a valid Date.",                                ""             },
	[OE_NO_DATE_400] = {400, "InvalidArgument",
                     "OSS authentication requires a valid Date.",                                ""             },
	[OE_INVALID_ACCESS_KEY_ID] = {403, "InvalidAccessKeyId",
                     "The OSS Access Key Id you provided does "
				      "not exist in our records.",                               "0002-00000902"},
	[OE_SIGNATURE_MISMATCH] = {403, "SignatureDoesNotMatch",
                     "The request signature we calculated does "
				   "not match the signature you provided. "
				   "Check your key and signing method.",                         "0002-00000040"},
	[OE_TIME_SKEWED] = {403, "RequestTimeTooSkewed",
                     "The difference between the request time and the "
			    "current time is too large.",					"0002-00000504"},
	[OE_QUERY_AUTH_INCOMPLETE] = {403, "AccessDenied",
                     "Query-string authentication requires "
				      "the Signature, Expires and "
				      "OSSAccessKeyId parameters",                               ""             },
	[OE_QUERY_AUTH_BAD_DATE] = {403, "AccessDenied",
                     "Invalid date (should be seconds since "
				    "epoch).",						   ""             },
	[OE_REQUEST_EXPIRED] = {403, "AccessDenied",                        "Request has expired.",
                     ""											 },
	[OE_ANONYMOUS_OBJECT] = {403, "AccessDenied",
                     "You have no right to access this object "
				 "because of bucket acl.",				       "0003-00000001"},
	[OE_ANONYMOUS_BUCKET] = {403, "AccessDenied",
                     "Anonymous user has no right to access this "
				 "bucket.",						      "0003-00000001"},
	[OE_ACCESS_DENIED] = {403, "AccessDenied",                        "AccessDenied",
                     "0003-00000001"									    },
	[OE_TOKEN_INVALID] = {403, "InvalidSecurityToken",
                     "The security token you provided is invalid.",			      ""             },
	[OE_TOKEN_EXPIRED] = {403, "SecurityTokenExpired",
                     "The security token you provided has expired.",                             ""             },
	[OE_TOKEN_MISMATCH] = {403, "AccessKeyIdAndSecurityTokenNotMatch",
                     "The OSS access key id and security token you "
			       "provided does not match.",				       ""             },
	[OE_TOKEN_NOT_IN_QUERY] = {400, "InvalidRequest",
                     "Security-token must be provided by query "
				   "string parameter.",					  ""             },
	[OE_ANONYMOUS_OVERRIDE] = {400, "InvalidRequest",
                     "Request specific response headers cannot "
				   "be used for anonymous GET requests.",                        ""             },
	[OE_METHOD_NOT_ALLOWED] = {405, "MethodNotAllowed",
                     "The specified method is not allowed "
				   "against this resource.",				     ""             },
	[OE_NOT_IMPLEMENTED] = {400, "NotImplemented",
                     "A header you provided implies functionality "
				"that is not implemented.",				      ""             },
	[OE_MISSING_CONTENT_LENGTH] = {411, "MissingContentLength",
                     "You must provide the Content-Length "
				       "HTTP header.",					   ""             },
	[OE_SECOND_LEVEL_DOMAIN] = {403, "SecondLevelDomainForbidden",
                     "Please use virtual hosted style to "
				    "access.",						   ""             },

	[OE_INVALID_BUCKET_NAME] = {400, "InvalidBucketName",
                     "The specified bucket is not valid.",                                       ""             },
	[OE_NO_SUCH_BUCKET] = {404, "NoSuchBucket",
                     "The specified bucket does not exist.",				     "0015-00000101"},
	[OE_BUCKET_NOT_EMPTY] = {409, "BucketNotEmpty",
                     "The bucket you tried to delete is not "
				 "empty.",						       "0015-00000301"},

	[OE_KEY_EMPTY] = {400, "InvalidObjectName",
                     "The Object name can not be empty.",                                        ""             },
	[OE_KEY_TOO_LONG] = {400, "InvalidObjectName",
                     "The Length of Object name must be less than "
			     "1024.",							    ""             },
	[OE_KEY_INVALID] = {400, "InvalidObjectName",
                     "The specified object is not valid.",                                       ""             },
	[OE_NO_SUCH_KEY] = {404, "NoSuchKey",
                     "The specified key does not exist.",					"0026-00000001"},
	[OE_NO_SUCH_VERSION] = {404, "NoSuchVersion",
                     "The specified version does not exist.",                                    ""             },
	[OE_FILE_EXISTS] = {409, "FileAlreadyExists",
                     "The object you specified already exists and can "
			    "not be overwritten.",					       ""             },
	[OE_INVALID_DIGEST] = {400, "InvalidDigest",
                     "The Content-MD5 you specified was invalid.",			       ""             },
	[OE_INVALID_CRC64] = {400, "InvalidCRC64",
                     "The x-oss-hash-crc64ecma you specified does not "
			      "match what we calculated.",				       ""             },
	[OE_ENTITY_TOO_LARGE] = {400, "EntityTooLarge",
                     "Your proposed upload exceeds the maximum "
				 "allowed object size.",					 ""             },
	[OE_COPY_TOO_LARGE] = {400, "EntityTooLarge",
                     "Source object Length exceeds the maximum "
			       "allowed size.",						  ""             },
	[OE_META_TOO_LARGE] = {400, "InvalidArgument",                     "Meta is too large.",
                     ""											 },
	[OE_INVALID_ENCRYPTION] = {400, "InvalidEncryptionAlgorithmError",
                     "The Encryption request you specified is "
				   "not valid. Supported value: AES256/KMS.",                    ""             },
	[OE_INVALID_RANGE] = {416, "InvalidRange",
                     "The requested range cannot be satisfied",                                  ""             },
	[OE_PRECONDITION_FAILED] = {412, "PreconditionFailed",
                     "At least one of the pre-conditions you "
				    "specified did not hold.",                                   ""             },
	[OE_NOT_MODIFIED] = {304, "NotModified",                         "",                             ""             },
	[OE_SYMLINK_NO_TARGET] = {404, "SymlinkTargetNotExist",
                     "The symlink target object does not exist.",                                ""             },
	[OE_INVALID_TARGET_TYPE] = {400, "InvalidTargetType",
                     "The symbolic's target file type is "
				    "invalid",						   "0026-00000011"},
	[OE_NOT_SYMLINK] = {400, "NotSymlink",                          "The object is not symlink.",
                     ""											 },
	[OE_INVALID_OBJECT_STATE] = {403, "InvalidObjectState",
                     "The operation is not valid for the "
				     "object's state.",					  ""             },
	[OE_RESTORE_IN_PROGRESS] = {409, "RestoreAlreadyInProgress",
                     "The restore operation is in progress.",				    ""             },
	[OE_RESTORE_NOT_SUPPORTED] = {400, "OperationNotSupported",
                     "The operation is not supported for "
				      "this resource",					   "0016-00000702"},
	[OE_NOT_SUPPORTED] = {400, "OperationNotSupported",
                     "The operation is not supported for this "
			      "resource",							""             },
	[OE_COPY_SOURCE] = {400, "InvalidArgument",
                     "Copy Source must mention the source bucket and "
			    "key: /sourcebucket/sourcekey.",				     ""             },
	[OE_POSITION] = {409, "PositionNotEqualToLength",
                     "Position is not equal to file length",				     "0026-00000016"},
	[OE_NOT_APPENDABLE] = {409, "ObjectNotAppendable",
                     "The object is not appendable.",                                            ""             },
	[OE_INVALID_TAG] = {400, "InvalidTag",
                     "The tag you have provided is invalid.",                                    ""             },
	[OE_REPEATED_TAGS] = {400, "RepeatedTags",
                     "Cannot provide multiple Tags with the same "
			      "key.",							    ""             },
	[OE_TOO_MANY_TAGS] = {400, "TooManyTags",
                     "Object tags cannot be greater than 10.",                                   ""             },
	[OE_MALFORMED_XML] = {400, "MalformedXML",
                     "The XML you provided was not well-formed or did "
			      "not validate against our published schema.",                      ""             },

	[OE_NO_SUCH_UPLOAD] = {404, "NoSuchUpload",
                     "The specified upload does not exist. The "
			       "upload ID may be invalid, or the upload may "
			       "have been aborted or completed.",				"0042-00000002"},
	[OE_INVALID_PART] = {400, "InvalidPart",
                     "One or more of the specified parts could not be "
			     "found or the specified entity tag might not "
			     "have matched the part's entity tag.",			      ""             },
	[OE_INVALID_PART_ORDER] = {400, "InvalidPartOrder",
                     "The list of parts was not in ascending "
				   "order.",						     ""             },
	[OE_ENTITY_TOO_SMALL] = {400, "EntityTooSmall",
                     "Your proposed upload smaller than the "
				 "minimum allowed size.",					""             },
	[OE_PART_NUMBER] = {400, "InvalidArgument",
                     "Part number must be an integer between 1 and "
			    "10000, inclusive.",						 ""             },
	[OE_COMPLETE_ALL_AND_BODY] = {400, "InvalidArgument",
                     "Should not speficy both complete all "
				      "header and http body.",                                   "0042-00000216"},

	[OE_POLICY_DOCUMENT] = {400, "InvalidPolicyDocument",
                     "Invalid Policy: Invalid JSON.",                                            ""             },
	[OE_MALFORMED_POST] = {400, "MalformedPOSTRequest",
                     "The body of your POST request is not "
			       "well-formed multipart/form-data.",			       ""             },
	[OE_POST_FILES] = {400, "IncorrectNumberOfFilesInPOSTRequest",
                     "POST requires exactly one file upload per request.",                       ""             },
	[OE_NOT_MULTIPART] = {400, "RequestIsNotMultiPartContent",
                     "Bucket POST must be of the enclosure-type "
			      "multipart/form-data.",					    ""             },
	[OE_FIELD_TOO_LONG] =
		{400, "FieldItemTooLong",
		     "A form field, or all their names, are too long.",                          ""             },

	[OE_CB_LENGTH] = {400, "InvalidArgument",
                     "The length of callback exceed max value.",				 "0007-00000001"},
	[OE_CB_BASE64] = {400, "InvalidArgument",
                     "The callback configuration is not base64 encoded.",                        "0007-00000002"},
	[OE_CB_JSON] = {400, "InvalidArgument",
                     "The callback configuration is not json format.",			   "0007-00000003"},
	[OE_CB_URL] = {400, "InvalidArgument",
                     "The callback url configuration is invalid.",			       "0007-00000004"},
	[OE_CB_NO_IP] = {400, "InvalidArgument",                     "Can not get ip by this host.",
                     "0007-00000007"									    },
	[OE_CB_PRIVATE] = {400, "InvalidArgument",
                     "Private address is forbidden to callback.",				"0007-00000008"},
	[OE_CB_BODY_EMPTY] = {400, "InvalidArgument",
                     "The callback body is empty.",                                              "0007-00000011"},
	[OE_CB_BODY_INVALID] = {400, "InvalidArgument",
                     "The callback body is invalid.",					    "0007-00000010"},
	[OE_CB_HOST] = {400, "InvalidArgument",
                     "The callback host configuration is invalid.",                              ""             },
	[OE_CB_BODY_TYPE] = {400, "InvalidArgument",
                     "The callback body type configuration is "
			     "invalid.",							 "0007-00000012"},
	[OE_CB_BODY_TYPE_UNKNOWN] = {400, "InvalidArgument",
                     "The body type of callback is not "
				     "supported.",					       ""             },
	[OE_CB_TOO_MANY_URLS] = {400, "InvalidArgument",
                     "The number of callback url exceed max "
				 "value.",						       ""             },
	[OE_CB_VAR_LENGTH] = {400, "InvalidArgument",
                     "The length of callback var exceed max value.",                             ""             },
	[OE_CB_VAR_BASE64] = {400, "InvalidArgument",
                     "The callback var is not base64 encoded.",				  "0007-00000102"},
	[OE_CB_VAR_JSON] = {400, "InvalidArgument",
                     "The callback var is not expecten json.",				   "0007-00000103"},
	[OE_CB_SIGNATURE_VERSION] = {400, "InvalidArgument",
                     "The callback signature version is "
				     "invalid.",						 ""             },
	[OE_CB_BOTH_WAYS] = {400, "InvalidArgument",
                     "Either the callback query string parameter or "
			     "the x-oss-callback header should be specified, "
			     "not both.",							"0007-00000027"},
	[OE_CB_VAR_BOTH_WAYS] = {400, "InvalidArgument",
                     "Either the callback-var query string "
				 "parameter or the x-oss-callback-var header "
				 "should be specified, not both.",                               "0007-00000027"},
	[OE_CALLBACK_FAILED] = {203, "CallbackFailed",                      "",                             ""             },
	[OE_INTERNAL] = {500, "InternalError",
                     "Please contact the server administrator, "
			 "oss@service.aliyun.com.",					      ""             },
};

const struct oss_err_info *oss_err_info(enum oss_err err)
{
	assert((size_t)err < ARRAY_LEN(table) && table[err].code);
	return &table[err];
}
