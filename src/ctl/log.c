/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl log: one line for each attempt of each callback. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "callback/outcome.h"
#include "ctl/cli.h"
#include "ctl/out.h"
#include "ctl/target.h"
#include "state/cblog.h"
#include "state/db.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/glob.h"
#include "util/strnum.h"

enum { FOLLOW_PAUSE_MS = 300 };

/* What --state takes: the callback's states, and two kinds of failed. */
enum log_state { LOG_ALL, LOG_BY_STATE, LOG_GIVEN_UP, LOG_RETRYING };

struct log_run {
	struct target target;
	struct cblog_filter filter;
	enum log_state state;
	char *glob; /* on keys */
	size_t limit;
	bool json, follow;
	int64_t last_id;
	/* newest first, printed backwards */
	char **lines;
	size_t count;
};

static void log_run_release(struct log_run *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->lines[i]);
	free(r->lines);
	free(r->glob);
	target_release(&r->target);
}

/* -- output ---------------------------------------------------------------------- */

static char *make_line(const struct log_run *run, const struct cb_record *r)
{
	return run->json ? record_json(r) : record_line(r);
}

static bool is_wanted(const struct log_run *run, const struct cb_record *r)
{
	switch (run->state) {
	case LOG_ALL:
	case LOG_BY_STATE:
		return true;
	case LOG_GIVEN_UP:
		return r->given_up;
	case LOG_RETRYING:
		return r->state == CALLBACK_FAILED && !r->given_up &&
		       r->next_try_ms > 0;
	}
	return false;
}

static int print_record(void *arg, const struct cb_record *r)
{
	struct log_run *run = arg;
	AUTO_FREE char *line = NULL;

	run->last_id = r->id;
	if (!is_wanted(run, r))
		return 0;
	line = make_line(run, r);
	if (!line)
		return -ENOMEM;
	return puts(line) < 0 ? -EIO : 0;
}

static int keep_line(void *arg, const struct cb_record *r)
{
	struct log_run *run = arg;
	char **more;

	if (r->id > run->last_id)
		run->last_id = r->id;
	if (!is_wanted(run, r))
		return 0;
	more = reallocarray(run->lines, run->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	run->lines = more;
	more[run->count] = make_line(run, r);
	if (!more[run->count])
		return -ENOMEM;
	return ++run->count >= run->limit;
}

static int show_last(struct log_run *run, struct db *db)
{
	struct cblog_filter f = run->filter;
	int rc;

	f.newest_first = true;
	rc = cblog_walk(db, &f, keep_line, run);
	for (size_t i = run->count; rc >= 0 && i > 0; i--)
		puts(run->lines[i - 1]);
	return rc < 0 ? rc : 0;
}

static int follow(struct log_run *run, struct db *db)
{
	const struct timespec pause = {0, FOLLOW_PAUSE_MS * 1000000L};
	int rc = 0;

	while (rc == 0 && fflush(stdout) == 0) {
		nanosleep(&pause, NULL);
		run->filter.after_id = run->last_id;
		rc = cblog_walk(db, &run->filter, print_record, run);
	}
	return rc;
}

static int show(struct log_run *run, struct db *db)
{
	int rc = run->limit ? show_last(run, db)
			    : cblog_walk(db, &run->filter, print_record, run);

	if (rc == 0 && run->follow)
		rc = follow(run, db);
	if (rc == -EIO) /* stdout: main says so */
		return CTL_FAILED;
	return rc < 0 ? ctl_fail_errno(rc, "the callback log") : CTL_OK;
}

/* -- the command line ------------------------------------------------------------- */

static int set_state(struct log_run *run, const char *text)
{
	enum callback_state s;

	if (strcmp(text, "given-up") == 0) {
		run->state = LOG_GIVEN_UP;
	} else if (strcmp(text, "retrying") == 0) {
		run->state = LOG_RETRYING;
	} else if (callback_state_parse(text, &s) == 0 &&
		   (s == CALLBACK_OK || s == CALLBACK_FAILED ||
		    s == CALLBACK_NONE)) {
		run->state = LOG_BY_STATE;
		run->filter.state = (int)s;
	} else {
		return ctl_fail(
			"--state %s: want ok, failed, none, retrying or given-up",
			text);
	}
	return CTL_OK;
}

static int set_limit(struct log_run *run, const char *text)
{
	uint64_t n;

	if (parse_u64(text, 1, 100000000, &n) < 0)
		return ctl_fail("--limit %s: want a number from 1", text);
	run->limit = (size_t)n;
	return CTL_OK;
}

static int set_since(struct log_run *run, const char *text)
{
	if (parse_time(text, &run->filter.since_ms) < 0)
		return ctl_fail(
			"--since %s: want 30m, 2h, 7d, 2026-11-28 or 2026-11-28T19:00:00Z",
			text);
	return CTL_OK;
}

enum { OPT_SINCE = CLI_OWN, OPT_STATE };

static const struct option options[] = {
	CLI_TARGET,
	{"follow", no_argument,       NULL, 'f'      },
	{"since",  required_argument, NULL, OPT_SINCE},
	{"state",  required_argument, NULL, OPT_STATE},
	{"limit",  required_argument, NULL, 'n'      },
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	struct log_run *run = arg;

	switch (option) {
	case 'f':
		run->follow = true;
		return CTL_OK;
	case OPT_SINCE:
		return set_since(run, value);
	case OPT_STATE:
		return set_state(run, value);
	case 'n':
		return set_limit(run, value);
	}
	return CTL_OK;
}

/* An operand is a path on a mount, and what lies behind the mount point a glob;
   or a glob alone. */
static int read_operands(struct cli *cli, int argc, char **argv,
			 const char **glob)
{
	for (int i = optind; i < argc; i++) {
		if (!cli->ask.path &&
		    (argv[i][0] == '/' || target_is_on_mount(argv[i])))
			cli->ask.path = argv[i];
		else if (!*glob)
			*glob = argv[i];
		else
			return ctl_fail("too many operands: %s", argv[i]);
	}
	return CTL_OK;
}

static int set_glob(struct log_run *run, const char *glob)
{
	const char *why = NULL;

	if (!glob && run->target.inside && run->target.inside[0])
		glob = run->target.inside;
	if (!glob)
		return CTL_OK;
	if (glob_check(glob, &why) < 0)
		return ctl_fail("%s: %s", glob, why);
	run->glob = glob_of_keys(run->target.prefix, glob);
	run->filter.key_glob = run->glob;
	return run->glob ? CTL_OK : ctl_fail_errno(-ENOMEM, glob);
}

static int run_log(int argc, char **argv)
{
	AUTO(log_run_release) struct log_run run = {.filter.state = -1};
	AUTO(db_closep) struct db *db = NULL;
	struct cli cli = {.command = &ctl_log,
			  .options = options,
			  .letters = "fn:",
			  .own = read_option,
			  .arg = &run};
	const char *glob = NULL;
	int status = cli_read(&cli, argc, argv);

	if (status == CTL_OK)
		status = read_operands(&cli, argc, argv, &glob);
	if (status == CTL_OK)
		status = target_find(&cli.ask, &run.target);
	if (status == CTL_OK)
		status = set_glob(&run, glob);
	if (status == CTL_OK)
		status = target_open_db(&run.target, &db);
	run.json = cli.json;
	return status == CTL_OK ? show(&run, db) : status;
}

const struct ctl_command ctl_log = {
	.name = "log",
	.operands = "[OPTION...] [MOUNT] [GLOB]",
	.summary = "Show every attempt of every callback, one a line",
	.help = "GLOB matches paths inside the mount; without '/' the last name alone.  MOUNT\n"
		"may have it at its end: ackctl log '/mnt/oss/incoming/*.jpg'.\n"
		"\n"
		"  --json            everything that is known, one JSON object a line\n"
		"  -f, --follow      go on with new ones\n"
		"  --since T         30m, 2h, 7d (ago), 2026-11-28, 2026-11-28T19:00:00Z\n"
		"  --state S         ok, failed, none; retrying or given-up alone\n"
		"  -n, --limit N     the last N\n" CLI_TARGET_HELP,
	.run = run_log,
};
