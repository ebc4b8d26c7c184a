/* SPDX-License-Identifier: Apache-2.0 */
/* Open, create, and the life of struct file itself. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "fs/file_impl.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/uuid.h"

struct node *handle_node(const struct handle *h)
{
	return h->file->node;
}

bool file_has_writers_locked(const struct file *f)
{
	return f->writers > 0;
}

static struct file *file_new(struct fs *fs, struct node *n)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	lock_init(&f->lock, LOCK_FILE);
	f->fs = fs;
	f->node = n;
	n->file = f;
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
	struct file *f = n->file ? n->file : file_new(fs, n);

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
		f->node->file = NULL;
		tree_drop_locked(&fs->tree, f->node);
	}
	lock_release(&fs->tree.lock);
	if (gone)
		file_free(f);
}

static void forget_staged(struct file *f)
{
	struct generation *g, *tmp;

	staging_put(f->now);
	LL_FOREACH_SAFE(f->older, g, tmp)
	{
		staging_put(g->staging);
		free(g);
	}
	f->node->file = NULL;
	file_free(f);
}

void file_free_all(struct fs *fs)
{
	struct node *n, *tmp;

	HASH_ITER(by_ino, fs->tree.inos, n, tmp)
	{
		if (n->file)
			forget_staged(n->file);
	}
}

void file_drop_now_locked(struct file *f)
{
	if (!f->now)
		return;
	staging_discard(f->now);
	staging_put(f->now);
	f->now = NULL;
}

static int push_older(struct file *f)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->staging = f->now;
	f->now = NULL;
	LL_APPEND(f->older, g);
	return 0;
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

static int current_key(struct file *f, char key[1024])
{
	int rc;

	lock_acquire(&f->fs->tree.lock);
	rc = fs_key_locked(f->fs, f->node, key);
	lock_release(&f->fs->tree.lock);
	/* Unlinked: the bytes live on, but never go anywhere. */
	if (rc == -ENOENT) {
		key[0] = '\0';
		return 0;
	}
	return rc;
}

static int start_generation(struct file *f, const struct staging_base *base)
{
	char key[1024];
	int rc = current_key(f, key);

	if (rc < 0)
		return rc;
	return staging_create(f->fs->d.staging, key, base, &f->now);
}

void file_drop_row_locked(struct file *f)
{
	if (f->unlinked && f->now && staging_discard(f->now) < 0)
		log_err("fs: a removed file stays in the journal: id=%lld",
			(long long)staging_id(f->now));
}

static int make_writable_locked(struct file *f) ACK_REQUIRES(f->lock)
{
	struct staging_base base;
	struct staging *clone;
	int rc;

	if (!f->now)
		return start_generation(
			f,
			!f->replaced && base_of_node(f, &base) ? &base : NULL);
	switch (staging_state_of(f->now)) {
	case STAGING_OPEN:
		return 0;
	case STAGING_HELD:
		file_cancel_hold_locked(f);
		return staging_reopen(f->now, NULL);
	case STAGING_DONE:
		return staging_reopen(f->now,
				      base_of_node(f, &base) ? &base : NULL);
	case STAGING_CLOSED:
	case STAGING_UPLOADING:
	case STAGING_RETRYING:
	case STAGING_INCOMPLETE:
		break;
	}
	/* An upload owns its generation (fuse-facts 10). */
	rc = staging_clone(f->now, &clone);
	if (rc < 0)
		return rc;
	rc = push_older(f);
	if (rc < 0) {
		staging_discard(clone);
		staging_put(clone);
		return rc;
	}
	f->now = clone;
	return 0;
}

int file_make_writable_locked(struct file *f)
{
	int rc = make_writable_locked(f);

	file_drop_row_locked(f);
	return rc;
}

int file_start_empty_locked(struct file *f)
{
	enum staging_state state;
	int rc = 0;

	f->replaced = true;
	if (!f->now)
		return start_generation(f, NULL);
	state = staging_state_of(f->now);
	if (state == STAGING_OPEN) {
		rc = staging_truncate(f->now, 0);
		if (rc == 0)
			uploader_changed(f->fs->d.uploader, f->now, 0,
					 UINT64_MAX);
		return rc;
	}
	if (state == STAGING_HELD)
		file_cancel_hold_locked(f);
	if (state == STAGING_HELD || state == STAGING_DONE)
		file_drop_now_locked(f);
	else
		rc = push_older(f);
	if (rc == 0)
		rc = start_generation(f, NULL);
	file_drop_row_locked(f);
	return rc;
}

void file_changed_locked(struct file *f, uint64_t size)
{
	struct fs *fs = f->fs;

	f->dirty = true;
	f->promised = false;
	f->killed = false;
	lock_acquire(&fs->tree.lock);
	f->node->size = size;
	f->node->mtime_ns = clock_real_ns();
	node_drop_privileges(f->node);
	tree_changed_locked(&fs->tree, f->node);
	lock_release(&fs->tree.lock);
}

/* -- metadata of the object that is replaced --------------------------------- */

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

static void add_tags(struct file *f, const char *key, int count)
{
	struct fs *fs = f->fs;
	AUTO_FREE char *tags = NULL;
	struct oss_ctl ctl = fs_ctl(fs);
	struct oss_reply reply = {0};
	int rc;

	if (count <= 0)
		return;
	rc = fs->d.store.ops->get_tags(fs->d.store.self, key, &ctl, &tags,
				       &reply);
	if (rc < 0) {
		fs_log_failure("reading an object's tags", key, &reply, rc);
		return;
	}
	lock_acquire(&f->lock);
	if (tags[0] && kvs_set(&f->props.kept, "x-oss-tagging", tags) < 0)
		log_warn("fs: no memory for tags: key=%s", LOG_Q(key));
	lock_release(&f->lock);
}

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

static void head_run(void *arg)
{
	struct file *f = arg;
	struct fs *fs = f->fs;
	struct oss_object object = {0};
	struct oss_reply reply = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	char key[1024];
	int rc = current_key(f, key);

	if (rc == 0 && key[0])
		rc = fs->d.store.ops->head(fs->d.store.self, key, &ctl, &object,
					   &reply);
	else
		rc = -ENOENT;
	if (rc == 0) {
		lock_acquire(&f->lock);
		rc = props_from(&f->props, object.content_type, &object.meta,
				&object.kept, object.storage_class);
		f->props_known = true;
		lock_release(&f->lock);
		if (rc < 0)
			log_warn("fs: no memory for metadata: key=%s",
				 LOG_Q(key));
		fs_note_object(fs, f->node, key, &object);
		add_tags(f, key, object.tag_count);
	} else if (rc != -ENOENT) {
		fs_log_failure(
			"asking for the metadata that an overwrite must keep",
			key, &reply, rc);
	}
	oss_object_release(&object);
	head_finished(f);
}

static void head_dropped(void *arg)
{
	head_finished(arg);
}

/* What the state folder remembers saves the request. */
static bool props_remembered(struct file *f, const char *key,
			     const struct object_id *id, int *tags)
{
	struct objmeta m = {0};
	int rc;

	if (objmeta_get(f->fs->d.db, key, id, &m) < 0)
		return false;
	lock_acquire(&f->lock);
	rc = props_from(&f->props, m.content_type, &m.meta, &m.kept,
			m.storage_class);
	f->props_known = rc == 0;
	lock_release(&f->lock);
	*tags = m.tag_count;
	objmeta_release(&m);
	return rc == 0 && *tags == 0;
}

void file_start_head(struct file *f)
{
	struct fs *fs = f->fs;
	struct object_id id;
	char key[1024];
	int tags = 0;
	bool needed;
	struct keyq_task task = {
		.class = KEYQ_META,
		.key = key,
		.run = head_run,
		.dropped = head_dropped,
		.arg = f,
	};

	lock_acquire(&f->lock);
	needed = !f->props_known && !f->head_pending;
	lock_release(&f->lock);
	lock_acquire(&fs->tree.lock);
	needed = needed && f->node->stored &&
		 fs_key_locked(fs, f->node, key) == 0;
	node_object_id(f->node, &id);
	lock_release(&fs->tree.lock);
	if (!needed || props_remembered(f, key, &id, &tags))
		return;
	lock_acquire(&fs->tree.lock);
	file_ref_locked(f);
	lock_release(&fs->tree.lock);
	lock_acquire(&f->lock);
	f->head_pending = true;
	lock_release(&f->lock);
	if (keyq_submit(fs->d.queue, &task) < 0)
		head_finished(f);
}

/* -- open and create ------------------------------------------------------------ */

static void note_opener_locked(struct file *f, struct handle *h,
			       const struct caller *who) ACK_REQUIRES(f->lock)
{
	struct process p;

	if (process_read(who->tid, &p) < 0)
		memset(&p, 0, sizeof(p));
	h->opener = f->pid = p.tgid;
	memcpy(f->process, p.name, sizeof(f->process));
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
	h->flags = flags;
	/* Who creates a file for reading alone (flock) makes one all the same. */
	h->writable = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
	lock_acquire(&fs->tree.lock);
	file_ref_locked(f);
	f->handles++;
	f->writers += h->writable;
	lock_release(&fs->tree.lock);
	return h;
}

void handle_free(struct handle *h)
{
	struct file *f = h->file;
	struct fs *fs = f->fs;

	read_pos_free(h->pos);
	reader_close(h->reader);
	lock_acquire(&fs->tree.lock);
	f->handles--;
	f->writers -= h->writable;
	lock_release(&fs->tree.lock);
	free(h);
	file_put(f);
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
			f->only_truncated = false;
			f->mmapped = false;
			file_changed_locked(f, 0);
		}
	}
	lock_release(&f->lock);
	if (rc == 0)
		file_start_head(f);
	return rc;
}

/* Has its name gone to what OSS has (file_show_stored)?  Then the kernel's idea of
   the name is out of date, and ESTALE makes it look again. */
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
		handle_free(h);
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
	rc = start_generation(f, NULL);
	f->created = true;
	f->replaced = true;
	f->props_known = true;
	f->props.exclusive = (flags & O_EXCL) != 0;
	f->dirty = true;
	lock_release(&f->lock);
	return rc;
}

/* The node of a new file, with one lookup, and its struct file. */
static int add_node(struct fs *fs, uint64_t parent, const char *name,
		    uint32_t mode, const struct caller *who, struct file **out,
		    struct fs_attr *attr)
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
	n->gid = who->gid;
	n->mtime_ns = clock_real_ns();
	n->meta_known = true;
	n->nlookup++;
	tree_changed_locked(&fs->tree, n);
	fs_attr_locked(fs, n, attr);
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
	tree_detach_locked(&fs->tree, f->node);
	f->node->nlookup--;
	lock_release(&fs->tree.lock);
}

int file_create(struct fs *fs, uint64_t parent, const char *name, int flags,
		uint32_t mode, const struct caller *who, struct handle **out,
		struct fs_attr *attr)
{
	struct file *f = NULL;
	struct handle *h;
	bool keep;
	int rc;

	if (atomic_load(&fs->draining))
		return -ESHUTDOWN;
	rc = fs_check_name(fs, name, parent == TREE_ROOT);
	if (rc < 0)
		return rc;
	rc = add_node(fs, parent, name, mode, who, &f, attr);
	if (rc == -EEXIST && !(flags & O_EXCL)) {
		/* Somebody else was faster: an ordinary open. */
		rc = fs_lookup(fs, parent, name, attr);
		return rc < 0 ? rc
			      : file_open(fs, attr->ino, flags, who, out,
					  &keep);
	}
	if (rc < 0 || !f)
		return rc;
	h = handle_new(f, flags);
	rc = h ? create_staged(f, h, flags, who) : -ENOMEM;
	if (rc == 0) {
		*out = h;
	} else {
		if (h)
			handle_free(h);
		remove_node(f);
	}
	file_put(f);
	return rc;
}

size_t file_count_open(struct fs *fs)
{
	struct node *n, *tmp;
	size_t count = 0;

	lock_acquire(&fs->tree.lock);
	HASH_ITER(by_ino, fs->tree.inos, n, tmp)
	{
		if (n->file && n->file->writers)
			count++;
	}
	lock_release(&fs->tree.lock);
	return count;
}
