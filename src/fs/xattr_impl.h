/* SPDX-License-Identifier: Apache-2.0 */
/** @file What xattr.c and xattr_set.c share. Layer: fs. */
#ifndef ACKFS_FS_XATTR_IMPL_H
#define ACKFS_FS_XATTR_IMPL_H

#include "fs/file.h"
#include "fs/xattr.h"

#define XATTR_VAR "callback.var."
#define XATTR_META "meta."

/** What the attributes of one node are made of; gathered once. */
struct xattr_view {
	struct fs *fs;
	struct node *n; /* pinned */
	char key[1024];
	uint32_t owner, kind;
	uint64_t size;
	bool stored;
	struct object_id id;
	struct file_state file;
	bool has_record, has_meta, has_user_meta;
	struct cb_record record;
	struct objmeta meta;  /* the stored object's */
	struct kvs user_meta; /* of what shows: staged bytes' or the object's */
};

/** @return 0, -ENOENT, -errno; xattr_view_release() it in any case */
int xattr_view_make(struct fs *fs, uint64_t ino, struct xattr_view *v);
void xattr_view_release(struct xattr_view *v);

/** *rest: what stands behind the prefix, not empty. */
bool xattr_has_prefix(const char *name, const char *prefix, const char **rest);
/** Is it one of the names that are read alone (without user.oss.)? */
bool xattr_is_readable(const char *name);

#endif
