/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What /proc says of a process, from those of its files that never block: inside
 * FLUSH, which the process waits for, others can (fuse-facts 1).
 *
 * Layer    fs; no FUSE types.
 * Threads  any.
 */
#ifndef ACKFS_FS_PROCESS_H
#define ACKFS_FS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
	pid_t tgid;   /* 0: cannot be seen */
	bool exiting; /* no memory map any more */
	bool in_exec;
	char name[64];
};

/** From /proc/TID/status alone: safe at any time. @return 0, -ESRCH */
int process_read(pid_t tid, struct process *out);
/** Is SIGKILL pending for the task (fuse-facts 9)? */
bool process_is_killed(pid_t tid);
/** The signal that ends a task; 0: none. Of one that is exiting: only then does
 *  its `stat` not block. */
int process_exit_signal(pid_t tid);

/**
 * A small file of /proc: the kernel makes the whole text for one read.
 * @param at    folder that a relative path begins at, or AT_FDCWD
 * @param size  of out; longer text is cut
 * @return 0, -errno; out is "" then
 */
int proc_read(int at, const char *path, char *out, size_t size);
/** The rest of the line that begins with label. @return false: there is none */
bool proc_value(const char *text, const char *label, char *out, size_t size);

#endif
