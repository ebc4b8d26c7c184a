/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Where the bytes of an answer come from, read piece by piece: an object's
 * segments or memory; with the faults that concern them.
 *
 * Threads  a source belongs to one.
 */
#ifndef ACKFS_EMULATOR_SOURCE_H
#define ACKFS_EMULATOR_SOURCE_H

#include <microhttpd.h>

#include "emulator/exchange.h"
#include "emulator/pace.h"

/**
 * An MHD response that reads x's body through a source.
 * @param rate  bytes a second; 0: no cap
 * @return NULL: no memory
 */
struct MHD_Response *source_response(struct exchange *x, uint64_t rate);

#endif
