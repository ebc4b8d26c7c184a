/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * How an object is cut into parts (limits: oss-protocol 5.1).
 *
 * New bytes: parts of part_size each, whose size doubles every LAYOUT_STEP
 * parts, so that a file whose end nobody knows yet fits into 10,000 parts,
 * and parts sent while it was written are parts of the closed file too.
 *
 * A changed object: untouched ranges of the base become copied parts, the rest
 * parts that are sent; what is too short for a part of its own is joined with
 * its neighbour.
 *
 * Pure.  Layer: upload.
 */
#ifndef ACKFS_UPLOAD_LAYOUT_H
#define ACKFS_UPLOAD_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_STEP 1000
#define LAYOUT_PART_SIZE ((uint64_t)8 << 20) /* unless the user says another */

struct layout_part {
	int number; /* from 1 */
	uint64_t off, len;
	bool is_copy; /* of the same range of the base */
};

struct layout {
	struct layout_part *parts; /* in order, without gaps */
	size_t count;
};

void layout_release(struct layout *l);

/** The size of the first parts, so that an object of `size` bytes fits: wanted
 *  (0: LAYOUT_PART_SIZE) doubled as often as needed. */
uint64_t layout_part_size(uint64_t size, uint64_t wanted);
/** Part `index` (from 0) of a file without end. @return false: there is none */
bool layout_part_at(uint64_t part_size, size_t index, struct layout_part *out);

/** An object of new bytes. @return 0, -EFBIG, -ENOMEM */
int layout_whole(uint64_t size, uint64_t part_size, struct layout *out);
/**
 * An object that shares bytes with its base.
 * @param changed  count pairs of offset and length, in order: what differs
 *                 below base_size; all above it does
 * @return 0, -EFBIG, -ENOMEM
 */
int layout_edit(uint64_t size, uint64_t base_size, const uint64_t *changed,
		size_t count, uint64_t part_size, struct layout *out);
/** A copy of the whole. @return 0, -EFBIG, -ENOMEM */
int layout_copy(uint64_t size, struct layout *out);

#endif
