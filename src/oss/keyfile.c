/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/fileio.h"

enum { FILE_MAX = 64 << 10, KEY_MAX = 256, TOKEN_MAX = 8192 };

/* Texts that hold secrets are wiped, not just freed. */
static void wipe_buf(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

void keys_wipe(char **text)
{
	if (!*text)
		return;
	explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void keys_release(struct keys *k)
{
	keys_wipe(&k->id);
	keys_wipe(&k->secret);
	keys_wipe(&k->token);
}

bool keys_equal(const struct keys *a, const struct keys *b)
{
	return str_eq(a->id, b->id) && str_eq(a->secret, b->secret) &&
	       str_eq(a->token, b->token);
}

static int wrong(char **why, char *text, int err)
{
	*why = text;
	return text ? err : -ENOMEM;
}

/* ---- one set ----------------------------------------------------------- */

static bool is_word(const char *s, size_t max)
{
	size_t len = strlen(s);

	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return true;
}

int keys_set(struct keys *k, const char *id, const char *secret,
	     const char *token, char **why, const char *from)
{
	struct keys fresh = {.stamp.size = -1};

	if (!is_word(id, KEY_MAX) || strchr(id, ':') || strchr(id, '/'))
		return wrong(why,
			     str_printf("the access key id in %s is not one: "
					"letters and digits without blanks",
					from),
			     -EINVAL);
	if (!is_word(secret, KEY_MAX))
		return wrong(why,
			     str_printf("the access key secret in %s is not "
					"one: printable, without blanks",
					from),
			     -EINVAL);
	if (token && *token && !is_word(token, TOKEN_MAX))
		return wrong(why,
			     str_printf("the security token in %s is not one: "
					"printable, without blanks",
					from),
			     -EINVAL);
	fresh.id = str_dup(id);
	fresh.secret = str_dup(secret);
	fresh.token = token && *token ? str_dup(token) : NULL;
	if (!fresh.id || !fresh.secret || (token && *token && !fresh.token)) {
		keys_release(&fresh);
		return -ENOMEM;
	}
	*k = fresh;
	return 0;
}

/* ---- JSON -------------------------------------------------------------- */

static const char *member(const json_t *root, const char *name)
{
	return json_string_value(json_object_get(root, name));
}

static int read_json_root(const json_t *root, const char *path,
			  struct keys *out, char **why)
{
	const char *code = member(root, "Code");
	const char *id = member(root, "AccessKeyId");
	const char *secret = member(root, "AccessKeySecret");
	const char *expires = member(root, "Expiration");
	int64_t expires_ms = 0;
	int rc;

	if (code && strcmp(code, "Success") != 0)
		return wrong(
			why,
			str_printf("%s: \"Code\" is not \"Success\"", path),
			-EINVAL);
	if (!id || !secret)
		return wrong(why,
			     str_printf("%s: AccessKeyId or AccessKeySecret is "
					"missing",
					path),
			     -EINVAL);
	if (expires && *expires &&
	    clock_parse_rfc3339(expires, &expires_ms) < 0)
		return wrong(why,
			     str_printf("%s: Expiration is not a time such as "
					"2026-11-28T19:51:48Z",
					path),
			     -EINVAL);
	rc = keys_set(out, id, secret, member(root, "SecurityToken"), why,
		      path);
	if (rc == 0)
		out->expires_ms = expires_ms;
	return rc;
}

static int read_json(const struct buf *text, const char *path, struct keys *out,
		     char **why)
{
	json_error_t error;
	json_t *root = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES,
				  &error);
	int rc;

	/* Not error.text: it quotes what stands there. */
	if (!json_is_object(root))
		rc = wrong(why,
			   str_printf("%s:%d: not a JSON object", path,
				      error.line > 0 ? error.line : 1),
			   -EINVAL);
	else
		rc = read_json_root(root, path, out, why);
	json_decref(root);
	return rc;
}

/* ---- lines ------------------------------------------------------------- */

struct lines {
	const char *path;
	const char *bucket;
	char *id;
	char *secret;
	bool exact; /* a line for our bucket was found */
	char **why;
};

static int bad_line(struct lines *l, int number)
{
	return wrong(l->why,
		     str_printf("%s:%d: not AccessKeyId:AccessKeySecret, nor "
				"with BUCKET: in front",
				l->path, number),
		     -EINVAL);
}

/* ossfs's other form. @return whether the line is of it */
static bool named_line(struct lines *l, const char *line, int *rc)
{
	static const char id[] = "OSSAccessKeyId=";
	static const char secret[] = "OSSSecretKey=";

	if (strncmp(line, id, strlen(id)) == 0)
		*rc = str_set(&l->id, line + strlen(id));
	else if (strncmp(line, secret, strlen(secret)) == 0)
		*rc = str_set(&l->secret, line + strlen(secret));
	else
		return false;
	return true;
}

static int take_line(struct lines *l, char *line, int number)
{
	char *first = strchr(line, ':');
	char *second = first ? strchr(first + 1, ':') : NULL;
	char *id = line;
	int rc = 0;

	if (*line == '\0' || *line == '#')
		return 0;
	if (strpbrk(line, " \t") || *line == '[')
		return bad_line(l, number);
	if (named_line(l, line, &rc))
		return rc;
	if (!first || (second && strchr(second + 1, ':')))
		return bad_line(l, number);
	if (second) {
		*first = '\0';
		if (!l->bucket || strcmp(line, l->bucket) != 0)
			return 0;
		id = first + 1;
		first = second;
	} else if (l->exact || l->id) {
		return 0; /* a nearer line was there already */
	}
	*first = '\0';
	l->exact = second != NULL;
	rc = str_set(&l->id, id);
	return rc < 0 ? rc : str_set(&l->secret, first + 1);
}

static int read_lines(struct buf *text, const char *path, const char *bucket,
		      struct keys *out, char **why)
{
	struct lines l = {.path = path, .bucket = bucket, .why = why};
	char *rest = text->data;
	char *line;
	int number = 0;
	int rc = 0;

	while (rc == 0 && (line = strsep(&rest, "\n"))) {
		size_t len = strlen(line);

		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		rc = take_line(&l, line, ++number);
	}
	if (rc == 0 && (!l.id || !l.secret))
		rc = wrong(why,
			   str_printf("%s: no line AccessKeyId:AccessKeySecret "
				      "for this bucket",
				      path),
			   -EINVAL);
	if (rc == 0)
		rc = keys_set(out, l.id, l.secret, NULL, why, path);
	keys_wipe(&l.id);
	keys_wipe(&l.secret);
	return rc;
}

/* ---- the file ---------------------------------------------------------- */

static void stamp_of(const struct stat *st, struct keyfile_stamp *out)
{
	*out = (struct keyfile_stamp){
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 +
			    st->st_mtim.tv_nsec,
		.ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 +
			    st->st_ctim.tv_nsec,
		.inode = (int64_t)st->st_ino,
		.size = st->st_size,
	};
}

int keyfile_stamp(const char *path, struct keyfile_stamp *out)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	stamp_of(&st, out);
	return 0;
}

static int check_file(const char *path, const struct stat *st, char **why)
{
	if (!S_ISREG(st->st_mode))
		return wrong(why, str_printf("%s: not a regular file", path),
			     -EINVAL);
	if (st->st_mode & S_IRWXO)
		return wrong(why,
			     str_printf("%s: holds secrets, but everybody can "
					"use it (mode %04o); run: chmod o= %s",
					path, (unsigned)st->st_mode & 07777,
					path),
			     -EACCES);
	if (st->st_size > FILE_MAX)
		return wrong(why,
			     str_printf("%s: too large for access keys", path),
			     -EINVAL);
	return 0;
}

static int slurp(const char *path, struct buf *text,
		 struct keyfile_stamp *stamp, char **why)
{
	/* Not blocking: it may turn out to be a pipe. */
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;
	char *to;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = -errno;
		return wrong(why, str_printf("%s: %s", path, strerror(-rc)),
			     rc);
	}
	rc = check_file(path, &st, why);
	if (rc < 0)
		return rc;
	to = buf_reserve(text, FILE_MAX);
	if (!to)
		return -ENOMEM;
	n = fd_pread_all(fd, to, FILE_MAX, 0);
	if (n < 0)
		return wrong(why, str_printf("%s: %s", path, strerror((int)-n)),
			     (int)n);
	buf_commit(text, (size_t)n);
	stamp_of(&st, stamp);
	return 0;
}

int keyfile_read(const char *path, const char *bucket, struct keys *out,
		 char **why)
{
	AUTO(wipe_buf) struct buf text = BUF_INIT;
	struct keyfile_stamp stamp;
	struct keys keys = {.stamp.size = -1};
	int rc = slurp(path, &text, &stamp, why);

	if (rc < 0)
		return rc;
	if (strlen(buf_str(&text)) != text.len)
		rc = wrong(why, str_printf("%s: not a text file", path),
			   -EINVAL);
	else if (buf_str(&text)[strspn(buf_str(&text), " \t\r\n")] == '{')
		rc = read_json(&text, path, &keys, why);
	else
		rc = read_lines(&text, path, bucket, &keys, why);
	if (rc < 0)
		return rc;
	keys.stamp = stamp;
	*out = keys;
	return 0;
}
