/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One attempt to store a staged file: its properties and callback, the
 * request or requests, the outcome, the record of it.
 *
 * Layer    upload (internal).
 * Threads  one attempt of a file at a time, on a keyq task of its key.
 */
#ifndef ACKFS_UPLOAD_ATTEMPT_H
#define ACKFS_UPLOAD_ATTEMPT_H

#include "upload/env.h"

struct multipart;

struct attempt {
	const struct upload_env *env;
	struct staging *s;
	struct upload_run *run;
	bool is_waited_for; /* somebody is told when it is stored */
	/* In: parts that went out while the file was written, or in an earlier
	   attempt; NULL: none.  Out: what the next attempt can go on with. */
	struct multipart *stream;
	/* Results. */
	struct upload_outcome outcome;
	char error[512]; /* why, for the journal and the log */
};

/**
 * The file is CLOSED or RETRYING; it becomes UPLOADING, and stays so: the caller
 * decides.  On success it is stored and recorded.
 */
void attempt_run(struct attempt *a);

/** The delivery id of a close, where the file has lost its own: the same each
 *  time. */
void attempt_spare_id(const struct staging_info *info, char out[37]);

#endif
