/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * THE table of keys: it drives the reading of files and -o options, --help,
 * and the test that sample file and manual name the same keys and defaults.
 *
 * Layer    config.
 * Threads  constant data.
 */
#ifndef ACKFS_CONFIG_SCHEMA_H
#define ACKFS_CONFIG_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

enum schema_type {
	SCHEMA_PATH,     /* char *: absolute; relative to the file it is in */
	SCHEMA_LOG_PATH, /* char *: the same, or the word "syslog" */
	SCHEMA_ENDPOINT, /* char *: [http[s]://]host[:port] */
	SCHEMA_REGION,   /* char * */
	SCHEMA_BUCKET,   /* char * */
	SCHEMA_PREFIX,   /* char *: "" or "a/b/" */
	SCHEMA_PROXY,    /* char *: URL */
	SCHEMA_GLOBS,    /* char *: glob list */
	SCHEMA_NAME,     /* char *: a name for a folder */
	SCHEMA_SECRET,   /* char *: never shown, never -o */
	SCHEMA_WORD,     /* int-sized enum: index into words */
	SCHEMA_BOOL,     /* bool */
	SCHEMA_INT,      /* int in min..max */
	SCHEMA_COUNT,    /* uint64_t in min..max; words[0] is 0 */
	SCHEMA_SIZE,     /* uint64_t bytes in min..max; words[0] is 0 */
	SCHEMA_TIME,     /* int64_t ms in min..max; words[0] is 0 */
	SCHEMA_MODE,     /* uint32_t, octal, up to max */
	SCHEMA_USER,     /* uint32_t uid + has_uid, number or name */
	SCHEMA_GROUP,    /* uint32_t gid + has_gid */
	SCHEMA_FREE,     /* staging_min_free: bytes or percent */
	SCHEMA_LEVEL,    /* enum log_level */
	SCHEMA_CALLBACK, /* kept as written, for the callback layer */
};

struct schema_key {
	const char *section;
	const char *key;
	enum schema_type type;
	size_t offset; /* in struct conf; unused for SCHEMA_CALLBACK */
	const char *const *words;
	uint64_t min, max;
	const char *preset; /* the default as text; NULL: none */
	const char *help;   /* one line */
};

size_t schema_count(void);
const struct schema_key *schema_at(size_t i);
/** @return NULL: there is none */
const struct schema_key *schema_find(const char *section, const char *key);
/** The i-th section in table order, "callback.vars" included; NULL past the
 *  last. */
const char *schema_section(size_t i);
/** What a value looks like, for --help: "SIZE", "stored|staged". @return out */
const char *schema_form(const struct schema_key *k, char *out, size_t size);

#endif
