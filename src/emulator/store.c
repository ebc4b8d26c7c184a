/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "emulator/store_internal.h"
#include "util/buf.h"
#include "util/uuid.h"

struct bucket *bucket_new(const struct bucket_info *info)
{
	struct bucket *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->info = *info;
	b->index = index_new();
	if (!b->index) {
		free(b);
		return NULL;
	}
	return b;
}

void bucket_free(struct bucket *b)
{
	struct upload *u;
	struct upload *next;

	HASH_ITER(hh, b->uploads, u, next)
	{
		HASH_DEL(b->uploads, u);
		upload_free(u);
	}
	index_free(b->index);
	free(b);
}

int store_open(const char *dir, bool durable, struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));
	AUTO_FREE char *blobs = str_printf("%s/blobs", dir);
	int rc = s && blobs ? 0 : -ENOMEM;

	if (!s)
		return -ENOMEM;
	lock_init(&s->lock, LOCK_TREE);
	s->durable = durable;
	s->dir = str_dup(dir);
	if (!rc && !s->dir)
		rc = -ENOMEM;
	if (!rc)
		rc = blob_store_open(blobs, durable, &s->blobs);
	if (!rc)
		rc = disk_load(s);
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	struct bucket *b;
	struct bucket *next;

	if (!s)
		return;
	if (s->blobs)
		atomic_store(&s->blobs->closing, true);
	HASH_ITER(hh, s->buckets, b, next)
	{
		HASH_DEL(s->buckets, b);
		bucket_free(b);
	}
	blob_store_free(s->blobs);
	lock_destroy(&s->lock);
	free(s->dir);
	free(s);
}

struct blob_store *store_blobs(struct store *s)
{
	return s->blobs;
}

struct bucket *store_find_bucket(struct store *s, const char *name)
{
	struct bucket *b;

	HASH_FIND_STR(s->buckets, name, b);
	return b;
}

/* ---- buckets ---- */

static int bucket_create_locked(struct store *s, const struct bucket_info *info)
	ACK_REQUIRES(s->lock)
{
	struct bucket *b;
	int rc;

	if (store_find_bucket(s, info->name))
		return -EEXIST;
	b = bucket_new(info);
	if (!b)
		return -ENOMEM;
	rc = disk_make_bucket(s, info);
	if (rc < 0) {
		bucket_free(b);
		return rc;
	}
	HASH_ADD_STR(s->buckets, info.name, b);
	return 0;
}

int store_bucket_create(struct store *s, const struct bucket_info *info)
{
	int rc;

	lock_acquire(&s->lock);
	rc = bucket_create_locked(s, info);
	lock_release(&s->lock);
	return rc;
}

int store_bucket_update(struct store *s, const struct bucket_info *info)
{
	struct bucket *b;
	int rc;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, info->name);
	rc = b ? disk_make_bucket(s, info) : -ENODEV;
	if (!rc)
		b->info = *info;
	lock_release(&s->lock);
	return rc;
}

static int bucket_delete_locked(struct store *s, const char *name)
	ACK_REQUIRES(s->lock)
{
	struct bucket *b = store_find_bucket(s, name);
	int rc;

	if (!b)
		return -ENODEV;
	if (index_count(b->index) || HASH_COUNT(b->uploads))
		return -ENOTEMPTY;
	rc = disk_remove_bucket(s, name);
	if (rc < 0)
		return rc;
	HASH_DEL(s->buckets, b);
	bucket_free(b);
	return 0;
}

int store_bucket_delete(struct store *s, const char *name)
{
	int rc;

	lock_acquire(&s->lock);
	rc = bucket_delete_locked(s, name);
	lock_release(&s->lock);
	return rc;
}

int store_bucket_info(struct store *s, const char *name,
		      struct bucket_info *out)
{
	const struct bucket *b;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, name);
	if (b)
		*out = b->info;
	lock_release(&s->lock);
	return b ? 0 : -ENODEV;
}

static void count_bucket(const struct bucket *b, struct bucket_stat *out)
{
	struct bucket_stat st = {.objects = index_count(b->index),
				 .uploads = HASH_COUNT(b->uploads)};

	for (const struct index_node *n = index_seek(b->index, ""); n;
	     n = index_next(n))
		st.bytes += index_object(n)->body->size;
	*out = st;
}

int store_bucket_stat(struct store *s, const char *name,
		      struct bucket_stat *out)
{
	const struct bucket *b;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, name);
	if (b)
		count_bucket(b, out);
	lock_release(&s->lock);
	return b ? 0 : -ENODEV;
}

static int compare_info(const void *a, const void *b)
{
	return strcmp(((const struct bucket_info *)a)->name,
		      ((const struct bucket_info *)b)->name);
}

int store_bucket_list(struct store *s, struct bucket_info **out, size_t *count)
{
	struct bucket_info *list;
	const struct bucket *b;
	size_t n = 0;

	lock_acquire(&s->lock);
	list = calloc(HASH_COUNT(s->buckets) + 1, sizeof(*list));
	for (b = s->buckets; list && b; b = b->hh.next)
		list[n++] = b->info;
	lock_release(&s->lock);
	if (!list)
		return -ENOMEM;
	qsort(list, n, sizeof(*list), compare_info);
	*out = list;
	*count = n;
	return 0;
}

/* ---- objects ---- */

int store_get(struct store *s, const char *bucket, const char *key,
	      struct object **out)
{
	struct bucket *b;
	struct object *o = NULL;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, bucket);
	if (b)
		o = index_find(b->index, key);
	if (o)
		*out = object_get(o);
	lock_release(&s->lock);
	if (o)
		return 0;
	return b ? -ENOENT : -ENODEV;
}

static void stamp_version(const struct bucket *b, struct object *o)
{
	switch (b->info.versioning) {
	case VERSIONING_NONE:
		o->version_id[0] = '\0';
		return;
	case VERSIONING_SUSPENDED:
		snprintf(o->version_id, sizeof(o->version_id), "null");
		return;
	case VERSIONING_ENABLED:
		snprintf(o->version_id, sizeof(o->version_id),
			 "CAEQ%08llX%016llX",
			 (unsigned long long)random_below(UINT32_MAX),
			 (unsigned long long)random_below(UINT64_MAX));
		return;
	}
}

int bucket_put(struct store *s, struct bucket *b, struct object *o,
	       bool forbid_overwrite)
{
	int rc;

	if (forbid_overwrite && b->info.versioning == VERSIONING_NONE &&
	    index_find(b->index, o->key))
		return -EEXIST;
	stamp_version(b, o);
	rc = disk_write_object(s, b->info.name, o);
	if (rc < 0)
		return rc;
	return index_set(b->index, o);
}

int store_put(struct store *s, const char *bucket, struct object *o,
	      bool forbid_overwrite)
{
	struct bucket *b;
	int rc;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, bucket);
	rc = b ? bucket_put(s, b, o, forbid_overwrite) : -ENODEV;
	lock_release(&s->lock);
	return rc;
}

int store_replace(struct store *s, const char *bucket,
		  const struct object *expect, struct object *o)
{
	struct bucket *b;
	int rc;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, bucket);
	if (!b)
		rc = -ENODEV;
	else if (index_find(b->index, o->key) != expect)
		rc = -EAGAIN;
	else
		rc = bucket_put(s, b, o, false);
	lock_release(&s->lock);
	return rc;
}

int store_delete(struct store *s, const char *bucket, const char *key)
{
	struct bucket *b;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, bucket);
	if (b && index_find(b->index, key)) {
		/* The file first: a blob must outlive what names it. */
		disk_remove_object(s, bucket, key);
		index_remove(b->index, key);
	}
	lock_release(&s->lock);
	return b ? 0 : -ENODEV;
}

static int seed_one(struct bucket *b, const struct object *like,
		    const char *prefix, uint64_t n)

{
	AUTO_FREE char *key =
		str_printf("%s%08llu", prefix, (unsigned long long)n);
	struct object *o = key ? object_copy(like, key) : NULL;
	int rc;

	if (!o)
		return -ENOMEM;
	o->is_volatile = true;
	rc = index_set(b->index, o);
	if (rc < 0)
		object_put(o);
	return rc;
}

int store_seed(struct store *s, const char *bucket, const struct object *like,
	       const char *prefix, uint64_t first, uint64_t count)
{
	struct bucket *b;
	int rc = 0;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, bucket);
	for (uint64_t i = 0; b && !rc && i < count; i++)
		rc = seed_one(b, like, prefix, first + i);
	lock_release(&s->lock);
	return b ? rc : -ENODEV;
}
