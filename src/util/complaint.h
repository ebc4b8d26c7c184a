/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A list of what is wrong with a configuration, one line each:
 *
 *     FILE:LINE: section.key: "value": what is wrong; what to write
 *
 * Several mistakes are collected, so that one start shows them all.  Memory
 * that runs out while complaining shows as complaints_error().
 */
#ifndef ACKFS_UTIL_COMPLAINT_H
#define ACKFS_UTIL_COMPLAINT_H

#include "util/buf.h"

/** After so many the list says "and more" and takes no further ones. */
#define COMPLAINTS_MAX 20

/** Where it stands; every part may be missing. */
struct complaint_at {
	const char *file;    /* NULL: an option on the command line */
	int line;            /* 0: no particular one */
	const char *section; /* without brackets */
	const char *key;     /* NULL: the section itself */
};

struct complaints {
	struct buf text;
	int count;
};

#define COMPLAINTS_INIT                                                        \
	{                                                                      \
		BUF_INIT, 0                                                    \
	}

/** @param value  as written, shown quoted and cut; NULL: not shown */
void complain(struct complaints *l, const struct complaint_at *at,
	      const char *value, const char *fmt, ...) ACK_PRINTF(4, 5);
void complaints_release(struct complaints *l);
/** @return 0 when there are none, else -EINVAL (-ENOMEM) */
int complaints_error(const struct complaints *l);
/** The lines as one heap string without the last line feed; NULL when there are
 *  none.  The list is empty then. */
char *complaints_take(struct complaints *l);

#endif
