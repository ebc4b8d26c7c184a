/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "callback/body.h"
#include "callback/capture.h"
#include "callback/rules_int.h"
#include "callback/vars.h"
#include "util/base.h"
#include "util/glob.h"
#include "util/uuid.h"

struct builder {
	struct complaints errors;
	struct complaints warnings;
	const struct rule_text *text; /* the section at hand */
	struct draft *d;
	char shown[80];      /* callback "NAME" */
	char shown_vars[80]; /* callback.vars "NAME" */
	bool no_memory;
};

/* ---- where it stands ----------------------------------------------------- */

static size_t key_index(const struct builder *b, const char *key)
{
	size_t i = 0;

	while (i < b->text->keys->count &&
	       strcmp(b->text->keys->items[i].name, key) != 0)
		i++;
	return i;
}

/* -1: not in the section; 0: an option. */
static int line_of(const struct builder *b, const char *key)
{
	size_t i = key_index(b, key);

	if (i == b->text->keys->count)
		return -1;
	return b->text->key_lines ? b->text->key_lines[i] : 0;
}

static bool given(const struct builder *b, const char *key)
{
	return line_of(b, key) >= 0;
}

/* A key of the section, or the section when the key is not in it. */
static struct complaint_at at_key(const struct builder *b, const char *key)
{
	struct complaint_at at = {.section = b->shown, .line = line_of(b, key)};

	if (at.line < 0) {
		at.line = b->text->line;
		at.file = b->text->file;
		return at;
	}
	/* the section's own text: the caller's may not live as long */
	at.key = b->text->keys->items[key_index(b, key)].name;
	at.file = at.line > 0 ? b->text->file : NULL;
	return at;
}

static struct complaint_at at_var(const struct builder *b, size_t i)
{
	struct complaint_at at = {
		.section = b->shown_vars,
		.key = b->text->vars->items[i].name,
		.line = b->text->var_lines ? b->text->var_lines[i] : 0,
	};

	at.file = at.line > 0 ? b->text->file : NULL;
	return at;
}

/* What came of a check: an error, a warning, or nothing. */
static void report(struct builder *b, int rc, const struct complaint_at *at,
		   const char *value, struct buf *why, struct buf *doubt)
{
	if (rc == -ENOMEM || buf_error(why) < 0)
		b->no_memory = true;
	else if (rc < 0)
		complain(&b->errors, at, value, "%s", buf_str(why));
	else if (doubt->len > 0)
		complain(&b->warnings, at, value, "%s", buf_str(doubt));
	buf_reset(why);
	buf_reset(doubt);
}

/* ---- one section --------------------------------------------------------- */

static const char *const for_rules[] = {"match", "min_size", "max_size"};

static void check_default_keys(struct builder *b)
{
	for (size_t i = 0; i < ARRAY_LEN(for_rules); i++) {
		struct complaint_at at = at_key(b, for_rules[i]);

		if (!b->text->name && given(b, for_rules[i]))
			complain(
				&b->errors, &at, NULL,
				"belongs into a rule; write [callback \"NAME\"] with it, and enabled = false here if other files shall have no callback");
	}
}

static void take_keys(struct builder *b)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;
	const struct kvs *keys = b->text->keys;

	for (size_t i = 0; i < keys->count; i++) {
		const struct kv *kv = &keys->items[i];
		struct complaint_at at = at_key(b, kv->name);
		int rc = draft_set(b->d, kv->name, kv->value, &why, &doubt);

		/* the body is judged when its type is known */
		report(b, rc, &at, kv->value, &why, &doubt);
	}
}

static int check_var(const struct kv *kv, const struct kvs *captures,
		     struct buf *why, struct buf *doubt)
{
	const char *wrong = variable_name_check(kv->name);

	if (!wrong && strcmp(kv->name, ID_VARIABLE) == 0)
		wrong = "it is always the delivery id";
	if (wrong) {
		buf_addf(why, "%s; write another name", wrong);
		return -EINVAL;
	}
	if (strstr(kv->value, "${")) {
		buf_adds(
			why,
			"OSS fills ${...} into the body alone; write %{...}, which ackfs fills in");
		return -EINVAL;
	}
	return vars_check(kv->value, VARS_VALUE, captures, why, doubt);
}

static void take_vars(struct builder *b, const struct kvs *captures)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;
	const struct kvs *vars = b->text->vars;

	for (size_t i = 0; vars && i < vars->count; i++) {
		const struct kv *kv = &vars->items[i];
		struct complaint_at at = at_var(b, i);
		int rc = check_var(kv, captures, &why, &doubt);

		report(b, rc, &at, kv->value, &why, &doubt);
		if (rc == 0 &&
		    kvs_set(&b->d->rule.vars, kv->name, kv->value) < 0)
			b->no_memory = true;
	}
}

/* %{...} of url and host, which need the rule's captures. */
static void check_expansions(struct builder *b, const struct kvs *captures)
{
	static const char *const expanded[] = {"url", "host"};
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(expanded); i++) {
		struct complaint_at at = at_key(b, expanded[i]);
		const char *value = kvs_get(b->text->keys, expanded[i]);
		int rc;

		if (!value)
			continue;
		rc = vars_check(value, VARS_URL, captures, &why, &doubt);
		report(b, rc, &at, value, &why, &doubt);
	}
}

static void check_body(struct builder *b)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;
	struct rule *r = &b->d->rule;
	struct complaint_at at =
		at_key(b, given(b, "body") ? "body" : "body_type");
	int rc;

	if (!b->d->body_given &&
	    str_set(&r->body, template_default(b->d->type)) < 0)
		b->no_memory = true;
	if (str_set(&r->body_type, template_type_name(b->d->type)) < 0)
		b->no_memory = true;
	if (b->no_memory || (!given(b, "body") && !given(b, "body_type")))
		return;
	rc = body_check(r->body, b->d->type, &why, &doubt);
	report(b, rc, &at, r->body, &why, &doubt);
}

/* Variables that no body names never reach the application. */
static void check_unused(struct builder *b)
{
	const struct kvs *vars = b->text->vars;
	const struct rule *r = &b->d->rule;

	for (size_t i = 0; vars && r->enabled && i < vars->count; i++) {
		struct complaint_at at = at_var(b, i);
		const char *name = vars->items[i].name;

		if (!variable_name_check(name) && !body_uses(r->body, name))
			complain(
				&b->warnings, &at, NULL,
				"the body has no ${x:%s}, so the application will not see it",
				name);
	}
}

static void check_whole(struct builder *b)
{
	struct rule *r = &b->d->rule;
	bool is_rule = b->text->name != NULL;
	struct complaint_at at = at_key(b, "");

	if (r->enabled && !r->url && !given(b, "url"))
		complain(
			&b->errors, &at, NULL,
			is_rule ? "has no url; write url = https://HOST/PATH here or in [callback], or enabled = false"
				: "has no url; write url = https://HOST/PATH, or enabled = false (and enabled = true in rules that have one)");
	if (is_rule && !given(b, "match") && !given(b, "min_size") &&
	    !given(b, "max_size"))
		complain(
			&b->errors, &at, NULL,
			"has no match; write match = GLOBS (** for every path)");
	at = at_key(b, "max_size");
	if (r->max_size && r->min_size > r->max_size)
		complain(&b->errors, &at, NULL,
			 "less than min_size; no file is so");
}

/* The key or variable that callback_render() blames in front of its reason. */
static struct complaint_at at_culprit(const struct builder *b, const char *why,
				      const char **reason)
{
	const struct kvs *vars = b->text->vars;
	const char *name = why + (strncmp(why, "x:", 2) == 0 ? 2 : 0);
	AUTO_FREE char *blamed = strndup(name, strcspn(name, ":"));

	*reason = why;
	if (blamed && name == why && given(b, blamed)) {
		*reason = name + strlen(blamed) + 2;
		return at_key(b, blamed);
	}
	for (size_t i = 0; blamed && name > why && vars && i < vars->count;
	     i++) {
		if (strcmp(vars->items[i].name, blamed) == 0) {
			*reason = name + strlen(blamed) + 2;
			return at_var(b, i);
		}
	}
	return at_key(b, "");
}

/* A header that is too long whatever the file is called. */
static void check_limits(struct builder *b)
{
	static const char id[] = "00000000-0000-4000-8000-000000000000";
	static const struct callback_inputs least = {
		.path = "x",
		.key = "x",
		.bucket = "xxx",
		.mount = "/",
		.host = "x",
		.process = "x",
		.user = "x",
		.delivery_id = id,
		.previous_delivery_id = "",
	};
	_Static_assert(sizeof(id) == UUID_LEN, "an id has a UUID's length");
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO_FREE char *why = NULL;
	struct complaint_at at;
	const char *reason;
	int rc;

	if (!b->d->rule.enabled || b->errors.count > 0)
		return;
	rc = callback_render(&b->d->rule, NULL, &least, &cb, &why);
	if (rc == -ENOMEM || (rc == -E2BIG && !why))
		b->no_memory = true;
	if (rc != -E2BIG || !why)
		return;
	at = at_culprit(b, why, &reason);
	complain(&b->errors, &at, NULL, "%s", reason);
}

static void default_sni(struct draft *d)
{
	if (d->sni_given) {
		d->rule.has_sni = true;
	} else {
		d->rule.has_sni = d->any_https;
		d->rule.sni = d->any_https;
	}
}

static void show_names(struct builder *b)
{
	const char *name = b->text->name;

	snprintf(b->shown, sizeof(b->shown),
		 name ? "callback \"%s\"" : "callback", name);
	snprintf(b->shown_vars, sizeof(b->shown_vars),
		 name ? "callback.vars \"%s\"" : "callback.vars", name);
}

/* The draft holds what it inherits; the section's text is added. */
static void build(struct builder *b, const struct rule_text *text,
		  struct draft *d)
{
	AUTO(kvs_release) struct kvs captures = KVS_INIT;
	AUTO(buf_release) struct buf why = BUF_INIT;

	b->text = text;
	b->d = d;
	show_names(b);
	check_default_keys(b);
	take_keys(b);
	if (d->rule.match && capture_names(d->rule.match, &captures, &why) < 0)
		b->no_memory = true;
	take_vars(b, &captures);
	check_expansions(b, &captures);
	default_sni(d);
	check_body(b);
	if (b->no_memory)
		return;
	check_whole(b);
	check_unused(b);
	check_limits(b);
}

/* ---- all sections -------------------------------------------------------- */

static int compile_globs(struct rule *r)
{
	int rc = globs_new(r->temporary, &r->is_temporary);

	return rc < 0 || !r->match ? rc : globs_new(r->match, &r->matches);
}

static void build_rule(struct builder *b, const struct rule_text *text,
		       const struct draft *base, struct rules *r)
{
	struct draft d;

	if (draft_inherit(&d, base, text->name) < 0) {
		b->no_memory = true;
		return;
	}
	build(b, text, &d);
	r->items[r->count++] = d.rule;
}

static int build_all(struct builder *b, const struct rule_text *sections,
		     size_t count, struct rules *r)
{
	struct draft base;
	size_t first = count > 0 && !sections[0].name ? 1 : 0;

	r->exist = count > 0;
	r->items = calloc(count + 1, sizeof(*r->items));
	if (!r->items || draft_init(&base, first ? "default" : "none") < 0)
		return -ENOMEM;
	if (first)
		build(b, &sections[0], &base);
	for (size_t i = first; i < count && !b->no_memory; i++)
		build_rule(b, &sections[i], &base, r);
	if (!first)
		base.rule.enabled = false;
	r->fallback = base.rule;
	return b->no_memory ? -ENOMEM : 0;
}

int rules_new(const struct rule_text *sections, size_t count,
	      struct rules **out, char **why, char **warnings)
{
	struct builder b = {.errors = COMPLAINTS_INIT,
			    .warnings = COMPLAINTS_INIT};
	struct rules *r = calloc(1, sizeof(*r));
	int rc = r ? build_all(&b, sections, count, r) : -ENOMEM;

	if (rc == 0)
		rc = complaints_error(&b.errors);
	if (rc == 0)
		rc = compile_globs(&r->fallback);
	for (size_t i = 0; rc == 0 && i < r->count; i++)
		rc = compile_globs(&r->items[i]);
	if (rc == -EINVAL)
		*why = complaints_take(&b.errors);
	if (rc != -ENOMEM)
		*warnings = complaints_take(&b.warnings);
	if (rc == 0)
		*out = r;
	else
		rules_free(r);
	complaints_release(&b.errors);
	complaints_release(&b.warnings);
	return rc;
}
