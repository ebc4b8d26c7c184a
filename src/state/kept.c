/* SPDX-License-Identifier: Apache-2.0 */
#include "state/kept.h"

#include <errno.h>
#include <stdlib.h>

#include "state/sql.h"
#include "util/base.h"

enum { ROW_BYTES = 512 }; /* what a row takes beside its bytes */

struct put {
	char *delivery_id;
	struct buf bytes;
};

static void put_free(void *arg)
{
	struct put *p = arg;

	free(p->delivery_id);
	buf_release(&p->bytes);
	free(p);
}

static int insert(sqlite3 *sql, const struct put *p, long long id)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql,
			 "INSERT OR REPLACE INTO kept(id, delivery_id, bytes)"
			 " VALUES(?1,?2,?3)",
			 &st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, id);
	sql_bind_text(st, 2, p->delivery_id);
	sql_bind_blob(st, 3, p->bytes.data, p->bytes.len);
	return sql_run(st);
}

/* Ids grow by what each row takes: which ones are too many needs no sum. */
static int run_put(sqlite3 *sql, void *arg)
{
	const struct put *p = arg;
	long long id = 0;
	int rc = sql_int(sql, "SELECT max(id) FROM kept", 0, &id);

	id += (long long)p->bytes.len + ROW_BYTES;
	if (rc == 0)
		rc = insert(sql, p, id);
	/* An id is where its row ends; the oldest may begin a file before. */
	if (rc == 0)
		rc = sql_run_id(sql, "DELETE FROM kept WHERE id <= ?1",
				id - (long long)(KEPT_ALL_MAX - KEPT_FILE_MAX));
	return rc;
}

int kept_put(struct db *db, const char *delivery_id, struct buf *bytes)
{
	struct put *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->bytes = *bytes;
	*bytes = (struct buf)BUF_INIT;
	if (str_set(&p->delivery_id, delivery_id) < 0) {
		put_free(p);
		return -ENOMEM;
	}
	return db_write_nowait(db, run_put, p, put_free, DB_LATER);
}

struct get {
	const char *delivery_id;
	struct buf *out;
};

static int run_get(sqlite3 *sql, void *arg)
{
	const struct get *g = arg;
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, "SELECT bytes FROM kept WHERE delivery_id=?1",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, g->delivery_id);
	rc = sql_step(st);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	buf_add(g->out, sqlite3_column_blob(st, 0),
		(size_t)sqlite3_column_bytes(st, 0));
	return buf_error(g->out);
}

int kept_get(struct db *db, const char *delivery_id, struct buf *out)
{
	struct get g = {delivery_id, out};

	return db_read(db, run_get, &g);
}

/* Some pages of what went are given back to the disk; the rest is used again. */
static int run_prune(sqlite3 *sql, void *arg)
{
	int *gone = arg;
	int rc = sql_exec(sql, "DELETE FROM kept WHERE delivery_id NOT IN"
			       " (SELECT a.delivery_id FROM outcomes o"
			       "  JOIN attempts a ON a.id = o.attempt_id"
			       "  WHERE o.state = 'failed' AND o.given_up = 0"
			       "  AND o.next_try_ms > 0"
			       "  AND a.delivery_id IS NOT NULL)");

	if (rc < 0)
		return rc;
	*gone = sqlite3_changes(sql);
	return *gone ? sql_exec(sql, "PRAGMA incremental_vacuum(1024)") : 0;
}

int kept_prune(struct db *db)
{
	int gone = 0;
	int rc = db_write(db, run_prune, &gone, DB_WAIT);

	return rc < 0 ? rc : gone;
}
