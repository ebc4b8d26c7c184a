/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * CRC-64/XZ (ECMA-182 reflected), which OSS calls crc64ecma.
 *
 * crc64_update() is liblzma's; crc64_combine() joins the sums of two pieces
 * as zlib's crc32_combine does (powers of x modulo the polynomial).
 */
#ifndef ACKFS_UTIL_CRC64_H
#define ACKFS_UTIL_CRC64_H

#include <stddef.h>
#include <stdint.h>

/** The sum of what came before (0 at first) and these bytes. */
uint64_t crc64_update(uint64_t crc, const void *data, size_t len);
/** crc(A B) from crc(A), crc(B) and the length of B. */
uint64_t crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b);

#endif
