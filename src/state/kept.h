/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The bytes of small files whose callback failed, while it is to be made
 * again: they make a PutObject of what else is a copy in several requests.
 *
 * A cache: what is not kept costs requests alone.  It stands in the journal, so
 * that it survives a crash, and takes KEPT_ALL_MAX at most: the oldest give
 * way.
 *
 * Layer    state.
 * Threads  any.
 */
#ifndef ACKFS_STATE_KEPT_H
#define ACKFS_STATE_KEPT_H

#include "state/db.h"
#include "util/buf.h"

/** Larger files are not kept. */
#define KEPT_FILE_MAX ((size_t)256 << 10)
/** Of all together. What was kept last counts, gone or not. */
#define KEPT_ALL_MAX ((size_t)64 << 20)

/**
 * Keep a delivery's bytes, when its failure is recorded (state/cblog.h).  Not
 * waited for, in no hurry.
 * @param bytes  at most KEPT_FILE_MAX; its content is taken
 * @return 0 or -errno
 */
int kept_put(struct db *db, const char *delivery_id, struct buf *bytes);
/** Appends to out. @return 0; -ENOENT: they are not kept; -errno */
int kept_get(struct db *db, const char *delivery_id, struct buf *out);
/** Those go whose callback is not to be made again: answered, given up, of
 *  another version, without a name. @return how many, or -errno */
int kept_prune(struct db *db);

#endif
