/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Does a callback come from OSS?  The signature check, and nothing else.
 *
 *     signed text    url_decode(path) + query (with its '?') + "\n" + body
 *     Authorization  base64(RSASSA-PKCS1-v1_5 with MD5 over the signed text)
 *
 * The key must be OSS's: where it may come from is keycache.h's business.
 * Only path, query and body are signed, no header is, and there is no nonce:
 * a callback that was sent once can be sent again by whoever saw it (answers.h
 * makes that harmless).
 *
 * Pure: no I/O, no state.  Threads: any.
 */
#ifndef ACKFS_RECEIVER_VERIFY_H
#define ACKFS_RECEIVER_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

/** The parts of a request that the signature is about. All borrowed. */
struct callback_request {
	/** The request line's target as it came: path still percent-encoded,
	 *  query untouched.  A framework's "path" is usually decoded already,
	 *  and its query rewritten: take the raw one. */
	const char *target;
	const void *body;
	size_t body_len;
	const char *authorization; /* that header's value; NULL: none */
};

enum verdict {
	VERDICT_GENUINE,
	VERDICT_UNSIGNED,      /* no Authorization, or not base64 */
	VERDICT_BAD_TARGET,    /* the path is not percent-encoded text */
	VERDICT_BAD_SIGNATURE, /* signed by nobody, or for another request */
	VERDICT_NO_KEY,        /* key_pem is no RSA public key, no memory */
};

/**
 * @param key_pem  the public key, "-----BEGIN PUBLIC KEY-----..."
 */
enum verdict verify_callback(const char *key_pem,
			     const struct callback_request *req);

/** Whether this is a public key that verify_callback() can use. */
bool verify_key_is_usable(const char *key_pem);

/** For a log line: "genuine", "not signed", ... */
const char *verdict_text(enum verdict v);

#endif
