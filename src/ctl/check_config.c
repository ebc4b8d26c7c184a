/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl check-config: everything that can be known without the network. */
#include <stdio.h>
#include <string.h>

#include "callback/conf_rules.h"
#include "callback/rules.h"
#include "config/conf.h"
#include "ctl/cli.h"
#include "ctl/out.h"

static const struct option options[] = {CLI_CONF, CLI_END};

static void conf_freep(struct conf **c)
{
	conf_free(*c);
}

static void rules_freep(struct rules **r)
{
	rules_free(*r);
}

static int check_rules(const struct conf *c)
{
	AUTO(rules_freep) struct rules *rules = NULL;
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *warnings = NULL;
	int rc = rules_from_conf(c, &rules, &why, &warnings);

	if (rc < 0) {
		fprintf(stderr, "%s\n", why ? why : strerror(-rc));
		return CTL_FAILED;
	}
	if (warnings)
		fprintf(stderr, "warning: %s\n", warnings);
	if (!rules_exist(rules))
		fprintf(stderr, "warning: there is no [callback]: files are "
				"stored, and nobody is told\n");
	return CTL_OK;
}

static int run_check(int argc, char **argv)
{
	AUTO(conf_freep) struct conf *c = NULL;
	struct cli cli = {.command = &ctl_check_config, .options = options};
	int status = cli_read(&cli, argc, argv);

	if (status == CTL_OK)
		status = cli_operands(&cli, argc, argv, 0, 1);
	if (status != CTL_OK)
		return status;
	if (optind < argc)
		cli.ask.config = argv[optind];
	cli.ask.bucket_may_miss = true;
	status = target_load_conf(&cli.ask, &c);
	if (status == CTL_OK)
		status = check_rules(c);
	if (status == CTL_OK)
		printf("%s: fine\n", c->config_file);
	return status;
}

const struct ctl_command ctl_check_config = {
	.name = "check-config",
	.operands = "[FILE]",
	.summary = "Check a configuration without using the network",
	.help = "Every mistake is named with its line.  /etc/ackfs/ackfs.conf where FILE is left\n"
		"out.  A bucket may be missing there: the command line names it.\n"
		"\n" CLI_CONF_HELP "\n"
		"Exit status 3: it would be refused.\n",
	.run = run_check,
};
