/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What is remembered of a stored object: the callback's outcome in the callback
 * log, and the metadata, which this mount has seen from here on.
 *
 * Layer    upload (internal).
 */
#ifndef ACKFS_UPLOAD_RECORD_H
#define ACKFS_UPLOAD_RECORD_H

#include "callback/outcome.h"
#include "callback/rules.h"
#include "upload/env.h"
#include "upload/props.h"

/** One attempt of a callback, or a store without one. */
struct record {
	const char *key;
	const struct object_id *id;
	const struct staging_close *close; /* delivery id, uid, process */
	const struct rule *rule;
	const struct callback *callback; /* as sent; NULL: none was */
	/* The outcome: read from the answer, or why none could be asked for. */
	const struct callback_outcome *outcome;
	int64_t elapsed_ms;
	int attempt;        /* of this delivery; 0: none was made yet */
	int64_t give_up_ms; /* 0: from the rule, from now on */
	int db_flags;       /* of cblog_add() */
};

/** To the callback log. A failure is logged: the object is stored all the
 *  same. */
void record_callback(const struct upload_env *env, const struct record *r);
/** To the remembered metadata, with the commit of what is written next. */
void record_meta(struct db *db, const char *key, const struct object_id *id,
		 const struct upload_props *props,
		 const struct oss_put_result *put);

/** The answer to an upload as a callback's outcome. @return 0 or -ENOMEM */
int record_read_outcome(const struct oss_put_result *put,
			struct callback_outcome *out);

#endif
