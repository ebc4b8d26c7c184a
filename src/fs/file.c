/* SPDX-License-Identifier: Apache-2.0 */
/* The life of struct file, and its generations. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "fs/file_impl.h"
#include "util/clock.h"
#include "util/log.h"

/* -- references ------------------------------------------------------------ */

struct node *handle_node(const struct handle *h)
{
	return h->file->node;
}

bool file_has_writers_locked(const struct file *f)
{
	return f->writers > 0;
}

static struct file *file_new_locked(struct fs *fs, struct node *n)
	ACK_REQUIRES(fs->tree.lock)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	lock_init(&f->lock, LOCK_FILE);
	f->fs = fs;
	f->node = n;
	n->file = f;
	DL_APPEND(fs->files, f);
	return f;
}

static void file_free(struct file *f)
{
	staging_props_release(&f->props);
	lock_destroy(&f->lock);
	free(f);
}

struct file *file_ref_locked(struct file *f)
{
	f->refs++;
	return f;
}

struct file *file_get_node_locked(struct fs *fs, struct node *n)
{
	struct file *f = n->file ? n->file : file_new_locked(fs, n);

	return f ? file_ref_locked(f) : NULL;
}

struct file *file_get(struct fs *fs, uint64_t ino)
{
	struct file *f = NULL;
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, ino);
	if (n)
		f = file_get_node_locked(fs, n);
	lock_release(&fs->tree.lock);
	return f;
}

/* With no reference left nobody can hold the file's lock, so its fields may be
   read under the tree's. */
static bool is_idle(const struct file *f)
{
	return !f->refs && !f->handles && !f->closing && !f->waiters &&
	       !f->now && !f->older && !f->head_pending;
}

void file_put(struct file *f)
{
	struct fs *fs;
	bool gone;

	if (!f)
		return;
	fs = f->fs;
	lock_acquire(&fs->tree.lock);
	f->refs--;
	gone = is_idle(f);
	if (gone) {
		DL_DELETE(fs->files, f);
		f->node->file = NULL;
		tree_drop_locked(&fs->tree, f->node);
	}
	lock_release(&fs->tree.lock);
	if (gone)
		file_free(f);
}

void file_free_all(struct fs *fs)
{
	struct file *f, *next;
	struct generation *g, *tmp;

	DL_FOREACH_SAFE(fs->files, f, next)
	{
		staging_put(f->now);
		LL_FOREACH_SAFE(f->older, g, tmp)
		{
			staging_put(g->staging);
			free(g);
		}
		handle_free_all(f);
		f->node->file = NULL;
		file_free(f);
	}
	fs->files = NULL;
}

void file_moved_locked(struct node *n)
{
	if (n->file)
		n->file->moves++;
}

size_t file_count_open(struct fs *fs)
{
	struct file *f;
	size_t count = 0;

	lock_acquire(&fs->tree.lock);
	DL_FOREACH(fs->files, f)
	{
		count += f->writers > 0;
	}
	lock_release(&fs->tree.lock);
	return count;
}

static bool is_below(const struct node *n, const struct node *dir)
{
	for (n = n->parent; n; n = n->parent) {
		if (n == dir)
			return true;
	}
	return false;
}

bool fs_has_local_below_locked(struct fs *fs, const struct node *dir)
{
	const struct file *f;

	DL_FOREACH(fs->files, f)
	{
		if (is_below(f->node, dir))
			return true;
	}
	return false;
}

int file_nodes_below(struct fs *fs, const struct node *dir, struct node ***list,
		     size_t *count)
{
	struct node **nodes;
	struct file *f;
	size_t n = 0;

	lock_acquire(&fs->tree.lock);
	DL_COUNT(fs->files, f, n);
	nodes = calloc(n + 1, sizeof(struct node *));
	n = 0;
	DL_FOREACH(fs->files, f)
	{
		if (!nodes || !is_below(f->node, dir))
			continue;
		tree_pin_locked(f->node);
		nodes[n++] = f->node;
	}
	lock_release(&fs->tree.lock);
	*list = nodes;
	*count = n;
	return nodes ? 0 : -ENOMEM;
}

/* -- generations ----------------------------------------------------------- */

void file_set_now_locked(struct file *f, struct staging *s)
{
	lock_acquire(&f->fs->tree.lock);
	f->now = s;
	f->node->is_staged = s != NULL;
	lock_release(&f->fs->tree.lock);
}

void file_drop_now_locked(struct file *f)
{
	struct staging *s = f->now;

	if (!s)
		return;
	file_set_now_locked(f, NULL);
	staging_discard(s);
	staging_put(s);
}

int file_push_older_locked(struct file *f)
{
	struct fs *fs = f->fs;
	struct generation *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	lock_acquire(&fs->tree.lock);
	g->staging = f->now;
	LL_APPEND(f->older, g);
	f->now = NULL;
	f->node->is_staged = false;
	lock_release(&fs->tree.lock);
	return 0;
}

bool file_remove_older_locked(struct file *f, struct staging *s)
{
	struct fs *fs = f->fs;
	struct generation *g;

	lock_acquire(&fs->tree.lock);
	LL_SEARCH_SCALAR(f->older, g, staging, s);
	if (g)
		LL_DELETE(f->older, g);
	lock_release(&fs->tree.lock);
	free(g);
	return g != NULL;
}

bool file_fall_back_locked(struct file *f)
{
	struct fs *fs = f->fs;
	struct generation *g = f->older;
	struct staging *s;

	while (g && g->next)
		g = g->next;
	if (f->now || !g)
		return false;
	s = g->staging;
	file_remove_older_locked(f, s);
	file_set_now_locked(f, s);
	lock_acquire(&fs->tree.lock);
	f->node->size = staging_size(s);
	lock_release(&fs->tree.lock);
	return true;
}

bool file_has_locked(const struct fs *fs, const struct file *f,
		     const struct staging *s)
{
	const struct generation *g;

	(void)fs; /* names the lock */
	LL_SEARCH_SCALAR(f->older, g, staging, s);
	return f->now == s || g;
}

void file_make_anonymous(struct staging *s)
{
	/* Opened while it has a name. */
	int fd = staging_fd(s);

	if (fd < 0)
		log_err("fs: an unlinked file's bytes are out of reach: id=%lld errno=%d",
			(long long)staging_id(s), -fd);
	staging_discard(s);
}

int file_key(struct file *f, char key[1024])
{
	int rc;

	lock_acquire(&f->fs->tree.lock);
	rc = fs_key_locked(f->fs, f->node, key);
	lock_release(&f->fs->tree.lock);
	if (rc == -ENOENT)
		key[0] = '\0';
	return rc == -ENOENT ? 0 : rc;
}

/* The object that shows through where nothing was written. */
static bool base_of_node(struct file *f, struct staging_base *base)
{
	struct fs *fs = f->fs;
	struct node *n = f->node;
	bool has;

	memset(base, 0, sizeof(*base));
	lock_acquire(&fs->tree.lock);
	has = n->stored && n->object_size &&
	      fs_key_locked(fs, n, base->key) == 0;
	if (has) {
		memcpy(base->etag, n->etag, sizeof(n->etag));
		base->size = n->object_size;
		base->modified_ms = n->modified_ms;
	}
	lock_release(&fs->tree.lock);
	return has;
}

static int new_generation(struct file *f, const struct staging_base *base,
			  struct staging **out)
{
	char key[1024];
	int rc = file_key(f, key);

	if (rc == 0)
		rc = staging_create(f->fs->d.staging, key, base, out);
	/* Unlinked: the bytes live on, but never go anywhere. */
	if (rc == 0 && !key[0])
		file_make_anonymous(*out);
	return rc;
}

static int start_generation_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	struct staging_base base;
	struct staging *s;
	int rc = new_generation(f, base_of_node(f, &base) ? &base : NULL, &s);

	if (rc == 0)
		file_set_now_locked(f, s);
	return rc;
}

/* Nothing of an older object shows through; with on_conflict = fail its close
   must know all the same which one it replaces. */
static int new_empty_generation(struct file *f, struct staging **out)
	ACK_REQUIRES(f->lock)
{
	struct staging_base base;
	bool replaces = f->fs->conf.fail_on_conflict && base_of_node(f, &base);
	struct staging *s = NULL;
	int rc = new_generation(f, replaces ? &base : NULL, &s);

	if (rc == 0 && replaces)
		rc = staging_truncate(s, 0);
	if (rc == 0) {
		*out = s;
	} else if (s) {
		staging_discard(s);
		staging_put(s);
	}
	return rc;
}

/* An upload owns its generation (fuse-facts 10). */
static int clone_now_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	struct staging *clone;
	int rc = staging_clone(f->now, &clone);

	if (rc < 0)
		return rc;
	rc = file_push_older_locked(f);
	if (rc < 0) {
		staging_discard(clone);
		staging_put(clone);
		return rc;
	}
	file_set_now_locked(f, clone);
	return 0;
}

int file_make_writable_locked(struct file *f)
{
	struct staging_base base;
	int rc;

	if (!f->now)
		return start_generation_locked(f);
	switch (staging_state_of(f->now)) {
	case STAGING_OPEN:
		return 0;
	case STAGING_HELD:
		file_cancel_hold_locked(f);
		rc = staging_reopen(f->now, NULL);
		/* Nobody has it but us: it is to be closed again, whatever
		   comes of the write. */
		if (rc == 0 && f->change == CHANGE_NONE)
			f->change = CHANGE_SIZED;
		return rc;
	case STAGING_DONE:
		return staging_reopen(f->now,
				      base_of_node(f, &base) ? &base : NULL);
	case STAGING_CLOSED:
	case STAGING_UPLOADING:
	case STAGING_RETRYING:
	case STAGING_INCOMPLETE:
		break;
	}
	return clone_now_locked(f);
}

void file_undo_writable_locked(struct file *f)
{
	if (!f->now || staging_state_of(f->now) != STAGING_OPEN ||
	    f->change != CHANGE_NONE || f->unlinked)
		return;
	uploader_abandon(f->fs->d.uploader, f->now);
	file_drop_now_locked(f);
	file_fall_back_locked(f);
}

static int truncate_open_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	int rc = staging_truncate(f->now, 0);

	if (rc == 0)
		uploader_changed(f->fs->d.uploader, f->now, 0, UINT64_MAX);
	return rc;
}

int file_start_empty_locked(struct file *f)
{
	enum staging_state state = STAGING_DONE;
	struct staging *s = NULL;
	int rc;

	if (f->now)
		state = staging_state_of(f->now);
	if (state == STAGING_OPEN)
		return truncate_open_locked(f);
	rc = new_empty_generation(f, &s);
	if (rc < 0)
		return rc;
	if (state == STAGING_HELD)
		file_cancel_hold_locked(f);
	if (state == STAGING_HELD || state == STAGING_DONE)
		file_drop_now_locked(f);
	else
		rc = file_push_older_locked(f);
	if (rc < 0) {
		staging_discard(s);
		staging_put(s);
		return rc;
	}
	file_set_now_locked(f, s);
	return 0;
}

void file_changed_locked(struct file *f, enum file_change change, uint64_t size)
{
	struct fs *fs = f->fs;

	if (change > f->change)
		f->change = change;
	f->promised = false;
	f->killed = false;
	lock_acquire(&fs->tree.lock);
	f->node->size = size;
	f->node->mtime_ns = clock_real_ns();
	node_drop_privileges(f->node);
	tree_changed_locked(&fs->tree, f->node);
	lock_release(&fs->tree.lock);
}
