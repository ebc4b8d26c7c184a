/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Globs on slash-separated paths.
 *
 *   *       any bytes but '/'            **      any bytes, '/' too
 *   ?       one character but '/'        [a-z]   one of a set; [!...] not
 *   {name}  like '*', at least one byte, captured as NAME
 *   \x      x itself
 *
 * A pattern without '/' is matched against the last path component, as in
 * .gitignore ("*.log" matches "a/b.log"); with a '/' against the whole path.
 * A '/' at the beginning alone does that: "/a.log" is for the top directory.
 * "**" as a whole component matches zero or more components.
 */
#ifndef ACKFS_UTIL_GLOB_H
#define ACKFS_UTIL_GLOB_H

#include <stdbool.h>

#include "util/kv.h"

/** @return 0, or -EINVAL with what is wrong in *why (static text) */
int glob_check(const char *pattern, const char **why);
/**
 * @param path      no leading '/'
 * @param captures  gets NAME -> text for each {name}, as much as each can
 *                  take, left ones first; may be NULL
 * Bounded: work is at most proportional to len(pattern) * len(path).
 */
bool glob_match(const char *pattern, const char *path, struct kvs *captures);
/**
 * A list of globs separated by blanks; one that begins with '!' excludes.
 * The last one that matches decides.
 */
bool glob_list_match(const char *patterns, const char *path,
		     struct kvs *captures);
/** glob_check() of each. */
int glob_list_check(const char *patterns, const char **why);

struct globs;
/** Such a list, for those who match often. @return 0, -EINVAL, -ENOMEM */
int globs_new(const char *patterns, struct globs **out);
/** As glob_list_match(). */
bool globs_match(const struct globs *g, const char *path, struct kvs *captures);
/** NULL is fine. */
void globs_free(struct globs *g);

#endif
