/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A filesystem without a mount: fs on a state directory, the uploader and the
 * store in memory.  What the kernel would do (lookups and their count, FLUSH and
 * RELEASE noted in the order of arrival) the helpers do; paths are inside the
 * mount.
 *
 * Time stands in the clock that tests advance; nothing here sleeps.
 */
#ifndef ACKFS_TESTS_FS_FIXTURE_H
#define ACKFS_TESTS_FS_FIXTURE_H

#include <stdatomic.h>

#include "fake_store.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/xattr.h"
#include "state.h"
#include "upload.h"

struct fs_fix {
	struct state_fix state;
	struct fake_store *oss;
	struct fs_conf conf;          /* change before fx_start() */
	struct uploader_conf uploads; /* likewise */
	struct rules *rules;
	struct mime *mime;
	struct closer *closer;
	struct keyq *queue;
	struct timer_wheel *timers;
	struct read_cache *readers;
	struct uploader *up;
	struct recall *recall;
	struct fs *fs;
	pid_t tid; /* who makes requests; 0: this thread */
	atomic_int invalidated;
	/* Once, on the worker's thread, between the end of an upload and the
	   moment when its file hears of it: set while nothing is uploaded. */
	void (*before_event)(struct fs_fix *f);
	struct handle *handle; /* for it */
};

/** callback: as for upload_rules(). */
void fx_init(struct fs_fix *f, const char *callback);
/** Mount: recovers what a fx_stop() left. */
void fx_start(struct fs_fix *f);
/** The end as after a hurried unmount: nothing is drained. */
void fx_stop(struct fs_fix *f);
void fx_remount(struct fs_fix *f);
void fx_fini(struct fs_fix *f);

/* -- requests that are answered later ------------------------------------ */

struct fx_answer {
	atomic_bool is_done;
	int rc;
};
struct fs_done fx_done(struct fx_answer *a);
/** Wait for it (TEST_DEADLINE_MS). @return its rc */
int fx_wait(struct fx_answer *a);
/** Wait until the queue has no task. */
void fx_settle(struct fs_fix *f);
/** Advance the clock until the condition holds. */
bool fx_pass_time(bool (*is_true)(void *), void *arg);

/* -- names ------------------------------------------------------------------- */

/** lookup of each part; nothing stays looked up. @return 0 or -errno */
int fx_lookup(struct fs_fix *f, const char *path, struct fs_attr *out);
/** Of a name that must be there. */
uint64_t fx_ino(struct fs_fix *f, const char *path);
uint64_t fx_size(struct fs_fix *f, const char *path);
bool fx_exists(struct fs_fix *f, const char *path);
/** The folder's names in order, blanks between; folders with '/'. Heap. */
char *fx_names(struct fs_fix *f, const char *path);
void fx_assert_names(struct fs_fix *f, const char *path, const char *want);
int fx_mkdir(struct fs_fix *f, const char *path, uint32_t mode);
int fx_unlink(struct fs_fix *f, const char *path);
int fx_rmdir(struct fs_fix *f, const char *path);
int fx_rename(struct fs_fix *f, const char *from, const char *to);
int fx_chmod(struct fs_fix *f, const char *path, uint32_t mode);
int fx_truncate(struct fs_fix *f, const char *path, uint64_t size);
/** An attribute's text without "user.oss."; NULL: there is none. Heap. */
char *fx_xattr(struct fs_fix *f, const char *path, const char *name);
/** Is it this text? */
bool fx_xattr_is(struct fs_fix *f, const char *path, const char *name,
		 const char *want);
int fx_setxattr(struct fs_fix *f, const char *path, const char *name,
		const char *value, int flags);

/* -- files ------------------------------------------------------------------- */

struct handle *fx_create(struct fs_fix *f, const char *path, int flags);
struct handle *fx_open(struct fs_fix *f, const char *path, int flags);
void fx_write(struct handle *h, const char *text, uint64_t off);
/** All of it by one read; NULL: the read failed. Heap. */
char *fx_read(struct handle *h);
bool fx_reads(struct handle *h, const char *want);
/** FLUSH without waiting for the answer. */
void fx_flush_begin(struct fs_fix *f, struct handle *h, struct fx_answer *a);
int fx_flush(struct fs_fix *f, struct handle *h);
void fx_release(struct fs_fix *f, struct handle *h);
/** FLUSH and RELEASE. @return what FLUSH was answered */
int fx_close(struct fs_fix *f, struct handle *h);
/** Create or replace, write, close; all must be well. */
void fx_put(struct fs_fix *f, const char *path, const char *text);
/** Open, read all, close: is it this text? */
bool fx_holds(struct fs_fix *f, const char *path, const char *want);

/* -- processes ------------------------------------------------------------------ */

/** A child that does nothing, to make requests in the name of (f->tid). */
pid_t fx_actor_start(void);
/** It ends by this signal, or by exit(0) for 0; it stays a zombie, so that
 *  it can still be judged. */
void fx_actor_end(pid_t actor, int sig);
void fx_actor_reap(pid_t actor);

#endif
