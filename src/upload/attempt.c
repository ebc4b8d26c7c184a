/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/attempt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "callback/outcome.h"
#include "callback/rules.h"
#include "state/kept.h"
#include "upload/finish.h"
#include "upload/multipart.h"
#include "upload/objects.h"
#include "upload/props.h"
#include "upload/record.h"
#include "upload/render.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"

/* All that one attempt gathers. */
struct work {
	struct attempt *a;
	const struct upload_env *env;
	struct staging_info info;
	struct staging_close close;
	struct upload_props props;
	const struct upload_props *stored; /* what the object has got */
	const struct rule *rule;
	struct callback callback;
	bool has_callback;
	char *render_error; /* the callback could not be rendered */
	struct multipart *multipart;
	struct oss_put_result put;
	int64_t began_ms, ended_ms;
};

static void work_release(struct work *w)
{
	staging_close_release(&w->close);
	upload_props_release(&w->props);
	callback_release(&w->callback);
	free(w->render_error);
	oss_put_result_release(&w->put);
}

/* -- the callback ------------------------------------------------------------ */

void attempt_spare_id(const struct staging_info *info, char out[37])
{
	uint64_t created = (uint64_t)info->created_ms;
	uint64_t id = (uint64_t)info->id;

	snprintf(out, 37, "%08x-%04x-4000-8%03x-%012" PRIx64,
		 (unsigned)(created >> 16) & 0xffffffffU,
		 (unsigned)created & 0xffffU, (unsigned)(id >> 48) & 0xfffU,
		 id & 0xffffffffffffU);
}

static int load_close(struct work *w)
{
	char id[37];
	int rc = staging_get_close(w->a->s, &w->close);

	if (rc == -ENODATA) /* closed by recovery */
		rc = 0;
	if (rc < 0 || w->close.delivery_id)
		return rc;
	attempt_spare_id(&w->info, id);
	return str_set(&w->close.delivery_id, id);
}

static int prepare_callback(struct work *w)
{
	AUTO(kvs_release) struct kvs captures = KVS_INIT;
	int rc = load_close(w);

	if (rc < 0)
		return rc;
	w->rule = rules_match(w->env->deps.rules,
			      upload_path(w->env, w->info.key), w->info.size,
			      &captures);
	/* A temporary name's hold ran out: but it may have its final one now. */
	if (!w->rule->enabled ||
	    (w->close.no_callback &&
	     rules_is_temporary(w->env->deps.rules,
				upload_path(w->env, w->info.key))))
		return 0;
	rc = upload_render(w->env, w->info.key, w->info.size, &w->close,
			   w->rule, &captures, &w->callback, &w->render_error);
	w->has_callback = rc == 0 && !w->render_error;
	return rc;
}

/* -- storing -------------------------------------------------------------------- */

/* on_conflict = fail: the object must be the one that was opened.  Our own
 * earlier try may have replaced it, unheard. */
static int check_conflict(struct work *w)
{
	const struct store *store = &w->env->deps.store;
	struct oss_ctl ctl = run_ctl(w->env, w->a->run);
	struct oss_object o = {.size = 0};
	struct staging_base base;
	uint64_t crc;
	int rc;

	if (!w->props.check_conflict || !staging_base_of(w->a->s, &base))
		return 0;
	rc = store->ops->head(store->self, w->info.key, &ctl, &o,
			      &w->put.reply);
	if (rc == -ENOENT)
		rc = -ESTALE;
	else if (rc == 0 && strcasecmp(o.etag, base.etag) != 0 &&
		 !(o.size == w->info.size && o.has_crc64 &&
		   staged_crc64(w->a->s, &crc) == 0 && crc == o.crc64))
		rc = -ESTALE;
	oss_object_release(&o);
	return rc;
}

static int put_whole(struct work *w, const struct upload_want *want)
{
	const struct store *store = &w->env->deps.store;
	struct staged_source from = {
		.s = w->a->s, .run = w->a->run, .whole = w->info.size};
	struct oss_source source = staged_source(&from, w->info.size);
	struct oss_props props = upload_props_oss(want->props);
	struct oss_ctl ctl = run_ctl(w->env, w->a->run);
	int rc = staged_fill(w->env, w->a->s, w->a->run, 0, w->info.size);

	/* Its base goes with this: a repetition needs the bytes here. */
	if (rc == 0)
		rc = staging_keep_filled(w->a->s);
	if (rc < 0)
		return rc;
	ctl.callback_urls = want->callback ? want->callback_urls : 0;
	failpoint("upload.put.before");
	rc = store->ops->put(store->self, w->info.key, &source, &props,
			     want->callback, &ctl, &w->put);
	failpoint("upload.put.after");
	return rc;
}

static bool in_parts(const struct work *w)
{
	return w->info.size > 0 &&
	       (w->info.size >= w->env->conf.multipart_threshold ||
		w->info.size > OSS_PUT_MAX);
}

static int store_bytes(struct work *w, const struct upload_want *want)
{
	int rc;

	/* It was cut short, or renamed, after parts had gone out. */
	if (w->multipart &&
	    (!in_parts(w) || !multipart_is_for(w->multipart, w->info.key))) {
		multipart_abort(w->multipart);
		multipart_free(w->multipart);
		w->multipart = NULL;
	}
	if (!in_parts(w))
		return put_whole(w, want);
	if (!w->multipart) {
		rc = multipart_new(w->env, w->a->s, w->a->run, &w->multipart);
		if (rc < 0)
			return rc;
	}
	return multipart_send(w->multipart, want, &w->put, &w->stored);
}

static int store(struct work *w)
{
	struct oss_callback headers = {w->callback.param,
				       w->callback.param_vars};
	struct upload_want want = {
		.props = &w->props,
		.callback = w->has_callback ? &headers : NULL,
		.callback_urls = w->callback.url_count,
	};
	int rc = store_bytes(w, &want);

	/* Whose is it?  Ours, where an answer may have been lost. */
	if (rc == -EEXIST && w->props.forbid_overwrite &&
	    (w->put.reply.attempts > 1 || w->info.attempts > 0 ||
	     w->info.closed_ms < w->env->started_real_ms))
		rc = finish_own(w->env, w->a->run, w->a->s, w->info.key, &want,
				&w->put);
	return rc;
}

static int gather(struct work *w)
{
	struct staging *s = w->a->s;
	int rc = staging_begin_upload(s);

	staging_get_info(s, &w->info);
	if (rc == 0 && w->info.size > OSS_OBJECT_MAX)
		rc = -EFBIG;
	if (rc == 0)
		rc = prepare_callback(w);
	if (rc == 0)
		rc = upload_props_make(w->env, s, w->info.key, w->info.size,
				       &w->props);
	w->stored = &w->props;
	return rc;
}

/* -- what came of it -------------------------------------------------------------- */

static int read_whole(struct staging *s, uint64_t size, struct buf *out)
{
	uint64_t miss_off, miss_len;

	if (staging_missing(s, 0, size, &miss_off, &miss_len))
		return -ENODATA;
	while (out->len < size) {
		size_t left = (size_t)size - out->len;
		char *to = buf_reserve(out, left);
		ssize_t n = to ? staging_pread(s, to, left, out->len) : -ENOMEM;

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		buf_commit(out, (size_t)n);
	}
	return 0;
}

/* For upload/recall.h.  What staged files may take comes first. */
static void keep_bytes(struct work *w)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	uint64_t size = w->info.size;
	int rc;

	if (size == 0 || size > KEPT_FILE_MAX || in_parts(w) ||
	    staging_room(w->a->s) < KEPT_ALL_MAX)
		return;
	rc = read_whole(w->a->s, size, &bytes);
	if (rc == 0)
		rc = kept_put(w->env->deps.db, w->close.delivery_id, &bytes);
	if (rc < 0)
		log_debug("upload: its bytes are not kept: key=%s errno=%d",
			  LOG_Q(w->info.key), -rc);
}

static int64_t answer_ms(const struct work *w)
{
	int64_t last = atomic_load(&w->a->run->last_ms);

	return w->ended_ms - (last > w->began_ms ? last : w->began_ms);
}

static void record(struct work *w, const struct object_id *id)
{
	struct db *db = w->env->deps.db;
	struct callback_outcome o = {.state = CALLBACK_NONE};
	struct record r = {
		.key = w->info.key,
		.id = id,
		.close = &w->close,
		.rule = w->rule,
		.callback = w->has_callback ? &w->callback : NULL,
		.outcome = &o,
		.elapsed_ms = answer_ms(w),
		.attempt = 1,
		.db_flags = DB_LATER,
	};

	if (w->has_callback && record_read_outcome(&w->put, &o) < 0)
		log_err("callback: no memory for its answer: key=%s",
			LOG_Q(w->info.key));
	if (w->render_error) {
		o.state = CALLBACK_FAILED;
		o.error = str_dup(w->render_error);
	}
	record_meta(db, w->info.key, id, w->stored, &w->put);
	record_callback(w->env, &r);
	if (w->has_callback && o.state == CALLBACK_FAILED &&
	    w->rule->retry_for_ms > 0)
		keep_bytes(w);
	w->a->outcome.callback = o.state;
	if (o.state == CALLBACK_FAILED && w->rule->fail_close)
		w->a->outcome.close_rc = -EREMOTEIO;
	callback_outcome_release(&o);
}

static void succeeded(struct work *w)
{
	struct upload_outcome *o = &w->a->outcome;
	int rc;

	object_id_of_put(&w->put, w->info.size, &o->id);
	o->crc64 = w->put.crc64;
	o->has_crc64 = w->put.has_crc64;
	failpoint("upload.stored");
	record(w, &o->id);
	failpoint("upload.recorded");
	if (w->env->deps.stored)
		w->env->deps.stored(w->env->deps.stored_arg, w->a->s, &o->id);
	/* One commit for all that was written since the answer came. */
	rc = staging_stored(w->a->s, w->a->is_waited_for);
	if (rc < 0 && rc != -ESTALE) /* staging_done() tries again */
		log_warn("upload: stored, but not committed: key=%s errno=%d",
			 LOG_Q(w->info.key), -rc);
	multipart_free(w->multipart);
	w->multipart = NULL;
	log_info("upload: stored: key=%s size=%" PRIu64 " ms=%" PRId64
		 " callback=%s request_id=%s",
		 LOG_Q(w->info.key), w->info.size, w->ended_ms - w->began_ms,
		 callback_state_name(o->callback), w->put.reply.request_id);
}

static void explain(struct work *w)
{
	struct attempt *a = w->a;
	int rc = a->outcome.rc;
	char words[384];

	if (w->put.reply.http != 0 || w->put.reply.code[0])
		snprintf(a->error, sizeof(a->error), "%s: %s", strerror(-rc),
			 oss_reply_describe(&w->put.reply, words,
					    sizeof(words)));
	else
		snprintf(a->error, sizeof(a->error), "%s", strerror(-rc));
}

void attempt_run(struct attempt *a)
{
	struct work w = {
		.a = a,
		.env = a->env,
		.multipart = a->stream,
		.began_ms = clock_mono_ms(),
	};
	int rc;

	a->stream = NULL;
	a->error[0] = '\0';
	memset(&a->outcome, 0, sizeof(a->outcome));
	rc = gather(&w);
	if (rc == 0)
		rc = check_conflict(&w);
	if (rc == 0)
		rc = store(&w);
	w.ended_ms = clock_mono_ms();
	a->outcome.rc = rc;
	a->outcome.close_rc = rc;
	a->outcome.callback = CALLBACK_PENDING;
	a->outcome.reply = w.put.reply;
	if (rc == 0)
		succeeded(&w);
	else
		explain(&w);
	a->stream = w.multipart;
	work_release(&w);
}
