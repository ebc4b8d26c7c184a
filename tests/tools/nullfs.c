/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor that FUSE itself sets, for benchmarks: a mount that takes writes
 * and stores nothing, and serves reads of files from memory, through
 * the same session loop and with the same options as ackfs.
 *
 *     nullfs [-s SIZE] [-n COUNT] [-x] MOUNTPOINT
 *
 * The root holds COUNT files (1) f0, f1, ... of SIZE bytes (1073741824); any
 * other name can be created.  -x: answer writes from the pipe (splice), as
 * ackfs does.  Runs in the foreground until it is unmounted, SIGINT or SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#include "fs/session.h"
#include "util/base.h"
#include "util/strnum.h"

enum {
	MIB = 1 << 20,
	FIRST_INO = 2,
	CREATED_INO = 1 << 30, /* every other name */
	BACKGROUND = 256,
};

static const double FOREVER = 86400;

struct nullfs {
	uint64_t size, count;
	bool splice;
	int sink;
	char *bytes;
};

static int stop_fd = -1;

static void on_signal(int sig)
{
	uint64_t one = 1;
	int keep = errno;

	(void)sig;
	if (write(stop_fd, &one, sizeof(one)) < 0)
		_exit(1);
	errno = keep;
}

static struct nullfs *nullfs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	const struct nullfs *n = arg;

	conn->max_write = MIB;
	conn->max_readahead = MIB;
	conn->max_background = BACKGROUND;
	conn->congestion_threshold = BACKGROUND;
	if (!n->splice)
		conn->want &= ~(unsigned)FUSE_CAP_SPLICE_READ;
}

static void fill_attr(const struct nullfs *n, fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){.st_ino = ino, .st_nlink = 1};
	st->st_uid = getuid();
	st->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	if (ino != FUSE_ROOT_ID && ino != CREATED_INO)
		st->st_size = (off_t)n->size;
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	fill_attr(nullfs_of(req), ino, &st);
	fuse_reply_attr(req, &st, 0);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int to_set, struct fuse_file_info *fi)
{
	(void)attr;
	(void)to_set;
	op_getattr(req, ino, fi);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct nullfs *n = nullfs_of(req);
	struct fuse_entry_param e = {.ino = 0};
	uint64_t no = 0;

	(void)parent;
	if (name[0] != 'f' || parse_u64(name + 1, 0, n->count, &no) < 0 ||
	    no >= n->count) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	e.ino = FIRST_INO + no;
	e.entry_timeout = FOREVER;
	e.attr_timeout = FOREVER;
	fill_attr(n, e.ino, &e.attr);
	fuse_reply_entry(req, &e);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param e = {.ino = CREATED_INO};

	(void)parent;
	(void)name;
	(void)mode;
	fill_attr(nullfs_of(req), e.ino, &e.attr);
	fuse_reply_create(req, &e, fi);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		    struct fuse_file_info *fi)
{
	const struct nullfs *n = nullfs_of(req);
	uint64_t at = (uint64_t)off;

	(void)ino;
	(void)fi;
	if (at > n->size)
		at = n->size;
	if (len > n->size - at)
		len = n->size - at;
	if (len > MIB)
		len = MIB;
	fuse_reply_buf(req, n->bytes, len);
}

static void op_write_buf(fuse_req_t req, fuse_ino_t ino,
			 struct fuse_bufvec *from, off_t off,
			 struct fuse_file_info *fi)
{
	struct fuse_bufvec to = FUSE_BUFVEC_INIT(fuse_buf_size(from));
	ssize_t n = (ssize_t)fuse_buf_size(from);

	(void)ino;
	(void)off;
	(void)fi;
	if (from->buf[0].flags & FUSE_BUF_IS_FD) {
		to.buf[0].flags = FUSE_BUF_IS_FD;
		to.buf[0].fd = nullfs_of(req)->sink;
		n = fuse_buf_copy(&to, from, 0);
	}
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	(void)ino;
	(void)name;
	(void)size;
	fuse_reply_err(req, ENODATA);
}

/* Names with their attributes, as many as fit. */
static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	const struct nullfs *n = nullfs_of(req);
	char *page = malloc(size);
	size_t used = 0;

	(void)ino;
	(void)fi;
	for (uint64_t no = (uint64_t)off; page && no < n->count; no++) {
		struct fuse_entry_param e = {.ino = FIRST_INO + no,
					     .attr_timeout = FOREVER,
					     .entry_timeout = FOREVER};
		char name[32];
		size_t need;

		fill_attr(n, e.ino, &e.attr);
		(void)snprintf(name, sizeof(name), "f%" PRIu64, no);
		need = fuse_add_direntry_plus(req, page + used, size - used,
					      name, &e, (off_t)no + 1);
		if (need > size - used)
			break;
		used += need;
	}
	if (page)
		fuse_reply_buf(req, page, used);
	else
		fuse_reply_err(req, ENOMEM);
	free(page);
}

static void op_close(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.readdirplus = op_readdirplus,
	.write_buf = op_write_buf,
	.getxattr = op_getxattr,
	.flush = op_close,
	.release = op_close,
};

static int serve(struct nullfs *n, const char *mountpoint)
{
	char *argv[] = {(char[]){"nullfs"}, (char[]){"-ofsname=nullfs"}, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);
	struct session_conf conf = {.stop_fd = stop_fd,
				    .clears_privileges = true};
	struct fuse_session *se;
	int rc = -EIO;

	se = fuse_session_new(&args, &ops, sizeof(ops), n);
	fuse_opt_free_args(&args);
	if (!se)
		return -ENOMEM;
	if (fuse_session_mount(se, mountpoint) == 0) {
		rc = session_run(se, &conf);
		fuse_session_unmount(se);
	}
	fuse_session_destroy(se);
	return rc;
}

static void catch (int sig)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(sig, &sa, NULL);
}

static int usage(void)
{
	fprintf(stderr, "usage: nullfs [-s SIZE] [-n COUNT] [-x] MOUNTPOINT\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct nullfs n = {.size = (uint64_t)1 << 30, .count = 1};
	int rc = 0;
	int opt;

	while (rc == 0 && (opt = getopt(argc, argv, "s:n:x")) != -1) {
		if (opt == 's')
			rc = parse_size(optarg, &n.size);
		else if (opt == 'n')
			rc = parse_u64(optarg, 0, MIB, &n.count);
		else if (opt == 'x')
			n.splice = true;
		else
			rc = -EINVAL;
	}
	if (rc < 0 || optind + 1 != argc)
		return usage();
	n.bytes = calloc(1, MIB);
	n.sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
	stop_fd = eventfd(0, EFD_CLOEXEC);
	if (!n.bytes || n.sink < 0 || stop_fd < 0)
		return 1;
	memset(n.bytes, 'n', MIB); /* memory of its own, not the zero page */
	catch (SIGINT);
	catch (SIGTERM);
	rc = serve(&n, argv[optind]);
	if (rc < 0)
		fprintf(stderr, "nullfs: %s\n", strerror(-rc));
	free(n.bytes);
	close(n.sink);
	return rc < 0;
}
