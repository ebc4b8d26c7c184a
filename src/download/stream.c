/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read-ahead.
 *
 * A read_pos follows one open file.  Reads in sequence make a streak; the
 * window ahead of it is as long as what was read (twice that past 1 MiB), up
 * to this stream's share of the buffers.  A jump ends it.  A reader that
 * begins at the start of an object gets FIRST bytes at once, so that a small
 * object is one GET.
 *
 * The window is filled by GETs that follow each other.  The next one starts
 * early enough for its first byte to be there in time.  How many run at once
 * (tuning.parallel) and how long they are is found out: one connection is
 * measured, and if it is not fast, twice as many are tried, and so on; a trial
 * that does not bring GAIN is taken back.  With one connection GETs grow long,
 * and the window stays small, so that the buffers stay in the processor's
 * cache: the connection waits for the reader.
 */
#include "download/cache.h"

#include <utlist.h>

#include "util/clock.h"

#define MIB ((uint64_t)1 << 20)
#define FIRST MIB                     /* GET of a reader at the start */
#define FIRST_SLACK (MIB / 4)         /* FIRST grows by this to reach the end */
#define SMALL_OBJECT (2 * BLOCK_SIZE) /* always one GET */
#define GET_MIN (MIB / 2)
#define GET_TRIAL (4 * MIB)
#define GET_PARALLEL (8 * MIB)
#define SHORT_GET GET_PARALLEL
#define GET_TELLING (16 * MIB)
#define GET_LONG (64 * MIB)
#define NEAR_WINDOW (8 * MIB) /* for one fast connection */
#define WINDOW_MIN (4 * BLOCK_SIZE)
#define SKIP_MIN (MIB / 2)   /* shorter stretches are fetched again */
#define CANCEL_MIN (MIB / 4) /* less is let finish */
#define AGAIN_AFTER (512 * MIB)

static const double FAST = 400;   /* bytes a microsecond of one connection */
static const double GAIN = 1.3;   /* that a trial must bring */
static const double WEIGHT = 0.3; /* of a new measurement */

enum { STREAM_IDLE_MS = 2000, LONG_GET_US = 8000000 };

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
	if (v > high)
		v = high;
	return v < low ? low : v;
}

static uint64_t block_down(uint64_t off)
{
	return off / BLOCK_SIZE * BLOCK_SIZE;
}

static uint64_t block_up(uint64_t off)
{
	return block_down(off + BLOCK_SIZE - 1);
}

/* ---- what was learned -------------------------------------------------- */

void stream_init(struct read_cache *c)
{
	c->tuning = (struct tuning){.parallel = 1};
	c->tuning.settled = c->conf.parallel <= 1;
}

/* Bytes that arrive while a request's first one is on its way. */
static uint64_t in_flight(const struct tuning *t)
{
	double bytes = t->rate * t->latency_us;

	return bytes < (double)GET_LONG ? (uint64_t)bytes : GET_LONG;
}

uint64_t stream_reach_locked(struct read_cache *c)
{
	return 2 * MIB + in_flight(&c->tuning);
}

static void blend(double *average, double value)
{
	*average =
		*average > 0 ? *average + WEIGHT * (value - *average) : value;
}

static void new_generation(struct tuning *t)
{
	t->generation++;
	t->bytes = 0;
	t->body_us = 0;
	t->count = 0;
}

static void settle(struct tuning *t, int parallel)
{
	t->parallel = parallel;
	t->before = 0;
	t->settled = true;
	new_generation(t);
}

/* Stay, go back, or try twice as many. */
static void decide(struct read_cache *c)
{
	struct tuning *t = &c->tuning;
	double one = (double)t->bytes / (double)t->body_us;
	double all = one * t->parallel;

	if (one >= FAST) {
		settle(t, 1);
		t->believed = true;
	} else if (t->before && all < t->best * GAIN) {
		settle(t, t->before);
	} else if (t->parallel >= c->conf.parallel) {
		settle(t, t->parallel);
	} else {
		t->best = all;
		t->before = t->parallel;
		t->parallel *= 2;
		if (t->parallel > c->conf.parallel)
			t->parallel = c->conf.parallel;
		new_generation(t);
	}
}

/* Measure anew: after a while, or when a fast connection turns out not to be
   (what a short GET brings may have lain in buffers). */
static bool must_try_again(const struct tuning *t, uint64_t bytes, int64_t body)
{
	if (t->believed && bytes >= GET_TELLING &&
	    (double)bytes / (double)body < FAST / 2)
		return true;
	return t->bytes >= AGAIN_AFTER;
}

static void count(struct read_cache *c, uint64_t bytes, int64_t body)
{
	struct tuning *t = &c->tuning;

	t->bytes += bytes;
	t->body_us += body;
	t->count++;
	if (!t->settled && t->count >= t->parallel &&
	    t->bytes >= GET_TRIAL * (uint64_t)t->parallel) {
		decide(c);
	} else if (t->settled && c->conf.parallel > 1 &&
		   must_try_again(t, bytes, body)) {
		t->settled = false;
		t->believed = false;
		new_generation(t);
	}
}

/* The wait for the first byte is not counted: longer GETs are the remedy
   against that, not more of them.  Short GETs tell too little. */
static void measure(struct read_cache *c, const struct fetch *f)
{
	struct tuning *t = &c->tuning;
	uint64_t bytes = f->arrived - f->start;
	uint64_t least = t->parallel > 1 ? GET_MIN : GET_TRIAL;
	int64_t body = now_us() - f->first_us - f->blocked_us;

	if (body < 1)
		body = 1;
	blend(&t->latency_us, (double)(f->first_us - f->started_us));
	if (bytes >= GET_MIN)
		blend(&t->rate, (double)bytes / (double)body);
	if (bytes >= least && f->owner && f->generation == t->generation)
		count(c, bytes, body);
}

void stream_learn_locked(struct read_cache *c, struct fetch *f)
{
	if (f->first_us)
		measure(c, f);
	if (f->owner)
		f->owner->running--;
}

/* ---- how much ---------------------------------------------------------- */

/* Streams that read lately share the buffers; a quarter is for all others. */
static uint64_t share_locked(struct read_cache *c) ACK_REQUIRES(c->lock)
{
	int64_t now = clock_mono_ms();
	struct read_pos *p;
	uint64_t n = 0;

	while (c->streams && now - c->streams->used_ms > STREAM_IDLE_MS) {
		p = c->streams;
		DL_DELETE(c->streams, p);
		p->active = false;
	}
	DL_COUNT(c->streams, p, n);
	return c->max_blocks * BLOCK_SIZE / 4 * 3 / (n ? n : 1);
}

static bool is_one_fast(const struct tuning *t)
{
	return t->settled && t->parallel == 1;
}

/* 0: no read-ahead. */
static uint64_t window_locked(struct read_cache *c, const struct read_pos *p)
	ACK_REQUIRES(c->lock)
{
	const struct tuning *t = &c->tuning;
	uint64_t share = share_locked(c);
	uint64_t w = 0;

	if (p->reads > 1)
		w = p->streak >= MIB ? 2 * p->streak : p->streak;
	if (p->from_start && w < FIRST)
		w = FIRST;
	if (is_one_fast(t))
		w = min_u64(w, clamp(2 * in_flight(t), NEAR_WINDOW, share));
	w = block_down(min_u64(w, share));
	return w < WINDOW_MIN ? 0 : w;
}

static int parallel_of(const struct tuning *t, uint64_t window)
{
	uint64_t most = window / MIB;

	if (most < 1)
		most = 1;
	return (int)min_u64((uint64_t)t->parallel, most);
}

static uint64_t get_len(const struct tuning *t, const struct read_pos *p,
			uint64_t window)
{
	int parallel = parallel_of(t, window);
	double can = t->rate * LONG_GET_US;
	uint64_t most = GET_TRIAL;
	uint64_t len;

	if (parallel > 1)
		most = clamp(window / (2 * (uint64_t)parallel), GET_MIN,
			     GET_PARALLEL);
	else if (is_one_fast(t))
		most = GET_LONG;
	if (can > 0 && can < (double)most) /* before its deadline */
		most = clamp((uint64_t)can, GET_MIN, most);
	len = p->from_start && p->streak < FIRST ? FIRST : p->streak;
	/* What is wasted is bounded by the window, not by the GET. */
	if (is_one_fast(t) && p->streak >= FIRST && len < 4 * in_flight(t))
		len = 4 * in_flight(t);
	return block_up(clamp(len, WINDOW_MIN, most));
}

/* ---- asking for it ----------------------------------------------------- */

static bool is_full_locked(struct read_cache *c, struct reader *r, uint64_t off)
	ACK_REQUIRES(c->lock)
{
	struct block *b = block_find_locked(c, r, off / BLOCK_SIZE);

	return b && block_valid(b) == block_len(r, b->no);
}

static struct fetch *fetch_at_locked(struct read_cache *c, struct reader *r,
				     uint64_t off) ACK_REQUIRES(c->lock)
{
	struct fetch *f;

	(void)c;
	DL_FOREACH(r->fetches, f)
	{
		if (off >= block_down(atomic_load(&f->pos)) && off < f->end &&
		    !atomic_load(&f->cancel))
			return f;
	}
	return NULL;
}

/* Other windows' fetches serve this one too. */
static void join_locked(struct read_cache *c, struct read_pos *p,
			struct fetch *f) ACK_REQUIRES(c->lock)
{
	(void)c;
	if (f->owner && f->owner != p)
		f->shared = true;
	if (f->owner || f->limit == UINT64_MAX)
		return;
	f->owner = p;
	p->running++;
}

/* Pass over what is there or comes. @return whether off moved */
static bool pass_locked(struct read_cache *c, struct read_pos *p, uint64_t *off)
	ACK_REQUIRES(c->lock)
{
	struct fetch *f;

	if (is_full_locked(c, p->reader, *off)) {
		*off += BLOCK_SIZE;
		return true;
	}
	f = fetch_at_locked(c, p->reader, *off);
	if (!f)
		return false;
	join_locked(c, p, f);
	*off = block_up(f->end);
	return true;
}

/* Where a GET from start should end: before a stretch that is there. */
static uint64_t cut_locked(struct read_cache *c, struct reader *r,
			   uint64_t start, uint64_t end) ACK_REQUIRES(c->lock)
{
	uint64_t full = 0;
	struct fetch *f;

	DL_FOREACH(r->fetches, f)
	{
		if (f->start > start && f->start < end &&
		    f->end - f->start >= SKIP_MIN && !atomic_load(&f->cancel))
			end = block_down(f->start);
	}
	for (uint64_t off = start; off < end; off += BLOCK_SIZE) {
		full = is_full_locked(c, r, off) ? full + BLOCK_SIZE : 0;
		if (full >= SKIP_MIN)
			return off + BLOCK_SIZE - full;
	}
	return full ? block_up(end) - full : end;
}

static uint64_t end_of_get_locked(struct read_cache *c, struct read_pos *p,
				  uint64_t start, uint64_t window)
	ACK_REQUIRES(c->lock)
{
	uint64_t size = p->reader->size;
	uint64_t len = get_len(&c->tuning, p, window);
	uint64_t end = start + len;

	if (end >= size || size - end <= min_u64(len / 4, FIRST_SLACK))
		end = size;
	return cut_locked(c, p->reader, start, end);
}

static bool launch_locked(struct read_cache *c, struct read_pos *p,
			  uint64_t window) ACK_REQUIRES(c->lock)
{
	struct reader *r = p->reader;
	struct block *b = block_find_locked(c, r, p->ahead / BLOCK_SIZE);
	uint64_t start = p->ahead + (b ? b->filled : 0);
	uint64_t end = end_of_get_locked(c, p, p->ahead, window);
	struct fetch *f = fetch_add_locked(c, r, start, end);

	if (!f)
		return false;
	f->owner = p;
	f->limit = p->end + window;
	/* Short ones never stand: that would cost more than their bytes. */
	if (f->limit < end && end - start <= SHORT_GET)
		f->limit = end;
	if (!fetch_start_locked(c, f))
		return false;
	p->running++;
	p->ahead = block_up(end);
	return true;
}

/* So many more GETs as are needed for their first bytes to come in time. */
static int extra_of(const struct tuning *t, int parallel, uint64_t len)
{
	uint64_t n = in_flight(t) * (uint64_t)parallel / len + 1;

	return (int)min_u64(n, (uint64_t)parallel);
}

/* May one more GET start at p->ahead? */
static bool wants_more(const struct read_cache *c, const struct read_pos *p,
		       uint64_t window)
{
	const struct tuning *t = &c->tuning;
	int parallel = parallel_of(t, window);
	uint64_t len = get_len(t, p, window);
	uint64_t near = window;

	if (p->ahead >= p->reader->size)
		return false;
	if (p->running >= parallel + extra_of(t, parallel, len))
		return false;
	if (parallel == 1 && p->running == 1)
		near = clamp(in_flight(t) * 3 / 2, MIB, GET_LONG);
	if (p->running > 0 && p->reads < 2) /* it may be after the head only */
		return false;
	return p->ahead < p->end + min_u64(near, window);
}

/* The reader came nearer: its connections may go on. */
static void widen_locked(struct read_cache *c, struct read_pos *p,
			 uint64_t window) ACK_REQUIRES(c->lock)
{
	uint64_t limit = p->end + window;
	uint64_t enough = min_u64(window / 4, MIB);
	struct fetch *f;

	(void)c;
	DL_FOREACH(p->reader->fetches, f)
	{
		if (f->limit >= limit ||
		    (f->owner != p && (f->start > limit || f->end < p->end)))
			continue;
		f->limit = limit;
		if (f->blocked && limit >= f->arrived + enough)
			cond_signal(&f->room);
	}
}

static void activate_locked(struct read_cache *c, struct read_pos *p)
	ACK_REQUIRES(c->lock)
{
	if (p->active)
		DL_DELETE(c->streams, p);
	DL_APPEND(c->streams, p);
	p->active = true;
	p->used_ms = clock_mono_ms();
}

static void fill_window_locked(struct read_cache *c, struct read_pos *p)
	ACK_REQUIRES(c->lock)
{
	uint64_t window = window_locked(c, p);
	bool going = true;

	if (window == 0)
		return;
	activate_locked(c, p);
	widen_locked(c, p, window);
	while (going && p->ahead < min_u64(p->end + window, p->reader->size)) {
		going = pass_locked(c, p, &p->ahead);
		if (!going && wants_more(c, p, window))
			going = launch_locked(c, p, window);
	}
}

/* ---- following the reader ---------------------------------------------- */

/* Without a reader its fetches are wasted, unless others count on them. */
static void abandon_locked(struct read_cache *c, struct read_pos *p)
	ACK_REQUIRES(c->lock)
{
	struct fetch *f;

	DL_FOREACH(p->reader->fetches, f)
	{
		if (f->owner != p)
			continue;
		f->owner = NULL;
		p->running--;
		if (f->waiters == 0 && !f->shared &&
		    (f->blocked || f->end - atomic_load(&f->pos) >= CANCEL_MIN))
			fetch_cancel_locked(c, f);
	}
}

void stream_end_locked(struct read_cache *c, struct read_pos *p)
{
	abandon_locked(c, p);
	if (p->active)
		DL_DELETE(c->streams, p);
	p->active = false;
}

/* Reads come a little out of order: several threads serve one file. */
static bool is_sequential(const struct read_pos *p, uint64_t off)
{
	uint64_t slack = clamp(p->streak / 2, 2 * BLOCK_SIZE, 4 * MIB);

	return off <= p->end + slack && off + slack + MIB >= p->end;
}

static void begin_streak_locked(struct read_cache *c, struct read_pos *p,
				uint64_t off, uint64_t end)
	ACK_REQUIRES(c->lock)
{
	bool first = !p->any;

	stream_end_locked(c, p);
	p->any = true;
	p->from_start = (first && off <= FIRST_SLACK) || off == 0 ||
			p->reader->size <= SMALL_OBJECT;
	p->ahead = p->from_start ? 0 : block_down(off);
	p->streak = end - off;
	p->end = end;
	p->reads = 1;
}

void stream_read_locked(struct read_cache *c, struct read_pos *p, uint64_t off,
			uint64_t end, bool fill)
{
	if (!p->any || !is_sequential(p, off)) {
		begin_streak_locked(c, p, off, end);
	} else if (end > p->end) {
		p->streak += end - p->end;
		p->end = end;
		p->reads++;
	}
	if (fill)
		fill_window_locked(c, p);
}

bool stream_refill_locked(struct read_cache *c, struct read_pos *p,
			  uint64_t off)
{
	uint64_t window = window_locked(c, p);

	if (window == 0 || !is_sequential(p, off))
		return false;
	p->ahead = block_down(off);
	return launch_locked(c, p, window);
}
