/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>

#include "oss/error.h"

#define NO OSS_RETRY_NO
#define YES OSS_RETRY_YES
#define CRED OSS_RETRY_CREDENTIALS
#define CLOCK OSS_RETRY_CLOCK

static const struct {
	int http;
	const char *code;
	int want;
	enum oss_retry retry;
} cases[] = {
	{200, "",				    0,           NO   },
	{204, "",				    0,           NO   },
	{206, "",				    0,           NO   },
	{203, "CallbackFailed",                      0,           NO   },
	{203, "",				    0,           NO   },
	{400, "InvalidArgument",                     -EINVAL,     NO   },
	{400, "InvalidObjectName",                   -EINVAL,     NO   },
	{400, "InvalidDigest",                       -EIO,        YES  },
	{400, "InvalidCRC64",                        -EIO,        YES  },
	{400, "RequestTimeout",                      -EIO,        YES  },
	{400, "IncompleteBody",                      -EIO,        YES  },
	{400, "BadRequest",                          -EIO,        YES  },
	{400, "EntityTooLarge",                      -EFBIG,      NO   },
	{400, "InvalidPart",                         -EIO,        NO   },
	{400, "MalformedXML",                        -EIO,        NO   },
	{400, "NotImplemented",                      -EOPNOTSUPP, NO   },
	{400, "NotSymlink",                          -EINVAL,     NO   },
	{400, "InvalidTargetType",                   -ELOOP,      NO   },
	{400, "SomethingNew",                        -EINVAL,     NO   },
	{400, "",				    -EINVAL,     NO   },
	{401, "",				    -EACCES,     CRED },
	{403, "AccessDenied",                        -EACCES,     NO   },
	{403, "InvalidAccessKeyId",                  -EACCES,     CRED },
	{403, "SignatureDoesNotMatch",               -EACCES,     CRED },
	{403, "SecurityTokenExpired",                -EACCES,     CRED },
	{403, "InvalidSecurityToken",                -EACCES,     CRED },
	{403, "AccessKeyIdAndSecurityTokenNotMatch", -EACCES,     CRED },
	{403, "RequestTimeTooSkewed",                -EACCES,     CLOCK},
	{403, "InvalidObjectState",                  -EACCES,     NO   },
	{403, "UserDisable",                         -EACCES,     NO   },
	{403, "SecondLevelDomainForbidden",          -EINVAL,     NO   },
	{403, "",				    -EACCES,     NO   },
	{404, "NoSuchKey",			   -ENOENT,     NO   },
	{404, "NoSuchBucket",                        -ENODEV,     NO   },
	{404, "NoSuchUpload",                        -ENOENT,     NO   },
	{404, "SymlinkTargetNotExist",               -ENOENT,     NO   },
	{404, "",				    -ENOENT,     NO   },
	{405, "MethodNotAllowed",                    -EOPNOTSUPP, NO   },
	{408, "",				    -EIO,        YES  },
	{409, "FileAlreadyExists",                   -EEXIST,     NO   },
	{409, "FileImmutable",                       -EPERM,      NO   },
	{409, "RestoreAlreadyInProgress",            -EBUSY,      NO   },
	{409, "",				    -EIO,        NO   },
	{411, "MissingContentLength",                -EIO,        NO   },
	{412, "PreconditionFailed",                  -ESTALE,     NO   },
	{412, "",				    -ESTALE,     NO   },
	{416, "InvalidRange",                        -EINVAL,     NO   },
	{418, "",				    -EIO,        NO   },
	{301, "",				    -EIO,        NO   },
	{429, "",				    -EIO,        YES  },
	{500, "InternalError",                       -EIO,        YES  },
	{500, "",				    -EIO,        YES  },
	{502, "",				    -EIO,        YES  },
	{503, "ServiceUnavailable",                  -EIO,        YES  },
	{503, "TotalQpsLimitExceeded",               -EIO,        YES  },
	{503, "SlowDown",			    -EIO,        YES  },
	{403, "SomeQpsLimitExceeded",                -EACCES,     YES  },
	{504, "",				    -EIO,        YES  },
	{0,   "",				    -EIO,        YES  },
	{0,   "Timeout",			     -ETIMEDOUT,  YES  },
	{0,   "ConnectFailed",                       -EIO,        YES  },
	{0,   "CertificateRefused",                  -EIO,        NO   },
	{0,   "Canceled",			    -ECANCELED,  NO   },
	{200, "NotOss",			      -EIO,        YES  },
	{203, "CrcMismatch",                         -EIO,        YES  },
	{203, "NotOss",			      -EIO,        YES  },
	{200, "CrcMismatch",                         -EIO,        YES  },
};

static void what_oss_says_maps_to_errno_and_retry(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int got = oss_errno(cases[i].http, cases[i].code);
		enum oss_retry retry =
			oss_retry_class(cases[i].http, cases[i].code);

		if (got != cases[i].want || retry != cases[i].retry)
			fail_msg("%d %s: got %d and retry %d, want %d and %d",
				 cases[i].http, cases[i].code, got, (int)retry,
				 cases[i].want, (int)cases[i].retry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_oss_says_maps_to_errno_and_retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
