/* SPDX-License-Identifier: Apache-2.0 */
/* What a staged file is called and carries, beside its bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/staging_int.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/failpoint.h"

int staging_set_base_locked(struct staging *s, const struct staging_base *base)
{
	struct staging_base *copy = NULL;

	if (base) {
		copy = malloc(sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		*copy = *base;
	}
	free(s->base);
	s->base = copy;
	s->dirty |= JOURNAL_BASE | JOURNAL_RANGES;
	return 0;
}

/* -- names and properties ---------------------------------------------------- */

void staging_key(struct staging *s, char out[STAGING_KEY_MAX])
{
	staging_lock(s);
	snprintf(out, STAGING_KEY_MAX, "%s", s->key);
	staging_unlock(s);
}

int64_t staging_id(const struct staging *s)
{
	return s->id;
}

/* How a change of the row beside the bytes is written: as safe as the row
   that it changes. */
static int side_flags_locked(const struct staging *s) ACK_REQUIRES(s->lock)
{
	if (s->claim == CLAIM_NONE)
		return DB_NOWAIT;
	return s->claim == CLAIM_DURABLE ? DB_DURABLE : DB_WAIT;
}

static int post_side_locked(struct staging *s, struct row_job **job)
	ACK_REQUIRES(s->lock)
{
	int flags = side_flags_locked(s);

	return staging_row_post_locked(s, flags,
				       flags == DB_NOWAIT ? NULL : job);
}

static int rekey_locked(struct staging *s, const char *key,
			struct row_job **job) ACK_REQUIRES(s->lock)
{
	int rc = str_set(&s->key, key);

	if (rc < 0)
		return rc;
	/* It replaces what was closed under that name before. */
	if (s->close_seq != 0)
		s->close_seq = store_next_close_seq(s->store);
	if (s->props.exclusive) { /* of the name that it had */
		s->props.exclusive = false;
		s->dirty |= JOURNAL_PROPS;
	}
	return post_side_locked(s, job);
}

int staging_rekey(struct staging *s, const char *key)
{
	char before[STAGING_KEY_MAX];
	struct row_job *job = NULL;
	int rc;

	if (strlen(key) >= STAGING_KEY_MAX)
		return -ENAMETOOLONG;
	staging_key(s, before);
	staging_lock(s);
	rc = rekey_locked(s, key, &job);
	staging_unlock(s);
	if (rc == 0)
		rc = staging_row_wait(job);
	failpoint("staging.rekey.committed");
	if (rc < 0) {
		staging_lock(s);
		(void)str_set(&s->key, before);
		staging_unlock(s);
	}
	return rc;
}

int staging_rebase(struct staging *s, const struct staging_base *base)
{
	int rc = 0;

	staging_lock(s);
	if (s->base)
		rc = staging_set_base_locked(s, base);
	if (rc == 0 && s->base)
		rc = staging_row_post_locked(
			s, side_flags_locked(s) | DB_NOWAIT, NULL);
	staging_unlock(s);
	return rc;
}

static int set_props_locked(struct staging *s, const struct staging_props *p,
			    struct row_job **job) ACK_REQUIRES(s->lock)
{
	struct staging_props copy = {0};
	int rc;

	if (s->state != STAGING_OPEN && s->state != STAGING_HELD)
		return -EBUSY;
	rc = staging_props_copy(&copy, p);
	if (rc < 0)
		return rc;
	staging_props_release(&s->props);
	s->props = copy;
	s->dirty |= JOURNAL_PROPS;
	/* Only a rename must be as safe as what it renames. */
	if (s->claim == CLAIM_NONE)
		return staging_row_post_locked(s, DB_LATER, NULL);
	return staging_row_post_locked(s, DB_WAIT, job);
}

int staging_set_props(struct staging *s, const struct staging_props *p)
{
	struct row_job *job = NULL;
	int rc;

	staging_lock(s);
	rc = set_props_locked(s, p, &job);
	staging_unlock(s);
	return rc < 0 ? rc : staging_row_wait(job);
}

int staging_get_props(struct staging *s, struct staging_props *out)
{
	int rc;

	staging_lock(s);
	rc = staging_props_copy(out, &s->props);
	staging_unlock(s);
	return rc;
}

int staging_get_close(struct staging *s, struct staging_close *out)
{
	int rc;

	staging_lock(s);
	rc = s->has_close ? staging_close_copy(out, &s->close) : -ENODATA;
	staging_unlock(s);
	return rc;
}

enum staging_state staging_state_of(struct staging *s)
{
	enum staging_state state;

	staging_lock(s);
	state = s->state;
	staging_unlock(s);
	return state;
}

void staging_get_info(struct staging *s, struct staging_info *out)
{
	staging_lock(s);
	*out = (struct staging_info){
		.id = s->id,
		.state = s->state,
		.promised = s->promised,
		.size = s->size,
		.local_bytes =
			s->size - s->base_limit + extents_total(&s->local),
		.created_ms = s->created_ms,
		.closed_ms = s->closed_ms,
		.next_try_ms = s->next_try_ms,
		.attempts = s->attempts,
		.last_errno = s->last_errno,
		.superseded = s->superseded,
	};
	snprintf(out->key, sizeof(out->key), "%s", s->key);
	snprintf(out->last_error, sizeof(out->last_error), "%s",
		 s->last_error ? s->last_error : "");
	staging_unlock(s);
}

/* -- multipart uploads ------------------------------------------------------- */

int staging_set_upload(struct staging *s, const char *upload_id,
		       uint64_t part_size)
{
	struct row_job *job = NULL;
	int rc;

	staging_lock(s);
	rc = str_set(&s->upload_id, upload_id);
	if (rc == 0) {
		s->part_size = upload_id ? part_size : 0;
		s->dirty |= JOURNAL_UPLOAD;
		rc = staging_row_post_locked(s, upload_id ? DB_WAIT : DB_NOWAIT,
					     upload_id ? &job : NULL);
	}
	staging_unlock(s);
	return rc < 0 ? rc : staging_row_wait(job);
}

char *staging_get_upload(struct staging *s, uint64_t *part_size)
{
	char *id;

	staging_lock(s);
	id = str_dup(s->upload_id);
	if (id)
		*part_size = s->part_size;
	staging_unlock(s);
	return id;
}

struct part_write {
	int64_t id;
	struct staging_part part;
};

static int run_add_part(sqlite3 *sql, void *arg)
{
	const struct part_write *w = arg;

	return journal_add_part(sql, w->id, &w->part);
}

int staging_add_part(struct staging *s, const struct staging_part *p)
{
	AUTO_FREE struct part_write *w = malloc(sizeof(*w));
	int rc = -ESTALE;

	if (!w)
		return -ENOMEM;
	*w = (struct part_write){s->id, *p};
	staging_lock(s);
	if (!s->is_discarded)
		rc = db_write_nowait(s->store->db, run_add_part, take_ptr(w),
				     free, DB_NOWAIT);
	staging_unlock(s);
	return rc;
}

struct parts_read {
	int64_t id;
	struct staging_part *parts;
	size_t count;
};

static int run_get_parts(sqlite3 *sql, void *arg)
{
	struct parts_read *r = arg;

	free(r->parts);
	r->parts = NULL;
	return journal_parts(sql, r->id, &r->parts, &r->count);
}

int staging_get_parts(struct staging *s, struct staging_part **parts,
		      size_t *count)
{
	struct parts_read r = {.id = s->id};
	/* On the writer's connection: it sees parts that are still queued. */
	int rc = db_write(s->store->db, run_get_parts, &r, DB_WAIT);

	if (rc < 0)
		return rc;
	*parts = r.parts;
	*count = r.count;
	return 0;
}
