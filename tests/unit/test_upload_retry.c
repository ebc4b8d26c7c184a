/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "upload/retry.h"
#include "util/base.h"

struct verdict_case {
	const char *name;
	int rc, http;
	const char *code;
	enum retry_verdict want;
	bool is_down;
};

static const struct verdict_case cases[] = {
	{"server error",             -EIO,       500, "InternalError",        RETRY_SOON,    false},
	{"throttled",                -EIO,       503, "ServiceUnavailable",   RETRY_SOON,    false},
	{"no connection",            -EIO,       0,   "ConnectFailed",        RETRY_SOON,    true },
	{"no answer",                -ETIMEDOUT, 0,   "Timeout",              RETRY_SOON,    true },
	{"reset",		    -EIO,       0,   "ConnectionLost",       RETRY_SOON,    true },
	{"bad certificate",          -EIO,       0,   "CertificateRefused",   RETRY_SOON,    true },
	{"a proxy's page",           -EIO,       404, "NotOss",               RETRY_SOON,    false},
	{"other bytes arrived",      -EIO,       200, "CrcMismatch",          RETRY_SOON,    false},
	{"no right",                 -EACCES,    403, "AccessDenied",         RETRY_BY_HAND, false},
	{"bad argument",             -EINVAL,    400, "InvalidArgument",      RETRY_BY_HAND, false},
	{"no bucket",                -ENOENT,    404, "NoSuchBucket",         RETRY_BY_HAND, false},
	{"exists",		   -EEXIST,    409, "FileAlreadyExists",    RETRY_BY_HAND, false},
	{"token expired",            -EACCES,    403, "SecurityTokenExpired", RETRY_SLOWLY,
	 false										    },
	{"unknown key",              -EACCES,    403, "InvalidAccessKeyId",   RETRY_SLOWLY,
	 false										    },
	{"clock",		    -EACCES,    403, "RequestTimeTooSkewed", RETRY_SLOWLY,  false},
	{"conflict",                 -ESTALE,    412, "PreconditionFailed",   RETRY_BY_HAND, false},
	{"conflict found by HEAD",   -ESTALE,    200, "",                     RETRY_BY_HAND, false},
	{"too large",                -EFBIG,     0,   "",                     RETRY_BY_HAND, false},
	{"disk full while fetching", -ENOSPC,    0,   "",                     RETRY_SOON,    false},
	{"disk error",               -EIO,       0,   "",                     RETRY_SOON,    false},
};

static void failures_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct verdict_case *c = &cases[i];
		struct oss_reply r = {.http = c->http};
		enum retry_verdict got;

		snprintf(r.code, sizeof(r.code), "%s", c->code);
		got = retry_judge(c->rc, &r);
		if (got != c->want)
			fail_msg("%s: verdict %d", c->name, (int)got);
		if (retry_is_unreachable(c->rc, &r) != c->is_down)
			fail_msg("%s: down or not", c->name);
	}
}

static void pauses_grow_to_five_minutes(void **state)
{
	int64_t want = 1000;

	(void)state;
	for (int n = 1; n < 40; n++) {
		int64_t got = retry_pause_ms(n);

		assert_true(got >= want * 3 / 4);
		assert_true(got <= want * 5 / 4);
		want = want * 2 < RETRY_LONGEST_MS ? want * 2
						   : RETRY_LONGEST_MS;
	}
	assert_true(retry_pause_ms(0) <= 1250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_are_judged),
		cmocka_unit_test(pauses_grow_to_five_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
