/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/conditions.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emulator/emulator.h"
#include "util/clock.h"

static const char *condition(const struct exchange *x, const char *prefix,
			     const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	return request_header(&x->req, full);
}

/* One of a list of ETags, with or without quotes and case; "*" is any. */
static bool etag_in(const char *list, const char *etag)
{
	size_t want = strlen(etag);

	while (*list) {
		size_t len;

		list += strspn(list, " ,\"");
		len = strcspn(list, "\",");
		if ((len == 1 && *list == '*') ||
		    (len == want && strncasecmp(list, etag, len) == 0))
			return true;
		list += len;
		list += strspn(list, "\"");
	}
	return false;
}

/* Whether the object changed after that date; a bad date never holds. */
static bool changed_since(const char *date, const struct object *o, bool if_bad)
{
	int64_t when;

	if (clock_parse_http_date(date, &when) < 0)
		return if_bad;
	return o->mtime_ms / 1000 > when / 1000;
}

static int fail_condition(struct exchange *x, const char *which)
{
	return x->em->opt->quirks.no_condition_element
		       ? fail(x, OE_PRECONDITION_FAILED)
		       : fail_with(x, OE_PRECONDITION_FAILED, "Condition",
				   which);
}

int conditions_check(struct exchange *x, const struct object *o,
		     const char *prefix)
{
	const char *match = condition(x, prefix, "If-Match");
	const char *none = condition(x, prefix, "If-None-Match");
	const char *since = condition(x, prefix, "If-Modified-Since");
	const char *unless = condition(x, prefix, "If-Unmodified-Since");

	if (match && !etag_in(match, o->etag))
		return fail_condition(x, "If-Match");
	if (unless && changed_since(unless, o, false))
		return fail_condition(x, "If-Unmodified-Since");
	if (none && etag_in(none, o->etag))
		return fail(x, OE_NOT_MODIFIED);
	if (since && !changed_since(since, o, true))
		return fail(x, OE_NOT_MODIFIED);
	return 0;
}
