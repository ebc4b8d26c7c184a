/* SPDX-License-Identifier: Apache-2.0 */
/** @file OSS's error codes in plain words: cause and remedy. Layer: ctl. */
#ifndef ACKFS_CTL_ADVICE_H
#define ACKFS_CTL_ADVICE_H

#include "oss/store.h"

/** Static text; NULL: nothing is known about it (oss-protocol 2.7, 6.2). */
const char *oss_advice(const struct oss_reply *r);

#endif
