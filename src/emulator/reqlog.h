/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The request log: one JSON line for every request and every callback,
 * written before the answer is sent, so that tests can count.  And counters.
 *
 * Threads  any.
 */
#ifndef ACKFS_EMULATOR_REQLOG_H
#define ACKFS_EMULATOR_REQLOG_H

#include <jansson.h>
#include <stdint.h>

struct callback_result;
struct exchange;
struct request_log;
struct stats;

/** @param path  appended to; "-": stdout; NULL: a log that writes nothing */
int request_log_open(const char *path, struct request_log **out);
void request_log_close(struct request_log *l);
/** A request that is about to be answered (or, with status 0, dropped). */
void request_log_request(struct request_log *l, const struct exchange *x,
			 uint64_t bytes_out);
/** One attempt of a callback. */
void request_log_callback(struct request_log *l, const struct exchange *x,
			  const char *url, size_t body_len,
			  const struct callback_result *r);

int stats_new(struct stats **out);
void stats_free(struct stats *s);
void stats_add(struct stats *s, const char *operation, uint64_t bytes_in,
	       uint64_t bytes_out);
void stats_reset(struct stats *s);
/** {"requests":n,"bytes_in":n,"bytes_out":n,"operations":{...}} */
json_t *stats_json(struct stats *s);

#endif
