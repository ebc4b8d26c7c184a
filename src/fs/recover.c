/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash interrupted beside uploads: renames, metadata changes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "fs/change.h"
#include "fs/file.h"
#include "fs/posix.h"
#include "state/cbvars.h"
#include "upload/mover.h"
#include "upload/objects.h"
#include "util/clock.h"
#include "util/log.h"

enum { CHANGE_RETRY_MS = 30000 };

struct found {
	struct found *next;
	struct intent intent;
	struct object_id id;
	struct kvs meta;
	char key[1024];
};

/* -- metadata changes ------------------------------------------------------ */

static void gather_change(void *arg, const char *key,
			  const struct objmeta *want)
{
	struct found **list = arg;
	struct found *f = *key ? calloc(1, sizeof(*f)) : NULL;

	if (!f)
		return;
	strncat(f->key, key, sizeof(f->key) - 1);
	f->id = want->id;
	if (kvs_copy(&f->meta, &want->meta) < 0) {
		kvs_release(&f->meta);
		free(f);
		return;
	}
	LL_APPEND(*list, f);
}

/* Its object is `id` (NULL: nothing is stored yet). */
static void apply_change(struct fs *fs, const struct found *f,
			 const struct object_id *id)
{
	bool folder = f->key[strlen(f->key) - 1] == '/';
	struct posix_attr a = {0};
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = fs_make_path_locked(fs, f->key);
	if (n) {
		a = (struct posix_attr){n->mode, n->uid, n->gid, n->mtime_ns};
		posix_read(&f->meta, NULL, folder, &a);
		n->kind = folder ? NODE_DIR : n->kind;
		n->mode = a.mode;
		n->uid = a.uid;
		n->gid = a.gid;
		n->mtime_ns = a.mtime_ns;
		n->meta_known = true;
		n->meta_dirty = true;
		if (id && !n->file && node_set_object(n, id) == 0)
			n->size = id->size;
		tree_pin_locked(n);
	}
	lock_release(&fs->tree.lock);
	if (!n)
		return;
	fs_schedule_meta(fs, n);
	lock_acquire(&fs->tree.lock);
	tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
}

struct change_task {
	struct fs *fs;
	struct found *f;
};

static void change_free(void *arg)
{
	struct change_task *t = arg;

	kvs_release(&t->f->meta);
	free(t->f);
	free(t);
}

/* The version that was to be changed, or one that this mount stored since (its
 * upload was under way): not what others have put there. */
static bool is_wanted(struct fs *fs, const struct found *f,
		      const struct object_id *now)
{
	struct objmeta seen = {0};
	int rc = 0;

	if (strcasecmp(f->id.etag, now->etag) != 0 || f->id.size != now->size) {
		rc = objmeta_get(fs->d.db, f->key, now, &seen);
		objmeta_release(&seen);
	}
	return rc == 0;
}

static void change_submit(void *arg);

static void change_run(void *arg)
{
	struct change_task *t = arg;
	struct fs *fs = t->fs;
	struct oss_object o = {0};
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	struct object_id id;
	int rc = fs->d.store.ops->head(fs->d.store.self, t->f->key, &ctl, &o,
				       &reply);

	if (rc < 0 && rc != -ENOENT) {
		fs_log_failure("resuming a change of metadata", t->f->key,
			       &reply, rc);
		if (timer_add_owned(fs->d.timers,
				    clock_mono_ms() + CHANGE_RETRY_MS,
				    change_submit, change_free, t))
			return;
	}
	if (rc == 0) {
		object_id_of(&o, &id);
		if (is_wanted(fs, t->f, &id))
			apply_change(fs, t->f, &id);
		else
			rc = -ESTALE;
	}
	oss_object_release(&o);
	if (rc == -ENOENT || rc == -ESTALE) {
		log_notice(
			"fs: a change of metadata is void, the object has changed: key=%s",
			LOG_Q(t->f->key));
		metachange_remove(fs->d.db, t->f->key);
	}
	change_free(t);
}

static void change_submit(void *arg)
{
	struct change_task *t = arg;
	const struct keyq_task task = {.class = KEYQ_META,
				       .key = t->f->key,
				       .is_exact = true,
				       .run = change_run,
				       .dropped = change_free,
				       .arg = t};

	if (keyq_submit(t->fs->d.queue, &task) < 0)
		change_free(t);
}

/* f is taken. */
static void resume_change(struct fs *fs, struct found *f)
{
	struct change_task *t = calloc(1, sizeof(*t));
	bool is_staged, folder = f->key[strlen(f->key) - 1] == '/';
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, f->key);
	is_staged = n && n->file;
	lock_release(&fs->tree.lock);
	/* What OSS has, the journal need not know: its answer may be lost. */
	if (t && !is_staged && !folder) {
		*t = (struct change_task){fs, f};
		change_submit(t);
		return;
	}
	apply_change(fs, f, is_staged ? NULL : &f->id);
	free(t);
	kvs_release(&f->meta);
	free(f);
}

/* -- renames --------------------------------------------------------------- */

static void gather_intent(void *arg, const struct intent *i)
{
	struct found **list = arg;
	struct found *f = calloc(1, sizeof(*f));

	if (!f)
		return;
	f->intent = *i;
	f->intent.src = str_dup(i->src);
	f->intent.dst = str_dup(i->dst);
	LL_APPEND(*list, f);
}

struct intent_task {
	struct fs *fs;
	struct found *f;
};

static void intent_task_free(void *arg)
{
	struct intent_task *t = arg;

	free(t->f->intent.src);
	free(t->f->intent.dst);
	free(t->f);
	free(t);
}

static bool is_same_content(const struct oss_object *a,
			    const struct oss_object *b)
{
	if (a->size != b->size)
		return false;
	return a->has_crc64 && b->has_crc64 ? a->crc64 == b->crc64
					    : strcasecmp(a->etag, b->etag) == 0;
}

static bool is_recorded(struct fs *fs, const char *key,
			const struct oss_object *o)
{
	struct cb_record record = {0};
	struct object_id id;
	bool found;

	object_id_of(o, &id);
	found = cblog_outcome(fs->d.db, key, &id, &record) == 0;
	cb_record_release(&record);
	return found;
}

/* @return 0; 1: the new name has other content.  *recorded: the records have
 * moved already */
static int check_copy(struct fs *fs, const struct intent *i,
		      const struct oss_object *src, bool *recorded,
		      struct oss_reply *reply)
{
	struct oss_object dst = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	int rc = fs->d.store.ops->head(fs->d.store.self, i->dst, &ctl, &dst,
				       reply);

	if (rc == -ENOENT || (rc == 0 && !is_same_content(src, &dst)))
		rc = 1;
	*recorded = rc == 0 && is_recorded(fs, i->dst, &dst);
	oss_object_release(&dst);
	return rc;
}

static int remove_source(struct fs *fs, const struct intent *i)
{
	if (cbvars_any(fs->d.db))
		cbvars_move(fs->d.db, i->src, i->dst);
	return fs_remove_object(fs, i->src);
}

/* The copy may have been stored without its records, or its callback's answer:
   once more, all of it. */
static int move_again(struct fs *fs, const struct intent *i,
		      const struct oss_object *src, struct oss_reply *reply)
{
	struct object_id id, now;
	struct posix_attr a = {S_IFREG | fs->conf.file_mode, fs->conf.uid,
			       fs->conf.gid, src->modified_ms * 1000000};
	struct object_move m = {.src = i->src,
				.dst = i->dst,
				.src_id = &id,
				.process = "",
				.remove_source = true};
	int rc;

	object_id_of(src, &id);
	posix_read(&src->meta, src->content_type, false, &a);
	m.uid = a.uid;
	m.gid = a.gid;
	m.mode = a.mode;
	m.mtime_ms = a.mtime_ns / 1000000;
	rc = uploader_move(fs->d.uploader, &m, &now, reply);
	if (rc == 0 && cbvars_any(fs->d.db))
		cbvars_move(fs->d.db, i->src, i->dst);
	return rc;
}

/* @return 0: the rename is finished; 1: it did not happen; -errno */
static int finish_rename(struct fs *fs, const struct intent *i,
			 struct oss_reply *reply)
{
	struct oss_object src = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	bool copied = i->copied || i->is_staged;
	int rc = fs->d.store.ops->head(fs->d.store.self, i->src, &ctl, &src,
				       reply);

	if (rc == -ENOENT)
		rc = copied ? 0 : 1;
	else if (rc == 0 && strcasecmp(src.etag, i->src_etag) != 0)
		rc = 1; /* somebody has written it since */
	else if (rc == 0 && !copied)
		rc = check_copy(fs, i, &src, &copied, reply);
	if (rc == 0 && src.etag[0])
		rc = copied ? remove_source(fs, i)
			    : move_again(fs, i, &src, reply);
	oss_object_release(&src);
	return rc;
}

/* The folder of a key, where it has been seen. */
static struct node *parent_of(struct fs *fs, const char *key)
	ACK_REQUIRES(fs->tree.lock)
{
	char folder[1024] = "";
	const char *slash = strrchr(key, '/');

	if (!slash)
		return fs->tree.root;
	strncat(folder, key, (size_t)(slash + 1 - key));
	return fs_node_of_key_locked(fs, folder);
}

/* The name may have been looked up meanwhile: ask OSS again. */
static void forget_name(struct fs *fs, const char *key, bool is_gone)
{
	uint64_t parent = 0;
	char name[256] = "";
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, key);
	if (n && n->parent && !n->file) {
		parent = n->parent->ino;
		snprintf(name, sizeof(name), "%s", n->name);
		if (is_gone)
			tree_tomb_locked(&fs->tree, n->parent, name);
		tree_detach_locked(&fs->tree, n);
		tree_drop_locked(&fs->tree, n);
	}
	n = parent_of(fs, key);
	if (n)
		tree_doubt_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	if (parent && fs->invalidate_name)
		fs->invalidate_name(fs->notify_arg, parent, name);
}

static void run_removal(struct fs *fs, const struct intent *i)
{
	int rc = fs_remove_object(fs, i->src);

	if (rc == 0)
		forget_name(fs, i->src, true);
	if (rc == 0)
		log_notice(
			"fs: finished a removal that a crash interrupted: key=%s",
			LOG_Q(i->src));
	/* Never at a later mount: the name may be another file's then. */
	intent_remove(fs->d.db, i->id);
}

/* Where are the bytes that were renamed? @return false: they are not there any
 * more, or their writer never finished them */
static bool find_renamed(struct fs *fs, const struct intent *i,
			 char key[STAGING_KEY_MAX])
{
	struct staging *s =
		i->staged_id ? staging_store_find(fs->d.staging, i->staged_id)
			     : NULL;
	bool found = s && staging_state_of(s) != STAGING_INCOMPLETE &&
		     staging_state_of(s) != STAGING_DONE;

	if (found)
		staging_key(s, key);
	staging_put(s);
	return found;
}

/* An unfinished file over the object goes where that went. */
static void rename_unfinished(struct fs *fs, const struct intent *i)
{
	struct staging *s =
		i->staged_id ? staging_store_find(fs->d.staging, i->staged_id)
			     : NULL;
	struct oss_ctl ctl = fs_ctl(fs);
	struct staging_base base = {0};
	struct oss_object o = {0};
	struct oss_reply reply = {0};

	if (!s || staging_state_of(s) != STAGING_INCOMPLETE) {
		staging_put(s);
		return;
	}
	if (fs->d.store.ops->head(fs->d.store.self, i->dst, &ctl, &o, &reply) ==
	    0) {
		strncat(base.key, i->dst, sizeof(base.key) - 1);
		memcpy(base.etag, o.etag, sizeof(base.etag));
		base.size = o.size;
		base.modified_ms = o.modified_ms;
		if (staging_rebase(s, &base) < 0 ||
		    staging_rekey(s, i->dst) < 0)
			log_err("fs: an unfinished file lost its renamed object: key=%s",
				LOG_Q(i->dst));
	}
	oss_object_release(&o);
	staging_put(s);
}

static int run_intent(struct fs *fs, const struct intent *i)
{
	struct oss_reply reply = {0};
	char key[STAGING_KEY_MAX];
	int rc = 1;

	/* Of bytes whose writer is gone the object alone is renamed: by an
	   intent of its own. */
	if (!i->is_staged || find_renamed(fs, i, key))
		rc = finish_rename(fs, i, &reply);
	if (rc == 0)
		log_notice(
			"fs: finished a rename that a crash interrupted: from=%s to=%s",
			LOG_Q(i->src), LOG_Q(i->dst));
	else if (rc < 0)
		fs_log_failure("finishing an interrupted rename", i->src,
			       &reply, rc);
	if (rc == 0) {
		rename_unfinished(fs, i);
		forget_name(fs, i->src, true);
		forget_name(fs, i->dst, false);
	}
	if (rc >= 0)
		intent_remove(fs->d.db, i->id);
	return rc;
}

static void intent_run(void *arg)
{
	struct intent_task *t = arg;

	if (*t->f->intent.dst)
		(void)run_intent(t->fs, &t->f->intent);
	else
		run_removal(t->fs, &t->f->intent);
	intent_task_free(t);
}

static void resume_intent(struct fs *fs, struct found *f)
{
	struct intent_task *t = calloc(1, sizeof(*t));
	struct keyq_task task = {.class = KEYQ_META,
				 .run = intent_run,
				 .dropped = intent_task_free,
				 .arg = t};

	if (!t || !f->intent.src || !f->intent.dst) {
		free(t);
		free(f->intent.src);
		free(f->intent.dst);
		free(f);
		return;
	}
	t->fs = fs;
	t->f = f;
	task.key = f->intent.src;
	task.key2 = *f->intent.dst ? f->intent.dst : NULL;
	if (keyq_submit(fs->d.queue, &task) < 0)
		intent_task_free(t);
}

/* The node of a key with something staged, pinned; NULL: none. */
static struct node *pin_staged(struct fs *fs, const char *key)
{
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, key);
	if (n && !n->file)
		n = NULL;
	if (n)
		tree_pin_locked(n);
	lock_release(&fs->tree.lock);
	return n;
}

static void unpin(struct fs *fs, struct node *n)
{
	lock_acquire(&fs->tree.lock);
	tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
}

static void rename_staged_again(struct fs *fs, const struct intent *i)
{
	int rc = fs_rename_again(fs, i);

	if (rc == 0)
		log_notice(
			"fs: finished a rename that a crash interrupted: from=%s to=%s",
			LOG_Q(i->src), LOG_Q(i->dst));
	else
		log_err("fs: a rename that a crash interrupted could not be finished: from=%s to=%s errno=%d",
			LOG_Q(i->src), LOG_Q(i->dst), -rc);
}

/* An object replaces what waits under the new name: that must not be uploaded
 * over it. */
static void rename_over_staged(struct fs *fs, const struct intent *i,
			       struct node *target)
{
	if (run_intent(fs, i) != 0)
		return;
	lock_acquire(&fs->tree.lock);
	tree_detach_locked(&fs->tree, target);
	lock_release(&fs->tree.lock);
	(void)file_unlinked(fs, target);
}

/* What waited goes before the object that it would replace, or that it shares
 * bytes with. */
static void drop_removed(struct fs *fs, const struct intent *i)
{
	struct node *n = i->staged_id ? pin_staged(fs, i->src) : NULL;

	if (!n)
		return;
	if (file_staged_id(fs, n) == i->staged_id) {
		(void)file_unlinked(fs, n);
		lock_acquire(&fs->tree.lock);
		tree_detach_locked(&fs->tree, n);
		lock_release(&fs->tree.lock);
	}
	unpin(fs, n);
}

/* What is staged under either name goes on at once: its uploads are not
 * submitted yet. @return false: nothing is */
static bool resume_at_once(struct fs *fs, const struct intent *i)
{
	char key[STAGING_KEY_MAX];
	bool renamed, found;
	struct node *n;

	if (!i->src || !i->dst)
		return false;
	if (!*i->dst) {
		drop_removed(fs, i);
		return false;
	}
	found = find_renamed(fs, i, key);
	renamed = found && strcmp(key, i->dst) == 0;
	if (renamed || (i->is_staged && !found))
		return false;
	n = pin_staged(fs, i->is_staged ? i->src : i->dst);
	if (!n)
		return false;
	if (i->is_staged)
		rename_staged_again(fs, i);
	else
		rename_over_staged(fs, i, n);
	unpin(fs, n);
	return true;
}

int fs_recover_renames(struct fs *fs)
{
	struct found *list = NULL, *f, *tmp;
	int rc = intent_walk(fs->d.db, gather_intent, &list);

	LL_FOREACH_SAFE(list, f, tmp)
	{
		LL_DELETE(list, f);
		if (!resume_at_once(fs, &f->intent)) {
			resume_intent(fs, f);
			continue;
		}
		free(f->intent.src);
		free(f->intent.dst);
		free(f);
	}
	return rc;
}

int fs_recover_changes(struct fs *fs)
{
	struct found *list = NULL, *f, *tmp;
	int rc = metachange_walk(fs->d.db, gather_change, &list);

	LL_FOREACH_SAFE(list, f, tmp)
	{
		LL_DELETE(list, f);
		resume_change(fs, f);
	}
	return rc;
}
