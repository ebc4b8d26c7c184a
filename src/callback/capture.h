/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The {names} that a glob list captures.
 *
 * Layer    callback.
 */
#ifndef ACKFS_CALLBACK_CAPTURE_H
#define ACKFS_CALLBACK_CAPTURE_H

#include "util/buf.h"
#include "util/kv.h"

/**
 * Add each name of a checked glob list, once, with an empty value.  Patterns
 * that exclude capture nothing.
 * @param why  empty; on -EINVAL what is wrong and what to write
 * @return 0, -EINVAL (a name that %{...} has already), -ENOMEM
 */
int capture_names(const char *globs, struct kvs *out, struct buf *why);

#endif
