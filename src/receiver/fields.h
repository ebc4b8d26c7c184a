/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The body of a callback, JSON or form, as one JSON object.
 *
 * Threads  any; nothing is shared.
 */
#ifndef ACKFS_RECEIVER_FIELDS_H
#define ACKFS_RECEIVER_FIELDS_H

#include <stddef.h>

#include <jansson.h>

#include "util/buf.h"

/**
 * Read a body.  application/json: the object itself.
 * application/x-www-form-urlencoded: a string for each field; the first of two
 * with one name counts; a value that is not UTF-8 once it is decoded stays as
 * it came.
 *
 * @param content_type  the header's value, parameters allowed; NULL: a form,
 *                      OSS's default
 * @param out           set on success: json_decref() it
 * @return 0; -EINVAL another content type, or not what the type says (OSS does
 *         not check a JSON body); -ENOMEM
 */
int fields_parse(const char *content_type, const void *body, size_t len,
		 json_t **out);

/**
 * A field as text: a string's content, "4711" for a number, compact JSON for
 * the rest, nothing for null.
 *
 * @param fields  may be NULL
 * @return 0 and text appended; -ENOENT no such field; -ENOMEM, -EMSGSIZE
 */
int fields_text(const json_t *fields, const char *name, struct buf *text);

#endif
