/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One JSON line for each callback, on standard output or in a file.
 *
 * Threads  recordlog_write(), recordlog_reopen() from any.
 */
#ifndef ACKFS_RECEIVER_RECORD_H
#define ACKFS_RECEIVER_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "util/buf.h"
#include "util/kv.h"

/** What happened to one callback; everything is borrowed. */
struct record {
	int64_t time_ms;
	const char *client;
	const char *target;
	const struct kvs *headers; /* x-oss-* and a few more are printed */
	const struct buf *body;    /* as text, or base64 when not UTF-8 */
	const json_t *fields;      /* NULL: the body could not be read */
	bool is_verified;
	const char *reason; /* why (not) */
	const char *id;     /* delivery id; NULL: none */
	bool is_duplicate;
	unsigned status;
	const struct buf *answer; /* printed when short, and text */
};

/** Append the line, with its line feed. @return 0, -ENOMEM, -EMSGSIZE */
int record_format(const struct record *r, struct buf *line);

struct recordlog;

/** @param path  appended to; NULL: standard output. @return 0, -errno */
int recordlog_open(const char *path, struct recordlog **out);
void recordlog_close(struct recordlog *l);
/** Open the file again, after a rotation. @return 0, -errno (old file stays) */
int recordlog_reopen(struct recordlog *l);
/** Format and write; a failure is logged. */
void recordlog_write(struct recordlog *l, const struct record *r);

#endif
