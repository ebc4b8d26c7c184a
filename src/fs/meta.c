/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chmod, chown, utimens and user metadata.
 *
 * Of an open or held file they go into its upload.  Of a stored object they
 * become one CopyObject onto itself, a second later, so that the three calls
 * that tools make for each file cost one request.  Until then the change stands
 * in the journal (fuse-facts 12).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/change.h"
#include "fs/file.h"
#include "upload/mover.h"
#include "upload/objects.h"
#include "util/clock.h"
#include "util/log.h"

#define COALESCE_MS 1000
#define RETRY_MS 30000
/** mode, uid, gid, mtime: names and numbers. */
#define META_POSIX_ROOM 128

/* -- the object's properties, with what changed ---------------------------- */

static int props_take(struct staging_props *out, const char *content_type,
		      const struct kvs *meta, const struct kvs *kept)
{
	int rc = str_set(&out->content_type, content_type);

	if (rc == 0)
		rc = kvs_copy(&out->meta, meta);
	if (rc == 0)
		rc = kvs_copy(&out->kept, kept);
	return rc;
}

static int props_remembered(struct fs *fs, const char *key,
			    const struct object_id *id,
			    struct staging_props *out)
{
	struct objmeta m = {0};
	int rc = objmeta_get(fs->d.db, key, id, &m);

	if (rc < 0)
		return rc;
	rc = props_take(out, m.content_type, &m.meta, &m.kept);
	objmeta_release(&m);
	return rc;
}

static int props_asked(struct fs *fs, const char *key, struct object_id *id,
		       struct staging_props *out)
{
	struct oss_object o = {0};
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	int rc = fs->d.store.ops->head(fs->d.store.self, key, &ctl, &o, &reply);

	if (rc < 0)
		fs_log_failure("asking for an object's metadata", key, &reply,
			       rc);
	if (rc == 0)
		rc = props_take(out, o.content_type, &o.meta, &o.kept);
	if (rc == 0)
		object_id_of(&o, id);
	oss_object_release(&o);
	return rc;
}

/* With the node's mode, owner and mtime. */
static int props_complete(struct fs *fs, struct node *n, int rc,
			  struct staging_props *out)
{
	struct posix_attr a;

	lock_acquire(&fs->tree.lock);
	a = (struct posix_attr){n->mode, n->uid, n->gid, n->mtime_ns};
	lock_release(&fs->tree.lock);
	if (rc == 0 && fs->conf.posix_meta != FS_POSIX_NEVER)
		rc = posix_write(&out->meta, &a);
	if (rc < 0)
		staging_props_release(out);
	return rc;
}

int fs_props_of(struct fs *fs, struct node *n, const char *key,
		struct staging_props *out)
{
	struct object_id id;
	int rc;

	memset(out, 0, sizeof(*out));
	lock_acquire(&fs->tree.lock);
	node_object_id(n, &id);
	lock_release(&fs->tree.lock);
	rc = props_remembered(fs, key, &id, out);
	if (rc == -ENOENT)
		rc = props_asked(fs, key, &id, out);
	return props_complete(fs, n, rc, out);
}

/* -- carrying it out ------------------------------------------------------- */

static int copy_onto_itself(struct fs *fs, const char *key,
			    const struct object_id *id,
			    const struct staging_props *props,
			    struct object_id *out)
{
	const struct oss_props p = {
		.content_type = props->content_type,
		.meta = &props->meta,
		.headers = &props->kept,
	};
	const struct object_move m = {
		.src = key, .dst = key, .src_id = id, .props = &p};
	struct oss_reply reply = {0};
	int rc = uploader_move(fs->d.uploader, &m, out, &reply);

	if (rc < 0 && rc != -ESTALE)
		fs_log_failure("changing an object's metadata", key, &reply,
			       rc);
	return rc;
}

/* A folder's marker is made anew: it may not even exist yet. */
static int put_marker(struct fs *fs, struct node *n, const char *key,
		      struct object_id *id)
{
	struct posix_attr a;

	lock_acquire(&fs->tree.lock);
	a = (struct posix_attr){n->mode, n->uid, n->gid, n->mtime_ns};
	lock_release(&fs->tree.lock);
	return fs_put_small(fs, key, "", "application/x-directory", &a, NULL,
			    id);
}

/* What a change begins with.
   @param newest  the version that is there now, not the one the node shows */
static int props_now(struct fs *fs, struct node *n, const char *key,
		     bool newest, struct object_id *id,
		     struct staging_props *out)
{
	int rc;

	if (newest)
		return props_complete(fs, n, props_asked(fs, key, id, out),
				      out);
	rc = fs_props_of(fs, n, key, out);
	lock_acquire(&fs->tree.lock);
	node_object_id(n, id);
	lock_release(&fs->tree.lock);
	return rc;
}

static int change_version(struct fs *fs, struct node *n, const char *key,
			  bool newest, struct object_id *out)
{
	struct staging_props props = {0};
	struct object_id id;
	int rc = props_now(fs, n, key, newest, &id, &props);

	if (rc == 0)
		rc = copy_onto_itself(fs, key, &id, &props, out);
	staging_props_release(&props);
	return rc;
}

/* When somebody else has changed the object meanwhile: the change is of the
   name, so it is made to what is there now.  *newest then. */
static int change_object(struct fs *fs, struct node *n, const char *key,
			 struct object_id *out, bool *newest)
{
	int rc = change_version(fs, n, key, false, out);

	*newest = rc == -ESTALE;
	return *newest ? change_version(fs, n, key, true, out) : rc;
}

/* The object's copy onto itself is what the name shows.  Readers go on with
   it, unless it is a version that they have not begun with. */
static int note_copy(struct fs *fs, struct node *n, const struct object_id *now,
		     bool newest)
{
	int rc;

	lock_acquire(&fs->tree.lock);
	rc = node_set_object(n, now);
	if (!newest)
		file_moved_locked(n);
	if (!n->is_staged)
		n->size = now->size;
	n->fresh_until_ms = clock_mono_ms() + fs->conf.ttl_ms;
	tree_changed_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	return rc;
}

static int carry_out(struct fs *fs, struct node *n, const char *key)
{
	struct object_id now = {0};
	bool newest = false;
	int rc;

	if (n->kind == NODE_DIR)
		rc = put_marker(fs, n, key, &now);
	else
		rc = change_object(fs, n, key, &now, &newest);
	return rc < 0 ? rc : note_copy(fs, n, &now, newest);
}

struct meta_task {
	struct fs *fs;
	uint64_t ino;
	char key[1024];
};

static void schedule_in(struct fs *fs, struct node *n, int64_t ms);
static void meta_run(void *arg);

static void meta_submit(struct meta_task *t)
{
	const struct keyq_task task = {
		.class = KEYQ_META,
		.key = t->key,
		.is_exact = true,
		.run = meta_run,
		.dropped = free, /* the journal keeps the change */
		.arg = t,
	};

	if (keyq_submit(t->fs->d.queue, &task) < 0)
		free(t);
}

/* The node, pinned, when its change is still to be made.
   @param renamed  set: the key is another one now, whose turn it is not */
static struct node *due(struct meta_task *t, bool *renamed)
{
	struct fs *fs = t->fs;
	struct node *n;
	char key[1024];

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, t->ino);
	if (n)
		n->meta_scheduled = false;
	if (n && (!n->meta_dirty || fs_key_locked(fs, n, key) < 0))
		n = NULL;
	*renamed = n && strcmp(key, t->key) != 0;
	if (*renamed) {
		memcpy(t->key, key, sizeof(t->key));
		n->meta_scheduled = true;
		n = NULL;
	}
	if (n) {
		n->meta_dirty = false;
		tree_pin_locked(n);
	}
	lock_release(&fs->tree.lock);
	return n;
}

/* Asking again would not change the answer. */
static bool is_hopeless(int rc)
{
	return rc == -ENOENT || rc == -EACCES || rc == -EPERM ||
	       rc == -EINVAL || rc == -E2BIG || rc == -ESTALE;
}

/* What came of it.  @return whether the journal may forget the change */
static bool settle(struct fs *fs, struct node *n, const char *key, int rc)
{
	bool is_over;

	if (is_hopeless(rc) && rc != -ENOENT)
		log_err("fs: a change of mode, owner or time is given up: key=%s errno=%d",
			LOG_Q(key), -rc);
	lock_acquire(&fs->tree.lock);
	if (is_hopeless(rc)) { /* the name shows what OSS has */
		n->meta_known = false;
		n->fresh_until_ms = 0;
	}
	is_over = rc == 0 || is_hopeless(rc) || !n->parent;
	if (!is_over)
		n->meta_dirty = true;
	else if (n->meta_dirty) /* changed again meanwhile */
		is_over = false;
	lock_release(&fs->tree.lock);
	return is_over;
}

static void meta_run(void *arg)
{
	struct meta_task *t = arg;
	struct fs *fs = t->fs;
	struct file_state state;
	bool renamed;
	struct node *n = due(t, &renamed);
	int rc;

	if (renamed) {
		meta_submit(t);
		return;
	}
	if (n) {
		/* Bytes are on their way: they take it along at their close, or
		   their end schedules it again. */
		file_get_state(fs, n, &state);
		rc = state.staged ? -EBUSY : carry_out(fs, n, t->key);
		if (settle(fs, n, t->key, rc))
			metachange_remove(fs->d.db, t->key);
		else if (rc < 0 && rc != -EBUSY)
			schedule_in(fs, n, RETRY_MS);
		lock_acquire(&fs->tree.lock);
		tree_unpin_locked(&fs->tree, n);
		lock_release(&fs->tree.lock);
	}
	free(t);
}

static void meta_due(void *arg)
{
	meta_submit(arg);
}

static struct meta_task *meta_task_new(struct fs *fs, struct node *n)
{
	struct meta_task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->fs = fs;
	lock_acquire(&fs->tree.lock);
	t->ino = n->ino;
	if (fs_key_locked(fs, n, t->key) < 0 || n->meta_scheduled) {
		free(t);
		t = NULL;
	} else {
		n->meta_scheduled = true;
	}
	lock_release(&fs->tree.lock);
	return t;
}

static void schedule_in(struct fs *fs, struct node *n, int64_t ms)
{
	struct meta_task *t = meta_task_new(fs, n);

	if (t && !timer_add_owned(fs->d.timers, clock_mono_ms() + ms, meta_due,
				  free, t))
		meta_submit(t);
}

void fs_schedule_meta(struct fs *fs, struct node *n)
{
	schedule_in(fs, n, COALESCE_MS);
}

void fs_flush_meta(struct fs *fs)
{
	struct node *n, **list;
	size_t count = 0, i;

	lock_acquire(&fs->tree.lock);
	list = calloc(fs->tree.inos.count + 1, sizeof(struct node *));
	for (n = tree_next_locked(&fs->tree, NULL); n;
	     n = tree_next_locked(&fs->tree, n)) {
		if (list && n->meta_dirty) {
			tree_pin_locked(n);
			n->meta_scheduled = false;
			list[count++] = n;
		}
	}
	lock_release(&fs->tree.lock);
	for (i = 0; i < count; i++) {
		struct meta_task *t = meta_task_new(fs, list[i]);

		if (t)
			meta_submit(t);
		lock_acquire(&fs->tree.lock);
		tree_unpin_locked(&fs->tree, list[i]);
		lock_release(&fs->tree.lock);
	}
	free(list);
}

/* -- asking for it --------------------------------------------------------- */

int fs_journal_change(struct fs *fs, struct node *n)
{
	struct objmeta want = {0};
	struct posix_attr a;
	char key[1024];
	int rc;

	lock_acquire(&fs->tree.lock);
	rc = fs_key_locked(fs, n, key);
	node_object_id(n, &want.id);
	a = (struct posix_attr){n->mode, n->uid, n->gid, n->mtime_ns};
	lock_release(&fs->tree.lock);
	if (rc == 0)
		rc = posix_write(&want.meta, &a);
	if (rc == 0)
		rc = metachange_put(fs->d.db, key, &want);
	kvs_release(&want.meta);
	return rc;
}

static void apply_locked(struct node *n, const struct fs_meta_change *m)
{
	if ((m->set_uid || m->set_gid) && n->kind != NODE_DIR)
		node_drop_privileges(n);
	if (m->set_mode)
		n->mode = (n->mode & S_IFMT) | (m->mode & 07777);
	if (m->set_uid)
		n->uid = m->uid;
	if (m->set_gid)
		n->gid = m->gid;
	if (m->set_mtime)
		n->mtime_ns = m->mtime_ns;
}

int fs_change_later(struct fs *fs, struct node *n)
{
	int rc;

	lock_acquire(&fs->tree.lock);
	n->meta_dirty = true;
	lock_release(&fs->tree.lock);
	rc = fs_journal_change(fs, n);
	fs_schedule_meta(fs, n);
	return rc;
}

/* What the object says of mode and owner must be known before a part of it is
   changed. */
static int know_meta(struct fs *fs, struct node *n)
{
	bool needed;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	needed = !n->meta_known && !n->is_staged && fs_may_have_meta(n) &&
		 n != fs->tree.root;
	lock_release(&fs->tree.lock);
	if (needed && fs->conf.posix_meta != FS_POSIX_NEVER)
		rc = fs_need_meta(fs, n);
	/* A folder needs no object of its own. */
	return rc == -ENOENT && n->kind == NODE_DIR ? 0 : rc;
}

int fs_change_meta(struct fs *fs, uint64_t ino, const struct fs_meta_change *m)
{
	struct node *n;
	bool on_oss = false;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, ino);
	if (n)
		tree_pin_locked(n);
	lock_release(&fs->tree.lock);
	if (!n)
		return -ENOENT;
	rc = know_meta(fs, n);
	if (rc < 0)
		goto out;
	lock_acquire(&fs->tree.lock);
	apply_locked(n, m);
	n->meta_known = true;
	tree_changed_locked(&fs->tree, n);
	on_oss = n != fs->tree.root && n->parent;
	lock_release(&fs->tree.lock);
	if (!file_take_meta(fs, n) && on_oss &&
	    fs->conf.posix_meta != FS_POSIX_NEVER)
		rc = fs_change_later(fs, n);
out:
	lock_acquire(&fs->tree.lock);
	tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	return rc;
}

/* -- one x-oss-meta-NAME of a stored object -------------------------------- */

struct user_meta {
	struct fs *fs;
	struct node *n; /* pinned */
	char key[1024];
	char *name, *value;
	int flags; /* XATTR_CREATE, XATTR_REPLACE */
	struct fs_done done;
};

static void user_meta_done(struct user_meta *u, int rc)
{
	struct fs *fs = u->fs;
	struct fs_done done = u->done;

	lock_acquire(&fs->tree.lock);
	tree_unpin_locked(&fs->tree, u->n);
	lock_release(&fs->tree.lock);
	free(u->name);
	free(u->value);
	free(u);
	done.fn(done.arg, rc);
}

/* What OSS counts, with room for mode, owner and times, which follow. */
static bool has_room(const struct kvs *meta, const char *name,
		     const char *value)
{
	size_t sum = strlen(name) + strlen(value) + META_POSIX_ROOM;

	for (size_t i = 0; i < meta->count; i++) {
		const struct kv *m = &meta->items[i];

		if (strcasecmp(m->name, name) != 0 && !posix_owns(m->name))
			sum += strlen(m->name) + strlen(m->value);
	}
	return sum <= OSS_META_MAX;
}

int fs_change_user_meta(struct kvs *meta, const char *name, const char *value,
			int flags)
{
	bool there = kvs_get(meta, name) != NULL;

	if (value && !has_room(meta, name, value))
		return -E2BIG;
	if (there && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!there && (!value || (flags & XATTR_REPLACE)))
		return -ENODATA;
	if (value)
		return kvs_set(meta, name, value);
	kvs_remove(meta, name);
	return 0;
}

static int user_meta_change(struct user_meta *u, bool newest,
			    struct object_id *now)
{
	struct fs *fs = u->fs;
	struct staging_props props = {0};
	struct object_id id;
	int rc = props_now(fs, u->n, u->key, newest, &id, &props);

	if (rc == 0)
		rc = fs_change_user_meta(&props.meta, u->name, u->value,
					 u->flags);
	if (rc == 0)
		rc = copy_onto_itself(fs, u->key, &id, &props, now);
	staging_props_release(&props);
	return rc;
}

static void user_meta_run(void *arg)
{
	struct user_meta *u = arg;
	struct object_id now;
	int rc = user_meta_change(u, false, &now);
	const bool newest = rc == -ESTALE;

	if (newest)
		rc = user_meta_change(u, true, &now);
	if (rc == 0)
		rc = note_copy(u->fs, u->n, &now, newest);
	user_meta_done(u, rc);
}

static void user_meta_dropped(void *arg)
{
	user_meta_done(arg, -ESHUTDOWN);
}

void fs_set_user_meta(struct fs *fs, uint64_t ino, const char *name,
		      const char *value, int flags, struct fs_done done)
{
	struct user_meta *u = calloc(1, sizeof(*u));
	struct keyq_task task = {.class = KEYQ_META,
				 .run = user_meta_run,
				 .dropped = user_meta_dropped,
				 .arg = u};
	int rc = u ? 0 : -ENOMEM;

	if (u) {
		u->fs = fs;
		u->done = done;
		u->flags = flags;
		u->name = str_dup(name);
		u->value = str_dup(value);
		lock_acquire(&fs->tree.lock);
		u->n = tree_by_ino_locked(&fs->tree, ino);
		rc = u->n ? fs_key_locked(fs, u->n, u->key) : -ENOENT;
		if (rc == 0)
			tree_pin_locked(u->n);
		lock_release(&fs->tree.lock);
	}
	if (rc < 0 || !u) {
		if (u) {
			free(u->name);
			free(u->value);
			free(u);
		}
		done.fn(done.arg, rc);
		return;
	}
	if (file_set_user_meta(fs, u->n, name, value, flags, &rc)) {
		user_meta_done(u, rc);
		return;
	}
	task.key = u->key;
	rc = keyq_submit(fs->d.queue, &task);
	if (rc < 0)
		user_meta_done(u, rc);
}
