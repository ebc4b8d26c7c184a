/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration file, from its bytes to two headers.
 *
 * Promises: entries hold text of their own line, whole where there can be no
 * comment; what is refused has a reason; what is accepted renders.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "callback/conf_rules.h"
#include "callback/rules.h"
#include "config/conf.h"
#include "config/ini.h"
#include "fuzz.h"
#include "util/fileio.h"

struct input {
	const char *data;
	size_t size;
	int errors;
};

static enum inifile_comments never(const char *section, const char *key)
{
	(void)section;
	(void)key;
	return INIFILE_COMMENT_NEVER;
}

static const char *line_at(const struct input *in, int number, size_t *len)
{
	const char *p = in->data, *end = in->data + in->size, *lf;

	while (--number > 0) {
		lf = memchr(p, '\n', (size_t)(end - p));
		PROMISE(lf != NULL);
		p = lf + 1;
	}
	lf = memchr(p, '\n', (size_t)(end - p));
	*len = (size_t)((lf ? lf : end) - p);
	return p;
}

/* Without the CR of a line's end and the blanks before it. */
static size_t blank_end(const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\r')
		len--;
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return len;
}

/* Key and value are in the line, and nothing but blanks is behind the value. */
static void check_entry(void *arg, const struct inifile_entry *e)
{
	const struct input *in = arg;
	size_t len, value, key;
	const char *line = line_at(in, e->line, &len);

	PROMISE(len <= INIFILE_LINE_MAX + 1);
	if (!e->key) {
		PROMISE(memmem(line, len, e->section, strlen(e->section)));
		return;
	}
	key = strlen(e->key);
	value = strlen(e->value);
	len = blank_end(line, len);
	PROMISE(key > 0 && memmem(line, len, e->key, key));
	PROMISE(value < len);
	PROMISE(memcmp(line + len - value, e->value, value) == 0);
}

static void count_error(void *arg, int line, const char *what)
{
	struct input *in = arg;

	PROMISE(line > 0 && what[0]);
	in->errors++;
}

static void check_lines(const char *data, size_t size)
{
	struct input in = {data, size, 0};
	struct inifile_reader r = {never, check_entry, count_error, &in};
	int rc = inifile_read(data, size, &r);

	PROMISE((rc == 0) == (in.errors == 0));
}

static void render(const struct rules *rules)
{
	const struct callback_inputs in = {
		.path = "in/customer/a b.jpg",
		.key = "p/in/customer/a b.jpg",
		.bucket = "examplebucket",
		.mount = "/mnt/oss",
		.host = "box",
		.user = "ann",
		.process = "cp",
		.delivery_id = "6f1c0b6e-97a5-4a1e-9d3b-1f2e3d4c5b6a",
		.previous_delivery_id = "",
	};
	AUTO(kvs_release) struct kvs captures = KVS_INIT;
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO(buf_release) struct buf body = BUF_INIT;
	AUTO_FREE char *why = NULL;
	const struct rule *rule = rules_match(rules, in.path, 5, &captures);

	PROMISE(rule != NULL);
	rules_is_temporary(rules, in.path);
	if (!rule->enabled)
		return;
	if (callback_render(rule, &captures, &in, &cb, &why) < 0) {
		PROMISE(why != NULL);
		return;
	}
	PROMISE(strlen(cb.param) <= CALLBACK_HEADER_MAX);
	PROMISE(strlen(cb.param_vars) <= CALLBACK_HEADER_MAX);
	PROMISE(callback_sample_body(&cb, NULL, &body) == 0);
}

static void check_conf(const char *path)
{
	struct conf *c = conf_new();
	struct rules *rules = NULL;
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *warnings = NULL;
	int rc;

	PROMISE(c != NULL);
	rc = conf_load_file(c, path, &why);
	if (rc == 0)
		rc = conf_set_option(c, "oss.bucket=examplebucket", &why);
	if (rc == 0)
		rc = conf_finish(c, &why);
	if (rc == 0)
		rc = rules_from_conf(c, &rules, &why, &warnings);
	PROMISE(rc == 0 || (why && why[0]));
	if (rc == 0)
		render(rules);
	rules_free(rules);
	conf_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;
	char path[40];

	check_lines((const char *)data, size);
	/* a template's file may be any file of this machine */
	if (memmem(data, size, "body_file", 9))
		return 0;
	fd = memfd_create("conf", MFD_CLOEXEC);
	PROMISE(fd >= 0 && fd_write_all(fd, data, size) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check_conf(path);
	close(fd);
	return 0;
}
