/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Programs that are run and waited for: mount(8), umount(8), fusermount3(1).
 *
 * Layer    main.
 * Threads  any.
 */
#ifndef ACKFS_DAEMON_PROGRAM_H
#define ACKFS_DAEMON_PROGRAM_H

#include <stdbool.h>

/**
 * Run argv, searched in PATH, with no signal blocked, until it ends.
 * @param quiet  its standard files are /dev/null; else it has ours
 * @return 0: it exited with 0; its status as waitpid(2) tells it; -errno
 */
int program_run(const char *const *argv, bool quiet);

#endif
