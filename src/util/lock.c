/* SPDX-License-Identifier: Apache-2.0 */
#include "util/lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"

enum {
	NS_PER_SEC = 1000000000,
	NS_PER_MS = 1000000,
	/* How often a timed wait looks whether a test moved the clock. */
	TEST_SLICE_NS = 20 * NS_PER_MS,
};

/* Not through the log: it takes a lock itself. */
static _Noreturn void lock_bug(const char *what, int detail)
{
	fprintf(stderr, "lock: %s (%d)\n", what, detail);
	abort();
}

static void must(const char *what, int rc)
{
	if (rc != 0)
		lock_bug(what, rc);
}

#ifdef ACK_DEBUG

enum { HELD_MAX = 16 };

/* The locks that this thread holds, in the order of taking. */
static _Thread_local struct {
	const struct lock *lock[HELD_MAX];
	int count;
} held;

static void held_check(const struct lock *l)
{
	for (int i = 0; i < held.count; i++)
		if (held.lock[i]->rank >= l->rank)
			lock_bug("rank inversion: holds this rank or higher",
				 (int)held.lock[i]->rank);
}

static void held_push(const struct lock *l)
{
	if (held.count == HELD_MAX)
		lock_bug("too many locks held", HELD_MAX);
	held.lock[held.count++] = l;
}

static void held_remove(const struct lock *l)
{
	int i = held.count - 1;

	while (i >= 0 && held.lock[i] != l)
		i--;
	if (i < 0)
		lock_bug("released, but not held", (int)l->rank);
	held.count--;
	memmove(&held.lock[i], &held.lock[i + 1],
		(size_t)(held.count - i) * sizeof(held.lock[0]));
}

/* A wait takes the lock again at its end: under a higher one that inverts. */
static void held_check_wait(const struct lock *l)
{
	held_remove(l);
	held_check(l);
	held_push(l);
}

#else

static void held_check(const struct lock *l)
{
	(void)l;
}

static void held_push(const struct lock *l)
{
	(void)l;
}

static void held_remove(const struct lock *l)
{
	(void)l;
}

static void held_check_wait(const struct lock *l)
{
	(void)l;
}

#endif

void lock_init(struct lock *l, enum lock_rank rank)
{
	must("mutex init", pthread_mutex_init(&l->mutex, NULL));
	l->rank = rank;
}

void lock_destroy(struct lock *l)
{
	must("mutex destroy", pthread_mutex_destroy(&l->mutex));
}

void lock_acquire(struct lock *l) ACK_NO_ANALYSIS
{
	held_check(l);
	must("mutex lock", pthread_mutex_lock(&l->mutex));
	held_push(l);
}

void lock_release(struct lock *l) ACK_NO_ANALYSIS
{
	held_remove(l);
	must("mutex unlock", pthread_mutex_unlock(&l->mutex));
}

void cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	must("condattr init", pthread_condattr_init(&attr));
	must("condattr clock",
	     pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	must("cond init", pthread_cond_init(&c->cond, &attr));
	pthread_condattr_destroy(&attr);
}

void cond_destroy(struct cond *c)
{
	must("cond destroy", pthread_cond_destroy(&c->cond));
}

void cond_wait(struct cond *c, struct lock *l)
{
	held_check_wait(l);
	must("cond wait", pthread_cond_wait(&c->cond, &l->mutex));
}

/* CLOCK_MONOTONIC's time for a deadline in clock_mono_ns()'s. */
static struct timespec kernel_deadline(int64_t deadline_ns)
{
	struct timespec ts;
	int64_t ns = deadline_ns - clock_advanced_ms() * NS_PER_MS;

	if (ns < 0)
		ns = 0;
	ts.tv_sec = (time_t)(ns / NS_PER_SEC);
	ts.tv_nsec = (long)(ns % NS_PER_SEC);
	return ts;
}

bool cond_wait_until_ns(struct cond *c, struct lock *l, int64_t deadline_ns)
{
	held_check_wait(l);
	for (;;) {
		int64_t now = clock_mono_ns();
		int64_t until = deadline_ns;
		struct timespec ts;
		int rc;

		if (now >= deadline_ns)
			return false;
		if (clock_is_test() && until - now > TEST_SLICE_NS)
			until = now + TEST_SLICE_NS;
		ts = kernel_deadline(until);
		rc = pthread_cond_timedwait(&c->cond, &l->mutex, &ts);
		if (rc != 0 && rc != ETIMEDOUT)
			lock_bug("cond timedwait", rc);
		/* At the end of a slice too: a signal that came while the lock
		   was waited for found nobody, the caller has to look. */
		if (rc == 0 || clock_is_test())
			return true;
	}
}

bool cond_wait_until(struct cond *c, struct lock *l, int64_t deadline_ms)
{
	int64_t last = INT64_MAX / NS_PER_MS;
	int64_t ms = deadline_ms < last ? deadline_ms : last;

	return cond_wait_until_ns(c, l, ms < 0 ? 0 : ms * NS_PER_MS);
}

void cond_signal(struct cond *c)
{
	must("cond signal", pthread_cond_signal(&c->cond));
}

void cond_broadcast(struct cond *c)
{
	must("cond broadcast", pthread_cond_broadcast(&c->cond));
}
