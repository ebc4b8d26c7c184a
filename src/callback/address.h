/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Callback addresses: what OSS would refuse (oss-protocol 3.3, 3.9).
 *
 * Layer    callback.
 */
#ifndef ACKFS_CALLBACK_ADDRESS_H
#define ACKFS_CALLBACK_ADDRESS_H

#include <stdbool.h>

#include "util/buf.h"

#define ADDRESSES_MAX 5

struct addresses {
	int count;
	bool any_https;
};

/**
 * One to five addresses with ';' between, as written: %{...} is not expanded
 * and may stand anywhere.
 * @param why      empty; on -EINVAL what is wrong and what to write
 * @param doubt    empty; what OSS will refuse though an emulator may not
 * @return 0, -EINVAL, -ENOMEM
 */
int addresses_check(const char *text, struct addresses *out, struct buf *why,
		    struct buf *doubt);

/** Do both lists of addresses name the same servers (scheme, host, port), in the
 *  same order?  Paths and queries may differ. */
bool addresses_same_servers(const char *a, const char *b);

/** A Host header: a name or an IP, with a port or without; %{...} may stand
 *  anywhere.  @return NULL: fine; else what is wrong (static) */
const char *host_check(const char *text);

#endif
