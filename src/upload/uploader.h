/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A staged file becomes an object.
 *
 * uploader_submit() takes a CLOSED staged file and queues it behind earlier
 * work on its key.  The first attempt (with the client's retries inside
 * retry_deadline) ends in an outcome, which goes to everybody who watches and to
 * the owner's `event`; a failure leaves the file RETRYING, and the uploader
 * goes on by itself with growing pauses; what waiting does not change (403, 400)
 * waits for uploader_retry_now() or the next start.
 *
 * Files of one key are stored in the order of their closes.  One that has
 * failed becomes void with a newer close of the key when its own close() was
 * told so (done was given), or when it waits for somebody to act; else (its
 * close() had returned 0) the newer one waits until it is stored.
 *
 * While OSS does not answer at all, one request in growing pauses asks for it,
 * and all others wait; files that nobody waits for fail at once then.
 *
 * The callback is rendered when it is sent, for the key of then; its
 * outcome goes to the callback log before anybody hears of it.  Where it
 * cannot be rendered the object is stored without, and the record says why.
 *
 * Files of multipart_threshold and more go in parts (upload/multipart.h), with
 * the callback on CompleteMultipartUpload; finished parts are journaled.
 *
 * Layer    upload: uses state, callback, oss; never fs.
 * Threads  any.  Callers may hold locks of a rank below LOCK_UPLOADER: no
 *          function here calls back, all events and dones come from worker
 *          threads, which hold no lock.
 * Blocking submit, cancel, rekey: local disk only, never the network.
 * Ending   keyq_free(), uploader_stop(), timer_wheel_free(), uploader_free().
 */
#ifndef ACKFS_UPLOAD_UPLOADER_H
#define ACKFS_UPLOAD_UPLOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "callback/outcome.h"
#include "oss/store.h"
#include "state/cblog.h"
#include "state/staging.h"
#include "upload/keyq.h"

struct db;
struct mime;
struct rules;
struct timer_wheel;
struct uploader;

struct uploader_conf {
	const char *bucket;
	const char *prefix; /* of keys; "" or "a/" */
	const char *mount;
	const char *host;
	uint64_t multipart_threshold;
	uint64_t part_size; /* 0: by the object's size */
	int parallel_parts;
	int64_t retry_deadline_ms;
	bool stream_parts; /* send finished parts while the writer writes */
};

/** What came of one attempt to store a staged file. */
struct upload_outcome {
	int rc;          /* 0: stored.  -errno of the upload */
	bool superseded; /* -ECANCELED with this: a newer one took its place */
	int close_rc; /* what close() returns: rc, or -EREMOTEIO (fail_close) */
	struct object_id id; /* of the stored object */
	uint64_t crc64;
	bool has_crc64;
	enum callback_state callback;
	struct oss_reply reply;
};

struct uploader_deps {
	struct store store;
	struct keyq *queue;
	struct timer_wheel *timers;
	struct db *db;
	const struct rules *rules;
	const struct mime *mime;
	/* The owner of nodes: called once for each attempt of each file, and for
	   one that became void (-ECANCELED, superseded), before the watchers,
	   on a worker thread; never for a file that was cancelled.  On
	   success the staged file is DONE and may be discarded or reopened by
	   the owner, which holds a reference if it wants to keep it; without
	   an event the uploader discards it. */
	void (*event)(void *arg, struct staging *s,
		      const struct upload_outcome *o);
	void *event_arg;
	/* OSS has the file: its name must show that object, and what leans on
	   the one that it replaces must lean on this one, in the journal too,
	   before the file is DONE and may be opened again or dropped. On a
	   worker thread; may be NULL. */
	void (*stored)(void *arg, struct staging *s,
		       const struct object_id *id);
	void *stored_arg;
	/* Parts of an OPEN file will go out: give it its properties as they are
	   known now (staging_set_props), so that they need not be set by a
	   copy in the end.  On a worker thread; may be NULL. */
	void (*settle_props)(void *arg, struct staging *s);
	void *settle_arg;
	/* An attempt of a callback was recorded. On a worker thread; may be
	   NULL. */
	void (*recorded)(void *arg, const struct cb_record *r);
	void *recorded_arg;
	/* A callback was made again: the object of this key has another
	   identity now, with the same content (upload/recall.h). On a worker
	   thread; may be NULL. */
	void (*recalled)(void *arg, const char *key,
			 const struct object_id *id);
	void *recalled_arg;
	/* The present bytes of a range of the base are missing: fetch them
	   into the staged file (download layer). */
	int (*fetch)(void *arg, struct staging *s, uint64_t off, uint64_t len);
	void *fetch_arg;
};

int uploader_new(const struct uploader_conf *conf,
		 const struct uploader_deps *deps, struct uploader **out);
/** Break off uploads, callbacks made again and copies of objects that run, and
 *  whatever still begins: the mount ends, the journal has them. Before
 *  keyq_stop(). */
void uploader_break_off(struct uploader *u);
/** After keyq_free(): its timer is stopped; the wheel may go. */
void uploader_stop(struct uploader *u);
/** Nothing may run any more. NULL is fine. */
void uploader_free(struct uploader *u);

typedef void (*upload_done_fn)(void *arg, const struct upload_outcome *o);

/**
 * Queue a CLOSED (or, after a crash, RETRYING) file.
 * @param done  called once with the first attempt's outcome; may be NULL: then
 *              its close() has promised it
 * @return 0; -ESHUTDOWN, -EAGAIN, -ENOMEM: done will not be called, the
 *         journal has the file for the next start
 */
int uploader_submit(struct uploader *u, struct staging *s, upload_done_fn done,
		    void *arg);
/** Hear of the attempt that is queued or running for this file.
 *  @return 0; -ENOENT: there is none (done will not be called); -ENOMEM */
int uploader_watch(struct uploader *u, struct staging *s, upload_done_fn done,
		   void *arg);
/** @return true: done will not be called any more for this arg */
bool uploader_unwatch(struct uploader *u, struct staging *s, void *arg);
/**
 * The file's name is gone (unlink) or it is replaced: an upload that waits or
 * retries is dropped; one that sends is broken off; one whose last byte is out
 * is let finish.  Watchers get -ECANCELED, no event comes.  The file is
 * discarded at once, so that a crash cannot bring it back.
 * @return true: it runs, and may be stored yet; a caller who wants no object
 *         queues its own task on the key behind it
 */
bool uploader_cancel(struct uploader *u, struct staging *s);
/**
 * A rename of a file that is CLOSED or RETRYING and does not run:
 * staging_rekey() is made here, while nothing can start, and the upload queues
 * anew behind earlier work on the new key.  One that is not submitted yet
 * has the new key then.
 * @return 0; -EBUSY: it runs, or has ended just now (queue the rename behind
 *         it); -errno of staging_rekey()
 */
int uploader_rekey(struct uploader *u, struct staging *s, const char *key);
/** Retry now what waits: one file, or all (NULL). @return how many */
size_t uploader_retry_now(struct uploader *u, struct staging *s);

/**
 * Bytes of an OPEN file were written: a sequential writer's whole parts may go
 * out.  Every write must be told, after it was made (a part that went out and
 * was written again is sent again).  Never blocks; cheap when there is nothing
 * to do.
 */
void uploader_wrote(struct uploader *u, struct staging *s, uint64_t off,
		    uint64_t len);
/** Bytes changed otherwise: a truncate (from the new or, when it grew, the old
 *  size; len UINT64_MAX), a fallocate. */
void uploader_changed(struct uploader *u, struct staging *s, uint64_t off,
		      uint64_t len);
/** An OPEN file will not be closed, or not uploaded: abort what went out of
 *  it. */
void uploader_abandon(struct uploader *u, struct staging *s);
/** In the background: abort multipart uploads that an earlier run of this
 *  mount began and no staged file goes on with.  Call it once, when
 *  every recovered file has been submitted. */
void uploader_clean_leftovers(struct uploader *u);

struct upload_progress {
	char key[1024];
	uint64_t size, sent;
	int64_t started_ms; /* clock_mono_ms() */
	enum staging_state state;
	int attempts;
};
/** Uploads under way. *list is the caller's (free). */
int uploader_progress(struct uploader *u, struct upload_progress **list,
		      size_t *count);

struct uploader_totals {
	uint64_t stored, failed, bytes;
	uint64_t waiting, running, retrying;
	bool unreachable; /* OSS does not answer */
};
void uploader_totals(struct uploader *u, struct uploader_totals *out);

#endif
