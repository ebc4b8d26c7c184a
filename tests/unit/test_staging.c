/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/base.h"
#include "util/clock.h"

static int setup(void **state)
{
	static struct state_fix f;

	state_init(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	state_fini(*state);
	return 0;
}

/* -- a life ------------------------------------------------------------------ */

static void bytes_written_are_read_back(void **state)
{
	struct state_fix *f = *state;
	struct staging *s;

	state_open(f);
	s = state_write(f, "a/b", "hello world");
	state_expect_bytes(s, "hello world");
	assert_int_equal(staging_truncate(s, 5), 0);
	state_expect_bytes(s, "hello");
	staging_put(s);
}

static void closed_file_refuses_writes(void **state)
{
	struct state_fix *f = *state;
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d1");
	struct staging *s;

	state_open(f);
	s = state_write(f, "k", "data");
	assert_int_equal(staging_close(s, &c, false), 0);
	assert_int_equal(staging_pwrite(s, "x", 1, 0), -EBUSY);
	assert_int_equal(staging_truncate(s, 0), -EBUSY);
	assert_int_equal(staging_fallocate(s, 0, 0, 10), -EBUSY);
	state_expect_bytes(s, "data");
	staging_put(s);
}

/* -- crashes ----------------------------------------------------------------- */

static void close_one(struct state_fix *f)
{
	struct staging_close c = state_close_info("delivery-1");
	struct staging *s = state_write(f, "in/a", "alpha");

	CHILD_CHECK(staging_close(s, &c, false) == 0);
}

static void closed_file_goes_on_after_a_crash(void **state)
{
	struct state_fix *f = *state;
	AUTO(staging_close_release) struct staging_close c = {0};
	struct staging *s;

	state_crash(f, NULL, close_one);
	state_open(f);
	s = state_found(f, "in/a");
	assert_non_null(s);
	assert_int_equal(staging_state_of(s), STAGING_CLOSED);
	state_expect_bytes(s, "alpha");
	assert_int_equal(staging_get_close(s, &c), 0);
	assert_string_equal(c.delivery_id, "delivery-1");
	assert_string_equal(c.process, "cp");
	assert_string_equal(kvs_get(&c.vars, "customer"), "a\nb\"\xff");
	assert_int_equal(c.pid, 4711);
}

static void open_one(struct state_fix *f)
{
	state_write(f, "in/a", "half");
	CHILD_CHECK(db_commit(f->db) == 0);
}

static void open_file_is_incomplete_after_a_crash(void **state)
{
	struct state_fix *f = *state;
	struct staging *s;

	state_crash(f, NULL, open_one);
	state_open(f);
	s = state_found(f, "in/a");
	assert_non_null(s);
	assert_int_equal(staging_state_of(s), STAGING_INCOMPLETE);
	state_expect_bytes(s, "half");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(bytes_written_are_read_back),
		T(closed_file_refuses_writes),
		T(closed_file_goes_on_after_a_crash),
		T(open_file_is_incomplete_after_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
