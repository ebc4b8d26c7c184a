/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * %{...}, which ackfs fills in: in values of variables, in url and host.
 *
 * `%%` is a '%'; a '%' before anything but '{' or '%' stays.  In url and host
 * a value is percent-encoded as the part of a URL that it is; path and dir keep
 * their slashes in the path of a URL.
 *
 * Layer    callback.
 * Threads  any.
 */
#ifndef ACKFS_CALLBACK_VARS_H
#define ACKFS_CALLBACK_VARS_H

#include <stdbool.h>

#include "callback/rules.h"
#include "util/buf.h"
#include "util/kv.h"

enum vars_place { VARS_VALUE, VARS_URL };

/**
 * @param captures  names that a rule's match captures; may be NULL
 * @param why    empty; on -EINVAL what is wrong and what to write
 * @param doubt  gets what may be a mistake (a missing environment variable)
 * @return 0, -EINVAL, -ENOMEM
 */
int vars_check(const char *text, enum vars_place place,
	       const struct kvs *captures, struct buf *why, struct buf *doubt);
/** @return 0; -EINVAL: vars_check() would have said so; -ENOMEM */
int vars_expand(const char *text, enum vars_place place,
		const struct callback_inputs *in, const struct kvs *captures,
		struct buf *out);
/** Is a %{...} of a known name in it? For texts that are not expanded. */
bool vars_present(const char *text);
/** Is it a name that %{...} has by itself? A capture cannot be called so. */
bool vars_is_builtin(const char *name, size_t len);

#endif
