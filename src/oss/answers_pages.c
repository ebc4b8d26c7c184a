/* SPDX-License-Identifier: Apache-2.0 */
/** @file The answers that come in pages, and lists of keys. */
#include "oss/answers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oss/xml.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/strnum.h"

/* Most that a page can hold (oss-protocol 4.14, 5.1), with room to spare. */
enum { PAGE_MAX = 20000 };

/* ---- keys that may be encoded ------------------------------------------ */

/* With encoding-type=url keys are percent-encoded, '+' for a blank; the
   document says so, before or after them.
   @return 0, -EBADMSG, -ENOMEM */
static int decode_in_place(char **text)
{
	AUTO(buf_release) struct buf raw = BUF_INIT;
	char *plain;

	if (!*text)
		return 0;
	if (percent_decode(&raw, *text, strlen(*text), true) < 0)
		return -EBADMSG;
	if (buf_error(&raw) < 0)
		return -ENOMEM;
	if (raw.len && memchr(raw.data, '\0', raw.len))
		return -EBADMSG; /* no key has one */
	plain = buf_detach(&raw);
	if (!plain)
		return -ENOMEM;
	free(*text);
	*text = plain;
	return 0;
}

/* ---- ListObjectsV2 ----------------------------------------------------- */

struct list_reader {
	struct oss_list_page page;
	size_t cap;
	bool encoded;
	bool truncated;
	struct oss_list_entry *now; /* the entry being read */
	bool sized;
};

static struct oss_list_entry *list_append(struct list_reader *l)
{
	if (l->page.count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 128;
		void *now = reallocarray(l->page.entries, cap,
					 sizeof(l->page.entries[0]));

		if (!now)
			return NULL;
		l->page.entries = now;
		l->cap = cap;
	}
	memset(&l->page.entries[l->page.count], 0, sizeof(l->page.entries[0]));
	return &l->page.entries[l->page.count++];
}

static int list_open(void *arg, int depth, const char *name)
{
	struct list_reader *l = arg;
	bool prefix = strcmp(name, "CommonPrefixes") == 0;
	int rc = xml_check_root(depth, name, "ListBucketResult");

	if (rc < 0 || depth != 2)
		return rc;
	if (!prefix && strcmp(name, "Contents") != 0)
		return 0;
	if (l->page.count >= PAGE_MAX)
		return -EBADMSG;
	l->now = list_append(l);
	if (!l->now)
		return -ENOMEM;
	l->now->is_prefix = prefix;
	l->sized = prefix;
	return 0;
}

static int list_field(struct list_reader *l, const char *name, const char *text)
{
	struct oss_list_entry *e = l->now;

	if (strcmp(name, e->is_prefix ? "Prefix" : "Key") == 0)
		return str_set(&e->key, text);
	if (strcmp(name, "Size") == 0) {
		l->sized = true;
		return parse_u64(text, 0, UINT64_MAX, &e->size) < 0 ? -EBADMSG
								    : 0;
	}
	if (strcmp(name, "LastModified") == 0)
		return clock_parse_rfc3339(text, &e->modified_ms) < 0 ? -EBADMSG
								      : 0;
	if (strcmp(name, "ETag") == 0)
		oss_etag_set(e->etag, text);
	else if (strcmp(name, "Type") == 0)
		(void)snprintf(e->type, sizeof(e->type), "%s", text);
	else if (strcmp(name, "StorageClass") == 0)
		(void)snprintf(e->storage_class, sizeof(e->storage_class), "%s",
			       text);
	return 0;
}

static int list_close(void *arg, int depth, const char *parent,
		      const char *name, const char *text)
{
	struct list_reader *l = arg;

	(void)parent;
	if (depth == 3 && l->now)
		return list_field(l, name, text);
	if (depth != 2)
		return 0;
	if (l->now) {
		bool whole = l->now->key && l->sized;

		l->now = NULL;
		return whole ? 0 : -EBADMSG;
	}
	if (strcmp(name, "EncodingType") == 0)
		l->encoded = strcmp(text, "url") == 0;
	else if (strcmp(name, "IsTruncated") == 0)
		l->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextContinuationToken") == 0)
		return str_set(&l->page.next_token, text);
	return 0;
}

static int list_decode(struct list_reader *l)
{
	int rc;

	if (!l->encoded)
		return 0;
	rc = decode_in_place(&l->page.next_token);
	for (size_t i = 0; rc == 0 && i < l->page.count; i++)
		rc = decode_in_place(&l->page.entries[i].key);
	return rc;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct oss_list_entry *x = a;
	const struct oss_list_entry *y = b;

	return strcmp(x->key, y->key);
}

/* Keys come in order, and so do prefixes, but one run after the other. */
static void list_merge(struct oss_list_page *p)
{
	for (size_t i = 1; i < p->count; i++)
		if (entry_cmp(&p->entries[i - 1], &p->entries[i]) > 0) {
			qsort(p->entries, p->count, sizeof(p->entries[0]),
			      entry_cmp);
			return;
		}
}

/* Callers take what is behind the prefix as a name, and follow the token. */
static bool list_is_answer(const struct oss_list_page *p,
			   const struct oss_list *asked)
{
	const char *prefix = asked->prefix ? asked->prefix : "";
	size_t len = strlen(prefix);

	for (size_t i = 0; i < p->count; i++)
		if (strncmp(p->entries[i].key, prefix, len) != 0)
			return false;
	return !p->next_token || !asked->token ||
	       strcmp(p->next_token, asked->token) != 0;
}

static int list_finish(struct list_reader *l, const struct oss_list *asked)
{
	bool token = l->page.next_token && *l->page.next_token;
	int rc = list_decode(l);

	if (rc < 0)
		return rc;
	/* Without a token a truncated list would end in silence. */
	if (l->truncated && !token)
		return -EBADMSG;
	if (!l->truncated)
		free(take_ptr(l->page.next_token));
	if (!list_is_answer(&l->page, asked))
		return -EBADMSG;
	list_merge(&l->page);
	return 0;
}

int answer_list(const char *xml, size_t len, const struct oss_list *asked,
		struct oss_list_page *out)
{
	struct list_reader l = {.cap = 0};
	struct xml_handler h = {list_open, list_close, &l};
	int rc = xml_parse(xml, len, &h);

	if (rc == 0)
		rc = list_finish(&l, asked);
	if (rc < 0) {
		oss_list_page_release(&l.page);
		return rc;
	}
	out->entries = l.page.entries;
	out->count = l.page.count;
	out->next_token = l.page.next_token;
	return 0;
}

/* ---- ListParts --------------------------------------------------------- */

struct parts_reader {
	struct oss_part *parts;
	size_t count;
	struct oss_part now;
	bool truncated;
	uint64_t next;
};

static int parts_open(void *arg, int depth, const char *name)
{
	struct parts_reader *p = arg;

	if (depth == 2 && strcmp(name, "Part") == 0)
		memset(&p->now, 0, sizeof(p->now));
	return xml_check_root(depth, name, "ListPartsResult");
}

static int part_field(struct oss_part *part, const char *name, const char *text)
{
	uint64_t n = 0;
	int rc = 0;

	if (strcmp(name, "PartNumber") == 0) {
		rc = parse_u64(text, 1, OSS_PARTS_MAX, &n);
		part->number = (int)n;
	} else if (strcmp(name, "Size") == 0) {
		rc = parse_u64(text, 0, UINT64_MAX, &part->size);
	} else if (strcmp(name, "HashCrc64ecma") == 0) {
		rc = parse_u64(text, 0, UINT64_MAX, &part->crc64);
		part->has_crc64 = rc == 0;
	} else if (strcmp(name, "ETag") == 0) {
		oss_etag_set(part->etag, text);
	}
	return rc < 0 ? -EBADMSG : 0;
}

static int part_append(struct parts_reader *p)
{
	struct oss_part *now;

	if (p->now.number == 0 || !p->now.etag[0] || p->count >= PAGE_MAX)
		return -EBADMSG;
	now = reallocarray(p->parts, p->count + 1, sizeof(*now));
	if (!now)
		return -ENOMEM;
	p->parts = now;
	p->parts[p->count++] = p->now;
	return 0;
}

static int parts_close(void *arg, int depth, const char *parent,
		       const char *name, const char *text)
{
	struct parts_reader *p = arg;

	if (depth == 3 && strcmp(parent, "Part") == 0)
		return part_field(&p->now, name, text);
	if (depth != 2)
		return 0;
	if (strcmp(name, "Part") == 0)
		return part_append(p);
	if (strcmp(name, "IsTruncated") == 0)
		p->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextPartNumberMarker") == 0 && *text &&
		 parse_u64(text, 0, OSS_PARTS_MAX, &p->next) < 0)
		return -EBADMSG;
	return 0;
}

int answer_parts(const char *xml, size_t len, struct oss_part **parts,
		 size_t *count, int *next_marker)
{
	struct parts_reader p = {.count = 0};
	struct xml_handler h = {parts_open, parts_close, &p};
	struct oss_part *now;
	int rc = xml_parse(xml, len, &h);

	if (rc == 0 && p.truncated && p.next == 0)
		rc = -EBADMSG;
	if (rc == 0 && p.count) {
		now = reallocarray(*parts, *count + p.count, sizeof(*now));
		if (now) {
			memcpy(now + *count, p.parts, p.count * sizeof(*now));
			*parts = now;
			*count += p.count;
		} else {
			rc = -ENOMEM;
		}
	}
	free(p.parts);
	if (rc == 0)
		*next_marker = p.truncated ? (int)p.next : 0;
	return rc;
}

/* ---- ListMultipartUploads ---------------------------------------------- */

struct uploads_reader {
	struct oss_upload *list;
	size_t count;
	struct oss_upload now;
	bool encoded;
	bool truncated;
	char *key_marker;
	char *id_marker;
};

static int uploads_open(void *arg, int depth, const char *name)
{
	(void)arg;
	return xml_check_root(depth, name, "ListMultipartUploadsResult");
}

static int upload_append(struct uploads_reader *u)
{
	struct oss_upload *now;

	if (!u->now.key || !u->now.upload_id || u->count >= PAGE_MAX)
		return -EBADMSG;
	now = reallocarray(u->list, u->count + 1, sizeof(*now));
	if (!now)
		return -ENOMEM;
	u->list = now;
	u->list[u->count++] = u->now;
	memset(&u->now, 0, sizeof(u->now));
	return 0;
}

static int upload_field(struct oss_upload *now, const char *name,
			const char *text)
{
	if (strcmp(name, "Key") == 0)
		return str_set(&now->key, text);
	if (strcmp(name, "UploadId") == 0)
		return str_set(&now->upload_id, text);
	if (strcmp(name, "Initiated") == 0)
		return clock_parse_rfc3339(text, &now->initiated_ms) < 0
			       ? -EBADMSG
			       : 0;
	return 0;
}

static int uploads_close(void *arg, int depth, const char *parent,
			 const char *name, const char *text)
{
	struct uploads_reader *u = arg;

	if (depth == 3 && strcmp(parent, "Upload") == 0)
		return upload_field(&u->now, name, text);
	if (depth != 2)
		return 0;
	if (strcmp(name, "Upload") == 0)
		return upload_append(u);
	if (strcmp(name, "EncodingType") == 0)
		u->encoded = strcmp(text, "url") == 0;
	else if (strcmp(name, "IsTruncated") == 0)
		u->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextKeyMarker") == 0)
		return str_set(&u->key_marker, text);
	else if (strcmp(name, "NextUploadIdMarker") == 0)
		return str_set(&u->id_marker, text);
	return 0;
}

static int uploads_finish(struct uploads_reader *u)
{
	int rc = 0;

	if (u->encoded)
		rc = decode_in_place(&u->key_marker);
	for (size_t i = 0; rc == 0 && u->encoded && i < u->count; i++)
		rc = decode_in_place(&u->list[i].key);
	if (rc == 0 && u->truncated && !(u->key_marker && *u->key_marker))
		rc = -EBADMSG;
	return rc;
}

static int uploads_join(struct uploads_reader *u, struct oss_upload **uploads,
			size_t *count)
{
	struct oss_upload *now;

	if (u->count == 0)
		return 0;
	now = reallocarray(*uploads, *count + u->count, sizeof(*now));
	if (!now)
		return -ENOMEM;
	memcpy(now + *count, u->list, u->count * sizeof(*now));
	*uploads = now;
	*count += u->count;
	u->count = 0; /* their strings have moved */
	return 0;
}

int answer_uploads(const char *xml, size_t len, struct oss_upload **uploads,
		   size_t *count, char **key_marker, char **id_marker)
{
	struct uploads_reader u = {.count = 0};
	struct xml_handler h = {uploads_open, uploads_close, &u};
	int rc = xml_parse(xml, len, &h);

	if (rc == 0)
		rc = uploads_finish(&u);
	if (rc == 0)
		rc = uploads_join(&u, uploads, count);
	if (rc == 0) {
		*key_marker = u.truncated ? take_ptr(u.key_marker) : NULL;
		*id_marker = u.truncated ? take_ptr(u.id_marker) : NULL;
	}
	oss_uploads_free(u.list, u.count);
	free(u.now.key);
	free(u.now.upload_id);
	free(u.key_marker);
	free(u.id_marker);
	return rc;
}

/* ---- DeleteResult ------------------------------------------------------ */

struct deleted_reader {
	struct kvs keys; /* name: the key as it came */
	bool encoded;
};

static int deleted_open(void *arg, int depth, const char *name)
{
	(void)arg;
	return xml_check_root(depth, name, "DeleteResult");
}

static int deleted_close(void *arg, int depth, const char *parent,
			 const char *name, const char *text)
{
	struct deleted_reader *d = arg;

	if (depth == 2 && strcmp(name, "EncodingType") == 0)
		d->encoded = strcmp(text, "url") == 0;
	if (depth == 3 && strcmp(parent, "Deleted") == 0 &&
	    strcmp(name, "Key") == 0)
		return kvs_add(&d->keys, text, "");
	return 0;
}

static int decode_key(struct kvs *keys, size_t at)
{
	AUTO_FREE char *key = str_dup(keys->items[at].name);
	int rc = key ? decode_in_place(&key) : -ENOMEM;

	return rc < 0 ? rc : kvs_set_at(keys, at, key, "");
}

int answer_deleted(const char *xml, size_t len,
		   void (*deleted)(void *arg, const char *key), void *arg)
{
	struct deleted_reader d = {.keys = KVS_INIT};
	struct xml_handler h = {deleted_open, deleted_close, &d};
	int rc = xml_parse(xml, len, &h);

	for (size_t i = 0; rc == 0 && d.encoded && i < d.keys.count; i++)
		rc = decode_key(&d.keys, i);
	for (size_t i = 0; rc == 0 && i < d.keys.count; i++)
		deleted(arg, d.keys.items[i].name);
	kvs_release(&d.keys);
	return rc;
}
