/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The Range header, as OSS reads it (protocol 4.3).
 *
 * Layer  emulator, pure.
 */
#ifndef ACKFS_EMULATOR_RANGE_H
#define ACKFS_EMULATOR_RANGE_H

#include <stdbool.h>
#include <stdint.h>

enum range_result {
	RANGE_WHOLE,   /* 200, all of it */
	RANGE_PARTIAL, /* 206 */
	RANGE_INVALID, /* 416 */
};

/**
 * @param text      the header, or NULL
 * @param size      of the object
 * @param standard  x-oss-range-behavior: standard (else OSS's own rule: what
 *                  does not fit gives the whole object)
 * @param suffix_is_error  a suffix longer than the object is 416 with the
 *                  standard rule; else the whole object as 206
 * @param off  set for RANGE_PARTIAL alone
 * @param len  likewise
 */
enum range_result range_parse(const char *text, uint64_t size, bool standard,
			      bool suffix_is_error, uint64_t *off,
			      uint64_t *len);

/** "bytes=first-last", both there and first <= last (x-oss-copy-source-range).
 *  @return 0 or -EINVAL */
int range_parse_copy(const char *text, uint64_t *first, uint64_t *last);

#endif
