/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What ackctl asks a running mount, through attributes of the mount's root:
 *
 *     user.oss.mount.status     (read)  one JSON object: fs_status_json()
 *     user.oss.mount.state_dir  (read)  absolute path of the state folder
 *     user.oss.mount.config     (read)  absolute path of the configuration
 *     user.oss.mount.command    (write, the mount's owner and root)  fs_command()
 *
 * Reading needs no privilege beyond reading the mount.
 *
 * Layer    fs; no FUSE types.
 * Threads  any.
 */
#ifndef ACKFS_FS_STATUS_H
#define ACKFS_FS_STATUS_H

#include <stdint.h>

struct fs;

/** State of the mount, uploads in flight with progress, files by state,
 *  callbacks by outcome, oldest pending, staging size, counters.
 *  @param out  heap text. @return 0 or -errno */
int fs_status_json(struct fs *fs, char **out);
/**
 * One command: a JSON array of words.  PATH is a path inside the mount, FILE
 * such a path or "#ID", a staged file's number.
 *
 *     ["retry-upload"]           all files whose upload has failed, now
 *     ["retry-upload", FILE]     one of them
 *     ["drop", FILE]             give up one that is not stored (-EBUSY: open)
 *     ["publish", FILE]          an incomplete one goes up
 *     ["drop-incomplete", FILE]
 *     ["retry-callback", PATH]   the callback again, whatever came of it
 *     ["announce", PATH]         a callback of its own for an object that
 *                                another host or tool wrote
 *     ["invalidate"], ["invalidate", PATH]   forget what is cached
 *     ["log-level", LEVEL]
 *
 * @return 0, -EINVAL (unknown or malformed), -ENOENT, -errno of the work
 */
int fs_command(struct fs *fs, const char *json);

#endif
