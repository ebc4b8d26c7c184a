/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that OSS knows.
 *
 * A name is asked for by one LIST (prefix NAME, delimiter '/', a few keys): it
 * tells both the object NAME and the folder NAME/.  Between the two in key order lie
 * names such as "NAME-1" and "NAME.txt"; only when they fill the page is a second
 * LIST (prefix NAME/) needed.  Where both an object `a` and keys below `a/`
 * exist, the folder shows, so that nothing below it is out of reach.
 */
#include <errno.h>
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
	out->uid = n->uid;
	out->gid = n->gid;
	out->size = n->kind == NODE_DIR ? 4096 : n->size;
	out->mtime_ns = n->mtime_ns;
	if (n->is_staged || n == fs->tree.root)
		out->fresh_ms = LOCAL_FRESH_MS;
	else
		out->fresh_ms =
			n->fresh_until_ms > now ? n->fresh_until_ms - now : 0;
}

/* Bytes or attributes that are here and not (yet) there: OSS has no say. */
static bool is_local(const struct node *n)
{
	return n->is_staged || n->meta_dirty;
}

static bool is_fresh(const struct fs *fs, const struct node *n)
{
	int64_t now = clock_mono_ms();

	if (n == fs->tree.root || !n->parent || is_local(n))
		return true;
	if (!n->fresh_until_ms) /* in doubt, whatever a listing says */
		return false;
	return n->fresh_until_ms > now || n->parent->listed_until_ms > now;
}

/* -- notes ------------------------------------------------------------------------ */

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

struct node *fs_note_entry_locked(struct fs *fs, struct node *dir,
				  const char *name,
				  const struct oss_list_entry *e,
				  uint64_t since)
{
	struct node *n = tree_child_locked(&fs->tree, dir, name);
	bool folder = e->is_prefix;

	if (n && (n->change > since || is_local(n))) {
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
	n->fresh_until_ms = clock_mono_ms() + fs->conf.ttl_ms;
	return n;
}

/* Not what was asked before a change of ours, nor where our bytes show. */
static void note_head_locked(struct fs *fs, struct node *n,
			     const struct object_id *id,
			     const struct oss_object *o, uint64_t since)
	ACK_REQUIRES(fs->tree.lock)
{
	if (n->change > since || is_local(n) || node_set_object(n, id) < 0)
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
	if (objmeta_put(fs->d.db, key, &m) < 0)
		log_debug("fs: metadata not remembered: key=%s", LOG_Q(key));
}

/* -- what the state folder remembers ---------------------------------------------- */

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
	if (!n || n->meta_known || is_local(n) ||
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
	known = n->meta_known || is_local(n);
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

/* -- asking ------------------------------------------------------------------------- */

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
	char folder[1024];
	bool sure;
	int rc = list_few(fs, key, "/", LOOKUP_KEYS, &page);

	if (rc != 0) {
		oss_list_page_release(&page);
		a->found = FOUND_UNKNOWN;
		return rc < 0 ? rc : 0;
	}
	sure = read_page(&page, key, a);
	oss_list_page_release(&page);
	if (sure || strlen(key) + 2 > sizeof(folder))
		return 0;
	memcpy(folder, key, strlen(key));
	memcpy(folder + strlen(key), "/", 2);
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

/* OSS has no such name. @return whether it is there all the same: ours, open, or
   a folder of something of ours */
static bool outlives_locked(struct fs *fs, struct node *n, uint64_t since)
	ACK_REQUIRES(fs->tree.lock)
{
	return n->change > since || n->file || is_local(n) ||
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
		if (rc < 0)
			return rc;
		if (n && fs->conf.posix_meta != FS_POSIX_NEVER &&
		    key_of_node(fs, n, key) == 0)
			recall_meta(fs, n, key);
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
	if (rc < 0)
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
	if (rc < 0)
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
