/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash interrupted beside uploads: renames, metadata changes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/change.h"
#include "fs/file.h"
#include "util/log.h"

struct found {
	struct found *next;
	struct intent intent;
	struct object_id id;
	struct kvs meta;
	char key[1024];
};

/* -- metadata changes ------------------------------------------------------------------ */

static void gather_change(void *arg, const char *key,
			  const struct objmeta *want)
{
	struct found **list = arg;
	struct found *f = calloc(1, sizeof(*f));

	if (!f)
		return;
	strncat(f->key, key, sizeof(f->key) - 1);
	f->id = want->id;
	if (kvs_copy(&f->meta, &want->meta) < 0) {
		free(f);
		return;
	}
	LL_APPEND(*list, f);
}

static void resume_change(struct fs *fs, const struct found *f)
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
		if (!n->file && node_set_object(n, &f->id) == 0)
			n->size = f->id.size;
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

/* -- renames ---------------------------------------------------------------------------- */

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

/* The copy was stored: the old name goes, unless somebody has written it since.
   A copy that is not known to be stored leaves both: nothing is lost. */
static void intent_run(void *arg)
{
	struct intent_task *t = arg;
	const struct intent *i = &t->f->intent;
	struct oss_object o = {0};
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ctl(t->fs);
	int rc = 0;

	if (i->copied && i->src && i->dst) {
		rc = t->fs->d.store.ops->head(t->fs->d.store.self, i->src, &ctl,
					      &o, &reply);
		if (rc == 0 && strcasecmp(o.etag, i->src_etag) == 0)
			rc = fs_remove_object(t->fs, i->src);
		if (rc == -ENOENT)
			rc = 0;
		if (rc == 0)
			log_notice(
				"fs: finished a rename that a crash interrupted: from=%s to=%s",
				LOG_Q(i->src), LOG_Q(i->dst));
		else
			fs_log_failure("finishing an interrupted rename",
				       i->src, &reply, rc);
	}
	oss_object_release(&o);
	if (rc == 0)
		intent_remove(t->fs->d.db, i->id);
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
	task.key2 = f->intent.dst;
	if (keyq_submit(fs->d.queue, &task) < 0)
		intent_task_free(t);
}

int fs_recover_changes(struct fs *fs)
{
	struct found *list = NULL, *f, *tmp;
	int rc = intent_walk(fs->d.db, gather_intent, &list);

	LL_FOREACH_SAFE(list, f, tmp)
	{
		LL_DELETE(list, f);
		resume_intent(fs, f);
	}
	if (rc == 0)
		rc = metachange_walk(fs->d.db, gather_change, &list);
	LL_FOREACH_SAFE(list, f, tmp)
	{
		LL_DELETE(list, f);
		resume_change(fs, f);
		kvs_release(&f->meta);
		free(f);
	}
	return rc;
}
