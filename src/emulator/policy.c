/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/policy.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/codec.h"

struct context {
	const char *bucket;
	const struct kvs *fields;
	const char *const *named; /* up to a NULL */
	struct policy_range *range;
};

static const char *field(const struct context *c, const char *name)
{
	const char *v;

	if (strcmp(name, "bucket") == 0)
		return c->bucket;
	v = kvs_get(c->fields, name);
	return v ? v : "";
}

static int equals(const struct context *c, const char *name,
		  const json_t *value)
{
	const char *want = json_string_value(value);

	if (!want)
		return -EINVAL;
	return strcmp(field(c, name), want) == 0 ? 0 : -EACCES;
}

/* {"bucket":"b"} */
static int check_object(const struct context *c, json_t *cond)
{
	const char *name;
	json_t *value;

	json_object_foreach(cond, name, value)
	{
		int rc = equals(c, name, value);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int in_list(const struct context *c, const char *name,
		   const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (equals(c, name, json_array_get(list, i)) == 0)
			return 0;
	return -EACCES;
}

static int check_range(const struct context *c, const json_t *cond)
{
	const json_t *min = json_array_get(cond, 1);
	const json_t *max = json_array_get(cond, 2);

	if (!json_is_integer(min) || !json_is_integer(max) ||
	    json_integer_value(min) < 0 || json_integer_value(max) < 0)
		return -EINVAL;
	c->range->min = (uint64_t)json_integer_value(min);
	c->range->max = (uint64_t)json_integer_value(max);
	return 0;
}

/* ["eq","$key","a"] and its kind */
static int check_array(const struct context *c, const json_t *cond)
{
	const char *op = json_string_value(json_array_get(cond, 0));
	const char *name = json_string_value(json_array_get(cond, 1));
	const json_t *value = json_array_get(cond, 2);

	if (!op || json_array_size(cond) != 3)
		return -EINVAL;
	if (strcmp(op, "content-length-range") == 0)
		return check_range(c, cond);
	if (!name || *name++ != '$')
		return -EINVAL;
	if (strcmp(op, "eq") == 0)
		return equals(c, name, value);
	if (strcmp(op, "in") == 0)
		return in_list(c, name, value);
	if (strcmp(op, "not-in") == 0)
		return in_list(c, name, value) == 0 ? -EACCES : 0;
	if (strcmp(op, "starts-with") == 0 && json_is_string(value))
		return strncmp(field(c, name), json_string_value(value),
			       json_string_length(value)) == 0
			       ? 0
			       : -EACCES;
	return -EINVAL;
}

static int check_expiration(const json_t *policy, int64_t now_ms)
{
	const char *text =
		json_string_value(json_object_get(policy, "expiration"));
	int64_t when;

	if (!text || clock_parse_rfc3339(text, &when) < 0)
		return -EINVAL;
	return when <= now_ms ? -ETIME : 0;
}

static bool names_field(const json_t *cond, const char *name)
{
	const char *second = json_string_value(json_array_get(cond, 1));

	if (json_is_object(cond))
		return json_object_get(cond, name) != NULL;
	return second && second[0] == '$' && strcmp(second + 1, name) == 0;
}

static int check_named(const struct context *c, const json_t *list, char **why)
{
	for (const char *const *n = c->named; *n; n++) {
		bool found = false;

		for (size_t i = 0; !found && i < json_array_size(list); i++)
			found = names_field(json_array_get(list, i), *n);
		if (!found) {
			*why = str_printf("there is none for %s", *n);
			return -EACCES;
		}
	}
	return 0;
}

static int check_tree(const struct context *c, const json_t *policy,
		      int64_t now_ms, char **why)
{
	const json_t *list = json_object_get(policy, "conditions");
	int rc = check_expiration(policy, now_ms);

	if (rc < 0)
		return rc;
	if (!json_is_array(list))
		return -EINVAL;
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *cond = json_array_get(list, i);

		rc = json_is_object(cond) ? check_object(c, cond)
					  : check_array(c, cond);
		if (rc < 0) {
			*why = json_dumps(cond, JSON_COMPACT);
			return rc;
		}
	}
	return check_named(c, list, why);
}

int policy_check(const char *base64, const char *bucket,
		 const struct kvs *fields, const char *const *named,
		 int64_t now_ms, struct policy_range *range, char **why)
{
	struct context c = {bucket, fields, named, range};
	AUTO(buf_release) struct buf text = BUF_INIT;
	json_t *policy;
	int rc;

	*range = (struct policy_range){0, UINT64_MAX};
	if (base64_decode(&text, base64, strlen(base64)) < 0)
		return -EINVAL;
	policy = json_loadb(buf_str(&text), text.len, 0, NULL);
	rc = json_is_object(policy) ? check_tree(&c, policy, now_ms, why)
				    : -EINVAL;
	json_decref(policy);
	return rc;
}
