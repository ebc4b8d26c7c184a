/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Is a body template one that OSS will take and the application can read?
 *
 * Layer    callback.
 */
#ifndef ACKFS_CALLBACK_BODY_H
#define ACKFS_CALLBACK_BODY_H

#include "callback/template.h"
#include "util/buf.h"
#include "util/kv.h"

/**
 * @param why    empty; on -EINVAL what is wrong and what to write
 * @param doubt  gets what is allowed but hardly meant
 * @return 0, -EINVAL, -ENOMEM
 */
int body_check(const char *body, enum template_type type, struct buf *why,
	       struct buf *doubt);
/** Does the template have ${x:NAME}? false too when it cannot be parsed. */
bool body_uses(const char *body, const char *name);

#endif
