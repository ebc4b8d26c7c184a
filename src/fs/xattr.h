/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Extended attributes: user.oss.* (design.md, "Extended attributes").
 *
 * Layer    fs; no FUSE types.
 * Threads  any.  Listing never touches the network; reading does for an
 *          object's own metadata that was never seen.
 */
#ifndef ACKFS_FS_XATTR_H
#define ACKFS_FS_XATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fs.h"
#include "util/buf.h"

/** The kernel's limit on a value and on a list. */
#define XATTR_VALUE_MAX 65536

/** What the names of all begin with. */
#define XATTR_PREFIX "user.oss."

/** Is it a namespace of ours at all?  security.*, system.* and trusted.* are
 *  answered without looking at anything. */
bool xattr_is_ours(const char *name);
/** Does reading this name wait for a running upload (file_wait_outcome)? */
bool xattr_waits(const char *name);

/** @return 0 with the value appended; -ENODATA, -EPERM, -errno */
int xattr_get(struct fs *fs, uint64_t ino, const char *name, uint32_t uid,
	      struct buf *out);
/** Names, each with its NUL. @return 0 or -errno */
int xattr_list(struct fs *fs, uint64_t ino, uint32_t uid, struct buf *out);
/** @param flags  XATTR_CREATE, XATTR_REPLACE or 0 */
void xattr_set(struct fs *fs, uint64_t ino, const char *name, const char *value,
	       size_t len, int flags, uint32_t uid, struct fs_done done);
void xattr_remove(struct fs *fs, uint64_t ino, const char *name, uint32_t uid,
		  struct fs_done done);

#endif
