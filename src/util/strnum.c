/* SPDX-License-Identifier: Apache-2.0 */
#include "util/strnum.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/*
 * The digits at text as a number; *end is behind them.  No sign, no blanks,
 * no prefix: that is why this is not strtoull().
 */
static int take_number(const char *text, unsigned base, uint64_t *out,
		       const char **end)
{
	const char *p = text;
	uint64_t value = 0;
	int rc = 0;

	for (; *p >= '0' && *p < (char)('0' + base); p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (value > (UINT64_MAX - digit) / base)
			rc = -ERANGE; /* but see whether it is a number at all */
		else
			value = value * base + digit;
	}
	if (p == text)
		return -EINVAL;
	*end = p;
	*out = value;
	return rc;
}

/* take_number() of the whole text. */
static int whole_number(const char *text, unsigned base, uint64_t *out)
{
	const char *end = NULL;
	uint64_t value = 0;
	int rc = take_number(text, base, &value, &end);

	if (rc == -EINVAL || *end != '\0')
		return -EINVAL;
	if (rc == 0)
		*out = value;
	return rc;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	int rc = whole_number(text, 10, &value);

	if (rc < 0)
		return rc;
	if (value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int parse_i64(const char *text, int64_t min, int64_t max, int64_t *out)
{
	bool negative = text[0] == '-';
	uint64_t magnitude = 0;
	uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
	int64_t value;
	int rc = whole_number(text + (negative ? 1 : 0), 10, &magnitude);

	if (rc < 0)
		return rc;
	if (magnitude > limit)
		return -ERANGE;
	if (!negative)
		value = (int64_t)magnitude;
	else if (magnitude == limit)
		value = INT64_MIN;
	else
		value = -(int64_t)magnitude;
	if (value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int parse_octal(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	int rc = whole_number(text, 8, &value);

	if (rc < 0)
		return rc;
	if (value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"",  1         },
        {"K", 1ULL << 10},
        {"M", 1ULL << 20},
	{"G", 1ULL << 30},
        {"T", 1ULL << 40},
};

static const struct unit time_units[] = {
	{"",   1000    },
        {"ms", 1       },
        {"s",  1000    },
	{"m",  60000   },
        {"h",  3600000 },
        {"d",  86400000},
};

static int parse_unit(const char *text, const struct unit *units, size_t count,
		      uint64_t max, uint64_t *out)
{
	const char *end = NULL;
	uint64_t value = 0;
	int rc = take_number(text, 10, &value, &end);

	if (rc == -EINVAL)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(end, units[i].suffix) != 0)
			continue;
		if (rc < 0 || value > max / units[i].factor)
			return -ERANGE;
		*out = value * units[i].factor;
		return 0;
	}
	return -EINVAL;
}

int parse_size(const char *text, uint64_t *out)
{
	return parse_unit(text, size_units,
			  sizeof(size_units) / sizeof(size_units[0]),
			  (uint64_t)INT64_MAX, out);
}

int parse_duration_ms(const char *text, int64_t *out)
{
	uint64_t value = 0;
	int rc = parse_unit(text, time_units,
			    sizeof(time_units) / sizeof(time_units[0]),
			    (uint64_t)INT64_MAX, &value);

	if (rc == 0)
		*out = (int64_t)value;
	return rc;
}

int parse_bool(const char *text, bool *out)
{
	static const char *const words[2][4] = {
		{"false", "no",  "off", "0"},
		{"true",  "yes", "on",  "1"},
	};

	for (int value = 0; value < 2; value++) {
		for (int i = 0; i < 4; i++) {
			if (strcasecmp(text, words[value][i]) == 0) {
				*out = value == 1;
				return 0;
			}
		}
	}
	return -EINVAL;
}
