/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl invalidate: somebody else has changed the bucket. */
#include <errno.h>

#include "ctl/cli.h"

static const struct option options[] = {CLI_END};

static int run_invalidate(int argc, char **argv)
{
	AUTO(target_release) struct target t = {0};
	struct cli cli = {.command = &ctl_invalidate, .options = options};
	const char *words[] = {"invalidate", NULL};
	int rc, status = cli_read_path(&cli, argc, argv);

	if (status == CTL_OK)
		status = target_find(&cli.ask, &t);
	if (status != CTL_OK)
		return status;
	if (!t.mount)
		return CTL_ABSENT;
	words[1] = t.inside;
	rc = target_command(&t, words, t.inside[0] ? 2 : 1);
	return rc < 0 ? ctl_fail_errno(rc,
				       cli.ask.path ? cli.ask.path : t.mount)
		      : CTL_OK;
}

const struct ctl_command ctl_invalidate = {
	.name = "invalidate",
	.operands = "[PATH]",
	.summary = "Forget what is cached of a folder or file, or of all",
	.help = "For changes that other hosts made, before cache.metadata_ttl is over.\n",
	.run = run_invalidate,
};
