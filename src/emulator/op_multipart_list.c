/* SPDX-License-Identifier: Apache-2.0 */
/* ListParts and ListMultipartUploads (protocol 5.6). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/operations.h"
#include "emulator/store.h"
#include "emulator/xml.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/strnum.h"

static const char *text_of(const struct exchange *x, const char *name)
{
	const char *v = request_query(&x->req, name);

	return v ? v : "";
}

static int number_of(struct exchange *x, const char *name, uint64_t min,
		     uint64_t max, uint64_t *out)
{
	const char *text = request_query(&x->req, name);

	if (text && *text && parse_u64(text, min, max, out) < 0)
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL, name, text);
	return 0;
}

static bool is_url_encoded(const struct exchange *x)
{
	return strcmp(text_of(x, "encoding-type"), "url") == 0;
}

static void name_xml(const struct exchange *x, struct buf *b, const char *name,
		     const char *text)
{
	if (!is_url_encoded(x)) {
		xml_elem(b, name, text);
		return;
	}
	xml_open(b, name);
	percent_encode(b, text, strlen(text), PERCENT_ALL);
	xml_close(b, name);
}

/* ---- ListParts ---- */

struct part_list {
	struct part *parts;
	size_t count;
};

static void part_list_release(struct part_list *l)
{
	parts_free(l->parts, l->count);
}

static void part_xml(const struct exchange *x, const struct part *p,
		     struct buf *b)
{
	char etag[ETAG_MAX + 4];
	char when[CLOCK_TEXT_LEN];

	xml_open(b, "Part");
	xml_elemf(b, "PartNumber", "%u", p->number);
	xml_elem(b, "LastModified", clock_rfc3339(when, p->mtime_ms));
	xml_elem(b, "ETag", quoted_etag(x, p->etag, etag));
	xml_elemf(b, "HashCrc64ecma", "%" PRIu64, p->body->crc);
	xml_elemf(b, "Size", "%" PRIu64, p->body->size);
	xml_close(b, "Part");
}

static void parts_xml(struct exchange *x, const struct part_list *l,
		      uint64_t marker, uint64_t max)
{
	struct buf *b = reply_xml(x, "ListPartsResult");
	uint64_t next = marker;
	size_t i = 0;

	xml_elem(b, "Bucket", x->req.bucket);
	if (is_url_encoded(x))
		xml_elem(b, "EncodingType", "url");
	name_xml(x, b, "Key", x->req.key);
	xml_elem(b, "UploadId", text_of(x, "uploadId"));
	xml_elem(b, "StorageClass", "Standard");
	xml_elemf(b, "PartNumberMarker", "%" PRIu64, marker);
	xml_elemf(b, "MaxParts", "%" PRIu64, max);
	while (i < l->count && l->parts[i].number <= marker)
		i++;
	for (; i < l->count && max; i++, max--) {
		part_xml(x, &l->parts[i], b);
		next = l->parts[i].number;
	}
	xml_elemf(b, "NextPartNumberMarker", "%" PRIu64, next);
	xml_elem(b, "IsTruncated", i < l->count ? "true" : "false");
	xml_close(b, "ListPartsResult");
}

int list_parts_finish(struct exchange *x)
{
	AUTO(part_list_release) struct part_list l = {0};
	uint64_t max = 1000;
	uint64_t marker = 0;
	int rc = number_of(x, "max-parts", 1, 1000, &max);

	if (!rc)
		rc = number_of(x, "part-number-marker", 0, 10000, &marker);
	if (rc)
		return rc;
	rc = store_upload_parts(x->em->store, x->req.bucket, x->req.key,
				text_of(x, "uploadId"), &l.parts, &l.count);
	if (rc)
		return rc;
	parts_xml(x, &l, marker, max);
	return 0;
}

/* ---- ListMultipartUploads ---- */

struct upload_list {
	struct upload_info *items;
	size_t count;
};

static void upload_list_release(struct upload_list *l)
{
	upload_infos_free(l->items, l->count);
}

struct upload_query {
	const char *prefix;
	const char *delimiter;
	const char *key_marker;
	const char *id_marker;
	uint64_t max;
};

static bool is_after_marker(const struct upload_query *q,
			    const struct upload_info *u)
{
	int c;

	if (!*q->key_marker)
		return true;
	c = strcmp(u->key, q->key_marker);
	if (c || !*q->id_marker)
		return c > 0;
	return strcmp(u->id, q->id_marker) > 0;
}

/* Length of the common prefix that the key rolls up into; 0: none. */
static size_t group_length(const struct upload_query *q, const char *key)
{
	const char *hit;

	if (!*q->delimiter)
		return 0;
	hit = strstr(key + strlen(q->prefix), q->delimiter);
	return hit ? (size_t)(hit - key) + strlen(q->delimiter) : 0;
}

static void upload_xml(const struct exchange *x, const struct upload_info *u,
		       struct buf *b)
{
	char when[CLOCK_TEXT_LEN];

	xml_open(b, "Upload");
	name_xml(x, b, "Key", u->key);
	xml_elem(b, "UploadId", u->id);
	xml_elem(b, "StorageClass", "Standard");
	xml_elem(b, "Initiated", clock_rfc3339(when, u->initiated_ms));
	xml_close(b, "Upload");
}

static void group_xml(const struct exchange *x, const char *key, size_t len,
		      struct buf *b)
{
	AUTO_FREE char *prefix = strndup(key, len);

	xml_open(b, "CommonPrefixes");
	name_xml(x, b, "Prefix", prefix ? prefix : "");
	xml_close(b, "CommonPrefixes");
}

struct upload_page {
	uint64_t shown;
	const struct upload_info *last;
	const char *group; /* key whose group was shown last */
	size_t group_len;
	bool truncated;
};

static bool in_last_group(const struct upload_page *p, const char *key)
{
	return p->group && strncmp(p->group, key, p->group_len) == 0;
}

static void entries_xml(const struct exchange *x, const struct upload_query *q,
			const struct upload_list *l, struct upload_page *p,
			struct buf *b)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct upload_info *u = &l->items[i];
		size_t group;

		if (strncmp(u->key, q->prefix, strlen(q->prefix)) != 0 ||
		    !is_after_marker(q, u))
			continue;
		if (in_last_group(p, u->key)) {
			p->last = u; /* the next page begins after the group */
			continue;
		}
		if (p->shown == q->max) {
			p->truncated = true;
			return;
		}
		group = group_length(q, u->key);
		if (group) {
			group_xml(x, u->key, group, b);
			p->group = u->key;
			p->group_len = group;
		} else {
			upload_xml(x, u, b);
		}
		p->last = u;
		p->shown++;
	}
}

static void uploads_xml(struct exchange *x, const struct upload_query *q,
			const struct upload_list *l)
{
	struct upload_page p = {0};
	struct buf *b = reply_xml(x, "ListMultipartUploadsResult");

	xml_elem(b, "Bucket", x->req.bucket);
	if (is_url_encoded(x))
		xml_elem(b, "EncodingType", "url");
	name_xml(x, b, "KeyMarker", q->key_marker);
	xml_elem(b, "UploadIdMarker", q->id_marker);
	name_xml(x, b, "Delimiter", q->delimiter);
	name_xml(x, b, "Prefix", q->prefix);
	xml_elemf(b, "MaxUploads", "%" PRIu64, q->max);
	entries_xml(x, q, l, &p, b);
	name_xml(x, b, "NextKeyMarker",
		 p.truncated && p.last ? p.last->key : "");
	xml_elem(b, "NextUploadIdMarker",
		 p.truncated && p.last ? p.last->id : "");
	xml_elem(b, "IsTruncated", p.truncated ? "true" : "false");
	xml_close(b, "ListMultipartUploadsResult");
}

int list_uploads_finish(struct exchange *x)
{
	AUTO(upload_list_release) struct upload_list l = {0};
	struct upload_query q = {
		text_of(x, "prefix"),
		text_of(x, "delimiter"),
		text_of(x, "key-marker"),
		text_of(x, "upload-id-marker"),
		1000,
	};
	int rc = number_of(x, "max-uploads", 1, 1000, &q.max);

	if (rc)
		return rc;
	rc = store_upload_list(x->em->store, x->req.bucket, &l.items, &l.count);
	if (rc)
		return rc;
	uploads_xml(x, &q, &l);
	return 0;
}
