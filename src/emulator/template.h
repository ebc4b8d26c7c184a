/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The callback body's template: ${name} and what comes in its place
 * (protocol 3.4, 3.5).
 *
 * Layer  emulator, pure.
 */
#ifndef ACKFS_EMULATOR_TEMPLATE_H
#define ACKFS_EMULATOR_TEMPLATE_H

#include <stdbool.h>

#include "emulator/options.h"
#include "util/buf.h"

struct template_var {
	const char *name;
	const char *value; /* "" : empty */
	bool is_number;
};

struct template_vars {
	const struct template_var *items;
	size_t count;
};

/** Whether the template is well formed and its variables are known.
 *  @return 0 or -EINVAL */
int template_check(const struct quirks *q, const char *text);
/** Whether ${prefix...} occurs. */
bool template_uses(const char *text, const char *prefix);
/** The finished body. @return 0 or -ENOMEM */
int template_expand(const struct quirks *q, const char *text, bool is_json,
		    const struct template_vars *vars, struct buf *out);

#endif
