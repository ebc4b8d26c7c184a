/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "util/buf.h"

static void an_empty_buffer_reads_as_an_empty_string(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	(void)state;
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_error(&b), 0);
	buf_truncate(&b, 0);
	buf_reset(&b);
	assert_string_equal(buf_str(&b), "");
}

static void appends_follow_each_other_and_end_in_a_nul(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	(void)state;
	buf_adds(&b, "one");
	buf_addc(&b, ' ');
	buf_add(&b, "two\0three", 9);
	buf_addf(&b, "-%d-%s", 4, "five");
	assert_int_equal(buf_error(&b), 0);
	assert_int_equal(b.len, 4 + 9 + 7);
	assert_memory_equal(b.data, "one two\0three-4-five", b.len + 1);
}

static void content_survives_growth(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		buf_addf(&b, "%04d,", i);
	assert_int_equal(buf_error(&b), 0);
	assert_int_equal(b.len, 50000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(strtol(b.data + (size_t)i * 5, NULL, 10), i);
}

static void a_format_longer_than_the_room_comes_through_whole(void **state)
{
	static const size_t lens[] = {0, 1, 62, 63, 64, 65, 127, 128, 70000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		AUTO(buf_release) struct buf b = BUF_INIT;
		AUTO_FREE char *text = malloc(lens[i] + 1);

		assert_non_null(text);
		memset(text, 'x', lens[i]);
		text[lens[i]] = '\0';
		buf_addf(&b, "%s", text);
		assert_int_equal(buf_error(&b), 0);
		assert_int_equal(b.len, lens[i]);
		assert_string_equal(buf_str(&b), text);
	}
}

static void the_maximum_holds_and_its_error_sticks(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT_MAX(10);

	(void)state;
	buf_adds(&b, "0123456789");
	assert_int_equal(buf_error(&b), 0);
	buf_addc(&b, 'x');
	assert_int_equal(buf_error(&b), -EMSGSIZE);
	buf_truncate(&b, 2);
	buf_adds(&b, "y");
	assert_int_equal(buf_error(&b), -EMSGSIZE);
	assert_string_equal(buf_str(&b), "01");
	assert_null(buf_detach(&b));

	buf_reset(&b);
	buf_adds(&b, "again");
	assert_int_equal(buf_error(&b), 0);
	assert_string_equal(buf_str(&b), "again");
}

static void a_format_past_the_maximum_adds_nothing(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT_MAX(10);

	(void)state;
	buf_adds(&b, "ab");
	buf_addf(&b, "%s", "123456789");
	assert_int_equal(buf_error(&b), -EMSGSIZE);
	assert_string_equal(buf_str(&b), "ab");
}

static void an_absurd_length_is_refused_without_wrapping(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	(void)state;
	buf_adds(&b, "ab");
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(buf_error(&b), -EMSGSIZE);
	assert_string_equal(buf_str(&b), "ab");
}

static void reserved_room_counts_once_committed(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	char *to;

	(void)state;
	buf_adds(&b, "ab");
	to = buf_reserve(&b, 100);
	assert_non_null(to);
	memset(to, 'z', 100);
	assert_int_equal(b.len, 2);
	buf_commit(&b, 3);
	assert_string_equal(buf_str(&b), "abzzz");
}

static void detaching_hands_the_string_over(void **state)
{
	struct buf b = BUF_INIT;
	char *empty = buf_detach(&b);
	char *s;

	(void)state;
	assert_string_equal(empty, "");
	buf_adds(&b, "mine");
	s = buf_detach(&b);
	assert_string_equal(s, "mine");
	assert_int_equal(b.len, 0);
	assert_null(b.data);
	buf_adds(&b, "next");
	assert_string_equal(buf_str(&b), "next");
	assert_string_equal(s, "mine");
	free(empty);
	free(s);
	buf_release(&b);
}

static void strings_copy_compare_and_accept_null(void **state)
{
	AUTO_FREE char *s = NULL;
	AUTO_FREE char *f = str_printf("%s/%d", "a", 7);

	(void)state;
	assert_string_equal(f, "a/7");
	assert_null(str_dup(NULL));
	assert_int_equal(str_set(&s, "x"), 0);
	assert_string_equal(s, "x");
	assert_int_equal(str_set(&s, s), 0); /* of itself */
	assert_string_equal(s, "x");
	assert_true(str_eq(s, "x"));
	assert_false(str_eq(s, "y"));
	assert_int_equal(str_set(&s, NULL), 0);
	assert_null(s);
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq(NULL, ""));
	assert_false(str_eq("", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_reads_as_an_empty_string),
		cmocka_unit_test(appends_follow_each_other_and_end_in_a_nul),
		cmocka_unit_test(content_survives_growth),
		cmocka_unit_test(
			a_format_longer_than_the_room_comes_through_whole),
		cmocka_unit_test(the_maximum_holds_and_its_error_sticks),
		cmocka_unit_test(a_format_past_the_maximum_adds_nothing),
		cmocka_unit_test(an_absurd_length_is_refused_without_wrapping),
		cmocka_unit_test(reserved_room_counts_once_committed),
		cmocka_unit_test(detaching_hands_the_string_over),
		cmocka_unit_test(strings_copy_compare_and_accept_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
