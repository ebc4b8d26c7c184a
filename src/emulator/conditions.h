/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * If-Match and its relatives, on the object or on a copy's source.
 */
#ifndef ACKFS_EMULATOR_CONDITIONS_H
#define ACKFS_EMULATOR_CONDITIONS_H

#include "emulator/exchange.h"

/**
 * @param prefix  "" for the plain headers, "x-oss-copy-source-" for a copy's
 * @return 0 or DECIDED (304 or 412)
 */
int conditions_check(struct exchange *x, const struct object *o,
		     const char *prefix);

#endif
