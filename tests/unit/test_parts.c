/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "../support/test.h"
#include "upload/parts.h"
#include "util/clock.h"
#include "util/thread.h"

enum { JOBS = 200 };

struct counted {
	struct part_job job;
	struct batch *batch;
	int rc;
};

struct batch {
	atomic_int ran, now, most;
	struct counted jobs[JOBS];
};

static int counted_run(struct part_job *job)
{
	struct counted *c = (struct counted *)job;
	struct batch *b = c->batch;
	int now = atomic_fetch_add(&b->now, 1) + 1;
	int most = atomic_load(&b->most);

	while (now > most &&
	       !atomic_compare_exchange_weak(&b->most, &most, now))
		;
	sched_yield();
	atomic_fetch_add(&b->ran, 1);
	atomic_fetch_sub(&b->now, 1);
	return c->rc;
}

static void fill(struct batch *b, struct part_group *g, int fails_at)
{
	memset(b, 0, sizeof(*b));
	for (int i = 0; i < JOBS; i++) {
		b->jobs[i].job.run = counted_run;
		b->jobs[i].batch = b;
		b->jobs[i].rc = i == fails_at ? -EIO : 0;
	}
	for (int i = 0; i < JOBS; i++)
		part_group_add(g, &b->jobs[i].job);
}

static void all_jobs_run_within_the_limit(void **state)
{
	static struct batch b;
	struct part_pool *p = NULL;
	struct part_group *g = NULL;

	(void)state;
	assert_int_equal(part_pool_new(4, &p), 0);
	assert_int_equal(part_group_new(p, 2, &g), 0);
	fill(&b, g, -1);
	assert_int_equal(part_group_wait(g), 0);
	assert_int_equal(b.ran, JOBS);
	assert_true(b.most <= 2);
	part_group_free(g);
	part_pool_free(p);
}

static void first_failure_ends_the_group(void **state)
{
	static struct batch b;
	struct part_pool *p = NULL;
	struct part_group *g = NULL;

	(void)state;
	assert_int_equal(part_pool_new(2, &p), 0);
	assert_int_equal(part_group_new(p, 1, &g), 0);
	fill(&b, g, 10);
	assert_int_equal(part_group_wait(g), -EIO);
	assert_int_equal(b.ran, 11);
	fill(&b, g, -1); /* it can be used again */
	assert_int_equal(part_group_wait(g), 0);
	assert_int_equal(b.ran, JOBS);
	part_group_free(g);
	part_pool_free(p);
}

static void dropped_jobs_never_run(void **state)
{
	static struct batch a, b;
	struct part_pool *p = NULL;
	struct part_group *g = NULL, *h = NULL;

	(void)state;
	assert_int_equal(part_pool_new(1, &p), 0);
	assert_int_equal(part_group_new(p, 0, &g), 0);
	assert_int_equal(part_group_new(p, 0, &h), 0);
	fill(&a, g, -1);
	fill(&b, h, -1);
	part_group_drop(g);
	assert_int_equal(part_group_wait(g), 0);
	assert_true(a.ran <= JOBS);
	assert_int_equal(part_group_wait(h), 0);
	assert_int_equal(b.ran, JOBS); /* the other group is untouched */
	part_group_free(g);
	part_group_free(h);
	part_pool_free(p);
}

static bool has_run(void *arg)
{
	return atomic_load(&((struct batch *)arg)->ran) == JOBS;
}

static void jobs_run_without_a_waiter_also_after_idling(void **state)
{
	static struct batch b;
	struct part_pool *p = NULL;
	struct part_group *g = NULL;

	(void)state;
	clock_advance_ms(0);
	assert_int_equal(part_pool_new(3, &p), 0);
	assert_int_equal(part_group_new(p, 0, &g), 0);
	for (int round = 0; round < 3; round++) {
		fill(&b, g, -1);
		assert_true(test_wait_until(has_run, &b, TEST_DEADLINE_MS));
		assert_int_equal(part_group_wait(g), 0);
		clock_advance_ms(30000);
	}
	part_group_free(g);
	part_pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_jobs_run_within_the_limit),
		cmocka_unit_test(first_failure_ends_the_group),
		cmocka_unit_test(dropped_jobs_never_run),
		cmocka_unit_test(jobs_run_without_a_waiter_also_after_idling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
