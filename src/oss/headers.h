/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Properties of objects as request headers, and back from response headers.
 *
 * Layer    oss, private to it.
 * Threads  any.
 */
#ifndef ACKFS_OSS_HEADERS_H
#define ACKFS_OSS_HEADERS_H

#include "oss/store.h"

/** Put a code and a message of ours into the reply. */
void oss_reply_set(struct oss_reply *r, const char *code, const char *message);

/** Refuse keys that OSS would refuse (oss-protocol 4.1).
 *  @param reply  may be NULL
 *  @return 0, -EINVAL, -ENAMETOOLONG */
int oss_check_key(const char *key, struct oss_reply *reply);
/** Headers of an object that is written. @return 0 or -ENOMEM */
int oss_add_props(struct kvs *headers, const struct oss_props *props);
int oss_add_callback(struct kvs *headers, const struct oss_callback *cb);
/** x-oss-copy-source and its condition. @return 0 or -ENOMEM */
int oss_add_copy_source(struct kvs *headers, const char *bucket,
			const char *key, const char *etag);

/** x-oss-hash-crc64ecma. @return whether it is there and a number */
bool oss_read_crc(const struct kvs *headers, uint64_t *crc);
/** What the answer to a write tells; out->reply is set already.
 *  @return 0 or -ENOMEM */
int oss_read_result(const struct kvs *headers, struct oss_put_result *out);
/** All about an object but its size. @return 0, -ENOMEM */
int oss_read_object(const struct kvs *headers, struct oss_object *out);
/** Content-Length. @return 0 or -EBADMSG */
int oss_read_length(const struct kvs *headers, uint64_t *len);
/** Content-Range: "bytes FIRST-LAST/TOTAL". @return 0 or -EBADMSG */
int oss_read_range(const struct kvs *headers, uint64_t *first, uint64_t *last,
		   uint64_t *total);

#endif
