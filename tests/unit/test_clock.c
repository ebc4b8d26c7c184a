/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>

#include "util/clock.h"

static const struct {
	int64_t ms;
	const char *rfc3339, *http, *basic;
} times[] = {
	{0,	     "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT",
	 "19700101T000000Z"									    },
	{1795895508123, "2026-11-28T19:51:48.123Z",
	 "Sat, 28 Nov 2026 19:51:48 GMT",					    "20261128T195148Z"},
	{951782399999,  "2000-02-28T23:59:59.999Z",
	 "Mon, 28 Feb 2000 23:59:59 GMT",					    "20000228T235959Z"},
	{951782400000,  "2000-02-29T00:00:00.000Z",
	 "Tue, 29 Feb 2000 00:00:00 GMT",					    "20000229T000000Z"},
	{-1,            "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT",
	 "19691231T235959Z"									    },
	{4102444800000, "2100-01-01T00:00:00.000Z",
	 "Fri, 01 Jan 2100 00:00:00 GMT",					    "21000101T000000Z"},
};

static int64_t whole_seconds(int64_t ms)
{
	int64_t rest = ms % 1000;

	return ms - (rest < 0 ? rest + 1000 : rest);
}

static void times_have_three_forms_and_come_back(void **state)
{
	char text[CLOCK_TEXT_LEN];
	int64_t back;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		int64_t ms = times[i].ms;

		assert_string_equal(clock_rfc3339(text, ms), times[i].rfc3339);
		assert_int_equal(clock_parse_rfc3339(text, &back), 0);
		assert_int_equal(back, ms);

		assert_string_equal(clock_http_date(text, ms), times[i].http);
		assert_int_equal(clock_parse_http_date(text, &back), 0);
		assert_int_equal(back, whole_seconds(ms));

		assert_string_equal(clock_iso_basic(text, ms), times[i].basic);
		assert_int_equal(clock_parse_iso_basic(text, &back), 0);
		assert_int_equal(back, whole_seconds(ms));
	}
}

static void fractions_of_any_length_become_milliseconds(void **state)
{
	int64_t ms;

	(void)state;
	assert_int_equal(clock_parse_rfc3339("1970-01-01T00:00:01Z", &ms), 0);
	assert_int_equal(ms, 1000);
	assert_int_equal(clock_parse_rfc3339("1970-01-01T00:00:01.5Z", &ms), 0);
	assert_int_equal(ms, 1500);
	assert_int_equal(
		clock_parse_rfc3339("1970-01-01T00:00:01.123456789Z", &ms), 0);
	assert_int_equal(ms, 1123);
	assert_int_equal(clock_parse_rfc3339("2016-12-31T23:59:60Z", &ms), 0);
	assert_int_equal(ms, 1483228800000); /* a leap second */
}

typedef int (*parser)(const char *text, int64_t *real_ms);

static const struct {
	parser parse;
	const char *text;
} bad_times[] = {
	{clock_parse_rfc3339,   ""				},
	{clock_parse_rfc3339,   "2026-11-28"                      },
	{clock_parse_rfc3339,   "2026-11-28T19:51:48"             },
	{clock_parse_rfc3339,   "2026-11-28T19:51:48.Z"           },
	{clock_parse_rfc3339,   "2026-11-28T19:51:48.1234567890Z" },
	{clock_parse_rfc3339,   "2026-11-28T19:51:48Z "           },
	{clock_parse_rfc3339,   "2026-11-28 19:51:48Z"            },
	{clock_parse_rfc3339,   "2026-13-28T19:51:48Z"            },
	{clock_parse_rfc3339,   "2026-00-28T19:51:48Z"            },
	{clock_parse_rfc3339,   "2026-02-30T19:51:48Z"            },
	{clock_parse_rfc3339,   "2025-02-29T00:00:00Z"            },
	{clock_parse_rfc3339,   "2026-11-31T23:59:60Z"            },
	{clock_parse_rfc3339,   "2026-11-00T19:51:48Z"            },
	{clock_parse_rfc3339,   "2026-11-28T24:00:00Z"            },
	{clock_parse_rfc3339,   "2026-11-28T19:60:00Z"            },
	{clock_parse_rfc3339,   "2026-11-28T19:51:61Z"            },
	{clock_parse_rfc3339,   "2026-1-28T19:51:48Z"             },
	{clock_parse_rfc3339,   "+026-11-28T19:51:48Z"            },
	{clock_parse_http_date, ""                                },
	{clock_parse_http_date, "Sat, 28 Nov 2026 19:51:48"       },
	{clock_parse_http_date, "Sat, 28 Nov 2026 19:51:48 UTC"   },
	{clock_parse_http_date, "Xyz, 28 Nov 2026 19:51:48 GMT"   },
	{clock_parse_http_date, "Sat, 28 Nox 2026 19:51:48 GMT"   },
	{clock_parse_http_date, "Sat, 31 Nov 2026 19:51:48 GMT"   },
	{clock_parse_http_date, "Sat, 28 Nov 2026 19:51:48 GMTx"  },
	{clock_parse_http_date, "Saturday, 28-Nov-26 19:51:48 GMT"},
	{clock_parse_iso_basic, ""                                },
	{clock_parse_iso_basic, "20261128T195148"                 },
	{clock_parse_iso_basic, "20261128195148Z"                 },
	{clock_parse_iso_basic, "20261128T195148Zz"               },
	{clock_parse_iso_basic, "20260230T195148Z"                },
};

static void other_forms_are_refused_and_change_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_times); i++) {
		int64_t ms = 42;

		if (bad_times[i].parse(bad_times[i].text, &ms) != -EINVAL ||
		    ms != 42)
			fail_msg("\"%s\" was taken", bad_times[i].text);
	}
}

static void advancing_moves_both_clocks(void **state)
{
	int64_t mono = clock_mono_ms();
	int64_t real = clock_real_ms();

	(void)state;
	assert_false(clock_is_test());
	clock_advance_ms(3600000);
	assert_true(clock_is_test());
	assert_int_equal(clock_advanced_ms(), 3600000);
	assert_true(clock_mono_ms() >= mono + 3600000);
	assert_true(clock_real_ms() >= real + 3600000);
	assert_true(clock_real_ns() / 1000000 >= real + 3600000);
	clock_advance_ms(5);
	assert_int_equal(clock_advanced_ms(), 3600005);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_have_three_forms_and_come_back),
		cmocka_unit_test(fractions_of_any_length_become_milliseconds),
		cmocka_unit_test(other_forms_are_refused_and_change_nothing),
		cmocka_unit_test(advancing_moves_both_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
