/* SPDX-License-Identifier: Apache-2.0 */
/** @file Content-Type by a name's extension: /etc/mime.types, then a built-in
 *  table. Layer: callback. Threads: constant after mime_load(). */
#ifndef ACKFS_CALLBACK_MIME_H
#define ACKFS_CALLBACK_MIME_H

struct mime;

/** @param path  mime.types file; NULL or missing: the built-in table alone */
int mime_load(const char *path, struct mime **out);
void mime_free(struct mime *m);
/** Never NULL: application/octet-stream when nothing fits. */
const char *mime_type(const struct mime *m, const char *name);

#endif
