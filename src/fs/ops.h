/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The FUSE operations: each decodes, calls, and replies or parks its request.
 * The only files beside session.c and mount.c that know FUSE's types.
 *
 * Layer    fs.
 */
#ifndef ACKFS_FS_OPS_H
#define ACKFS_FS_OPS_H

#include <fuse_lowlevel.h>

#include "fs/file.h"
#include "fs/fs.h"

/** The session's userdata. */
static inline struct fs *ops_fs(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct caller ops_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct caller){ctx->pid, ctx->uid, ctx->gid};
}

/** 0 or -errno, in FUSE's sign. */
static inline void ops_reply(fuse_req_t req, int rc)
{
	fuse_reply_err(req, -rc);
}

/** The kernel forgets n lookups of a node. */
void ops_forget(struct fs *fs, fuse_ino_t ino, uint64_t n);
void ops_stat(const struct fs_attr *a, struct stat *st);
void ops_entry(const struct fs_attr *a, struct fuse_entry_param *e);

/**
 * A request whose answer comes later:
 *
 *     p = parked_new(req, ...);
 *     if (p) {
 *             work(..., parked_fs_done(p));
 *             parked_wait(p);
 *     }
 *
 * Its task may be killed while it waits: then it is answered with EINTR at once
 * and what it waited for goes on (fuse-facts 9).  Not before parked_wait(): the
 * answer lets the kernel release the handle that work() still looks at.
 */
struct parked_req;
typedef void (*parked_answer)(fuse_req_t req, int rc, void *arg);
/** @param answer  replies with what came; called at most once, may be NULL (the
 *                 error alone)
 *  @return NULL: no memory, the request is answered */
struct parked_req *parked_new(fuse_req_t req, parked_answer answer, void *arg,
			      void (*free_arg)(void *));
/** Called when the work ends after its caller was killed and answered. */
void parked_set_late(struct parked_req *p, void (*late)(void *arg));
/** What the layers below call, once, at any time. */
struct fs_done parked_fs_done(struct parked_req *p);
/** The handler looks at nothing of the request's any more. */
void parked_wait(struct parked_req *p);

/** ops_file.c, ops_dir.c, ops_meta.c, ops_xattr.c fill their own. */
void ops_add_file(struct fuse_lowlevel_ops *ops);
void ops_add_dir(struct fuse_lowlevel_ops *ops);
void ops_add_meta(struct fuse_lowlevel_ops *ops);
void ops_add_xattr(struct fuse_lowlevel_ops *ops);

#endif
