/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <string.h>

#include "util/codec.h"
#include "util/crc64.h"
#include "util/strnum.h"

static uint64_t number(const json_t *object, const char *key)
{
	uint64_t value = 0;

	assert_int_equal(
		parse_u64(test_json_str(object, key), 0, UINT64_MAX, &value),
		0);
	return value;
}

/* The vector's bytes: text, hex, or one hex byte repeated. */
static void vector_data(const json_t *vector, struct buf *out)
{
	const json_t *repeat = json_object_get(vector, "data_repeat");
	const char *hex =
		json_string_value(json_object_get(vector, "data_hex"));

	if (hex) {
		assert_int_equal(hex_decode(out, hex, strlen(hex)), 0);
	} else if (repeat) {
		const char *one = json_string_value(json_array_get(repeat, 0));
		json_int_t n = json_integer_value(json_array_get(repeat, 1));

		assert_non_null(one);
		while (n-- > 0)
			assert_int_equal(hex_decode(out, one, 2), 0);
	} else {
		buf_adds(out, test_json_str(vector, "data_ascii"));
	}
	assert_int_equal(out->len, test_json_int(vector, "length"));
}

static void sums_equal_the_published_vectors(void **state)
{
	json_t *root = test_vectors("crc64.json");
	size_t i;
	json_t *vector;

	(void)state;
	json_array_foreach(json_object_get(root, "vectors"), i, vector)
	{
		AUTO(buf_release) struct buf data = BUF_INIT;
		uint64_t got;

		vector_data(vector, &data);
		got = crc64_update(0, buf_str(&data), data.len);
		if (got != number(vector, "crc64_decimal"))
			fail_msg("%s: got %ju", test_json_str(vector, "name"),
				 (uintmax_t)got);
	}
	assert_true(i > 5);
	json_decref(root);
}

static void a_sum_in_pieces_equals_the_sum_at_once(void **state)
{
	static const char text[] =
		"This is a test of the emergency broadcast system.";
	size_t len = sizeof(text) - 1;
	uint64_t whole = crc64_update(0, text, len);

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		uint64_t a = crc64_update(0, text, cut);
		uint64_t b = crc64_update(0, text + cut, len - cut);

		assert_true(crc64_update(a, text + cut, len - cut) == whole);
		assert_true(crc64_combine(a, b, len - cut) == whole);
	}
}

static void combined_sums_equal_the_published_vectors(void **state)
{
	json_t *root = test_vectors("crc64.json");
	size_t i;
	json_t *v;

	(void)state;
	json_array_foreach(json_object_get(root, "combine"), i, v)
	{
		uint64_t got = crc64_combine(
			number(v, "crc_first"), number(v, "crc_second"),
			(uint64_t)test_json_int(v, "second_length"));

		if (got != number(v, "crc_combined"))
			fail_msg("combine %zu: got %ju", i, (uintmax_t)got);
	}
	assert_true(i > 5);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_equal_the_published_vectors),
		cmocka_unit_test(a_sum_in_pieces_equals_the_sum_at_once),
		cmocka_unit_test(combined_sums_equal_the_published_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
