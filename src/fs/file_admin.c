/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator does with staged files: publish, give up. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "callback/rules.h"
#include "fs/file_impl.h"
#include "state/cbvars.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/uuid.h"

/* -- publishing an incomplete file ----------------------------------------- */

static void read_posix(struct fs *fs, struct staging *s,
		       const struct staging_info *info, struct posix_attr *a)
{
	struct staging_props props;

	*a = (struct posix_attr){S_IFREG | fs->conf.file_mode, fs->conf.uid,
				 fs->conf.gid, info->created_ms * 1000000};
	memset(&props, 0, sizeof(props));
	if (staging_get_props(s, &props) < 0)
		return;
	posix_read(&props.meta, props.content_type, false, a);
	staging_props_release(&props);
}

/* Nobody has closed it, so nothing was frozen: as if it were closed now. */
static int make_close(struct fs *fs, const struct staging_info *info,
		      const struct posix_attr *a, struct staging_close *out)
{
	const char *path = fs_path_of_key(fs, info->key);
	char id[UUID_LEN];
	int rc;

	*out = (struct staging_close){
		.uid = a->uid,
		.gid = a->gid,
		.mode = a->mode,
		.mtime_ms = a->mtime_ns / 1000000,
		.delivery_id = str_dup(uuid_make(id)),
		.previous_delivery_id = str_dup(""),
		.process = str_dup("ackctl"),
		.rule = str_dup(
			rules_match(fs->d.rules, path, info->size, NULL)->name),
	};
	rc = cbvars_inherited(fs->d.db, info->key, &out->vars);
	if (rc == 0 && (!out->delivery_id || !out->previous_delivery_id ||
			!out->process || !out->rule))
		rc = -ENOMEM;
	if (rc < 0)
		staging_close_release(out);
	return rc;
}

/* It shows under its name, unless something newer does. */
static int adopt_locked(struct file *f, struct staging *s,
			const struct staging_info *info,
			const struct posix_attr *a) ACK_REQUIRES(f->lock)
{
	struct fs *fs = f->fs;
	struct node *n = f->node;
	struct staging *newer = f->now;
	int rc = 0;

	file_set_now_locked(f, staging_get(s));
	if (newer) {
		rc = file_push_older_locked(f);
		file_set_now_locked(f, newer);
		if (rc < 0)
			staging_put(s);
		return rc;
	}
	lock_acquire(&fs->tree.lock);
	n->mode = a->mode;
	n->uid = a->uid;
	n->gid = a->gid;
	n->mtime_ns = a->mtime_ns;
	n->size = info->size;
	n->meta_known = true;
	n->maybe_stored = true;
	tree_changed_locked(&fs->tree, n);
	lock_release(&fs->tree.lock);
	return 0;
}

/* @return 0, -EISDIR, -ENOMEM */
static int file_of_name(struct fs *fs, const char *key, struct file **out)
{
	struct node *n;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	n = fs_make_path_locked(fs, key);
	if (!n)
		rc = -ENOMEM;
	else if (n->kind == NODE_DIR)
		rc = -EISDIR;
	else
		*out = file_get_node_locked(fs, n);
	if (rc == 0 && !*out)
		rc = -ENOMEM;
	lock_release(&fs->tree.lock);
	return rc;
}

static void tell_kernel(struct fs *fs, struct node *n)
{
	uint64_t ino;

	lock_acquire(&fs->tree.lock);
	ino = n->ino;
	lock_release(&fs->tree.lock);
	if (fs->invalidate)
		fs->invalidate(fs->notify_arg, ino);
}

static int close_and_show(struct file *f, struct staging *s,
			  const struct staging_info *info)
{
	struct posix_attr a;
	struct staging_close c;
	int rc;

	read_posix(f->fs, s, info, &a);
	rc = make_close(f->fs, info, &a, &c);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	rc = staging_close(s, &c, true);
	if (rc == 0)
		rc = adopt_locked(f, s, info, &a);
	lock_release(&f->lock);
	staging_close_release(&c);
	return rc;
}

int file_publish(struct fs *fs, struct staging *s)
{
	struct staging_info info;
	struct file *f = NULL;
	int rc;

	staging_get_info(s, &info);
	if (info.state != STAGING_INCOMPLETE)
		return -EINVAL;
	if (fs->draining)
		return -ESHUTDOWN;
	rc = file_of_name(fs, info.key, &f);
	if (rc < 0)
		return rc;
	rc = close_and_show(f, s, &info);
	if (rc == 0)
		rc = uploader_submit(fs->d.uploader, s, NULL, NULL);
	if (rc == 0)
		tell_kernel(fs, f->node);
	file_put(f);
	return rc;
}

/* -- giving up one that is not stored -------------------------------------- */

/* Take it off its node, as if a newer one had made it void. */
static void forget(struct fs *fs, struct file *f, struct staging *s)
{
	const struct upload_outcome gone = {
		.rc = -ECANCELED, .close_rc = -ECANCELED, .superseded = true};

	fs_upload_event(fs, s, &gone);
	if (f)
		file_show_stored(f);
}

void file_drop_void(struct fs *fs, struct staging *s)
{
	char key[STAGING_KEY_MAX];

	staging_key(s, key);
	log_notice("fs: a newer version takes its place: key=%s id=%lld",
		   LOG_Q(key), (long long)staging_id(s));
	if (staging_discard(s) < 0)
		log_err("fs: a file that is void stays in the journal: key=%s",
			LOG_Q(key));
	forget(fs, NULL, s);
}

int file_give_up(struct fs *fs, struct staging *s)
{
	struct file *f = NULL;
	struct staging_info info;
	struct node *n;
	bool open = false;

	staging_get_info(s, &info);
	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, info.key);
	if (n && n->file) {
		f = file_ref_locked(n->file);
		open = f->handles > 0;
	}
	lock_release(&fs->tree.lock);
	if (!open) {
		uploader_cancel(fs->d.uploader, s);
		forget(fs, f, s);
	}
	file_put(f);
	return open ? -EBUSY : 0;
}
