/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/conf_int.h"
#include "util/suggest.h"

static bool is_rule_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == '"' ||
		    name[i] == 0x7f)
			return false;
	return len > 0;
}

/* "NAME" behind [callback or [callback.vars */
static int parse_rule(const char *base, const char *rest,
		      struct section_id *out, struct buf *why)
{
	size_t len = strlen(rest);

	if (len == 0) {
		out->name[0] = '\0';
		return 0;
	}
	if (len < 2 || rest[0] != '"' || rest[len - 1] != '"' ||
	    !is_rule_name(rest + 1, len - 2)) {
		buf_addf(
			why,
			"a rule's name stands in double quotes; write [%s \"NAME\"]",
			base);
		return -EINVAL;
	}
	snprintf(out->name, sizeof(out->name), "%.*s", (int)(len - 2),
		 rest + 1);
	if (strcmp(out->name, "default") == 0 ||
	    strcmp(out->name, "none") == 0) {
		buf_addf(why, "the name %s is taken; write another", out->name);
		return -EINVAL;
	}
	return 0;
}

static int unknown_section(const char *text, struct buf *why)
{
	struct suggestion near = SUGGESTION_INIT(text);

	if (strncmp(text, "callback.", 9) == 0 &&
	    strncmp(text, "callback.var", 12) != 0 && text[9]) {
		buf_addf(why,
			 "no such section (did you mean [callback \"%s\"]?)",
			 text + 9);
		return -EINVAL;
	}
	for (size_t i = 0; schema_section(i); i++)
		suggestion_try(&near, schema_section(i));
	buf_adds(why, "no such section");
	if (near.best) {
		buf_addf(why, " (did you mean [%s]?)", near.best);
		return -EINVAL;
	}
	buf_adds(why, "; write one of");
	for (size_t i = 0; schema_section(i); i++)
		buf_addf(why, " [%s]", schema_section(i));
	return -EINVAL;
}

int section_parse(const char *text, struct section_id *out, struct buf *why)
{
	size_t len = strcspn(text, " \t\"");
	char base[INIFILE_SECTION_MAX + 1];
	const char *rest = text + len + strspn(text + len, " \t");

	if (strlen(text) > INIFILE_SECTION_MAX)
		return unknown_section(text, why);
	snprintf(base, sizeof(base), "%.*s", (int)len, text);
	if (strcmp(base, "callback") == 0) {
		out->kind = SECTION_CALLBACK;
		return parse_rule(base, rest, out, why);
	}
	if (strcmp(base, "callback.vars") == 0) {
		out->kind = SECTION_VARS;
		return parse_rule(base, rest, out, why);
	}
	for (size_t i = 0; schema_section(i); i++) {
		if (strcmp(text, schema_section(i)) == 0) {
			out->kind = SECTION_PLAIN;
			snprintf(out->name, sizeof(out->name), "%s", text);
			return 0;
		}
	}
	return unknown_section(*rest ? base : text, why);
}

/* The section where a key of this name is, when another has it. */
static const char *section_with(const char *key)
{
	for (size_t i = 0; i < schema_count(); i++)
		if (strcmp(schema_at(i)->key, key) == 0)
			return schema_at(i)->section;
	return NULL;
}

/* callbackBodyType, as OSS spells it, and the like. */
static const char *without_callback(const char *key)
{
	const char *back = strcasestr(key, "back");

	if (!back || back - key > 4 || !back[4])
		return key;
	back += 4;
	return back + strspn(back, "_-");
}

void section_unknown_key(const char *section, const char *key, struct buf *why)
{
	bool is_callback = strncmp(section, "callback", 8) == 0;
	struct suggestion near =
		SUGGESTION_INIT(is_callback ? without_callback(key) : key);
	const char *elsewhere = section_with(key);
	const char *sep = "";

	buf_adds(why, "no such key");
	if (is_callback && strncmp(key, "x:", 2) == 0) {
		buf_adds(why, "; variables stand in [callback.vars]");
		return;
	}
	if (elsewhere) {
		buf_addf(why, " (it is one of [%s])", elsewhere);
		return;
	}
	for (size_t i = 0; i < schema_count(); i++)
		if (strcmp(schema_at(i)->section, section) == 0)
			suggestion_try(&near, schema_at(i)->key);
	if (near.best) {
		buf_addf(why, " (did you mean %s?)", near.best);
		return;
	}
	buf_adds(why, "; write one of ");
	for (size_t i = 0; i < schema_count(); i++) {
		if (strcmp(schema_at(i)->section, section) != 0)
			continue;
		buf_addf(why, "%s%s", sep, schema_at(i)->key);
		sep = ", ";
	}
}
