/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of a staged file.
 *
 * state      | meaning                              | who leads there
 * -----------|--------------------------------------|---------------------------
 * OPEN       | a program writes it, or may          | create, clone, reopen
 * HELD       | closed; waits for name or bytes      | hold
 * CLOSED     | frozen; waits for its upload         | close; recovery
 * UPLOADING  | being sent                           | begin_upload
 * RETRYING   | failed for now; bytes kept           | retry_later
 * DONE       | OSS has confirmed the bytes          | done
 * INCOMPLETE | its writer never finished it         | incomplete; recovery
 * discarded  | row and file gone, descriptor left   | discard (a flag, any state)
 *
 * from       | to
 * -----------|---------------------------------------------------------------
 * OPEN       | HELD CLOSED INCOMPLETE; DONE (reopened, nothing changed)
 * HELD       | OPEN CLOSED INCOMPLETE
 * CLOSED     | UPLOADING RETRYING DONE; CLOSED (recovered: its close is set)
 * UPLOADING  | DONE RETRYING
 * RETRYING   | UPLOADING DONE RETRYING
 * DONE       | OPEN DONE
 * INCOMPLETE | CLOSED INCOMPLETE
 *
 * invariant                                                     | states
 * --------------------------------------------------------------|--------------
 * bytes change only without a claim in the row                  | OPEN
 * bytes, size and ranges never change (gaps are filled, though) | all others
 * what the callback needs is frozen                             | HELD CLOSED
 *                                                               | (recovered ones
 *                                                               | excepted)
 * row_state = state, except after reopen, until the first change| all
 *     (the row is DONE still), and when the row is DONE already | UPLOADING
 * base_limit <= size; ranges end at base_limit                  | all
 * the row exists in the journal's queue before the call returns | all
 *
 * What is durable when (fuse-facts 22): nothing at create.  A transition made
 * with `durable`, staging_sync() and the first staging_retry_later():
 *     big file:    fdatasync(file), fsync(staging/) once, row, fsync(WAL), return
 *     small file:  row and bytes, fsync(WAL), return (staging_durable.c)
 * staging_discard() of a row that was durable: row "gone", fsync(WAL), unlink.
 *
 * Crash points (util/failpoint.h), in the order of a file's life:
 *     staging.create.file_made       file, no row
 *     staging.create.row_queued      row in the queue
 *     staging.pwrite.before_data     claim taken back, nothing written
 *     staging.pwrite.written         bytes written
 *     staging.truncated              the same, truncate
 *     staging.unclaimed              row says open again, bytes unchanged
 *     staging.promise.committed      FLUSH about to be answered
 *     staging.sync.before_data       durable: nothing done
 *     staging.sync.data_synced       big: data durable, name and row not
 *     staging.sync.dir_synced        big: data and name durable, row not
 *     staging.hold.committed         held row written
 *     staging.close.committed        closed row written
 *     staging.upload.begun           uploading
 *     staging.retry.committed        retrying row durable
 *     staging.stored.committed       done row written, or in the queue where
 *                                    nobody waits; nothing answered
 *     staging.done.queued            done row in the queue
 *     staging.incomplete.committed   incomplete row written
 *     staging.rekey.committed        row has the new key
 *     staging.discard.buried         row gone, file there
 *     staging.discard.unlinked       row gone, file gone, row not erased
 *     staging.recover.moved_aside    an orphan moved
 *     staging.recover.before_commit  nothing of the recovery in the journal
 *     staging.recover.committed      all of it
 *     db.before_commit, db.committed, db.before_checkpoint,
 *     db.migrate.before_commit, db.aside.wal_moved
 */
#include "state/staging.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state/staging_int.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"

#ifdef ACK_DEBUG
void staging_check_invariants_locked(const struct staging *s)
{
	const struct extents *x[] = {&s->local, &s->changed_ranges};

	assert(s->base_limit <= s->size);
	assert(s->base || s->base_limit == 0);
	assert(s->synced_generation <= s->generation);
	for (size_t i = 0; i < ARRAY_LEN(x); i++)
		assert(x[i]->count == 0 ||
		       x[i]->items[x[i]->count - 1].end <= s->base_limit);
	if (s->is_discarded || s->is_unclaiming || s->is_freezing)
		return;
	assert(s->state == STAGING_OPEN || s->row_state == s->state ||
	       (s->state == STAGING_UPLOADING && s->row_state == STAGING_DONE));
	assert(!s->promised || s->claim != CLAIM_NONE);
}
#endif

/* -- transitions ------------------------------------------------------------- */

static void set_state_locked(struct staging *s, enum staging_state state)
	ACK_REQUIRES(s->lock)
{
	s->state = state;
	store_publish_locked(s);
	cond_broadcast(&s->changed);
}

static void raise_claim_locked(struct staging *s, bool durable)
	ACK_REQUIRES(s->lock)
{
	enum claim claim = durable ? CLAIM_DURABLE : CLAIM_COMMITTED;

	if (claim > s->claim)
		s->claim = claim;
}

int staging_promise(struct staging *s)
{
	struct row_job *job = NULL;
	int rc;

	staging_lock(s);
	staging_wait_idle_locked(s);
	if (s->state != STAGING_OPEN || s->claim != CLAIM_NONE ||
	    s->is_discarded) {
		staging_unlock(s); /* nothing is new, or nothing is kept */
		return 0;
	}
	s->promised = true;
	raise_claim_locked(s, false);
	rc = staging_row_post_locked(s, DB_WAIT, &job);
	if (rc < 0) {
		s->promised = false;
		s->claim = CLAIM_NONE;
	}
	staging_unlock(s);
	if (rc == 0)
		rc = staging_row_wait(job);
	failpoint("staging.promise.committed");
	return rc;
}

int staging_sync(struct staging *s)
{
	AUTO(journal_bytes_release) struct journal_bytes bytes = {0};
	struct row_job *job = NULL;
	int rc = staging_make_safe(s, &bytes);

	if (rc < 0)
		return rc;
	staging_lock(s);
	if (!bytes.blob.data && s->is_row_durable && !s->dirty) {
		staging_unlock(s);
		return 0;
	}
	if (s->claim != CLAIM_NONE)
		s->claim = CLAIM_DURABLE;
	rc = staging_row_post_bytes_locked(s, &bytes, DB_DURABLE, &job);
	staging_unlock(s);
	return rc < 0 ? rc : staging_row_wait(job);
}

static bool may_freeze_locked(const struct staging *s, enum staging_state to,
			      const struct staging_close *c)
	ACK_REQUIRES(s->lock)
{
	if (!c && !s->has_close)
		return false;
	if (to == STAGING_HELD)
		return s->state == STAGING_OPEN;
	return s->state == STAGING_OPEN || s->state == STAGING_HELD ||
	       s->state == STAGING_INCOMPLETE ||
	       (s->state == STAGING_CLOSED && !s->has_close);
}

/* From here on nobody can change the bytes. */
static int freeze(struct staging *s, enum staging_state to,
		  const struct staging_close *c, enum staging_state *from)
{
	struct staging_close copy = {0};
	int rc = c ? staging_close_copy(&copy, c) : 0;

	if (rc < 0)
		return rc;
	staging_lock(s);
	staging_wait_idle_locked(s);
	if (s->is_discarded || !may_freeze_locked(s, to, c)) {
		rc = s->is_discarded ? -ESTALE : -EINVAL;
		staging_unlock(s);
		staging_close_release(&copy);
		return rc;
	}
	if (c) {
		staging_close_release(&s->close);
		s->close = copy;
		s->has_close = true;
		s->dirty |= JOURNAL_CLOSE;
	}
	*from = s->state;
	s->closed_ms = clock_real_ms();
	s->close_seq = store_next_close_seq(s->store);
	s->promised = false;
	s->is_freezing = true;
	set_state_locked(s, to);
	staging_unlock(s);
	return 0;
}

/* The frozen file's row, and its bytes, where they are not safe otherwise. */
static int write_frozen(struct staging *s, enum staging_state to, bool durable)
{
	AUTO(journal_bytes_release) struct journal_bytes bytes = {0};
	struct row_job *job = NULL;
	int rc = durable ? staging_make_safe(s, &bytes) : 0;

	if (rc < 0)
		return rc;
	staging_lock(s);
	s->is_freezing = false;
	if (s->is_discarded || s->state != to) {
		staging_unlock(s);
		return -ESTALE;
	}
	s->row_state = to;
	raise_claim_locked(s, durable);
	rc = staging_row_post_bytes_locked(
		s, &bytes, durable ? DB_DURABLE : DB_WAIT, &job);
	staging_unlock(s);
	return rc < 0 ? rc : staging_row_wait(job);
}

/* Back to what it was: nobody was told that it is closed. */
static void unfreeze(struct staging *s, enum staging_state to,
		     enum staging_state from)
{
	staging_lock(s);
	s->is_freezing = false;
	if (s->state == to) {
		s->row_state = from;
		set_state_locked(s, from);
	}
	staging_unlock(s);
}

static int freeze_and_write(struct staging *s, enum staging_state to,
			    const struct staging_close *c, bool durable)
{
	enum staging_state from = STAGING_OPEN;
	int rc = freeze(s, to, c, &from);

	if (rc < 0)
		return rc;
	rc = write_frozen(s, to, durable);
	if (rc < 0)
		unfreeze(s, to, from);
	return rc;
}

int staging_hold(struct staging *s, const struct staging_close *c, bool durable)
{
	int rc = freeze_and_write(s, STAGING_HELD, c, durable);

	failpoint("staging.hold.committed");
	return rc;
}

int staging_close(struct staging *s, const struct staging_close *c,
		  bool durable)
{
	int rc = freeze_and_write(s, STAGING_CLOSED, c, durable);

	failpoint("staging.close.committed");
	return rc;
}

/* All of the object just stored is here. */
static int rebase_locked(struct staging *s, const struct staging_base *base)
	ACK_REQUIRES(s->lock)
{
	int rc = staging_set_base_locked(s, base);

	if (rc < 0)
		return rc;
	extents_release(&s->local);
	extents_release(&s->changed_ranges);
	s->base_limit = 0;
	if (!base)
		return 0;
	rc = extents_add(&s->local, 0, s->size);
	if (rc == 0)
		s->base_limit = s->size;
	return rc;
}

int staging_reopen(struct staging *s, const struct staging_base *base)
{
	int rc = 0;

	staging_lock(s);
	if (s->state != STAGING_HELD && s->state != STAGING_DONE)
		rc = -EINVAL;
	else if (s->state == STAGING_DONE)
		rc = rebase_locked(s, base);
	if (rc == 0) {
		/* The row follows with the first change. */
		s->attempts = 0;
		s->last_errno = 0;
		free(s->last_error);
		s->last_error = NULL;
		set_state_locked(s, STAGING_OPEN);
	}
	staging_unlock(s);
	return rc;
}

#define FROM(state) (1U << STAGING_##state)

static int may_move_locked(const struct staging *s, unsigned from)
	ACK_REQUIRES(s->lock)
{
	if (s->is_discarded)
		return -ESTALE;
	return from & (1U << s->state) ? 0 : -EINVAL;
}

/* The transition itself; its row goes with `flags`. */
static int move_locked(struct staging *s, enum staging_state to, int flags,
		       struct row_job **job) ACK_REQUIRES(s->lock)
{
	s->row_state = to;
	set_state_locked(s, to);
	return staging_row_post_locked(s, flags, job);
}

int staging_begin_upload(struct staging *s)
{
	int rc;

	staging_lock(s);
	rc = may_move_locked(s,
			     FROM(CLOSED) | FROM(RETRYING) | FROM(UPLOADING));
	if (rc == 0)
		rc = move_locked(s, STAGING_UPLOADING, DB_LATER, NULL);
	staging_unlock(s);
	failpoint("staging.upload.begun");
	return rc;
}

/* bytes NULL: they are not safe. */
static int fail_attempt_locked(struct staging *s, int err, const char *error,
			       int64_t next_try_ms, struct journal_bytes *bytes,
			       struct row_job **job) ACK_REQUIRES(s->lock)
{
	/* Of these bytes nothing has to be made durable twice. */
	bool is_news = bytes && (bytes->blob.data || s->claim != CLAIM_DURABLE);
	int rc = may_move_locked(s, FROM(CLOSED) | FROM(UPLOADING) |
					    FROM(RETRYING));

	if (rc == 0)
		rc = str_set(&s->last_error, error);
	if (rc < 0)
		return rc;
	s->last_errno = err < 0 ? -err : err;
	s->next_try_ms = next_try_ms;
	s->attempts++;
	raise_claim_locked(s, bytes != NULL);
	s->row_state = STAGING_RETRYING;
	set_state_locked(s, STAGING_RETRYING);
	return staging_row_post_bytes_locked(
		s, bytes, is_news ? DB_DURABLE : DB_WAIT, job);
}

int staging_retry_later(struct staging *s, int err, const char *error,
			int64_t next_try_ms)
{
	AUTO(journal_bytes_release) struct journal_bytes bytes = {0};
	struct row_job *job = NULL;
	/* A disk that fails does not end the retries: what can be read can be
	   sent. */
	bool is_safe = staging_make_safe(s, &bytes) == 0;
	int rc;

	staging_lock(s);
	rc = fail_attempt_locked(s, err, error, next_try_ms,
				 is_safe ? &bytes : NULL, &job);
	staging_unlock(s);
	if (rc == 0)
		rc = staging_row_wait(job);
	failpoint("staging.retry.committed");
	return rc;
}

static int post_done_locked(struct staging *s, int flags, struct row_job **job)
	ACK_REQUIRES(s->lock)
{
	int rc;

	s->last_errno = 0;
	free(s->last_error);
	s->last_error = NULL;
	/* Parts were completed; after a crash just before they are looked for. */
	if (s->upload_id) {
		free(s->upload_id);
		s->upload_id = NULL;
		s->part_size = 0;
		s->dirty |= JOURNAL_UPLOAD;
	}
	raise_claim_locked(s, false);
	s->row_state = STAGING_DONE;
	rc = staging_row_post_locked(s, flags, job);
	s->is_row_stale |= rc < 0;
	return rc;
}

int staging_stored(struct staging *s, bool is_waited_for)
{
	struct row_job *job = NULL;
	int rc;

	staging_lock(s);
	rc = may_move_locked(s, FROM(UPLOADING));
	if (rc == 0)
		rc = post_done_locked(s, is_waited_for ? DB_WAIT : DB_LATER,
				      is_waited_for ? &job : NULL);
	staging_unlock(s);
	if (rc == 0)
		rc = staging_row_wait(job);
	failpoint("staging.stored.committed");
	return rc;
}

/* Not said again when the row says so: staging_stored(), or it was opened and
   nothing changed. */
static int done_locked(struct staging *s) ACK_REQUIRES(s->lock)
{
	bool is_said = s->row_state == STAGING_DONE;
	int rc = may_move_locked(s, (is_said ? FROM(OPEN) : 0) | FROM(CLOSED) |
					    FROM(UPLOADING) | FROM(RETRYING) |
					    FROM(DONE));

	if (rc == 0 && (!is_said || s->is_row_stale))
		rc = post_done_locked(s, DB_NOWAIT, NULL);
	if (rc == 0)
		set_state_locked(s, STAGING_DONE);
	return rc;
}

int staging_done(struct staging *s)
{
	int rc;

	staging_lock(s);
	rc = done_locked(s);
	staging_unlock(s);
	failpoint("staging.done.queued");
	return rc;
}

static int incomplete_locked(struct staging *s, const char *why,
			     struct row_job **job) ACK_REQUIRES(s->lock)
{
	int flags = s->claim == CLAIM_DURABLE ? DB_DURABLE : DB_WAIT;
	int rc = may_move_locked(s, FROM(OPEN) | FROM(HELD) | FROM(INCOMPLETE));

	if (rc == 0)
		rc = str_set(&s->last_error, why);
	if (rc < 0)
		return rc;
	s->promised = false;
	s->claim = CLAIM_NONE;
	return move_locked(s, STAGING_INCOMPLETE, flags, job);
}

int staging_incomplete(struct staging *s, const char *why)
{
	struct row_job *job = NULL;
	int rc;

	staging_lock(s);
	staging_wait_idle_locked(s);
	rc = incomplete_locked(s, why, &job);
	staging_unlock(s);
	if (rc == 0)
		rc = staging_row_wait(job);
	failpoint("staging.incomplete.committed");
	return rc;
}

void staging_supersede(struct staging *s)
{
	int rc;

	staging_lock(s);
	s->superseded = true;
	rc = staging_row_post_locked(s, DB_NOWAIT, NULL);
	staging_unlock(s);
	if (rc < 0)
		log_warn("staging: superseded, but not noted: id=%lld "
			 "error=\"%s\"",
			 (long long)s->id, strerror(-rc));
}

bool staging_is_superseded(struct staging *s)
{
	bool is_superseded;

	staging_lock(s);
	is_superseded = s->superseded;
	staging_unlock(s);
	return is_superseded;
}

/* -- discard ----------------------------------------------------------------- */

struct burial {
	struct db_job job;
	struct staging *s; /* a reference: the id stays taken */
	bool is_waited_for;
};

static int run_bury(sqlite3 *sql, void *arg)
{
	const struct burial *b = arg;
	int rc = store_erase_unlinked(sql, b->s->store);

	return rc < 0 ? rc : journal_bury(sql, b->s->id);
}

/* The row says gone: now the file may go. */
static int unlink_buried(const struct burial *b, int rc)
{
	struct staging_store *st = b->s->store;
	char name[STAGING_NAME_LEN];

	failpoint("staging.discard.buried");
	if (rc == 0 &&
	    unlinkat(st->dirfd, staging_file_name(name, b->s->id), 0) < 0 &&
	    errno != ENOENT)
		rc = -errno;
	failpoint("staging.discard.unlinked");
	if (rc == 0)
		store_note_unlinked(st, b->s->id);
	else
		log_err("staging: discarded file could not be removed: "
			"directory=%s file=%s error=\"%s\"",
			LOG_Q(st->dir), staging_file_name(name, b->s->id),
			strerror(-rc));
	return rc;
}

static void burial_free(struct burial *b)
{
	staging_put(b->s);
	free(b);
}

static void bury_done(void *arg, int rc)
{
	struct burial *b = arg;

	unlink_buried(b, rc);
	burial_free(b);
}

/* Does the program wait?  Not for a file that OSS has (there is no hurry at
   all), nor for one whose row makes no claim: at worst it comes back as
   incomplete. */
static bool must_wait_locked(const struct staging *s) ACK_REQUIRES(s->lock)
{
	return s->claim != CLAIM_NONE && s->row_state != STAGING_DONE;
}

bool staging_is_discarded(struct staging *s)
{
	bool is_discarded;

	staging_lock(s);
	is_discarded = s->is_discarded;
	staging_unlock(s);
	return is_discarded;
}

int staging_discard(struct staging *s)
{
	struct burial *b = calloc(1, sizeof(*b));
	bool must_wait;
	int rc = 0;

	if (!b)
		return -ENOMEM;
	staging_lock(s);
	if (s->is_discarded) {
		staging_unlock(s);
		free(b);
		return 0;
	}
	(void)staging_fd_locked(s); /* while it has a name */
	s->is_discarded = true;
	must_wait = must_wait_locked(s);
	b->s = staging_get(s);
	b->job = (struct db_job){
		.fn = run_bury,
		.done = must_wait ? NULL : bury_done,
		.arg = b,
		.flags = (s->claim == CLAIM_DURABLE ? DB_DURABLE : 0) |
			 (s->row_state == STAGING_DONE ? DB_LATER : 0),
	};
	staging_row_retract_locked(s);
	db_post(s->store->db, &b->job);
	cond_broadcast(&s->changed);
	staging_unlock(s);
	if (must_wait) {
		rc = unlink_buried(b, db_wait(s->store->db, &b->job));
		burial_free(b);
	}
	store_remove(s->store, s);
	return rc;
}
