/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Kept-alive HTTP connections, reused by any thread.
 *
 * The pool lends a connection to one request at a time (http/request.h) and
 * keeps it afterwards; the one used last is lent first, and those that nobody
 * needed for a minute are closed.  Name lookups and TLS sessions are shared.
 *
 * The program must ignore SIGPIPE: OpenSSL writes with write(2).
 *
 * Layer    http: uses util and libcurl.
 * Threads  any.
 */
#ifndef ACKFS_HTTP_POOL_H
#define ACKFS_HTTP_POOL_H

#include <stdint.h>

struct http_pool;

struct http_pool_conf {
	const char *ca_file;    /* PEM; NULL: the system's */
	const char *proxy;      /* NULL: none; the environment is ignored */
	const char *user_agent; /* NULL: none is sent */
	int64_t connect_timeout_ms;
	/* Requests at once; more wait.  A part of them is kept free of bulk
	   transfers, so that these never delay a small request. */
	int max_connections;
};

/** Strings are copied. @return 0, -EINVAL, -ENOMEM */
int http_pool_new(const struct http_pool_conf *conf, struct http_pool **out);
/** No request may be running. */
void http_pool_free(struct http_pool *p);

/** Requests begun since the start. */
uint64_t http_pool_requests(const struct http_pool *p);
/** Connections kept open and idle now. */
int http_pool_idle(struct http_pool *p);

#endif
