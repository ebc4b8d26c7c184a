/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing: what a close freezes, uploads, FLUSH.
 *
 * FLUSH comes for each closed duplicate of a descriptor, or from exit, or from
 * execve; RELEASE comes once, later, from nobody.  fs/closer says which FLUSH
 * is the end (fuse-facts 1 to 4); what FLUSH leaves undecided, RELEASE decides.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "callback/rules.h"
#include "fs/file_impl.h"
#include "state/cbvars.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/uuid.h"

/* -- what a close freezes -------------------------------------------------- */

int file_make_close_locked(struct file *f, const struct process *who,
			   struct staging_close *out)
{
	struct fs *fs = f->fs;
	char id[UUID_LEN], key[1024];
	int rc;

	memset(out, 0, sizeof(*out));
	lock_acquire(&fs->tree.lock);
	if (fs_key_locked(fs, f->node, key) < 0)
		key[0] = '\0';
	out->mode = f->node->mode;
	out->mtime_ms = f->node->mtime_ns / 1000000;
	lock_release(&fs->tree.lock);
	out->uid = f->uid;
	out->gid = f->gid;
	out->pid = who && who->tgid ? who->tgid : f->pid;
	out->delivery_id = str_dup(uuid_make(id));
	out->previous_delivery_id = str_dup("");
	out->rule = str_dup(rules_match(fs->d.rules, fs_path_of_key(fs, key),
					staging_size(f->now), NULL)
				    ->name);
	out->process = str_dup(who && who->name[0] ? who->name : f->process);
	rc = cbvars_inherited(fs->d.db, key, &out->vars);
	if (rc == 0)
		rc = staging_close_add_meta(out, &f->props.meta);
	if (rc == 0 && (!out->delivery_id || !out->previous_delivery_id ||
			!out->rule || !out->process))
		rc = -ENOMEM;
	if (rc < 0)
		staging_close_release(out);
	return rc;
}

int file_make_props_locked(struct file *f, struct staging_props *out)
{
	struct fs *fs = f->fs;
	struct posix_attr a;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = staging_props_copy(out, &f->props);
	if (rc < 0)
		return rc;
	out->check_conflict = fs->conf.fail_on_conflict;
	lock_acquire(&fs->tree.lock);
	a.mode = f->node->mode;
	a.uid = f->node->uid;
	a.gid = f->node->gid;
	a.mtime_ns = f->node->mtime_ns;
	lock_release(&fs->tree.lock);
	if (fs->conf.posix_meta != FS_POSIX_NEVER)
		rc = posix_write(&out->meta, &a);
	if (rc < 0)
		staging_props_release(out);
	return rc;
}

/* A chmod that waited for its CopyObject goes up with the bytes. */
static void settle_meta(struct file *f)
{
	struct fs *fs = f->fs;
	char key[1024];
	bool dirty;

	lock_acquire(&fs->tree.lock);
	dirty = f->node->meta_dirty && fs_key_locked(fs, f->node, key) == 0;
	f->node->meta_dirty = false;
	lock_release(&fs->tree.lock);
	if (dirty)
		metachange_remove(fs->d.db, key);
}

int file_freeze_locked(struct file *f, const struct process *who,
		       struct staging_close *c)
{
	struct staging_props props;
	int rc = file_make_props_locked(f, &props);

	if (rc < 0)
		return rc;
	rc = staging_set_props(f->now, &props);
	staging_props_release(&props);
	if (rc == 0)
		settle_meta(f);
	return rc < 0 ? rc : file_make_close_locked(f, who, c);
}

/* -- uploading ------------------------------------------------------------- */

/* A FLUSH that waits for its upload. */
struct flush_wait {
	struct file *file;
	struct fs_done done;
};

static void wait_free(struct flush_wait *w)
{
	file_put(w->file);
	free(w);
}

static void upload_done(void *arg, const struct upload_outcome *o)
{
	struct flush_wait *w = arg;
	struct fs_done done = w->done;
	int rc = o->close_rc;

	/* Something newer took its place, or the name is gone: nothing that
	   this closer has to know of. */
	if (o->rc == -ECANCELED)
		rc = 0;
	wait_free(w);
	done.fn(done.arg, rc);
}

static struct flush_wait *wait_new(struct file *f, struct fs_done done)
{
	struct flush_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->done = done;
	lock_acquire(&f->fs->tree.lock);
	w->file = file_ref_locked(f);
	lock_release(&f->fs->tree.lock);
	return w;
}

struct pending_close {
	struct file *file;
	struct process who;
	bool has_who, wait;
	struct fs_done done;
};

static void close_after_head(void *arg, int rc)
{
	struct pending_close *p = arg;

	(void)rc;
	file_close_now(p->file, p->has_who ? &p->who : NULL, p->wait, p->done);
	file_put(p->file);
	free(p);
}

/* The object's metadata is being asked for: go on when it is there. */
static bool park_behind_head_locked(struct file *f, const struct process *who,
				    bool wait, struct fs_done done)
{
	struct pending_close *p;
	struct parked *parked;

	if (!f->head_pending)
		return false;
	p = calloc(1, sizeof(*p));
	parked = calloc(1, sizeof(*parked));
	if (!p || !parked) {
		free(p);
		free(parked);
		return false; /* better without the old metadata than not */
	}
	p->file = f;
	p->wait = wait;
	p->done = done;
	if (who) {
		p->who = *who;
		p->has_who = true;
	}
	parked->done = (struct fs_done){close_after_head, p};
	LL_APPEND(f->on_head, parked);
	lock_acquire(&f->fs->tree.lock);
	file_ref_locked(f);
	lock_release(&f->fs->tree.lock);
	return true;
}

/* OPEN -> CLOSED. @return 1: there is nothing to close any more */
static int close_locked(struct file *f, const struct process *who)
	ACK_REQUIRES(f->lock)
{
	struct staging_close c;
	bool durable = f->fs->conf.close_staged;
	int rc;

	if (!f->now || staging_state_of(f->now) != STAGING_OPEN || f->unlinked)
		return 1;
	rc = file_freeze_locked(f, who, &c);
	if (rc < 0)
		return rc;
	rc = staging_close(f->now, &c, durable);
	staging_close_release(&c);
	if (rc < 0)
		return rc;
	f->change = CHANGE_NONE;
	f->props.exclusive = false; /* the next generation replaces this one */
	return 0;
}

void file_submit(struct file *f, struct staging *s, struct flush_wait *w,
		 struct fs_done done)
{
	int rc = uploader_submit(f->fs->d.uploader, s, w ? upload_done : NULL,
				 w);

	if (w && rc == 0)
		return; /* upload_done() answers */
	if (w)
		wait_free(w);
	/* Shutting down: the journal has it, the next mount goes on. */
	if (rc == -ESHUTDOWN && f->fs->conf.close_staged)
		rc = 0;
	if (done.fn)
		done.fn(done.arg, rc);
}

void file_close_now(struct file *f, const struct process *who, bool wait,
		    struct fs_done done)
{
	struct flush_wait *w = NULL;
	struct staging *s = NULL;
	int rc;

	wait = wait && !f->fs->conf.close_staged && done.fn;
	lock_acquire(&f->lock);
	if (park_behind_head_locked(f, who, wait, done)) {
		lock_release(&f->lock);
		return;
	}
	rc = close_locked(f, who);
	if (rc == 0)
		s = staging_get(f->now);
	lock_release(&f->lock);
	if (s && wait) {
		w = wait_new(f, done);
		if (!w) { /* it goes up; how it ends nobody can say */
			done.fn(done.arg, -ENOMEM);
			done = (struct fs_done){0};
		}
	}
	if (rc != 0 || !s) {
		if (rc < 0)
			log_err("fs: a close could not be journaled: errno=%d",
				-rc);
		if (done.fn)
			done.fn(done.arg, rc < 0 ? rc : 0);
		return;
	}
	file_submit(f, s, w, done);
	staging_put(s);
}

/* -- FLUSH ----------------------------------------------------------------- */

void file_note_closing(struct fs *fs, uint64_t ino)
{
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, ino);
	if (n && n->file)
		n->file->closing++;
	lock_release(&fs->tree.lock);
}

void file_closing_done(struct file *f)
{
	struct fs *fs = f->fs;
	struct parked *list = NULL, *p, *tmp;

	lock_acquire(&fs->tree.lock);
	if (f->closing)
		f->closing--;
	if (!f->closing) {
		list = f->waiters;
		f->waiters = NULL;
	}
	lock_release(&fs->tree.lock);
	LL_FOREACH_SAFE(list, p, tmp)
	{
		p->done.fn(p->done.arg, 0);
		free(p);
	}
}

struct closing_wait {
	struct lock lock;
	struct cond over;
	bool is_over;
};

static void closing_is_over(void *arg, int rc)
{
	struct closing_wait *w = arg;

	(void)rc;
	lock_acquire(&w->lock);
	w->is_over = true;
	cond_signal(&w->over);
	lock_release(&w->lock);
}

void file_wait_closing(struct file *f)
{
	struct closing_wait w = {.is_over = false};
	struct parked *p = calloc(1, sizeof(*p));
	bool wait;

	if (!p)
		return; /* an order that nobody can rely on any more */
	lock_init(&w.lock, LOCK_LEAF);
	cond_init(&w.over);
	p->done = (struct fs_done){closing_is_over, &w};
	lock_acquire(&f->fs->tree.lock);
	wait = f->closing > 0;
	if (wait)
		LL_APPEND(f->waiters, p);
	lock_release(&f->fs->tree.lock);
	if (!wait)
		free(p);
	lock_acquire(&w.lock);
	while (wait && !w.is_over)
		cond_wait(&w.over, &w.lock);
	lock_release(&w.lock);
	cond_destroy(&w.over);
	lock_destroy(&w.lock);
}

/* What must be left to RELEASE whoever closes (fuse-facts 8, design). */
static bool must_defer_locked(const struct file *f)
{
	return f->mmapped || f->change == CHANGE_CREATED ||
	       f->change == CHANGE_SIZED;
}

static int promise_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	f->promised = true;
	if (!f->now || staging_state_of(f->now) != STAGING_OPEN)
		return 0;
	return staging_promise(f->now);
}

/* The verdict is CLOSE_FINAL: hold or upload. @return true: done was given on */
static bool flush_final(struct file *f, const struct process *who,
			struct fs_done done, int *rc)
{
	bool temporary = file_is_temporary(f);

	if (temporary) {
		lock_acquire(&f->lock);
		*rc = file_hold_locked(f, who, true);
		lock_release(&f->lock);
		return false;
	}
	file_close_now(f, who, true, done);
	return true;
}

void file_note_writer(struct handle *h, pid_t tid)
{
	struct file *f = h->file;
	char name[sizeof(f->process)];

	process_name(tid, name, sizeof(name));
	lock_acquire(&f->lock);
	memcpy(f->process, name, sizeof(name));
	lock_release(&f->lock);
}

static bool flush_decide(struct handle *h, const struct caller *who,
			 struct fs_done done, int *rc)
{
	struct file *f = h->file;
	struct process p;
	enum close_verdict verdict;

	memset(&p, 0, sizeof(p));
	verdict = closer_judge(f->fs->d.closer, who->tid, h->opener,
			       f->node->ino, &p);
	lock_acquire(&f->lock);
	if (p.tgid == f->pid)
		memcpy(f->process, p.name, sizeof(f->process));
	switch (verdict) {
	case CLOSE_KILLED:
	case CLOSE_ABORTED:
		f->killed = true;
		lock_release(&f->lock);
		return false;
	case CLOSE_DEFER:
		/* A shell that redirects closes a duplicate before anything is
		   written: that finishes nothing (fuse-facts 2). */
		if (!file_is_untouched(f))
			*rc = promise_locked(f);
		lock_release(&f->lock);
		return false;
	case CLOSE_FINAL:
		break;
	}
	if (must_defer_locked(f)) {
		*rc = promise_locked(f);
		lock_release(&f->lock);
		return false;
	}
	lock_release(&f->lock);
	return flush_final(f, &p, done, rc);
}

void file_flush(struct handle *h, const struct caller *who, struct fs_done done)
{
	struct file *f = h->file;
	bool needed, unnamed, answered = false;
	int rc = 0;

	lock_acquire(&f->lock);
	needed = h->writable && f->change != CHANGE_NONE && !f->unlinked;
	unnamed = h->writable && !f->process[0];
	lock_release(&f->lock);
	lock_acquire(&f->fs->tree.lock);
	file_ref_locked(f);
	lock_release(&f->fs->tree.lock);
	if (needed)
		answered = flush_decide(h, who, done, &rc);
	else if (unnamed) /* it may have mapped the file */
		file_note_writer(h, who->tid);
	file_closing_done(f);
	if (!answered)
		done.fn(done.arg, rc);
	file_put(f);
}
