/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Trying things out while the server runs (--admin, loopback clients alone):
 *
 *     GET  /-/stats    the counters, as JSON
 *     POST /-/answer   {"status":503,"delay_ms":0,"count":3,"percent":100}
 *                      another behaviour for the next callbacks: count of them
 *                      (missing: until the next POST), percent at random;
 *                      {} goes back to the command line's
 *
 * Behind a proxy on the same machine every client looks like a loopback one:
 * do without --admin there.
 *
 * Threads  any; never blocks.
 */
#ifndef ACKFS_RECEIVER_ADMIN_H
#define ACKFS_RECEIVER_ADMIN_H

#include <stdbool.h>

#include "receiver/callback.h"
#include "util/buf.h"

bool admin_is_target(const char *target);

/** @param reply  the body to answer, JSON; empty after -ENOMEM
 *  @return the HTTP status */
unsigned admin_handle(struct callback_service *s, const char *method,
		      const char *target, const struct buf *body,
		      struct buf *reply);

#endif
