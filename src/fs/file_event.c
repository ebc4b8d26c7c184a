/* SPDX-License-Identifier: Apache-2.0 */
/* What the uploader tells of staged files, and who waits to hear it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "fs/file_impl.h"
#include "util/clock.h"
#include "util/log.h"

/* -- what the uploader tells ----------------------------------------------- */

static void note_stored_locked(struct file *f, const struct object_id *id,
			       bool current) ACK_REQUIRES(f->lock)
{
	struct fs *fs = f->fs;
	struct node *n = f->node;

	f->props.exclusive = false; /* it exists now, and is ours */
	lock_acquire(&fs->tree.lock);
	if (node_set_object(n, id) < 0)
		log_warn("fs: no memory for a version id");
	if (current && f->change == CHANGE_NONE)
		n->size = id->size;
	n->meta_known = true;
	n->fresh_until_ms = clock_mono_ms() + fs->conf.ttl_ms;
	tree_changed_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
}

/* The answer was lost: an unlink or a rename must reach the object that may be
   there. */
static void note_doubt(struct file *f)
{
	struct fs *fs = f->fs;

	lock_acquire(&fs->tree.lock);
	if (!f->node->stored)
		f->node->maybe_stored = true;
	lock_release(&fs->tree.lock);
}

/* What was not written is the same in the object that OSS has now: in newer
   generations, and in the one that was stored, which may be read on. */
static void rebase_locked(struct file *f, const char *key,
			  const struct object_id *id) ACK_REQUIRES(f->lock)
{
	struct staging_base base = {.size = id->size,
				    .modified_ms = id->modified_ms};
	struct generation *g;
	int rc = 0;

	snprintf(base.key, sizeof(base.key), "%s", key);
	snprintf(base.etag, sizeof(base.etag), "%s", id->etag);
	LL_FOREACH(f->older, g)
	{
		if (rc == 0)
			rc = staging_rebase(g->staging, &base);
	}
	if (f->now && rc == 0)
		rc = staging_rebase(f->now, &base);
	if (rc < 0)
		log_err("fs: an open file could not be tied to the object's new version: key=%s",
			LOG_Q(key));
}

/* A newer one has made it void, or it was given up. */
static void forget_locked(struct file *f, struct staging *s)
	ACK_REQUIRES(f->lock)
{
	if (f->now == s) {
		file_set_now_locked(f, NULL);
		file_fall_back_locked(f);
	} else if (!file_remove_older_locked(f, s)) {
		return;
	}
	staging_put(s);
}

/* The node knows since fs_upload_stored(). */
static void stored_locked(struct file *f, struct staging *s)
	ACK_REQUIRES(f->lock)
{
	bool open;

	if (f->now != s) {
		if (file_remove_older_locked(f, s)) {
			staging_discard(s);
			staging_put(s);
		}
		return;
	}
	lock_acquire(&f->fs->tree.lock);
	open = f->handles > 0;
	lock_release(&f->fs->tree.lock);
	/* It may be open again, or closed with newer bytes. */
	if (!open && staging_state_of(s) == STAGING_DONE)
		file_drop_now_locked(f);
}

static void event_locked(struct file *f, struct staging *s,
			 const struct upload_outcome *o) ACK_REQUIRES(f->lock)
{
	if (o->rc == 0) {
		stored_locked(f, s);
	} else if (o->superseded) {
		forget_locked(f, s);
	} else if (o->reply.sent_all) {
		note_doubt(f);
	}
}

/* The file that s is a generation of, with a reference.  Nearly always the one
   that has its key's name; not while a rename is under way. */
static struct file *file_of_staging(struct fs *fs, struct staging *s)
{
	char key[1024];
	struct node *n;
	struct file *f;

	staging_key(s, key);
	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, key);
	f = n ? n->file : NULL;
	if (!f || !file_has_locked(fs, f, s)) {
		DL_FOREACH(fs->files, f)
		{
			if (file_has_locked(fs, f, s))
				break;
		}
	}
	if (f)
		file_ref_locked(f);
	lock_release(&fs->tree.lock);
	return f;
}

void fs_upload_event(void *arg, struct staging *s,
		     const struct upload_outcome *o)
{
	struct fs *fs = arg;
	struct file *f;
	struct node *n = NULL;
	bool meta_due = false;

	f = file_of_staging(fs, s);
	if (!f) {
		/* Its node is gone (unlinked, or never made): nothing shows. */
		if (o->rc == 0)
			staging_discard(s);
		return;
	}
	lock_acquire(&f->lock);
	event_locked(f, s, o);
	lock_release(&f->lock);
	lock_acquire(&fs->tree.lock);
	n = f->node;
	meta_due = o->rc == 0 && n->meta_dirty;
	lock_release(&fs->tree.lock);
	if (meta_due)
		fs_schedule_meta(fs, n);
	file_put(f);
}

void fs_upload_stored(void *arg, struct staging *s, const struct object_id *id)
{
	struct file *f = file_of_staging(arg, s);
	char key[1024];

	if (fs_is_away(arg))
		(void)fs_note_reply(arg, 0, NULL); /* it is back */
	if (!f)
		return;
	staging_key(s, key);
	lock_acquire(&f->lock);
	note_stored_locked(f, id, f->now == s);
	rebase_locked(f, key, id);
	lock_release(&f->lock);
	file_put(f);
}

/* Its parts will go out: with the metadata that it has so far. */
void fs_settle_props(void *arg, struct staging *s)
{
	struct fs *fs = arg;
	struct staging_props props;
	struct file *f = file_of_staging(fs, s);

	if (!f)
		return;
	lock_acquire(&f->lock);
	if (f->now == s && staging_state_of(s) == STAGING_OPEN &&
	    file_make_props_locked(f, &props) == 0) {
		(void)staging_set_props(s, &props);
		staging_props_release(&props);
	}
	lock_release(&f->lock);
	file_put(f);
}

/* The same bytes under another ETag: whoever asks for the old one is told that
 * the object has changed. */
void fs_recalled(void *arg, const char *key, const struct object_id *id)
{
	struct fs *fs = arg;
	struct file *f = NULL;
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, key);
	if (n && n->stored && node_set_object(n, id) < 0)
		log_warn("fs: no memory for a version id");
	if (n)
		file_moved_locked(n);
	if (n && n->file)
		f = file_ref_locked(n->file);
	lock_release(&fs->tree.lock);
	if (!f)
		return;
	lock_acquire(&f->lock);
	rebase_locked(f, key, id);
	lock_release(&f->lock);
	file_put(f);
}

/* -- waiting for an outcome ------------------------------------------------ */

/* A getxattr that waits: the close that was read before it is judged, then the
   upload ends, or the time is over. */
struct outcome_wait {
	struct fs *fs;
	uint64_t ino;
	struct fs_done done;
	struct staging *staging; /* the upload that is watched */
	timer_id timer;          /* 0: no memory, only the upload can end it */
	atomic_int refs;         /* of the watch and the timer, or of what it is
				    parked behind */
	atomic_bool answered;
};

static void outcome_wait_put(void *arg)
{
	struct outcome_wait *w = arg;

	if (atomic_fetch_sub(&w->refs, 1) > 1)
		return;
	staging_put(w->staging);
	free(w);
}

static void outcome_answer(struct outcome_wait *w)
{
	if (!atomic_exchange(&w->answered, true))
		w->done.fn(w->done.arg, 0);
	outcome_wait_put(w);
}

static void stop_timer(struct outcome_wait *w)
{
	if (!w->timer || timer_cancel(w->fs->d.timers, w->timer))
		outcome_wait_put(w);
}

static void outcome_ready(void *arg, const struct upload_outcome *o)
{
	struct outcome_wait *w = arg;

	(void)o;
	stop_timer(w);
	outcome_answer(w);
}

static void outcome_late(void *arg)
{
	struct outcome_wait *w = arg;

	if (uploader_unwatch(w->fs->d.uploader, w->staging, w))
		outcome_wait_put(w);
	outcome_answer(w);
}

/* On the timer's thread: hand it on. */
static void outcome_due(void *arg)
{
	struct outcome_wait *w = arg;
	const struct keyq_task task = {
		.class = KEYQ_META,
		.run = outcome_late,
		.dropped = outcome_late,
		.arg = w,
	};

	if (keyq_submit(w->fs->d.queue, &task) < 0)
		outcome_wait_put(w); /* the end: the watch is answered */
}

/* @return false: done is not called */
static bool watch_upload(struct file *f, struct outcome_wait *w)
{
	struct fs *fs = f->fs;
	bool watched;

	lock_acquire(&f->lock);
	if (f->now)
		w->staging = staging_get(f->now);
	lock_release(&f->lock);
	if (!w->staging)
		return false;
	atomic_fetch_add(&w->refs, 2);
	w->timer = timer_add_owned(fs->d.timers,
				   clock_mono_ms() + fs->conf.retry_deadline_ms,
				   outcome_due, outcome_wait_put, w);
	watched = uploader_watch(fs->d.uploader, w->staging, outcome_ready,
				 w) == 0;
	if (!watched) {
		atomic_store(&w->answered, true); /* the timer need not */
		stop_timer(w);
		outcome_wait_put(w);
	}
	return watched;
}

static void wait_on(void *arg, int rc)
{
	struct outcome_wait *w = arg;

	(void)rc;
	if (!file_wait_outcome(w->fs, w->ino, w->done))
		w->done.fn(w->done.arg, 0);
	outcome_wait_put(w);
}

/* Closes that were read before come first: they may begin an upload.  w is
   taken on success. */
static bool park_behind_closes(struct file *f, struct outcome_wait *w)
{
	struct parked *p = calloc(1, sizeof(*p));
	bool parked = false;

	if (!p)
		return false;
	p->done = (struct fs_done){wait_on, w};
	lock_acquire(&f->lock);
	if (f->on_head) { /* one waits for the metadata that it replaces */
		LL_APPEND(f->on_head, p);
		parked = true;
	}
	lock_acquire(&f->fs->tree.lock);
	if (!parked && f->closing) {
		LL_APPEND(f->waiters, p);
		parked = true;
	}
	lock_release(&f->fs->tree.lock);
	lock_release(&f->lock);
	if (!parked)
		free(p);
	return parked;
}

bool file_wait_outcome(struct fs *fs, uint64_t ino, struct fs_done done)
{
	struct outcome_wait *w = calloc(1, sizeof(*w));
	struct file *f = NULL;
	struct node *n;
	bool waits;

	if (!w)
		return false;
	*w = (struct outcome_wait){.fs = fs, .ino = ino, .done = done};
	atomic_init(&w->refs, 1);
	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, ino);
	if (n && n->file)
		f = file_ref_locked(n->file);
	lock_release(&fs->tree.lock);
	if (f && park_behind_closes(f, w)) {
		file_put(f);
		return true;
	}
	waits = f && watch_upload(f, w);
	outcome_wait_put(w);
	file_put(f);
	return waits;
}
