/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Requests to the emulator itself, below /-/ : faults, counters, clock, keys,
 * seeded objects (--help has them all).  No bucket's name begins with "-".
 */
#ifndef ACKFS_EMULATOR_ADMIN_H
#define ACKFS_EMULATOR_ADMIN_H

#include <stdbool.h>

#include "emulator/exchange.h"

bool admin_is_path(const char *path);
/** Answer x, whose body is in the memory sink. */
void admin_perform(struct exchange *x);

#endif
