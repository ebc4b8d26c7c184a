/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern becomes a list of tokens; then a table says, from the ends
 * backwards, whether the tokens from t on match the path from s on:
 *
 *     can[t][s]    one row for each token, one column for each byte
 *
 * Each cell costs one step, so nothing a user writes can take long.  With the
 * table there is no backtracking either: captures are read off going forwards.
 */
#include "util/glob.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "util/base.h"
#include "util/codec.h"

enum token_kind {
	TOKEN_BYTE,    /* itself */
	TOKEN_ONE,     /* ? */
	TOKEN_SET,     /* [...]: text is what stands inside */
	TOKEN_STAR,    /* * */
	TOKEN_CAPTURE, /* {name}: text is the name */
	TOKEN_ANY,     /* ** */
	TOKEN_DIRS,    /* "**" and '/' as whole components: zero or more */
};

struct token {
	enum token_kind kind;
	const char *text;
	size_t len;
};

struct glob {
	struct token *tokens;
	size_t count;
	bool is_path; /* has a '/': matches the whole path */
};

/* What is left of a pattern. */
struct cursor {
	const char *p;
	const char *end;
};

static void glob_release(struct glob *g)
{
	free(g->tokens);
}

/* The character at p and its number; a byte that is no UTF-8 counts as a
 * character of its own. */
static size_t next_char(const char *p, size_t len, uint32_t *code)
{
	size_t n = utf8_next(p, len, code);

	if (n > 0)
		return n;
	*code = 0x110000 + (unsigned char)p[0];
	return 1;
}

/* One member of a set, unescaped; false at the end of the text. */
static bool set_next(struct cursor *c, uint32_t *code)
{
	if (c->p < c->end && *c->p == '\\')
		c->p++;
	if (c->p >= c->end)
		return false;
	c->p += next_char(c->p, (size_t)(c->end - c->p), code);
	return true;
}

/* A member or a range: low to high. */
static bool set_range(struct cursor *c, uint32_t *low, uint32_t *high)
{
	if (!set_next(c, low))
		return false;
	*high = *low;
	if (c->end - c->p >= 2 && *c->p == '-') {
		c->p++;
		return set_next(c, high);
	}
	return true;
}

static bool set_has(const struct token *t, uint32_t code)
{
	struct cursor c = {t->text, t->text + t->len};
	bool is_negated = *c.p == '!' || *c.p == '^';
	bool found = false;
	uint32_t low, high;

	if (is_negated)
		c.p++;
	while (!found && set_range(&c, &low, &high))
		found = code >= low && code <= high;
	return found != is_negated;
}

static const char *set_problem(const struct token *t)
{
	struct cursor c = {t->text, t->text + t->len};
	uint32_t low, high;

	if (*c.p == '!' || *c.p == '^')
		c.p++;
	while (c.p < c.end) {
		if (!set_range(&c, &low, &high))
			return "a '\\' or '-' without what follows it in [...]";
		if (low > high)
			return "a range in [...] runs backwards";
	}
	return NULL;
}

static const char *take_set(struct cursor *c, struct token *t)
{
	const char *p = c->p + 1;

	t->kind = TOKEN_SET;
	t->text = p;
	if (p < c->end && (*p == '!' || *p == '^'))
		p++;
	if (p < c->end && *p == ']') /* first: a member */
		p++;
	for (; p < c->end && *p != ']'; p++)
		if (*p == '\\')
			p++;
	if (p >= c->end)
		return "'[' without its ']'";
	t->len = (size_t)(p - t->text);
	c->p = p + 1;
	return set_problem(t);
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static const char *take_capture(struct cursor *c, struct token *t)
{
	const char *p = c->p + 1;

	t->kind = TOKEN_CAPTURE;
	t->text = p;
	while (p < c->end && is_name_char(*p))
		p++;
	if (p >= c->end)
		return "'{' without its '}'";
	if (*p != '}' || p == t->text)
		return "a name in {...} has letters, digits, '_', '-', '.'";
	t->len = (size_t)(p - t->text);
	c->p = p + 1;
	return NULL;
}

static void take_stars(struct cursor *c, const char *begin, struct token *t)
{
	const char *first = c->p;
	bool starts = first == begin || first[-1] == '/';

	while (c->p < c->end && *c->p == '*')
		c->p++;
	t->kind = c->p - first == 1 ? TOKEN_STAR : TOKEN_ANY;
	if (t->kind == TOKEN_ANY && starts && c->p < c->end && *c->p == '/') {
		t->kind = TOKEN_DIRS;
		c->p++;
	}
}

/* @return what is wrong, or NULL */
static const char *take_token(struct cursor *c, const char *begin,
			      struct token *t)
{
	switch (*c->p) {
	case '*':
		take_stars(c, begin, t);
		return NULL;
	case '[':
		return take_set(c, t);
	case '{':
		return take_capture(c, t);
	case '\\':
		if (c->end - c->p < 2)
			return "'\\' at the end";
		c->p++;
		break;
	case '?':
		t->kind = TOKEN_ONE;
		c->p++;
		return NULL;
	}
	t->kind = TOKEN_BYTE;
	t->text = c->p++;
	t->len = 1;
	return NULL;
}

static bool is_twin(const struct glob *g, const struct token *t)
{
	for (size_t i = 0; i < g->count; i++) {
		const struct token *o = &g->tokens[i];

		if (o->kind == TOKEN_CAPTURE && o->len == t->len &&
		    memcmp(o->text, t->text, t->len) == 0)
			return true;
	}
	return false;
}

/* @return 0; -EINVAL with *why; -ENOMEM */
static int glob_compile(const char *pattern, size_t len, struct glob *g,
			const char **why)
{
	struct cursor c = {pattern, pattern + len};

	*why = "an empty pattern";
	if (len == 0)
		return -EINVAL;
	*why = "no memory";
	g->tokens = calloc(len, sizeof(*g->tokens));
	if (!g->tokens)
		return -ENOMEM;
	*why = "a '/' at the end: write DIR/**";
	if (pattern[len - 1] == '/')
		return -EINVAL;
	if (*c.p == '/') { /* as in .gitignore: from the top */
		g->is_path = true;
		c.p++;
	}
	while (c.p < c.end) {
		struct token *t = &g->tokens[g->count];

		*why = take_token(&c, pattern, t);
		if (*why)
			return -EINVAL;
		if (t->kind == TOKEN_CAPTURE && is_twin(g, t)) {
			*why = "a {name} stands twice";
			return -EINVAL;
		}
		if (t->kind == TOKEN_DIRS ||
		    (t->kind == TOKEN_BYTE && *t->text == '/'))
			g->is_path = true;
		g->count++;
	}
	return 0;
}

/* How many bytes of a path the token takes at s; 0: does not match.  For the
 * tokens that take one character. */
static size_t token_width(const struct token *t, const char *path, size_t len,
			  size_t s)
{
	uint32_t code;
	size_t n;

	if (s >= len)
		return 0;
	if (t->kind == TOKEN_BYTE)
		return path[s] == *t->text ? 1 : 0;
	if (path[s] == '/')
		return 0;
	n = next_char(path + s, len - s, &code);
	if (t->kind == TOKEN_SET && !set_has(t, code))
		return 0;
	return n;
}

/* One row of the table from the row of the next token. */
static void fill_row(const struct token *t, const char *path, size_t len,
		     const bool *next, bool *row)
{
	bool dirs = false; /* TOKEN_DIRS: a component ends behind s, and the
			    * rest matches there */

	for (size_t s = len + 1; s-- > 0;) {
		bool more = s < len && path[s] != '/';
		size_t width;

		switch (t->kind) {
		case TOKEN_BYTE:
		case TOKEN_ONE:
		case TOKEN_SET:
			width = token_width(t, path, len, s);
			row[s] = width > 0 && next[s + width];
			break;
		case TOKEN_STAR:
			row[s] = next[s] || (more && row[s + 1]);
			break;
		case TOKEN_CAPTURE:
			row[s] = more && (next[s + 1] || row[s + 1]);
			break;
		case TOKEN_ANY:
			row[s] = next[s] || (s < len && row[s + 1]);
			break;
		case TOKEN_DIRS:
			if (s < len && path[s] == '/' && next[s + 1])
				dirs = true;
			row[s] = next[s] || dirs;
			break;
		}
	}
}

/* Where the token that matches at s ends: as far on as it can. */
static size_t token_end(const struct token *t, const char *path, size_t len,
			const bool *next, size_t s)
{
	size_t end = s;
	bool crosses = t->kind == TOKEN_ANY || t->kind == TOKEN_DIRS;

	if (t->kind == TOKEN_BYTE || t->kind == TOKEN_ONE ||
	    t->kind == TOKEN_SET)
		return s + token_width(t, path, len, s);
	for (size_t e = s; e <= len; e++) {
		bool is_start = e == s || path[e - 1] == '/';

		if (next[e] && (t->kind != TOKEN_DIRS || is_start) &&
		    (t->kind != TOKEN_CAPTURE || e > s))
			end = e;
		if (e < len && path[e] == '/' && !crosses)
			break;
	}
	return end;
}

static int add_capture(struct kvs *captures, const struct token *t,
		       const char *text, size_t len)
{
	AUTO_FREE char *name = strndup(t->text, t->len);
	AUTO_FREE char *value = strndup(text, len);

	if (!name || !value)
		return -ENOMEM;
	return kvs_set(captures, name, value);
}

static bool read_captures(const struct glob *g, const char *path, size_t len,
			  const bool *can, struct kvs *captures)
{
	size_t s = 0;

	for (size_t i = 0; i < g->count; i++) {
		const struct token *t = &g->tokens[i];
		size_t end =
			token_end(t, path, len, can + (i + 1) * (len + 1), s);

		if (t->kind == TOKEN_CAPTURE &&
		    add_capture(captures, t, path + s, end - s) < 0)
			return false;
		s = end;
	}
	return true;
}

/* Most patterns begin or end with a byte that most paths do not. */
static bool may_match(const struct glob *g, const char *path, size_t len)
{
	const struct token *first = g->tokens, *last = first + g->count - 1;

	if (!g->count || !len)
		return true;
	return (first->kind != TOKEN_BYTE || *first->text == path[0]) &&
	       (last->kind != TOKEN_BYTE || *last->text == path[len - 1]);
}

static bool match_compiled(const struct glob *g, const char *path,
			   struct kvs *captures)
{
	size_t len, cols;
	AUTO_FREE bool *can = NULL;

	if (!g->is_path) {
		const char *slash = strrchr(path, '/');

		path = slash ? slash + 1 : path;
	}
	len = strlen(path);
	if (!may_match(g, path, len))
		return false;
	cols = len + 1;
	can = calloc(g->count + 1, cols);
	if (!can)
		return false;
	can[g->count * cols + len] = true;
	for (size_t i = g->count; i-- > 0;)
		fill_row(&g->tokens[i], path, len, can + (i + 1) * cols,
			 can + i * cols);
	if (!can[0])
		return false;
	return !captures || read_captures(g, path, len, can, captures);
}

static bool match_part(const char *pattern, size_t len, const char *path,
		       struct kvs *captures)
{
	AUTO(glob_release) struct glob g = {NULL, 0, false};
	const char *why;

	return glob_compile(pattern, len, &g, &why) == 0 &&
	       match_compiled(&g, path, captures);
}

static int check_part(const char *pattern, size_t len, const char **why)
{
	AUTO(glob_release) struct glob g = {NULL, 0, false};
	const char *problem;
	int rc = glob_compile(pattern, len, &g, &problem);

	if (rc < 0 && why)
		*why = problem;
	return rc < 0 ? -EINVAL : 0;
}

int glob_check(const char *pattern, const char **why)
{
	return check_part(pattern, strlen(pattern), why);
}

bool glob_match(const char *pattern, const char *path, struct kvs *captures)
{
	return match_part(pattern, strlen(pattern), path, captures);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The next pattern of a list and whether a '!' stands before it. */
static bool list_next(const char **list, const char **pattern, size_t *len,
		      bool *excludes)
{
	const char *p = *list;

	while (is_blank(*p))
		p++;
	if (!*p)
		return false;
	*excludes = *p == '!';
	if (*excludes)
		p++;
	*pattern = p;
	for (; *p && !is_blank(*p); p++)
		if (*p == '\\' && p[1])
			p++;
	*len = (size_t)(p - *pattern);
	*list = p;
	return true;
}

/* -- a compiled list --------------------------------------------------------- */

struct globs {
	char *text; /* what the tokens point into */
	struct listed {
		struct glob glob;
		bool excludes;
	} * items;
	size_t count;
};

void globs_free(struct globs *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->count; i++)
		glob_release(&g->items[i].glob);
	free(g->items);
	free(g->text);
	free(g);
}

static void globs_freep(struct globs **g)
{
	globs_free(*g);
}

static int globs_add(struct globs *g, const char *pattern, size_t len,
		     bool excludes)
{
	struct listed *items =
		reallocarray(g->items, g->count + 1, sizeof(*items));
	const char *why;

	if (!items)
		return -ENOMEM;
	g->items = items;
	items[g->count] = (struct listed){.excludes = excludes};
	return glob_compile(pattern, len, &items[g->count++].glob, &why);
}

int globs_new(const char *patterns, struct globs **out)
{
	AUTO(globs_freep) struct globs *g = calloc(1, sizeof(*g));
	const char *next, *pattern;
	size_t len;
	bool excludes;
	int rc = 0;

	if (g)
		g->text = strdup(patterns);
	if (!g || !g->text)
		return -ENOMEM;
	next = g->text;
	while (rc == 0 && list_next(&next, &pattern, &len, &excludes))
		rc = globs_add(g, pattern, len, excludes);
	if (rc == 0)
		*out = take_ptr(g);
	return rc;
}

bool globs_match(const struct globs *g, const char *path, struct kvs *captures)
{
	for (size_t i = g->count; i-- > 0;) {
		const struct listed *l = &g->items[i];

		if (match_compiled(&l->glob, path, NULL))
			return !l->excludes &&
			       (!captures ||
				match_compiled(&l->glob, path, captures));
	}
	return false;
}

bool glob_list_match(const char *patterns, const char *path,
		     struct kvs *captures)
{
	AUTO(globs_freep) struct globs *g = NULL;

	return globs_new(patterns, &g) == 0 && globs_match(g, path, captures);
}

int glob_list_check(const char *patterns, const char **why)
{
	const char *pattern;
	size_t len;
	bool excludes;
	int rc = 0;

	while (rc == 0 && list_next(&patterns, &pattern, &len, &excludes))
		rc = check_part(pattern, len, why);
	return rc;
}
