/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RELEASE: the last descriptor of an open(2) is gone.  It comes once, later
 * than the last FLUSH, from nobody; it decides what FLUSH has left undecided,
 * with what FLUSH has learned of the processes (file_close.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs/file_impl.h"
#include "util/log.h"

static void make_incomplete_locked(struct file *f, const char *why)
	ACK_REQUIRES(f->lock)
{
	struct fs *fs = f->fs;
	struct staging_close c;
	struct staging *s;
	char key[1024];
	int rc;

	staging_key(f->now, key);
	uploader_abandon(fs->d.uploader, f->now);
	if (fs->conf.incomplete == FS_INCOMPLETE_DISCARD) {
		log_notice("fs: an incomplete file is dropped: key=%s why=%s",
			   LOG_Q(key), LOG_Q(why));
		file_drop_now_locked(f);
	} else {
		if (file_freeze_locked(f, NULL, &c) == 0)
			staging_close_release(&c);
		rc = staging_incomplete(f->now, why);
		if (rc < 0)
			log_err("fs: an incomplete file could not be journaled: key=%s errno=%d",
				LOG_Q(key), -rc);
		log_notice(
			"fs: a file was not finished, its bytes are kept: key=%s why=%s size=%" PRIu64,
			LOG_Q(key), LOG_Q(why), staging_size(f->now));
		atomic_fetch_add(&fs->incomplete_seen, 1);
		s = f->now;
		file_set_now_locked(f, NULL);
		staging_put(s);
	}
	f->change = CHANGE_NONE;
	file_fall_back_locked(f);
}

void file_show_stored(struct file *f)
{
	struct fs *fs = f->fs;
	struct node *n = f->node;
	uint64_t parent = 0;
	char name[256] = "";
	bool stored, is_other;

	lock_acquire(&fs->tree.lock);
	/* The next writer has it already, or an older generation shows. */
	is_other = f->writers || n->is_staged;
	if (is_other) {
		lock_release(&fs->tree.lock);
		if (fs->invalidate)
			fs->invalidate(fs->notify_arg, n->ino);
		return;
	}
	stored = n->stored || n->maybe_stored;
	n->fresh_until_ms = 0; /* in doubt */
	n->meta_known = false;
	if (n->stored)
		n->size = n->object_size;
	if (!stored && n->parent) {
		parent = n->parent->ino;
		snprintf(name, sizeof(name), "%s", n->name);
		tree_tomb_locked(&fs->tree, n->parent, n->name);
		tree_detach_locked(&fs->tree, n);
	}
	lock_release(&fs->tree.lock);
	/* Never inside a handler's lock, and from a thread of its own
	   (fuse-facts 20): the mount's hook sees to it. */
	if (!stored && parent && fs->invalidate_name)
		fs->invalidate_name(fs->notify_arg, parent, name);
	if (stored && fs->invalidate)
		fs->invalidate(fs->notify_arg, n->ino);
}

enum release_action { RELEASE_NOTHING, RELEASE_UPLOAD, RELEASE_SHOW_STORED };

static enum release_action release_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	bool dead = f->killed && !f->promised;
	int rc = 0;

	if (f->unlinked || !f->now || staging_state_of(f->now) != STAGING_OPEN)
		return RELEASE_NOTHING;
	if (f->change == CHANGE_NONE) {
		file_undo_writable_locked(f);
		return RELEASE_NOTHING;
	}
	if (dead && file_is_untouched(f)) {
		/* Not a byte was written: nothing is lost with it. */
		f->change = CHANGE_NONE;
		file_undo_writable_locked(f);
		return RELEASE_SHOW_STORED;
	}
	if (dead && f->fs->conf.incomplete != FS_INCOMPLETE_UPLOAD) {
		make_incomplete_locked(f, "its writer was killed or hung up");
		return RELEASE_SHOW_STORED;
	}
	if (file_is_temporary(f))
		rc = file_hold_locked(f, NULL, true);
	else if (f->change == CHANGE_CREATED)
		rc = file_hold_locked(f, NULL, false);
	else
		return RELEASE_UPLOAD;
	if (rc < 0)
		log_err("fs: a file could not be held: errno=%d", -rc);
	return RELEASE_NOTHING;
}

/* Nobody has it open: what is stored, or has no name, need not be here. */
static void last_close_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	if (f->now && (f->unlinked || staging_state_of(f->now) == STAGING_DONE))
		file_drop_now_locked(f);
	f->mmapped = false;
}

static void release(struct file *f, struct handle *h)
{
	enum release_action action = RELEASE_NOTHING;
	bool last, last_writer;

	lock_acquire(&f->lock);
	/* Of two that are released at once, one must find itself the last. */
	handle_leave(h, &last, &last_writer);
	if (last_writer)
		action = release_locked(f);
	if (last)
		last_close_locked(f);
	lock_release(&f->lock);
	handle_free(h);
	switch (action) {
	case RELEASE_UPLOAD:
		file_close_now(f, NULL, false, (struct fs_done){0});
		break;
	case RELEASE_SHOW_STORED:
		file_show_stored(f);
		break;
	case RELEASE_NOTHING:
		break;
	}
}

static struct file *hold_file(struct handle *h)
{
	struct fs *fs = h->file->fs;
	struct file *f;

	lock_acquire(&fs->tree.lock);
	f = file_ref_locked(h->file);
	lock_release(&fs->tree.lock);
	return f;
}

void file_release(struct handle *h)
{
	struct file *f = hold_file(h);

	release(f, h);
	file_closing_done(f);
	file_put(f);
}

void file_release_unasked(struct handle *h, bool killed)
{
	struct file *f = hold_file(h);

	lock_acquire(&f->lock);
	f->killed |= killed;
	lock_release(&f->lock);
	release(f, h);
	file_put(f);
}

/* -- the end of the mount -------------------------------------------------- */

static bool is_promised_locked(const struct file *f) ACK_REQUIRES(f->lock)
{
	return f->promised && !f->unlinked && f->change != CHANGE_NONE;
}

void file_close_promised(struct fs *fs)
{
	size_t count;
	AUTO_FREE struct file **list = file_all(fs, &count);

	for (size_t i = 0; i < count; i++) {
		struct file *f = list[i];
		bool promised, temporary = file_is_temporary(f);

		lock_acquire(&f->lock);
		promised = is_promised_locked(f);
		if (promised && temporary)
			(void)file_hold_locked(f, NULL, true);
		lock_release(&f->lock);
		if (promised && !temporary)
			file_close_now(f, NULL, false, (struct fs_done){0});
		file_put(f);
	}
}
