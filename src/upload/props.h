/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The properties that a staged file's object is given.
 *
 * Layer    upload (internal).
 */
#ifndef ACKFS_UPLOAD_PROPS_H
#define ACKFS_UPLOAD_PROPS_H

#include "upload/env.h"

struct upload_props {
	char *content_type;
	struct kvs meta;
	struct kvs headers;
	bool forbid_overwrite;
	bool check_conflict; /* the object must be the one that was opened */
};

void upload_props_release(struct upload_props *p);

/**
 * Content-Type: the file's own, else the rule's, else by the key's extension.
 * @param size  UINT64_MAX: not known yet
 */
int upload_props_make(const struct upload_env *env, struct staging *s,
		      const char *key, uint64_t size, struct upload_props *out);
/** The same in oss/store.h's terms, borrowing p. */
struct oss_props upload_props_oss(const struct upload_props *p);

/** Leave out the times (mtime, ctime, atime), which are not settled while a
 *  file is written. */
void upload_props_drop_times(struct upload_props *p);
/**
 * May an object begun with `begun` (without times) stand for one that wants
 * `want`?  Times between from_ms and until_ms need not be kept: they came from
 * the writing itself, and Last-Modified tells them well enough.
 */
bool upload_props_fit(const struct upload_props *begun,
		      const struct upload_props *want, int64_t from_ms,
		      int64_t until_ms);

/** The key's path inside the mount. */
const char *upload_path(const struct upload_env *env, const char *key);

#endif
