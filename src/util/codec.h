/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Base64, hex, percent-encoding, UTF-8.
 *
 * Decoders are strict: any byte out of place is -EINVAL, and the buffer then
 * holds what it held before.  A buffer's own error (-ENOMEM, -EMSGSIZE) they
 * return too.
 */
#ifndef ACKFS_UTIL_CODEC_H
#define ACKFS_UTIL_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

/** Standard alphabet, padded, no line breaks (RFC 4648 section 4). */
void base64_encode(struct buf *out, const void *data, size_t len);
int base64_decode(struct buf *out, const char *text, size_t len);
/** Lower case. */
void hex_encode(struct buf *out, const void *data, size_t len);
/** Upper case: 2 * len digits and NUL. */
void hex_upper(char *out, const void *data, size_t len);
int hex_decode(struct buf *out, const char *text, size_t len);

enum percent_set {
	PERCENT_ALL,  /* all but A-Z a-z 0-9 - . _ ~ */
	PERCENT_PATH, /* '/' stays too */
};
void percent_encode(struct buf *out, const char *data, size_t len,
		    enum percent_set set);
/** @param plus_is_space  '+' decodes to ' ' (a query's values)
 *  @return 0, -EINVAL for a '%' without two hex digits */
int percent_decode(struct buf *out, const char *text, size_t len,
		   bool plus_is_space);

/** The character at data: its bytes (1 to 4), its number in *code.
 *  @return 0, *code untouched: none, or not well-formed */
size_t utf8_next(const char *data, size_t len, uint32_t *code);
/** Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool utf8_is_valid(const char *data, size_t len);

#endif
