/* SPDX-License-Identifier: Apache-2.0 */
/* PutObject and AppendObject (protocol 4.2, 4.9). */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "emulator/callback.h"
#include "emulator/emulator.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/properties.h"
#include "emulator/put.h"
#include "emulator/store.h"
#include "util/strnum.h"

/* ---- PutObject ---- */

int put_object_begin(struct exchange *x)
{
	int rc = check_upload_length(x);

	if (!rc)
		rc = check_bucket(x);
	if (!rc)
		rc = new_object(x, &x->object);
	if (!rc)
		rc = check_forbid_overwrite(x);
	if (!rc)
		rc = callback_read(x);
	return rc < 0 ? rc : sink_to_blob(x, wants_md5(x));
}

int put_object_finish(struct exchange *x)
{
	struct upload_body u;
	int rc = take_upload(x, &u);

	if (!rc)
		rc = store_upload(x, x->object, &u);
	return rc < 0 ? rc : reply_upload(x, x->object);
}

/* ---- AppendObject ---- */

int append_begin(struct exchange *x)
{
	int rc = check_upload_length(x);

	if (!rc)
		rc = check_bucket(x);
	if (!rc)
		rc = new_object(x, &x->object);
	return rc < 0 ? rc : sink_to_blob(x, wants_md5(x));
}

static int fail_position(struct exchange *x, uint64_t size)
{
	int rc = fail(x, OE_POSITION);

	reply_headerf(x, "x-oss-next-append-position", "%" PRIu64, size);
	return rc;
}

static int append_position(struct exchange *x, uint64_t *out)
{
	const char *text = request_query(&x->req, "position");

	if (parse_u64(text, 0, INT64_MAX, out) < 0)
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL, "position",
				     text);
	return 0;
}

/* The object as it will be: the old one's properties, both bodies. */
static int appended(struct exchange *x, const struct object *old,
		    struct body *more, struct object **out)
{
	AUTO(object_putp) struct object *o = NULL;
	struct body *both[2] = {old ? old->body : NULL, more};
	unsigned char digest[16];
	struct body *body;

	o = old ? object_copy(old, NULL) : object_get(x->object);
	if (!o)
		return fail(x, OE_INTERNAL);
	body = old ? body_concat(both, 2) : body_get(more);
	if (!body)
		return fail(x, OE_INTERNAL);
	object_set_body(o, body);
	o->type = OBJECT_APPENDABLE;
	o->mtime_ms = x->now_ms / 1000 * 1000;
	fast_digest(body->crc, body->size, digest);
	etag_format(o->etag, digest, 0);
	*out = take_ptr(o);
	return 0;
}

static int append_once(struct exchange *x, struct body *more, uint64_t position)
{
	AUTO(object_putp) struct object *old = NULL;
	AUTO(object_putp) struct object *o = NULL;
	uint64_t size;
	int rc = store_get(x->em->store, x->req.bucket, x->req.key, &old);

	if (rc < 0 && rc != -ENOENT)
		return fail_errno(x, rc);
	if (old && old->type != OBJECT_APPENDABLE)
		return fail(x, OE_NOT_APPENDABLE);
	size = old ? old->body->size : 0;
	if (position != size)
		return fail_position(x, size);
	if (size + more->size > OBJECT_PUT_MAX)
		return fail(x, OE_ENTITY_TOO_LARGE);
	rc = appended(x, old, more, &o);
	if (rc)
		return rc;
	assert(o);
	rc = store_replace(x->em->store, x->req.bucket, old, object_get(o));
	if (rc < 0) {
		object_put(o);
		return rc == -EAGAIN ? rc : fail_errno(x, rc);
	}
	reply_status(x, 200);
	reply_stored(x, o);
	reply_headerf(x, "x-oss-next-append-position", "%" PRIu64,
		      o->body->size);
	return 0;
}

int append_finish(struct exchange *x)
{
	struct upload_body u = {0};
	uint64_t position;
	int rc = append_position(x, &position);

	if (!rc)
		rc = take_upload(x, &u);
	if (rc)
		return rc;
	do {
		rc = append_once(x, u.body, position);
	} while (rc == -EAGAIN);
	body_put(u.body);
	return rc;
}
