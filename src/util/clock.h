/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Time, and its forms in text.  Tests move it with clock_advance_ms().
 *
 * Threads  any.
 */
#ifndef ACKFS_UTIL_CLOCK_H
#define ACKFS_UTIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/** Milliseconds of CLOCK_MONOTONIC (plus what tests added): deadlines. */
int64_t clock_mono_ms(void);
/** The same in nanoseconds: durations that must not be too short. */
int64_t clock_mono_ns(void);
/** Nanoseconds since 1970, UTC. */
int64_t clock_real_ns(void);
/** Milliseconds since 1970, UTC. */
int64_t clock_real_ms(void);
/**
 * For tests: both clocks jump ahead by ms.  Timed waits notice within some 20
 * ms, those that begin after the first call: a test that starts threads calls
 * clock_advance_ms(0) before.
 */
void clock_advance_ms(int64_t ms);
/** Whether clock_advance_ms() was ever called: timed waits are then cut in
 *  slices, because a jump of the clock wakes nobody. */
bool clock_is_test(void);
/** What clock_advance_ms() has added so far. */
int64_t clock_advanced_ms(void);

/** Room that every form below fits in, NUL included. */
#define CLOCK_TEXT_LEN 40

/** "2026-11-28T19:51:48.123Z" (RFC 3339, UTC). @return out */
const char *clock_rfc3339(char out[CLOCK_TEXT_LEN], int64_t real_ms);
/** "Sat, 28 Nov 2026 19:51:48 GMT" (HTTP's date). @return out */
const char *clock_http_date(char out[CLOCK_TEXT_LEN], int64_t real_ms);
/** "20261128T195148Z" (ISO 8601 basic, OSS V4's x-oss-date). @return out */
const char *clock_iso_basic(char out[CLOCK_TEXT_LEN], int64_t real_ms);

/** Each reads its own form whole; fractions of seconds may be missing.
 *  @return 0; -EINVAL leaves *real_ms alone */
int clock_parse_rfc3339(const char *text, int64_t *real_ms);
int clock_parse_http_date(const char *text, int64_t *real_ms);
int clock_parse_iso_basic(const char *text, int64_t *real_ms);

#endif
