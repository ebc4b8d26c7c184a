/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <string.h>

#include "util/uuid.h"

static void ids_have_the_form_of_version_4(void **state)
{
	char id[UUID_LEN];

	(void)state;
	for (int round = 0; round < 100; round++) {
		assert_ptr_equal(uuid_make(id), id);
		assert_int_equal(strlen(id), 36);
		assert_int_equal(strspn(id, "0123456789abcdef-"), 36);
		for (int i = 0; i < 36; i++)
			assert_int_equal(id[i] == '-', i == 8 || i == 13 ||
							       i == 18 ||
							       i == 23);
		assert_int_equal(id[14], '4');
		assert_non_null(strchr("89ab", id[19]));
	}
}

static void ids_differ(void **state)
{
	enum { COUNT = 64 };
	char ids[COUNT][UUID_LEN];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		uuid_make(ids[i]);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
}

static void derived_ids_repeat_and_depend_on_both_inputs(void **state)
{
	char a[UUID_LEN], b[UUID_LEN];

	(void)state;
	assert_string_equal(uuid_derive("id", "in/a", a),
			    uuid_derive("id", "in/a", b));
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '8');
	assert_non_null(strchr("89ab", a[19]));
	assert_string_not_equal(a, uuid_derive("id", "in/b", b));
	assert_string_not_equal(a, uuid_derive("ie", "in/a", b));
	assert_string_not_equal(a, uuid_derive("in/a", "id", b));
}

static void random_numbers_stay_below_and_reach_all(void **state)
{
	bool seen[3] = {false, false, false};

	(void)state;
	assert_int_equal(random_below(0), 0);
	assert_int_equal(random_below(1), 0);
	for (int i = 0; i < 300; i++) {
		uint64_t n = random_below(3);

		assert_true(n < 3);
		seen[n] = true;
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	assert_true(random_below(UINT64_MAX) < UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_have_the_form_of_version_4),
		cmocka_unit_test(ids_differ),
		cmocka_unit_test(derived_ids_repeat_and_depend_on_both_inputs),
		cmocka_unit_test(random_numbers_stay_below_and_reach_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
