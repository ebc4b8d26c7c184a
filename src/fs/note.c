/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is heard of names goes into their nodes: entries of listings, HEADs, and
 * what the state folder remembers of either.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/file.h"
#include "upload/objects.h"
#include "util/clock.h"
#include "util/log.h"

static void apply_posix(struct fs *fs, struct node *n, const struct kvs *meta,
			const char *content_type)
{
	struct posix_attr a = {n->mode, n->uid, n->gid, n->mtime_ns};
	bool folder = n->kind == NODE_DIR;

	if (fs->conf.posix_meta == FS_POSIX_NEVER) {
		n->meta_known = true;
		return;
	}
	posix_read(meta, content_type, folder, &a);
	/* A folder's marker cannot turn it into a file, nor the reverse: the
	   key's form decides. */
	if (folder)
		a.mode = S_IFDIR | (a.mode & 07777);
	else if (S_ISDIR(a.mode))
		a.mode = S_IFREG | (a.mode & 07777);
	if (!folder)
		n->kind = S_ISLNK(a.mode) ? NODE_LINK : NODE_FILE;
	n->mode = a.mode;
	n->uid = a.uid;
	n->gid = a.gid;
	n->mtime_ns = a.mtime_ns;
	n->meta_known = true;
}

static void entry_id(const struct oss_list_entry *e, struct object_id *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->etag, e->etag, sizeof(out->etag));
	out->size = e->size;
	out->modified_ms = e->modified_ms;
}

static bool same_object(const struct node *n, const struct oss_list_entry *e)
{
	struct object_id is, was;

	entry_id(e, &is);
	node_object_id(n, &was);
	return n->stored && object_id_equal(&was, &is);
}

static void note_file(struct fs *fs, struct node *n,
		      const struct oss_list_entry *e)
{
	struct object_id id;

	if (same_object(n, e))
		return;
	entry_id(e, &id);
	if (node_set_object(n, &id) < 0)
		return;
	n->meta_known = false;
	n->kind = NODE_FILE;
	n->mode = S_IFREG | fs->conf.file_mode;
	n->uid = fs->conf.uid;
	n->gid = fs->conf.gid;
	n->size = e->size;
	n->mtime_ns = e->modified_ms * 1000000;
}

bool fs_entry_is_link(const struct oss_list_entry *e)
{
	return oss_type_is_link(e->type);
}

struct node *fs_note_entry_locked(struct fs *fs, struct node *dir,
				  const char *name,
				  const struct oss_list_entry *e,
				  uint64_t since)
{
	struct node *n = tree_child_locked(&fs->tree, dir, name);
	bool folder = e->is_prefix;

	if (n && (n->change > since || node_is_local(n))) {
		if (!folder && n->kind != NODE_DIR && !n->stored)
			n->maybe_stored = true;
		return n;
	}
	if (!n && tree_removed_since_locked(&fs->tree, dir, name, since))
		return NULL;
	if (n && folder != (n->kind == NODE_DIR)) {
		/* The folder of a name wins over the object; who has it open
		   goes on. */
		if (n->file || (n->kind == NODE_DIR && n->children))
			return n;
		tree_detach_locked(&fs->tree, n);
		tree_drop_locked(&fs->tree, n);
		n = NULL;
	}
	if (!n)
		n = tree_add_locked(&fs->tree, dir, name,
				    folder ? NODE_DIR : NODE_FILE);
	if (!n)
		return NULL;
	if (!folder)
		note_file(fs, n, e);
	else if (!n->mtime_ns)
		n->mtime_ns = fs->started_ms * 1000000;
	n->fresh_until_ms =
		fs_entry_is_link(e) ? 0 : clock_mono_ms() + fs->conf.ttl_ms;
	return n;
}

/* Not what was asked before a change of ours, nor where our bytes show. */
static void note_head_locked(struct fs *fs, struct node *n,
			     const struct object_id *id,
			     const struct oss_object *o, uint64_t since)
	ACK_REQUIRES(fs->tree.lock)
{
	if (n->change > since || node_is_local(n) || node_set_object(n, id) < 0)
		return;
	n->size = o->size;
	n->mtime_ns = o->modified_ms * 1000000;
	apply_posix(fs, n, &o->meta, o->content_type);
	n->fresh_until_ms = clock_mono_ms() + fs->conf.ttl_ms;
}

void fs_note_object(struct fs *fs, struct node *n, const char *key,
		    const struct oss_object *o, uint64_t since)
{
	struct object_id id;
	struct objmeta m = {
		.content_type = o->content_type,
		.meta = o->meta,
		.kept = o->kept,
		.storage_class = o->storage_class,
		.crc64 = o->crc64,
		.has_crc64 = o->has_crc64,
		.tag_count = o->tag_count,
	};

	object_id_of(o, &id);
	m.id = id;
	lock_acquire(&fs->tree.lock);
	note_head_locked(fs, n, &id, o, since);
	lock_release(&fs->tree.lock);
	if (objmeta_put(fs->d.db, key, &m, DB_NOWAIT) < 0)
		log_debug("fs: metadata not remembered: key=%s", LOG_Q(key));
}

/* -- what the state folder remembers --------------------------------------- */

struct remembered {
	struct remembered *next;
	struct object_id id;
	struct kvs meta;
	char *content_type;
	bool folder;
	char name[];
};

struct remembering {
	struct remembered *list;
};

static void remember(void *arg, const char *name, const struct objmeta *m)
{
	struct remembering *r = arg;
	struct remembered *e;
	size_t len = strlen(name) + 1;

	e = calloc(1, sizeof(*e) + len);
	if (!e)
		return;
	memcpy(e->name, name, len);
	e->folder = len > 1 && name[len - 2] == '/';
	if (e->folder)
		e->name[len - 2] = '\0';
	e->id = m->id;
	e->content_type = str_dup(m->content_type);
	if (kvs_copy(&e->meta, &m->meta) < 0) {
		free(e->content_type);
		free(e);
		return;
	}
	e->next = r->list;
	r->list = e;
}

static void apply_one_locked(struct fs *fs, struct node *dir,
			     const struct remembered *e)
	ACK_REQUIRES(fs->tree.lock)
{
	struct node *n;
	struct object_id id;

	n = tree_child_locked(&fs->tree, dir, e->name);
	if (!n || n->meta_known || node_is_local(n) ||
	    (n->kind == NODE_DIR) != e->folder)
		return;
	/* A listing tells no version of a folder's marker. */
	node_object_id(n, &id);
	if (e->folder || object_id_equal(&id, &e->id))
		apply_posix(fs, n, &e->meta, e->content_type);
}

void fs_apply_remembered(struct fs *fs, uint64_t dir_ino, const char *dir_key,
			 const char *first, const char *last)
{
	struct remembering r = {NULL};
	struct node *dir;

	if (fs->conf.posix_meta == FS_POSIX_NEVER)
		return;
	/* Gathered first: the database's lock ranks above the tree's. */
	if (objmeta_walk(fs->d.db, dir_key, first, last, remember, &r) < 0)
		log_debug("fs: remembered metadata cannot be read");
	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, dir_ino);
	while (r.list) {
		struct remembered *e = r.list;

		r.list = e->next;
		if (dir)
			apply_one_locked(fs, dir, e);
		kvs_release(&e->meta);
		free(e->content_type);
		free(e);
	}
	lock_release(&fs->tree.lock);
}

static bool recall_meta(struct fs *fs, struct node *n, const char *key)
{
	struct object_id id;
	struct objmeta m = {0};
	bool known, folder;

	lock_acquire(&fs->tree.lock);
	known = n->meta_known || node_is_local(n);
	folder = n->kind == NODE_DIR;
	node_object_id(n, &id);
	lock_release(&fs->tree.lock);
	if (known)
		return true;
	if (objmeta_get(fs->d.db, key, folder ? NULL : &id, &m) < 0)
		return false;
	lock_acquire(&fs->tree.lock);
	apply_posix(fs, n, &m.meta, m.content_type);
	lock_release(&fs->tree.lock);
	objmeta_release(&m);
	return true;
}

/* A folder that keys below it make needs no object of its own. */
static void note_no_marker(struct fs *fs, struct node *n)
{
	lock_acquire(&fs->tree.lock);
	if (n->kind == NODE_DIR)
		n->meta_known = true;
	lock_release(&fs->tree.lock);
}

/* What was asked for, whether the state folder has taken it down yet or not. */
static void take_object(struct oss_object *o, struct objmeta *out)
{
	*out = (struct objmeta){
		.content_type = take_ptr(o->content_type),
		.meta = o->meta,
		.kept = o->kept,
		.storage_class = take_ptr(o->storage_class),
		.crc64 = o->crc64,
		.has_crc64 = o->has_crc64,
		.tag_count = o->tag_count,
	};
	o->meta = o->kept = (struct kvs)KVS_INIT;
	object_id_of(o, &out->id);
}

static int head_node(struct fs *fs, struct node *n, const char *key,
		     struct objmeta *out)
{
	struct oss_object o = {0};
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ask_ctl(fs);
	uint64_t since = fs_change_now(fs);
	int rc;

	if (fs_is_away(fs))
		return -EIO;
	rc = fs->d.store.ops->head(fs->d.store.self, key, &ctl, &o, &reply);

	if (rc == 0)
		fs_note_object(fs, n, key, &o, since);
	else if (rc == -ENOENT)
		note_no_marker(fs, n);
	else
		fs_log_failure("asking for an object's metadata", key, &reply,
			       rc);
	if (rc == 0 && out)
		take_object(&o, out);
	oss_object_release(&o);
	return rc;
}

static int key_of_node(struct fs *fs, struct node *n, char key[1024])
{
	int rc;

	lock_acquire(&fs->tree.lock);
	rc = fs_key_locked(fs, n, key);
	lock_release(&fs->tree.lock);
	return rc;
}

void fs_recall_meta(struct fs *fs, struct node *n)
{
	char key[1024];

	if (fs->conf.posix_meta != FS_POSIX_NEVER &&
	    key_of_node(fs, n, key) == 0)
		recall_meta(fs, n, key);
}

int fs_need_meta(struct fs *fs, struct node *n)
{
	char key[1024];
	int rc = key_of_node(fs, n, key);

	if (rc < 0)
		return rc;
	if (!key[0] || recall_meta(fs, n, key))
		return 0;
	return head_node(fs, n, key, NULL);
}

int fs_need_head(struct fs *fs, struct node *n, struct objmeta *out)
{
	char key[1024];
	int rc = key_of_node(fs, n, key);

	return rc < 0 ? rc : head_node(fs, n, key, out);
}
