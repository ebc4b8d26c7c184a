/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The state folder of a mount that is not mounted, opened as a daemon would,
 * to change it: locked, recovered.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_OFFLINE_H
#define ACKFS_CTL_OFFLINE_H

#include <stdint.h>

struct offline;
struct staging;

/** @return enum ctl_exit; complains (also when a daemon has it) */
int offline_open(const char *state_dir, struct offline **out);
void offline_close(struct offline *o);
/** A staged file by its number. @return borrowed, or NULL */
struct staging *offline_find(struct offline *o, int64_t id);

#endif
