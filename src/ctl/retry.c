/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl retry-upload, drop: files whose upload has failed so far. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ctl/cli.h"
#include "ctl/out.h"
#include "ctl/staged.h"
#include "util/buf.h"

#define RETRYING (1U << STAGING_RETRYING)
#define WAITING (1U << STAGING_CLOSED)

struct own {
	bool all, yes;
	const char *mount;
};

enum { OPT_ALL = CLI_OWN };

static int read_option(void *arg, int option, const char *value)
{
	struct own *own = arg;

	if (option == 'm')
		own->mount = value;
	else if (option == 'y')
		own->yes = true;
	else
		own->all = true;
	return CTL_OK;
}

/* The mount: --mount, or where the operand lies. */
static int find_target(struct cli *cli, const struct own *own,
		       const char *operand, struct target *t)
{
	cli->ask.path = own->mount;
	if (!own->mount && operand && target_is_on_mount(operand))
		cli->ask.path = operand;
	return target_find(&cli->ask, t);
}

/* -- retry-upload ---------------------------------------------------------------- */

static const struct option retry_options[] = {
	CLI_TARGET,
	{"mount", required_argument, NULL, 'm'    },
	{"all",   no_argument,       NULL, OPT_ALL},
	CLI_END,
};

static int retry_all(const struct target *t)
{
	const char *words[] = {"retry-upload"};
	int rc = target_command(t, words, 1);

	return rc < 0 ? ctl_fail_errno(rc, t->mount) : CTL_OK;
}

static int retry_one(const struct target *t, const char *operand)
{
	AUTO(staged_list_release) struct staged_list list = {0};
	const struct staging_info *f;
	int status = staged_list_read(t, RETRYING, &list);

	if (status != CTL_OK)
		return status;
	f = staged_find(&list, t, operand);
	return f ? staged_command(t, "retry-upload", f) : CTL_ABSENT;
}

static int run_retry_upload(int argc, char **argv)
{
	AUTO(target_release) struct target t = {0};
	struct own own = {0};
	struct cli cli = {.command = &ctl_retry_upload,
			  .options = retry_options,
			  .letters = "m:",
			  .own = read_option,
			  .arg = &own};
	int status = cli_read(&cli, argc, argv);
	bool all;

	if (status == CTL_OK)
		status = cli_operands(&cli, argc, argv, 0, 1);
	if (status == CTL_OK)
		status = find_target(&cli, &own, argv[optind], &t);
	if (status != CTL_OK)
		return status;
	if (!t.mount) {
		ctl_fail("not mounted: a mount tries again by itself at its "
			 "start");
		return CTL_ABSENT;
	}
	/* The mount point itself names all of it. */
	all = own.all || optind == argc || (cli.ask.path && !t.inside[0]);
	return all ? retry_all(&t) : retry_one(&t, argv[optind]);
}

const struct ctl_command ctl_retry_upload = {
	.name = "retry-upload",
	.operands = "[PATH|ID|--all]",
	.summary = "Try failed uploads again now",
	.help = "Without an operand, all of them: also those that wait for you, because trying\n"
		"again by itself would change nothing (wrong keys, no permission).\n"
		"\n"
		"  --all             all of them\n"
		"  -m, --mount MOUNT the mount, where there are several\n" CLI_TARGET_HELP,
	.run = run_retry_upload,
};

/* -- drop -------------------------------------------------------------------------- */

static const struct option drop_options[] = {
	CLI_TARGET,
	{"mount", required_argument, NULL, 'm'},
	{"yes",   no_argument,       NULL, 'y'},
	CLI_END,
};

static int drop_one(const struct target *t, const char *operand, bool yes)
{
	AUTO(staged_list_release) struct staged_list list = {0};
	AUTO_FREE char *question = NULL;
	const struct staging_info *f;
	int status = staged_list_read(t, RETRYING | WAITING, &list);

	if (status != CTL_OK)
		return status;
	f = staged_find(&list, t, operand);
	if (!f)
		return CTL_ABSENT;
	question = str_printf(
		"drop %s (%" PRIu64
		" bytes), which was closed and is not stored, for good?",
		f->key, f->size);
	status = cli_confirm(yes, question ? question : f->key);
	if (status != CTL_OK)
		return status;
	return t->mount ? staged_command(t, "drop", f)
			: staged_drop_offline(t->state_dir, f);
}

static int run_drop(int argc, char **argv)
{
	AUTO(target_release) struct target t = {0};
	struct own own = {0};
	struct cli cli = {.command = &ctl_drop,
			  .options = drop_options,
			  .letters = "m:y",
			  .own = read_option,
			  .arg = &own};
	int status = cli_read(&cli, argc, argv);

	if (status == CTL_OK)
		status = cli_operands(&cli, argc, argv, 1, 1);
	if (status == CTL_OK)
		status = find_target(&cli, &own, argv[optind], &t);
	return status == CTL_OK ? drop_one(&t, argv[optind], own.yes) : status;
}

const struct ctl_command ctl_drop = {
	.name = "drop",
	.operands = "[OPTION...] PATH|ID",
	.summary = "Give up a file whose upload fails: its bytes are deleted",
	.help = "The name shows what OSS has then: an older object, or nothing.  ackctl status\n"
		"shows the numbers.\n"
		"\n"
		"  -y, --yes         do not ask\n"
		"  -m, --mount MOUNT the mount, where there are several\n" CLI_TARGET_HELP,
	.run = run_drop,
};
