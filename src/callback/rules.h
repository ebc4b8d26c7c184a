/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Callback rules: which callback a path gets, and the two headers for it.
 *
 * Pure: text in, headers out.  rules_new() checks everything that OSS would
 * refuse with an EC 0007-... code (oss-protocol 3.9) and everything of
 * design.md "Callback configuration".
 *
 * Layer    callback: uses util (jansson inside).  Knows nothing of FUSE, the
 *          state folder, or HTTP.
 * Threads  a rule set is constant: any.
 */
#ifndef ACKFS_CALLBACK_RULES_H
#define ACKFS_CALLBACK_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/kv.h"

/** Largest base64 text of each header (oss-protocol 3.2). */
#define CALLBACK_HEADER_MAX 5120

enum callback_on_rename { ON_RENAME_AUTO, ON_RENAME_ALWAYS, ON_RENAME_NEVER };

/** One section as written; the configuration's struct conf_callback in this
 *  layer's terms, so that config stays out of here. */
struct rule_text {
	const char *name; /* NULL: the default section */
	const char *file;
	int line;
	const struct kvs *keys;
	const int *key_lines;
	const struct kvs *vars;
	const int *var_lines;
};

struct globs;
struct rules;

/** A rule with everything filled in from the default section. */
struct rule {
	char *name;   /* "default" for [callback]; "none": no section at all */
	bool enabled; /* a callback is made */
	char *match;  /* glob list; NULL: everything */
	uint64_t min_size, max_size; /* 0: no bound */
	char *url; /* 1-5 addresses, ';' between; may hold %{...} */
	int url_count;
	char *host; /* NULL: the URL's */
	char *body; /* template */
	char *body_type;
	bool has_sni, sni;
	bool fail_close; /* on_failure = fail_close */
	int64_t retry_for_ms;
	enum callback_on_rename on_rename;
	char *temporary;      /* glob list; the built-in one by default */
	char *content_type;   /* NULL: by extension */
	char *allow_override; /* names, blanks between; NULL: none */
	struct kvs vars;      /* name (without x:) -> value with %{...} */
	/* match (NULL: everything) and temporary, compiled */
	struct globs *matches, *is_temporary;
};

/**
 * @param why       one line an error; free it
 * @param warnings  one line a warning (private address, ...); free it
 * @return 0, -EINVAL, -ENOMEM
 */
int rules_new(const struct rule_text *sections, size_t count,
	      struct rules **out, char **why, char **warnings);
void rules_free(struct rules *r);
/** Any section at all?  Without one, the mount works without callbacks. */
bool rules_exist(const struct rules *r);
/** The rule of a path inside the mount (no leading '/'); never NULL: the first
 *  whose match and size bounds hold, else the default. size UINT64_MAX:
 *  not known yet, bounds are ignored.
 *  @param captures  {name} parts of the match; may be NULL */
const struct rule *rules_match(const struct rules *r, const char *path,
			       uint64_t size, struct kvs *captures);
const struct rule *rules_by_name(const struct rules *r, const char *name);
/** Is it a name that its program will rename when done? */
bool rules_is_temporary(const struct rules *r, const char *path);

/** What %{...} draws on, frozen when the file is closed. Strings borrowed. */
struct callback_inputs {
	const char *path; /* inside the mount, no leading '/' */
	const char *key;  /* in the bucket */
	const char *bucket;
	const char *mount; /* mount point */
	const char *host;  /* this machine */
	uint64_t size;
	uint32_t uid, gid, mode;
	int32_t pid;
	const char *process; /* name of the process that closed it */
	const char *user;    /* name of uid, or the number */
	int64_t mtime_ms;
	const char *delivery_id;
	const char *previous_delivery_id; /* "" when there is none */
	const struct kvs *file_vars; /* user.oss.callback.var.*, the file's own
					before its folders' (first wins) */
	const struct kvs *xattrs;    /* for %{xattr:NAME}; may be NULL */
};

/** A callback ready to send. All owned. */
struct callback {
	char *rule;
	char *url, *host, *body, *body_type;
	bool has_sni, sni;
	int url_count;
	struct kvs vars;  /* as sent, with x: */
	char *param;      /* x-oss-callback, base64 */
	char *param_vars; /* x-oss-callback-var, base64 */
};

void callback_release(struct callback *cb);
/**
 * Expand %{...}, add x:ackfs_id and every ${x:NAME} of the template (empty
 * when nothing defines it), check OSS's limits, encode.
 * @param why  names the variable or field (free it)
 * @return 0, -E2BIG (a header past 5 KB), -EINVAL, -ENOMEM
 */
int callback_render(const struct rule *rule, const struct kvs *captures,
		    const struct callback_inputs *in, struct callback *out,
		    char **why);

/** The two headers anew, from url, host, body, body_type, sni and vars as they
 *  were sent before. @return 0, -E2BIG, -ENOMEM */
int callback_encode(struct callback *cb);

/** May a file or folder define this variable (name without x:), with this
 *  value? @return 0, -EPERM (the administrator's), -EINVAL (a bad name),
 *  -E2BIG */
int rules_check_file_var(const struct rules *r, const char *path,
			 const char *name, const char *value);

/**
 * The body as OSS would send it, with sample values (ackctl explain).
 * @param system  values of system variables (bucket, object, ...) by name;
 *                missing ones are empty
 * @return 0, -EINVAL, -ENOMEM
 */
int callback_sample_body(const struct callback *cb, const struct kvs *system,
			 struct buf *out);

#endif
