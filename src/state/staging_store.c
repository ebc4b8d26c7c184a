/* SPDX-License-Identifier: Apache-2.0 */
/* The store: where staged files live, which there are, how many. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utlist.h>

#include "state/staging_int.h"
#include "state/statedir.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/fileio.h"
#include "util/log.h"

const char *staging_file_name(char out[STAGING_NAME_LEN], int64_t id)
{
	snprintf(out, STAGING_NAME_LEN, "%016" PRIx64, (uint64_t)id);
	return out;
}

bool staging_file_id(const char *name, int64_t *id)
{
	char again[STAGING_NAME_LEN];
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(name, &end, 16);
	if (errno != 0 || *end != '\0' || n > INT64_MAX)
		return false;
	*id = (int64_t)n;
	return strcmp(staging_file_name(again, *id), name) == 0;
}

int staging_file_path(const char *dir, int64_t id, char **out)
{
	char name[STAGING_NAME_LEN];
	char *path =
		str_printf("%s/staging/%s", dir, staging_file_name(name, id));

	if (!path)
		return -ENOMEM;
	*out = path;
	return 0;
}

void store_make_room(struct staging_store *st, uint64_t bytes)
{
	/* Twice: what is in no hurry is told, and its file unlinked, after the
	   first has returned. */
	if (budget_room(st->budget) < bytes && db_settle(st->db) == 0)
		(void)db_settle(st->db);
}

/* -- one file ---------------------------------------------------------------- */

int staging_alloc(struct staging_store *st, const char *key, int64_t id,
		  struct staging **out)
{
	struct staging *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->key = str_dup(key);
	if (!s->key) {
		free(s);
		return -ENOMEM;
	}
	lock_init(&s->lock, LOCK_STAGING);
	cond_init(&s->changed);
	atomic_init(&s->refs, 1);
	s->store = st;
	s->id = id;
	s->fd = -1;
	s->generation = 1; /* 0 is what fdatasync has seen */
	*out = s;
	return 0;
}

static void staging_free(struct staging *s)
{
	assert(!s->ops);
	budget_settle(s->store->budget, 0,
		      -(int64_t)(s->charged + s->row_bytes.room));
	if (s->fd >= 0)
		close(s->fd);
	staging_props_release(&s->props);
	staging_close_release(&s->close);
	extents_release(&s->local);
	extents_release(&s->changed_ranges);
	free(s->base);
	free(s->upload_id);
	free(s->last_error);
	free(s->key);
	cond_destroy(&s->changed);
	lock_destroy(&s->lock);
	free(s);
}

struct staging *staging_get(struct staging *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void staging_put(struct staging *s)
{
	if (s &&
	    atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		staging_free(s);
}

/* -- the list ---------------------------------------------------------------- */

void store_add(struct staging_store *st, struct staging *s)
{
	staging_get(s);
	lock_acquire(&st->lock);
	DL_APPEND(st->head, s);
	s->is_listed = true;
	st->count++;
	lock_release(&st->lock);
}

void store_remove(struct staging_store *st, struct staging *s)
{
	bool was_listed;

	lock_acquire(&st->lock);
	was_listed = s->is_listed;
	if (was_listed) {
		DL_DELETE(st->head, s);
		s->is_listed = false;
		st->count--;
	}
	lock_release(&st->lock);
	if (was_listed)
		staging_put(s);
}

void store_publish_locked(struct staging *s)
{
	lock_acquire(&s->store->lock);
	s->pub_state = s->state;
	s->pub_closed_ms = s->closed_ms;
	lock_release(&s->store->lock);
}

int64_t store_next_close_seq(struct staging_store *st)
{
	int64_t seq;

	lock_acquire(&st->lock);
	seq = st->next_close_seq++;
	lock_release(&st->lock);
	return seq;
}

int64_t store_next_id(struct staging_store *st)
{
	int64_t id;

	lock_acquire(&st->lock);
	id = st->next_id++;
	lock_release(&st->lock);
	return id;
}

struct staging *staging_store_find(struct staging_store *st, int64_t id)
{
	struct staging *s;

	lock_acquire(&st->lock);
	DL_FOREACH(st->head, s)
	if (s->id == id)
		break;
	if (s)
		staging_get(s);
	lock_release(&st->lock);
	return s;
}

static bool is_pending(enum staging_state s)
{
	return s == STAGING_HELD || s == STAGING_CLOSED ||
	       s == STAGING_UPLOADING || s == STAGING_RETRYING;
}

void staging_store_totals(struct staging_store *st, struct staging_totals *out)
{
	struct staging_totals t = {0};
	const struct staging *s;

	t.bytes = budget_used(st->budget);
	lock_acquire(&st->lock);
	t.files = st->count;
	DL_FOREACH(st->head, s)
	{
		t.by_state[s->pub_state]++;
		if (is_pending(s->pub_state) && s->pub_closed_ms > 0 &&
		    (t.oldest_pending_ms == 0 ||
		     s->pub_closed_ms < t.oldest_pending_ms))
			t.oldest_pending_ms = s->pub_closed_ms;
	}
	lock_release(&st->lock);
	*out = t;
}

uint64_t staging_store_room(struct staging_store *st)
{
	return budget_room(st->budget);
}

uint64_t staging_room(struct staging *s)
{
	return staging_store_room(s->store);
}

/* -- rows whose files are gone ------------------------------------------------ */

void store_note_unlinked(struct staging_store *st, int64_t id)
{
	int64_t *more;

	lock_acquire(&st->lock);
	more = reallocarray(st->unlinked, st->unlinked_count + 1,
			    sizeof(*more));
	if (more) { /* else the next start erases it */
		st->unlinked = more;
		more[st->unlinked_count++] = id;
	}
	lock_release(&st->lock);
}

int store_erase_unlinked(sqlite3 *sql, struct staging_store *st)
{
	AUTO_FREE int64_t *ids = NULL;
	size_t count;
	int rc = 0;

	lock_acquire(&st->lock);
	ids = st->unlinked;
	count = st->unlinked_count;
	st->unlinked = NULL;
	st->unlinked_count = 0;
	lock_release(&st->lock);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = journal_erase(sql, ids[i]);
	return rc;
}

/* -- open and close ------------------------------------------------------------ */

/* Ids are never used twice while a row or a file of one exists. */
static int find_highest(sqlite3 *sql, void *arg)
{
	struct staging_store *st = arg;
	int64_t id = 0, seq = 0;
	int rc = journal_highest(sql, &id, &seq);

	if (rc < 0)
		return rc;
	st->next_id = id + 1;
	st->next_close_seq = seq + 1;
	return 0;
}

/* Files that lost their rows count too, until they are moved aside. */
static int find_highest_file(struct staging_store *st)
{
	DIR *d = opendir(st->dir);
	const struct dirent *e;
	int64_t id = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (staging_file_id(e->d_name, &id) && id >= st->next_id)
			st->next_id = id + 1;
	closedir(d);
	return 0;
}

static void read_boot_id(char *out, size_t size)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	out[0] = '\0';
	if (file_read("/proc/sys/kernel/random/boot_id", size - 1, &b) < 0) {
		log_warn("state: no boot id: after a power loss files count "
			 "as whole that may not be");
		return;
	}
	snprintf(out, size, "%.*s", (int)strcspn(buf_str(&b), "\n"),
		 buf_str(&b));
}

static void store_freep(struct staging_store **p)
{
	struct staging_store *st = *p;

	if (!st)
		return;
	if (st->dirfd >= 0)
		close(st->dirfd);
	budget_free(st->budget);
	lock_destroy(&st->lock);
	free(st->unlinked);
	free(st->aside);
	free(st->dir);
	free(st);
}

static int store_alloc(const char *path, struct db *db,
		       struct staging_store **out)
{
	struct staging_store *st = calloc(1, sizeof(*st));

	if (!st)
		return -ENOMEM;
	lock_init(&st->lock, LOCK_LEAF);
	st->dirfd = -1;
	st->db = db;
	*out = st;
	st->dir = str_printf("%s/staging", path);
	st->aside = str_printf("%s/aside", path);
	return st->dir && st->aside ? 0 : -ENOMEM;
}

int staging_store_open(struct statedir *dir, struct db *db,
		       const struct staging_conf *conf,
		       struct staging_store **out)
{
	AUTO(store_freep) struct staging_store *st = NULL;
	int rc = store_alloc(statedir_path(dir), db, &st);

	if (rc < 0)
		return rc;
	st->dirfd = open(st->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->dirfd < 0)
		return -errno;
	if (conf->boot_id)
		snprintf(st->boot_id, sizeof(st->boot_id), "%s", conf->boot_id);
	else
		read_boot_id(st->boot_id, sizeof(st->boot_id));
	rc = budget_new(conf, st->dir, st->dirfd, &st->budget);
	if (rc == 0)
		rc = db_read(db, find_highest, st);
	if (rc == 0)
		rc = find_highest_file(st);
	if (rc < 0)
		return rc;
	*out = take_ptr(st);
	return 0;
}

static int run_clean_stop(sqlite3 *sql, void *arg)
{
	int rc = store_erase_unlinked(sql, arg);

	return rc < 0 ? rc : journal_set_all_synced(sql);
}

/* Rows that a full disk refused get another chance. Nobody else is here. */
static int write_stale_rows(struct staging_store *st)
{
	struct staging *s;
	int rc = 0;

	DL_FOREACH(st->head, s)
	{
		staging_lock(s);
		if (rc == 0 && s->is_row_stale)
			rc = staging_row_post_locked(s, DB_NOWAIT, NULL);
		staging_unlock(s);
	}
	return rc < 0 ? rc : db_commit(st->db);
}

/* What stays behind is believed after a reboot too. */
static void stop_cleanly(struct staging_store *st)
{
	int rc = db_commit(st->db);

	if (rc == 0)
		rc = write_stale_rows(st);
	if (st->head && syncfs(st->dirfd) < 0)
		rc = -errno;
	if (rc == 0)
		rc = db_write(st->db, run_clean_stop, st, DB_DURABLE);
	if (rc < 0)
		log_err("staging: could not make everything durable: "
			"directory=%s error=\"%s\"",
			LOG_Q(st->dir), strerror(-rc));
}

void staging_store_free(struct staging_store *st)
{
	if (!st)
		return;
	stop_cleanly(st);
	while (st->head)
		store_remove(st, st->head);
	store_freep(&st);
}
