/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a command is about: a mount, its state folder, its configuration.
 *
 * Named by an operand (the mount point or any path below it), by --state-dir or
 * by --config; by nothing, where one ackfs is mounted or the working directory
 * lies on one.  A mount that lives is
 * asked through its attributes (fs/status.h); without one the state folder
 * still tells.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_TARGET_H
#define ACKFS_CTL_TARGET_H

#include <stdbool.h>

#include <jansson.h>

struct conf;
struct db;

/** As the command line names it; NULL: not. */
struct target_ask {
	const char *path;      /* on a mount */
	const char *state_dir; /* --state-dir */
	const char *config;    /* --config */
	const char *bucket;    /* --bucket B[:/PREFIX], with --config */
	bool bucket_may_miss;  /* any name does, to check a configuration */
};

struct target {
	char *mount;  /* mount point; NULL: not mounted, or not asked for */
	char *inside; /* ask.path inside the mount, "" for its root; NULL:
			 there is no mount */
	char *state_dir;
	char *config; /* NULL: not known */
	char *prefix; /* of keys; NULL: not known */
	char *bucket; /* of the mount; NULL: not known */
};

void target_release(struct target *t);
/**
 * Find it; complaints go to stderr.
 * @return enum ctl_exit; the state folder is known on CTL_OK
 */
int target_find(const struct target_ask *ask, struct target *out);
/** Is the operand a path on an ackfs mount? Nothing is asked of the mount. */
bool target_is_on_mount(const char *path);
/** Its journal, for reading. @return enum ctl_exit; complains */
int target_open_db(const struct target *t, struct db **out);
/** The configuration, finished. @return enum ctl_exit; complains */
int target_load_conf(const struct target_ask *ask, struct conf **out);
/** The configuration of a mount that was found, with its bucket and prefix; of
 *  what is asked for, where it names one or there is no mount.
 *  @return enum ctl_exit; complains */
int target_conf(const struct target *t, const struct target_ask *ask,
		struct conf **out);
/** The mount's own account (fs_status_json). @return enum ctl_exit; complains */
int target_status(const struct target *t, json_t **out);
/** One command to the mount. @return 0 or -errno, as fs_command() */
int target_command(const struct target *t, const char *const *words,
		   size_t count);
/** A key's path inside the mount, as far as the prefix is known. */
const char *target_path_of_key(const struct target *t, const char *key);

#endif
