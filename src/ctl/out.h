/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What commands write and read: records, sizes, times, globs.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_OUT_H
#define ACKFS_CTL_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "upload/json.h"

struct cb_record;
struct db;

/** An attempt as one line for people. @return heap text, or NULL */
char *record_line(const struct cb_record *r);
/** "4.2M", "17B". @return out */
const char *size_text(char out[16], uint64_t bytes);
/** "1h 5m", "3.2s". @return out */
const char *duration_text(char out[24], int64_t ms);

/** The user's name, or the number. @return out */
const char *user_text(char out[64], uint32_t uid);

/** "30m" ago, "2026-11-28", RFC 3339. @return 0 or -EINVAL */
int parse_time(const char *text, int64_t *real_ms);
/** A glob on paths inside the mount as one on keys. @return heap text */
char *glob_of_keys(const char *prefix, const char *glob);

void db_closep(struct db **db);

#endif
