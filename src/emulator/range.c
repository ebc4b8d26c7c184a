/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/range.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/strnum.h"

struct spec {
	bool has_first;
	bool has_last;
	uint64_t first;
	uint64_t last; /* without first: the suffix's length */
};

static int parse_number(const char *text, size_t len, uint64_t *out)
{
	char digits[24];

	if (!len || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len);
	digits[len] = '\0';
	return parse_u64(digits, 0, UINT64_MAX, out);
}

/* The first of the ranges in "bytes=a-b,c-d". */
static int parse_spec(const char *text, struct spec *out)
{
	struct spec s = {0};
	const char *dash;
	size_t len;

	if (strncmp(text, "bytes=", 6) != 0)
		return -EINVAL;
	text += 6;
	len = strcspn(text, ",");
	dash = memchr(text, '-', len);
	if (!dash)
		return -EINVAL;
	s.has_first = dash > text;
	s.has_last = dash + 1 < text + len;
	if (s.has_first &&
	    parse_number(text, (size_t)(dash - text), &s.first) < 0)
		return -EINVAL;
	if (s.has_last &&
	    parse_number(dash + 1, (size_t)(text + len - dash - 1), &s.last) <
		    0)
		return -EINVAL;
	if ((!s.has_first && !s.has_last) ||
	    (s.has_first && s.has_last && s.last < s.first))
		return -EINVAL;
	*out = s;
	return 0;
}

static enum range_result suffix(const struct spec *s, uint64_t size,
				bool standard, bool suffix_is_error,
				uint64_t *off, uint64_t *len)
{
	if (!s->last || !size)
		return standard ? RANGE_INVALID : RANGE_WHOLE;
	if (s->last > size) {
		if (!standard)
			return RANGE_WHOLE;
		if (suffix_is_error)
			return RANGE_INVALID;
	}
	*len = s->last < size ? s->last : size;
	*off = size - *len;
	return RANGE_PARTIAL;
}

enum range_result range_parse(const char *text, uint64_t size, bool standard,
			      bool suffix_is_error, uint64_t *off,
			      uint64_t *len)
{
	struct spec s;

	if (!text || parse_spec(text, &s) < 0)
		return RANGE_WHOLE;
	if (!s.has_first)
		return suffix(&s, size, standard, suffix_is_error, off, len);
	if (s.first >= size)
		return standard ? RANGE_INVALID : RANGE_WHOLE;
	if (!s.has_last)
		s.last = size - 1;
	if (s.last >= size) {
		if (!standard)
			return RANGE_WHOLE;
		s.last = size - 1;
	}
	*off = s.first;
	*len = s.last - s.first + 1;
	return RANGE_PARTIAL;
}

int range_parse_copy(const char *text, uint64_t *first, uint64_t *last)
{
	struct spec s;

	if (parse_spec(text, &s) < 0 || !s.has_first || !s.has_last)
		return -EINVAL;
	*first = s.first;
	*last = s.last;
	return 0;
}
