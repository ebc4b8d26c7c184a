/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A short ordered list of names and values: headers, query, user metadata,
 * callback variables.  Names compare without case, as HTTP's do.
 *
 * Threads  none.
 */
#ifndef ACKFS_UTIL_KV_H
#define ACKFS_UTIL_KV_H

#include <stdbool.h>
#include <stddef.h>

#include "util/base.h"

/** One block of memory: never free or replace a part of it. */
struct kv {
	char *name;
	char *value; /* behind the name */
};

struct kvs {
	struct kv *items;
	size_t count;
	size_t cap;
};

#define KVS_INIT                                                               \
	{                                                                      \
		NULL, 0, 0                                                     \
	}

void kvs_release(struct kvs *l);
/** Append (no check for a twin). @return 0 or -ENOMEM */
int kvs_add(struct kvs *l, const char *name, const char *value);
/** The same with texts that nothing ends. */
int kvs_addn(struct kvs *l, const char *name, size_t name_len,
	     const char *value, size_t value_len);
int kvs_addf(struct kvs *l, const char *name, const char *fmt, ...)
	ACK_PRINTF(3, 4);
/** Replace the value of name, or append. @return 0 or -ENOMEM */
int kvs_set(struct kvs *l, const char *name, const char *value);
/** Another pair in the place of one. @return 0 or -ENOMEM */
int kvs_set_at(struct kvs *l, size_t at, const char *name, const char *value);
/** @return whether it was there */
bool kvs_remove(struct kvs *l, const char *name);
void kvs_remove_at(struct kvs *l, size_t at);
/** The first value of name, or NULL. */
const char *kvs_get(const struct kvs *l, const char *name);
/** Append copies of all of src. @return 0 or -ENOMEM */
int kvs_copy(struct kvs *dst, const struct kvs *src);
/** By name, byte order of the lower-cased name. */
void kvs_sort(struct kvs *l);

/** The list as a compact JSON object in `out` (free() it).
 *  @return 0, -ENOMEM, -EINVAL (not UTF-8) */
int kvs_to_json(const struct kvs *l, char **out);

#endif
