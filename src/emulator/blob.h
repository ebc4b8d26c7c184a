/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Blobs: immutable files that hold the bytes of objects and parts.
 *
 * blob_writer_open(), blob_writer_add() any number of times, then
 * blob_writer_commit() or blob_writer_abort().  A blob's file lives as long as
 * references do; what nothing refers to at start is removed by the store.
 *
 * Layer    emulator; uses util.
 * Threads  references from any thread; a writer belongs to one.
 * Blocking local disk.
 */
#ifndef ACKFS_EMULATOR_BLOB_H
#define ACKFS_EMULATOR_BLOB_H

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BLOB_NAME_LEN 33 /* 32 hex digits and NUL */

struct blob_store {
	char *dir;
	bool durable;        /* fsync before commit */
	atomic_bool closing; /* the last reference does not remove the file */
};

struct blob {
	struct blob_store *store;
	atomic_uint refs;
	char name[BLOB_NAME_LEN];
};

/** @param dir  made when missing. @return 0 or -errno */
int blob_store_open(const char *dir, bool durable, struct blob_store **out);
/** After the last reference is gone. */
void blob_store_free(struct blob_store *s);
/** A reference to an existing file, for the store's start. NULL: no memory */
struct blob *blob_adopt(struct blob_store *s, const char *name);
struct blob *blob_get(struct blob *b);
void blob_put(struct blob *b);
/** @return a descriptor for reading, or -errno */
int blob_open(const struct blob *b);
/** Remove files that keep() does not know. */
void blob_store_sweep(struct blob_store *s,
		      bool (*keep)(void *arg, const char *name), void *arg);

struct blob_writer {
	struct blob_store *store;
	int fd; /* -1: not open */
	char name[BLOB_NAME_LEN];
	uint64_t size;
	uint64_t crc;
	EVP_MD_CTX *md5; /* NULL: not asked for */
};

#define BLOB_WRITER_INIT                                                       \
	{                                                                      \
		.fd = -1                                                       \
	}

/** @return 0, -ENOSPC, -EMFILE, -ENOMEM, -EIO */
int blob_writer_open(struct blob_store *s, bool want_md5,
		     struct blob_writer *w);
int blob_writer_add(struct blob_writer *w, const void *data, size_t len);
/** The MD5 so far into out. @return false when it was not asked for */
bool blob_writer_md5(struct blob_writer *w, unsigned char out[16]);
/** @param out  one reference. @return 0 or -errno (the file is gone then) */
int blob_writer_commit(struct blob_writer *w, struct blob **out);
/** Remove the file; nothing on a writer that is not open. */
void blob_writer_abort(struct blob_writer *w);

#endif
