/* SPDX-License-Identifier: Apache-2.0 */
/* Range, in OSS's reading and in the standard's (protocol 4.3). */
#include "../support/test.h"

#include "emulator/range.h"

struct range_case {
	const char *text;
	uint64_t size;
	enum range_result plain;    /* OSS's own rule */
	enum range_result standard; /* x-oss-range-behavior: standard */
	uint64_t off;               /* of either that is partial */
	uint64_t len;
};

static const struct range_case cases[] = {
	{NULL,			   1000, RANGE_WHOLE,   RANGE_WHOLE,   0,   0   },
	{"bytes=0-499",                  1000, RANGE_PARTIAL, RANGE_PARTIAL, 0,   500 },
	{"bytes=0-0",                    1000, RANGE_PARTIAL, RANGE_PARTIAL, 0,   1   },
	{"bytes=999-999",                1000, RANGE_PARTIAL, RANGE_PARTIAL, 999, 1   },
	{"bytes=500-",                   1000, RANGE_PARTIAL, RANGE_PARTIAL, 500, 500 },
	{"bytes=-1",		     1000, RANGE_PARTIAL, RANGE_PARTIAL, 999, 1   },
	{"bytes=-1000",                  1000, RANGE_PARTIAL, RANGE_PARTIAL, 0,   1000},
	{"bytes=0-9,20-29",              1000, RANGE_PARTIAL, RANGE_PARTIAL, 0,   10  },
	{"byte=0-499",                   1000, RANGE_WHOLE,   RANGE_WHOLE,   0,   0   },
	{"bytes=9-3",                    1000, RANGE_WHOLE,   RANGE_WHOLE,   0,   0   },
	{"bytes=-",		      1000, RANGE_WHOLE,   RANGE_WHOLE,   0,   0   },
	{"bytes=a-b",                    1000, RANGE_WHOLE,   RANGE_WHOLE,   0,   0   },
	{"bytes=1",		      1000, RANGE_WHOLE,   RANGE_WHOLE,   0,   0   },
	{"bytes=0-1000",                 1000, RANGE_WHOLE,   RANGE_PARTIAL, 0,   1000},
	{"bytes=500-2000",               1000, RANGE_WHOLE,   RANGE_PARTIAL, 500, 500 },
	{"bytes=1000-2000",              1000, RANGE_WHOLE,   RANGE_INVALID, 0,   0   },
	{"bytes=1000-",                  1000, RANGE_WHOLE,   RANGE_INVALID, 0,   0   },
	{"bytes=-2000",                  1000, RANGE_WHOLE,   RANGE_PARTIAL, 0,   1000},
	{"bytes=-0",		     1000, RANGE_WHOLE,   RANGE_INVALID, 0,   0   },
	{"bytes=0-0",                    0,    RANGE_WHOLE,   RANGE_INVALID, 0,   0   },
	{"bytes=-5",		     0,    RANGE_WHOLE,   RANGE_INVALID, 0,   0   },
	{"bytes=0-18446744073709551615", 10,   RANGE_WHOLE,   RANGE_PARTIAL, 0,   10  },
	{"bytes=0-99999999999999999999", 10,   RANGE_WHOLE,   RANGE_WHOLE,   0,   0   },
};

static void check(const struct range_case *c, bool standard,
		  enum range_result want)
{
	uint64_t off = 77;
	uint64_t len = 77;
	enum range_result got =
		range_parse(c->text, c->size, standard, false, &off, &len);

	if (got != want)
		fail_msg("%s standard=%d: got %d, want %d", c->text, standard,
			 got, want);
	if (want == RANGE_PARTIAL && (off != c->off || len != c->len))
		fail_msg("%s: got %llu+%llu", c->text, (unsigned long long)off,
			 (unsigned long long)len);
	if (want != RANGE_PARTIAL && (off != 77 || len != 77))
		fail_msg("%s: outputs were touched", c->text);
}

static void ranges_are_read_by_both_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		check(&cases[i], false, cases[i].plain);
		check(&cases[i], true, cases[i].standard);
	}
}

static void long_suffix_is_switchable(void **state)
{
	uint64_t off;
	uint64_t len;

	(void)state;
	assert_int_equal(range_parse("bytes=-11", 10, true, true, &off, &len),
			 RANGE_INVALID);
	assert_int_equal(range_parse("bytes=-10", 10, true, true, &off, &len),
			 RANGE_PARTIAL);
}

static void copy_ranges_need_both_ends(void **state)
{
	uint64_t first;
	uint64_t last;

	(void)state;
	assert_int_equal(range_parse_copy("bytes=0-9", &first, &last), 0);
	assert_int_equal(first, 0);
	assert_int_equal(last, 9);
	assert_true(range_parse_copy("bytes=0-", &first, &last) < 0);
	assert_true(range_parse_copy("bytes=-9", &first, &last) < 0);
	assert_true(range_parse_copy("0-9", &first, &last) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_read_by_both_rules),
		cmocka_unit_test(long_suffix_is_switchable),
		cmocka_unit_test(copy_ranges_need_both_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
