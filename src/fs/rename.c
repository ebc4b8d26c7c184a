/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename(2) of a file; of a folder: rename_folder.c.
 *
 * One that is not stored yet takes its new name with it: its upload goes there
 * alone.  A stored one is copied and deleted on the server's side
 * (upload/mover), behind everything that was begun on either key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/rename_impl.h"

#include "state/cbvars.h"
#include "upload/mover.h"
#include "upload/objects.h"
#include "util/clock.h"
#include "util/log.h"

/* Rows of several staged files, or a row and an object: a crash in between must
 * not leave a part under each name. */
static void begin_intent(struct rename *r)
{
	struct fs *fs = r->fs;
	struct intent i = {.src = r->src,
			   .dst = r->dst,
			   .is_staged = true,
			   .staged_id = file_staged_id(fs, r->n)};

	lock_acquire(&fs->tree.lock);
	memcpy(i.src_etag, r->n->etag, sizeof(r->n->etag));
	lock_release(&fs->tree.lock);
	if (r->intent == 0 && intent_add(fs->d.db, &i, &r->intent) < 0) {
		log_warn("fs: a rename is not journaled: from=%s to=%s",
			 LOG_Q(r->src), LOG_Q(r->dst));
		r->intent = 0;
	}
}

void rename_done(struct rename *r, int rc)
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
int rename_move_node(struct rename *r)
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

/* -- a file ---------------------------------------------------------------- */

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

int rename_copy(struct fs *fs, struct node *n, const char *src, const char *dst,
		int64_t *intent, struct object_id *out)
{
	struct object_move m = {.src = src,
				.dst = dst,
				.is_passing = is_staged(fs, n),
				.remove_source = intent != NULL,
				.staged_id = file_staged_id(fs, n),
				.intent = intent};
	struct staging_props props = {0};
	struct oss_props p;
	struct object_id id;
	struct oss_reply reply = {0};
	bool dirty, known;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	node_object_id(n, &id);
	dirty = n->meta_dirty;
	n->meta_dirty = false; /* another change from here on is its own */
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
		rc = uploader_move(fs->d.uploader, &m, out, &reply);
	staging_props_release(&props);
	if (rc == 0 && dirty)
		metachange_remove(fs->d.db, src);
	if (rc == 0)
		return 0;
	if (rc != -ENOENT)
		fs_log_failure("renaming an object", src, &reply, rc);
	lock_acquire(&fs->tree.lock);
	n->meta_dirty |= dirty;
	if (rc == -ESTALE) /* others have changed it: ask at the next look */
		n->fresh_until_ms = 0;
	lock_release(&fs->tree.lock);
	return rc;
}

int rename_note_copy(struct fs *fs, struct node *n, const struct object_id *now)
{
	int rc;

	lock_acquire(&fs->tree.lock);
	rc = node_set_object(n, now);
	n->fresh_until_ms = clock_mono_ms() + fs->conf.ttl_ms;
	tree_changed_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	return rc;
}

/* The node's object, copied to dst; its new identity into the node.  intent:
 * the source goes too; see object_move. */
static int move_object(struct fs *fs, struct node *n, const char *src,
		       const char *dst, int64_t *intent)
{
	struct object_id now;
	int rc = rename_copy(fs, n, src, dst, intent, &now);

	return rc < 0 ? rc : rename_note_copy(fs, n, &now);
}

/* Open bytes that lean on the object follow it. */
void rename_rebase(struct fs *fs, struct node *n, const char *dst)
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

struct stake rename_stake(struct fs *fs, struct node *n)
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

/* A change of metadata that waits goes along; what waited for the file that had
   the new name is void. */
static void move_changes(struct rename *r)
{
	struct fs *fs = r->fs;
	bool dirty, is_void = false;

	lock_acquire(&fs->tree.lock);
	dirty = r->n->meta_dirty;
	if (r->target) {
		is_void = r->target->meta_dirty;
		r->target->meta_dirty = false;
	}
	lock_release(&fs->tree.lock);
	if (dirty || is_void)
		metachange_remove(fs->d.db, r->dst);
	if (!dirty)
		return;
	metachange_remove(fs->d.db, r->src);
	if (fs_journal_change(fs, r->n) < 0)
		log_warn(
			"fs: a change of metadata is not in the journal: key=%s",
			LOG_Q(r->dst));
}

static void finish(struct rename *r, int rc)
{
	struct fs *fs = r->fs;

	/* At once: the upload under the new name may end any moment, and must
	   find its node there. */
	if (rc == 0)
		rc = rename_move_node(r);
	if (rc == 0)
		move_changes(r);
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
	const struct stake k = rename_stake(fs, r->n);
	bool on_oss, is_own, moves;
	int rc = 0, rekeyed;

	lock_acquire(&fs->tree.lock);
	is_own = r->n->stored; /* not what it has replaced under its name */
	on_oss = is_own || r->n->maybe_stored;
	lock_release(&fs->tree.lock);
	/* Bytes that replace the object: the old ones need not be moved. */
	moves = on_oss && (!k.is_staged || k.leans || (is_own && !k.is_closed));
	if (k.is_staged || file_has_older(fs, r->n))
		begin_intent(r);
	if (moves)
		rc = move_object(fs, r->n, r->src, r->dst, &r->move_intent);
	if (rc == -ENOENT && k.is_staged)
		rc = k.leans ? find_moved(r) : 0;
	if (rc == 0 && k.leans)
		rename_rebase(fs, r->n, r->dst);
	if (rc == 0 && r->target)
		file_make_void(fs, r->target);
	if (rc == 0) {
		rekeyed = file_rekey(fs, r->n, r->dst);
		if (rekeyed < 0 && rekeyed != -ENOENT)
			rc = rekeyed;
	}
	if (rc == 0 && on_oss && !moves)
		rc = remove_old_object(r);
	finish(r, rc);
}

/* -- a file, after a crash ------------------------------------------------- */

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

static bool find_again_locked(struct fs *fs, struct rename *r,
			      const struct intent *i)
	ACK_REQUIRES(fs->tree.lock)
{
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
	found = find_again_locked(fs, r, i);
	lock_release(&fs->tree.lock);
	if (found)
		rename_file_run(r);
	else
		free(r);
	return rc;
}

/* -- the call -------------------------------------------------------------- */

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
	if (r->target)
		file_make_void(fs, r->target);
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
