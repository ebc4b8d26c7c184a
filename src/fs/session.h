/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Our own receive loop for a FUSE session (fuse-facts 5 to 7).
 *
 * One thread at a time receives; before the next one may, it says in the order
 * of arrival which files are being closed, so that no later request overtakes
 * that knowledge.  Then it processes its request beside the others.  A thread
 * is started when none is left to wait for the next, so that handlers which
 * sleep never stop the session.
 *
 *     fuse_session_new(), fuse_session_mount(), session_run(),
 *     fuse_session_unmount(), fuse_session_destroy()
 *
 * Layer    fs.
 * Threads  handlers run on the session's threads, several at once.
 */
#ifndef ACKFS_FS_SESSION_H
#define ACKFS_FS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuse_session;

/** What libfuse adds to max_write for a request's header. */
enum { SESSION_HEADER = 4096 };

struct session_conf {
	/**
	 * A FLUSH or RELEASE (opcode, linux/fuse.h) of this node has arrived;
	 * its handler runs later.  Must not block.  May be NULL.
	 */
	void (*closing)(void *arg, uint64_t nodeid, uint32_t opcode,
			uint64_t unique);
	void *arg;
	/* Files never have capabilities, and writing, truncating and chown clear
	   the set-user-ID and set-group-ID bits (or there are none): then the
	   kernel need not ask before each write.  Twice as fast for small ones. */
	bool clears_privileges;
	/* As INIT's handler sets it; 0: not known. */
	size_t max_write;
	int max_threads; /* 0: 200 */
	/* When it is readable the loop ends; an eventfd that a signal handler
	   writes to, say.  -1: none. */
	int stop_fd;
};

/**
 * Serve a mounted session until it is unmounted, fuse_session_exit() was called
 * by a handler, or stop_fd is readable.  Then waits for handlers that run;
 * requests that were not received yet fail at the unmount.
 *
 * @return 0, -errno
 */
int session_run(struct fuse_session *se, const struct session_conf *conf);

#endif
