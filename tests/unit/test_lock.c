/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/lock.h"
#include "util/thread.h"

enum { THREADS = 4, ROUNDS = 5000 };

static struct {
	struct lock lock;
	struct cond cond;
	int count;     /* guarded by lock */
	bool is_ready; /* guarded by lock */
} shared;

static int setup(void **state)
{
	(void)state;
	lock_init(&shared.lock, LOCK_TREE);
	cond_init(&shared.cond);
	shared.count = 0;
	shared.is_ready = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cond_destroy(&shared.cond);
	lock_destroy(&shared.lock);
	return 0;
}

static void *count_up(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		lock_acquire(&shared.lock);
		shared.count++;
		lock_release(&shared.lock);
	}
	return NULL;
}

static void a_lock_lets_one_thread_in(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			thread_start(&threads[i], "count", count_up, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(shared.count, THREADS * ROUNDS);
}

static void *make_ready(void *arg)
{
	(void)arg;
	lock_acquire(&shared.lock);
	shared.is_ready = true;
	cond_signal(&shared.cond);
	lock_release(&shared.lock);
	return NULL;
}

static void a_signal_ends_a_wait(void **state)
{
	pthread_t thread;

	(void)state;
	lock_acquire(&shared.lock);
	assert_int_equal(thread_start(&thread, "ready", make_ready, NULL), 0);
	while (!shared.is_ready)
		cond_wait(&shared.cond, &shared.lock);
	lock_release(&shared.lock);
	pthread_join(thread, NULL);
}

static void a_signal_ends_a_timed_wait_before_its_deadline(void **state)
{
	int64_t deadline = clock_mono_ms() + TEST_DEADLINE_MS;
	pthread_t thread;
	bool in_time = true;

	(void)state;
	lock_acquire(&shared.lock);
	assert_int_equal(thread_start(&thread, "ready", make_ready, NULL), 0);
	while (!shared.is_ready && in_time)
		in_time = cond_wait_until(&shared.cond, &shared.lock, deadline);
	lock_release(&shared.lock);
	pthread_join(thread, NULL);
	assert_true(in_time);
}

static void a_deadline_ends_a_wait(void **state)
{
	int64_t deadline = clock_mono_ms() + 30;

	(void)state;
	lock_acquire(&shared.lock);
	while (cond_wait_until(&shared.cond, &shared.lock, deadline))
		;
	lock_release(&shared.lock);
	assert_true(clock_mono_ms() >= deadline);
}

static void a_deadline_in_the_past_does_not_wait(void **state)
{
	(void)state;
	lock_acquire(&shared.lock);
	assert_false(cond_wait_until(&shared.cond, &shared.lock, 0));
	assert_false(cond_wait_until(&shared.cond, &shared.lock, INT64_MIN));
	lock_release(&shared.lock);
}

static atomic_bool has_timed_out;

static void *wait_an_hour(void *arg)
{
	int64_t deadline = *(const int64_t *)arg;

	lock_acquire(&shared.lock);
	while (cond_wait_until(&shared.cond, &shared.lock, deadline))
		;
	lock_release(&shared.lock);
	atomic_store(&has_timed_out, true);
	return NULL;
}

static bool timed_out(void *arg)
{
	(void)arg;
	return atomic_load(&has_timed_out);
}

static void advancing_the_clock_ends_a_running_wait(void **state)
{
	int64_t deadline = clock_mono_ms() + 3600000;
	pthread_t thread;

	(void)state;
	clock_advance_ms(0);
	atomic_store(&has_timed_out, false);
	assert_int_equal(thread_start(&thread, "hour", wait_an_hour, &deadline),
			 0);
	clock_advance_ms(1800000);
	assert_false(timed_out(NULL));
	clock_advance_ms(1800000);
	assert_true(test_wait_until(timed_out, NULL, TEST_DEADLINE_MS));
	pthread_join(thread, NULL);
}

static void rising_ranks_are_fine_in_any_order_of_release(void **state)
{
	struct lock a, b, c;

	(void)state;
	lock_init(&a, LOCK_TREE);
	lock_init(&b, LOCK_STAGING);
	lock_init(&c, LOCK_LEAF);
	lock_acquire(&a);
	lock_acquire(&b);
	lock_release(&a);
	lock_acquire(&c);
	lock_release(&b);
	lock_release(&c);
	lock_acquire(&a);
	lock_release(&a);
	lock_destroy(&a);
	lock_destroy(&b);
	lock_destroy(&c);
}

#ifdef ACK_DEBUG

/* Whether fn() aborts, tried in a child that keeps quiet. */
static bool aborts(void (*fn)(void))
{
	static const struct rlimit no_core = {0, 0};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(null, STDERR_FILENO);
		fn();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static struct lock low, low_twin, high;

static void take_high_then_low(void) ACK_NO_ANALYSIS
{
	lock_acquire(&high);
	lock_acquire(&low);
}

static void take_equal_ranks(void) ACK_NO_ANALYSIS
{
	lock_acquire(&low);
	lock_acquire(&low_twin);
}

static void take_twice(void) ACK_NO_ANALYSIS
{
	lock_acquire(&low);
	lock_acquire(&low);
}

static void release_unheld(void) ACK_NO_ANALYSIS
{
	lock_release(&low);
}

static void wait_below_another(void) ACK_NO_ANALYSIS
{
	lock_acquire(&low);
	lock_acquire(&high);
	cond_wait_until(&shared.cond, &low, clock_mono_ms() + 1);
}

static void wait_on_the_highest(void) ACK_NO_ANALYSIS
{
	lock_acquire(&low);
	lock_acquire(&high);
	cond_wait_until(&shared.cond, &high, clock_mono_ms() + 1);
	lock_release(&high);
	lock_release(&low);
}

static void inversions_abort_in_debug_builds(void **state)
{
	(void)state;
	lock_init(&low, LOCK_TREE);
	lock_init(&low_twin, LOCK_TREE);
	lock_init(&high, LOCK_DB);
	assert_true(aborts(take_high_then_low));
	assert_true(aborts(take_equal_ranks));
	assert_true(aborts(take_twice));
	assert_true(aborts(release_unheld));
	assert_true(aborts(wait_below_another));
	assert_false(aborts(wait_on_the_highest));
}

#else

static void inversions_abort_in_debug_builds(void **state)
{
	(void)state;
	skip();
}

#endif

#define LOCK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCK_TEST(a_lock_lets_one_thread_in),
		LOCK_TEST(a_signal_ends_a_wait),
		LOCK_TEST(a_signal_ends_a_timed_wait_before_its_deadline),
		LOCK_TEST(a_deadline_ends_a_wait),
		LOCK_TEST(a_deadline_in_the_past_does_not_wait),
		LOCK_TEST(rising_ranks_are_fine_in_any_order_of_release),
		LOCK_TEST(inversions_abort_in_debug_builds),
		/* Last: it leaves the clock a test's clock. */
		LOCK_TEST(advancing_the_clock_ends_a_running_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
