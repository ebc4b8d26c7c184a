/* SPDX-License-Identifier: Apache-2.0 */
/* The callback log: adding, outcomes, retention.  cblog_walk.c reads it. */
#include "state/cblog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "callback/outcome.h"
#include "state/cblog_int.h"
#include "state/db.h"
#include "state/sql.h"
#include "util/base.h"
#include "util/log.h"

enum {
	MODIFIED_SLACK_MS = 2000,
	PRUNE_STEP = 2000, /* ids looked at in one transaction */
};

bool object_id_equal(const struct object_id *a, const struct object_id *b)
{
	int64_t apart = a->modified_ms - b->modified_ms;

	if (a->version_id[0] && b->version_id[0])
		return strcmp(a->version_id, b->version_id) == 0;
	if (strcasecmp(a->etag, b->etag) != 0 || a->size != b->size)
		return false;
	if (a->modified_ms == 0 || b->modified_ms == 0)
		return true;
	return apart <= MODIFIED_SLACK_MS && apart >= -MODIFIED_SLACK_MS;
}

void cb_record_release(struct cb_record *r)
{
	free(r->key);
	free(r->delivery_id);
	free(r->rule);
	free(r->response);
	free(r->response_type);
	free(r->error);
	free(r->error_code);
	free(r->ec);
	free(r->request_id);
	free(r->url);
	free(r->host);
	free(r->body);
	free(r->body_type);
	free(r->process);
	kvs_release(&r->vars);
	*r = (struct cb_record){0};
}

void cb_records_free(struct cb_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cb_record_release(&records[i]);
	free(records);
}

/* -- adding ------------------------------------------------------------------ */

static const char *state_text(const struct cb_record *r)
{
	return callback_state_name((enum callback_state)r->state);
}

static void bind_id(sqlite3_stmt *st, int at, const struct object_id *id)
{
	sql_bind_text(st, at, id->etag);
	sql_bind_u64(st, at + 1, id->size);
	sqlite3_bind_int64(st, at + 2, id->modified_ms);
	sql_bind_text(st, at + 3, id->version_id);
}

static void bind_answer(sqlite3_stmt *st, const struct cb_record *r)
{
	sqlite3_bind_int(st, 12, r->oss_status);
	sqlite3_bind_int(st, 13, r->server_status);
	if (r->response)
		sql_bind_blob(st, 14, r->response, r->response_len);
	sql_bind_text(st, 15, r->response_type);
	sql_bind_text(st, 16, r->error);
	sql_bind_text(st, 17, r->error_code);
	sql_bind_text(st, 18, r->ec);
	sql_bind_text(st, 19, r->request_id);
}

static int insert_attempt(sqlite3 *sql, const struct cb_record *r)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(
		sql,
		"INSERT INTO attempts(key, etag, size, modified_ms, version_id,"
		" delivery_id, rule, state, time_ms, elapsed_ms, attempt,"
		" oss_status, server_status, response, response_type, error,"
		" error_code, ec, request_id, url, host, body, body_type,"
		" vars, uid, process) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,"
		"?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,"
		"?26)",
		&st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, r->key);
	bind_id(st, 2, &r->object);
	sql_bind_text(st, 6, r->delivery_id);
	sql_bind_text(st, 7, r->rule);
	sql_bind_text(st, 8, state_text(r));
	sqlite3_bind_int64(st, 9, r->time_ms);
	sqlite3_bind_int64(st, 10, r->elapsed_ms);
	sqlite3_bind_int(st, 11, r->attempt);
	bind_answer(st, r);
	sql_bind_text(st, 20, r->url);
	sql_bind_text(st, 21, r->host);
	sql_bind_text(st, 22, r->body);
	sql_bind_text(st, 23, r->body_type);
	rc = sql_bind_kvs(st, 24, &r->vars);
	sqlite3_bind_int64(st, 25, r->uid);
	sql_bind_text(st, 26, r->process);
	return rc < 0 ? rc : sql_run(st);
}

static int put_outcome(sqlite3 *sql, const struct cb_record *r,
		       long long attempt_id)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(
		sql,
		"INSERT OR REPLACE INTO outcomes(key, attempt_id, etag, size,"
		" modified_ms, version_id, state, next_try_ms, give_up_ms,"
		" given_up, is_moved) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,0)",
		&st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, r->key);
	sqlite3_bind_int64(st, 2, attempt_id);
	bind_id(st, 3, &r->object);
	sql_bind_text(st, 7, state_text(r));
	sqlite3_bind_int64(st, 8, r->next_try_ms);
	sqlite3_bind_int64(st, 9, r->give_up_ms);
	sqlite3_bind_int(st, 10, r->given_up);
	return sql_run(st);
}

union record_arg {
	const struct cb_record *record;
	void *arg;
};

static int run_add(sqlite3 *sql, void *arg)
{
	const struct cb_record *r = arg;
	int rc = insert_attempt(sql, r);

	return rc < 0 ? rc
		      : put_outcome(sql, r, sqlite3_last_insert_rowid(sql));
}

static int copy_texts(struct cb_record *to, const struct cb_record *from)
{
	const struct {
		char **to;
		const char *from;
	} texts[] = {
		{&to->key,           from->key          },
		{&to->delivery_id,   from->delivery_id  },
		{&to->rule,          from->rule         },
		{&to->response_type, from->response_type},
		{&to->error,         from->error        },
		{&to->error_code,    from->error_code   },
		{&to->ec,            from->ec           },
		{&to->request_id,    from->request_id   },
		{&to->url,           from->url          },
		{&to->host,          from->host         },
		{&to->body,          from->body         },
		{&to->body_type,     from->body_type    },
		{&to->process,       from->process      },
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(texts); i++)
		rc = str_set(texts[i].to, texts[i].from);
	return rc;
}

static int copy_response(struct cb_record *to, const struct cb_record *from)
{
	to->response = malloc(from->response_len + 1);
	if (!to->response)
		return -ENOMEM;
	memcpy(to->response, from->response, from->response_len);
	to->response_len = from->response_len;
	return 0;
}

/* A copy that nobody waits for. */
struct later_add {
	struct cb_record record;
	int rc; /* when it was run last */
};

static void later_add_done(void *arg)
{
	struct later_add *l = arg;

	if (!l)
		return;
	if (l->rc < 0)
		log_err("callback: the outcome could not be recorded: key=%s "
			"state=%s errno=%d",
			LOG_Q(l->record.key), state_text(&l->record), -l->rc);
	cb_record_release(&l->record);
	free(l);
}

static void later_add_freep(struct later_add **l)
{
	later_add_done(*l);
}

/* What an attempt's row needs. */
static int later_add_new(const struct cb_record *r, struct later_add **out)
{
	AUTO(later_add_freep) struct later_add *l = calloc(1, sizeof(*l));
	struct cb_record *c;
	int rc;

	if (!l)
		return -ENOMEM;
	c = &l->record;
	c->object = r->object;
	c->state = r->state;
	c->time_ms = r->time_ms;
	c->elapsed_ms = r->elapsed_ms;
	c->attempt = r->attempt;
	c->oss_status = r->oss_status;
	c->server_status = r->server_status;
	c->uid = r->uid;
	c->next_try_ms = r->next_try_ms;
	c->give_up_ms = r->give_up_ms;
	c->given_up = r->given_up;
	rc = copy_texts(c, r);
	if (rc == 0 && r->response)
		rc = copy_response(c, r);
	if (rc == 0)
		rc = kvs_copy(&c->vars, &r->vars);
	if (rc < 0)
		return rc;
	*out = take_ptr(l);
	return 0;
}

static int run_later_add(sqlite3 *sql, void *arg)
{
	struct later_add *l = arg;

	l->rc = run_add(sql, &l->record);
	return l->rc;
}

int cblog_add(struct db *db, const struct cb_record *r, int flags)
{
	union record_arg u = {.record = r};
	struct later_add *later = NULL;
	int rc;

	if (!(flags & DB_LATER))
		return db_write(db, run_add, u.arg, flags);
	rc = later_add_new(r, &later);
	return rc < 0 ? rc
		      : db_write_nowait(db, run_later_add, later,
					later_add_done, flags);
}

/* -- outcomes move ------------------------------------------------------------ */

struct move {
	const char *src, *dst;
	const struct object_id *new_id;
};

static int forget(sqlite3 *sql, const char *key)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql, "DELETE FROM outcomes WHERE key=?1", &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, key);
	return sql_run(st);
}

static int set_key(sqlite3 *sql, const struct move *m)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql,
			 "UPDATE outcomes SET key=?2, is_moved=1 WHERE key=?1",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, m->src);
	sql_bind_text(st, 2, m->dst);
	return sql_run(st);
}

static int set_version(sqlite3 *sql, const struct move *m)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(sql,
			 "UPDATE outcomes SET etag=?2, size=?3, modified_ms=?4,"
			 " version_id=?5 WHERE key=?1",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, m->dst);
	bind_id(st, 2, m->new_id);
	return sql_run(st);
}

static int run_move(sqlite3 *sql, void *arg)
{
	const struct move *m = arg;
	int rc = 0;

	if (!m->dst)
		return forget(sql, m->src);
	if (strcmp(m->src, m->dst) != 0) {
		rc = forget(sql, m->dst);
		if (rc == 0)
			rc = set_key(sql, m);
	}
	return rc < 0 || !m->new_id ? rc : set_version(sql, m);
}

int cblog_move(struct db *db, const char *src, const char *dst,
	       const struct object_id *new_id)
{
	struct move m = {src, dst, new_id};

	return db_write(db, run_move, &m, DB_WAIT);
}

struct retry {
	const char *key;
	int64_t next_try_ms;
	bool given_up;
};

static int run_set_retry(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	const struct retry *r = arg;
	int rc = sql_get(sql,
			 "UPDATE outcomes SET next_try_ms=?2, given_up=?3"
			 " WHERE key=?1",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, r->key);
	sqlite3_bind_int64(st, 2, r->next_try_ms);
	sqlite3_bind_int(st, 3, r->given_up);
	rc = sql_run(st);
	if (rc < 0)
		return rc;
	return sqlite3_changes(sql) > 0 ? 0 : -ENOENT;
}

int cblog_set_retry(struct db *db, const char *key, int64_t next_try_ms,
		    bool given_up)
{
	struct retry r = {key, next_try_ms, given_up};

	return db_write(db, run_set_retry, &r, DB_WAIT);
}

/* -- totals, retention -------------------------------------------------------- */

static int run_totals(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct cblog_totals *t = arg;
	int rc = sql_get(sql,
			 "SELECT count(*) FILTER(WHERE state = 'ok'),"
			 " count(*) FILTER(WHERE state = 'none'),"
			 " count(*) FILTER(WHERE state = 'failed'"
			 "  AND NOT given_up AND next_try_ms = 0),"
			 " count(*) FILTER(WHERE state = 'failed'"
			 "  AND NOT given_up AND next_try_ms > 0),"
			 " count(*) FILTER(WHERE state = 'failed'"
			 "  AND given_up) FROM outcomes",
			 &st);

	if (rc == 0)
		rc = sql_step(st);
	if (rc < 0)
		return rc;
	t->ok = (uint64_t)sqlite3_column_int64(st, 0);
	t->none = (uint64_t)sqlite3_column_int64(st, 1);
	t->failed = (uint64_t)sqlite3_column_int64(st, 2);
	t->retrying = (uint64_t)sqlite3_column_int64(st, 3);
	t->given_up = (uint64_t)sqlite3_column_int64(st, 4);
	return 0;
}

int cblog_totals(struct db *db, struct cblog_totals *out)
{
	struct cblog_totals t = {0};
	int rc = db_read(db, run_totals, &t);

	if (rc == 0)
		*out = t;
	return rc;
}

struct prune {
	int64_t older_than_ms;
	uint64_t keep_count;
	long long first, last; /* ids that there are; the last one stays */
	long long keep_from;   /* below: too many */
	long long at;          /* looked at so far */
	int gone;              /* in the last step */
};

static int run_prune_range(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct prune *p = arg;
	int rc = sql_int(sql, "SELECT min(id) FROM attempts", 0, &p->first);

	if (rc == 0)
		rc = sql_int(sql, "SELECT max(id) FROM attempts", -1, &p->last);
	if (rc < 0 || p->keep_count == 0)
		return rc;
	rc = sql_get(sql,
		     "SELECT id FROM attempts ORDER BY id DESC"
		     " LIMIT 1 OFFSET ?1",
		     &st);
	if (rc < 0)
		return rc;
	sql_bind_u64(st, 1, p->keep_count - 1);
	rc = sql_step(st);
	if (rc > 0)
		p->keep_from = sqlite3_column_int64(st, 0);
	return rc < 0 ? rc : 0;
}

static int run_prune_step(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct prune *p = arg;
	long long end = p->at + PRUNE_STEP;
	long long before = end < p->last ? end : p->last;
	int rc = sql_get(sql,
			 "DELETE FROM attempts WHERE id >= ?1 AND id < ?2"
			 " AND (time_ms < ?3 OR id < ?4)"
			 " AND NOT EXISTS(SELECT 1 FROM outcomes o"
			 "  WHERE o.key = attempts.key"
			 "  AND o.attempt_id = attempts.id)"
			 " AND NOT EXISTS(SELECT 1 FROM outcomes o"
			 "  WHERE o.is_moved = 1"
			 "  AND o.attempt_id = attempts.id)",
			 &st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, p->at);
	sqlite3_bind_int64(st, 2, before);
	sqlite3_bind_int64(st, 3, p->older_than_ms);
	sqlite3_bind_int64(st, 4, p->keep_from);
	rc = sql_run(st);
	if (rc < 0)
		return rc;
	p->gone = sqlite3_changes(sql);
	return sql_exec(sql, "PRAGMA incremental_vacuum(256)");
}

/* In steps, so that nobody's close() waits for a long one.  The newest attempt
   stays: the next one gets the id behind it, so none is used twice. */
int cblog_prune(struct db *db, int64_t older_than_ms, uint64_t keep_count)
{
	struct prune p = {.older_than_ms = older_than_ms,
			  .keep_count = keep_count};
	int rc = db_read(db, run_prune_range, &p);
	int gone = 0;

	for (p.at = p.first; rc == 0 && p.at < p.last; p.at += PRUNE_STEP) {
		rc = db_write(db, run_prune_step, &p, DB_WAIT);
		gone += rc < 0 ? 0 : p.gone;
	}
	return rc < 0 ? rc : gone;
}
