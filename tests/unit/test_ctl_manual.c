/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ackctl(1) and --help name the same commands and options.
 * Runs in the repository's root; $ACKFS_ETC is another place of etc/.
 */
#include "../support/test.h"

#include <ctype.h>
#include <string.h>

#include "ctl/ctl.h"

/* The manual without roff's "\-". */
static char *read_manual(void)
{
	const char *etc = getenv("ACKFS_ETC");
	AUTO_FREE char *path = test_path(etc ? etc : "etc", "man/ackctl.1");
	AUTO(buf_release) struct buf raw = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;

	test_file_read(path, &raw);
	for (const char *c = buf_str(&raw); *c; c++) {
		if (c[0] == '\\' && c[1] == '-')
			c++;
		buf_addc(&text, *c);
	}
	return buf_detach(&text);
}

/* The next option of a help text. @return length, 0: there is none */
static size_t next_option(const char **at)
{
	const char *start = strstr(*at, "--");
	size_t len = 2;

	if (!start)
		return 0;
	while (islower((unsigned char)start[len]) || start[len] == '-')
		len++;
	*at = start;
	return len;
}

static void check_options(const char *manual, const struct ctl_command *c)
{
	const char *at = c->help;
	size_t len;

	while ((len = next_option(&at)) > 0) {
		AUTO_FREE char *option = strndup(at, len);

		if (!strstr(manual, option))
			fail_msg("ackctl %s %s is not in the manual", c->name,
				 option);
		at += len;
	}
}

static void the_manual_has_every_command_and_option(void **state)
{
	AUTO_FREE char *manual = read_manual();

	(void)state;
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct ctl_command *c = ctl_commands[i];
		AUTO_FREE char *head = str_printf("\n.SS %s\n", c->name);

		if (!strstr(manual, head))
			fail_msg("no section on %s", c->name);
		check_options(manual, c);
	}
}

static void the_manual_has_no_other_commands(void **state)
{
	AUTO_FREE char *manual = read_manual();
	const char *line = strstr(manual, ".SH COMMANDS");
	const char *end = strstr(manual, ".SH FILES");

	(void)state;
	assert_non_null(line);
	while ((line = strstr(line, "\n.SS ")) && line < end) {
		char name[32] = "";
		bool found = false;

		line += 5;
		strncat(name, line,
			strcspn(line, "\n") < 31 ? strcspn(line, "\n") : 31);
		for (size_t i = 0; i < ctl_command_count; i++)
			found = found ||
				strcmp(ctl_commands[i]->name, name) == 0;
		if (!found)
			fail_msg("%s is no command", name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_has_every_command_and_option),
		cmocka_unit_test(the_manual_has_no_other_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
