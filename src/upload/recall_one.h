/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One callback is made again.
 *
 * Layer    upload (internal).
 * Threads  on a keyq task of the key; blocking.
 */
#ifndef ACKFS_UPLOAD_RECALL_ONE_H
#define ACKFS_UPLOAD_RECALL_ONE_H

#include "upload/env.h"

/**
 * HEAD, and where the object is still ours and its callback failed: put it again,
 * or copy it onto itself, with the callback as it was sent, and record what came
 * of it.
 * @param forced  also when it was answered or given up
 */
void recall_one(const struct upload_env *env, const char *key, bool forced);
/** The callback of this key is `failed` for good. */
void recall_give_up(struct db *db, const char *key, const char *why);

#endif
