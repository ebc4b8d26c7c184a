/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Body templates with ${...}, texts with %{...}, addresses.
 *
 * Promises: a parsed template is its text again; what the checks accept can be
 * filled in and expanded; a JSON body that is accepted is JSON.
 */
#include <errno.h>
#include <jansson.h>

#include "callback/address.h"
#include "callback/body.h"
#include "callback/template.h"
#include "callback/vars.h"
#include "fuzz.h"

static void check_round_trip(const char *text, const struct template *t)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	for (size_t i = 0; i < t->count; i++) {
		const struct piece *p = &t->pieces[i];

		if (p->kind == PIECE_TEXT)
			buf_add(&b, p->text, p->len);
		else
			buf_addf(&b, "${%s%s}",
				 p->kind == PIECE_CUSTOM ? "x:" : "", p->text);
	}
	PROMISE(strcmp(buf_str(&b), text) == 0);
}

static const char *nothing(void *arg, enum piece_kind kind, const char *name)
{
	(void)arg;
	(void)kind;
	(void)name;
	return NULL;
}

static void check_template(const char *text)
{
	AUTO(template_release) struct template t = {NULL, 0};
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf form = BUF_INIT;
	AUTO(buf_release) struct buf json = BUF_INIT;

	if (template_parse(text, &t, &why) < 0) {
		PROMISE(why.len > 0);
		return;
	}
	check_round_trip(text, &t);
	PROMISE(template_fill(&t, TEMPLATE_FORM, nothing, NULL, &form) == 0);
	PROMISE(template_fill(&t, TEMPLATE_JSON, nothing, NULL, &json) == 0);
}

static void check_body(const char *text)
{
	AUTO(template_release) struct template t = {NULL, 0};
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;
	AUTO(buf_release) struct buf filled = BUF_INIT;
	json_t *root;

	(void)body_check(text, TEMPLATE_FORM, &why, &doubt);
	buf_reset(&why);
	if (body_check(text, TEMPLATE_JSON, &why, &doubt) < 0)
		return;
	PROMISE(template_parse(text, &t, &why) == 0);
	PROMISE(template_fill(&t, TEMPLATE_JSON, template_sample, NULL,
			      &filled) == 0);
	root = json_loadb(filled.data, filled.len, JSON_DECODE_ANY, NULL);
	PROMISE(root != NULL);
	json_decref(root);
}

static void check_expansion(const char *text, enum vars_place place)
{
	static char name[] = "customer", value[] = "a/b c";
	struct kv item = {name, value};
	const struct kvs captures = {&item, 1, 1};
	const struct callback_inputs in = {.path = "in/x/a b.jpg",
					   .key = "p/in/x/a b.jpg",
					   .process = "cp\xff",
					   .delivery_id = "id"};
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;
	AUTO(buf_release) struct buf out = BUF_INIT;

	if (vars_check(text, place, &captures, &why, &doubt) < 0)
		PROMISE(why.len > 0);
	else
		PROMISE(vars_expand(text, place, &in, &captures, &out) == 0);
}

static void check_addresses(const char *text)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;
	struct addresses a = {0, false};

	if (addresses_check(text, &a, &why, &doubt) < 0)
		PROMISE(why.len > 0);
	else
		PROMISE(a.count >= 1 && a.count <= ADDRESSES_MAX);
	(void)host_check(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	check_template(text);
	check_body(text);
	check_expansion(text, VARS_VALUE);
	check_expansion(text, VARS_URL);
	check_addresses(text);
	free(text);
	return 0;
}
