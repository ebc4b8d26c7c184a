/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/template.h"

#include <jansson.h>

#include <errno.h>
#include <string.h>

#include "util/base.h"
#include "util/codec.h"
#include "util/suggest.h"

#define FORM_TYPE "application/x-www-form-urlencoded"
#define JSON_TYPE "application/json"

/* oss-protocol 3.4 */
static const struct {
	const char *name;
	enum value_kind value;
	bool may_be_empty;
	const char *sample;
} system_vars[] = {
	{"bucket",           VALUE_STRING, false, "examplebucket"                   },
	{"object",           VALUE_STRING, false, "folder/name.jpg"                 },
	{"etag",             VALUE_STRING, false, "D8E8FCA2DC0F896FD7CB4CB0031BA249"},
	{"size",             VALUE_NUMBER, false, "5"                               },
	{"mimeType",         VALUE_STRING, false, "image/jpeg"                      },
	{"imageInfo.height", VALUE_NUMBER, true,  "278"                             },
	{"imageInfo.width",  VALUE_NUMBER, true,  "200"                             },
	{"imageInfo.format", VALUE_STRING, true,  "JPG"                             },
	{"crc64",            VALUE_EITHER, false, "11051210869376104954"            },
	{"contentMd5",       VALUE_STRING, true,  "2Oj8otwPiW/Xy0ywAxuiSQ=="        },
	{"vpcId",            VALUE_STRING, true,  "1234567"                         },
	{"clientIp",         VALUE_STRING, false, "203.0.113.7"                     },
	{"reqId",            VALUE_STRING, false, "5C3D9175B6FC201293AD4890"        },
	{"operation",        VALUE_STRING, false, "PutObject"                       },
};

/* What people write for what they mean, where spelling does not tell. */
static const struct {
	const char *wrong, *right;
} mistaken[] = {
	{"filename",    "object"          },
	{"file",        "object"          },
	{"name",        "object"          },
	{"key",         "object"          },
	{"path",        "object"          },
	{"contentType", "mimeType"        },
	{"type",        "mimeType"        },
	{"length",      "size"            },
	{"width",       "imageInfo.width" },
	{"height",      "imageInfo.height"},
	{"format",      "imageInfo.format"},
	{"md5",         "contentMd5"      },
	{"requestId",   "reqId"           },
	{"ip",          "clientIp"        },
};

int template_type_parse(const char *text, enum template_type *out)
{
	if (strcmp(text, FORM_TYPE) == 0)
		*out = TEMPLATE_FORM;
	else if (strcmp(text, JSON_TYPE) == 0)
		*out = TEMPLATE_JSON;
	else
		return -EINVAL;
	return 0;
}

const char *template_type_name(enum template_type type)
{
	return type == TEMPLATE_JSON ? JSON_TYPE : FORM_TYPE;
}

const char *template_default(enum template_type type)
{
	if (type == TEMPLATE_JSON)
		return "{\"bucket\":${bucket},\"object\":${object},"
		       "\"etag\":${etag},\"size\":${size},"
		       "\"mimeType\":${mimeType},\"id\":${x:ackfs_id}}";
	return "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}"
	       "&mimeType=${mimeType}&id=${x:ackfs_id}";
}

const char *variable_name_check(const char *name)
{
	size_t len = strlen(name);

	if (len == 0)
		return "the name is empty";
	if (len > 64)
		return "the name is longer than 64 bytes";
	if (!utf8_is_valid(name, len))
		return "the name is not UTF-8";
	for (; *name; name++) {
		if (*name >= 'A' && *name <= 'Z')
			return "OSS wants lower-case names";
		if ((unsigned char)*name <= ' ' || *name == 0x7f ||
		    strchr("{}$%\"\\&=,;:", *name))
			return "the name holds a blank or one of {}$%\"\\&=,;:";
	}
	return NULL;
}

/* ---- parsing ------------------------------------------------------------- */

struct parser {
	struct template *t;
	struct buf *why;
	bool in_quotes, escaped; /* as a JSON text */
};

static int add_piece(struct parser *p, const struct piece *piece,
		     const char *text, size_t len)
{
	struct piece *more =
		realloc(p->t->pieces, (p->t->count + 1) * sizeof(*more));
	char *copy = strndup(text, len);

	if (more)
		p->t->pieces = more;
	if (!more || !copy) {
		free(copy);
		return -ENOMEM;
	}
	more[p->t->count] = *piece;
	more[p->t->count].text = copy;
	more[p->t->count].len = len;
	p->t->count++;
	return 0;
}

static int add_text(struct parser *p, const char *text, size_t len)
{
	struct piece piece = {.kind = PIECE_TEXT};

	for (size_t i = 0; i < len; i++) {
		if (p->escaped)
			p->escaped = false;
		else if (text[i] == '\\')
			p->escaped = p->in_quotes;
		else if (text[i] == '"')
			p->in_quotes = !p->in_quotes;
	}
	return len > 0 ? add_piece(p, &piece, text, len) : 0;
}

static const char *meant(const char *name)
{
	struct suggestion near = SUGGESTION_INIT(name);

	for (size_t i = 0; i < ARRAY_LEN(mistaken); i++)
		if (strcmp(mistaken[i].wrong, name) == 0)
			return mistaken[i].right;
	for (size_t i = 0; i < ARRAY_LEN(system_vars); i++)
		suggestion_try(&near, system_vars[i].name);
	return near.best;
}

static int unknown_variable(struct parser *p, const char *name)
{
	const char *near = meant(name);

	buf_addf(p->why, "${%s} is no variable of OSS", name);
	if (near)
		buf_addf(p->why, " (did you mean ${%s}?)", near);
	buf_adds(p->why, "; write ${x:NAME} for one of your own, or one of");
	for (size_t i = 0; i < ARRAY_LEN(system_vars); i++)
		buf_addf(p->why, " %s", system_vars[i].name);
	return -EINVAL;
}

static int add_custom(struct parser *p, const char *name)
{
	struct piece piece = {.kind = PIECE_CUSTOM,
			      .value = VALUE_STRING,
			      .in_quotes = p->in_quotes};
	const char *wrong = variable_name_check(name);

	if (!wrong)
		return add_piece(p, &piece, name, strlen(name));
	buf_addf(p->why, "${x:%s}: %s; write ${x:name}", name, wrong);
	return -EINVAL;
}

static int add_variable(struct parser *p, const char *text, size_t len)
{
	AUTO_FREE char *name = strndup(text, len);
	struct piece piece = {.kind = PIECE_SYSTEM, .in_quotes = p->in_quotes};

	if (!name)
		return -ENOMEM;
	if (strncmp(name, "x:", 2) == 0)
		return add_custom(p, name + 2);
	for (size_t i = 0; i < ARRAY_LEN(system_vars); i++) {
		if (strcmp(name, system_vars[i].name) != 0)
			continue;
		piece.value = system_vars[i].value;
		piece.may_be_empty = system_vars[i].may_be_empty;
		return add_piece(p, &piece, name, len);
	}
	return unknown_variable(p, name);
}

static int refuse(struct parser *p, const char *reason)
{
	buf_adds(p->why, reason);
	return -EINVAL;
}

/* One ${...} at text. @return its length or -errno */
static int take_variable(struct parser *p, const char *text)
{
	const char *end = text + strcspn(text, "}");
	size_t len = (size_t)(end - text - 2);
	int rc;

	if (!*end)
		return refuse(p, "a ${ without its }; write ${NAME}");
	if (len == 0)
		return refuse(p, "${} without a name; write ${NAME}");
	rc = add_variable(p, text + 2, len);
	return rc < 0 ? rc : (int)(len + 3);
}

static int parse_all(struct parser *p, const char *text)
{
	int rc;

	for (;;) {
		size_t len = 0;

		while (text[len] &&
		       !(text[len] == '$' &&
			 (text[len + 1] == '{' || text[len + 1] == '(')))
			len++;
		rc = add_text(p, text, len);
		if (rc < 0 || !text[len])
			return rc;
		text += len;
		if (text[1] == '(')
			return refuse(
				p, "$(NAME) is refused by OSS; write ${NAME}");
		rc = take_variable(p, text);
		if (rc < 0)
			return rc;
		text += rc;
	}
}

int template_parse(const char *text, struct template *out, struct buf *why)
{
	struct template t = {NULL, 0};
	struct parser p = {.t = &t, .why = why};
	int rc = parse_all(&p, text);

	if (rc < 0)
		template_release(&t);
	else
		*out = t;
	return rc;
}

void template_release(struct template *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->pieces[i].text);
	free(t->pieces);
	t->pieces = NULL;
	t->count = 0;
}

/* ---- filling ------------------------------------------------------------- */

static int add_json_string(struct buf *out, const char *value, bool quotes)
{
	json_t *s = json_string(value);
	AUTO_FREE char *text = NULL;
	size_t len;

	if (!s) { /* not UTF-8: cannot be in a header, but may be a sample */
		buf_adds(out, quotes ? "\"\"" : "");
		return 0;
	}
	text = json_dumps(s, JSON_ENCODE_ANY);
	json_decref(s);
	if (!text)
		return -ENOMEM;
	len = strlen(text);
	buf_add(out, text + (quotes ? 0 : 1), len - (quotes ? 0 : 2));
	return 0;
}

static int fill_json(const struct piece *piece, const char *value,
		     struct buf *out)
{
	if (piece->value == VALUE_STRING)
		return add_json_string(out, value, !piece->in_quotes);
	if (value[0])
		buf_adds(out, value);
	else if (!piece->in_quotes)
		buf_adds(out, "null");
	return 0;
}

int template_fill(const struct template *t, enum template_type type,
		  template_lookup_fn lookup, void *arg, struct buf *out)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct piece *piece = &t->pieces[i];
		const char *value;

		if (piece->kind == PIECE_TEXT) {
			buf_add(out, piece->text, piece->len);
			continue;
		}
		value = lookup(arg, piece->kind, piece->text);
		if (!value)
			value = "";
		if (type == TEMPLATE_FORM)
			percent_encode(out, value, strlen(value), PERCENT_ALL);
		else if (fill_json(piece, value, out) < 0)
			return -ENOMEM;
	}
	return buf_error(out);
}

const char *template_sample(void *arg, enum piece_kind kind, const char *name)
{
	(void)arg;
	if (kind == PIECE_CUSTOM)
		return "sample";
	for (size_t i = 0; i < ARRAY_LEN(system_vars); i++)
		if (strcmp(name, system_vars[i].name) == 0)
			return system_vars[i].sample;
	return "";
}
