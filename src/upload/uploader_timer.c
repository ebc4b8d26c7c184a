/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One timer for all: pauses that are over, and, while OSS does not answer at
 * all, the one request that asks for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "upload/retry.h"
#include "upload/uploader_int.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	LEAST_MS = 100, /* between two ticks */
	PROBE_MS = 10000,
	PROBE_LONGEST_MS = 60000,
	AGAIN_MS = 1000, /* when no task can be queued */
};

static void tick(void *arg);

void upload_arm_locked(struct uploader *u, int64_t when_ms)
{
	if (u->is_stopping || when_ms == INT64_MAX)
		return;
	if (u->is_ticking) {
		if (u->timer_ms == 0 || u->timer_ms <= when_ms)
			return; /* it runs now, or will in time */
		if (!timer_cancel(u->env.deps.timers, u->timer))
			return;
	}
	u->timer = timer_add(u->env.deps.timers, when_ms, tick, u);
	u->timer_ms = when_ms;
	u->is_ticking = u->timer != 0;
	if (!u->is_ticking)
		log_err("upload: no memory for a timer, retries are late");
}

/* -- pauses ------------------------------------------------------------------------ */

static void resume_locked(struct uploader *u, struct upload *up, int64_t now)
	ACK_REQUIRES(u->lock)
{
	int rc = upload_queue_locked(u, up);

	if (rc == -ESHUTDOWN)
		up->due_ms = INT64_MAX;
	else if (rc < 0)
		up->due_ms = now + AGAIN_MS;
	if (rc < 0)
		upload_arm_locked(u, up->due_ms);
}

size_t upload_wake_locked(struct uploader *u, bool by_hand_too)
{
	int64_t now = clock_mono_ms();
	struct upload *up, *tmp;
	size_t count = 0;

	HASH_ITER(hh, u->uploads, up, tmp)
	{
		if (up->phase != UPLOAD_PAUSED || !up->line ||
		    (up->due_ms == INT64_MAX && !by_hand_too))
			continue;
		resume_locked(u, up, now);
		count++;
	}
	return count;
}

size_t uploader_retry_now(struct uploader *u, struct staging *s)
{
	struct upload *up;
	size_t count = 0;

	lock_acquire(&u->lock);
	u->is_down = false; /* whoever asks may know better */
	if (!s) {
		count = upload_wake_locked(u, true);
	} else {
		up = upload_find_locked(u, staging_id(s));
		if (up && up->phase == UPLOAD_PAUSED && up->line) {
			resume_locked(u, up, clock_mono_ms());
			count = 1;
		}
	}
	lock_release(&u->lock);
	return count;
}

/* -- the outage ----------------------------------------------------------------------- */

static void plan_probe_locked(struct uploader *u) ACK_REQUIRES(u->lock)
{
	int64_t pause = retry_pause_ms(++u->probes);

	u->probe_ms = clock_mono_ms() +
		      (pause < PROBE_LONGEST_MS ? pause : PROBE_LONGEST_MS);
	upload_arm_locked(u, u->probe_ms);
}

void upload_note_failure_locked(struct uploader *u, int rc,
				const struct oss_reply *reply,
				const char *error)
{
	if (reply->http != 0) {
		upload_note_answer_locked(u);
		return;
	}
	if (u->is_down || !retry_is_unreachable(rc, reply))
		return;
	u->is_down = true;
	u->down_rc = rc;
	u->down_reply = *reply;
	u->down_reply.sent_all = false; /* it is told of files not tried */
	snprintf(u->down_error, sizeof(u->down_error), "%s", error);
	u->probes = 0;
	log_warn("upload: OSS does not answer, files are kept: error=%s",
		 LOG_Q(error));
	plan_probe_locked(u);
}

void upload_note_answer_locked(struct uploader *u)
{
	if (!u->is_down)
		return;
	u->is_down = false;
	log_notice("upload: OSS answers again: retrying=%zu",
		   upload_wake_locked(u, false));
}

/* In their turn: a key whose signature alone is refused is not hammered. */
static void hasten_slow_locked(struct uploader *u) ACK_REQUIRES(u->lock)
{
	int64_t now = clock_mono_ms();
	struct upload *up, *tmp;

	HASH_ITER(hh, u->uploads, up, tmp)
	{
		int64_t due = now + retry_pause_ms(up->failures);

		if (up->phase != UPLOAD_PAUSED || !up->is_slow)
			continue;
		up->is_slow = false;
		if (due < up->due_ms)
			up->due_ms = due;
		upload_arm_locked(u, up->due_ms);
	}
	u->has_slow = false;
}

void upload_note_stored_locked(struct uploader *u)
{
	upload_note_answer_locked(u);
	if (u->has_slow)
		hasten_slow_locked(u);
}

struct probe {
	struct uploader *u;
	char key[STAGING_KEY_MAX];
};

static void probe_run(void *arg)
{
	struct probe *p = arg;
	struct uploader *u = p->u;
	const struct store *store = &u->env.deps.store;
	struct oss_ctl ctl = {.deadline_ms = clock_mono_ms() + PROBE_MS};
	struct oss_object o = {.size = 0};
	struct oss_reply reply = {.http = 0};

	if (store->ops->head(store->self, p->key, &ctl, &o, &reply) == 0)
		oss_object_release(&o);
	lock_acquire(&u->lock);
	u->is_probing = false;
	if (reply.http != 0)
		upload_note_answer_locked(u);
	else if (u->is_down)
		plan_probe_locked(u);
	lock_release(&u->lock);
	free(p);
}

static void probe_dropped(void *arg)
{
	free(arg);
}

static const char *paused_key_locked(struct uploader *u) ACK_REQUIRES(u->lock)
{
	struct upload *up, *tmp;

	HASH_ITER(hh, u->uploads, up, tmp)
	{
		if (up->phase == UPLOAD_PAUSED && up->line)
			return up->line->key;
	}
	return NULL;
}

static void start_probe_locked(struct uploader *u) ACK_REQUIRES(u->lock)
{
	const char *key = paused_key_locked(u);
	struct probe *p = key ? calloc(1, sizeof(*p)) : NULL;
	struct keyq_task task = {
		.class = KEYQ_BACKGROUND,
		.run = probe_run,
		.dropped = probe_dropped,
		.arg = p,
	};

	if (!key) { /* nobody waits: the next upload will see */
		u->is_down = false;
		return;
	}
	u->probe_ms = clock_mono_ms() + AGAIN_MS;
	if (!p)
		return;
	p->u = u;
	snprintf(p->key, sizeof(p->key), "%s", key);
	u->is_probing = keyq_submit(u->env.deps.queue, &task) == 0;
	if (!u->is_probing)
		free(p);
}

/* -- the timer --------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* @return when to look again */
static int64_t look_at_all_locked(struct uploader *u, int64_t now)
	ACK_REQUIRES(u->lock)
{
	int64_t next = INT64_MAX;
	struct upload *up, *tmp;

	HASH_ITER(hh, u->uploads, up, tmp)
	{
		if (up->phase != UPLOAD_PAUSED)
			continue;
		if (!u->is_down && up->due_ms <= now && up->line)
			resume_locked(u, up, now);
		if (up->phase == UPLOAD_PAUSED && !u->is_down)
			next = earlier(next, up->due_ms);
	}
	if (u->is_down && !u->is_probing) {
		if (u->probe_ms <= now)
			start_probe_locked(u);
		if (u->is_down && !u->is_probing)
			next = earlier(next, u->probe_ms);
	}
	return next;
}

static void tick(void *arg)
{
	struct uploader *u = arg;
	int64_t now, next = INT64_MAX;

	lock_acquire(&u->lock);
	u->timer = 0;
	u->timer_ms = 0;
	now = clock_mono_ms();
	if (!u->is_stopping)
		next = look_at_all_locked(u, now);
	u->is_ticking = false;
	if (next != INT64_MAX && next < now + LEAST_MS)
		next = now + LEAST_MS;
	upload_arm_locked(u, next);
	cond_broadcast(&u->ticked);
	lock_release(&u->lock);
}
