/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Body templates with OSS's ${...}, and how OSS fills them in
 * (oss-protocol 3.4, 3.5).
 *
 *     template_parse(), template_fill() any number of times, template_release()
 *
 * Layer    callback.
 * Threads  a parsed template is constant.
 */
#ifndef ACKFS_CALLBACK_TEMPLATE_H
#define ACKFS_CALLBACK_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

enum template_type { TEMPLATE_FORM, TEMPLATE_JSON };

/** "application/x-www-form-urlencoded" or "application/json".
 *  @return 0 or -EINVAL */
int template_type_parse(const char *text, enum template_type *out);
const char *template_type_name(enum template_type type);
/** The body of a callback that names none. */
const char *template_default(enum template_type type);

enum piece_kind {
	PIECE_TEXT,   /* copied */
	PIECE_SYSTEM, /* ${object} */
	PIECE_CUSTOM, /* ${x:name}: name without x: */
};

/** How a variable's value is written in a JSON body. */
enum value_kind { VALUE_STRING, VALUE_NUMBER, VALUE_EITHER };

struct piece {
	enum piece_kind kind;
	enum value_kind value; /* of a variable */
	bool in_quotes;        /* stands inside a JSON string */
	bool may_be_empty;     /* OSS has no value for every object */
	char *text;            /* the text, or the variable's name */
	size_t len;
};

struct template
{
	struct piece *pieces;
	size_t count;
};

/**
 * @param why  empty; on -EINVAL what is wrong and what to write
 * @return 0, -EINVAL, -ENOMEM (out is empty then)
 */
int template_parse(const char *text, struct template *out, struct buf *why);
void template_release(struct template *t);

/** The value of a variable; NULL: none. */
typedef const char *(*template_lookup_fn)(void *arg, enum piece_kind kind,
					  const char *name);
/**
 * The body as OSS sends it.  What the protocol page leaves open is done as its
 * advice says: an empty number outside quotes is null, a string inside quotes
 * gets no quotes of its own.
 * @return 0, -ENOMEM
 */
int template_fill(const struct template *t, enum template_type type,
		  template_lookup_fn lookup, void *arg, struct buf *out);
/** A lookup for checks: plausible values for all (arg is unused). */
const char *template_sample(void *arg, enum piece_kind kind, const char *name);

/** May a variable be called so (without x:)? Lower case, no blank, no brace.
 *  @return NULL: yes; else what is wrong (static) */
const char *variable_name_check(const char *name);

#endif
