/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What there is to tell of a mount: its own account where it lives, else the
 * same as far as the state folder tells.
 *
 * One JSON object, as fs_status_json() makes it:
 *
 *     state           "serving" "draining" "oss_unreachable"; "not_mounted"; "mounted":
 *                     a daemon has the folder, its mount could not be asked
 *     mount bucket prefix state_dir config version pid started now
 *     files           how many by state: open held closed uploading retrying
 *                     incomplete
 *     oldest_pending  when the oldest of those that wait was closed
 *     staging         files, bytes, room
 *     uploads         those under way: key size sent elapsed_ms attempts
 *     retrying        some that failed: id key size attempts error next_try
 *     stuck           how many of them wait for somebody to act
 *     callbacks       of present objects: ok failed given_up retrying none
 *     since_start     stored failed bytes (mounted)
 *     tasks           queued or running: upload meta background (mounted)
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_SNAPSHOT_H
#define ACKFS_CTL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "ctl/target.h"

/** @return enum ctl_exit; complains. *out: json_decref() */
int snapshot_take(const struct target *t, json_t **out);

struct snapshots {
	json_t **items;
	size_t count;
};

void snapshots_release(struct snapshots *l);
/** Of what is asked for; of every mount where nothing is. A mount that
 *  does not answer has the state "dead".
 *  @return enum ctl_exit; complains */
int snapshots_take(const struct target_ask *ask, struct snapshots *out);

/** A number at "files.open"; 0 where there is none. */
int64_t snapshot_number(const json_t *s, const char *path);
/** Text at a path; "" where there is none. */
const char *snapshot_text(const json_t *s, const char *path);
bool snapshot_is_mounted(const json_t *s);
/** Files that are closed and not stored. */
int64_t snapshot_pending(const json_t *s);
/** What `ackctl status` exits with: CTL_OK; CTL_NO: something failed, was given
 *  up, or was never finished; CTL_ABSENT: not mounted. */
int snapshot_exit(const json_t *s);
/** Since when the oldest one waits; 0: nothing does. */
int64_t snapshot_oldest_age_ms(const json_t *s);

#endif
