/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One set of access keys, and the files that hold them (oss/credentials.h says
 * which forms).
 *
 * Layer    oss.
 * Threads  none.
 */
#ifndef ACKFS_OSS_KEYFILE_H
#define ACKFS_OSS_KEYFILE_H

#include <stdbool.h>
#include <stdint.h>

/** What tells one content of a file from another. */
struct keyfile_stamp {
	int64_t mtime_ns;
	int64_t ctime_ns;
	int64_t inode;
	int64_t size; /* -1: no file */
};

struct keys {
	char *id;
	char *secret;
	char *token;        /* NULL: none */
	int64_t expires_ms; /* ms since 1970; 0: never */
	struct keyfile_stamp stamp;
};

void keys_release(struct keys *k);
bool keys_equal(const struct keys *a, const struct keys *b);
/** Copies, after checking that they can stand in a header.
 *  @param from  where they come from, for the message */
int keys_set(struct keys *k, const char *id, const char *secret,
	     const char *token, char **why, const char *from);
/** Overwrite and free a secret. */
void keys_wipe(char **text);

/**
 * @param bucket  lines for other buckets are passed over; NULL: those for any
 * @param why     what is wrong, and what to do about it (free it)
 * @return 0; -EACCES: others can read it, or we cannot; -EINVAL; -ENOENT
 */
int keyfile_read(const char *path, const char *bucket, struct keys *out,
		 char **why);
/** @return 0 or -errno */
int keyfile_stamp(const char *path, struct keyfile_stamp *out);

#endif
