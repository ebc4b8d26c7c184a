/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "callback/address.h"
#include "callback/capture.h"
#include "callback/rules_int.h"
#include "callback/temporary.h"
#include "callback/vars.h"
#include "util/base.h"
#include "util/glob.h"
#include "util/strnum.h"
#include "util/suggest.h"

#define DAY_MS ((int64_t)86400 * 1000)
#define RETRY_MAX_MS (36500 * DAY_MS)

void rule_release(struct rule *r)
{
	free(r->name);
	free(r->match);
	free(r->url);
	free(r->host);
	free(r->body);
	free(r->body_type);
	free(r->temporary);
	globs_free(r->matches);
	globs_free(r->is_temporary);
	free(r->content_type);
	free(r->allow_override);
	kvs_release(&r->vars);
	*r = (struct rule){.name = NULL};
}

void draft_release(struct draft *d)
{
	rule_release(&d->rule);
}

int draft_init(struct draft *d, const char *name)
{
	*d = (struct draft){
		.rule = {.enabled = true, .retry_for_ms = DAY_MS},
		.type = TEMPLATE_FORM,
	};
	if (str_set(&d->rule.name, name) < 0 ||
	    str_set(&d->rule.temporary, temporary_builtin()) < 0) {
		draft_release(d);
		return -ENOMEM;
	}
	return 0;
}

int draft_inherit(struct draft *d, const struct draft *from, const char *name)
{
	const struct rule *r = &from->rule;
	struct rule *to = &d->rule;

	*d = *from;
	*to = (struct rule){
		.enabled = r->enabled,
		.url_count = r->url_count,
		.has_sni = r->has_sni,
		.sni = r->sni,
		.fail_close = r->fail_close,
		.retry_for_ms = r->retry_for_ms,
		.on_rename = r->on_rename,
	};
	if (str_set(&to->name, name) < 0 || str_set(&to->url, r->url) < 0 ||
	    str_set(&to->host, r->host) < 0 ||
	    (from->body_given && str_set(&to->body, r->body) < 0) ||
	    str_set(&to->temporary, r->temporary) < 0 ||
	    str_set(&to->content_type, r->content_type) < 0 ||
	    str_set(&to->allow_override, r->allow_override) < 0 ||
	    kvs_copy(&to->vars, &r->vars) < 0) {
		draft_release(d);
		return -ENOMEM;
	}
	return 0;
}

/* ---- keys ---------------------------------------------------------------- */

struct setting {
	struct draft *d;
	const char *value;
	struct buf *why;
	struct buf *doubt;
};

typedef int (*set_fn)(const struct setting *s);

static int refuse(const struct setting *s, const char *reason)
{
	buf_adds(s->why, reason);
	return -EINVAL;
}

static int set_url(const struct setting *s)
{
	struct addresses found;
	int rc = addresses_check(s->value, &found, s->why, s->doubt);

	if (rc < 0)
		return rc;
	s->d->rule.url_count = found.count;
	s->d->any_https = found.any_https;
	return str_set(&s->d->rule.url, s->value);
}

static int set_host(const struct setting *s)
{
	const char *wrong = host_check(s->value);

	return wrong ? refuse(s, wrong) : str_set(&s->d->rule.host, s->value);
}

static int set_sni(const struct setting *s)
{
	if (parse_bool(s->value, &s->d->rule.sni) < 0)
		return refuse(s, "neither true nor false; write true or false");
	s->d->sni_given = true;
	return 0;
}

static int set_body(const struct setting *s)
{
	s->d->body_given = true;
	return str_set(&s->d->rule.body, s->value);
}

static int set_body_type(const struct setting *s)
{
	if (template_type_parse(s->value, &s->d->type) == 0)
		return 0;
	return refuse(
		s,
		"not a type that OSS has; write application/x-www-form-urlencoded or application/json");
}

static int set_enabled(const struct setting *s)
{
	if (parse_bool(s->value, &s->d->rule.enabled) == 0)
		return 0;
	return refuse(s, "neither true nor false; write true or false");
}

static int set_on_failure(const struct setting *s)
{
	if (strcmp(s->value, "fail_close") == 0)
		s->d->rule.fail_close = true;
	else if (strcmp(s->value, "accept") == 0)
		s->d->rule.fail_close = false;
	else
		return refuse(s,
			      "none of its words; write accept or fail_close");
	return 0;
}

static int set_retry_for(const struct setting *s)
{
	int64_t ms = 0;

	if (parse_duration_ms(s->value, &ms) < 0 || ms < 0 || ms > RETRY_MAX_MS)
		return refuse(
			s, "not a time; write one like 1d, 12h or 30m, or 0");
	s->d->rule.retry_for_ms = ms;
	return 0;
}

static int set_on_rename(const struct setting *s)
{
	static const char *const words[] = {
		[ON_RENAME_AUTO] = "auto",
		[ON_RENAME_ALWAYS] = "always",
		[ON_RENAME_NEVER] = "never",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(s->value, words[i]) == 0) {
			s->d->rule.on_rename = (enum callback_on_rename)i;
			return 0;
		}
	}
	return refuse(s, "none of its words; write auto, always or never");
}

static int set_temporary(const struct setting *s)
{
	char *globs = NULL;
	int rc = temporary_parse(s->value, &globs, s->why);

	if (rc < 0)
		return rc;
	free(s->d->rule.temporary);
	s->d->rule.temporary = globs;
	return 0;
}

static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' ||
		    strchr("()<>@,;:\\\"/[]?=", text[i]))
			return false;
	return len > 0;
}

static int set_content_type(const struct setting *s)
{
	const char *v = s->value, *slash = strchr(v, '/');
	size_t len = slash ? strcspn(slash + 1, "; ") : 0;
	bool good = slash && is_token(v, (size_t)(slash - v)) &&
		    is_token(slash + 1, len);

	for (const char *p = v; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			good = false;
	if (!good)
		return refuse(s, "not a media type; write one like image/jpeg");
	return str_set(&s->d->rule.content_type, v);
}

static int set_allow_override(const struct setting *s)
{
	AUTO(buf_release) struct buf list = BUF_INIT;
	const char *p = s->value;

	while (*p) {
		size_t len = strcspn(p, " \t");
		bool has_x = strncmp(p, "x:", 2) == 0;
		AUTO_FREE char *name =
			strndup(p + (has_x ? 2 : 0), len - (has_x ? 2 : 0));
		const char *wrong;

		if (!name)
			return -ENOMEM;
		wrong = variable_name_check(name);
		if (!wrong && strcmp(name, ID_VARIABLE) == 0)
			wrong = "x:ackfs_id is always the delivery id";
		if (wrong) {
			buf_addf(
				s->why,
				"%s; write names of variables with blanks between",
				wrong);
			return -EINVAL;
		}
		buf_addf(&list, "%s%s", list.len ? " " : "", name);
		p += len + strspn(p + len, " \t");
	}
	if (buf_error(&list) < 0)
		return -ENOMEM;
	return str_set(&s->d->rule.allow_override, buf_str(&list));
}

static int set_match(const struct setting *s)
{
	AUTO(kvs_release) struct kvs names = KVS_INIT;
	const char *wrong = NULL, *p = s->value;
	bool matches = false;

	if (glob_list_check(s->value, &wrong) < 0) {
		buf_addf(
			s->why,
			"%s; write globs with blanks between, like incoming/** *.jpg",
			wrong);
		return -EINVAL;
	}
	for (; *p; p += strcspn(p, " \t"), p += strspn(p, " \t"))
		if (*p != '!')
			matches = true;
	if (!matches)
		return refuse(
			s,
			"excludes alone match nothing; write what matches before them, like ** !*.log");
	if (capture_names(s->value, &names, s->why) < 0)
		return -EINVAL;
	return str_set(&s->d->rule.match, s->value);
}

static int set_bound(const struct setting *s, uint64_t *out)
{
	if (parse_size(s->value, out) == 0)
		return 0;
	return refuse(s,
		      "not a size; write bytes, or K, M, G, T behind a number");
}

static int set_min_size(const struct setting *s)
{
	return set_bound(s, &s->d->rule.min_size);
}

static int set_max_size(const struct setting *s)
{
	int rc = set_bound(s, &s->d->rule.max_size);

	if (rc == 0 && s->d->rule.max_size == 0)
		return refuse(
			s,
			"no file is so small; write 1 or more, or remove the line");
	return rc;
}

static const struct {
	const char *key;
	set_fn set;
} setters[] = {
	{"url",            set_url           },
	{"host",           set_host          },
	{"sni",            set_sni           },
	{"body",           set_body          },
	{"body_type",      set_body_type     },
	{"enabled",        set_enabled       },
	{"on_failure",     set_on_failure    },
	{"retry_for",      set_retry_for     },
	{"on_rename",      set_on_rename     },
	{"temporary",      set_temporary     },
	{"content_type",   set_content_type  },
	{"allow_override", set_allow_override},
	{"match",          set_match         },
	{"min_size",       set_min_size      },
	{"max_size",       set_max_size      },
};

int draft_set(struct draft *d, const char *key, const char *value,
	      struct buf *why, struct buf *doubt)
{
	struct setting s = {d, value, why, doubt};
	struct suggestion near = SUGGESTION_INIT(key);

	for (size_t i = 0; i < ARRAY_LEN(setters); i++) {
		if (strcmp(setters[i].key, key) == 0)
			return setters[i].set(&s);
		suggestion_try(&near, setters[i].key);
	}
	buf_adds(why, "no such key");
	if (near.best)
		buf_addf(why, " (did you mean %s?)", near.best);
	return -EINVAL;
}
