/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/callback.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/image.h"
#include "emulator/reqlog.h"
#include "emulator/template.h"
#include "emulator/xml.h"
#include "util/clock.h"

/* ---- the variables' values ---- */

enum { SYSTEM_VARS = 14 };

struct values {
	struct template_var *items;
	size_t count;
	char size[24];
	char width[16];
	char height[16];
	char crc[24];
};

static void values_release(struct values *v)
{
	free(v->items);
}

static void add(struct values *v, const char *name, const char *value,
		bool is_number)
{
	v->items[v->count++] = (struct template_var){name, value, is_number};
}

/* @return -EINVAL when it is an image that cannot be read */
static int add_image(struct values *v, const struct callback *c,
		     const struct object *o)
{
	struct image_info info = {0, 0, ""};
	int rc = -ENOENT;

	if (template_uses(c->body, "imageInfo."))
		rc = image_read(o->body, &info);
	if (!rc) {
		snprintf(v->width, sizeof(v->width), "%u", info.width);
		snprintf(v->height, sizeof(v->height), "%u", info.height);
	}
	add(v, "imageInfo.height", v->height, true);
	add(v, "imageInfo.width", v->width, true);
	add(v, "imageInfo.format", info.format, false);
	return rc == -EINVAL ? rc : 0;
}

static int values_fill(struct exchange *x, const struct object *o,
		       struct values *v)
{
	const struct callback *c = x->callback;

	v->items = calloc(SYSTEM_VARS + c->vars.count, sizeof(v->items[0]));
	if (!v->items)
		return -ENOMEM;
	snprintf(v->size, sizeof(v->size), "%" PRIu64, o->body->size);
	snprintf(v->crc, sizeof(v->crc), "%" PRIu64, o->body->crc);
	add(v, "bucket", x->req.bucket, false);
	add(v, "object", o->key, false);
	add(v, "etag", o->etag, false);
	add(v, "size", v->size, true);
	add(v, "mimeType", object_content_type(o), false);
	add(v, "crc64", v->crc, x->em->opt->quirks.crc64_is_number);
	add(v, "contentMd5", o->content_md5, false);
	add(v, "vpcId", "", false);
	add(v, "clientIp", x->req.client_ip, false);
	add(v, "reqId", x->req.id, false);
	add(v, "operation", x->op->name, false);
	for (size_t i = 0; i < c->vars.count; i++)
		add(v, c->vars.items[i].name, c->vars.items[i].value, false);
	return add_image(v, c, o);
}

static int make_body(struct exchange *x, const struct object *o,
		     struct buf *out)
{
	AUTO(values_release) struct values v = {0};
	struct template_vars vars;
	int rc = values_fill(x, o, &v);

	if (rc < 0)
		return rc;
	vars = (struct template_vars){v.items, v.count};
	return template_expand(&x->em->opt->quirks, x->callback->body,
			       x->callback->is_json, &vars, out);
}

/* ---- faults ---- */

static void fail_as(struct callback_result *r, const char *ec,
		    const char *message)
{
	r->ok = false;
	r->ec = ec;
	snprintf(r->message, sizeof(r->message), "%s", message);
}

/* The outcome that a fault makes up. @return false: do the real thing */
static bool fault_result(struct exchange *x, const struct fault *f,
			 const struct callback_url *u,
			 struct callback_result *r)
{
	char length[24];

	switch ((int)f->kind) {
	case FAULT_STATUS:
	case FAULT_SKIP:
		r->status = f->kind == FAULT_SKIP ? 200 : f->status;
		buf_adds(&r->body, f->body);
		r->content_type = str_dup("application/json");
		snprintf(length, sizeof(length), "%zu", r->body.len);
		callback_judge(x->em->opt, length, r);
		return true;
	case FAULT_TIMEOUT:
		snprintf(r->message, sizeof(r->message),
			 "Error status : -1 %s:%s reply timeout, cost:5000ms, "
			 "timeout:5000ms (err -4, errno115)",
			 u->ip, u->port);
		r->ec = "0007-00000202";
		return true;
	case FAULT_REFUSE:
		fail_as(r, "0007-00000203", "Error status : 502.");
		return true;
	case FAULT_STALL:
		faults_stall(x->em->faults, f->rule, f->ms, NULL, -1);
		return false;
	default:
		return false;
	}
}

/* ---- performing ---- */

static void attempt(struct exchange *x, const struct callback_url *u,
		    const struct buf *body, int64_t timeout_ms,
		    struct callback_result *r)
{
	struct fault f;

	faults_hit(x->em->faults, "Callback", x->req.bucket, x->req.key, &f);
	if (!fault_result(x, &f, u, r))
		callback_send(x, x->callback, u, buf_str(body), body->len,
			      timeout_ms, r);
	request_log_callback(x->em->log, x, u->text, body->len, r);
}

/* The URLs in order until one succeeds; *out is the outcome that counts. */
static void walk(struct exchange *x, const struct buf *body,
		 struct callback_result *out)
{
	const struct emu_options *opt = x->em->opt;
	const struct callback *c = x->callback;
	int64_t deadline = clock_mono_ms() + opt->callback_timeout_ms;

	for (size_t i = 0; i < c->url_count; i++) {
		struct callback_result r = {.ec = ""};
		int64_t left = opt->callback_timeout_ms;

		if (opt->quirks.timeout_is_total)
			left = deadline - clock_mono_ms();
		if (left <= 0)
			return;
		attempt(x, &c->urls[i], body, left, &r);
		if (i && !r.ok && opt->quirks.report_first_failure) {
			callback_result_release(&r);
			continue;
		}
		callback_result_release(out);
		*out = r;
		if (r.ok)
			return;
	}
}

/* ---- the upload's answer ---- */

static void reply_answer(struct exchange *x, struct callback_result *r)
{
	x->callback_state = "ok";
	kvs_remove(&x->reply.headers, "Content-Type");
	reply_header(x, "Content-Type",
		     r->content_type ? r->content_type : "application/json");
	buf_reset(&x->reply.body);
	buf_add(&x->reply.body, buf_str(&r->body), r->body.len);
	reply_status(x, 200);
}

static void reply_failure(struct exchange *x, const struct callback_result *r)
{
	x->callback_state = "failed";
	reply_callback_failed(x, r->message, r->ec);
}

int callback_perform(struct exchange *x, const struct object *o)
{
	AUTO(callback_result_release) struct callback_result r = {.ec = ""};
	AUTO(buf_release) struct buf body = BUF_INIT;
	int rc = make_body(x, o, &body);

	if (rc == -EINVAL)
		fail_as(&r, "", "Get image info failed.");
	else if (rc < 0)
		return rc;
	else
		walk(x, &body, &r);
	if (r.ok)
		reply_answer(x, &r);
	else
		reply_failure(x, &r);
	return 0;
}
