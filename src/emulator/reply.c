/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emulator/exchange.h"
#include "emulator/xml.h"
#include "util/codec.h"
#include "util/log.h"

static void reply_clear(struct exchange *x)
{
	kvs_release(&x->reply.headers);
	buf_reset(&x->reply.body);
	object_put(x->reply.object);
	x->reply.object = NULL;
	x->reply.head_only = false;
}

static void error_xml(struct exchange *x, const struct oss_err_info *e,
		      const struct kvs *elements, struct buf *out)
{
	const char *host = kvs_get(&x->req.headers, "Host");

	xml_begin(out);
	buf_adds(out, "<Error>\n");
	xml_elem(out, "Code", e->code);
	xml_elem(out, "Message", e->message);
	xml_elem(out, "RequestId", x->req.id);
	xml_elem(out, "HostId", host ? host : "");
	for (size_t i = 0; elements && i < elements->count; i++)
		xml_elem(out, elements->items[i].name,
			 elements->items[i].value);
	if (*e->ec) {
		xml_elem(out, "EC", e->ec);
		xml_elemf(out, "RecommendDoc",
			  "https://api.aliyun.com/troubleshoot?q=%s", e->ec);
	}
	buf_adds(out, "</Error>\n");
}

int fail_custom(struct exchange *x, const struct oss_err_info *e,
		const struct kvs *elements)
{
	AUTO(buf_release) struct buf xml = BUF_INIT;
	AUTO(buf_release) struct buf encoded = BUF_INIT;

	reply_clear(x);
	x->is_decided = true;
	x->reply.status = e->status;
	snprintf(x->reply.code, sizeof(x->reply.code), "%s", e->code);
	if (e->status == 304)
		return DECIDED;
	error_xml(x, e, elements, &xml);
	if (*e->ec)
		reply_header(x, "x-oss-ec", e->ec);
	if (strcmp(x->req.method, "HEAD") == 0) {
		base64_encode(&encoded, buf_str(&xml), xml.len);
		reply_header(x, "x-oss-err", buf_str(&encoded));
		return DECIDED;
	}
	reply_header(x, "Content-Type", "application/xml");
	buf_add(&x->reply.body, buf_str(&xml), xml.len);
	return DECIDED;
}

void reply_callback_failed(struct exchange *x, const char *message,
			   const char *ec)
{
	struct oss_err_info e = *oss_err_info(OE_CALLBACK_FAILED);

	e.message = message;
	e.ec = ec;
	x->reply.status = e.status;
	snprintf(x->reply.code, sizeof(x->reply.code), "%s", e.code);
	kvs_remove(&x->reply.headers, "Content-Type");
	reply_header(x, "Content-Type", "application/xml");
	if (*ec)
		reply_header(x, "x-oss-ec", ec);
	buf_reset(&x->reply.body);
	error_xml(x, &e, NULL, &x->reply.body);
}

static const char *resource_type(const struct exchange *x)
{
	if (x->req.key)
		return "Object";
	return x->req.bucket ? "Bucket" : "Service";
}

/* What every answer of that kind carries besides. */
static int usual_elements(struct exchange *x, enum oss_err err, struct kvs *out)
{
	if (err == OE_NO_SUCH_BUCKET && x->req.bucket)
		return kvs_add(out, "BucketName", x->req.bucket);
	if (err == OE_NO_SUCH_KEY && x->req.key)
		return kvs_add(out, "Key", x->req.key);
	if (err == OE_NO_SUCH_UPLOAD) {
		const char *id = request_query(&x->req, "uploadId");

		return kvs_add(out, "UploadId", id ? id : "");
	}
	if (err == OE_METHOD_NOT_ALLOWED) {
		int rc = kvs_add(out, "Method", x->req.method);

		return rc < 0 ? rc
			      : kvs_add(out, "ResourceType", resource_type(x));
	}
	if (err == OE_RESTORE_NOT_SUPPORTED)
		return kvs_add(out, "Detail",
			       "RestoreObject operation does not support this "
			       "object storage class");
	return 0;
}

int fail(struct exchange *x, enum oss_err err)
{
	AUTO(kvs_release) struct kvs elements = KVS_INIT;

	if (usual_elements(x, err, &elements) < 0)
		err = OE_INTERNAL;
	return fail_custom(x, oss_err_info(err), &elements);
}

int fail_with(struct exchange *x, enum oss_err err, const char *name,
	      const char *value)
{
	AUTO(kvs_release) struct kvs elements = KVS_INIT;

	if (kvs_add(&elements, name, value) < 0)
		return fail(x, OE_INTERNAL);
	return fail_custom(x, oss_err_info(err), &elements);
}

int fail_argument(struct exchange *x, enum oss_err err, const char *message,
		  const char *name, const char *value)
{
	AUTO(kvs_release) struct kvs elements = KVS_INIT;
	struct oss_err_info e = *oss_err_info(err);

	if (message)
		e.message = message;
	if (kvs_add(&elements, "ArgumentName", name) < 0 ||
	    kvs_add(&elements, "ArgumentValue", value ? value : "") < 0)
		return fail(x, OE_INTERNAL);
	return fail_custom(x, &e, &elements);
}

int fail_errno(struct exchange *x, int rc)
{
	switch (rc) {
	case -ENODEV:
		return fail(x, OE_NO_SUCH_BUCKET);
	case -ENOENT:
		return fail(x, OE_NO_SUCH_KEY);
	case -ENXIO:
		return fail(x, OE_NO_SUCH_UPLOAD);
	case -EEXIST:
		return fail(x, OE_FILE_EXISTS);
	case -ENOTEMPTY:
		return fail(x, OE_BUCKET_NOT_EMPTY);
	default:
		log_err("request: failed: op=%s key=%s errno=%d",
			exchange_op_name(x), LOG_Q(x->req.key), -rc);
		return fail(x, OE_INTERNAL);
	}
}

/* ---- success ---- */

void reply_status(struct exchange *x, int status)
{
	x->reply.status = status;
}

void reply_header(struct exchange *x, const char *name, const char *value)
{
	/* Memory: the reply lacks a header, which no later step needs. */
	if (kvs_add(&x->reply.headers, name, value) < 0)
		log_err("reply: out of memory: header=%s", name);
}

void reply_headerf(struct exchange *x, const char *name, const char *fmt, ...)
{
	AUTO(buf_release) struct buf value = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&value, fmt, ap);
	va_end(ap);
	reply_header(x, name, buf_str(&value));
}

struct buf *reply_xml(struct exchange *x, const char *root)
{
	struct buf *b = &x->reply.body;

	x->reply.status = 200;
	reply_header(x, "Content-Type", "application/xml");
	xml_begin(b);
	if (x->req.dialect == DIALECT_S3)
		buf_addf(b,
			 "<%s xmlns=\"http://s3.amazonaws.com/doc/"
			 "2006-03-01/\">",
			 root);
	else
		xml_open(b, root);
	return b;
}

const char *quoted_etag(const struct exchange *x, const char *etag,
			char out[ETAG_MAX + 4])
{
	snprintf(out, ETAG_MAX + 4, "\"%s\"", etag);
	for (char *p = out; x->req.dialect == DIALECT_S3 && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return out;
}

void reply_stored(struct exchange *x, const struct object *o)
{
	char etag[ETAG_MAX + 4];

	reply_header(x, "ETag", quoted_etag(x, o->etag, etag));
	/* A link has none: its own bytes are no object's. */
	if (o->type != OBJECT_SYMLINK)
		reply_headerf(x, "x-oss-hash-crc64ecma", "%" PRIu64,
			      o->body->crc);
	if (*o->content_md5)
		reply_header(x, "Content-MD5", o->content_md5);
	if (*o->version_id)
		reply_header(x, "x-oss-version-id", o->version_id);
}
