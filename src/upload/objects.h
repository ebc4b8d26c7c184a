/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Changes of stored objects on the server's side: copies of any size, with
 * new metadata, with a callback; renames.
 *
 * Up to OSS_COPY_MAX, and for new metadata in place, by CopyObject; above, and
 * whenever a callback must be made, by UploadPartCopy in parallel and
 * CompleteMultipartUpload (an empty object, or one whose bytes are at hand, by
 * PutObject).
 *
 * What survives: content type, user metadata, kept headers, storage class,
 * tags.  CopyObject copies tags by itself and never the ACL (oss-protocol 4.8),
 * which costs a request to ask for: with keep_acl it is asked for and set
 * again; callers leave it out where requests count more (each file of a
 * renamed folder).
 *
 * Layer    upload.
 * Threads  any; blocking.  Callers run on a keyq task of the keys concerned.
 */
#ifndef ACKFS_UPLOAD_OBJECTS_H
#define ACKFS_UPLOAD_OBJECTS_H

#include "oss/store.h"
#include "state/cblog.h"

struct db;
struct part_pool; /* upload/parts.h: threads that move parts */

struct object_copy {
	const char *src, *dst;
	const struct object_id *src_id; /* NULL: looked up; else it must hold */
	/* The source as HEAD told it a moment ago; NULL: it is asked for where
	   needed. */
	const struct oss_object *head;
	/* NULL: the source's are kept (asked for by HEAD where needed). */
	const struct oss_props *props;
	const struct oss_callback *callback; /* NULL: none */
	int callback_urls;
	/* With a callback: the source's bytes, which are at hand; NULL: they
	   are copied. */
	const struct buf *bytes;
	bool keep_acl;
	bool forbid_overwrite; /* -EEXIST when dst is there */
	int64_t deadline_ms; /* clock_mono_ms(): of the first step; each that is
				  done gives the next as much time again */
	const atomic_bool *cancel;
	struct db *db; /* where its multipart upload is noted, for the next
			  start to abort; NULL: nowhere */
};

/**
 * A Complete whose answer was lost is looked for by HEAD; the callback is
 * then made again by another copy (at least once).
 *
 * @param out  as from a PutObject: reply, etag, crc, body of the callback;
 *             always to be released
 * @return 0 (also when the callback failed: out->reply.http is 203), -ENOENT,
 *         -ESTALE (the source changed), -EEXIST, -errno
 */
int object_copy(const struct store *store, struct part_pool *parts,
		const struct object_copy *c, struct oss_put_result *out);

/**
 * Add the headers that an overwrite of this object would lose: storage class
 * (when not Standard), tags (one request when it has some) and, with_acl, its
 * ACL (one request). Names that are there already stay. What may not be asked
 * for (-EACCES) is left out.
 * @return 0, -ENOMEM, -errno
 */
int object_keep_headers(const struct store *store, const char *key,
			const struct oss_object *o, bool with_acl,
			const struct oss_ctl *ctl, struct kvs *headers,
			struct oss_reply *reply);

/** An object's identity as HEAD told it, or as an upload's answer did. */
void object_id_of(const struct oss_object *o, struct object_id *out);
void object_id_of_put(const struct oss_put_result *r, uint64_t size,
		      struct object_id *out);

#endif
