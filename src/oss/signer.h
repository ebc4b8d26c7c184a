/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The cryptography of version 4, with what need not be made for each request:
 * the digest that OpenSSL looks up, and the signing key, which is a day's
 * (oss-protocol 2.3).
 *
 * Layer    oss, private to it.
 * Threads  any.
 */
#ifndef ACKFS_OSS_SIGNER_H
#define ACKFS_OSS_SIGNER_H

#include <stddef.h>

struct signer;

enum { SIGNER_LEN = 32 };

/** @return 0, -ENOMEM, -EIO (the crypto library has no SHA-256) */
int signer_new(struct signer **out);
/** NULL is fine. */
void signer_free(struct signer *s);

/** SHA-256. @return 0 or -EIO */
int signer_digest(const struct signer *s, const void *data, size_t len,
		  unsigned char out[SIGNER_LEN]);
/** Sign with the key that a secret has in a scope; it is kept for the next
 *  request that has the same.
 *  @param scope  "20231216/cn-hangzhou/oss/aliyun_v4_request"
 *  @return 0, -ENOMEM, -EIO */
int signer_mac(struct signer *s, const char *secret, const char *scope,
	       const void *data, size_t len, unsigned char out[SIGNER_LEN]);

#endif
