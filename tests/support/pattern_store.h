/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A store of one operation, get, for tests of reading: objects of any size
 * whose bytes are computed, so that nothing is kept; each request is noted, and
 * may be slow, stand at an offset, or fail.
 *
 * It does not retry.  Threads: any.
 */
#ifndef ACKFS_TESTS_PATTERN_STORE_H
#define ACKFS_TESTS_PATTERN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oss/store.h"

struct pattern_store;

struct pattern_get {
	char key[32];
	uint64_t off, len; /* as asked; len 0: to the end */
	uint64_t given;    /* bytes that the sink took */
	int rc;
};

struct pattern_store *pattern_store_new(void);
/** No call may be running. */
void pattern_store_free(struct pattern_store *s);
struct store pattern_store_store(struct pattern_store *s);

/** An object; a new etag of an old key replaces it. */
void pattern_store_put(struct pattern_store *s, const char *key,
		       const char *etag, uint64_t size);
/** Are these the bytes from off on? */
bool pattern_matches(const char *etag, uint64_t off, const void *data,
		     size_t len);

/** Each request waits so long before its first byte. */
void pattern_store_set_latency(struct pattern_store *s, int64_t us);
/** Bytes a second of one request; 0: no limit. */
void pattern_store_set_rate(struct pattern_store *s, uint64_t rate);
/** From now on, no request gives bytes at or above off; UINT64_MAX: all go
 *  on. */
void pattern_store_set_gate(struct pattern_store *s, uint64_t off);
/** The next times requests (-1: all) end with err after so many bytes. */
void pattern_store_fail(struct pattern_store *s, int times, int err,
			uint64_t after);
/** A share (percent) of requests ends with -EIO somewhere. */
void pattern_store_set_faults(struct pattern_store *s, unsigned percent,
			      unsigned seed);

unsigned pattern_store_calls(struct pattern_store *s);
uint64_t pattern_store_bytes(struct pattern_store *s);
/** Most requests that ran at once. */
unsigned pattern_store_peak(struct pattern_store *s);
/** The i-th request, a copy. */
struct pattern_get pattern_store_call(struct pattern_store *s, unsigned i);
void pattern_store_reset(struct pattern_store *s);
/** Wait until n requests run. @return false after timeout_ms */
bool pattern_store_wait_running(struct pattern_store *s, unsigned n,
				int timeout_ms);

#endif
