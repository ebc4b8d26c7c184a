/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/house.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state/cblog.h"
#include "state/db.h"
#include "state/objmeta.h"
#include "state/staging.h"
#include "upload/json.h"
#include "upload/keyq.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/fileio.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/timer.h"

#define PERIOD_MS ((int64_t)6 * 3600 * 1000)
#define SEEN_MAX 1000000 /* objects whose metadata is remembered: ~300 MB */

struct house {
	const struct conf *conf;
	struct db *db;
	struct staging_store *staging;
	struct keyq *queue;
	struct timer_wheel *timers;
	struct lock lock; /* guards fd: lines do not mix, a rotation waits */
	int fd;           /* [log] callbacks; -1: none */
};

/* -- the callbacks' log file ----------------------------------------------- */

static int open_file(const struct house *h, int *fd)
{
	*fd = open(h->conf->log.callbacks,
		   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return *fd < 0 ? -errno : 0;
}

void house_record(void *house, const struct cb_record *r)
{
	struct house *h = house;
	AUTO(buf_release) struct buf line = BUF_INIT;
	AUTO_FREE char *text = NULL;
	int rc = 0;

	if (!h->conf->log.callbacks)
		return;
	text = record_json(r);
	if (!text)
		return;
	buf_adds(&line, text);
	buf_addc(&line, '\n');
	lock_acquire(&h->lock);
	if (h->fd >= 0 && buf_error(&line) == 0)
		rc = fd_write_all(h->fd, line.data, line.len);
	lock_release(&h->lock);
	if (rc < 0)
		log_err("log: a callback could not be appended: file=%s errno=%d",
			LOG_Q(h->conf->log.callbacks), -rc);
}

int house_reopen(struct house *h)
{
	int fd, rc;

	if (!h->conf->log.callbacks)
		return 0;
	rc = open_file(h, &fd);
	if (rc < 0)
		return rc; /* the old one stays */
	lock_acquire(&h->lock);
	if (h->fd >= 0)
		close(h->fd);
	h->fd = fd;
	lock_release(&h->lock);
	return 0;
}

/* -- retention ------------------------------------------------------------- */

struct stale {
	int64_t id;
	uint64_t size;
	int64_t created_ms;
	char key[STAGING_KEY_MAX + 1];
};

struct stale_list {
	struct stale *items;
	size_t count, cap;
	uint64_t bytes;
};

static int note_incomplete(void *arg, const struct staging_info *info,
			   const struct staging_close *c)
{
	struct stale_list *l = arg;

	(void)c;
	if (info->state != STAGING_INCOMPLETE)
		return 0;
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 32;
		struct stale *items =
			reallocarray(l->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->count].id = info->id;
	l->items[l->count].size = info->size;
	l->items[l->count].created_ms = info->created_ms;
	memcpy(l->items[l->count].key, info->key, sizeof(info->key));
	l->bytes += info->size;
	l->count++;
	return 0;
}

static void drop_stale(struct house *h, const struct stale *it)
{
	struct staging *s = staging_store_find(h->staging, it->id);

	if (!s)
		return;
	if (staging_state_of(s) == STAGING_INCOMPLETE &&
	    staging_discard(s) == 0)
		log_notice(
			"house: an incomplete file is dropped, as configured: key=%s size=%" PRIu64,
			LOG_Q(it->key), it->size);
	staging_put(s);
}

/* The limits that the user may set; by default incomplete files stay for ever. */
static void prune_incomplete(struct house *h)
{
	const struct conf *c = h->conf;
	int64_t age = c->upload.incomplete_max_age_ms;
	uint64_t max = c->upload.incomplete_max_bytes;
	struct stale_list l = {0};
	int64_t now = clock_real_ms();
	int rc;

	if (!age && !max)
		return;
	rc = staging_walk(h->db, note_incomplete, &l);
	if (rc < 0)
		log_err("house: incomplete files cannot be listed: errno=%d",
			-rc);
	/* Oldest first. */
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		const struct stale *it = &l.items[i];

		if (!(age && it->created_ms < now - age) &&
		    !(max && l.bytes > max))
			continue;
		l.bytes -= it->size;
		drop_stale(h, it);
	}
	free(l.items);
}

static void prune_log(struct house *h)
{
	const struct conf *c = h->conf;
	int64_t before = c->log.keep_ms ? clock_real_ms() - c->log.keep_ms : 0;
	int gone;

	if (!c->log.keep_ms && !c->log.keep_count)
		return;
	gone = cblog_prune(h->db, before, c->log.keep_count);
	if (gone < 0)
		log_err("house: the callback log cannot be pruned: errno=%d",
			-gone);
	else if (gone > 0)
		log_info("house: old records of callbacks are gone: records=%d",
			 gone);
}

static void prune_seen(struct house *h)
{
	int gone = objmeta_prune(h->db, SEEN_MAX);

	if (gone < 0)
		log_err("house: seen metadata cannot be pruned: errno=%d",
			-gone);
	else if (gone > 0)
		log_info(
			"house: the metadata of objects seen long ago is forgotten: objects=%d",
			gone);
}

/* After an outage in which many small files waited, say. */
static void shrink_journal(struct house *h)
{
	int rc = db_shrink(h->db);

	if (rc < 0)
		log_err("house: the journal's free pages stay: errno=%d", -rc);
}

static void round_run(void *arg);

static void round_due(void *arg)
{
	struct house *h = arg;
	const struct keyq_task task = {
		.class = KEYQ_BACKGROUND, .run = round_run, .arg = h};

	if (keyq_submit(h->queue, &task) < 0)
		log_debug("house: the queue is stopped");
}

static void round_run(void *arg)
{
	struct house *h = arg;

	prune_log(h);
	prune_seen(h);
	prune_incomplete(h);
	shrink_journal(h);
	if (!timer_add(h->timers, clock_mono_ms() + PERIOD_MS, round_due, h))
		log_warn("house: no memory for a timer: no more rounds");
}

/* -- life ------------------------------------------------------------------ */

int house_new(const struct conf *conf, struct db *db,
	      struct staging_store *staging, struct keyq *queue,
	      struct timer_wheel *timers, struct house **out)
{
	struct house *h = calloc(1, sizeof(*h));
	int rc = 0;

	if (!h)
		return -ENOMEM;
	*h = (struct house){.conf = conf,
			    .db = db,
			    .staging = staging,
			    .queue = queue,
			    .timers = timers,
			    .fd = -1};
	if (conf->log.callbacks)
		rc = open_file(h, &h->fd);
	if (rc < 0) {
		free(h);
		return rc;
	}
	lock_init(&h->lock, LOCK_LEAF);
	*out = h;
	return 0;
}

void house_start(struct house *h)
{
	round_due(h);
}

void house_free(struct house *h)
{
	if (!h)
		return;
	if (h->fd >= 0)
		close(h->fd);
	lock_destroy(&h->lock);
	free(h);
}
