/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Ranked mutexes and condition variables on the monotonic clock.
 *
 * A thread takes locks in rising rank only.  Debug builds (ACK_DEBUG) keep
 * the ranks that a thread holds and abort on an inversion.  The ranks stand in
 * src/README.md.  A lock that cannot be taken is a bug: these abort.
 */
#ifndef ACKFS_UTIL_LOCK_H
#define ACKFS_UTIL_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/base.h"

enum lock_rank {
	LOCK_SESSION = 5,
	LOCK_FILE = 8, /* one open file: held across local disk I/O */
	LOCK_TREE = 10,
	LOCK_READER = 20,
	LOCK_STAGING = 30,
	LOCK_UPLOADER = 34,
	LOCK_MULTIPART = 36,
	LOCK_KEYQ = 40,
	LOCK_TIMER = 45,
	LOCK_DB = 50,
	LOCK_POOL = 60,
	LOCK_CREDENTIALS = 65,
	LOCK_LEAF = 80, /* takes no other lock while held, the log's excepted */
	LOCK_LOG = 90,
};

struct ACK_CAPABILITY("mutex") lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
};

/** Initial value of a static lock, which is never destroyed. */
#define LOCK_STATIC(rank)                                                      \
	{                                                                      \
		PTHREAD_MUTEX_INITIALIZER, (rank)                              \
	}

void lock_init(struct lock *l, enum lock_rank rank);
void lock_destroy(struct lock *l);
void lock_acquire(struct lock *l) ACK_ACQUIRE(*l);
void lock_release(struct lock *l) ACK_RELEASE(*l);

struct cond {
	pthread_cond_t cond;
};

void cond_init(struct cond *c);
void cond_destroy(struct cond *c);
void cond_wait(struct cond *c, struct lock *l) ACK_REQUIRES(*l);
/**
 * Wait until signalled or until clock_mono_ms() reaches deadline_ms.
 * @return false when the deadline passed
 */
bool cond_wait_until(struct cond *c, struct lock *l, int64_t deadline_ms)
	ACK_REQUIRES(*l);
/** The same for clock_mono_ns(). */
bool cond_wait_until_ns(struct cond *c, struct lock *l, int64_t deadline_ns)
	ACK_REQUIRES(*l);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

#endif
