/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each key with an unfinished task has a slot, which knows the newest one.  A
 * new task counts those that it must wait for (its blockers) and enters
 * itself into their lists of dependents; a task that ends counts its dependents
 * down, and one that reaches zero becomes ready.  Whoever waits for the newest
 * task of a slot has waited for all of that slot, because each waits for the
 * one before.
 *
 * state   | meaning
 * --------|--------------------------------------------------------
 * blocked | blockers > 0
 * ready   | in ready[class], blockers == 0
 * running | on a worker, in no list but `all`
 *
 * A task on "a/" (a tree) waits for the slots below "a/"; one on "a/b/c" asks
 * the slots of "a/" and "a/b/" for their newest tree.
 */
#include "upload/keyq.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/thread.h"

enum { IDLE_MS = 10000, KEYS_MAX = 2 };

struct task;

struct slot {
	char *key;
	size_t tasks;           /* unfinished ones that name it */
	struct task *last;      /* the newest of them */
	struct task *last_tree; /* the newest that stands for all below */
	UT_hash_handle hh;
};

struct task_list {
	struct task **items;
	size_t count, cap;
};

struct task {
	struct keyq_task t; /* its key pointers are not used */
	struct slot *slots[KEYS_MAX];
	bool is_tree[KEYS_MAX];
	size_t blockers;
	struct task_list dependents;
	bool is_running;
	struct task *prev, *next;   /* all, in the order of submission */
	struct task *rprev, *rnext; /* ready */
};

struct worker_arg {
	struct keyq *q;
	enum keyq_class class;
};

struct keyq {
	struct lock lock; /* guards all below */
	struct slot *slots;
	struct task *all;
	size_t count;
	struct task *ready[KEYQ_CLASSES];
	struct cond work[KEYQ_CLASSES];
	struct worker_arg args[KEYQ_CLASSES];
	int limit[KEYQ_CLASSES];
	int threads[KEYQ_CLASSES];
	size_t running[KEYQ_CLASSES], waiting[KEYQ_CLASSES];
	size_t ready_count[KEYQ_CLASSES];
	bool is_stopping;
	struct cond changed; /* a task or a thread has ended */
};

/* -- slots ------------------------------------------------------------- */

static bool is_tree_key(const char *key)
{
	size_t len = strlen(key);

	return len > 0 && key[len - 1] == '/';
}

static struct slot *slot_find(struct keyq *q, const char *key, size_t len)
{
	struct slot *s = NULL;

	HASH_FIND(hh, q->slots, key, len, s);
	return s;
}

static struct slot *slot_get(struct keyq *q, const char *key)
{
	size_t len = strlen(key);
	struct slot *s = slot_find(q, key, len);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->key = strdup(key);
	if (s->key)
		HASH_ADD_KEYPTR(hh, q->slots, s->key, len, s);
	if (!s->key || !s->hh.tbl) {
		free(s->key);
		free(s);
		return NULL;
	}
	return s;
}

static void slot_drop_unused(struct keyq *q, struct slot *s)
{
	if (!s || s->tasks > 0)
		return;
	assert(q->slots); /* it stands there */
	HASH_DEL(q->slots, s);
	free(s->key);
	free(s);
}

/* -- who waits for whom -------------------------------------------------- */

static int list_add(struct task_list *l, struct task *t)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 4;
		struct task **items =
			reallocarray(l->items, cap, sizeof(struct task *));

		if (!items)
			return -ENOMEM;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->count++] = t;
	return 0;
}

static int list_add_some(struct task_list *l, struct task *t)
{
	return t ? list_add(l, t) : 0;
}

/* The unfinished tasks that one on this key must wait for. */
static int find_blockers(struct keyq *q, const char *key, bool is_tree,
			 struct task_list *found)
{
	size_t len = strlen(key);
	struct slot *s = slot_find(q, key, len);
	struct slot *tmp;
	int rc = list_add_some(found, s ? s->last : NULL);

	for (size_t i = 1; rc == 0 && i < len; i++) {
		struct slot *above =
			key[i - 1] == '/' ? slot_find(q, key, i) : NULL;

		rc = list_add_some(found, above ? above->last_tree : NULL);
	}
	if (!is_tree)
		return rc;
	HASH_ITER(hh, q->slots, s, tmp)
	{
		if (rc == 0 && strncmp(s->key, key, len) == 0 && s->key[len])
			rc = list_add_some(found, s->last);
	}
	return rc;
}

/* Enter t into the dependents of all in `found`: all or none. */
static int wait_for(struct task *t, const struct task_list *found)
{
	for (size_t i = 0; i < found->count; i++) {
		if (list_add(&found->items[i]->dependents, t) == 0)
			continue;
		while (i-- > 0)
			found->items[i]->dependents.count--;
		return -ENOMEM;
	}
	t->blockers = found->count;
	return 0;
}

static void enter_slots(struct task *t)
{
	for (int i = 0; i < KEYS_MAX; i++) {
		struct slot *s = t->slots[i];

		if (!s)
			continue;
		s->tasks++;
		s->last = t;
		if (t->is_tree[i])
			s->last_tree = t;
	}
}

static void leave_slots(struct keyq *q, struct task *t)
{
	for (int i = 0; i < KEYS_MAX; i++) {
		struct slot *s = t->slots[i];

		if (!s)
			continue;
		s->tasks--;
		if (s->last == t)
			s->last = NULL;
		if (s->last_tree == t)
			s->last_tree = NULL;
		slot_drop_unused(q, s);
	}
}

/* -- workers ------------------------------------------------------------- */

static void task_free(struct task *t)
{
	free(t->dependents.items);
	free(t);
}

static void *worker_main(void *arg);

static int start_worker_locked(struct keyq *q, enum keyq_class class)
	ACK_REQUIRES(q->lock)
{
	static const char *const names[KEYQ_CLASSES] = {"upload", "meta",
							"background"};
	int rc = thread_start_detached(names[class], worker_main,
				       &q->args[class]);

	if (rc == 0)
		q->threads[class]++;
	return rc;
}

static void make_ready_locked(struct keyq *q, struct task *t)
	ACK_REQUIRES(q->lock)
{
	enum keyq_class class = t->t.class;
	int free_threads;

	DL_APPEND2(q->ready[class], t, rprev, rnext);
	q->ready_count[class]++;
	/* Threads that run nothing: idle, just started, or between tasks. */
	free_threads = q->threads[class] - (int)q->running[class];
	if ((int)q->ready_count[class] > free_threads &&
	    q->threads[class] < q->limit[class])
		(void)start_worker_locked(q, class); /* else another takes it */
	cond_signal(&q->work[class]);
}

/* The next ready task of a class; NULL: the thread ends.  The last thread of a
 * class stays while tasks wait: starting another might fail. */
static struct task *next_task_locked(struct keyq *q, enum keyq_class class)
	ACK_REQUIRES(q->lock)
{
	int64_t until = clock_mono_ms() + IDLE_MS;
	bool in_time = true;

	while (!q->ready[class] || q->is_stopping) {
		bool needed = q->threads[class] == 1 && q->waiting[class] > 0;

		if (q->is_stopping || (!in_time && !needed))
			return NULL;
		if (!in_time)
			until = clock_mono_ms() + IDLE_MS;
		in_time = cond_wait_until(&q->work[class], &q->lock, until);
	}
	return q->ready[class];
}

static void begin_locked(struct keyq *q, struct task *t) ACK_REQUIRES(q->lock)
{
	DL_DELETE2(q->ready[t->t.class], t, rprev, rnext);
	q->ready_count[t->t.class]--;
	t->is_running = true;
	q->waiting[t->t.class]--;
	q->running[t->t.class]++;
}

static void finish_locked(struct keyq *q, struct task *t) ACK_REQUIRES(q->lock)
{
	q->running[t->t.class]--;
	q->count--;
	DL_DELETE(q->all, t);
	leave_slots(q, t);
	for (size_t i = 0; i < t->dependents.count; i++) {
		struct task *d = t->dependents.items[i];

		if (--d->blockers == 0)
			make_ready_locked(q, d);
	}
	cond_broadcast(&q->changed);
}

static void *worker_main(void *arg)
{
	const struct worker_arg *w = arg;
	struct keyq *q = w->q;
	enum keyq_class class = w->class;
	struct task *t;

	lock_acquire(&q->lock);
	while ((t = next_task_locked(q, class))) {
		begin_locked(q, t);
		lock_release(&q->lock);
		t->t.run(t->t.arg);
		lock_acquire(&q->lock);
		finish_locked(q, t);
		task_free(t);
	}
	q->threads[class]--;
	cond_broadcast(&q->changed);
	lock_release(&q->lock);
	return NULL;
}

/* -- interface ------------------------------------------------------------ */

int keyq_new(const struct keyq_conf *conf, struct keyq **out)
{
	struct keyq *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	lock_init(&q->lock, LOCK_KEYQ);
	cond_init(&q->changed);
	for (int c = 0; c < KEYQ_CLASSES; c++) {
		cond_init(&q->work[c]);
		q->limit[c] = conf->limit[c] > 0 ? conf->limit[c] : 1;
		q->args[c] = (struct worker_arg){q, (enum keyq_class)c};
	}
	*out = q;
	return 0;
}

static int threads_locked(const struct keyq *q)
{
	int n = 0;

	for (int c = 0; c < KEYQ_CLASSES; c++)
		n += q->threads[c];
	return n;
}

static void stop_workers(struct keyq *q)
{
	lock_acquire(&q->lock);
	q->is_stopping = true;
	for (int c = 0; c < KEYQ_CLASSES; c++)
		cond_broadcast(&q->work[c]);
	while (threads_locked(q) > 0)
		cond_wait(&q->changed, &q->lock);
	lock_release(&q->lock);
}

void keyq_stop(struct keyq *q)
{
	struct task *t, *tmp;

	stop_workers(q);
	DL_FOREACH_SAFE(q->all, t, tmp)
	{
		DL_DELETE(q->all, t);
		leave_slots(q, t);
		if (t->t.dropped)
			t->t.dropped(t->t.arg);
		task_free(t);
	}
}

void keyq_free(struct keyq *q)
{
	if (!q)
		return;
	keyq_stop(q);
	for (int c = 0; c < KEYQ_CLASSES; c++)
		cond_destroy(&q->work[c]);
	cond_destroy(&q->changed);
	lock_destroy(&q->lock);
	free(q);
}

/* Slots and blockers of a new task: all, or nothing has changed. */
static int place_locked(struct keyq *q, struct task *t) ACK_REQUIRES(q->lock)
{
	const char *keys[KEYS_MAX] = {t->t.key, t->t.key2};
	struct task_list found = {NULL, 0, 0};
	int rc = 0;

	for (int i = 0; rc == 0 && i < KEYS_MAX; i++) {
		if (!keys[i])
			continue;
		t->is_tree[i] = !t->t.is_exact && is_tree_key(keys[i]);
		rc = find_blockers(q, keys[i], t->is_tree[i], &found);
	}
	for (int i = 0; rc == 0 && i < KEYS_MAX; i++) {
		if (!keys[i])
			continue;
		t->slots[i] = slot_get(q, keys[i]);
		rc = t->slots[i] ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = wait_for(t, &found);
	free(found.items);
	if (rc == 0) {
		enter_slots(t);
		return 0;
	}
	slot_drop_unused(q, t->slots[0]);
	if (t->slots[1] != t->slots[0])
		slot_drop_unused(q, t->slots[1]);
	return rc;
}

static int submit_locked(struct keyq *q, struct task *t) ACK_REQUIRES(q->lock)
{
	enum keyq_class class = t->t.class;
	int rc = 0;

	if (q->is_stopping)
		return -ESHUTDOWN;
	if (q->threads[class] == 0)
		rc = start_worker_locked(q, class);
	if (rc == 0)
		rc = place_locked(q, t);
	if (rc < 0)
		return rc;
	t->t.key = t->t.key2 = NULL; /* the caller's */
	DL_APPEND(q->all, t);
	q->count++;
	q->waiting[class]++;
	if (t->blockers == 0)
		make_ready_locked(q, t);
	return 0;
}

int keyq_submit(struct keyq *q, const struct keyq_task *task)
{
	struct task *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return -ENOMEM;
	t->t = *task;
	lock_acquire(&q->lock);
	rc = submit_locked(q, t);
	lock_release(&q->lock);
	if (rc < 0)
		task_free(t);
	return rc;
}

size_t keyq_drain(struct keyq *q, int64_t deadline_ms)
{
	bool in_time = true;
	size_t left;

	lock_acquire(&q->lock);
	while (q->count > 0 && in_time)
		in_time = cond_wait_until(&q->changed, &q->lock, deadline_ms);
	left = q->count;
	lock_release(&q->lock);
	return left;
}

size_t keyq_running(struct keyq *q, enum keyq_class class)
{
	size_t n;

	lock_acquire(&q->lock);
	n = q->running[class];
	lock_release(&q->lock);
	return n;
}

size_t keyq_waiting(struct keyq *q, enum keyq_class class)
{
	size_t n;

	lock_acquire(&q->lock);
	n = q->waiting[class];
	lock_release(&q->lock);
	return n;
}
