/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What an upload's headers say of the object: headers to keep, metadata,
 * storage class, ACL, tags (protocol 4.1, 4.2).
 */
#ifndef ACKFS_EMULATOR_PROPERTIES_H
#define ACKFS_EMULATOR_PROPERTIES_H

#include "emulator/exchange.h"

/** Check and store all of them in o. @return 0 or DECIDED */
int properties_read(struct exchange *x, struct object *o);
/** Storage class, ACL and encryption alone, where the request has them. */
int properties_read_class(struct exchange *x, struct object *o);
/** Content-Type, Cache-Control, x-oss-meta-* and the like: o's are dropped. */
int properties_read_headers(struct exchange *x, struct object *o);
/** x-oss-tagging into o's tags, which are dropped first. */
int properties_read_tags(struct exchange *x, struct object *o);
/** Enter a tag after all checks. @return 0 or DECIDED */
int tags_add(struct exchange *x, struct kvs *tags, const char *key,
	     const char *value);

#endif
