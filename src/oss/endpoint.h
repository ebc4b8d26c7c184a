/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Where requests go: endpoint, addressing, region, and the URL of a request
 * (oss-protocol 1).
 *
 * Layer    oss.
 * Threads  any; constant once opened.
 */
#ifndef ACKFS_OSS_ENDPOINT_H
#define ACKFS_OSS_ENDPOINT_H

#include <stdbool.h>

#include "oss/client.h"

struct endpoint {
	char *scheme; /* "http", "https" */
	char *host;   /* without port; an IPv6 literal in brackets */
	int port;     /* 0: the scheme's own */
	char *bucket;
	char *region;        /* NULL: not known, and not needed (V1) */
	const char *product; /* "oss", "oss-cloudbox" */
	bool path_style;
};

/** @param why  on failure: what is wrong and what to write (free it)
 *  @return 0, -EINVAL, -ENOMEM */
int endpoint_open(struct endpoint *e, const struct oss_conf *conf, char **why);
void endpoint_close(struct endpoint *e);

/**
 * @param key    NULL: the bucket
 * @param query  raw names and values; a value "": the name alone
 * @return 0 or -ENOMEM; out gets the URL
 */
int endpoint_url(const struct endpoint *e, const char *key,
		 const struct kvs *query, struct buf *out);

#endif
