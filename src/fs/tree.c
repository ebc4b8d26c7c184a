/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <utlist.h>

#include "util/clock.h"

/** How long a removed name can be brought back by a listing that began before
 *  the removal: longer than any listing takes. */
#define TOMB_MS 120000

struct tomb {
	struct tomb *next;
	uint64_t change;
	int64_t until_ms;
	char name[];
};

static int hang_in(struct tree *t, struct node *n, struct node *dir,
		   const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	n->name_hash = index_hash_name(dir, name);
	if (index_add(&t->names, n) < 0) {
		free(copy);
		return -ENOMEM;
	}
	n->name = copy;
	n->parent = dir;
	DL_PREPEND(dir->children, n);
	return 0;
}

static void take_out(struct tree *t, struct node *n)
{
	index_remove(&t->names, n);
	DL_DELETE(n->parent->children, n);
	n->parent = n->prev = n->next = NULL;
	free(n->name);
	n->name = NULL;
}

static struct node *node_new(struct tree *t, enum node_kind kind)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->ino = t->next_ino++;
	n->kind = (uint8_t)kind;
	n->uid = t->uid;
	n->gid = t->gid;
	switch (kind) {
	case NODE_DIR:
		n->mode = S_IFDIR | t->dir_mode;
		break;
	case NODE_LINK:
		n->mode = S_IFLNK | 0777;
		break;
	case NODE_FILE:
		n->mode = S_IFREG | t->file_mode;
		break;
	}
	if (index_add(&t->inos, n) < 0) {
		free(n);
		return NULL;
	}
	return n;
}

static void tombs_free(struct node *dir)
{
	struct tomb *tomb, *tmp;

	LL_FOREACH_SAFE(dir->tombs, tomb, tmp)
	{
		free(tomb);
	}
	dir->tombs = NULL;
}

static void node_free(struct tree *t, struct node *n)
{
	index_remove(&t->inos, n);
	tombs_free(n);
	free(n->version_id);
	free(n);
}

int tree_init(struct tree *t, uint32_t uid, uint32_t gid, uint32_t file_mode,
	      uint32_t dir_mode)
{
	memset(t, 0, sizeof(*t));
	lock_init(&t->lock, LOCK_TREE);
	index_init(&t->inos, INDEX_INO);
	index_init(&t->names, INDEX_NAME);
	t->next_ino = TREE_ROOT;
	t->uid = uid;
	t->gid = gid;
	t->file_mode = file_mode;
	t->dir_mode = dir_mode;
	t->root = node_new(t, NODE_DIR);
	if (!t->root) {
		lock_destroy(&t->lock);
		return -ENOMEM;
	}
	t->root->refs = 1;
	t->root->mtime_ns = clock_real_ns();
	return 0;
}

void tree_release(struct tree *t)
{
	struct node *n, *next;

	for (n = index_next(&t->inos, NULL); n; n = next) {
		next = index_next(&t->inos, n);
		tombs_free(n);
		free(n->version_id);
		free(n->name);
		free(n);
	}
	index_release(&t->inos);
	index_release(&t->names);
	t->root = NULL;
	lock_destroy(&t->lock);
}

struct node *tree_next_locked(struct tree *t, const struct node *n)
{
	return index_next(&t->inos, n);
}

struct node *tree_walk_locked(const struct node *top, struct node *n)
{
	if (n->children)
		return n->children;
	while (n != top && !n->next)
		n = n->parent;
	return n == top ? NULL : n->next;
}

struct node *tree_by_ino_locked(struct tree *t, uint64_t ino)
{
	struct node *n = index_chain(&t->inos, index_hash_ino(ino));

	while (n && n->ino != ino)
		n = n->link[INDEX_INO];
	return n;
}

struct node *tree_child_locked(struct tree *t, struct node *dir,
			       const char *name)
{
	uint32_t hash = index_hash_name(dir, name);
	struct node *n = index_chain(&t->names, hash);

	while (n && (n->name_hash != hash || n->parent != dir ||
		     strcmp(n->name, name) != 0))
		n = n->link[INDEX_NAME];
	return n;
}

struct node *tree_add_locked(struct tree *t, struct node *dir, const char *name,
			     enum node_kind kind)
{
	struct node *n = node_new(t, kind);

	if (!n)
		return NULL;
	if (hang_in(t, n, dir, name) < 0) {
		node_free(t, n);
		return NULL;
	}
	return n;
}

void tree_detach_locked(struct tree *t, struct node *n)
{
	struct node *dir = n->parent;

	if (!dir)
		return;
	take_out(t, n);
	tree_drop_locked(t, dir);
}

int tree_move_locked(struct tree *t, struct node *n, struct node *dir,
		     const char *name)
{
	struct node *old = n->parent;
	int rc;

	if (old)
		take_out(t, n);
	rc = hang_in(t, n, dir, name);
	if (old && old != dir)
		tree_drop_locked(t, old);
	return rc;
}

void tree_drop_locked(struct tree *t, struct node *n)
{
	if (n->parent || n == t->root || n->nlookup || n->children ||
	    node_is_busy(n))
		return;
	node_free(t, n);
}

void tree_forget_locked(struct tree *t, struct node *n, uint64_t nlookup)
{
	n->nlookup -= nlookup < n->nlookup ? nlookup : n->nlookup;
	tree_drop_locked(t, n);
}

void tree_pin_locked(struct node *n)
{
	n->refs++;
}

void tree_unpin_locked(struct tree *t, struct node *n)
{
	n->refs--;
	tree_drop_locked(t, n);
}

/* A cached entry: only the listing knows of it. */
static bool is_evictable(const struct node *n)
{
	return n->parent && !n->nlookup && !n->children && !node_is_busy(n) &&
	       !n->meta_dirty;
}

void tree_shrink_locked(struct tree *t, size_t keep)
{
	struct node *n, *next;

	if (t->inos.count <= keep || t->inos.count < t->shrink_at)
		return;
	for (n = tree_next_locked(t, NULL); n; n = next) {
		struct node *dir = n->parent;

		next = tree_next_locked(t, n);
		if (!is_evictable(n))
			continue;
		tree_doubt_locked(t, dir);
		take_out(t, n);
		node_free(t, n);
		if (t->inos.count <= keep / 2)
			return;
	}
	t->shrink_at = t->inos.count + keep / 4;
}

int tree_path_locked(struct tree *t, const struct node *n, char *out,
		     size_t size)
{
	size_t len = 0, pos;
	const struct node *up;

	for (up = n; up != t->root; up = up->parent) {
		if (!up->parent)
			return -ENOENT;
		len += strlen(up->name) + (up == n ? 0 : 1);
	}
	if (len >= size)
		return -ENAMETOOLONG;
	out[len] = '\0';
	pos = len;
	for (up = n; up != t->root; up = up->parent) {
		size_t part = strlen(up->name);

		if (up != n)
			out[--pos] = '/';
		pos -= part;
		memcpy(out + pos, up->name, part);
	}
	return (int)len;
}

void tree_changed_locked(struct tree *t, struct node *n)
{
	n->change = ++t->change;
}

void tree_doubt_locked(struct tree *t, struct node *dir)
{
	dir->listed_until_ms = 0;
	dir->doubted = ++t->change;
}

void tree_tomb_locked(struct tree *t, struct node *dir, const char *name)
{
	size_t len = strlen(name) + 1;
	int64_t now = clock_mono_ms();
	struct tomb *tomb, *tmp;

	LL_FOREACH_SAFE(dir->tombs, tomb, tmp)
	{
		if (tomb->until_ms < now) {
			LL_DELETE(dir->tombs, tomb);
			free(tomb);
		}
	}
	tomb = malloc(sizeof(*tomb) + len);
	if (!tomb)
		return; /* a listing may show the name until its next turn */
	tomb->change = ++t->change;
	tomb->until_ms = now + TOMB_MS;
	memcpy(tomb->name, name, len);
	LL_PREPEND(dir->tombs, tomb);
}

bool tree_removed_since_locked(struct tree *t, struct node *dir,
			       const char *name, uint64_t since)
{
	struct tomb *tomb;

	(void)t;
	LL_FOREACH(dir->tombs, tomb)
	{
		if (tomb->change > since && strcmp(tomb->name, name) == 0)
			return true;
	}
	return false;
}

void node_object_id(const struct node *n, struct object_id *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->etag, n->etag, sizeof(n->etag));
	out->size = n->object_size;
	out->modified_ms = n->modified_ms;
	if (n->version_id)
		strncat(out->version_id, n->version_id,
			sizeof(out->version_id) - 1);
}

int node_set_object(struct node *n, const struct object_id *id)
{
	char *version = NULL;

	if (id->version_id[0]) {
		version = strdup(id->version_id);
		if (!version)
			return -ENOMEM;
	}
	free(n->version_id);
	n->version_id = version;
	n->stored = true;
	n->maybe_stored = false;
	n->modified_ms = id->modified_ms;
	n->object_size = id->size;
	n->etag[0] = '\0';
	if (strlen(id->etag) < sizeof(n->etag))
		memcpy(n->etag, id->etag, strlen(id->etag) + 1);
	return 0;
}

bool node_is_busy(const struct node *n)
{
	return n->refs || n->file;
}

void node_drop_privileges(struct node *n)
{
	n->mode &= ~(uint32_t)S_ISUID;
	/* Without group execution it means mandatory locking. */
	if (n->mode & S_IXGRP)
		n->mode &= ~(uint32_t)S_ISGID;
}
