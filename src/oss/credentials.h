/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Access keys: from the environment, a file, or the configuration, in this
 * order; read again on SIGHUP, when the file changes, and when OSS says that
 * they expired.
 *
 * Files that others than owner and group can read are refused.  A credentials
 * file is JSON (AccessKeyId, AccessKeySecret, SecurityToken, Expiration, as the
 * ECS metadata service and external processes write it), or lines
 * `AccessKeyId:AccessKeySecret` (ossfs 1.x's passwd file, also with a bucket in
 * front).
 *
 * Threads  any.
 */
#ifndef ACKFS_OSS_CREDENTIALS_H
#define ACKFS_OSS_CREDENTIALS_H

#include <stdint.h>

struct credentials;

struct credentials_conf {
	const char *file;              /* [credentials] file; may be NULL */
	const char *access_key_id;     /* from the INI; may be NULL */
	const char *access_key_secret; /* from the INI; may be NULL */
	const char *security_token;    /* from the INI; may be NULL */
	const char *bucket;            /* picks ossfs lines */
	/* Read the INI's keys again (SIGHUP): fills heap strings; may be
	   NULL. */
	int (*reread)(void *arg, char **id, char **secret, char **token);
	void *reread_arg;
};

/** One consistent set; strings are the holder's. */
struct credentials_set {
	char *id;
	char *secret;
	char *token;         /* NULL: none */
	uint64_t generation; /* rises with each change */
};

/** @param why  what is wrong (free it)
 *  @return 0, -EACCES (a file's mode), -ENOENT (no keys at all), -EINVAL */
int credentials_new(const struct credentials_conf *conf,
		    struct credentials **out, char **why);
void credentials_free(struct credentials *c);
int credentials_get(struct credentials *c, struct credentials_set *out);
void credentials_set_release(struct credentials_set *s);
/** Read them again; a failure keeps the old ones and is logged.
 *  @return 1 when they changed, 0 when not, -errno */
int credentials_reload(struct credentials *c);

#endif
