/* SPDX-License-Identifier: Apache-2.0 */
#include "state/cbvars.h"

#include <errno.h>
#include <string.h>

#include "state/db_int.h"
#include "state/sql.h"

/* Most buckets have none: then a close asks nothing.  Once there was one, the
   rows are asked until the database is opened again. */
enum { ANY_UNKNOWN, ANY_NONE, ANY_SOME };

struct change {
	const char *key, *name, *value;
};

static int set_fn(sqlite3 *sql, void *arg)
{
	const struct change *c = arg;
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = sql_get(
		sql,
		c->value ? "INSERT OR REPLACE INTO cbvars(key, name, value)"
			   " VALUES(?1, ?2, ?3)"
			 : "DELETE FROM cbvars WHERE key = ?1 AND name = ?2",
		&st);
	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, c->key);
	sql_bind_text(st, 2, c->name);
	if (c->value)
		sql_bind_text(st, 3, c->value);
	rc = sql_run(st);
	if (rc == 0 && !c->value && sqlite3_changes(sql) == 0)
		rc = -ENODATA;
	return rc;
}

int cbvars_set(struct db *db, const char *key, const char *name,
	       const char *value)
{
	struct change c = {key, name, value};
	int rc = db_write(db, set_fn, &c, DB_WAIT);

	/* After the commit: who has looked before it cannot undo this. */
	if (rc == 0 && value)
		atomic_store(&db->cbvars, ANY_SOME);
	return rc;
}

static int any_fn(sqlite3 *sql, void *arg)
{
	return sql_int(sql, "SELECT EXISTS(SELECT 1 FROM cbvars)", 0, arg);
}

bool cbvars_any(struct db *db)
{
	int known = atomic_load(&db->cbvars);
	int unknown = ANY_UNKNOWN;
	long long some = 0;

	if (known != ANY_UNKNOWN)
		return known == ANY_SOME;
	/* What cannot be read is asked again, and its reader told why. */
	if (db_read(db, any_fn, &some) < 0)
		return true;
	atomic_compare_exchange_strong(&db->cbvars, &unknown,
				       some ? ANY_SOME : ANY_NONE);
	return some != 0;
}

struct question {
	const char *key;
	struct kvs *out;
};

/* A name that is there already stays. */
static int add_rows(sqlite3 *sql, const char *key, struct kvs *out)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = sql_get(sql,
		     "SELECT name, value FROM cbvars WHERE key = ?1"
		     " ORDER BY name",
		     &st);
	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, key);
	while ((rc = sql_step(st)) > 0) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		const char *value = (const char *)sqlite3_column_text(st, 1);

		if (!name || !value || kvs_get(out, name))
			continue;
		if (kvs_add(out, name, value) < 0)
			return -ENOMEM;
	}
	return rc;
}

static int get_fn(sqlite3 *sql, void *arg)
{
	const struct question *q = arg;

	return add_rows(sql, q->key, q->out);
}

int cbvars_get(struct db *db, const char *key, struct kvs *out)
{
	struct question q = {.key = key, .out = out};

	return cbvars_any(db) ? db_read(db, get_fn, &q) : 0;
}

/* "a/b/c", "a/b/", "a/", "" */
static int inherited_fn(sqlite3 *sql, void *arg)
{
	const struct question *q = arg;
	char key[1024];
	size_t len = strlen(q->key);
	int rc;

	if (len >= sizeof(key))
		return -ENAMETOOLONG;
	memcpy(key, q->key, len + 1);
	for (;;) {
		rc = add_rows(sql, key, q->out);
		if (rc < 0 || len == 0)
			return rc;
		do
			len--;
		while (len && key[len - 1] != '/');
		key[len] = '\0';
	}
}

int cbvars_inherited(struct db *db, const char *key, struct kvs *out)
{
	struct question q = {.key = key, .out = out};

	return cbvars_any(db) ? db_read(db, inherited_fn, &q) : 0;
}

struct move {
	const char *src, *dst;
};

/* Of the key itself; a folder's, of all below: keys from "a/" to "a0". */
static const char range[] = "(key = ?1 OR (substr(?1, -1) = '/' AND"
			    " key >= ?1 AND key < rtrim(?1, '/') || '0'))";

static int move_fn(sqlite3 *sql, void *arg)
{
	const struct move *m = arg;
	AUTO(sql_finalize) sqlite3_stmt *st = NULL;
	AUTO(buf_release) struct buf text = BUF_INIT;
	int rc;

	if (m->dst)
		buf_addf(&text,
			 "UPDATE OR REPLACE cbvars SET key = ?2 ||"
			 " substr(key, length(?1) + 1) WHERE %s",
			 range);
	else
		buf_addf(&text, "DELETE FROM cbvars WHERE %s", range);
	rc = buf_error(&text);
	if (rc == 0)
		rc = sql_prepare(sql, buf_str(&text), &st);
	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, m->src);
	if (m->dst)
		sql_bind_text(st, 2, m->dst);
	return sql_run(st);
}

int cbvars_move(struct db *db, const char *src, const char *dst)
{
	struct move m = {src, dst};

	return db_write(db, move_fn, &m, DB_WAIT);
}
