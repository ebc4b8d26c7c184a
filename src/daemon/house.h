/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Housekeeping of a running mount: the callbacks' log file, and what grows too
 * old or too large in the state folder.
 *
 * Layer    main.
 */
#ifndef ACKFS_DAEMON_HOUSE_H
#define ACKFS_DAEMON_HOUSE_H

#include "config/conf.h"

struct cb_record;
struct db;
struct house;
struct keyq;
struct staging_store;
struct timer_wheel;

/** @return 0, -errno of opening [log] callbacks */
int house_new(const struct conf *conf, struct db *db,
	      struct staging_store *staging, struct keyq *queue,
	      struct timer_wheel *timers, struct house **out);
/** Look at once, then every six hours. */
void house_start(struct house *h);
/** An uploader's `recorded` hook: one JSON line; house is the arg. */
void house_record(void *house, const struct cb_record *r);
/** The log file was rotated. @return 0 or -errno */
int house_reopen(struct house *h);
/** Queue and timers are stopped. NULL is fine. */
void house_free(struct house *h);

#endif
