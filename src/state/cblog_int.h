/* SPDX-License-Identifier: Apache-2.0 */
/** @file Shared by cblog.c and cblog_walk.c. */
#ifndef ACKFS_STATE_CBLOG_INT_H
#define ACKFS_STATE_CBLOG_INT_H

#include <sqlite3.h>

#include "state/cblog.h"

/** Columns of a record: attempts is `a`, outcomes (perhaps NULL) `o`. */
#define CBLOG_COLUMNS                                                          \
	" a.id, a.key, a.etag, a.size, a.modified_ms, a.version_id,"           \
	" a.delivery_id, a.rule, a.state, a.time_ms, a.elapsed_ms, a.attempt," \
	" a.oss_status, a.server_status, a.response, a.response_type,"         \
	" a.error, a.error_code, a.ec, a.request_id, a.url, a.host, a.body,"   \
	" a.body_type, a.vars, a.uid, a.process,"                              \
	" o.key, o.etag, o.size, o.modified_ms, o.version_id,"                 \
	" o.next_try_ms, o.give_up_ms, o.given_up "

/** Each attempt with the outcome that it is, under whatever key. */
#define CBLOG_ATTEMPTS                                                         \
	" attempts a LEFT JOIN outcomes o ON o.attempt_id = a.id"              \
	" AND o.key = ifnull((SELECT m.key FROM outcomes m"                    \
	"  WHERE m.is_moved = 1 AND m.attempt_id = a.id), a.key) "

/**
 * Read such a row. *r is empty before.
 * @param is_present  key and version are the outcome's
 * @return 0, -ENOMEM, -EINVAL
 */
int cblog_read_record(sqlite3_stmt *st, bool is_present, struct cb_record *r);

#endif
