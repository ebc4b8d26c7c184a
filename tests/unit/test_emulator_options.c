/* SPDX-License-Identifier: Apache-2.0 */
/* The emulator's command line: every switch sets what its name says. */
#include "../support/test.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "emulator/options.h"

#define ROW(field)                                                             \
	{                                                                      \
#field, offsetof(struct emu_options, field)                    \
	}
#define QUIRK(field)                                                           \
	{                                                                      \
#field, offsetof(struct emu_options, quirks.field)             \
	}

static const struct {
	const char *name; /* the option's, with '_' for '-' */
	size_t offset;
} switches[] = {
	ROW(anonymous),
	ROW(fast),
	ROW(durable),
	ROW(forbid_private_callbacks),
	QUIRK(empty_url_is_no_callback),
	QUIRK(callback_ways_may_mix),
	QUIRK(lone_vars_are_an_error),
	QUIRK(odd_fields_are_an_error),
	QUIRK(unknown_variable_is_empty),
	QUIRK(undefined_var_is_null),
	QUIRK(vars_must_be_lower_case),
	QUIRK(vars_may_be_any_type),
	QUIRK(bare_strings_in_quotes),
	QUIRK(empty_number_is_nothing),
	QUIRK(escape_non_ascii),
	QUIRK(space_as_plus),
	QUIRK(urlencoder_bytes),
	QUIRK(crc64_is_number),
	QUIRK(scalars_are_json),
	QUIRK(form_actions_count),
	QUIRK(timeout_is_total),
	QUIRK(report_first_failure),
	QUIRK(no_certificate_check),
	QUIRK(missing_date_is_400),
	QUIRK(v4_takes_rfc1123_date),
	QUIRK(no_canonical_request),
	QUIRK(meta_names_are_free),
	QUIRK(no_condition_element),
	QUIRK(suffix_over_length_is_416),
	QUIRK(refuse_path_style),
	QUIRK(copy_limit_1g),
};

static char *option_of(const char *name)
{
	char *text = str_printf("--%s", name);

	for (char *p = text; *p; p++)
		if (*p == '_')
			*p = '-';
	return text;
}

static bool is_set(const struct emu_options *o, size_t i)
{
	return *((const bool *)o + switches[i].offset);
}

static int parse(struct emu_options *o, char *option, char *value)
{
	char program[] = "ackfs-emulator";
	char dir[] = "--dir=d";
	char *argv[] = {program, dir, option, value, NULL};
	bool done = false;
	int rc;

	optind = 0; /* getopt begins anew */
	rc = options_parse(o, value ? 4 : 3, argv, &done);

	assert_false(done);
	return rc;
}

static void each_switch_sets_its_own_field(void **state)
{
	(void)state;
	/* All of them are in the table above. */
	assert_int_equal(ARRAY_LEN(switches) - 4, sizeof(struct quirks));
	for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
		AUTO_FREE char *option = option_of(switches[i].name);
		struct emu_options o;

		assert_int_equal(parse(&o, option, NULL), 0);
		for (size_t k = 0; k < ARRAY_LEN(switches); k++)
			if (is_set(&o, k) != (i == k))
				fail_msg("%s: %s is %d", option,
					 switches[k].name, is_set(&o, k));
		options_release(&o);
	}
}

/* The protocol page's advice where it says that something is open. */
static void defaults_are_the_page_s_advice(void **state)
{
	static const struct quirks none;
	struct emu_options o;

	(void)state;
	assert_int_equal(options_default(&o, "d"), 0);
	assert_memory_equal(&o.quirks, &none, sizeof(none));
	assert_int_equal(o.callback_timeout_ms, 5000);
	assert_int_equal(o.callback_answer_max, 1 << 20);
	assert_int_equal(o.callback_key_bits, 512);
	assert_string_equal(o.region, "cn-hangzhou");
	assert_false(o.forbid_private_callbacks || o.anonymous);
	options_release(&o);
}

static void values_are_taken(void **state)
{
	char max[] = "--callback-answer-max";
	char three[] = "3M";
	char timeout[] = "--callback-timeout-ms";
	char number[] = "70";
	char word[] = "soon";
	struct emu_options o;

	(void)state;
	assert_int_equal(parse(&o, max, three), 0);
	assert_int_equal(o.callback_answer_max, 3 << 20);
	options_release(&o);
	assert_int_equal(parse(&o, timeout, number), 0);
	assert_int_equal(o.callback_timeout_ms, 70);
	options_release(&o);
	assert_int_equal(parse(&o, timeout, word), -EINVAL);
	options_release(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_switch_sets_its_own_field),
		cmocka_unit_test(defaults_are_the_page_s_advice),
		cmocka_unit_test(values_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
