/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The uploader with a state directory and the store in memory, for tests.
 */
#ifndef ACKFS_TESTS_UPLOAD_H
#define ACKFS_TESTS_UPLOAD_H

#include "callback/mime.h"
#include "callback/rules.h"
#include "fake_store.h"
#include "state.h"
#include "upload/keyq.h"
#include "upload/uploader.h"
#include "util/lock.h"
#include "util/timer.h"

enum { UPLOAD_EVENTS = 256 };

/** What the owner's event was told. */
struct upload_event {
	int64_t id; /* staging_id() */
	char key[STAGING_KEY_MAX];
	struct upload_outcome o;
};

struct upload_fix {
	struct state_fix state;
	struct fake_store *oss;
	struct uploader_conf conf; /* change before upload_start() */
	struct keyq *queue;
	struct timer_wheel *timers;
	struct rules *rules;
	struct mime *mime;
	struct uploader *up;
	struct lock lock; /* guards the events */
	struct cond changed;
	struct upload_event events[UPLOAD_EVENTS];
	int event_count;
	int fetch_rc; /* what fetch answers; 0: from the store */
	int fetched;  /* calls */
	void (*on_event)(struct upload_fix *f, struct staging *s,
			 const struct upload_outcome *o);
};

/** The rules of lines "key = value" of [callback]; NULL: no section at all. */
struct rules *upload_rules(const char *text);

/** callback: as for upload_rules(). */
void upload_init(struct upload_fix *f, const char *callback);
void upload_start(struct upload_fix *f);
/** Stop the uploader as the daemon does; the store and the folder stay. */
void upload_stop(struct upload_fix *f);
/** Only what runs tasks: the first step of it. */
void upload_stop_queue(struct upload_fix *f);
void upload_fini(struct upload_fix *f);

/** Somebody who waits for an outcome. */
struct waiter {
	struct upload_fix *f;
	bool is_done;
	struct upload_outcome o;
};
void waiter_init(struct waiter *w, struct upload_fix *f);
/** For uploader_submit(). */
void waiter_done(void *arg, const struct upload_outcome *o);
/** Wait for it. @return its rc */
int waiter_wait(struct waiter *w);
bool waiter_is_done(struct waiter *w);
/** Wait until the owner has been told n events in all. */
void upload_wait_events(struct upload_fix *f, int n);
int upload_events(struct upload_fix *f);

/** A closed file with this text. The reference is the caller's. */
struct staging *upload_closed(struct upload_fix *f, const char *key,
			      const char *text, const char *delivery_id);
/** A closed file of size pseudo-random bytes. */
struct staging *upload_closed_bytes(struct upload_fix *f, const char *key,
				    size_t size, const char *delivery_id);
void upload_fill(struct staging *s, uint64_t off, size_t size, unsigned seed);
void upload_close(struct staging *s, const char *delivery_id);
/** With a variable of the file. */
void upload_close_with(struct staging *s, const char *delivery_id,
		       const char *var, const char *value);
/** Close, submit, wait. @return the outcome's rc */
int upload_whole(struct upload_fix *f, const char *key, const char *text,
		 const char *delivery_id);
/** Is the object what the staged file holds? */
bool upload_is_stored(struct upload_fix *f, const char *key, struct staging *s);
/** Advance the clock until the condition holds. */
bool upload_pass_time(bool (*is_true)(void *), void *arg);

/** The outcome that is recorded for the key's present object. Release it. */
struct cb_record upload_record(struct upload_fix *f, const char *key);
/** A custom variable of the i-th callback; heap. */
char *upload_callback_var(struct upload_fix *f, unsigned i, const char *name);

#endif
