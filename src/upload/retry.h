/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Whether and when a failed upload or callback is tried again.
 *
 * Pure (random numbers apart).  Layer: upload.
 */
#ifndef ACKFS_UPLOAD_RETRY_H
#define ACKFS_UPLOAD_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "oss/store.h"

#define RETRY_FIRST_MS 1000
#define RETRY_LONGEST_MS 300000

/** Before the try after `failures` (1, 2, ...) failed ones: 1 s doubling to 5
 *  minutes, a quarter more or less. */
int64_t retry_pause_ms(int failures);

enum retry_verdict {
	RETRY_SOON,   /* it may pass by itself */
	RETRY_SLOWLY, /* somebody must act, who will not tell us: credentials */
	RETRY_BY_HAND, /* waiting changes nothing (fuse-facts 14) */
};

/** @param reply  OSS's words about rc */
enum retry_verdict retry_judge(int rc, const struct oss_reply *reply);
/** Did OSS not answer at all: is the endpoint down? */
bool retry_is_unreachable(int rc, const struct oss_reply *reply);

#endif
