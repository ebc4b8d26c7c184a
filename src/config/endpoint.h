/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The form of an endpoint.  What region it stands for is the oss layer's.
 *
 * Layer    config.
 */
#ifndef ACKFS_CONFIG_ENDPOINT_H
#define ACKFS_CONFIG_ENDPOINT_H

#include <stdbool.h>

/** [http[s]://]HOST[:PORT][/]
 *  @return NULL: fine; else what is wrong and what to write (static) */
const char *endpoint_check(const char *text);
/** Does its host begin with BUCKET. and then an OSS name? */
bool endpoint_has_bucket(const char *text, const char *bucket);

#endif
