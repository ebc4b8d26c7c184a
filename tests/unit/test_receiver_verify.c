/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "receiver/verify.h"
#include "util/codec.h"

static const char doc_signature[] =
	"kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8"
	"OkQDjC3uG33esH2txA==";

/* A key pair of our own, as the emulator has one. */
static EVP_PKEY *own_key(unsigned bits, char **public_pem)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	assert_non_null(key);
	assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
	len = BIO_get_mem_data(bio, &text);
	*public_pem = strndup(text, (size_t)len);
	assert_non_null(*public_pem);
	BIO_free(bio);
	return key;
}

static void sign_with(EVP_PKEY *key, const EVP_MD *md, const char *text,
		      struct buf *authorization)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[1024];
	size_t len = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len,
					(const unsigned char *)text,
					strlen(text)),
			 1);
	base64_encode(authorization, sig, len);
	EVP_MD_CTX_free(ctx);
}

static enum verdict verify_text(const char *pem, const char *target,
				const char *body, const char *authorization)
{
	struct callback_request req = {.target = target,
				       .body = body,
				       .body_len = strlen(body),
				       .authorization = authorization};
	struct verify_key *key = NULL;
	enum verdict v;

	assert_int_equal(verify_key_parse(pem, &key), 0);
	v = verify_callback(key, &req);
	verify_key_put(key);
	return v;
}

static void published_requests_are_judged_as_the_vectors_say(void **state)
{
	json_t *root = test_vectors("callback-signature.json");
	const char *pem = test_json_str(root, "public_key_pem");
	size_t i, genuine = 0;
	json_t *v;

	(void)state;
	json_array_foreach(json_object_get(root, "vectors"), i, v)
	{
		AUTO(buf_release) struct buf target = BUF_INIT;
		bool want = json_is_true(json_object_get(v, "valid"));
		enum verdict got;

		buf_addf(&target, "%s%s", test_json_str(v, "request_path"),
			 test_json_str(v, "query_string"));
		got = verify_text(pem, buf_str(&target),
				  test_json_str(v, "body"),
				  test_json_str(v, "authorization"));
		if (got != (want ? VERDICT_GENUINE : VERDICT_BAD_SIGNATURE))
			fail_msg("%s: %s", test_json_str(v, "name"),
				 verdict_text(got));
		genuine += want;
	}
	assert_int_equal(genuine, 4);
	assert_true(i > genuine);
	json_decref(root);
}

static void each_signed_part_counts(void **state)
{
	static const struct {
		const char *name;
		const char *target;
		const char *body;
		const char *authorization;
		enum verdict want;
	} cases[] = {
		{"as documented",                "/index.php?id=1&index=2",
		 "bucket=yonghu-test",								doc_signature, VERDICT_GENUINE      },
		{"encoded path",                 "/%69ndex%2ephp?id=1&index=2",
		 "bucket=yonghu-test",								doc_signature, VERDICT_GENUINE      },
		{"encoded query",                "/index.php?%69d=1&index=2",
		 "bucket=yonghu-test",								doc_signature, VERDICT_BAD_SIGNATURE},
		{"another path",                 "/Index.php?id=1&index=2",
		 "bucket=yonghu-test",								doc_signature, VERDICT_BAD_SIGNATURE},
		{"another query",                "/index.php?id=1&index=3",
		 "bucket=yonghu-test",								doc_signature, VERDICT_BAD_SIGNATURE},
		{"no query",                     "/index.php",                  "bucket=yonghu-test", doc_signature,
		 VERDICT_BAD_SIGNATURE												    },
		{"another body",                 "/index.php?id=1&index=2",
		 "bucket=yonghu-tesT",								doc_signature, VERDICT_BAD_SIGNATURE},
		{"no body",                      "/index.php?id=1&index=2",     "",                   doc_signature,
		 VERDICT_BAD_SIGNATURE												    },
		{"part of the body in the path",
		 "/index.php?id=1&index=2%0Abucket=yonghu-test",                "",
		 doc_signature,										      VERDICT_BAD_SIGNATURE},
		{"no signature",                 "/index.php?id=1&index=2",
		 "bucket=yonghu-test",								NULL,          VERDICT_UNSIGNED     },
		{"empty signature",              "/index.php?id=1&index=2",
		 "bucket=yonghu-test",								"",            VERDICT_UNSIGNED     },
		{"not base64",                   "/index.php?id=1&index=2",     "bucket=yonghu-test",
		 "Basic dXNlcjpwYXNz",									       VERDICT_UNSIGNED     },
		{"too short",                    "/index.php?id=1&index=2",     "bucket=yonghu-test",
		 "kKQeGTRccDI=",										     VERDICT_BAD_SIGNATURE},
		{"no percent-encoding",          "/index%zz?id=1&index=2",
		 "bucket=yonghu-test",								doc_signature, VERDICT_BAD_TARGET   },
	};
	json_t *root = test_vectors("callback-signature.json");
	const char *pem = test_json_str(root, "public_key_pem");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum verdict got =
			verify_text(pem, cases[i].target, cases[i].body,
				    cases[i].authorization);

		if (got != cases[i].want)
			fail_msg("%s: %s", cases[i].name, verdict_text(got));
	}
	json_decref(root);
}

static void keys_of_any_length_verify(void **state)
{
	static const unsigned bits[] = {512, 1024, 2048};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		AUTO(buf_release) struct buf auth = BUF_INIT;
		AUTO_FREE char *pem = NULL;
		EVP_PKEY *key = own_key(bits[i], &pem);

		sign_with(key, EVP_md5(), "/a b+c?x=%20+y\nhello", &auth);
		assert_int_equal(verify_text(pem, "/a%20b+c?x=%20+y", "hello",
					     buf_str(&auth)),
				 VERDICT_GENUINE);
		assert_int_equal(verify_text(pem, "/a%20b+c?x=%20+y", "hello!",
					     buf_str(&auth)),
				 VERDICT_BAD_SIGNATURE);
		EVP_PKEY_free(key);
	}
}

static void another_digest_or_key_is_no_signature(void **state)
{
	AUTO(buf_release) struct buf sha1 = BUF_INIT;
	AUTO(buf_release) struct buf md5 = BUF_INIT;
	AUTO_FREE char *pem = NULL;
	AUTO_FREE char *other_pem = NULL;
	EVP_PKEY *key = own_key(512, &pem);
	EVP_PKEY *other = own_key(512, &other_pem);

	(void)state;
	sign_with(key, EVP_sha1(), "/\n", &sha1);
	sign_with(key, EVP_md5(), "/\n", &md5);
	assert_int_equal(verify_text(pem, "/", "", buf_str(&sha1)),
			 VERDICT_BAD_SIGNATURE);
	assert_int_equal(verify_text(other_pem, "/", "", buf_str(&md5)),
			 VERDICT_BAD_SIGNATURE);
	assert_int_equal(verify_text(pem, "/", "", buf_str(&md5)),
			 VERDICT_GENUINE);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void zero_bytes_in_body_and_path_are_signed(void **state)
{
	static const char text[] = "/a\0b\nx\0y";
	AUTO(buf_release) struct buf auth = BUF_INIT;
	AUTO_FREE char *pem = NULL;
	EVP_PKEY *key = own_key(512, &pem);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[64];
	size_t len = sizeof(sig);
	struct callback_request req = {
		.target = "/a%00b", .body = "x\0y", .body_len = 3};
	struct verify_key *verifier = NULL;

	(void)state;
	assert_int_equal(verify_key_parse(pem, &verifier), 0);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_md5(), NULL, key),
			 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len,
					(const unsigned char *)text,
					sizeof(text) - 1),
			 1);
	base64_encode(&auth, sig, len);
	req.authorization = buf_str(&auth);
	assert_int_equal(verify_callback(verifier, &req), VERDICT_GENUINE);
	req.body = "x\0z";
	assert_int_equal(verify_callback(verifier, &req),
			 VERDICT_BAD_SIGNATURE);
	req.body = "x\0y";
	req.target = "/a";
	assert_int_equal(verify_callback(verifier, &req),
			 VERDICT_BAD_SIGNATURE);
	verify_key_put(verifier);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
}

static void a_machine_policy_against_md5_does_not_matter(void **state)
{
	json_t *root = test_vectors("callback-signature.json");
	const char *pem = test_json_str(root, "public_key_pem");
	enum verdict got;

	(void)state;
	/* What a system-wide FIPS switch does to the default context. */
	assert_int_equal(EVP_set_default_properties(NULL, "fips=yes"), 1);
	got = verify_text(pem, "/index.php?id=1&index=2", "bucket=yonghu-test",
			  doc_signature);
	assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
	assert_int_equal(got, VERDICT_GENUINE);
	json_decref(root);
}

static void what_is_no_rsa_public_key_is_refused(void **state)
{
	static const char ec_key[] =
		"-----BEGIN PUBLIC KEY-----\n"
		"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
		"-----END PUBLIC KEY-----\n"; /* Ed25519, RFC 8410 */
	static const char *const bad[] = {
		"", "nonsense", ec_key,
		"-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct verify_key *key = NULL;

		assert_int_equal(verify_key_parse(bad[i], &key), -EINVAL);
		assert_null(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			published_requests_are_judged_as_the_vectors_say),
		cmocka_unit_test(each_signed_part_counts),
		cmocka_unit_test(keys_of_any_length_verify),
		cmocka_unit_test(another_digest_or_key_is_no_signature),
		cmocka_unit_test(zero_bytes_in_body_and_path_are_signed),
		cmocka_unit_test(a_machine_policy_against_md5_does_not_matter),
		cmocka_unit_test(what_is_no_rsa_public_key_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
