/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/record.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "state/objmeta.h"
#include "upload/retry.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/log.h"

static void plan_retry(const struct record *r, struct cb_record *out)
{
	int64_t now = out->time_ms;

	if (r->outcome->state != CALLBACK_FAILED)
		return;
	out->give_up_ms =
		r->give_up_ms ? r->give_up_ms : now + r->rule->retry_for_ms;
	/* What was never sent cannot be repeated. */
	if (r->callback)
		out->next_try_ms = now + retry_pause_ms(r->attempt);
	out->given_up = !r->callback || out->next_try_ms > out->give_up_ms;
	if (out->given_up)
		out->next_try_ms = 0;
}

/* cblog_add() copies: everything is borrowed here. */
static void fill_sent(const struct callback *cb, struct cb_record *out)
{
	if (!cb)
		return;
	out->url = cb->url;
	out->host = cb->host;
	out->body = cb->body;
	out->body_type = cb->body_type;
	out->vars = cb->vars;
}

static void fill_outcome(const struct callback_outcome *o,
			 struct cb_record *out)
{
	out->state = (int)o->state;
	out->oss_status = o->oss_status;
	out->server_status = o->server_status;
	out->response = o->response;
	out->response_len = o->response_len;
	out->response_type = o->response_type;
	out->error = o->error;
	out->error_code = o->error_code;
	out->ec = o->ec;
	out->request_id = o->request_id;
}

static void log_failure(const struct record *r, const struct cb_record *rec)
{
	const struct callback_outcome *o = r->outcome;
	const char *advice = callback_advice(o->error, o->ec);

	if (o->state != CALLBACK_FAILED)
		return;
	log_warn("callback: failed%s: key=%s delivery_id=%s attempt=%d "
		 "error=%s ec=%s%s%s",
		 rec->given_up ? " for good" : ", will be repeated",
		 LOG_Q(r->key), LOG_Q(r->close->delivery_id), r->attempt,
		 LOG_Q(o->error), LOG_Q(o->ec), advice ? "; " : "",
		 advice ? advice : "");
}

void record_callback(const struct upload_env *env, const struct record *r)
{
	struct cb_record rec = {
		.key = (char *)(uintptr_t)r->key,
		.object = *r->id,
		.delivery_id = r->close->delivery_id,
		.rule = r->rule->name,
		.time_ms = clock_real_ms(),
		.elapsed_ms = r->elapsed_ms,
		.attempt = r->attempt,
		.uid = r->close->uid,
		.process = r->close->process,
	};
	int rc;

	fill_outcome(r->outcome, &rec);
	fill_sent(r->callback, &rec);
	plan_retry(r, &rec);
	rc = cblog_add(env->deps.db, &rec, r->db_flags);
	if (rc < 0)
		log_err("callback: the outcome could not be recorded: key=%s "
			"state=%s errno=%d",
			LOG_Q(r->key), callback_state_name(r->outcome->state),
			-rc);
	log_failure(r, &rec);
	if (r->callback && env->deps.recorded)
		env->deps.recorded(env->deps.recorded_arg, &rec);
	if (r->callback && env->recall.made)
		env->recall.made(env->recall.arg, r->callback->url,
				 r->attempt > 0 ? r->outcome : NULL);
}

/* -- metadata ------------------------------------------------------------------ */

static int count_tags(const char *tagging)
{
	int n = tagging && *tagging ? 1 : 0;

	for (const char *t = tagging; t && *t; t++)
		n += *t == '&';
	return n;
}

/* What a HEAD would show of the headers. */
static int shown_headers(const struct kvs *headers, struct kvs *out)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < headers->count; i++)
		if (strncasecmp(headers->items[i].name, "x-oss-", 6) != 0)
			rc = kvs_add(out, headers->items[i].name,
				     headers->items[i].value);
	return rc;
}

void record_meta(struct db *db, const char *key, const struct object_id *id,
		 const struct upload_props *props,
		 const struct oss_put_result *put)
{
	const char *class = kvs_get(&props->headers, "x-oss-storage-class");
	struct objmeta m = {
		.id = *id,
		.content_type = props->content_type,
		.meta = props->meta,
		.storage_class = (char *)(uintptr_t) class,
		.crc64 = put->crc64,
		.has_crc64 = put->has_crc64,
		.tag_count =
			count_tags(kvs_get(&props->headers, "x-oss-tagging")),
	};
	int rc = shown_headers(&props->headers, &m.kept);

	if (rc == 0)
		rc = objmeta_put(db, key, &m, DB_LATER);
	if (rc < 0)
		log_warn("upload: metadata is not remembered: key=%s errno=%d",
			 LOG_Q(key), -rc);
	kvs_release(&m.kept);
}

int record_read_outcome(const struct oss_put_result *put,
			struct callback_outcome *out)
{
	const struct oss_reply *r = &put->reply;

	memset(out, 0, sizeof(*out));
	return callback_outcome_read(r->http, &put->body, put->body_type,
				     r->code, r->message, r->ec, r->request_id,
				     out);
}
