/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A stored object of which this mount has no record (another host or tool wrote
 * it) gets a callback of its own.
 *
 * Layer    upload.
 * Threads  any; local disk only.
 */
#ifndef ACKFS_UPLOAD_ANNOUNCE_H
#define ACKFS_UPLOAD_ANNOUNCE_H

#include <stdbool.h>

#include "state/cblog.h"

struct uploader;

struct object_announce {
	const char *key;
	const struct object_id *id; /* the object as HEAD told it */
	/* for the callback's inputs */
	uint32_t uid, gid, mode;
	int64_t mtime_ms;
};

/** Would its rule make a callback for this key at all? */
bool uploader_announces(struct uploader *u, const char *key);
/**
 * Render its callback as a new delivery and note it as one that was never
 * made: recall_now() makes it then, and the mount's next start would, too.
 * @return 0; -ENODATA: its rule makes none; -EINVAL: it cannot be rendered
 *         (logged); -errno
 */
int uploader_announce(struct uploader *u, const struct object_announce *a);

#endif
