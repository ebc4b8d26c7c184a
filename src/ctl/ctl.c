/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/suggest.h"
#include "util/version.h"

const struct ctl_command *const ctl_commands[] = {
	&ctl_status,       &ctl_log,          &ctl_wait,    &ctl_umount,
	&ctl_incomplete,   &ctl_retry_upload, &ctl_drop,    &ctl_retry_callback,
	&ctl_reconcile,    &ctl_invalidate,   &ctl_metrics, &ctl_explain,
	&ctl_check_config, &ctl_preflight,
};
const size_t ctl_command_count = ARRAY_LEN(ctl_commands);

/* -- complaints ---------------------------------------------------------------- */

int ctl_fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("ackctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CTL_FAILED;
}

int ctl_fail_errno(int rc, const char *what)
{
	return ctl_fail("%s: %s", what, strerror(-rc));
}

int ctl_usage(const struct ctl_command *c)
{
	fprintf(stderr, "ackctl %s --help shows how to use it\n", c->name);
	return CTL_FAILED;
}

/* -- help ----------------------------------------------------------------------- */

static void print_help(void)
{
	printf("usage: ackctl COMMAND [OPTION...] [OPERAND...]\n"
	       "\n"
	       "Looks into a mount of ackfs and its state folder, and acts on "
	       "what waits there.\n"
	       "\n");
	for (size_t i = 0; i < ctl_command_count; i++)
		printf("  %-15s %s\n", ctl_commands[i]->name,
		       ctl_commands[i]->summary);
	printf("\n"
	       "MOUNT is a mount point, or any path below it; it may be left "
	       "out where one ackfs\n"
	       "is mounted.  ackctl COMMAND --help shows a command's options.\n"
	       "\n"
	       "Exit status: 0 done and well; 1 done, but something failed or "
	       "was given up;\n"
	       "2 not mounted, or no such thing; 3 wrong usage, or it could "
	       "not be found out.\n");
}

void ctl_print_help(const struct ctl_command *c)
{
	printf("usage: ackctl %s %s\n\n%s.\n\n%s", c->name, c->operands,
	       c->summary, c->help);
}

/* -- dispatch --------------------------------------------------------------------- */

static const struct ctl_command *find_command(const char *name)
{
	for (size_t i = 0; i < ctl_command_count; i++) {
		if (strcmp(ctl_commands[i]->name, name) == 0)
			return ctl_commands[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	struct suggestion s = SUGGESTION_INIT(name);

	for (size_t i = 0; i < ctl_command_count; i++)
		suggestion_try(&s, ctl_commands[i]->name);
	if (s.best)
		return ctl_fail("no such command: %s; did you mean %s?", name,
				s.best);
	return ctl_fail("no such command: %s; ackctl --help lists them", name);
}

static int help_of(int argc, char **argv)
{
	const struct ctl_command *c;

	if (argc < 3) {
		print_help();
		return CTL_OK;
	}
	c = find_command(argv[2]);
	if (!c)
		return unknown_command(argv[2]);
	ctl_print_help(c);
	return CTL_OK;
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int ctl_main(int argc, char **argv)
{
	const struct ctl_command *c;
	char name[40]; /* getopt's complaints begin with it */
	int status;

	if (argc < 2) {
		print_help();
		return CTL_FAILED;
	}
	if (is_one_of(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0)
		return help_of(argc, argv);
	if (is_one_of(argv[1], "--version", "-V")) {
		printf("ackctl %s\n", ackfs_version);
		return CTL_OK;
	}
	c = find_command(argv[1]);
	if (!c)
		return unknown_command(argv[1]);
	snprintf(name, sizeof(name), "ackctl %s", c->name);
	argv[1] = name;
	optind = 0; /* from the beginning, also in a second run */
	status = c->run(argc - 1, argv + 1);
	return status == CTL_HELPED ? CTL_OK : status;
}
