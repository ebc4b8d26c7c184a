/* SPDX-License-Identifier: Apache-2.0 */
#include "download/reader.h"

#include <errno.h>
#include <string.h>

#include <utlist.h>

#include "download/cache.h"
#include "util/buf.h"
#include "util/clock.h"

enum {
	DEADLINE_MS = 60000,
	/* A request's own deadline comes first: it knows what went wrong. */
	DEADLINE_MARGIN_MS = 2000,
	SLOWEST = 64, /* bytes a millisecond, for reader_fetch()'s deadline */
};

/* ---- the cache --------------------------------------------------------- */

int read_cache_new(struct store store, const struct read_conf *conf,
		   struct read_cache **out)
{
	struct read_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->store = store;
	c->conf = *conf;
	if (c->conf.deadline_ms <= 0)
		c->conf.deadline_ms = DEADLINE_MS;
	c->max_blocks = conf->buffer_bytes / BLOCK_SIZE;
	lock_init(&c->lock, LOCK_READER);
	cond_init(&c->work);
	cond_init(&c->gone);
	stream_init(c);
	*out = c;
	return 0;
}

static void reader_free(struct reader *r)
{
	free(r->id);
	free(r->etag);
	free(r);
}

void reader_drop_locked(struct read_cache *c, struct reader *r)
{
	if (r->refs > 0 || r->blocks || r->fetches)
		return;
	HASH_DEL(c->readers, r);
	reader_free(r);
}

static void cancel_all_locked(struct read_cache *c) ACK_REQUIRES(c->lock)
{
	struct reader *r, *tmp;
	struct fetch *f;

	HASH_ITER(hh, c->readers, r, tmp)
	{
		DL_FOREACH(r->fetches, f)
		fetch_cancel_locked(c, f);
	}
}

void read_cache_free(struct read_cache *c)
{
	if (!c)
		return;
	lock_acquire(&c->lock);
	c->stopping = true;
	cancel_all_locked(c);
	cond_broadcast(&c->work);
	while (c->threads > 0 || c->running > 0)
		cond_wait(&c->gone, &c->lock);
	blocks_trim_locked(c, INT64_MAX);
	lock_release(&c->lock);
	cond_destroy(&c->work);
	cond_destroy(&c->gone);
	lock_destroy(&c->lock);
	free(c);
}

uint64_t read_cache_used(struct read_cache *c)
{
	uint64_t used;

	lock_acquire(&c->lock);
	used = c->blocks * BLOCK_SIZE;
	lock_release(&c->lock);
	return used;
}

/* ---- readers and positions --------------------------------------------- */

static struct reader *reader_new(struct read_cache *c, const char *key,
				 const char *etag, uint64_t size)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->cache = c;
	r->size = size;
	r->refs = 1;
	if (etag && *etag)
		r->etag = str_dup(etag);
	r->id = str_printf("%s %llu %s", etag ? etag : "",
			   (unsigned long long)size, key);
	if (!r->id || (etag && *etag && !r->etag)) {
		reader_free(r);
		return NULL;
	}
	r->key = r->id + strlen(r->id) - strlen(key);
	return r;
}

/* Takes fresh over, or frees it when the same version is there. */
static struct reader *share_locked(struct read_cache *c, struct reader *fresh)
	ACK_REQUIRES(c->lock)
{
	struct reader *r = NULL;

	if (fresh->etag)
		HASH_FIND_STR(c->readers, fresh->id, r);
	if (r) {
		reader_free(fresh);
		r->refs++;
		return r;
	}
	HASH_ADD_KEYPTR(hh, c->readers, fresh->id, strlen(fresh->id), fresh);
	if (fresh->hh.tbl)
		return fresh;
	reader_free(fresh);
	return NULL;
}

int reader_open(struct read_cache *c, const char *key, const char *etag,
		uint64_t size, struct reader **out)
{
	struct reader *r = reader_new(c, key, etag, size);

	if (!r)
		return -ENOMEM;
	lock_acquire(&c->lock);
	r = share_locked(c, r);
	lock_release(&c->lock);
	if (!r)
		return -ENOMEM;
	*out = r;
	return 0;
}

/* Its blocks stay for a while: it may be opened again. */
void reader_close(struct reader *r)
{
	struct read_cache *c;
	struct fetch *f;

	if (!r)
		return;
	c = r->cache;
	lock_acquire(&c->lock);
	if (--r->refs == 0)
		DL_FOREACH(r->fetches, f)
	fetch_cancel_locked(c, f);
	reader_drop_locked(c, r);
	lock_release(&c->lock);
}

int read_pos_new(struct reader *r, struct read_pos **out)
{
	struct read_pos *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->reader = r;
	*out = p;
	return 0;
}

void read_pos_free(struct read_pos *p)
{
	struct read_cache *c;

	if (!p)
		return;
	c = p->reader->cache;
	lock_acquire(&c->lock);
	stream_end_locked(c, p);
	lock_release(&c->lock);
	free(p);
}

/* ---- views ------------------------------------------------------------- */

static void view_add(struct read_view *v, struct hold *h, char *data,
		     size_t len)
{
	v->iov[v->count] = (struct iovec){.iov_base = data, .iov_len = len};
	v->hold[v->count++] = h;
	v->len += len;
}

static void release_locked(struct read_cache *c, struct read_view *v)
	ACK_REQUIRES(c->lock)
{
	for (int i = 0; i < v->count; i++) {
		struct hold *h = v->hold[i];

		if (h->cache)
			block_unpin_locked(c, (struct block *)h);
		else
			free(h);
	}
	v->count = 0;
	v->len = 0;
}

static struct read_cache *cache_of_view(const struct read_view *v)
{
	struct read_cache *c = NULL;

	for (int i = 0; i < v->count && !c; i++)
		c = ((struct hold *)v->hold[i])->cache;
	return c;
}

void read_view_release(struct read_view *v)
{
	struct read_cache *c = cache_of_view(v);

	if (c) {
		lock_acquire(&c->lock);
		release_locked(c, v);
		lock_release(&c->lock);
	} else { /* nothing, or private memory alone */
		for (int i = 0; i < v->count; i++)
			free(v->hold[i]);
		v->count = 0;
		v->len = 0;
	}
}

/* ---- one read ---------------------------------------------------------- */

/* A read on its way: [at, end) is still missing. */
struct task {
	struct reader *r;
	struct read_pos *p;
	uint64_t at, end;
	uint64_t miss; /* first byte that is: in the block of at, or at */
	int64_t deadline_ms;
	struct read_view *view;
	struct oss_reply *reply;
};

/* Take what is there. */
static void collect_locked(struct read_cache *c, struct task *t)
	ACK_REQUIRES(c->lock)
{
	while (t->at < t->end) {
		uint64_t in = t->at % BLOCK_SIZE;
		struct block *b =
			block_find_locked(c, t->r, t->at / BLOCK_SIZE);
		uint64_t have = b ? block_valid(b) : 0;
		uint64_t n = t->end - t->at;

		if (n > BLOCK_SIZE - in)
			n = BLOCK_SIZE - in;
		if (!b || have < in + n) { /* in one piece or not yet */
			t->miss = t->at + (have > in ? have - in : 0);
			return;
		}
		block_pin_locked(c, b);
		b->handed += n;
		view_add(t->view, &b->hold, b->data + in, n);
		t->at += n;
	}
}

struct memory {
	struct hold hold; /* first */
	size_t len, cap;
	char data[];
};

static int memory_write(void *arg, const void *data, size_t len)
{
	struct memory *m = arg;

	if (len > m->cap - m->len)
		return -EIO;
	memcpy(m->data + m->len, data, len);
	m->len += len;
	return 0;
}

static int get_range(struct reader *r, uint64_t off, uint64_t len,
		     int64_t time_ms, const struct oss_sink *to,
		     struct oss_reply *reply)
{
	struct oss_ctl ctl = {.deadline_ms = clock_mono_ms() + time_ms};
	struct store *s = &r->cache->store;
	struct oss_reply spare;

	if (off == 0 && len == r->size)
		len = 0; /* the whole: its sum is verified */
	return s->ops->get(s->self, r->key, off, len, r->etag, to, &ctl, NULL,
			   reply ? reply : &spare);
}

/* Without a buffer: the rest into memory of its own. */
static int read_private_locked(struct read_cache *c, struct task *t)
	ACK_REQUIRES(c->lock)
{
	size_t len = t->end - t->at;
	AUTO_FREE struct memory *m = malloc(sizeof(*m) + len);
	struct oss_sink to = {memory_write, m};
	int rc;

	if (!m)
		return -ENOMEM;
	m->hold.cache = NULL;
	m->len = 0;
	m->cap = len;
	lock_release(&c->lock);
	rc = get_range(t->r, t->at, len, c->conf.deadline_ms, &to, t->reply);
	lock_acquire(&c->lock);
	if (rc < 0)
		return rc;
	if (m->len < len)
		return -EIO;
	view_add(t->view, &m->hold, m->data, len);
	(void)take_ptr(m);
	t->at = t->end;
	return 0;
}

/* What this read needs of the missing bytes, in whole blocks, up to what is
   there or comes. */
static uint64_t end_of_miss_locked(struct read_cache *c, const struct task *t)
	ACK_REQUIRES(c->lock)
{
	uint64_t off = (t->at / BLOCK_SIZE + 1) * BLOCK_SIZE;

	while (off < t->end && !block_find_locked(c, t->r, off / BLOCK_SIZE) &&
	       !fetch_find_locked(c, t->r, off))
		off += BLOCK_SIZE;
	return off < t->r->size ? off : t->r->size;
}

/* A failed request is this read's failure, unless it made way. */
static int judge(struct task *t, const struct fetch *f)
{
	if (!f->ended || f->err == 0 || f->err == -ECANCELED ||
	    atomic_load(&f->pos) > t->miss)
		return 0;
	if (t->reply)
		*t->reply = f->reply;
	return f->err;
}

static int wait_for_locked(struct read_cache *c, struct task *t,
			   struct fetch *f) ACK_REQUIRES(c->lock)
{
	int rc = -ETIMEDOUT;

	if (fetch_wait_locked(c, f, t->end, t->deadline_ms))
		rc = judge(t, f);
	fetch_put_locked(c, f);
	return rc;
}

static int run_here_locked(struct read_cache *c, struct task *t)
	ACK_REQUIRES(c->lock)
{
	struct fetch *f;
	uint64_t start = t->at / BLOCK_SIZE * BLOCK_SIZE;
	struct block *b = block_find_locked(c, t->r, start / BLOCK_SIZE);
	int rc;

	f = fetch_add_locked(c, t->r, start + (b ? b->filled : 0),
			     end_of_miss_locked(c, t));
	if (!f)
		return -ENOMEM;
	f->refs++;
	rc = fetch_run_locked(c, f);
	if (rc != -ECANCELED)
		rc = judge(t, f);
	fetch_put_locked(c, f);
	return rc;
}

/* A small object in one read: this thread fetches it. */
static bool is_whole(const struct task *t)
{
	return t->at == 0 && t->end == t->r->size;
}

/* One step nearer to having the byte at t->at. */
static int bring_locked(struct read_cache *c, struct task *t)
	ACK_REQUIRES(c->lock)
{
	struct fetch *f = fetch_find_locked(c, t->r, t->miss);
	uint64_t blocks = (t->end - t->at) / BLOCK_SIZE + 2;

	if (!f && blocks_available_locked(c) < blocks)
		return read_private_locked(c, t);
	if (!f && !is_whole(t) && stream_refill_locked(c, t->p, t->miss))
		f = fetch_find_locked(c, t->r, t->miss);
	if (f)
		return wait_for_locked(c, t, f);
	return run_here_locked(c, t);
}

static int read_locked(struct read_cache *c, struct task *t)
	ACK_REQUIRES(c->lock)
{
	int rc = 0;

	stream_read_locked(c, t->p, t->at, t->end, !is_whole(t));
	collect_locked(c, t);
	while (rc == 0 && t->at < t->end) {
		rc = bring_locked(c, t);
		if (rc == -ENOBUFS)
			rc = read_private_locked(c, t);
		if (rc == 0)
			collect_locked(c, t);
		if (rc == 0 && t->at < t->end &&
		    clock_mono_ms() >= t->deadline_ms)
			rc = -ETIMEDOUT;
	}
	if (rc < 0)
		release_locked(c, t->view);
	return rc;
}

int reader_read(struct reader *r, struct read_pos *p, uint64_t off, size_t len,
		struct read_view *view, struct oss_reply *reply)
{
	struct read_cache *c = r->cache;
	struct read_view fresh = {.count = 0};
	struct task t = {.r = r, .p = p, .at = off, .view = &fresh};
	int rc = 0;

	if (len > READ_LEN_MAX)
		len = READ_LEN_MAX;
	if (off < r->size && len > r->size - off)
		len = r->size - off;
	t.end = off + len;
	t.reply = reply;
	t.deadline_ms =
		clock_mono_ms() + c->conf.deadline_ms + DEADLINE_MARGIN_MS;
	if (off < r->size && len > 0) {
		lock_acquire(&c->lock);
		rc = read_locked(c, &t);
		lock_release(&c->lock);
	}
	if (rc == 0)
		*view = fresh;
	return rc;
}

int reader_fetch(struct reader *r, uint64_t off, uint64_t len,
		 const struct oss_sink *to, struct oss_reply *reply)
{
	struct read_cache *c = r->cache;

	if (off >= r->size)
		return 0;
	if (len > r->size - off)
		len = r->size - off;
	if (len == 0)
		return 0;
	return get_range(r, off, len,
			 c->conf.deadline_ms + (int64_t)(len / SLOWEST), to,
			 reply);
}
