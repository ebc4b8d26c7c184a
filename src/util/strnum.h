/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Strict numbers from text: the whole string, in range, with its unit.
 *
 * All return 0, -EINVAL (not such a number) or -ERANGE; the output is
 * untouched on failure.  No leading blanks, no "+", no trailing text.
 */
#ifndef ACKFS_UTIL_STRNUM_H
#define ACKFS_UTIL_STRNUM_H

#include <stdbool.h>
#include <stdint.h>

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);
int parse_i64(const char *text, int64_t min, int64_t max, int64_t *out);
/** Octal, "0644" or "644". */
int parse_octal(const char *text, uint64_t max, uint64_t *out);
/** Bytes: "1500", "32M", "1G"; K, M, G, T are powers of 1024 (case-blind). */
int parse_size(const char *text, uint64_t *out);
/** Time: "500ms", "10s", "5m", "1h", "1d"; a bare number is seconds. */
int parse_duration_ms(const char *text, int64_t *out);
/** true/false, yes/no, on/off, 1/0. */
int parse_bool(const char *text, bool *out);

#endif
