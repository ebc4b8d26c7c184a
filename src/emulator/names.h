/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What names, sizes and values OSS takes (protocol 4.1).
 *
 * Layer  emulator, pure.
 */
#ifndef ACKFS_EMULATOR_NAMES_H
#define ACKFS_EMULATOR_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/errors.h"

#define OBJECT_PUT_MAX ((uint64_t)5 << 30)
#define OBJECT_KEY_MAX 1023
#define OBJECT_META_MAX 8192
#define OBJECT_TAGS_MAX 10
/* x-oss-traffic-limit, bit/s. */
#define TRAFFIC_LIMIT_MIN 245760
#define TRAFFIC_LIMIT_MAX 838860800
#define XML_BODY_MAX ((uint64_t)2 << 20)

/** 3 to 63 of a-z 0-9 -, a letter or digit at both ends. */
bool bucket_name_is_valid(const char *name);
/** OE_NONE, or what is wrong with the key. */
enum oss_err key_check(const char *key);
bool acl_is_known(const char *acl, bool is_bucket);
/** One tag; @return OE_NONE or OE_INVALID_TAG */
enum oss_err tag_check(const char *key, const char *value);

#endif
