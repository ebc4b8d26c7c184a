/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "util/thread.h"

struct seen {
	char name[32];
	sigset_t mask;
	atomic_bool is_done;
};

static void *look(void *arg)
{
	struct seen *s = arg;

	pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
	pthread_sigmask(SIG_BLOCK, NULL, &s->mask);
	atomic_store(&s->is_done, true);
	return arg;
}

static bool is_done(void *arg)
{
	struct seen *s = arg;

	return atomic_load(&s->is_done);
}

static void a_thread_has_its_name_and_no_signals(void **state)
{
	struct seen s = {.name = ""};
	sigset_t own;
	pthread_t id;
	void *result = NULL;

	(void)state;
	assert_int_equal(thread_start(&id, "look", look, &s), 0);
	assert_int_equal(pthread_join(id, &result), 0);
	assert_ptr_equal(result, &s);
	assert_string_equal(s.name, "look");
	assert_true(sigismember(&s.mask, SIGTERM));
	assert_true(sigismember(&s.mask, SIGINT));
	/* The starting thread's own mask is what it was. */
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &own), 0);
	assert_false(sigismember(&own, SIGTERM));
}

static void a_long_name_is_cut(void **state)
{
	struct seen s = {.name = ""};
	pthread_t id;

	(void)state;
	assert_int_equal(thread_start(&id, "a-name-of-twenty-two", look, &s),
			 0);
	assert_int_equal(pthread_join(id, NULL), 0);
	assert_string_equal(s.name, "a-name-of-twent");
}

static void a_detached_thread_runs_by_itself(void **state)
{
	static struct seen s;

	(void)state;
	assert_int_equal(thread_start_detached("alone", look, &s), 0);
	assert_true(test_wait_until(is_done, &s, TEST_DEADLINE_MS));
	assert_string_equal(s.name, "alone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_has_its_name_and_no_signals),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(a_detached_thread_runs_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
