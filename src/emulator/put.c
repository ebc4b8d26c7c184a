/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/put.h"

#include <errno.h>
#include <string.h>

#include "emulator/callback.h"
#include "emulator/emulator.h"
#include "emulator/names.h"
#include "emulator/properties.h"
#include "emulator/store.h"
#include "util/codec.h"
#include "util/strnum.h"

int check_upload_length(struct exchange *x)
{
	if (!x->req.has_body)
		return fail(x, OE_MISSING_CONTENT_LENGTH);
	if (x->req.content_length > (int64_t)OBJECT_PUT_MAX)
		return fail(x, OE_ENTITY_TOO_LARGE);
	return 0;
}

bool wants_md5(const struct exchange *x)
{
	return !x->em->opt->fast || kvs_get(&x->req.headers, "Content-MD5");
}

static int check_md5_header(struct exchange *x, const unsigned char md5[16],
			    bool have_md5)
{
	const char *sent = kvs_get(&x->req.headers, "Content-MD5");
	AUTO(buf_release) struct buf raw = BUF_INIT;

	if (!sent)
		return 0;
	if (!have_md5 || base64_decode(&raw, sent, strlen(sent)) < 0 ||
	    raw.len != 16 || memcmp(raw.data, md5, 16) != 0)
		return fail_argument(x, OE_INVALID_DIGEST, NULL, "Content-MD5",
				     sent);
	return 0;
}

int check_xml_digest(struct exchange *x)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!EVP_Digest(buf_str(&x->sink.memory), x->sink.memory.len, md, &len,
			EVP_md5(), NULL))
		return fail(x, OE_INTERNAL);
	return check_md5_header(x, md, true);
}

static int check_crc_header(struct exchange *x, uint64_t crc)
{
	const char *sent = request_header(&x->req, "x-oss-hash-crc64ecma");
	uint64_t value;

	if (!sent)
		return 0;
	if (parse_u64(sent, 0, UINT64_MAX, &value) < 0 || value != crc)
		return fail_argument(x, OE_INVALID_CRC64, NULL,
				     "x-oss-hash-crc64ecma", sent);
	return 0;
}

/* Without MD5 (--fast) an ETag of sum and size: 16 bytes as well. */
void fast_digest(uint64_t crc, uint64_t size, unsigned char out[16])
{
	for (int i = 0; i < 8; i++) {
		out[i] = (unsigned char)(crc >> (56 - 8 * i));
		out[8 + i] = (unsigned char)(size >> (56 - 8 * i));
	}
}

int take_upload(struct exchange *x, struct upload_body *out)
{
	struct blob_writer *w = &x->sink.blob;
	struct upload_body u = {.size = w->size, .crc = w->crc};
	struct blob *blob;
	int rc;

	u.has_md5 = blob_writer_md5(w, u.digest);
	rc = check_md5_header(x, u.digest, u.has_md5);
	if (!rc)
		rc = check_crc_header(x, u.crc);
	if (rc < 0)
		return rc;
	if (!u.has_md5)
		fast_digest(u.crc, u.size, u.digest);
	rc = blob_writer_commit(w, &blob);
	if (rc < 0)
		return fail_errno(x, rc);
	u.body = body_of_blob(blob, u.size, u.crc);
	if (!u.body) {
		blob_put(blob);
		return fail(x, OE_INTERNAL);
	}
	*out = u;
	return 0;
}

int new_object(struct exchange *x, struct object **out)
{
	AUTO(object_putp) struct object *o = object_new(x->req.key);
	int rc;

	if (!o)
		return fail(x, OE_INTERNAL);
	o->mtime_ms = x->now_ms / 1000 * 1000;
	rc = properties_read(x, o);
	if (rc < 0)
		return rc;
	*out = take_ptr(o);
	return 0;
}

bool forbids_overwrite(const struct exchange *x)
{
	return request_header_is(&x->req, "x-oss-forbid-overwrite", "true");
}

int check_forbid_overwrite(struct exchange *x)
{
	AUTO(object_putp) struct object *o = NULL;
	struct bucket_info info;

	if (!forbids_overwrite(x) ||
	    store_bucket_info(x->em->store, x->req.bucket, &info) < 0 ||
	    info.versioning != VERSIONING_NONE)
		return 0;
	return store_get(x->em->store, x->req.bucket, x->req.key, &o) == 0
		       ? fail(x, OE_FILE_EXISTS)
		       : 0;
}

int check_bucket(struct exchange *x)
{
	struct bucket_info info;
	int rc = store_bucket_info(x->em->store, x->req.bucket, &info);

	return rc < 0 ? fail_errno(x, rc) : 0;
}

static void echo_encryption(struct exchange *x, const struct object *o)
{
	const char *sse = kvs_get(&o->headers, "x-oss-server-side-encryption");

	if (sse)
		reply_header(x, "x-oss-server-side-encryption", sse);
}

int reply_upload(struct exchange *x, const struct object *o)
{
	reply_status(x, 200);
	reply_stored(x, o);
	echo_encryption(x, o);
	/* A reset before the callback leaves none. */
	if (!x->callback || x->fault.kind == FAULT_RESET_STORED)
		return 0;
	return callback_perform(x, o);
}

int store_upload(struct exchange *x, struct object *o, struct upload_body *u)
{
	int rc;

	object_set_body(o, take_ptr(u->body));
	if (u->has_md5)
		object_set_md5(o, u->digest);
	else
		etag_format(o->etag, u->digest, 0);
	/* The store's reference; ours lives on for the callback. */
	rc = store_put(x->em->store, x->req.bucket, object_get(o),
		       forbids_overwrite(x));
	if (rc < 0) {
		object_put(o);
		return fail_errno(x, rc);
	}
	return 0;
}
