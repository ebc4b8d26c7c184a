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
	st->st_nlink = a->nlink;
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

void ops_forget(struct fs *fs, fuse_ino_t ino, uint64_t nlookup)
{
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, ino);
	if (n)
		tree_forget_locked(&fs->tree, n, nlookup);
	lock_release(&fs->tree.lock);
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
	atomic_int refs;      /* the handler's and parked_done()'s */
	atomic_bool waiting;  /* the handler is through */
	atomic_bool pending;  /* an INTERRUPT came before that */
	atomic_bool answered; /* who sets it owns the request */
	parked_answer answer;
	void (*late)(void *arg);
	void *arg;
	void (*free_arg)(void *);
};

static void parked_put(struct parked_req *p)
{
	if (atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	if (p->free_arg)
		p->free_arg(p->arg);
	free(p);
}

/* Runs with libfuse's lock of the request held, and must not touch p once it
   has won: parked_done() may free it. */
static void interrupted(fuse_req_t req, void *data)
{
	struct parked_req *p = data;

	atomic_store(&p->pending, true);
	if (atomic_load(&p->waiting) && process_is_killed(p->tid) &&
	    !atomic_exchange(&p->answered, true))
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
	atomic_init(&p->refs, 2);
	p->req = req;
	p->tid = fuse_req_ctx(req)->pid;
	p->answer = answer;
	p->arg = arg;
	p->free_arg = free_arg;
	fuse_req_interrupt_func(req, interrupted, p);
	return p;
}

void parked_set_late(struct parked_req *p, void (*late)(void *arg))
{
	p->late = late;
}

static void parked_done(void *arg, int rc)
{
	struct parked_req *p = arg;

	if (!atomic_exchange(&p->answered, true)) {
		/* Waits for an interrupted() that runs now. */
		fuse_req_interrupt_func(p->req, NULL, NULL);
		if (p->answer)
			p->answer(p->req, rc, p->arg);
		else
			ops_reply(p->req, rc);
	} else if (p->late) {
		p->late(p->arg);
	}
	parked_put(p);
}

void parked_wait(struct parked_req *p)
{
	atomic_store(&p->waiting, true);
	if (atomic_load(&p->pending) && process_is_killed(p->tid) &&
	    !atomic_exchange(&p->answered, true)) {
		fuse_req_interrupt_func(p->req, NULL, NULL);
		fuse_reply_err(p->req, EINTR);
	}
	parked_put(p);
}

struct fs_done parked_fs_done(struct parked_req *p)
{
	return (struct fs_done){parked_done, p};
}
