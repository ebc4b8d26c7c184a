/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Staged files as the journal has them, found by number or by path.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_STAGED_H
#define ACKFS_CTL_STAGED_H

#include <stddef.h>

#include "ctl/target.h"
#include "state/staging.h"

struct staged_list {
	struct staging_info *items;
	size_t count;
};

void staged_list_release(struct staged_list *l);
/** @param states  bits of enum staging_state
 *  @return enum ctl_exit; complains */
int staged_list_read(const struct target *t, unsigned states,
		     struct staged_list *out);
/**
 * The one that an operand names: "12", "#12", or a path (on the mount, or
 * inside it); of several with that path the newest.
 * @return NULL: there is none (said)
 */
const struct staging_info *staged_find(const struct staged_list *l,
				       const struct target *t,
				       const char *operand);
/** A command about it to the mount: [word, "#ID"].
 *  @return enum ctl_exit; complains */
int staged_command(const struct target *t, const char *word,
		   const struct staging_info *info);
/** Delete it from a state folder that no daemon has.
 *  @return enum ctl_exit; complains */
int staged_drop_offline(const char *state_dir, const struct staging_info *f);

#endif
