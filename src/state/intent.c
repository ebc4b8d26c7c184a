/* SPDX-License-Identifier: Apache-2.0 */
/* Renames under way; the interface stands in objmeta.h. */
#include <errno.h>
#include <stdlib.h>

#include "state/db.h"
#include "state/objmeta.h"
#include "state/sql.h"
#include "util/base.h"

enum { STAGED = 2 }; /* in the column `copied` */

struct adding {
	const struct intent *intent;
	int64_t id;
};

static int run_add(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct adding *a = arg;
	int rc = sql_get(sql,
			 "INSERT INTO intents(src, dst, src_etag, copied,"
			 " staged_id) VALUES(?1,?2,?3,?4,?5)",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, a->intent->src);
	sql_bind_text(st, 2, a->intent->dst);
	sql_bind_text(st, 3, a->intent->src_etag);
	sqlite3_bind_int(st, 4,
			 a->intent->is_staged ? STAGED : a->intent->copied);
	sqlite3_bind_int64(st, 5, a->intent->staged_id);
	rc = sql_run(st);
	if (rc == 0)
		a->id = sqlite3_last_insert_rowid(sql);
	return rc;
}

int intent_add(struct db *db, const struct intent *i, int64_t *id)
{
	struct adding a = {.intent = i};
	/* What follows a removal's is in the journal too. */
	int rc = db_write(db, run_add, &a, *i->dst ? DB_DURABLE : DB_WAIT);

	if (rc == 0)
		*id = a.id;
	return rc;
}

static int run_set_copied(sqlite3 *sql, void *arg)
{
	return sql_run_id(sql, "UPDATE intents SET copied=1 WHERE id=?1",
			  *(const int64_t *)arg);
}

int intent_set_copied(struct db *db, int64_t id)
{
	return db_write(db, run_set_copied, &id, DB_WAIT);
}

static int run_remove(sqlite3 *sql, void *arg)
{
	return sql_run_id(sql, "DELETE FROM intents WHERE id=?1",
			  *(const int64_t *)arg);
}

int intent_remove(struct db *db, int64_t id)
{
	return db_write(db, run_remove, &id, DB_WAIT);
}

struct intent_list {
	struct intent *items;
	size_t count;
};

static void intent_list_release(struct intent_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].src);
		free(l->items[i].dst);
	}
	free(l->items);
}

static int add_item(sqlite3_stmt *st, struct intent_list *l)
{
	struct intent *more =
		reallocarray(l->items, l->count + 1, sizeof(*more));
	int rc;

	if (!more)
		return -ENOMEM;
	l->items = more;
	more += l->count++;
	*more = (struct intent){
		.id = sqlite3_column_int64(st, 0),
		.copied = sqlite3_column_int(st, 4) == 1,
		.is_staged = sqlite3_column_int(st, 4) == STAGED,
		.staged_id = sqlite3_column_int64(st, 5),
	};
	sql_col_copy(st, 3, more->src_etag, sizeof(more->src_etag));
	rc = sql_col_dup(st, 1, &more->src);
	return rc < 0 ? rc : sql_col_dup(st, 2, &more->dst);
}

static int run_list(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql,
			 "SELECT id, src, dst, src_etag, copied, staged_id"
			 " FROM intents ORDER BY id",
			 &st);

	if (rc < 0)
		return rc;
	while ((rc = sql_step(st)) > 0) {
		rc = add_item(st, arg);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int intent_walk(struct db *db, void (*fn)(void *arg, const struct intent *i),
		void *arg)
{
	AUTO(intent_list_release) struct intent_list l = {0};
	int rc = db_read(db, run_list, &l);

	for (size_t i = 0; rc == 0 && i < l.count; i++)
		fn(arg, &l.items[i]);
	return rc;
}
