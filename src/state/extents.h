/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A set of byte ranges: sorted, disjoint, never touching each other.
 *
 * Lookup is a binary search; adding at the end, as a sequential writer does,
 * costs nothing; in the middle it moves what lies behind.
 *
 * Layer    state.
 * Threads  none: the owner locks.
 */
#ifndef ACKFS_STATE_EXTENTS_H
#define ACKFS_STATE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct extent {
	uint64_t start, end; /* [start, end) */
};

struct extents {
	struct extent *items;
	size_t count, cap;
};

#define EXTENTS_INIT                                                           \
	{                                                                      \
		NULL, 0, 0                                                     \
	}

void extents_release(struct extents *x);
/** @return 0 or -ENOMEM (unchanged) */
int extents_copy(struct extents *dst, const struct extents *src);
/** Room for `calls` more extents_add() or extents_remove(), so that they cannot
 *  fail. @return 0 or -ENOMEM */
int extents_reserve(struct extents *x, size_t calls);
/** An empty range changes nothing. @return 0 or -ENOMEM (unchanged) */
int extents_add(struct extents *x, uint64_t start, uint64_t end);
int extents_remove(struct extents *x, uint64_t start, uint64_t end);
/** Everything from `end` on goes; cannot fail. */
void extents_cut(struct extents *x, uint64_t end);
/** The first range in [start, end) that is not in the set.
 *  @return false: all of it is */
bool extents_gap(const struct extents *x, uint64_t start, uint64_t end,
		 struct extent *gap);
/** Bytes in the set. */
uint64_t extents_total(const struct extents *x);

/** For the journal: varints of distances. */
void extents_pack(struct buf *out, const struct extents *x);
/** Reads one set from the front of *data, which moves on.
 *  @return 0, -ENOMEM, -EINVAL (x is empty then) */
int extents_unpack(const unsigned char **data, size_t *len, struct extents *x);

#endif
