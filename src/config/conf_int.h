/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the files of config share; nobody else includes it.
 */
#ifndef ACKFS_CONFIG_CONF_INT_H
#define ACKFS_CONFIG_CONF_INT_H

#include <stdbool.h>

#include "config/conf.h"
#include "config/ini.h"
#include "config/schema.h"
#include "util/complaint.h"

#define ORIGIN_KEYS 96 /* more than the table has */
#define ORIGIN_OPTION (-1)

struct conf_origin {
	char *file; /* as conf_load_file() was given it; NULL: none */
	char *dir;  /* its folder, absolute */
	int lines[ORIGIN_KEYS]; /* by index of the table: 0: default,
				   ORIGIN_OPTION, else the file's line */
};

/* ---- sections (conf_section.c) ------------------------------------------ */

enum section_kind { SECTION_PLAIN, SECTION_CALLBACK, SECTION_VARS };

struct section_id {
	enum section_kind kind;
	/* SECTION_PLAIN: the section; else the rule, "" for the default */
	char name[INIFILE_SECTION_MAX + 1];
};

/** @param text  what stands between the brackets
 *  @return 0, or -EINVAL with the reason in why */
int section_parse(const char *text, struct section_id *out, struct buf *why);
/** Add "no such key" with the nearest one, or all of the section. */
void section_unknown_key(const char *section, const char *key, struct buf *why);

/* ---- one value (conf_set.c) --------------------------------------------- */

struct conf_setting {
	const struct section_id *section;
	const char *shown; /* the section for messages */
	const char *key;
	const char *value;
	int line; /* 0: an option, which replaces what the file says */
};

/** Set it, or complain. */
void conf_set(struct conf *c, const struct conf_setting *s,
	      struct complaints *l);
/** Where a setting stands: file and line, or the command line. */
struct complaint_at conf_at(const struct conf *c, int line, const char *section,
			    const char *key);
/** The line of a key of the table: see conf_origin. */
int conf_line(const struct conf *c, const char *section, const char *key);

/* ---- callback sections (conf_callback.c) -------------------------------- */

/** The section of this rule ("": the default), made when there is none; NULL:
 *  no memory. */
struct conf_callback *callback_section(struct conf *c, const char *name);
/** Set a key or a variable. */
void callback_set(struct conf *c, const struct conf_setting *s,
		  struct complaints *l);
/** The head of a section. @return false: a twin, refused */
bool callback_declare(struct conf *c, const struct section_id *id,
		      const char *shown, int line, struct complaints *l);
/** Templates from files; vars whose section is missing. */
void callback_finish(struct conf *c, struct complaints *l);
void conf_callback_release(struct conf_callback *cb);

#endif
