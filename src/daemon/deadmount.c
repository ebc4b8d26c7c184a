/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/deadmount.h"

#include <errno.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "daemon/program.h"

/* The last mount on a folder is the one that shows. */
static bool is_ours(const char *mountpoint)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent m;
	char line[8192];
	bool ours = false;

	if (!mounts)
		return false;
	while (getmntent_r(mounts, &m, line, sizeof(line))) {
		if (strcmp(m.mnt_dir, mountpoint) == 0)
			ours = strcmp(m.mnt_type, "fuse.ackfs") == 0;
	}
	endmntent(mounts);
	return ours;
}

static int run_fusermount(const char *mountpoint)
{
	const char *const argv[] = {"fusermount3", "-u",       "-z",
				    "--",          mountpoint, NULL};

	return program_run(argv, false) == 0 ? 0 : -ENOTCONN;
}

int deadmount_clear(const char *mountpoint)
{
	if (!is_ours(mountpoint))
		return -ENOTCONN;
	if (geteuid() != 0)
		return run_fusermount(mountpoint);
	return umount2(mountpoint, MNT_DETACH) == 0 ? 0 : -ENOTCONN;
}
