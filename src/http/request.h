/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One HTTP/1.1 request in, one response out.
 *
 * No redirects, no compression, no retries (but for a kept-alive connection
 * that the server had closed already, and never of a body of which something
 * went out).  Paths go out as they are.
 *
 *     struct http_response resp = HTTP_RESPONSE_INIT;
 *     rc = http_perform(pool, &req, &resp);
 *     ...
 *     http_response_release(&resp);
 *
 * Layer    http: uses util and libcurl.
 * Threads  any; the callbacks run on the caller's thread, holding no lock.
 * Blocking until the response is complete, a limit is reached, or *cancel.
 */
#ifndef ACKFS_HTTP_REQUEST_H
#define ACKFS_HTTP_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "http/pool.h"
#include "util/buf.h"
#include "util/kv.h"

/** Bytes to send.  Read in order, a small body whole before anything is sent;
 *  from 0 again when a kept-alive connection turns out to be dead. */
struct http_source {
	/** @return bytes (1..len) at off; 0: shorter than size; or -errno */
	ssize_t (*read)(void *arg, void *to, size_t len, uint64_t off);
	void *arg;
	uint64_t size;
};

struct http_response {
	int status;         /* 0: none came */
	struct kvs headers; /* of the final answer */
	struct buf body;    /* unless begin() took it */
	bool body_cut;      /* more than body_max came; the rest is lost */
	bool sent_all;      /* the request left this host whole */
	bool local;         /* the error is begin's, write's or the source's */
	uint64_t received;  /* bytes of the body */
	char why[256];      /* what went wrong, in words */
};

#define HTTP_RESPONSE_INIT                                                     \
	{                                                                      \
		.status = 0                                                    \
	}

struct http_request {
	const char *method; /* GET, HEAD, PUT, POST, DELETE */
	const char *url;    /* whole, percent-encoded */
	const struct kvs *headers;
	/* NULL: none; PUT and POST then say Content-Length: 0. */
	const struct http_source *body;
	/* Wait (briefly) for "100 Continue" before the body goes out: lets a
	   server refuse a large body without a reset. */
	bool expect_continue;
	bool bulk; /* see struct http_pool_conf */

	/** Once, when the headers are in, before any byte of the body.
	 *  @return 1: the body goes to write(); 0: to response->body; -errno:
	 *  break off.  NULL: 0. */
	int (*begin)(void *arg, const struct http_response *r);
	/** @return 0, or -errno: break off */
	int (*write)(void *arg, const void *data, size_t len);
	void *arg;
	size_t body_max; /* of response->body; 0: 1 MiB */
	/* About what begin() will take, for buffers; 0: little. */
	uint64_t expected_size;

	int64_t deadline_ms; /* clock_mono_ms(); 0: none */
	/* Past the deadline a transfer may end as long as it moves so many
	   bytes a second; 0: it may not. */
	unsigned min_rate;
	int64_t idle_ms; /* without a byte moving; 0: no limit */
	/* After the last byte of the request wait for the answer at least so
	   long, whatever the two above say. */
	int64_t answer_ms;
	const atomic_bool *cancel;  /* may be NULL; seen within 200 ms */
	_Atomic uint64_t *progress; /* counts body bytes moved; may be NULL */
};

/**
 * @param resp  initialised; filled as far as things went, on failure too
 * @return 0: a complete response, whatever its status; -ECANCELED;
 *         -ETIMEDOUT; -EHOSTUNREACH (no such name), -ECONNREFUSED and its
 *         kin (no connection); -ECONNRESET (also an answer cut short);
 *         -EKEYREJECTED (the certificate); -EPROTO (TLS, not HTTP);
 *         -EINVAL (URL, header); -ENOMEM; what a callback returned
 */
int http_perform(struct http_pool *p, const struct http_request *req,
		 struct http_response *resp);
void http_response_release(struct http_response *r);

#endif
