/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/advice.h"

#include <string.h>

#include "util/base.h"

/* clang-format off */
static const struct {
	const char *code;
	const char *advice;
} table[] = {
	{"InvalidAccessKeyId",
	 "OSS does not know this access key: it was deleted or disabled, or is another account's; a temporary key (STS) needs its security token too."},
	{"SignatureDoesNotMatch",
	 "The secret does not belong to the access key id, or region is wrong: check both, and blanks at the ends."},
	{"InvalidSecurityToken",
	 "The security token is not this key's, or is cut: take key, secret and token from the same answer."},
	{"SecurityTokenExpired",
	 "The temporary key has expired: fetch a new one."},
	{"AccessDenied",
	 "The key's RAM policy or the bucket's policy does not allow this: README, \"The least RAM policy\", has what it takes."},
	{"NoSuchBucket",
	 "There is no such bucket in this region: check bucket, and that endpoint is its region's."},
	{"InvalidBucketName",
	 "Bucket names are 3 to 63 of a-z, 0-9 and '-'."},
	{"RequestTimeTooSkewed",
	 "This machine's clock is more than 15 minutes off: set it (chrony, systemd-timesyncd)."},
	{"SecondLevelDomainForbidden",
	 "This endpoint wants the bucket in the host name: addressing = virtual."},
	{"UserDisable",
	 "The account is disabled or owes money."},
	{"ConnectFailed",
	 "Nothing answers at the endpoint: check its name, DNS, firewall and proxy; an -internal endpoint works inside its own region alone."},
	{"CertificateRefused",
	 "The endpoint's certificate is not trusted: install ca-certificates, or name the CA of a proxy that inspects TLS with ca_file; check the endpoint's name."},
	{"Timeout",
	 "The endpoint does not answer in time: a firewall that drops packets, or an -internal endpoint from outside."},
	{"NotOss",
	 "What answers is not OSS: a proxy or a login page? Check endpoint and proxy."},
	{"CrcMismatch",
	 "Bytes were changed on their way: look for a proxy that rewrites, or bad memory."},
	{"InvalidObjectState",
	 "The object is archived: it must be restored before it can be read."},
	{"FileImmutable",
	 "A retention rule (WORM) protects the object: it can be neither changed nor deleted."},
};
/* clang-format on */

const char *oss_advice(const struct oss_reply *r)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].code, r->code) == 0)
			return table[i].advice;
	}
	return NULL;
}
