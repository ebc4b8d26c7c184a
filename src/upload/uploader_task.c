/* SPDX-License-Identifier: Apache-2.0 */
/* A file's turn on its key: the attempt, its outcome, and who hears of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "upload/multipart.h"
#include "upload/retry.h"
#include "upload/uploader_int.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/log.h"

/* A task in the queue: what it may do is decided when it runs. */
struct turn {
	struct uploader *u;
	int64_t id;
	uint64_t ticket;
};

/* What became of an attempt that did not store the file. */
struct failure {
	int rc;          /* 0: there was none */
	bool is_planned; /* it is tried again by itself */
	bool is_slow;    /* ... rarely: our keys or the clock are to blame */
	bool is_held_up; /* by the outage: nothing was tried */
	struct oss_reply reply;
	char error[512];
};

/* -- outcomes --------------------------------------------------------------- */

static void tell(struct uploader *u, struct staging *s,
		 const struct upload_outcome *o, struct watcher *watchers)
{
	if (u->env.deps.event)
		u->env.deps.event(u->env.deps.event_arg, s, o);
	else if (o->rc == 0 && staging_discard(s) < 0)
		log_warn("upload: stored, but not taken off the journal: "
			 "id=%lld",
			 (long long)staging_id(s));
	upload_answer(watchers, o);
}

static struct watcher *take_watchers_locked(struct upload *up)
{
	struct watcher *w = up->watchers;

	up->watchers = NULL;
	return w;
}

/* From here on it may be opened again, and be closed and submitted anew: it
   stands in no table any more. */
static void mark_done(const struct upload *up)
{
	int rc = staging_done(up->s);

	if (rc < 0 && rc != -ESTALE) /* cancelled meanwhile */
		log_err("upload: stored, but the journal does not know: "
			"id=%lld errno=%d",
			(long long)up->id, -rc);
}

static void conclude_stored(struct uploader *u, struct upload *up,
			    const struct attempt *a)
{
	bool cancelled;

	lock_acquire(&u->lock);
	cancelled = up->is_cancelled;
	upload_leave_locked(u, up);
	u->totals.stored++;
	u->totals.bytes += up->size;
	upload_note_stored_locked(u);
	lock_release(&u->lock);
	if (cancelled) {
		upload_bury(u, up, UPLOAD_END_CANCELLED);
		return;
	}
	mark_done(up);
	tell(u, up->s, &a->outcome, take_watchers_locked(up));
	upload_free(up);
}

static void log_failure(const char *key, const struct failure *f, int failures,
			int64_t pause_ms)
{
	if (f->is_held_up)
		log_info("upload: waits for OSS to answer again: key=%s",
			 LOG_Q(key));
	else if (f->is_planned)
		log_warn("upload: failed, will retry: key=%s failures=%d "
			 "in_ms=%" PRId64 " error=%s",
			 LOG_Q(key), failures, pause_ms, LOG_Q(f->error));
	else
		log_err("upload: failed, waits for a remount or a retry by "
			"hand: key=%s failures=%d error=%s",
			LOG_Q(key), failures, LOG_Q(f->error));
}

/* @return until the next try; INT64_MAX: by hand */
static int64_t plan(const struct upload *up, struct failure *f)
{
	enum retry_verdict v = retry_judge(f->rc, &f->reply);

	f->is_planned = v != RETRY_BY_HAND;
	f->is_slow = v == RETRY_SLOWLY;
	switch (v) {
	case RETRY_SOON:
		return retry_pause_ms(up->failures + 1);
	case RETRY_SLOWLY:
		return RETRY_LONGEST_MS;
	case RETRY_BY_HAND:
		break;
	}
	return INT64_MAX;
}

/* The bytes are kept, in RETRYING; nobody else touches `up` meanwhile. */
static void journal_failure(struct upload *up, const struct failure *f,
			    int64_t pause_ms)
{
	int64_t next =
		pause_ms == INT64_MAX ? INT64_MAX : clock_real_ms() + pause_ms;
	int rc = staging_retry_later(up->s, f->rc, f->error, next);

	if (rc < 0)
		log_err("upload: its failure could not be journaled: id=%lld "
			"errno=%d",
			(long long)up->id, -rc);
}

static void pause_locked(struct uploader *u, struct upload *up,
			 const struct failure *f, int64_t pause_ms)
	ACK_REQUIRES(u->lock)
{
	up->failures++;
	up->is_first = false;
	up->due_ms =
		pause_ms == INT64_MAX ? pause_ms : clock_mono_ms() + pause_ms;
	up->phase = UPLOAD_PAUSED;
	up->is_slow = f->is_slow;
	u->has_slow |= f->is_slow;
	u->totals.failed++;
	if (f->is_planned)
		upload_arm_locked(u, up->due_ms);
	upload_note_failure_locked(u, f->rc, &f->reply, f->error);
}

/* @return false: it was cancelled meanwhile, and is buried */
static bool pause_upload(struct uploader *u, struct upload *up,
			 struct attempt *a, const struct failure *f,
			 int64_t pause_ms, struct watcher **watchers)
{
	bool cancelled;

	lock_acquire(&u->lock);
	cancelled = up->is_cancelled;
	up->stream = take_ptr(a->stream);
	if (cancelled) {
		upload_leave_locked(u, up);
	} else {
		pause_locked(u, up, f, pause_ms);
		*watchers = take_watchers_locked(up);
	}
	lock_release(&u->lock);
	/* From here on `up` may be another thread's. */
	if (cancelled)
		upload_bury(u, up, UPLOAD_END_CANCELLED);
	return !cancelled;
}

static bool is_cancelled(struct uploader *u, const struct upload *up)
{
	bool cancelled;

	lock_acquire(&u->lock);
	cancelled = up->is_cancelled;
	lock_release(&u->lock);
	return cancelled;
}

/* The mount ends: that is no failure, the journal has the file for the next
   start.  Its close() must not take it for an upload that became void. */
static bool is_broken_off(struct uploader *u, const struct failure *f)
{
	return f->rc == -ECANCELED && atomic_load(&u->env.is_ending);
}

static void conclude_failed(struct uploader *u, struct upload *up,
			    struct attempt *a, struct failure *f)
{
	struct upload_outcome o = a->outcome;
	struct staging *s = staging_get(up->s);
	bool broken_off = is_broken_off(u, f);
	int64_t pause = plan(up, f);
	struct watcher *watchers = NULL;
	char key[STAGING_KEY_MAX];

	if (a->stream && !f->is_planned) { /* parts cost money */
		multipart_abort(a->stream);
		multipart_free(take_ptr(a->stream));
	}
	if (broken_off) {
		o.rc = o.close_rc = -ESHUTDOWN;
	} else if (!is_cancelled(u, up)) {
		journal_failure(up, f, pause);
		staging_key(s, key);
		log_failure(key, f, up->failures + 1, pause);
	}
	if (pause_upload(u, up, a, f, pause, &watchers))
		tell(u, s, &o, watchers);
	staging_put(s);
}

/* -- the attempt ------------------------------------------------------------------ */

/* Nobody waits, or has waited long enough: what is known of the outage is the
 * answer. */
static bool is_held_up_locked(struct uploader *u, const struct upload *up,
			      struct failure *f) ACK_REQUIRES(u->lock)
{
	bool waited_for =
		up->is_first && up->watchers &&
		clock_mono_ms() <
			up->submitted_ms + u->env.conf.retry_deadline_ms;

	if (!u->is_down || waited_for)
		return false;
	f->rc = u->down_rc;
	f->is_held_up = true;
	f->reply = u->down_reply;
	snprintf(f->error, sizeof(f->error), "%s", u->down_error);
	return true;
}

static void begin_locked(struct uploader *u, struct upload *up)
	ACK_REQUIRES(u->lock)
{
	struct upload_run *run = up->run;

	atomic_store(&run->cancel,
		     up->is_cancelled || atomic_load(&u->env.is_ending));
	atomic_store(&run->is_sent, false);
	if (!up->stream)
		atomic_store(&run->sent, 0);
	atomic_store(&run->began_ms, clock_mono_ms());
}

/* Cancelled, perhaps before it was submitted: its name is gone. */
static void note_discarded(struct uploader *u, struct upload *up)
{
	bool discarded = staging_is_discarded(up->s);

	lock_acquire(&u->lock);
	up->is_cancelled |= discarded;
	lock_release(&u->lock);
}

/* `up` is RUNNING, this thread's; it is not any more afterwards. */
static void run_attempt(struct uploader *u, struct upload *up,
			struct failure *f)
{
	struct attempt a = {.env = &u->env, .s = up->s, .run = up->run};
	bool held_up;

	memset(f, 0, sizeof(*f));
	lock_acquire(&u->lock);
	held_up = is_held_up_locked(u, up, f);
	if (!held_up)
		begin_locked(u, up);
	a.stream = take_ptr(up->stream);
	a.is_waited_for = up->watchers != NULL;
	lock_release(&u->lock);
	if (held_up) {
		a.outcome.rc = a.outcome.close_rc = f->rc;
		a.outcome.reply = f->reply;
		a.outcome.callback = CALLBACK_PENDING;
		conclude_failed(u, up, &a, f);
		return;
	}
	attempt_run(&a);
	note_discarded(u, up);
	if (a.outcome.rc == 0) {
		conclude_stored(u, up, &a);
		return;
	}
	f->rc = a.outcome.rc;
	f->reply = a.outcome.reply;
	snprintf(f->error, sizeof(f->error), "%s", a.error);
	conclude_failed(u, up, &a, f);
}

/* Has its close() been told that it failed, or does it wait for somebody? */
static bool is_void(const struct upload *up)
{
	return !up->is_first && (up->is_told || up->due_ms == INT64_MAX);
}

/* An older file of the key, whose turn is before: it failed, and its own task
 * may stand behind this one.  A void one leaves the tables. */
static struct upload *claim_older(struct uploader *u, const struct upload *up,
				  bool *is_over)
{
	struct upload *o, *found = NULL;

	lock_acquire(&u->lock);
	for (o = up->line ? up->line->uploads : NULL; o && o != up;
	     o = o->next) {
		if (o->phase != UPLOAD_PAUSED && o->phase != UPLOAD_QUEUED)
			continue;
		found = o;
		break;
	}
	if (found) {
		*is_over = is_void(found);
		found->ticket = 0;
		if (*is_over)
			upload_leave_locked(u, found);
		else
			found->phase = UPLOAD_RUNNING;
	}
	lock_release(&u->lock);
	return found;
}

/* It could not go before the older one. */
static void hold_back(struct uploader *u, struct upload *up,
		      const struct failure *older)
{
	struct attempt a = {.env = &u->env, .s = up->s, .run = up->run};
	struct failure f = *older;

	a.outcome.rc = a.outcome.close_rc = f.rc;
	a.outcome.reply = f.reply;
	a.outcome.callback = CALLBACK_PENDING;
	a.stream = up->stream;
	up->stream = NULL;
	snprintf(f.error, sizeof(f.error),
		 "an older version could not be stored: %.400s", older->error);
	conclude_failed(u, up, &a, &f);
}

static void run_in_turn(struct uploader *u, struct upload *up)
{
	struct upload *older;
	struct failure f;
	bool is_over;

	while ((older = claim_older(u, up, &is_over))) {
		if (is_over) {
			staging_supersede(older->s);
			upload_bury(u, older, UPLOAD_END_SUPERSEDED);
			continue;
		}
		run_attempt(u, older, &f);
		if (f.rc < 0 && f.is_planned) {
			hold_back(u, up, &f);
			return;
		}
	}
	run_attempt(u, up, &f);
}

/* -- tasks ---------------------------------------------------------------------------- */

static struct upload *claim(struct turn *t)
{
	struct uploader *u = t->u;
	struct upload *up;

	lock_acquire(&u->lock);
	up = upload_find_locked(u, t->id);
	if (up && (up->ticket != t->ticket || up->phase != UPLOAD_QUEUED))
		up = NULL;
	if (up) {
		up->ticket = 0;
		up->phase = UPLOAD_RUNNING;
	}
	lock_release(&u->lock);
	return up;
}

static void turn_run(void *arg)
{
	struct turn *t = arg;
	struct upload *up = claim(t);

	if (up)
		run_in_turn(t->u, up);
	free(t);
}

/* The queue ends: the journal has the file for the next start. */
static void turn_dropped(void *arg)
{
	static const struct upload_outcome ended = {
		.rc = -ESHUTDOWN,
		.close_rc = -ESHUTDOWN,
		.callback = CALLBACK_PENDING,
	};
	struct turn *t = arg;
	struct upload *up = claim(t);
	struct watcher *watchers = NULL;

	if (up) {
		lock_acquire(&t->u->lock);
		up->phase = UPLOAD_PAUSED;
		up->due_ms = INT64_MAX;
		watchers = take_watchers_locked(up);
		lock_release(&t->u->lock);
	}
	upload_answer(watchers, &ended);
	free(t);
}

int upload_queue_locked(struct uploader *u, struct upload *up)
{
	struct turn *t = calloc(1, sizeof(*t));
	struct keyq_task task = {
		.class = up->is_first ? KEYQ_UPLOAD : KEYQ_BACKGROUND,
		.key = up->line->key,
		.run = turn_run,
		.dropped = turn_dropped,
		.arg = t,
	};
	enum upload_phase was = up->phase;
	int rc;

	if (!t)
		return -ENOMEM;
	*t = (struct turn){u, up->id, ++u->last_ticket};
	up->ticket = t->ticket;
	up->phase = UPLOAD_QUEUED;
	rc = keyq_submit(u->env.deps.queue, &task);
	if (rc < 0) {
		up->ticket = 0;
		up->phase = was;
		free(t);
	}
	return rc;
}

/* -- burying ------------------------------------------------------------------------------ */

struct burial {
	struct upload *up;
	enum upload_end why;
};

static void discard(struct upload *up)
{
	int rc = staging_discard(up->s);

	if (rc < 0)
		log_err("upload: a file that is void stays in the journal: "
			"id=%lld errno=%d",
			(long long)up->id, -rc);
}

static void abort_parts(struct upload *up)
{
	char key[STAGING_KEY_MAX];
	uint64_t part_size;
	AUTO_FREE char *id = NULL;

	if (up->stream) {
		atomic_store(&up->run->cancel, true);
		multipart_abort(up->stream);
		return;
	}
	id = staging_get_upload(up->s, &part_size);
	staging_key(up->s, key);
	if (id)
		(void)multipart_abort_id(&up->u->env, key, id);
}

/* The end of up, which stands in no table. */
static void bury(struct upload *up, enum upload_end why, bool may_tell)
{
	const struct uploader_deps *deps = &up->u->env.deps;
	bool superseded = why == UPLOAD_END_SUPERSEDED;
	struct upload_outcome o = {
		.rc = -ECANCELED,
		.superseded = superseded,
		.close_rc = -ECANCELED,
		.callback = CALLBACK_PENDING,
	};

	if (why != UPLOAD_END_STREAM)
		discard(up);
	if (superseded && may_tell && deps->event)
		deps->event(deps->event_arg, up->s, &o);
	upload_answer(take_ptr(up->watchers), &o);
	upload_free(up);
}

static void bury_run(void *arg)
{
	struct burial *b = arg;

	abort_parts(b->up);
	bury(b->up, b->why, true);
	free(b);
}

/* The mount ends: what is left on OSS is cleaned up at the next start. */
static void bury_dropped(void *arg)
{
	struct burial *b = arg;

	bury(b->up, b->why, false);
	free(b);
}

void upload_bury(struct uploader *u, struct upload *up, enum upload_end why)
{
	struct burial *b = malloc(sizeof(*b));
	struct keyq_task task = {
		.class = KEYQ_BACKGROUND,
		.run = bury_run,
		.dropped = bury_dropped,
		.arg = b,
	};

	if (why == UPLOAD_END_SUPERSEDED)
		log_notice("upload: a newer version takes its place: id=%lld",
			   (long long)up->id);
	if (b)
		*b = (struct burial){up, why};
	if (b && keyq_submit(u->env.deps.queue, &task) == 0)
		return;
	free(b);
	bury(up, why, false);
}

struct leftover_parts {
	struct uploader *u;
	char *key, *upload_id;
	struct multipart *m;
};

static void drop_parts_free(struct leftover_parts *p)
{
	multipart_free(p->m);
	free(p->key);
	free(p->upload_id);
	free(p);
}

static void drop_parts_run(void *arg)
{
	struct leftover_parts *p = arg;
	AUTO_FREE char *id = p->m ? multipart_detach(p->m) : NULL;

	if (id)
		(void)multipart_abort_id(&p->u->env, p->key, id);
	if (p->upload_id && !str_eq(p->upload_id, id))
		(void)multipart_abort_id(&p->u->env, p->key, p->upload_id);
	drop_parts_free(p);
}

static void drop_parts_dropped(void *arg)
{
	drop_parts_free(arg);
}

void upload_drop_parts(struct uploader *u, const char *key, struct multipart *m,
		       char *upload_id)
{
	struct leftover_parts *p = calloc(1, sizeof(*p));
	struct keyq_task task = {
		.class = KEYQ_BACKGROUND,
		.run = drop_parts_run,
		.dropped = drop_parts_dropped,
		.arg = p,
	};

	if (!p) { /* the registry knows it: the next start */
		multipart_free(m);
		free(upload_id);
		return;
	}
	*p = (struct leftover_parts){u, strdup(key), upload_id, m};
	if (!p->key || keyq_submit(u->env.deps.queue, &task) < 0)
		drop_parts_free(p);
}
