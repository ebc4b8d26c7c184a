/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * "Did you mean": the word of a list that is nearest to a misspelt one.
 *
 *     struct suggestion s = SUGGESTION_INIT("uplaod");
 *     for (...) suggestion_try(&s, word[i]);
 *     if (s.best) ...
 *
 * Near means few typing errors (letters missing, added, replaced, swapped) for
 * the word's length.  Case counts nothing, nor does '-' for '_'.
 */
#ifndef ACKFS_UTIL_SUGGEST_H
#define ACKFS_UTIL_SUGGEST_H

#include <stddef.h>

struct suggestion {
	const char *text;
	const char *best; /* borrowed; NULL: nothing is near */
	size_t errors;    /* of best */
};

#define SUGGESTION_INIT(wrong)                                                 \
	{                                                                      \
		(wrong), NULL, 0                                               \
	}

/** Remember word when it is nearer than all before; words past 40 bytes never
 *  are. */
void suggestion_try(struct suggestion *s, const char *word);

#endif
