/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The state folder's SQLite database: one writer thread that commits in
 * groups, readers on a connection of their own.
 *
 * A write is a function run on the writer thread inside a transaction that
 * it may share with others; db_write() returns when that transaction is
 * committed (it survives the daemon's death), with DB_DURABLE when the WAL has
 * been fsynced too (it survives power loss).  A function that fails is
 * rolled back alone.  For that it and others may be called twice, the first
 * time in vain: what it does beside SQL must be the same then.
 *
 * Layer    state.
 * Threads  any.  Callers hold no lock that create or getxattr needs
 *          (fuse-facts 16).
 */
#ifndef ACKFS_STATE_DB_H
#define ACKFS_STATE_DB_H

#include <stdbool.h>

#include <sqlite3.h>

struct db;

/** The newest schema that this program knows; older ones are migrated. */
#define DB_SCHEMA_VERSION 4

/**
 * Open or create DIR/journal.db.
 * A database that SQLite calls corrupt is moved aside (named in the log) and a
 * new one made: the staging files without rows are then kept aside too.
 * @param why  on failure, what to do (free it)
 * @return 0; -EPROTO: written by a newer ackfs; -EROFS, -EACCES, -errno
 */
int db_open(const char *dir, struct db **out, char **why);
/** For ackctl: no writer, nothing created. @return as db_open, -ENOENT */
int db_open_readonly(const char *dir, struct db **out, char **why);
/** Commits what is queued. NULL is fine. */
void db_close(struct db *db);

enum db_flags {
	DB_WAIT = 0,    /* return after the commit */
	DB_DURABLE = 1, /* and after the fsync */
	DB_NOWAIT = 2,  /* return at once */
	/* As DB_NOWAIT, in no hurry: committed with the next write that is not,
	   or within 20 ms.  For what a crash may take back. */
	DB_LATER = 4,
};

/** @param fn     runs on the writer thread; 0 or -errno, which is returned
 *  @param flags  DB_WAIT, DB_DURABLE
 *  @return fn's, -EIO, -ENOSPC (commit failed; logged), -EROFS (opened for
 *          reading) */
int db_write(struct db *db, int (*fn)(sqlite3 *sql, void *arg), void *arg,
	     int flags);
/**
 * In order with other writes, but nobody waits, nor hears what comes of it.
 * @param arg  released after the commit; at once when this fails; also when fn
 *             was not called, because the transaction had failed before
 * @param flags  DB_NOWAIT or DB_LATER, and DB_DURABLE
 * @return 0, -ENOMEM, -EROFS
 */
int db_write_nowait(struct db *db, int (*fn)(sqlite3 *sql, void *arg),
		    void *arg, void (*release)(void *arg), int flags);

/**
 * A write in two halves, so that its place in the order can be taken under a
 * lock and its commit be waited for without: db_post(), then db_wait(), or `done`.
 */
struct db_job {
	int (*fn)(sqlite3 *sql, void *arg); /* NULL: retracted */
	/* Called on the writer thread after the commit, in order (DB_LATER ones
	   after all others of their group), holding no lock; it may free the
	   job.  NULL: somebody calls db_wait(). */
	void (*done)(void *arg, int rc);
	void *arg;
	int flags; /* DB_DURABLE, DB_LATER or 0 */
	/* the database's */
	int rc;
	bool is_taken, is_finished;
	struct db_job *next;
};

/** Queue it; it stays the caller's memory. Never blocks on the disk. */
void db_post(struct db *db, struct db_job *job);
/** A later job says all that this one would, and more: its fn is not called,
 *  `done` is.  Nothing happens when the writer has it already. */
void db_retract(struct db *db, struct db_job *job);
/** @return as db_write() */
int db_wait(struct db *db, struct db_job *job);

/** Everything that was queued before is committed, and its `done` has returned.
 *  @return 0 or -errno */
int db_commit(struct db *db);
/** To read what was posted with DB_LATER and DB_NOWAIT: it is committed, its `done`
 *  may be still to come.  Costs nothing where there is none. @return 0 or -errno */
int db_settle(struct db *db);
/** Free pages go back to the disk but for 16 MiB, some in each transaction.
 *  @return 0 or -errno */
int db_shrink(struct db *db);
/** Run fn on the caller's thread with the reading connection (one reader at
 *  a time; it sees every commit). @return fn's */
int db_read(struct db *db, int (*fn)(sqlite3 *sql, void *arg), void *arg);
/** A connection of the caller's own, for long walks. A statement that is not
 *  stepped to its end keeps the WAL from being emptied. @return 0 or -errno */
int db_view_open(struct db *db, sqlite3 **out);
void db_view_close(sqlite3 **view);

#endif
