/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/signer.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>

#include "oss/keyfile.h"
#include "util/buf.h"
#include "util/lock.h"

struct signer {
	EVP_MD *sha256;
	EVP_MAC *hmac;

	struct lock lock; /* what follows; rank LOCK_LEAF */
	char *secret;     /* NULL: there is no key */
	char *scope;
	EVP_MAC_CTX *keyed; /* copied for each use */
};

static void free_mac(EVP_MAC_CTX **c)
{
	EVP_MAC_CTX_free(*c); /* wipes the key */
}

int signer_new(struct signer **out)
{
	struct signer *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	lock_init(&s->lock, LOCK_LEAF);
	s->sha256 = EVP_MD_fetch(NULL, OSSL_DIGEST_NAME_SHA2_256, NULL);
	s->hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	if (!s->sha256 || !s->hmac) {
		signer_free(s);
		return -EIO;
	}
	*out = s;
	return 0;
}

void signer_free(struct signer *s)
{
	if (!s)
		return;
	keys_wipe(&s->secret);
	free(s->scope);
	EVP_MAC_CTX_free(s->keyed);
	EVP_MAC_free(s->hmac);
	EVP_MD_free(s->sha256);
	lock_destroy(&s->lock);
	free(s);
}

int signer_digest(const struct signer *s, const void *data, size_t len,
		  unsigned char out[SIGNER_LEN])
{
	return EVP_Digest(data, len, out, NULL, s->sha256, NULL) == 1 ? 0
								      : -EIO;
}

/* ---- the key ----------------------------------------------------------- */

/* The chain of keys: secret, then each word of the scope. */
static int derive(const struct signer *s, const char *secret, const char *scope,
		  unsigned char out[SIGNER_LEN])
{
	AUTO_FREE char *first = str_printf("aliyun_v4%s", secret);
	unsigned char key[SIGNER_LEN];
	const void *from = first;
	size_t from_len;
	int rc = 0;

	if (!first)
		return -ENOMEM;
	from_len = strlen(first);
	while (rc == 0 && *scope) {
		size_t len = strcspn(scope, "/");

		if (!HMAC(s->sha256, from, (int)from_len,
			  (const unsigned char *)scope, len, out, NULL))
			rc = -EIO;
		memcpy(key, out, sizeof(key));
		from = key;
		from_len = sizeof(key);
		scope += len + (scope[len] == '/');
	}
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(first, strlen(first));
	return rc;
}

static EVP_MAC_CTX *new_keyed(const struct signer *s,
			      const unsigned char key[SIGNER_LEN])
{
	char digest[] = OSSL_DIGEST_NAME_SHA2_256;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
				       sizeof(digest) - 1),
		OSSL_PARAM_END,
	};
	EVP_MAC_CTX *c = EVP_MAC_CTX_new(s->hmac);

	if (c && EVP_MAC_init(c, key, SIGNER_LEN, params) != 1) {
		EVP_MAC_CTX_free(c);
		c = NULL;
	}
	return c;
}

static int renew_locked(struct signer *s, const char *secret, const char *scope)
	ACK_REQUIRES(s->lock)
{
	unsigned char key[SIGNER_LEN] = {0};
	int rc;

	keys_wipe(&s->secret);
	EVP_MAC_CTX_free(s->keyed);
	s->keyed = NULL;
	rc = derive(s, secret, scope, key);
	if (rc == 0)
		s->keyed = new_keyed(s, key);
	OPENSSL_cleanse(key, sizeof(key));
	if (rc == 0 && !s->keyed)
		rc = -EIO;
	if (rc == 0)
		rc = str_set(&s->scope, scope);
	return rc == 0 ? str_set(&s->secret, secret) : rc;
}

static int take_keyed(struct signer *s, const char *secret, const char *scope,
		      EVP_MAC_CTX **out)
{
	int rc = 0;

	lock_acquire(&s->lock);
	if (!s->secret || strcmp(s->secret, secret) != 0 ||
	    strcmp(s->scope, scope) != 0)
		rc = renew_locked(s, secret, scope);
	if (rc == 0)
		*out = EVP_MAC_CTX_dup(s->keyed);
	lock_release(&s->lock);
	return rc == 0 && !*out ? -ENOMEM : rc;
}

int signer_mac(struct signer *s, const char *secret, const char *scope,
	       const void *data, size_t len, unsigned char out[SIGNER_LEN])
{
	AUTO(free_mac) EVP_MAC_CTX *mac = NULL;
	int rc = take_keyed(s, secret, scope, &mac);

	if (rc < 0)
		return rc;
	if (EVP_MAC_update(mac, data, len) != 1 ||
	    EVP_MAC_final(mac, out, NULL, SIGNER_LEN) != 1)
		return -EIO;
	return 0;
}
