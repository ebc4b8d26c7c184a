/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/template.h"

#include <errno.h>
#include <string.h>

#include "util/codec.h"

static const char *const system_names[] = {
	"bucket",
	"object",
	"etag",
	"size",
	"mimeType",
	"imageInfo.height",
	"imageInfo.width",
	"imageInfo.format",
	"crc64",
	"contentMd5",
	"vpcId",
	"clientIp",
	"reqId",
	"operation",
};

/* The name inside "${name}" at p, or NULL when no '}' follows. */
static const char *placeholder(const char *p, size_t *len)
{
	const char *end = strchr(p + 2, '}');

	if (!end)
		return NULL;
	*len = (size_t)(end - p - 2);
	return p + 2;
}

static bool is_custom(const char *name, size_t len)
{
	return len > 2 && strncmp(name, "x:", 2) == 0;
}

static bool is_system(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(system_names); i++)
		if (strlen(system_names[i]) == len &&
		    strncmp(system_names[i], name, len) == 0)
			return true;
	return false;
}

int template_check(const struct quirks *q, const char *text)
{
	for (const char *p = strchr(text, '$'); p; p = strchr(p + 1, '$')) {
		const char *name;
		size_t len;

		if (p[1] == '(')
			return -EINVAL;
		if (p[1] != '{')
			continue;
		name = placeholder(p, &len);
		if (!name || !len)
			return -EINVAL;
		if (!is_custom(name, len) && !is_system(name, len) &&
		    !q->unknown_variable_is_empty)
			return -EINVAL;
	}
	return 0;
}

bool template_uses(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	for (const char *p = strstr(text, "${"); p; p = strstr(p + 2, "${"))
		if (strncmp(p + 2, prefix, len) == 0)
			return true;
	return false;
}

static const struct template_var *find(const struct template_vars *vars,
				       const char *name, size_t len)
{
	for (size_t i = 0; i < vars->count; i++)
		if (strlen(vars->items[i].name) == len &&
		    strncmp(vars->items[i].name, name, len) == 0)
			return &vars->items[i];
	return NULL;
}

/* ---- JSON ---- */

/* The code point at *p, which is UTF-8, and past it; bytes that are not
 * count for themselves. */
static unsigned next_code(const unsigned char **p)
{
	const unsigned char *s = *p;
	unsigned c = *s;
	int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;

	if (more)
		c &= 0x3FU >> more;
	for (int i = 1; i <= more; i++) {
		if ((s[i] & 0xC0) != 0x80) {
			*p = s + 1;
			return *s;
		}
		c = c << 6 | (s[i] & 0x3F);
	}
	*p = s + 1 + more;
	return c;
}

static void escape_code(struct buf *out, unsigned c)
{
	if (c < 0x10000) {
		buf_addf(out, "\\u%04x", c);
		return;
	}
	c -= 0x10000;
	buf_addf(out, "\\u%04x\\u%04x", 0xD800 | c >> 10, 0xDC00 | (c & 0x3FF));
}

static void json_text(const struct quirks *q, struct buf *out,
		      const char *value)
{
	const unsigned char *p = (const unsigned char *)value;

	while (*p) {
		if (*p == '"' || *p == '\\') {
			buf_addf(out, "\\%c", *p++);
		} else if (*p == '\n') {
			buf_adds(out, "\\n");
			p++;
		} else if (*p == '\r') {
			buf_adds(out, "\\r");
			p++;
		} else if (*p == '\t') {
			buf_adds(out, "\\t");
			p++;
		} else if (*p < 0x20) {
			escape_code(out, *p++);
		} else if (*p >= 0x80 && q->escape_non_ascii) {
			escape_code(out, next_code(&p));
		} else {
			buf_addc(out, (char)*p++);
		}
	}
}

static void json_number(const struct quirks *q, struct buf *out,
			const char *value, bool in_quotes)
{
	if (*value)
		buf_adds(out, value);
	else if (!in_quotes && !q->empty_number_is_nothing)
		buf_adds(out, "null");
}

static void json_value(const struct quirks *q, struct buf *out,
		       const struct template_var *v, bool in_quotes)
{
	bool bare = in_quotes && q->bare_strings_in_quotes;

	if (v && v->is_number) {
		json_number(q, out, v->value, in_quotes);
		return;
	}
	if (!v && q->undefined_var_is_null && !in_quotes) {
		buf_adds(out, "null");
		return;
	}
	if (!bare)
		buf_addc(out, '"');
	json_text(q, out, v ? v->value : "");
	if (!bare)
		buf_addc(out, '"');
}

/* ---- forms ---- */

/* The bytes that java.net.URLEncoder has another mind of. */
static const char *urlencoder(const char *p)
{
	if (*p == '~')
		return "%7E";
	return strncmp(p, "%2A", 3) == 0 ? "*" : NULL;
}

static void form_value(const struct quirks *q, struct buf *out,
		       const struct template_var *v)
{
	AUTO(buf_release) struct buf encoded = BUF_INIT;
	const char *p;

	if (!v)
		return;
	percent_encode(&encoded, v->value, strlen(v->value), PERCENT_ALL);
	p = buf_str(&encoded);
	while (*p) {
		const char *other = q->urlencoder_bytes ? urlencoder(p) : NULL;

		if (q->space_as_plus && strncmp(p, "%20", 3) == 0)
			other = "+";
		if (other)
			buf_adds(out, other);
		else
			buf_addc(out, *p);
		p += other && *p == '%' ? 3 : 1;
	}
}

/* Whether p, outside or inside a JSON string, changes that. */
static bool toggles_quotes(const char *text, const char *p, bool in_quotes)
{
	size_t backslashes = 0;

	if (*p != '"')
		return false;
	while (in_quotes && p - backslashes > text &&
	       p[-1 - (ptrdiff_t)backslashes] == '\\')
		backslashes++;
	return backslashes % 2 == 0;
}

int template_expand(const struct quirks *q, const char *text, bool is_json,
		    const struct template_vars *vars, struct buf *out)
{
	bool in_quotes = false;
	const char *p = text;

	while (*p) {
		const char *name = NULL;
		size_t len = 0;

		if (p[0] == '$' && p[1] == '{')
			name = placeholder(p, &len);
		if (!name) {
			in_quotes ^= toggles_quotes(text, p, in_quotes);
			buf_addc(out, *p++);
			continue;
		}
		if (is_json)
			json_value(q, out, find(vars, name, len), in_quotes);
		else
			form_value(q, out, find(vars, name, len));
		p = name + len + 1;
	}
	return buf_error(out);
}
