/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/recall_one.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "callback/outcome.h"
#include "callback/rules.h"
#include "state/cblog.h"
#include "state/kept.h"
#include "state/objmeta.h"
#include "upload/objects.h"
#include "upload/record.h"
#include "upload/retry.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/crc64.h"
#include "util/log.h"

enum {
	OSS_PAUSE_MS = 60000, /* when the copy itself fails */
	/* A PutObject is sent while HEAD's answer is so new, or not at all. */
	PUT_MS = 5000,
};

/* The callback as it was sent, from its record. */
static int rebuild(const struct upload_env *env, const struct cb_record *rec,
		   struct callback *cb)
{
	const struct rule *rule = rules_by_name(env->deps.rules, rec->rule);

	*cb = (struct callback){.url_count = 1};
	if (str_set(&cb->rule, rec->rule) < 0 ||
	    str_set(&cb->url, rec->url) < 0 ||
	    str_set(&cb->host, rec->host) < 0 ||
	    str_set(&cb->body, rec->body) < 0 ||
	    str_set(&cb->body_type, rec->body_type) < 0 ||
	    kvs_copy(&cb->vars, &rec->vars) < 0)
		return -ENOMEM;
	for (const char *p = cb->url; *p; p++)
		cb->url_count += *p == ';' && p[1] != '\0';
	cb->has_sni = rule ? rule->has_sni : true;
	cb->sni = rule ? rule->sni : strncmp(cb->url, "https:", 6) == 0;
	return callback_encode(cb);
}

void recall_give_up(struct db *db, const char *key, const char *why)
{
	log_err("callback: given up: key=%s why=%s", LOG_Q(key), LOG_Q(why));
	(void)cblog_set_retry(db, key, 0, true);
}

/* The copy itself failed: the callback was not made. */
static void copy_failed(const struct upload_env *env, const char *key, int rc,
			const struct oss_reply *reply)
{
	char text[384];

	if (rc == -ECANCELED) /* the mount ends: it stays due */
		return;
	oss_reply_describe(reply, text, sizeof(text));
	if (rc == -ESTALE || rc == -ENOENT ||
	    retry_judge(rc, reply) == RETRY_BY_HAND) {
		recall_give_up(env->deps.db, key, text);
		return;
	}
	log_warn("callback: could not be made again, later: key=%s errno=%d %s",
		 LOG_Q(key), -rc, text);
	(void)cblog_set_retry(env->deps.db, key, clock_real_ms() + OSS_PAUSE_MS,
			      false);
}

static void record_repeat(const struct upload_env *env, const char *key,
			  const struct cb_record *old,
			  const struct callback *cb,
			  const struct oss_put_result *put, int64_t elapsed_ms)
{
	struct rule rule = {.name = old->rule};
	struct staging_close close = {.delivery_id = old->delivery_id,
				      .uid = old->uid,
				      .process = old->process};
	struct callback_outcome o;
	struct object_id id;
	struct record rec = {
		.key = key,
		.id = &id,
		.close = &close,
		.rule = &rule,
		.callback = cb,
		.outcome = &o,
		.elapsed_ms = elapsed_ms,
		.attempt = old->attempt + 1,
		.give_up_ms = old->give_up_ms ? old->give_up_ms : 1,
	};

	object_id_of_put(put, old->object.size, &id);
	if (record_read_outcome(put, &o) < 0) {
		log_err("callback: no memory for its answer: key=%s",
			LOG_Q(key));
		memset(&o, 0, sizeof(o));
		o.state = CALLBACK_FAILED;
	}
	(void)objmeta_move(env->deps.db, key, key, &id);
	record_callback(env, &rec);
	if (o.state == CALLBACK_OK)
		log_info("callback: answered: key=%s attempt=%d", LOG_Q(key),
			 rec.attempt);
	callback_outcome_release(&o);
	if (env->deps.recalled)
		env->deps.recalled(env->deps.recalled_arg, key, &id);
}

/* The object's bytes, where they are kept.  What is archived may not be read,
 * and the copy is left to say so. */
static bool find_kept(const struct upload_env *env,
		      const struct oss_object *head,
		      const struct cb_record *rec, struct buf *out)
{
	const char *class = head->storage_class;

	return rec->delivery_id && head->has_crc64 &&
	       !(class && strstr(class, "Archive")) &&
	       kept_get(env->deps.db, rec->delivery_id, out) == 0 &&
	       out->len == head->size &&
	       crc64_update(0, out->data, out->len) == head->crc64;
}

static void call_again(const struct upload_env *env, const char *key,
		       const struct oss_object *head,
		       const struct cb_record *rec)
{
	AUTO(buf_release) struct buf kept = BUF_INIT;
	AUTO(oss_put_result_release) struct oss_put_result put = {.etag = ""};
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	int64_t began = clock_mono_ms();
	struct oss_callback headers;
	struct object_copy c = {
		.src = key,
		.dst = key,
		.head = head,
		.callback = &headers,
		.keep_acl = true,
		.deadline_ms = began + env->conf.retry_deadline_ms,
		.cancel = &env->is_ending,
		.db = env->deps.db,
	};
	int rc = rebuild(env, rec, &cb);

	if (rc < 0) {
		recall_give_up(env->deps.db, key, strerror(-rc));
		return;
	}
	headers = (struct oss_callback){cb.param, cb.param_vars};
	c.callback_urls = cb.url_count;
	if (find_kept(env, head, rec, &kept)) {
		c.bytes = &kept;
		if (env->conf.retry_deadline_ms > PUT_MS)
			c.deadline_ms = began + PUT_MS;
	}
	rc = object_copy(&env->deps.store, env->parts, &c, &put);
	if (rc < 0)
		copy_failed(env, key, rc, &put.reply);
	else
		record_repeat(env, key, rec, &cb, &put,
			      clock_mono_ms() - began);
}

static bool is_wanted(const struct cb_record *rec, bool forced)
{
	if (!rec->url) /* it was never sent */
		return false;
	return forced || (rec->state == CALLBACK_FAILED && !rec->given_up);
}

void recall_one(const struct upload_env *env, const char *key, bool forced)
{
	const struct store *store = &env->deps.store;
	struct oss_ctl ctl = {.deadline_ms = clock_mono_ms() +
					     env->conf.retry_deadline_ms,
			      .cancel = &env->is_ending};
	struct oss_object head = {.size = 0};
	struct cb_record rec = {0};
	struct object_id id = {.etag = ""};
	struct oss_reply reply = {0};
	int rc = store->ops->head(store->self, key, &ctl, &head, &reply);

	if (rc < 0) {
		copy_failed(env, key, rc, &reply);
		return;
	}
	/* By the ETag alone: our own repetition, whose answer was lost, has
	   another time and version. */
	memcpy(id.etag, head.etag, sizeof(id.etag));
	id.size = head.size;
	rc = cblog_outcome(env->deps.db, key, &id, &rec);
	if (rc == 0) {
		if (is_wanted(&rec, forced))
			call_again(env, key, &head, &rec);
		cb_record_release(&rec);
	} else if (rc == -ENOENT) {
		recall_give_up(env->deps.db, key, "another version is stored");
	}
	oss_object_release(&head);
}
