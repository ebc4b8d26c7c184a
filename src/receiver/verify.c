/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/verify.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/codec.h"

/*
 * OSS signs with MD5 and a key of 512 bits, and that cannot be chosen.  A
 * machine-wide policy (FIPS, "no MD5 signatures") would turn every callback
 * into a forged one, so a key lives in a library context of its own, which
 * reads no openssl.cnf.  Making it takes a millisecond; using it, microseconds.
 */
struct verify_key {
	atomic_uint refs;
	OSSL_LIB_CTX *lib;
	EVP_PKEY *pkey;
};

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

static void mdctx_freep(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static void key_putp(struct verify_key **k)
{
	verify_key_put(*k);
}

int verify_key_parse(const char *pem, struct verify_key **out)
{
	AUTO(key_putp) struct verify_key *k = calloc(1, sizeof(*k));
	AUTO(bio_freep) BIO *bio = BIO_new_mem_buf(pem, -1);

	if (!k || !bio)
		return -ENOMEM;
	k->refs = 1;
	k->lib = OSSL_LIB_CTX_new();
	if (!k->lib)
		return -ENOMEM;
	k->pkey = PEM_read_bio_PUBKEY_ex(bio, NULL, NULL, NULL, k->lib, NULL);
	if (!k->pkey || !EVP_PKEY_is_a(k->pkey, "RSA")) {
		ERR_clear_error();
		return -EINVAL;
	}
	*out = take_ptr(k);
	return 0;
}

struct verify_key *verify_key_get(struct verify_key *key)
{
	key->refs++;
	return key;
}

void verify_key_put(struct verify_key *key)
{
	if (!key || --key->refs > 0)
		return;
	EVP_PKEY_free(key->pkey);
	OSSL_LIB_CTX_free(key->lib);
	free(key);
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

static enum verdict check_signature(const struct verify_key *key,
				    const struct buf *head,
				    const struct callback_request *req,
				    const struct buf *signature)
{
	AUTO(mdctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool is_right;

	/* PKCS #1 v1.5 is what an RSA key does unless told otherwise. */
	if (!ctx ||
	    EVP_DigestVerifyInit_ex(ctx, NULL, "MD5", key->lib, NULL, key->pkey,
				    NULL) != 1 ||
	    EVP_DigestVerifyUpdate(ctx, head->data, head->len) != 1 ||
	    EVP_DigestVerifyUpdate(ctx, req->body, req->body_len) != 1)
		return VERDICT_FAILED;
	is_right = EVP_DigestVerifyFinal(ctx,
					 (const unsigned char *)signature->data,
					 signature->len) == 1;
	return is_right ? VERDICT_GENUINE : VERDICT_BAD_SIGNATURE;
}

enum verdict verify_callback(const struct verify_key *key,
			     const struct callback_request *req)
{
	AUTO(buf_release) struct buf signature = BUF_INIT;
	AUTO(buf_release) struct buf head = BUF_INIT;
	enum verdict v;

	if (!req->authorization ||
	    base64_decode(&signature, req->authorization,
			  strlen(req->authorization)) < 0 ||
	    signature.len == 0)
		return VERDICT_UNSIGNED;
	if (signed_head(&head, req->target) < 0)
		return VERDICT_BAD_TARGET;
	v = check_signature(key, &head, req, &signature);
	ERR_clear_error(); /* a mismatch leaves its reason in the queue */
	return v;
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
	case VERDICT_FAILED:
		return "cannot be checked now";
	}
	return "?";
}
