/* SPDX-License-Identifier: Apache-2.0 */
/* GetObject, HeadObject, GetObjectMeta (protocol 4.3 to 4.5). */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "emulator/conditions.h"
#include "emulator/emulator.h"
#include "emulator/lookup.h"
#include "emulator/operations.h"
#include "emulator/range.h"
#include "util/clock.h"

static bool is_head(const struct exchange *x)
{
	return strcmp(x->req.method, "HEAD") == 0;
}

/* ---- response-content-type and its siblings ---- */

static const struct {
	const char *query;
	const char *header;
} overrides[] = {
	{"response-content-type",        "Content-Type"       },
	{"response-content-language",    "Content-Language"   },
	{"response-expires",             "Expires"            },
	{"response-cache-control",       "Cache-Control"      },
	{"response-content-disposition", "Content-Disposition"},
	{"response-content-encoding",    "Content-Encoding"   },
};

static int check_overrides(struct exchange *x)
{
	if (x->auth != AUTH_NONE || x->em->opt->anonymous)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(overrides); i++)
		if (request_query(&x->req, overrides[i].query))
			return fail(x, OE_ANONYMOUS_OVERRIDE);
	return 0;
}

static void apply_overrides(struct exchange *x)
{
	for (size_t i = 0; i < ARRAY_LEN(overrides); i++) {
		const char *v = request_query(&x->req, overrides[i].query);

		if (!v || is_head(x))
			continue;
		kvs_remove(&x->reply.headers, overrides[i].header);
		reply_header(x, overrides[i].header, v);
	}
}

/* ---- headers ---- */

static void restore_header(struct exchange *x, const struct object *o)
{
	char when[CLOCK_TEXT_LEN];

	if (!o->restore_done_ms)
		return;
	if (o->restore_done_ms > x->now_ms)
		reply_header(x, "x-oss-restore", "ongoing-request=\"true\"");
	else if (is_restored(x, o))
		reply_headerf(x, "x-oss-restore",
			      "ongoing-request=\"false\", expiry-date=\"%s\"",
			      clock_http_date(when, o->restore_expiry_ms));
}

/* A link's own headers, of which the sum would be one: there is none then.
 * Length, ETag and MD5 are its target's. */
static void object_headers(struct exchange *x, const struct object *link,
			   const struct object *o)
{
	int64_t mtime =
		o->mtime_ms > link->mtime_ms ? o->mtime_ms : link->mtime_ms;
	char etag[ETAG_MAX + 4];
	char when[CLOCK_TEXT_LEN];

	for (size_t i = 0; i < link->headers.count; i++)
		reply_header(x, link->headers.items[i].name,
			     link->headers.items[i].value);
	if (!kvs_get(&link->headers, "Content-Type"))
		reply_header(x, "Content-Type", object_content_type(link));
	reply_header(x, "ETag", quoted_etag(x, o->etag, etag));
	reply_header(x, "Last-Modified", clock_http_date(when, mtime));
	reply_header(x, "Accept-Ranges", "bytes");
	reply_header(x, "x-oss-object-type", object_type_name(link->type));
	reply_header(x, "x-oss-storage-class", object_storage_class(link));
	if (link == o)
		reply_headerf(x, "x-oss-hash-crc64ecma", "%" PRIu64,
			      o->body->crc);
	if (*o->content_md5)
		reply_header(x, "Content-MD5", o->content_md5);
	if (link->tags.count)
		reply_headerf(x, "x-oss-tagging-count", "%zu",
			      link->tags.count);
	if (*link->version_id)
		reply_header(x, "x-oss-version-id", link->version_id);
	if (o->type == OBJECT_APPENDABLE)
		reply_headerf(x, "x-oss-next-append-position", "%" PRIu64,
			      o->body->size);
	restore_header(x, link);
}

/* ---- the answer ---- */

static int reply_range(struct exchange *x, const struct object *o)
{
	const char *text = kvs_get(&x->req.headers, "Range");
	bool standard =
		x->req.dialect == DIALECT_S3 ||
		request_header_is(&x->req, "x-oss-range-behavior", "standard");
	uint64_t size = o->body->size;

	x->reply.offset = 0;
	x->reply.length = size;
	reply_status(x, 200);
	switch (range_parse(text, size, standard,
			    x->em->opt->quirks.suffix_over_length_is_416,
			    &x->reply.offset, &x->reply.length)) {
	case RANGE_WHOLE:
		break;
	case RANGE_INVALID:
		fail_with(x, OE_INVALID_RANGE, "RangeRequested", text);
		reply_headerf(x, "Content-Range", "bytes */%" PRIu64, size);
		return DECIDED;
	case RANGE_PARTIAL:
		reply_status(x, 206);
		reply_headerf(x, "Content-Range",
			      "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
			      x->reply.offset,
			      x->reply.offset + x->reply.length - 1, size);
		break;
	}
	return 0;
}

int get_object_finish(struct exchange *x)
{
	AUTO(object_putp) struct object *link = NULL;
	AUTO(object_putp) struct object *o = NULL;
	int rc = check_overrides(x);

	if (!rc)
		rc = lookup_own(x, &link);
	if (!rc)
		rc = lookup_target(x, link, &o);
	if (!rc)
		rc = conditions_check(x, o, "");
	if (!rc && !is_head(x))
		rc = check_readable(x, o);
	if (!rc)
		rc = reply_range(x, o);
	if (rc)
		return rc;
	object_headers(x, link, o);
	apply_overrides(x);
	x->reply.head_only = is_head(x);
	x->reply.object = take_ptr(o);
	return 0;
}

int get_meta_finish(struct exchange *x)
{
	AUTO(object_putp) struct object *o = NULL;
	char when[CLOCK_TEXT_LEN];
	int rc = lookup_own(x, &o);

	if (!rc)
		rc = conditions_check(x, o, "");
	if (rc)
		return rc;
	reply_status(x, 200);
	reply_stored(x, o);
	kvs_remove(&x->reply.headers, "Content-MD5");
	reply_header(x, "Last-Modified", clock_http_date(when, o->mtime_ms));
	if (!is_head(x))
		return 0;
	x->reply.length = o->type == OBJECT_SYMLINK ? strlen(o->symlink_target)
						    : o->body->size;
	x->reply.head_only = true;
	return 0;
}
