/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "config/conf_int.h"
#include "config/values.h"

struct complaint_at conf_at(const struct conf *c, int line, const char *section,
			    const char *key)
{
	struct complaint_at at = {.section = section, .key = key};

	if (line > 0 || (line == 0 && c->origin->file)) {
		at.file = c->origin->file;
		at.line = line;
	}
	return at;
}

static size_t key_index(const char *section, const char *key)
{
	for (size_t i = 0; i < schema_count(); i++)
		if (strcmp(schema_at(i)->section, section) == 0 &&
		    strcmp(schema_at(i)->key, key) == 0)
			return i;
	return schema_count();
}

int conf_line(const struct conf *c, const char *section, const char *key)
{
	size_t i = key_index(section, key);

	return i < schema_count() ? c->origin->lines[i] : 0;
}

static void set_plain(struct conf *c, const struct conf_setting *s,
		      const struct complaint_at *at, struct complaints *l)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	size_t i = key_index(s->section->name, s->key);
	const struct schema_key *k;
	int *line, rc;

	if (i == schema_count()) {
		section_unknown_key(s->section->name, s->key, &why);
		complain(l, at, NULL, "%s", buf_str(&why));
		return;
	}
	k = schema_at(i);
	line = &c->origin->lines[i];
	if (s->line > 0 && *line > 0) {
		complain(l, at, NULL,
			 "given twice, first in line %d; remove one", *line);
		return;
	}
	rc = value_set(k, c, s->value, s->line > 0 ? c->origin->dir : NULL,
		       &why);
	if (rc == -ENOMEM)
		complain(l, at, NULL, "out of memory");
	else if (rc < 0)
		complain(l, at, k->type == SCHEMA_SECRET ? NULL : s->value,
			 "%s", buf_str(&why));
	else
		*line = s->line > 0 ? s->line : ORIGIN_OPTION;
}

void conf_set(struct conf *c, const struct conf_setting *s,
	      struct complaints *l)
{
	struct complaint_at at = conf_at(
		c, s->line > 0 ? s->line : ORIGIN_OPTION, s->shown, s->key);

	if (s->section->kind == SECTION_PLAIN)
		set_plain(c, s, &at, l);
	else
		callback_set(c, s, l);
}
