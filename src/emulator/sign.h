/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a signature is made of: strings to sign and their HMACs.
 *
 * OSS V1 and V4 (protocol sections 2.1 to 2.4) and, for the S3 dialect, AWS
 * Signature Version 4.  Written apart from the client's signer, so that one
 * misreading cannot hide in both.
 *
 * Layer    emulator, pure but for the memo.
 * Threads  any.
 */
#ifndef ACKFS_EMULATOR_SIGN_H
#define ACKFS_EMULATOR_SIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"
#include "util/kv.h"

struct sign_request {
	const char *method;
	const char *bucket; /* NULL: a call to the service */
	const char *key;    /* NULL: a call to the bucket; raw, not encoded */
	const struct kvs *headers; /* as received */
	const struct kvs *query;   /* decoded */
};

struct sign_scope {
	const char *date; /* YYYYMMDD */
	const char *region;
	const char *product; /* "oss"; AWS: "s3" */
};

/** Whether a query parameter is part of V1's CanonicalizedResource. */
bool sign_v1_is_subresource(const char *name);

/**
 * V1's string to sign.
 * @param date  the Date line: a date header's value, or Expires
 * @return 0 or -ENOMEM
 */
int sign_v1_string(const struct sign_request *r, const char *date,
		   struct buf *out);
/** base64(HMAC-SHA1(secret, text)). @return 0, -ENOMEM, -EIO */
int sign_v1(const char *secret, const char *text, struct buf *out);

/**
 * V4's canonical request.
 * @param additional  "a;b", lower case and sorted, or ""
 * @param payload     x-oss-content-sha256, or UNSIGNED-PAYLOAD
 */
int sign_v4_canonical(const struct sign_request *r, const char *additional,
		      const char *payload, struct buf *out);
int sign_v4_string(const char *canonical, const char *date,
		   const struct sign_scope *scope, struct buf *out);
/**
 * The signing key that was derived last: that takes four HMACs, and a client
 * uses one for a day.
 */
struct sign_memo;
/** @return 0 or -ENOMEM */
int sign_memo_new(struct sign_memo **out);
void sign_memo_free(struct sign_memo *m);
/** Lower-case hex. @param m  NULL: none */
int sign_v4(struct sign_memo *m, const char *secret,
	    const struct sign_scope *scope, const char *text, struct buf *out);

/**
 * AWS's canonical request: the path as sent, the named headers alone.
 * @param path            percent-encoded, as in the request line
 * @param signed_headers  "host;x-amz-date", as the client names them
 */
int sign_aws_canonical(const struct sign_request *r, const char *path,
		       const char *signed_headers, const char *payload,
		       struct buf *out);
int sign_aws_string(const char *canonical, const char *date,
		    const struct sign_scope *scope, struct buf *out);
int sign_aws(struct sign_memo *m, const char *secret,
	     const struct sign_scope *scope, const char *text, struct buf *out);

/** Equal in constant time. */
bool sign_equal(const char *a, const char *b);

#endif
