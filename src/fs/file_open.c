/* SPDX-License-Identifier: Apache-2.0 */
/* Open and create. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "fs/file_impl.h"
#include "util/clock.h"

static void note_opener_locked(struct file *f, struct handle *h,
			       const struct caller *who) ACK_REQUIRES(f->lock)
{
	h->opener = f->pid = process_group_of(who->tid);
	f->process[0] = '\0'; /* its FLUSH says it */
	f->uid = who->uid;
	f->gid = who->gid;
	f->killed = false;
}

static struct handle *handle_new(struct file *f, int flags)
{
	struct handle *h = calloc(1, sizeof(*h));
	struct fs *fs = f->fs;

	if (!h)
		return NULL;
	h->file = f;
	/* Who creates a file for reading alone (flock) makes one all the same. */
	h->writable = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
	h->write_only = (flags & O_ACCMODE) == O_WRONLY;
	lock_acquire(&fs->tree.lock);
	file_ref_locked(f);
	DL_APPEND(f->opens, h);
	f->handles++;
	f->writers += h->writable;
	lock_release(&fs->tree.lock);
	return h;
}

void handle_leave(struct handle *h, bool *last, bool *last_writer)
{
	struct file *f = h->file;

	lock_acquire(&f->fs->tree.lock);
	*last = --f->handles == 0;
	*last_writer = h->writable && --f->writers == 0;
	h->writable = false;
	lock_release(&f->fs->tree.lock);
}

static void handle_destroy(struct handle *h)
{
	struct read_source *s, *tmp;

	LL_FOREACH_SAFE(h->sources, s, tmp)
	{
		read_source_free(s);
	}
	free(h);
}

void handle_free(struct handle *h)
{
	struct file *f = h->file;

	lock_acquire(&f->fs->tree.lock);
	DL_DELETE(f->opens, h);
	lock_release(&f->fs->tree.lock);
	handle_destroy(h);
	file_put(f);
}

void handle_free_all(struct file *f)
{
	struct handle *h, *next;

	DL_FOREACH_SAFE(f->opens, h, next)
	{
		handle_destroy(h);
	}
	f->opens = NULL;
}

/* The kernel's pages may stay when the object is the one they were read of. */
static bool same_version_as_last_open(struct fs *fs, struct node *n)
{
	uint32_t hash = 2166136261u;
	bool same;

	lock_acquire(&fs->tree.lock);
	for (const char *c = n->etag; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	hash ^= (uint32_t)n->modified_ms;
	same = n->stored && n->etag[0] && n->opens_etag == hash;
	n->opens_etag = hash;
	lock_release(&fs->tree.lock);
	return same;
}

bool file_writes_past_cache(const struct handle *h)
{
	return h->write_only && atomic_load(&h->file->fs->cache_is_coherent);
}

/* What was written before is void. */
static void note_emptied_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	bool is_new = f->change == CHANGE_CREATED;

	f->change = CHANGE_NONE;
	file_changed_locked(f, is_new ? CHANGE_CREATED : CHANGE_EMPTIED, 0);
}

static int open_writable(struct file *f, struct handle *h, int flags,
			 const struct caller *who)
{
	int rc = 0;

	if (atomic_load(&f->fs->draining))
		return -ESHUTDOWN;
	lock_acquire(&f->lock);
	note_opener_locked(f, h, who);
	if (flags & O_TRUNC) {
		rc = file_start_empty_locked(f);
		if (rc == 0) {
			f->mmapped = false;
			note_emptied_locked(f);
		}
	}
	lock_release(&f->lock);
	if (rc == 0)
		file_start_head(f);
	return rc;
}

/* Has its name gone to what OSS has (file_show_stored)?  Then the kernel's idea
   of the name is out of date, and ESTALE makes it look again. */
static int check_name(struct file *f)
{
	bool named, unlinked;

	lock_acquire(&f->lock);
	unlinked = f->unlinked;
	lock_release(&f->lock);
	lock_acquire(&f->fs->tree.lock);
	named = f->node->parent || f->node == f->fs->tree.root;
	lock_release(&f->fs->tree.lock);
	return named || unlinked ? 0 : -ESTALE;
}

/* It was never handed out. */
static void handle_give_up(struct handle *h)
{
	bool last, last_writer;

	handle_leave(h, &last, &last_writer);
	handle_free(h);
}

int file_open(struct fs *fs, uint64_t ino, int flags, const struct caller *who,
	      struct handle **out, bool *keep_cache)
{
	struct file *f = file_get(fs, ino);
	struct handle *h;
	int rc;

	if (!f)
		return -ENOENT;
	if (f->node->kind == NODE_DIR) {
		file_put(f);
		return -EISDIR;
	}
	file_wait_closing(f);
	h = handle_new(f, flags);
	if (!h) {
		file_put(f);
		return -ENOMEM;
	}
	rc = check_name(f);
	if (rc == 0 && h->writable)
		rc = open_writable(f, h, flags, who);
	if (rc == 0) {
		*keep_cache = same_version_as_last_open(fs, f->node);
		*out = h;
	} else {
		handle_give_up(h);
	}
	file_put(f);
	return rc;
}

static int create_staged(struct file *f, struct handle *h, int flags,
			 const struct caller *who)
{
	int rc;

	lock_acquire(&f->lock);
	note_opener_locked(f, h, who);
	rc = file_start_empty_locked(f);
	f->change = CHANGE_CREATED;
	f->props_known = true;
	f->props.exclusive = (flags & O_EXCL) != 0;
	lock_release(&f->lock);
	return rc;
}

/* The node of a new file, with one lookup, and its struct file. */
static int add_node(struct fs *fs, uint64_t parent, const char *name,
		    uint32_t mode, const struct caller *who, struct file **out)
{
	struct node *dir, *n = NULL;
	char key[1024];
	int rc;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, parent);
	rc = dir ? fs_child_key_locked(fs, dir, name, false, key) : -ENOENT;
	if (rc == 0 && tree_child_locked(&fs->tree, dir, name))
		rc = -EEXIST;
	if (rc < 0)
		goto unlock;
	rc = -ENOMEM;
	n = tree_add_locked(&fs->tree, dir, name, NODE_FILE);
	if (!n)
		goto unlock;
	*out = file_get_node_locked(fs, n);
	if (!*out) {
		tree_detach_locked(&fs->tree, n);
		tree_drop_locked(&fs->tree, n);
		goto unlock;
	}
	n->mode = S_IFREG | (mode & 07777);
	n->uid = who->uid;
	n->gid = dir->mode & S_ISGID ? dir->gid : who->gid;
	n->mtime_ns = clock_real_ns();
	n->meta_known = true;
	n->nlookup++;
	tree_changed_locked(&fs->tree, n);
	rc = 0;
unlock:
	lock_release(&fs->tree.lock);
	return rc;
}

static void remove_node(struct file *f)
{
	struct fs *fs = f->fs;

	lock_acquire(&f->lock);
	file_drop_now_locked(f);
	lock_release(&f->lock);
	lock_acquire(&fs->tree.lock);
	f->node->nlookup--;
	tree_detach_locked(&fs->tree, f->node);
	lock_release(&fs->tree.lock);
}

/* Somebody else was faster with the name: an ordinary open. */
static int open_instead(struct fs *fs, uint64_t parent, const char *name,
			int flags, const struct caller *who,
			struct handle **out, struct fs_attr *attr)
{
	struct node *n;
	bool keep;
	int rc = fs_lookup(fs, parent, name, attr);

	if (rc < 0)
		return rc;
	rc = file_open(fs, attr->ino, flags, who, out, &keep);
	if (rc == 0)
		return 0;
	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, attr->ino);
	if (n)
		tree_forget_locked(&fs->tree, n, 1);
	lock_release(&fs->tree.lock);
	return rc;
}

int file_create(struct fs *fs, uint64_t parent, const char *name, int flags,
		uint32_t mode, const struct caller *who, struct handle **out,
		struct fs_attr *attr)
{
	struct file *f = NULL;
	struct handle *h;
	int rc;

	if (atomic_load(&fs->draining))
		return -ESHUTDOWN;
	rc = fs_check_name(fs, name, parent == TREE_ROOT);
	if (rc < 0)
		return rc;
	rc = add_node(fs, parent, name, mode, who, &f);
	if (rc == -EEXIST && !(flags & O_EXCL))
		return open_instead(fs, parent, name, flags, who, out, attr);
	if (rc < 0 || !f)
		return rc;
	h = handle_new(f, flags);
	rc = h ? create_staged(f, h, flags, who) : -ENOMEM;
	if (rc == 0) {
		*out = h;
		lock_acquire(&fs->tree.lock);
		fs_attr_locked(fs, f->node, attr); /* of a staged one: fresh */
		lock_release(&fs->tree.lock);
	} else {
		if (h)
			handle_give_up(h);
		remove_node(f);
	}
	file_put(f);
	return rc;
}
