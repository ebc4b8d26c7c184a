/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Buckets in a folder: objects, multipart uploads, their files.
 *
 * On disk, below DIR:
 *     blobs/ab/<name>                        bytes
 *     buckets/<bucket>/bucket.json           what PutBucket and co. set
 *     buckets/<bucket>/objects/ab/<sha>.json one object: key, headers, body
 *     buckets/<bucket>/uploads/<id>/         an upload: its object, its parts
 * Everything but the bytes is in memory too, loaded by store_open().
 *
 * Layer    emulator; uses util, blob, object, index.
 * Threads  any; one lock, never held across a network call.
 * Errors   -ENODEV no such bucket, -ENOENT no such key, -ENXIO no such upload,
 *          -EEXIST, -ENOTEMPTY, -EAGAIN as said; else local disk and memory.
 */
#ifndef ACKFS_EMULATOR_STORE_H
#define ACKFS_EMULATOR_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/object.h"

struct store;

enum versioning {
	VERSIONING_NONE,
	VERSIONING_ENABLED,
	VERSIONING_SUSPENDED,
};

struct bucket_info {
	char name[64];
	int64_t created_ms;
	char acl[24];
	char storage_class[24];
	enum versioning versioning;
};

struct bucket_stat {
	uint64_t objects;
	uint64_t bytes;
	uint64_t uploads;
};

/**
 * Load what DIR holds (made when missing) and remove blobs nobody refers to.
 * @param durable  fsync everything before it is acknowledged
 */
int store_open(const char *dir, bool durable, struct store **out);
/** Frees memory, keeps the files. */
void store_close(struct store *s);
struct blob_store *store_blobs(struct store *s);

int store_bucket_create(struct store *s, const struct bucket_info *info);
/** ACL, storage class and versioning of an existing bucket. */
int store_bucket_update(struct store *s, const struct bucket_info *info);
int store_bucket_delete(struct store *s, const char *name);
int store_bucket_info(struct store *s, const char *name,
		      struct bucket_info *out);
int store_bucket_stat(struct store *s, const char *name,
		      struct bucket_stat *out);
/** All buckets by name; free(*out). */
int store_bucket_list(struct store *s, struct bucket_info **out, size_t *count);

/** @param out  one reference */
int store_get(struct store *s, const char *bucket, const char *key,
	      struct object **out);
/**
 * Store o, whose reference goes to the store on success; its version id is
 * set where the bucket has versions.
 * @param forbid_overwrite  -EEXIST when the key is there; versioned buckets
 *                          ignore it, as OSS does
 */
int store_put(struct store *s, const char *bucket, struct object *o,
	      bool forbid_overwrite);
/** store_put() unless the key's object is not `expect` any more: -EAGAIN. */
int store_replace(struct store *s, const char *bucket,
		  const struct object *expect, struct object *o);
/** @return 0 also when the key is not there */
int store_delete(struct store *s, const char *bucket, const char *key);
/**
 * Objects in memory alone, for benchmarks: prefix + eight digits, all with
 * the same body.
 */
int store_seed(struct store *s, const char *bucket, const struct object *like,
	       const char *prefix, uint64_t first, uint64_t count);

struct list_query {
	const char *prefix;    /* "" : all */
	const char *delimiter; /* "" : none */
	const char *marker;    /* exclusive; "" : from the start */
	unsigned max;          /* objects and common prefixes together */
};

struct list_page {
	struct object **objects; /* one reference each */
	size_t object_count;
	char **prefixes;
	size_t prefix_count;
	bool truncated;
	char *next; /* the last entry: the next page's marker */
};

int store_list(struct store *s, const char *bucket, const struct list_query *q,
	       struct list_page *out);
void list_page_release(struct list_page *p);

/* ---- multipart uploads ---- */

#define UPLOAD_ID_LEN 33

struct part {
	unsigned number;
	struct body *body;
	char etag[ETAG_MAX];
	int64_t mtime_ms;
};

struct upload_info {
	char id[UPLOAD_ID_LEN];
	char *key;
	int64_t initiated_ms;
};

/** @param proto  headers, ACL, tags of the object to be; the store's from
 *                here on, on success */
int store_upload_create(struct store *s, const char *bucket,
			struct object *proto, char id[UPLOAD_ID_LEN]);
/** @param out  one reference */
int store_upload_proto(struct store *s, const char *bucket, const char *key,
		       const char *id, struct object **out);
/** @param part  its body's reference goes to the store on success */
int store_upload_put(struct store *s, const char *bucket, const char *key,
		     const char *id, const struct part *part);
/** A snapshot by number; give back with parts_free(). */
int store_upload_parts(struct store *s, const char *bucket, const char *key,
		       const char *id, struct part **out, size_t *count);
void parts_free(struct part *parts, size_t count);
/** Store o and end the upload, in one step; see store_put(). */
int store_upload_complete(struct store *s, const char *bucket, const char *id,
			  struct object *o, bool forbid_overwrite);
int store_upload_abort(struct store *s, const char *bucket, const char *key,
		       const char *id);
/** All uploads of a bucket by key, then id. */
int store_upload_list(struct store *s, const char *bucket,
		      struct upload_info **out, size_t *count);
void upload_infos_free(struct upload_info *list, size_t count);

#endif
