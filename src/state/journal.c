/* SPDX-License-Identifier: Apache-2.0 */
#include "state/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state/sql.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/log.h"

static const char *const state_names[] = {
	[STAGING_OPEN] = "open",
	[STAGING_HELD] = "held",
	[STAGING_CLOSED] = "closed",
	[STAGING_UPLOADING] = "uploading",
	[STAGING_RETRYING] = "retrying",
	[STAGING_DONE] = "done",
	[STAGING_INCOMPLETE] = "incomplete",
};

/* A row whose file may be unlinked. */
#define STATE_GONE "gone"

const char *staging_state_name(enum staging_state s)
{
	return state_names[s];
}

static int state_parse(const char *text, enum staging_state *out)
{
	for (size_t i = 0; text && i < ARRAY_LEN(state_names); i++)
		if (strcmp(text, state_names[i]) == 0) {
			*out = (enum staging_state)i;
			return 0;
		}
	return -EINVAL;
}

void journal_row_release(struct journal_row *r)
{
	free(r->key);
	free(r->last_error);
	*r = (struct journal_row){0};
}

void journal_bytes_release(struct journal_bytes *b)
{
	free(b->blob.data);
	*b = (struct journal_bytes){0};
}

void journal_detail_release(struct journal_detail *d)
{
	free(d->props.data);
	free(d->close.data);
	free(d->ranges.data);
	free(d->base);
	free(d->upload_id);
	journal_bytes_release(&d->bytes);
	*d = (struct journal_detail){0};
}

int journal_put(sqlite3 *sql, const struct journal_row *r)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(
		sql,
		"INSERT OR REPLACE INTO staged(id, key, state, promised,"
		" superseded, synced, size, created_ms, closed_ms, close_seq,"
		" next_try_ms, attempts, last_errno, last_error, generation)"
		" VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
		&st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, r->id);
	sql_bind_text(st, 2, r->key);
	sql_bind_text(st, 3, staging_state_name(r->state));
	sqlite3_bind_int(st, 4, r->promised);
	sqlite3_bind_int(st, 5, r->superseded);
	sqlite3_bind_int(st, 6, r->synced);
	sql_bind_u64(st, 7, r->size);
	sqlite3_bind_int64(st, 8, r->created_ms);
	sqlite3_bind_int64(st, 9, r->closed_ms);
	sqlite3_bind_int64(st, 10, r->close_seq);
	sqlite3_bind_int64(st, 11, r->next_try_ms);
	sqlite3_bind_int(st, 12, r->attempts);
	sqlite3_bind_int(st, 13, r->last_errno);
	sql_bind_text(st, 14, r->last_error ? r->last_error : "");
	sql_bind_u64(st, 15, r->generation);
	return sql_run(st);
}

static void bind_opt_blob(sqlite3_stmt *st, int at,
			  const struct journal_blob *b)
{
	if (b->data)
		sql_bind_blob(st, at, b->data, b->len);
}

static const char put_detail[] =
	"INSERT INTO staged_detail(id, props, close, ranges, base_key,"
	" base_etag, base_size, base_modified_ms, upload_id, part_size, bytes,"
	" bytes_generation) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"
	" ON CONFLICT(id) DO UPDATE SET"
	" props=iif(?13, ?2, props), close=iif(?14, ?3, close),"
	" ranges=iif(?15, ?4, ranges), base_key=iif(?16, ?5, base_key),"
	" base_etag=iif(?16, ?6, base_etag),"
	" base_size=iif(?16, ?7, base_size),"
	" base_modified_ms=iif(?16, ?8, base_modified_ms),"
	" upload_id=iif(?17, ?9, upload_id),"
	" part_size=iif(?17, ?10, part_size), bytes=iif(?18, ?11, bytes),"
	" bytes_generation=iif(?18, ?12, bytes_generation)";

static void bind_detail(sqlite3_stmt *st, unsigned parts,
			const struct journal_detail *d)
{
	static const unsigned flags[] = {JOURNAL_PROPS,  JOURNAL_CLOSE,
					 JOURNAL_RANGES, JOURNAL_BASE,
					 JOURNAL_UPLOAD, JOURNAL_BYTES};

	bind_opt_blob(st, 2, &d->props);
	bind_opt_blob(st, 3, &d->close);
	bind_opt_blob(st, 4, &d->ranges);
	if (d->base) {
		sql_bind_text(st, 5, d->base->key);
		sql_bind_text(st, 6, d->base->etag);
		sql_bind_u64(st, 7, d->base->size);
		sqlite3_bind_int64(st, 8, d->base->modified_ms);
	}
	if (parts & JOURNAL_UPLOAD) {
		sql_bind_text(st, 9, d->upload_id);
		sql_bind_u64(st, 10, d->part_size);
	}
	if (d->bytes.blob.data) {
		bind_opt_blob(st, 11, &d->bytes.blob);
		sql_bind_u64(st, 12, d->bytes.generation);
	}
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		sqlite3_bind_int(st, 13 + (int)i, (parts & flags[i]) != 0);
}

int journal_put_detail(sqlite3 *sql, int64_t id, unsigned parts,
		       const struct journal_detail *d)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, put_detail, &st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, id);
	bind_detail(st, parts, d);
	rc = sql_run(st);
	if (rc == 0 && parts & JOURNAL_UPLOAD && !d->upload_id)
		rc = journal_clear_parts(sql, id);
	return rc;
}

int journal_bury(sqlite3 *sql, int64_t id)
{
	int rc = sql_run_id(sql,
			    "UPDATE staged SET state='" STATE_GONE "'"
			    " WHERE id=?1",
			    id);

	if (rc == 0)
		rc = sql_run_id(sql, "DELETE FROM staged_detail WHERE id=?1",
				id);
	if (rc == 0)
		rc = journal_clear_parts(sql, id);
	return rc;
}

int journal_erase(sqlite3 *sql, int64_t id)
{
	return sql_run_id(sql, "DELETE FROM staged WHERE id=?1", id);
}

int journal_graves(sqlite3 *sql, int (*fn)(void *arg, int64_t id), void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(
		sql, "SELECT id FROM staged WHERE state='" STATE_GONE "'", &st);

	if (rc < 0)
		return rc;
	while ((rc = sql_step(st)) > 0) {
		rc = fn(arg, sqlite3_column_int64(st, 0));
		if (rc != 0)
			return rc;
	}
	return rc;
}

/* Borrowed text of a column; sqlite's memory until the next step. */
static char *col_text(sqlite3_stmt *st, int at)
{
	union {
		const unsigned char *in;
		char *out;
	} u = {.in = sqlite3_column_text(st, at)};

	return u.out;
}

static struct journal_blob col_blob(sqlite3_stmt *st, int at)
{
	union {
		const void *in;
		void *out;
	} u = {.in = sqlite3_column_blob(st, at)};

	return (struct journal_blob){u.out,
				     (size_t)sqlite3_column_bytes(st, at)};
}

/* Columns of the SELECT in journal_walk(). @return 0, -EINVAL */
static int read_row(sqlite3_stmt *st, struct journal_row *r)
{
	*r = (struct journal_row){
		.id = sqlite3_column_int64(st, 0),
		.key = col_text(st, 1),
		.promised = sqlite3_column_int(st, 3) != 0,
		.superseded = sqlite3_column_int(st, 4) != 0,
		.synced = sqlite3_column_int(st, 5) != 0,
		.size = (uint64_t)sqlite3_column_int64(st, 6),
		.created_ms = sqlite3_column_int64(st, 7),
		.closed_ms = sqlite3_column_int64(st, 8),
		.close_seq = sqlite3_column_int64(st, 9),
		.next_try_ms = sqlite3_column_int64(st, 10),
		.attempts = sqlite3_column_int(st, 11),
		.last_errno = sqlite3_column_int(st, 12),
		.last_error = col_text(st, 13),
		.generation = (uint64_t)sqlite3_column_int64(st, 23),
	};
	if (!r->key)
		return -EINVAL;
	return state_parse(col_text(st, 2), &r->state);
}

static void read_detail(sqlite3_stmt *st, struct journal_detail *d,
			struct staging_base *base)
{
	*d = (struct journal_detail){
		.props = col_blob(st, 14),
		.close = col_blob(st, 15),
		.ranges = col_blob(st, 16),
		.upload_id = col_text(st, 21),
		.part_size = (uint64_t)sqlite3_column_int64(st, 22),
		.bytes.generation = (uint64_t)sqlite3_column_int64(st, 24),
	};
	if (sqlite3_column_type(st, 17) == SQLITE_NULL)
		return;
	sql_col_copy(st, 17, base->key, sizeof(base->key));
	sql_col_copy(st, 18, base->etag, sizeof(base->etag));
	base->size = (uint64_t)sqlite3_column_int64(st, 19);
	base->modified_ms = sqlite3_column_int64(st, 20);
	d->base = base;
}

int journal_walk(sqlite3 *sql,
		 int (*fn)(void *arg, const struct journal_row *r,
			   const struct journal_detail *d),
		 void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct staging_base base;
	struct journal_detail d;
	struct journal_row r;
	int rc = sql_get(
		sql,
		"SELECT s.id, key, state, promised, superseded, synced, size,"
		" created_ms, closed_ms, close_seq, next_try_ms, attempts,"
		" last_errno, last_error, props, close, ranges, base_key,"
		" base_etag, base_size, base_modified_ms, upload_id, part_size,"
		" generation, bytes_generation"
		" FROM staged s LEFT JOIN staged_detail d ON d.id = s.id"
		" WHERE state <> '" STATE_GONE "'"
		" ORDER BY close_seq = 0, close_seq, s.id",
		&st);

	if (rc < 0)
		return rc;
	while ((rc = sql_step(st)) > 0) {
		if (read_row(st, &r) < 0) {
			log_err("journal: unreadable row left alone: id=%lld",
				(long long)sqlite3_column_int64(st, 0));
			continue;
		}
		read_detail(st, &d, &base);
		rc = fn(arg, &r, &d);
		if (rc != 0)
			return rc;
	}
	return rc;
}

int journal_get_bytes(sqlite3 *sql, int64_t id, struct journal_bytes *out)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct journal_blob b;
	int rc = sql_get(sql,
			 "SELECT bytes, bytes_generation FROM staged_detail"
			 " WHERE id=?1 AND bytes_generation IS NOT NULL",
			 &st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, id);
	rc = sql_step(st);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	b = col_blob(st, 0);
	out->blob.data = malloc(b.len + 1); /* none at all are bytes too */
	if (!out->blob.data)
		return -ENOMEM;
	if (b.len > 0)
		memcpy(out->blob.data, b.data, b.len);
	out->blob.len = b.len;
	out->generation = (uint64_t)sqlite3_column_int64(st, 1);
	return 0;
}

int journal_set_all_synced(sqlite3 *sql)
{
	return sql_exec(sql, "UPDATE staged SET synced=1 WHERE synced=0;"
			     "UPDATE staged_detail"
			     " SET bytes=NULL, bytes_generation=NULL"
			     " WHERE bytes_generation IS NOT NULL");
}

int journal_highest(sqlite3 *sql, int64_t *id, int64_t *close_seq)
{
	long long max_id = 0, max_seq = 0;
	int rc = sql_int(sql, "SELECT max(id) FROM staged", 0, &max_id);

	if (rc == 0)
		rc = sql_int(sql, "SELECT max(close_seq) FROM staged", 0,
			     &max_seq);
	if (rc < 0)
		return rc;
	*id = max_id;
	*close_seq = max_seq;
	return 0;
}

int journal_add_part(sqlite3 *sql, int64_t id, const struct staging_part *p)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql,
			 "INSERT OR REPLACE INTO parts(staged_id, number, off,"
			 " len, crc64, etag) VALUES(?1,?2,?3,?4,?5,?6)",
			 &st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int(st, 2, p->number);
	sql_bind_u64(st, 3, p->off);
	sql_bind_u64(st, 4, p->len);
	sql_bind_u64(st, 5, p->crc64);
	sql_bind_text(st, 6, p->etag);
	return sql_run(st);
}

int journal_clear_parts(sqlite3 *sql, int64_t id)
{
	return sql_run_id(sql, "DELETE FROM parts WHERE staged_id=?1", id);
}

static int append_part(sqlite3_stmt *st, struct staging_part **list,
		       size_t *count)
{
	struct staging_part *more =
		reallocarray(*list, *count + 1, sizeof(**list));

	if (!more)
		return -ENOMEM;
	*list = more;
	more += (*count)++;
	*more = (struct staging_part){
		.number = sqlite3_column_int(st, 0),
		.off = (uint64_t)sqlite3_column_int64(st, 1),
		.len = (uint64_t)sqlite3_column_int64(st, 2),
		.crc64 = (uint64_t)sqlite3_column_int64(st, 3),
	};
	sql_col_copy(st, 4, more->etag, sizeof(more->etag));
	return 0;
}

int journal_parts(sqlite3 *sql, int64_t id, struct staging_part **parts,
		  size_t *count)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	AUTO_FREE struct staging_part *list = NULL;
	size_t n = 0;
	int rc = sql_get(sql,
			 "SELECT number, off, len, crc64, etag FROM parts"
			 " WHERE staged_id=?1 ORDER BY number",
			 &st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, id);
	while ((rc = sql_step(st)) > 0) {
		rc = append_part(st, &list, &n);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		return rc;
	*parts = take_ptr(list);
	*count = n;
	return 0;
}

int journal_meta_get(sqlite3 *sql, const char *name, char **value)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, "SELECT value FROM meta WHERE name=?1", &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, name);
	rc = sql_step(st);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	return sql_col_dup(st, 0, value);
}

int journal_meta_set(sqlite3 *sql, const char *name, const char *value)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(
		sql, "INSERT OR REPLACE INTO meta(name, value) VALUES(?1,?2)",
		&st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, name);
	sql_bind_text(st, 2, value);
	return sql_run(st);
}
