/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Who is asking: signatures, security tokens, clock skew, anonymous rights.
 *
 * Protocol  section 2.
 */
#ifndef ACKFS_EMULATOR_AUTH_H
#define ACKFS_EMULATOR_AUTH_H

#include "emulator/exchange.h"

/**
 * Check the request's signature and set its bucket and key: where Host and
 * path both name the bucket, the signature tells which of them counts.
 * @return 0 or DECIDED
 */
int auth_check(struct exchange *x);
/** Whether an anonymous request may do this. @return 0 or DECIDED */
int auth_permission(struct exchange *x);

struct credential;

/** The token that was sent (NULL: none) against the key's.
 *  @return 0 or DECIDED */
int auth_check_token(struct exchange *x, const struct credential *key,
		     const char *token);

/** What an Authorization header of a V4 kind holds; empty: not there. */
struct v4_header {
	char credential[256];
	char headers[512]; /* AdditionalHeaders or SignedHeaders */
	char signature[65];
};

/**
 * Take "NAME=value, NAME=value" apart.
 * @param list_name  "AdditionalHeaders" or "SignedHeaders"
 * @return OE_NONE or what is wrong
 */
enum oss_err v4_header_parse(const char *text, const char *list_name,
			     struct v4_header *out);

/** "AK/20231216/cn-hangzhou/oss/aliyun_v4_request" */
struct v4_credential {
	char id[128];
	char date[16];
	char region[64];
	char product[32];
	char terminator[32];
};

/** @return 0 or -EINVAL */
int v4_credential_parse(const char *text, struct v4_credential *out);
/** Whether the scope is this server's, and its day that of date.
 *  @return 0 or DECIDED */
int auth_check_scope(struct exchange *x, const struct v4_credential *scope,
		     const char *date);

#endif
