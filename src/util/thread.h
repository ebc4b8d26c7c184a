/* SPDX-License-Identifier: Apache-2.0 */
/** @file Named threads with small stacks and all signals blocked. */
#ifndef ACKFS_UTIL_THREAD_H
#define ACKFS_UTIL_THREAD_H

#include <pthread.h>

/** @param name  at most 15 bytes, for ps and gdb
 *  @return 0 or -errno (-EAGAIN: no more threads) */
int thread_start(pthread_t *out, const char *name, void *(*fn)(void *),
		 void *arg);
/** The same, detached. */
int thread_start_detached(const char *name, void *(*fn)(void *), void *arg);

#endif
