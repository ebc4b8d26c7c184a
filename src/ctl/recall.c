/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl retry-callback: make callbacks again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callback/outcome.h"
#include "ctl/cli.h"
#include "ctl/out.h"
#include "state/cblog.h"
#include "state/db.h"
#include "util/buf.h"

struct recall_run {
	const char *mount;
	bool failed;
	int64_t since_ms;
	struct target target;
	size_t asked, refused;
};

/* @return whether the mount took it */
static bool ask(struct recall_run *run, const char *path)
{
	const char *words[] = {"retry-callback", path};
	int rc = target_command(&run->target, words, 2);

	if (rc == 0) {
		run->asked++;
		return true;
	}
	run->refused++;
	if (rc == -ENOENT)
		ctl_fail("%s: this mount made no callback for it, or OSS has "
			 "another version now",
			 path);
	else
		ctl_fail_errno(rc, path);
	return false;
}

static int ask_record(void *arg, const struct cb_record *r)
{
	struct recall_run *run = arg;

	ask(run, target_path_of_key(&run->target, r->key));
	return 0;
}

/* Those whose last attempt failed, as far as it belongs to what is stored. */
static int ask_failed(struct recall_run *run)
{
	AUTO(db_closep) struct db *db = NULL;
	const struct cblog_filter f = {.since_ms = run->since_ms,
				       .state = CALLBACK_FAILED,
				       .latest_only = true};
	int rc, status = target_open_db(&run->target, &db);

	if (status != CTL_OK)
		return status;
	rc = cblog_walk(db, &f, ask_record, run);
	return rc < 0 ? ctl_fail_errno(rc, "the callback log") : CTL_OK;
}

enum { OPT_FAILED = CLI_OWN, OPT_SINCE };

static const struct option options[] = {
	CLI_TARGET,
	{"mount",  required_argument, NULL, 'm'       },
	{"failed", no_argument,       NULL, OPT_FAILED},
	{"since",  required_argument, NULL, OPT_SINCE },
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	struct recall_run *run = arg;

	switch (option) {
	case 'm':
		run->mount = value;
		return CTL_OK;
	case OPT_FAILED:
		run->failed = true;
		return CTL_OK;
	}
	run->failed = true;
	if (parse_time(value, &run->since_ms) < 0)
		return ctl_fail("--since %s: want 30m, 2h, 7d, 2026-11-28 or "
				"2026-11-28T19:00:00Z",
				value);
	return CTL_OK;
}

static int work(struct recall_run *run, const char *operand)
{
	int status = CTL_OK;

	if (!run->target.mount) {
		ctl_fail("not mounted: the mount makes the callbacks");
		return CTL_ABSENT;
	}
	if (run->failed)
		status = ask_failed(run);
	else
		ask(run,
		    target_is_on_mount(operand) ? run->target.inside : operand);
	if (status != CTL_OK)
		return status;
	if (run->failed)
		printf("%zu callbacks are made again; ackctl log --follow "
		       "shows what comes of them\n",
		       run->asked);
	return run->refused ? CTL_NO : CTL_OK;
}

static int run_recall(int argc, char **argv)
{
	struct recall_run run = {0};
	struct cli cli = {.command = &ctl_retry_callback,
			  .options = options,
			  .letters = "m:",
			  .own = read_option,
			  .arg = &run};
	int status = cli_read(&cli, argc, argv);

	if (status == CTL_OK)
		status = cli_operands(&cli, argc, argv, !run.failed,
				      !run.failed);
	if (status != CTL_OK)
		return status;
	cli.ask.path = run.mount;
	if (!run.mount && !run.failed && target_is_on_mount(argv[optind]))
		cli.ask.path = argv[optind];
	status = target_find(&cli.ask, &run.target);
	if (status == CTL_OK)
		status = work(&run, argv[optind]);
	target_release(&run.target);
	return status;
}

const struct ctl_command ctl_retry_callback = {
	.name = "retry-callback",
	.operands = "PATH | --failed | --since T",
	.summary = "Make callbacks again, with the same delivery id",
	.help = "OSS copies the object onto itself with the callback; no bytes are sent.\n"
		"\n"
		"  --failed          every object whose last callback failed\n"
		"  --since T         those that failed since then (30m, 2h, 2026-11-28)\n"
		"  -m, --mount MOUNT the mount, where there are several\n" CLI_TARGET_HELP,
	.run = run_recall,
};
