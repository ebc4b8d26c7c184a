/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * XML out (elements appended to a buffer) and in (a small bounded tree).
 *
 * Layer  emulator, pure; the daemon has its own reader on purpose.
 */
#ifndef ACKFS_EMULATOR_XML_H
#define ACKFS_EMULATOR_XML_H

#include <stddef.h>

#include "util/buf.h"

/** The declaration that opens every body. */
void xml_begin(struct buf *out);
/** Text with the five specials and control bytes as references. */
void xml_text(struct buf *out, const char *text);
void xml_open(struct buf *out, const char *name);
void xml_close(struct buf *out, const char *name);
/** <name>text</name>; NULL text gives an empty element. */
void xml_elem(struct buf *out, const char *name, const char *text);
void xml_elemf(struct buf *out, const char *name, const char *fmt, ...)
	ACK_PRINTF(3, 4);

struct xml_node {
	char *name;
	char *text; /* character data of this element, never NULL */
	struct xml_node *children;
	struct xml_node *next; /* sibling */
};

/**
 * Parse a document.  A DOCTYPE is refused, and so is nesting over 16.
 * @param out  the root; give back with xml_free()
 * @return 0, -EINVAL (not well-formed), -ENOMEM
 */
int xml_parse(const char *data, size_t len, struct xml_node **out);
void xml_free(struct xml_node *root);
void xml_freep(struct xml_node **root);
/** The first child of that name, or NULL. */
const struct xml_node *xml_child(const struct xml_node *n, const char *name);
/** Its text, or NULL. */
const char *xml_child_text(const struct xml_node *n, const char *name);

#endif
