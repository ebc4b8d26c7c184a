/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One HTTP request as the protocol sees it: target, headers, who is addressed.
 *
 * request_init(), request_add_header() for each, then request_address() for
 * the bucket and key.
 *
 * Protocol sections 1.2 and 1.3.
 * Layer    emulator, pure.
 */
#ifndef ACKFS_EMULATOR_REQUEST_H
#define ACKFS_EMULATOR_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "util/kv.h"

enum dialect {
	DIALECT_OSS,
	DIALECT_S3, /* x-amz-*, AWS signatures, S3's XML */
};

struct request {
	char *method;
	char *raw_path;   /* percent-encoded, begins with '/' */
	char *path;       /* decoded */
	char *raw_query;  /* without '?', "" when there is none */
	struct kvs query; /* decoded; names compare with request_query() */
	struct kvs headers;
	enum dialect dialect;
	char *bucket; /* NULL: a call to the service */
	char *key;    /* NULL: a call to the bucket */
	char id[25];  /* x-oss-request-id: 24 upper-case hex digits */
	char client_ip[64];
	bool has_body;          /* Content-Length or chunked was there */
	int64_t content_length; /* -1: chunked or none */
};

/**
 * @param target  the request target as received; copied
 * @return 0, -EINVAL (bad percent-encoding, or a NUL byte), -ENOMEM
 */
int request_init(struct request *r, const char *method, const char *target);
void request_release(struct request *r);
int request_add_header(struct request *r, const char *name, const char *value);
/** What follows from the headers: dialect, length of the body. */
int request_finish_headers(struct request *r);

/** The first value of a query parameter (case matters), or NULL. */
const char *request_query(const struct request *r, const char *name);
/**
 * A header; in the S3 dialect "x-oss-NAME" also finds "x-amz-NAME".
 * @return NULL when missing
 */
const char *request_header(const struct request *r, const char *name);
/** Whether request_header() has it with that value, case aside. */
bool request_header_is(const struct request *r, const char *name,
		       const char *value);

/** How bucket and key can be read from Host and path. */
enum addressing {
	ADDRESS_PATH,
	ADDRESS_VIRTUAL,
	ADDRESS_EITHER, /* Host names the bucket and so does the path */
};

/**
 * @param base_host  a configured name that is no bucket's; NULL: none.  IP
 *                   literals and names without a dot never name a bucket.
 */
enum addressing request_addressing(const struct request *r,
				   const char *base_host);
/** Set bucket and key by one of the two readings. @return 0 or -ENOMEM */
int request_address(struct request *r, enum addressing how);

#endif
