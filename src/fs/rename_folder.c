/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename(2) of a folder: all its objects are copied, in parallel, each by the
 * rules of files; the sources are deleted together when every copy is stored,
 * so that a rename that fails half way has lost nothing.  Only then the tree
 * follows, and with it what is open or staged below.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/rename_impl.h"
#include "state/cbvars.h"
#include "upload/mover.h"
#include "util/log.h"
#include "util/thread.h"

#define FOLDER_THREADS 16

struct folder_item {
	char *key;
	struct object_id id;
	struct node *n; /* pinned; NULL: this mount does not know it */
	bool is_copied;
	struct object_id now; /* the copy */
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

static struct node *pin_node_of(struct fs *fs, const char *key)
{
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, key);
	if (n)
		tree_pin_locked(n);
	lock_release(&fs->tree.lock);
	return n;
}

/* One that no node of this mount speaks for. */
static int copy_unknown(struct fs *fs, struct folder_item *item,
			const char *dst)
{
	const struct object_move m = {
		.src = item->key,
		.dst = dst,
		.src_id = item->id.etag[0] ? &item->id : NULL,
		.uid = fs->conf.uid,
		.gid = fs->conf.gid,
		.mode = fs->conf.file_mode,
		.mtime_ms = item->id.modified_ms,
		.process = "",
	};
	struct oss_reply reply = {0};
	int rc = uploader_move(fs->d.uploader, &m, &item->now, &reply);

	if (rc < 0)
		fs_log_failure("renaming an object of a folder", item->key,
			       &reply, rc);
	return rc;
}

static int copy_item(struct folder *f, struct folder_item *item)
{
	struct fs *fs = f->r->fs;
	char dst[1024];
	bool is_known;
	int rc = new_key_of(f->r, item->key, dst);

	if (rc < 0)
		return rc;
	item->n = pin_node_of(fs, item->key);
	lock_acquire(&fs->tree.lock);
	is_known = item->n && item->n->kind != NODE_DIR && item->n->stored;
	lock_release(&fs->tree.lock);
	if (!is_known) {
		rc = copy_unknown(fs, item, dst);
	} else {
		struct stake k = rename_stake(fs, item->n);

		/* Bytes that replace the object: it need not be moved. */
		if (k.is_closed && !k.leans)
			return 0;
		rc = rename_copy(fs, item->n, item->key, dst, NULL, &item->now);
	}
	item->is_copied = rc == 0;
	return rc;
}

static void *folder_main(void *arg)
{
	struct folder *f = arg;
	size_t i;

	while (atomic_load(&f->rc) == 0 &&
	       (i = atomic_fetch_add(&f->next, 1)) < f->count) {
		int rc = copy_item(f, &f->items[i]);

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

/* Every copy is there: the nodes speak of the copies. */
static int folder_note(struct folder *f)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < f->count; i++) {
		struct folder_item *item = &f->items[i];

		if (item->n && item->is_copied)
			rc = rename_note_copy(f->r->fs, item->n, &item->now);
	}
	return rc;
}

static void folder_release(struct folder *f)
{
	struct fs *fs = f->r->fs;

	for (size_t i = 0; i < f->count; i++) {
		free(f->items[i].key);
		if (!f->items[i].n)
			continue;
		lock_acquire(&fs->tree.lock);
		tree_unpin_locked(&fs->tree, f->items[i].n);
		lock_release(&fs->tree.lock);
	}
	free(f->items);
}

/* -- what is open or staged below ------------------------------------------ */

static void unpin_all(struct fs *fs, struct node **list, size_t count)
{
	lock_acquire(&fs->tree.lock);
	for (size_t i = 0; i < count; i++)
		tree_unpin_locked(&fs->tree, list[i]);
	lock_release(&fs->tree.lock);
	free(list);
}

static int key_of(struct fs *fs, struct node *n, char key[1024])
{
	int rc;

	lock_acquire(&fs->tree.lock);
	rc = fs_key_locked(fs, n, key);
	lock_release(&fs->tree.lock);
	return rc;
}

/* They take their new names with them. */
static int rekey_below(struct rename *r)
{
	struct fs *fs = r->fs;
	struct node **list = NULL;
	size_t count = 0;
	int rc = file_nodes_below(fs, r->n, &list, &count);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		char key[1024], dst[1024];

		if (key_of(fs, list[i], key) < 0)
			continue; /* unlinked meanwhile */
		rc = new_key_of(r, key, dst);
		if (rc == 0) {
			rename_rebase(fs, list[i], dst);
			rc = file_rekey(fs, list[i], dst);
		}
		rc = rc == -ENOENT ? 0 : rc;
	}
	unpin_all(fs, list, count);
	return rc;
}

/* The tree has moved: so have files that were created below meanwhile. */
static void settle_below(struct rename *r)
{
	struct fs *fs = r->fs;
	struct node **list = NULL;
	size_t count = 0;
	int rc = file_nodes_below(fs, r->n, &list, &count);

	for (size_t i = 0; i < count; i++) {
		char key[1024];

		if (key_of(fs, list[i], key) < 0)
			continue;
		if (!file_has_key(fs, list[i], key))
			rc = file_rekey(fs, list[i], key);
		if (rc < 0 && rc != -ENOENT)
			log_err("fs: a file in a renamed folder keeps its old key: key=%s errno=%d",
				LOG_Q(key), -rc);
		file_renamed(fs, list[i]);
	}
	unpin_all(fs, list, count);
}

/* -- folders below whose markers are to be made (chmod) -------------------- */

struct dirty {
	struct dirty *next;
	struct node *n; /* pinned */
	char key[1024]; /* the old one */
};

static void gather_dirty_locked(struct fs *fs, struct node *top,
				struct dirty **list) ACK_REQUIRES(fs->tree.lock)
{
	for (struct node *n = top; n; n = tree_walk_locked(top, n)) {
		struct dirty *d;

		if (n->kind != NODE_DIR || !n->meta_dirty)
			continue;
		d = calloc(1, sizeof(*d));
		if (!d || fs_key_locked(fs, n, d->key) < 0) {
			free(d);
			continue;
		}
		d->n = n;
		tree_pin_locked(n);
		LL_PREPEND(*list, d);
	}
}

static void change_again(struct fs *fs, struct dirty *list, bool has_moved)
{
	struct dirty *d, *tmp;

	LL_FOREACH_SAFE(list, d, tmp)
	{
		if (has_moved) {
			metachange_remove(fs->d.db, d->key);
			(void)fs_change_later(fs, d->n);
		}
		lock_acquire(&fs->tree.lock);
		tree_unpin_locked(&fs->tree, d->n);
		lock_release(&fs->tree.lock);
		free(d);
	}
}

/* -- the whole ------------------------------------------------------------- */

static int copy_all(struct folder *f)
{
	struct rename *r = f->r;
	int rc = 0;

	if (r->target)
		rc = listing_is_empty(r->fs, r->target->ino);
	if (rc == 0)
		rc = folder_list(f);
	if (rc == 0 && f->count)
		rc = folder_copy(f);
	if (rc == 0)
		rc = folder_note(f);
	return rc == 0 ? rekey_below(r) : rc;
}

void rename_folder_run(void *arg)
{
	struct rename *r = arg;
	struct folder f = {.r = r};
	struct fs *fs = r->fs;
	struct dirty *dirty = NULL;
	bool has_moved = false;
	int rc, deleted = 0;

	lock_acquire(&fs->tree.lock);
	gather_dirty_locked(fs, r->n, &dirty);
	lock_release(&fs->tree.lock);
	rc = copy_all(&f);
	/* All is there under the new names: what cannot be deleted shows under
	   both, which is what it is. */
	if (rc == 0 && f.count)
		deleted = folder_delete(&f);
	if (rc == 0)
		rc = rename_move_node(r);
	if (rc == 0) {
		has_moved = true;
		if (cbvars_any(fs->d.db))
			cbvars_move(fs->d.db, r->src, r->dst);
		settle_below(r);
	}
	change_again(fs, dirty, has_moved);
	folder_release(&f);
	rename_done(r, rc < 0 ? rc : deleted);
}
