/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the callback log. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "callback/outcome.h"
#include "state/cblog_int.h"
#include "state/db.h"
#include "state/sql.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/glob.h"

/* -- one record -------------------------------------------------------------- */

static void read_id(sqlite3_stmt *st, int at, struct object_id *id)
{
	sql_col_copy(st, at, id->etag, sizeof(id->etag));
	id->size = (uint64_t)sqlite3_column_int64(st, at + 1);
	id->modified_ms = sqlite3_column_int64(st, at + 2);
	sql_col_copy(st, at + 3, id->version_id, sizeof(id->version_id));
}

static int read_response(sqlite3_stmt *st, int at, struct cb_record *r)
{
	const void *data = sqlite3_column_blob(st, at);
	size_t len = (size_t)sqlite3_column_bytes(st, at);

	if (sqlite3_column_type(st, at) == SQLITE_NULL)
		return 0;
	r->response = malloc(len + 1);
	if (!r->response || (len > 0 && !data))
		return -ENOMEM;
	if (len > 0)
		memcpy(r->response, data, len);
	r->response[len] = '\0';
	r->response_len = len;
	return 0;
}

static int read_texts(sqlite3_stmt *st, struct cb_record *r)
{
	const struct {
		int at;
		char **to;
	} texts[] = {
		{6,  &r->delivery_id  },
                {7,  &r->rule         },
		{15, &r->response_type},
                {16, &r->error        },
		{17, &r->error_code   },
                {18, &r->ec           },
		{19, &r->request_id   },
                {20, &r->url          },
		{21, &r->host         },
                {22, &r->body         },
		{23, &r->body_type    },
                {26, &r->process      },
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(texts); i++)
		rc = sql_col_dup(st, texts[i].at, texts[i].to);
	return rc;
}

static int read_state(sqlite3_stmt *st, int at, int *out)
{
	const char *text = (const char *)sqlite3_column_text(st, at);
	enum callback_state s = CALLBACK_UNKNOWN;
	int rc = text ? callback_state_parse(text, &s) : -EINVAL;

	*out = (int)s;
	return rc;
}

static void read_numbers(sqlite3_stmt *st, struct cb_record *r)
{
	r->id = sqlite3_column_int64(st, 0);
	r->time_ms = sqlite3_column_int64(st, 9);
	r->elapsed_ms = sqlite3_column_int64(st, 10);
	r->attempt = sqlite3_column_int(st, 11);
	r->oss_status = sqlite3_column_int(st, 12);
	r->server_status = sqlite3_column_int(st, 13);
	r->uid = (uint32_t)sqlite3_column_int64(st, 25);
	r->next_try_ms = sqlite3_column_int64(st, 32);
	r->give_up_ms = sqlite3_column_int64(st, 33);
	r->given_up = sqlite3_column_int(st, 34) != 0;
}

/* From one owner to another. */
static void cb_record_take(struct cb_record *to, struct cb_record *from)
{
	*to = *from;
	*from = (struct cb_record){0};
}

int cblog_read_record(sqlite3_stmt *st, bool is_present, struct cb_record *r)
{
	AUTO(cb_record_release) struct cb_record n = {0};
	int rc = sql_col_dup(st, is_present ? 27 : 1, &n.key);

	read_id(st, is_present ? 28 : 2, &n.object);
	read_numbers(st, &n);
	if (rc == 0)
		rc = read_state(st, 8, &n.state);
	if (rc == 0)
		rc = read_response(st, 14, &n);
	if (rc == 0)
		rc = read_texts(st, &n);
	if (rc == 0)
		rc = sql_col_kvs(st, 24, &n.vars);
	if (rc < 0)
		return rc;
	cb_record_take(r, &n);
	return 0;
}

/* -- one key ----------------------------------------------------------------- */

struct outcome_query {
	const char *key;
	const struct object_id *id;
	struct cb_record *out;
};

static int run_outcome(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	AUTO(cb_record_release) struct cb_record r = {0};
	const struct outcome_query *q = arg;
	struct object_id has = {0};
	int rc = sql_get(sql,
			 "SELECT" CBLOG_COLUMNS "FROM outcomes o"
			 " JOIN attempts a ON a.id = o.attempt_id"
			 " WHERE o.key=?1",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, q->key);
	rc = sql_step(st);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	read_id(st, 28, &has);
	if (!object_id_equal(&has, q->id))
		return -ENOENT;
	rc = cblog_read_record(st, true, &r);
	if (rc < 0)
		return rc;
	cb_record_take(q->out, &r);
	return 0;
}

int cblog_outcome(struct db *db, const char *key, const struct object_id *id,
		  struct cb_record *out)
{
	struct outcome_query q = {key, id, out};

	return db_read(db, run_outcome, &q);
}

struct history {
	const char *key;
	size_t limit;
	struct cb_record *records;
	size_t count;
};

static int append_record(sqlite3_stmt *st, struct history *h)
{
	struct cb_record *more =
		reallocarray(h->records, h->count + 1, sizeof(*more));
	int rc;

	if (!more)
		return -ENOMEM;
	h->records = more;
	more[h->count] = (struct cb_record){0};
	rc = cblog_read_record(st, false, &more[h->count]);
	if (rc == 0)
		h->count++;
	return rc;
}

static int run_history(sqlite3 *sql, void *arg)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	struct history *h = arg;
	/* The outcome may have come here by a rename. */
	int rc = sql_get(sql,
			 "SELECT" CBLOG_COLUMNS "FROM" CBLOG_ATTEMPTS
			 "WHERE a.id IN (SELECT id FROM attempts WHERE key=?1"
			 "  UNION SELECT attempt_id FROM outcomes WHERE key=?1)"
			 " ORDER BY a.id DESC LIMIT ?2",
			 &st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, h->key);
	sqlite3_bind_int64(st, 2, h->limit > INT_MAX ? INT_MAX : (int)h->limit);
	while ((rc = sql_step(st)) > 0) {
		rc = append_record(st, h);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int cblog_history(struct db *db, const char *key, size_t limit,
		  struct cb_record **records, size_t *count)
{
	struct history h = {.key = key, .limit = limit};
	int rc = db_read(db, run_history, &h);

	if (rc < 0) {
		cb_records_free(h.records, h.count);
		return rc;
	}
	*records = h.records;
	*count = h.count;
	return 0;
}

/* -- all of it --------------------------------------------------------------- */

/* What every key that the glob can match begins with. */
static void glob_prefix(const char *glob, struct buf *out)
{
	if (strchr(glob, '/') && glob[0] != '!')
		buf_add(out, glob, strcspn(glob, "*?[{\\"));
}

/* The first string behind all that begin with this; "" : there is none. */
static void prefix_end(const char *prefix, struct buf *out)
{
	size_t len = strlen(prefix);

	while (len > 0 && (unsigned char)prefix[len - 1] == 0xff)
		len--;
	buf_add(out, prefix, len);
	if (len > 0)
		out->data[len - 1] = (char)((unsigned char)prefix[len - 1] + 1);
}

/* Which ids, in what order; the key, for globs, comes with them. */
static void write_query(struct buf *q, const struct cblog_filter *f,
			bool is_present, bool has_prefix)
{
	const char *key = is_present ? "o.key" : "a.key";

	buf_addf(q, "SELECT a.id, %s FROM ", key);
	buf_adds(q, is_present ? "outcomes o JOIN attempts a"
				 " ON a.id = o.attempt_id WHERE 1"
			       : "attempts a WHERE 1");
	if (f->after_id > 0)
		buf_adds(q, " AND a.id > ?1");
	if (f->since_ms > 0)
		buf_adds(q, " AND a.time_ms >= ?2");
	if (f->until_ms > 0)
		buf_adds(q, " AND a.time_ms <= ?3");
	/* Its text, not a parameter: an index may have these rows alone. */
	if (f->state >= 0)
		buf_addf(q, " AND %s.state = '%s'", is_present ? "o" : "a",
			 callback_state_name((enum callback_state)f->state));
	if (has_prefix)
		buf_addf(q, " AND %s >= ?4 AND %s < ?5", key, key);
	if (f->due_only)
		buf_adds(q, " AND o.state = 'failed' AND o.given_up = 0"
			    " AND o.next_try_ms > 0");
	buf_adds(q, f->newest_first ? " ORDER BY a.id DESC" : " ORDER BY a.id");
	if (f->limit > 0 && !f->key_glob)
		buf_adds(q, " LIMIT ?6");
}

static void bind_query(sqlite3_stmt *st, const struct cblog_filter *f,
		       const char *from, const char *to)
{
	/* Numbers that the text does not have are refused, harmlessly. */
	sqlite3_bind_int64(st, 1, f->after_id);
	sqlite3_bind_int64(st, 2, f->since_ms);
	sqlite3_bind_int64(st, 3, f->until_ms);
	sql_bind_text(st, 4, from);
	sql_bind_text(st, 5, to);
	sqlite3_bind_int64(st, 6, f->limit > INT_MAX ? INT_MAX : (int)f->limit);
}

struct id_list {
	int64_t *ids;
	size_t count, cap;
};

static void id_list_release(struct id_list *l)
{
	free(l->ids);
}

static int id_list_add(struct id_list *l, int64_t id)
{
	if (l->count == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 64;
		int64_t *more = reallocarray(l->ids, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->ids = more;
		l->cap = cap;
	}
	l->ids[l->count++] = id;
	return 0;
}

static int gather_ids(sqlite3_stmt *st, const struct cblog_filter *f,
		      struct id_list *l)
{
	int rc;

	while ((rc = sql_step(st)) > 0) {
		const char *key = (const char *)sqlite3_column_text(st, 1);

		if (f->key_glob &&
		    (!key || !glob_match(f->key_glob, key, NULL)))
			continue;
		rc = id_list_add(l, sqlite3_column_int64(st, 0));
		if (rc < 0)
			return rc;
		if (f->limit > 0 && l->count >= f->limit)
			return 0;
	}
	return rc;
}

static int find_ids(sqlite3 *view, const struct cblog_filter *f,
		    struct id_list *l)
{
	AUTO(sql_finalize) sqlite3_stmt *st = NULL;
	AUTO(buf_release) struct buf query = BUF_INIT;
	AUTO(buf_release) struct buf from = BUF_INIT;
	AUTO(buf_release) struct buf to = BUF_INIT;
	int rc;

	if (f->key_prefix)
		buf_adds(&from, f->key_prefix);
	else if (f->key_glob)
		glob_prefix(f->key_glob, &from);
	prefix_end(buf_str(&from), &to);
	write_query(&query, f, f->latest_only || f->due_only,
		    from.len > 0 && to.len > 0);
	if (buf_error(&query) < 0 || buf_error(&from) < 0 || buf_error(&to) < 0)
		return -ENOMEM;
	rc = sql_prepare(view, buf_str(&query), &st);
	if (rc < 0)
		return rc;
	bind_query(st, f, buf_str(&from), buf_str(&to));
	return gather_ids(st, f, l);
}

/* @return 1: *r is it; 0: it is gone, or no outcome any more; -errno */
static int fetch(sqlite3 *view, int64_t id, bool is_present,
		 struct cb_record *r)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(view,
			 "SELECT" CBLOG_COLUMNS "FROM" CBLOG_ATTEMPTS
			 "WHERE a.id=?1",
			 &st);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(st, 1, id);
	rc = sql_step(st);
	if (rc <= 0)
		return rc;
	if (is_present && sqlite3_column_type(st, 27) == SQLITE_NULL)
		return 0;
	rc = cblog_read_record(st, is_present, r);
	return rc < 0 ? rc : 1;
}

/* First the ids, then each record by itself: a reader that is slow (`ackctl log`
   in a pager) keeps no transaction open, which would make the WAL grow. */
int cblog_walk(struct db *db, const struct cblog_filter *f,
	       int (*fn)(void *arg, const struct cb_record *r), void *arg)
{
	AUTO(db_view_close) sqlite3 *view = NULL;
	AUTO(id_list_release) struct id_list l = {0};
	int rc = db_view_open(db, &view);

	if (rc == 0)
		rc = find_ids(view, f, &l);
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		AUTO(cb_record_release) struct cb_record r = {0};

		rc = fetch(view, l.ids[i], f->latest_only || f->due_only, &r);
		if (rc > 0)
			rc = fn(arg, &r);
	}
	return rc;
}
