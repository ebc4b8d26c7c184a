/* SPDX-License-Identifier: Apache-2.0 */
#include "config/values.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/endpoint.h"
#include "util/base.h"
#include "util/codec.h"
#include "util/glob.h"
#include "util/strnum.h"
#include "util/suggest.h"

/* What every parser gets. */
struct value {
	const struct schema_key *k;
	const char *text;
	const char *base;
	struct conf *conf;
	void *field;
	struct buf *why;
};

typedef int (*parse_fn)(const struct value *v);

static int refuse(const struct value *v, const char *reason)
{
	buf_adds(v->why, reason);
	return -EINVAL;
}

static int set_string(const struct value *v, const char *text)
{
	return str_set((char **)v->field, text);
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static int refuse_empty(const struct value *v)
{
	return refuse(v, "the value is empty; write one, or remove the line");
}

/* ---- text ---------------------------------------------------------------- */

static int parse_secret(const struct value *v)
{
	if (!v->text[0])
		return refuse_empty(v);
	for (const char *p = v->text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return refuse(
				v,
				"holds a blank or a byte that no key has; copy it again");
	return set_string(v, v->text);
}

static int parse_endpoint(const struct value *v)
{
	const char *wrong = endpoint_check(v->text);

	return wrong ? refuse(v, wrong) : set_string(v, v->text);
}

static int parse_region(const struct value *v)
{
	const char *text = v->text;

	if (strncmp(text, "oss-", 4) == 0)
		text += 4; /* as Location spells it */
	if (!text[0] ||
	    text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
		return refuse(v, "not a region; write one like cn-hangzhou");
	return set_string(v, text);
}

/* oss-protocol 4.1 */
static int parse_bucket(const struct value *v)
{
	const char *t = v->text;
	size_t len = strlen(t);

	if (len < 3 || len > 63 || t[0] == '-' || t[len - 1] == '-' ||
	    t[strspn(t, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
		return refuse(
			v,
			"not a bucket's name; write 3 to 63 lower-case letters, digits and '-' (not first or last)");
	return set_string(v, t);
}

static bool is_dots(const char *part, size_t len)
{
	return (len == 1 && part[0] == '.') ||
	       (len == 2 && part[0] == '.' && part[1] == '.');
}

static int parse_prefix(const struct value *v)
{
	AUTO(buf_release) struct buf out = BUF_INIT;
	const char *p = v->text;

	while (*p == '/')
		p++;
	if (!utf8_is_valid(p, strlen(p)) || has_control(p) || strlen(p) > 900)
		return refuse(
			v,
			"not a folder of a bucket; write a/b, at most 900 bytes of UTF-8");
	while (*p) {
		size_t len = strcspn(p, "/");

		if (len == 0 || is_dots(p, len))
			return refuse(
				v, "has an empty, '.' or '..' part; write a/b");
		buf_add(&out, p, len);
		buf_addc(&out, '/');
		p += len;
		if (*p == '/')
			p++;
	}
	if (buf_error(&out) < 0)
		return buf_error(&out);
	return set_string(v, buf_str(&out));
}

static int parse_proxy(const struct value *v)
{
	static const char *const schemes[] = {"http://", "https://",
					      "socks5://", "socks5h://"};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (strncasecmp(v->text, schemes[i], len) == 0 &&
		    v->text[len] && !strchr(v->text, ' ') &&
		    !has_control(v->text))
			return set_string(v, v->text);
	}
	return refuse(
		v,
		"not a proxy's address; write http://HOST:PORT (or https, socks5, socks5h)");
}

static int parse_globs(const struct value *v)
{
	const char *wrong = NULL;

	if (!v->text[0])
		return refuse_empty(v);
	if (strcmp(v->text, "none") == 0)
		return set_string(v, "");
	if (glob_list_check(v->text, &wrong) < 0) {
		buf_addf(v->why, "%s; write globs with blanks between, or none",
			 wrong);
		return -EINVAL;
	}
	return set_string(v, v->text);
}

static int parse_name(const struct value *v)
{
	size_t len = strlen(v->text);

	if (len == 0 || len > 200 || is_dots(v->text, len) ||
	    strchr(v->text, '/') || has_control(v->text))
		return refuse(
			v,
			"not a folder's name; write at most 200 bytes without '/'");
	return set_string(v, v->text);
}

/* ---- paths --------------------------------------------------------------- */

static char *home_dir(void)
{
	const char *home = getenv("HOME");
	const struct passwd *pw;

	if (home && home[0] == '/')
		return str_dup(home);
	pw = getpwuid(geteuid());
	return pw && pw->pw_dir ? str_dup(pw->pw_dir) : NULL;
}

char *value_path(const char *text, const char *base)
{
	AUTO_FREE char *from = NULL;

	if (text[0] == '/')
		return str_dup(text);
	if (strcmp(text, "~") == 0 || strncmp(text, "~/", 2) == 0) {
		from = home_dir();
		text += text[1] ? 2 : 1;
	} else {
		from = base ? str_dup(base) : getcwd(NULL, 0);
	}
	if (!from)
		return NULL;
	while (strncmp(text, "./", 2) == 0)
		text += 2;
	return str_printf("%s%s%s", from,
			  from[strlen(from) - 1] == '/' ? "" : "/", text);
}

static int parse_path(const struct value *v)
{
	AUTO_FREE char *path = NULL;

	if (!v->text[0])
		return refuse_empty(v);
	if (has_control(v->text) || strlen(v->text) > 4000)
		return refuse(v, "not a path; write an absolute one");
	path = value_path(v->text, v->base);
	if (!path)
		return refuse(
			v,
			"there is no folder that it could be relative to; write an absolute path");
	return set_string(v, path);
}

static int parse_log_path(const struct value *v)
{
	if (strcmp(v->text, "syslog") == 0)
		return set_string(v, v->text);
	return parse_path(v);
}

/* ---- words --------------------------------------------------------------- */

static void name_words(const struct value *v)
{
	struct suggestion near = SUGGESTION_INIT(v->text);
	const char *const *w = v->k->words;

	buf_adds(v->why, "none of its words");
	for (; *w; w++)
		suggestion_try(&near, *w);
	if (near.best)
		buf_addf(v->why, " (did you mean %s?)", near.best);
	buf_adds(v->why, "; write ");
	for (w = v->k->words; *w; w++)
		buf_addf(v->why, "%s%s",
			 w == v->k->words ? ""
			 : w[1]           ? ", "
					  : " or ",
			 *w);
}

static int parse_word(const struct value *v)
{
	for (int i = 0; v->k->words[i]; i++) {
		if (strcmp(v->text, v->k->words[i]) == 0) {
			*(int *)v->field = i;
			return 0;
		}
	}
	name_words(v);
	return -EINVAL;
}
_Static_assert(sizeof(enum conf_start) == sizeof(int), "enums are int-sized");

static int parse_level_word(const struct value *v)
{
	if (log_parse_level(v->text, v->field) == 0)
		return 0;
	name_words(v);
	return -EINVAL;
}

static int parse_bool_word(const struct value *v)
{
	if (parse_bool(v->text, v->field) == 0)
		return 0;
	return refuse(v, "neither true nor false; write true or false");
}

/* ---- numbers ------------------------------------------------------------- */

static bool is_zero_word(const struct value *v)
{
	return v->k->words && strcmp(v->text, v->k->words[0]) == 0;
}

static void or_word(const struct value *v)
{
	if (v->k->words)
		buf_addf(v->why, ", or %s", v->k->words[0]);
}

static int parse_count(const struct value *v, uint64_t *out)
{
	if (is_zero_word(v)) {
		*out = 0;
		return 0;
	}
	if (parse_u64(v->text, v->k->min, v->k->max, out) == 0)
		return 0;
	buf_addf(v->why, "not a number in range; write %llu to %llu",
		 (unsigned long long)v->k->min, (unsigned long long)v->k->max);
	or_word(v);
	return -EINVAL;
}

static int parse_int(const struct value *v)
{
	uint64_t n = 0;
	int rc = parse_count(v, &n);

	if (rc == 0)
		*(int *)v->field = (int)n;
	return rc;
}

static int parse_big_count(const struct value *v)
{
	return parse_count(v, v->field);
}

/* The largest unit that leaves no rest. */
static void add_size(struct buf *b, uint64_t n)
{
	static const char units[] = "\0KMGT";
	int u = 0;

	while (n >= 1024 && n % 1024 == 0 && u < 4) {
		n /= 1024;
		u++;
	}
	buf_addf(b, "%llu%.1s", (unsigned long long)n, &units[u]);
}

static int parse_size_range(const struct value *v)
{
	uint64_t n = 0;

	if (is_zero_word(v)) {
		*(uint64_t *)v->field = 0;
		return 0;
	}
	if (parse_size(v->text, &n) == 0 && n >= v->k->min && n <= v->k->max) {
		*(uint64_t *)v->field = n;
		return 0;
	}
	buf_adds(v->why, "not a size in range; write ");
	add_size(v->why, v->k->min);
	buf_adds(v->why, " to ");
	add_size(v->why, v->k->max);
	buf_adds(v->why, " (K, M, G, T)");
	or_word(v);
	return -EINVAL;
}

static void add_time(struct buf *b, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = {
		{86400000, "d" },
		{3600000,  "h" },
		{60000,    "m" },
		{1000,     "s" },
		{1,        "ms"}
        };

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (ms > 0 && ms % units[i].ms == 0) {
			buf_addf(b, "%llu%s",
				 (unsigned long long)(ms / units[i].ms),
				 units[i].unit);
			return;
		}
	}
	buf_adds(b, "0");
}

static int parse_time_range(const struct value *v)
{
	int64_t ms = 0;

	if (is_zero_word(v)) {
		*(int64_t *)v->field = 0;
		return 0;
	}
	if (parse_duration_ms(v->text, &ms) == 0 && ms >= 0 &&
	    (uint64_t)ms >= v->k->min && (uint64_t)ms <= v->k->max) {
		*(int64_t *)v->field = ms;
		return 0;
	}
	buf_adds(v->why, "not a time in range; write ");
	add_time(v->why, v->k->min);
	buf_adds(v->why, " to ");
	add_time(v->why, v->k->max);
	buf_adds(v->why, " (ms, s, m, h, d)");
	or_word(v);
	return -EINVAL;
}

static int parse_mode(const struct value *v)
{
	uint64_t n = 0;

	if (parse_octal(v->text, v->k->max, &n) < 0) {
		buf_addf(v->why, "not an octal mode; write 0 to %#llo",
			 (unsigned long long)v->k->max);
		return -EINVAL;
	}
	*(uint32_t *)v->field = (uint32_t)n;
	return 0;
}

static int parse_free(const struct value *v)
{
	size_t len = strlen(v->text);
	char digits[4] = "";
	uint64_t n = 0;

	if (len > 1 && len <= 4 && v->text[len - 1] == '%') {
		memcpy(digits, v->text, len - 1);
		if (parse_u64(digits, 0, 99, &n) == 0) {
			v->conf->state.staging_min_free_percent = (int)n;
			v->conf->state.staging_min_free = 0;
			return 0;
		}
	} else if (parse_size(v->text, &n) == 0) {
		v->conf->state.staging_min_free_percent = 0;
		v->conf->state.staging_min_free = n;
		return 0;
	}
	return refuse(
		v,
		"neither a percentage nor a size; write 0% to 99%, or a size like 2G");
}

/* ---- users --------------------------------------------------------------- */

static int parse_user(const struct value *v)
{
	const struct passwd *pw;
	uint64_t n = 0;

	if (parse_u64(v->text, 0, UINT32_MAX - 1, &n) < 0) {
		pw = v->text[0] ? getpwnam(v->text) : NULL;
		if (!pw)
			return refuse(
				v,
				"no user of this machine; write a number or a user's name");
		n = pw->pw_uid;
	}
	v->conf->mount.uid = (uint32_t)n;
	v->conf->mount.has_uid = true;
	return 0;
}

static int parse_group(const struct value *v)
{
	const struct group *gr;
	uint64_t n = 0;

	if (parse_u64(v->text, 0, UINT32_MAX - 1, &n) < 0) {
		gr = v->text[0] ? getgrnam(v->text) : NULL;
		if (!gr)
			return refuse(
				v,
				"no group of this machine; write a number or a group's name");
		n = gr->gr_gid;
	}
	v->conf->mount.gid = (uint32_t)n;
	v->conf->mount.has_gid = true;
	return 0;
}

static const parse_fn parsers[] = {
	[SCHEMA_PATH] = parse_path,         [SCHEMA_LOG_PATH] = parse_log_path,
	[SCHEMA_ENDPOINT] = parse_endpoint, [SCHEMA_REGION] = parse_region,
	[SCHEMA_BUCKET] = parse_bucket,     [SCHEMA_PREFIX] = parse_prefix,
	[SCHEMA_PROXY] = parse_proxy,       [SCHEMA_GLOBS] = parse_globs,
	[SCHEMA_NAME] = parse_name,         [SCHEMA_SECRET] = parse_secret,
	[SCHEMA_WORD] = parse_word,         [SCHEMA_BOOL] = parse_bool_word,
	[SCHEMA_INT] = parse_int,           [SCHEMA_COUNT] = parse_big_count,
	[SCHEMA_SIZE] = parse_size_range,   [SCHEMA_TIME] = parse_time_range,
	[SCHEMA_MODE] = parse_mode,         [SCHEMA_USER] = parse_user,
	[SCHEMA_GROUP] = parse_group,       [SCHEMA_FREE] = parse_free,
	[SCHEMA_LEVEL] = parse_level_word,
};

int value_set(const struct schema_key *k, struct conf *c, const char *text,
	      const char *base, struct buf *why)
{
	struct value v = {
		.k = k,
		.text = text,
		.base = base,
		.conf = c,
		.field = (char *)c + k->offset,
		.why = why,
	};

	return parsers[k->type](&v);
}
