/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * So that umount(8) waits for the uploads.
 *
 * For root it asks the kernel for the type alone, is told "fuse", and passes
 * over umount.fuse.ackfs, unless libmount's own table (/run/mount/utab) has an
 * entry for the mount.  mount(8) makes one for options such as _netdev; here
 * one is made in any case.
 *
 * Layer    main.
 */
#ifndef ACKFS_DAEMON_UTAB_H
#define ACKFS_DAEMON_UTAB_H

/** Where the helper is installed and we are root; on a thread of its own, because it
 *  must not hold up the kernel's first request.  A failure costs the waiting
 *  alone, and `ackctl umount` does it too. */
void utab_register(const char *source, const char *mountpoint);
/** Before the daemon unmounts itself: umount(8) takes the entry away, nobody else
 *  does.  The mount still answers. */
void utab_forget(const char *mountpoint);

#endif
