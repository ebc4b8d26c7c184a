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
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t tgid;   /* 0: cannot be seen */
	bool exiting; /* no memory map any more */
	bool in_exec;
	char name[64];
};

/** @return 0; -ESRCH: out is empty then */
int process_read(pid_t tid, struct process *out);
/** The process that a thread belongs to. @return 0: it cannot be seen */
pid_t process_group_of(pid_t tid);
/** The thread's name, as `name` above. "": it cannot be seen */
void process_name(pid_t tid, char *out, size_t size);
/** Is SIGKILL pending for the task (fuse-facts 9)? */
bool process_is_killed(pid_t tid);
/** The signal that ends a task; 0: none. Of one that is exiting: only then does
 *  its `stat` not block. */
int process_exit_signal(pid_t tid);

/**
 * Does the process hold a descriptor of a file?  fdinfo takes no lock that execve
 * holds, unlike the files beside it.
 * @param ino     the file's inode number, as fdinfo shows it
 * @param mnt_id  of its mount; -1: not known, every such inode counts
 * @return 0: none; 1: it does; -EACCES, -EPERM: no right to look; -errno
 */
int process_holds(pid_t pid, uint64_t ino, int mnt_id);

#endif
