/* SPDX-License-Identifier: Apache-2.0 */
#include "state/mpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state/db.h"
#include "state/sql.h"
#include "util/base.h"
#include "util/buf.h"

struct note {
	const char *key, *upload_id;
};

static int run_note(sqlite3 *sql, void *arg)
{
	const struct note *n = arg;
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql,
			 "INSERT OR REPLACE INTO uploads(upload_id, key)"
			 " VALUES(?1, ?2)",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, n->upload_id);
	sql_bind_text(st, 2, n->key);
	return sql_run(st);
}

int mpu_note(struct db *db, const char *key, const char *upload_id)
{
	struct note n = {key, upload_id};

	return db_write(db, run_note, &n, DB_WAIT);
}

static int run_forget(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, "DELETE FROM uploads WHERE upload_id = ?1", &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, arg);
	return sql_run(st);
}

int mpu_forget(struct db *db, const char *upload_id)
{
	char *copy = strdup(upload_id);

	return copy ? db_write_nowait(db, run_forget, copy, free, DB_NOWAIT)
		    : -ENOMEM;
}

struct walk {
	struct kvs found; /* upload id -> key */
};

static int run_walk(sqlite3 *sql, void *arg)
{
	struct walk *w = arg;
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(
		sql,
		"SELECT upload_id, key FROM uploads WHERE upload_id NOT IN"
		" (SELECT upload_id FROM staged_detail"
		"  WHERE upload_id IS NOT NULL) ORDER BY rowid",
		&st);

	kvs_release(&w->found);
	while (rc >= 0 && (rc = sql_step(st)) > 0) {
		AUTO_FREE char *id = NULL;
		AUTO_FREE char *key = NULL;

		rc = sql_col_dup(st, 0, &id);
		if (rc == 0)
			rc = sql_col_dup(st, 1, &key);
		if (rc == 0)
			rc = kvs_add(&w->found, id, key);
	}
	return rc;
}

int mpu_walk_orphans(struct db *db,
		     void (*fn)(void *arg, const char *key,
				const char *upload_id),
		     void *arg)
{
	struct walk w = {.found = KVS_INIT};
	/* On the writer's connection: it sees what is still queued. */
	int rc = db_write(db, run_walk, &w, DB_WAIT);

	for (size_t i = 0; rc == 0 && i < w.found.count; i++)
		fn(arg, w.found.items[i].value, w.found.items[i].name);
	kvs_release(&w.found);
	return rc;
}
