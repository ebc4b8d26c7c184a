/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Growing byte buffer with a maximum and a sticky error.
 *
 * Appending never returns an error: the first failure is remembered, later
 * appends do nothing, and buf_error() tells at the end.  The content is always
 * followed by a NUL byte that does not count.
 *
 *     AUTO(buf_release) struct buf b = BUF_INIT;
 *     buf_addf(&b, "%s/%s", dir, name);
 *     rc = buf_error(&b);
 *
 * Threads  none: a buffer belongs to one thread at a time.
 */
#ifndef ACKFS_UTIL_BUF_H
#define ACKFS_UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "util/base.h"

/** Limit of a buffer that names none. */
#define BUF_DEFAULT_MAX ((size_t)64 << 20)

struct buf {
	char *data; /* never NULL for readers: use buf_str() */
	size_t len;
	size_t cap;
	size_t max; /* 0: BUF_DEFAULT_MAX */
	int err;    /* sticky: 0, -ENOMEM, or -EMSGSIZE past max */
};

#define BUF_INIT                                                               \
	{                                                                      \
		NULL, 0, 0, 0, 0                                               \
	}
#define BUF_INIT_MAX(limit)                                                    \
	{                                                                      \
		NULL, 0, 0, (limit), 0                                         \
	}

void buf_release(struct buf *b);
/** Forget content and error, keep the memory. */
void buf_reset(struct buf *b);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) ACK_PRINTF(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) ACK_PRINTF(2, 0);
/** Room for len more bytes; @return where they go, or NULL (error is set).
 *  They count once buf_commit() says how many were filled. */
char *buf_reserve(struct buf *b, size_t len);
/** len bytes (at most those reserved) were written behind the content. */
void buf_commit(struct buf *b, size_t len);
/** Cut to len bytes (no longer than now). */
void buf_truncate(struct buf *b, size_t len);
/** The content as a string, "" when empty. */
const char *buf_str(const struct buf *b);
/** @return 0, -ENOMEM, -EMSGSIZE. */
int buf_error(const struct buf *b);
/**
 * Hand the content over as a heap string (free() it) and empty the buffer.
 * @return NULL when an error is set, or memory is out
 */
char *buf_detach(struct buf *b);

/** A heap string by format; NULL when memory is out. */
char *str_printf(const char *fmt, ...) ACK_PRINTF(1, 2);
/** strdup that maps NULL to NULL. */
char *str_dup(const char *s);
/** Replace *dst by a copy of s (s may be NULL). @return 0 or -ENOMEM */
int str_set(char **dst, const char *s);
/** Equal, where NULL equals NULL alone. */
int str_eq(const char *a, const char *b);

#endif
