/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Who closes, and how: is this FLUSH the end of a file's writing, one of
 * several, or the kernel cleaning up after a process that was killed?
 *
 * The rules and their measurements are fuse-facts 1 to 4.  Reading /proc
 * naively inside FLUSH can deadlock a machine: process.h.
 *
 * Layer    fs; no FUSE types.
 * Threads  any.  Nothing is locked while /proc is read.
 */
#ifndef ACKFS_FS_CLOSER_H
#define ACKFS_FS_CLOSER_H

#include <stdint.h>
#include <sys/types.h>

#include "fs/process.h"

enum close_verdict {
	CLOSE_FINAL,   /* the opener's last descriptor: upload now */
	CLOSE_DEFER,   /* somebody may write more: RELEASE decides */
	CLOSE_KILLED,  /* the process dies of a signal */
	CLOSE_ABORTED, /* a transfer server exits with the file open */
};

struct closer;

/** @param exit_is_abort  globs of process names, blanks between */
int closer_new(const char *exit_is_abort, struct closer **out);
void closer_free(struct closer *c);
/** After the mount is there: which mnt_id is ours. */
void closer_set_mount(struct closer *c, const char *mountpoint);

/**
 * @param tid     of the request
 * @param opener  tgid that opened the file; 0: not known
 * @param ino     the file's inode number, as fdinfo shows it
 * @param who     gets the closing process (may be NULL)
 */
enum close_verdict closer_judge(struct closer *c, pid_t tid, pid_t opener,
				uint64_t ino, struct process *who);

/** FLUSHes whose process could not be judged (another PID namespace, no
 *  rights): taken as ordinary closes, counted for ackctl status. */
uint64_t closer_blind(const struct closer *c);

#endif
