/* SPDX-License-Identifier: Apache-2.0 */
/* getxattr, listxattr, setxattr, removexattr. */
#include <errno.h>
#include <string.h>

#include "fs/ops.h"
#include "fs/xattr.h"

static void reply_bytes(fuse_req_t req, int rc, const struct buf *b,
			size_t size)
{
	if (rc < 0)
		ops_reply(req, rc);
	else if (size == 0)
		fuse_reply_xattr(req, b->len);
	else if (size < b->len)
		ops_reply(req, -ERANGE);
	else
		fuse_reply_buf(req, b->data, b->len);
}

struct question {
	struct fs *fs;
	fuse_ino_t ino;
	size_t size;
	uint32_t uid;
	char name[256];
};

static void answer(fuse_req_t req, int rc, void *arg)
{
	AUTO(buf_release) struct buf value = BUF_INIT;
	const struct question *q = arg;

	(void)rc; /* the wait is over, however it ended */
	rc = xattr_get(q->fs, q->ino, q->name, q->uid, &value);
	reply_bytes(req, rc, &value, q->size);
}

static void ask_later(fuse_req_t req, const struct question *q)
{
	struct question *copy = malloc(sizeof(*copy));
	struct parked_req *p;
	struct fs_done done;

	if (!copy) {
		ops_reply(req, -ENOMEM);
		return;
	}
	*copy = *q;
	p = parked_new(req, answer, copy, free);
	if (!p)
		return;
	done = parked_fs_done(p);
	if (!file_wait_outcome(q->fs, q->ino, done))
		done.fn(done.arg, 0);
	parked_wait(p);
}

/* Of another namespace none can be here: ls(1), which asks for two of them for
   each name, believes that for a whole mount, where it believes a missing
   attribute for one name.  security.capability comes with every write
   (fuse-facts 17), and getcap(8) complains unless it is merely missing. */
static int not_ours(const char *name)
{
	bool may_be = strncmp(name, "user.", strlen("user.")) == 0 ||
		      strcmp(name, "security.capability") == 0;

	return may_be ? -ENODATA : -EOPNOTSUPP;
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	struct question q = {.fs = ops_fs(req),
			     .ino = ino,
			     .size = size,
			     .uid = fuse_req_ctx(req)->uid};

	if (!xattr_is_ours(name) || strlen(name) >= sizeof(q.name)) {
		ops_reply(req, not_ours(name));
		return;
	}
	strncat(q.name, name, sizeof(q.name) - 1);
	if (xattr_waits(name))
		ask_later(req, &q);
	else
		answer(req, 0, &q);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	AUTO(buf_release) struct buf names = BUF_INIT;
	int rc = xattr_list(ops_fs(req), ino, fuse_req_ctx(req)->uid, &names);

	reply_bytes(req, rc, &names, size);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t size, int flags)
{
	struct parked_req *p = parked_new(req, NULL, NULL, NULL);

	if (p) {
		xattr_set(ops_fs(req), ino, name, value, size, flags,
			  fuse_req_ctx(req)->uid, parked_fs_done(p));
		parked_wait(p);
	}
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct parked_req *p = parked_new(req, NULL, NULL, NULL);

	if (p) {
		xattr_remove(ops_fs(req), ino, name, fuse_req_ctx(req)->uid,
			     parked_fs_done(p));
		parked_wait(p);
	}
}

void ops_add_xattr(struct fuse_lowlevel_ops *ops)
{
	ops->getxattr = op_getxattr;
	ops->listxattr = op_listxattr;
	ops->setxattr = op_setxattr;
	ops->removexattr = op_removexattr;
}
