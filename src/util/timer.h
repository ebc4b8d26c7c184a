/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One thread that calls functions at their time: hold timers, retries,
 * coalesced metadata.  Functions must be short: they hand work on.
 *
 * Threads  any; callbacks run on the timer's thread, holding no lock.
 */
#ifndef ACKFS_UTIL_TIMER_H
#define ACKFS_UTIL_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer_wheel;
typedef uint64_t timer_id; /* 0: none */

int timer_wheel_new(struct timer_wheel **out);
/** Stop the thread; what has not run is dropped. */
void timer_wheel_free(struct timer_wheel *w);
/** Call fn(arg) at clock_mono_ms() >= when_ms. @return the id; 0: no memory */
timer_id timer_add(struct timer_wheel *w, int64_t when_ms, void (*fn)(void *),
		   void *arg);
/** The same; drop(arg) is called instead when the wheel is freed before its
 *  time. A cancelled one is the caller's. */
timer_id timer_add_owned(struct timer_wheel *w, int64_t when_ms,
			 void (*fn)(void *), void (*drop)(void *), void *arg);
/** @return true when it had not started and never will: arg is the caller's */
bool timer_cancel(struct timer_wheel *w, timer_id id);

#endif
