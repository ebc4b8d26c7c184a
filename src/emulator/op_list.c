/* SPDX-License-Identifier: Apache-2.0 */
/* ListObjects and ListObjectsV2 (protocol 4.14). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/store.h"
#include "emulator/xml.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/strnum.h"

struct listing {
	struct exchange *x;
	struct list_query query;
	bool url_encoded;
	bool with_owner;
};

static const char *text_of(const struct exchange *x, const char *name)
{
	const char *v = request_query(&x->req, name);

	return v ? v : "";
}

static int read_max(struct exchange *x, unsigned *out)
{
	const char *text = request_query(&x->req, "max-keys");
	bool s3 = x->req.dialect == DIALECT_S3;
	uint64_t max = s3 ? 1000 : 100;

	if (text && *text && parse_u64(text, s3 ? 0 : 1, 1000, &max) < 0)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "Argument maxKeys must be an integer "
				     "between 1 and 1000.",
				     "max-keys", text);
	*out = (unsigned)max;
	return 0;
}

static int read_encoding(struct exchange *x, bool *out)
{
	const char *text = request_query(&x->req, "encoding-type");

	*out = text && strcmp(text, "url") == 0;
	if (text && *text && !*out)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "Invalid Encoding Method specified in "
				     "Request",
				     "encoding-type", text);
	return 0;
}

static int check_length(struct exchange *x, const char *name)
{
	const char *text = text_of(x, name);

	if (strlen(text) > OBJECT_KEY_MAX)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "The length of the argument must be less "
				     "than 1024.",
				     name, text);
	return 0;
}

static int listing_init(struct listing *l, struct exchange *x)
{
	static const char *const texts[] = {"prefix", "start-after", "marker",
					    "delimiter"};
	int rc = 0;

	memset(l, 0, sizeof(*l));
	l->x = x;
	l->query.prefix = text_of(x, "prefix");
	l->query.delimiter = text_of(x, "delimiter");
	l->query.marker = "";
	for (size_t i = 0; !rc && i < ARRAY_LEN(texts); i++)
		rc = check_length(x, texts[i]);
	if (!rc)
		rc = read_max(x, &l->query.max);
	if (!rc)
		rc = read_encoding(x, &l->url_encoded);
	return rc;
}

/* An element whose text encoding-type=url encodes. */
static void name_xml(const struct listing *l, struct buf *b, const char *name,
		     const char *text)
{
	if (!l->url_encoded) {
		xml_elem(b, name, text);
		return;
	}
	xml_open(b, name);
	percent_encode(b, text, strlen(text), PERCENT_ALL);
	xml_close(b, name);
}

static void restore_xml(const struct exchange *x, const struct object *o,
			struct buf *b)
{
	if (!o->restore_done_ms)
		return;
	xml_elem(b, "RestoreInfo",
		 o->restore_done_ms > x->now_ms ? "ongoing-request=\"true\""
						: "ongoing-request=\"false\"");
}

static void contents_xml(const struct listing *l, const struct object *o,
			 struct buf *b)
{
	char when[CLOCK_TEXT_LEN];
	char etag[ETAG_MAX + 4];
	bool is_link = o->type == OBJECT_SYMLINK;

	xml_open(b, "Contents");
	name_xml(l, b, "Key", o->key);
	xml_elem(b, "LastModified", clock_rfc3339(when, o->mtime_ms));
	xml_elem(b, "ETag", quoted_etag(l->x, o->etag, etag));
	xml_elem(b, "Type", object_type_name(o->type));
	xml_elemf(b, "Size", "%" PRIu64,
		  is_link ? (uint64_t)strlen(o->symlink_target)
			  : o->body->size);
	xml_elem(b, "StorageClass", object_storage_class(o));
	restore_xml(l->x, o, b);
	if (l->with_owner) {
		xml_open(b, "Owner");
		xml_elem(b, "ID", EMULATOR_OWNER);
		xml_elem(b, "DisplayName", EMULATOR_OWNER);
		xml_close(b, "Owner");
	}
	xml_close(b, "Contents");
}

static void entries_xml(const struct listing *l, const struct list_page *p,
			struct buf *b)
{
	for (size_t i = 0; i < p->object_count; i++)
		contents_xml(l, p->objects[i], b);
	for (size_t i = 0; i < p->prefix_count; i++) {
		xml_open(b, "CommonPrefixes");
		name_xml(l, b, "Prefix", p->prefixes[i]);
		xml_close(b, "CommonPrefixes");
	}
}

static void head_xml(const struct listing *l, const struct list_page *p,
		     struct buf *b)
{
	const struct list_query *q = &l->query;

	xml_elem(b, "Name", l->x->req.bucket);
	name_xml(l, b, "Prefix", q->prefix);
	xml_elemf(b, "MaxKeys", "%u", q->max);
	if (*q->delimiter || l->x->req.dialect == DIALECT_OSS)
		name_xml(l, b, "Delimiter", q->delimiter);
	if (l->url_encoded)
		xml_elem(b, "EncodingType", "url");
	xml_elem(b, "IsTruncated", p->truncated ? "true" : "false");
}

/* max-keys=0 lists nothing and says that nothing is left (S3). */
static int fetch(struct listing *l, struct list_page *page)
{
	int rc = store_list(l->x->em->store, l->x->req.bucket, &l->query, page);

	if (rc < 0)
		return fail_errno(l->x, rc);
	if (!l->query.max)
		page->truncated = false;
	return 0;
}

int list_v1_finish(struct exchange *x)
{
	AUTO(list_page_release) struct list_page page = {0};
	struct listing l;
	struct buf *b;
	int rc = listing_init(&l, x);

	if (rc)
		return rc;
	l.with_owner = true;
	l.query.marker = text_of(x, "marker");
	rc = fetch(&l, &page);
	if (rc)
		return rc;
	b = reply_xml(x, "ListBucketResult");
	head_xml(&l, &page, b);
	name_xml(&l, b, "Marker", l.query.marker);
	if (page.truncated)
		name_xml(&l, b, "NextMarker", page.next);
	entries_xml(&l, &page, b);
	xml_close(b, "ListBucketResult");
	return 0;
}

/* ---- V2: the token is base64 of the last entry, '-' for '=' ---- */

static void token_make(const char *last, struct buf *out)
{
	base64_encode(out, last, strlen(last));
	for (size_t i = 0; i < out->len; i++)
		if (out->data[i] == '=')
			out->data[i] = '-';
}

static int token_read(struct exchange *x, const char *token, struct buf *out)
{
	AUTO_FREE char *text = str_dup(token);

	for (char *p = text; p && *p; p++)
		if (*p == '-')
			*p = '=';
	if (!text || base64_decode(out, text, strlen(text)) < 0 ||
	    strlen(buf_str(out)) != out->len)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "The continuation token provided is "
				     "incorrect.",
				     "continuation-token", token);
	return 0;
}

static void v2_xml(const struct listing *l, const struct list_page *p,
		   const char *token, struct buf *b)
{
	AUTO(buf_release) struct buf next = BUF_INIT;

	head_xml(l, p, b);
	name_xml(l, b, "StartAfter", text_of(l->x, "start-after"));
	if (*token)
		name_xml(l, b, "ContinuationToken", token);
	if (p->truncated) {
		token_make(p->next, &next);
		name_xml(l, b, "NextContinuationToken", buf_str(&next));
	}
	entries_xml(l, p, b);
	xml_elemf(b, "KeyCount", "%zu", p->object_count + p->prefix_count);
}

int list_v2_finish(struct exchange *x)
{
	AUTO(list_page_release) struct list_page page = {0};
	AUTO(buf_release) struct buf marker = BUF_INIT;
	const char *token = text_of(x, "continuation-token");
	const char *owner = text_of(x, "fetch-owner");
	struct listing l;
	struct buf *b;
	int rc = listing_init(&l, x);

	if (!rc && strcmp(text_of(x, "list-type"), "2") != 0)
		rc = fail_argument(x, OE_INVALID_ARGUMENT, NULL, "list-type",
				   text_of(x, "list-type"));
	if (!rc && *token)
		rc = token_read(x, token, &marker);
	if (rc)
		return rc;
	l.query.marker = *token ? buf_str(&marker) : text_of(x, "start-after");
	l.with_owner = strcmp(owner, "true") == 0;
	rc = fetch(&l, &page);
	if (rc)
		return rc;
	b = reply_xml(x, "ListBucketResult");
	v2_xml(&l, &page, token, b);
	xml_close(b, "ListBucketResult");
	return 0;
}
