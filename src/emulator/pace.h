/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A cap on bytes a second, by sleeping.
 */
#ifndef ACKFS_EMULATOR_PACE_H
#define ACKFS_EMULATOR_PACE_H

#include <stddef.h>
#include <stdint.h>

struct faults;

struct pace {
	int64_t next_us; /* when the next byte may go */
};

/** Account for len bytes and sleep until they are due. 0: no cap */
void pace_bytes(struct pace *p, struct faults *f, uint64_t rate, size_t len);
/** Bytes to move at once so that the flow looks even. */
size_t pace_block(uint64_t rate, size_t max);

#endif
