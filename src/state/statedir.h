/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The state folder: DIR/NAME with its lock, journal.db, staging/, aside/.
 *
 * One daemon per folder: flock on DIR/NAME/lock, which holds the pid and the
 * mount point for messages.
 *
 * Layer    state.
 * Threads  none: opened and closed by main.
 */
#ifndef ACKFS_STATE_STATEDIR_H
#define ACKFS_STATE_STATEDIR_H

struct statedir;

/**
 * Make and lock the folder (mode 0700), warn when it is on tmpfs or overlay,
 * and when a neighbour under DIR has pending files and no daemon.
 * @param why  whole sentence with the path (free it)
 * @return 0; -EBUSY: another daemon (its pid and mount point in *why);
 *         -EROFS, -EACCES, -ENOSPC, -errno
 */
int statedir_open(const char *path, const char *mountpoint,
		  struct statedir **out, char **why);
void statedir_close(struct statedir *d);
const char *statedir_path(const struct statedir *d);
/**
 * For ackctl: whose is the folder?
 * @param pid         of the daemon that holds the lock
 * @param mountpoint  its mount point; free it
 * @return 0; -ENOENT: nobody's, or there is no such folder; -errno
 */
int statedir_owner(const char *path, int *pid, char **mountpoint);

#endif
