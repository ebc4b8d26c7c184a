/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A staged file's properties and the inputs of its callback, as the journal
 * keeps them: a flat list of names and values (kvs_pack()), to which later
 * versions may add names.
 *
 * Layer    state.
 */
#ifndef ACKFS_STATE_STAGING_RECORD_H
#define ACKFS_STATE_STAGING_RECORD_H

#include <stddef.h>

#include "state/staging.h"
#include "util/buf.h"

/** @return 0 or -ENOMEM */
int props_pack(struct buf *out, const struct staging_props *p);
/** *p is empty before. Unknown names are skipped. @return 0, -ENOMEM, -EINVAL */
int props_unpack(const void *data, size_t len, struct staging_props *p);
int close_pack(struct buf *out, const struct staging_close *c);
int close_unpack(const void *data, size_t len, struct staging_close *c);

#endif
