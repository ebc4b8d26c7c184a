/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of keys, etc/ackfs.conf and etc/man/ackfs.conf.5 say the same.
 * Runs in the repository's root; $ACKFS_ETC is another place of etc/.
 */
#include "../support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "callback/conf_rules.h"
#include "callback/rules.h"
#include "config/conf.h"
#include "config/schema.h"
#include "util/fileio.h"

static char *read_etc(const char *name)
{
	const char *etc = getenv("ACKFS_ETC");
	AUTO_FREE char *path = str_printf("%s/%s", etc ? etc : "etc", name);
	AUTO(buf_release) struct buf b = BUF_INIT;

	if (file_read(path, 1 << 20, &b) < 0)
		fail_msg("%s cannot be read", path);
	return buf_detach(&b);
}

/* The next line, NUL at its end; NULL behind the last. */
static char *next_line(char **rest)
{
	return *rest && **rest ? strsep(rest, "\n") : NULL;
}

/* ---- the sample ---------------------------------------------------------- */

struct sample_line {
	char section[64]; /* the table's: rules are "callback" */
	char key[64];
	char value[256];
	bool is_off; /* behind ';' */
};

/* ";key = value" or "key = value", below "[section]" or ";[section]". */
static bool take_sample(const char *line, struct sample_line *s)
{
	s->is_off = *line == ';';
	line += s->is_off ? 1 : 0;
	if (*line == '[') {
		(void)sscanf(line, "[%63[a-z.]", s->section);
		return false;
	}
	s->value[0] = '\0';
	return sscanf(line, "%63[a-z_] = %255[^\n]", s->key, s->value) >= 1 &&
	       strchr(line, '=') != NULL;
}

static int times_in_sample(const char *text, const struct schema_key *k,
			   bool *preset_shown)
{
	AUTO_FREE char *copy = str_dup(text);
	struct sample_line s = {.section = ""};
	char *rest = copy, *line;
	int times = 0;

	*preset_shown = false;
	while ((line = next_line(&rest)) != NULL) {
		if (*line == '#' || !take_sample(line, &s) ||
		    strcmp(s.section, k->section) != 0 ||
		    strcmp(s.key, k->key) != 0)
			continue;
		times++;
		if (k->preset && strcmp(s.value, k->preset) == 0)
			*preset_shown = true;
	}
	return times;
}

static void the_sample_has_every_key_with_its_default(void **state)
{
	AUTO_FREE char *text = read_etc("ackfs.conf");

	(void)state;
	for (size_t i = 0; i < schema_count(); i++) {
		const struct schema_key *k = schema_at(i);
		bool shown = false, is_callback = k->type == SCHEMA_CALLBACK;
		int times = times_in_sample(text, k, &shown);

		if (times != 1 && !(is_callback && times > 0))
			fail_msg("%s.%s stands %d times", k->section, k->key,
				 times);
		if (k->preset && k->preset[0] && !shown && !is_callback)
			fail_msg("%s.%s: not with its default %s", k->section,
				 k->key, k->preset);
	}
}

static void the_sample_has_no_other_keys(void **state)
{
	AUTO_FREE char *text = read_etc("ackfs.conf");
	struct sample_line s = {.section = ""};
	char *rest = text, *line;

	(void)state;
	while ((line = next_line(&rest)) != NULL) {
		if (*line == '#' || !take_sample(line, &s) ||
		    strcmp(s.section, "callback.vars") == 0)
			continue;
		if (!schema_find(s.section, s.key))
			fail_msg("%s.%s is no key", s.section, s.key);
	}
}

static void assert_works(const char *dir, const char *text, bool enabled)
{
	AUTO_FREE char *path = test_path(dir, "ackfs.conf");
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *warnings = NULL;
	struct conf *c = conf_new();
	struct rules *r = NULL;
	int rc;

	test_file_write(path, text, strlen(text));
	assert_int_equal(chmod(path, 0600), 0);
	rc = conf_load_file(c, path, &why);
	if (rc == 0)
		rc = conf_set_option(c, "oss.bucket=examplebucket", &why);
	if (rc == 0 && enabled)
		rc = conf_set_option(c, "callback.enabled=true", &why);
	if (rc == 0)
		rc = conf_finish(c, &why);
	if (rc == 0)
		rc = rules_from_conf(c, &r, &why, &warnings);
	if (rc < 0 || warnings)
		fail_msg("%s%s", why ? why : "", warnings ? warnings : "");
	rules_free(r);
	conf_free(c);
}

static void the_sample_works_as_it_is(void **state)
{
	AUTO_FREE char *text = read_etc("ackfs.conf");

	assert_works(*state, text, false);
	assert_works(*state, text, true);
}

static void the_sample_works_with_every_key_set(void **state)
{
	AUTO_FREE char *text = read_etc("ackfs.conf");
	AUTO(buf_release) struct buf all = BUF_INIT;
	char *rest = text, *line;

	while ((line = next_line(&rest)) != NULL) {
		/* body stands there already */
		if (strncmp(line, ";body_file", 10) == 0)
			continue;
		buf_adds(&all, *line == ';' ? line + 1 : line);
		buf_addc(&all, '\n');
	}
	assert_works(*state, buf_str(&all), true);
}

/* ---- the manual ---------------------------------------------------------- */

/* Does the page have ".B KEY" below ".SS [SECTION]", with its default? */
static bool manual_has(const char *text, const struct schema_key *k)
{
	AUTO_FREE char *head = str_printf("\n.SS [%s]\n", k->section);
	AUTO_FREE char *item = str_printf("\n.TP\n.B %s\n", k->key);
	AUTO_FREE char *preset = str_printf("Default: \\fB%s\\fP.\n",
					    k->preset ? k->preset : "");
	const char *from = strstr(text, head), *at, *end;
	AUTO_FREE char *part = NULL;

	if (!from)
		return false;
	end = strstr(from + 1, "\n.SS ");
	part = strndup(from, end ? (size_t)(end + 1 - from) : strlen(from));
	at = strstr(part, item);
	if (!at)
		return false;
	end = strstr(at + strlen(item), "\n.TP");
	from = strstr(at, preset);
	return !k->preset || !k->preset[0] || (from && (!end || from < end));
}

static char *without_escapes(const char *text)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] == '-')
			continue; /* \- is a '-' */
		buf_addc(&b, *text);
	}
	return buf_detach(&b);
}

static void the_manual_has_every_key_with_its_default(void **state)
{
	AUTO_FREE char *raw = read_etc("man/ackfs.conf.5");
	AUTO_FREE char *text = without_escapes(raw);

	(void)state;
	for (size_t i = 0; i < schema_count(); i++)
		if (!manual_has(text, schema_at(i)))
			fail_msg("%s.%s, or its default %s",
				 schema_at(i)->section, schema_at(i)->key,
				 schema_at(i)->preset);
}

static void the_manual_has_no_other_keys(void **state)
{
	AUTO_FREE char *text = read_etc("man/ackfs.conf.5");
	char section[64] = "", key[64];
	char *rest = text, *line;
	bool is_item = false;

	(void)state;
	while ((line = next_line(&rest)) != NULL &&
	       strncmp(line, ".SH THE BODY", 12) != 0) {
		(void)sscanf(line, ".SS [%63[a-z.]", section);
		if (is_item && section[0] &&
		    sscanf(line, ".B %63[a-z_]", key) == 1 &&
		    !schema_find(section, key))
			fail_msg("%s.%s is no key", section, key);
		is_item = strcmp(line, ".TP") == 0;
	}
}

/* ---- the table ----------------------------------------------------------- */

static void every_key_has_a_section_and_a_help(void **state)
{
	char form[80];

	(void)state;
	for (size_t i = 0; i < schema_count(); i++) {
		const struct schema_key *k = schema_at(i);
		bool found = false;

		for (size_t s = 0; schema_section(s); s++)
			found = found ||
				strcmp(schema_section(s), k->section) == 0;
		if (!found || !k->help || strlen(k->help) > 100 ||
		    !schema_form(k, form, sizeof(form))[0])
			fail_msg("%s.%s", k->section, k->key);
		assert_ptr_equal(schema_find(k->section, k->key), k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sample_has_every_key_with_its_default),
		cmocka_unit_test(the_sample_has_no_other_keys),
		cmocka_unit_test_setup_teardown(the_sample_works_as_it_is,
						test_dir_setup,
						test_dir_teardown),
		cmocka_unit_test_setup_teardown(
			the_sample_works_with_every_key_set, test_dir_setup,
			test_dir_teardown),
		cmocka_unit_test(the_manual_has_every_key_with_its_default),
		cmocka_unit_test(the_manual_has_no_other_keys),
		cmocka_unit_test(every_key_has_a_section_and_a_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
