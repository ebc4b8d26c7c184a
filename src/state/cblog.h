/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The callback log: one row an attempt, never rewritten, and for each object
 * the outcome that belongs to its present version.
 *
 * A rename moves the outcome; the attempts keep the key that was sent.
 *
 * Layer    state.
 * Threads  any; a caller of the writing functions waits for a commit.
 */
#ifndef ACKFS_STATE_CBLOG_H
#define ACKFS_STATE_CBLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/kv.h"

struct db;

/** Which version of an object a record is about (fuse-facts 13). */
struct object_id {
	char etag[72];
	uint64_t size;
	int64_t modified_ms;  /* whole seconds; 0: not known */
	char version_id[128]; /* "": not versioned */
};

/** The same version? By version id where both have one, else ETag without
 *  case, size, and Last-Modified within 2 s where both know it. */
bool object_id_equal(const struct object_id *a, const struct object_id *b);

struct cb_record {
	int64_t id;
	char *key;
	struct object_id object;
	char *delivery_id;
	char *rule;
	int state;       /* enum callback_state's numbers, as text in SQL */
	int64_t time_ms; /* when the attempt ended: clock_real_ms() */
	int64_t elapsed_ms;
	int attempt; /* 1, 2, ... of this delivery */
	int oss_status, server_status;
	char *response;
	size_t response_len;
	char *response_type;
	char *error, *error_code, *ec, *request_id;
	char *url, *host, *body, *body_type;
	struct kvs vars;
	uint32_t uid;
	char *process;
	/* repeating it */
	int64_t next_try_ms; /* clock_real_ms(); 0: none planned */
	int64_t give_up_ms;
	bool given_up;
};

void cb_record_release(struct cb_record *r);

/** Add an attempt; it becomes the outcome of its key. r->id is not used.
 *  @param flags  DB_WAIT, DB_DURABLE; DB_LATER: a write that is waited for
 *                follows at once (copies; a failure is logged)
 *  @return 0 or -errno */
int cblog_add(struct db *db, const struct cb_record *r, int flags);
/** The outcome of a key's present version. @return 0; -ENOENT: none, or of
 *  another version; -errno */
int cblog_outcome(struct db *db, const char *key, const struct object_id *id,
		  struct cb_record *out);
/** The last attempts of a key, newest first. *records: cb_records_free(). */
int cblog_history(struct db *db, const char *key, size_t limit,
		  struct cb_record **records, size_t *count);
void cb_records_free(struct cb_record *records, size_t count);
/** Our own copy or rename: the outcome moves along and belongs to new_id (NULL:
 *  the version stays); no outcome at src, none at dst. dst NULL: forget it.
 *  src equal to dst: the object was copied onto itself. */
int cblog_move(struct db *db, const char *src, const char *dst,
	       const struct object_id *new_id);
/** Of the outcome of a key. @return 0, -ENOENT, -errno */
int cblog_set_retry(struct db *db, const char *key, int64_t next_try_ms,
		    bool given_up);

struct cblog_filter {
	int64_t since_ms, until_ms; /* 0: open */
	int64_t after_id;           /* for --follow */
	const char *key_glob;       /* util/glob; NULL: all */
	const char *key_prefix;
	int state;        /* -1: all */
	bool latest_only; /* the outcome rows alone */
	bool due_only;    /* failed, next_try_ms set, not given up */
	size_t limit;     /* 0: all */
	bool newest_first;
};
/** fn is called with records in id order, holding no lock, and may write to the
 *  log; non-zero ends the walk. One record is in memory at a time.
 *  With latest_only and due_only the key and version are the present ones.
 *  @return 0, fn's, -errno */
int cblog_walk(struct db *db, const struct cblog_filter *f,
	       int (*fn)(void *arg, const struct cb_record *r), void *arg);

struct cblog_totals {
	uint64_t ok, failed, given_up, none, retrying;
};
/** Of present outcomes; retrying ones are not among the failed. */
int cblog_totals(struct db *db, struct cblog_totals *out);
/**
 * Retention. Outcomes of present versions stay.
 * @param older_than_ms  attempts that ended before go (clock_real_ms(); 0: none)
 * @param keep_count     all but the newest so many go (0: none)
 * @return rows gone, or -errno
 */
int cblog_prune(struct db *db, int64_t older_than_ms, uint64_t keep_count);

#endif
