/* SPDX-License-Identifier: Apache-2.0 */
#include "state/budget.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "state/staging.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

enum { REFRESH_MS = 200, COMPLAINT_MS = 60000, PERCENT = 100 };
#define REFRESH_BYTES ((uint64_t)64 << 20)

struct budget {
	struct staging_conf conf;
	char *dir;
	int dirfd;
	struct lock lock;  /* guards what follows */
	uint64_t used;     /* by staged files, settled */
	uint64_t reserved; /* by writes under way */
	uint64_t disk_free, disk_total;
	uint64_t since_refresh; /* reserved since disk_free was true */
	int64_t refreshed_ms;
	bool is_full; /* the log's last word */
	bool has_complained;
	int64_t complained_ms;
};

/* The disk's figures; an error keeps the old ones. */
static int refresh_locked(struct budget *b) ACK_REQUIRES(b->lock)
{
	struct statvfs v;

	if (fstatvfs(b->dirfd, &v) < 0)
		return -errno;
	b->disk_free = (uint64_t)v.f_bavail * v.f_frsize;
	b->disk_total = (uint64_t)v.f_blocks * v.f_frsize;
	b->since_refresh = b->reserved;
	b->refreshed_ms = clock_mono_ms();
	return 0;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t min_free(const struct budget *b)
{
	if (b->conf.min_free > 0)
		return b->conf.min_free;
	return b->disk_total / PERCENT * (uint64_t)b->conf.min_free_percent;
}

static uint64_t disk_room_locked(const struct budget *b) ACK_REQUIRES(b->lock)
{
	return minus(b->disk_free, b->since_refresh + min_free(b));
}

static uint64_t own_room_locked(const struct budget *b) ACK_REQUIRES(b->lock)
{
	if (b->conf.max_bytes == 0)
		return UINT64_MAX;
	return minus(b->conf.max_bytes, b->used + b->reserved);
}

/* Near the limit each write looks: others fill the disk too. */
static bool is_stale_locked(const struct budget *b) ACK_REQUIRES(b->lock)
{
	return b->since_refresh >= REFRESH_BYTES ||
	       disk_room_locked(b) < REFRESH_BYTES ||
	       clock_mono_ms() - b->refreshed_ms >= REFRESH_MS;
}

static bool has_room_locked(struct budget *b, uint64_t bytes)
	ACK_REQUIRES(b->lock)
{
	if (own_room_locked(b) < bytes)
		return false;
	if (is_stale_locked(b) || disk_room_locked(b) < bytes)
		refresh_locked(b);
	return disk_room_locked(b) >= bytes;
}

/* One line a minute, however often it happens. */
static void complain_locked(struct budget *b) ACK_REQUIRES(b->lock)
{
	int64_t now = clock_mono_ms();

	if (b->has_complained && now - b->complained_ms < COMPLAINT_MS)
		return;
	b->is_full = true;
	b->has_complained = true;
	b->complained_ms = now;
	log_warn("staging: full, writes get ENOSPC: directory=%s used=%llu "
		 "max_bytes=%llu disk_free=%llu min_free=%llu",
		 LOG_Q(b->dir), (unsigned long long)b->used,
		 (unsigned long long)b->conf.max_bytes,
		 (unsigned long long)b->disk_free,
		 (unsigned long long)min_free(b));
}

static void note_room_locked(struct budget *b) ACK_REQUIRES(b->lock)
{
	if (!b->is_full)
		return;
	b->is_full = false;
	log_notice("staging: has space again: directory=%s", LOG_Q(b->dir));
}

int budget_reserve(struct budget *b, uint64_t bytes)
{
	int rc = 0;

	if (bytes == 0)
		return 0;
	lock_acquire(&b->lock);
	if (has_room_locked(b, bytes)) {
		b->reserved += bytes;
		b->since_refresh += bytes;
		note_room_locked(b);
	} else {
		complain_locked(b);
		rc = -ENOSPC;
	}
	lock_release(&b->lock);
	return rc;
}

void budget_settle(struct budget *b, uint64_t reserved, int64_t change)
{
	lock_acquire(&b->lock);
	b->reserved = minus(b->reserved, reserved);
	if (change >= 0)
		b->used += (uint64_t)change;
	else
		b->used = minus(b->used, (uint64_t)-change);
	lock_release(&b->lock);
}

void budget_disk_full(struct budget *b)
{
	lock_acquire(&b->lock);
	refresh_locked(b);
	complain_locked(b);
	lock_release(&b->lock);
}

uint64_t budget_used(struct budget *b)
{
	uint64_t used;

	lock_acquire(&b->lock);
	used = b->used;
	lock_release(&b->lock);
	return used;
}

uint64_t budget_room(struct budget *b)
{
	uint64_t own, disk;

	lock_acquire(&b->lock);
	if (is_stale_locked(b))
		refresh_locked(b);
	own = own_room_locked(b);
	disk = disk_room_locked(b);
	lock_release(&b->lock);
	return own < disk ? own : disk;
}

static void auto_budget_free(struct budget **b)
{
	budget_free(*b);
}

int budget_new(const struct staging_conf *conf, const char *dir, int dirfd,
	       struct budget **out)
{
	AUTO(auto_budget_free) struct budget *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return -ENOMEM;
	lock_init(&b->lock, LOCK_LEAF);
	b->conf = *conf;
	b->dirfd = dirfd;
	b->dir = str_dup(dir);
	if (!b->dir)
		return -ENOMEM;
	lock_acquire(&b->lock);
	rc = refresh_locked(b);
	lock_release(&b->lock);
	if (rc < 0)
		return rc;
	*out = take_ptr(b);
	return 0;
}

void budget_free(struct budget *b)
{
	if (!b)
		return;
	lock_destroy(&b->lock);
	free(b->dir);
	free(b);
}
