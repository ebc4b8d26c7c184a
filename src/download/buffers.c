/* SPDX-License-Identifier: Apache-2.0 */
#include "download/cache.h"

#include <sys/mman.h>

#include <utlist.h>

#include "util/clock.h"

/* Spent blocks serve readers that are a little behind; the kernel's page cache
   has them too.  Few of them, so that buffers are used again while they are
   in the processor's cache. */
#define SPENT_MAX ((uint64_t)128)

uint64_t block_len(const struct reader *r, uint64_t no)
{
	uint64_t left = r->size - no * BLOCK_SIZE;

	return left < BLOCK_SIZE ? left : BLOCK_SIZE;
}

uint64_t block_valid(const struct block *b)
{
	uint64_t start = b->no * BLOCK_SIZE;
	uint64_t pos = b->fetch ? atomic_load(&b->fetch->pos) : 0;
	uint64_t n = pos > start ? pos - start : 0;

	if (n > BLOCK_SIZE)
		n = BLOCK_SIZE;
	return n > b->filled ? n : b->filled;
}

struct block *block_find_locked(struct read_cache *c, struct reader *r,
				uint64_t no)
{
	struct block *b = NULL;

	(void)c;
	HASH_FIND(hh, r->blocks, &no, sizeof(no), b);
	return b;
}

/* Each buffer is a mapping of its own: giving it back gives memory back. */
static struct block *buffer_new(struct read_cache *c)
{
	struct block *b = calloc(1, sizeof(*b));
	void *m;

	if (!b)
		return NULL;
	m = mmap(NULL, BLOCK_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED) {
		free(b);
		return NULL;
	}
	b->data = m;
	b->hold.cache = c;
	return b;
}

static void buffer_free(struct block *b)
{
	munmap(b->data, BLOCK_SIZE);
	free(b);
}

void block_unlist_locked(struct read_cache *c, struct block *b)
{
	switch (b->list) {
	case BLOCK_NONE:
		return;
	case BLOCK_RECENT:
		DL_DELETE(c->recent, b);
		c->recent_count--;
		break;
	case BLOCK_SPENT:
		DL_DELETE(c->spent, b);
		c->spent_count--;
		break;
	case BLOCK_FREE:
		DL_DELETE(c->free, b);
		c->free_count--;
		break;
	}
	b->list = BLOCK_NONE;
}

static void set_free_locked(struct read_cache *c, struct block *b)
	ACK_REQUIRES(c->lock)
{
	b->reader = NULL;
	b->list = BLOCK_FREE;
	b->used_ms = clock_mono_ms();
	DL_PREPEND(c->free, b);
	c->free_count++;
}

static void forget_locked(struct read_cache *c, struct block *b)
	ACK_REQUIRES(c->lock)
{
	block_unlist_locked(c, b);
	HASH_DEL(b->reader->blocks, b);
	b->reader = NULL;
}

void block_drop_locked(struct read_cache *c, struct block *b)
{
	forget_locked(c, b);
	if (b->pins == 0)
		set_free_locked(c, b);
}

static struct block *evict_locked(struct read_cache *c) ACK_REQUIRES(c->lock)
{
	struct block *b = c->spent ? c->spent : c->recent;
	struct reader *r;

	if (!b)
		return NULL;
	r = b->reader;
	forget_locked(c, b);
	reader_drop_locked(c, r);
	return b;
}

static struct block *buffer_get_locked(struct read_cache *c)
	ACK_REQUIRES(c->lock)
{
	struct block *b = c->free;

	if (b) {
		block_unlist_locked(c, b);
		return b;
	}
	if (c->blocks < c->max_blocks) {
		b = buffer_new(c);
		if (b) {
			c->blocks++;
			fetch_need_thread_locked(c);
			return b;
		}
	}
	return evict_locked(c);
}

struct block *block_take_locked(struct read_cache *c, struct reader *r,
				uint64_t no)
{
	struct block *b;

	r->refs++; /* evicting its last block must not free it */
	b = buffer_get_locked(c);
	r->refs--;
	if (!b)
		return NULL;
	b->reader = r;
	b->no = no;
	b->filled = 0;
	b->handed = 0;
	b->fetch = NULL;
	b->pins = 0;
	HASH_ADD(hh, r->blocks, no, sizeof(b->no), b);
	if (!b->hh.tbl) { /* no memory for the table */
		set_free_locked(c, b);
		return NULL;
	}
	return b;
}

void block_pin_locked(struct read_cache *c, struct block *b)
{
	block_unlist_locked(c, b);
	b->pins++;
}

static void list_spent_locked(struct read_cache *c, struct block *b)
	ACK_REQUIRES(c->lock)
{
	uint64_t max = c->max_blocks / 4;

	DL_APPEND(c->spent, b);
	b->list = BLOCK_SPENT;
	c->spent_count++;
	if (max > SPENT_MAX)
		max = SPENT_MAX;
	if (c->spent_count > max)
		b = evict_locked(c);
	else
		b = NULL;
	if (b)
		set_free_locked(c, b);
}

void block_settle_locked(struct read_cache *c, struct block *b)
{
	struct reader *r = b->reader;

	if (b->fetch || b->pins > 0 || b->list != BLOCK_NONE)
		return;
	b->used_ms = clock_mono_ms();
	if (!r) {
		set_free_locked(c, b);
	} else if (b->filled == 0) {
		block_drop_locked(c, b);
		reader_drop_locked(c, r);
	} else if (b->handed >= block_len(r, b->no)) {
		list_spent_locked(c, b);
	} else {
		DL_APPEND(c->recent, b);
		b->list = BLOCK_RECENT;
		c->recent_count++;
	}
}

void block_unpin_locked(struct read_cache *c, struct block *b)
{
	b->pins--;
	block_settle_locked(c, b);
}

uint64_t blocks_available_locked(struct read_cache *c)
{
	return c->max_blocks - c->blocks + c->free_count + c->recent_count +
	       c->spent_count;
}

/* The lists are in the order of use: stop at the first that is young. */
static void drop_old_locked(struct read_cache *c, struct block **list,
			    int64_t before_ms) ACK_REQUIRES(c->lock)
{
	while (*list && (*list)->used_ms < before_ms) {
		struct block *b = *list;
		struct reader *r = b->reader;

		forget_locked(c, b);
		reader_drop_locked(c, r);
		c->blocks--;
		buffer_free(b);
	}
}

void blocks_trim_locked(struct read_cache *c, int64_t before_ms)
{
	drop_old_locked(c, &c->spent, before_ms);
	drop_old_locked(c, &c->recent, before_ms);
	while (c->free && c->free->prev->used_ms < before_ms) {
		struct block *b = c->free->prev; /* the oldest */

		block_unlist_locked(c, b);
		c->blocks--;
		buffer_free(b);
	}
}
