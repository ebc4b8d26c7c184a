/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename(2).
 *
 * A file that is not stored yet takes its new name with it: its upload goes there
 * alone.  A stored one is copied and deleted on the server's side
 * (upload/mover), behind everything that was begun on either key.  A folder is all
 * its objects, each by these rules; the sources are deleted together when every copy
 * is stored, so that a rename that fails half way has lost nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/change.h"
#include "fs/file.h"
#include "state/cbvars.h"
#include "upload/mover.h"
#include "upload/objects.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

#define FOLDER_THREADS 16

struct rename {
	struct fs *fs;
	struct node *n;      /* pinned */
	struct node *target; /* pinned; NULL: the name was free */
	uint64_t old_parent, new_parent;
	char old_name[256], new_name[256];
	char src[1024], dst[1024];
	int64_t intent;      /* of the staged bytes; 0: none */
	int64_t move_intent; /* of the object; until what waited under the new
				name is gone */
	struct fs_done done;
};

/* Rows of several staged files, or a row and an object: a crash in between must
 * not leave a part under each name. */
static void begin_intent(struct rename *r)
{
	struct intent i = {.src = r->src, .dst = r->dst, .is_staged = true};
	struct fs *fs = r->fs;

	lock_acquire(&fs->tree.lock);
	memcpy(i.src_etag, r->n->etag, sizeof(i.src_etag));
	lock_release(&fs->tree.lock);
	if (r->intent == 0 && intent_add(fs->d.db, &i, &r->intent) < 0) {
		log_warn("fs: a rename is not journaled: from=%s to=%s",
			 LOG_Q(r->src), LOG_Q(r->dst));
		r->intent = 0;
	}
}

static void rename_done(struct rename *r, int rc)
{
	struct fs *fs = r->fs;
	struct fs_done done = r->done;

	if (r->intent)
		intent_remove(fs->d.db, r->intent);
	if (r->move_intent)
		intent_remove(fs->d.db, r->move_intent);

	lock_acquire(&fs->tree.lock);
	tree_unpin_locked(&fs->tree, r->n);
	if (r->target)
		tree_unpin_locked(&fs->tree, r->target);
	lock_release(&fs->tree.lock);
	free(r);
	done.fn(done.arg, rc);
}

static void rename_dropped(void *arg)
{
	rename_done(arg, -ESHUTDOWN);
}

/* The tree follows: what had the new name has none any more. */
static int move_node(struct rename *r)
{
	struct fs *fs = r->fs;
	struct node *dir;
	int rc;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, r->new_parent);
	if (r->target && r->target->parent) {
		fs_forget_children_locked(fs, r->target);
		tree_detach_locked(&fs->tree, r->target);
	}
	/* What is under the new name now: an unlink must reach it. */
	if (r->target && !r->n->stored)
		r->n->maybe_stored |=
			r->target->stored || r->target->maybe_stored;
	if (!dir || !r->n->parent) {
		rc = -ENOENT;
	} else {
		struct node *twin =
			tree_child_locked(&fs->tree, dir, r->new_name);

		if (twin && twin != r->n)
			tree_detach_locked(&fs->tree, twin);
		tree_tomb_locked(&fs->tree, r->n->parent, r->old_name);
		rc = tree_move_locked(&fs->tree, r->n, dir, r->new_name);
		tree_changed_locked(&fs->tree, r->n);
	}
	lock_release(&fs->tree.lock);
	return rc;
}

/* -- a file ---------------------------------------------------------------------------- */

static void fill_inputs(struct fs *fs, struct node *n, struct object_move *m)
{
	lock_acquire(&fs->tree.lock);
	m->uid = n->uid;
	m->gid = n->gid;
	m->mode = n->mode;
	m->mtime_ms = n->mtime_ns / 1000000;
	lock_release(&fs->tree.lock);
	m->process = "";
}

static bool is_staged(struct fs *fs, struct node *n)
{
	struct staging *s = file_staging(fs, n);
	bool staged = s && staging_state_of(s) != STAGING_DONE;

	staging_put(s);
	return staged;
}

/* The node's object, copied to dst; its new identity into the node.
 * intent: the source goes too; see object_move. */
static int move_object(struct fs *fs, struct node *n, const char *src,
		       const char *dst, int64_t *intent)
{
	struct object_move m = {.src = src,
				.dst = dst,
				.is_passing = is_staged(fs, n),
				.remove_source = intent != NULL,
				.intent = intent};
	struct staging_props props = {0};
	struct oss_props p;
	struct object_id id, now;
	struct oss_reply reply = {0};
	bool dirty, known;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	node_object_id(n, &id);
	dirty = n->meta_dirty;
	known = n->stored;
	lock_release(&fs->tree.lock);
	fill_inputs(fs, n, &m);
	m.src_id = known && id.etag[0] ? &id : NULL;
	if (dirty)
		rc = fs_props_of(fs, n, src, &props);
	if (rc == 0 && dirty) {
		p = (struct oss_props){.content_type = props.content_type,
				       .meta = &props.meta,
				       .headers = &props.kept};
		m.props = &p;
	}
	if (rc == 0)
		rc = uploader_move(fs->d.uploader, &m, &now, &reply);
	staging_props_release(&props);
	if (rc < 0) {
		if (rc != -ENOENT)
			fs_log_failure("renaming an object", src, &reply, rc);
		return rc;
	}
	lock_acquire(&fs->tree.lock);
	rc = node_set_object(n, &now);
	if (dirty)
		n->meta_dirty = false;
	n->fresh_until_ms = clock_mono_ms() + fs->conf.ttl_ms;
	lock_release(&fs->tree.lock);
	if (dirty)
		metachange_remove(fs->d.db, src);
	return rc;
}

/* Open bytes that lean on the object follow it. */
static void rebase_staged(struct fs *fs, struct node *n, const char *dst)
{
	struct staging *s = file_staging(fs, n);
	struct staging_base base = {0};
	struct object_id id;

	if (!s)
		return;
	lock_acquire(&fs->tree.lock);
	node_object_id(n, &id);
	lock_release(&fs->tree.lock);
	strncat(base.key, dst, sizeof(base.key) - 1);
	memcpy(base.etag, id.etag, sizeof(base.etag));
	base.size = id.size;
	base.modified_ms = id.modified_ms;
	if (staging_rebase(s, &base) < 0)
		log_err("fs: an open file lost its renamed object: key=%s",
			LOG_Q(dst));
	staging_put(s);
}

/* What the object is to the staged bytes of its node. */
struct stake {
	bool is_staged;
	bool is_closed; /* they will replace it, whatever happens */
	bool leans;     /* they show a part of it */
};

static struct stake find_stake(struct fs *fs, struct node *n)
{
	struct staging *s = file_staging(fs, n);
	struct stake k = {false, false, false};
	struct staging_base base;
	enum staging_state state;

	if (!s)
		return k;
	state = staging_state_of(s);
	k.is_staged = state != STAGING_DONE;
	k.is_closed = k.is_staged && state != STAGING_OPEN;
	k.leans = staging_base_of(s, &base);
	staging_put(s);
	return k;
}

static void finish(struct rename *r, int rc)
{
	struct fs *fs = r->fs;

	/* At once: the upload under the new name may end any moment, and must
	   find its node there. */
	if (rc == 0)
		rc = move_node(r);
	if (rc == 0 && r->target && file_unlinked(fs, r->target)) {
		/* An upload of it is let finish: under the name of the new. */
		lock_acquire(&fs->tree.lock);
		r->n->maybe_stored |= !r->n->stored;
		lock_release(&fs->tree.lock);
	}
	if (rc == 0 && cbvars_any(fs->d.db))
		cbvars_move(fs->d.db, r->src, r->dst);
	if (rc == 0)
		file_renamed(fs, r->n);
	rename_done(r, rc);
}

/* The staged bytes are under the new name, the object of the old one goes.
   When nobody knows whether there is one (an upload's answer was lost, OSS may
   be down now), that it cannot be deleted is no reason to refuse. */
static int remove_old_object(struct rename *r)
{
	struct fs *fs = r->fs;
	bool is_known;
	int rc = fs_remove_object(fs, r->src);

	lock_acquire(&fs->tree.lock);
	is_known = r->n->stored;
	if (rc == 0 || !is_known)
		r->n->stored = r->n->maybe_stored = false;
	lock_release(&fs->tree.lock);
	if (rc == 0 || !is_known)
		return 0;
	if (file_rekey(fs, r->n, r->src) < 0)
		log_err("fs: a rename that failed has left both names: from=%s to=%s",
			LOG_Q(r->src), LOG_Q(r->dst));
	return rc;
}

/* The object has moved already, before a crash. */
static int find_moved(struct rename *r)
{
	struct fs *fs = r->fs;
	struct oss_object o = {0};
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	struct object_id id;
	int rc = fs->d.store.ops->head(fs->d.store.self, r->dst, &ctl, &o,
				       &reply);

	if (rc == 0) {
		object_id_of(&o, &id);
		lock_acquire(&fs->tree.lock);
		rc = node_set_object(r->n, &id);
		lock_release(&fs->tree.lock);
	}
	oss_object_release(&o);
	return rc == -ENOENT ? 0 : rc;
}

/* On a task of both keys: nothing runs on either. */
static void rename_file_run(void *arg)
{
	struct rename *r = arg;
	struct fs *fs = r->fs;
	const struct stake k = find_stake(fs, r->n);
	bool on_oss, is_own, moves;
	int rc = 0, rekeyed;

	lock_acquire(&fs->tree.lock);
	is_own = r->n->stored; /* not what it has replaced under its name */
	on_oss = is_own || r->n->maybe_stored;
	lock_release(&fs->tree.lock);
	/* Bytes that replace the object: the old ones need not be moved. */
	moves = on_oss && (!k.is_staged || k.leans || (is_own && !k.is_closed));
	if (k.is_closed || file_has_older(fs, r->n))
		begin_intent(r);
	if (moves)
		rc = move_object(fs, r->n, r->src, r->dst, &r->move_intent);
	if (rc == -ENOENT && k.is_staged)
		rc = k.leans ? find_moved(r) : 0;
	if (rc == 0 && k.leans)
		rebase_staged(fs, r->n, r->dst);
	if (rc == 0) {
		rekeyed = file_rekey(fs, r->n, r->dst);
		if (rekeyed < 0 && rekeyed != -ENOENT)
			rc = rekeyed;
	}
	if (rc == 0 && on_oss && !moves)
		rc = remove_old_object(r);
	finish(r, rc);
}

/* -- a file, after a crash ------------------------------------------------------------- */

static void again_done(void *arg, int rc)
{
	*(int *)arg = rc;
}

/* The folder of a key, and the name in it. */
static struct node *parent_of_key_locked(struct fs *fs, const char *key,
					 char name[256])
	ACK_REQUIRES(fs->tree.lock)
{
	const char *path = fs_path_of_key(fs, key);
	const char *slash = strrchr(path, '/');
	char folder[1024] = "";

	name[0] = '\0';
	strncat(name, slash ? slash + 1 : path, 255);
	if (!slash)
		return fs->tree.root;
	strncat(folder, key, (size_t)(slash - key));
	return fs_make_path_locked(fs, folder);
}

static bool find_again_locked(struct rename *r, const struct intent *i)
	ACK_REQUIRES(r->fs->tree.lock)
{
	struct fs *fs = r->fs;
	struct node *from = parent_of_key_locked(fs, i->src, r->old_name);
	struct node *to = parent_of_key_locked(fs, i->dst, r->new_name);

	r->n = fs_node_of_key_locked(fs, i->src);
	r->target = fs_node_of_key_locked(fs, i->dst);
	if (!from || !to || !r->n)
		return false;
	r->old_parent = from->ino;
	r->new_parent = to->ino;
	tree_pin_locked(r->n);
	if (r->target)
		tree_pin_locked(r->target);
	return true;
}

int fs_rename_again(struct fs *fs, const struct intent *i)
{
	struct rename *r = calloc(1, sizeof(*r));
	int rc = -ENOENT;
	bool found;

	if (!r)
		return -ENOMEM;
	r->fs = fs;
	r->intent = i->id;
	r->done = (struct fs_done){again_done, &rc};
	strncat(r->src, i->src, sizeof(r->src) - 1);
	strncat(r->dst, i->dst, sizeof(r->dst) - 1);
	lock_acquire(&fs->tree.lock);
	found = find_again_locked(r, i);
	lock_release(&fs->tree.lock);
	if (found)
		rename_file_run(r);
	else
		free(r);
	return rc;
}

/* -- a folder --------------------------------------------------------------------------- */

struct folder_item {
	char *key;
	struct object_id id;
	bool moved;
};

struct folder {
	struct rename *r;
	struct folder_item *items;
	size_t count, cap;
	_Atomic size_t next;
	_Atomic int rc;
};

static int folder_add(struct folder *f, const struct oss_list_entry *e)
{
	struct folder_item *item;

	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 256;
		struct folder_item *items =
			realloc(f->items, cap * sizeof(*items));

		if (!items)
			return -ENOMEM;
		f->items = items;
		f->cap = cap;
	}
	item = &f->items[f->count];
	memset(item, 0, sizeof(*item));
	item->key = str_dup(e->key);
	if (!item->key)
		return -ENOMEM;
	memcpy(item->id.etag, e->etag, sizeof(item->id.etag));
	item->id.size = e->size;
	item->id.modified_ms = e->modified_ms;
	f->count++;
	return 0;
}

static int folder_list(struct folder *f)
{
	struct fs *fs = f->r->fs;
	AUTO_FREE char *token = NULL;
	int rc = 0;

	do {
		struct oss_list_page page = {0};
		const struct oss_list l = {.prefix = f->r->src, .token = token};
		struct oss_ctl ctl = fs_ctl(fs);

		rc = fs->d.store.ops->list(fs->d.store.self, &l, &ctl, &page);
		if (rc < 0)
			fs_log_failure("listing a folder to rename", f->r->src,
				       &page.reply, rc);
		for (size_t i = 0; rc == 0 && i < page.count; i++)
			rc = folder_add(f, &page.entries[i]);
		free(token);
		token = take_ptr(page.next_token);
		oss_list_page_release(&page);
	} while (rc == 0 && token);
	return rc;
}

static int new_key_of(const struct rename *r, const char *key, char out[1024])
{
	const char *rest = key + strlen(r->src);

	if (strlen(r->dst) + strlen(rest) > OSS_KEY_MAX)
		return -ENAMETOOLONG;
	memcpy(out, r->dst, strlen(r->dst));
	memcpy(out + strlen(r->dst), rest, strlen(rest) + 1);
	return 0;
}

static int move_item(struct folder *f, struct folder_item *item)
{
	struct fs *fs = f->r->fs;
	struct object_move m = {.src = item->key,
				.src_id = item->id.etag[0] ? &item->id : NULL,
				.process = ""};
	struct oss_reply reply = {0};
	struct object_id now;
	struct node *n;
	char dst[1024];
	bool moved = false;
	int rc = new_key_of(f->r, item->key, dst);

	if (rc < 0)
		return rc;
	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, item->key);
	if (n)
		tree_pin_locked(n);
	lock_release(&fs->tree.lock);
	if (n && n->kind != NODE_DIR && (n->stored || n->meta_dirty)) {
		rc = move_object(fs, n, item->key, dst, NULL);
		moved = true;
	} else {
		m.dst = dst;
		rc = uploader_move(fs->d.uploader, &m, &now, &reply);
		if (rc < 0)
			fs_log_failure("renaming an object of a folder",
				       item->key, &reply, rc);
	}
	lock_acquire(&fs->tree.lock);
	if (rc == 0 && n && !moved && n->kind == NODE_DIR)
		rc = node_set_object(n, &now);
	if (n)
		tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	item->moved = rc == 0;
	return rc;
}

static void *folder_main(void *arg)
{
	struct folder *f = arg;
	size_t i;

	while (atomic_load(&f->rc) == 0 &&
	       (i = atomic_fetch_add(&f->next, 1)) < f->count) {
		int rc = move_item(f, &f->items[i]);

		if (rc < 0)
			atomic_store(&f->rc, rc);
	}
	return NULL;
}

static int folder_copy(struct folder *f)
{
	pthread_t threads[FOLDER_THREADS];
	size_t started = 0;

	while (started + 1 < f->count && started < ARRAY_LEN(threads) &&
	       thread_start(&threads[started], "ackfs-mv", folder_main, f) == 0)
		started++;
	folder_main(f);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return atomic_load(&f->rc);
}

static int folder_delete(struct folder *f)
{
	struct fs *fs = f->r->fs;
	const char **keys = calloc(f->count + 1, sizeof(*keys));
	int rc = keys ? 0 : -ENOMEM;

	for (size_t i = 0; keys && i < f->count; i++)
		keys[i] = f->items[i].key;
	for (size_t at = 0; rc == 0 && at < f->count; at += OSS_DELETE_MAX) {
		size_t n = f->count - at;
		struct oss_reply reply = {0};
		struct oss_ctl ctl = fs_ctl(fs);

		if (n > OSS_DELETE_MAX)
			n = OSS_DELETE_MAX;
		rc = fs->d.store.ops->remove_many(fs->d.store.self, keys + at,
						  n, &ctl, NULL, &reply);
		if (rc < 0)
			fs_log_failure(
				"deleting a renamed folder's old objects",
				f->r->src, &reply, rc);
	}
	free(keys);
	return rc;
}

/* Files below that are staged: open, held, or retrying. */
static int rekey_below(struct fs *fs, struct node *dir, const struct rename *r)
{
	struct node *c, *next;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	c = dir->children;
	if (c)
		tree_pin_locked(c);
	lock_release(&fs->tree.lock);
	while (c) {
		char key[1024], dst[1024];

		lock_acquire(&fs->tree.lock);
		if (fs_key_locked(fs, c, key) < 0)
			key[0] = '\0';
		lock_release(&fs->tree.lock);
		if (rc == 0 && key[0] && c->kind == NODE_DIR)
			rc = rekey_below(fs, c, r);
		else if (rc == 0 && key[0] && c->file)
			rc = new_key_of(r, key, dst);
		if (rc == 0 && key[0] && c->kind != NODE_DIR && c->file) {
			rebase_staged(fs, c, dst);
			rc = file_rekey(fs, c, dst);
			rc = rc == -ENOENT ? 0 : rc;
		}
		lock_acquire(&fs->tree.lock);
		next = c->next;
		if (next)
			tree_pin_locked(next);
		tree_unpin_locked(&fs->tree, c);
		lock_release(&fs->tree.lock);
		c = next;
	}
	return rc;
}

static void renamed_below(struct fs *fs, struct node *dir)
{
	struct node *c, *next;

	lock_acquire(&fs->tree.lock);
	c = dir->children;
	if (c)
		tree_pin_locked(c);
	lock_release(&fs->tree.lock);
	while (c) {
		if (c->kind == NODE_DIR)
			renamed_below(fs, c);
		else if (c->file)
			file_renamed(fs, c);
		lock_acquire(&fs->tree.lock);
		next = c->next;
		if (next)
			tree_pin_locked(next);
		tree_unpin_locked(&fs->tree, c);
		lock_release(&fs->tree.lock);
		c = next;
	}
}

static void rename_folder_run(void *arg)
{
	struct rename *r = arg;
	struct folder f = {.r = r};
	struct fs *fs = r->fs;
	int rc = 0;

	if (r->target)
		rc = listing_is_empty(fs, r->target->ino);
	if (rc == 0)
		rc = folder_list(&f);
	if (rc == 0 && f.count)
		rc = folder_copy(&f);
	if (rc == 0)
		rc = rekey_below(fs, r->n, r);
	if (rc == 0 && f.count)
		rc = folder_delete(&f);
	if (rc == 0)
		rc = move_node(r);
	if (rc == 0 && cbvars_any(fs->d.db))
		cbvars_move(fs->d.db, r->src, r->dst);
	if (rc == 0)
		renamed_below(fs, r->n);
	for (size_t i = 0; i < f.count; i++)
		free(f.items[i].key);
	free(f.items);
	rename_done(r, rc);
}

/* -- the call ------------------------------------------------------------------------------ */

static int check_kinds(const struct node *n, const struct node *t,
		       bool no_replace)
{
	if (!t)
		return 0;
	if (no_replace)
		return -EEXIST;
	if (n->kind == NODE_DIR && t->kind != NODE_DIR)
		return -ENOTDIR;
	if (n->kind != NODE_DIR && t->kind == NODE_DIR)
		return -EISDIR;
	return 0;
}

static int rename_find(struct rename *r, bool no_replace)
{
	struct fs *fs = r->fs;
	struct node *from, *to;
	int rc;

	lock_acquire(&fs->tree.lock);
	from = tree_by_ino_locked(&fs->tree, r->old_parent);
	to = tree_by_ino_locked(&fs->tree, r->new_parent);
	r->n = from ? tree_child_locked(&fs->tree, from, r->old_name) : NULL;
	r->target = to ? tree_child_locked(&fs->tree, to, r->new_name) : NULL;
	if (!r->n || !to)
		rc = -ENOENT;
	else if (r->n == r->target)
		rc = 1;
	else
		rc = check_kinds(r->n, r->target, no_replace);
	if (rc == 0)
		rc = fs_key_locked(fs, r->n, r->src);
	if (rc == 0)
		rc = fs_child_key_locked(fs, to, r->new_name,
					 r->n->kind == NODE_DIR, r->dst);
	if (rc == 0) {
		tree_pin_locked(r->n);
		if (r->target)
			tree_pin_locked(r->target);
	}
	lock_release(&fs->tree.lock);
	return rc;
}

/* Nothing of it is on OSS: the staged bytes take the new name at once. */
static bool rename_staged(struct rename *r)
{
	struct fs *fs = r->fs;
	bool on_oss;

	lock_acquire(&fs->tree.lock);
	on_oss = r->n->stored || r->n->maybe_stored;
	lock_release(&fs->tree.lock);
	if (on_oss || r->n->kind == NODE_DIR)
		return false;
	if (file_has_older(fs, r->n))
		begin_intent(r);
	if (file_rekey(fs, r->n, r->dst) < 0)
		return false;
	finish(r, 0);
	return true;
}

void fs_rename(struct fs *fs, uint64_t parent, const char *name,
	       uint64_t new_parent, const char *new_name, bool no_replace,
	       struct fs_done done)
{
	struct rename *r = NULL;
	struct keyq_task task = {.class = KEYQ_META, .dropped = rename_dropped};
	int rc = fs_check_name(fs, new_name, new_parent == TREE_ROOT);

	if (rc == 0) {
		r = calloc(1, sizeof(*r));
		rc = r ? 0 : -ENOMEM;
	}
	if (!r) {
		done.fn(done.arg, rc);
		return;
	}
	r->fs = fs;
	r->done = done;
	r->old_parent = parent;
	r->new_parent = new_parent;
	strncat(r->old_name, name, sizeof(r->old_name) - 1);
	strncat(r->new_name, new_name, sizeof(r->new_name) - 1);
	rc = rename_find(r, no_replace);
	if (rc != 0) {
		free(r);
		done.fn(done.arg, rc < 0 ? rc : 0);
		return;
	}
	if (rename_staged(r))
		return;
	task.key = r->src;
	task.key2 = r->dst;
	task.arg = r;
	task.run = r->n->kind == NODE_DIR ? rename_folder_run : rename_file_run;
	rc = keyq_submit(fs->d.queue, &task);
	if (rc < 0)
		rename_done(r, rc);
}
