/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/body.h"

#include <jansson.h>

#include <errno.h>
#include <string.h>

#include "callback/vars.h"
#include "util/base.h"
#include "util/log.h"

static void add_doubt(struct buf *doubt, const char *text)
{
	buf_addf(doubt, "%s%s", doubt->len ? "; " : "", text);
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\r\n");
}

static bool is_json(const char *text, json_error_t *error)
{
	json_t *root = json_loads(text, JSON_DECODE_ANY, error);
	bool is = root != NULL;

	json_decref(root);
	return is;
}

/* Why it is not JSON, most likely. */
static void add_remedy(const char *body, const char *error, struct buf *why)
{
	const char *first = skip_blanks(body);

	if (strstr(body, " ;") && strstr(error, "end of file expected"))
		buf_adds(
			why,
			"a comment behind a body is part of it; write the comment on a line of its own");
	else if (*first != '{' && *first != '[' && strchr(body, '='))
		buf_adds(
			why,
			"it looks like a form; write body_type = application/x-www-form-urlencoded, or JSON like {\"object\":${object}}");
	else
		buf_adds(
			why,
			"write JSON with variables outside quotes (OSS adds them), like {\"object\":${object},\"size\":${size}}");
}

static int check_json(const struct template *t, const char *body,
		      struct buf *why)
{
	AUTO(buf_release) struct buf filled = BUF_INIT;
	json_error_t error;
	char shown[160];
	int rc =
		template_fill(t, TEMPLATE_JSON, template_sample, NULL, &filled);

	if (rc < 0 || is_json(buf_str(&filled), &error))
		return rc;
	buf_addf(why, "not JSON once its variables are filled in: %s; ",
		 log_quote(shown, sizeof(shown), error.text));
	add_remedy(body, error.text, why);
	return -EINVAL;
}

/* What the protocol page calls unverified (3.5). */
static void doubt_json(const struct template *t, struct buf *doubt)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct piece *p = &t->pieces[i];
		const char *x = p->kind == PIECE_CUSTOM ? "x:" : "";

		if (p->kind == PIECE_TEXT)
			continue;
		if (p->in_quotes && p->value != VALUE_NUMBER)
			buf_addf(
				doubt,
				"%s${%s%s} stands inside quotes, and OSS may add quotes of its own: write it without",
				doubt->len ? "; " : "", x, p->text);
		else if (!p->in_quotes && p->value == VALUE_NUMBER &&
			 p->may_be_empty)
			buf_addf(
				doubt,
				"%s${%s} is empty for files that are no pictures, and the body may then not be JSON: write \"${%s}\" in quotes",
				doubt->len ? "; " : "", p->text, p->text);
	}
}

static int doubt_form(const struct template *t, const char *body,
		      struct buf *doubt)
{
	AUTO(buf_release) struct buf filled = BUF_INIT;
	const char *first = skip_blanks(body);
	json_error_t error;
	int rc;

	if (strstr(body, " ;"))
		add_doubt(
			doubt,
			"\" ;\" is part of the body: comments stand on lines of their own");
	if (*first != '{' && *first != '[')
		return 0;
	rc = template_fill(t, TEMPLATE_JSON, template_sample, NULL, &filled);
	if (rc == 0 && is_json(buf_str(&filled), &error))
		add_doubt(
			doubt,
			"it looks like JSON, but is filled in as a form: write body_type = application/json");
	return rc;
}

int body_check(const char *body, enum template_type type, struct buf *why,
	       struct buf *doubt)
{
	AUTO(template_release) struct template t = {NULL, 0};
	int rc;

	if (!*skip_blanks(body)) {
		buf_adds(
			why,
			"the body is empty (0007-00000011); write a template, or remove the line");
		return -EINVAL;
	}
	rc = template_parse(body, &t, why);
	if (rc < 0)
		return rc;
	if (vars_present(body)) {
		buf_adds(
			why,
			"%{...} is not filled in here; give it to a variable in [callback.vars] (NAME = %{...}) and write ${x:NAME}");
		return -EINVAL;
	}
	if (type == TEMPLATE_FORM)
		return doubt_form(&t, body, doubt);
	rc = check_json(&t, body, why);
	if (rc == 0)
		doubt_json(&t, doubt);
	return rc;
}

bool body_uses(const char *body, const char *name)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(template_release) struct template t = {NULL, 0};

	if (template_parse(body, &t, &why) < 0)
		return false;
	for (size_t i = 0; i < t.count; i++)
		if (t.pieces[i].kind == PIECE_CUSTOM &&
		    strcmp(t.pieces[i].text, name) == 0)
			return true;
	return false;
}
