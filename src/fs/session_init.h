/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What libfuse's answer to INIT lacks.
 *
 * libfuse 3.14.0 wants parallel directory operations, but does not say so to
 * the kernel: then one waiting LOOKUP or CREATE blocks all others in its folder
 * (fuse-facts 6).  Nor does it know FUSE_HANDLE_KILLPRIV_V2, without which the
 * kernel asks for security.capability before each write (fuse-facts 17).  The
 * answer is completed on its way out, through
 * fuse_session_custom_io(); where the headers do not have that, nothing is done.
 *
 * Layer    fs, for session.c.
 * Threads  begin and end on the thread that processes INIT.
 */
#ifndef ACKFS_FS_SESSION_INIT_H
#define ACKFS_FS_SESSION_INIT_H

#include <stddef.h>
#include <stdint.h>

struct fuse_session;

/** After fuse_session_mount(). @return 0 or -errno */
int session_init_install(struct fuse_session *se);
/**
 * The INIT request (header and body) that this thread processes next.
 * @param flags  of linux/fuse.h's fuse_init_out, to add where the kernel
 *               offers them
 */
void session_init_begin(const void *request, size_t len, uint32_t flags);
void session_init_end(void);

#endif
