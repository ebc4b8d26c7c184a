/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * GetObject: the sink sees every byte once, in order, of one version.
 *
 * A repeated attempt asks for what is missing, of the version that began
 * (If-Match).  A server may answer the whole object to a request for a range
 * (oss-protocol 4.3): then what was not asked for is passed over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "oss/call.h"
#include "oss/headers.h"
#include "util/crc64.h"

enum {
	BULK_MIN = 256 << 10,
};

struct get {
	struct oss_call call;
	const struct oss_sink *to;
	const struct oss_ctl *ctl;
	struct oss_object *object; /* the caller's; may be NULL */
	uint64_t off, len;         /* as asked; len 0: to the end */

	bool begun;     /* the first answer came: what follows is known */
	char etag[72];  /* or given by the caller */
	uint64_t want;  /* bytes for the sink, in all */
	uint64_t given; /* so far */
	bool has_crc;
	uint64_t crc; /* of the whole object, as OSS says */

	uint64_t skip; /* of this answer, still to pass over */
	uint64_t left; /* of this answer, after what we want of it */
	uint64_t sum;  /* CRC-64 of what was given */
};

static bool is_whole(const struct get *g)
{
	return g->off == 0 && g->len == 0;
}

static int prepare(void *arg, struct oss_call *call)
{
	const struct get *g = arg;
	uint64_t from = g->off + g->given;
	uint64_t last = g->off + g->len - 1;
	char range[64];
	char match[80];
	int rc = 0;

	if (g->len)
		(void)snprintf(range, sizeof(range),
			       "bytes=%" PRIu64 "-%" PRIu64, from, last);
	else
		(void)snprintf(range, sizeof(range), "bytes=%" PRIu64 "-",
			       from);
	if (from || g->len) {
		rc = kvs_set(&call->headers, "Range", range);
		if (rc == 0)
			rc = kvs_set(&call->headers, "x-oss-range-behavior",
				     "standard");
	}
	if (rc == 0 && g->etag[0]) {
		(void)snprintf(match, sizeof(match), "\"%s\"", g->etag);
		rc = kvs_set(&call->headers, "If-Match", match);
	}
	return rc;
}

/* Which bytes this answer has: from where, to which end, of how many. */
static int read_extent(const struct http_response *r, uint64_t *first,
		       uint64_t *end, uint64_t *total)
{
	uint64_t last;
	int rc;

	if (r->status == 206) {
		rc = oss_read_range(&r->headers, first, &last, total);
		*end = last + 1;
		return rc;
	}
	*first = 0;
	rc = oss_read_length(&r->headers, end);
	*total = *end;
	return rc;
}

static int begin_first(struct get *g, struct oss_object *o)
{
	if (g->off > 0 && g->off >= o->size)
		return -EINVAL;
	g->want = o->size - g->off;
	if (g->len && g->len < g->want)
		g->want = g->len;
	memcpy(g->etag, o->etag, sizeof(g->etag));
	/* A link has its target's bytes, but headers of its own (4.3). */
	g->has_crc = o->has_crc64 && !oss_type_is_link(o->type);
	g->crc = o->crc64;
	g->begun = true;
	if (g->object) {
		*g->object = *o;
		*o = (struct oss_object){.size = 0};
	}
	return 0;
}

static int begin_with(struct get *g, struct oss_object *o,
		      const struct http_response *r, struct oss_reply *reply)
{
	uint64_t from = g->off + g->given;
	uint64_t first;
	uint64_t end;

	if (read_extent(r, &first, &end, &o->size) < 0)
		return -EBADMSG;
	if (g->etag[0] && strcmp(g->etag, o->etag) != 0) {
		oss_reply_set(reply, "PreconditionFailed",
			      "the object changed, and If-Match let it pass");
		return -ESTALE;
	}
	if (!g->begun && begin_first(g, o) < 0) {
		oss_reply_set(reply, "InvalidRange",
			      "the range begins after the object's end");
		return -EINVAL;
	}
	/* Its bytes must include the next that we want. */
	if (g->given < g->want && (first > from || end <= from))
		return -EBADMSG;
	g->skip = from - first;
	g->left = end > g->off + g->want ? end - g->off - g->want : 0;
	return 0;
}

static int begin(void *arg, const struct http_response *r,
		 struct oss_reply *reply)
{
	struct oss_object o;
	int rc = oss_read_object(&r->headers, &o);

	if (rc < 0)
		return rc;
	rc = begin_with(arg, &o, r, reply);
	oss_object_release(&o);
	return rc;
}

static int give(struct get *g, const char *data, size_t len)
{
	int rc = g->to->write(g->to->arg, data, len);

	if (rc < 0)
		return rc;
	if (is_whole(g))
		g->sum = crc64_update(g->sum, data, len);
	g->given += len;
	if (g->ctl && g->ctl->progress)
		atomic_fetch_add(g->ctl->progress, len);
	return 0;
}

static int write_some(void *arg, const void *data, size_t len)
{
	struct get *g = arg;
	const char *from = data;
	uint64_t skip = len < g->skip ? len : g->skip;
	int rc = 0;

	g->skip -= skip;
	from += skip;
	len -= skip;
	if (len > g->want - g->given)
		len = g->want - g->given;
	if (len)
		rc = give(g, from, len);
	if (rc < 0)
		return rc;
	/* Do not read on for what nobody wants. */
	g->call.enough = g->given == g->want;
	return g->call.enough && g->left ? -ECANCELED : 0;
}

/* Fewer bytes than asked for, though all that the answer announced: the next
   attempt goes on from there. */
static int accept_all(void *arg, const struct http_response *r,
		      struct oss_reply *reply)
{
	const struct get *g = arg;

	(void)r;
	(void)reply;
	return g->given < g->want ? -EBADMSG : 0;
}

static int check_sum(const struct get *g, struct oss_reply *reply)
{
	if (!is_whole(g) || !g->has_crc || g->sum == g->crc)
		return 0;
	oss_reply_set(reply, "CrcMismatch",
		      "the bytes received do not have the object's CRC-64");
	return -EIO;
}

int oss_get(void *self, const char *key, uint64_t off, uint64_t len,
	    const char *if_match, const struct oss_sink *to,
	    const struct oss_ctl *ctl, struct oss_object *object,
	    struct oss_reply *reply)
{
	struct oss_reply spare = {.http = 0};
	struct oss_reply *rep = reply ? reply : &spare;
	struct get g = {
		.call = {.name = "GetObject",
			 .method = "GET",
			 .key = key,
			 .bulk = len == 0 || len >= BULK_MIN,
			 .expected_size = len ? len : UINT64_MAX,
			 .prepare = prepare,
			 .begin = begin,
			 .write = write_some,
			 .accept = accept_all},
		.to = to,
		.ctl = ctl,
		.object = object,
		.off = off,
		.len = len,
	};
	int rc = oss_check_key(key, rep);

	g.call.arg = &g;
	if (object)
		*object = (struct oss_object){.size = 0};
	if (if_match)
		(void)snprintf(g.etag, sizeof(g.etag), "%s", if_match);
	if (rc == 0 && len && off + len < off)
		rc = -EINVAL;
	if (rc == 0)
		rc = oss_call_do(self, &g.call, ctl, rep);
	if (rc == 0)
		rc = check_sum(&g, rep);
	oss_call_release(&g.call);
	if (rc < 0 && object)
		oss_object_release(object);
	return rc;
}
