/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The policy of a form upload (protocol 4.2.1): expiry and conditions.
 *
 * Layer  emulator, pure.
 */
#ifndef ACKFS_EMULATOR_POLICY_H
#define ACKFS_EMULATOR_POLICY_H

#include <stdint.h>

#include "util/kv.h"

struct policy_range {
	uint64_t min;
	uint64_t max; /* UINT64_MAX: no limit */
};

/**
 * Check everything but the file's length.
 * @param base64  the form's policy field
 * @param fields  the form's fields as they were sent
 * @param named   fields that conditions must name, up to a NULL
 * @param range   what content-length-range asks for
 * @param why     the refused condition or what is wrong, for the message
 * @return 0; -EINVAL not a policy; -EACCES a condition fails; -ETIME expired
 */
int policy_check(const char *base64, const char *bucket,
		 const struct kvs *fields, const char *const *named,
		 int64_t now_ms, struct policy_range *range, char **why);

#endif
