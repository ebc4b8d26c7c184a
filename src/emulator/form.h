/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * multipart/form-data as it arrives: fields first, then one file, whose bytes
 * are handed on (protocol 4.2.1).
 *
 * Layer    emulator.
 * Threads  a form belongs to one.
 */
#ifndef ACKFS_EMULATOR_FORM_H
#define ACKFS_EMULATOR_FORM_H

#include <stdbool.h>

#include "util/buf.h"
#include "util/kv.h"

struct form;

struct form_events {
	/** The file begins; all fields are known. @return 0 or negative */
	int (*file)(void *arg, const char *filename, const char *type);
	/** Bytes of the file. @return 0 or negative */
	int (*data)(void *arg, const void *data, size_t len);
};

/** @param content_type  the request's; names the boundary
 *  @return 0, -EINVAL (no boundary), -ENOMEM */
int form_new(const char *content_type, const struct form_events *events,
	     void *arg, struct form **out);
void form_free(struct form *f);
/** @return 0; -EINVAL malformed; -EMSGSIZE a field is too long, or all their
 *  names; or what an event returned */
int form_feed(struct form *f, const void *data, size_t len);
/** Names compare without case. */
const struct kvs *form_fields(const struct form *f);
bool form_has_file(const struct form *f);
/** Whether the file's end was seen. */
bool form_is_complete(const struct form *f);

#endif
