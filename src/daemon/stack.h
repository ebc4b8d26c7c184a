/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The layers of a running mount, built bottom-up and torn down in reverse.
 *
 * Layer    main.
 */
#ifndef ACKFS_DAEMON_STACK_H
#define ACKFS_DAEMON_STACK_H

#include <stdbool.h>

#include "daemon/options.h"

struct stack;
struct mount;

/**
 * Everything up to the mount itself, with one request that proves endpoint,
 * bucket and keys (mount.start = require_oss).  Errors go to the log and
 * stderr, one clear line each.
 * @param ready  called when the kernel has answered, on another thread
 */
int stack_build(const struct options *o, void (*ready)(void *arg),
		void *ready_arg, struct stack **out);
struct mount *stack_mount(struct stack *s);
/** SIGHUP: access keys, log file; uploads that wait for new keys go on. */
void stack_reload(struct stack *s);
/**
 * No new opens for writing; held files go up; wait until nothing is on its way
 * or open, at most drain_timeout, with progress in the log each second.
 * @param serving  the mount still answers: open files may be closed yet
 */
void stack_drain(struct stack *s, bool serving);
/** A second signal: stop waiting. */
void stack_hurry(struct stack *s);
/** Files that are staged and not stored. */
size_t stack_left(struct stack *s);
/** Their names, to the log. */
void stack_name_left(struct stack *s);
void stack_free(struct stack *s);

#endif
