/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/vars.h"

#include <errno.h>
#include <string.h>

#include "util/base.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/strnum.h"
#include "util/suggest.h"

#define SEGMENTS_MAX 512 /* a key has at most 1,023 bytes */

/* One %{NAME:ARG}. */
struct expansion {
	const struct callback_inputs *in;
	const struct kvs *captures;
	const char *arg; /* NULL: none */
};

typedef void (*give_fn)(const struct expansion *e, struct buf *out);

/* ---- values -------------------------------------------------------------- */

/* Names of processes and users may be cut inside a character. */
static void add_utf8(struct buf *out, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	while (len > 0) {
		uint32_t code;
		size_t n = utf8_next(text, len, &code);

		if (n > 0)
			buf_add(out, text, n);
		else
			buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
		n = n ? n : 1;
		text += n;
		len -= n;
	}
}

static void add(struct buf *out, const char *text)
{
	if (text)
		buf_adds(out, text);
}

static const char *path_of(const struct expansion *e)
{
	return e->in->path ? e->in->path : "";
}

static const char *name_of(const struct expansion *e)
{
	const char *slash = strrchr(path_of(e), '/');

	return slash ? slash + 1 : path_of(e);
}

/* The dot of the extension; the name's end when it has none. */
static const char *dot_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && dot != name ? dot : name + strlen(name);
}

static void give_path(const struct expansion *e, struct buf *out)
{
	add(out, e->in->path);
}

static void give_dir(const struct expansion *e, struct buf *out)
{
	const char *slash = strrchr(path_of(e), '/');

	if (slash)
		buf_add(out, path_of(e), (size_t)(slash - path_of(e)));
}

static void give_name(const struct expansion *e, struct buf *out)
{
	buf_adds(out, name_of(e));
}

static void give_stem(const struct expansion *e, struct buf *out)
{
	const char *name = name_of(e);

	buf_add(out, name, (size_t)(dot_of(name) - name));
}

static void give_ext(const struct expansion *e, struct buf *out)
{
	const char *dot = dot_of(name_of(e));

	if (*dot)
		buf_adds(out, dot + 1);
}

static void give_segment(const struct expansion *e, struct buf *out)
{
	int64_t n = 0, count = 1;
	const char *p = path_of(e);

	if (!*p || parse_i64(e->arg, -SEGMENTS_MAX, SEGMENTS_MAX, &n) < 0)
		return;
	for (const char *s = p; *s; s++)
		if (*s == '/')
			count++;
	if (n < 0)
		n += count + 1;
	if (n < 1 || n > count)
		return;
	while (--n > 0)
		p = strchr(p, '/') + 1;
	buf_add(out, p, strcspn(p, "/"));
}

static void give_key(const struct expansion *e, struct buf *out)
{
	add(out, e->in->key);
}

static void give_bucket(const struct expansion *e, struct buf *out)
{
	add(out, e->in->bucket);
}

static void give_mount(const struct expansion *e, struct buf *out)
{
	add_utf8(out, e->in->mount);
}

static void give_host(const struct expansion *e, struct buf *out)
{
	add_utf8(out, e->in->host);
}

static void give_size(const struct expansion *e, struct buf *out)
{
	buf_addf(out, "%llu", (unsigned long long)e->in->size);
}

static void give_uid(const struct expansion *e, struct buf *out)
{
	buf_addf(out, "%u", e->in->uid);
}

static void give_gid(const struct expansion *e, struct buf *out)
{
	buf_addf(out, "%u", e->in->gid);
}

static void give_mode(const struct expansion *e, struct buf *out)
{
	buf_addf(out, "%04o", e->in->mode & 07777);
}

static void give_pid(const struct expansion *e, struct buf *out)
{
	buf_addf(out, "%d", (int)e->in->pid);
}

static void give_process(const struct expansion *e, struct buf *out)
{
	add_utf8(out, e->in->process);
}

static void give_user(const struct expansion *e, struct buf *out)
{
	add_utf8(out, e->in->user);
}

static void give_mtime(const struct expansion *e, struct buf *out)
{
	char text[CLOCK_TEXT_LEN];

	buf_adds(out, clock_rfc3339(text, e->in->mtime_ms));
}

static void give_delivery_id(const struct expansion *e, struct buf *out)
{
	add(out, e->in->delivery_id);
}

static void give_previous_id(const struct expansion *e, struct buf *out)
{
	add(out, e->in->previous_delivery_id);
}

static void give_env(const struct expansion *e, struct buf *out)
{
	add_utf8(out, getenv(e->arg));
}

static void give_xattr(const struct expansion *e, struct buf *out)
{
	const char *value = NULL;
	AUTO_FREE char *user = NULL;

	if (!e->in->xattrs)
		return;
	value = kvs_get(e->in->xattrs, e->arg);
	if (!value) {
		user = str_printf("user.%s", e->arg);
		value = user ? kvs_get(e->in->xattrs, user) : NULL;
	}
	add(out, value);
}

static const struct {
	const char *name;
	give_fn give;
	bool takes_arg;
	bool is_path; /* keeps its slashes in a URL's path */
} names[] = {
	{"path",		 give_path,        false, true },
	{"dir",		  give_dir,         false, true },
	{"name",		 give_name,        false, false},
	{"stem",		 give_stem,        false, false},
	{"ext",		  give_ext,         false, false},
	{"segment",              give_segment,     true,  false},
	{"key",		  give_key,         false, true },
	{"bucket",               give_bucket,      false, false},
	{"size",		 give_size,        false, false},
	{"mtime",                give_mtime,       false, false},
	{"mode",		 give_mode,        false, false},
	{"uid",		  give_uid,         false, false},
	{"gid",		  give_gid,         false, false},
	{"user",		 give_user,        false, false},
	{"pid",		  give_pid,         false, false},
	{"process",              give_process,     false, false},
	{"host",		 give_host,        false, false},
	{"mount",                give_mount,       false, true },
	{"delivery_id",          give_delivery_id, false, false},
	{"previous_delivery_id", give_previous_id, false, false},
	{"env",		  give_env,         true,  false},
	{"xattr",                give_xattr,       true,  false},
};

static int find_name(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i].name) == len &&
		    strncmp(names[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

bool vars_is_builtin(const char *name, size_t len)
{
	return find_name(name, len) >= 0;
}

bool vars_present(const char *text)
{
	const char *p = text;

	while ((p = strstr(p, "%{")) != NULL) {
		p += 2;
		if (find_name(p, strcspn(p, ":}")) >= 0)
			return true;
	}
	return false;
}

/* ---- walking ------------------------------------------------------------- */

struct walk {
	enum vars_place place;
	struct expansion e;
	struct buf *out; /* NULL: a check */
	struct buf *why, *doubt;
	/* of the URL that is being written */
	char last; /* literal byte before */
	bool in_path, in_query;
};

static void literal(struct walk *w, char c)
{
	if (w->out)
		buf_addc(w->out, c);
	if (c == ';')
		w->in_path = w->in_query = false;
	else if (c == '?')
		w->in_query = true;
	else if (c == '/' && w->last != '/' && w->last != ':')
		w->in_path = true;
	w->last = c;
}

static int unknown(struct walk *w, char *name)
{
	struct suggestion near = SUGGESTION_INIT(name);
	size_t captures = w->e.captures ? w->e.captures->count : 0;

	if (!w->why)
		return -EINVAL;
	name[strcspn(name, ":")] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		suggestion_try(&near, names[i].name);
	for (size_t i = 0; i < captures; i++)
		suggestion_try(&near, w->e.captures->items[i].name);
	buf_addf(w->why, "%%{%s} is unknown", name);
	if (near.best)
		buf_addf(w->why, " (did you mean %%{%s}?)", near.best);
	buf_adds(w->why, "; write one of");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		buf_addf(w->why, " %s%s", names[i].name,
			 names[i].takes_arg ? ":..." : "");
	buf_adds(w->why, captures ? ", captured here:" : "");
	for (size_t i = 0; i < captures; i++)
		buf_addf(w->why, " %s", w->e.captures->items[i].name);
	return -EINVAL;
}

static int check_arg(struct walk *w, int i)
{
	const char *name = names[i].name, *arg = w->e.arg;
	int64_t n = 0;

	if (!names[i].takes_arg) {
		if (!arg)
			return 0;
		if (w->why)
			buf_addf(
				w->why,
				"%%{%s:%s}: %s takes nothing behind ':'; write %%{%s}",
				name, arg, name, name);
		return -EINVAL;
	}
	if (!arg || !*arg) {
		if (w->why)
			buf_addf(w->why, "%%{%s} wants more; write %%{%s:%s}",
				 name, name,
				 strcmp(name, "segment") == 0 ? "1" : "NAME");
		return -EINVAL;
	}
	if (strcmp(name, "segment") == 0 &&
	    (parse_i64(arg, -SEGMENTS_MAX, SEGMENTS_MAX, &n) < 0 || n == 0)) {
		if (w->why)
			buf_addf(
				w->why,
				"%%{segment:%s}: not a place; write 1 for the first, -1 for the last (the file's name)",
				arg);
		return -EINVAL;
	}
	if (w->doubt && strcmp(name, "env") == 0 && !getenv(arg))
		buf_addf(
			w->doubt,
			"%s%%{env:%s}: the environment does not have it, its value is empty",
			w->doubt->len ? "; " : "", arg);
	return 0;
}

static void put_value(struct walk *w, const struct buf *value, bool is_path)
{
	bool slashes = is_path && w->in_path && !w->in_query;

	w->last = 'x';
	if (!w->out)
		return;
	if (w->place == VARS_VALUE)
		buf_add(w->out, buf_str(value), value->len);
	else
		percent_encode(w->out, buf_str(value), value->len,
			       slashes ? PERCENT_PATH : PERCENT_ALL);
}

static int expand_one(struct walk *w, char *name)
{
	AUTO(buf_release) struct buf value = BUF_INIT;
	char *colon = strchr(name, ':');
	const char *captured;
	int i, rc;

	w->e.arg = colon ? colon + 1 : NULL;
	i = find_name(name, strcspn(name, ":"));
	captured = i < 0 && w->e.captures ? kvs_get(w->e.captures, name) : NULL;
	if (i < 0 && !captured && !w->out)
		return unknown(w, name);
	if (i < 0) {
		/* another pattern of the list matched: it captured nothing */
		buf_adds(&value, captured ? captured : "");
		put_value(w, &value, false);
		return buf_error(&value);
	}
	if (colon)
		*colon = '\0';
	rc = check_arg(w, i);
	if (rc < 0 || !w->out)
		return rc;
	names[i].give(&w->e, &value);
	put_value(w, &value, names[i].is_path);
	return buf_error(&value);
}

static int refuse(struct walk *w, const char *reason)
{
	if (w->why)
		buf_adds(w->why, reason);
	return -EINVAL;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	       (c >= 'A' && c <= 'F');
}

/* The '%' at text. @return bytes taken or -errno */
static int take_percent(struct walk *w, const char *text)
{
	AUTO_FREE char *name = NULL;
	size_t len;
	int rc;

	if (text[1] == '%') {
		literal(w, '%');
		if (w->place == VARS_URL) {
			literal(w, '2');
			literal(w, '5');
		}
		return 2;
	}
	if (text[1] != '{') {
		if (w->place == VARS_URL &&
		    !(is_hex(text[1]) && is_hex(text[2])))
			return refuse(
				w,
				"a '%' without two hex digits; write %25 for a '%'");
		literal(w, '%');
		return 1;
	}
	len = strcspn(text + 2, "}");
	if (!text[2 + len])
		return refuse(
			w,
			"a %{ without its }; write %{NAME}, or %% for a '%'");
	if (len == 0)
		return refuse(w, "%{} without a name; write %{NAME}");
	name = strndup(text + 2, len);
	if (!name)
		return -ENOMEM;
	rc = expand_one(w, name);
	return rc < 0 ? rc : (int)(len + 3);
}

static int walk_text(struct walk *w, const char *text)
{
	while (*text) {
		int rc = 1;

		if (*text == '%')
			rc = take_percent(w, text);
		else
			literal(w, *text);
		if (rc < 0)
			return rc;
		text += rc;
	}
	return 0;
}

int vars_check(const char *text, enum vars_place place,
	       const struct kvs *captures, struct buf *why, struct buf *doubt)
{
	static const struct callback_inputs none;
	struct walk w = {
		.place = place,
		.e = {.in = &none, .captures = captures},
		.why = why,
		.doubt = doubt,
	};

	return walk_text(&w, text);
}

int vars_expand(const char *text, enum vars_place place,
		const struct callback_inputs *in, const struct kvs *captures,
		struct buf *out)
{
	struct walk w = {
		.place = place,
		.e = {.in = in, .captures = captures},
		.out = out,
	};
	int rc = walk_text(&w, text);

	return rc < 0 ? rc : buf_error(out);
}
