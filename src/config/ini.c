/* SPDX-License-Identifier: Apache-2.0 */
#include "config/ini.h"

#include <ini.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/codec.h"

/* inih's own buffers: 200 bytes for a line, 50 for a section's name. */
_Static_assert(INIFILE_SECTION_MAX < 50, "inih would cut a section's name");
_Static_assert(INIFILE_NAME_MAX + 8 < 200, "inih would cut a line");

#define TEXT(n) #n
#define NUMBER(n) TEXT(n)

struct source {
	const struct inifile_reader *r;
	const char *next;
	const char *end;
	int line;
	bool head_due;  /* the section's head is to be told after its line */
	bool skip;      /* below a head that was refused */
	struct buf raw; /* the present line's value */
	int rc;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void fail(struct source *s, const char *what)
{
	s->r->error(s->r->arg, s->line, what);
	s->rc = -EINVAL;
}

/* Without blanks at both ends. */
static void trim(const char **text, size_t *len)
{
	while (*len > 0 && is_blank(**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && is_blank((*text)[*len - 1]))
		(*len)--;
}

/* A name with the bytes encoded that mean something to inih. */
static void shield(struct buf *out, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < ' ' || c == 0x7f || strchr("%:=;#[]", c))
			buf_addf(out, "%%%02X", c);
		else
			buf_addc(out, (char)c);
	}
}

/* ---- lines for inih ------------------------------------------------------ */

static void head_line(struct source *s, const char *text, size_t len,
		      struct buf *out)
{
	const char *close = memchr(text, ']', len);
	const char *name = text + 1, *rest;
	size_t name_len, rest_len;

	s->skip = true;
	if (!close) {
		fail(s, "a section without ']'; write [NAME]");
		return;
	}
	name_len = (size_t)(close - name);
	trim(&name, &name_len);
	rest = close + 1;
	rest_len = len - (size_t)(rest - text);
	trim(&rest, &rest_len);
	if (rest_len > 0 && *rest != ';' && *rest != '#') {
		fail(s,
		     "text behind a section's ']'; write it on a line of its own");
		return;
	}
	shield(out, name, name_len);
	if (out->len > INIFILE_SECTION_MAX) {
		fail(s,
		     "a section's name of more than " NUMBER(
			     INIFILE_SECTION_MAX) " bytes; write a shorter one");
		return;
	}
	s->skip = false;
	s->head_due = true;
}

static void key_line(struct source *s, const char *text, size_t len,
		     struct buf *out)
{
	const char *sep = memchr(text, '=', len);
	const char *name = text, *value;
	size_t name_len, value_len;

	if (!sep) {
		fail(s,
		     memchr(text, ':', len)
			     ? "no '='; write KEY = VALUE (':' does not separate them)"
			     : "no '='; write KEY = VALUE in one line (a value does not go on in the next), or a comment with ';' in front");
		return;
	}
	name_len = (size_t)(sep - name);
	trim(&name, &name_len);
	value = sep + 1;
	value_len = len - (size_t)(value - text);
	trim(&value, &value_len);
	if (name_len == 0) {
		fail(s, "nothing before '='; write KEY = VALUE");
		return;
	}
	shield(out, name, name_len);
	if (out->len > INIFILE_NAME_MAX) {
		buf_reset(out);
		fail(s, "no key has so long a name; write KEY = VALUE");
		return;
	}
	buf_adds(out, " = .");
	buf_add(&s->raw, value, value_len);
}

/* The next line as inih shall see it; empty for comments and errors. */
static void next_line(struct source *s, struct buf *out)
{
	const char *text = s->next;
	const char *lf = memchr(text, '\n', (size_t)(s->end - text));
	size_t len = (size_t)((lf ? lf : s->end) - text);

	s->next = lf ? lf + 1 : s->end;
	s->line++;
	buf_reset(&s->raw);
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (len > INIFILE_LINE_MAX) {
		fail(s,
		     "a line of more than " NUMBER(
			     INIFILE_LINE_MAX) " bytes; a long template belongs in a file of its own: write body_file = NAME");
		return;
	}
	if (memchr(text, '\0', len) || !utf8_is_valid(text, len)) {
		fail(s, "the line is not UTF-8 text; save the file as UTF-8");
		return;
	}
	trim(&text, &len);
	if (len == 0 || *text == ';' || *text == '#')
		return;
	if (*text == '[') {
		AUTO(buf_release) struct buf name = BUF_INIT;

		head_line(s, text, len, &name);
		if (s->head_due)
			buf_addf(out, "[%s]", buf_str(&name));
		return;
	}
	key_line(s, text, len, out);
}

/* inih's fgets(). */
static char *give_line(char *to, int size, void *arg)
{
	struct source *s = arg;
	AUTO(buf_release) struct buf line = BUF_INIT;

	if (s->head_due) {
		s->head_due = false;
		snprintf(to, (size_t)size, "%% = .\n");
		return to;
	}
	if (s->next == s->end || s->rc == -ENOMEM)
		return NULL;
	next_line(s, &line);
	if (buf_error(&line) < 0 || buf_error(&s->raw) < 0) {
		s->rc = -ENOMEM;
		return NULL;
	}
	if (snprintf(to, (size_t)size, "%s\n", buf_str(&line)) >= size)
		fail(s, "the line cannot be read; write shorter names");
	return to;
}

/* ---- entries from inih --------------------------------------------------- */

static const char *blank_comment(const char *value)
{
	for (const char *p = value; *p; p++)
		if (*p == ';' && (p == value || is_blank(p[-1])))
			return p;
	return NULL;
}

static const char *wide_comment(const char *value)
{
	for (const char *p = value; *p; p++) {
		bool wide = p == value || p[-1] == '\t' ||
			    (p - value >= 2 && p[-1] == ' ' && is_blank(p[-2]));

		if (*p == ';' && wide && (p[1] == '\0' || is_blank(p[1])))
			return p;
	}
	return NULL;
}

static bool inside_quotes(const char *value, const char *at)
{
	bool inside = false;

	for (; value < at; value++)
		if (*value == '"')
			inside = !inside;
	return inside;
}

/* Take a comment off the value. @return false: ambiguous */
static bool cut_comment(struct buf *value, enum inifile_comments rule)
{
	const char *text = buf_str(value), *at = NULL;
	size_t len;

	if (rule == INIFILE_COMMENT_BLANK)
		at = blank_comment(text);
	else if (rule == INIFILE_COMMENT_WIDE)
		at = wide_comment(text);
	if (!at)
		return true;
	if (rule == INIFILE_COMMENT_WIDE && inside_quotes(text, at))
		return false;
	len = (size_t)(at - text);
	trim(&text, &len);
	buf_truncate(value, len);
	return true;
}

static int unshield(struct buf *out, const char *name)
{
	return percent_decode(out, name, strlen(name), false);
}

static int take_entry(void *arg, const char *section, const char *name,
		      const char *value)
{
	struct source *s = arg;
	AUTO(buf_release) struct buf in = BUF_INIT;
	AUTO(buf_release) struct buf key = BUF_INIT;
	struct inifile_entry e = {.line = s->line};
	bool is_head = strcmp(name, "%") == 0;

	(void)value; /* a dot */
	if (s->skip)
		return 1;
	if (unshield(&in, section) < 0 ||
	    (!is_head && unshield(&key, name) < 0)) {
		s->rc = -ENOMEM;
		return 0;
	}
	e.section = buf_str(&in);
	if (!is_head) {
		e.key = buf_str(&key);
		if (!cut_comment(&s->raw, s->r->comments(e.section, e.key))) {
			fail(s,
			     "is the ';' inside quotes text or a comment? Write the comment on a line of its own, or one blank before a ';' that is text");
			return 1;
		}
		e.value = buf_str(&s->raw);
	}
	s->r->entry(s->r->arg, &e);
	return 1;
}

int inifile_read(const char *text, size_t len, const struct inifile_reader *r)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct source s = {.r = r, .next = text, .end = text + len};
	int rc;

	if (len >= 3 && memcmp(text, bom, 3) == 0)
		s.next += 3;
	rc = ini_parse_stream(give_line, &s, take_entry, &s);
	if (rc != 0 && s.rc == 0)
		s.rc = rc == -2 ? -ENOMEM : -EINVAL;
	buf_release(&s.raw);
	return s.rc;
}
