/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/ops.h"

#include <errno.h>
#include <string.h>

#include "fs/closer.h"

void ops_stat(const struct fs_attr *a, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = a->ino;
	st->st_mode = a->mode;
	st->st_nlink = S_ISDIR(a->mode) ? 2 : 1;
	st->st_uid = a->uid;
	st->st_gid = a->gid;
	st->st_size = (off_t)a->size;
	st->st_blksize = 1 << 20;
	st->st_blocks = (blkcnt_t)((a->size + 511) / 512);
	st->st_mtim.tv_sec = a->mtime_ns / 1000000000;
	st->st_mtim.tv_nsec = a->mtime_ns % 1000000000;
	st->st_ctim = st->st_mtim;
	st->st_atim = st->st_mtim;
}

void ops_entry(const struct fs_attr *a, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = a->ino;
	ops_stat(a, &e->attr);
	e->attr_timeout = (double)a->fresh_ms / 1000;
	e->entry_timeout = e->attr_timeout;
}

struct parked_req {
	fuse_req_t req;
	pid_t tid;
	atomic_bool answered;
	parked_answer answer;
	void *arg;
	void (*free_arg)(void *);
};

/* Who sets `answered` owns the request; the other side only cleans up.  This
   runs with libfuse's lock of the request held, and must not touch p once it
   has won: parked_done() may free it. */
static void interrupted(fuse_req_t req, void *data)
{
	struct parked_req *p = data;

	if (process_is_killed(p->tid) && !atomic_exchange(&p->answered, true))
		fuse_reply_err(req, EINTR);
}

struct parked_req *parked_new(fuse_req_t req, parked_answer answer, void *arg,
			      void (*free_arg)(void *))
{
	struct parked_req *p = calloc(1, sizeof(*p));

	if (!p) {
		if (free_arg)
			free_arg(arg);
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	p->req = req;
	p->tid = fuse_req_ctx(req)->pid;
	p->answer = answer;
	p->arg = arg;
	p->free_arg = free_arg;
	fuse_req_interrupt_func(req, interrupted, p);
	return p;
}

void parked_done(void *arg, int rc)
{
	struct parked_req *p = arg;

	if (!atomic_exchange(&p->answered, true)) {
		/* Waits for an interrupted() that runs now. */
		fuse_req_interrupt_func(p->req, NULL, NULL);
		if (p->answer)
			p->answer(p->req, rc, p->arg);
		else
			ops_reply(p->req, rc);
	}
	if (p->free_arg)
		p->free_arg(p->arg);
	free(p);
}

struct fs_done parked_fs_done(struct parked_req *p)
{
	return (struct fs_done){parked_done, p};
}
