/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Callback variables set with setfattr on files and folders
 * (user.oss.callback.var.NAME): by key, a folder's with '/' at its end.
 *
 * Layer    state.
 * Threads  any.
 */
#ifndef ACKFS_STATE_CBVARS_H
#define ACKFS_STATE_CBVARS_H

#include <stdbool.h>

#include "util/kv.h"

struct db;

/** value NULL removes. @return 0; -ENODATA: nothing to remove; -errno */
int cbvars_set(struct db *db, const char *key, const char *name,
	       const char *value);
/** Appends the variables of one key. */
int cbvars_get(struct db *db, const char *key, struct kvs *out);
/** Those of key, then of its folders upwards to the bucket's root: a name
 *  that is there already stays. */
int cbvars_inherited(struct db *db, const char *key, struct kvs *out);
/** Of one key, or (a folder's, ending in '/') of all keys below it too.
 *  dst NULL forgets. */
int cbvars_move(struct db *db, const char *src, const char *dst);
/** Is there any at all?  Known in memory, as only this process writes them;
 *  true when it cannot be told. */
bool cbvars_any(struct db *db);

#endif
