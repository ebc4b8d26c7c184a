/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Mounts of ackfs whose daemon was killed: the kernel keeps them, and answers
 * ENOTCONN to everything.
 *
 * Layer    main.
 */
#ifndef ACKFS_DAEMON_DEADMOUNT_H
#define ACKFS_DAEMON_DEADMOUNT_H

/**
 * Take such a mount away, so that the next one finds the folder.
 * @param mountpoint  absolute, real path, where statvfs(2) said ENOTCONN
 * @return 0; -ENOTCONN when it is not ours, or could not be taken away
 */
int deadmount_clear(const char *mountpoint);

#endif
