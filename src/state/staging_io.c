/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes and ranges.
 *
 * The lock is never held across pread, pwrite or fsync.  Work that goes on
 * outside it is an io_op in the file's list: writes may overlap each other, as
 * in any file; a fill (base bytes into gaps) and a truncate have their
 * range to themselves, so that a fill that was slow cannot overwrite what a
 * program wrote meanwhile.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/staging_int.h"
#include "util/base.h"
#include "util/failpoint.h"
#include "util/fileio.h"

enum { SECTOR = 512, BLOCK = 4096 };

/* -- operations -------------------------------------------------------------- */

static bool conflicts(const struct io_op *a, const struct io_op *b)
{
	if (a->kind == IO_WRITE && b->kind == IO_WRITE)
		return false;
	return a->start < b->end && b->start < a->end;
}

static bool may_begin_locked(const struct staging *s, const struct io_op *op)
	ACK_REQUIRES(s->lock)
{
	for (const struct io_op *o = s->ops; o; o = o->next)
		if (conflicts(o, op))
			return false;
	return true;
}

static void push_op_locked(struct staging *s, struct io_op *op)
	ACK_REQUIRES(s->lock)
{
	op->next = s->ops;
	s->ops = op;
	s->op_count++;
}

void staging_op_begin_locked(struct staging *s, struct io_op *op)
{
	while (!may_begin_locked(s, op))
		cond_wait(&s->changed, &s->lock);
	push_op_locked(s, op);
}

/* One that changes bytes: only of an open file, of which no row claims
   anything.  Each wait drops the lock, so everything is asked again. */
static int change_begin_locked(struct staging *s, struct io_op *op)
	ACK_REQUIRES(s->lock)
{
	for (;;) {
		int rc;

		if (s->state != STAGING_OPEN)
			return -EBUSY;
		rc = staging_unclaim_locked(s);
		if (rc < 0)
			return rc;
		if (s->state == STAGING_OPEN && may_begin_locked(s, op))
			break;
		if (s->state == STAGING_OPEN)
			cond_wait(&s->changed, &s->lock);
	}
	push_op_locked(s, op);
	return 0;
}

void staging_op_end_locked(struct staging *s, struct io_op *op)
{
	struct io_op **at = &s->ops;

	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	s->op_count--;
	staging_charge_locked(s, op->reserved);
	cond_broadcast(&s->changed);
}

static bool is_busy_locked(const struct staging *s) ACK_REQUIRES(s->lock)
{
	for (const struct io_op *o = s->ops; o; o = o->next)
		if (o->kind != IO_FILL)
			return true;
	return s->is_unclaiming;
}

void staging_wait_idle_locked(struct staging *s)
{
	while (is_busy_locked(s))
		cond_wait(&s->changed, &s->lock);
}

void staging_charge_locked(struct staging *s, uint64_t reserved)
{
	uint64_t now = s->charged;
	struct stat st;

	if (s->fd >= 0 && fstat(s->fd, &st) == 0)
		now = (uint64_t)st.st_blocks * SECTOR;
	budget_settle(s->store->budget, reserved,
		      (int64_t)now - (int64_t)s->charged);
	s->charged = now;
}

int staging_fd_locked(struct staging *s)
{
	char name[STAGING_NAME_LEN];
	int fd;

	if (s->fd >= 0)
		return s->fd;
	fd = openat(s->store->dirfd, staging_file_name(name, s->id),
		    O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	s->fd = fd;
	return fd;
}

int staging_fd(struct staging *s)
{
	int fd;

	staging_lock(s);
	fd = staging_fd_locked(s);
	staging_unlock(s);
	return fd;
}

/* -- reading ----------------------------------------------------------------- */

ssize_t staging_pread(struct staging *s, void *to, size_t len, uint64_t off)
{
	int fd = staging_fd(s);

	if (fd < 0)
		return fd;
	if (off > INT64_MAX)
		return -EINVAL;
	return fd_pread_all(fd, to, len, off);
}

/* The part of [off, off+len) that the base may show through. */
static struct extent shared_part_locked(const struct staging *s, uint64_t off,
					uint64_t len) ACK_REQUIRES(s->lock)
{
	struct extent e = {off, s->base_limit};

	if (len < s->base_limit && off < s->base_limit - len)
		e.end = off + len;
	if (e.start > e.end)
		e.start = e.end;
	return e;
}

bool staging_missing(struct staging *s, uint64_t off, uint64_t len,
		     uint64_t *miss_off, uint64_t *miss_len)
{
	struct extent part, gap;
	bool found;

	staging_lock(s);
	part = shared_part_locked(s, off, len);
	found = extents_gap(&s->local, part.start, part.end, &gap);
	staging_unlock(s);
	if (found) {
		*miss_off = gap.start;
		*miss_len = gap.end - gap.start;
	}
	return found;
}

/* -- filling ----------------------------------------------------------------- */

/* Write the gaps of the operation's range. The lock is dropped for each. */
static int fill_gaps_locked(struct staging *s, const struct io_op *op, int fd,
			    const char *data) ACK_REQUIRES(s->lock)
{
	struct extent gap;
	uint64_t at = op->start;

	while (extents_gap(&s->local, at, op->end, &gap)) {
		int rc = extents_reserve(&s->local, s->op_count + 1);

		if (rc < 0)
			return rc;
		staging_unlock(s);
		rc = fd_pwrite_all(fd, data + (gap.start - op->start),
				   (size_t)(gap.end - gap.start), gap.start);
		staging_lock(s);
		if (rc < 0)
			return rc;
		rc = extents_add(&s->local, gap.start, gap.end);
		if (rc < 0)
			return rc;
		s->dirty |= JOURNAL_RANGES;
		at = gap.end;
	}
	return 0;
}

/* A truncate may have cut the base while the operation waited. */
static void clip_to_base_locked(const struct staging *s, struct io_op *op)
	ACK_REQUIRES(s->lock)
{
	if (op->end > s->base_limit)
		op->end = s->base_limit;
	if (op->start > op->end)
		op->start = op->end;
}

int staging_fill(struct staging *s, const void *data, size_t len, uint64_t off)
{
	struct io_op op = {.kind = IO_FILL, .reserved = len};
	uint64_t first;
	int fd, rc;

	store_make_room(s->store, len);
	rc = budget_reserve(s->store->budget, len);
	if (rc < 0)
		return rc;
	staging_lock(s);
	op.start = first = shared_part_locked(s, off, len).start;
	op.end = shared_part_locked(s, off, len).end;
	staging_op_begin_locked(s, &op);
	clip_to_base_locked(s, &op);
	fd = staging_fd_locked(s);
	rc = fd < 0 ? fd : 0;
	if (rc == 0 && op.start < op.end)
		rc = fill_gaps_locked(s, &op, fd,
				      (const char *)data + (first - off));
	staging_op_end_locked(s, &op);
	staging_unlock(s);
	if (rc == -ENOSPC)
		budget_disk_full(s->store->budget);
	return rc;
}

int staging_unfill(struct staging *s, uint64_t off, uint64_t len)
{
	struct io_op op = {.kind = IO_EXCLUSIVE, .start = off};
	struct extents rest = EXTENTS_INIT;
	int rc;

	op.end = len > UINT64_MAX - off ? UINT64_MAX : off + len;
	staging_lock(s);
	staging_op_begin_locked(s, &op);
	rc = extents_copy(&rest, &s->local);
	if (rc == 0)
		rc = extents_remove(&rest, op.start, op.end);
	for (size_t i = 0; rc == 0 && i < s->changed_ranges.count; i++)
		rc = extents_add(&rest, s->changed_ranges.items[i].start,
				 s->changed_ranges.items[i].end);
	if (rc == 0) {
		extents_release(&s->local);
		s->local = rest;
		s->dirty |= JOURNAL_RANGES;
	} else {
		extents_release(&rest);
	}
	staging_op_end_locked(s, &op);
	staging_unlock(s);
	return rc;
}

/* -- writing ----------------------------------------------------------------- */

/* What a write may add to the disk's use: only its new tail when the file
   has no holes. */
static uint64_t may_grow_locked(const struct staging *s, uint64_t off,
				uint64_t len) ACK_REQUIRES(s->lock)
{
	uint64_t end = off + len;
	bool is_dense = !s->base && s->charged + BLOCK > s->size;

	if (!is_dense || off > s->size)
		return len;
	return end > s->size ? end - s->size : 0;
}

/* Room so that noting what was written cannot fail. */
static int reserve_ranges_locked(struct staging *s, uint64_t off)
	ACK_REQUIRES(s->lock)
{
	int rc;

	if (off >= s->base_limit)
		return 0;
	rc = extents_reserve(&s->local, s->op_count + 1);
	if (rc == 0)
		rc = extents_reserve(&s->changed_ranges, s->op_count + 1);
	return rc;
}

static int reserve_for_write_locked(struct staging *s, struct io_op *op)
	ACK_REQUIRES(s->lock)
{
	uint64_t grow = may_grow_locked(s, op->start, op->end - op->start);
	int fd = staging_fd_locked(s);
	int rc = fd < 0 ? fd : reserve_ranges_locked(s, op->start);

	if (rc == 0)
		rc = budget_reserve(s->store->budget, grow);
	if (rc == 0)
		op->reserved = grow;
	return rc;
}

static int write_begin(struct staging *s, struct io_op *op, uint64_t off,
		       size_t len)
{
	int rc;

	if (off > INT64_MAX || len > INT64_MAX - off)
		return -EFBIG;
	*op = (struct io_op){.kind = IO_WRITE, .start = off, .end = off + len};
	store_make_room(s->store, len);
	staging_lock(s);
	rc = change_begin_locked(s, op);
	if (rc == 0) {
		rc = reserve_for_write_locked(s, op);
		if (rc < 0)
			staging_op_end_locked(s, op);
	}
	staging_unlock(s);
	return rc;
}

/* Bytes [off, end) are the program's: they differ from the base. */
static void note_changed_locked(struct staging *s, uint64_t off, uint64_t end)
	ACK_REQUIRES(s->lock)
{
	uint64_t shared_end = end < s->base_limit ? end : s->base_limit;
	int rc;

	s->generation++;
	if (off >= shared_end)
		return;
	s->dirty |= JOURNAL_RANGES;
	rc = extents_add(&s->local, off, shared_end);
	if (rc == 0)
		rc = extents_add(&s->changed_ranges, off, shared_end);
	assert(rc == 0); /* there was room */
	(void)rc;
}

static void note_written_locked(struct staging *s, uint64_t off, size_t len)
	ACK_REQUIRES(s->lock)
{
	if (len == 0)
		return;
	note_changed_locked(s, off, off + len);
	if (off + len > s->size)
		s->size = off + len;
}

/* @return bytes written; *rc says why not all */
static size_t pwrite_count(int fd, const char *data, size_t len, uint64_t off,
			   int *rc)
{
	size_t done = 0;

	*rc = 0;
	while (done < len) {
		ssize_t n = pwrite(fd, data + done, len - done,
				   (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*rc = n < 0 ? -errno : -EIO;
			break;
		}
		done += (size_t)n;
	}
	return done;
}

int staging_pwrite(struct staging *s, const void *data, size_t len,
		   uint64_t off)
{
	struct io_op op;
	size_t done;
	int rc = write_begin(s, &op, off, len);

	if (rc < 0)
		return rc;
	failpoint("staging.pwrite.before_data");
	done = pwrite_count(s->fd, data, len, off, &rc);
	failpoint("staging.pwrite.written");
	staging_lock(s);
	note_written_locked(s, off, done);
	staging_op_end_locked(s, &op);
	staging_unlock(s);
	if (rc == -ENOSPC)
		budget_disk_full(s->store->budget);
	return rc;
}

int staging_write_begin(struct staging *s, uint64_t off, size_t len)
{
	struct io_op *op = malloc(sizeof(*op));
	int rc;

	if (!op)
		return -ENOMEM;
	rc = write_begin(s, op, off, len);
	failpoint("staging.pwrite.before_data");
	if (rc < 0)
		free(op);
	return rc; /* in s->ops, until staging_write_end() finds it there */
}

/* Writes that begin at the same place are alike. */
static struct io_op *find_write_locked(const struct staging *s, uint64_t off,
				       size_t len) ACK_REQUIRES(s->lock)
{
	struct io_op *o = s->ops;

	while (o && !(o->kind == IO_WRITE && o->start == off &&
		      o->end - o->start >= len))
		o = o->next;
	return o;
}

void staging_write_end(struct staging *s, uint64_t off, size_t len)
{
	struct io_op *op;

	failpoint("staging.pwrite.written");
	staging_lock(s);
	op = find_write_locked(s, off, len);
	if (op) {
		note_written_locked(s, off, len);
		staging_op_end_locked(s, op);
	}
	staging_unlock(s);
	free(op);
}

/* -- truncate, fallocate ----------------------------------------------------- */

/* An exclusive change; `room` of the budget for it. */
static int exclusive_begin(struct staging *s, struct io_op *op, uint64_t room)
{
	int rc;

	store_make_room(s->store, room);
	staging_lock(s);
	rc = change_begin_locked(s, op);
	if (rc == 0) {
		int fd = staging_fd_locked(s);

		rc = fd < 0 ? fd : reserve_ranges_locked(s, op->start);
		if (rc == 0)
			rc = budget_reserve(s->store->budget, room);
		if (rc == 0)
			op->reserved = room;
		else
			staging_op_end_locked(s, op);
	}
	staging_unlock(s);
	return rc;
}

/* Shrinking cuts the base for good; what grows again is zeros. */
static void note_size_locked(struct staging *s, uint64_t size)
	ACK_REQUIRES(s->lock)
{
	s->generation++;
	s->size = size;
	if (size >= s->base_limit)
		return;
	s->base_limit = size;
	extents_cut(&s->local, size);
	extents_cut(&s->changed_ranges, size);
	s->dirty |= JOURNAL_RANGES;
}

int staging_truncate(struct staging *s, uint64_t size)
{
	struct io_op op = {.kind = IO_EXCLUSIVE, .end = UINT64_MAX};
	int rc;

	if (size > INT64_MAX)
		return -EFBIG;
	rc = exclusive_begin(s, &op, 0);
	if (rc < 0)
		return rc;
	if (ftruncate(s->fd, (off_t)size) < 0)
		rc = -errno;
	failpoint("staging.truncated");
	staging_lock(s);
	if (rc == 0)
		note_size_locked(s, size);
	staging_op_end_locked(s, &op);
	staging_unlock(s);
	return rc;
}

static bool is_mode_known(int mode)
{
	return mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
	       mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
	       mode == FALLOC_FL_ZERO_RANGE ||
	       mode == (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

/* Punched or zeroed bytes are the program's; merely allocated ones are not
   (in a gap of the base they would be zeros to a reader of the file, but
   the range stays missing and is filled). */
static void note_allocated_locked(struct staging *s, int mode, uint64_t off,
				  uint64_t len) ACK_REQUIRES(s->lock)
{
	uint64_t end = off + len;

	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		note_changed_locked(s, off, end);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > s->size) {
		s->size = end;
		s->generation++;
	}
}

int staging_fallocate(struct staging *s, int mode, uint64_t off, uint64_t len)
{
	struct io_op op = {.kind = IO_EXCLUSIVE, .start = off};
	int rc;

	if (!is_mode_known(mode))
		return -EOPNOTSUPP;
	if (len == 0)
		return -EINVAL;
	if (off > INT64_MAX || len > INT64_MAX - off)
		return -EFBIG;
	op.end = off + len;
	rc = exclusive_begin(s, &op, mode & FALLOC_FL_PUNCH_HOLE ? 0 : len);
	if (rc < 0)
		return rc;
	if (fallocate(s->fd, mode, (off_t)off, (off_t)len) < 0)
		rc = -errno;
	staging_lock(s);
	if (rc == 0)
		note_allocated_locked(s, mode, off, len);
	staging_op_end_locked(s, &op);
	staging_unlock(s);
	if (rc == -ENOSPC)
		budget_disk_full(s->store->budget);
	return rc;
}

/* -- questions --------------------------------------------------------------- */

uint64_t staging_size(struct staging *s)
{
	uint64_t size;

	staging_lock(s);
	size = s->size;
	staging_unlock(s);
	return size;
}

uint64_t staging_generation(struct staging *s)
{
	uint64_t generation;

	staging_lock(s);
	generation = s->generation;
	staging_unlock(s);
	return generation;
}

/* [base_limit, size) joined to what was changed below. */
static int changed_locked(const struct staging *s, uint64_t **ranges,
			  size_t *count) ACK_REQUIRES(s->lock)
{
	AUTO(extents_release) struct extents all = EXTENTS_INIT;
	uint64_t *out;
	int rc = extents_copy(&all, &s->changed_ranges);

	if (rc == 0)
		rc = extents_add(&all, s->base_limit, s->size);
	if (rc < 0)
		return rc;
	out = calloc(all.count + 1, 2 * sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < all.count; i++) {
		out[2 * i] = all.items[i].start;
		out[2 * i + 1] = all.items[i].end - all.items[i].start;
	}
	*ranges = out;
	*count = all.count;
	return 0;
}

int staging_changed(struct staging *s, uint64_t **ranges, size_t *count)
{
	int rc;

	staging_lock(s);
	rc = changed_locked(s, ranges, count);
	staging_unlock(s);
	return rc;
}

bool staging_base_of(struct staging *s, struct staging_base *out)
{
	bool has_base;

	staging_lock(s);
	has_base = s->base != NULL;
	if (has_base)
		*out = *s->base;
	staging_unlock(s);
	return has_base;
}
