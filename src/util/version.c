/* SPDX-License-Identifier: Apache-2.0 */
#include "util/version.h"

const char ackfs_version[] = ACKFS_VERSION;
