/* SPDX-License-Identifier: Apache-2.0 */
/** @file Random ids and random numbers (getrandom). Threads: any. */
#ifndef ACKFS_UTIL_UUID_H
#define ACKFS_UTIL_UUID_H

#include <stdint.h>

#define UUID_LEN 37 /* with the NUL */

/** RFC 9562 version 4, lower case. @return out */
const char *uuid_make(char out[UUID_LEN]);
/** The same for the same id and name, version 8: for what is done again.
 *  @return out */
const char *uuid_derive(const char *id, const char *name, char out[UUID_LEN]);
/** Uniform in [0, n); 0 for n = 0. */
uint64_t random_below(uint64_t n);

#endif
