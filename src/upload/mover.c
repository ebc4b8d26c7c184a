/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/mover.h"

#include <errno.h>
#include <string.h>

#include "callback/rules.h"
#include "state/cbvars.h"
#include "state/objmeta.h"
#include "upload/objects.h"
#include "upload/record.h"
#include "upload/render.h"
#include "upload/uploader_int.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"
#include "util/uuid.h"

/* All that one move gathers. */
struct work {
	const struct upload_env *env;
	const struct object_move *m;
	const struct rule *rule;
	struct staging_close close; /* of the new delivery */
	struct callback callback;
	bool has_callback;
	char *render_error;
	struct oss_put_result put;
	int64_t intent; /* 0: none */
};

static void work_release(struct work *w)
{
	staging_close_release(&w->close);
	callback_release(&w->callback);
	free(w->render_error);
	oss_put_result_release(&w->put);
}

static bool is_rename(const struct work *w)
{
	return strcmp(w->m->src, w->m->dst) != 0;
}

/* -- the callback that the new name asks for ---------------------------------------- */

/* Has the application heard of these bytes, or will it by a repetition? */
static bool was_told(const struct work *w, struct cb_record *record)
{
	struct db *db = w->env->deps.db;
	const char *path = upload_path(w->env, w->m->src);
	const struct rules *rules = w->env->deps.rules;

	if (w->m->src_id &&
	    cblog_outcome(db, w->m->src, w->m->src_id, record) == 0)
		return record->state != CALLBACK_NONE;
	/* No record here: the old name's rule says what would have been. */
	return rules_match(rules, path, UINT64_MAX, NULL)->enabled &&
	       !rules_is_temporary(rules, path);
}

static bool wants_callback(const struct work *w, struct cb_record *record)
{
	const char *path = upload_path(w->env, w->m->dst);
	bool told = was_told(w, record);

	if (!w->rule->enabled || w->m->is_passing ||
	    rules_is_temporary(w->env->deps.rules, path))
		return false;
	switch (w->rule->on_rename) {
	case ON_RENAME_ALWAYS:
		return true;
	case ON_RENAME_NEVER:
		return false;
	case ON_RENAME_AUTO:
		break;
	}
	return !told;
}

/* What is known of it, without asking. */
static int add_meta(struct work *w)
{
	const struct object_move *m = w->m;
	struct objmeta seen = {0};
	int rc;

	if (m->props && m->props->meta)
		return staging_close_add_meta(&w->close, m->props->meta);
	if (!m->src_id ||
	    objmeta_get(w->env->deps.db, m->src, m->src_id, &seen) < 0)
		return 0;
	rc = staging_close_add_meta(&w->close, &seen.meta);
	objmeta_release(&seen);
	return rc;
}

static int fill_close(struct work *w, const struct cb_record *record)
{
	const struct object_move *m = w->m;
	struct staging_close *c = &w->close;
	char id[UUID_LEN];

	c->uid = m->uid;
	c->gid = m->gid;
	c->mode = m->mode;
	c->mtime_ms = m->mtime_ms;
	c->pid = m->pid;
	/* A rename that a crash interrupts is made again, with the same id. */
	c->delivery_id =
		str_dup(record->delivery_id && *record->delivery_id
				? uuid_derive(record->delivery_id, m->dst, id)
				: uuid_make(id));
	c->previous_delivery_id =
		str_dup(record->delivery_id ? record->delivery_id : "");
	c->process = str_dup(m->process ? m->process : "");
	c->rule = str_dup(w->rule->name);
	if (!c->delivery_id || !c->previous_delivery_id || !c->process ||
	    !c->rule)
		return -ENOMEM;
	if (add_meta(w) < 0)
		return -ENOMEM;
	return cbvars_inherited(w->env->deps.db, m->src, &c->vars);
}

static bool is_marker(const char *key)
{
	size_t len = strlen(key);

	return len && key[len - 1] == '/';
}

static int prepare_callback(struct work *w)
{
	AUTO(kvs_release) struct kvs captures = KVS_INIT;
	struct cb_record record = {0};
	uint64_t size = w->m->src_id->size;
	int rc = 0;

	w->rule = rules_match(w->env->deps.rules,
			      upload_path(w->env, w->m->dst), size, &captures);
	if (is_rename(w) && !is_marker(w->m->src) &&
	    wants_callback(w, &record)) {
		rc = fill_close(w, &record);
		if (rc == 0)
			rc = upload_render(w->env, w->m->dst, size, &w->close,
					   w->rule, &captures, &w->callback,
					   &w->render_error);
		w->has_callback = rc == 0 && !w->render_error;
	}
	cb_record_release(&record);
	return rc;
}

/* -- the copy and the records ---------------------------------------------------------- */

static int copy(struct work *w)
{
	const struct object_move *m = w->m;
	const struct oss_callback headers = {w->callback.param,
					     w->callback.param_vars};
	const struct object_copy c = {
		.src = m->src,
		.dst = m->dst,
		.src_id = m->src_id,
		.props = m->props,
		.callback = w->has_callback ? &headers : NULL,
		.callback_urls = w->callback.url_count,
		/* A request more: not for each file of a folder. */
		.keep_acl = !is_rename(w),
		.deadline_ms = clock_mono_ms() + w->env->conf.retry_deadline_ms,
		.cancel = &w->env->is_ending,
		.db = w->env->deps.db,
	};

	return object_copy(&w->env->deps.store, w->env->parts, &c, &w->put);
}

static void move_records(struct work *w, const struct object_id *id)
{
	struct db *db = w->env->deps.db;
	const struct object_move *m = w->m;
	struct upload_props props = {0};
	struct callback_outcome o = {.state = CALLBACK_NONE};
	struct record r = {
		.key = m->dst,
		.id = id,
		.close = &w->close,
		.rule = w->rule,
		.callback = w->has_callback ? &w->callback : NULL,
		.outcome = &o,
		.attempt = 1,
	};

	if (m->props) {
		props.content_type = (char *)(uintptr_t)m->props->content_type;
		if (m->props->meta)
			props.meta = *m->props->meta;
		if (m->props->headers)
			props.headers = *m->props->headers;
		record_meta(db, m->dst, id, &props, &w->put);
		if (is_rename(w))
			objmeta_move(db, m->src, NULL, NULL);
	} else {
		objmeta_move(db, m->src, m->dst, id);
	}
	if (!w->has_callback && !w->render_error) {
		cblog_move(db, m->src, m->dst, id);
		return;
	}
	if (w->has_callback && record_read_outcome(&w->put, &o) < 0)
		log_err("callback: no memory for its answer: key=%s",
			LOG_Q(m->dst));
	if (w->render_error) {
		o.state = CALLBACK_FAILED;
		o.error = str_dup(w->render_error);
	}
	cblog_move(db, m->src, NULL, NULL);
	record_callback(w->env, &r);
	callback_outcome_release(&o);
}

static void begin_intent(struct work *w)
{
	const struct intent i = {
		.src = (char *)(uintptr_t)w->m->src,
		.dst = (char *)(uintptr_t)w->m->dst,
		.staged_id = w->m->staged_id,
	};
	struct intent with_etag = i;

	if (!w->m->remove_source)
		return;
	memcpy(with_etag.src_etag, w->m->src_id->etag,
	       sizeof(with_etag.src_etag));
	if (intent_add(w->env->deps.db, &with_etag, &w->intent) < 0)
		w->intent = 0; /* a crash may leave both names */
}

static int remove_source(struct work *w, struct oss_reply *reply)
{
	const struct store *store = &w->env->deps.store;
	struct oss_ctl ctl = {.deadline_ms = clock_mono_ms() +
					     w->env->conf.retry_deadline_ms};
	int rc;

	if (w->intent)
		intent_set_copied(w->env->deps.db, w->intent);
	failpoint("mover.copied");
	rc = store->ops->remove(store->self, w->m->src, &ctl, reply);
	failpoint("mover.removed");
	return rc;
}

/* What is moved, where the caller does not know it: a copy's answer tells no
   size. */
static int ask_source(struct uploader *u, const char *key, struct object_id *id,
		      struct oss_reply *reply)
{
	const struct store *store = &u->env.deps.store;
	struct oss_ctl ctl = {.deadline_ms = clock_mono_ms() +
					     u->env.conf.retry_deadline_ms,
			      .cancel = &u->env.is_ending};
	struct oss_object o = {.size = 0};
	int rc = store->ops->head(store->self, key, &ctl, &o, reply);

	if (rc == 0)
		object_id_of(&o, id);
	oss_object_release(&o);
	return rc;
}

int uploader_move(struct uploader *u, const struct object_move *move,
		  struct object_id *out_id, struct oss_reply *reply)
{
	struct object_id src_id;
	struct object_move known = *move;
	const struct object_move *m = &known;
	AUTO(work_release) struct work w = {.env = &u->env, .m = m};
	int rc = 0;

	if (!known.src_id) {
		rc = ask_source(u, known.src, &src_id, reply);
		known.src_id = &src_id;
	}
	if (rc == 0)
		rc = prepare_callback(&w);
	if (rc < 0)
		return rc;
	begin_intent(&w);
	rc = copy(&w);
	*reply = w.put.reply;
	if (rc == 0) {
		struct object_id id;

		object_id_of_put(&w.put, m->src_id->size, &id);
		*out_id = id;
		move_records(&w, &id);
		if (m->remove_source)
			rc = remove_source(&w, reply);
	}
	if (m->intent)
		*m->intent = w.intent;
	else if (w.intent)
		intent_remove(u->env.deps.db, w.intent);
	return rc;
}
