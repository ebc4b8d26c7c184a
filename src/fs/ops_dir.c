/* SPDX-License-Identifier: Apache-2.0 */
/* opendir, readdir, readdirplus, releasedir, fsyncdir. */
#include <errno.h>

#include "fs/ops.h"

static struct listing *listing_of(const struct fuse_file_info *fi)
{
	return (struct listing *)(uintptr_t)fi->fh;
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct listing *l = NULL;
	int rc = listing_open(ops_fs(req), ino, &l);

	if (rc < 0) {
		ops_reply(req, rc);
		return;
	}
	fi->fh = (uintptr_t)l;
	if (fuse_reply_open(req, fi) == -ENOENT)
		listing_close(l);
}

struct filling {
	fuse_req_t req;
	char *data;
	size_t used, size;
	bool plus;
};

static bool fill(void *arg, const struct listing_entry *entry)
{
	struct filling *f = arg;
	struct fuse_entry_param e;
	size_t n;

	ops_entry(&entry->attr, &e);
	if (f->plus)
		n = fuse_add_direntry_plus(f->req, f->data + f->used,
					   f->size - f->used, entry->name, &e,
					   (off_t)entry->next);
	else
		n = fuse_add_direntry(f->req, f->data + f->used,
				      f->size - f->used, entry->name, &e.attr,
				      (off_t)entry->next);
	if (n > f->size - f->used)
		return false;
	f->used += n;
	return true;
}

static void read_names(fuse_req_t req, size_t size, off_t off,
		       struct fuse_file_info *fi, bool plus)
{
	struct filling f = {.req = req, .size = size, .plus = plus};
	int rc;

	f.data = malloc(size);
	if (!f.data) {
		ops_reply(req, -ENOMEM);
		return;
	}
	rc = listing_read(listing_of(fi), (uint64_t)off, plus, fill, &f);
	if (rc < 0 && !f.used)
		ops_reply(req, rc);
	else
		fuse_reply_buf(req, f.data, f.used);
	free(f.data);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)ino;
	read_names(req, size, off, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	read_names(req, size, off, fi, true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino,
			  struct fuse_file_info *fi)
{
	(void)ino;
	listing_close(listing_of(fi));
	ops_reply(req, 0);
}

/* Folders have nothing of their own to make durable. */
static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
			struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	ops_reply(req, 0);
}

void ops_add_dir(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = op_opendir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
	ops->releasedir = op_releasedir;
	ops->fsyncdir = op_fsyncdir;
}
