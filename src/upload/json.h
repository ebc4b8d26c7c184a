/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Records, times and text as JSON: for the callbacks' log file, a mount's
 * status, and ackctl.
 *
 * Layer    upload.
 * Threads  any.
 */
#ifndef ACKFS_UPLOAD_JSON_H
#define ACKFS_UPLOAD_JSON_H

#include <stdint.h>

#include <jansson.h>

struct cb_record;
struct staging_info;

/** An attempt, with all that is known of it, as one compact object. @return heap
 *  text, or NULL */
char *record_json(const struct cb_record *r);
/** A staged file whose upload fails. */
json_t *retrying_json(const struct staging_info *info);
/** A time as JSON; null for 0. */
json_t *json_time(int64_t real_ms);
/** Text as JSON; null for NULL; bytes that are not UTF-8 as \xNN. */
json_t *json_text(const char *text);

#endif
