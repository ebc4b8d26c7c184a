/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl umount: unmount, and wait until the daemon has sent what it has. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/cli.h"
#include "ctl/snapshot.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/strnum.h"

extern char **environ;

enum { PROGRESS_MS = 1000 };

struct umount_run {
	int64_t timeout_ms; /* -1: for ever */
	bool lazy, force;
	struct target target;
	int pidfd; /* of the daemon; -1: not known */
};

/* A descriptor names this very process, whatever becomes of its number. */
static int open_daemon(const struct target *t)
{
	json_t *s = NULL;
	int fd = -1;

	if (snapshot_take(t, &s) != CTL_OK)
		return -1;
	if (snapshot_number(s, "pid") > 0)
		fd = (int)syscall(SYS_pidfd_open,
				  (pid_t)snapshot_number(s, "pid"), 0);
	json_decref(s);
	return fd;
}

/* -- unmounting ------------------------------------------------------------------- */

static int run_program(const char *const *argv)
{
	pid_t pid;
	int status = 0;
	int rc = posix_spawnp(&pid, argv[0], NULL, NULL,
			      (char *const *)(uintptr_t)argv, environ);

	if (rc != 0)
		return ctl_fail_errno(-rc, argv[0]);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return ctl_fail_errno(-errno, argv[0]);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? CTL_OK
							     : CTL_FAILED;
}

/* umount -i, because umount without it would call us. */
static int unmount(const struct umount_run *run)
{
	const char *argv[8];
	size_t n = 0;
	bool root = geteuid() == 0;

	argv[n++] = root ? "umount" : "fusermount3";
	argv[n++] = root ? "-i" : "-u";
	if (run->lazy)
		argv[n++] = root ? "-l" : "-z";
	if (run->force && root)
		argv[n++] = "-f";
	argv[n++] = "--";
	argv[n++] = run->target.mount;
	argv[n] = NULL;
	return run_program(argv);
}

/* -- waiting ------------------------------------------------------------------------ */

static int64_t files_left(const struct target *t, bool *known)
{
	const struct target folder = {.state_dir = t->state_dir};
	json_t *s = NULL;
	int64_t left = 0;

	*known = snapshot_take(&folder, &s) == CTL_OK;
	if (*known)
		left = snapshot_pending(s);
	json_decref(s);
	return left;
}

static void show_progress(const struct umount_run *run)
{
	bool known;
	int64_t left;

	if (!isatty(STDERR_FILENO))
		return;
	left = files_left(&run->target, &known);
	if (known)
		fprintf(stderr, "\r%" PRId64 " files are still to be stored ",
			left);
}

/* @return whether the daemon has ended */
static bool wait_for_daemon(const struct umount_run *run)
{
	struct pollfd p = {.fd = run->pidfd, .events = POLLIN};
	int64_t end = clock_mono_ms() + run->timeout_ms;
	bool shown = false;

	for (;;) {
		int64_t left = run->timeout_ms < 0 ? PROGRESS_MS
						   : end - clock_mono_ms();
		int n;

		if (left < 0)
			break;
		n = poll(&p, 1, (int)(left < PROGRESS_MS ? left : PROGRESS_MS));
		if (n > 0)
			break;
		if (n < 0 && errno != EINTR)
			break;
		show_progress(run);
		shown = isatty(STDERR_FILENO);
	}
	if (shown)
		fputc('\n', stderr);
	return p.revents & POLLIN;
}

static int report(const struct umount_run *run)
{
	bool known;
	int64_t left = files_left(&run->target, &known);

	if (!known || left == 0)
		return CTL_OK;
	fprintf(stderr,
		"ackctl: staged and not stored yet: %" PRId64
		" (the next mount goes on with them: %s)\n",
		left, run->target.state_dir);
	return CTL_NO;
}

static int work(struct umount_run *run)
{
	int status;

	if (run->target.inside)
		run->pidfd = open_daemon(&run->target);
	status = unmount(run);
	if (status != CTL_OK || run->lazy || run->pidfd < 0)
		return status;
	if (!wait_for_daemon(run)) {
		ctl_fail("the daemon still uploads; it goes on by itself");
		return CTL_NO;
	}
	return report(run);
}

/* -- the command ---------------------------------------------------------------------- */

enum { OPT_TIMEOUT = CLI_OWN };

static const struct option options[] = {
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"lazy",    no_argument,       NULL, 'l'        },
	{"force",   no_argument,       NULL, 'f'        },
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	struct umount_run *run = arg;

	if (option == 'l')
		run->lazy = true;
	else if (option == 'f')
		run->force = true;
	else if (parse_duration_ms(value, &run->timeout_ms) < 0)
		return ctl_fail("--timeout %s: want a time, such as 30s or 5m",
				value);
	return CTL_OK;
}

/* A mount that does not answer is unmounted all the same. */
static int find_mount(struct umount_run *run, struct target_ask *ask)
{
	int status = target_find(ask, &run->target);

	if (status == CTL_OK && run->target.inside && run->target.inside[0])
		return ctl_fail("%s is no mount point; it lies on %s",
				ask->path, run->target.mount);
	if (status == CTL_OK)
		return run->target.mount ? CTL_OK : CTL_ABSENT;
	if (!target_is_on_mount(ask->path))
		return status;
	run->target.mount = str_dup(ask->path);
	run->target.state_dir = str_dup("");
	return CTL_OK;
}

static int run_umount(int argc, char **argv)
{
	struct umount_run run = {.timeout_ms = -1, .pidfd = -1};
	struct cli cli = {.command = &ctl_umount,
			  .options = options,
			  .letters = "lf",
			  .own = read_option,
			  .arg = &run};
	int status = cli_read(&cli, argc, argv);

	if (status == CTL_OK)
		status = cli_operands(&cli, argc, argv, 1, 1);
	if (status != CTL_OK)
		return status;
	cli.ask.path = argv[optind];
	status = find_mount(&run, &cli.ask);
	if (status == CTL_OK)
		status = work(&run);
	if (run.pidfd >= 0)
		close(run.pidfd);
	target_release(&run.target);
	return status;
}

const struct ctl_command ctl_umount = {
	.name = "umount",
	.operands = "[OPTION...] MOUNT",
	.summary = "Unmount, and wait until everything is stored",
	.help = "umount(8) does this too where umount.fuse.ackfs is installed: a file system of\n"
		"this kind is gone from the tree before its daemon has finished.\n"
		"\n"
		"  --timeout T       wait at most so long; the daemon goes on by itself\n"
		"  -l, --lazy        detach at once, do not wait\n"
		"  -f, --force       also where it does not answer\n"
		"\n"
		"Exit status 1: unmounted, but files are left; the next mount goes on.\n",
	.run = run_umount,
};
