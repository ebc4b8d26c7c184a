/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "receiver/answer.h"

static struct answers *make(const struct answer_conf *conf)
{
	struct answers *a = NULL;

	assert_int_equal(answers_new(conf, &a), 0);
	return a;
}

static struct answer next(struct answers *a, const char *id,
			  const json_t *fields)
{
	struct answer out = {0};

	assert_int_equal(answers_next(a, id, fields, &out), 0);
	return out;
}

/* One answer: this status, this text, this much of a repetition. */
static void expect(struct answers *a, const char *id, unsigned status,
		   bool is_duplicate, const char *body)
{
	struct answer out = next(a, id, NULL);

	assert_int_equal(out.status, status);
	assert_int_equal(out.is_duplicate, is_duplicate);
	assert_string_equal(buf_str(&out.body), body);
	buf_release(&out.body);
}

static void placeholders_are_filled_in(void **state)
{
	static const struct {
		const char *template;
		const char *want;
	} cases[] = {
		{ANSWER_DEFAULT,   "{\"Status\":\"OK\",\"n\":1,\"id\":\"u\"}"},
		{"",               ""					},
		{"plain",          "plain"				   },
		{"%{n}%{n}",       "11"				      },
		{"\"%{object}\"",  "\"a\\\"b\\\\c\\nd\""                     },
		{"[%{size}]",      "[5]"				     },
		{"<%{missing}>",   "<>"				      },
		{"%{} % %% {n} }", " % %% {n} }"                             },
	};
	json_t *fields =
		json_pack("{s:s,s:i}", "object", "a\"b\\c\nd", "size", 5);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answers *a = make(&(struct answer_conf){
			.status = 200, .template = cases[i].template});
		struct answer out = next(a, "u", fields);

		assert_string_equal(buf_str(&out.body), cases[i].want);
		buf_release(&out.body);
		answers_free(a);
	}
	json_decref(fields);
}

static void templates_are_checked(void **state)
{
	(void)state;
	assert_int_equal(answer_template_check(ANSWER_DEFAULT), 0);
	assert_int_equal(answer_template_check("%{n} } %"), 0);
	assert_int_equal(answer_template_check("%{n} %{id"), -EINVAL);
}

static const struct answer_conf counting = {.status = 200, .template = "%{n}"};

static void a_repetition_gets_the_same_answer(void **state)
{
	struct answers *a = make(&counting);

	(void)state;
	expect(a, "one", 200, false, "1");
	expect(a, "two", 200, false, "2");
	expect(a, "one", 200, true, "1");
	expect(a, "two", 200, true, "2");
	expect(a, "three", 200, false, "3");
	answers_free(a);
}

static void without_an_id_each_is_new(void **state)
{
	struct answers *a = make(&counting);

	(void)state;
	expect(a, NULL, 200, false, "1");
	expect(a, NULL, 200, false, "2");
	answers_free(a);
}

static void what_failed_was_not_done(void **state)
{
	struct answers *a = make(&counting);

	(void)state;
	answers_override(a, &(struct answer_override){
				    .status = 503, .count = 2, .percent = 100});
	expect(a, "one", 503, false, "1");
	expect(a, "one", 503, false, "1");
	expect(a, "one", 200, false, "1");
	expect(a, "one", 200, true, "1");
	answers_free(a);
}

static void a_server_that_is_down_fails_repetitions_too(void **state)
{
	struct answers *a = make(&counting);

	(void)state;
	expect(a, "one", 200, false, "1");
	answers_override(
		a, &(struct answer_override){.status = 500, .percent = 100});
	for (int i = 0; i < 20; i++)
		expect(a, "one", 500, true, "2");
	answers_override(a, NULL);
	expect(a, "one", 200, true, "1");
	answers_free(a);
}

static void overrides_apply_to_a_share(void **state)
{
	struct answers *a = make(&counting);
	int failed = 0;

	(void)state;
	answers_override(a, &(struct answer_override){.status = 500,
						      .count = 1000,
						      .percent = 30});
	for (int i = 0; i < 1000; i++) {
		struct answer out = next(a, NULL, NULL);

		failed += out.status == 500;
		buf_release(&out.body);
	}
	assert_in_range(failed, 150, 450); /* 10 standard deviations */
	for (int i = 0; i < 100; i++) {
		struct answer out = next(a, NULL, NULL);

		assert_int_equal(out.status, 200);
		buf_release(&out.body);
	}
	answers_free(a);
}

static void expect_delay(struct answers *a, int64_t delay_ms)
{
	struct answer out = next(a, NULL, NULL);

	assert_int_equal(out.delay_ms, delay_ms);
	buf_release(&out.body);
}

static void the_delay_is_the_overrides(void **state)
{
	struct answers *a = make(&(struct answer_conf){
		.status = 200, .delay_ms = 7, .template = ""});

	(void)state;
	expect_delay(a, 7);
	answers_override(a, &(struct answer_override){.status = 200,
						      .delay_ms = 6000,
						      .count = 1,
						      .percent = 100});
	expect_delay(a, 6000);
	expect_delay(a, 7);
	answers_free(a);
}

static void the_oldest_ids_are_forgotten(void **state)
{
	struct answer_conf conf = counting;
	struct answers *a;

	(void)state;
	conf.max_count = 2;
	a = make(&conf);
	expect(a, "one", 200, false, "1");
	expect(a, "two", 200, false, "2");
	expect(a, "three", 200, false, "3");
	expect(a, "two", 200, true, "2");
	expect(a, "three", 200, true, "3");
	expect(a, "one", 200, false, "4");
	answers_free(a);
}

static void remembered_bytes_are_bounded(void **state)
{
	AUTO(buf_release) struct buf large = BUF_INIT;
	struct answer_conf conf = {.status = 200, .max_bytes = 3000};
	struct answers *a;
	struct answer out;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_addc(&large, i % 2 ? '\0' : 'x');
	conf.verbatim = &large;
	a = make(&conf);
	for (int i = 0; i < 3; i++) {
		static const char *const ids[] = {"a", "b", "c"};

		out = next(a, ids[i], NULL);
		assert_int_equal(out.body.len, large.len);
		assert_memory_equal(out.body.data, large.data, large.len);
		buf_release(&out.body);
	}
	out = next(a, "c", NULL);
	assert_true(out.is_duplicate);
	assert_memory_equal(out.body.data, large.data, large.len);
	buf_release(&out.body);
	out = next(a, "a", NULL);
	assert_false(out.is_duplicate);
	buf_release(&out.body);
	answers_free(a);

	conf.max_bytes = 500; /* no room for a single one */
	a = make(&conf);
	for (int i = 0; i < 2; i++) {
		out = next(a, "a", NULL);
		assert_false(out.is_duplicate);
		buf_release(&out.body);
	}
	answers_free(a);
}

struct race {
	struct answers *answers;
	atomic_int firsts;
};

static void *deliver(void *arg)
{
	struct race *r = arg;

	for (int i = 0; i < 200; i++) {
		struct answer out = {0};
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		if (answers_next(r->answers, id, NULL, &out) == 0)
			r->firsts += !out.is_duplicate;
		buf_release(&out.body);
	}
	return NULL;
}

static void of_deliveries_at_the_same_time_one_is_the_first(void **state)
{
	struct race race = {.answers = make(&counting)};
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, deliver, &race), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(race.firsts, 200);
	answers_free(race.answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(placeholders_are_filled_in),
		cmocka_unit_test(templates_are_checked),
		cmocka_unit_test(a_repetition_gets_the_same_answer),
		cmocka_unit_test(without_an_id_each_is_new),
		cmocka_unit_test(what_failed_was_not_done),
		cmocka_unit_test(a_server_that_is_down_fails_repetitions_too),
		cmocka_unit_test(overrides_apply_to_a_share),
		cmocka_unit_test(the_delay_is_the_overrides),
		cmocka_unit_test(the_oldest_ids_are_forgotten),
		cmocka_unit_test(remembered_bytes_are_bounded),
		cmocka_unit_test(
			of_deliveries_at_the_same_time_one_is_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
