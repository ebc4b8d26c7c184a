/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The inside of download/, shared by its four parts:
 *
 *     reader.c   the interface: one read, step by step
 *     stream.c   read-ahead: what to ask for next, and how much at once
 *     fetch.c    one running GET, and the threads that run them
 *     buffers.c  blocks, their lists and their bound
 *
 * One lock guards everything here; it is never held over a transfer, and the
 * bytes of a running GET are handed out without it (fetch.pos).
 *
 * A block of a reader is, by (fetch, pins, list):
 *
 *     state    | meaning
 *     ---------+----------------------------------------------------------
 *     filling  | fetch set, on no list: the fetch's thread writes behind
 *              | max(filled, fetch->pos)
 *     pinned   | pins > 0, on no list: a view shows it
 *     recent   | idle, may be read (again); evicted after all spent ones
 *     spent    | idle, every byte was handed out; only a few are kept
 *     orphan   | reader NULL, pins > 0: freed by the last unpin
 *     free     | a buffer without a reader
 *
 * Only recent and spent ones are evicted: so nobody ever waits for a buffer.
 * A fetch that gets none ends with -ENOBUFS, and who needs its bytes reads
 * them into memory of its own.
 */
#ifndef ACKFS_DOWNLOAD_CACHE_H
#define ACKFS_DOWNLOAD_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

#include "download/reader.h"
#include "util/lock.h"

#define BLOCK_SIZE ((uint64_t)64 << 10)
#define NOT_WANTED UINT64_MAX

/** What a view holds: a block, or private memory behind it. */
struct hold {
	struct read_cache *cache; /* NULL: private, free() it */
};

enum block_list { BLOCK_NONE, BLOCK_RECENT, BLOCK_SPENT, BLOCK_FREE };

struct block {
	struct hold hold; /* first */
	struct reader *reader;
	uint64_t no; /* offset / BLOCK_SIZE */
	char *data;
	uint64_t filled; /* valid bytes; while filling at least these */
	uint64_t handed; /* bytes that views have shown */
	struct fetch *fetch;
	int pins;
	enum block_list list;
	int64_t used_ms;
	struct block *prev, *next;
	UT_hash_handle hh;
};

/** One GET.  pos, wanted and cancel are shared with the thread that runs it;
 *  the rest is under the lock. */
struct fetch {
	struct reader *reader;
	/* A line of the processor's cache of their own. */
	_Alignas(64) _Atomic uint64_t pos;
	_Atomic uint64_t wanted; /* pos that somebody waits for */
	atomic_bool cancel;
	uint64_t arrived;                 /* the runner's own position */
	struct block *block;              /* being filled */
	_Alignas(64) uint64_t start, end; /* end: a block's or the object's */
	bool whole; /* the object in one: its sum decides about its end */
	bool ended;
	int err;
	struct oss_reply reply;
	uint64_t limit; /* not further than the window */
	bool blocked;   /* stands at it */
	int waiters;
	int refs; /* the runner's and the waiters' */
	struct cond moved;
	struct cond room;
	struct read_pos *owner; /* whose window; NULL: one read's */
	bool shared;            /* another reader counted on it */
	unsigned generation;    /* of tuning */
	int64_t started_us, first_us, blocked_us;
	struct fetch *prev, *next; /* of the reader */
	struct fetch *queued;      /* for a thread */
};

struct reader {
	struct read_cache *cache;
	char *id; /* etag, size and key: the table's */
	const char *key;
	char *etag; /* NULL: any */
	uint64_t size;
	int refs;
	struct block *blocks; /* by no */
	struct fetch *fetches;
	UT_hash_handle hh;
};

/** See stream.c. */
struct read_pos {
	struct reader *reader;
	uint64_t end;    /* of the furthest read of this streak */
	uint64_t streak; /* bytes read in sequence */
	unsigned reads;  /* reads of this streak */
	uint64_t ahead;  /* asked for up to here */
	bool any;        /* it was read from */
	bool from_start;
	int running; /* fetches that it owns */
	bool active; /* among cache->streams */
	int64_t used_ms;
	struct read_pos *prev, *next;
};

/** What was learned about the network; see stream.c. */
struct tuning {
	int parallel;
	int before; /* parallel before the trial; 0: no trial */
	bool settled;
	bool believed; /* one connection to be fast, by short GETs */
	unsigned generation;
	uint64_t bytes; /* of this generation, */
	int64_t body_us;
	int count;
	double best;       /* bytes a microsecond of all, before the trial */
	double rate;       /* of one connection */
	double latency_us; /* to the first byte */
};

struct read_cache {
	struct lock lock;
	struct store store;
	struct read_conf conf;
	bool stopping;
	struct reader *readers;
	/* buffers.c */
	uint64_t max_blocks, blocks;
	struct block *recent, *spent, *free;
	uint64_t recent_count, spent_count, free_count;
	/* fetch.c */
	int threads, idle, queue_len, running;
	struct fetch *queue;
	struct cond work;
	struct cond gone; /* threads or running became 0 */
	/* stream.c */
	struct read_pos *streams; /* least recently read first */
	struct tuning tuning;
};

int64_t now_us(void);

/* ---- buffers.c --------------------------------------------------------- */

/** Bytes of the object in block no. */
uint64_t block_len(const struct reader *r, uint64_t no);
/** Its valid bytes, a running fetch's included. */
uint64_t block_valid(const struct block *b);
struct block *block_find_locked(struct read_cache *c, struct reader *r,
				uint64_t no) ACK_REQUIRES(c->lock);
/** A new, empty block of r, on no list. @return NULL: all are in use */
struct block *block_take_locked(struct read_cache *c, struct reader *r,
				uint64_t no) ACK_REQUIRES(c->lock);
/** Take an idle block off its list. */
void block_unlist_locked(struct read_cache *c, struct block *b)
	ACK_REQUIRES(c->lock);
void block_pin_locked(struct read_cache *c, struct block *b)
	ACK_REQUIRES(c->lock);
void block_unpin_locked(struct read_cache *c, struct block *b)
	ACK_REQUIRES(c->lock);
/** On to a list if nobody fills or shows it; away if it is empty. */
void block_settle_locked(struct read_cache *c, struct block *b)
	ACK_REQUIRES(c->lock);
/** The reader forgets it. */
void block_drop_locked(struct read_cache *c, struct block *b)
	ACK_REQUIRES(c->lock);
/** How many can be had without waiting. */
uint64_t blocks_available_locked(struct read_cache *c) ACK_REQUIRES(c->lock);
/** Give back what was last used before then. */
void blocks_trim_locked(struct read_cache *c, int64_t before_ms)
	ACK_REQUIRES(c->lock);

/* ---- fetch.c ----------------------------------------------------------- */

/** Add a fetch to r; it must be run or given to a thread. @return NULL: no
 *  memory */
struct fetch *fetch_add_locked(struct read_cache *c, struct reader *r,
			       uint64_t start, uint64_t end)
	ACK_REQUIRES(c->lock);
/** Run it on this thread; the lock is dropped meanwhile. @return its error */
int fetch_run_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock);
/** Hand it to a thread. @return false: there is none, the fetch is gone */
bool fetch_start_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock);
/** Wait until its bytes below end are there, it ended, or the deadline. */
bool fetch_wait_locked(struct read_cache *c, struct fetch *f, uint64_t end,
		       int64_t deadline_ms) ACK_REQUIRES(c->lock);
void fetch_put_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock);
void fetch_cancel_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock);
/** The fetch that will bring the byte at off soon, if any. */
struct fetch *fetch_find_locked(struct read_cache *c, struct reader *r,
				uint64_t off) ACK_REQUIRES(c->lock);
/** A thread that frees idle buffers, if there is none. */
void fetch_need_thread_locked(struct read_cache *c) ACK_REQUIRES(c->lock);

/* ---- stream.c ---------------------------------------------------------- */

void stream_init(struct read_cache *c);
/** A read of [off, end) begins: keep the window ahead of it filled, if so
 *  wanted. */
void stream_read_locked(struct read_cache *c, struct read_pos *p, uint64_t off,
			uint64_t end, bool fill) ACK_REQUIRES(c->lock);
/** The byte at off is neither there nor coming: ask for it as part of the
 *  window. @return whether it is coming now */
bool stream_refill_locked(struct read_cache *c, struct read_pos *p,
			  uint64_t off) ACK_REQUIRES(c->lock);
/** Let go of the window. */
void stream_end_locked(struct read_cache *c, struct read_pos *p)
	ACK_REQUIRES(c->lock);
/** A fetch ended: learn from it. */
void stream_learn_locked(struct read_cache *c, struct fetch *f)
	ACK_REQUIRES(c->lock);
/** How far a fetch may be behind a byte that is waited for. */
uint64_t stream_reach_locked(struct read_cache *c) ACK_REQUIRES(c->lock);

/* ---- reader.c ---------------------------------------------------------- */

/** Free r if nobody knows it any more. */
void reader_drop_locked(struct read_cache *c, struct reader *r)
	ACK_REQUIRES(c->lock);

#endif
