/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/utab.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/program.h"
#include "util/buf.h"
#include "util/log.h"
#include "util/thread.h"

#define HELPER "/sbin/umount.fuse.ackfs"

struct entry {
	char *source, *mountpoint;
};

static void entry_free(struct entry *e)
{
	free(e->source);
	free(e->mountpoint);
	free(e);
}

/* A mount that is not made, only noted; the mount point is not looked at. */
static int run_mount(const struct entry *e)
{
	const char *const argv[] = {"mount",
				    "--fake",
				    "--internal-only",
				    "--no-canonicalize",
				    "-t",
				    "fuse.ackfs",
				    "-o",
				    "uhelper=fuse.ackfs",
				    "--",
				    e->source,
				    e->mountpoint,
				    NULL};

	return program_run(argv, true);
}

static void *register_main(void *arg)
{
	struct entry *e = arg;
	int rc = run_mount(e);

	if (rc != 0)
		log_debug(
			"start: not in utab, umount(8) will not wait: status=%d",
			rc);
	entry_free(e);
	return NULL;
}

static bool is_kept(void)
{
	return geteuid() == 0 && access(HELPER, X_OK) == 0;
}

void utab_register(const char *source, const char *mountpoint)
{
	struct entry *e;

	if (!is_kept())
		return;
	e = calloc(1, sizeof(*e));
	if (!e)
		return;
	e->source = str_dup(source);
	e->mountpoint = str_dup(mountpoint);
	if (!e->source || !e->mountpoint ||
	    thread_start_detached("ackfs-utab", register_main, e) < 0)
		entry_free(e);
}

void utab_forget(const char *mountpoint)
{
	const char *const argv[] = {"umount",
				    "--fake",
				    "--internal-only",
				    "--no-canonicalize",
				    "--",
				    mountpoint,
				    NULL};

	if (is_kept() && program_run(argv, true) != 0)
		log_debug("stop: the entry in utab stays");
}
