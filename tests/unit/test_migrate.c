/* SPDX-License-Identifier: Apache-2.0 */
/* Journals that an older ackfs has written. */
#include "../support/state.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "callback/outcome.h"
#include "state/cblog.h"
#include "state/schema.h"
#include "state/sql.h"
#include "util/base.h"

/* -- what an older one left ---------------------------------------------------- */

/* One text a version: rows for the tables that are new in it.  One attempt's
   outcome has gone to another name, one's key is forgotten, one has become old. */
static const char *const rows[] = {
	"INSERT INTO meta VALUES('boot', 'x');"
	"INSERT INTO staged VALUES(7, 'in/a', 'retrying', 0, 0, 1, 3, 1, 2, 3,"
	" 4, 5, 6, 'no route');"
	"INSERT INTO staged_detail VALUES(7, x'6100', x'78003100', x'63', 'in/b',"
	" 'E', 9, 10, 'U', 11);"
	"INSERT INTO parts VALUES(7, 1, 0, 3, -5, 'P');"
	"INSERT INTO attempts SELECT column1, column2, 'ABC', 3, 5000, '',"
	" 'd-' || column1, 'main', column3, 1000 * column1, 12, 1, 203, 502,"
	" x'7b7d', 'application/json', 'Error', 'Failed', '0007-1', 'REQ',"
	" 'http://x/', 'x', '{}', 'text/plain', x'61006200', 7, 'cp' FROM"
	" (VALUES(1, 'in/old', 'failed'), (2, 'in/sent', 'ok'),"
	"  (3, 'in/gone', 'ok'), (4, 'in/due', 'failed'),"
	"  (5, 'in/up', 'failed'), (6, 'in/old', 'ok'),"
	"  (7, 'in/none', 'none'));"
	"INSERT INTO outcomes SELECT column1, column2, 'ABC', 3, 5000, '',"
	" column3, column4, 9000, column5 FROM (VALUES"
	"  ('in/old', 6, 'ok', 0, 0), ('in/renamed', 2, 'ok', 0, 0),"
	"  ('in/due', 4, 'failed', 8000, 0), ('in/up', 5, 'failed', 0, 1),"
	"  ('in/none', 7, 'none', 0, 0));"
	"INSERT INTO objmeta(dir, name, etag, size, modified_ms, version_id,"
	" meta, tag_count) VALUES('in/', 'old', 'ABC', 3, 5000, '', x'6100',"
	" 2);"
	"INSERT INTO metachanges(dir, name, etag, size, modified_ms,"
	" version_id, tag_count) VALUES('in/', 'up', 'ABC', 3, 5000, '', 0);"
	"INSERT INTO uploads VALUES('U', 'in/a');"
	"INSERT INTO cbvars VALUES('in/', 'who', 'me');"
	"INSERT INTO intents VALUES(3, 'a', 'b', 'E', 1, 0);",

	"UPDATE objmeta SET seq = 5;",

	"INSERT INTO kept VALUES(600, 'd-4', x'010203');",
};

static void make_journal(const char *dir, size_t version)
{
	AUTO_FREE char *path = test_path(dir, "journal.db");
	sqlite3 *sql = NULL;

	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sql_exec(sql, "PRAGMA auto_vacuum=INCREMENTAL;"
				       "PRAGMA journal_mode=WAL"),
			 0);
	assert_int_equal(schema_migrate(sql, schema_steps, version), 0);
	for (size_t i = 0; i < version && i < ARRAY_LEN(rows); i++)
		if (sql_exec(sql, rows[i]) < 0)
			fail_msg("rows of version %zu: %s", i + 1,
				 sqlite3_errmsg(sql));
	db_view_close(&sql);
}

/* For each table a query that shows the columns that it has now. */
static const char show_text[] =
	"SELECT group_concat('SELECT ''' || name || ' '' || ' || columns ||"
	" ' FROM ' || name, ' UNION ALL ') FROM (SELECT t.name,"
	" group_concat('quote(' || c.name || ')', ' || '' '' || ') AS columns"
	" FROM sqlite_schema t, pragma_table_info(t.name) c"
	" WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' GROUP BY 1)";

static char *first_text(sqlite3 *sql, const char *query)
{
	AUTO(sql_finalize) sqlite3_stmt *st = NULL;
	char *text = NULL;

	assert_int_equal(sql_prepare(sql, query, &st), 0);
	assert_int_equal(sql_step(st), 1);
	assert_int_equal(sql_col_dup(st, 0, &text), 0);
	assert_non_null(text);
	return text;
}

static char *all_rows(sqlite3 *sql, const char *show)
{
	AUTO(sql_finalize) sqlite3_stmt *st = NULL;
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_int_equal(sql_prepare(sql, show, &st), 0);
	while (sql_step(st) > 0)
		buf_addf(&b, "%s\n", (const char *)sqlite3_column_text(st, 0));
	return buf_detach(&b);
}

static sqlite3 *open_sql(const char *dir)
{
	AUTO_FREE char *path = test_path(dir, "journal.db");
	sqlite3 *sql = NULL;

	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	return sql;
}

static struct db *open_db(const char *dir)
{
	AUTO_FREE char *why = NULL;
	struct db *db = NULL;
	int rc = db_open(dir, &db, &why);

	if (rc < 0)
		fail_msg("db_open: %d %s", rc, why ? why : "-");
	return db;
}

static void rows_of_an_older_journal_stay(void **state)
{
	for (size_t v = 1; v < schema_step_count; v++) {
		AUTO_FREE char *dir = test_path(*state, "%zu", v);
		AUTO_FREE char *show = NULL;
		AUTO_FREE char *before = NULL;
		AUTO_FREE char *after = NULL;
		AUTO_FREE char *check = NULL;
		AUTO(db_view_close) sqlite3 *sql = NULL;
		int version = 0;

		assert_int_equal(mkdir(dir, 0700), 0);
		make_journal(dir, v);
		sql = open_sql(dir);
		show = first_text(sql, show_text);
		before = all_rows(sql, show);
		db_view_close(&sql);
		db_close(open_db(dir));
		sql = open_sql(dir);
		assert_int_equal(schema_version(sql, &version), 0);
		assert_int_equal(version, DB_SCHEMA_VERSION);
		after = all_rows(sql, show);
		assert_non_null(strstr(before, "staged 7 'in/a' "));
		assert_string_equal(before, after);
		check = first_text(sql, "PRAGMA integrity_check");
		assert_string_equal(check, "ok");
	}
}

/* -- what is read of it --------------------------------------------------------- */

static int note(void *arg, const struct cb_record *r)
{
	struct buf *b = arg;

	buf_addf(b, "%lld %s %s %lld %d\n", (long long)r->id, r->key,
		 callback_state_name((enum callback_state)r->state),
		 (long long)r->next_try_ms, r->given_up);
	return 0;
}

static void assert_walk(struct db *db, const struct cblog_filter *f,
			const char *want)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_int_equal(cblog_walk(db, f, note, &b), 0);
	assert_string_equal(buf_str(&b), want);
}

static void assert_history(struct db *db, const char *key, const char *want)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	struct cb_record *records = NULL;
	size_t n = 0;

	assert_int_equal(cblog_history(db, key, 10, &records, &n), 0);
	for (size_t i = 0; i < n; i++)
		note(&b, &records[i]);
	cb_records_free(records, n);
	assert_string_equal(buf_str(&b), want);
}

static void assert_log_is_read(struct db *db)
{
	static const struct cblog_filter all = {.state = -1};
	static const struct cblog_filter since = {.state = -1,
						  .since_ms = 5500};
	static const struct cblog_filter due = {.state = CALLBACK_FAILED,
						.due_only = true};
	static const struct cblog_filter failed = {.state = CALLBACK_FAILED,
						   .latest_only = true};
	static const struct cblog_filter renamed = {
		.state = CALLBACK_OK, .latest_only = true, .key_glob = "in/r*"};
	struct cblog_totals t;

	assert_walk(db, &all,
		    "1 in/old failed 0 0\n"
		    "2 in/sent ok 0 0\n"
		    "3 in/gone ok 0 0\n"
		    "4 in/due failed 8000 0\n"
		    "5 in/up failed 0 1\n"
		    "6 in/old ok 0 0\n"
		    "7 in/none none 0 0\n");
	assert_walk(db, &since, "6 in/old ok 0 0\n7 in/none none 0 0\n");
	assert_walk(db, &due, "4 in/due failed 8000 0\n");
	assert_walk(db, &failed,
		    "4 in/due failed 8000 0\n5 in/up failed 0 1\n");
	assert_walk(db, &renamed, "2 in/renamed ok 0 0\n");
	assert_history(db, "in/renamed", "2 in/sent ok 0 0\n");
	assert_history(db, "in/old", "6 in/old ok 0 0\n1 in/old failed 0 0\n");
	assert_int_equal(cblog_totals(db, &t), 0);
	assert_int_equal(t.ok, 2);
	assert_int_equal(t.none, 1);
	assert_int_equal(t.failed, 0);
	assert_int_equal(t.retrying, 1);
	assert_int_equal(t.given_up, 1);
}

static int note_file(void *arg, const struct staging_info *info,
		     const struct staging_close *c)
{
	buf_addf(arg, "%lld %s %s %s%s\n", (long long)info->id, info->key,
		 staging_state_name(info->state), info->last_error,
		 c ? ", closed" : "");
	return 0;
}

static void assert_files_are_read(struct db *db)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_int_equal(staging_walk(db, note_file, &b), 0);
	assert_string_equal(buf_str(&b), "7 in/a retrying no route, closed\n");
}

/* As by an ackctl that is newer than the daemon at work. */
static void older_journals_are_read_as_they_are(void **state)
{
	for (size_t v = 1; v < schema_step_count; v++) {
		AUTO_FREE char *dir = test_path(*state, "%zu", v);
		AUTO_FREE char *why = NULL;
		struct db *db = NULL;

		assert_int_equal(mkdir(dir, 0700), 0);
		make_journal(dir, v);
		assert_int_equal(db_open_readonly(dir, &db, &why), 0);
		assert_log_is_read(db);
		assert_files_are_read(db);
		db_close(db);
		db = open_db(dir);
		assert_log_is_read(db);
		assert_files_are_read(db);
		db_close(db);
	}
}

/* -- steps ------------------------------------------------------------------------ */

static void older_schemas_are_migrated_step_by_step(void **state)
{
	static const char *const steps[] = {
		"CREATE TABLE a(x); INSERT INTO a VALUES(1);",
		"ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;",
		"CREATE TABLE b AS SELECT x + y AS z FROM a; DROP TABLE a;",
	};
	AUTO_FREE char *path = test_path(*state, "x.db");
	sqlite3 *sql = NULL;
	long long z = 0;
	int version = 0;

	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(schema_migrate(sql, steps, 1), 0);
	assert_int_equal(schema_migrate(sql, steps, 3), 0);
	assert_int_equal(schema_version(sql, &version), 0);
	assert_int_equal(version, 3);
	assert_int_equal(sql_int(sql, "SELECT z FROM b", 0, &z), 0);
	assert_int_equal(z, 3);
	assert_int_equal(schema_migrate(sql, steps, 2), -EPROTO);
	db_view_close(&sql);
}

static void failed_migration_changes_nothing(void **state)
{
	static const char *const steps[] = {
		"CREATE TABLE a(x);",
		"CREATE TABLE b(x); INSERT INTO nowhere VALUES(1);",
	};
	AUTO_FREE char *path = test_path(*state, "x.db");
	sqlite3 *sql = NULL;
	long long n = -1;
	int version = 0;

	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_true(schema_migrate(sql, steps, 2) < 0);
	assert_int_equal(schema_version(sql, &version), 0);
	assert_int_equal(version, 1);
	assert_int_equal(
		sql_int(sql,
			"SELECT count(*) FROM sqlite_schema WHERE name='b'", -1,
			&n),
		0);
	assert_int_equal(n, 0);
	db_view_close(&sql);
}

int main(void)
{
#define T(fn)                                                                  \
	cmocka_unit_test_setup_teardown(fn, test_dir_setup, test_dir_teardown)
	const struct CMUnitTest tests[] = {
		T(rows_of_an_older_journal_stay),
		T(older_journals_are_read_as_they_are),
		T(older_schemas_are_migrated_step_by_step),
		T(failed_migration_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
