/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that runs a GET is the only one to write into the block that it
 * fills.  It moves fetch.pos behind the bytes without the lock, and takes the
 * lock when it enters the next block or has reached what somebody waits for.
 */
#include "download/cache.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <utlist.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

enum {
	THREADS_MAX = 64,
	IDLE_MS = 2000,  /* a thread without work leaves */
	OLD_MS = 5000,   /* a block that nobody touched is given back */
	STALL_MS = 3000, /* a window that does not move ends its GET */
	US_PER_SEC = 1000000,
	NS_PER_US = 1000,
};

int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * US_PER_SEC + ts.tv_nsec / NS_PER_US;
}

/* ---- one fetch --------------------------------------------------------- */

struct fetch *fetch_add_locked(struct read_cache *c, struct reader *r,
			       uint64_t start, uint64_t end)
{
	struct fetch *f = aligned_alloc(_Alignof(struct fetch), sizeof(*f));

	if (!f)
		return NULL;
	memset(f, 0, sizeof(*f));
	f->reader = r;
	f->start = start;
	f->end = end;
	f->arrived = start;
	f->whole = start == 0 && end == r->size;
	f->limit = UINT64_MAX;
	f->refs = 1;
	f->generation = c->tuning.generation;
	atomic_init(&f->pos, start);
	atomic_init(&f->wanted, NOT_WANTED);
	atomic_init(&f->cancel, false);
	cond_init(&f->moved);
	cond_init(&f->room);
	DL_APPEND(r->fetches, f);
	return f;
}

void fetch_put_locked(struct read_cache *c, struct fetch *f)
{
	(void)c;
	if (--f->refs > 0)
		return;
	cond_destroy(&f->moved);
	cond_destroy(&f->room);
	free(f);
}

void fetch_cancel_locked(struct read_cache *c, struct fetch *f)
{
	(void)c;
	atomic_store(&f->cancel, true);
	cond_broadcast(&f->room);
}

static bool can_reach(const struct fetch *f, uint64_t off, uint64_t reach)
{
	uint64_t pos = atomic_load(&f->pos);

	return !atomic_load(&f->cancel) && off < f->end && off >= pos &&
	       off - pos <= reach;
}

struct fetch *fetch_find_locked(struct read_cache *c, struct reader *r,
				uint64_t off)
{
	struct block *b = block_find_locked(c, r, off / BLOCK_SIZE);
	uint64_t reach = stream_reach_locked(c);
	struct fetch *f;

	if (b && b->fetch)
		return b->fetch;
	DL_FOREACH(r->fetches, f)
	{
		if (can_reach(f, off, reach))
			return f;
	}
	return NULL;
}

bool fetch_wait_locked(struct read_cache *c, struct fetch *f, uint64_t end,
		       int64_t deadline_ms)
{
	bool in_time = true;

	if (end > f->end)
		end = f->end;
	f->waiters++;
	f->refs++;
	cond_signal(&f->room);
	while (in_time && !f->ended) {
		/* In this order: the runner stores pos, then looks at wanted.
		 */
		if (atomic_load(&f->wanted) > end)
			atomic_store(&f->wanted, end);
		if (atomic_load(&f->pos) >= end)
			break;
		in_time = cond_wait_until(&f->moved, &c->lock, deadline_ms);
	}
	f->waiters--;
	return in_time;
}

/* ---- where its bytes go ------------------------------------------------ */

static struct read_cache *cache_of(const struct fetch *f)
{
	return f->reader->cache;
}

/* Before a block beyond the window: until the reader comes nearer. */
static int wait_for_room_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock)
{
	int64_t until = clock_mono_ms() + STALL_MS;
	uint64_t limit = f->limit;
	int64_t from;

	if (f->arrived < limit || f->waiters > 0)
		return 0;
	from = now_us();
	f->blocked = true;
	while (f->arrived >= f->limit && f->waiters == 0 &&
	       !atomic_load(&f->cancel)) {
		if (f->limit != limit) {
			limit = f->limit;
			until = clock_mono_ms() + STALL_MS;
		}
		if (!cond_wait_until(&f->room, &c->lock, until))
			atomic_store(&f->cancel, true);
	}
	f->blocked = false;
	f->blocked_us += now_us() - from;
	return atomic_load(&f->cancel) ? -ECANCELED : 0;
}

static void leave_block_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock)
{
	struct block *b = f->block;

	if (!b)
		return;
	b->filled = block_valid(b);
	b->fetch = NULL;
	f->block = NULL;
	block_settle_locked(c, b);
}

/* The block of the next byte; none when its bytes are passed over: somebody
   else has filled it or does, or what came before them was evicted. */
static int enter_block_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock)
{
	uint64_t no = f->arrived / BLOCK_SIZE;
	uint64_t at = f->arrived % BLOCK_SIZE;
	struct block *b;
	int rc;

	leave_block_locked(c, f);
	rc = wait_for_room_locked(c, f);
	if (rc < 0)
		return rc;
	b = block_find_locked(c, f->reader, no);
	if (b ? b->filled < at : at > 0)
		return 0;
	if (!b)
		b = block_take_locked(c, f->reader, no);
	if (!b)
		return -ENOBUFS;
	if (b->fetch || b->filled == block_len(f->reader, no))
		return 0;
	block_unlist_locked(c, b);
	b->fetch = f;
	f->block = b;
	return 0;
}

static int enter_block(struct fetch *f)
{
	struct read_cache *c = cache_of(f);
	int rc;

	lock_acquire(&c->lock);
	if (f->first_us == 0)
		f->first_us = now_us();
	rc = enter_block_locked(c, f);
	lock_release(&c->lock);
	return rc;
}

/* A block that was partly there keeps what others may be reading. */
static void copy_in(struct block *b, uint64_t at, const char *data, size_t len)
{
	uint64_t skip = b->filled > at ? b->filled - at : 0;

	if (skip < len)
		memcpy(b->data + at + skip, data + skip, len - skip);
}

static void publish(struct fetch *f, uint64_t pos)
{
	struct read_cache *c = cache_of(f);

	atomic_store(&f->pos, pos);
	if (pos < atomic_load(&f->wanted))
		return;
	lock_acquire(&c->lock);
	atomic_store(&f->wanted, NOT_WANTED); /* waiters set it again */
	cond_broadcast(&f->moved);
	lock_release(&c->lock);
}

static void publish_arrived(struct fetch *f)
{
	/* The last byte of a whole object waits for its sum. */
	if (f->whole && f->arrived == f->end)
		publish(f, f->end - 1);
	else
		publish(f, f->arrived);
}

static int take_bytes(void *arg, const void *data, size_t len)
{
	struct fetch *f = arg;
	const char *from = data;

	if (len > f->end - f->arrived)
		return -EIO; /* more than asked for */
	while (len > 0) {
		uint64_t at = f->arrived % BLOCK_SIZE;
		size_t n = len < BLOCK_SIZE - at ? len : BLOCK_SIZE - at;
		int rc = 0;

		if (atomic_load(&f->cancel))
			return -ECANCELED;
		if (at == 0 || f->arrived == f->start)
			rc = enter_block(f);
		if (rc < 0)
			return rc;
		if (f->block)
			copy_in(f->block, at, from, n);
		f->arrived += n;
		from += n;
		len -= n;
		publish_arrived(f);
	}
	return 0;
}

/* ---- running it -------------------------------------------------------- */

/* Bytes whose sum was wrong; what was handed out already cannot be undone. */
static void drop_blocks_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock)
{
	for (uint64_t off = f->start; off < f->end; off += BLOCK_SIZE) {
		struct block *b =
			block_find_locked(c, f->reader, off / BLOCK_SIZE);

		if (b && !b->fetch)
			block_drop_locked(c, b);
	}
	atomic_store(&f->pos, f->start);
}

static int judge(const struct fetch *f, int rc)
{
	if (rc == 0 && f->arrived != f->end)
		return -EIO; /* shorter than the object was said to be */
	return rc;
}

static void end_locked(struct read_cache *c, struct fetch *f, int rc)
	ACK_REQUIRES(c->lock)
{
	struct reader *r = f->reader;

	f->err = judge(f, rc);
	if (f->err == 0)
		atomic_store(&f->pos, f->end);
	leave_block_locked(c, f);
	if (f->err < 0 && f->whole && f->arrived == f->end)
		drop_blocks_locked(c, f);
	f->ended = true;
	stream_learn_locked(c, f);
	DL_DELETE(r->fetches, f);
	cond_broadcast(&f->moved);
	if (--c->running == 0)
		cond_broadcast(&c->gone);
	fetch_put_locked(c, f);
	reader_drop_locked(c, r);
}

static int get(struct read_cache *c, struct fetch *f)
{
	struct oss_sink to = {take_bytes, f};
	struct oss_ctl ctl = {
		.deadline_ms = clock_mono_ms() + c->conf.deadline_ms,
		.cancel = &f->cancel,
	};

	return c->store.ops->get(c->store.self, f->reader->key, f->start,
				 f->whole ? 0 : f->end - f->start,
				 f->reader->etag, &to, &ctl, NULL, &f->reply);
}

int fetch_run_locked(struct read_cache *c, struct fetch *f)
{
	int rc;

	c->running++;
	f->started_us = now_us();
	lock_release(&c->lock);
	rc = get(c, f);
	lock_acquire(&c->lock);
	rc = judge(f, rc);
	end_locked(c, f, rc);
	return rc;
}

static struct fetch *next_locked(struct read_cache *c) ACK_REQUIRES(c->lock)
{
	struct fetch *f = c->queue;

	c->queue = f->queued;
	c->queue_len--;
	return f;
}

/* Nothing to do for a while: give idle buffers back. @return whether to stay:
   one thread does as long as there are buffers */
static bool stay_locked(struct read_cache *c) ACK_REQUIRES(c->lock)
{
	int64_t now = clock_mono_ms();

	blocks_trim_locked(c, now - OLD_MS);
	return c->threads == 1 && c->blocks > 0;
}

static void *run_fetches(void *arg)
{
	struct read_cache *c = arg;
	bool stay = true;

	lock_acquire(&c->lock);
	while (stay) {
		int64_t until = clock_mono_ms() + IDLE_MS;
		bool in_time = true;

		c->idle++;
		while (!c->queue && !c->stopping && in_time)
			in_time = cond_wait_until(&c->work, &c->lock, until);
		c->idle--;
		if (c->queue)
			(void)fetch_run_locked(c, next_locked(c));
		else
			stay = !c->stopping && stay_locked(c);
	}
	if (--c->threads == 0)
		cond_broadcast(&c->gone);
	lock_release(&c->lock);
	return NULL;
}

static bool thread_add_locked(struct read_cache *c) ACK_REQUIRES(c->lock)
{
	int rc;

	if (c->threads >= THREADS_MAX || c->stopping)
		return false;
	rc = thread_start_detached("ackfs-read", run_fetches, c);
	if (rc < 0) {
		log_debug("download: no thread: errno=%d", -rc);
		return false;
	}
	c->threads++;
	return true;
}

void fetch_need_thread_locked(struct read_cache *c)
{
	if (c->threads == 0)
		(void)thread_add_locked(c);
}

bool fetch_start_locked(struct read_cache *c, struct fetch *f)
{
	if (c->idle <= c->queue_len && !thread_add_locked(c)) {
		DL_DELETE(f->reader->fetches, f);
		fetch_put_locked(c, f);
		return false;
	}
	LL_APPEND2(c->queue, f, queued);
	c->queue_len++;
	cond_signal(&c->work);
	return true;
}
