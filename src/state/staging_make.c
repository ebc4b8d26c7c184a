/* SPDX-License-Identifier: Apache-2.0 */
/* New staged files: empty, over a base, or as a copy of a frozen one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state/staging_int.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/fileio.h"

static int make_file(struct staging *s, uint64_t size)
{
	char name[STAGING_NAME_LEN];
	int rc = 0;

	s->fd = openat(s->store->dirfd, staging_file_name(name, s->id),
		       O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		       0600);
	if (s->fd < 0)
		return errno == ENFILE ? -EMFILE : -errno;
	if (size > 0 && ftruncate(s->fd, (off_t)size) < 0) {
		rc = -errno;
		unlinkat(s->store->dirfd, name, 0);
	}
	return rc;
}

static void unmake_file(const struct staging *s)
{
	char name[STAGING_NAME_LEN];

	unlinkat(s->store->dirfd, staging_file_name(name, s->id), 0);
}

/* A new file with its row queued; the caller holds no lock. */
static int enter(struct staging *s)
{
	int rc;

	staging_lock(s);
	s->created_ms = clock_real_ms();
	staging_charge_locked(s, 0);
	rc = staging_row_post_locked(s, DB_LATER, NULL);
	if (rc == 0)
		store_publish_locked(s);
	staging_unlock(s);
	failpoint("staging.create.row_queued");
	if (rc == 0)
		store_add(s->store, s);
	return rc;
}

int staging_create(struct staging_store *st, const char *key,
		   const struct staging_base *base, struct staging **out)
{
	AUTO(staging_putp) struct staging *s = NULL;
	int rc = staging_alloc(st, key, store_next_id(st), &s);

	if (rc < 0)
		return rc;
	if (base) {
		staging_lock(s);
		rc = staging_set_base_locked(s, base);
		s->size = s->base_limit = rc == 0 ? base->size : 0;
		staging_unlock(s);
	}
	store_make_room(st, 1);
	if (rc == 0)
		rc = budget_reserve(st->budget, 1);
	if (rc < 0)
		return rc;
	budget_settle(st->budget, 1, 0);
	rc = make_file(s, s->size);
	failpoint("staging.create.file_made");
	if (rc < 0)
		return rc;
	rc = enter(s);
	if (rc < 0) {
		unmake_file(s);
		return rc;
	}
	*out = take_ptr(s);
	return 0;
}

/* The copy's memory, from the source's; nobody else knows of the copy. */
static int copy_fields_locked(const struct staging *s, struct staging *c)
	ACK_REQUIRES(s->lock) ACK_NO_ANALYSIS
{
	int rc = extents_copy(&c->local, &s->local);

	if (rc == 0)
		rc = extents_copy(&c->changed_ranges, &s->changed_ranges);
	if (rc == 0)
		rc = staging_props_copy(&c->props, &s->props);
	if (rc == 0 && s->base)
		rc = staging_set_base_locked(c, s->base);
	c->size = s->size;
	c->base_limit = s->base_limit;
	c->dirty |= JOURNAL_PROPS;
	return rc;
}

static int clone_bytes(struct staging *s, struct staging *c)
{
	int fd = staging_fd(s);
	int rc = fd < 0 ? fd : make_file(c, 0);

	if (rc < 0)
		return rc;
	rc = fd_clone(fd, c->fd);
	if (rc == 0)
		rc = enter(c);
	if (rc < 0)
		unmake_file(c);
	return rc;
}

static int clone_reserved(struct staging *s, struct staging *c)
{
	struct io_op op = {.kind = IO_EXCLUSIVE, .end = UINT64_MAX};
	int rc;

	staging_lock(s);
	staging_op_begin_locked(s, &op);
	rc = copy_fields_locked(s, c);
	staging_unlock(s);
	if (rc == 0)
		rc = clone_bytes(s, c);
	staging_lock(s);
	staging_op_end_locked(s, &op);
	staging_unlock(s);
	return rc;
}

int staging_clone(struct staging *s, struct staging **out)
{
	AUTO(staging_putp) struct staging *c = NULL;
	struct staging_store *st = s->store;
	char key[STAGING_KEY_MAX];
	uint64_t room;
	int rc;

	staging_key(s, key);
	staging_lock(s);
	room = s->charged;
	staging_unlock(s);
	rc = staging_alloc(st, key, store_next_id(st), &c);
	store_make_room(st, room);
	if (rc == 0)
		rc = budget_reserve(st->budget, room);
	if (rc < 0)
		return rc;
	rc = clone_reserved(s, c);
	budget_settle(st->budget, room, 0);
	if (rc == -ENOSPC)
		budget_disk_full(st->budget);
	if (rc < 0)
		return rc;
	*out = take_ptr(c);
	return 0;
}
