/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A command's options: the common ones are read here, its own are handed to
 * it.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_CLI_H
#define ACKFS_CTL_CLI_H

#include <getopt.h>
#include <stdbool.h>

#include "ctl/ctl.h"
#include "ctl/target.h"

enum {
	CLI_STATE_DIR = 256,
	CLI_CONFIG,
	CLI_BUCKET,
	CLI_JSON,
	CLI_HELP,
	CLI_OWN, /* a command's own begin here */
};

/** The head of a table of options for commands about a mount ... */
#define CLI_TARGET                                                             \
	{"state-dir", required_argument, NULL, CLI_STATE_DIR}, CLI_CONF
/** ... or about a configuration. */
#define CLI_CONF                                                               \
	{"config", required_argument, NULL, CLI_CONFIG},                       \
	{                                                                      \
		"bucket", required_argument, NULL, CLI_BUCKET                  \
	}
/** Its tail. */
#define CLI_END                                                                \
	{"json", no_argument, NULL, CLI_JSON},                                 \
		{"help", no_argument, NULL, CLI_HELP},                         \
	{                                                                      \
		NULL, 0, NULL, 0                                               \
	}

#define CLI_TARGET_HELP                                                        \
	"  --state-dir DIR   a state folder, mounted or not\n"                 \
	"  --config FILE     the state folder of this configuration\n"         \
	"  --bucket B[:/P]   its bucket and prefix, where FILE has none\n"
#define CLI_CONF_HELP                                                          \
	"  --config FILE     the configuration (/etc/ackfs/ackfs.conf)\n"      \
	"  --bucket B[:/P]   its bucket and prefix, where FILE has none\n"

struct cli {
	const struct ctl_command *command;
	const struct option *options;
	const char *letters; /* getopt's, without h; may be NULL */
	/** One of the command's own. @return CTL_OK, CTL_FAILED (said) */
	int (*own)(void *arg, int option, const char *value);
	void *arg;
	struct target_ask ask; /* filled */
	bool json;             /* filled */
};

/** Read options; optind is at the operands then.
 *  @return CTL_OK; CTL_HELPED, CTL_FAILED: the command ends with it */
int cli_read(struct cli *cli, int argc, char **argv);
/** Complain unless there are min to max operands. @return CTL_OK, CTL_FAILED */
int cli_operands(const struct cli *cli, int argc, char **argv, int min,
		 int max);
/** cli_read(), and the one operand that there may be: ask.path.
 *  @return as cli_read() */
int cli_read_path(struct cli *cli, int argc, char **argv);
/** Ask on the terminal, unless `yes` was given.
 *  @return CTL_OK; CTL_FAILED: no, or there is no terminal (said) */
int cli_confirm(bool yes, const char *question);

#endif
