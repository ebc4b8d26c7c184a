/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/parts.h"

#include <errno.h>
#include <utlist.h>

#include "util/base.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/thread.h"

enum { IDLE_MS = 10000 };

struct part_group {
	struct part_pool *pool;
	int limit;
	struct part_job *jobs; /* not begun, in order */
	int pending;           /* their number */
	int running;
	int error; /* the first */
	struct part_group *prev, *next;
};

struct part_pool {
	struct lock lock; /* guards all below, and the groups */
	struct part_group *groups;
	int limit, threads;
	int pending, busy; /* jobs not begun; threads that run one */
	bool is_stopping;
	struct cond work;
	struct cond changed; /* a job or a thread has ended */
};

int part_pool_new(int threads, struct part_pool **out)
{
	struct part_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	lock_init(&p->lock, LOCK_KEYQ);
	cond_init(&p->work);
	cond_init(&p->changed);
	p->limit = threads > 0 ? threads : 1;
	*out = p;
	return 0;
}

void part_pool_free(struct part_pool *p)
{
	if (!p)
		return;
	lock_acquire(&p->lock);
	p->is_stopping = true;
	cond_broadcast(&p->work);
	while (p->threads > 0)
		cond_wait(&p->changed, &p->lock);
	lock_release(&p->lock);
	cond_destroy(&p->work);
	cond_destroy(&p->changed);
	lock_destroy(&p->lock);
	free(p);
}

static bool may_begin(const struct part_group *g)
{
	return g->jobs && g->running < g->limit;
}

static void forget_jobs_locked(struct part_pool *p, struct part_group *g)
	ACK_REQUIRES(p->lock)
{
	g->jobs = NULL;
	p->pending -= g->pending;
	g->pending = 0;
}

static void run_one_locked(struct part_pool *p, struct part_group *g)
	ACK_REQUIRES(p->lock)
{
	struct part_job *job = g->jobs;
	int rc;

	DL_DELETE(g->jobs, job);
	g->pending--;
	p->pending--;
	g->running++;
	lock_release(&p->lock);
	rc = job->run(job);
	lock_acquire(&p->lock);
	g->running--;
	if (rc < 0) {
		forget_jobs_locked(p, g);
		if (g->error == 0)
			g->error = rc;
	}
	cond_broadcast(&p->changed);
}

/* The first group that has a job goes to the end: turns. */
static struct part_group *next_group_locked(struct part_pool *p)
	ACK_REQUIRES(p->lock)
{
	struct part_group *g;

	DL_FOREACH(p->groups, g)
	{
		if (!may_begin(g))
			continue;
		DL_DELETE(p->groups, g);
		DL_APPEND(p->groups, g);
		return g;
	}
	return NULL;
}

/* Also waits for a job to come. NULL: the thread ends. */
static struct part_group *wait_group_locked(struct part_pool *p)
	ACK_REQUIRES(p->lock)
{
	int64_t until = clock_mono_ms() + IDLE_MS;
	struct part_group *g = NULL;
	bool in_time = true;

	while (!p->is_stopping && !(g = next_group_locked(p)) && in_time)
		in_time = cond_wait_until(&p->work, &p->lock, until);
	return g;
}

static void *pool_main(void *arg)
{
	struct part_pool *p = arg;
	struct part_group *g;

	lock_acquire(&p->lock);
	while ((g = wait_group_locked(p)) != NULL) {
		p->busy++;
		run_one_locked(p, g);
		p->busy--;
	}
	p->threads--;
	cond_broadcast(&p->changed);
	lock_release(&p->lock);
	return NULL;
}

/* One more thread when there are more jobs than threads to take them; without
 * any, part_group_wait() does the work. */
static void wake_locked(struct part_pool *p) ACK_REQUIRES(p->lock)
{
	if (p->pending > p->threads - p->busy && p->threads < p->limit &&
	    thread_start_detached("part", pool_main, p) == 0)
		p->threads++;
	cond_signal(&p->work);
}

int part_group_new(struct part_pool *p, int limit, struct part_group **out)
{
	struct part_group *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->pool = p;
	g->limit = limit > 0 ? limit : p->limit;
	lock_acquire(&p->lock);
	DL_APPEND(p->groups, g);
	lock_release(&p->lock);
	*out = g;
	return 0;
}

void part_group_free(struct part_group *g)
{
	struct part_pool *p;

	if (!g)
		return;
	p = g->pool;
	lock_acquire(&p->lock);
	forget_jobs_locked(p, g);
	while (g->running > 0)
		cond_wait(&p->changed, &p->lock);
	DL_DELETE(p->groups, g);
	lock_release(&p->lock);
	free(g);
}

void part_group_add(struct part_group *g, struct part_job *job)
{
	struct part_pool *p = g->pool;

	lock_acquire(&p->lock);
	if (g->error == 0) {
		DL_APPEND(g->jobs, job);
		g->pending++;
		p->pending++;
		wake_locked(p);
	}
	lock_release(&p->lock);
}

int part_group_wait(struct part_group *g)
{
	struct part_pool *p = g->pool;
	int rc;

	lock_acquire(&p->lock);
	while (g->jobs || g->running > 0) {
		if (may_begin(g))
			run_one_locked(p, g);
		else
			cond_wait(&p->changed, &p->lock);
	}
	rc = g->error;
	g->error = 0;
	lock_release(&p->lock);
	return rc;
}

void part_group_drop(struct part_group *g)
{
	struct part_pool *p = g->pool;

	lock_acquire(&p->lock);
	forget_jobs_locked(p, g);
	lock_release(&p->lock);
}

int part_group_error(struct part_group *g)
{
	int rc;

	lock_acquire(&g->pool->lock);
	rc = g->error;
	lock_release(&g->pool->lock);
	return rc;
}
