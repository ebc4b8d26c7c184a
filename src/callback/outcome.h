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

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"

enum callback_state {
	CALLBACK_NONE,    /* none was asked for */
	CALLBACK_OK,      /* 200: the application answered */
	CALLBACK_FAILED,  /* 203, or nothing answered: stored, not confirmed */
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
 * Read the answer to an upload that carried a callback.
 *
 * "Error status : 502." tells the application's own status.  A 200 without the
 * application's answer (no body, or OSS's own XML of a multipart upload) means
 * that OSS did not perform the callback: failed, error_code NotPerformed.
 *
 * @param http       200 or 203
 * @param body       may be NULL
 * @param body_type  its Content-Type; may be NULL
 * @param code       of OSS's XML (203), as the oss layer read it; may be NULL
 * @param message    likewise
 * @param ec         likewise
 * @param request_id  may be NULL
 * @param out        set on success only; callback_outcome_release()
 * @return 0 or -ENOMEM
 */
int callback_outcome_read(int http, const struct buf *body,
			  const char *body_type, const char *code,
			  const char *message, const char *ec,
			  const char *request_id, struct callback_outcome *out);

/** Cause and remedy of a message or EC code in plain words; NULL: unknown.
 *  Static text (oss-protocol 3.9). */
const char *callback_advice(const char *message, const char *ec);

/** Is the server down or too slow, so that other files' callbacks would fail
 *  too?  Else something has to be changed first.  Both are repeated for
 *  retry_for; this picks the log's words, and who probes. */
bool callback_is_server_down(const struct callback_outcome *o);

#endif
