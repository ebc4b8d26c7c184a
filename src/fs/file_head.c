/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata of the object that a new version replaces: what a listing does not
 * show must be kept (fuse-facts 18).  What the state folder remembers saves the
 * request; else one HEAD overlaps with the writing, and a close waits for it.
 */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "fs/file_impl.h"
#include "util/log.h"

/* One file's question, on a task of its key. */
struct question {
	struct file *file;
	bool is_remembered; /* all but the tags */
	int tag_count;
	char key[1024];
};

static int props_from(struct staging_props *p, const char *content_type,
		      const struct kvs *meta, const struct kvs *kept,
		      const char *storage_class)
{
	int rc = str_set(&p->content_type, content_type);

	for (size_t i = 0; rc == 0 && i < meta->count; i++) {
		/* What setfattr has set on the open file wins. */
		if (!kvs_get(&p->meta, meta->items[i].name))
			rc = kvs_add(&p->meta, meta->items[i].name,
				     meta->items[i].value);
	}
	if (rc == 0)
		rc = kvs_copy(&p->kept, kept);
	if (rc == 0 && storage_class && strcmp(storage_class, "Standard") != 0)
		rc = kvs_set(&p->kept, "x-oss-storage-class", storage_class);
	return rc;
}

static void ask_tags(struct question *q)
{
	struct file *f = q->file;
	struct fs *fs = f->fs;
	AUTO_FREE char *tags = NULL;
	struct oss_ctl ctl = fs_ctl(fs);
	struct oss_reply reply = {0};
	int rc;

	if (q->tag_count <= 0)
		return;
	rc = fs->d.store.ops->get_tags(fs->d.store.self, q->key, &ctl, &tags,
				       &reply);
	if (rc < 0) {
		fs_log_failure("reading an object's tags", q->key, &reply, rc);
		return;
	}
	lock_acquire(&f->lock);
	if (tags[0] && kvs_set(&f->props.kept, "x-oss-tagging", tags) < 0)
		log_warn("fs: no memory for tags: key=%s", LOG_Q(q->key));
	lock_release(&f->lock);
}

static void ask_head(struct question *q)
{
	struct file *f = q->file;
	struct fs *fs = f->fs;
	struct oss_object o = {0};
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ask_ctl(fs);
	uint64_t since = fs_change_now(fs);
	int rc = fs->d.store.ops->head(fs->d.store.self, q->key, &ctl, &o,
				       &reply);

	if (rc == 0) {
		lock_acquire(&f->lock);
		rc = props_from(&f->props, o.content_type, &o.meta, &o.kept,
				o.storage_class);
		f->props_known = true;
		lock_release(&f->lock);
		if (rc < 0)
			log_warn("fs: no memory for metadata: key=%s",
				 LOG_Q(q->key));
		fs_note_object(fs, f->node, q->key, &o, since);
		q->tag_count = o.tag_count;
	} else if (rc != -ENOENT) {
		fs_note_reply(fs, rc, &reply);
		fs_log_failure(
			"asking for the metadata that an overwrite must keep",
			q->key, &reply, rc);
	}
	oss_object_release(&o);
}

/* It is known, or cannot be: closes that waited go on. */
static void head_finished(struct file *f)
{
	struct parked *p, *tmp, *list;

	lock_acquire(&f->lock);
	f->head_pending = false;
	list = f->on_head;
	f->on_head = NULL;
	lock_release(&f->lock);
	LL_FOREACH_SAFE(list, p, tmp)
	{
		p->done.fn(p->done.arg, 0);
		free(p);
	}
	file_put(f);
}

static void question_dropped(void *arg)
{
	struct question *q = arg;

	head_finished(q->file);
	free(q);
}

static void question_run(void *arg)
{
	struct question *q = arg;

	if (!q->is_remembered)
		ask_head(q);
	ask_tags(q);
	question_dropped(q);
}

/* What the state folder remembers saves the request. */
static void recall_props(struct question *q, const struct object_id *id)
{
	struct file *f = q->file;
	struct objmeta m = {0};
	int rc;

	if (objmeta_get(f->fs->d.db, q->key, id, &m) < 0)
		return;
	lock_acquire(&f->lock);
	rc = props_from(&f->props, m.content_type, &m.meta, &m.kept,
			m.storage_class);
	f->props_known = rc == 0;
	lock_release(&f->lock);
	q->is_remembered = true;
	q->tag_count = m.tag_count;
	objmeta_release(&m);
}

/* Is there something to ask?  Then nobody else asks it. */
static bool claim_question(struct file *f)
{
	struct fs *fs = f->fs;
	bool claimed;

	lock_acquire(&f->lock);
	claimed = !f->props_known && !f->head_pending;
	lock_acquire(&fs->tree.lock);
	claimed = claimed && f->node->stored;
	if (claimed)
		file_ref_locked(f);
	lock_release(&fs->tree.lock);
	if (claimed)
		f->head_pending = true;
	lock_release(&f->lock);
	return claimed;
}

void file_start_head(struct file *f)
{
	struct fs *fs = f->fs;
	struct question *q;
	struct object_id id;
	struct keyq_task task = {
		.class = KEYQ_META,
		.run = question_run,
		.dropped = question_dropped,
	};

	if (!claim_question(f))
		return;
	q = calloc(1, sizeof(*q));
	if (!q) {
		head_finished(f);
		return;
	}
	q->file = f;
	task.arg = q;
	task.key = q->key;
	lock_acquire(&fs->tree.lock);
	if (fs_key_locked(fs, f->node, q->key) < 0)
		q->key[0] = '\0';
	node_object_id(f->node, &id);
	lock_release(&fs->tree.lock);
	if (q->key[0])
		recall_props(q, &id);
	if (!q->key[0] || (q->is_remembered && q->tag_count <= 0) ||
	    fs_is_away(fs) || keyq_submit(fs->d.queue, &task) < 0)
		question_dropped(q);
}
