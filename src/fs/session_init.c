/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/session_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

/* To add to the answer that this thread is about to give; 0 outside of INIT. */
static _Thread_local uint32_t added;

void session_init_begin(const void *request, size_t len, uint32_t flags)
{
	struct fuse_init_in in;
	const char *body =
		(const char *)request + sizeof(struct fuse_in_header);
	size_t least = offsetof(struct fuse_init_in, flags) + sizeof(in.flags);

	added = 0;
	if (len < sizeof(struct fuse_in_header) + least)
		return;
	memset(&in, 0, sizeof(in));
	memcpy(&in, body, least);
	if (in.major == FUSE_KERNEL_VERSION)
		added = in.flags & flags;
}

void session_init_end(void)
{
	added = 0;
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 14)

static ssize_t io_read(int fd, void *to, size_t len, void *arg)
{
	(void)arg;
	return read(fd, to, len);
}

/* @return whether these are the headers of an answer to INIT */
static int is_init_answer(const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	size_t least = offsetof(struct fuse_init_out, flags) + sizeof(uint32_t);

	return count >= 2 && iov[0].iov_len == sizeof(*out) &&
	       out->error == 0 && out->unique != 0 && iov[1].iov_len >= least;
}

static ssize_t io_writev(int fd, struct iovec *iov, int count, void *arg)
{
	(void)arg;
	if (added && is_init_answer(iov, count)) {
		struct fuse_init_out *init = iov[1].iov_base;

		init->flags |= added;
	}
	return writev(fd, iov, count);
}

static ssize_t io_splice(int in, off_t *in_off, int out, off_t *out_off,
			 size_t len, unsigned flags, void *arg)
{
	(void)arg;
	return splice(in, in_off, out, out_off, len, flags);
}

int session_init_install(struct fuse_session *se)
{
	static const struct fuse_custom_io io = {
		.read = io_read,
		.writev = io_writev,
		.splice_receive = io_splice,
		.splice_send = io_splice,
	};

	return fuse_session_custom_io(se, &io, fuse_session_fd(se));
}

#else

int session_init_install(struct fuse_session *se)
{
	(void)se;
	return 0;
}

#endif
