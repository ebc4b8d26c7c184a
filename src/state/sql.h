/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * SQLite in the words of this project: statements that are prepared once for a
 * connection, errno for result codes, strings and lists in columns.
 *
 *     AUTO(sql_done) sqlite3_stmt *st = NULL;
 *     rc = sql_get(sql, "SELECT ... WHERE id = ?1", &st);
 *     if (rc < 0)
 *             return rc;
 *     sqlite3_bind_int64(st, 1, id);
 *     while ((rc = sql_step(st)) > 0)
 *             ...
 *
 * Layer    state.
 * Threads  none: whoever holds the connection.
 */
#ifndef ACKFS_STATE_SQL_H
#define ACKFS_STATE_SQL_H

#include <stddef.h>

#include <sqlite3.h>

#include "util/buf.h"
#include "util/kv.h"

/** -errno of an SQLite result code; 0 for SQLITE_OK, ROW and DONE. */
int sql_errno(int code);
/** Run statements without results. @return 0 or -errno */
int sql_exec(sqlite3 *sql, const char *text);
/** A statement kept by the connection under its text; give back with
 *  sql_done(). Only for constant texts. @return 0 or -errno */
int sql_get(sqlite3 *sql, const char *text, sqlite3_stmt **out);
/** For AUTO(): reset, ready for the next sql_get(). */
void sql_done(sqlite3_stmt **st);
/** For AUTO(): statements of sql_prepare(). */
void sql_finalize(sqlite3_stmt **st);
/** @return 1: a row, 0: the end, -errno */
int sql_step(sqlite3_stmt *st);
/** Step to the end. @return 0 or -errno */
int sql_run(sqlite3_stmt *st);
/** A constant statement whose one parameter is an id. @return 0 or -errno */
int sql_run_id(sqlite3 *sql, const char *text, long long id);
/** One number; value_if_none when there is no row. @return 0 or -errno */
int sql_int(sqlite3 *sql, const char *text, long long value_if_none,
	    long long *out);

/** A statement for one use; AUTO(sql_finalize). @return 0 or -errno */
int sql_prepare(sqlite3 *sql, const char *text, sqlite3_stmt **out);

/** Borrowed until sql_done(). NULL becomes SQL's. */
void sql_bind_text(sqlite3_stmt *st, int at, const char *text);
void sql_bind_blob(sqlite3_stmt *st, int at, const void *data, size_t len);
void sql_bind_u64(sqlite3_stmt *st, int at, unsigned long long value);
/** A list, packed; copied. @return 0 or -ENOMEM */
int sql_bind_kvs(sqlite3_stmt *st, int at, const struct kvs *list);

/** A column's text on the heap, NULL for SQL's. @return 0 or -ENOMEM */
int sql_col_dup(sqlite3_stmt *st, int at, char **out);
/** A column's text, cut to fit. */
void sql_col_copy(sqlite3_stmt *st, int at, char *out, size_t size);
/** @return 0, -ENOMEM, -EINVAL */
int sql_col_kvs(sqlite3_stmt *st, int at, struct kvs *out);

/** "name\0value\0..." : any bytes but NUL survive, twins and order too. */
void kvs_pack(struct buf *out, const struct kvs *list);
/** Appends to out. @return 0, -ENOMEM, -EINVAL (not so packed) */
int kvs_unpack(const void *data, size_t len, struct kvs *out);

#endif
