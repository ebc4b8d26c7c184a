/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"

/* @return whether it was a common one */
static bool read_common(struct cli *cli, int option, const char *value)
{
	switch (option) {
	case CLI_STATE_DIR:
		cli->ask.state_dir = value;
		return true;
	case CLI_CONFIG:
		cli->ask.config = value;
		return true;
	case CLI_BUCKET:
		cli->ask.bucket = value;
		return true;
	case CLI_JSON:
		cli->json = true;
		return true;
	}
	return false;
}

int cli_read(struct cli *cli, int argc, char **argv)
{
	AUTO_FREE char *letters =
		str_printf("h%s", cli->letters ? cli->letters : "");
	int c, status = CTL_OK;

	if (!letters)
		return ctl_fail_errno(-ENOMEM, cli->command->name);
	while (status == CTL_OK &&
	       (c = getopt_long(argc, argv, letters, cli->options, NULL)) !=
		       -1) {
		if (c == 'h' || c == CLI_HELP) {
			ctl_print_help(cli->command);
			return CTL_HELPED;
		}
		if (read_common(cli, c, optarg))
			continue;
		if (c == '?' || !cli->own)
			return ctl_usage(cli->command);
		status = cli->own(cli->arg, c, optarg);
	}
	return status;
}

int cli_operands(const struct cli *cli, int argc, char **argv, int min, int max)
{
	int n = argc - optind;

	if (n < min) {
		ctl_fail("%s: want %s", cli->command->name,
			 cli->command->operands);
		return ctl_usage(cli->command);
	}
	if (n > max)
		return ctl_fail("%s: too many operands: %s", cli->command->name,
				argv[optind + max]);
	return CTL_OK;
}

int cli_read_path(struct cli *cli, int argc, char **argv)
{
	int status = cli_read(cli, argc, argv);

	if (status == CTL_OK)
		status = cli_operands(cli, argc, argv, 0, 1);
	if (status == CTL_OK)
		cli->ask.path = argv[optind];
	return status;
}

int cli_confirm(bool yes, const char *question)
{
	char answer[16];

	if (yes)
		return CTL_OK;
	if (!isatty(STDIN_FILENO))
		return ctl_fail("%s: say --yes", question);
	fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(answer, sizeof(answer), stdin) ||
	    (answer[0] != 'y' && answer[0] != 'Y'))
		return ctl_fail("nothing was done");
	return CTL_OK;
}
