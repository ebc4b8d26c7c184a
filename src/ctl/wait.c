/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl wait: until nothing that was closed waits for OSS any more. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "ctl/cli.h"
#include "ctl/snapshot.h"
#include "util/clock.h"
#include "util/strnum.h"

enum { POLL_MS = 100 };

struct wait_run {
	int64_t timeout_ms; /* -1: for ever */
	bool callbacks;     /* wait for repeated ones too */
	bool quiet;
};

static int64_t left_of(const json_t *s, const struct wait_run *run)
{
	int64_t files = snapshot_pending(s);
	int64_t tasks = snapshot_number(s, "tasks.upload") +
			snapshot_number(s, "tasks.meta");
	int64_t left = files > tasks ? files : tasks;

	if (run->callbacks)
		left += snapshot_number(s, "callbacks.retrying");
	return left;
}

static int look(const struct target *t, const struct wait_run *run,
		int64_t *left)
{
	json_t *s = NULL;
	int status = snapshot_take(t, &s);

	if (status != CTL_OK)
		return status;
	*left = left_of(s, run);
	json_decref(s);
	return CTL_OK;
}

static int say_timeout(const struct wait_run *run, int64_t left)
{
	if (!run->quiet)
		fprintf(stderr, "ackctl: %" PRId64 " still wait\n", left);
	return CTL_NO;
}

static int wait_for(const struct target *t, const struct wait_run *run)
{
	const struct timespec pause = {0, POLL_MS * 1000000L};
	int64_t end = clock_mono_ms() + run->timeout_ms;
	int64_t left = 0;

	for (;;) {
		int status = look(t, run, &left);

		if (status != CTL_OK || left == 0)
			return status;
		if (run->timeout_ms >= 0 && clock_mono_ms() >= end)
			return say_timeout(run, left);
		nanosleep(&pause, NULL);
	}
}

enum { OPT_TIMEOUT = CLI_OWN, OPT_CALLBACKS };

static const struct option options[] = {
	CLI_TARGET,
	{"timeout",   required_argument, NULL, OPT_TIMEOUT  },
	{"callbacks", no_argument,       NULL, OPT_CALLBACKS},
	{"quiet",     no_argument,       NULL, 'q'          },
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	struct wait_run *run = arg;

	if (option == OPT_CALLBACKS)
		run->callbacks = true;
	else if (option == 'q')
		run->quiet = true;
	else if (parse_duration_ms(value, &run->timeout_ms) < 0)
		return ctl_fail("--timeout %s: want a time, such as 30s or 5m",
				value);
	return CTL_OK;
}

static int run_wait(int argc, char **argv)
{
	AUTO(target_release) struct target t = {0};
	struct wait_run run = {.timeout_ms = -1};
	struct cli cli = {.command = &ctl_wait,
			  .options = options,
			  .letters = "q",
			  .own = read_option,
			  .arg = &run};
	int status = cli_read_path(&cli, argc, argv);

	if (status != CTL_OK)
		return status;
	status = target_find(&cli.ask, &t);
	return status == CTL_OK ? wait_for(&t, &run) : status;
}

const struct ctl_command ctl_wait = {
	.name = "wait",
	.operands = "[OPTION...] [MOUNT]",
	.summary = "Wait until every closed file is stored",
	.help = "Renames, deletions and changes of metadata that were answered are waited for\n"
		"too; files that are open are not.\n"
		"\n"
		"  --timeout T       at most so long (30s, 5m); then the exit status is 1\n"
		"  --callbacks       until no callback is being repeated, either\n"
		"  -q, --quiet       do not say what is left\n" CLI_TARGET_HELP,
	.run = run_wait,
};
