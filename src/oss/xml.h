/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Reading small XML documents as a stream of elements.
 *
 * Namespaces are dropped ("ns:Key" is Key), attributes and comments ignored.
 * A document type declaration is refused: so there are no entities but XML's
 * own five.  Depth, text and size are bounded.
 *
 * Layer    oss: uses util and expat.
 * Threads  any.
 */
#ifndef ACKFS_OSS_XML_H
#define ACKFS_OSS_XML_H

#include <stddef.h>

/** Elements deeper than this are an error. */
#define XML_DEPTH_MAX 16
/** More text than this in one element is an error. */
#define XML_TEXT_MAX ((size_t)128 << 10)

struct xml_handler {
	/** An element begins; depth 1 is the root.  May be NULL.
	 *  @return 0, or -errno: stop */
	int (*open)(void *arg, int depth, const char *name);
	/** It ends.  text is its own, after the last child if it has any.
	 *  @param parent  "" for the root */
	int (*close)(void *arg, int depth, const char *parent, const char *name,
		     const char *text);
	void *arg;
};

/** For open(): -EBADMSG when the root has another name. */
int xml_check_root(int depth, const char *name, const char *want);

/** @return 0; -EBADMSG: not well-formed, or past the bounds; -ENOMEM; what a
 *          handler returned */
int xml_parse(const char *data, size_t len, const struct xml_handler *h);

#endif
