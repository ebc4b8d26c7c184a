/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap by time (equal times: in the order of adding), and a hash
 * from id to entry, so that adding and cancelling cost O(log n) with the
 * thousands of held files that an rsync leaves.
 */
#include "util/timer.h"

#include <errno.h>
#include <uthash.h>

#include "util/base.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/thread.h"

struct entry {
	timer_id id;
	int64_t when_ms;
	void (*fn)(void *);
	void (*drop)(void *); /* what becomes of arg when fn never runs */
	void *arg;
	size_t at; /* heap[at] == this */
	UT_hash_handle hh;
};

struct timer_wheel {
	struct lock lock; /* guards all below but the thread */
	struct cond changed;
	struct entry **heap;
	size_t count, cap;
	struct entry *by_id;
	timer_id last_id;
	bool is_stopping;
	pthread_t thread;
};

static bool is_before(const struct entry *a, const struct entry *b)
{
	return a->when_ms != b->when_ms ? a->when_ms < b->when_ms
					: a->id < b->id;
}

static void heap_put(struct timer_wheel *w, size_t at, struct entry *e)
{
	w->heap[at] = e;
	e->at = at;
}

/* Let e find its place, upwards then downwards from `at`. */
static void heap_sift(struct timer_wheel *w, size_t at, struct entry *e)
{
	while (at > 0 && is_before(e, w->heap[(at - 1) / 2])) {
		heap_put(w, at, w->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < w->count &&
		    is_before(w->heap[child + 1], w->heap[child]))
			child++;
		if (child >= w->count || !is_before(w->heap[child], e))
			break;
		heap_put(w, at, w->heap[child]);
		at = child;
	}
	heap_put(w, at, e);
}

static void take_out_locked(struct timer_wheel *w, struct entry *e)
	ACK_REQUIRES(w->lock)
{
	struct entry *last = w->heap[--w->count];

	if (last != e)
		heap_sift(w, e->at, last);
	HASH_DEL(w->by_id, e);
}

static int put_in_locked(struct timer_wheel *w, struct entry *e)
	ACK_REQUIRES(w->lock)
{
	if (w->count == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 16;
		struct entry **heap = reallocarray(w->heap, cap, sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		w->heap = heap;
		w->cap = cap;
	}
	e->id = ++w->last_id;
	HASH_ADD(hh, w->by_id, id, sizeof(e->id), e);
	if (!e->hh.tbl) /* HASH_NONFATAL_OOM's way to say it */
		return -ENOMEM;
	w->count++;
	heap_sift(w, w->count - 1, e);
	return 0;
}

/* Wait until the first entry is due and take it out; NULL: stop. */
static struct entry *next_due_locked(struct timer_wheel *w)
	ACK_REQUIRES(w->lock)
{
	while (!w->is_stopping) {
		struct entry *first = w->count ? w->heap[0] : NULL;

		if (!first) {
			cond_wait(&w->changed, &w->lock);
		} else if (first->when_ms > clock_mono_ms()) {
			cond_wait_until(&w->changed, &w->lock, first->when_ms);
		} else {
			take_out_locked(w, first);
			return first;
		}
	}
	return NULL;
}

static void *timer_main(void *arg)
{
	struct timer_wheel *w = arg;

	for (;;) {
		struct entry *e;

		lock_acquire(&w->lock);
		e = next_due_locked(w);
		lock_release(&w->lock);
		if (!e)
			return NULL;
		e->fn(e->arg);
		free(e);
	}
}

int timer_wheel_new(struct timer_wheel **out)
{
	struct timer_wheel *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	lock_init(&w->lock, LOCK_TIMER);
	cond_init(&w->changed);
	rc = thread_start(&w->thread, "timer", timer_main, w);
	if (rc < 0) {
		cond_destroy(&w->changed);
		lock_destroy(&w->lock);
		free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void timer_wheel_free(struct timer_wheel *w)
{
	if (!w)
		return;
	lock_acquire(&w->lock);
	w->is_stopping = true;
	cond_broadcast(&w->changed);
	lock_release(&w->lock);
	pthread_join(w->thread, NULL);

	HASH_CLEAR(hh, w->by_id);
	for (size_t i = 0; i < w->count; i++) {
		if (w->heap[i]->drop)
			w->heap[i]->drop(w->heap[i]->arg);
		free(w->heap[i]);
	}
	free(w->heap);
	cond_destroy(&w->changed);
	lock_destroy(&w->lock);
	free(w);
}

timer_id timer_add_owned(struct timer_wheel *w, int64_t when_ms,
			 void (*fn)(void *), void (*drop)(void *), void *arg)
{
	AUTO_FREE struct entry *e = calloc(1, sizeof(*e));
	timer_id id = 0;

	if (!e)
		return 0;
	e->when_ms = when_ms;
	e->fn = fn;
	e->drop = drop;
	e->arg = arg;
	lock_acquire(&w->lock);
	if (put_in_locked(w, e) == 0) {
		id = e->id;
		if (e->at == 0)
			cond_signal(&w->changed);
		(void)take_ptr(e); /* the heap's */
	}
	lock_release(&w->lock);
	return id;
}

timer_id timer_add(struct timer_wheel *w, int64_t when_ms, void (*fn)(void *),
		   void *arg)
{
	return timer_add_owned(w, when_ms, fn, NULL, arg);
}

bool timer_cancel(struct timer_wheel *w, timer_id id)
{
	struct entry *e = NULL;

	lock_acquire(&w->lock);
	HASH_FIND(hh, w->by_id, &id, sizeof(id), e);
	if (e)
		take_out_locked(w, e);
	lock_release(&w->lock);
	free(e);
	return e != NULL;
}
