/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer asks for a scan; a scan (a task without key) reads which callbacks
 * are due into a batch; the batch is worked off by a few tasks, each on
 * its object's key; when it is done the next scan follows, or the timer is set.
 *
 * An application server that fails (by its host, whatever the path) has an
 * entry in `servers` until it answers.  After a few failures in a row it is
 * down: of its callbacks one at a time is made, with growing pauses.  Uploads
 * tell of their callbacks too.
 */
#include "upload/recall.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "callback/address.h"
#include "callback/outcome.h"
#include "callback/rules.h"
#include "state/cblog.h"
#include "state/db.h"
#include "state/kept.h"
#include "upload/recall_one.h"
#include "upload/retry.h"
#include "upload/uploader_int.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	BATCH_MAX = 1024,
	PARALLEL = 2,
	RESCAN_MS = 1000,
	/* So many failures without an answer between: the server is down. */
	DOWN_AFTER = 3,
	OSS_DOWN_MS = 10000, /* while it does not answer at all */
};

struct server {
	char *url;
	int failures; /* in a row */
	/* When it is down: */
	int64_t probe_ms; /* clock_mono_ms() */
	bool is_probing;
	bool is_picked; /* by this scan */
	struct server *next;
};

struct due {
	char *key, *url;
};

struct recall {
	const struct upload_env *env;
	struct uploader *u;
	atomic_int refs; /* the owner's, the uploader's, one a task */

	struct lock lock; /* guards what follows */
	struct cond ticked;
	bool is_stopping, is_ticking;
	timer_id timer;
	int64_t timer_ms;
	bool is_scanning;
	struct due *batch;
	size_t count, at;
	int running;
	struct server *servers;
};

/* -- life ------------------------------------------------------------------ */

static struct recall *recall_get(struct recall *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

static void drop_batch_locked(struct recall *r) ACK_REQUIRES(r->lock)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->batch[i].key);
		free(r->batch[i].url);
	}
	free(r->batch);
	r->batch = NULL;
	r->count = r->at = 0;
}

static void recall_put(void *arg) ACK_NO_ANALYSIS
{
	struct recall *r = arg;
	struct server *s, *tmp;

	if (atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	drop_batch_locked(r);
	LL_FOREACH_SAFE(r->servers, s, tmp)
	{
		free(s->url);
		free(s);
	}
	cond_destroy(&r->ticked);
	lock_destroy(&r->lock);
	free(r);
}

static void callback_made(void *arg, const char *url,
			  const struct callback_outcome *o);

int recall_new(struct uploader *u, struct recall **out)
{
	struct recall *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->u = u;
	r->env = &u->env;
	atomic_init(&r->refs, 2);
	lock_init(&r->lock, LOCK_UPLOADER);
	cond_init(&r->ticked);
	u->env.recall.made = callback_made;
	u->env.recall.release = recall_put;
	u->env.recall.arg = r;
	*out = r;
	return 0;
}

void recall_free(struct recall *r)
{
	if (!r)
		return;
	lock_acquire(&r->lock);
	r->is_stopping = true;
	if (r->timer && timer_cancel(r->env->deps.timers, r->timer))
		r->is_ticking = false;
	r->timer = 0;
	while (r->is_ticking)
		cond_wait(&r->ticked, &r->lock);
	lock_release(&r->lock);
	recall_put(r);
}

/* -- timer --------------------------------------------------------------------- */

static void tick(void *arg);

static void arm_locked(struct recall *r, int64_t when_ms) ACK_REQUIRES(r->lock)
{
	if (r->is_stopping)
		return;
	if (r->is_ticking) {
		if (r->timer_ms == 0 || r->timer_ms <= when_ms ||
		    !timer_cancel(r->env->deps.timers, r->timer))
			return;
	}
	r->timer = timer_add(r->env->deps.timers, when_ms, tick, r);
	r->timer_ms = when_ms;
	r->is_ticking = r->timer != 0;
}

void recall_start(struct recall *r)
{
	lock_acquire(&r->lock);
	arm_locked(r, clock_mono_ms());
	lock_release(&r->lock);
}

/* -- servers that fail ---------------------------------------------------------------- */

static bool is_down(const struct server *s)
{
	return s && s->failures >= DOWN_AFTER;
}

static struct server *server_find_locked(struct recall *r, const char *url)
	ACK_REQUIRES(r->lock)
{
	struct server *s;

	LL_FOREACH(r->servers, s)
	{
		if (addresses_same_servers(s->url, url))
			return s;
	}
	return NULL;
}

static void server_answers_locked(struct recall *r, struct server *s)
	ACK_REQUIRES(r->lock)
{
	if (is_down(s))
		log_notice("callback: the server answers again: url=%s",
			   LOG_Q(s->url));
	LL_DELETE(r->servers, s);
	free(s->url);
	free(s);
}

static void server_fails_locked(struct recall *r, const char *url,
				struct server *s) ACK_REQUIRES(r->lock)
{
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || str_set(&s->url, url) < 0) {
			free(s);
			return;
		}
		LL_PREPEND(r->servers, s);
	}
	if (++s->failures == DOWN_AFTER)
		log_warn("callback: the server is down, callbacks wait: url=%s",
			 LOG_Q(url));
	if (is_down(s))
		s->probe_ms = clock_mono_ms() +
			      retry_pause_ms(s->failures - DOWN_AFTER + 1);
}

static void callback_made(void *arg, const char *url,
			  const struct callback_outcome *o)
{
	struct recall *r = arg;
	struct server *s;

	lock_acquire(&r->lock);
	s = server_find_locked(r, url);
	if (!o) {
		s = NULL; /* it says nothing of the server */
	} else if (callback_is_server_down(o)) {
		/* Uploads go on, their failures say nothing new. */
		if (!is_down(s) || s->is_probing)
			server_fails_locked(r, url, s);
	} else if (s) {
		server_answers_locked(r, s);
	}
	if (!o || o->state == CALLBACK_FAILED || s)
		arm_locked(r, clock_mono_ms() + RESCAN_MS);
	lock_release(&r->lock);
}

/* May this callback be made now?  When its server is down, one is. */
static bool may_call_locked(struct recall *r, const char *url)
	ACK_REQUIRES(r->lock)
{
	struct server *s = server_find_locked(r, url);

	if (!is_down(s))
		return true;
	if (s->is_probing || clock_mono_ms() < s->probe_ms)
		return false;
	s->is_probing = true;
	return true;
}

static void probe_over_locked(struct recall *r, const char *url)
	ACK_REQUIRES(r->lock)
{
	struct server *s = url ? server_find_locked(r, url) : NULL;

	if (s)
		s->is_probing = false;
}

/* -- the batch --------------------------------------------------------------------------- */

/* A task that makes one callback again. */
struct repeat {
	struct recall *r;
	char key[STAGING_KEY_MAX];
	char *url;   /* NULL: by hand */
	bool forced; /* by hand: also when it was answered or given up */
};

static void pump_locked(struct recall *r) ACK_REQUIRES(r->lock);

static void repeat_over(struct repeat *p)
{
	struct recall *r = p->r;

	if (!p->forced) {
		lock_acquire(&r->lock);
		r->running--;
		probe_over_locked(r, p->url);
		pump_locked(r);
		lock_release(&r->lock);
	}
	recall_put(r);
	free(p->url);
	free(p);
}

static bool is_stopping(struct recall *r)
{
	bool stopping;

	lock_acquire(&r->lock);
	stopping = r->is_stopping;
	lock_release(&r->lock);
	return stopping;
}

static void repeat_run(void *arg)
{
	struct repeat *p = arg;

	if (!is_stopping(p->r))
		recall_one(p->r->env, p->key, p->forced);
	repeat_over(p);
}

static void repeat_dropped(void *arg)
{
	repeat_over(arg);
}

/* Takes url. @return 0, -ESHUTDOWN, -errno */
static int submit_repeat(struct recall *r, const char *key, char *url)
{
	struct repeat *p = calloc(1, sizeof(*p));
	struct keyq_task task = {
		.class = KEYQ_BACKGROUND,
		.key = key,
		.run = repeat_run,
		.dropped = repeat_dropped,
		.arg = p,
	};
	int rc = p ? 0 : -ENOMEM;

	if (p) {
		p->r = recall_get(r);
		snprintf(p->key, sizeof(p->key), "%s", key);
		p->url = url;
		p->forced = !url;
		rc = keyq_submit(r->env->deps.queue, &task);
	}
	if (rc < 0) {
		if (p)
			atomic_fetch_sub(&r->refs, 1); /* not the last one */
		free(p);
		free(url);
	}
	return rc;
}

/* Work off the batch, a few at a time; at its end look again. */
static void pump_locked(struct recall *r)
{
	while (r->running < PARALLEL && r->at < r->count && !r->is_stopping) {
		struct due *d = &r->batch[r->at++];

		if (!may_call_locked(r, d->url))
			continue;
		r->running++;
		if (submit_repeat(r, d->key, take_ptr(d->url)) < 0)
			r->running--;
	}
	if (r->at < r->count || r->running > 0 || r->count == 0)
		return;
	drop_batch_locked(r);
	arm_locked(r, clock_mono_ms() + RESCAN_MS);
}

struct scan {
	struct recall *r;
	int64_t now_ms; /* clock_real_ms() */
	struct due *batch;
	size_t count;
	int64_t next_ms; /* clock_real_ms() of the first that is not due */
	char **late;     /* keys that are given up */
	size_t late_count;
};

static void look_again(struct scan *s, int64_t real_ms)
{
	if (real_ms < s->next_ms)
		s->next_ms = real_ms;
}

/* Its server is down: one of its callbacks is picked when it is time. */
static bool is_held_back(struct scan *s, const char *url)
{
	struct server *server;
	bool held = false;

	lock_acquire(&s->r->lock);
	server = server_find_locked(s->r, url);
	if (is_down(server)) {
		int64_t left = server->probe_ms - clock_mono_ms();

		held = server->is_probing || server->is_picked || left > 0;
		server->is_picked = true;
		look_again(s,
			   s->now_ms + (left > RESCAN_MS ? left : RESCAN_MS));
	}
	lock_release(&s->r->lock);
	return held;
}

static int look_at(void *arg, const struct cb_record *rec)
{
	struct scan *s = arg;
	struct due *d = &s->batch[s->count];

	if (rec->next_try_ms > s->now_ms) {
		look_again(s, rec->next_try_ms);
		return 0;
	}
	if (rec->give_up_ms <= s->now_ms || !rec->url) {
		if (s->late_count < BATCH_MAX)
			s->late[s->late_count++] = str_dup(rec->key);
		return 0;
	}
	if (is_held_back(s, rec->url))
		return 0;
	if (s->count == BATCH_MAX)
		return 1;
	*d = (struct due){str_dup(rec->key), str_dup(rec->url)};
	if (!d->key || !d->url) {
		free(d->key);
		free(d->url);
		return -ENOMEM;
	}
	s->count++;
	return 0;
}

static void forget_picks(struct recall *r)
{
	struct server *s;

	lock_acquire(&r->lock);
	LL_FOREACH(r->servers, s)
	s->is_picked = false;
	lock_release(&r->lock);
}

static void scan_log(struct scan *s)
{
	const struct cblog_filter due = {.state = CALLBACK_FAILED,
					 .latest_only = true,
					 .due_only = true};
	int rc = -ENOMEM;

	forget_picks(s->r);
	/* Nobody looks again for an outcome that is not written yet. */
	(void)db_settle(s->r->env->deps.db);
	s->batch = calloc(BATCH_MAX, sizeof(*s->batch));
	s->late = calloc(BATCH_MAX, sizeof(*s->late));
	if (s->batch && s->late)
		rc = cblog_walk(s->r->env->deps.db, &due, look_at, s);
	if (rc < 0)
		log_err("callback: what is due cannot be read: errno=%d", -rc);
	for (size_t i = 0; i < s->late_count; i++) {
		if (s->late[i])
			recall_give_up(s->r->env->deps.db, s->late[i],
				       "its time is over");
		free(s->late[i]);
	}
	free(s->late);
	/* When there is time. */
	if (s->count == 0 && kept_prune(s->r->env->deps.db) < 0)
		log_warn("callback: bytes kept for it cannot be dropped");
}

static int64_t mono_of(int64_t real_ms)
{
	return real_ms == INT64_MAX
		       ? INT64_MAX
		       : clock_mono_ms() + real_ms - clock_real_ms();
}

static void take_batch(struct recall *r, struct scan *s)
{
	int64_t next = mono_of(s->next_ms);

	lock_acquire(&r->lock);
	r->is_scanning = false;
	if (s->count == 0) {
		free(s->batch);
		if (next < INT64_MAX)
			arm_locked(r, next);
	} else {
		r->batch = s->batch;
		r->count = s->count;
		r->at = 0;
		pump_locked(r);
	}
	lock_release(&r->lock);
}

static void scan_run(void *arg)
{
	struct recall *r = arg;
	struct scan s = {
		.r = r, .now_ms = clock_real_ms(), .next_ms = INT64_MAX};
	struct uploader_totals totals;

	/* A callback cannot be made without OSS. */
	uploader_totals(r->u, &totals);
	if (totals.unreachable)
		s.next_ms = s.now_ms + OSS_DOWN_MS;
	else if (!is_stopping(r))
		scan_log(&s);
	take_batch(r, &s);
	recall_put(r);
}

static void scan_dropped(void *arg)
{
	recall_put(arg);
}

static void tick(void *arg)
{
	struct recall *r = arg;
	struct keyq_task task = {.class = KEYQ_BACKGROUND,
				 .run = scan_run,
				 .dropped = scan_dropped,
				 .arg = r};
	int rc = 0;

	lock_acquire(&r->lock);
	r->timer = 0;
	r->timer_ms = 0;
	r->is_ticking = false;
	if (!r->is_stopping && !r->is_scanning && r->count == 0) {
		r->is_scanning = true;
		recall_get(r);
		rc = keyq_submit(r->env->deps.queue, &task);
		if (rc < 0) {
			r->is_scanning = false;
			atomic_fetch_sub(&r->refs, 1); /* not the last one */
		}
	}
	if (rc < 0 && rc != -ESHUTDOWN)
		arm_locked(r, clock_mono_ms() + RESCAN_MS);
	cond_broadcast(&r->ticked);
	lock_release(&r->lock);
}

/* -- by hand ---------------------------------------------------------------------------------- */

int recall_now(struct recall *r, const char *key)
{
	struct cb_record *last = NULL;
	size_t count = 0;
	int rc = db_settle(r->env->deps.db);

	if (rc == 0)
		rc = cblog_history(r->env->deps.db, key, 1, &last, &count);
	if (rc == 0 && count == 0)
		rc = -ENOENT;
	if (rc == 0 && (last[0].state == CALLBACK_NONE || !last[0].url))
		rc = -ENODATA;
	cb_records_free(last, count);
	return rc < 0 ? rc : submit_repeat(r, key, NULL);
}
