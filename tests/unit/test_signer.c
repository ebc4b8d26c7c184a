/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <pthread.h>
#include <string.h>

#include "oss/signer.h"
#include "util/codec.h"

static const char *const secrets[] = {"sk", "other", ""};
static const char *const scopes[] = {
	"20231216/cn-hangzhou/oss/aliyun_v4_request",
	"20231217/cn-hangzhou/oss/aliyun_v4_request",
	"20231217/cn-shanghai/oss/aliyun_v4_request",
};

enum { PAIRS = ARRAY_LEN(secrets) * ARRAY_LEN(scopes) };

static void sign_pair(struct signer *s, int i, unsigned char mac[SIGNER_LEN])
{
	assert_int_equal(signer_mac(s, secrets[i / ARRAY_LEN(scopes)],
				    scopes[i % ARRAY_LEN(scopes)], "text", 4,
				    mac),
			 0);
}

/* What signers say that have no key yet. */
static void sign_afresh(unsigned char macs[PAIRS][SIGNER_LEN])
{
	for (int i = 0; i < PAIRS; i++) {
		struct signer *s = NULL;

		assert_int_equal(signer_new(&s), 0);
		sign_pair(s, i, macs[i]);
		signer_free(s);
	}
}

static void the_digest_is_sha_256(void **state)
{
	AUTO(buf_release) struct buf hex = BUF_INIT;
	unsigned char digest[SIGNER_LEN];
	struct signer *s = NULL;

	(void)state;
	assert_int_equal(signer_new(&s), 0);
	assert_int_equal(signer_digest(s, "abc", 3, digest), 0);
	hex_encode(&hex, digest, sizeof(digest));
	assert_string_equal(buf_str(&hex), "ba7816bf8f01cfea414140de5dae2223"
					   "b00361a396177a9cb410ff61f20015ad");
	signer_free(s);
}

static void a_kept_key_signs_as_a_new_one_does(void **state)
{
	unsigned char want[PAIRS][SIGNER_LEN];
	unsigned char got[SIGNER_LEN];
	struct signer *s = NULL;

	(void)state;
	sign_afresh(want);
	assert_int_equal(signer_new(&s), 0);
	for (int i = 0; i < PAIRS; i++) {
		for (int again = 0; again < 3; again++) {
			sign_pair(s, i, got);
			assert_memory_equal(got, want[i], SIGNER_LEN);
		}
	}
	signer_free(s);
}

static void the_key_follows_secret_and_scope(void **state)
{
	unsigned char macs[PAIRS][SIGNER_LEN];

	(void)state;
	sign_afresh(macs);
	for (int i = 0; i < PAIRS; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(macs[i], macs[j], SIGNER_LEN);
}

struct signing {
	struct signer *s;
	unsigned char (*want)[SIGNER_LEN];
	int pair;
	int wrong;
};

static void *sign_often(void *arg)
{
	struct signing *t = arg;
	unsigned char got[SIGNER_LEN];

	for (int i = 0; i < 200; i++) {
		int pair = (t->pair + i / 10) % PAIRS;
		int rc = signer_mac(t->s, secrets[pair / ARRAY_LEN(scopes)],
				    scopes[pair % ARRAY_LEN(scopes)], "text", 4,
				    got);

		t->wrong +=
			rc < 0 || memcmp(got, t->want[pair], SIGNER_LEN) != 0;
	}
	return NULL;
}

/* At midnight, and when keys are replaced. */
static void threads_do_not_sign_with_each_others_key(void **state)
{
	unsigned char want[PAIRS][SIGNER_LEN];
	struct signing t[4];
	pthread_t ids[4];
	struct signer *s = NULL;

	(void)state;
	sign_afresh(want);
	assert_int_equal(signer_new(&s), 0);
	for (int i = 0; i < 4; i++) {
		t[i] = (struct signing){s, want, i, 0};
		assert_int_equal(
			pthread_create(&ids[i], NULL, sign_often, &t[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(t[i].wrong, 0);
	}
	signer_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_is_sha_256),
		cmocka_unit_test(a_kept_key_signs_as_a_new_one_does),
		cmocka_unit_test(the_key_follows_secret_and_scope),
		cmocka_unit_test(threads_do_not_sign_with_each_others_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
