/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a start: what the journal and the folder say of each other.
 *
 * row               | file               | becomes
 * ------------------|--------------------|-------------------------------------
 * gone              | there or not       | unlinked, row erased
 * done              | whole              | DONE
 * done              | not, or not sure   | unlinked, row erased: OSS has it
 * open, promised    | whole              | CLOSED
 * closed, uploading | whole              | CLOSED
 * held, retrying    | whole              | as it was
 * these five        | other size, or     | INCOMPLETE, logged
 *                   | rebooted, unsynced |
 * open, incomplete  | there              | INCOMPLETE
 * any of these      | missing            | row noted in aside/, logged as lost
 *                   |                    | (an empty file is made again)
 * none              | there              | moved to aside/, logged (an empty one
 *                   |                    | is removed: a crash right at create)
 *
 * Where a row has the bytes of its file (staging_durable.c), the file is written
 * anew from them, before anything else; where it had changed since, only if the
 * machine has been rebooted.
 *
 * "Rebooted, unsynced": the row was written without fsync of the data, and
 * the machine has booted since.  The row's page may have reached the disk
 * and the bytes not, so nobody may publish them as a finished file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/sql.h"
#include "state/staging_int.h"
#include "state/staging_record.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/fileio.h"
#include "util/log.h"

struct recovery {
	struct staging_store *st;
	bool is_rebooted;
	struct staging **files; /* a reference each; NULL: was dropped */
	size_t count, cap;
	int64_t *graves;
	size_t grave_count;
	size_t lost, aside, restored;
};

/* -- reading the journal ------------------------------------------------------ */

static int add_grave(void *arg, int64_t id)
{
	struct recovery *r = arg;
	int64_t *more =
		reallocarray(r->graves, r->grave_count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	r->graves = more;
	more[r->grave_count++] = id;
	return 0;
}

static int take_detail(struct staging *s,
		       const struct journal_detail *d) ACK_NO_ANALYSIS
{
	int rc = 0;

	if (d->base)
		rc = staging_set_base_locked(s, d->base);
	if (rc == 0 && d->base)
		rc = staging_ranges_unpack(s, &d->ranges);
	if (rc == 0 && d->props.data)
		rc = props_unpack(d->props.data, d->props.len, &s->props);
	if (rc == 0 && d->close.data) {
		rc = close_unpack(d->close.data, d->close.len, &s->close);
		s->has_close = rc == 0;
	}
	if (rc == 0)
		rc = str_set(&s->upload_id, d->upload_id);
	s->part_size = d->part_size;
	s->row_bytes.posted = s->row_bytes.committed = d->bytes.generation;
	if (d->bytes.generation > 0)
		s->row_bytes.room = staging_row_room(s->size);
	budget_settle(s->store->budget, 0, (int64_t)s->row_bytes.room);
	s->dirty = 0;
	return rc;
}

/* A file that was open may have changed since. */
static uint64_t generation_of(const struct journal_row *row)
{
	bool is_unclaimed = row->state == STAGING_OPEN && !row->promised;

	return row->generation + (is_unclaimed ? 1 : 0);
}

static int take_row(struct staging *s, const struct journal_row *row)
{
	s->is_freezing = true; /* until enter() */
	s->state = s->row_state = row->state;
	s->promised = row->promised;
	s->superseded = row->superseded;
	s->size = row->size;
	s->created_ms = row->created_ms;
	s->closed_ms = row->closed_ms;
	s->close_seq = row->close_seq;
	s->next_try_ms = row->next_try_ms;
	s->attempts = row->attempts;
	s->last_errno = row->last_errno;
	s->is_dir_synced = row->synced;
	s->generation = generation_of(row);
	s->synced_generation = row->synced ? row->generation : 0;
	return str_set(&s->last_error,
		       *row->last_error ? row->last_error : NULL);
}

static int grow(struct recovery *r)
{
	size_t cap = r->cap > 0 ? r->cap * 2 : 64;
	struct staging **more;

	if (r->count < r->cap)
		return 0;
	more = reallocarray(r->files, cap, sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->files = more;
	r->cap = cap;
	return 0;
}

static int add_row(void *arg, const struct journal_row *row,
		   const struct journal_detail *d) ACK_NO_ANALYSIS
{
	AUTO(staging_putp) struct staging *s = NULL;
	struct recovery *r = arg;
	int rc = grow(r);

	if (rc == 0)
		rc = staging_alloc(r->st, row->key, row->id, &s);
	if (rc == 0)
		rc = take_row(s, row);
	if (rc == 0)
		rc = take_detail(s, d);
	if (rc == -EINVAL) {
		log_err("recovery: what the journal says of a file cannot be "
			"read: key=%s id=%lld",
			LOG_Q(row->key), (long long)row->id);
		s->state = STAGING_INCOMPLETE;
		rc = 0;
	}
	if (rc == 0)
		r->files[r->count++] = take_ptr(s);
	return rc;
}

static int read_journal(sqlite3 *sql, void *arg)
{
	struct recovery *r = arg;
	AUTO_FREE char *boot_id = NULL;
	int rc = journal_meta_get(sql, "boot_id", &boot_id);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	r->is_rebooted = boot_id && strcmp(boot_id, r->st->boot_id) != 0;
	rc = journal_graves(sql, add_grave, r);
	return rc < 0 ? rc : journal_walk(sql, add_row, r);
}

/* -- one file ---------------------------------------------------------------- */

static void unlink_file(struct staging_store *st, int64_t id)
{
	char name[STAGING_NAME_LEN];

	if (unlinkat(st->dirfd, staging_file_name(name, id), 0) < 0 &&
	    errno != ENOENT)
		log_err("recovery: a file that nobody wants could not be "
			"removed: directory=%s file=%s errno=%d",
			LOG_Q(st->dir), name, errno);
}

/* The row goes, unseen by everybody. */
static int drop_row(struct recovery *r, size_t at)
{
	struct staging *s = r->files[at];
	int rc = add_grave(r, s->id);

	if (rc < 0)
		return rc;
	r->files[at] = NULL;
	staging_put(s);
	return 0;
}

/* The row's last words, in a file of its own. */
static int write_lost_note(const struct recovery *r, const struct staging *s)
{
	char made[CLOCK_TEXT_LEN], closed[CLOCK_TEXT_LEN];
	char name[STAGING_NAME_LEN];
	AUTO(buf_release) struct buf b = BUF_INIT;
	AUTO_FREE char *path = str_printf("%s/%s.lost", r->st->aside,
					  staging_file_name(name, s->id));

	if (!path)
		return -ENOMEM;
	buf_addf(&b, "key=%s\nstate=%s\nsize=%llu\ncreated=%s\nclosed=%s\n",
		 s->key, staging_state_name(s->row_state),
		 (unsigned long long)s->size,
		 clock_rfc3339(made, s->created_ms),
		 s->closed_ms ? clock_rfc3339(closed, s->closed_ms) : "never");
	if (s->has_close && s->close.delivery_id)
		buf_addf(&b, "delivery_id=%s\n", s->close.delivery_id);
	if (buf_error(&b) < 0)
		return buf_error(&b);
	return file_write_durable(path, buf_str(&b), b.len, 0600);
}

/* What the disk has of an unfinished file over a base: blocks with data count
   as the program's, whole; where there is none, the base shows through. */
static int adopt_blocks(struct staging *s) ACK_NO_ANALYSIS
{
	off_t at = 0, limit = (off_t)s->base_limit;
	int fd = staging_fd_locked(s);
	int rc = fd < 0 ? fd : 0;

	while (rc == 0 && at < limit) {
		off_t start = lseek(fd, at, SEEK_DATA), end;

		if (start < 0 || start >= limit)
			break;
		end = lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			return -errno;
		if (end > limit)
			end = limit;
		rc = extents_add(&s->local, (uint64_t)start, (uint64_t)end);
		if (rc == 0)
			rc = extents_add(&s->changed_ranges, (uint64_t)start,
					 (uint64_t)end);
		at = end;
	}
	s->dirty |= JOURNAL_RANGES;
	return rc;
}

static int take_real_size(struct staging *s, uint64_t size)
{
	s->size = size;
	if (size < s->base_limit) {
		s->base_limit = size;
		extents_cut(&s->local, size);
		extents_cut(&s->changed_ranges, size);
	}
	return s->row_state == STAGING_OPEN ? adopt_blocks(s) : 0;
}

static int make_incomplete(struct staging *s, uint64_t size, const char *why)
{
	int rc = 0;

	log_warn("recovery: incomplete, kept, not published: key=%s id=%lld "
		 "state=%s bytes=%llu reason=\"%s\"",
		 LOG_Q(s->key), (long long)s->id,
		 staging_state_name(s->row_state), (unsigned long long)size,
		 why);
	if (s->row_state != STAGING_INCOMPLETE)
		rc = str_set(&s->last_error, why);
	if (rc == 0)
		rc = take_real_size(s, size);
	s->state = STAGING_INCOMPLETE;
	s->promised = false;
	return rc;
}

/* Why the bytes cannot be what the row says; NULL: they can. */
static const char *find_fault(const struct recovery *r, const struct staging *s,
			      uint64_t size)
{
	bool is_safe = s->synced_generation == s->generation ||
		       s->row_bytes.committed == s->generation ||
		       (s->size == 0 && !s->base);

	if (size < s->size)
		return "the staging file is shorter than its journal row says";
	if (size > s->size)
		return "the staging file is longer than its journal row says";
	if (r->is_rebooted && !is_safe)
		return "the machine went down before the bytes were safe on "
		       "the disk";
	return NULL;
}

static void close_promised(struct staging *s)
{
	s->promised = false;
	if (s->close_seq != 0)
		return;
	s->closed_ms = clock_real_ms();
	s->close_seq = store_next_close_seq(s->store);
}

/* Decide what becomes of a file that is there. */
static int judge(struct recovery *r, size_t at, uint64_t size)
{
	struct staging *s = r->files[at];
	const char *fault = find_fault(r, s, size);

	switch (s->state) {
	case STAGING_DONE:
		return fault ? drop_row(r, at) : 0;
	case STAGING_INCOMPLETE:
		return take_real_size(s, size);
	case STAGING_OPEN:
		if (!s->promised)
			fault = "the daemon ended while the file was open";
		break;
	case STAGING_HELD:
	case STAGING_CLOSED:
	case STAGING_UPLOADING:
	case STAGING_RETRYING:
		break;
	}
	if (fault)
		return make_incomplete(s, size, fault);
	if (s->state == STAGING_OPEN)
		close_promised(s);
	if (s->state == STAGING_OPEN || s->state == STAGING_UPLOADING)
		s->state = STAGING_CLOSED;
	return 0;
}

/* An empty file is whatever its row says. */
static int make_again(struct staging *s)
{
	char name[STAGING_NAME_LEN];
	int fd = openat(s->store->dirfd, staging_file_name(name, s->id),
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	s->fd = fd;
	s->is_dir_synced = false;
	return 0;
}

static int remake(struct recovery *r, size_t at)
{
	int rc = make_again(r->files[at]);

	return rc < 0 ? rc : judge(r, at, 0);
}

static int file_is_missing(struct recovery *r, size_t at)
{
	struct staging *s = r->files[at];
	int rc;

	if (s->row_state == STAGING_DONE)
		return drop_row(r, at);
	if (s->size == 0 && !s->base)
		return remake(r, at);
	rc = write_lost_note(r, s);
	if (rc < 0)
		return rc;
	log_err("recovery: the staging file is gone, its bytes are lost "
		"(noted in aside/): key=%s id=%lld state=%s size=%llu%s",
		LOG_Q(s->key), (long long)s->id,
		staging_state_name(s->row_state), (unsigned long long)s->size,
		r->is_rebooted ? " (after a power loss that may be a file "
				 "whose upload had finished)"
			       : "");
	r->lost++;
	return drop_row(r, at);
}

/* -- bytes that stand in the row ----------------------------------------------- */

struct fetch {
	int64_t id;
	struct journal_bytes bytes;
};

static int run_fetch(sqlite3 *sql, void *arg)
{
	struct fetch *f = arg;

	return journal_get_bytes(sql, f->id, &f->bytes);
}

static bool is_file(int fd, const struct journal_bytes *b)
{
	size_t len = b->blob.len;
	AUTO_FREE char *got = malloc(len + 1);

	return got && fd_pread_all(fd, got, len + 1, 0) == (ssize_t)len &&
	       memcmp(got, b->blob.data, len) == 0;
}

/* They are the whole file; or what was promised of one that changed since: then
   the disk may have more, and that stays. */
static int write_bytes(struct recovery *r, const struct staging *s,
		       const struct journal_bytes *b)
{
	char name[STAGING_NAME_LEN];
	AUTO_CLOSE int fd =
		openat(r->st->dirfd, staging_file_name(name, s->id),
		       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return -errno;
	if (is_file(fd, b))
		return 0;
	r->restored++;
	rc = fd_pwrite_all(fd, b->blob.data, b->blob.len, 0);
	if (rc == 0 && b->generation == s->generation &&
	    ftruncate(fd, (off_t)b->blob.len) < 0)
		rc = -errno;
	return rc;
}

/* Is the file to be what the row has? What is empty, or was fsynced, later than
   that is not. */
static bool must_restore(const struct recovery *r, const struct staging *s)
{
	uint64_t bytes = s->row_bytes.committed;

	if (bytes == 0 || s->synced_generation > bytes)
		return false;
	return r->is_rebooted || bytes == s->generation;
}

static int restore(struct recovery *r, const struct staging *s)
{
	struct fetch f = {.id = s->id};
	int rc = db_read(r->st->db, run_fetch, &f);

	if (rc == 0)
		rc = write_bytes(r, s, &f.bytes);
	journal_bytes_release(&f.bytes);
	if (rc < 0)
		log_err("recovery: a file could not be written from the "
			"journal: key=%s id=%lld error=\"%s\"",
			LOG_Q(s->key), (long long)s->id, strerror(-rc));
	return rc;
}

static int examine(struct recovery *r, size_t at)
{
	char name[STAGING_NAME_LEN];
	struct staging *s = r->files[at];
	struct stat st;
	int rc = must_restore(r, s) ? restore(r, s) : 0;

	if (rc < 0)
		return rc;
	if (fstatat(r->st->dirfd, staging_file_name(name, s->id), &st,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? file_is_missing(r, at) : -errno;
	s->charged = (uint64_t)st.st_blocks * 512;
	budget_settle(r->st->budget, 0, (int64_t)s->charged);
	return judge(r, at, (uint64_t)st.st_size);
}

/* -- files without a row ------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int known_ids(const struct recovery *r, int64_t **out)
{
	int64_t *ids = calloc(r->count + r->grave_count + 1, sizeof(*ids));
	size_t n = 0;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < r->count; i++)
		ids[n++] = r->files[i]->id;
	for (size_t i = 0; i < r->grave_count; i++)
		ids[n++] = r->graves[i];
	qsort(ids, n, sizeof(*ids), compare_ids);
	*out = ids;
	return (int)n;
}

static int move_aside(struct recovery *r, const char *name,
		      unsigned long long size)
{
	char stamp[CLOCK_TEXT_LEN];
	AUTO_FREE char *to =
		str_printf("%s/%s-%s", r->st->aside, name,
			   clock_iso_basic(stamp, clock_real_ms()));

	if (!to)
		return -ENOMEM;
	if (renameat(r->st->dirfd, name, AT_FDCWD, to) < 0)
		return -errno;
	failpoint("staging.recover.moved_aside");
	log_warn("recovery: a staging file without a journal row was moved "
		 "aside: file=%s bytes=%llu",
		 LOG_Q(to), size);
	r->aside++;
	return 0;
}

static int handle_orphan(struct recovery *r, const char *name)
{
	struct stat st;

	if (fstatat(r->st->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISREG(st.st_mode) && st.st_size == 0 &&
	    unlinkat(r->st->dirfd, name, 0) == 0) {
		log_info("recovery: an empty staging file without a journal "
			 "row was removed: file=%s",
			 LOG_Q(name));
		return 0;
	}
	return move_aside(r, name, (unsigned long long)st.st_size);
}

static void auto_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int find_orphans(struct recovery *r)
{
	AUTO(auto_closedir) DIR *d = opendir(r->st->dir);
	AUTO_FREE int64_t *ids = NULL;
	const struct dirent *e;
	int n, rc = 0;

	if (!d)
		return -errno;
	n = known_ids(r, &ids);
	if (n < 0)
		return n;
	while (rc == 0 && (e = readdir(d))) {
		int64_t id = 0;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (staging_file_id(e->d_name, &id) &&
		    bsearch(&id, ids, (size_t)n, sizeof(id), compare_ids))
			continue;
		rc = handle_orphan(r, e->d_name);
	}
	return rc;
}

/* -- the whole ----------------------------------------------------------------- */

static bool is_whole(enum staging_state s)
{
	return s != STAGING_OPEN && s != STAGING_INCOMPLETE;
}

/* Into the list; its row is written anew where it says something else. */
static int enter(struct staging *s)
{
	bool is_changed;
	int rc = 0;

	staging_lock(s);
	s->is_freezing = false;
	is_changed = s->state != s->row_state || s->dirty;
	s->row_state = s->state;
	s->claim = is_whole(s->state) ? CLAIM_DURABLE : CLAIM_NONE;
	if (is_changed)
		rc = staging_row_post_locked(s, DB_NOWAIT, NULL);
	if (rc == 0)
		store_publish_locked(s);
	staging_unlock(s);
	if (rc == 0)
		store_add(s->store, s);
	return rc;
}

static int finish(sqlite3 *sql, void *arg)
{
	const struct recovery *r = arg;
	int rc = journal_meta_set(sql, "boot_id", r->st->boot_id);

	for (size_t i = 0; rc == 0 && i < r->grave_count; i++) {
		rc = journal_bury(sql, r->graves[i]);
		if (rc == 0)
			rc = journal_erase(sql, r->graves[i]);
	}
	return rc;
}

static int examine_all(struct recovery *r)
{
	int rc = find_orphans(r);

	for (size_t i = 0; rc == 0 && i < r->count; i++)
		rc = examine(r, i);
	for (size_t i = 0; rc == 0 && i < r->grave_count; i++)
		unlink_file(r->st, r->graves[i]);
	failpoint("staging.recover.before_commit");
	for (size_t i = 0; rc == 0 && i < r->count; i++)
		if (r->files[i])
			rc = enter(r->files[i]);
	if (rc == 0)
		rc = db_write(r->st->db, finish, r, DB_DURABLE);
	failpoint("staging.recover.committed");
	return rc;
}

static void report(const struct recovery *r, int handed)
{
	if (handed + r->lost + r->aside > 0)
		log_notice("recovery: staged files found: files=%d lost=%zu "
			   "moved_aside=%zu restored=%zu rebooted=%s",
			   handed, r->lost, r->aside, r->restored,
			   r->is_rebooted ? "yes" : "no");
}

static void recovery_release(struct recovery *r)
{
	for (size_t i = 0; i < r->count; i++)
		staging_put(r->files[i]);
	free(r->files);
	free(r->graves);
}

int staging_recover(struct staging_store *st,
		    void (*fn)(void *arg, struct staging *s), void *arg)
{
	AUTO(recovery_release) struct recovery r = {.st = st};
	int handed = 0;
	int rc = db_read(st->db, read_journal, &r);

	if (rc == 0)
		rc = examine_all(&r);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < r.count; i++) {
		if (!r.files[i])
			continue;
		handed++;
		fn(arg, take_ptr(r.files[i]));
	}
	report(&r, handed);
	return handed;
}
