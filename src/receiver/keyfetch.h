/* SPDX-License-Identifier: Apache-2.0 */
/** @file Get a public key over HTTP. */
#ifndef ACKFS_RECEIVER_KEYFETCH_H
#define ACKFS_RECEIVER_KEYFETCH_H

#include "util/buf.h"

/** Call once, before other threads run. @return 0 or -EIO */
int keyfetch_init(void);

/**
 * GET url.  Redirects are not followed: they would leave the trusted host.
 * Takes 3 s at most, because OSS waits 5 s for the whole answer.
 *
 * @param pem  the body is appended; a PEM is small, 16 KiB are the limit
 * @return 0; -EHOSTUNREACH no answer; -ENOENT another status than 200;
 *         -EMSGSIZE too long; -ENOMEM
 */
int keyfetch(const char *url, struct buf *pem);

#endif
