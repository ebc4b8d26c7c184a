/* SPDX-License-Identifier: Apache-2.0 */
/** @file What change.c, rename.c and meta.c share. Layer: fs. */
#ifndef ACKFS_FS_CHANGE_H
#define ACKFS_FS_CHANGE_H

#include "fs/fs.h"

/** A small object without a callback: a folder's marker, a symlink.
 *  @return 0; -EHOSTUNREACH: OSS is away (offline_ok); -errno
 *  @param more  user metadata beside the posix ones; may be NULL
 *  @param id    what was stored */
int fs_put_small(struct fs *fs, const char *key, const char *text,
		 const char *content_type, const struct posix_attr *a,
		 const struct kvs *more, struct object_id *id);
void fs_object_id_of(const struct oss_put_result *r, uint64_t size,
		     struct object_id *id);
/** The state folder remembers an object's metadata. */
void fs_remember(struct fs *fs, const char *key, const struct object_id *id,
		 const char *content_type, const struct kvs *meta);
/** DELETE, and all records of the key. Logged when it fails. */
int fs_remove_object(struct fs *fs, const char *key);
/** At the start: a rename of staged bytes (intent.is_staged) goes on, blocking.
 *  Before their uploads are submitted. @return 0; -ENOENT: nothing is staged
 *  under the old name; -errno: it is given up */
int fs_rename_again(struct fs *fs, const struct intent *i);
/** The node's mode, owner and times (or a folder's marker, which may not be there)
 *  go to OSS in a second. @return -errno of the journal */
int fs_change_later(struct fs *fs, struct node *n);
/** One x-oss-meta-NAME among others; value NULL removes.
 *  @param flags  XATTR_CREATE, XATTR_REPLACE
 *  @return 0, -EEXIST, -ENODATA, -E2BIG (all together, OSS_META_MAX), -ENOMEM */
int fs_change_user_meta(struct kvs *meta, const char *name, const char *value,
			int flags);
/** A removed or replaced folder's cached children. */
void fs_forget_children_locked(struct fs *fs, struct node *dir)
	ACK_REQUIRES(fs->tree.lock);
/**
 * The properties of a stored object, with the node's mode, owner and mtime:
 * remembered, or asked for by HEAD. props_release: staging_props_release().
 */
int fs_props_of(struct fs *fs, struct node *n, const char *key,
		struct staging_props *out);

/** The node's mode, owner and mtime, to be made its object's: a crash does not
 *  lose them. @return 0 or -errno */
int fs_journal_change(struct fs *fs, struct node *n);

#endif
