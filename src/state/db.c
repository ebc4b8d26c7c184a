/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer thread takes whatever is queued, runs it in one transaction,
 * commits, and tells everybody, those in no hurry last.  While it commits the next
 * group gathers: that is the whole of the group commit.  What a row costs is
 * mostly its commit; so writes in no hurry (DB_LATER) stand in the queue until
 * another comes.
 *
 * When one fails, all are rolled back and run again, each with a savepoint:
 * SQLite copies each page that is changed after one.
 *
 * synchronous is NORMAL (the WAL is written, not fsynced: it survives the
 * process) unless the group holds a durable write: then FULL, and the commit
 * fsyncs the WAL with all that stands in it before.
 *
 * Checkpoints run here too, after a group's waiters are on their way, so that
 * no close() pays for them.
 */
#include "state/db.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state/db_int.h"
#include "state/sql.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"
#include "util/thread.h"

enum {
	GROUP_MAX = 512,         /* jobs in a transaction */
	CHECKPOINT_PAGES = 4096, /* 16 MiB of WAL */
	SPARE_PAGES = 4096,      /* free, for what is written next */
	COMPLAINT_MS = 10000,
	LATER_MS = 20,
};

/* A statement of struct db: it has no parameters. */
static int run_control(sqlite3_stmt *st)
{
	int rc = sql_run(st);

	sqlite3_reset(st);
	return rc;
}

static int begin(struct db *db, bool is_durable)
{
	if (is_durable != db->is_full_sync) {
		int rc = sql_exec(db->writer,
				  is_durable ? "PRAGMA synchronous=FULL"
					     : "PRAGMA synchronous=NORMAL");

		if (rc < 0)
			return rc;
		db->is_full_sync = is_durable;
	}
	return run_control(db->begin);
}

static void complain(struct db *db, const char *what, int rc)
{
	int64_t now = clock_mono_ms();

	if (now < db->next_complaint_ms)
		return;
	db->next_complaint_ms = now + COMPLAINT_MS;
	log_err("journal: %s failed: path=%s error=\"%s\" sqlite=\"%s\"", what,
		LOG_Q(db->path), strerror(-rc), sqlite3_errmsg(db->writer));
}

/* Whatever it is, to a program that closes a file it is an I/O error. */
static int commit_errno(int rc)
{
	return rc == -ENOSPC || rc == -ENOMEM || rc == -EROFS ? rc : -EIO;
}

static void fail_all(struct db_job *list, int rc)
{
	for (struct db_job *j = list; j; j = j->next)
		if (j->rc == 0)
			j->rc = rc;
}

static bool is_any_durable(const struct db_job *list)
{
	for (; list; list = list->next)
		if (list->flags & DB_DURABLE)
			return true;
	return false;
}

/* @return 0; -errno: of one that failed, or why the transaction is gone (SQLite
   gives it up by itself when the disk is full) */
static int run_together(struct db *db, const struct db_job *list)
{
	int rc = 0;

	for (; rc == 0 && list; list = list->next) {
		if (list->fn)
			rc = list->fn(db->writer, list->arg);
		if (rc == 0 && sqlite3_get_autocommit(db->writer))
			rc = -EIO;
	}
	return rc;
}

/* One job, rolled back alone when it fails. */
static int run_job(struct db *db, struct db_job *job)
{
	int rc = run_control(db->savepoint);

	if (rc < 0)
		return rc;
	rc = job->fn(db->writer, job->arg);
	if (rc < 0)
		sql_exec(db->writer, "ROLLBACK TO job");
	if (run_control(db->release) < 0 && rc == 0)
		rc = -EIO;
	return rc;
}

/* @return 0, or why the transaction is gone */
static int run_each(struct db *db, struct db_job *list)
{
	for (struct db_job *j = list; j; j = j->next) {
		if (!j->fn)
			continue;
		j->rc = run_job(db, j);
		if (sqlite3_get_autocommit(db->writer))
			return j->rc < 0 ? j->rc : -EIO;
	}
	return 0;
}

static int run_jobs(struct db *db, struct db_job *list)
{
	int rc = run_together(db, list);

	if (rc == 0 || sqlite3_get_autocommit(db->writer))
		return rc;
	rc = sql_exec(db->writer, "ROLLBACK");
	if (rc == 0)
		rc = run_control(db->begin);
	return rc < 0 ? rc : run_each(db, list);
}

static void run_group(struct db *db, struct db_job *list)
{
	int rc = begin(db, is_any_durable(list));

	if (rc == 0)
		rc = run_jobs(db, list);
	failpoint("db.before_commit");
	if (rc == 0)
		rc = run_control(db->commit);
	failpoint("db.committed");
	if (rc == 0)
		return;
	complain(db, "commit", rc);
	if (!sqlite3_get_autocommit(db->writer))
		sql_exec(db->writer, "ROLLBACK");
	fail_all(list, commit_errno(rc));
}

/* Functions first, in order; then those who wait, with one wake-up. */
static void tell_these(struct db *db, struct db_job *list)
{
	struct db_job *waited = NULL, **tail = &waited;
	struct db_job *j = list;

	while (j) {
		struct db_job *next = j->next;

		if (j->done) {
			j->done(j->arg, j->rc);
		} else {
			*tail = j;
			tail = &j->next;
		}
		j = next;
	}
	*tail = NULL;
	lock_acquire(&db->lock);
	for (j = waited; j; j = j->next)
		j->is_finished = true;
	lock_release(&db->lock);
	if (waited)
		cond_broadcast(&db->finished);
}

/* Splits off what is in no hurry. */
static struct db_job *take_later(struct db_job **list)
{
	struct db_job *later = NULL, **tail = &later;

	while (*list) {
		struct db_job *j = *list;

		if (!(j->flags & DB_LATER)) {
			list = &j->next;
			continue;
		}
		*list = j->next;
		*tail = j;
		tail = &j->next;
	}
	*tail = NULL;
	return later;
}

/* A close() that waits does not wait for older files to be unlinked too. */
static void tell(struct db *db, struct db_job *list)
{
	struct db_job *later = take_later(&list);

	tell_these(db, list);
	tell_these(db, later);
}

static void checkpoint(struct db *db)
{
	int code;

	if (db->wal_pages < CHECKPOINT_PAGES)
		return;
	failpoint("db.before_checkpoint");
	code = sqlite3_wal_checkpoint_v2(db->writer, NULL,
					 SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code != SQLITE_OK && code != SQLITE_BUSY)
		complain(db, "checkpoint", sql_errno(code));
	db->wal_pages = 0; /* the next commit says how many there are */
}

/* At most a group's worth of the queue. */
static struct db_job *take_group_locked(struct db *db) ACK_REQUIRES(db->lock)
{
	struct db_job *list = db->head, *last = list;

	db->is_running = true;
	list->is_taken = true;
	for (int n = 1; n < GROUP_MAX && last->next; n++) {
		last = last->next;
		last->is_taken = true;
	}
	db->head = last->next;
	if (!db->head) {
		db->tail = &db->head;
		db->is_urgent = false;
	}
	last->next = NULL;
	return list;
}

/* Until there is something to do now. */
static void wait_work_locked(struct db *db) ACK_REQUIRES(db->lock)
{
	bool in_time = true;

	while (!db->stopping && !db->is_urgent && in_time) {
		if (db->head)
			in_time = cond_wait_until(&db->work, &db->lock,
						  db->commit_ms);
		else
			cond_wait(&db->work, &db->lock);
	}
}

static void *writer_main(void *arg)
{
	struct db *db = arg;

	lock_acquire(&db->lock);
	for (;;) {
		struct db_job *list;

		wait_work_locked(db);
		if (!db->head)
			break;
		list = take_group_locked(db);
		lock_release(&db->lock);
		run_group(db, list);
		tell(db, list);
		checkpoint(db);
		lock_acquire(&db->lock);
		db->is_running = false;
	}
	lock_release(&db->lock);
	return NULL;
}

static int note_wal_pages(void *arg, sqlite3 *sql, const char *name, int pages)
{
	struct db *db = arg;

	(void)sql;
	(void)name;
	db->wal_pages = pages;
	return SQLITE_OK;
}

void db_post(struct db *db, struct db_job *job)
{
	bool urgent = !(job->flags & DB_LATER), wake;

	job->next = NULL;
	job->rc = 0;
	job->is_taken = job->is_finished = false;
	lock_acquire(&db->lock);
	assert(!db->stopping);
	if (!db->head)
		db->commit_ms = clock_mono_ms() + LATER_MS;
	wake = !db->head || (urgent && !db->is_urgent);
	db->is_urgent |= urgent;
	*db->tail = job;
	db->tail = &job->next;
	lock_release(&db->lock);
	if (wake) /* without the lock: the writer wants it first */
		cond_signal(&db->work);
}

void db_retract(struct db *db, struct db_job *job)
{
	lock_acquire(&db->lock);
	if (!job->is_taken)
		job->fn = NULL;
	lock_release(&db->lock);
}

int db_wait(struct db *db, struct db_job *job)
{
	lock_acquire(&db->lock);
	while (!job->is_finished)
		cond_wait(&db->finished, &db->lock);
	lock_release(&db->lock);
	return job->rc;
}

/* A job on the heap that nobody waits for. */
struct loose_job {
	struct db_job job;
	int (*fn)(sqlite3 *sql, void *arg);
	void (*release)(void *arg);
	void *arg;
};

static int run_loose(sqlite3 *sql, void *arg)
{
	const struct loose_job *l = arg;

	return l->fn(sql, l->arg);
}

static void loose_done(void *arg, int rc)
{
	struct loose_job *l = arg;

	(void)rc;
	l->release(l->arg);
	free(l);
}

int db_write_nowait(struct db *db, int (*fn)(sqlite3 *sql, void *arg),
		    void *arg, void (*release)(void *arg), int flags)
{
	struct loose_job *l = db->writer ? calloc(1, sizeof(*l)) : NULL;

	if (!l) {
		release(arg);
		return db->writer ? -ENOMEM : -EROFS;
	}
	l->fn = fn;
	l->arg = arg;
	l->release = release;
	l->job = (struct db_job){.fn = run_loose,
				 .done = loose_done,
				 .arg = l,
				 .flags = flags & (DB_DURABLE | DB_LATER)};
	db_post(db, &l->job);
	return 0;
}

int db_write(struct db *db, int (*fn)(sqlite3 *sql, void *arg), void *arg,
	     int flags)
{
	struct db_job job = {.fn = fn, .arg = arg, .flags = flags & DB_DURABLE};

	if (!db->writer)
		return -EROFS;
	db_post(db, &job);
	return db_wait(db, &job);
}

static int do_nothing(sqlite3 *sql, void *arg)
{
	(void)sql;
	(void)arg;
	return 0;
}

/* The second one is for the functions of what was in no hurry: they are called
   after the first is told. */
int db_commit(struct db *db)
{
	int rc = db_write(db, do_nothing, NULL, DB_WAIT);

	return rc < 0 ? rc : db_write(db, do_nothing, NULL, DB_WAIT);
}

int db_settle(struct db *db)
{
	bool is_busy;

	lock_acquire(&db->lock);
	is_busy = db->head || db->is_running;
	lock_release(&db->lock);
	return is_busy ? db_write(db, do_nothing, NULL, DB_WAIT) : 0;
}

static int run_shrink(sqlite3 *sql, void *arg)
{
	long long *pages = arg;
	int rc = sql_int(sql, "PRAGMA freelist_count", 0, pages);

	if (rc == 0 && *pages > SPARE_PAGES)
		rc = sql_exec(sql, "PRAGMA incremental_vacuum(1024)");
	return rc;
}

int db_shrink(struct db *db)
{
	long long pages = INT64_MAX, before;
	int rc;

	do {
		before = pages;
		rc = db_write(db, run_shrink, &pages, DB_WAIT);
	} while (rc == 0 && pages > SPARE_PAGES && pages < before);
	return rc;
}

int db_read(struct db *db, int (*fn)(sqlite3 *sql, void *arg), void *arg)
{
	int rc;

	lock_acquire(&db->reader_lock);
	rc = fn(db->reader, arg);
	lock_release(&db->reader_lock);
	return rc;
}

int db_view_open(struct db *db, sqlite3 **out)
{
	return db_open_reader(db->path, out);
}

void db_view_close(sqlite3 **view)
{
	db_close_connection(*view);
	*view = NULL;
}

static int db_alloc(const char *dir, struct db **out)
{
	struct db *db = calloc(1, sizeof(*db));
	char *path = str_printf("%s/journal.db", dir);

	if (!db || !path) {
		free(db);
		free(path);
		return -ENOMEM;
	}
	lock_init(&db->lock, LOCK_DB);
	lock_init(&db->reader_lock, LOCK_DB);
	cond_init(&db->work);
	cond_init(&db->finished);
	db->tail = &db->head;
	db->path = path;
	*out = db;
	return 0;
}

static void db_free(struct db **p)
{
	struct db *db = *p;

	if (!db)
		return;
	db_close_connection(db->reader);
	db_close_connection(db->writer); /* the last one empties the WAL */
	cond_destroy(&db->finished);
	cond_destroy(&db->work);
	lock_destroy(&db->reader_lock);
	lock_destroy(&db->lock);
	free(db->path);
	free(db);
}

int db_open(const char *dir, struct db **out, char **why)
{
	AUTO(db_free) struct db *db = NULL;
	int rc = db_alloc(dir, &db);

	*why = NULL;
	/* SQLite counts each allocation under a lock, for nobody.  Only before
	   the first connection; later it says no. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (rc == 0)
		rc = db_open_connections(db, why);
	if (rc < 0)
		return rc;
	sqlite3_wal_hook(db->writer, note_wal_pages, db);
	rc = thread_start(&db->thread, "ackfs-journal", writer_main, db);
	if (rc < 0)
		return rc;
	db->has_thread = true;
	*out = take_ptr(db);
	return 0;
}

int db_open_readonly(const char *dir, struct db **out, char **why)
{
	AUTO(db_free) struct db *db = NULL;
	int version = 0;
	int rc = db_alloc(dir, &db);

	*why = NULL;
	if (rc < 0)
		return rc;
	rc = db_open_reader(db->path, &db->reader);
	if (rc == 0)
		rc = db_check_version(db->reader, db->path, &version, why);
	if (rc < 0 && !*why)
		*why = str_printf("journal %s cannot be read: %s", db->path,
				  strerror(-rc));
	if (rc < 0)
		return rc;
	*out = take_ptr(db);
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	if (db->has_thread) {
		lock_acquire(&db->lock);
		db->stopping = true;
		cond_signal(&db->work);
		lock_release(&db->lock);
		pthread_join(db->thread, NULL);
	}
	db_free(&db);
}
