/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The mount: libfuse's session, its options, and the thread that tells the
 * kernel what to forget.
 *
 * Layer    fs.
 */
#ifndef ACKFS_FS_MOUNT_H
#define ACKFS_FS_MOUNT_H

#include <stdbool.h>

#include "fs/fs.h"

struct mount;

struct mount_conf {
	const char *mountpoint; /* absolute */
	const char *fsname; /* shown by mount(8): BUCKET or BUCKET:/PREFIX */
	bool allow_other;
	bool read_only;
	bool debug; /* libfuse's own trace */
	/* The kernel has answered: the mount serves. On a session thread. */
	void (*ready)(void *arg);
	void *ready_arg;
};

/** Mount. @param why  what is wrong (free it). @return 0, -errno */
int mount_new(struct fs *fs, const struct mount_conf *conf, struct mount **out,
	      char **why);
/** Serve until it is unmounted or mount_stop(). @return 0 or -errno */
int mount_run(struct mount *m);
/** Unmount and make mount_run() return. Any thread. */
void mount_stop(struct mount *m);
void mount_free(struct mount *m);
/** libfuse's, as it runs. */
const char *mount_fuse_version(void);

#endif
