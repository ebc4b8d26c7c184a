/* SPDX-License-Identifier: Apache-2.0 */
/** @file struct db, shared by db.c (the queue) and db_open.c. */
#ifndef ACKFS_STATE_DB_INT_H
#define ACKFS_STATE_DB_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "state/db.h"
#include "util/lock.h"

struct db {
	char *path;
	sqlite3 *writer; /* the writer thread's; NULL: opened for reading */
	sqlite3 *reader;
	struct lock reader_lock; /* guards reader */
	struct lock lock;        /* guards the queue and stopping */
	struct cond work, finished;
	struct db_job *head, **tail;
	bool is_running;   /* a group was taken that is not committed yet */
	bool is_urgent;    /* one of them is not DB_LATER */
	int64_t commit_ms; /* when the first of them has waited long enough */
	bool stopping;
	pthread_t thread;
	bool has_thread;
	_Atomic int cbvars; /* state/cbvars.c's: are there any? 0: not known */
	/* the writer thread's */
	sqlite3_stmt *begin, *commit, *savepoint, *release;
	bool is_full_sync;
	int wal_pages;
	int64_t next_complaint_ms;
};

/** Writer and reader of db->path are open, checked and migrated. */
int db_open_connections(struct db *db, char **why);
int db_open_reader(const char *path, sqlite3 **out);
/** @return 0, -EPROTO with *why: from the future; -errno */
int db_check_version(sqlite3 *sql, const char *path, int *version, char **why);
/** With its statements; NULL is fine. */
void db_close_connection(sqlite3 *sql);

#endif
