/* SPDX-License-Identifier: Apache-2.0 */
/* CopyObject and UploadPartCopy (protocol 4.8, 5.4). */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emulator/conditions.h"
#include "emulator/emulator.h"
#include "emulator/lookup.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/properties.h"
#include "emulator/put.h"
#include "emulator/range.h"
#include "emulator/store.h"
#include "emulator/xml.h"
#include "util/clock.h"
#include "util/codec.h"

#define ONE_GIB ((uint64_t)1 << 30)

struct source {
	char *text; /* decoded "bucket\0key", where the pointers lead */
	char *bucket;
	char *key;
	char *version; /* NULL: the current one */
	struct object *object;
};

static void source_release(struct source *s)
{
	free(s->text);
	free(s->version);
	object_put(s->object);
}

/* "/bucket/key?versionId=V", the key percent-encoded; S3 clients may leave
 * the first slash out. */
static int source_parse(struct exchange *x, struct source *out)
{
	const char *sent = request_header(&x->req, "x-oss-copy-source");
	const char *version = strstr(sent, "?versionId=");
	size_t len = version ? (size_t)(version - sent) : strlen(sent);
	AUTO(buf_release) struct buf text = BUF_INIT;
	char *slash;

	if (*sent != '/' && x->req.dialect == DIALECT_OSS)
		return fail_argument(x, OE_COPY_SOURCE, NULL,
				     "x-oss-copy-source", sent);
	if (*sent == '/') {
		sent++;
		len--;
	}
	if (percent_decode(&text, sent, len, false) < 0 ||
	    strlen(buf_str(&text)) != text.len)
		return fail_argument(x, OE_COPY_SOURCE, NULL,
				     "x-oss-copy-source", sent);
	slash = text.len ? strchr(text.data, '/') : NULL;
	if (!slash || slash == text.data || !slash[1])
		return fail_argument(x, OE_COPY_SOURCE, NULL,
				     "x-oss-copy-source", sent);
	*slash = '\0';
	out->bucket = text.data;
	out->key = slash + 1;
	out->text = take_ptr(text.data);
	if (version && str_set(&out->version, version + 11) < 0)
		return fail(x, OE_INTERNAL);
	return 0;
}

static int source_open(struct exchange *x, struct source *out)
{
	int rc = source_parse(x, out);

	if (!rc && key_check(out->key))
		rc = fail(x, key_check(out->key));
	if (!rc)
		rc = lookup_object(x, out->bucket, out->key, out->version,
				   &out->object);
	if (!rc)
		rc = conditions_check(x, out->object, "x-oss-copy-source-");
	if (!rc)
		rc = check_readable(x, out->object);
	return rc;
}

int copy_object_begin(struct exchange *x)
{
	return check_bucket(x);
}

/* ---- CopyObject ---- */

static int read_directive(struct exchange *x, const char *name, bool *replace)
{
	const char *text = request_header(&x->req, name);

	*replace = text && strcasecmp(text, "REPLACE") == 0;
	if (text && !*replace && strcasecmp(text, "COPY") != 0)
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL, name, text);
	return 0;
}

static bool is_self(const struct exchange *x, const struct source *s)
{
	return strcmp(s->bucket, x->req.bucket) == 0 &&
	       strcmp(s->key, x->req.key) == 0;
}

static bool same_class(const struct object *from, const struct object *to)
{
	return strcmp(object_storage_class(from), object_storage_class(to)) ==
	       0;
}

/* The 2025 page's rule; --copy-limit-1g has the older one. */
static int check_size(struct exchange *x, const struct source *s,
		      const struct object *o)
{
	uint64_t size = s->object->body->size;
	bool same_bucket = strcmp(s->bucket, x->req.bucket) == 0;
	bool unchanged =
		same_class(s->object, o) &&
		!kvs_get(&x->req.headers, "x-oss-server-side-encryption");
	uint64_t max = ONE_GIB;

	if (is_self(x, s) && unchanged)
		return 0;
	if (!x->em->opt->quirks.copy_limit_1g && unchanged)
		max = same_bucket ? UINT64_MAX : OBJECT_PUT_MAX;
	return size > max ? fail(x, OE_COPY_TOO_LARGE) : 0;
}

/* Encryption and ACL are not taken along (protocol 4.8). */
static int drop_own(struct exchange *x, struct object *o, bool keep_acl)
{
	kvs_remove(&o->headers, "x-oss-server-side-encryption");
	kvs_remove(&o->headers, "x-oss-server-side-encryption-key-id");
	if (!keep_acl && str_set(&o->acl, NULL) < 0)
		return fail(x, OE_INTERNAL);
	return 0;
}

static int build_copy(struct exchange *x, const struct source *s,
		      struct object **out)
{
	AUTO(object_putp) struct object *o = object_copy(s->object, x->req.key);
	struct bucket_info info;
	bool replace;
	bool replace_tags;
	bool in_place;
	int rc = o ? store_bucket_info(x->em->store, x->req.bucket, &info)
		   : -ENOMEM;

	if (rc < 0)
		return fail_errno(x, rc);
	in_place = is_self(x, s) && info.versioning == VERSIONING_NONE;
	rc = read_directive(x, "x-oss-metadata-directive", &replace);
	if (!rc)
		rc = read_directive(x, "x-oss-tagging-directive",
				    &replace_tags);
	if (!rc && (replace || in_place))
		rc = properties_read_headers(x, o);
	if (!rc)
		rc = drop_own(x, o, in_place);
	if (!rc)
		rc = properties_read_class(x, o);
	if (!rc && replace_tags)
		rc = properties_read_tags(x, o);
	if (!rc)
		rc = check_size(x, s, o);
	if (rc)
		return rc;
	o->mtime_ms = x->now_ms / 1000 * 1000;
	o->restore_done_ms = 0;
	o->restore_expiry_ms = 0;
	*out = take_ptr(o);
	return 0;
}

static int store_copy(struct exchange *x, const struct source *s,
		      struct object *o)
{
	int rc;

	object_get(o);
	if (is_self(x, s))
		rc = store_replace(x->em->store, x->req.bucket, s->object, o);
	else
		rc = store_put(x->em->store, x->req.bucket, o,
			       forbids_overwrite(x));
	if (rc < 0)
		object_put(o);
	return rc;
}

static void reply_copy(struct exchange *x, const struct source *s,
		       const struct object *o)
{
	char etag[ETAG_MAX + 4];
	char when[CLOCK_TEXT_LEN];
	struct buf *b = reply_xml(x, "CopyObjectResult");

	xml_elem(b, "ETag", quoted_etag(x, o->etag, etag));
	xml_elem(b, "LastModified", clock_rfc3339(when, o->mtime_ms));
	xml_close(b, "CopyObjectResult");
	reply_stored(x, o);
	kvs_remove(&x->reply.headers, "Content-MD5");
	if (*s->object->version_id)
		reply_header(x, "x-oss-copy-source-version-id",
			     s->object->version_id);
}

static int copy_once(struct exchange *x)
{
	AUTO(source_release) struct source s = {0};
	AUTO(object_putp) struct object *o = NULL;
	int rc = source_open(x, &s);

	if (!rc && is_self(x, &s) && forbids_overwrite(x))
		rc = check_forbid_overwrite(x);
	if (!rc)
		rc = build_copy(x, &s, &o);
	if (rc)
		return rc;
	assert(o);
	rc = store_copy(x, &s, o);
	if (!rc)
		reply_copy(x, &s, o);
	return rc;
}

int copy_object_finish(struct exchange *x)
{
	int rc;

	/* -EAGAIN: the object changed between reading and replacing it. */
	do {
		rc = copy_once(x);
	} while (rc == -EAGAIN);
	return rc == DECIDED || rc == 0 ? rc : fail_errno(x, rc);
}

/* ---- UploadPartCopy ---- */

/* Without, or with a malformed range the whole source (protocol 5.4). */
static int copy_range(struct exchange *x, const struct object *o, uint64_t *off,
		      uint64_t *len, bool *partial)
{
	const char *text = request_header(&x->req, "x-oss-copy-source-range");
	uint64_t size = o->body->size;
	uint64_t first;
	uint64_t last;

	*off = 0;
	*len = size;
	*partial = false;
	if (!text || range_parse_copy(text, &first, &last) < 0)
		return 0;
	if (first >= size || last >= size)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "The specified copy range is invalid for "
				     "the source object size.",
				     "x-oss-copy-source-range", text);
	*off = first;
	*len = last - first + 1;
	*partial = true;
	return 0;
}

static int part_digest(struct exchange *x, const struct body *b,
		       unsigned char out[16])
{
	if (!x->em->opt->fast)
		return body_md5(b, out);
	fast_digest(b->crc, b->size, out);
	return 0;
}

static int make_part(struct exchange *x, const struct object *from,
		     uint64_t off, uint64_t len, struct part *out)
{
	unsigned char digest[16];
	struct body *body = NULL;
	int rc = body_slice(from->body, off, len, &body);

	if (!rc)
		rc = part_digest(x, body, digest);
	if (rc < 0) {
		body_put(body);
		return fail_errno(x, rc);
	}
	out->body = body;
	out->mtime_ms = x->now_ms / 1000 * 1000;
	etag_format(out->etag, digest, 0);
	return 0;
}

static void reply_part_copy(struct exchange *x, const struct part *p)
{
	char etag[ETAG_MAX + 4];
	char when[CLOCK_TEXT_LEN];
	struct buf *b = reply_xml(x, "CopyPartResult");

	xml_elem(b, "LastModified", clock_rfc3339(when, p->mtime_ms));
	xml_elem(b, "ETag", quoted_etag(x, p->etag, etag));
	xml_close(b, "CopyPartResult");
	reply_headerf(x, "x-oss-hash-crc64ecma", "%" PRIu64, p->body->crc);
}

static int store_part(struct exchange *x, const struct part *p)
{
	const char *id = request_query(&x->req, "uploadId");
	int rc;

	body_get(p->body);
	rc = store_upload_put(x->em->store, x->req.bucket, x->req.key, id, p);
	if (rc < 0) {
		body_put(p->body);
		return fail_errno(x, rc);
	}
	return 0;
}

int upload_part_copy_finish(struct exchange *x)
{
	AUTO(source_release) struct source s = {0};
	struct part p = {0};
	uint64_t off = 0;
	uint64_t len = 0;
	bool partial = false;
	int rc = part_number(x, &p.number);

	if (!rc)
		rc = source_open(x, &s);
	if (!rc && s.object->type == OBJECT_APPENDABLE)
		rc = fail(x, OE_NOT_SUPPORTED);
	if (!rc)
		rc = copy_range(x, s.object, &off, &len, &partial);
	if (!rc && len > OBJECT_PUT_MAX)
		rc = fail(x, OE_COPY_TOO_LARGE);
	if (!rc)
		rc = make_part(x, s.object, off, len, &p);
	if (!rc)
		rc = store_part(x, &p);
	if (!rc) {
		reply_part_copy(x, &p);
		if (partial)
			reply_headerf(x, "Content-Range",
				      "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
				      off, off + len - 1, s.object->body->size);
	}
	body_put(p.body);
	return rc;
}
