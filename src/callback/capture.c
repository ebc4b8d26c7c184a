/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/capture.h"

#include <errno.h>
#include <string.h>

#include "callback/vars.h"
#include "util/base.h"

static int add_name(const char *name, size_t len, struct kvs *out,
		    struct buf *why)
{
	AUTO_FREE char *copy = strndup(name, len);

	if (!copy)
		return -ENOMEM;
	if (vars_is_builtin(name, len)) {
		buf_addf(
			why,
			"{%s}: %%{%s} is something else already; write another name",
			copy, copy);
		return -EINVAL;
	}
	return kvs_get(out, copy) ? 0 : kvs_add(out, copy, "");
}

/* Behind the set that begins at '['; a ']' in first place is a member. */
static const char *skip_set(const char *p)
{
	p++;
	if (*p == '!' || *p == '^')
		p++;
	if (*p == ']')
		p++;
	while (*p && *p != ']')
		p += *p == '\\' && p[1] ? 2 : 1;
	return *p ? p + 1 : p;
}

int capture_names(const char *globs, struct kvs *out, struct buf *why)
{
	bool starts = true, excludes = false;
	const char *p = globs;

	while (*p) {
		if (*p == ' ' || *p == '\t') {
			starts = true;
			p++;
			continue;
		}
		if (starts)
			excludes = *p == '!';
		starts = false;
		if (*p == '\\' && p[1]) {
			p += 2;
		} else if (*p == '[') {
			p = skip_set(p);
		} else if (*p == '{') {
			size_t len = strcspn(p + 1, "}");
			int rc = excludes ? 0 : add_name(p + 1, len, out, why);

			if (rc < 0)
				return rc;
			p += 1 + len;
		} else {
			p++;
		}
	}
	return 0;
}
