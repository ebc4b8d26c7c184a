/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which ackfs mounts are there, from /proc/self/mountinfo: nothing here asks
 * the mounts themselves, which may be dead.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_MOUNTINFO_H
#define ACKFS_CTL_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>

struct mount_list {
	char **points; /* mount points, unescaped, in the kernel's order */
	size_t count;
};

void mount_list_release(struct mount_list *l);
/** Those of type fuse.ackfs in a text such as /proc/self/mountinfo.
 *  @return 0 or -ENOMEM */
int mountinfo_parse(const char *text, struct mount_list *out);
/** Of this process. @return 0 or -errno */
int mountinfo_read(struct mount_list *out);
/**
 * The mount that an absolute, clean path lies on.
 * @param inside  gets what stands behind the mount point, without '/'
 * @return the mount point, or NULL
 */
const char *mount_list_find(const struct mount_list *l, const char *path,
			    const char **inside);
/** Absolute, without "." ".." "//" and '/' at the end; nothing is looked at, so
 *  that a dead mount cannot hang it.  @return heap text, or NULL */
char *path_clean(const char *path);

#endif
