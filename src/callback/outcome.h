/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What came of a callback, read from an upload's response.
 *
 * Layer    callback.
 * Threads  none.
 */
#ifndef ACKFS_CALLBACK_OUTCOME_H
#define ACKFS_CALLBACK_OUTCOME_H

#include <stdint.h>

#include "util/buf.h"

enum callback_state {
	CALLBACK_NONE,    /* none was asked for */
	CALLBACK_OK,      /* 200: the application answered */
	CALLBACK_FAILED,  /* 203: stored, but not confirmed */
	CALLBACK_PENDING, /* the upload has not finished */
	CALLBACK_HELD,
	CALLBACK_UNKNOWN, /* no record here */
};

const char *callback_state_name(enum callback_state s);
/** @return 0 or -EINVAL */
int callback_state_parse(const char *text, enum callback_state *out);

struct callback_outcome {
	enum callback_state state;
	int oss_status;    /* 200, 203 */
	int server_status; /* the application's; 0: not told */
	char *response;    /* the application's answer, byte for byte */
	size_t response_len;
	char *response_type;
	char *error;      /* OSS's message */
	char *error_code; /* CallbackFailed */
	char *ec;
	char *request_id;
};

void callback_outcome_release(struct callback_outcome *o);

/**
 * @param http      200 or 203
 * @param code, message, ec  of OSS's XML (203), as the oss layer read them
 * "Error status : 502." tells the application's own status.
 * @return 0 or -ENOMEM
 */
int callback_outcome_read(int http, const struct buf *body,
			  const char *body_type, const char *code,
			  const char *message, const char *ec,
			  const char *request_id, struct callback_outcome *out);

/** Cause and remedy of a message or EC code in plain words; NULL: unknown.
 *  Static text (oss-protocol 3.9). */
const char *callback_advice(const char *message, const char *ec);

/** Does repeating the callback make sense at once (server down, time-out), or
 *  only after something was changed? Both are repeated for retry_for; this
 *  picks the log's words. */
int callback_is_server_down(const struct callback_outcome *o);

#endif
