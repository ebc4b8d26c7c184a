/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The configuration: typed, validated, constant once loaded.
 *
 * conf_new(), conf_load_file() once, conf_set_option() for each -o KEY=VALUE,
 * conf_finish(); then read the fields.  The table of keys is config/schema.c;
 * it drives this, --help, --check-config and the test that manual and sample
 * file agree with it.
 *
 * Every error text is complete: `FILE:LINE: section.key: "value": what is
 * wrong; what to write`.
 *
 * A value comes through whole or is refused (config/ini.h).  A comment behind a
 * value begins at a ';' after a blank; behind callback.url and callback.body
 * there is none; in [callback.vars] it takes two blanks or a tab in front and a
 * blank behind the ';'.
 *
 * Layer    config: uses util and inih.
 * Threads  none while loading, any once finished.
 */
#ifndef ACKFS_CONFIG_CONF_H
#define ACKFS_CONFIG_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "util/kv.h"
#include "util/log.h"

enum conf_addressing { CONF_ADDR_AUTO, CONF_ADDR_VIRTUAL, CONF_ADDR_PATH };
enum conf_signature { CONF_SIGN_V4, CONF_SIGN_V1 };
enum conf_close_returns { CONF_CLOSE_STORED, CONF_CLOSE_STAGED };
enum conf_fsync { CONF_FSYNC_LOCAL, CONF_FSYNC_UPLOAD };
enum conf_conflict { CONF_CONFLICT_OVERWRITE, CONF_CONFLICT_FAIL };
enum conf_incomplete {
	CONF_INCOMPLETE_HOLD,
	CONF_INCOMPLETE_UPLOAD,
	CONF_INCOMPLETE_DISCARD
};
enum conf_start { CONF_START_REQUIRE_OSS, CONF_START_OFFLINE_OK };
enum conf_posix_meta { CONF_POSIX_AUTO, CONF_POSIX_ALWAYS, CONF_POSIX_NEVER };

/** A [callback] or [callback "NAME"] section and its vars, as written: the
 *  callback layer (callback/rules.h) gives it meaning.  body_file is not among
 *  the keys once the configuration is finished: it has become body. */
struct conf_callback {
	char *name;    /* NULL: the default section */
	char *file;    /* where it stands, for messages; NULL: -o */
	int line;      /* of its head; 0: -o */
	bool declared; /* [callback ...] itself was seen, not its vars alone */
	struct kvs keys; /* url, host, body, ... as written */
	int *key_lines;  /* line of each of keys.items; 0: -o */
	struct kvs vars; /* [callback.vars "NAME"], names without x: */
	int *var_lines;
};

struct conf_origin; /* where each key was set (conf.c) */

struct conf {
	char *config_file; /* conf_load_file()'s, or -o config=; absolute */
	struct {
		char *endpoint;
		char *region;
		char *bucket;
		char *prefix; /* "" or "a/b/": no leading '/', one at the end */
		enum conf_addressing addressing;
		enum conf_signature signature;
		char *ca_file;
		char *proxy;
		int64_t connect_timeout_ms;
		int64_t request_timeout_ms;
		int max_connections;
	} oss;
	struct {
		char *access_key_id;
		char *access_key_secret;
		char *security_token;
		char *file;
	} credentials;
	struct conf_callback *callbacks; /* in file order, the default first
					    where there is one */
	size_t callback_count;
	struct {
		enum conf_close_returns close_returns;
		int parallel_uploads;
		int parallel_parts;
		uint64_t multipart_threshold;
		uint64_t part_size; /* 0: auto */
		enum conf_fsync fsync;
		enum conf_conflict on_conflict;
		enum conf_incomplete incomplete_files;
		uint64_t incomplete_max_bytes; /* 0: no limit */
		int64_t incomplete_max_age_ms; /* 0: for ever */
		char *exit_is_abort;           /* globs of process names */
		int64_t temporary_hold_ms;
		int64_t empty_hold_ms;
		int64_t retry_deadline_ms;
		int64_t drain_timeout_ms;
	} upload;
	struct {
		char *dir;  /* NULL: the system's or the user's state folder */
		char *name; /* NULL: bucket and prefix */
		uint64_t staging_max_bytes; /* 0: no limit */
		uint64_t staging_min_free;  /* bytes; used when percent is 0 */
		int staging_min_free_percent;
	} state;
	struct {
		int64_t metadata_ttl_ms;
		uint64_t read_buffer_bytes;
	} cache;
	struct {
		enum conf_start start;
		enum conf_posix_meta posix_meta;
		bool has_uid, has_gid;
		uint32_t uid, gid;
		uint32_t umask;
		uint32_t file_mode, dir_mode;
		bool read_only;
		bool allow_other;
	} mount;
	struct {
		enum log_level level;
		char *file;
		char *callbacks;     /* JSON lines; NULL: none */
		int64_t keep_ms;     /* records older than this go */
		uint64_t keep_count; /* and beyond so many */
	} log;
	struct conf_origin *origin;
};

struct conf *conf_new(void); /* with defaults; NULL: no memory */
void conf_free(struct conf *c);

/** Read an INI file. A file that holds access keys and that others than owner and
 *  group can read is refused.
 *  @param why  one line for each error (several are collected); free it
 *  @return 0, -EINVAL, -errno of reading */
int conf_load_file(struct conf *c, const char *path, char **why);
/** One "section.key=value" (also callback.vars.NAME=value and
 *  `callback "RULE".key=value`), or a short one: config, state_dir, endpoint,
 *  region; uid, gid, umask, ro and allow_other, as FUSE spells them.  It replaces
 *  what the file says.  Secrets are refused here (ps shows arguments).
 *  config=FILE sets config_file alone: the caller loads it.
 *  @return 0; -ENOENT: not an option of ours; -EINVAL (*why) */
int conf_set_option(struct conf *c, const char *option, char **why);
/** Defaults that depend on others, and checks across keys; after this the
 *  configuration is constant. @return 0 or -EINVAL (*why) */
int conf_finish(struct conf *c, char **why);
/** Only the [credentials] of a file, for SIGHUP. @return 0 or -errno */
int conf_reread_credentials(const char *path, char **id, char **secret,
			    char **token);
/** The state folder of this configuration: DIR/NAME; heap. */
char *conf_state_path(const struct conf *c);
/** Every key with type, default and help, one a line, for --help. */
void conf_print_help(void);

#endif
