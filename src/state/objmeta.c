/* SPDX-License-Identifier: Apache-2.0 */
#include "state/objmeta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state/db.h"
#include "state/sql.h"
#include "util/base.h"
#include "util/buf.h"

/* Two tables with these columns: what was seen, which also numbers its rows in
   the order they came, and what is wanted. */
#define COLUMNS                                                                \
	" etag, size, modified_ms, version_id, content_type, meta, kept,"      \
	" storage_class, crc64, tag_count "
#define VALUES "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12"

enum { PRUNE_STEP = 500 };

void objmeta_release(struct objmeta *m)
{
	free(m->content_type);
	free(m->storage_class);
	kvs_release(&m->meta);
	kvs_release(&m->kept);
	*m = (struct objmeta){0};
}

/* From one owner to another. */
static void objmeta_take(struct objmeta *to, struct objmeta *from)
{
	*to = *from;
	*from = (struct objmeta){0};
}

static int objmeta_copy(struct objmeta *dst, const struct objmeta *src)
{
	AUTO(objmeta_release)
	struct objmeta n = {
		.id = src->id,
		.crc64 = src->crc64,
		.has_crc64 = src->has_crc64,
		.tag_count = src->tag_count,
	};
	int rc = str_set(&n.content_type, src->content_type);

	if (rc == 0)
		rc = str_set(&n.storage_class, src->storage_class);
	if (rc == 0)
		rc = kvs_copy(&n.meta, &src->meta);
	if (rc == 0)
		rc = kvs_copy(&n.kept, &src->kept);
	if (rc < 0)
		return rc;
	objmeta_take(dst, &n);
	return 0;
}

/* -- rows -------------------------------------------------------------------- */

/* ?at and ?at+1: the folder with its '/', and the name in it; a marker's name
   keeps its own '/'. */
static void bind_key(sqlite3_stmt *st, int at, const char *key)
{
	size_t len = strlen(key);
	size_t dir = len > 0 ? len - 1 : 0;

	while (dir > 0 && key[dir - 1] != '/')
		dir--;
	sqlite3_bind_text(st, at, key, (int)dir, SQLITE_STATIC);
	sql_bind_text(st, at + 1, key + dir);
}

static int put_row(sqlite3 *sql, const char *text, const char *key,
		   const struct objmeta *m)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, text, &st);

	if (rc < 0)
		return rc;
	bind_key(st, 1, key);
	sql_bind_text(st, 3, m->id.etag);
	sql_bind_u64(st, 4, m->id.size);
	sqlite3_bind_int64(st, 5, m->id.modified_ms);
	sql_bind_text(st, 6, m->id.version_id);
	sql_bind_text(st, 7, m->content_type);
	rc = sql_bind_kvs(st, 8, &m->meta);
	if (rc == 0)
		rc = sql_bind_kvs(st, 9, &m->kept);
	sql_bind_text(st, 10, m->storage_class);
	if (m->has_crc64)
		sql_bind_u64(st, 11, m->crc64);
	sqlite3_bind_int(st, 12, m->tag_count);
	return rc < 0 ? rc : sql_run(st);
}

/* Column 0 is the name or key, then COLUMNS. */
static void read_id(sqlite3_stmt *st, struct object_id *id)
{
	sql_col_copy(st, 1, id->etag, sizeof(id->etag));
	id->size = (uint64_t)sqlite3_column_int64(st, 2);
	id->modified_ms = sqlite3_column_int64(st, 3);
	sql_col_copy(st, 4, id->version_id, sizeof(id->version_id));
}

static int read_row(sqlite3_stmt *st, struct objmeta *m)
{
	AUTO(objmeta_release) struct objmeta n = {0};
	int rc = sql_col_dup(st, 5, &n.content_type);

	read_id(st, &n.id);
	if (rc == 0)
		rc = sql_col_kvs(st, 6, &n.meta);
	if (rc == 0)
		rc = sql_col_kvs(st, 7, &n.kept);
	if (rc == 0)
		rc = sql_col_dup(st, 8, &n.storage_class);
	if (rc < 0)
		return rc;
	n.has_crc64 = sqlite3_column_type(st, 9) != SQLITE_NULL;
	n.crc64 = (uint64_t)sqlite3_column_int64(st, 9);
	n.tag_count = sqlite3_column_int(st, 10);
	objmeta_take(m, &n);
	return 0;
}

/* -- writes that nobody waits for ---------------------------------------------- */

/* Owns its strings. */
struct meta_job {
	char *key, *dst;
	struct objmeta m;
	struct object_id new_id;
	bool has_new_id;
};

static void meta_job_free(void *arg)
{
	struct meta_job *j = arg;

	if (!j)
		return;
	free(j->key);
	free(j->dst);
	objmeta_release(&j->m);
	free(j);
}

static void meta_job_freep(struct meta_job **j)
{
	meta_job_free(*j);
}

static int meta_job_new(const char *key, const char *dst, struct meta_job **out)
{
	AUTO(meta_job_freep) struct meta_job *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return -ENOMEM;
	rc = str_set(&j->key, key);
	if (rc == 0)
		rc = str_set(&j->dst, dst);
	if (rc < 0)
		return rc;
	*out = take_ptr(j);
	return 0;
}

/* -- what was seen ------------------------------------------------------------- */

static int run_put(sqlite3 *sql, void *arg)
{
	const struct meta_job *j = arg;

	return put_row(sql,
		       "INSERT OR REPLACE INTO objmeta(dir, name," COLUMNS
		       ", seq) VALUES(" VALUES
		       ", (SELECT ifnull(max(seq), 0) + 1 FROM objmeta))",
		       j->key, &j->m);
}

int objmeta_put(struct db *db, const char *key, const struct objmeta *m,
		int flags)
{
	AUTO(meta_job_freep) struct meta_job *j = NULL;
	int rc = meta_job_new(key, NULL, &j);

	if (rc == 0)
		rc = objmeta_copy(&j->m, m);
	return rc < 0 ? rc
		      : db_write_nowait(db, run_put, take_ptr(j), meta_job_free,
					flags);
}

static int delete_key(sqlite3 *sql, const char *text, const char *key)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, text, &st);

	if (rc < 0)
		return rc;
	bind_key(st, 1, key);
	return sql_run(st);
}

static int forget(sqlite3 *sql, const char *key)
{
	return delete_key(sql, "DELETE FROM objmeta WHERE dir=?1 AND name=?2",
			  key);
}

static int set_key(sqlite3 *sql, const struct meta_job *j)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(
		sql,
		"UPDATE objmeta SET dir=?3, name=?4 WHERE dir=?1 AND name=?2",
		&st);

	if (rc < 0)
		return rc;
	bind_key(st, 1, j->key);
	bind_key(st, 3, j->dst);
	return sql_run(st);
}

static int set_version(sqlite3 *sql, const struct meta_job *j)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql,
			 "UPDATE objmeta SET etag=?3, size=?4, modified_ms=?5,"
			 " version_id=?6 WHERE dir=?1 AND name=?2",
			 &st);

	if (rc < 0)
		return rc;
	bind_key(st, 1, j->dst);
	sql_bind_text(st, 3, j->new_id.etag);
	sql_bind_u64(st, 4, j->new_id.size);
	sqlite3_bind_int64(st, 5, j->new_id.modified_ms);
	sql_bind_text(st, 6, j->new_id.version_id);
	return sql_run(st);
}

static int run_move(sqlite3 *sql, void *arg)
{
	const struct meta_job *j = arg;
	int rc = 0;

	if (!j->dst)
		return forget(sql, j->key);
	if (strcmp(j->key, j->dst) != 0) {
		rc = forget(sql, j->dst);
		if (rc == 0)
			rc = set_key(sql, j);
	}
	return rc < 0 || !j->has_new_id ? rc : set_version(sql, j);
}

int objmeta_move(struct db *db, const char *src, const char *dst,
		 const struct object_id *new_id)
{
	struct meta_job *j = NULL;
	int rc = meta_job_new(src, dst, &j);

	if (rc < 0)
		return rc;
	j->has_new_id = new_id != NULL;
	if (new_id)
		j->new_id = *new_id;
	return db_write_nowait(db, run_move, j, meta_job_free, DB_NOWAIT);
}

struct meta_prune {
	uint64_t keep;
	int gone; /* in the last step */
};

static int run_prune_step(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct meta_prune *p = arg;
	int rc = sql_get(sql,
			 "DELETE FROM objmeta WHERE (dir, name) IN"
			 " (SELECT dir, name FROM objmeta WHERE seq <="
			 "  (SELECT max(seq) FROM objmeta) - ?1"
			 "  ORDER BY seq LIMIT ?2)",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_u64(st, 1, p->keep);
	sqlite3_bind_int(st, 2, PRUNE_STEP);
	rc = sql_run(st);
	if (rc < 0)
		return rc;
	p->gone = sqlite3_changes(sql);
	return sql_exec(sql, "PRAGMA incremental_vacuum(256)");
}

/* In steps, so that nobody's close() waits for a long one. */
int objmeta_prune(struct db *db, uint64_t keep)
{
	struct meta_prune p = {.keep = keep};
	int gone = 0, rc;

	do {
		rc = db_write(db, run_prune_step, &p, DB_WAIT);
		gone += rc < 0 ? 0 : p.gone;
	} while (rc == 0 && p.gone == PRUNE_STEP);
	return rc < 0 ? rc : gone;
}

struct meta_query {
	const char *key;
	const struct object_id *id;
	struct objmeta *out;
};

static int run_get(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	const struct meta_query *q = arg;
	struct object_id has = {0};
	int rc = sql_get(sql,
			 "SELECT name," COLUMNS "FROM objmeta"
			 " WHERE dir=?1 AND name=?2",
			 &st);

	if (rc < 0)
		return rc;
	bind_key(st, 1, q->key);
	rc = sql_step(st);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	read_id(st, &has);
	if (q->id && !object_id_equal(&has, q->id))
		return -ENOENT;
	return read_row(st, q->out);
}

int objmeta_get(struct db *db, const char *key, const struct object_id *id,
		struct objmeta *out)
{
	struct meta_query q = {key, id, out};

	return db_read(db, run_get, &q);
}

/* -- lists, gathered before anybody is called ---------------------------------- */

struct meta_list {
	const char *dir, *first, *last;
	char **keys;
	struct objmeta *metas;
	size_t count, cap;
};

static void meta_list_release(struct meta_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->keys[i]);
		objmeta_release(&l->metas[i]);
	}
	free(l->keys);
	free(l->metas);
}

static int meta_list_grow(struct meta_list *l)
{
	size_t cap = l->cap > 0 ? l->cap * 2 : 64;
	struct objmeta *metas;
	char **keys;

	if (l->count < l->cap)
		return 0;
	keys = reallocarray(l->keys, cap, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	l->keys = keys;
	metas = reallocarray(l->metas, cap, sizeof(*metas));
	if (!metas)
		return -ENOMEM;
	l->metas = metas;
	l->cap = cap;
	return 0;
}

static int meta_list_add(struct meta_list *l, sqlite3_stmt *st)
{
	AUTO_FREE char *key = NULL;
	int rc = meta_list_grow(l);

	if (rc == 0)
		rc = sql_col_dup(st, 0, &key);
	if (rc < 0)
		return rc;
	l->metas[l->count] = (struct objmeta){0};
	rc = read_row(st, &l->metas[l->count]);
	if (rc == 0)
		l->keys[l->count++] = take_ptr(key);
	return rc;
}

static int gather(sqlite3_stmt *st, struct meta_list *l)
{
	int rc;

	while ((rc = sql_step(st)) > 0) {
		rc = meta_list_add(l, st);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int run_gather_range(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct meta_list *l = arg;
	int rc = sql_get(sql,
			 "SELECT name," COLUMNS "FROM objmeta WHERE dir=?1"
			 " AND name BETWEEN ?2 AND ?3 ORDER BY name",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, l->dir);
	sql_bind_text(st, 2, l->first);
	sql_bind_text(st, 3, l->last);
	return gather(st, l);
}

static int run_gather_changes(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql,
			 "SELECT dir || name," COLUMNS
			 "FROM metachanges ORDER BY 1",
			 &st);

	return rc < 0 ? rc : gather(st, arg);
}

static void show_list(const struct meta_list *l,
		      void (*fn)(void *arg, const char *key,
				 const struct objmeta *m),
		      void *arg)
{
	for (size_t i = 0; i < l->count; i++)
		fn(arg, l->keys[i], &l->metas[i]);
}

int objmeta_walk(struct db *db, const char *dir, const char *first,
		 const char *last,
		 void (*fn)(void *arg, const char *name,
			    const struct objmeta *m),
		 void *arg)
{
	AUTO(meta_list_release)
	struct meta_list l = {.dir = dir, .first = first, .last = last};
	int rc = db_read(db, run_gather_range, &l);

	if (rc == 0)
		show_list(&l, fn, arg);
	return rc;
}

/* -- what is wanted ------------------------------------------------------------ */

struct change {
	const char *key;
	const struct objmeta *want;
};

static int run_put_change(sqlite3 *sql, void *arg)
{
	const struct change *c = arg;

	return put_row(sql,
		       "INSERT OR REPLACE INTO metachanges(dir, name," COLUMNS
		       ") VALUES(" VALUES ")",
		       c->key, c->want);
}

int metachange_put(struct db *db, const char *key, const struct objmeta *want)
{
	struct change c = {key, want};

	return db_write(db, run_put_change, &c, DB_WAIT);
}

static int run_remove_change(sqlite3 *sql, void *arg)
{
	const struct meta_job *j = arg;

	return delete_key(sql,
			  "DELETE FROM metachanges WHERE dir=?1 AND name=?2",
			  j->key);
}

int metachange_remove(struct db *db, const char *key)
{
	struct meta_job *j = NULL;
	int rc = meta_job_new(key, NULL, &j);

	return rc < 0 ? rc
		      : db_write_nowait(db, run_remove_change, j, meta_job_free,
					DB_NOWAIT);
}

int metachange_walk(struct db *db,
		    void (*fn)(void *arg, const char *key,
			       const struct objmeta *want),
		    void *arg)
{
	AUTO(meta_list_release) struct meta_list l = {0};
	int rc = db_read(db, run_gather_changes, &l);

	if (rc == 0)
		show_list(&l, fn, arg);
	return rc;
}
