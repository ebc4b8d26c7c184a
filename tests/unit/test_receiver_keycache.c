/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "receiver/keycache.h"
#include "util/clock.h"
#include "util/codec.h"

static const char key_pem[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKs/JBGzwUB2aVht4crBx3oIPBLNsjGs\n"
	"C0fTXv+nvlmklvkcolvpvXLTjaxUHR3W9LXxQ2EHXAJfCB+6H2YF1k8CAwEAAQ==\n"
	"-----END PUBLIC KEY-----\n";

static const char *const oss_only[] = {KEYCACHE_OSS_HTTP, KEYCACHE_OSS_HTTPS};

#define OSS_KEY "http://gosspublic.alicdn.com/callback_pub_key_v1.pem"

/* The network of these tests. */
static struct {
	atomic_int fetches;
	atomic_int rc;
	_Atomic(const char *) body;
	atomic_bool is_stuck;
} net;

static int fake_fetch(const char *url, struct buf *pem)
{
	(void)url;
	net.fetches++;
	while (net.is_stuck)
		sched_yield();
	if (net.rc == 0)
		buf_adds(pem, net.body);
	return net.rc;
}

static int setup(void **state)
{
	const struct keycache_conf conf = {
		.trusted = oss_only, .trusted_count = 2, .fetch = fake_fetch};
	struct keycache *c;

	net.fetches = 0;
	net.rc = 0;
	net.body = key_pem;
	net.is_stuck = false;
	if (keycache_new(&conf, &c) < 0)
		return -1;
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	keycache_free(*state);
	return 0;
}

static int get(struct keycache *c, const char *url, int64_t max_age_ms)
{
	AUTO(buf_release) struct buf header = BUF_INIT;
	struct verify_key *key = NULL;
	int rc;

	base64_encode(&header, url, strlen(url));
	rc = keycache_get(c, buf_str(&header), max_age_ms, &key);
	assert_int_equal(rc == 0, key != NULL);
	verify_key_put(key);
	return rc;
}

static void only_addresses_of_trusted_hosts_are_fetched(void **state)
{
	static const struct {
		const char *url;
		int want;
	} cases[] = {
		{OSS_KEY,						 0      },
		{"https://gosspublic.alicdn.com/callback_pub_key_v1.pem", 0      },
		{"http://gosspublic.alicdn.com.evil.example/k.pem",       -EACCES},
		{"http://gosspublic.alicdn.com@evil.example/k.pem",       -EACCES},
		{"http://gosspublic.alicdn.com:80@evil.example/",         -EACCES},
		{"http://gosspublic.alicdn.com\\@evil.example/",          -EACCES},
		{"http://gosspublic.alicdn.com",                          -EACCES},
		{"http://evil.example/http://gosspublic.alicdn.com/",     -EACCES},
		{" http://gosspublic.alicdn.com/k.pem",                   -EACCES},
		{"http://gosspublic.alicdn.com/k.pem\r\nHost: x",         -EACCES},
		{"http://gosspublic.alicdn.com/\xc3\xa4.pem",             -EACCES},
		{"HTTP://GOSSPUBLIC.ALICDN.COM/k.pem",                    -EACCES},
		{"ftp://gosspublic.alicdn.com/k.pem",                     -EACCES},
		{"file:///etc/passwd",                                    -EACCES},
		{"gosspublic.alicdn.com/k.pem",                           -EACCES},
		{"",						      -EINVAL},
	};
	int expected = 0;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int got = get(*state, cases[i].url, INT64_MAX);

		if (got != cases[i].want)
			fail_msg("\"%s\": %d", cases[i].url, got);
		expected += got == 0;
		assert_int_equal(net.fetches, expected);
	}
}

static void a_header_that_is_no_address_is_refused(void **state)
{
	struct verify_key *key = NULL;
	AUTO(buf_release) struct buf nul = BUF_INIT;
	AUTO(buf_release) struct buf longest = BUF_INIT;
	AUTO(buf_release) struct buf coded = BUF_INIT;

	base64_encode(&nul, OSS_KEY "\0.example", sizeof(OSS_KEY) + 8);
	buf_adds(&longest, KEYCACHE_OSS_HTTP);
	for (int i = 0; i < 2000; i++)
		buf_addc(&longest, 'a');
	base64_encode(&coded, longest.data, longest.len);
	assert_int_equal(keycache_get(*state, NULL, 0, &key), -EINVAL);
	assert_int_equal(keycache_get(*state, OSS_KEY, 0, &key), -EINVAL);
	assert_int_equal(keycache_get(*state, buf_str(&nul), 0, &key), -EINVAL);
	assert_int_equal(keycache_get(*state, buf_str(&coded), 0, &key),
			 -EINVAL);
	assert_int_equal(net.fetches, 0);
}

static void a_key_is_fetched_once(void **state)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
	assert_int_equal(net.fetches, 1);
}

static void an_old_key_is_fetched_again_when_asked(void **state)
{
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
	assert_int_equal(get(*state, OSS_KEY, 60000), 0);
	assert_int_equal(net.fetches, 1);
	clock_advance_ms(60001);
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
	assert_int_equal(net.fetches, 1);
	assert_int_equal(get(*state, OSS_KEY, 60000), 0);
	assert_int_equal(net.fetches, 2);
}

static void a_good_key_outlives_a_failed_fetch(void **state)
{
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
	clock_advance_ms(60001);
	net.rc = -EHOSTUNREACH;
	assert_int_equal(get(*state, OSS_KEY, 60000), 0);
	assert_int_equal(get(*state, OSS_KEY, 60000), 0);
	assert_int_equal(net.fetches, 2);
}

static void a_failed_address_is_left_alone_for_a_moment(void **state)
{
	net.rc = -EHOSTUNREACH;
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), -EAGAIN);
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), -EAGAIN);
	assert_int_equal(net.fetches, 1);
	clock_advance_ms(10000);
	net.rc = 0;
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
	assert_int_equal(net.fetches, 2);
}

static void what_is_no_key_is_not_kept(void **state)
{
	net.body = "<html>captive portal</html>";
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), -EAGAIN);
	clock_advance_ms(10000);
	net.body = key_pem;
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
}

static void many_addresses_do_not_push_out_the_key_in_use(void **state)
{
	int before;

	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
	for (int i = 0; i < 10 * KEYCACHE_MAX; i++) {
		AUTO(buf_release) struct buf url = BUF_INIT;

		net.rc = i % 2 ? -ENOENT : 0;
		buf_addf(&url, KEYCACHE_OSS_HTTP "%d.pem", i);
		get(*state, buf_str(&url), INT64_MAX);
		clock_advance_ms(1);
		assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
		clock_advance_ms(1);
	}
	before = net.fetches;
	assert_int_equal(get(*state, OSS_KEY, INT64_MAX), 0);
	assert_int_equal(net.fetches, before);
}

static void a_pinned_key_needs_no_address_and_no_fetch(void **state)
{
	struct keycache_conf conf = {.fetch = fake_fetch};
	struct keycache *c = NULL;
	struct verify_key *key = NULL;

	(void)state;
	assert_int_equal(verify_key_parse(key_pem, &conf.pinned), 0);
	assert_int_equal(keycache_new(&conf, &c), 0);
	assert_int_equal(keycache_get(c, NULL, 0, &key), 0);
	assert_ptr_equal(key, conf.pinned);
	assert_int_equal(net.fetches, 0);
	verify_key_put(key);
	keycache_free(c);
	verify_key_put(conf.pinned);
}

static atomic_int arrived;

static void *get_in_thread(void *arg)
{
	arrived++;
	return get(arg, OSS_KEY, INT64_MAX) == 0 ? arg : NULL;
}

static void callbacks_at_the_same_time_share_one_fetch(void **state)
{
	pthread_t threads[8];

	net.is_stuck = true;
	arrived = 0;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						get_in_thread, *state),
				 0);
	while (arrived < (int)ARRAY_LEN(threads) || net.fetches == 0)
		sched_yield();
	net.is_stuck = false;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *got;

		assert_int_equal(pthread_join(threads[i], &got), 0);
		assert_non_null(got);
	}
	assert_int_equal(net.fetches, 1);
}

static void only_prefixes_with_a_whole_host_are_safe(void **state)
{
	static const struct {
		const char *prefix;
		bool want;
	} cases[] = {
		{"http://127.0.0.1:9000/",      true },
		{"https://keys.example/oss/v1", true },
		{"http://[::1]:9000/",          true },
		{"http://127.0.0.1:90",         false},
		{"http://host",                 false},
		{"http:///k",                   false},
		{"http://a@b/",                 false},
		{"http://a\\b/",                false},
		{"http://a?/",                  false},
		{"http://",                     false},
		{"ftp://host/",                 false},
		{"host/",                       false},
		{"",			    false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (keycache_prefix_is_safe(cases[i].prefix) != cases[i].want)
			fail_msg("%s", cases[i].prefix);
	for (size_t i = 0; i < ARRAY_LEN(oss_only); i++)
		assert_true(keycache_prefix_is_safe(oss_only[i]));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_addresses_of_trusted_hosts_are_fetched),
		TEST(a_header_that_is_no_address_is_refused),
		TEST(a_key_is_fetched_once),
		TEST(an_old_key_is_fetched_again_when_asked),
		TEST(a_good_key_outlives_a_failed_fetch),
		TEST(a_failed_address_is_left_alone_for_a_moment),
		TEST(what_is_no_key_is_not_kept),
		TEST(many_addresses_do_not_push_out_the_key_in_use),
		TEST(a_pinned_key_needs_no_address_and_no_fetch),
		TEST(callbacks_at_the_same_time_share_one_fetch),
		cmocka_unit_test(only_prefixes_with_a_whole_host_are_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
