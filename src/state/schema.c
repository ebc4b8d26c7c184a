/* SPDX-License-Identifier: Apache-2.0 */
#include "state/schema.h"

#include <errno.h>
#include <stdio.h>

#include "state/db.h"
#include "state/sql.h"
#include "util/base.h"
#include "util/failpoint.h"

/* Times are milliseconds since 1970.  Lists (props, close, vars, meta, kept)
   are "name\0value\0..." (sql.h).  Never change a step that was released. */
static const char version_1[] =
	"CREATE TABLE meta("
	" name TEXT PRIMARY KEY, value) WITHOUT ROWID;"

	/* What changes with each transition stands in `staged`, what is long
	   and rarely changes in `staged_detail`. */
	"CREATE TABLE staged("
	" id INTEGER PRIMARY KEY, key TEXT NOT NULL, state TEXT NOT NULL,"
	" promised INTEGER NOT NULL, superseded INTEGER NOT NULL,"
	" synced INTEGER NOT NULL, size INTEGER NOT NULL,"
	" created_ms INTEGER NOT NULL, closed_ms INTEGER NOT NULL,"
	" close_seq INTEGER NOT NULL, next_try_ms INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, last_errno INTEGER NOT NULL,"
	" last_error TEXT NOT NULL);"
	"CREATE TABLE staged_detail("
	" id INTEGER PRIMARY KEY, props BLOB, close BLOB, ranges BLOB,"
	" base_key TEXT, base_etag TEXT, base_size INTEGER,"
	" base_modified_ms INTEGER, upload_id TEXT, part_size INTEGER);"
	"CREATE TABLE parts("
	" staged_id INTEGER NOT NULL, number INTEGER NOT NULL,"
	" off INTEGER NOT NULL, len INTEGER NOT NULL,"
	" crc64 INTEGER NOT NULL, etag TEXT NOT NULL,"
	" PRIMARY KEY(staged_id, number)) WITHOUT ROWID;"

	/* Every attempt, as it was made; never rewritten. */
	"CREATE TABLE attempts("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL,"
	" etag TEXT NOT NULL, size INTEGER NOT NULL,"
	" modified_ms INTEGER NOT NULL, version_id TEXT NOT NULL,"
	" delivery_id TEXT, rule TEXT, state TEXT NOT NULL,"
	" time_ms INTEGER NOT NULL, elapsed_ms INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL, oss_status INTEGER NOT NULL,"
	" server_status INTEGER NOT NULL, response BLOB,"
	" response_type TEXT, error TEXT, error_code TEXT, ec TEXT,"
	" request_id TEXT, url TEXT, host TEXT, body TEXT, body_type TEXT,"
	" vars BLOB, uid INTEGER NOT NULL, process TEXT);"
	"CREATE INDEX attempts_key ON attempts(key, id);"
	"CREATE INDEX attempts_time ON attempts(time_ms);"
	/* For each key the attempt that speaks of its present version. */
	"CREATE TABLE outcomes("
	" key TEXT PRIMARY KEY, attempt_id INTEGER NOT NULL,"
	" etag TEXT NOT NULL, size INTEGER NOT NULL,"
	" modified_ms INTEGER NOT NULL, version_id TEXT NOT NULL,"
	" state TEXT NOT NULL, next_try_ms INTEGER NOT NULL,"
	" give_up_ms INTEGER NOT NULL, given_up INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX outcomes_attempt ON outcomes(attempt_id);"
	"CREATE INDEX outcomes_state"
	" ON outcomes(state, given_up, next_try_ms);"

	/* The key in two parts: a listing reads one folder's own names. */
	"CREATE TABLE objmeta("
	" dir TEXT NOT NULL, name TEXT NOT NULL, etag TEXT NOT NULL,"
	" size INTEGER NOT NULL, modified_ms INTEGER NOT NULL,"
	" version_id TEXT NOT NULL, content_type TEXT, meta BLOB, kept BLOB,"
	" storage_class TEXT, crc64 INTEGER, tag_count INTEGER NOT NULL,"
	" PRIMARY KEY(dir, name)) WITHOUT ROWID;"
	"CREATE TABLE metachanges("
	" dir TEXT NOT NULL, name TEXT NOT NULL, etag TEXT NOT NULL,"
	" size INTEGER NOT NULL, modified_ms INTEGER NOT NULL,"
	" version_id TEXT NOT NULL, content_type TEXT, meta BLOB, kept BLOB,"
	" storage_class TEXT, crc64 INTEGER, tag_count INTEGER NOT NULL,"
	" PRIMARY KEY(dir, name)) WITHOUT ROWID;"
	/* Multipart uploads that are neither completed nor aborted. */
	"CREATE TABLE uploads(upload_id TEXT PRIMARY KEY, key TEXT NOT NULL);"
	"CREATE TABLE cbvars("
	" key TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
	" PRIMARY KEY(key, name)) WITHOUT ROWID;"
	"CREATE TABLE intents("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, src TEXT NOT NULL,"
	" dst TEXT NOT NULL, src_etag TEXT NOT NULL,"
	" copied INTEGER NOT NULL, staged_id INTEGER NOT NULL);";

/* Which rows of what was seen are the oldest. */
static const char version_2[] =
	"ALTER TABLE objmeta ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX objmeta_seq ON objmeta(seq);";

/* state/kept.c says what the ids are. */
static const char version_3[] =
	"CREATE TABLE kept("
	" id INTEGER PRIMARY KEY, delivery_id TEXT NOT NULL UNIQUE,"
	" bytes BLOB NOT NULL);";

/* Each close writes an attempt and an outcome: what is indexed of them costs it
   a page.  So the indexes of outcomes have those rows alone that are looked for,
   the few that failed and the few whose object was renamed; nobody asks for times
   (who wants what is young reads from the end); and the newest attempt is never
   deleted (cblog_prune()), so no id need be written down. */
static const char version_4[] =
	"DROP INDEX outcomes_state;"
	"CREATE INDEX outcomes_failed ON outcomes(given_up, next_try_ms)"
	" WHERE state = 'failed';"

	/* 1: perhaps not under the key of its attempt. */
	"ALTER TABLE outcomes ADD COLUMN is_moved INTEGER NOT NULL DEFAULT 0;"
	"UPDATE outcomes SET is_moved = 1 WHERE NOT EXISTS(SELECT 1"
	" FROM attempts a INDEXED BY attempts_key"
	" WHERE a.key = outcomes.key AND a.id = attempt_id);"
	"DROP INDEX outcomes_attempt;"
	"CREATE INDEX outcomes_moved ON outcomes(attempt_id)"
	" WHERE is_moved = 1;"

	"DROP INDEX attempts_time;"

	/* The rows stay as they are (sqlite.org/lang_altertable.html, 7). */
	"PRAGMA writable_schema = ON;"
	"UPDATE sqlite_schema SET sql = replace(sql, ' AUTOINCREMENT', '')"
	" WHERE name = 'attempts';"
	"PRAGMA writable_schema = RESET;"
	"DELETE FROM sqlite_sequence WHERE name = 'attempts';"

	/* state/staging_durable.c says which bytes stand in a row. */
	"ALTER TABLE staged ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE staged_detail ADD COLUMN bytes BLOB;"
	"ALTER TABLE staged_detail ADD COLUMN bytes_generation INTEGER;";

/* For those who read an older one. */
static const char views_before_4[] =
	"CREATE TEMP VIEW outcomes AS SELECT *, 1 AS is_moved"
	" FROM main.outcomes;"
	"CREATE TEMP VIEW staged AS SELECT *, 1 AS generation"
	" FROM main.staged;"
	"CREATE TEMP VIEW staged_detail AS SELECT *, NULL AS bytes,"
	" NULL AS bytes_generation FROM main.staged_detail;";

const char *const schema_steps[] = {version_1, version_2, version_3, version_4};
const size_t schema_step_count = ARRAY_LEN(schema_steps);

_Static_assert(ARRAY_LEN(schema_steps) == DB_SCHEMA_VERSION,
	       "a step for each version");

int schema_version(sqlite3 *sql, int *out)
{
	long long version = 0;
	int rc = sql_int(sql, "PRAGMA user_version", 0, &version);

	if (rc == 0)
		*out = (int)version;
	return rc;
}

static int migrate_step(sqlite3 *sql, const char *step, int to)
{
	char pragma[64];
	int rc = sql_exec(sql, "BEGIN IMMEDIATE");

	if (rc < 0)
		return rc;
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", to);
	rc = sql_exec(sql, step);
	if (rc == 0)
		rc = sql_exec(sql, pragma);
	failpoint("db.migrate.before_commit");
	if (rc == 0)
		rc = sql_exec(sql, "COMMIT");
	if (rc < 0)
		sql_exec(sql, "ROLLBACK");
	return rc;
}

int schema_migrate(sqlite3 *sql, const char *const *steps, size_t count)
{
	int version = 0;
	int rc = schema_version(sql, &version);

	if (rc < 0)
		return rc;
	if (version < 0 || (size_t)version > count)
		return -EPROTO;
	for (size_t i = (size_t)version; i < count; i++) {
		rc = migrate_step(sql, steps[i], (int)i + 1);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int schema_show_as_newest(sqlite3 *sql)
{
	int version = 0;
	int rc = schema_version(sql, &version);

	return rc < 0 || version >= 4 ? rc : sql_exec(sql, views_before_4);
}
