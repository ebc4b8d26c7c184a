/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emulator/auth.h"
#include "emulator/callback.h"
#include "emulator/emulator.h"
#include "emulator/form.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/sign.h"
#include "emulator/store.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/strnum.h"

int exchange_init(struct exchange *x, struct emulator *em, const char *method,
		  const char *target)
{
	memset(x, 0, sizeof(*x));
	x->em = em;
	x->socket_fd = -1;
	x->sink.blob.fd = -1;
	x->now_ms = emulator_now_ms(em);
	x->start_ms = clock_mono_ms();
	return request_init(&x->req, method, target);
}

static void sink_release(struct sink *s)
{
	buf_release(&s->memory);
	blob_writer_abort(&s->blob);
}

void exchange_release(struct exchange *x)
{
	sink_release(&x->sink);
	object_put(x->object);
	callback_free(x->callback);
	form_free(x->form);
	kvs_release(&x->reply.headers);
	buf_release(&x->reply.body);
	object_put(x->reply.object);
	request_release(&x->req);
}

const char *exchange_op_name(const struct exchange *x)
{
	return x->op ? x->op->name : "-";
}

/* ---- begin ---- */

/* A part of the query names something this server does not have: better
 * refused than taken for a plain GET or PUT of the bucket. */
static const char *unsupported(const struct request *r)
{
	static const char *const modifiers[] = {
		"callback",  "callback-var",   "continuation-token",
		"versionId", "security-token", "status",
	};

	for (size_t i = 0; i < r->query.count; i++) {
		const char *name = r->query.items[i].name;
		bool is_modifier = strncmp(name, "response-", 9) == 0 ||
				   strncmp(name, "x-oss-", 6) == 0;

		for (size_t k = 0; k < ARRAY_LEN(modifiers); k++)
			is_modifier |= strcmp(name, modifiers[k]) == 0;
		if (!is_modifier && sign_v1_is_subresource(name))
			return name;
	}
	return NULL;
}

static int find_operation(struct exchange *x)
{
	const char *name;

	x->op = route(x);
	if (!x->op)
		return fail(x, OE_METHOD_NOT_ALLOWED);
	if (x->op->query)
		return 0;
	name = unsupported(&x->req);
	if (name)
		return fail_with(x, OE_NOT_IMPLEMENTED, "Header", name);
	return 0;
}

static int check_names(struct exchange *x)
{
	enum oss_err err = OE_NONE;

	if (x->req.bucket && !bucket_name_is_valid(x->req.bucket))
		return fail_with(x, OE_INVALID_BUCKET_NAME, "BucketName",
				 x->req.bucket);
	if (x->req.key)
		err = key_check(x->req.key);
	return err ? fail_with(x, err, "ObjectName", x->req.key) : 0;
}

/* OSS knows no conditions on writes (protocol 4.2). */
static int check_conditions(struct exchange *x)
{
	static const char *const names[] = {"If-Match", "If-None-Match",
					    "If-Modified-Since",
					    "If-Unmodified-Since"};

	if (!x->op->is_write)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (kvs_get(&x->req.headers, names[i]))
			return fail_with(x, OE_NOT_IMPLEMENTED, "Header",
					 names[i]);
	return 0;
}

/* As a header or a query parameter. */
static int check_traffic_limit(struct exchange *x)
{
	const char *text = request_header(&x->req, "x-oss-traffic-limit");
	uint64_t bits;

	if (!text)
		text = request_query(&x->req, "x-oss-traffic-limit");
	if (!text)
		return 0;
	if (parse_u64(text, TRAFFIC_LIMIT_MIN, TRAFFIC_LIMIT_MAX, &bits) < 0)
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL,
				     "x-oss-traffic-limit", text);
	x->rate = bits / 8;
	return 0;
}

static int begin(struct exchange *x)
{
	int rc = request_finish_headers(&x->req);

	if (rc < 0)
		return fail(x, OE_INVALID_ARGUMENT);
	rc = auth_check(x);
	if (!rc)
		rc = find_operation(x);
	if (!rc)
		rc = check_names(x);
	if (!rc)
		rc = auth_permission(x);
	if (!rc)
		rc = check_conditions(x);
	if (!rc)
		rc = check_traffic_limit(x);
	if (!rc && x->op->begin)
		rc = x->op->begin(x);
	return rc;
}

static bool answers_error(enum fault_kind k)
{
	return k == FAULT_STATUS || k == FAULT_HTML;
}

/* An injected error in place of the operation. */
static void fault_reply(struct exchange *x)
{
	const struct fault *f = &x->fault;
	struct oss_err_info e = {f->status, f->code, f->message, ""};

	if (f->kind == FAULT_STATUS) {
		fail_custom(x, &e, NULL);
		return;
	}
	fail_custom(x, &(struct oss_err_info){f->status, "", "", ""}, NULL);
	kvs_release(&x->reply.headers);
	buf_reset(&x->reply.body);
	reply_header(x, "Content-Type", "text/html");
	buf_addf(
		&x->reply.body,
		"<html>\r\n<head><title>%d</title></head>\r\n<body>"
		"<center><h1>%d</h1></center><hr>tengine</body>\r\n</html>\r\n",
		f->status, f->status);
}

void exchange_begin(struct exchange *x)
{
	int rc = begin(x);

	if (x->op)
		faults_hit(x->em->faults, x->op->name,
			   x->req.bucket ? x->req.bucket : "",
			   x->req.key ? x->req.key : "", &x->fault);
	if (answers_error(x->fault.kind))
		fault_reply(x);
	else if (rc < 0 && !x->is_decided)
		fail(x, OE_INTERNAL);
}

/* ---- the body ---- */

int sink_to_memory(struct exchange *x, uint64_t max)
{
	if (x->req.content_length > 0 && (uint64_t)x->req.content_length > max)
		return fail(x, OE_MALFORMED_XML);
	x->sink.kind = SINK_MEMORY;
	x->sink.max = max;
	return 0;
}

int sink_to_blob(struct exchange *x, bool want_md5)
{
	int rc = blob_writer_open(store_blobs(x->em->store), want_md5,
				  &x->sink.blob);

	if (rc < 0)
		return fail_errno(x, rc);
	x->sink.kind = SINK_BLOB;
	return 0;
}

static int sink_memory(struct sink *s, const void *data, size_t len)
{
	if (s->received > s->max)
		return -EMSGSIZE;
	buf_add(&s->memory, data, len);
	return buf_error(&s->memory);
}

void exchange_body(struct exchange *x, const void *data, size_t len)
{
	struct sink *s = &x->sink;
	int rc = 0;

	s->received += len;
	if (x->is_decided || s->err)
		return;
	if (x->form) {
		post_object_body(x, data, len);
		return;
	}
	switch (s->kind) {
	case SINK_DISCARD:
		break;
	case SINK_MEMORY:
		rc = sink_memory(s, data, len);
		break;
	case SINK_BLOB:
		rc = s->received > OBJECT_PUT_MAX
			     ? -EFBIG
			     : blob_writer_add(&s->blob, data, len);
		break;
	}
	s->err = rc;
}

static int sink_error(struct exchange *x)
{
	switch (x->sink.err) {
	case 0:
		return 0;
	case -EMSGSIZE:
		return fail(x, OE_MALFORMED_XML);
	case -EFBIG:
		return fail(x, OE_ENTITY_TOO_LARGE);
	default:
		return fail_errno(x, x->sink.err);
	}
}

void exchange_finish(struct exchange *x)
{
	int rc;

	if (x->is_decided)
		return;
	rc = sink_error(x);
	if (!rc)
		rc = x->op->finish(x);
	if (rc < 0 && !x->is_decided)
		fail_errno(x, rc);
	if (!rc && buf_error(&x->reply.body) < 0)
		fail(x, OE_INTERNAL);
	x->is_decided = true;
}
