/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/props.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "callback/mime.h"
#include "callback/rules.h"
#include "util/base.h"
#include "util/strnum.h"

/* As ossfs 1.x names them (oss-protocol 8.1). */
static const char *const time_names[] = {"mtime", "ctime", "atime"};

enum { MS_PER_SEC = 1000, SLACK_MS = 2000 };

void upload_props_release(struct upload_props *p)
{
	free(p->content_type);
	kvs_release(&p->meta);
	kvs_release(&p->headers);
	memset(p, 0, sizeof(*p));
}

const char *upload_path(const struct upload_env *env, const char *key)
{
	size_t len = strlen(env->conf.prefix);

	return strncmp(key, env->conf.prefix, len) == 0 ? key + len : key;
}

static const char *type_of(const struct upload_env *env, const char *key,
			   uint64_t size)
{
	const char *path = upload_path(env, key);
	const struct rule *rule =
		rules_match(env->deps.rules, path, size, NULL);

	if (rule->content_type)
		return rule->content_type;
	return mime_type(env->deps.mime, path);
}

int upload_props_make(const struct upload_env *env, struct staging *s,
		      const char *key, uint64_t size, struct upload_props *out)
{
	struct staging_props p = {.content_type = NULL};
	int rc = staging_get_props(s, &p);

	if (rc < 0)
		return rc;
	if (!p.content_type) {
		p.content_type = str_dup(type_of(env, key, size));
		if (!p.content_type) {
			staging_props_release(&p);
			return -ENOMEM;
		}
	}
	*out = (struct upload_props){
		.content_type = take_ptr(p.content_type),
		.meta = p.meta,
		.headers = p.kept,
		.forbid_overwrite = p.exclusive,
		.check_conflict = p.check_conflict,
	};
	p.meta = (struct kvs)KVS_INIT;
	p.kept = (struct kvs)KVS_INIT;
	staging_props_release(&p);
	return 0;
}

struct oss_props upload_props_oss(const struct upload_props *p)
{
	return (struct oss_props){
		.content_type = p->content_type,
		.meta = &p->meta,
		.headers = &p->headers,
		.forbid_overwrite = p->forbid_overwrite,
	};
}

void upload_props_drop_times(struct upload_props *p)
{
	for (size_t i = 0; i < ARRAY_LEN(time_names); i++)
		(void)kvs_remove(&p->meta, time_names[i]);
}

static bool is_time(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(time_names); i++)
		if (strcasecmp(name, time_names[i]) == 0)
			return true;
	return false;
}

/* "1700000000" or with nanoseconds, between the two? */
static bool is_between(const char *value, int64_t from_ms, int64_t until_ms)
{
	char sec[24];
	size_t len = strcspn(value, ".");
	int64_t s;

	if (len >= sizeof(sec))
		return false;
	memcpy(sec, value, len);
	sec[len] = '\0';
	if (parse_i64(sec, 0, INT64_MAX / MS_PER_SEC, &s) < 0)
		return false;
	return s * MS_PER_SEC >= from_ms - SLACK_MS &&
	       s * MS_PER_SEC <= until_ms + SLACK_MS;
}

static bool list_fits(const struct kvs *begun, const struct kvs *want,
		      int64_t from_ms, int64_t until_ms)
{
	size_t seen = 0;

	for (size_t i = 0; i < want->count; i++) {
		const struct kv *w = &want->items[i];
		const char *have = kvs_get(begun, w->name);

		if (have && strcmp(have, w->value) == 0)
			seen++;
		else if (!is_time(w->name) ||
			 !is_between(w->value, from_ms, until_ms))
			return false;
	}
	return seen == begun->count;
}

bool upload_props_fit(const struct upload_props *begun,
		      const struct upload_props *want, int64_t from_ms,
		      int64_t until_ms)
{
	return str_eq(begun->content_type, want->content_type) &&
	       list_fits(&begun->meta, &want->meta, from_ms, until_ms) &&
	       list_fits(&begun->headers, &want->headers, 0, -1);
}
