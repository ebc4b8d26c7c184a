/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/retry.h"

#include <errno.h>
#include <string.h>

#include "oss/error.h"
#include "util/base.h"
#include "util/uuid.h"

int64_t retry_pause_ms(int failures)
{
	int64_t pause = RETRY_FIRST_MS;

	for (int i = 1; i < failures && pause < RETRY_LONGEST_MS; i++)
		pause *= 2;
	if (pause > RETRY_LONGEST_MS)
		pause = RETRY_LONGEST_MS;
	return pause * 3 / 4 + (int64_t)random_below((uint64_t)pause / 2 + 1);
}

/* Errors of this host, and of our own making. */
static enum retry_verdict judge_local(int rc)
{
	static const int for_good[] = {-EFBIG,  -ESTALE,       -EEXIST,
				       -EINVAL, -E2BIG,        -EPERM,
				       -EROFS,  -ENAMETOOLONG, -ENODATA};

	for (size_t i = 0; i < ARRAY_LEN(for_good); i++)
		if (rc == for_good[i])
			return RETRY_BY_HAND;
	return RETRY_SOON;
}

enum retry_verdict retry_judge(int rc, const struct oss_reply *reply)
{
	if (rc == -ESTALE || rc == -EFBIG)
		return RETRY_BY_HAND;
	if (reply->http < 300 || oss_reply_is_spoilt(reply))
		return judge_local(rc);
	switch (oss_retry_class(reply->http, reply->code)) {
	case OSS_RETRY_NO:
		/* Parts and uploads can be begun anew. */
		return rc == -EIO ? RETRY_SOON : RETRY_BY_HAND;
	case OSS_RETRY_YES:
		return RETRY_SOON;
	case OSS_RETRY_CREDENTIALS:
	case OSS_RETRY_CLOCK:
		return RETRY_SLOWLY;
	}
	return RETRY_SOON;
}

bool retry_is_unreachable(int rc, const struct oss_reply *reply)
{
	static const char *const codes[] = {"ConnectFailed", "ConnectionLost",
					    "Timeout", "CertificateRefused"};
	static const int down[] = {-ETIMEDOUT,    -ECONNREFUSED, -ECONNRESET,
				   -EHOSTUNREACH, -ENETUNREACH,  -EHOSTDOWN,
				   -ENETDOWN,     -EPIPE};

	/* That all was sent means little: the kernel's buffers took it. */
	if (reply->http != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(down); i++)
		if (rc == down[i])
			return true;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (strcmp(reply->code, codes[i]) == 0)
			return true;
	return false;
}
