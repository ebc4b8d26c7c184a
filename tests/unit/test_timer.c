/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <stdatomic.h>
#include <stdio.h>

#include "util/clock.h"
#include "util/timer.h"

enum { MANY = 500 };

static const int64_t HOUR_MS = 3600000;

/* What ran, in order.  Only the timer's thread writes the list. */
static struct {
	int ran[MANY];
	atomic_int count;
} record;

struct mark {
	int number;
	int64_t when_ms;
};

static void note(void *arg)
{
	const struct mark *m = arg;
	int at = atomic_load(&record.count);

	record.ran[at] = m->number;
	atomic_store(&record.count, at + 1);
}

static bool count_is(void *arg)
{
	return atomic_load(&record.count) >= *(const int *)arg;
}

static void wait_for_count(int want)
{
	assert_true(test_wait_until(count_is, &want, TEST_DEADLINE_MS));
	assert_int_equal(atomic_load(&record.count), want);
}

static int setup(void **state)
{
	struct timer_wheel *w = NULL;

	clock_advance_ms(0);
	atomic_store(&record.count, 0);
	if (timer_wheel_new(&w) < 0)
		return -1;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	timer_wheel_free(*state);
	return 0;
}

static void what_is_due_runs_at_once(void **state)
{
	struct mark a = {1, 0};

	assert_int_not_equal(timer_add(*state, 0, note, &a), 0);
	wait_for_count(1);
	assert_int_not_equal(timer_add(*state, clock_mono_ms(), note, &a), 0);
	wait_for_count(2);
}

static void nothing_runs_before_its_time(void **state)
{
	int64_t now = clock_mono_ms();
	struct mark late = {1, 0}, soon = {2, 0};

	timer_add(*state, now + HOUR_MS, note, &late);
	timer_add(*state, now + 1, note, &soon);
	wait_for_count(1);
	assert_int_equal(record.ran[0], 2);
	clock_advance_ms(HOUR_MS);
	wait_for_count(2);
	assert_int_equal(record.ran[1], 1);
}

static void equal_times_run_in_the_order_of_adding(void **state)
{
	int64_t when = clock_mono_ms() + HOUR_MS;
	struct mark marks[50];

	for (int i = 0; i < 50; i++) {
		marks[i].number = i;
		timer_add(*state, when, note, &marks[i]);
	}
	clock_advance_ms(HOUR_MS);
	wait_for_count(50);
	for (int i = 0; i < 50; i++)
		assert_int_equal(record.ran[i], i);
}

static void a_cancelled_timer_never_runs(void **state)
{
	int64_t now = clock_mono_ms();
	struct mark a = {1, 0}, b = {2, 0}, c = {3, 0};
	timer_id ids[3];

	ids[0] = timer_add(*state, now + HOUR_MS, note, &a);
	ids[1] = timer_add(*state, now + HOUR_MS + 1, note, &b);
	ids[2] = timer_add(*state, now + HOUR_MS + 2, note, &c);
	assert_true(timer_cancel(*state, ids[1]));
	assert_false(timer_cancel(*state, ids[1]));
	assert_false(timer_cancel(*state, 0));
	assert_false(timer_cancel(*state, 12345));
	clock_advance_ms(2 * HOUR_MS);
	wait_for_count(2);
	assert_int_equal(record.ran[0], 1);
	assert_int_equal(record.ran[1], 3);
	assert_false(timer_cancel(*state, ids[0]));
}

static void many_run_in_order_of_time_whatever_is_cancelled(void **state)
{
	static struct mark marks[MANY];
	static timer_id ids[MANY];
	unsigned seed = (unsigned)clock_real_ns();
	int64_t now = clock_mono_ms();
	int left = MANY;

	print_message("seed %u\n", seed);
	for (int i = 0; i < MANY; i++) {
		marks[i].number = i;
		marks[i].when_ms = now + HOUR_MS + rand_r(&seed) % 1000;
		ids[i] = timer_add(*state, marks[i].when_ms, note, &marks[i]);
		assert_int_not_equal(ids[i], 0);
	}
	for (int i = 0; i < MANY; i++) {
		if (rand_r(&seed) % 3 == 0) {
			assert_true(timer_cancel(*state, ids[i]));
			left--;
		}
	}
	clock_advance_ms(2 * HOUR_MS);
	wait_for_count(left);
	for (int i = 1; i < left; i++) {
		const struct mark *a = &marks[record.ran[i - 1]];
		const struct mark *b = &marks[record.ran[i]];

		assert_true(
			a->when_ms < b->when_ms ||
			(a->when_ms == b->when_ms && a->number < b->number));
	}
}

struct chain {
	struct timer_wheel *w;
	atomic_int left;
};

static void add_another(void *arg)
{
	struct chain *c = arg;

	if (atomic_fetch_sub(&c->left, 1) > 1)
		timer_add(c->w, clock_mono_ms(), add_another, c);
}

static bool chain_is_done(void *arg)
{
	struct chain *c = arg;

	return atomic_load(&c->left) == 0;
}

static void a_callback_may_add_timers(void **state)
{
	struct chain c = {*state, 5};

	timer_add(*state, 0, add_another, &c);
	assert_true(test_wait_until(chain_is_done, &c, TEST_DEADLINE_MS));
}

static void freeing_drops_what_has_not_run(void **state)
{
	struct timer_wheel *w = NULL;
	struct mark a = {1, 0};

	(void)state;
	clock_advance_ms(0);
	atomic_store(&record.count, 0);
	assert_int_equal(timer_wheel_new(&w), 0);
	for (int i = 0; i < 40; i++)
		timer_add(w, clock_mono_ms() + HOUR_MS + i, note, &a);
	timer_wheel_free(w);
	assert_int_equal(atomic_load(&record.count), 0);
	timer_wheel_free(NULL);
}

#define TIMER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TIMER_TEST(what_is_due_runs_at_once),
		TIMER_TEST(nothing_runs_before_its_time),
		TIMER_TEST(equal_times_run_in_the_order_of_adding),
		TIMER_TEST(a_cancelled_timer_never_runs),
		TIMER_TEST(many_run_in_order_of_time_whatever_is_cancelled),
		TIMER_TEST(a_callback_may_add_timers),
		cmocka_unit_test(freeing_drops_what_has_not_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
