/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Inside the staging module:
 *
 *     staging.c          THE tables of states; transitions
 *     staging_make.c     new files
 *     staging_props.c    names, properties, parts
 *     staging_row.c      memory -> journal: snapshots, claims
 *     staging_durable.c  bytes that a durable row speaks of
 *     staging_io.c       bytes and ranges
 *     staging_store.c    the store: list, totals, start and stop
 *     staging_recover.c  after a start
 *     staging_record.c   properties and closes as the journal keeps them
 *     staging_list.c     the journal's view, for ackctl
 */
#ifndef ACKFS_STATE_STAGING_INT_H
#define ACKFS_STATE_STAGING_INT_H

#include <stdatomic.h>

#include "state/budget.h"
#include "state/db.h"
#include "state/extents.h"
#include "state/journal.h"
#include "state/staging.h"
#include "util/lock.h"

/** What the row on the disk says of the bytes. */
enum claim {
	CLAIM_NONE,      /* nothing: they may change */
	CLAIM_COMMITTED, /* that they are whole; it survives the process */
	CLAIM_DURABLE,   /* the same; it survives power loss */
};

enum io_kind {
	IO_WRITE,     /* overlaps with other writes: theirs to sort out */
	IO_FILL,      /* base bytes into gaps: alone on its range */
	IO_EXCLUSIVE, /* truncate, punch, clone: alone on its range */
};

/** Work on the file that is going on outside the lock. */
struct io_op {
	enum io_kind kind;
	uint64_t start, end;
	uint64_t reserved; /* of the budget */
	struct io_op *next;
};

struct staging {
	struct staging_store *store;
	atomic_int refs;
	int64_t id;
	/* Guarded by store->lock. */
	struct staging *prev, *next;
	bool is_listed;
	enum staging_state pub_state;
	int64_t pub_closed_ms;

	struct lock lock; /* guards all that follows */
	struct cond changed;
	int fd; /* -1: not opened yet */
	char *key;
	enum staging_state state;
	/* What the row says: differs after staging_reopen() until the first
	   change. */
	enum staging_state row_state;
	enum claim claim;
	bool promised, superseded, is_discarded;
	bool is_unclaiming, is_freezing; /* a row is on its way */
	int64_t created_ms, closed_ms, close_seq, next_try_ms;
	int attempts, last_errno;
	char *last_error;

	uint64_t size;
	uint64_t generation;
	uint64_t synced_generation; /* fdatasync has seen this one */
	bool is_dir_synced;
	struct {
		uint64_t posted;    /* their generation, the latest; 0: none */
		uint64_t committed; /* of those that are there for sure */
		uint64_t room;      /* charged for them */
	} row_bytes;                /* staging_durable.c */
	int sync_error;   /* -errno of an fsync that failed: for good */
	uint64_t charged; /* to the budget */
	struct io_op *ops;
	size_t op_count;

	/* Bytes of the base show through below base_limit, where `local` has
	   no range.  From base_limit on everything is local and changed. */
	struct staging_base *base; /* NULL: base_limit is 0 */
	uint64_t base_limit;
	struct extents local, changed_ranges;

	struct staging_props props;
	struct staging_close close;
	bool has_close;
	char *upload_id;
	uint64_t part_size;
	unsigned dirty; /* enum journal_part: not in the journal yet */
	/* A row in no hurry, until its commit is told: the next one says it
	   too. */
	struct row_job *later;
	uint64_t row_seq;    /* rows posted so far */
	bool is_row_durable; /* the last of them has been fsynced */
	bool is_row_stale;   /* one could not be written, none was since */
};

struct staging_store {
	struct db *db;
	char *dir, *aside; /* paths */
	int dirfd;         /* of staging/ */
	struct budget *budget;
	char boot_id[64];
	struct lock lock; /* guards what follows; a leaf */
	struct staging *head;
	uint64_t count;
	int64_t next_id, next_close_seq;
	int64_t *unlinked; /* ids whose rows may be erased */
	size_t unlinked_count;
};

/* -- staging_store.c -------------------------------------------------------- */

/* Before a reservation.  Files that are stored go with a commit that nobody is in
   a hurry for: whoever needs their room is. */
void store_make_room(struct staging_store *st, uint64_t bytes);

enum { STAGING_NAME_LEN = 24 };
/** The id of such a name. @return false: it is none */
bool staging_file_id(const char *name, int64_t *id);
/** The file's name in staging/. @return out */
const char *staging_file_name(char out[STAGING_NAME_LEN], int64_t id);
/** Without file and row; one reference. @return 0 or -ENOMEM */
int staging_alloc(struct staging_store *st, const char *key, int64_t id,
		  struct staging **out);
/** Into the list, which owns a reference of its own. */
void store_add(struct staging_store *st, struct staging *s);
/** Out of it; gives the list's reference back. */
void store_remove(struct staging_store *st, struct staging *s);
/** The totals see this state from here on. Call with s->lock held. */
void store_publish_locked(struct staging *s) ACK_REQUIRES(s->lock);
int64_t store_next_close_seq(struct staging_store *st);
int64_t store_next_id(struct staging_store *st);
/** An id whose file is gone: its row is erased with a later write. */
void store_note_unlinked(struct staging_store *st, int64_t id);
/** Erase the rows noted. Runs on the writer thread; what is rolled back then is
 *  left to the next start. */
int store_erase_unlinked(sqlite3 *sql, struct staging_store *st);

/* -- staging_props.c -------------------------------------------------------- */

/** Copies; the ranges are the caller's to set. @return 0 or -ENOMEM */
int staging_set_base_locked(struct staging *s, const struct staging_base *base)
	ACK_REQUIRES(s->lock);

/* -- staging_row.c ---------------------------------------------------------- */

/** A snapshot of a row on its way. */
struct row_job;
/**
 * Take the row's place in the journal's order. Call with s->lock held; then
 * staging_row_wait() without it (flags without DB_NOWAIT).
 * @param job  NULL for DB_NOWAIT
 * @return 0 (a discarded file: *job is NULL), -ENOMEM
 */
int staging_row_post_locked(struct staging *s, int flags, struct row_job **job)
	ACK_REQUIRES(s->lock);
/** The same, with what staging_make_safe() has read; taken. */
int staging_row_post_bytes_locked(struct staging *s,
				  struct journal_bytes *bytes, int flags,
				  struct row_job **job) ACK_REQUIRES(s->lock);
/** A row in no hurry need not be written any more. */
void staging_row_retract_locked(struct staging *s) ACK_REQUIRES(s->lock);
/** @return 0 or -errno of the commit; frees the job (NULL: 0) */
int staging_row_wait(struct row_job *job);
/** The row on the disk says nothing of the bytes any more: before the first
 *  change.  Drops the lock while it waits. */
int staging_unclaim_locked(struct staging *s) ACK_REQUIRES(s->lock);
/** Read ranges back. @return 0, -ENOMEM, -EINVAL */
int staging_ranges_unpack(struct staging *s, const struct journal_blob *b);

/* -- staging_durable.c ------------------------------------------------------ */

/**
 * Before a row that is to be durable: the file is fsynced, or its bytes are read,
 * to go with that row.  Call without the lock.
 * @param for_row  empty; free blob.data
 * @return 0, -errno of this or any earlier fsync of the file
 */
int staging_make_safe(struct staging *s, struct journal_bytes *for_row);
/** Has fsync seen the bytes as they are now? */
bool staging_is_synced_locked(const struct staging *s) ACK_REQUIRES(s->lock);
/** Has the row the bytes as they are now? */
bool staging_has_row_bytes_locked(const struct staging *s)
	ACK_REQUIRES(s->lock);
/** What so many bytes take in the journal. */
uint64_t staging_row_room(uint64_t len);

/* -- staging_io.c ---------------------------------------------------------- */

/** Opens the file if need be. @return descriptor or -errno */
int staging_fd_locked(struct staging *s) ACK_REQUIRES(s->lock);
/** No write, truncate, clone or unclaim is under way. */
void staging_wait_idle_locked(struct staging *s) ACK_REQUIRES(s->lock);
/** Waits until nothing is in its way; changes nobody's bytes. */
void staging_op_begin_locked(struct staging *s, struct io_op *op)
	ACK_REQUIRES(s->lock);
/** Ends the operation and settles the budget. */
void staging_op_end_locked(struct staging *s, struct io_op *op)
	ACK_REQUIRES(s->lock);
/** The budget is told what the file really takes. */
void staging_charge_locked(struct staging *s, uint64_t reserved)
	ACK_REQUIRES(s->lock);

#ifdef ACK_DEBUG
void staging_check_invariants_locked(const struct staging *s)
	ACK_REQUIRES(s->lock);
#else
static inline void staging_check_invariants_locked(const struct staging *s)
{
	(void)s;
}
#endif

static inline void staging_lock(struct staging *s) ACK_ACQUIRE(s->lock)
{
	lock_acquire(&s->lock);
	staging_check_invariants_locked(s);
}

static inline void staging_unlock(struct staging *s) ACK_RELEASE(s->lock)
{
	staging_check_invariants_locked(s);
	lock_release(&s->lock);
}

static inline void staging_putp(struct staging **s)
{
	staging_put(*s);
}

#endif
