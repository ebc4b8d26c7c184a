/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Signatures in the Authorization header, versions 1 and 4 (oss-protocol 2.1,
 * 2.3).  No clock, no configuration; a signer (oss/signer.h) only saves work.
 *
 * Layer    oss.
 * Threads  any.
 */
#ifndef ACKFS_OSS_SIGN_H
#define ACKFS_OSS_SIGN_H

#include <stdint.h>

#include "util/buf.h"
#include "util/kv.h"

/** What is signed.  Names and values are raw, not percent-encoded. */
struct sign_request {
	const char *method;
	const char *bucket;        /* NULL: a call to the service */
	const char *key;           /* NULL: a call to the bucket */
	const struct kvs *query;   /* a value "": the name alone */
	const struct kvs *headers; /* all that will be sent */
};

struct signer;

struct sign_keys {
	const char *id;
	const char *secret;
	const char *token;   /* NULL: none */
	const char *region;  /* V4: "cn-hangzhou" */
	const char *product; /* V4: "oss" */
};

/**
 * Add what a signed request needs to headers (which may be req->headers
 * itself): the date, the token, Authorization.
 *
 * @param now_ms  ms since 1970, the server's time as well as we know it
 * @return 0, -ENOMEM, -EIO (the crypto library failed)
 */
int sign_v1(const struct sign_request *req, const struct sign_keys *keys,
	    int64_t now_ms, struct kvs *headers);
int sign_v4(struct signer *s, const struct sign_request *req,
	    const struct sign_keys *keys, int64_t now_ms, struct kvs *headers);

/* The steps, for tests with vectors. */
void sign_v1_string(const struct sign_request *req, struct buf *out);
int sign_v1_authorization(const struct sign_request *req,
			  const struct sign_keys *keys, struct buf *out);
void sign_v4_canonical(const struct sign_request *req, struct buf *out);
/** @param date  the value of x-oss-date, "20231216T162057Z" */
int sign_v4_authorization(struct signer *s, const struct sign_request *req,
			  const struct sign_keys *keys, const char *date,
			  struct buf *out);

#endif
