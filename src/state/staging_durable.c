/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that a durable row speaks of.
 *
 * A big file is fsynced before its row, and the folder once, for the name.  The
 * bytes of a small one go into the row: then the journal's fsync, which closes
 * at the same time share, is the only one.  Recovery writes the file anew from
 * them, whatever a power loss has left of it.
 *
 * Row and bytes each carry the generation that they are of.  Where they agree,
 * the bytes are the file.  Where the row is ahead, they are what was promised
 * last, and stay, also after a write has taken the row's claim back: after
 * fsync(2) and half a write the disk must not have less than what was fsynced.
 * They go when the file itself has been fsynced, and with the row.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state/staging_int.h"
#include "util/base.h"
#include "util/failpoint.h"
#include "util/fileio.h"
#include "util/log.h"

enum { PAGE = 4096 }; /* the journal's */

bool staging_is_synced_locked(const struct staging *s)
{
	return (s->synced_generation == s->generation && s->is_dir_synced) ||
	       (s->size == 0 && !s->base);
}

bool staging_has_row_bytes_locked(const struct staging *s)
{
	return s->row_bytes.committed == s->generation;
}

uint64_t staging_row_room(uint64_t len)
{
	uint64_t most = STAGING_ROW_BYTES_MAX;

	return ((len < most ? len : most) / PAGE + 1) * PAGE;
}

/* After a failed fsync the kernel takes the pages for clean, and the next one
   succeeds without having written them: so the failure stays. */
static int note_sync_error(struct staging *s, int rc)
{
	staging_lock(s);
	s->sync_error = rc;
	staging_unlock(s);
	log_err("staging: fsync failed, the file can never be trusted again: "
		"directory=%s id=%lld error=\"%s\"",
		LOG_Q(s->store->dir), (long long)s->id, strerror(-rc));
	return rc;
}

/* What is to be done for the bytes of this moment. */
struct plan {
	int fd;
	uint64_t generation, size;
	bool need_data, need_dir;
	bool fits_row;
};

/* All of it here, and small. */
static bool fits_row_locked(const struct staging *s) ACK_REQUIRES(s->lock)
{
	return s->size <= STAGING_ROW_BYTES_MAX && s->base_limit == 0 &&
	       budget_room(s->store->budget) >= staging_row_room(s->size);
}

static int plan_locked(struct staging *s, struct plan *p) ACK_REQUIRES(s->lock)
{
	bool in_row = staging_has_row_bytes_locked(s);

	*p = (struct plan){
		.fd = staging_fd_locked(s),
		.generation = s->generation,
		.size = s->size,
		.need_data = !in_row && s->synced_generation != s->generation,
		.need_dir = !in_row && !s->is_dir_synced,
	};
	if (p->fd < 0)
		return p->fd;
	p->fits_row = p->need_data && fits_row_locked(s);
	return s->sync_error;
}

/* @return false: they are not what they should be, or there is no memory */
static bool read_bytes(const struct plan *p, struct journal_bytes *out)
{
	AUTO_FREE char *data = malloc(p->size + 1); /* none are bytes too */

	if (!data || fd_pread_all(p->fd, data, p->size, 0) != (ssize_t)p->size)
		return false;
	out->blob = (struct journal_blob){take_ptr(data), p->size};
	out->generation = p->generation;
	return true;
}

static int sync_to_disk(struct staging *s, const struct plan *p)
{
	if (p->need_data && fdatasync(p->fd) < 0)
		return note_sync_error(s, -errno);
	failpoint("staging.sync.data_synced");
	if (p->need_dir && fsync(s->store->dirfd) < 0)
		return note_sync_error(s, -errno);
	failpoint("staging.sync.dir_synced");
	staging_lock(s);
	if (s->synced_generation < p->generation)
		s->synced_generation = p->generation;
	s->is_dir_synced |= p->need_dir;
	if (s->row_bytes.posted > 0)
		s->dirty |= JOURNAL_BYTES; /* they go */
	staging_unlock(s);
	return 0;
}

int staging_make_safe(struct staging *s, struct journal_bytes *for_row)
{
	struct plan p;
	int rc;

	staging_lock(s);
	rc = plan_locked(s, &p);
	staging_unlock(s);
	if (rc < 0 || !(p.need_data || p.need_dir))
		return rc;
	failpoint("staging.sync.before_data");
	if (p.fits_row && read_bytes(&p, for_row))
		return 0;
	return sync_to_disk(s, &p);
}

/* -- bytes of the base --------------------------------------------------------- */

int staging_keep_filled(struct staging *s)
{
	struct row_job *job = NULL;
	int fd = -1, rc = 0;

	staging_lock(s);
	/* The bytes before a durable row that speaks of them. */
	if (s->dirty & JOURNAL_RANGES && s->claim == CLAIM_DURABLE)
		fd = staging_fd_locked(s);
	staging_unlock(s);
	if (fd >= 0 && fdatasync(fd) < 0)
		return note_sync_error(s, -errno);
	staging_lock(s);
	if (s->dirty & JOURNAL_RANGES)
		rc = staging_row_post_locked(s, DB_WAIT, &job);
	staging_unlock(s);
	return rc < 0 ? rc : staging_row_wait(job);
}
