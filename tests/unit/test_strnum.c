/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>

#include "util/strnum.h"

enum { UNTOUCHED = 77 };

static const struct {
	const char *text;
	uint64_t min, max;
	int rc;
	uint64_t want;
} u64_cases[] = {
	{"0",			0, UINT64_MAX, 0,       0         },
	{"007",		      0, UINT64_MAX, 0,       7         },
	{"18446744073709551615",     0, UINT64_MAX, 0,       UINT64_MAX},
	{"18446744073709551616",     0, UINT64_MAX, -ERANGE, UNTOUCHED },
	{"99999999999999999999999",  0, UINT64_MAX, -ERANGE, UNTOUCHED },
	{"99999999999999999999999x", 0, UINT64_MAX, -EINVAL, UNTOUCHED },
	{"4",			5, 9,          -ERANGE, UNTOUCHED },
	{"5",			5, 9,          0,       5         },
	{"9",			5, 9,          0,       9         },
	{"10",		       5, 9,          -ERANGE, UNTOUCHED },
	{"",			 0, 9,          -EINVAL, UNTOUCHED },
	{" 1",		       0, 9,          -EINVAL, UNTOUCHED },
	{"1 ",		       0, 9,          -EINVAL, UNTOUCHED },
	{"1\n",		      0, 9,          -EINVAL, UNTOUCHED },
	{"+1",		       0, 9,          -EINVAL, UNTOUCHED },
	{"-1",		       0, 9,          -EINVAL, UNTOUCHED },
	{"0x1",		      0, 9,          -EINVAL, UNTOUCHED },
	{"1.0",		      0, 9,          -EINVAL, UNTOUCHED },
	{"a",			0, 9,          -EINVAL, UNTOUCHED },
};

static void unsigned_numbers_are_whole_and_in_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(u64_cases); i++) {
		uint64_t got = UNTOUCHED;
		int rc = parse_u64(u64_cases[i].text, u64_cases[i].min,
				   u64_cases[i].max, &got);

		if (rc != u64_cases[i].rc || got != u64_cases[i].want)
			fail_msg("\"%s\": rc %d value %ju", u64_cases[i].text,
				 rc, (uintmax_t)got);
	}
}

static const struct {
	const char *text;
	int64_t min, max;
	int rc;
	int64_t want;
} i64_cases[] = {
	{"0",		    INT64_MIN, INT64_MAX, 0,       0        },
	{"-0",		   INT64_MIN, INT64_MAX, 0,       0        },
	{"-1",		   INT64_MIN, INT64_MAX, 0,       -1       },
	{"9223372036854775807",  INT64_MIN, INT64_MAX, 0,       INT64_MAX},
	{"9223372036854775808",  INT64_MIN, INT64_MAX, -ERANGE, UNTOUCHED},
	{"-9223372036854775808", INT64_MIN, INT64_MAX, 0,       INT64_MIN},
	{"-9223372036854775809", INT64_MIN, INT64_MAX, -ERANGE, UNTOUCHED},
	{"-5",		   -4,        4,         -ERANGE, UNTOUCHED},
	{"-",		    INT64_MIN, INT64_MAX, -EINVAL, UNTOUCHED},
	{"--1",		  INT64_MIN, INT64_MAX, -EINVAL, UNTOUCHED},
	{"- 1",		  INT64_MIN, INT64_MAX, -EINVAL, UNTOUCHED},
	{"",		     INT64_MIN, INT64_MAX, -EINVAL, UNTOUCHED},
};

static void signed_numbers_reach_both_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(i64_cases); i++) {
		int64_t got = UNTOUCHED;
		int rc = parse_i64(i64_cases[i].text, i64_cases[i].min,
				   i64_cases[i].max, &got);

		if (rc != i64_cases[i].rc || got != i64_cases[i].want)
			fail_msg("\"%s\": rc %d value %jd", i64_cases[i].text,
				 rc, (intmax_t)got);
	}
}

struct text_case {
	const char *text;
	int rc;
	uint64_t want;
};

static const struct text_case octal_cases[] = {
	{"0644",  0,       0644     },
	{"644",   0,       0644     },
	{"0",     0,       0        },
	{"07777", 0,       07777    },
	{"10000", -ERANGE, UNTOUCHED},
	{"0648",  -EINVAL, UNTOUCHED},
	{"0o644", -EINVAL, UNTOUCHED},
	{"",      -EINVAL, UNTOUCHED},
};

static void modes_are_octal(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(octal_cases); i++) {
		uint64_t got = UNTOUCHED;
		int rc = parse_octal(octal_cases[i].text, 07777, &got);

		if (rc != octal_cases[i].rc || got != octal_cases[i].want)
			fail_msg("\"%s\": rc %d value %jo", octal_cases[i].text,
				 rc, (uintmax_t)got);
	}
}

static const struct text_case size_cases[] = {
	{"1500",		  0,       1500            },
	{"0",		     0,       0               },
	{"32M",		   0,       32 << 20        },
	{"32m",		   0,       32 << 20        },
	{"1K",		    0,       1024            },
	{"1G",		    0,       1 << 30         },
	{"3T",		    0,       3ULL << 40      },
	{"8388607T",              0,       8388607ULL << 40},
	{"8388608T",              -ERANGE, UNTOUCHED       },
	{"9223372036854775808",   -ERANGE, UNTOUCHED       },
	{"99999999999999999999K", -ERANGE, UNTOUCHED       },
	{"M",		     -EINVAL, UNTOUCHED       },
	{"1MB",		   -EINVAL, UNTOUCHED       },
	{"1 M",		   -EINVAL, UNTOUCHED       },
	{"1.5M",		  -EINVAL, UNTOUCHED       },
	{"-1",		    -EINVAL, UNTOUCHED       },
	{"",		      -EINVAL, UNTOUCHED       },
};

static void sizes_have_binary_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(size_cases); i++) {
		uint64_t got = UNTOUCHED;
		int rc = parse_size(size_cases[i].text, &got);

		if (rc != size_cases[i].rc || got != size_cases[i].want)
			fail_msg("\"%s\": rc %d value %ju", size_cases[i].text,
				 rc, (uintmax_t)got);
	}
}

static const struct text_case duration_cases[] = {
	{"500ms",         0,       500                    },
	{"10s",           0,       10000                  },
	{"10",            0,       10000                  },
	{"0",             0,       0		      },
	{"5m",            0,       300000                 },
	{"1h",            0,       3600000                },
	{"1d",            0,       86400000               },
	{"1D",            0,       86400000               },
	{"106751991167d", 0,       106751991167 * 86400000},
	{"106751991168d", -ERANGE, UNTOUCHED              },
	{"1w",            -EINVAL, UNTOUCHED              },
	{"s",             -EINVAL, UNTOUCHED              },
	{"1h30m",         -EINVAL, UNTOUCHED              },
	{"-1s",           -EINVAL, UNTOUCHED              },
	{"",	      -EINVAL, UNTOUCHED              },
};

static void durations_are_seconds_unless_they_say_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(duration_cases); i++) {
		int64_t got = UNTOUCHED;
		int rc = parse_duration_ms(duration_cases[i].text, &got);

		if (rc != duration_cases[i].rc ||
		    got != (int64_t)duration_cases[i].want)
			fail_msg("\"%s\": rc %d value %jd",
				 duration_cases[i].text, rc, (intmax_t)got);
	}
}

static void booleans_have_eight_words(void **state)
{
	static const char *const yes[] = {"true", "yes", "on", "1", "TRUE"};
	static const char *const no[] = {"false", "no", "off", "0", "Off"};
	static const char *const bad[] = {"", "2", "y", "true ", "enabled"};
	bool got;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		got = false;
		assert_int_equal(parse_bool(yes[i], &got), 0);
		assert_true(got);
		assert_int_equal(parse_bool(no[i], &got), 0);
		assert_false(got);
		got = true;
		assert_int_equal(parse_bool(bad[i], &got), -EINVAL);
		assert_true(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsigned_numbers_are_whole_and_in_range),
		cmocka_unit_test(signed_numbers_reach_both_ends),
		cmocka_unit_test(modes_are_octal),
		cmocka_unit_test(sizes_have_binary_units),
		cmocka_unit_test(durations_are_seconds_unless_they_say_more),
		cmocka_unit_test(booleans_have_eight_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
