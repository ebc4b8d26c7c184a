/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the uploader's files share.
 *
 *     uploader.c         the interface; files by id and by key
 *     uploader_task.c    a file's turn: attempt, outcome, who hears of it
 *     uploader_timer.c   pauses and the outage
 *     uploader_stream.c  files that are sent while they are written
 *
 * phase    | meaning                               | task queued | in line
 * ---------|---------------------------------------|-------------|--------
 * STREAM   | still open, parts go out              | no          | no
 * QUEUED   | waits for its turn on the key         | yes         | yes
 * RUNNING  | an attempt is made                    | runs        | yes
 * PAUSED   | failed; due_ms says when again        | no          | yes
 * REKEYING | staging_rekey() is under way          | no          | no
 *
 * A file that is cancelled while RUNNING stays until its attempt has ended; in
 * every other phase it leaves at once.  A task belongs to a ticket: one whose
 * file has another ticket by now does nothing.
 *
 * Layer    upload (internal).
 */
#ifndef ACKFS_UPLOAD_UPLOADER_INT_H
#define ACKFS_UPLOAD_UPLOADER_INT_H

#include <uthash.h>

#include "upload/attempt.h"
#include "upload/env.h"
#include "util/buf.h"
#include "util/kv.h"
#include "util/lock.h"
#include "util/timer.h"

struct multipart;
struct upload;

enum upload_phase {
	UPLOAD_STREAM,
	UPLOAD_QUEUED,
	UPLOAD_RUNNING,
	UPLOAD_PAUSED,
	UPLOAD_REKEYING,
};

struct watcher {
	upload_done_fn done;
	void *arg;
	struct watcher *next;
};

/** The files of one key, oldest close first. */
struct line {
	char *key;
	struct upload *uploads;
	UT_hash_handle hh;
};

struct upload {
	struct uploader *u;
	struct staging *s; /* a reference */
	int64_t id;
	uint64_t seq; /* order of closes */
	enum upload_phase phase;
	uint64_t ticket;
	bool is_first;     /* no attempt has ended yet */
	bool is_told;      /* its close() hears, or heard, of a failure */
	bool is_cancelled; /* discard it when it has ended */
	bool is_slow;      /* PAUSED because of our keys or the clock */
	int failures;
	int last_rc;
	int64_t submitted_ms, due_ms; /* clock_mono_ms(); INT64_MAX: by hand */
	uint64_t size;
	struct watcher *watchers;
	struct upload_run *run; /* a reference */
	struct multipart *stream;
	/* STREAM */
	uint64_t position; /* where the sequential writer is */
	/* staging_generation() at first, and changes told since: when they do
	   not add up, no part that went out is trusted */
	uint64_t generation, told;
	struct line *line;
	struct upload *prev, *next; /* in line */
	UT_hash_handle hh;
};

struct uploader {
	struct upload_env env;
	char *bucket, *prefix, *mount, *host; /* env.conf's */
	int64_t started_real_ms;
	struct kvs
		leftovers; /* upload id -> key, from earlier runs; used once */

	struct lock lock;       /* guards all below, and the uploads */
	struct upload *uploads; /* by id */
	struct line *lines;     /* by key */
	uint64_t last_seq, last_ticket;
	atomic_int streams; /* changed under the lock */
	struct uploader_totals totals;
	bool is_stopping;
	bool has_slow; /* some PAUSED one may be is_slow */

	timer_id timer;
	int64_t timer_ms; /* when it fires; 0: not set */
	bool is_ticking;  /* its function has not ended */
	struct cond ticked;

	/* the outage */
	bool is_down, is_probing;
	int down_rc;
	int probes;
	int64_t probe_ms;
	char down_error[256];
	struct oss_reply down_reply;
};

/* -- uploader.c ---------------------------------------------------------- */

struct upload *upload_find_locked(struct uploader *u, int64_t id)
	ACK_REQUIRES(u->lock);
/** A new one, in no table. @return NULL: no memory */
struct upload *upload_new(struct uploader *u, struct staging *s);
void upload_free(struct upload *up);
int upload_enter_locked(struct uploader *u, struct upload *up)
	ACK_REQUIRES(u->lock);
/** Out of the tables: the caller's. */
void upload_leave_locked(struct uploader *u, struct upload *up)
	ACK_REQUIRES(u->lock);
int line_join_locked(struct uploader *u, struct upload *up, const char *key)
	ACK_REQUIRES(u->lock);
void line_leave_locked(struct uploader *u, struct upload *up)
	ACK_REQUIRES(u->lock);
void upload_answer(struct watcher *watchers, const struct upload_outcome *o);

/* -- uploader_task.c ------------------------------------------------------- */

/** Queue its turn; it becomes QUEUED. @return as keyq_submit() */
int upload_queue_locked(struct uploader *u, struct upload *up)
	ACK_REQUIRES(u->lock);
enum upload_end {
	UPLOAD_END_CANCELLED,  /* discard it */
	UPLOAD_END_SUPERSEDED, /* discard it, and tell the owner */
	UPLOAD_END_STREAM,     /* what went out of it is of no use */
};

/** It left the tables: abort its parts and do what `why` says in the
 *  background. Takes up. */
void upload_bury(struct uploader *u, struct upload *up, enum upload_end why);
/** Abort one multipart upload in the background; takes m and upload_id, either
 *  may be NULL. */
void upload_drop_parts(struct uploader *u, const char *key, struct multipart *m,
		       char *upload_id);

/* -- uploader_stream.c ------------------------------------------------------- */

/** The file is frozen: are its parts' bytes still its own? If somebody did not
 *  tell of a change, they go out again. Holding no lock; STREAM or none. */
void upload_check_stream(struct uploader *u, struct staging *s);

/* -- uploader_timer.c ------------------------------------------------------- */

/** See to it that the timer fires at when_ms or before. */
void upload_arm_locked(struct uploader *u, int64_t when_ms)
	ACK_REQUIRES(u->lock);
/** An attempt failed: note an outage.  reply is OSS's. */
void upload_note_failure_locked(struct uploader *u, int rc,
				const struct oss_reply *reply,
				const char *error) ACK_REQUIRES(u->lock);
/** OSS answered: an outage is over. */
void upload_note_answer_locked(struct uploader *u) ACK_REQUIRES(u->lock);
/** OSS has taken one: the outage is over, and so is what was wrong with our keys
 *  or the clock. */
void upload_note_stored_locked(struct uploader *u) ACK_REQUIRES(u->lock);
/** Queue all that is PAUSED, by-hand ones where asked. @return how many */
size_t upload_wake_locked(struct uploader *u, bool by_hand_too)
	ACK_REQUIRES(u->lock);

#endif
