/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The SQL of staged files: rows as they stand on the disk.
 *
 * A row never leaves at once: it is buried first (state "gone"), then the
 * file is unlinked, then the row erased; so a crash in between finds a file
 * whose row says that nobody wants it, never a file without a row.
 *
 * Layer    state.
 * Threads  whoever holds the connection: functions for db_write(), db_read().
 */
#ifndef ACKFS_STATE_JOURNAL_H
#define ACKFS_STATE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "state/staging.h"

/** What changes with the file's state. */
struct journal_row {
	int64_t id;
	char *key;
	enum staging_state state;
	bool promised;   /* OPEN: nothing written since a FLUSH was answered */
	bool superseded; /* a newer close made it void */
	bool synced; /* the bytes that this row speaks of were fsynced before */
	uint64_t size;
	uint64_t generation; /* of the bytes */
	int64_t created_ms, closed_ms, next_try_ms;
	int64_t close_seq; /* the order of closes */
	int attempts, last_errno;
	char *last_error; /* NULL: none */
};

/** Columns of staged_detail, each written by itself. */
enum journal_part {
	JOURNAL_PROPS = 1,
	JOURNAL_CLOSE = 2,
	JOURNAL_RANGES = 4,
	JOURNAL_BASE = 8,
	JOURNAL_UPLOAD = 16,
	JOURNAL_BYTES = 32,
};

struct journal_blob {
	void *data; /* NULL: SQL's NULL */
	size_t len;
};

/** The bytes of a small file, as they were at this generation. */
struct journal_bytes {
	struct journal_blob blob; /* data NULL: none */
	uint64_t generation;      /* 0: none */
};

struct journal_detail {
	struct journal_blob props;  /* props_pack() */
	struct journal_blob close;  /* close_pack() */
	struct journal_blob ranges; /* base_limit, local, changed */
	struct staging_base *base;
	char *upload_id;
	uint64_t part_size;
	struct journal_bytes bytes; /* journal_walk() leaves the blob out */
};

void journal_row_release(struct journal_row *r);
void journal_bytes_release(struct journal_bytes *b);
void journal_detail_release(struct journal_detail *d);

/** Insert or replace. @return 0 or -errno, as all that follow */
int journal_put(sqlite3 *sql, const struct journal_row *r);
/** @param parts  of enum journal_part */
int journal_put_detail(sqlite3 *sql, int64_t id, unsigned parts,
		       const struct journal_detail *d);
int journal_bury(sqlite3 *sql, int64_t id);
int journal_erase(sqlite3 *sql, int64_t id);
/** Of rows buried, files unlinked: what a crash left. */
int journal_graves(sqlite3 *sql, int (*fn)(void *arg, int64_t id), void *arg);
/** Rows in order of close, those never closed last; fn's strings are borrowed.
 *  A non-zero result of fn ends the walk and is returned. */
int journal_walk(sqlite3 *sql,
		 int (*fn)(void *arg, const struct journal_row *r,
			   const struct journal_detail *d),
		 void *arg);
/** Those in the row. @return 0, -ENOENT, -errno; free out->blob.data */
int journal_get_bytes(sqlite3 *sql, int64_t id, struct journal_bytes *out);
/** A clean stop has fsynced everything: no row needs bytes of its own. */
int journal_set_all_synced(sqlite3 *sql);
/** The highest id and close_seq in use; 0: none. */
int journal_highest(sqlite3 *sql, int64_t *id, int64_t *close_seq);

int journal_add_part(sqlite3 *sql, int64_t id, const struct staging_part *p);
int journal_clear_parts(sqlite3 *sql, int64_t id);
int journal_parts(sqlite3 *sql, int64_t id, struct staging_part **parts,
		  size_t *count);

/** @return 0, -ENOENT, -errno; *value: free it */
int journal_meta_get(sqlite3 *sql, const char *name, char **value);
int journal_meta_set(sqlite3 *sql, const char *name, const char *value);

#endif
