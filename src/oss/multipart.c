/* SPDX-License-Identifier: Apache-2.0 */
/** @file Multipart uploads (oss-protocol 5). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "oss/answers.h"
#include "oss/call.h"
#include "oss/headers.h"

enum {
	CALLBACK_ANSWER_MAX = 4 << 20,
	PAGE_BYTES_MAX = 8 << 20,
};

/* ---- Initiate ---------------------------------------------------------- */

static int accept_initiate(void *arg, const struct http_response *r,
			   struct oss_reply *reply)
{
	(void)reply;
	return answer_initiate(r->body.data, r->body.len, arg);
}

int oss_initiate(void *self, const char *key, const struct oss_props *props,
		 const struct oss_ctl *ctl, char **upload_id,
		 struct oss_reply *reply)
{
	char *id = NULL;
	struct oss_call call = {.name = "InitiateMultipartUpload",
				.method = "POST",
				.key = key,
				.accept = accept_initiate,
				.arg = &id};
	int rc = oss_check_key(key, reply);

	if (rc == 0)
		rc = kvs_add(&call.query, "uploads", "");
	if (rc == 0)
		rc = oss_add_props(&call.headers, props);
	if (rc == 0)
		rc = oss_call_do(self, &call, ctl, reply);
	oss_call_release(&call);
	if (rc == 0)
		*upload_id = id;
	else
		free(id);
	return rc;
}

/* ---- parts ------------------------------------------------------------- */

static int add_part_query(struct oss_call *call, int number, const char *id)
{
	int rc = kvs_addf(&call->query, "partNumber", "%d", number);

	return rc < 0 ? rc : kvs_add(&call->query, "uploadId", id);
}

/* Without its ETag a part cannot be named in Complete. */
static int accept_part(void *arg, const struct http_response *r,
		       struct oss_reply *reply)
{
	struct oss_part *part = arg;
	const char *etag = kvs_get(&r->headers, "ETag");

	(void)reply;
	if (!etag || !*etag)
		return -EBADMSG;
	oss_etag_set(part->etag, etag);
	part->has_crc64 = oss_read_crc(&r->headers, &part->crc64);
	return 0;
}

int oss_upload_part(void *self, const char *key, const char *upload_id,
		    int number, const struct oss_source *body,
		    const struct oss_ctl *ctl, struct oss_part *out,
		    struct oss_reply *reply)
{
	struct oss_part part = {.number = number, .size = body->size};
	struct oss_call call = {.name = "UploadPart",
				.method = "PUT",
				.key = key,
				.body = body,
				.is_data = true,
				.bulk = true,
				.accept = accept_part,
				.arg = &part};
	int rc = oss_check_key(key, reply);

	if (rc == 0 && body->size > OSS_PART_MAX)
		rc = -EFBIG;
	if (rc == 0)
		rc = add_part_query(&call, number, upload_id);
	if (rc == 0)
		rc = oss_call_do(self, &call, ctl, reply);
	oss_call_release(&call);
	if (rc == 0)
		*out = part;
	return rc;
}

static int accept_part_copy(void *arg, const struct http_response *r,
			    struct oss_reply *reply)
{
	struct oss_part *part = arg;
	int rc = answer_copy(r->body.data, r->body.len, part->etag, NULL);

	(void)reply;
	if (rc == 0)
		part->has_crc64 = oss_read_crc(&r->headers, &part->crc64);
	return rc;
}

static int part_copy_headers(const struct oss_client *c, const char *src_key,
			     const char *src_etag, uint64_t off, uint64_t len,
			     struct kvs *headers)
{
	int rc = oss_add_copy_source(headers, c->endpoint.bucket, src_key,
				     src_etag);

	if (rc == 0 && len)
		rc = kvs_addf(headers, "x-oss-copy-source-range",
			      "bytes=%" PRIu64 "-%" PRIu64, off, off + len - 1);
	return rc;
}

int oss_upload_part_copy(void *self, const char *key, const char *upload_id,
			 int number, const char *src_key, const char *src_etag,
			 uint64_t off, uint64_t len, const struct oss_ctl *ctl,
			 struct oss_part *out, struct oss_reply *reply)
{
	struct oss_part part = {.number = number, .size = len};
	struct oss_call call = {.name = "UploadPartCopy",
				.method = "PUT",
				.key = key,
				.accept = accept_part_copy,
				.arg = &part};
	int rc = oss_check_key(key, reply);

	if (rc == 0)
		rc = oss_check_key(src_key, reply);
	if (rc == 0)
		rc = add_part_query(&call, number, upload_id);
	if (rc == 0)
		rc = part_copy_headers(self, src_key, src_etag, off, len,
				       &call.headers);
	if (rc == 0)
		rc = oss_call_do(self, &call, ctl, reply);
	oss_call_release(&call);
	if (rc == 0)
		*out = part;
	return rc;
}

/* ---- Complete, Abort --------------------------------------------------- */

static int complete_body(const struct oss_part *parts, size_t count,
			 struct buf *xml)
{
	buf_adds(xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<CompleteMultipartUpload>");
	for (size_t i = 0; i < count; i++) {
		buf_addf(xml, "<Part><PartNumber>%d</PartNumber><ETag>\"",
			 parts[i].number);
		xml_escape(xml, parts[i].etag);
		buf_adds(xml, "\"</ETag></Part>");
	}
	buf_adds(xml, "</CompleteMultipartUpload>");
	return buf_error(xml);
}

static int complete_headers(struct oss_call *call, const char *upload_id,
			    bool forbid, const struct oss_callback *cb)
{
	int rc = kvs_add(&call->query, "uploadId", upload_id);

	if (rc == 0)
		rc = kvs_add(&call->headers, "Content-Type", "application/xml");
	if (rc == 0 && forbid)
		rc = kvs_add(&call->headers, "x-oss-forbid-overwrite", "true");
	if (rc == 0)
		rc = oss_add_callback(&call->headers, cb);
	return rc;
}

static int complete_run(struct oss_client *c, struct oss_call *call,
			const struct oss_callback *cb,
			const struct oss_ctl *ctl, struct oss_put_result *out)
{
	struct http_response resp = HTTP_RESPONSE_INIT;
	struct oss_ctl own = ctl ? *ctl : (struct oss_ctl){.cancel = NULL};
	int rc;

	own.progress = NULL;
	rc = oss_call_run(c, call, &own, &resp, &out->reply);
	if (rc == 0)
		rc = oss_take_result(&resp, cb, out);
	http_response_release(&resp);
	return rc;
}

int oss_complete(void *self, const char *key, const char *upload_id,
		 const struct oss_part *parts, size_t count,
		 bool forbid_overwrite, const struct oss_callback *cb,
		 const struct oss_ctl *ctl, struct oss_put_result *out)
{
	AUTO(buf_release) struct buf xml = BUF_INIT;
	struct oss_source body;
	struct oss_call call = {.name = "CompleteMultipartUpload",
				.method = "POST",
				.key = key,
				.body = &body,
				.once = true,
				.answer_max = CALLBACK_ANSWER_MAX};
	int rc;

	*out = (struct oss_put_result){.reply.http = 0};
	rc = oss_check_key(key, &out->reply);
	if (rc == 0)
		rc = complete_body(parts, count, &xml);
	if (rc == 0)
		rc = complete_headers(&call, upload_id, forbid_overwrite, cb);
	body = oss_memory_source(&xml);
	if (rc == 0)
		rc = complete_run(self, &call, cb, ctl, out);
	oss_call_release(&call);
	if (rc < 0)
		oss_put_result_release(out);
	return rc;
}

int oss_abort(void *self, const char *key, const char *upload_id,
	      const struct oss_ctl *ctl, struct oss_reply *reply)
{
	struct oss_reply spare = {.http = 0};
	struct oss_reply *r = reply ? reply : &spare;
	struct oss_call call = {
		.name = "AbortMultipartUpload", .method = "DELETE", .key = key};
	int rc = oss_check_key(key, r);

	if (rc == 0)
		rc = kvs_add(&call.query, "uploadId", upload_id);
	if (rc == 0)
		rc = oss_call_do(self, &call, ctl, r);
	oss_call_release(&call);
	return rc == -ENOENT && strcmp(r->code, "NoSuchUpload") == 0 ? 0 : rc;
}

/* ---- lists ------------------------------------------------------------- */

struct parts_page {
	struct oss_part *parts;
	size_t count;
	int next;
};

static int accept_parts(void *arg, const struct http_response *r,
			struct oss_reply *reply)
{
	struct parts_page *p = arg;

	(void)reply;
	return answer_parts(r->body.data, r->body.len, &p->parts, &p->count,
			    &p->next);
}

static int parts_page(struct oss_client *c, const char *key, const char *id,
		      const struct oss_ctl *ctl, struct parts_page *p,
		      struct oss_reply *reply)
{
	struct oss_call call = {.name = "ListParts",
				.method = "GET",
				.key = key,
				.answer_max = PAGE_BYTES_MAX,
				.accept = accept_parts,
				.arg = p};
	int rc = kvs_add(&call.query, "uploadId", id);

	if (rc == 0)
		rc = kvs_add(&call.query, "max-parts", "1000");
	if (rc == 0 && p->next)
		rc = kvs_addf(&call.query, "part-number-marker", "%d", p->next);
	if (rc == 0)
		rc = oss_call_do(c, &call, ctl, reply);
	oss_call_release(&call);
	return rc;
}

int oss_list_parts(void *self, const char *key, const char *upload_id,
		   const struct oss_ctl *ctl, struct oss_part **parts,
		   size_t *count, struct oss_reply *reply)
{
	struct parts_page p = {.next = 0};
	int last;
	int rc = oss_check_key(key, reply);

	do {
		last = p.next;
		if (rc == 0)
			rc = parts_page(self, key, upload_id, ctl, &p, reply);
		/* A marker that stands still would go on for ever. */
	} while (rc == 0 && p.next > last);
	if (rc < 0) {
		free(p.parts);
		return rc;
	}
	*parts = p.parts;
	*count = p.count;
	return 0;
}

struct uploads_page {
	struct oss_upload *list;
	size_t count;
	char *key_marker;
	char *id_marker;
};

static int accept_uploads(void *arg, const struct http_response *r,
			  struct oss_reply *reply)
{
	struct uploads_page *p = arg;
	char *key = NULL;
	char *id = NULL;
	int rc = answer_uploads(r->body.data, r->body.len, &p->list, &p->count,
				&key, &id);

	(void)reply;
	if (rc < 0)
		return rc;
	free(p->key_marker);
	free(p->id_marker);
	p->key_marker = key;
	p->id_marker = id;
	return 0;
}

static int uploads_query(const char *prefix, const struct uploads_page *p,
			 struct kvs *query)
{
	int rc = kvs_add(query, "uploads", "");

	if (rc == 0)
		rc = kvs_add(query, "encoding-type", "url");
	if (rc == 0)
		rc = kvs_add(query, "max-uploads", "1000");
	if (rc == 0 && prefix && *prefix)
		rc = kvs_add(query, "prefix", prefix);
	if (rc == 0 && p->key_marker)
		rc = kvs_add(query, "key-marker", p->key_marker);
	if (rc == 0 && p->key_marker && p->id_marker)
		rc = kvs_add(query, "upload-id-marker", p->id_marker);
	return rc;
}

static int uploads_page(struct oss_client *c, const char *prefix,
			const struct oss_ctl *ctl, struct uploads_page *p,
			struct oss_reply *reply)
{
	struct oss_call call = {.name = "ListMultipartUploads",
				.method = "GET",
				.answer_max = PAGE_BYTES_MAX,
				.accept = accept_uploads,
				.arg = p};
	int rc = uploads_query(prefix, p, &call.query);

	if (rc == 0)
		rc = oss_call_do(c, &call, ctl, reply);
	oss_call_release(&call);
	return rc;
}

int oss_list_uploads(void *self, const char *prefix, const struct oss_ctl *ctl,
		     struct oss_upload **uploads, size_t *count,
		     struct oss_reply *reply)
{
	struct uploads_page p = {.count = 0};
	size_t before;
	int rc;

	do {
		before = p.count;
		rc = uploads_page(self, prefix, ctl, &p, reply);
	} while (rc == 0 && p.key_marker && p.count > before);
	free(p.key_marker);
	free(p.id_marker);
	if (rc < 0) {
		oss_uploads_free(p.list, p.count);
		return rc;
	}
	*uploads = p.list;
	*count = p.count;
	return 0;
}
