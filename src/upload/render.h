/* SPDX-License-Identifier: Apache-2.0 */
/** @file The callback of a key, rendered from what its close froze.
 *  Layer: upload (internal). */
#ifndef ACKFS_UPLOAD_RENDER_H
#define ACKFS_UPLOAD_RENDER_H

#include "callback/rules.h"
#include "upload/env.h"

/**
 * @param out  released by the caller in any case; sent when *why stays NULL
 * @param why  set when the callback cannot be rendered (the object is stored
 *             all the same); free it
 * @return 0, -ENOMEM
 */
int upload_render(const struct upload_env *env, const char *key, uint64_t size,
		  const struct staging_close *c, const struct rule *rule,
		  const struct kvs *captures, struct callback *out, char **why);

#endif
