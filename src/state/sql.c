/* SPDX-License-Identifier: Apache-2.0 */
#include "state/sql.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int sql_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_TOOBIG:
		return -EMSGSIZE;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	default:
		return -EIO;
	}
}

int sql_exec(sqlite3 *sql, const char *text)
{
	return sql_errno(sqlite3_exec(sql, text, NULL, NULL, NULL));
}

/* The connection's own list of statements is the cache: some dozens, the
   latest first. */
static sqlite3_stmt *find_idle(sqlite3 *sql, const char *text)
{
	sqlite3_stmt *st = NULL;

	while ((st = sqlite3_next_stmt(sql, st)))
		if (strcmp(sqlite3_sql(st), text) == 0 &&
		    !sqlite3_stmt_busy(st))
			return st;
	return NULL;
}

int sql_get(sqlite3 *sql, const char *text, sqlite3_stmt **out)
{
	sqlite3_stmt *st = find_idle(sql, text);

	if (!st) {
		int code = sqlite3_prepare_v3(
			sql, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);

		if (code != SQLITE_OK)
			return sql_errno(code);
	}
	*out = st;
	return 0;
}

int sql_prepare(sqlite3 *sql, const char *text, sqlite3_stmt **out)
{
	return sql_errno(sqlite3_prepare_v2(sql, text, -1, out, NULL));
}

void sql_done(sqlite3_stmt **st)
{
	if (!*st)
		return;
	sqlite3_reset(*st);
	sqlite3_clear_bindings(*st);
	*st = NULL;
}

void sql_finalize(sqlite3_stmt **st)
{
	sqlite3_finalize(*st);
	*st = NULL;
}

int sql_step(sqlite3_stmt *st)
{
	int code = sqlite3_step(st);

	return code == SQLITE_ROW ? 1 : sql_errno(code);
}

int sql_run(sqlite3_stmt *st)
{
	int rc;

	do
		rc = sql_step(st);
	while (rc > 0);
	return rc;
}

int sql_run_id(sqlite3 *sql, const char *text, long long id)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, text, &st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, id);
	return sql_run(st);
}

int sql_int(sqlite3 *sql, const char *text, long long value_if_none,
	    long long *out)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, text, &st);

	if (rc == 0)
		rc = sql_step(st);
	if (rc < 0)
		return rc;
	*out = rc > 0 && sqlite3_column_type(st, 0) != SQLITE_NULL
		       ? sqlite3_column_int64(st, 0)
		       : value_if_none;
	return 0;
}

void sql_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

void sql_bind_blob(sqlite3_stmt *st, int at, const void *data, size_t len)
{
	sqlite3_bind_blob64(st, at, data, len, SQLITE_STATIC);
}

void sql_bind_u64(sqlite3_stmt *st, int at, unsigned long long value)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)value);
}

int sql_bind_kvs(sqlite3_stmt *st, int at, const struct kvs *list)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	int rc;

	kvs_pack(&b, list);
	rc = buf_error(&b);
	if (rc < 0)
		return rc;
	return sql_errno(sqlite3_bind_blob64(st, at, buf_str(&b), b.len,
					     SQLITE_TRANSIENT));
}

int sql_col_dup(sqlite3_stmt *st, int at, char **out)
{
	const char *text = (const char *)sqlite3_column_text(st, at);

	if (!text && sqlite3_column_type(st, at) != SQLITE_NULL)
		return -ENOMEM;
	return str_set(out, text);
}

void sql_col_copy(sqlite3_stmt *st, int at, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(st, at);

	snprintf(out, size, "%s", text ? text : "");
}

int sql_col_kvs(sqlite3_stmt *st, int at, struct kvs *out)
{
	const void *data = sqlite3_column_blob(st, at);
	int len = sqlite3_column_bytes(st, at);

	return data && len > 0 ? kvs_unpack(data, (size_t)len, out) : 0;
}

void kvs_pack(struct buf *out, const struct kvs *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct kv *kv = &list->items[i];
		const char *value = kv->value ? kv->value : "";

		buf_add(out, kv->name, strlen(kv->name) + 1);
		buf_add(out, value, strlen(value) + 1);
	}
}

int kvs_unpack(const void *data, size_t len, struct kvs *out)
{
	const char *p = data;
	const char *end = p + len;

	while (p < end) {
		const char *name = p;
		const char *value = memchr(p, '\0', (size_t)(end - p));
		const char *stop;
		int rc;

		if (!value || ++value == end)
			return -EINVAL;
		stop = memchr(value, '\0', (size_t)(end - value));
		if (!stop)
			return -EINVAL;
		rc = kvs_add(out, name, value);
		if (rc < 0)
			return rc;
		p = stop + 1;
	}
	return 0;
}
