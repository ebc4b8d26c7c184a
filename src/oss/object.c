/* SPDX-License-Identifier: Apache-2.0 */
/** @file Whole objects: put, head, delete, copy, tags, ACL. */
#include <errno.h>
#include <string.h>

#include "oss/answers.h"
#include "oss/call.h"
#include "oss/headers.h"

enum {
	/* A callback's answer: OSS takes 1 MB of it, perhaps 3 (3.8). */
	CALLBACK_ANSWER_MAX = 4 << 20,
};

/* ---- put --------------------------------------------------------------- */

/* Is what lies there the very body that we sent, in an attempt whose answer
   was lost? */
static bool is_ours(struct oss_client *c, const struct oss_call *call,
		    const struct oss_ctl *ctl)
{
	struct oss_object o;
	bool ours;

	if (oss_head(c, call->key, ctl, &o, NULL) < 0)
		return false;
	ours = o.has_crc64 && o.crc64 == call->sent_crc &&
	       o.size == call->body->size;
	oss_object_release(&o);
	return ours;
}

static int put_run(struct oss_client *c, struct oss_call *call,
		   const struct oss_ctl *ctl, struct http_response *resp,
		   struct oss_put_result *out)
{
	int rc = oss_call_run(c, call, ctl, resp, &out->reply);

	/* x-oss-forbid-overwrite, a lost answer, and our own object in the
	   way: once more, without it. */
	if (rc == -EEXIST && out->reply.sent_all && out->reply.attempts > 1 &&
	    kvs_get(&call->headers, "x-oss-forbid-overwrite") &&
	    is_ours(c, call, ctl)) {
		http_response_release(resp);
		*resp = (struct http_response)HTTP_RESPONSE_INIT;
		(void)kvs_remove(&call->headers, "x-oss-forbid-overwrite");
		rc = oss_call_run(c, call, ctl, resp, &out->reply);
	}
	return rc;
}

int oss_put(void *self, const char *key, const struct oss_source *body,
	    const struct oss_props *props, const struct oss_callback *cb,
	    const struct oss_ctl *ctl, struct oss_put_result *out)
{
	struct http_response resp = HTTP_RESPONSE_INIT;
	struct oss_call call = {.name = "PutObject",
				.method = "PUT",
				.key = key,
				.body = body,
				.is_data = true,
				.bulk = true,
				.answer_max = CALLBACK_ANSWER_MAX};
	int rc;

	*out = (struct oss_put_result){.reply.http = 0};
	rc = oss_check_key(key, &out->reply);
	if (rc < 0)
		return rc;
	if (body->size > OSS_PUT_MAX) {
		oss_reply_set(&out->reply, "EntityTooLarge",
			      "PutObject takes 5 GB at most");
		return -EFBIG;
	}
	rc = oss_add_props(&call.headers, props);
	if (rc == 0)
		rc = oss_add_callback(&call.headers, cb);
	if (rc == 0)
		rc = put_run(self, &call, ctl, &resp, out);
	if (rc == 0)
		rc = oss_take_result(&resp, cb, out);
	if (rc < 0)
		oss_put_result_release(out);
	http_response_release(&resp);
	oss_call_release(&call);
	return rc;
}

/* ---- head -------------------------------------------------------------- */

static int accept_head(void *arg, const struct http_response *r,
		       struct oss_reply *reply)
{
	struct oss_object *o = arg;
	uint64_t size = 0;
	int rc = oss_read_length(&r->headers, &size);

	(void)reply;
	if (rc == 0)
		rc = oss_read_object(&r->headers, o);
	if (rc == 0)
		o->size = size;
	return rc;
}

int oss_head(void *self, const char *key, const struct oss_ctl *ctl,
	     struct oss_object *out, struct oss_reply *reply)
{
	struct oss_object o = {.size = 0};
	struct oss_call call = {.name = "HeadObject",
				.method = "HEAD",
				.key = key,
				.accept = accept_head,
				.arg = &o};
	int rc = oss_check_key(key, reply);

	if (rc == 0)
		rc = oss_call_do(self, &call, ctl, reply);
	oss_call_release(&call);
	*out = o;
	return rc;
}

/* ---- delete ------------------------------------------------------------ */

int oss_remove(void *self, const char *key, const struct oss_ctl *ctl,
	       struct oss_reply *reply)
{
	struct oss_reply spare = {.http = 0};
	struct oss_reply *r = reply ? reply : &spare;
	struct oss_call call = {
		.name = "DeleteObject", .method = "DELETE", .key = key};
	int rc = oss_check_key(key, r);

	if (rc == 0)
		rc = oss_call_do(self, &call, ctl, r);
	oss_call_release(&call);
	/* OSS says 204 of a missing key; others say this. */
	return rc == -ENOENT && strcmp(r->code, "NoSuchKey") == 0 ? 0 : rc;
}

/* ---- copy -------------------------------------------------------------- */

static int accept_copy(void *arg, const struct http_response *r,
		       struct oss_reply *reply)
{
	struct oss_put_result *out = arg;
	char etag[72];
	int64_t modified = 0;
	int rc = answer_copy(r->body.data, r->body.len, etag, &modified);

	(void)reply;
	if (rc == 0)
		rc = oss_read_result(&r->headers, out);
	if (rc < 0)
		return rc;
	memcpy(out->etag, etag, sizeof(etag));
	if (modified)
		out->modified_ms = modified;
	return 0;
}

static int copy_headers(const struct oss_client *c, const struct oss_copy *cp,
			struct kvs *headers)
{
	bool replace = cp->props || strcmp(cp->src_key, cp->dst_key) == 0;
	int rc = oss_add_copy_source(headers, c->endpoint.bucket, cp->src_key,
				     cp->src_etag);

	if (rc == 0 && replace)
		rc = kvs_set(headers, "x-oss-metadata-directive", "REPLACE");
	if (rc == 0 && replace)
		rc = oss_add_props(headers, cp->props);
	if (rc == 0 && cp->forbid_overwrite)
		rc = kvs_set(headers, "x-oss-forbid-overwrite", "true");
	return rc;
}

int oss_copy_object(void *self, const struct oss_copy *cp,
		    const struct oss_ctl *ctl, struct oss_put_result *out)
{
	struct oss_call call = {.name = "CopyObject",
				.method = "PUT",
				.key = cp->dst_key,
				.accept = accept_copy,
				.arg = out};
	int rc;

	*out = (struct oss_put_result){.reply.http = 0};
	rc = oss_check_key(cp->dst_key, &out->reply);
	if (rc == 0)
		rc = oss_check_key(cp->src_key, &out->reply);
	if (rc == 0)
		rc = copy_headers(self, cp, &call.headers);
	if (rc == 0)
		rc = oss_call_do(self, &call, ctl, &out->reply);
	oss_call_release(&call);
	if (rc < 0)
		oss_put_result_release(out);
	return rc;
}

/* ---- tags, ACL --------------------------------------------------------- */

static int accept_tags(void *arg, const struct http_response *r,
		       struct oss_reply *reply)
{
	(void)reply;
	return answer_tagging(r->body.data, r->body.len, arg);
}

static int accept_acl(void *arg, const struct http_response *r,
		      struct oss_reply *reply)
{
	int rc = answer_word(r->body.data, r->body.len, "AccessControlPolicy",
			     "Grant", arg);

	(void)reply;
	return rc == -ENOENT ? -EBADMSG : rc;
}

static int get_sub(struct oss_client *c, struct oss_call *call, const char *sub,
		   const struct oss_ctl *ctl, char **out,
		   struct oss_reply *reply)
{
	int rc = oss_check_key(call->key, reply);

	call->arg = out; /* written on success alone */
	if (rc == 0)
		rc = kvs_add(&call->query, sub, "");
	if (rc == 0)
		rc = oss_call_do(c, call, ctl, reply);
	oss_call_release(call);
	return rc;
}

int oss_get_tags(void *self, const char *key, const struct oss_ctl *ctl,
		 char **tags, struct oss_reply *reply)
{
	struct oss_call call = {.name = "GetObjectTagging",
				.method = "GET",
				.key = key,
				.accept = accept_tags};

	return get_sub(self, &call, "tagging", ctl, tags, reply);
}

int oss_get_acl(void *self, const char *key, const struct oss_ctl *ctl,
		char **acl, struct oss_reply *reply)
{
	struct oss_call call = {.name = "GetObjectAcl",
				.method = "GET",
				.key = key,
				.accept = accept_acl};

	return get_sub(self, &call, "acl", ctl, acl, reply);
}
