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
 * verify_key_parse(), then verify_callback() any number of times.
 *
 * Pure: no I/O, no state but the key's.  Threads: any, one key in many.
 */
#ifndef ACKFS_RECEIVER_VERIFY_H
#define ACKFS_RECEIVER_VERIFY_H

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
	VERDICT_FAILED,        /* no memory: nothing is known */
};

struct verify_key;

/**
 * Read a public key.
 *
 * @param pem  "-----BEGIN PUBLIC KEY-----..."
 * @param out  set on success only: one reference, give back with
 *             verify_key_put()
 * @return 0; -EINVAL not the PEM of an RSA public key; -ENOMEM
 */
int verify_key_parse(const char *pem, struct verify_key **out);
/** @return key, with one more reference */
struct verify_key *verify_key_get(struct verify_key *key);
/** NULL is fine. */
void verify_key_put(struct verify_key *key);

enum verdict verify_callback(const struct verify_key *key,
			     const struct callback_request *req);

/** For a log line: "genuine", "not signed", ... */
const char *verdict_text(enum verdict v);

#endif
