/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include <errno.h>
#include <string.h>

#include "callback/address.h"
#include "callback/rules_int.h"
#include "callback/vars.h"
#include "util/base.h"
#include "util/codec.h"

void callback_release(struct callback *cb)
{
	free(cb->rule);
	free(cb->url);
	free(cb->host);
	free(cb->body);
	free(cb->body_type);
	free(cb->param);
	free(cb->param_vars);
	kvs_release(&cb->vars);
	*cb = (struct callback){.rule = NULL};
}

struct rendering {
	const struct rule *rule;
	const struct kvs *captures;
	const struct callback_inputs *in;
	struct callback *cb;
	struct buf *why;
};

static int refuse(const struct rendering *r, const char *what,
		  const char *reason)
{
	buf_addf(r->why, "%s: %s", what, reason);
	return -EINVAL;
}

/* ---- url and host -------------------------------------------------------- */

static int expand_url(const struct rendering *r, const char *text, char **out)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	int rc = vars_expand(text, VARS_URL, r->in, r->captures, &b);

	return rc < 0 ? rc : str_set(out, buf_str(&b));
}

static int render_address(const struct rendering *r)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;
	struct addresses found;
	const char *wrong;
	int rc;

	if (!r->rule->url)
		return refuse(r, "url", "there is none");
	rc = expand_url(r, r->rule->url, &r->cb->url);
	if (rc < 0)
		return rc;
	rc = addresses_check(r->cb->url, &found, &why, &doubt);
	if (rc < 0)
		return rc == -EINVAL ? refuse(r, "url", buf_str(&why)) : rc;
	r->cb->url_count = found.count;
	if (!r->rule->host)
		return 0;
	rc = expand_url(r, r->rule->host, &r->cb->host);
	if (rc < 0)
		return rc;
	wrong = host_check(r->cb->host);
	return wrong ? refuse(r, "host", wrong) : 0;
}

/* ---- variables ----------------------------------------------------------- */

static int set_var(const struct rendering *r, const char *name,
		   const char *value)
{
	AUTO_FREE char *full = str_printf("x:%s", name);

	if (!full)
		return -ENOMEM;
	if (!utf8_is_valid(value, strlen(value)))
		return refuse(r, full, "the value is not UTF-8 text");
	return kvs_set(&r->cb->vars, full, value);
}

static bool has_var(const struct rendering *r, const char *name)
{
	for (size_t i = 0; i < r->cb->vars.count; i++)
		if (strcmp(r->cb->vars.items[i].name + 2, name) == 0)
			return true;
	return false;
}

static int rule_vars(const struct rendering *r)
{
	const struct kvs *vars = &r->rule->vars;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < vars->count; i++) {
		AUTO(buf_release) struct buf b = BUF_INIT;

		rc = vars_expand(vars->items[i].value, VARS_VALUE, r->in,
				 r->captures, &b);
		if (rc == 0)
			rc = set_var(r, vars->items[i].name, buf_str(&b));
	}
	return rc;
}

/* Is this the first of its name? */
static bool is_first(const struct kvs *list, size_t i)
{
	return kvs_get(list, list->items[i].name) == list->items[i].value;
}

/* The file's own before its folders', and none of the administrator's. */
static int file_vars(const struct rendering *r)
{
	const struct kvs *vars = r->in->file_vars;
	int rc = 0;

	for (size_t i = 0; rc == 0 && vars && i < vars->count; i++) {
		const struct kv *kv = &vars->items[i];
		const char *wrong = variable_name_check(kv->name);

		if (wrong)
			return refuse(r, kv->name, wrong);
		if (is_first(vars, i) && rule_allows(r->rule, kv->name))
			rc = set_var(r, kv->name, kv->value);
	}
	return rc;
}

/* OSS leaves a ${x:NAME} open that is not sent. */
static int missing_vars(const struct rendering *r)
{
	AUTO(template_release) struct template t = {NULL, 0};
	int rc = template_parse(r->rule->body, &t, r->why);

	for (size_t i = 0; rc == 0 && i < t.count; i++)
		if (t.pieces[i].kind == PIECE_CUSTOM &&
		    !has_var(r, t.pieces[i].text))
			rc = set_var(r, t.pieces[i].text, "");
	return rc;
}

static int render_vars(const struct rendering *r)
{
	const char *id = r->in->delivery_id ? r->in->delivery_id : "";
	int rc = set_var(r, ID_VARIABLE, id);

	if (rc == 0)
		rc = rule_vars(r);
	if (rc == 0)
		rc = file_vars(r);
	return rc < 0 ? rc : missing_vars(r);
}

/* ---- the headers --------------------------------------------------------- */

/* Takes the object. @return heap base64; NULL: no memory */
static char *encode(json_t *object)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	if (!text)
		return NULL;
	base64_encode(&b, text, strlen(text));
	free(text);
	return buf_detach(&b);
}

static int member(json_t *object, const char *name, const char *value)
{
	return value ? json_object_set_new(object, name, json_string(value))
		     : 0;
}

static int encode_param(struct callback *cb)
{
	json_t *o = json_object();
	int bad = 0;

	bad |= member(o, "callbackUrl", cb->url);
	bad |= member(o, "callbackHost", cb->host);
	bad |= member(o, "callbackBody", cb->body);
	bad |= member(o, "callbackBodyType", cb->body_type);
	if (cb->has_sni)
		bad |= json_object_set_new(o, "callbackSNI",
					   json_boolean(cb->sni));
	if (bad) {
		json_decref(o);
		return -ENOMEM;
	}
	cb->param = encode(o);
	return cb->param ? 0 : -ENOMEM;
}

static int encode_vars(struct callback *cb)
{
	json_t *o = json_object();

	for (size_t i = 0; i < cb->vars.count; i++) {
		if (member(o, cb->vars.items[i].name,
			   cb->vars.items[i].value)) {
			json_decref(o);
			return -ENOMEM;
		}
	}
	cb->param_vars = encode(o);
	return cb->param_vars ? 0 : -ENOMEM;
}

static int check_param_size(const struct rendering *r)
{
	const struct callback *cb = r->cb;
	size_t len = strlen(cb->param);
	bool is_url = strlen(cb->url) > strlen(cb->body);

	if (len <= CALLBACK_HEADER_MAX)
		return 0;
	buf_addf(
		r->why,
		"%s: the callback is %zu bytes of base64, OSS takes %d; shorten %s (%zu bytes)",
		is_url ? "url" : "body", len, CALLBACK_HEADER_MAX,
		is_url ? "url" : "body",
		is_url ? strlen(cb->url) : strlen(cb->body));
	return -E2BIG;
}

static int check_vars_size(const struct rendering *r)
{
	size_t len = strlen(r->cb->param_vars), longest = 0;
	const struct kv *worst = &r->cb->vars.items[0];

	if (len <= CALLBACK_HEADER_MAX)
		return 0;
	for (size_t i = 0; i < r->cb->vars.count; i++) {
		const struct kv *kv = &r->cb->vars.items[i];

		if (strlen(kv->value) > longest) {
			worst = kv;
			longest = strlen(kv->value);
		}
	}
	buf_addf(
		r->why,
		"%s: the variables are %zu bytes of base64, OSS takes %d; shorten this one (%zu bytes)",
		worst->name, len, CALLBACK_HEADER_MAX, longest);
	return -E2BIG;
}

static int copy_rule(struct rendering *r)
{
	struct callback *cb = r->cb;

	cb->has_sni = r->rule->has_sni;
	cb->sni = r->rule->sni;
	if (str_set(&cb->rule, r->rule->name) < 0 ||
	    str_set(&cb->body, r->rule->body) < 0 ||
	    str_set(&cb->body_type, r->rule->body_type) < 0)
		return -ENOMEM;
	return 0;
}

static int render(struct rendering *r)
{
	int rc = copy_rule(r);

	if (rc == 0)
		rc = render_address(r);
	if (rc == 0)
		rc = render_vars(r);
	if (rc == 0)
		rc = encode_param(r->cb);
	if (rc == 0)
		rc = encode_vars(r->cb);
	if (rc == 0)
		rc = check_param_size(r);
	return rc < 0 ? rc : check_vars_size(r);
}

int callback_render(const struct rule *rule, const struct kvs *captures,
		    const struct callback_inputs *in, struct callback *out,
		    char **why)
{
	AUTO(buf_release) struct buf reason = BUF_INIT;
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	struct rendering r = {rule, captures, in, &cb, &reason};
	int rc = render(&r);

	if (rc == 0) {
		*out = cb;
		cb = (struct callback){.rule = NULL};
		return 0;
	}
	if (rc != -ENOMEM)
		*why = buf_detach(&reason);
	return rc;
}

int callback_encode(struct callback *cb)
{
	int rc;

	free(cb->param);
	free(cb->param_vars);
	cb->param = cb->param_vars = NULL;
	rc = encode_param(cb);
	if (rc == 0)
		rc = encode_vars(cb);
	if (rc == 0 && (strlen(cb->param) > CALLBACK_HEADER_MAX ||
			strlen(cb->param_vars) > CALLBACK_HEADER_MAX))
		rc = -E2BIG;
	return rc;
}

/* ---- samples ------------------------------------------------------------- */

struct sampling {
	const struct callback *cb;
	const struct kvs *system;
};

static const char *sample(void *arg, enum piece_kind kind, const char *name)
{
	const struct sampling *s = arg;

	if (kind == PIECE_SYSTEM)
		return s->system ? kvs_get(s->system, name) : NULL;
	for (size_t i = 0; i < s->cb->vars.count; i++)
		if (strcmp(s->cb->vars.items[i].name + 2, name) == 0)
			return s->cb->vars.items[i].value;
	return NULL;
}

int callback_sample_body(const struct callback *cb, const struct kvs *system,
			 struct buf *out)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(template_release) struct template t = {NULL, 0};
	struct sampling s = {cb, system};
	enum template_type type;
	int rc = template_type_parse(cb->body_type, &type);

	if (rc == 0)
		rc = template_parse(cb->body, &t, &why);
	return rc < 0 ? rc : template_fill(&t, type, sample, &s, out);
}
