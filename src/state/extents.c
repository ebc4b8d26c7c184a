/* SPDX-License-Identifier: Apache-2.0 */
#include "state/extents.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 8, VARINT_BITS = 7, VARINT_MORE = 0x80 };

void extents_release(struct extents *x)
{
	free(x->items);
	*x = (struct extents)EXTENTS_INIT;
}

int extents_copy(struct extents *dst, const struct extents *src)
{
	struct extent *items = NULL;

	if (src->count > 0) {
		items = malloc(src->count * sizeof(*items));
		if (!items)
			return -ENOMEM;
		memcpy(items, src->items, src->count * sizeof(*items));
	}
	free(dst->items);
	*dst = (struct extents){items, src->count, src->count};
	return 0;
}

int extents_reserve(struct extents *x, size_t calls)
{
	size_t cap = x->cap > 0 ? x->cap : FIRST_CAP;
	struct extent *items;

	if (x->cap - x->count >= calls)
		return 0;
	while (cap - x->count < calls)
		cap *= 2;
	items = reallocarray(x->items, cap, sizeof(*items));
	if (!items)
		return -ENOMEM;
	x->items = items;
	x->cap = cap;
	return 0;
}

/* The first range that ends behind `at` (or, with touching, at it). */
static size_t first_ending(const struct extents *x, uint64_t at, bool touching)
{
	size_t lo = 0, hi = x->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		uint64_t end = x->items[mid].end;

		if (end > at || (touching && end == at))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Replace [from, to) by n ranges; there is room. */
static void splice(struct extents *x, size_t from, size_t to,
		   const struct extent *with, size_t n)
{
	assert(x->count - (to - from) + n <= x->cap);
	memmove(x->items + from + n, x->items + to,
		(x->count - to) * sizeof(*x->items));
	if (n > 0)
		memcpy(x->items + from, with, n * sizeof(*with));
	x->count = x->count - (to - from) + n;
}

int extents_add(struct extents *x, uint64_t start, uint64_t end)
{
	struct extent new = {start, end};
	size_t from, to;
	int rc;

	if (start >= end)
		return 0;
	rc = extents_reserve(x, 1);
	if (rc < 0)
		return rc;
	from = first_ending(x, start, true);
	for (to = from; to < x->count && x->items[to].start <= end; to++) {
		if (x->items[to].start < new.start)
			new.start = x->items[to].start;
		if (x->items[to].end > new.end)
			new.end = x->items[to].end;
	}
	splice(x, from, to, &new, 1);
	return 0;
}

int extents_remove(struct extents *x, uint64_t start, uint64_t end)
{
	struct extent rest[2];
	size_t from, to, n = 0;
	int rc;

	if (start >= end || x->count == 0)
		return 0;
	rc = extents_reserve(x, 1);
	if (rc < 0)
		return rc;
	from = first_ending(x, start, false);
	for (to = from; to < x->count && x->items[to].start < end; to++) {
		if (x->items[to].start < start)
			rest[n++] = (struct extent){x->items[to].start, start};
		if (x->items[to].end > end)
			rest[n++] = (struct extent){end, x->items[to].end};
	}
	splice(x, from, to, rest, n);
	return 0;
}

void extents_cut(struct extents *x, uint64_t end)
{
	size_t i = first_ending(x, end, false);

	if (i < x->count && x->items[i].start < end)
		x->items[i++].end = end;
	x->count = i;
}

bool extents_gap(const struct extents *x, uint64_t start, uint64_t end,
		 struct extent *gap)
{
	size_t i = first_ending(x, start, false);

	if (i < x->count && x->items[i].start <= start) {
		start = x->items[i].end;
		i++;
	}
	if (start >= end)
		return false;
	gap->start = start;
	gap->end = i < x->count && x->items[i].start < end ? x->items[i].start
							   : end;
	return true;
}

uint64_t extents_total(const struct extents *x)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < x->count; i++)
		sum += x->items[i].end - x->items[i].start;
	return sum;
}

static void put_varint(struct buf *out, uint64_t v)
{
	for (; v >= VARINT_MORE; v >>= VARINT_BITS)
		buf_addc(out, (char)(v | VARINT_MORE));
	buf_addc(out, (char)v);
}

static int get_varint(const unsigned char **data, size_t *len, uint64_t *out)
{
	uint64_t v = 0;

	for (int shift = 0; *len > 0 && shift < 64; shift += VARINT_BITS) {
		unsigned char c = *(*data)++;

		(*len)--;
		v |= (uint64_t)(c & (VARINT_MORE - 1)) << shift;
		if (!(c & VARINT_MORE)) {
			*out = v;
			return 0;
		}
	}
	return -EINVAL;
}

void extents_pack(struct buf *out, const struct extents *x)
{
	uint64_t at = 0;

	put_varint(out, x->count);
	for (size_t i = 0; i < x->count; i++) {
		put_varint(out, x->items[i].start - at);
		put_varint(out, x->items[i].end - x->items[i].start);
		at = x->items[i].end;
	}
}

static int unpack_items(const unsigned char **data, size_t *len, uint64_t count,
			struct extents *x)
{
	uint64_t at = 0;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t skip = 0, size = 0, start, end;
		int rc = get_varint(data, len, &skip);

		if (rc == 0)
			rc = get_varint(data, len, &size);
		if (rc < 0)
			return rc;
		if (__builtin_add_overflow(at, skip, &start) ||
		    __builtin_add_overflow(start, size, &end) || size == 0)
			return -EINVAL;
		rc = extents_add(x, start, end);
		if (rc < 0)
			return rc;
		at = end;
	}
	return 0;
}

int extents_unpack(const unsigned char **data, size_t *len, struct extents *x)
{
	uint64_t count = 0;
	int rc = get_varint(data, len, &count);

	*x = (struct extents)EXTENTS_INIT;
	if (rc == 0)
		rc = unpack_items(data, len, count, x);
	if (rc < 0)
		extents_release(x);
	return rc;
}
