/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Changes of stored objects on the server's side: copies of any size, with
 * new metadata, with a callback; renames.
 *
 * Up to OSS_COPY_MAX by CopyObject; above, and whenever a callback must be made, by
 * UploadPartCopy in parallel and CompleteMultipartUpload (an empty object by
 * PutObject).  Metadata, kept headers, ACL and tags survive.
 *
 * Layer    upload.
 * Threads  any; blocking.  Callers run on a keyq task of the keys concerned.
 */
#ifndef ACKFS_UPLOAD_OBJECTS_H
#define ACKFS_UPLOAD_OBJECTS_H

#include "oss/store.h"
#include "state/cblog.h"

struct part_pool; /* upload/parts.h: threads that move parts */

struct object_copy {
	const char *src, *dst;
	const struct object_id *src_id; /* NULL: looked up; else it must hold */
	/* NULL: the source's are kept (asked for by HEAD where needed). */
	const struct oss_props *props;
	const struct oss_callback *callback; /* NULL: none */
	int callback_urls;
	int64_t deadline_ms;
};

/**
 * @param out  as from a PutObject: reply, etag, crc, body of the callback
 * @return 0 (also when the callback failed: out->reply.http is 203), -ENOENT,
 *         -ESTALE (the source changed), -errno
 */
int object_copy(const struct store *store, struct part_pool *parts,
		const struct object_copy *c, struct oss_put_result *out);

#endif
