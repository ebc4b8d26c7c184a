/* SPDX-License-Identifier: Apache-2.0 */
/** @file The version, from git describe. */
#ifndef ACKFS_UTIL_VERSION_H
#define ACKFS_UTIL_VERSION_H

extern const char ackfs_version[];

#endif
