/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Values from text: one parse_TYPE for each type of the table.
 *
 * Each returns 0, -EINVAL with `what is wrong; what to write` in why, or
 * -ENOMEM; the field is untouched on failure.  A string field that is
 * replaced is freed.
 *
 * Layer    config.
 * Threads  none.
 */
#ifndef ACKFS_CONFIG_VALUES_H
#define ACKFS_CONFIG_VALUES_H

#include "config/conf.h"
#include "config/schema.h"
#include "util/buf.h"

/**
 * Set the field of k in c.
 * @param k     not SCHEMA_CALLBACK
 * @param base  folder that relative paths begin at; NULL: the working directory
 * @param why   empty; gets the reason
 */
int value_set(const struct schema_key *k, struct conf *c, const char *text,
	      const char *base, struct buf *why);

/** An absolute path: "~/" is the home folder, others begin at base.
 *  @return heap; NULL: no memory, no home, no working directory */
char *value_path(const char *text, const char *base);

#endif
