/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/conf_int.h"
#include "config/values.h"
#include "util/codec.h"
#include "util/fileio.h"

/* A template that fits OSS's 5 KB is shorter; more is a wrong file. */
#define TEMPLATE_MAX ((size_t)64 << 10)

void conf_callback_release(struct conf_callback *cb)
{
	free(cb->name);
	free(cb->file);
	free(cb->key_lines);
	free(cb->var_lines);
	kvs_release(&cb->keys);
	kvs_release(&cb->vars);
}

static struct conf_callback *find(struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->callback_count; i++) {
		const char *have = c->callbacks[i].name;

		if (strcmp(have ? have : "", name) == 0)
			return &c->callbacks[i];
	}
	return NULL;
}

struct conf_callback *callback_section(struct conf *c, const char *name)
{
	struct conf_callback *cb = find(c, name), *more;
	char *copy = NULL;
	size_t at;

	if (cb)
		return cb;
	copy = name[0] ? str_dup(name) : NULL;
	more = realloc(c->callbacks, (c->callback_count + 1) * sizeof(*more));
	if (more)
		c->callbacks = more;
	if (!more || (name[0] && !copy)) {
		free(copy);
		return NULL;
	}
	/* the default goes first */
	at = name[0] ? c->callback_count : 0;
	memmove(&more[at + 1], &more[at],
		(c->callback_count - at) * sizeof(*more));
	c->callback_count++;
	more[at] = (struct conf_callback){.name = copy};
	return &more[at];
}

bool callback_declare(struct conf *c, const struct section_id *id,
		      const char *shown, int line, struct complaints *l)
{
	struct complaint_at at = conf_at(c, line, shown, NULL);
	struct conf_callback *cb = callback_section(c, id->name);

	if (!cb) {
		complain(l, &at, NULL, "out of memory");
		return false;
	}
	if (id->kind != SECTION_CALLBACK) {
		if (!cb->line)
			cb->line = line;
		return true;
	}
	if (cb->declared && id->name[0]) {
		complain(l, &at, NULL,
			 "stands twice, first in line %d; rename or remove one",
			 cb->line);
		return false;
	}
	cb->declared = true;
	cb->line = line;
	if (str_set(&cb->file, c->origin->file) == 0)
		return true;
	complain(l, &at, NULL, "out of memory");
	return false;
}

/* Unlike kvs_get(), exactly: customer and Customer are two
 * mistakes, not one that is silently dropped. */
static size_t kv_index(const struct kvs *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i].name, name) == 0)
			return i;
	return l->count;
}

static int add_line(struct kvs *list, int **lines, const char *name,
		    const char *value, int line)
{
	size_t i = kv_index(list, name);
	int *more;

	if (i < list->count) {
		(*lines)[i] = line;
		return kvs_set_at(list, i, name, value);
	}
	more = realloc(*lines, (list->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	*lines = more;
	more[list->count] = line;
	return kvs_add(list, name, value);
}

static void remove_line(struct kvs *list, int *lines, const char *name)
{
	size_t i = kv_index(list, name);

	if (!list->items || i >= list->count)
		return;
	kvs_remove_at(list, i);
	memmove(&lines[i], &lines[i + 1], (list->count - i) * sizeof(*lines));
}

/* An option's template takes the place of the file's, however that is given. */
static void drop_other_body(struct conf_callback *cb, const char *key)
{
	if (strcmp(key, "body") == 0)
		remove_line(&cb->keys, cb->key_lines, "body_file");
	else if (strcmp(key, "body_file") == 0)
		remove_line(&cb->keys, cb->key_lines, "body");
}

static const char *var_name(const char *key)
{
	return strncmp(key, "x:", 2) == 0 ? key + 2 : key;
}

static void store(struct conf *c, const struct conf_setting *s,
		  struct conf_callback *cb, const struct complaint_at *at,
		  struct complaints *l)
{
	bool is_var = s->section->kind == SECTION_VARS;
	const char *name = is_var ? var_name(s->key) : s->key;
	const char *value = s->value;
	struct kvs *list = is_var ? &cb->vars : &cb->keys;
	int **lines = is_var ? &cb->var_lines : &cb->key_lines;
	AUTO_FREE char *path = NULL;
	size_t i = kv_index(list, name);

	if (s->line > 0 && i < list->count && (*lines)[i] > 0) {
		complain(l, at, NULL,
			 "given twice, first in line %d; remove one",
			 (*lines)[i]);
		return;
	}
	if (!is_var && strcmp(name, "body_file") == 0) {
		path = value_path(value, s->line > 0 ? c->origin->dir : NULL);
		value = path;
	}
	if (!is_var && s->line == 0)
		drop_other_body(cb, name);
	if (!value || add_line(list, lines, name, value, s->line) < 0)
		complain(l, at, NULL, "out of memory");
}

void callback_set(struct conf *c, const struct conf_setting *s,
		  struct complaints *l)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	struct complaint_at at = conf_at(
		c, s->line > 0 ? s->line : ORIGIN_OPTION, s->shown, s->key);
	bool is_var = s->section->kind == SECTION_VARS;
	struct conf_callback *cb;

	if (!is_var && !schema_find("callback", s->key)) {
		section_unknown_key("callback", s->key, &why);
		complain(l, &at, NULL, "%s", buf_str(&why));
		return;
	}
	if (!is_var && !s->value[0]) {
		complain(l, &at, s->value,
			 "the value is empty; write one, or remove the line");
		return;
	}
	cb = callback_section(c, s->section->name);
	if (!cb) {
		complain(l, &at, NULL, "out of memory");
		return;
	}
	if (!is_var && s->line == 0)
		cb->declared = true;
	store(c, s, cb, &at, l);
}

/* ---- finishing ----------------------------------------------------------- */

static const char *shown_section(const char *base, const char *name,
				 char out[80])
{
	snprintf(out, 80, name ? "%s \"%s\"" : "%s", base, name);
	return out;
}

static void trim_end(struct buf *b)
{
	size_t len = b->len;

	while (len > 0 && strchr(" \t\r\n", b->data[len - 1]))
		len--;
	buf_truncate(b, len);
}

/* body_file becomes body. */
static void read_template(const struct conf *c, struct conf_callback *cb,
			  struct complaints *l)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	size_t i = kv_index(&cb->keys, "body_file");
	struct complaint_at at;
	const struct kv *kv;
	char shown[80];
	int rc;

	if (i == cb->keys.count)
		return;
	kv = &cb->keys.items[i];
	at = conf_at(c, cb->key_lines[i] > 0 ? cb->key_lines[i] : ORIGIN_OPTION,
		     shown_section("callback", cb->name, shown), "body_file");
	if (kv_index(&cb->keys, "body") < cb->keys.count) {
		complain(l, &at, kv->value,
			 "body is given too; remove one of them");
		return;
	}
	rc = file_read(kv->value, TEMPLATE_MAX, &text);
	if (rc < 0) {
		complain(l, &at, kv->value, "%s; write the path of a text file",
			 rc == -EFBIG ? "longer than 64 KiB" : strerror(-rc));
		return;
	}
	trim_end(&text);
	if (text.len == 0 || memchr(text.data, '\0', text.len) ||
	    !utf8_is_valid(text.data, text.len)) {
		complain(
			l, &at, kv->value,
			"empty, or no UTF-8 text; write the path of a text file");
		return;
	}
	if (kvs_set_at(&cb->keys, i, "body", buf_str(&text)) < 0)
		complain(l, &at, NULL, "out of memory");
}

static void missing_section(const struct conf *c,
			    const struct conf_callback *cb,
			    struct complaints *l)
{
	char shown[80], wanted[80];
	struct complaint_at at =
		conf_at(c, cb->line > 0 ? cb->line : ORIGIN_OPTION,
			shown_section("callback.vars", cb->name, shown), NULL);

	shown_section("callback", cb->name, wanted);
	if (cb->name)
		complain(
			l, &at, NULL,
			"there is no section [%s] that these variables belong to; write it, or correct the name",
			wanted);
	else
		complain(
			l, &at, NULL,
			"there is no section [callback] that these variables belong to; write it (with enabled = false when rules alone make callbacks)");
}

void callback_finish(struct conf *c, struct complaints *l)
{
	for (size_t i = 0; i < c->callback_count; i++) {
		if (!c->callbacks[i].declared)
			missing_section(c, &c->callbacks[i], l);
		read_template(c, &c->callbacks[i], l);
	}
}
