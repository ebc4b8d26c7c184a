/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * ackctl's commands: one file each, found through one table.
 *
 * A command writes what was asked for to stdout, complaints to stderr, and
 * returns its exit status.  For people it writes text, with --json one JSON
 * value (or one a line).
 *
 * Layer    ctl: the top; uses every layer below, never FUSE.
 * Threads  one.
 */
#ifndef ACKFS_CTL_CTL_H
#define ACKFS_CTL_CTL_H

#include <stddef.h>

#include "util/base.h"

enum ctl_exit {
	CTL_OK = 0,
	CTL_NO = 1,      /* done, and something is not as it should be */
	CTL_ABSENT = 2,  /* not mounted; no such state folder or file */
	CTL_FAILED = 3,  /* wrong usage, or it could not be found out */
	CTL_HELPED = -1, /* inside only: --help was asked for */
};

struct ctl_command {
	const char *name;
	const char *operands; /* for the first line of its help */
	const char *summary;
	const char *help; /* options, one a line; exit statuses where special */
	/** @param argv  argv[0] is the command; optind is 1
	 *  @return enum ctl_exit */
	int (*run)(int argc, char **argv);
};

/** The table, in the order of the help. */
extern const struct ctl_command *const ctl_commands[];
extern const size_t ctl_command_count;

/** Run argv[1] with what stands behind it. @return the exit status */
int ctl_main(int argc, char **argv);
/** How to use one command, to stdout. */
void ctl_print_help(const struct ctl_command *c);
/** "ackctl: ..." to stderr. @return CTL_FAILED */
int ctl_fail(const char *fmt, ...) ACK_PRINTF(1, 2);
/** The same about -errno: "ackctl: WHAT: Permission denied". */
int ctl_fail_errno(int rc, const char *what);
/** What getopt_long() complained about is said; where to read on.
 *  @return CTL_FAILED */
int ctl_usage(const struct ctl_command *c);

extern const struct ctl_command ctl_status, ctl_log, ctl_wait, ctl_umount,
	ctl_incomplete, ctl_retry_upload, ctl_drop, ctl_retry_callback,
	ctl_reconcile, ctl_invalidate, ctl_metrics, ctl_explain,
	ctl_check_config, ctl_preflight;

#endif
