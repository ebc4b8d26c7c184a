/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the journal: nothing is written before its version is known; what
 * SQLite calls corrupt is moved aside, never repaired in place or deleted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/db_int.h"
#include "state/schema.h"
#include "state/sql.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/fileio.h"
#include "util/log.h"

enum {
	FIRST_PAGE = 4096, /* SQLite's default */
	BUSY_TIMEOUT_MS = 5000,
	/* Journals up to this size are checked whole at each start. */
	FULL_CHECK_BYTES = 32 << 20,
};

void db_close_connection(sqlite3 *sql)
{
	sqlite3_stmt *st;

	if (!sql)
		return;
	while ((st = sqlite3_next_stmt(sql, NULL)))
		sqlite3_finalize(st);
	sqlite3_close(sql);
}

static void auto_close_connection(sqlite3 **sql)
{
	db_close_connection(*sql);
}

/* Small caches: what is read again soon is a few pages. */
static int connect_to(const char *path, int flags, const char *pragmas,
		      sqlite3 **out)
{
	AUTO(auto_close_connection) sqlite3 *sql = NULL;
	int code =
		sqlite3_open_v2(path, &sql, flags | SQLITE_OPEN_NOMUTEX, NULL);
	int rc;

	if (code != SQLITE_OK)
		return sql_errno(code);
	sqlite3_busy_timeout(sql, BUSY_TIMEOUT_MS);
	rc = sql_exec(sql, pragmas);
	if (rc < 0)
		return rc;
	*out = take_ptr(sql);
	return 0;
}

int db_open_reader(const char *path, sqlite3 **out)
{
	AUTO(auto_close_connection) sqlite3 *sql = NULL;
	int rc;

	if (access(path, R_OK) < 0)
		return -errno;
	rc = connect_to(path, SQLITE_OPEN_READONLY,
			"PRAGMA cache_size=-256; PRAGMA temp_store=MEMORY",
			&sql);
	if (rc == 0)
		rc = schema_show_as_newest(sql);
	if (rc < 0)
		return rc;
	sqlite3_db_config(sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
			  (int *)NULL);
	*out = take_ptr(sql);
	return 0;
}

int db_check_version(sqlite3 *sql, const char *path, int *version, char **why)
{
	int rc = schema_version(sql, version);

	if (rc < 0)
		return rc;
	if (*version <= DB_SCHEMA_VERSION)
		return 0;
	*why = str_printf("journal %s was written by a newer ackfs (its schema "
			  "is version %d, this program knows %d): use that "
			  "ackfs, or let it upload what is staged first",
			  path, *version, DB_SCHEMA_VERSION);
	return -EPROTO;
}

static int check_says_ok(sqlite3 *sql, const char *pragma)
{
	AUTO(sql_finalize) sqlite3_stmt *st = NULL;
	const char *verdict;
	int rc = sql_prepare(sql, pragma, &st);

	if (rc == 0)
		rc = sql_step(st);
	if (rc <= 0)
		return rc < 0 ? rc : -EUCLEAN;
	verdict = (const char *)sqlite3_column_text(st, 0);
	if (verdict && strcmp(verdict, "ok") == 0)
		return 0;
	log_warn("journal: check found damage: %s", LOG_Q(verdict));
	return -EUCLEAN;
}

static int check_content(sqlite3 *sql, const char *path)
{
	struct stat st;
	int rc = 0;

	if (stat(path, &st) == 0 && st.st_size <= FULL_CHECK_BYTES)
		return check_says_ok(sql, "PRAGMA quick_check(1)");
	if (rc == 0)
		rc = check_says_ok(sql, "PRAGMA quick_check('staged')");
	if (rc == 0)
		rc = check_says_ok(sql, "PRAGMA quick_check('staged_detail')");
	if (rc == 0)
		rc = check_says_ok(sql, "PRAGMA quick_check('parts')");
	return rc;
}

/* What each transaction needs; the connection owns them. */
static int prepare_control(struct db *db, sqlite3 *sql)
{
	int rc = sql_get(sql, "BEGIN IMMEDIATE", &db->begin);

	if (rc == 0)
		rc = sql_get(sql, "COMMIT", &db->commit);
	if (rc == 0)
		rc = sql_get(sql, "SAVEPOINT job", &db->savepoint);
	if (rc == 0)
		rc = sql_get(sql, "RELEASE job", &db->release);
	return rc;
}

static int open_writer(struct db *db, char **why)
{
	AUTO(auto_close_connection) sqlite3 *sql = NULL;
	int version = 0;
	int rc = connect_to(db->path, SQLITE_OPEN_READWRITE,
			    "PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY;"
			    "PRAGMA secure_delete=FAST",
			    &sql);

	if (rc == 0)
		rc = db_check_version(sql, db->path, &version, why);
	if (rc == 0 && version > 0)
		rc = check_content(sql, db->path);
	if (rc == 0 && version == 0)
		rc = sql_exec(sql, "PRAGMA auto_vacuum=INCREMENTAL");
	if (rc == 0)
		rc = sql_exec(sql, "PRAGMA journal_mode=WAL;"
				   "PRAGMA synchronous=FULL;"
				   "PRAGMA journal_size_limit=16777216");
	if (rc == 0)
		rc = schema_migrate(sql, schema_steps, schema_step_count);
	if (rc == 0)
		rc = prepare_control(db, sql);
	if (rc < 0)
		return rc;
	db->is_full_sync = true;
	db->writer = take_ptr(sql);
	return 0;
}

static int rename_suffix(const char *path, const char *suffix, const char *to)
{
	AUTO_FREE char *from = str_printf("%s%s", path, suffix);
	AUTO_FREE char *dest = str_printf("%s%s", to, suffix);

	if (!from || !dest)
		return -ENOMEM;
	if (rename(from, dest) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* journal.db and its WAL keep belonging together, so that `sqlite3 .recover`
   can be tried. */
static int move_aside(const char *path)
{
	char stamp[CLOCK_TEXT_LEN];
	AUTO_FREE char *to = str_printf("%s.corrupt-%s-%d", path,
					clock_iso_basic(stamp, clock_real_ms()),
					(int)getpid());
	AUTO_FREE char *shm = str_printf("%s-shm", path);
	int rc;

	if (!to || !shm)
		return -ENOMEM;
	rc = rename_suffix(path, "-wal", to);
	failpoint("db.aside.wal_moved");
	if (rc == 0)
		rc = rename_suffix(path, "", to);
	if (rc < 0)
		return rc;
	unlink(shm);
	log_err("journal: it is damaged; moved aside, starting a new one: "
		"old=%s",
		LOG_Q(to));
	return 0;
}

/* Empty and private: SQLite gives its other files the same mode.  It would take
   one that was cut within its first page for an empty one.
   @return 0; -EUCLEAN: it was cut; -errno */
static int make_file(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return st.st_size > 0 && st.st_size < FIRST_PAGE ? -EUCLEAN : 0;
}

static int open_or_replace(struct db *db, char **why)
{
	int rc = make_file(db->path);

	if (rc == 0)
		rc = open_writer(db, why);
	if (rc != -EUCLEAN)
		return rc;
	rc = move_aside(db->path);
	if (rc == 0)
		rc = make_file(db->path);
	if (rc == 0)
		rc = open_writer(db, why);
	return rc;
}

static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = strndup(path, (size_t)(slash - path));

	return dir ? dir_fsync(dir) : -ENOMEM;
}

int db_open_connections(struct db *db, char **why)
{
	int rc = open_or_replace(db, why);

	if (rc == 0)
		rc = sync_parent(db->path);
	if (rc == 0)
		rc = db_open_reader(db->path, &db->reader);
	if (rc < 0 && !*why)
		*why = str_printf("journal %s cannot be opened: %s", db->path,
				  strerror(-rc));
	return rc;
}
