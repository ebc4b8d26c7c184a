/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Named crash points for tests; nothing in release builds.
 *
 * ACKFS_FAILPOINT=name[:n] in the environment kills the process (SIGKILL) at
 * the n-th passage of that point.  The crash harness finds the names by
 * searching src/ for failpoint("...").
 */
#ifndef ACKFS_UTIL_FAILPOINT_H
#define ACKFS_UTIL_FAILPOINT_H

#ifdef ACK_FAILPOINTS
void failpoint(const char *name);
/** As the environment would, for a test's child that has no threads yet. */
void failpoint_arm(const char *setting);
#else
static inline void failpoint(const char *name)
{
	(void)name;
}
#endif

#endif
