/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding: a closed file waits for its final name (rsync, SFTP and FTP servers
 * write a temporary one), or for its first byte (`.done` markers are real, but
 * most empty files are about to be written).
 */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "callback/rules.h"
#include "fs/file_impl.h"
#include "state/cbvars.h"
#include "util/clock.h"
#include "util/log.h"

/** A journal that refuses (a full disk) may take it later. */
#define HOLD_RETRY_MS 10000

struct hold_shot {
	struct fs *fs;
	uint64_t ino;
	uint64_t turn;
};

static void hold_task(void *arg)
{
	struct hold_shot *shot = arg;
	struct file *f = file_get(shot->fs, shot->ino);
	bool due = false, temporary = false;

	if (f) {
		lock_acquire(&f->lock);
		due = f->hold_turn == shot->turn && f->now &&
		      staging_state_of(f->now) == STAGING_HELD;
		temporary = f->hold_is_temporary;
		lock_release(&f->lock);
		if (due)
			file_release_hold(f, temporary);
		file_put(f);
	}
	free(shot);
}

/* On the timer's thread: hand it on. */
static void hold_expired(void *arg)
{
	struct hold_shot *shot = arg;
	const struct keyq_task task = {
		.class = KEYQ_BACKGROUND,
		.key = "",
		.run = hold_task,
		.dropped = free,
		.arg = shot,
	};

	if (keyq_submit(shot->fs->d.queue, &task) < 0)
		free(shot);
}

static void start_hold_timer_locked(struct file *f, int64_t ms)
	ACK_REQUIRES(f->lock)
{
	struct hold_shot *shot = calloc(1, sizeof(*shot));

	file_cancel_hold_locked(f);
	if (!shot)
		return; /* a rename, a reopen or the unmount release it */
	shot->fs = f->fs;
	shot->ino = f->node->ino;
	shot->turn = f->hold_turn;
	f->hold = timer_add_owned(f->fs->d.timers, clock_mono_ms() + ms,
				  hold_expired, free, shot);
	f->hold_shot = shot;
	if (!f->hold)
		free(shot);
}

void file_cancel_hold_locked(struct file *f)
{
	/* One that is on its way frees itself, and sees that its turn is over. */
	if (f->hold && timer_cancel(f->fs->d.timers, f->hold))
		free(f->hold_shot);
	f->hold_turn++;
	f->hold = 0;
	f->hold_shot = NULL;
}

bool file_is_temporary(struct file *f)
{
	struct fs *fs = f->fs;
	char path[1024];
	int rc;

	lock_acquire(&fs->tree.lock);
	rc = tree_path_locked(&fs->tree, f->node, path, sizeof(path));
	lock_release(&fs->tree.lock);
	return rc > 0 && rules_is_temporary(fs->d.rules, path);
}

/* OPEN -> HELD; the timer starts. */
int file_hold_locked(struct file *f, const struct process *who, bool temporary)
{
	struct staging_close c;
	int rc;

	if (!f->now || staging_state_of(f->now) != STAGING_OPEN || f->unlinked)
		return 0;
	rc = file_freeze_locked(f, who, &c);
	if (rc < 0)
		return rc;
	rc = staging_hold(f->now, &c, temporary);
	staging_close_release(&c);
	if (rc < 0)
		return rc;
	f->change = CHANGE_NONE;
	f->hold_is_temporary = temporary;
	start_hold_timer_locked(f, temporary ? f->fs->conf.temporary_hold_ms
					     : f->fs->conf.empty_hold_ms);
	return 0;
}

/* What was frozen when it was held, with the metadata and the rule of now. */
static int close_held_locked(struct file *f, bool no_callback)
	ACK_REQUIRES(f->lock)
{
	struct staging_props props;
	struct staging_close c;
	char key[1024];
	int rc;

	rc = file_make_props_locked(f, &props);
	if (rc < 0)
		return rc;
	rc = staging_set_props(f->now, &props);
	staging_props_release(&props);
	if (rc == 0)
		rc = staging_get_close(f->now, &c);
	if (rc < 0)
		return rc;
	c.no_callback = no_callback;
	lock_acquire(&f->fs->tree.lock);
	c.mode = f->node->mode;
	c.mtime_ms = f->node->mtime_ns / 1000000;
	lock_release(&f->fs->tree.lock);
	kvs_release(&c.vars);
	staging_key(f->now, key);
	rc = cbvars_inherited(f->fs->d.db, key, &c.vars);
	if (rc == 0)
		rc = staging_close(f->now, &c, f->fs->conf.close_staged);
	staging_close_release(&c);
	return rc;
}

void file_release_hold(struct file *f, bool no_callback)
{
	struct staging *s = NULL;
	int rc = 0;

	lock_acquire(&f->lock);
	if (f->now && staging_state_of(f->now) == STAGING_HELD) {
		file_cancel_hold_locked(f);
		rc = close_held_locked(f, no_callback);
		if (rc == 0) {
			s = staging_get(f->now);
			f->props.exclusive = false;
		} else {
			start_hold_timer_locked(f, HOLD_RETRY_MS);
		}
	}
	lock_release(&f->lock);
	if (rc < 0)
		log_err("fs: a held file could not be closed, it is tried again: errno=%d",
			-rc);
	if (!s)
		return;
	file_submit(f, s, NULL, (struct fs_done){0});
	staging_put(s);
}

struct file **file_all(struct fs *fs, size_t *count)
{
	struct file *f, **list;
	size_t n = 0;

	lock_acquire(&fs->tree.lock);
	DL_COUNT(fs->files, f, n);
	list = calloc(n + 1, sizeof(struct file *));
	n = 0;
	DL_FOREACH(fs->files, f)
	{
		if (list)
			list[n++] = file_ref_locked(f);
	}
	lock_release(&fs->tree.lock);
	*count = n;
	return list;
}

void file_finish_holds(struct fs *fs)
{
	size_t count;
	AUTO_FREE struct file **list = file_all(fs, &count);

	for (size_t i = 0; i < count; i++) {
		bool temporary;

		lock_acquire(&list[i]->lock);
		temporary = list[i]->hold_is_temporary;
		lock_release(&list[i]->lock);
		/* A temporary name at the end of the mount: the bytes go up,
		   nobody is told. */
		file_release_hold(list[i], temporary);
		file_put(list[i]);
	}
}

void file_restart_hold(struct fs *fs, struct node *n)
{
	struct file *f;
	bool temporary;

	lock_acquire(&fs->tree.lock);
	f = file_get_node_locked(fs, n);
	lock_release(&fs->tree.lock);
	if (!f)
		return;
	temporary = file_is_temporary(f);
	lock_acquire(&f->lock);
	f->hold_is_temporary = temporary;
	start_hold_timer_locked(f, f->hold_is_temporary
					   ? fs->conf.temporary_hold_ms
					   : fs->conf.empty_hold_ms);
	lock_release(&f->lock);
	file_put(f);
}
