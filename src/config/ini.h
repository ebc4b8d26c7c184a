/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * An INI text becomes entries, whole or not at all.
 *
 * inih reads the structure (sections, names, comments on lines of their own),
 * but by itself it would split at ':', cut values at " ;", cut lines at 200
 * bytes, section names at 49 and take an indented line for more of the value
 * before it.  So it never sees the text: every line is handed to it with the
 * bytes of names that it misreads percent-encoded, and with a dot in the place
 * of the value.
 *
 *   - a line: at most INIFILE_LINE_MAX bytes, valid UTF-8, no NUL
 *   - blanks around names and values do not count, nor does indentation;
 *     a value does not go on in the next line
 *   - ';' or '#' as the first character of a line: a comment
 *   - a comment behind a value: see enum inifile_comments
 *   - only '=' separates; the first one of a line
 *
 * Layer    config.
 * Threads  none.
 */
#ifndef ACKFS_CONFIG_INI_H
#define ACKFS_CONFIG_INI_H

#include <stddef.h>

/** Longest line without its end. */
#define INIFILE_LINE_MAX 8192
/** Longest name of a key, and of a section: bytes as inih sees them (one that
 *  it misreads counts three). */
#define INIFILE_NAME_MAX 100
#define INIFILE_SECTION_MAX 49

/** Where a comment may begin behind a value. */
enum inifile_comments {
	INIFILE_COMMENT_BLANK, /* at a ';' after a blank */
	/* At a ';' after two blanks or a tab and before a blank or the end.  A
	   place inside double quotes is ambiguous: an error. */
	INIFILE_COMMENT_WIDE,
	INIFILE_COMMENT_NEVER, /* the line's rest is the value */
};

struct inifile_entry {
	int line;
	const char *section;
	const char *key; /* NULL: the head of a section */
	const char *value;
};

struct inifile_reader {
	enum inifile_comments (*comments)(const char *section, const char *key);
	void (*entry)(void *arg, const struct inifile_entry *e);
	/* Text for a user; the line's own text is not in it (it may be a
	   secret). */
	void (*error)(void *arg, int line, const char *what);
	void *arg;
};

/**
 * Read it all; errors do not end the reading.
 * @return 0, -EINVAL (error() was called), -ENOMEM
 */
int inifile_read(const char *text, size_t len, const struct inifile_reader *r);

#endif
