/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that OSS knows.
 *
 * A name is asked for by one LIST (prefix NAME, delimiter '/', a few keys): it
 * tells both the object NAME and the folder NAME/.  Between the two in key
 * order lie names such as "NAME-1" and "NAME.txt"; only when they fill the page
 * is a second LIST (prefix NAME/) needed.  Where both an object `a` and keys
 * below `a/` exist, the folder shows, so that nothing below it is out of reach.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/change.h"
#include "fs/file.h"
#include "upload/objects.h"
#include "util/clock.h"
#include "util/log.h"

#define LOOKUP_KEYS 16
#define LOCAL_FRESH_MS 1000

void fs_attr_locked(const struct fs *fs, const struct node *n,
		    struct fs_attr *out)
{
	int64_t now = clock_mono_ms();

	out->ino = n->ino;
	out->mode = n->mode;
	if (n->kind != NODE_LINK)
		out->mode &= ~fs->conf.umask;
	out->uid = fs->conf.uid_for_all ? fs->conf.uid : n->uid;
	out->gid = fs->conf.gid_for_all ? fs->conf.gid : n->gid;
	out->nlink = n->kind == NODE_DIR ? 2 : 1;
	if (!n->parent && n != fs->tree.root) /* removed while open */
		out->nlink = 0;
	out->size = n->kind == NODE_DIR ? 4096 : n->size;
	out->mtime_ns = n->mtime_ns;
	if (n->is_staged || n == fs->tree.root)
		out->fresh_ms = LOCAL_FRESH_MS;
	else
		out->fresh_ms =
			n->fresh_until_ms > now ? n->fresh_until_ms - now : 0;
}

static bool is_fresh(const struct fs *fs, const struct node *n)
{
	int64_t now = clock_mono_ms();

	if (n == fs->tree.root || !n->parent || node_is_local(n))
		return true;
	if (!n->fresh_until_ms) /* in doubt, whatever a listing says */
		return false;
	return n->fresh_until_ms > now || n->parent->listed_until_ms > now;
}

/* -- asking ---------------------------------------------------------------- */

enum found {
	FOUND_NOTHING,
	FOUND_OBJECT,
	FOUND_FOLDER,
	FOUND_UNKNOWN, /* OSS is away, and the mount works without it */
};

struct answer {
	enum found found;
	struct oss_list_entry entry; /* its key is not set */
};

/* Look through one page; @return the folder's place was reached or passed */
static bool read_page(const struct oss_list_page *page, const char *key,
		      struct answer *a)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < page->count; i++) {
		const struct oss_list_entry *e = &page->entries[i];
		int order;

		if (strncmp(e->key, key, len) != 0)
			continue;
		if (e->key[len] == '\0') {
			a->found = FOUND_OBJECT;
			a->entry = *e;
			continue;
		}
		order = (unsigned char)e->key[len] - '/';
		if (order == 0) {
			a->found = FOUND_FOLDER;
			a->entry = *e;
			a->entry.is_prefix = true;
		}
		if (order >= 0)
			return true;
	}
	return page->next_token == NULL;
}

/* @return 0; 1: OSS is away, and the mount works without it; -errno */
static int list_few(struct fs *fs, const char *prefix, const char *delimiter,
		    int max, struct oss_list_page *page)
{
	const struct oss_list l = {
		.prefix = prefix, .delimiter = delimiter, .max_keys = max};
	struct oss_ctl ctl = fs_ask_ctl(fs);
	int rc;

	memset(page, 0, sizeof(*page));
	if (fs_is_away(fs))
		return 1;
	rc = fs->d.store.ops->list(fs->d.store.self, &l, &ctl, page);
	if (fs_note_reply(fs, rc, &page->reply))
		return 1;
	if (rc < 0)
		fs_log_failure("looking up a name", prefix, &page->reply, rc);
	return rc;
}

static int ask(struct fs *fs, const char *key, struct answer *a)
{
	struct oss_list_page page;
	char folder[1024 + 1];
	bool sure;
	int rc = list_few(fs, key, "/", LOOKUP_KEYS, &page);

	if (rc != 0) {
		oss_list_page_release(&page);
		a->found = FOUND_UNKNOWN;
		return rc < 0 ? rc : 0;
	}
	sure = read_page(&page, key, a);
	oss_list_page_release(&page);
	if (sure || strlen(key) + 1 > OSS_KEY_MAX)
		return 0;
	snprintf(folder, sizeof(folder), "%s/", key);
	rc = list_few(fs, folder, NULL, 1, &page);
	if (rc == 0 && page.count) {
		a->found = FOUND_FOLDER;
		a->entry = page.entries[0];
		a->entry.is_prefix = true;
	} else if (rc > 0 && a->found == FOUND_NOTHING) {
		a->found = FOUND_UNKNOWN;
	}
	oss_list_page_release(&page);
	return rc < 0 ? rc : 0;
}

/* The tree's word on a name, before OSS is asked. */
enum known { KNOWN_HERE, KNOWN_MISSING, KNOWN_NOT };

static enum known known_locked(struct fs *fs, struct node *dir,
			       const char *name, struct node **out)
	ACK_REQUIRES(fs->tree.lock)
{
	struct node *n = tree_child_locked(&fs->tree, dir, name);

	if (n && is_fresh(fs, n)) {
		*out = n;
		return KNOWN_HERE;
	}
	if (!n && dir->listed_until_ms > clock_mono_ms())
		return KNOWN_MISSING;
	return KNOWN_NOT;
}

/* OSS has no such name. @return whether it is there all the same: ours, open,
   or a folder of something of ours */
static bool outlives_locked(struct fs *fs, struct node *n, uint64_t since)
	ACK_REQUIRES(fs->tree.lock)
{
	return n->change > since || n->file || node_is_local(n) ||
	       (n->children && fs_has_local_below_locked(fs, n));
}

static void vanish_locked(struct fs *fs, struct node *n)
	ACK_REQUIRES(fs->tree.lock)
{
	fs_forget_children_locked(fs, n);
	tree_detach_locked(&fs->tree, n);
	tree_drop_locked(&fs->tree, n);
}

/* What OSS said of a child; NULL: there is none. */
static struct node *answered_locked(struct fs *fs, struct node *dir,
				    const char *name, const struct answer *a,
				    uint64_t since) ACK_REQUIRES(fs->tree.lock)
{
	struct node *n = tree_child_locked(&fs->tree, dir, name);

	switch (a->found) {
	case FOUND_OBJECT:
	case FOUND_FOLDER:
		n = fs_note_entry_locked(fs, dir, name, &a->entry, since);
		/* A listing that began before has no say in it. */
		if (n)
			tree_changed_locked(&fs->tree, n);
		return n;
	case FOUND_UNKNOWN:
		return n;
	case FOUND_NOTHING:
		break;
	}
	if (n && !outlives_locked(fs, n, since)) {
		vanish_locked(fs, n);
		n = NULL;
	}
	return n;
}

/* Take down what OSS said; *out pinned on 0. */
static int note_answer(struct fs *fs, uint64_t parent, const char *name,
		       const struct answer *a, uint64_t since,
		       struct node **out)
{
	struct node *dir, *n = NULL;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, parent);
	if (dir)
		n = answered_locked(fs, dir, name, a, since);
	if (n)
		tree_pin_locked(n);
	lock_release(&fs->tree.lock);
	*out = n;
	return n ? 0 : -ENOENT;
}

/* The node of a name, pinned. */
static int find(struct fs *fs, uint64_t parent, const char *name,
		struct node **out)
{
	struct answer a = {0};
	struct node *dir, *n = NULL;
	enum known known = KNOWN_NOT;
	char key[1024];
	uint64_t since;
	int rc;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, parent);
	rc = dir ? fs_child_key_locked(fs, dir, name, false, key) : -ENOENT;
	if (rc == 0)
		known = known_locked(fs, dir, name, &n);
	if (n)
		tree_pin_locked(n);
	since = fs->tree.change;
	lock_release(&fs->tree.lock);
	if (rc < 0 || known == KNOWN_MISSING)
		return rc < 0 ? rc : -ENOENT;
	if (known == KNOWN_NOT) {
		rc = ask(fs, key, &a);
		if (rc == 0)
			rc = note_answer(fs, parent, name, &a, since, &n);
		if (rc != 0)
			return rc;
		/* A dangling one shows as what it is. */
		if (a.found == FOUND_OBJECT && fs_entry_is_link(&a.entry))
			(void)fs_need_head(fs, n, NULL);
		else
			fs_recall_meta(fs, n);
	}
	if (fs->conf.posix_meta == FS_POSIX_ALWAYS && fs_may_have_meta(n))
		fs_need_meta(fs, n);
	*out = n;
	return 0;
}

int fs_lookup(struct fs *fs, uint64_t parent, const char *name,
	      struct fs_attr *out)
{
	struct node *n = NULL;
	int rc = fs_check_name(fs, name, parent == TREE_ROOT);

	/* A name that OSS cannot hold does not exist; creating it says why. */
	if (rc < 0)
		return rc == -EINVAL ? -ENOENT : rc;
	rc = find(fs, parent, name, &n);
	if (rc != 0)
		return rc;
	lock_acquire(&fs->tree.lock);
	n->nlookup++;
	fs_attr_locked(fs, n, out);
	tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	return 0;
}

int fs_getattr(struct fs *fs, uint64_t ino, struct fs_attr *out)
{
	struct node *n, *found = NULL;
	uint64_t parent = 0;
	char name[256];
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, ino);
	if (n && !is_fresh(fs, n)) {
		parent = n->parent->ino;
		memcpy(name, n->name, strlen(n->name) + 1);
	}
	if (n)
		fs_attr_locked(fs, n, out);
	lock_release(&fs->tree.lock);
	if (!n)
		return -ENOENT;
	if (!parent)
		return 0;
	rc = find(fs, parent, name, &found);
	if (rc != 0)
		return rc;
	lock_acquire(&fs->tree.lock);
	/* Another kind of thing has that name now: the old node is stale. */
	if (found->ino != ino)
		rc = -ESTALE;
	else
		fs_attr_locked(fs, found, out);
	tree_unpin_locked(&fs->tree, found);
	lock_release(&fs->tree.lock);
	return rc;
}
