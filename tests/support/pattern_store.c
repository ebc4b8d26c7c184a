/* SPDX-License-Identifier: Apache-2.0 */
#include "pattern_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"
#include "util/lock.h"

enum {
	OBJECTS_MAX = 16,
	CALLS_MAX = 1 << 16,
	PIECE = 16 << 10,
	PERIOD = 1000003
};

struct object {
	char key[32];
	char etag[32];
	uint64_t size;
};

struct pattern_store {
	struct lock lock;
	struct cond changed;
	struct object objects[OBJECTS_MAX];
	size_t count;
	int64_t latency_us;
	uint64_t rate;
	uint64_t gate;
	int fail_times, fail_err;
	uint64_t fail_after;
	unsigned fault_percent, random;
	unsigned calls, running, peak;
	uint64_t bytes;
	struct pattern_get *log;
};

struct get {
	struct pattern_store *s;
	const struct oss_ctl *ctl;
	char etag[32];
	uint64_t from, pos, end;
	int64_t started_us;
	int err; /* at stop */
	uint64_t stop;
};

static int64_t us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void nap_until(int64_t when_us)
{
	int64_t left = when_us - us();

	if (left > 0)
		nanosleep(&(struct timespec){left / 1000000,
					     left % 1000000 * 1000},
			  NULL);
}

/* ---- content ----------------------------------------------------------- */

/* A table over and over, entered where the etag says.  Its length is a prime:
   no two blocks of an object are alike. */
static unsigned char table[PERIOD];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		table[i] = (unsigned char)(x >> 32);
	}
}

static size_t entry_of(const char *etag, uint64_t off)
{
	uint64_t seed = 1;

	pthread_once(&table_once, table_fill);
	while (*etag)
		seed = seed * 31 + (unsigned char)*etag++;
	return (seed * 7919 + off) % PERIOD;
}

static size_t run_of(size_t at, size_t len)
{
	return len < PERIOD - at ? len : PERIOD - at;
}

static void fill(const char *etag, uint64_t off, void *to, size_t len)
{
	size_t at = entry_of(etag, off);
	size_t n = run_of(at, len);

	memcpy(to, table + at, n);
	memcpy((char *)to + n, table, len - n); /* PIECE < PERIOD */
}

bool pattern_matches(const char *etag, uint64_t off, const void *data,
		     size_t len)
{
	const char *got = data;

	while (len > 0) {
		size_t at = entry_of(etag, off);
		size_t n = run_of(at, len);

		if (memcmp(got, table + at, n) != 0)
			return false;
		off += n;
		got += n;
		len -= n;
	}
	return true;
}

/* ---- one request ------------------------------------------------------- */

static int say(struct oss_reply *reply, int http, const char *code, int rc)
{
	memset(reply, 0, sizeof(*reply));
	reply->http = http;
	(void)snprintf(reply->code, sizeof(reply->code), "%s", code);
	return rc;
}

static int interrupted(const struct get *g)
{
	if (g->ctl->cancel && atomic_load(g->ctl->cancel))
		return -ECANCELED;
	if (clock_mono_ms() >= g->ctl->deadline_ms)
		return -ETIMEDOUT;
	return 0;
}

/* How many bytes may go now: none, and an error, at the end of patience. */
static int wait_gate(struct get *g, size_t *n)
{
	struct pattern_store *s = g->s;
	int rc = interrupted(g);

	lock_acquire(&s->lock);
	while (rc == 0 && g->pos >= s->gate) {
		(void)cond_wait_until(&s->changed, &s->lock,
				      clock_mono_ms() + 5);
		rc = interrupted(g);
	}
	if (rc == 0 && *n > s->gate - g->pos)
		*n = s->gate - g->pos;
	lock_release(&s->lock);
	return rc;
}

static int give(struct get *g, const struct oss_sink *to)
{
	unsigned char piece[PIECE];
	int rc = 0;

	while (rc == 0 && g->pos < g->end) {
		uint64_t until = g->end < g->stop ? g->end : g->stop;
		size_t n = until - g->pos < PIECE ? until - g->pos : PIECE;

		if (n == 0)
			return g->err;
		rc = wait_gate(g, &n);
		if (rc < 0)
			return rc;
		if (g->s->rate)
			nap_until(g->started_us +
				  (int64_t)((g->pos + n - g->from) * 1000000 /
					    g->s->rate));
		fill(g->etag, g->pos, piece, n);
		rc = to->write(to->arg, piece, n);
		if (rc == 0)
			g->pos += n;
	}
	if (rc == 0 && g->err && g->stop == UINT64_MAX)
		rc = g->err;
	return rc;
}

static const struct object *find(const struct pattern_store *s, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->objects[i].key, key) == 0)
			return &s->objects[i];
	return NULL;
}

static void pick_fault_locked(struct get *g)
{
	struct pattern_store *s = g->s;

	g->stop = UINT64_MAX;
	if (s->fail_times != 0) {
		if (s->fail_times > 0)
			s->fail_times--;
		g->err = s->fail_err;
		if (s->fail_after != UINT64_MAX)
			g->stop = g->from + s->fail_after;
	} else if ((unsigned)rand_r(&s->random) % 100 < s->fault_percent) {
		g->err = -EIO;
		g->stop = g->from +
			  (uint64_t)rand_r(&s->random) % (g->end - g->from);
	}
}

static int open_locked(struct get *g, const char *key, uint64_t off,
		       uint64_t len, const char *if_match,
		       struct oss_reply *reply)
{
	const struct object *o = find(g->s, key);

	if (!o)
		return say(reply, 404, "NoSuchKey", -ENOENT);
	if (if_match && strcmp(if_match, o->etag) != 0)
		return say(reply, 412, "PreconditionFailed", -ESTALE);
	if (off >= o->size || len > o->size - off)
		return say(reply, 416, "InvalidRange", -EINVAL);
	(void)snprintf(g->etag, sizeof(g->etag), "%s", o->etag);
	g->from = g->pos = off;
	g->end = len ? off + len : o->size;
	g->started_us = us();
	pick_fault_locked(g);
	return say(reply, 200, "", 0);
}

static unsigned begin_locked(struct pattern_store *s, const char *key,
			     uint64_t off, uint64_t len)
{
	struct pattern_get *log = &s->log[s->calls % CALLS_MAX];

	memset(log, 0, sizeof(*log));
	(void)snprintf(log->key, sizeof(log->key), "%s", key);
	log->off = off;
	log->len = len;
	if (++s->running > s->peak)
		s->peak = s->running;
	cond_broadcast(&s->changed);
	return s->calls++;
}

static void end_locked(struct pattern_store *s, unsigned no,
		       const struct get *g, int rc)
{
	s->running--;
	s->bytes += g->pos - g->from;
	s->log[no % CALLS_MAX].given = g->pos - g->from;
	s->log[no % CALLS_MAX].rc = rc;
	cond_broadcast(&s->changed);
}

static int pattern_get(void *self, const char *key, uint64_t off, uint64_t len,
		       const char *if_match, const struct oss_sink *to,
		       const struct oss_ctl *ctl, struct oss_object *object,
		       struct oss_reply *reply)
{
	struct pattern_store *s = self;
	struct get g = {.s = s, .ctl = ctl};
	unsigned no;
	int rc;

	(void)object;
	lock_acquire(&s->lock);
	no = begin_locked(s, key, off, len);
	rc = open_locked(&g, key, off, len, if_match, reply);
	lock_release(&s->lock);
	nap_until(us() + s->latency_us);
	if (rc == 0) {
		rc = give(&g, to);
		if (rc < 0)
			(void)say(reply, 0, "Broken", rc);
	}
	lock_acquire(&s->lock);
	end_locked(s, no, &g, rc);
	lock_release(&s->lock);
	return rc;
}

static const struct store_ops pattern_ops = {.get = pattern_get};

/* ---- the outside ------------------------------------------------------- */

struct pattern_store *pattern_store_new(void)
{
	struct pattern_store *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->log = calloc(CALLS_MAX, sizeof(*s->log));
	if (!s->log)
		abort();
	s->gate = UINT64_MAX;
	lock_init(&s->lock, LOCK_LEAF);
	cond_init(&s->changed);
	return s;
}

void pattern_store_free(struct pattern_store *s)
{
	cond_destroy(&s->changed);
	lock_destroy(&s->lock);
	free(s->log);
	free(s);
}

struct store pattern_store_store(struct pattern_store *s)
{
	return (struct store){.ops = &pattern_ops, .self = s};
}

void pattern_store_put(struct pattern_store *s, const char *key,
		       const char *etag, uint64_t size)
{
	struct object *o;

	lock_acquire(&s->lock);
	o = (struct object *)(uintptr_t)find(s, key);
	if (!o) {
		if (s->count == OBJECTS_MAX)
			abort();
		o = &s->objects[s->count++];
	}
	(void)snprintf(o->key, sizeof(o->key), "%s", key);
	(void)snprintf(o->etag, sizeof(o->etag), "%s", etag);
	o->size = size;
	lock_release(&s->lock);
}

void pattern_store_set_latency(struct pattern_store *s, int64_t latency_us)
{
	s->latency_us = latency_us;
}

void pattern_store_set_rate(struct pattern_store *s, uint64_t rate)
{
	s->rate = rate;
}

void pattern_store_set_gate(struct pattern_store *s, uint64_t off)
{
	lock_acquire(&s->lock);
	s->gate = off;
	cond_broadcast(&s->changed);
	lock_release(&s->lock);
}

void pattern_store_fail(struct pattern_store *s, int times, int err,
			uint64_t after)
{
	lock_acquire(&s->lock);
	s->fail_times = times;
	s->fail_err = err;
	s->fail_after = after;
	lock_release(&s->lock);
}

void pattern_store_set_faults(struct pattern_store *s, unsigned percent,
			      unsigned seed)
{
	lock_acquire(&s->lock);
	s->fault_percent = percent;
	s->random = seed;
	lock_release(&s->lock);
}

unsigned pattern_store_calls(struct pattern_store *s)
{
	unsigned n;

	lock_acquire(&s->lock);
	n = s->calls;
	lock_release(&s->lock);
	return n;
}

uint64_t pattern_store_bytes(struct pattern_store *s)
{
	uint64_t n;

	lock_acquire(&s->lock);
	n = s->bytes;
	lock_release(&s->lock);
	return n;
}

unsigned pattern_store_peak(struct pattern_store *s)
{
	unsigned n;

	lock_acquire(&s->lock);
	n = s->peak;
	lock_release(&s->lock);
	return n;
}

struct pattern_get pattern_store_call(struct pattern_store *s, unsigned i)
{
	struct pattern_get g;

	lock_acquire(&s->lock);
	g = s->log[i % CALLS_MAX];
	lock_release(&s->lock);
	return g;
}

void pattern_store_reset(struct pattern_store *s)
{
	lock_acquire(&s->lock);
	s->calls = 0;
	s->bytes = 0;
	s->peak = s->running;
	lock_release(&s->lock);
}

bool pattern_store_wait_running(struct pattern_store *s, unsigned n,
				int timeout_ms)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	bool ok = true;

	lock_acquire(&s->lock);
	while (ok && s->running != n)
		ok = cond_wait_until(&s->changed, &s->lock, until);
	ok = s->running == n;
	lock_release(&s->lock);
	return ok;
}
