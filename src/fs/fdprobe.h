/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Does a process hold a descriptor of a file?  /proc/PID/fdinfo says so, but
 * reading it may wait for a lock that a process in execve(2) holds while it
 * waits for our FLUSH (fuse-facts 1).  So threads of its own read it, and a
 * limit ends the wait; a thread that the kernel holds up is left behind.
 *
 * Layer    fs; no FUSE types.
 * Threads  any; nobody asks any more when it is freed.
 */
#ifndef ACKFS_FS_FDPROBE_H
#define ACKFS_FS_FDPROBE_H

#include <stdint.h>
#include <sys/types.h>

struct fdprobe;

int fdprobe_new(struct fdprobe **out);
void fdprobe_free(struct fdprobe *p);

/**
 * @param ino     the file's inode number, as fdinfo shows it
 * @param mnt_id  of its mount; -1: not known, every such inode counts
 * @return 0: none; 1: it does; -ETIMEDOUT: the kernel holds it up; -EACCES,
 *         -EPERM: no right to look; -errno
 */
int fdprobe_ask(struct fdprobe *p, pid_t pid, uint64_t ino, int mnt_id);

#endif
