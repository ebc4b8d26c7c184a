/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Finding the object that a request means: versions, symlinks, archives.
 * All return 0 or DECIDED.
 */
#ifndef ACKFS_EMULATOR_LOOKUP_H
#define ACKFS_EMULATOR_LOOKUP_H

#include "emulator/exchange.h"

/** The object itself. @param version  NULL: the current one */
int lookup_object(struct exchange *x, const char *bucket, const char *key,
		  const char *version, struct object **out);
/** The request's own bucket, key and versionId. */
int lookup_own(struct exchange *x, struct object **out);
/** What a symlink points at; anything else is its own target. */
int lookup_target(struct exchange *x, struct object *link, struct object **out);
/** 403 InvalidObjectState for an archived object that is not restored. */
int check_readable(struct exchange *x, const struct object *o);
/** Whether a restored copy exists now. */
bool is_restored(const struct exchange *x, const struct object *o);

#endif
