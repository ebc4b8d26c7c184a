/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/uploader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "state/mpu.h"
#include "upload/multipart.h"
#include "upload/parts.h"
#include "upload/uploader_int.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/log.h"

/* -- life ------------------------------------------------------------------ */

static void free_strings(struct uploader *u)
{
	free(u->bucket);
	free(u->prefix);
	free(u->mount);
	free(u->host);
	kvs_release(&u->leftovers);
}

static int copy_conf(struct uploader *u, const struct uploader_conf *conf)
{
	if (str_set(&u->bucket, conf->bucket) < 0 ||
	    str_set(&u->prefix, conf->prefix ? conf->prefix : "") < 0 ||
	    str_set(&u->mount, conf->mount) < 0 ||
	    str_set(&u->host, conf->host) < 0)
		return -ENOMEM;
	u->env.conf = *conf;
	u->env.conf.bucket = u->bucket;
	u->env.conf.prefix = u->prefix;
	u->env.conf.mount = u->mount;
	u->env.conf.host = u->host;
	return 0;
}

static void note_leftover(void *arg, const char *key, const char *upload_id)
{
	struct uploader *u = arg;

	if (kvs_add(&u->leftovers, upload_id, key) < 0)
		log_warn("upload: left over until the next start: "
			 "upload_id=%s",
			 upload_id);
}

int uploader_new(const struct uploader_conf *conf,
		 const struct uploader_deps *deps, struct uploader **out)
{
	struct uploader *u = calloc(1, sizeof(*u));
	int rc;

	if (!u)
		return -ENOMEM;
	u->env.deps = *deps;
	u->started_real_ms = clock_real_ms();
	u->env.started_real_ms = u->started_real_ms;
	rc = copy_conf(u, conf);
	if (rc == 0)
		rc = part_pool_new(conf->parallel_parts, &u->env.parts);
	/* Now, while nothing that this run begins stands among them. */
	if (rc == 0)
		rc = mpu_walk_orphans(deps->db, note_leftover, u);
	if (rc < 0) {
		part_pool_free(u->env.parts);
		free_strings(u);
		free(u);
		return rc;
	}
	lock_init(&u->lock, LOCK_UPLOADER);
	cond_init(&u->ticked);
	*out = u;
	return 0;
}

void uploader_stop(struct uploader *u)
{
	if (!u)
		return;
	lock_acquire(&u->lock);
	u->is_stopping = true;
	if (u->timer && timer_cancel(u->env.deps.timers, u->timer))
		u->is_ticking = false;
	u->timer = 0;
	while (u->is_ticking)
		cond_wait(&u->ticked, &u->lock);
	lock_release(&u->lock);
}

void uploader_break_off(struct uploader *u)
{
	struct upload *up, *tmp;

	if (!u)
		return;
	lock_acquire(&u->lock);
	atomic_store(&u->env.is_ending, true);
	HASH_ITER(hh, u->uploads, up, tmp)
	{
		atomic_store(&up->run->cancel, true);
	}
	lock_release(&u->lock);
}

void uploader_free(struct uploader *u)
{
	struct upload *up, *tmp;

	if (!u)
		return;
	uploader_stop(u);
	HASH_ITER(hh, u->uploads, up, tmp)
	{
		atomic_store(&up->run->cancel, true);
		lock_acquire(&u->lock);
		upload_leave_locked(u, up);
		lock_release(&u->lock);
		upload_free(up);
	}
	part_pool_free(u->env.parts);
	if (u->env.recall.release)
		u->env.recall.release(u->env.recall.arg);
	cond_destroy(&u->ticked);
	lock_destroy(&u->lock);
	free_strings(u);
	free(u);
}

/* -- tables ------------------------------------------------------------------- */

struct upload *upload_find_locked(struct uploader *u, int64_t id)
{
	struct upload *up = NULL;

	HASH_FIND(hh, u->uploads, &id, sizeof(id), up);
	return up;
}

struct upload *upload_new(struct uploader *u, struct staging *s)
{
	struct upload *up = calloc(1, sizeof(*up));

	if (!up)
		return NULL;
	up->run = run_new();
	if (!up->run) {
		free(up);
		return NULL;
	}
	up->u = u;
	up->s = staging_get(s);
	up->id = staging_id(s);
	up->is_first = true;
	up->phase = UPLOAD_PAUSED; /* a stream says so itself */
	return up;
}

void upload_free(struct upload *up)
{
	struct watcher *w, *tmp;

	if (!up)
		return;
	LL_FOREACH_SAFE(up->watchers, w, tmp)
	free(w);
	multipart_free(up->stream);
	run_put(up->run);
	staging_put(up->s);
	free(up);
}

int upload_enter_locked(struct uploader *u, struct upload *up)
{
	HASH_ADD(hh, u->uploads, id, sizeof(up->id), up);
	return up->hh.tbl ? 0 : -ENOMEM;
}

void upload_leave_locked(struct uploader *u, struct upload *up)
{
	line_leave_locked(u, up);
	if (up->phase == UPLOAD_STREAM)
		atomic_fetch_sub(&u->streams, 1);
	HASH_DEL(u->uploads, up);
}

static struct line *line_get_locked(struct uploader *u, const char *key)
	ACK_REQUIRES(u->lock)
{
	struct line *l = NULL;

	HASH_FIND_STR(u->lines, key, l);
	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->key = strdup(key);
	if (l->key)
		HASH_ADD_KEYPTR(hh, u->lines, l->key, strlen(l->key), l);
	if (!l->key || !l->hh.tbl) {
		free(l->key);
		free(l);
		return NULL;
	}
	return l;
}

int line_join_locked(struct uploader *u, struct upload *up, const char *key)
{
	struct line *l = line_get_locked(u, key);

	if (!l)
		return -ENOMEM;
	up->seq = ++u->last_seq;
	up->line = l;
	DL_APPEND(l->uploads, up);
	return 0;
}

void line_leave_locked(struct uploader *u, struct upload *up)
{
	struct line *l = up->line;

	if (!l)
		return;
	DL_DELETE(l->uploads, up);
	up->line = NULL;
	if (l->uploads)
		return;
	HASH_DEL(u->lines, l);
	free(l->key);
	free(l);
}

/* -- watchers -------------------------------------------------------------------- */

static struct watcher *watcher_new(upload_done_fn done, void *arg)
{
	struct watcher *w = calloc(1, sizeof(*w));

	if (w)
		*w = (struct watcher){done, arg, NULL};
	return w;
}

void upload_answer(struct watcher *watchers, const struct upload_outcome *o)
{
	struct watcher *w, *tmp;

	LL_FOREACH_SAFE(watchers, w, tmp)
	{
		w->done(w->arg, o);
		free(w);
	}
}

int uploader_watch(struct uploader *u, struct staging *s, upload_done_fn done,
		   void *arg)
{
	struct watcher *w = watcher_new(done, arg);
	struct upload *up;
	int rc = -ENOENT;

	if (!w)
		return -ENOMEM;
	lock_acquire(&u->lock);
	up = upload_find_locked(u, staging_id(s));
	if (up && !up->is_cancelled &&
	    (up->phase == UPLOAD_QUEUED || up->phase == UPLOAD_RUNNING ||
	     up->phase == UPLOAD_REKEYING)) {
		LL_APPEND(up->watchers, w);
		rc = 0;
	}
	lock_release(&u->lock);
	if (rc < 0)
		free(w);
	return rc;
}

bool uploader_unwatch(struct uploader *u, struct staging *s, void *arg)
{
	struct watcher *w = NULL;
	struct upload *up;

	lock_acquire(&u->lock);
	up = upload_find_locked(u, staging_id(s));
	if (up)
		LL_SEARCH_SCALAR(up->watchers, w, arg, arg);
	if (w)
		LL_DELETE(up->watchers, w);
	lock_release(&u->lock);
	free(w);
	return w != NULL;
}

/* -- submit ------------------------------------------------------------------------- */

/* Older files of the key whose close() was told of the failure, or that wait
 * for somebody to act, are void now: a list by `next`. */
static struct upload *take_void_locked(struct uploader *u,
				       const struct upload *newer)
	ACK_REQUIRES(u->lock)
{
	struct upload *up, *tmp, *list = NULL;

	DL_FOREACH_SAFE(newer->line->uploads, up, tmp)
	{
		if (up->seq >= newer->seq || up->phase != UPLOAD_PAUSED ||
		    (!up->is_told && up->due_ms != INT64_MAX))
			continue;
		upload_leave_locked(u, up);
		LL_APPEND(list, up);
	}
	return list;
}

static void bury_all(struct uploader *u, struct upload *list)
{
	struct upload *up, *tmp;

	LL_FOREACH_SAFE(list, up, tmp)
	{
		up->next = NULL;
		staging_supersede(up->s);
		upload_bury(u, up, UPLOAD_END_SUPERSEDED);
	}
}

/* One that is known waits for a retry: now. */
static int submit_again_locked(struct uploader *u, struct upload *up)
	ACK_REQUIRES(u->lock)
{
	return up->phase == UPLOAD_PAUSED ? upload_queue_locked(u, up) : 0;
}

/* A new one, or one that was sent while it was written.  On failure it is in no
 * table. */
static int submit_new_locked(struct uploader *u, struct upload *up,
			     const struct staging_info *info, bool is_told)
	ACK_REQUIRES(u->lock)
{
	bool is_stream = up->hh.tbl != NULL;
	int rc;

	if (is_stream)
		atomic_fetch_sub(&u->streams, 1);
	up->phase = UPLOAD_PAUSED; /* until it is queued */
	up->submitted_ms = clock_mono_ms();
	up->size = info->size;
	up->is_told = is_told || info->state == STAGING_RETRYING;
	rc = line_join_locked(u, up, info->key);
	if (rc == 0 && !is_stream)
		rc = upload_enter_locked(u, up);
	if (rc == 0)
		rc = upload_queue_locked(u, up);
	if (rc < 0) {
		line_leave_locked(u, up);
		if (up->hh.tbl)
			HASH_DEL(u->uploads, up);
	}
	return rc;
}

int uploader_submit(struct uploader *u, struct staging *s, upload_done_fn done,
		    void *arg)
{
	struct watcher *w = done ? watcher_new(done, arg) : NULL;
	struct upload *spare = upload_new(u, s);
	struct upload *up, *voided = NULL, *failed = NULL;
	struct staging_info info;
	int rc;

	if (!spare || (done && !w)) {
		upload_free(spare);
		free(w);
		return -ENOMEM;
	}
	upload_check_stream(u, s);
	staging_get_info(s, &info);
	lock_acquire(&u->lock);
	up = upload_find_locked(u, spare->id);
	if (up && up->phase != UPLOAD_STREAM) {
		rc = submit_again_locked(u, up);
	} else {
		up = up ? up : take_ptr(spare);
		rc = submit_new_locked(u, up, &info, done != NULL);
		if (rc < 0)
			failed = up;
		else
			voided = take_void_locked(u, up);
	}
	if (rc == 0 && w)
		LL_APPEND(up->watchers, w);
	lock_release(&u->lock);
	bury_all(u, voided);
	upload_free(failed);
	upload_free(spare);
	if (rc < 0)
		free(w);
	return rc;
}

/* -- cancel, rekey -------------------------------------------------------------------- */

static void cancel_running_locked(struct upload *up)
{
	up->is_cancelled = true;
	if (!atomic_load(&up->run->is_sent))
		atomic_store(&up->run->cancel, true);
}

bool uploader_cancel(struct uploader *u, struct staging *s)
{
	enum staging_state state = staging_state_of(s);
	struct upload *up;
	/* It may have ended just now, and its event is on the way. */
	bool runs = state == STAGING_UPLOADING || state == STAGING_DONE;
	bool gone = false;

	lock_acquire(&u->lock);
	up = upload_find_locked(u, staging_id(s));
	if (up &&
	    (up->phase == UPLOAD_RUNNING || up->phase == UPLOAD_REKEYING)) {
		runs |= up->phase == UPLOAD_RUNNING;
		cancel_running_locked(up);
	} else if (up) {
		upload_leave_locked(u, up);
		gone = true;
	}
	lock_release(&u->lock);
	/* Now, so that a crash cannot bring the name back. */
	if (staging_discard(s) < 0)
		log_err("upload: a cancelled file stays in the journal: id=%lld",
			(long long)staging_id(s));
	if (gone)
		upload_bury(u, up, UPLOAD_END_CANCELLED);
	return runs;
}

/* Parts that went out under the old key are of no use. */
static void drop_old_parts(struct upload *up, const char *old_key)
{
	struct multipart *m = take_ptr(up->stream);
	uint64_t part_size;
	char *id = staging_get_upload(up->s, &part_size);

	if (id && staging_set_upload(up->s, NULL, 0) < 0)
		log_warn("upload: the journal keeps a dead upload: key=%s",
			 LOG_Q(old_key));
	if (m || id)
		upload_drop_parts(up->u, old_key, m, id);
}

static int rekey_now(struct uploader *u, struct upload *up, const char *key)
{
	char old[STAGING_KEY_MAX];
	bool cancelled;
	int rc, queued;

	staging_key(up->s, old);
	rc = staging_rekey(up->s, key);
	if (rc == 0)
		drop_old_parts(up, old);
	lock_acquire(&u->lock);
	cancelled = up->is_cancelled;
	up->phase = UPLOAD_PAUSED;
	if (!cancelled) {
		queued = line_join_locked(u, up, rc == 0 ? key : old);
		if (queued == 0)
			queued = upload_queue_locked(u, up);
		if (queued < 0) {
			up->due_ms = clock_mono_ms() + 1000;
			upload_arm_locked(u, up->due_ms);
		}
	} else {
		upload_leave_locked(u, up);
	}
	lock_release(&u->lock);
	if (cancelled) {
		(void)staging_discard(up->s);
		upload_bury(u, up, UPLOAD_END_CANCELLED);
	}
	return rc;
}

/* It is not submitted yet. */
static int rekey_unknown(struct uploader *u, struct staging *s, const char *key)
{
	char old[STAGING_KEY_MAX];
	uint64_t part_size;
	char *id;
	int rc;

	if (staging_state_of(s) != STAGING_CLOSED &&
	    staging_state_of(s) != STAGING_RETRYING)
		return -EBUSY; /* its end is being told */
	staging_key(s, old);
	rc = staging_rekey(s, key);
	if (rc < 0)
		return rc;
	id = staging_get_upload(s, &part_size);
	if (!id)
		return 0;
	if (staging_set_upload(s, NULL, 0) < 0)
		log_warn("upload: the journal keeps a dead upload: key=%s",
			 LOG_Q(old));
	upload_drop_parts(u, old, NULL, id);
	return 0;
}

int uploader_rekey(struct uploader *u, struct staging *s, const char *key)
{
	struct upload *up;
	int rc = -ENOENT;

	lock_acquire(&u->lock);
	up = upload_find_locked(u, staging_id(s));
	if (up && (up->phase == UPLOAD_QUEUED || up->phase == UPLOAD_PAUSED)) {
		up->phase = UPLOAD_REKEYING;
		up->ticket = 0; /* its task does nothing */
		line_leave_locked(u, up);
		rc = 0;
	} else if (up) {
		rc = -EBUSY;
	}
	lock_release(&u->lock);
	if (rc == -ENOENT)
		return rekey_unknown(u, s, key);
	return rc < 0 ? rc : rekey_now(u, up, key);
}

/* -- looking in ---------------------------------------------------------------------------- */

static void count_locked(struct uploader *u, struct uploader_totals *out)
	ACK_REQUIRES(u->lock)
{
	struct upload *up, *tmp;

	HASH_ITER(hh, u->uploads, up, tmp)
	{
		switch (up->phase) {
		case UPLOAD_STREAM:
			break;
		case UPLOAD_QUEUED:
		case UPLOAD_REKEYING:
			out->waiting++;
			break;
		case UPLOAD_RUNNING:
			out->running++;
			break;
		case UPLOAD_PAUSED:
			out->retrying++;
			break;
		}
	}
}

void uploader_totals(struct uploader *u, struct uploader_totals *out)
{
	lock_acquire(&u->lock);
	*out = u->totals;
	out->unreachable = u->is_down;
	count_locked(u, out);
	lock_release(&u->lock);
}

/* What is read under the lock; the rest must not be. */
struct snapshot {
	struct staging *s;
	uint64_t size, sent;
	int64_t began_ms;
	int failures;
};

static void snap(const struct upload *up, struct snapshot *out)
{
	*out = (struct snapshot){
		.s = staging_get(up->s),
		.size = up->size,
		.sent = atomic_load(&up->run->sent),
		.began_ms = atomic_load(&up->run->began_ms),
		.failures = up->failures,
	};
}

static void fill_progress(const struct snapshot *from,
			  struct upload_progress *p)
{
	memset(p, 0, sizeof(*p));
	staging_key(from->s, p->key);
	p->size = from->size ? from->size : staging_size(from->s);
	p->sent = from->sent < p->size ? from->sent : p->size;
	p->started_ms = from->began_ms;
	p->state = staging_state_of(from->s);
	p->attempts = from->failures;
}

int uploader_progress(struct uploader *u, struct upload_progress **list,
		      size_t *count)
{
	AUTO_FREE struct snapshot *snaps = NULL;
	struct upload_progress *out;
	struct upload *up, *tmp;
	size_t n = 0;

	lock_acquire(&u->lock);
	snaps = calloc(HASH_COUNT(u->uploads) + 1, sizeof(*snaps));
	HASH_ITER(hh, u->uploads, up, tmp)
	{
		if (snaps)
			snap(up, &snaps[n++]);
	}
	lock_release(&u->lock);
	out = snaps ? calloc(n + 1, sizeof(*out)) : NULL;
	for (size_t i = 0; i < n; i++) {
		if (out)
			fill_progress(&snaps[i], &out[i]);
		staging_put(snaps[i].s);
	}
	if (!out)
		return -ENOMEM;
	*list = out;
	*count = n;
	return 0;
}
