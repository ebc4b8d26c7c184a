/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>

#include "oss/retry.h"
#include "util/clock.h"

static void ceilings_double_up_to_the_cap(void **state)
{
	static const int64_t want[] = {200,  400,   800,   1600, 3200,
				       6400, 12800, 20000, 20000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal(retry_ceiling_ms((int)i), want[i]);
	assert_int_equal(retry_ceiling_ms(1000000), RETRY_CAP_MS);
}

static void no_time_left_means_no_wait(void **state)
{
	struct retry r;

	(void)state;
	retry_init(&r, clock_mono_ms() - 1, NULL);
	assert_int_equal(retry_wait(&r), -ETIMEDOUT);
	retry_init(&r, clock_mono_ms() + 50, NULL);
	assert_int_equal(retry_wait(&r), -ETIMEDOUT);
	assert_int_equal(r.waits, 0);
}

/* Waits near the deadline shrink, so that attempts still fit, and they end. */
static void waits_stay_inside_the_deadline(void **state)
{
	struct retry r;
	int64_t deadline = clock_mono_ms() + 700;
	int rc;

	(void)state;
	retry_init(&r, deadline, NULL);
	while ((rc = retry_wait(&r)) == 0)
		assert_true(r.waits < 10000);
	assert_int_equal(rc, -ETIMEDOUT);
	assert_true(r.waits >= 1);
}

static void *advance(void *arg)
{
	(void)arg;
	clock_advance_ms(3600000);
	return NULL;
}

static void cancel_and_the_clock_end_a_wait(void **state)
{
	atomic_bool cancel = true;
	struct retry r;
	pthread_t t;

	(void)state;
	retry_init(&r, clock_mono_ms() + 10000000, &cancel);
	r.waits = 20;
	assert_int_equal(retry_wait(&r), -ECANCELED);
	cancel = false;
	assert_int_equal(pthread_create(&t, NULL, advance, NULL), 0);
	assert_int_equal(retry_wait(&r), 0);
	pthread_join(t, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ceilings_double_up_to_the_cap),
		cmocka_unit_test(no_time_left_means_no_wait),
		cmocka_unit_test(waits_stay_inside_the_deadline),
		cmocka_unit_test(cancel_and_the_clock_end_a_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
