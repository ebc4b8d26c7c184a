/* SPDX-License-Identifier: Apache-2.0 */
/* mkdir, symlink, unlink, rmdir. Renames and metadata: rename.c, meta.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/change.h"
#include "fs/file.h"
#include "state/cbvars.h"
#include "util/clock.h"
#include "util/log.h"

/* -- folders' markers and symlinks: small objects, no callback ------------- */

struct text_source {
	const char *text;
	size_t len;
};

static ssize_t text_read(void *arg, void *to, size_t len, uint64_t off)
{
	const struct text_source *s = arg;

	if (off >= s->len)
		return 0;
	if (len > s->len - off)
		len = (size_t)(s->len - off);
	memcpy(to, s->text + off, len);
	return (ssize_t)len;
}

int fs_put_small(struct fs *fs, const char *key, const char *text,
		 const char *content_type, const struct posix_attr *a,
		 const struct kvs *more, struct object_id *id)
{
	AUTO(kvs_release) struct kvs meta = KVS_INIT;
	struct text_source from = {text, strlen(text)};
	const struct oss_source body = {text_read, &from, from.len};
	struct oss_props props = {.content_type = content_type, .meta = &meta};
	struct oss_put_result result = {0};
	struct oss_ctl ctl = fs_ask_ctl(fs);
	int rc = more ? kvs_copy(&meta, more) : 0;

	if (rc == 0 && fs->conf.posix_meta != FS_POSIX_NEVER)
		rc = posix_write(&meta, a);
	if (rc == 0)
		rc = fs->d.store.ops->put(fs->d.store.self, key, &body, &props,
					  NULL, &ctl, &result);
	if (rc < 0 && fs_note_reply(fs, rc, &result.reply)) {
		rc = -EHOSTUNREACH;
	} else if (rc < 0) {
		fs_log_failure("storing a folder's marker or a symlink", key,
			       &result.reply, rc);
	} else {
		fs_object_id_of(&result, from.len, id);
		fs_remember(fs, key, id, content_type, &meta);
	}
	oss_put_result_release(&result);
	return rc;
}

void fs_object_id_of(const struct oss_put_result *r, uint64_t size,
		     struct object_id *id)
{
	memset(id, 0, sizeof(*id));
	memcpy(id->etag, r->etag, sizeof(id->etag));
	id->size = size;
	id->modified_ms = r->modified_ms;
	if (r->version_id)
		strncat(id->version_id, r->version_id,
			sizeof(id->version_id) - 1);
}

void fs_remember(struct fs *fs, const char *key, const struct object_id *id,
		 const char *content_type, const struct kvs *meta)
{
	struct objmeta m = {.id = *id};

	m.content_type = str_dup(content_type);
	if (kvs_copy(&m.meta, meta) == 0 &&
	    objmeta_put(fs->d.db, key, &m, DB_NOWAIT) < 0)
		log_debug("fs: metadata not remembered: key=%s", LOG_Q(key));
	objmeta_release(&m);
}

/* A child that was made on OSS just now (id NULL: here alone so far), with one
   lookup. */
static int add_made(struct fs *fs, uint64_t parent, const char *name,
		    enum node_kind kind, const struct posix_attr *a,
		    const struct object_id *id, struct fs_attr *out)
{
	struct node *dir, *n = NULL;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, parent);
	if (dir)
		n = tree_child_locked(&fs->tree, dir, name);
	if (!n && dir)
		n = tree_add_locked(&fs->tree, dir, name, kind);
	if (!dir)
		rc = -ENOENT;
	else if (!n)
		rc = -ENOMEM;
	else if (id)
		rc = node_set_object(n, id);
	if (rc == 0 && n) {
		n->kind = (uint8_t)kind;
		n->mode = a->mode;
		n->uid = a->uid;
		n->gid = a->gid;
		n->mtime_ns = a->mtime_ns;
		n->size = id ? id->size : 0;
		n->meta_known = true;
		n->fresh_until_ms = clock_mono_ms() + fs->conf.ttl_ms;
		/* A folder that was made here has no children elsewhere. */
		if (kind == NODE_DIR)
			n->listed_until_ms = n->fresh_until_ms;
		n->nlookup++;
		tree_changed_locked(&fs->tree, n);
		fs_attr_locked(fs, n, out);
	}
	lock_release(&fs->tree.lock);
	return rc;
}

static int new_key(struct fs *fs, uint64_t parent, const char *name,
		   bool folder, char key[1024])
{
	struct node *dir;
	int rc = fs_check_name(fs, name, parent == TREE_ROOT);

	if (rc < 0)
		return rc;
	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, parent);
	rc = dir ? fs_child_key_locked(fs, dir, name, folder, key) : -ENOENT;
	lock_release(&fs->tree.lock);
	return rc;
}

/* Its marker is made when OSS is back, as after a chmod. */
static int make_folder_here(struct fs *fs, uint64_t parent, const char *name,
			    const struct posix_attr *a, struct fs_attr *out)
{
	struct node *n;
	int rc = add_made(fs, parent, name, NODE_DIR, a, NULL, out);

	if (rc < 0)
		return rc;
	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, out->ino);
	if (n)
		tree_pin_locked(n);
	lock_release(&fs->tree.lock);
	if (!n)
		return -ENOENT;
	rc = fs_change_later(fs, n);
	lock_acquire(&fs->tree.lock);
	tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	return rc;
}

/* In a folder with the set-group-ID bit everything is of the folder's group. */
static void inherit_group(struct fs *fs, uint64_t parent, struct posix_attr *a)
{
	const struct node *dir;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, parent);
	if (dir && (dir->mode & S_ISGID)) {
		a->gid = dir->gid;
		if (S_ISDIR(a->mode))
			a->mode |= S_ISGID;
	}
	lock_release(&fs->tree.lock);
}

int fs_mkdir(struct fs *fs, uint64_t parent, const char *name, uint32_t mode,
	     uint32_t uid, uint32_t gid, struct fs_attr *out)
{
	struct posix_attr a = {S_IFDIR | (mode & 07777), uid, gid,
			       clock_real_ns()};
	struct object_id id;
	char key[1024];
	int rc = new_key(fs, parent, name, true, key);

	inherit_group(fs, parent, &a);
	if (rc == 0)
		rc = fs_is_away(fs) ? -EHOSTUNREACH
				    : fs_put_small(fs, key, "",
						   "application/x-directory",
						   &a, NULL, &id);
	if (rc == 0)
		return add_made(fs, parent, name, NODE_DIR, &a, &id, out);
	return rc == -EHOSTUNREACH ? make_folder_here(fs, parent, name, &a, out)
				   : rc;
}

int fs_symlink(struct fs *fs, uint64_t parent, const char *name,
	       const char *target, uint32_t uid, uint32_t gid,
	       struct fs_attr *out)
{
	struct posix_attr a = {S_IFLNK | 0777, uid, gid, clock_real_ns()};
	struct object_id id;
	char key[1024];
	int rc = new_key(fs, parent, name, false, key);

	/* The object's metadata is what makes it a link. */
	if (fs->conf.posix_meta == FS_POSIX_NEVER)
		return -EPERM;
	inherit_group(fs, parent, &a);
	if (rc == 0)
		rc = fs_put_small(fs, key, target, "application/octet-stream",
				  &a, NULL, &id);
	if (rc == 0)
		rc = add_made(fs, parent, name, NODE_LINK, &a, &id, out);
	return rc;
}

struct target {
	char *out;
	size_t len, size;
};

static int target_write(void *arg, const void *data, size_t len)
{
	struct target *t = arg;

	if (len > t->size - 1 - t->len)
		return -ENAMETOOLONG;
	memcpy(t->out + t->len, data, len);
	t->len += len;
	return 0;
}

int fs_readlink(struct fs *fs, uint64_t ino, char *out, size_t size)
{
	struct target t = {out, 0, size};
	const struct oss_sink sink = {target_write, &t};
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	struct node *n;
	char key[1024];
	int rc;

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, ino);
	rc = n ? fs_key_locked(fs, n, key) : -ENOENT;
	if (rc == 0 && n && n->kind != NODE_LINK)
		rc = -EINVAL;
	lock_release(&fs->tree.lock);
	if (rc < 0)
		return rc;
	rc = fs->d.store.ops->get(fs->d.store.self, key, 0, 0, NULL, &sink,
				  &ctl, NULL, &reply);
	if (rc < 0) {
		fs_log_failure("reading a symlink", key, &reply, rc);
		return rc;
	}
	/* ossfs trims blanks around the target. */
	while (t.len && (out[t.len - 1] == ' ' || out[t.len - 1] == '\n'))
		t.len--;
	out[t.len] = '\0';
	return 0;
}

/* -- removing -------------------------------------------------------------- */

struct removal {
	struct fs *fs;
	uint64_t ino, parent;
	char key[1024];
	char name[256];
	int64_t intent; /* 0: none */
	struct fs_done done;
};

static void removal_done(struct removal *r, int rc)
{
	struct fs_done done = r->done;

	if (r->intent)
		intent_remove(r->fs->d.db, r->intent);
	free(r);
	done.fn(done.arg, rc);
}

static void removal_dropped(void *arg)
{
	removal_done(arg, -ESHUTDOWN);
}

int fs_remove_object(struct fs *fs, const char *key)
{
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	int rc = fs->d.store.ops->remove(fs->d.store.self, key, &ctl, &reply);

	if (rc < 0) {
		fs_log_failure("deleting an object", key, &reply, rc);
		return rc;
	}
	objmeta_move(fs->d.db, key, NULL, NULL);
	cblog_move(fs->d.db, key, NULL, NULL);
	if (cbvars_any(fs->d.db))
		cbvars_move(fs->d.db, key, NULL);
	metachange_remove(fs->d.db, key);
	return 0;
}

/* It is still there after all: the next look asks OSS. */
static void bring_back(struct fs *fs, uint64_t parent)
{
	struct node *dir;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, parent);
	if (dir)
		tree_doubt_locked(&fs->tree, dir);
	lock_release(&fs->tree.lock);
}

static void unlink_run(void *arg)
{
	struct removal *r = arg;
	int rc = fs_remove_object(r->fs, r->key);

	if (rc < 0)
		bring_back(r->fs, r->parent);
	removal_done(r, rc);
}

static struct removal *removal_new(struct fs *fs, uint64_t parent,
				   const char *name, struct fs_done done)
{
	struct removal *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->fs = fs;
	r->parent = parent;
	r->done = done;
	strncat(r->name, name, sizeof(r->name) - 1);
	return r;
}

static void removal_submit(struct removal *r, void (*run)(void *))
{
	const struct keyq_task task = {
		.class = KEYQ_META,
		.key = r->key,
		.run = run,
		.dropped = removal_dropped,
		.arg = r,
	};
	int rc = keyq_submit(r->fs->d.queue, &task);

	if (rc < 0)
		removal_done(r, rc);
}

/* The node to remove, pinned, and its key. */
static int removal_find(struct removal *r, bool folder, struct node **out)
{
	struct fs *fs = r->fs;
	struct node *dir, *n = NULL;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, r->parent);
	if (dir)
		n = tree_child_locked(&fs->tree, dir, r->name);
	if (!n)
		rc = -ENOENT;
	else if (folder && n->kind != NODE_DIR)
		rc = -ENOTDIR;
	else if (!folder && n->kind == NODE_DIR)
		rc = -EISDIR;
	else
		rc = fs_key_locked(fs, n, r->key);
	if (rc == 0) {
		tree_pin_locked(n);
		r->ino = n->ino;
		*out = n;
	}
	lock_release(&fs->tree.lock);
	return rc;
}

/* Bytes that wait are dropped before the object that they would replace is
 * deleted: a crash in between must not bring that back. */
static void begin_removal(struct removal *r, struct node *n)
{
	const struct intent i = {.src = r->key,
				 .dst = (char[]){""},
				 .staged_id = file_staged_id(r->fs, n)};
	struct staging *s = file_staging(r->fs, n);
	enum staging_state state = s ? staging_state_of(s) : STAGING_DONE;

	staging_put(s);
	if ((state == STAGING_DONE || state == STAGING_OPEN) &&
	    !file_has_older(r->fs, n)) {
		/* "done" too may still be on its way to the journal. */
		db_settle(r->fs->d.db);
		return;
	}
	if (intent_add(r->fs->d.db, &i, &r->intent) < 0)
		log_warn("fs: a removal is not journaled: key=%s",
			 LOG_Q(r->key));
}

void fs_unlink(struct fs *fs, uint64_t parent, const char *name,
	       struct fs_done done)
{
	struct removal *r = removal_new(fs, parent, name, done);
	struct node *n = NULL;
	bool on_oss, dirty;
	int rc;

	if (!r) {
		done.fn(done.arg, -ENOMEM);
		return;
	}
	rc = removal_find(r, false, &n);
	if (rc < 0 || !n) {
		removal_done(r, rc);
		return;
	}
	begin_removal(r, n);
	/* Before the name goes: until then the uploader's events find it, and
	   say whether there is an object to delete. */
	on_oss = file_unlinked(fs, n);
	lock_acquire(&fs->tree.lock);
	on_oss = on_oss || n->stored || n->maybe_stored;
	if (n->parent)
		tree_tomb_locked(&fs->tree, n->parent, name);
	tree_detach_locked(&fs->tree, n);
	dirty = n->meta_dirty;
	n->meta_dirty = false;
	tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	if (dirty)
		metachange_remove(fs->d.db, r->key);
	if (on_oss)
		removal_submit(r, unlink_run);
	else
		removal_done(r, 0);
}

static void rmdir_run(void *arg)
{
	struct removal *r = arg;
	struct fs *fs = r->fs;
	struct node *n, *dir;
	int rc = listing_is_empty(fs, r->ino);

	if (rc == 0)
		rc = fs_remove_object(fs, r->key);
	if (rc == 0) {
		lock_acquire(&fs->tree.lock);
		n = tree_by_ino_locked(&fs->tree, r->ino);
		dir = n ? n->parent : NULL;
		if (dir) {
			tree_tomb_locked(&fs->tree, dir, n->name);
			fs_forget_children_locked(fs, n);
			tree_detach_locked(&fs->tree, n);
			tree_drop_locked(&fs->tree, n);
		}
		lock_release(&fs->tree.lock);
	}
	removal_done(r, rc);
}

void fs_forget_children_locked(struct fs *fs, struct node *dir)
{
	while (dir->children) {
		struct node *n = dir->children;

		while (n->children)
			n = n->children;
		tree_detach_locked(&fs->tree, n);
		tree_drop_locked(&fs->tree, n);
	}
}

void fs_rmdir(struct fs *fs, uint64_t parent, const char *name,
	      struct fs_done done)
{
	struct removal *r = removal_new(fs, parent, name, done);
	struct node *n = NULL;
	int rc;

	if (!r) {
		done.fn(done.arg, -ENOMEM);
		return;
	}
	rc = removal_find(r, true, &n);
	if (rc < 0 || !n) {
		removal_done(r, rc);
		return;
	}
	lock_acquire(&fs->tree.lock);
	tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	removal_submit(r, rmdir_run);
}
