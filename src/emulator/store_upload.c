/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "emulator/store_internal.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/uuid.h"

struct upload *upload_new(const char *id, struct object *proto,
			  int64_t initiated_ms)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	snprintf(u->id, sizeof(u->id), "%s", id);
	u->proto = proto;
	u->initiated_ms = initiated_ms;
	return u;
}

void upload_free(struct upload *u)
{
	if (!u)
		return;
	parts_free(u->parts, u->count);
	object_put(u->proto);
	free(u);
}

void parts_free(struct part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		body_put(parts[i].body);
	free(parts);
}

static int grow(struct upload *u)
{
	size_t cap = u->cap ? u->cap * 2 : 8;
	struct part *parts;

	if (u->count < u->cap)
		return 0;
	parts = realloc(u->parts, cap * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	u->parts = parts;
	u->cap = cap;
	return 0;
}

int upload_set_part(struct upload *u, const struct part *p)
{
	size_t at = u->count;

	while (at > 0 && u->parts[at - 1].number >= p->number)
		at--;
	if (at < u->count && u->parts[at].number == p->number) {
		body_put(u->parts[at].body);
		u->parts[at] = *p;
		return 0;
	}
	if (grow(u) < 0)
		return -ENOMEM;
	memmove(&u->parts[at + 1], &u->parts[at], (u->count - at) * sizeof(*p));
	u->parts[at] = *p;
	u->count++;
	return 0;
}

/* The upload of that id, if it is for that key (NULL: any). */
static int find_upload(struct store *s, const char *bucket, const char *key,
		       const char *id, struct bucket **out_bucket,
		       struct upload **out) ACK_REQUIRES(s->lock)
{
	struct bucket *b = store_find_bucket(s, bucket);
	struct upload *u;

	if (!b)
		return -ENODEV;
	HASH_FIND_STR(b->uploads, id, u);
	if (!u || (key && strcmp(u->proto->key, key) != 0))
		return -ENXIO;
	*out_bucket = b;
	*out = u;
	return 0;
}

static void random_id(char id[UPLOAD_ID_LEN])
{
	snprintf(id, UPLOAD_ID_LEN, "%016llX%016llX",
		 (unsigned long long)random_below(UINT64_MAX),
		 (unsigned long long)random_below(UINT64_MAX));
}

static int create_locked(struct store *s, const char *bucket,
			 struct object *proto, const char *id)
	ACK_REQUIRES(s->lock)
{
	struct bucket *b = store_find_bucket(s, bucket);
	struct upload *u;
	int rc;

	if (!b)
		return -ENODEV;
	u = upload_new(id, proto, clock_real_ms());
	if (!u)
		return -ENOMEM;
	rc = disk_write_upload(s, bucket, u);
	if (rc < 0) {
		u->proto = NULL; /* stays the caller's */
		upload_free(u);
		return rc;
	}
	HASH_ADD_STR(b->uploads, id, u);
	return 0;
}

int store_upload_create(struct store *s, const char *bucket,
			struct object *proto, char id[UPLOAD_ID_LEN])
{
	char fresh[UPLOAD_ID_LEN];
	int rc;

	random_id(fresh);
	lock_acquire(&s->lock);
	rc = create_locked(s, bucket, proto, fresh);
	lock_release(&s->lock);
	if (rc < 0)
		return rc;
	memcpy(id, fresh, sizeof(fresh));
	return 0;
}

int store_upload_proto(struct store *s, const char *bucket, const char *key,
		       const char *id, struct object **out)
{
	struct bucket *b;
	struct upload *u;
	int rc;

	lock_acquire(&s->lock);
	rc = find_upload(s, bucket, key, id, &b, &u);
	if (!rc)
		*out = object_get(u->proto);
	lock_release(&s->lock);
	return rc;
}

int store_upload_put(struct store *s, const char *bucket, const char *key,
		     const char *id, const struct part *part)
{
	struct bucket *b;
	struct upload *u;
	int rc;

	lock_acquire(&s->lock);
	rc = find_upload(s, bucket, key, id, &b, &u);
	if (!rc)
		rc = disk_write_part(s, bucket, id, part);
	if (!rc)
		rc = upload_set_part(u, part);
	lock_release(&s->lock);
	return rc;
}

static int copy_parts(const struct upload *u, struct part **out, size_t *count)
{
	struct part *parts = calloc(u->count + 1, sizeof(*parts));

	if (!parts)
		return -ENOMEM;
	for (size_t i = 0; i < u->count; i++) {
		parts[i] = u->parts[i];
		body_get(parts[i].body);
	}
	*out = parts;
	*count = u->count;
	return 0;
}

int store_upload_parts(struct store *s, const char *bucket, const char *key,
		       const char *id, struct part **out, size_t *count)
{
	struct bucket *b;
	struct upload *u;
	int rc;

	lock_acquire(&s->lock);
	rc = find_upload(s, bucket, key, id, &b, &u);
	if (!rc)
		rc = copy_parts(u, out, count);
	lock_release(&s->lock);
	return rc;
}

static void drop_upload(struct store *s, struct bucket *b, struct upload *u)
	ACK_REQUIRES(s->lock)
{
	disk_remove_upload(s, b->info.name, u->id);
	HASH_DEL(b->uploads, u);
	upload_free(u);
}

int store_upload_complete(struct store *s, const char *bucket, const char *id,
			  struct object *o, bool forbid_overwrite)
{
	struct bucket *b;
	struct upload *u;
	int rc;

	lock_acquire(&s->lock);
	rc = find_upload(s, bucket, o->key, id, &b, &u);
	if (!rc)
		rc = bucket_put(s, b, o, forbid_overwrite);
	if (!rc)
		drop_upload(s, b, u);
	lock_release(&s->lock);
	return rc;
}

int store_upload_abort(struct store *s, const char *bucket, const char *key,
		       const char *id)
{
	struct bucket *b;
	struct upload *u;
	int rc;

	lock_acquire(&s->lock);
	rc = find_upload(s, bucket, key, id, &b, &u);
	if (!rc)
		drop_upload(s, b, u);
	lock_release(&s->lock);
	return rc;
}

static int compare_upload(const void *a, const void *b)
{
	const struct upload_info *x = a;
	const struct upload_info *y = b;
	int c = strcmp(x->key, y->key);

	return c ? c : strcmp(x->id, y->id);
}

static int collect(const struct bucket *b, struct upload_info **out,
		   size_t *count)
{
	struct upload_info *list =
		calloc(HASH_COUNT(b->uploads) + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (const struct upload *u = b->uploads; u; u = u->hh.next) {
		memcpy(list[n].id, u->id, sizeof(list[n].id));
		list[n].initiated_ms = u->initiated_ms;
		list[n].key = str_dup(u->proto->key);
		if (!list[n++].key) {
			upload_infos_free(list, n);
			return -ENOMEM;
		}
	}
	*out = list;
	*count = n;
	return 0;
}

int store_upload_list(struct store *s, const char *bucket,
		      struct upload_info **out, size_t *count)
{
	const struct bucket *b;
	int rc;

	lock_acquire(&s->lock);
	b = store_find_bucket(s, bucket);
	rc = b ? collect(b, out, count) : -ENODEV;
	lock_release(&s->lock);
	if (!rc)
		qsort(*out, *count, sizeof(**out), compare_upload);
	return rc;
}

void upload_infos_free(struct upload_info *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].key);
	free(list);
}
