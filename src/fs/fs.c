/* SPDX-License-Identifier: Apache-2.0 */
/* A mount's core: construction, names and keys, recovery. */
#include "fs/fs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/file.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/log.h"

int fs_new(const struct fs_conf *conf, const struct fs_deps *deps,
	   struct fs **out)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int rc;

	if (!fs)
		return -ENOMEM;
	fs->conf = *conf;
	fs->d = *deps;
	fs->started_ms = clock_real_ms();
	rc = tree_init(&fs->tree, conf->uid, conf->gid, conf->file_mode,
		       conf->dir_mode);
	if (rc < 0) {
		free(fs);
		return rc;
	}
	*out = fs;
	return 0;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	file_free_all(fs);
	tree_release(&fs->tree);
	free(fs);
}

/* -- names and keys -------------------------------------------------------- */

int fs_check_name(const struct fs *fs, const char *name, bool in_root)
{
	size_t len = strlen(name);

	if (len > 255)
		return -ENAMETOOLONG;
	if (len == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	/* A key must not begin with a backslash, and is UTF-8. */
	if (name[0] == '\\' && in_root && !fs->conf.prefix[0])
		return -EINVAL;
	return utf8_is_valid(name, len) ? 0 : -EINVAL;
}

int fs_key_locked(struct fs *fs, const struct node *n, char out[1024])
{
	size_t prefix = strlen(fs->conf.prefix);
	int len;

	if (prefix > OSS_KEY_MAX)
		return -ENAMETOOLONG;
	memcpy(out, fs->conf.prefix, prefix + 1);
	len = tree_path_locked(&fs->tree, n, out + prefix, 1024 - prefix);
	if (len <= 0 || n->kind != NODE_DIR)
		return len < 0 ? len : 0;
	len += (int)prefix;
	if (len + 1 > OSS_KEY_MAX)
		return -ENAMETOOLONG;
	out[len] = '/';
	out[len + 1] = '\0';
	return 0;
}

int fs_child_key_locked(struct fs *fs, const struct node *dir, const char *name,
			bool folder, char out[1024])
{
	size_t len, add = strlen(name) + folder;
	int rc = fs_key_locked(fs, dir, out);

	if (rc < 0)
		return rc;
	len = strlen(out);
	if (len + add > OSS_KEY_MAX)
		return -ENAMETOOLONG;
	memcpy(out + len, name, strlen(name) + 1);
	if (folder)
		memcpy(out + len + strlen(name), "/", 2);
	return 0;
}

const char *fs_path_of_key(const struct fs *fs, const char *key)
{
	size_t prefix = strlen(fs->conf.prefix);

	return strncmp(key, fs->conf.prefix, prefix) == 0 ? key + prefix : key;
}

struct node *fs_node_of_key_locked(struct fs *fs, const char *key)
{
	const char *path = fs_path_of_key(fs, key);
	struct node *n = fs->tree.root;

	while (n && *path) {
		size_t len = strcspn(path, "/");
		char name[256];

		if (len == 0 || len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		n = tree_child_locked(&fs->tree, n, name);
		path += len + (path[len] == '/');
	}
	return n;
}

struct oss_ctl fs_ctl(const struct fs *fs)
{
	return (struct oss_ctl){
		.deadline_ms = clock_mono_ms() + fs->conf.retry_deadline_ms,
	};
}

uint64_t fs_change_now(struct fs *fs)
{
	uint64_t change;

	lock_acquire(&fs->tree.lock);
	change = fs->tree.change;
	lock_release(&fs->tree.lock);
	return change;
}

void fs_log_failure(const char *what, const char *key,
		    const struct oss_reply *reply, int rc)
{
	char text[768];

	log_err("fs: %s failed: key=%s errno=%d %s", what, LOG_Q(key), -rc,
		oss_reply_describe(reply, text, sizeof(text)));
}

/* -- recovery -------------------------------------------------------------- */

/* The node of a recovered key, its folders made as far as needed. */
struct node *fs_make_path_locked(struct fs *fs, const char *key)
{
	const char *path = fs_path_of_key(fs, key);
	struct node *n = fs->tree.root;

	while (n && *path) {
		size_t len = strcspn(path, "/");
		char name[256];
		struct node *next;

		if (len == 0 || len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
		next = tree_child_locked(&fs->tree, n, name);
		if (!next)
			next = tree_add_locked(&fs->tree, n, name,
					       *path ? NODE_DIR : NODE_FILE);
		if (next)
			tree_changed_locked(&fs->tree, next);
		n = next;
		path += *path == '/';
	}
	return n;
}

static void show_attr_locked(struct node *n, const struct staging_info *info,
			     const struct staging_props *props)
{
	struct posix_attr a = {n->mode, n->uid, n->gid,
			       info->closed_ms * 1000000};

	posix_read(&props->meta, props->content_type, false, &a);
	n->mode = a.mode;
	n->uid = a.uid;
	n->gid = a.gid;
	n->mtime_ns = a.mtime_ns;
	n->size = info->size;
	n->meta_known = true;
	n->maybe_stored = true;
}

struct recovery {
	struct fs *fs;
	size_t pending, incomplete;
	struct staging **list; /* pending ones, oldest close first */
	size_t cap;
	int rc;
};

static void show(struct fs *fs, struct staging *s,
		 const struct staging_info *info)
{
	struct staging_props props;
	struct node *n;

	memset(&props, 0, sizeof(props));
	if (staging_get_props(s, &props) < 0)
		memset(&props, 0, sizeof(props));
	lock_acquire(&fs->tree.lock);
	n = fs_make_path_locked(fs, info->key);
	if (n) {
		show_attr_locked(n, info, &props);
		tree_pin_locked(n);
	}
	lock_release(&fs->tree.lock);
	staging_props_release(&props);
	if (!n || file_adopt(fs, n, s) < 0)
		log_err("fs: a staged file has no place in the tree, it is uploaded all the same: key=%s",
			LOG_Q(info->key));
	if (!n)
		return;
	lock_acquire(&fs->tree.lock);
	tree_unpin_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
}

static int add_pending(struct recovery *r, struct staging *s)
{
	if (r->pending == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		struct staging **list =
			reallocarray(r->list, cap, sizeof(struct staging *));

		if (!list)
			return -ENOMEM;
		r->list = list;
		r->cap = cap;
	}
	r->list[r->pending++] = staging_get(s);
	return 0;
}

static void recover_one(void *arg, struct staging *s)
{
	struct recovery *r = arg;
	struct staging_info info;

	staging_get_info(s, &info);
	if (info.state == STAGING_DONE) {
		/* OSS has it; the crash came before its row went. */
		if (staging_discard(s) < 0)
			log_err("fs: a stored file stays in the journal: key=%s",
				LOG_Q(info.key));
	} else if (info.state == STAGING_INCOMPLETE) {
		r->incomplete++;
		atomic_fetch_add(&r->fs->incomplete_seen, 1);
	} else if (add_pending(r, s) == 0) {
		show(r->fs, s, &info);
	} else {
		r->rc = -ENOMEM;
	}
	staging_put(s);
}

/* The crash came before it went: newer bytes have its name, and may lean on an
   object that it must not replace. */
static void drop_void(struct recovery *r)
{
	char key[STAGING_KEY_MAX], other[STAGING_KEY_MAX];

	for (size_t i = 0; i < r->pending; i++) {
		bool has_newer = false;

		if (!staging_is_superseded(r->list[i]))
			continue;
		staging_key(r->list[i], key);
		for (size_t j = i + 1; j < r->pending && !has_newer; j++) {
			staging_key(r->list[j], other);
			has_newer = strcmp(key, other) == 0;
		}
		if (has_newer)
			file_drop_void(r->fs, r->list[i]);
	}
}

/* Its upload, or the wait for its name; unless a rename has replaced it. */
static void go_on(struct fs *fs, struct staging *s)
{
	struct staging_info info;
	struct node *n = NULL;

	staging_get_info(s, &info);
	if (info.state == STAGING_HELD) {
		lock_acquire(&fs->tree.lock);
		n = fs_node_of_key_locked(fs, info.key);
		if (n)
			tree_pin_locked(n);
		lock_release(&fs->tree.lock);
	}
	if (n) {
		file_restart_hold(fs, n);
		lock_acquire(&fs->tree.lock);
		tree_unpin_locked(&fs->tree, n);
		lock_release(&fs->tree.lock);
	} else if (!staging_is_discarded(s) &&
		   uploader_submit(fs->d.uploader, s, NULL, NULL) < 0) {
		log_err("fs: a staged file could not be queued: key=%s",
			LOG_Q(info.key));
	}
}

int fs_recover(struct fs *fs)
{
	struct recovery r = {.fs = fs};
	int rc = staging_recover(fs->d.staging, recover_one, &r);

	if (rc >= 0)
		drop_void(&r);
	if (rc >= 0 && r.rc == 0)
		rc = fs_recover_renames(fs);
	else if (rc >= 0)
		rc = r.rc;
	for (size_t i = 0; i < r.pending; i++) {
		if (rc >= 0)
			go_on(fs, r.list[i]);
		staging_put(r.list[i]);
	}
	free(r.list);
	if (rc < 0)
		return rc;
	if (r.pending || r.incomplete)
		log_notice("fs: found staged files: waiting=%zu incomplete=%zu",
			   r.pending, r.incomplete);
	return fs_recover_changes(fs);
}
