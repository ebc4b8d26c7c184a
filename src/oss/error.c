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

struct status_row {
	int from, to;
	int err;
	enum oss_retry retry;
};

/* For codes that nobody told us of, and answers without one. */
static const struct status_row statuses[] = {
	{0,   0,   EIO,        YES },
        {200, 299, 0,          NO  },
	{400, 400, EINVAL,     NO  },
        {401, 401, EACCES,     CRED},
	{403, 403, EACCES,     NO  },
        {404, 404, ENOENT,     NO  },
	{405, 405, EOPNOTSUPP, NO  },
        {408, 408, EIO,        YES },
	{409, 409, EIO,        NO  },
        {411, 411, EIO,        NO  },
	{412, 412, ESTALE,     NO  },
        {413, 413, EFBIG,      NO  },
	{416, 416, EINVAL,     NO  },
        {424, 424, EIO,        YES },
	{429, 429, EIO,        YES },
        {500, 599, EIO,        YES },
};

static const struct code_row *find_code(const char *code)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (strcmp(codes[i].code, code) == 0)
			return &codes[i];
	return NULL;
}

static const struct status_row *find_status(int http)
{
	static const struct status_row other = {0, 0, EIO, NO};

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (http >= statuses[i].from && http <= statuses[i].to)
			return &statuses[i];
	return &other;
}

/* A 2xx with a code of ours ("NotOss") is an error; one of OSS's there is
   CallbackFailed of a 203, which is none. */
static const struct code_row *row_of(int http, const char *code)
{
	if (!code || !*code || http == 203)
		return NULL;
	return find_code(code);
}

int oss_errno(int http, const char *code)
{
	const struct code_row *row = row_of(http, code);

	return row ? -row->err : -find_status(http)->err;
}

enum oss_retry oss_retry_class(int http, const char *code)
{
	const struct code_row *row = row_of(http, code);

	/* Whatever the name: the server asks for it. */
	if (!row && code && strstr(code, "QpsLimitExceeded"))
		return OSS_RETRY_YES;
	return row ? row->retry : find_status(http)->retry;
}
