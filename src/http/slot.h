/* SPDX-License-Identifier: Apache-2.0 */
/** @file Lending of connections, between pool.c and request.c. */
#ifndef ACKFS_HTTP_SLOT_H
#define ACKFS_HTTP_SLOT_H

#include <curl/curl.h>
#include <stdbool.h>

#include "http/pool.h"
#include "http/request.h"

/* A transfer needs both handles: the multi keeps the connection, and gives
   the loop that sees a cancel in time. */
struct http_slot {
	CURL *easy;
	CURLM *multi;
	bool bulk;
	int64_t idle_since_ms;
	struct http_slot *next;
};

/** Wait for a slot: to the request's deadline, or its cancel.
 *  @return 0, -ETIMEDOUT, -ECANCELED, -ENOMEM */
int http_slot_take(struct http_pool *p, const struct http_request *req,
		   struct http_slot **out);
/** @param broken  the handles are in doubt: throw them away */
void http_slot_give(struct http_pool *p, struct http_slot *s, bool broken);
const struct http_pool_conf *http_pool_config(const struct http_pool *p);

#endif
