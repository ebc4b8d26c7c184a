/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Tasks in order, key by key: whatever changes an object (an upload, a delete,
 * a rename, a copy of metadata) waits for every earlier task on the same key,
 * so that an older upload never lands after a newer one.
 *
 * A task may name two keys (a rename).  A key that ends in '/' stands for all
 * keys below it too: the task waits for theirs, and theirs that come
 * later wait for it.  A task without a key waits for nothing.
 *
 * Layer    upload: uses util.
 * Threads  any.  Tasks run on worker threads, holding no lock; a class never
 *          has more than its number running, and none starves another.
 */
#ifndef ACKFS_UPLOAD_KEYQ_H
#define ACKFS_UPLOAD_KEYQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyq;

enum keyq_class {
	KEYQ_UPLOAD,     /* somebody's close() may wait for it */
	KEYQ_META,       /* unlink, rename, chmod: a program waits */
	KEYQ_BACKGROUND, /* retries, callbacks again, cleaning up */
	KEYQ_CLASSES
};

struct keyq_conf {
	int limit[KEYQ_CLASSES]; /* threads at once */
};

int keyq_new(const struct keyq_conf *conf, struct keyq **out);
/** Refuses new tasks, waits for running ones; the rest is dropped: their
 *  `dropped` functions are called. */
void keyq_stop(struct keyq *q);
/** Stops it first. NULL is fine. */
void keyq_free(struct keyq *q);

struct keyq_task {
	enum keyq_class class;
	const char *key;  /* copied; NULL: none */
	const char *key2; /* NULL: one key; copied */
	bool is_exact;    /* a key that ends in '/' stands for itself alone (a
			     folder's marker) */
	void (*run)(void *arg);
	void (*dropped)(void *arg); /* instead of run; may be NULL */
	void *arg;
};

/** Threads idle out; none is started before the first task.  A task may submit
 *  others, on its own key too.
 *  @return 0; -ESHUTDOWN; -ENOMEM; -EAGAIN: no thread can be started (run and
 *          dropped are not called then) */
int keyq_submit(struct keyq *q, const struct keyq_task *t);
/** Wait until no task is left, or the deadline (clock_mono_ms()).
 *  @return tasks left */
size_t keyq_drain(struct keyq *q, int64_t deadline_ms);
size_t keyq_running(struct keyq *q, enum keyq_class class);
size_t keyq_waiting(struct keyq *q, enum keyq_class class);

#endif
