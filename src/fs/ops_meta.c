/* SPDX-License-Identifier: Apache-2.0 */
/* Names and attributes: lookup to rename, getattr, setattr, statfs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ops.h"
#include "util/buf.h"
#include "util/clock.h"

static void reply_entry(fuse_req_t req, int rc, const struct fs_attr *attr)
{
	struct fs *fs = ops_fs(req);
	struct fuse_entry_param e;

	if (rc < 0) {
		ops_reply(req, rc);
		return;
	}
	ops_entry(attr, &e);
	/* Whoever asked has been killed: the kernel counts no lookup. */
	if (fuse_reply_entry(req, &e) == -ENOENT)
		ops_forget(fs, attr->ino, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs_attr attr;
	int rc = fs_lookup(ops_fs(req), parent, name, &attr);

	reply_entry(req, rc, &attr);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	ops_forget(ops_fs(req), ino, nlookup);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		ops_forget(ops_fs(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void reply_attr(fuse_req_t req, fuse_ino_t ino)
{
	struct fs_attr attr;
	struct stat st;
	int rc = fs_getattr(ops_fs(req), ino, &attr);

	if (rc < 0) {
		ops_reply(req, rc);
		return;
	}
	ops_stat(&attr, &st);
	fuse_reply_attr(req, &st, (double)attr.fresh_ms / 1000);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)fi;
	reply_attr(req, ino);
}

/* -- setattr: the size first (it may mean an upload), then the rest -------- */

struct setattr {
	struct fs *fs;
	fuse_ino_t ino;
	struct fs_meta_change change;
};

static int64_t ns_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void decode(const struct stat *st, int to_set, struct fs_meta_change *m)
{
	memset(m, 0, sizeof(*m));
	m->set_mode = to_set & FUSE_SET_ATTR_MODE;
	m->set_uid = to_set & FUSE_SET_ATTR_UID;
	m->set_gid = to_set & FUSE_SET_ATTR_GID;
	m->set_mtime = to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW);
	m->mode = st->st_mode;
	m->uid = st->st_uid;
	m->gid = st->st_gid;
	m->mtime_ns = (to_set & FUSE_SET_ATTR_MTIME_NOW) ? clock_real_ns()
							 : ns_of(&st->st_mtim);
}

static void setattr_rest(fuse_req_t req, int rc, void *arg)
{
	struct setattr *s = arg;
	const struct fs_meta_change *m = &s->change;

	if (rc == 0 &&
	    (m->set_mode || m->set_uid || m->set_gid || m->set_mtime))
		rc = fs_change_meta(s->fs, s->ino, m);
	if (rc < 0)
		ops_reply(req, rc);
	else
		reply_attr(req, s->ino);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st,
		       int to_set, struct fuse_file_info *fi)
{
	const struct caller who = ops_caller(req);
	struct handle *h = fi ? (struct handle *)(uintptr_t)fi->fh : NULL;
	struct setattr *s = calloc(1, sizeof(*s));
	struct parked_req *p;

	if (!s) {
		ops_reply(req, -ENOMEM);
		return;
	}
	s->fs = ops_fs(req);
	s->ino = ino;
	decode(st, to_set, &s->change);
	if (!(to_set & FUSE_SET_ATTR_SIZE)) {
		setattr_rest(req, 0, s);
		free(s);
		return;
	}
	/* The size change brings its own time. */
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		s->change.set_mtime = false;
	p = parked_new(req, setattr_rest, s, free);
	if (p) {
		file_truncate(ops_fs(req), ino, h, (uint64_t)st->st_size, &who,
			      parked_fs_done(p));
		parked_wait(p);
	}
}

/* -- names ----------------------------------------------------------------- */

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4096];
	int rc = fs_readlink(ops_fs(req), ino, target, sizeof(target));

	if (rc < 0)
		ops_reply(req, rc);
	else
		fuse_reply_readlink(req, target);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	const struct caller who = ops_caller(req);
	struct fs_attr attr;
	int rc = fs_mkdir(ops_fs(req), parent, name, mode, who.uid, who.gid,
			  &attr);

	reply_entry(req, rc, &attr);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	const struct caller who = ops_caller(req);
	struct fs_attr attr;
	int rc = fs_symlink(ops_fs(req), parent, name, target, who.uid, who.gid,
			    &attr);

	reply_entry(req, rc, &attr);
}

/* A regular file by mknod(2) is a created one that was closed empty. */
static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	const struct caller who = ops_caller(req);
	struct handle *h = NULL;
	struct fs_attr attr;
	int rc;

	(void)rdev;
	if (!S_ISREG(mode)) {
		ops_reply(req, -EPERM);
		return;
	}
	rc = file_create(ops_fs(req), parent, name, O_WRONLY | O_EXCL, mode,
			 &who, &h, &attr);
	if (rc == 0) {
		file_note_writer(h, who.tid);
		file_release_unasked(h, false);
	}
	reply_entry(req, rc, &attr);
}

/* The names that an operation changes.  When its caller is killed, it goes on:
   what the kernel has looked up meanwhile is stale at its end. */
struct names {
	struct fs *fs;
	fuse_ino_t parent, new_parent;
	char *name, *new_name;
};

static void names_free(void *arg)
{
	struct names *n = arg;

	free(n->name);
	free(n->new_name);
	free(n);
}

static void names_stale(void *arg)
{
	const struct names *n = arg;
	struct fs *fs = n->fs;

	if (!fs->invalidate_name)
		return;
	fs->invalidate_name(fs->notify_arg, n->parent, n->name);
	if (n->new_name)
		fs->invalidate_name(fs->notify_arg, n->new_parent, n->new_name);
}

/* new_name may be NULL. @return NULL: ENOMEM was answered */
static struct parked_req *park_names(fuse_req_t req, fuse_ino_t parent,
				     const char *name, fuse_ino_t new_parent,
				     const char *new_name)
{
	struct names *n = calloc(1, sizeof(*n));
	struct parked_req *p;

	if (!n) {
		ops_reply(req, -ENOMEM);
		return NULL;
	}
	*n = (struct names){ops_fs(req), parent, new_parent, str_dup(name),
			    new_name ? str_dup(new_name) : NULL};
	if (!n->name || (new_name && !n->new_name)) {
		names_free(n);
		ops_reply(req, -ENOMEM);
		return NULL;
	}
	p = parked_new(req, NULL, n, names_free);
	if (p)
		parked_set_late(p, names_stale);
	return p;
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct parked_req *p = park_names(req, parent, name, 0, NULL);

	if (p) {
		fs_unlink(ops_fs(req), parent, name, parked_fs_done(p));
		parked_wait(p);
	}
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct parked_req *p = park_names(req, parent, name, 0, NULL);

	if (p) {
		fs_rmdir(ops_fs(req), parent, name, parked_fs_done(p));
		parked_wait(p);
	}
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name,
		      unsigned int flags)
{
	struct parked_req *p;

	if (flags & ~(unsigned)RENAME_NOREPLACE) {
		ops_reply(req, -EINVAL);
		return;
	}
	p = park_names(req, parent, name, new_parent, new_name);
	if (p) {
		fs_rename(ops_fs(req), parent, name, new_parent, new_name,
			  flags & RENAME_NOREPLACE, parked_fs_done(p));
		parked_wait(p);
	}
}

/* Objects have one name. */
static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
		    const char *new_name)
{
	(void)ino;
	(void)new_parent;
	(void)new_name;
	ops_reply(req, -EPERM);
}

/* A bucket has no size; programs refuse to write to zero and stumble over 2^63:
   one pebibyte, free. */
static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = {
		.f_bsize = 1 << 20,
		.f_frsize = 1 << 20,
		.f_blocks = 1 << 30,
		.f_bfree = 1 << 30,
		.f_bavail = 1 << 30,
		.f_files = 1 << 30,
		.f_ffree = 1 << 30,
		.f_favail = 1 << 30,
		.f_namemax = 255,
	};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

void ops_add_meta(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->readlink = op_readlink;
	ops->mkdir = op_mkdir;
	ops->symlink = op_symlink;
	ops->mknod = op_mknod;
	ops->unlink = op_unlink;
	ops->rmdir = op_rmdir;
	ops->rename = op_rename;
	ops->link = op_link;
	ops->statfs = op_statfs;
}
