/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory -> journal.
 *
 * A row is a snapshot, taken under the staging lock and put into the
 * journal's queue under it too: the order of rows is the order of what happened,
 * and nobody waits for the disk while holding the lock.
 *
 * A row that says that bytes are whole (promised, held, closed, ..., done)
 * is a claim.  Two rules make every crash point safe:
 *
 *   1. a durable claim is written with the bytes it speaks of, or after
 *      fdatasync of them (staging_durable.c);
 *   2. before the first byte changes again, the claim is taken back, as
 *      durably as it was made (staging_unclaim_locked).
 *
 * A claim that was not made durably carries synced = 0 and is believed only
 * while the machine has not been rebooted: after a power loss the journal's pages
 * may have reached the disk before the data did (staging_store.c).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "state/staging_int.h"
#include "state/staging_record.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/failpoint.h"
#include "util/log.h"

struct row_job {
	struct db_job job;
	struct staging *s; /* a reference */
	struct journal_row row;
	struct journal_detail detail;
	unsigned parts;
	uint64_t seq;
};

static void row_job_free(struct row_job *j)
{
	if (!j)
		return;
	journal_row_release(&j->row);
	journal_detail_release(&j->detail);
	staging_put(j->s);
	free(j);
}

static void row_job_freep(struct row_job **j)
{
	row_job_free(*j);
}

static int run_row(sqlite3 *sql, void *arg)
{
	struct row_job *j = arg;
	int rc = journal_put(sql, &j->row);

	if (rc == 0 && j->parts)
		rc = journal_put_detail(sql, j->row.id, j->parts, &j->detail);
	return rc;
}

static void told_locked(const struct row_job *j) ACK_REQUIRES(j->s->lock)
{
	if (j->s->later == j)
		j->s->later = NULL;
}

static void charge_row_locked(struct staging *s, uint64_t room)
	ACK_REQUIRES(s->lock)
{
	budget_settle(s->store->budget, 0,
		      (int64_t)room - (int64_t)s->row_bytes.room);
	s->row_bytes.room = room;
}

/* They are there, or gone. */
static void note_bytes_locked(struct staging *s, const struct journal_bytes *b)
	ACK_REQUIRES(s->lock)
{
	if (b->blob.data) {
		s->row_bytes.committed = b->generation;
	} else if (b->generation == s->row_bytes.posted) {
		s->row_bytes.posted = s->row_bytes.committed = 0;
		charge_row_locked(s, 0);
	}
}

/* The next row says again what this one could not. */
static void note_failure(struct row_job *j, int rc)
{
	bool was_stale;

	staging_lock(j->s);
	told_locked(j);
	was_stale = j->s->is_row_stale;
	j->s->is_row_stale = true;
	j->s->dirty |= j->parts & ~(unsigned)JOURNAL_BYTES;
	j->s->is_row_durable = false;
	staging_unlock(j->s);
	if (was_stale)
		return; /* said already */
	log_warn("staging: row not written: key=%s id=%lld error=\"%s\"",
		 LOG_Q(j->row.key), (long long)j->row.id, strerror(-rc));
}

static void note_success(const struct row_job *j)
{
	staging_lock(j->s);
	told_locked(j);
	if (j->parts & JOURNAL_BYTES)
		note_bytes_locked(j->s, &j->detail.bytes);
	/* An older one in no hurry is told after a later one that failed. */
	if (j->s->row_seq == j->seq) {
		j->s->is_row_stale = false;
		j->s->is_row_durable |= (j->job.flags & DB_DURABLE) != 0;
	}
	staging_unlock(j->s);
}

static void row_done(void *arg, int rc)
{
	struct row_job *j = arg;

	if (rc < 0)
		note_failure(j, rc);
	else
		note_success(j);
	row_job_free(j);
}

/* -- the snapshot ------------------------------------------------------------ */

static int detach_blob(struct buf *b, struct journal_blob *out)
{
	size_t len = b->len;
	char *data = buf_detach(b);

	if (!data)
		return -ENOMEM;
	*out = (struct journal_blob){data, len};
	return 0;
}

static int pack_ranges(const struct staging *s, struct journal_blob *out)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	if (!s->base)
		return 0;
	buf_add(&b, &s->base_limit, sizeof(s->base_limit));
	extents_pack(&b, &s->local);
	extents_pack(&b, &s->changed_ranges);
	return detach_blob(&b, out);
}

int staging_ranges_unpack(struct staging *s, const struct journal_blob *blob)
{
	const unsigned char *p = blob->data;
	size_t len = blob->len;
	uint64_t limit;
	int rc;

	if (!p || len < sizeof(limit))
		return -EINVAL;
	memcpy(&limit, p, sizeof(limit));
	p += sizeof(limit);
	len -= sizeof(limit);
	rc = extents_unpack(&p, &len, &s->local);
	if (rc == 0)
		rc = extents_unpack(&p, &len, &s->changed_ranges);
	if (rc < 0)
		return rc;
	s->base_limit = limit;
	return 0;
}

static int snap_props(const struct staging *s, struct journal_blob *out)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	int rc = props_pack(&b, &s->props);

	return rc < 0 ? rc : detach_blob(&b, out);
}

static int snap_close(const struct staging *s, struct journal_blob *out)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	int rc;

	if (!s->has_close)
		return 0;
	rc = close_pack(&b, &s->close);
	return rc < 0 ? rc : detach_blob(&b, out);
}

static int snap_base(const struct staging *s, struct staging_base **out)
{
	if (!s->base)
		return 0;
	*out = malloc(sizeof(**out));
	if (!*out)
		return -ENOMEM;
	**out = *s->base;
	return 0;
}

static int snap_detail(const struct staging *s, unsigned parts,
		       struct journal_detail *d)
{
	int rc = 0;

	if (parts & JOURNAL_PROPS)
		rc = snap_props(s, &d->props);
	if (rc == 0 && (parts & JOURNAL_CLOSE))
		rc = snap_close(s, &d->close);
	if (rc == 0 && (parts & JOURNAL_RANGES))
		rc = pack_ranges(s, &d->ranges);
	if (rc == 0 && (parts & JOURNAL_BASE))
		rc = snap_base(s, &d->base);
	if (rc == 0 && (parts & JOURNAL_UPLOAD)) {
		d->part_size = s->part_size;
		rc = str_set(&d->upload_id, s->upload_id);
	}
	return rc;
}

static int snap_row(const struct staging *s, struct journal_row *r)
	ACK_REQUIRES(s->lock)
{
	int rc;

	*r = (struct journal_row){
		.id = s->id,
		.state = s->row_state,
		.promised = s->promised,
		.superseded = s->superseded,
		.synced = staging_is_synced_locked(s),
		.size = s->size,
		.generation = s->generation,
		.created_ms = s->created_ms,
		.closed_ms = s->closed_ms,
		.close_seq = s->close_seq,
		.next_try_ms = s->next_try_ms,
		.attempts = s->attempts,
		.last_errno = s->last_errno,
	};
	rc = str_set(&r->key, s->key);
	if (rc == 0)
		rc = str_set(&r->last_error, s->last_error);
	return rc;
}

/* Another fsync(2) may have been faster. */
static bool is_news_locked(const struct staging *s,
			   const struct journal_bytes *bytes)
	ACK_REQUIRES(s->lock)
{
	return bytes->blob.data && bytes->generation >= s->row_bytes.posted &&
	       bytes->generation > s->synced_generation;
}

/* Takes them; or those in the row go: the file itself has been fsynced since. */
static void snap_bytes_locked(struct staging *s, struct row_job *j,
			      struct journal_bytes *bytes) ACK_REQUIRES(s->lock)
{
	uint64_t posted = s->row_bytes.posted;

	j->parts &= ~(unsigned)JOURNAL_BYTES;
	if (bytes && is_news_locked(s, bytes)) {
		j->parts |= JOURNAL_BYTES;
		s->row_bytes.posted = bytes->generation;
		charge_row_locked(s, staging_row_room(bytes->blob.len));
		j->detail.bytes = *bytes;
		*bytes = (struct journal_bytes){0};
	} else if (posted > 0 && s->synced_generation >= posted) {
		j->parts |= JOURNAL_BYTES;
		j->detail.bytes.generation = posted;
	}
}

void staging_row_retract_locked(struct staging *s)
{
	if (s->later)
		db_retract(s->store->db, &s->later->job);
}

int staging_row_post_locked(struct staging *s, int flags, struct row_job **out)
{
	return staging_row_post_bytes_locked(s, NULL, flags, out);
}

int staging_row_post_bytes_locked(struct staging *s,
				  struct journal_bytes *bytes, int flags,
				  struct row_job **out)
{
	AUTO(row_job_freep) struct row_job *j = NULL;
	int rc;

	if (out)
		*out = NULL;
	if (s->is_discarded)
		return 0;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->s = staging_get(s);
	j->seq = ++s->row_seq;
	j->parts = s->dirty | (s->later ? s->later->parts : 0);
	rc = snap_row(s, &j->row);
	if (rc == 0)
		rc = snap_detail(s, j->parts, &j->detail);
	if (rc < 0)
		return rc;
	snap_bytes_locked(s, j, bytes);
	s->dirty = 0;
	s->is_row_durable = false;
	j->job = (struct db_job){.fn = run_row,
				 .done = out ? NULL : row_done,
				 .arg = j,
				 .flags = flags & (DB_DURABLE | DB_LATER)};
	staging_row_retract_locked(s);
	s->later = flags & DB_LATER && !out ? j : NULL;
	db_post(s->store->db, &j->job);
	if (out)
		*out = j;
	(void)take_ptr(j);
	return 0;
}

int staging_row_wait(struct row_job *job)
{
	AUTO(row_job_freep) struct row_job *j = job;
	int rc;

	if (!j)
		return 0;
	rc = db_wait(j->s->store->db, &j->job);
	if (rc < 0)
		note_failure(j, rc);
	else
		note_success(j);
	return rc;
}

/* -- claims ------------------------------------------------------------------ */

/* The row as it is while the file changes: open, nothing promised, nothing
   frozen.  Drops the lock while the commit is waited for. */
static int write_unclaimed_locked(struct staging *s, int flags)
	ACK_REQUIRES(s->lock)
{
	struct row_job *job = NULL;
	int rc = staging_row_post_locked(s, flags, &job);

	if (rc < 0)
		return rc;
	s->is_unclaiming = true;
	staging_unlock(s);
	rc = staging_row_wait(job);
	failpoint("staging.unclaimed");
	staging_lock(s);
	s->is_unclaiming = false;
	cond_broadcast(&s->changed);
	return rc;
}

static int unclaim_once_locked(struct staging *s) ACK_REQUIRES(s->lock)
{
	const enum staging_state row_state = s->row_state;
	const bool promised = s->promised, superseded = s->superseded;
	const bool had_close = s->has_close;
	int rc;

	s->row_state = STAGING_OPEN;
	s->promised = s->superseded = s->has_close = false;
	if (had_close)
		s->dirty |= JOURNAL_CLOSE;
	rc = write_unclaimed_locked(s, s->claim == CLAIM_DURABLE ? DB_DURABLE
								 : DB_WAIT);
	if (rc < 0) {
		s->row_state = row_state;
		s->promised = promised;
		s->superseded = superseded;
		s->has_close = had_close;
		return rc;
	}
	s->claim = CLAIM_NONE;
	if (had_close)
		staging_close_release(&s->close);
	return 0;
}

int staging_unclaim_locked(struct staging *s)
{
	while (s->state == STAGING_OPEN && s->claim != CLAIM_NONE &&
	       !s->is_discarded) {
		int rc;

		if (s->is_unclaiming) {
			cond_wait(&s->changed, &s->lock);
			continue;
		}
		rc = unclaim_once_locked(s);
		if (rc < 0)
			return rc;
	}
	return 0;
}
