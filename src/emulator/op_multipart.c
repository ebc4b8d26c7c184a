/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads (protocol 5). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emulator/callback.h"
#include "emulator/emulator.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/put.h"
#include "emulator/store.h"
#include "emulator/xml.h"
#include "util/codec.h"
#include "util/strnum.h"

enum { MAX_PART_NUMBER = 10000 };

#define MIN_PART_SIZE ((uint64_t)102400)
#define SSE "x-oss-server-side-encryption"

static const char *upload_id(const struct exchange *x)
{
	return request_query(&x->req, "uploadId");
}

/* The text of a key in the answer, percent-encoded when asked for. */
static void key_xml(const struct exchange *x, struct buf *b, const char *key)
{
	const char *encoding = request_query(&x->req, "encoding-type");

	if (!encoding || strcmp(encoding, "url") != 0) {
		xml_elem(b, "Key", key);
		return;
	}
	xml_open(b, "Key");
	percent_encode(b, key, strlen(key), PERCENT_ALL);
	xml_close(b, "Key");
}

static void encoding_xml(const struct exchange *x, struct buf *b)
{
	const char *encoding = request_query(&x->req, "encoding-type");

	if (encoding && strcmp(encoding, "url") == 0)
		xml_elem(b, "EncodingType", "url");
}

/* ---- InitiateMultipartUpload ---- */

int initiate_finish(struct exchange *x)
{
	AUTO(object_putp) struct object *proto = NULL;
	char id[UPLOAD_ID_LEN];
	struct buf *b;
	int rc = check_bucket(x);

	if (!rc)
		rc = check_forbid_overwrite(x);
	if (!rc)
		rc = new_object(x, &proto);
	if (rc)
		return rc;
	rc = store_upload_create(x->em->store, x->req.bucket, proto, id);
	if (rc)
		return rc;
	proto = NULL; /* the store has it */
	b = reply_xml(x, "InitiateMultipartUploadResult");
	encoding_xml(x, b);
	xml_elem(b, "Bucket", x->req.bucket);
	key_xml(x, b, x->req.key);
	xml_elem(b, "UploadId", id);
	xml_close(b, "InitiateMultipartUploadResult");
	return 0;
}

/* ---- UploadPart ---- */

int part_number(struct exchange *x, unsigned *out)
{
	const char *text = request_query(&x->req, "partNumber");
	uint64_t n;

	if (!text || parse_u64(text, 1, MAX_PART_NUMBER, &n) < 0)
		return fail_argument(x, OE_PART_NUMBER, NULL, "partNumber",
				     text);
	*out = (unsigned)n;
	return 0;
}

static int check_upload(struct exchange *x)
{
	AUTO(object_putp) struct object *proto = NULL;
	int rc = store_upload_proto(x->em->store, x->req.bucket, x->req.key,
				    upload_id(x), &proto);

	return rc < 0 ? fail_errno(x, rc) : 0;
}

int upload_part_begin(struct exchange *x)
{
	const char *sse = kvs_get(&x->req.headers, SSE);
	unsigned number;
	int rc = check_upload_length(x);

	if (!rc)
		rc = part_number(x, &number);
	if (!rc && sse)
		rc = fail_argument(x, OE_INVALID_ARGUMENT, NULL, SSE, sse);
	if (!rc)
		rc = check_upload(x);
	return rc < 0 ? rc : sink_to_blob(x, wants_md5(x));
}

static void reply_part(struct exchange *x, const struct upload_body *u,
		       const struct part *p)
{
	AUTO(buf_release) struct buf md5 = BUF_INIT;
	char etag[ETAG_MAX + 4];

	reply_status(x, 200);
	reply_header(x, "ETag", quoted_etag(x, p->etag, etag));
	reply_headerf(x, "x-oss-hash-crc64ecma", "%" PRIu64, u->crc);
	if (!u->has_md5)
		return;
	base64_encode(&md5, u->digest, sizeof(u->digest));
	reply_header(x, "Content-MD5", buf_str(&md5));
}

int upload_part_finish(struct exchange *x)
{
	struct part p = {.mtime_ms = x->now_ms / 1000 * 1000};
	struct upload_body u;
	int rc = part_number(x, &p.number);

	if (!rc)
		rc = take_upload(x, &u);
	if (rc)
		return rc;
	p.body = u.body;
	etag_format(p.etag, u.digest, 0);
	rc = store_upload_put(x->em->store, x->req.bucket, x->req.key,
			      upload_id(x), &p);
	if (rc < 0) {
		body_put(u.body);
		return fail_errno(x, rc);
	}
	reply_part(x, &u, &p);
	return 0;
}

/* ---- CompleteMultipartUpload ---- */

static bool wants_all(const struct exchange *x)
{
	return request_header_is(&x->req, "x-oss-complete-all", "yes");
}

int complete_begin(struct exchange *x)
{
	int rc = check_bucket(x);

	if (!rc)
		rc = callback_read(x);
	return rc < 0 ? rc : sink_to_memory(x, XML_BODY_MAX);
}

/* The parts of a completed object, in order. */
struct selection {
	struct part *all; /* of the upload */
	size_t all_count;
	const struct part **chosen;
	size_t count;
};

static void selection_release(struct selection *s)
{
	parts_free(s->all, s->all_count);
	free(s->chosen);
}

static int compare_number(const void *number, const void *part)
{
	unsigned a = *(const unsigned *)number;
	unsigned b = ((const struct part *)part)->number;

	return a < b ? -1 : a > b;
}

static bool etag_matches(const char *sent, const char *etag)
{
	size_t len;

	sent += strspn(sent, " \"");
	len = strcspn(sent, "\" ");
	return len == strlen(etag) && strncasecmp(sent, etag, len) == 0;
}

static int choose_part(struct exchange *x, struct selection *s,
		       const struct xml_node *n)
{
	const char *number_text = xml_child_text(n, "PartNumber");
	const char *etag = xml_child_text(n, "ETag");
	const struct part *p;
	unsigned number;
	uint64_t v;

	if (!number_text || !etag || parse_u64(number_text, 0, UINT32_MAX, &v))
		return fail(x, OE_MALFORMED_XML);
	number = (unsigned)v;
	if (s->count && number <= s->chosen[s->count - 1]->number)
		return fail(x, OE_INVALID_PART_ORDER);
	p = s->all_count ? bsearch(&number, s->all, s->all_count,
				   sizeof(*s->all), compare_number)
			 : NULL;
	if (!p || !etag_matches(etag, p->etag))
		return fail_with(x, OE_INVALID_PART, "PartNumber", number_text);
	s->chosen[s->count++] = p;
	return 0;
}

static int fail_list(struct exchange *x)
{
	struct oss_err_info e = *oss_err_info(OE_MALFORMED_XML);

	e.ec = "0042-00000205";
	return fail_custom(x, &e, NULL);
}

static int choose_listed(struct exchange *x, struct selection *s)
{
	AUTO(xml_freep) struct xml_node *root = NULL;
	size_t count = 0;
	int rc = 0;

	if (xml_parse(buf_str(&x->sink.memory), x->sink.memory.len, &root) <
		    0 ||
	    strcmp(root->name, "CompleteMultipartUpload") != 0)
		return fail_list(x);
	for (const struct xml_node *n = root->children; n; n = n->next)
		count++;
	if (!count || count > MAX_PART_NUMBER)
		return fail_list(x);
	s->chosen = calloc(count, sizeof(s->chosen[0]));
	if (!s->chosen)
		return fail(x, OE_INTERNAL);
	for (const struct xml_node *n = root->children; n && !rc; n = n->next)
		rc = strcmp(n->name, "Part") == 0 ? choose_part(x, s, n)
						  : fail_list(x);
	return rc;
}

static int choose_all(struct exchange *x, struct selection *s)
{
	if (x->sink.memory.len)
		return fail_argument(x, OE_COMPLETE_ALL_AND_BODY, NULL,
				     "x-oss-complete-all", "yes");
	if (!s->all_count)
		return fail(x, OE_INVALID_PART);
	s->chosen = calloc(s->all_count, sizeof(s->chosen[0]));
	if (!s->chosen)
		return fail(x, OE_INTERNAL);
	for (size_t i = 0; i < s->all_count; i++)
		s->chosen[s->count++] = &s->all[i];
	return 0;
}

static int check_sizes(struct exchange *x, const struct selection *s)
{
	for (size_t i = 0; i + 1 < s->count; i++)
		if (s->chosen[i]->body->size < MIN_PART_SIZE)
			return fail(x, OE_ENTITY_TOO_SMALL);
	return 0;
}

static int select_parts(struct exchange *x, struct selection *s)
{
	int rc = store_upload_parts(x->em->store, x->req.bucket, x->req.key,
				    upload_id(x), &s->all, &s->all_count);

	if (rc < 0)
		return fail_errno(x, rc);
	rc = wants_all(x) ? choose_all(x, s) : choose_listed(x, s);
	return rc < 0 ? rc : check_sizes(x, s);
}

static struct body *join(const struct selection *s)
{
	AUTO_FREE struct body **bodies = calloc(s->count, sizeof(*bodies));

	if (!bodies)
		return NULL;
	for (size_t i = 0; i < s->count; i++)
		bodies[i] = s->chosen[i]->body;
	return body_concat(bodies, s->count);
}

/* MD5 over the parts' binary MD5s: a stand-in for OSS's own (5.7). */
static int multipart_etag(const struct selection *s, char out[ETAG_MAX])
{
	AUTO(buf_release) struct buf digests = BUF_INIT;
	unsigned char md5[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	for (size_t i = 0; i < s->count; i++)
		if (hex_decode(&digests, s->chosen[i]->etag, 32) < 0)
			return -EIO;
	if (buf_error(&digests) < 0 ||
	    !EVP_Digest(buf_str(&digests), digests.len, md5, &len, EVP_md5(),
			NULL))
		return -EIO;
	etag_format(out, md5, (unsigned)s->count);
	return 0;
}

static int build_object(struct exchange *x, const struct selection *s,
			struct object **out)
{
	AUTO(object_putp) struct object *proto = NULL;
	AUTO(object_putp) struct object *o = NULL;
	struct body *body;
	int rc = store_upload_proto(x->em->store, x->req.bucket, x->req.key,
				    upload_id(x), &proto);

	if (rc)
		return rc;
	o = object_copy(proto, NULL);
	body = join(s);
	if (!o || !body) {
		body_put(body);
		return -ENOMEM;
	}
	object_set_body(o, body);
	o->type = OBJECT_MULTIPART;
	o->mtime_ms = x->now_ms / 1000 * 1000;
	rc = multipart_etag(s, o->etag);
	if (rc)
		return rc;
	*out = take_ptr(o);
	return 0;
}

static void complete_xml(struct exchange *x, const struct object *o)
{
	const char *host = kvs_get(&x->req.headers, "Host");
	char etag[ETAG_MAX + 4];
	struct buf *b = reply_xml(x, "CompleteMultipartUploadResult");

	encoding_xml(x, b);
	xml_open(b, "Location");
	buf_addf(b, "http://%s/", host ? host : "");
	percent_encode(b, o->key, strlen(o->key), PERCENT_PATH);
	xml_close(b, "Location");
	xml_elem(b, "Bucket", x->req.bucket);
	key_xml(x, b, o->key);
	xml_elem(b, "ETag", quoted_etag(x, o->etag, etag));
	xml_close(b, "CompleteMultipartUploadResult");
}

int complete_finish(struct exchange *x)
{
	AUTO(selection_release) struct selection s = {0};
	AUTO(object_putp) struct object *o = NULL;
	int rc = check_xml_digest(x);

	if (!rc)
		rc = select_parts(x, &s);
	if (!rc)
		rc = build_object(x, &s, &o);
	if (rc)
		return rc == DECIDED ? rc : fail_errno(x, rc);
	rc = store_upload_complete(x->em->store, x->req.bucket, upload_id(x),
				   object_get(o), forbids_overwrite(x));
	if (rc < 0) {
		object_put(o);
		return fail_errno(x, rc);
	}
	complete_xml(x, o);
	return reply_upload(x, o);
}

/* ---- AbortMultipartUpload ---- */

int abort_finish(struct exchange *x)
{
	int rc = store_upload_abort(x->em->store, x->req.bucket, x->req.key,
				    upload_id(x));

	if (!rc)
		reply_status(x, 204);
	return rc;
}
