/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The tables, and how older ones become newer ones.
 *
 * Layer    state.
 */
#ifndef ACKFS_STATE_SCHEMA_H
#define ACKFS_STATE_SCHEMA_H

#include <stddef.h>

#include <sqlite3.h>

/** The steps of this program: step i leads from version i to i + 1. */
extern const char *const schema_steps[];
extern const size_t schema_step_count;

/** @return 0 or -errno */
int schema_version(sqlite3 *sql, int *out);
/**
 * Bring a database to the newest version, each step in a transaction of its
 * own, so that a crash leaves a whole version.
 * @return 0; -EPROTO: its version is above `count`; -errno
 */
int schema_migrate(sqlite3 *sql, const char *const *steps, size_t count);
/** For a connection that must not migrate (ackctl is newer than the daemon):
 *  the tables of an older version are seen as this program's. @return 0 or -errno */
int schema_show_as_newest(sqlite3 *sql);

#endif
