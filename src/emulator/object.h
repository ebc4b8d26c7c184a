/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Objects and their bodies.
 *
 * Both are immutable once they are in the store: a change of metadata makes a
 * new object that shares the body, so that a reader keeps what it opened.  A
 * body is a list of segments of blobs: multipart uploads and copies move no
 * bytes.
 *
 * Layer    emulator; uses util, blob.
 * Threads  references from any thread.
 */
#ifndef ACKFS_EMULATOR_OBJECT_H
#define ACKFS_EMULATOR_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "emulator/blob.h"
#include "util/buf.h"
#include "util/kv.h"

enum object_type {
	OBJECT_NORMAL,
	OBJECT_MULTIPART,
	OBJECT_APPENDABLE,
	OBJECT_SYMLINK,
};

/** "Normal", "Multipart", "Appendable", "Symlink". */
const char *object_type_name(enum object_type t);

struct segment {
	struct blob *blob;
	uint64_t off;
	uint64_t len;
	uint64_t crc; /* of these bytes */
};

struct body {
	atomic_uint refs;
	uint64_t size;
	uint64_t crc;
	size_t count;
	struct segment segs[];
};

/** An empty body with room for count segments. NULL: no memory */
struct body *body_new(size_t count);
struct body *body_get(struct body *b);
void body_put(struct body *b);
void body_putp(struct body **b);
/** Append a segment; takes over the blob's reference.  Only before sharing. */
void body_append(struct body *b, struct segment seg);
/** A body of one whole blob; takes over the reference. NULL: no memory */
struct body *body_of_blob(struct blob *blob, uint64_t len, uint64_t crc);
/** The parts one after the other, sharing their blobs. NULL: no memory */
struct body *body_concat(struct body *const *parts, size_t count);
/**
 * The bytes [off, off + len) as a body that shares the blobs.  Reads the cut
 * segments for their sums.
 * @return 0, -ENOMEM, -EIO
 */
int body_slice(const struct body *b, uint64_t off, uint64_t len,
	       struct body **out);
/** pread(2) across segments. @return count (short at the end) or -errno */
ssize_t body_pread(const struct body *b, void *data, size_t len, uint64_t off);
/** MD5 of the whole. @return 0 or -errno */
int body_md5(const struct body *b, unsigned char out[16]);

#define ETAG_MAX 48

struct object {
	atomic_uint refs;
	char *key;
	struct body *body; /* never NULL */
	enum object_type type;
	char etag[ETAG_MAX];  /* no quotes, upper case */
	char content_md5[28]; /* base64, "" where OSS has none */
	char version_id[40];  /* "" without versioning */
	int64_t mtime_ms;     /* whole seconds */
	struct kvs headers;   /* as returned: Content-Type, x-oss-meta-... */
	struct kvs tags;
	char *acl;               /* NULL: default */
	char *storage_class;     /* NULL: Standard */
	char *symlink_target;    /* raw key; symlinks alone */
	int64_t restore_done_ms; /* 0: never restored */
	int64_t restore_expiry_ms;
	bool is_volatile; /* seeded: has no file */
};

/** Everything empty, one reference. NULL: no memory */
struct object *object_new(const char *key);
/** A copy under another key (NULL: the same) that shares the body. */
struct object *object_copy(const struct object *o, const char *key);
struct object *object_get(struct object *o);
void object_put(struct object *o);
void object_putp(struct object **o);
/** Replace the body; takes over the reference. */
void object_set_body(struct object *o, struct body *b);
/** ETag and Content-MD5 of a whole body's MD5. */
void object_set_md5(struct object *o, const unsigned char md5[16]);
/** 32 upper-case hex digits, and "-parts" unless that is 0. */
void etag_format(char out[ETAG_MAX], const unsigned char md5[16],
		 unsigned parts);

const char *object_content_type(const struct object *o);
const char *object_storage_class(const struct object *o);
/** Archive classes need a restore before reading. */
bool storage_class_is_archive(const char *name);
bool storage_class_is_known(const char *name);

/** The JSON form on disk.
 *  @return 0, -ENOMEM, -EMSGSIZE; -EILSEQ: a text is not UTF-8 */
int object_to_json(const struct object *o, struct buf *out);
/** @return 0, -EINVAL, -ENOMEM */
int object_from_json(const char *text,
		     struct blob *(*blob)(void *, const char *), void *arg,
		     struct object **out);

/** The same for a body alone, as parts keep it. */
struct json_t;
void body_to_json(const struct body *b, struct buf *out);
int body_from_json(const struct json_t *j,
		   struct blob *(*blob)(void *, const char *), void *arg,
		   struct body **out);

#endif
