/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/verify.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/codec.h"

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

static void pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void mdctx_freep(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static void libctx_freep(OSSL_LIB_CTX **c)
{
	OSSL_LIB_CTX_free(*c);
}

/*
 * OSS signs with MD5 and a key of 512 bits, and that cannot be chosen.  A
 * machine-wide policy (FIPS, "no MD5 signatures") would turn every callback
 * into a forged one, so the check runs in a library context of its own, which
 * reads no openssl.cnf.
 */
static EVP_PKEY *key_parse(OSSL_LIB_CTX *lib, const char *pem)
{
	AUTO(bio_freep) BIO *bio = NULL;
	AUTO(pkey_freep) EVP_PKEY *key = NULL;

	bio = BIO_new_mem_buf(pem, -1);
	if (!bio)
		return NULL;
	key = PEM_read_bio_PUBKEY_ex(bio, NULL, NULL, NULL, lib, NULL);
	if (!key || !EVP_PKEY_is_a(key, "RSA"))
		return NULL;
	return take_ptr(key);
}

/* The first two parts of the signed text, and the line feed. */
static int signed_head(struct buf *out, const char *target)
{
	size_t path_len = strcspn(target, "?");

	/* '+' stays '+': this is a path, not a form. */
	if (percent_decode(out, target, path_len, false) < 0)
		return -1;
	buf_adds(out, target + path_len);
	buf_addc(out, '\n');
	return buf_error(out);
}

static int signature_matches(OSSL_LIB_CTX *lib, EVP_PKEY *key,
			     const struct buf *head, const void *body,
			     size_t body_len, const struct buf *signature)
{
	AUTO(mdctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	/* PKCS #1 v1.5 is what an RSA key does unless told otherwise. */
	return ctx &&
	       EVP_DigestVerifyInit_ex(ctx, NULL, "MD5", lib, NULL, key,
				       NULL) == 1 &&
	       EVP_DigestVerifyUpdate(ctx, head->data, head->len) == 1 &&
	       EVP_DigestVerifyUpdate(ctx, body, body_len) == 1 &&
	       EVP_DigestVerifyFinal(ctx,
				     (const unsigned char *)signature->data,
				     signature->len) == 1;
}

enum verdict verify_callback(const char *key_pem,
			     const struct callback_request *req)
{
	AUTO(libctx_freep) OSSL_LIB_CTX *lib = NULL;
	AUTO(pkey_freep) EVP_PKEY *key = NULL;
	AUTO(buf_release) struct buf signature = BUF_INIT;
	AUTO(buf_release) struct buf head = BUF_INIT;
	int ok;

	if (!req->authorization ||
	    base64_decode(&signature, req->authorization,
			  strlen(req->authorization)) < 0 ||
	    signature.len == 0)
		return VERDICT_UNSIGNED;
	if (signed_head(&head, req->target) < 0)
		return VERDICT_BAD_TARGET;
	lib = OSSL_LIB_CTX_new();
	if (lib)
		key = key_parse(lib, key_pem);
	if (!key) {
		ERR_clear_error();
		return VERDICT_NO_KEY;
	}
	ok = signature_matches(lib, key, &head, req->body, req->body_len,
			       &signature);
	ERR_clear_error(); /* a mismatch leaves its reason in the queue */
	return ok ? VERDICT_GENUINE : VERDICT_BAD_SIGNATURE;
}

bool verify_key_is_usable(const char *key_pem)
{
	AUTO(libctx_freep) OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
	AUTO(pkey_freep) EVP_PKEY *key = NULL;

	if (lib)
		key = key_parse(lib, key_pem);
	ERR_clear_error();
	return key != NULL;
}

const char *verdict_text(enum verdict v)
{
	switch (v) {
	case VERDICT_GENUINE:
		return "genuine";
	case VERDICT_UNSIGNED:
		return "not signed";
	case VERDICT_BAD_TARGET:
		return "path is not percent-encoded text";
	case VERDICT_BAD_SIGNATURE:
		return "signature does not match";
	case VERDICT_NO_KEY:
		return "no usable public key";
	}
	return "?";
}
