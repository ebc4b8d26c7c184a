/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/error.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "util/base.h"

struct code_row {
	const char *code;
	int err;
	enum oss_retry retry;
};

#define NO OSS_RETRY_NO
#define YES OSS_RETRY_YES
#define CRED OSS_RETRY_CREDENTIALS

/* oss-protocol 6.2; the last rows are our own words. */
static const struct code_row codes[] = {
	{"InvalidArgument",                     EINVAL,     NO             },
	{"InvalidBucketName",                   EINVAL,     NO             },
	{"InvalidObjectName",                   EINVAL,     NO             },
	{"InvalidRequest",                      EINVAL,     NO             },
	{"InvalidDigest",                       EIO,        YES            },
	{"InvalidCRC64",                        EIO,        YES            },
	{"IncompleteBody",                      EIO,        YES            },
	{"RequestTimeout",                      EIO,        YES            },
	{"BadRequest",			  EIO,        YES            },
	{"EntityTooLarge",                      EFBIG,      NO             },
	{"EntityTooSmall",                      EIO,        NO             },
	{"InvalidPart",			 EIO,        NO             },
	{"InvalidPartOrder",                    EIO,        NO             },
	{"FilePartNotExist",                    EIO,        NO             },
	{"MalformedXML",                        EIO,        NO             },
	{"InvalidXMLFormat",                    EIO,        NO             },
	{"InvalidTag",			  EINVAL,     NO             },
	{"RepeatedTags",                        EINVAL,     NO             },
	{"TooManyTags",			 EINVAL,     NO             },
	{"NotImplemented",                      EOPNOTSUPP, NO             },
	{"NotSymlink",			  EINVAL,     NO             },
	{"InvalidTargetType",                   ELOOP,      NO             },
	{"OperationNotSupported",               EOPNOTSUPP, NO             },
	{"InvalidEncryptionAlgorithmError",     EINVAL,     NO             },
	{"AccessDenied",                        EACCES,     NO             },
	{"InvalidAccessKeyId",                  EACCES,     CRED           },
	{"SignatureDoesNotMatch",               EACCES,     CRED           },
	{"InvalidSecurityToken",                EACCES,     CRED           },
	{"SecurityTokenExpired",                EACCES,     CRED           },
	{"AccessKeyIdAndSecurityTokenNotMatch", EACCES,     CRED           },
	{"SecurityTokenNotSupported",           EACCES,     NO             },
	{"RequestTimeTooSkewed",                EACCES,     OSS_RETRY_CLOCK},
	{"InvalidObjectState",                  EACCES,     NO             },
	{"UserDisable",			 EACCES,     NO             },
	{"BucketDisable",                       EACCES,     NO             },
	{"AbnormalBucketOwnerStatus",           EACCES,     NO             },
	{"SecondLevelDomainForbidden",          EINVAL,     NO             },
	{"NonStandardHostForbidden",            EINVAL,     NO             },
	{"CnameDenied",			 EINVAL,     NO             },
	{"TransferAccelerationDisabled",        EINVAL,     NO             },
	{"PermanentRedirect",                   EINVAL,     NO             },
	{"KmsServiceNotEnabled",                EACCES,     NO             },
	{"KmsInDebt",			   EACCES,     NO             },
	{"NoSuchKey",			   ENOENT,     NO             },
 /* Not ENOENT: an absent bucket is not an absent file. */
	{"NoSuchBucket",                        ENODEV,     NO             },
	{"NoSuchUpload",                        ENOENT,     NO             },
	{"NoSuchVersion",                       ENOENT,     NO             },
	{"SymlinkTargetNotExist",               ENOENT,     NO             },
	{"MethodNotAllowed",                    EOPNOTSUPP, NO             },
	{"FileAlreadyExists",                   EEXIST,     NO             },
	{"FileImmutable",                       EPERM,      NO             },
	{"PositionNotEqualToLength",            EIO,        NO             },
	{"ObjectNotAppendable",                 EIO,        NO             },
	{"RestoreAlreadyInProgress",            EBUSY,      NO             },
	{"ArchiveRestoreNotFinished",           EBUSY,      NO             },
	{"BucketNotEmpty",                      ENOTEMPTY,  NO             },
	{"BucketAlreadyExists",                 EEXIST,     NO             },
	{"MissingContentLength",                EIO,        NO             },
	{"PreconditionFailed",                  ESTALE,     NO             },
	{"InvalidRange",                        EINVAL,     NO             },
	{"MirrorFailed",                        EIO,        YES            },
	{"InternalError",                       EIO,        YES            },
	{"ServiceUnavailable",                  EIO,        YES            },
	{"DownloadTrafficRateLimitExceeded",    EIO,        YES            },
	{"UploadTrafficRateLimitExceeded",      EIO,        YES            },
	{"MetaOperationQpsLimitExceeded",       EIO,        YES            },
	{"TotalQpsLimitExceeded",               EIO,        YES            },
	{"ActiveRequestLimitExceeded",          EIO,        YES            },
	{"CpuLimitExceeded",                    EIO,        YES            },
	{"SlowDown",			    EIO,        YES            },

	{"CrcMismatch",			 EIO,        YES            },
	{"NotOss",			      EIO,        YES            },
	{"BadAnswer",			   EIO,        YES            },
	{"ConnectionLost",                      EIO,        YES            },
	{"ConnectFailed",                       EIO,        YES            },
	{"Timeout",			     ETIMEDOUT,  YES            },
	{"CertificateRefused",                  EIO,        NO             },
	{"Canceled",			    ECANCELED,  NO             },
};

static const struct code_row *find_code(const char *code)
{
	for (size_t i = 0; code && i < ARRAY_LEN(codes); i++)
		if (strcmp(codes[i].code, code) == 0)
			return &codes[i];
	return NULL;
}

/* For codes that nobody told us of, and answers without one. */
static int status_errno(int http)
{
	if (http >= 200 && http <= 299)
		return 0;
	switch (http) {
	case 400:
	case 416:
		return EINVAL;
	case 401:
	case 403:
		return EACCES;
	case 404:
		return ENOENT;
	case 405:
		return EOPNOTSUPP;
	case 412:
		return ESTALE;
	case 413:
		return EFBIG;
	default: /* a number from outside, no enum of ours */
		return EIO;
	}
}

static enum oss_retry status_retry(int http)
{
	if (http >= 500 && http <= 599)
		return YES;
	switch (http) {
	case 0:
	case 408:
	case 424:
	case 429:
		return YES;
	case 401:
		return CRED;
	default:
		return NO;
	}
}

int oss_errno(int http, const char *code)
{
	const struct code_row *row = find_code(code);

	return row ? -row->err : -status_errno(http);
}

enum oss_retry oss_retry_class(int http, const char *code)
{
	const struct code_row *row = find_code(code);

	/* Whatever the name: the server asks for it. */
	if (!row && code && strstr(code, "QpsLimitExceeded"))
		return OSS_RETRY_YES;
	return row ? row->retry : status_retry(http);
}
