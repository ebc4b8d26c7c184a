/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/rules.h"

#include <errno.h>
#include <string.h>

#include "callback/rules_int.h"
#include "util/base.h"
#include "util/codec.h"
#include "util/glob.h"

void rules_free(struct rules *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		rule_release(&r->items[i]);
	free(r->items);
	rule_release(&r->fallback);
	free(r);
}

bool rules_exist(const struct rules *r)
{
	return r->exist;
}

static bool size_fits(const struct rule *r, uint64_t size)
{
	if (size == UINT64_MAX)
		return true;
	return size >= r->min_size && (!r->max_size || size <= r->max_size);
}

const struct rule *rules_match(const struct rules *r, const char *path,
			       uint64_t size, struct kvs *captures)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct rule *one = &r->items[i];

		if (!size_fits(one, size))
			continue;
		if (!one->matches || globs_match(one->matches, path, captures))
			return one;
	}
	return &r->fallback;
}

const struct rule *rules_by_name(const struct rules *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->items[i].name, name) == 0)
			return &r->items[i];
	return strcmp(r->fallback.name, name) == 0 ? &r->fallback : NULL;
}

bool rules_is_temporary(const struct rules *r, const char *path)
{
	const struct rule *rule = rules_match(r, path, UINT64_MAX, NULL);

	return globs_match(rule->is_temporary, path, NULL);
}

bool rule_allows(const struct rule *r, const char *name)
{
	const char *p = r->allow_override ? r->allow_override : "";
	size_t len = strlen(name);

	if (strcmp(name, ID_VARIABLE) == 0)
		return false;
	if (!kvs_get(&r->vars, name))
		return true;
	while (*p) {
		size_t n = strcspn(p, " ");

		if (n == len && strncmp(p, name, len) == 0)
			return true;
		p += n + strspn(p + n, " ");
	}
	return false;
}

/* Alone with the delivery id: does it fit into the header? */
static int check_size(const char *name, const char *value)
{
	AUTO(kvs_release) struct kvs vars = KVS_INIT;
	AUTO_FREE char *json = NULL;
	int rc = kvs_addf(&vars, "x:" ID_VARIABLE, "%036d", 0);

	if (rc == 0)
		rc = kvs_addf(&vars, "x:", "%s%s", name, value);
	if (rc == 0)
		rc = kvs_to_json(&vars, &json);
	if (rc < 0 || !json)
		return rc;
	return (strlen(json) + 2) / 3 * 4 > CALLBACK_HEADER_MAX ? -E2BIG : 0;
}

int rules_check_file_var(const struct rules *r, const char *path,
			 const char *name, const char *value)
{
	const struct rule *rule = rules_match(r, path, UINT64_MAX, NULL);

	if (variable_name_check(name))
		return -EINVAL;
	if (!rule_allows(rule, name))
		return -EPERM;
	if (!utf8_is_valid(value, strlen(value)))
		return -EINVAL;
	return check_size(name, value);
}
