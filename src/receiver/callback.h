/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What happens to one callback: read this first.
 *
 *     key of the trusted address -> signature -> fields -> answer -> line
 *
 * Nothing is done for a callback that is not genuine.
 *
 * Threads  callback_handle() from any; may block while a key is fetched.
 */
#ifndef ACKFS_RECEIVER_CALLBACK_H
#define ACKFS_RECEIVER_CALLBACK_H

#include <stdatomic.h>
#include <stdint.h>

#include "receiver/answer.h"
#include "receiver/keycache.h"
#include "receiver/record.h"
#include "util/buf.h"
#include "util/kv.h"

/** Counters since the start. */
struct callback_stats {
	atomic_uint_fast64_t received;
	atomic_uint_fast64_t verified;
	atomic_uint_fast64_t forged;
	atomic_uint_fast64_t undecided; /* the key could not be had */
	atomic_uint_fast64_t duplicates;
	atomic_uint_fast64_t failed; /* verified, answered other than 200 */
};

/** All borrowed, but for the counters. */
struct callback_service {
	struct keycache *keys;
	struct answers *answers;
	struct recordlog *log;
	const char *id_field; /* the field with the delivery id */
	struct callback_stats stats;
};

/** One POST, as it came; borrowed. */
struct callback_in {
	const char *client; /* its address, for the line */
	const char *target; /* raw: see verify.h */
	const struct kvs *headers;
	const struct buf *body;
};

/**
 * Handle it, and print its line.
 *
 * @param out  set always: the status (403 forged, 503 the key cannot be had or
 *             memory is out), and a body to release
 */
void callback_handle(struct callback_service *s, const struct callback_in *in,
		     struct answer *out);

#endif
