/* SPDX-License-Identifier: Apache-2.0 */
/** @file What the files of the store share; see store.h. */
#ifndef ACKFS_EMULATOR_STORE_INTERNAL_H
#define ACKFS_EMULATOR_STORE_INTERNAL_H

#include <uthash.h>

#include "emulator/index.h"
#include "emulator/store.h"
#include "util/lock.h"

struct upload {
	char id[UPLOAD_ID_LEN];
	struct object *proto;
	int64_t initiated_ms;
	struct part *parts; /* by number */
	size_t count;
	size_t cap;
	UT_hash_handle hh;
};

struct bucket {
	struct bucket_info info;
	struct index *index;
	struct upload *uploads;
	UT_hash_handle hh;
};

struct store {
	char *dir;
	bool durable;
	struct blob_store *blobs;
	struct lock lock; /* guards everything below */
	struct bucket *buckets;
};

struct bucket *store_find_bucket(struct store *s, const char *name)
	ACK_REQUIRES(s->lock);
struct bucket *bucket_new(const struct bucket_info *info);
void bucket_free(struct bucket *b);

struct upload *upload_new(const char *id, struct object *proto,
			  int64_t initiated_ms);
void upload_free(struct upload *u);
/** Put the part in its place; on success its body is the upload's. */
int upload_set_part(struct upload *u, const struct part *p);
/** Enter o into the bucket, on disk and in the index; takes over o. */
int bucket_put(struct store *s, struct bucket *b, struct object *o,
	       bool forbid_overwrite) ACK_REQUIRES(s->lock);

/* store_disk.c: files.  All return 0 or -errno. */
int disk_make_bucket(const struct store *s, const struct bucket_info *info);
int disk_remove_bucket(const struct store *s, const char *name);
int disk_write_object(const struct store *s, const char *bucket,
		      const struct object *o);
void disk_remove_object(const struct store *s, const char *bucket,
			const char *key);
int disk_write_upload(const struct store *s, const char *bucket,
		      const struct upload *u);
int disk_write_part(const struct store *s, const char *bucket, const char *id,
		    const struct part *p);
void disk_remove_upload(const struct store *s, const char *bucket,
			const char *id);
/** Everything below DIR into memory; then the blobs nobody knows go. */
int disk_load(struct store *s);

#endif
