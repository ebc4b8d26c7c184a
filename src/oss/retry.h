/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * When to try again: exponential backoff with full jitter, inside a deadline
 * (oss-protocol 6.3).
 *
 *     struct retry r;
 *     retry_init(&r, deadline_ms, cancel);
 *     do
 *             rc = attempt();
 *     while (rc < 0 && worth_it(rc) && retry_wait(&r) == 0);
 *
 * Layer    oss.
 * Threads  none: one for each operation.
 */
#ifndef ACKFS_OSS_RETRY_H
#define ACKFS_OSS_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RETRY_BASE_MS 200
#define RETRY_CAP_MS 20000

struct retry {
	int64_t deadline_ms;       /* clock_mono_ms() */
	const atomic_bool *cancel; /* may be NULL */
	int waits;                 /* so far */
	bool reloaded;             /* credentials were read again */
	bool corrected;            /* the clock was */
};

void retry_init(struct retry *r, int64_t deadline_ms,
		const atomic_bool *cancel);
/** How long the n-th wait (0, 1, ...) may last at most. */
int64_t retry_ceiling_ms(int n);
/**
 * Wait before the next attempt: a random time up to the ceiling, but at most
 * half of what is left, so that there is time for the attempt.
 * @return 0; -ETIMEDOUT: no time is left (at once); -ECANCELED (within 100 ms)
 */
int retry_wait(struct retry *r);

#endif
