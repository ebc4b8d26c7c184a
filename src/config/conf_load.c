/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "config/conf_int.h"
#include "config/values.h"
#include "util/fileio.h"

#define FILE_MAX ((size_t)1 << 20)
#define CHUNK ((size_t)16 << 10)

struct loading {
	struct conf *c;
	struct complaints list;
	struct section_id section;
	bool skip;      /* below the head of an unknown section */
	bool has_keys;  /* an access key stands in the file */
	bool keys_only; /* take [credentials] alone, and no errors elsewhere */
};

static enum inifile_comments comments_of(const char *section, const char *key)
{
	if (strncmp(section, "callback.vars", 13) == 0)
		return INIFILE_COMMENT_WIDE;
	if (strncmp(section, "callback", 8) == 0 &&
	    (strcmp(key, "body") == 0 || strcmp(key, "url") == 0))
		return INIFILE_COMMENT_NEVER;
	return INIFILE_COMMENT_BLANK;
}

static void take_error(void *arg, int line, const char *what)
{
	struct loading *ld = arg;
	struct complaint_at at = conf_at(ld->c, line, NULL, NULL);

	if (!ld->keys_only)
		complain(&ld->list, &at, NULL, "%s", what);
}

static void take_head(struct loading *ld, const struct inifile_entry *e)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	struct complaint_at at = conf_at(ld->c, e->line, e->section, NULL);

	ld->skip = section_parse(e->section, &ld->section, &why) < 0;
	if (ld->keys_only)
		return;
	if (ld->skip)
		complain(&ld->list, &at, NULL, "%s", buf_str(&why));
	else if (ld->section.kind != SECTION_PLAIN)
		ld->skip = !callback_declare(ld->c, &ld->section, e->section,
					     e->line, &ld->list);
}

static bool is_secret(const struct conf_setting *s)
{
	const struct schema_key *k =
		s->section->kind == SECTION_PLAIN
			? schema_find(s->section->name, s->key)
			: NULL;

	return k && k->type == SCHEMA_SECRET;
}

static void take_entry(void *arg, const struct inifile_entry *e)
{
	struct loading *ld = arg;
	struct conf_setting s = {
		.section = &ld->section,
		.shown = e->section,
		.key = e->key,
		.value = e->value,
		.line = e->line,
	};

	if (!e->key) {
		take_head(ld, e);
		return;
	}
	if (!e->section[0] && !ld->skip) {
		take_error(
			ld, e->line,
			"a key before the first section; write [oss] or the like above it");
		ld->skip = true; /* once is enough */
	}
	if (ld->skip || !e->section[0])
		return;
	if (is_secret(&s))
		ld->has_keys = true;
	else if (ld->keys_only)
		return;
	conf_set(ld->c, &s, &ld->list);
}

/* To the end, wherever that is: the file may grow while it is read. */
static int read_all(int fd, struct buf *text)
{
	for (;;) {
		char *to = buf_reserve(text, CHUNK);
		ssize_t n;

		if (!to)
			return -ENOMEM;
		n = fd_pread_all(fd, to, CHUNK, text->len);
		if (n < 0)
			return (int)n;
		buf_commit(text, (size_t)n);
		if (text->len > FILE_MAX)
			return -EFBIG;
		if ((size_t)n < CHUNK)
			return 0;
	}
}

/* The file's text and mode, of one open file. */
static int read_file(const char *path, struct buf *text, mode_t *mode)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*mode = st.st_mode;
	return read_all(fd, text);
}

static int load(struct loading *ld, const char *path)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	struct complaint_at at = {.file = path};
	struct inifile_reader reader = {
		.comments = comments_of,
		.entry = take_entry,
		.error = take_error,
		.arg = ld,
	};
	mode_t mode = 0;
	int rc = read_file(path, &text, &mode);

	if (rc < 0) {
		complain(&ld->list, &at, NULL,
			 "%s; write the path of a configuration file",
			 rc == -EINVAL  ? "not a regular file"
			 : rc == -EFBIG ? "longer than 1 MiB"
					: strerror(-rc));
		return rc;
	}
	rc = inifile_read(buf_str(&text), text.len, &reader);
	if (text.data)
		explicit_bzero(text.data, text.len); /* it may hold keys */
	if (ld->has_keys && (mode & (S_IROTH | S_IWOTH))) {
		complain(
			&ld->list, &at, NULL,
			"holds access keys, and every user can %s it; write chmod o= %s",
			mode & S_IROTH ? "read" : "write", path);
		return -EACCES;
	}
	if (rc == -ENOMEM)
		return rc;
	return complaints_error(&ld->list);
}

/* Note the file's name and folder. */
static int note_file(struct conf *c, const char *path)
{
	AUTO_FREE char *full = value_path(path, NULL);
	char *slash;

	if (!full || str_set(&c->config_file, full) < 0 ||
	    str_set(&c->origin->file, path) < 0)
		return -ENOMEM;
	slash = strrchr(full, '/');
	slash[slash == full ? 1 : 0] = '\0';
	return str_set(&c->origin->dir, full);
}

int conf_load_file(struct conf *c, const char *path, char **why)
{
	struct loading ld = {.c = c, .list = COMPLAINTS_INIT};
	int rc = note_file(c, path);

	if (rc < 0)
		return rc;
	rc = load(&ld, path);
	if (rc < 0)
		*why = complaints_take(&ld.list);
	complaints_release(&ld.list);
	return rc;
}

int conf_reread_credentials(const char *path, char **id, char **secret,
			    char **token)
{
	struct conf *c = conf_new();
	struct loading ld = {
		.c = c, .list = COMPLAINTS_INIT, .keys_only = true};
	int rc;

	if (!c)
		return -ENOMEM;
	rc = note_file(c, path);
	if (rc == 0)
		rc = load(&ld, path);
	if (rc == 0) {
		*id = take_ptr(c->credentials.access_key_id);
		*secret = take_ptr(c->credentials.access_key_secret);
		*token = take_ptr(c->credentials.security_token);
	}
	complaints_release(&ld.list);
	conf_free(c);
	return rc;
}
