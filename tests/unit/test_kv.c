/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "util/kv.h"

static void names_are_found_without_case(void **state)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;

	(void)state;
	assert_null(kvs_get(&l, "x"));
	assert_int_equal(kvs_add(&l, "Content-Type", "text/plain"), 0);
	assert_int_equal(kvs_addf(&l, "Content-Length", "%d", 5), 0);
	assert_string_equal(kvs_get(&l, "content-type"), "text/plain");
	assert_string_equal(kvs_get(&l, "CONTENT-LENGTH"), "5");
	assert_null(kvs_get(&l, "Content"));
	assert_null(kvs_get(&l, "Content-Type2"));
	assert_null(kvs_get(&l, ""));
}

static void adding_keeps_twins_and_the_first_is_found(void **state)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;

	(void)state;
	assert_int_equal(kvs_add(&l, "a", "1"), 0);
	assert_int_equal(kvs_add(&l, "A", "2"), 0);
	assert_int_equal(l.count, 2);
	assert_string_equal(kvs_get(&l, "a"), "1");
	assert_true(kvs_remove(&l, "a"));
	assert_string_equal(kvs_get(&l, "a"), "2");
	assert_true(kvs_remove(&l, "a"));
	assert_false(kvs_remove(&l, "a"));
	assert_int_equal(l.count, 0);
}

static void setting_replaces_or_appends(void **state)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;

	(void)state;
	assert_int_equal(kvs_set(&l, "a", "1"), 0);
	assert_int_equal(kvs_set(&l, "b", "2"), 0);
	assert_int_equal(kvs_set(&l, "A", "3"), 0);
	assert_int_equal(l.count, 2);
	assert_string_equal(kvs_get(&l, "a"), "3");
	assert_string_equal(l.items[0].name, "a");
}

static void a_pair_is_replaced_in_its_place(void **state)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;

	(void)state;
	assert_int_equal(kvs_addn(&l, "a: 1", 1, "12", 1), 0);
	assert_int_equal(kvs_add(&l, "b", "2"), 0);
	assert_string_equal(kvs_get(&l, "a"), "1");
	assert_int_equal(kvs_set_at(&l, 0, "long name", l.items[0].name), 0);
	assert_string_equal(l.items[0].name, "long name");
	assert_string_equal(l.items[0].value, "a");
	kvs_remove_at(&l, 0);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.items[0].value, "2");
}

static void removing_keeps_the_order_of_the_rest(void **state)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;

	(void)state;
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%02d", i);
		assert_int_equal(kvs_addf(&l, name, "%d", i), 0);
	}
	assert_true(kvs_remove(&l, "n00"));
	assert_true(kvs_remove(&l, "n19"));
	assert_true(kvs_remove(&l, "n10"));
	assert_int_equal(l.count, 17);
	assert_string_equal(l.items[0].name, "n01");
	assert_string_equal(l.items[9].name, "n11");
	assert_string_equal(l.items[16].name, "n18");
}

static void sorting_is_by_lower_case_bytes_and_stable(void **state)
{
	static const char *const names[] = {"b", "A-z", "a_z", "B", "az", "a"};
	static const char *const want[] = {"a", "A-z", "a_z", "az", "b", "B"};
	AUTO(kvs_release) struct kvs l = KVS_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(kvs_add(&l, names[i], ""), 0);
	kvs_sort(&l);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_string_equal(l.items[i].name, want[i]);
}

static void a_copy_is_appended_and_independent(void **state)
{
	AUTO(kvs_release) struct kvs a = KVS_INIT;
	AUTO(kvs_release) struct kvs b = KVS_INIT;

	(void)state;
	assert_int_equal(kvs_add(&a, "x", "1"), 0);
	assert_int_equal(kvs_add(&b, "y", "2"), 0);
	assert_int_equal(kvs_copy(&b, &a), 0);
	assert_int_equal(kvs_set(&a, "x", "changed"), 0);
	assert_int_equal(b.count, 2);
	assert_string_equal(kvs_get(&b, "x"), "1");
}

static void a_list_becomes_a_json_object(void **state)
{
	AUTO(kvs_release) struct kvs a = KVS_INIT;
	AUTO_FREE char *json = NULL;

	(void)state;
	assert_int_equal(kvs_add(&a, "z", "quote \" and \\ and \n"), 0);
	assert_int_equal(kvs_add(&a, "a", "caf\xc3\xa9"), 0);
	assert_int_equal(kvs_add(&a, "Z2", ""), 0);
	assert_int_equal(kvs_to_json(&a, &json), 0);
	assert_string_equal(json, "{\"z\":\"quote \\\" and \\\\ and \\n\","
				  "\"a\":\"caf\xc3\xa9\",\"Z2\":\"\"}");
}

static void an_empty_list_is_an_empty_object(void **state)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;
	AUTO_FREE char *json = NULL;

	(void)state;
	assert_int_equal(kvs_to_json(&l, &json), 0);
	assert_string_equal(json, "{}");
}

static void text_that_is_no_utf8_is_not_json(void **state)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;
	char *json = NULL;

	(void)state;
	assert_int_equal(kvs_add(&l, "a", "caf\xe9"), 0);
	assert_int_equal(kvs_to_json(&l, &json), -EINVAL);
	assert_null(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_without_case),
		cmocka_unit_test(adding_keeps_twins_and_the_first_is_found),
		cmocka_unit_test(setting_replaces_or_appends),
		cmocka_unit_test(a_pair_is_replaced_in_its_place),
		cmocka_unit_test(removing_keeps_the_order_of_the_rest),
		cmocka_unit_test(sorting_is_by_lower_case_bytes_and_stable),
		cmocka_unit_test(a_copy_is_appended_and_independent),
		cmocka_unit_test(a_list_becomes_a_json_object),
		cmocka_unit_test(an_empty_list_is_an_empty_object),
		cmocka_unit_test(text_that_is_no_utf8_is_not_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
