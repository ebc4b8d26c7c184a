/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Names that programs rename when they are done (temporary = builtin).
 *
 * Layer    callback.
 */
#ifndef ACKFS_CALLBACK_TEMPORARY_H
#define ACKFS_CALLBACK_TEMPORARY_H

#include "util/buf.h"

/** The built-in list, globs with blanks between. */
const char *temporary_builtin(void);
/**
 * The glob list of `temporary = TEXT`: globs, the word builtin for the list
 * above, or none alone ("").
 * @param why  empty; on -EINVAL what is wrong and what to write
 * @return 0, -EINVAL, -ENOMEM
 */
int temporary_parse(const char *text, char **globs, struct buf *why);

#endif
