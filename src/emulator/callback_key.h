/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The RSA key that callbacks are signed with (protocol 3.7).
 *
 * Made once and kept in DIR; its public half is what x-oss-pub-key-url leads
 * to.  OSS's own key has 512 bits and so has this one by default: a verifier
 * must cope with it.
 *
 * Threads  any.
 */
#ifndef ACKFS_EMULATOR_CALLBACK_KEY_H
#define ACKFS_EMULATOR_CALLBACK_KEY_H

#include <stddef.h>

#include "util/buf.h"

struct callback_key;

/** Where the emulator serves it. */
#define CALLBACK_KEY_PATH "/-/callback_pub_key_v1.pem"

/** Load DIR's key, or make it. @return 0 or -errno */
int callback_key_open(const char *dir, unsigned bits,
		      struct callback_key **out);
void callback_key_free(struct callback_key *k);
/** The public key as PEM text. */
const char *callback_key_pem(const struct callback_key *k);
/** base64(RSASSA-PKCS1-v1_5 with MD5). @return 0 or -EIO */
int callback_key_sign(const struct callback_key *k, const void *data,
		      size_t len, struct buf *out);

#endif
