/* SPDX-License-Identifier: Apache-2.0 */
/* Staged files under a changing name: rename, unlink, chmod, recovery. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "callback/rules.h"
#include "fs/change.h"
#include "fs/file_impl.h"
#include "util/clock.h"
#include "util/log.h"

static struct file *file_of_node(struct fs *fs, struct node *n)
{
	struct file *f = NULL;

	lock_acquire(&fs->tree.lock);
	if (n->file)
		f = file_ref_locked(n->file);
	lock_release(&fs->tree.lock);
	return f;
}

struct staging *file_staging(struct fs *fs, struct node *n)
{
	struct file *f = file_of_node(fs, n);
	struct staging *s = NULL;

	if (!f)
		return NULL;
	lock_acquire(&f->lock);
	if (f->now)
		s = staging_get(f->now);
	lock_release(&f->lock);
	file_put(f);
	return s;
}

int file_adopt(struct fs *fs, struct node *n, struct staging *s)
{
	struct file *f;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	f = file_get_node_locked(fs, n);
	lock_release(&fs->tree.lock);
	if (!f)
		return -ENOMEM;
	lock_acquire(&f->lock);
	/* They come oldest first: the last one is what shows. */
	if (f->now)
		rc = file_push_older_locked(f);
	if (rc == 0) {
		file_set_now_locked(f, staging_get(s));
		/* A hold that ends, and the next generation, go on with them. */
		staging_props_release(&f->props);
		f->props_known = staging_get_props(s, &f->props) == 0;
	}
	lock_release(&f->lock);
	file_put(f);
	return rc;
}

/* -- unlink ---------------------------------------------------------------- */

/* @return true: one of them may be stored all the same */
static bool cancel_older_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	bool sent = false;

	while (f->older) {
		struct staging *s = f->older->staging;

		file_remove_older_locked(f, s);
		sent |= uploader_cancel(f->fs->d.uploader, s);
		staging_put(s);
	}
	return sent;
}

/* Whoever has the file open goes on with its bytes, which have no name. */
static void keep_for_handles_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	struct staging *s = f->now;
	int rc = 0;

	switch (staging_state_of(s)) {
	case STAGING_OPEN:
		uploader_abandon(f->fs->d.uploader, s);
		break;
	case STAGING_HELD:
	case STAGING_DONE:
		rc = staging_reopen(s, NULL);
		break;
	case STAGING_CLOSED:
	case STAGING_UPLOADING:
	case STAGING_RETRYING:
	case STAGING_INCOMPLETE:
		rc = staging_clone(s, &s);
		file_set_now_locked(f, rc == 0 ? s : NULL);
		break;
	}
	if (rc < 0)
		log_err("fs: an unlinked file that is open cannot be read on: id=%lld errno=%d",
			(long long)staging_id(s), -rc);
	else
		file_make_anonymous(s);
}

/* @return true: an upload of it may be stored all the same */
static bool cancel_now_locked(struct file *f, bool open) ACK_REQUIRES(f->lock)
{
	struct staging *s = f->now;
	bool sent;

	if (!s)
		return false;
	/* Stored; its node may not have heard of it yet. */
	sent = staging_state_of(s) == STAGING_DONE;
	staging_get(s);
	if (open)
		keep_for_handles_locked(f);
	else
		file_set_now_locked(f, NULL);
	if (f->now != s) {
		sent |= uploader_cancel(f->fs->d.uploader, s);
		staging_put(s);
	}
	staging_put(s);
	return sent;
}

bool file_unlinked(struct fs *fs, struct node *n)
{
	struct file *f = file_of_node(fs, n);
	bool open, sent;

	if (!f)
		return false;
	lock_acquire(&f->lock);
	lock_acquire(&fs->tree.lock);
	open = f->handles > 0;
	lock_release(&fs->tree.lock);
	f->unlinked = true;
	f->change = CHANGE_NONE;
	file_cancel_hold_locked(f);
	sent = cancel_older_locked(f);
	sent |= cancel_now_locked(f, open);
	lock_release(&f->lock);
	file_put(f);
	return sent;
}

/* -- rename ---------------------------------------------------------------- */

static int rekey_one(struct file *f, struct staging *s, const char *key)
{
	switch (staging_state_of(s)) {
	case STAGING_OPEN:
	case STAGING_HELD:
	case STAGING_INCOMPLETE:
		return staging_rekey(s, key);
	case STAGING_CLOSED:
	case STAGING_RETRYING:
	case STAGING_UPLOADING:
		return uploader_rekey(f->fs->d.uploader, s, key);
	case STAGING_DONE:
		break;
	}
	return staging_rekey(s, key);
}

static bool is_pending(struct staging *s)
{
	enum staging_state state = staging_state_of(s);

	return state != STAGING_DONE;
}

void file_make_void(struct fs *fs, struct node *n)
{
	struct file *f = file_of_node(fs, n);
	struct generation *g;

	if (!f)
		return;
	lock_acquire(&f->lock);
	LL_FOREACH(f->older, g)
	staging_supersede(g->staging);
	if (f->now && is_pending(f->now))
		staging_supersede(f->now);
	lock_release(&f->lock);
	file_put(f);
}

bool file_has_older(struct fs *fs, struct node *n)
{
	struct file *f = file_of_node(fs, n);
	bool has_older;

	if (!f)
		return false;
	lock_acquire(&f->lock);
	has_older = f->older != NULL;
	lock_release(&f->lock);
	file_put(f);
	return has_older;
}

int64_t file_staged_id(struct fs *fs, struct node *n)
{
	struct file *f = file_of_node(fs, n);
	const struct generation *g;
	int64_t id = 0;

	if (!f)
		return 0;
	lock_acquire(&f->lock);
	LL_FOREACH(f->older, g)
	id = staging_id(g->staging);
	if (f->now && (!id || staging_state_of(f->now) != STAGING_OPEN))
		id = staging_id(f->now);
	lock_release(&f->lock);
	file_put(f);
	return id;
}

int file_rekey(struct fs *fs, struct node *n, const char *new_key)
{
	struct file *f = file_of_node(fs, n);
	struct generation *g;
	int rc = -ENOENT;

	if (!f)
		return -ENOENT;
	lock_acquire(&f->lock);
	f->props.exclusive = false; /* O_EXCL spoke of the name that it had */
	/* The oldest is the one that may be running: it decides first. */
	LL_FOREACH(f->older, g)
	{
		rc = rekey_one(f, g->staging, new_key);
		if (rc < 0)
			break;
	}
	if ((rc == 0 || rc == -ENOENT) && f->now) {
		bool pending = is_pending(f->now);
		int now_rc = rekey_one(f, f->now, new_key);

		if (now_rc < 0 || pending)
			rc = now_rc;
	}
	lock_release(&f->lock);
	file_put(f);
	return rc;
}

bool file_has_key(struct fs *fs, struct node *n, const char *key)
{
	struct file *f = file_of_node(fs, n);
	struct generation *g;
	char has[1024];
	bool same = true;

	if (!f)
		return true;
	lock_acquire(&f->lock);
	LL_FOREACH(f->older, g)
	{
		staging_key(g->staging, has);
		same = same && strcmp(has, key) == 0;
	}
	if (f->now) {
		staging_key(f->now, has);
		same = same && strcmp(has, key) == 0;
	}
	lock_release(&f->lock);
	file_put(f);
	return same;
}

void file_renamed(struct fs *fs, struct node *n)
{
	struct file *f = file_of_node(fs, n);
	bool held, temporary;

	if (!f)
		return;
	lock_acquire(&fs->tree.lock);
	file_moved_locked(n);
	lock_release(&fs->tree.lock);
	temporary = file_is_temporary(f);
	lock_acquire(&f->lock);
	held = f->now && staging_state_of(f->now) == STAGING_HELD;
	/* An empty file goes on waiting for its first byte. */
	held = held && f->hold_is_temporary && !temporary;
	lock_release(&f->lock);
	if (held)
		file_release_hold(f, false);
	file_put(f);
}

/* -- metadata -------------------------------------------------------------- */

bool file_take_meta(struct fs *fs, struct node *n)
{
	struct file *f = file_of_node(fs, n);
	struct staging_props props;
	bool taken = false;

	if (!f)
		return false;
	lock_acquire(&f->lock);
	if (f->now && (staging_state_of(f->now) == STAGING_HELD ||
		       (staging_state_of(f->now) == STAGING_OPEN &&
			f->change != CHANGE_NONE)))
		taken = true;
	/* A held one may go up by a timer that does not look here again. */
	if (taken && file_make_props_locked(f, &props) == 0) {
		staging_set_props(f->now, &props);
		staging_props_release(&props);
	}
	lock_release(&f->lock);
	file_put(f);
	return taken;
}

bool file_set_user_meta(struct fs *fs, struct node *n, const char *name,
			const char *value, int flags, int *rc)
{
	struct file *f = file_of_node(fs, n);
	bool taken;

	*rc = 0;
	if (!f)
		return false;
	lock_acquire(&f->lock);
	taken = f->now && (staging_state_of(f->now) == STAGING_HELD ||
			   staging_state_of(f->now) == STAGING_OPEN);
	if (taken)
		*rc = fs_change_user_meta(&f->props.meta, name, value, flags);
	lock_release(&f->lock);
	file_put(f);
	return taken;
}

int file_get_meta(struct fs *fs, struct node *n, struct kvs *out)
{
	struct file *f = file_of_node(fs, n);
	int rc = -ENOENT;

	if (!f)
		return -ENOENT;
	lock_acquire(&f->lock);
	if (f->now && staging_state_of(f->now) != STAGING_DONE)
		rc = kvs_copy(out, &f->props.meta);
	lock_release(&f->lock);
	file_put(f);
	return rc;
}

/* -- state ----------------------------------------------------------------- */

void file_get_state(struct fs *fs, struct node *n, struct file_state *out)
{
	struct file *f = file_of_node(fs, n);

	memset(out, 0, sizeof(*out));
	if (!f)
		return;
	lock_acquire(&fs->tree.lock);
	out->closing = f->closing > 0;
	lock_release(&fs->tree.lock);
	lock_acquire(&f->lock);
	if (f->now) {
		staging_get_info(f->now, &out->info);
		/* Open for writing, but nothing was: what is stored shows. */
		out->staged = out->info.state != STAGING_DONE;
	}
	lock_release(&f->lock);
	file_put(f);
}
