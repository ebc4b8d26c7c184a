/* SPDX-License-Identifier: Apache-2.0 */
/* open, create, read, write, flush, release, fsync, fallocate. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/ops.h"

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct caller who = ops_caller(req);
	struct handle *h = NULL;
	bool keep_cache = false;
	int rc = file_open(ops_fs(req), ino, fi->flags, &who, &h, &keep_cache);

	if (rc < 0) {
		ops_reply(req, rc);
		return;
	}
	fi->fh = (uintptr_t)h;
	fi->keep_cache = keep_cache;
	fi->direct_io = file_writes_past_cache(h);
	if (fuse_reply_open(req, fi) == -ENOENT)
		file_release_unasked(h, true); /* the opener is gone */
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	const struct caller who = ops_caller(req);
	struct fs *fs = ops_fs(req);
	struct fuse_entry_param e;
	struct fs_attr attr;
	struct handle *h = NULL;
	int rc =
		file_create(fs, parent, name, fi->flags, mode, &who, &h, &attr);

	if (rc < 0) {
		ops_reply(req, rc);
		return;
	}
	fi->fh = (uintptr_t)h;
	fi->direct_io = file_writes_past_cache(h);
	ops_entry(&attr, &e);
	if (fuse_reply_create(req, &e, fi) == -ENOENT) {
		file_release_unasked(h, true);
		ops_forget(fs, attr.ino, 1);
	}
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct file_read r;
	int rc = file_read_view(handle_of(fi), (uint64_t)off, size, &r);

	(void)ino;
	if (rc < 0)
		ops_reply(req, rc);
	else if (r.local || !r.len)
		fuse_reply_buf(req, r.local, r.len);
	else
		fuse_reply_iov(req, r.view.iov, r.view.count);
	file_read_release(&r);
}

/* A write that libfuse left in its pipe goes from there to the staging file. */
static void write_spliced(fuse_req_t req, struct fuse_bufvec *in, size_t len,
			  off_t off, struct fuse_file_info *fi)
{
	struct fuse_bufvec to = FUSE_BUFVEC_INIT(len);
	struct handle *h = handle_of(fi);
	uint64_t at;
	ssize_t n;
	int fd;
	int rc = file_write_begin(h, len, (uint64_t)off, fi->writepage, &fd,
				  &at);

	if (rc < 0) {
		ops_reply(req, rc);
		return;
	}
	to.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	to.buf[0].fd = fd;
	to.buf[0].pos = (off_t)at;
	n = fuse_buf_copy(&to, in, 0);
	file_write_end(h, n > 0 ? (size_t)n : 0, (uint64_t)off);
	if (n < 0)
		ops_reply(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in,
			 off_t off, struct fuse_file_info *fi)
{
	size_t len = fuse_buf_size(in);
	ssize_t n;

	(void)ino;
	if (in->count != 1 || (in->buf[0].flags & FUSE_BUF_IS_FD)) {
		write_spliced(req, in, len, off, fi);
		return;
	}
	n = file_write(handle_of(fi), in->buf[0].mem, len, (uint64_t)off,
		       fi->writepage);
	if (n < 0)
		ops_reply(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct caller who = ops_caller(req);
	struct parked_req *p = parked_new(req, NULL, NULL, NULL);

	(void)ino;
	if (p) {
		file_flush(handle_of(fi), &who, parked_fs_done(p));
		parked_wait(p);
	}
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)ino;
	file_release(handle_of(fi));
	ops_reply(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	struct parked_req *p = parked_new(req, NULL, NULL, NULL);

	(void)ino;
	(void)datasync;
	if (p) {
		file_fsync(handle_of(fi), parked_fs_done(p));
		parked_wait(p);
	}
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
			 off_t len, struct fuse_file_info *fi)
{
	(void)ino;
	ops_reply(req, file_fallocate(handle_of(fi), mode, (uint64_t)off,
				      (uint64_t)len));
}

void ops_add_file(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->create = op_create;
	ops->read = op_read;
	ops->write_buf = op_write_buf;
	ops->flush = op_flush;
	ops->release = op_release;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
}
