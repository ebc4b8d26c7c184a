/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/callback_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "util/codec.h"
#include "util/fileio.h"
#include "util/log.h"

struct callback_key {
	EVP_PKEY *pair;
	char *pem;
};

static EVP_PKEY *load(const char *path)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *pair = NULL;

	if (!f)
		return NULL;
	pair = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	return pair;
}

static int save(const char *path, EVP_PKEY *pair)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;
	int rc = -EIO;

	if (bio &&
	    PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL)) {
		len = BIO_get_mem_data(bio, &text);
		rc = file_write_durable(path, text, (size_t)len, 0600);
	}
	BIO_free(bio);
	return rc;
}

static char *public_pem(EVP_PKEY *pair)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	char *copy = NULL;
	long len;

	if (bio && PEM_write_bio_PUBKEY(bio, pair)) {
		len = BIO_get_mem_data(bio, &text);
		copy = strndup(text, (size_t)len);
	}
	BIO_free(bio);
	return copy;
}

int callback_key_open(const char *dir, unsigned bits, struct callback_key **out)
{
	AUTO_FREE char *path = str_printf("%s/callback-key.pem", dir);
	struct callback_key *k = calloc(1, sizeof(*k));
	int rc = 0;

	if (!path || !k) {
		free(k);
		return -ENOMEM;
	}
	k->pair = load(path);
	if (!k->pair) {
		k->pair = EVP_RSA_gen(bits);
		rc = k->pair ? save(path, k->pair) : -EIO;
	}
	if (!rc) {
		k->pem = public_pem(k->pair);
		rc = k->pem ? 0 : -EIO;
	}
	if (rc < 0) {
		callback_key_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void callback_key_free(struct callback_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pair);
	free(k->pem);
	free(k);
}

const char *callback_key_pem(const struct callback_key *k)
{
	return k->pem;
}

int callback_key_sign(const struct callback_key *k, const void *data,
		      size_t len, struct buf *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[1024];
	size_t sig_len = sizeof(sig);
	int rc = -EIO;

	if (ctx && EVP_DigestSignInit(ctx, NULL, EVP_md5(), NULL, k->pair) &&
	    EVP_DigestSign(ctx, sig, &sig_len, data, len) == 1) {
		base64_encode(out, sig, sig_len);
		rc = buf_error(out);
	}
	EVP_MD_CTX_free(ctx);
	return rc;
}
