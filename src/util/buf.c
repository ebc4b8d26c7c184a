/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BUF_FIRST_CAP = 64 };

static size_t buf_max(const struct buf *b)
{
	return b->max ? b->max : BUF_DEFAULT_MAX;
}

void buf_release(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
	b->err = 0;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
	if (b->data)
		b->data[0] = '\0';
}

/* The next capacity for `need` bytes: doubling, but not past the maximum. */
static size_t grown_cap(const struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST_CAP;
	size_t limit = buf_max(b) + 1;

	while (cap < need)
		cap = cap > limit / 2 ? limit : cap * 2;
	return cap;
}

char *buf_reserve(struct buf *b, size_t len)
{
	if (b->err)
		return NULL;
	/* b->len never exceeds the maximum, so this cannot wrap. */
	if (len > buf_max(b) - b->len) {
		b->err = -EMSGSIZE;
		return NULL;
	}
	if (b->len + len + 1 > b->cap) {
		size_t cap = grown_cap(b, b->len + len + 1);
		char *data = realloc(b->data, cap);

		if (!data) {
			b->err = -ENOMEM;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
		b->data[b->len] = '\0';
	}
	return b->data + b->len;
}

void buf_commit(struct buf *b, size_t len)
{
	if (b->err)
		return;
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	char *to = buf_reserve(b, len);

	if (!to)
		return;
	if (len)
		memcpy(to, data, len);
	buf_commit(b, len);
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room;
	va_list again;
	int want;
	char *to = buf_reserve(b, 0);

	if (!to)
		return;
	room = b->cap - b->len;
	if (room > buf_max(b) - b->len + 1)
		room = buf_max(b) - b->len + 1;
	va_copy(again, ap);
	want = vsnprintf(to, room, fmt, ap);
	if (want >= 0 && (size_t)want >= room) {
		*to = '\0'; /* the part that fitted is not content */
		to = buf_reserve(b, (size_t)want);
		if (to)
			want = vsnprintf(to, (size_t)want + 1, fmt, again);
	}
	va_end(again);
	if (want < 0)
		b->err = -EMSGSIZE;
	else if (to)
		buf_commit(b, (size_t)want);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void buf_truncate(struct buf *b, size_t len)
{
	if (len > b->len || !b->data)
		return;
	b->len = len;
	b->data[len] = '\0';
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

int buf_error(const struct buf *b)
{
	return b->err;
}

char *buf_detach(struct buf *b)
{
	char *s;

	if (!buf_reserve(b, 0))
		return NULL;
	s = take_ptr(b->data);
	buf_release(b);
	return s;
}

char *str_printf(const char *fmt, ...)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	return buf_detach(&b);
}

char *str_dup(const char *s)
{
	return s ? strdup(s) : NULL;
}

int str_set(char **dst, const char *s)
{
	char *copy = str_dup(s);

	if (s && !copy)
		return -ENOMEM;
	free(*dst);
	*dst = copy;
	return 0;
}

int str_eq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}
