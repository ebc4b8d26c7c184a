/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/layout.h"

#include <errno.h>
#include <string.h>

#include "oss/store.h"
#include "util/base.h"

/* Shorter untouched ranges are sent again: a request costs more. */
#define COPY_MIN ((uint64_t)1 << 20)
/* Copies go in pieces, side by side, each done well before a request counts as
 * standing still. */
#define COPY_PIECE ((uint64_t)256 << 20)

void layout_release(struct layout *l)
{
	free(l->parts);
	*l = (struct layout){NULL, 0};
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* -- new bytes -------------------------------------------------------------- */

static uint64_t step_size(uint64_t part_size, size_t index)
{
	size_t doublings = index / LAYOUT_STEP;

	return part_size >= OSS_PART_MAX >> doublings ? OSS_PART_MAX
						      : part_size << doublings;
}

static uint64_t capacity(uint64_t part_size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < OSS_PARTS_MAX; i += LAYOUT_STEP)
		sum += LAYOUT_STEP * step_size(part_size, i);
	return sum;
}

uint64_t layout_part_size(uint64_t size, uint64_t wanted)
{
	uint64_t part = wanted ? wanted : LAYOUT_PART_SIZE;

	part = min_u64(max_u64(part, OSS_PART_MIN), OSS_PART_MAX);
	while (part < OSS_PART_MAX && capacity(part) < size)
		part = min_u64(part * 2, OSS_PART_MAX);
	return part;
}

bool layout_part_at(uint64_t part_size, size_t index, struct layout_part *out)
{
	uint64_t off = 0;
	size_t i;

	if (index >= OSS_PARTS_MAX)
		return false;
	for (i = 0; i + LAYOUT_STEP <= index; i += LAYOUT_STEP)
		off += LAYOUT_STEP * step_size(part_size, i);
	off += (index - i) * step_size(part_size, index);
	*out = (struct layout_part){.number = (int)index + 1,
				    .off = off,
				    .len = step_size(part_size, index)};
	return true;
}

static int add_part(struct layout *l, uint64_t off, uint64_t len, bool is_copy)
{
	if ((l->count & (l->count + 1)) == 0) { /* full at 2^n - 1 */
		struct layout_part *parts = reallocarray(
			l->parts, (l->count + 1) * 2, sizeof(*parts));

		if (!parts)
			return -ENOMEM;
		l->parts = parts;
	}
	l->parts[l->count] =
		(struct layout_part){(int)l->count + 1, off, len, is_copy};
	l->count++;
	return 0;
}

int layout_whole(uint64_t size, uint64_t part_size, struct layout *out)
{
	AUTO(layout_release) struct layout l = {NULL, 0};
	uint64_t off = 0;

	while (off < size) {
		uint64_t len =
			min_u64(step_size(part_size, l.count), size - off);

		if (l.count == OSS_PARTS_MAX)
			return -EFBIG;
		if (add_part(&l, off, len, false) < 0)
			return -ENOMEM;
		off += len;
	}
	*out = l;
	l = (struct layout){NULL, 0};
	return 0;
}

/* -- changed objects ---------------------------------------------------------- */

/* Segments are kept as parts without end of size: the same struct. */
static int add_segment(struct layout *l, uint64_t off, uint64_t end,
		       bool is_copy)
{
	struct layout_part *last = l->count ? &l->parts[l->count - 1] : NULL;

	if (off >= end)
		return 0;
	if (last && last->is_copy == is_copy) {
		last->len += end - off;
		return 0;
	}
	return add_part(l, off, end - off, is_copy);
}

static int find_segments(uint64_t size, uint64_t base_size,
			 const uint64_t *changed, size_t count,
			 uint64_t copy_min, struct layout *segs)
{
	uint64_t shared = min_u64(size, base_size);
	uint64_t pos = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i <= count; i++) {
		uint64_t begin =
			i < count ? min_u64(changed[2 * i], shared) : shared;
		uint64_t end =
			i < count ? min_u64(changed[2 * i] + changed[2 * i + 1],
					    shared)
				  : size;
		bool is_copy = begin > pos && begin - pos >= copy_min;

		rc = add_segment(segs, pos, begin, is_copy);
		pos = max_u64(pos, begin);
		if (rc == 0)
			rc = add_segment(segs, pos, end, false);
		pos = max_u64(pos, end);
	}
	return rc;
}

/* A part must have 100 KiB, the last one excepted: a short segment takes the
 * beginning of the copy behind it, which is long enough to give it. */
static void widen_segments(struct layout *segs)
{
	for (size_t i = 0; i + 1 < segs->count; i++) {
		struct layout_part *s = &segs->parts[i], *next = s + 1;
		uint64_t more;

		if (s->len >= OSS_PART_MIN)
			continue;
		more = OSS_PART_MIN - s->len;
		s->len += more;
		next->off += more;
		next->len -= more;
	}
}

static int split_segment(const struct layout_part *seg, uint64_t piece,
			 bool is_last, struct layout *out)
{
	uint64_t off = seg->off, left = seg->len;
	int rc = 0;

	while (rc == 0 && left > 0) {
		uint64_t len = min_u64(piece, left);

		/* A rest too short to be a part goes with this one. */
		if (!is_last && left - len > 0 && left - len < OSS_PART_MIN)
			len = left;
		rc = add_part(out, off, len, seg->is_copy);
		off += len;
		left -= len;
	}
	return rc;
}

static int try_edit(const struct layout *segs, uint64_t part_size,
		    uint64_t copy_piece, struct layout *out)
{
	for (size_t i = 0; i < segs->count; i++) {
		const struct layout_part *s = &segs->parts[i];
		int rc = split_segment(s, s->is_copy ? copy_piece : part_size,
				       i + 1 == segs->count, out);

		if (rc < 0)
			return rc;
		if (out->count > OSS_PARTS_MAX)
			return -EFBIG;
	}
	return 0;
}

/* A piece with its rest must not pass OSS's limit. */
#define PIECE_MAX (OSS_PART_MAX - OSS_PART_MIN)

int layout_edit(uint64_t size, uint64_t base_size, const uint64_t *changed,
		size_t count, uint64_t part_size, struct layout *out)
{
	uint64_t copy_min = COPY_MIN, copy_piece = COPY_PIECE;

	if (size > OSS_OBJECT_MAX)
		return -EFBIG;
	part_size = min_u64(part_size, PIECE_MAX);
	for (;; copy_min *= 2) {
		AUTO(layout_release) struct layout segs = {NULL, 0};
		AUTO(layout_release) struct layout l = {NULL, 0};
		int rc = find_segments(size, base_size, changed, count,
				       copy_min, &segs);

		if (rc < 0)
			return rc;
		widen_segments(&segs);
		rc = try_edit(&segs, part_size, copy_piece, &l);
		if (rc == 0) {
			*out = l;
			l = (struct layout){NULL, 0};
		}
		if (rc != -EFBIG ||
		    (part_size == PIECE_MAX && copy_piece == PIECE_MAX &&
		     copy_min > size))
			return rc;
		part_size = min_u64(part_size * 2, PIECE_MAX);
		copy_piece = min_u64(copy_piece * 2, PIECE_MAX);
	}
}

int layout_copy(uint64_t size, struct layout *out)
{
	uint64_t piece = COPY_PIECE;

	while (size / piece >= OSS_PARTS_MAX && piece < PIECE_MAX)
		piece = min_u64(piece * 2, PIECE_MAX);
	if (size / piece >= OSS_PARTS_MAX)
		return -EFBIG;
	return split_segment(
		&(struct layout_part){.len = size, .is_copy = true}, piece,
		true, out);
}
