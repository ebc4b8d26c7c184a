/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Mode, owner, mtime and kind in an object's user metadata, as ossfs 1.x keeps
 * them (oss-protocol 8.1), so that buckets can be shared with it.
 *
 * Layer    fs; pure.
 */
#ifndef ACKFS_FS_POSIX_H
#define ACKFS_FS_POSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "util/kv.h"

struct posix_attr {
	uint32_t mode; /* with type bits */
	uint32_t uid, gid;
	int64_t mtime_ns;
};

/**
 * Fill from metadata what it tells; the rest of *a stays as the caller set it
 * (defaults, Last-Modified).  The kind follows the metadata, then Content-Type
 * and the key's end.
 */
void posix_read(const struct kvs *meta, const char *content_type,
		bool key_ends_in_slash, struct posix_attr *a);
/** Set x-oss-meta-mode, -uid, -gid, -mtime. @return 0 or -ENOMEM */
int posix_write(struct kvs *meta, const struct posix_attr *a);
/** Is it one of the names that posix_write() sets, or that ossfs does? Those are
 *  not shown as user.oss.meta.NAME. */
bool posix_owns(const char *meta_name);

#endif
