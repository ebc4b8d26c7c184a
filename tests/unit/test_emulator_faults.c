/* SPDX-License-Identifier: Apache-2.0 */
/* Fault rules: which request they hit, how often, how stalls end. */
#include "../support/test.h"

#include <string.h>

#include "emulator/faults.h"
#include "util/clock.h"
#include "util/thread.h"

static struct faults *make(void)
{
	struct faults *f = NULL;

	assert_int_equal(faults_new(&f), 0);
	return f;
}

/* @return the first rule's number, or 0 when it was refused */
static uint64_t add(struct faults *f, const char *json)
{
	json_t *rule = json_loads(json, 0, NULL);
	json_t *ids = NULL;
	const char *why = NULL;
	uint64_t id = 0;

	assert_non_null(rule);
	if (faults_add(f, rule, &ids, &why) == 0)
		id = (uint64_t)json_integer_value(json_array_get(ids, 0));
	else
		assert_non_null(why);
	json_decref(ids);
	json_decref(rule);
	return id;
}

static enum fault_kind hit(struct faults *f, const char *op, const char *key)
{
	struct fault out;

	faults_hit(f, op, "bucket", key, &out);
	return out.kind;
}

static void globs_choose_the_request(void **state)
{
	struct faults *f = make();

	(void)state;
	add(f, "{\"operation\":\"Put*\",\"key\":\"in/**\",\"fault\":\"html\"}");
	add(f, "{\"operation\":\"GetObject\",\"bucket\":\"other\","
	       "\"fault\":\"garbage\"}");
	assert_int_equal(hit(f, "PutObject", "in/a/b"), FAULT_HTML);
	assert_int_equal(hit(f, "PutObject", "out/a"), FAULT_NONE);
	assert_int_equal(hit(f, "GetObject", "in/a"), FAULT_NONE);
	add(f, "{\"fault\":\"status\"}");
	assert_int_equal(hit(f, "ListObjectsV2", ""), FAULT_STATUS);
	faults_free(f);
}

static void counts_and_skips_run_out(void **state)
{
	struct faults *f = make();

	(void)state;
	add(f, "{\"skip\":2,\"count\":1,\"fault\":\"html\"}");
	assert_int_equal(hit(f, "X", ""), FAULT_NONE);
	assert_int_equal(hit(f, "X", ""), FAULT_NONE);
	assert_int_equal(hit(f, "X", ""), FAULT_HTML);
	assert_int_equal(hit(f, "X", ""), FAULT_NONE);
	faults_free(f);
}

static void rules_that_are_spent_leave_room_for_the_next(void **state)
{
	struct faults *f = make();

	(void)state;
	add(f, "[{\"count\":1,\"fault\":\"html\"},{\"fault\":\"garbage\"}]");
	assert_int_equal(hit(f, "X", ""), FAULT_HTML);
	assert_int_equal(hit(f, "X", ""), FAULT_GARBAGE);
	faults_free(f);
}

static void probability_follows_its_seed(void **state)
{
	struct faults *f = make();
	struct faults *g = make();
	int hits = 0;

	(void)state;
	add(f, "{\"probability\":0.1,\"seed\":42,\"fault\":\"html\"}");
	add(g, "{\"probability\":0.1,\"seed\":42,\"fault\":\"html\"}");
	for (int i = 0; i < 2000; i++) {
		enum fault_kind k = hit(f, "X", "");

		assert_int_equal(k, hit(g, "X", ""));
		hits += k != FAULT_NONE;
	}
	assert_in_range(hits, 150, 250);
	faults_free(f);
	faults_free(g);
}

static void defaults_follow_the_status(void **state)
{
	struct faults *f = make();
	struct fault out;

	(void)state;
	add(f, "{\"status\":503,\"fault\":\"status\"}");
	assert_true(faults_hit(f, "X", "", "", &out));
	assert_int_equal(out.status, 503);
	assert_string_equal(out.code, "ServiceUnavailable");
	faults_free(f);
}

static void broken_rules_are_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[1]",
		"{\"fault\":\"none\"}",
		"{\"fault\":\"explode\"}",
		"{\"fault\":\"html\",\"counts\":1}",
		"{\"fault\":\"html\",\"count\":-1}",
		"{\"fault\":\"html\",\"count\":\"1\"}",
		"{\"fault\":\"html\",\"probability\":1.5}",
		"{\"fault\":\"html\",\"status\":1000}",
		"{\"fault\":\"html\",\"operation\":\"[\"}",
		"{\"fault\":\"html\",\"key\":1}",
	};
	struct faults *f = make();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (add(f, bad[i]))
			fail_msg("%s", bad[i]);
	faults_free(f);
}

struct waiter {
	struct faults *faults;
	uint64_t rule;
	bool result;
};

static void *wait_for_ever(void *arg)
{
	struct waiter *w = arg;

	w->result = faults_stall(w->faults, w->rule, 0, NULL, -1);
	return NULL;
}

static void stalls_end_when_cleared_or_stopped(void **state)
{
	struct faults *f = make();
	struct waiter one = {f, add(f, "{\"fault\":\"stall\"}"), false};
	struct waiter two = {f, add(f, "{\"fault\":\"stall\"}"), true};
	pthread_t a;
	pthread_t b;

	(void)state;
	assert_int_equal(thread_start(&a, "one", wait_for_ever, &one), 0);
	assert_int_equal(thread_start(&b, "two", wait_for_ever, &two), 0);
	faults_clear(f, one.rule);
	pthread_join(a, NULL);
	assert_true(one.result);
	faults_stop(f);
	pthread_join(b, NULL);
	assert_false(two.result);
	faults_free(f);
}

static bool always_gone(int fd)
{
	(void)fd;
	return true;
}

static void stalls_end_when_the_client_is_gone(void **state)
{
	struct faults *f = make();

	(void)state;
	assert_false(faults_stall(f, add(f, "{\"fault\":\"stall\"}"), 0,
				  always_gone, 1));
	assert_true(faults_stall(f, 0, 1, NULL, -1));
	faults_free(f);
}

/* In nanoseconds: a millisecond that had begun does not count for a whole. */
static void stalls_are_not_shorter_than_asked_for(void **state)
{
	struct faults *f = make();

	(void)state;
	for (int i = 0; i < 10; i++) {
		int64_t before = clock_mono_ns();

		assert_true(faults_stall(f, 0, 2, NULL, -1));
		assert_true(clock_mono_ns() - before >= 2000000);
	}
	faults_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs_choose_the_request),
		cmocka_unit_test(counts_and_skips_run_out),
		cmocka_unit_test(rules_that_are_spent_leave_room_for_the_next),
		cmocka_unit_test(probability_follows_its_seed),
		cmocka_unit_test(defaults_follow_the_status),
		cmocka_unit_test(broken_rules_are_refused),
		cmocka_unit_test(stalls_end_when_cleared_or_stopped),
		cmocka_unit_test(stalls_end_when_the_client_is_gone),
		cmocka_unit_test(stalls_are_not_shorter_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
