/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

static int setup(void **state)
{
	static struct state_fix f;

	state_init(&f);
	state_open(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	state_fini(*state);
	return 0;
}

/* Write 64 KiB pieces until it fails. @return the errno; *size what fitted */
static int write_until_full(struct staging *s, uint64_t *size)
{
	static const char piece[64 << 10] = {1};
	int rc = 0;

	while (rc == 0 && staging_size(s) < (256U << 20))
		rc = staging_pwrite(s, piece, sizeof(piece), staging_size(s));
	*size = staging_size(s);
	return rc;
}

static void max_bytes_ends_in_enospc_until_space_returns(void **state)
{
	struct state_fix *f = *state;
	struct staging *a = NULL, *b = NULL;
	uint64_t size = 0;

	state_close(f);
	f->conf.max_bytes = 1 << 20;
	state_open(f);
	state_log_to_file(f);
	assert_int_equal(staging_create(f->store, "a", NULL, &a), 0);
	assert_int_equal(write_until_full(a, &size), -ENOSPC);
	assert_true(size <= 1 << 20);
	assert_true(size >= (1 << 20) - (64 << 10));
	assert_true(staging_store_room(f->store) < 64 << 10);
	assert_true(state_logged(f, "staging: full"));
	assert_true(state_logged(f, f->dir));
	/* in place needs no space */
	assert_int_equal(staging_pwrite(a, "x", 1, 0), 0);
	assert_int_equal(staging_create(f->store, "b", NULL, &b), -ENOSPC);
	assert_int_equal(staging_discard(a), 0);
	staging_put(a);
	assert_int_equal(db_commit(f->db), 0); /* now it is gone */
	assert_int_equal(staging_create(f->store, "c", NULL, &b), 0);
	assert_int_equal(staging_pwrite(b, "fits", 4, 0), 0);
	assert_true(state_logged(f, "has space again"));
	staging_put(b);
}

static void recovered_files_count(void **state)
{
	struct state_fix *f = *state;
	static const char piece[512 << 10] = {1};
	struct staging *s = state_write(f, "a", "");

	assert_int_equal(staging_pwrite(s, piece, sizeof(piece), 0), 0);
	staging_put(s);
	state_close(f);
	f->conf.max_bytes = 768 << 10;
	state_open(f);
	s = state_write(f, "b", "");
	assert_int_equal(staging_pwrite(s, piece, sizeof(piece), 0), -ENOSPC);
	assert_int_equal(staging_pwrite(s, piece, sizeof(piece) / 4, 0), 0);
	staging_put(s);
}

static bool mount_small(struct state_fix *f, const char *size)
{
	AUTO_FREE char *options = str_printf("size=%s,mode=0700", size);
	AUTO_FREE char *parent = test_path(f->root, "states");

	state_close(f);
	if (!options || !state_unshare_mounts())
		return false;
	assert_int_equal(mount("none", parent, "tmpfs", 0, options), 0);
	return true;
}

static void unmount_small(struct state_fix *f)
{
	AUTO_FREE char *parent = test_path(f->root, "states");

	state_close(f);
	assert_int_equal(umount2(parent, MNT_DETACH), 0);
}

static void min_free_leaves_the_disk_room(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = NULL;
	uint64_t size = 0;

	if (!mount_small(f, "16m"))
		skip();
	f->conf.min_free_percent = 25;
	state_open(f);
	assert_int_equal(staging_create(f->store, "a", NULL, &s), 0);
	assert_int_equal(write_until_full(s, &size), -ENOSPC);
	assert_in_range(size, 10 << 20, 12 << 20);
	assert_int_equal(staging_sync(s), 0); /* the journal still has room */
	staging_put(s);
	unmount_small(f);
}

/* No time passes: the figures are not old. */
static void near_the_limit_others_bytes_are_seen_at_once(void **state)
{
	struct state_fix *f = *state;
	static const char piece[64 << 10] = {1};
	struct staging *s = NULL;
	AUTO_FREE char *hog = NULL;
	int fd;

	if (!mount_small(f, "16m"))
		skip();
	f->conf.min_free = 4 << 20;
	state_open(f);
	assert_int_equal(staging_create(f->store, "a", NULL, &s), 0);
	assert_int_equal(staging_pwrite(s, piece, sizeof(piece), 0), 0);
	hog = test_path(f->root, "states/hog");
	fd = open(hog, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, 12 << 20), 0);
	assert_int_equal(staging_pwrite(s, piece, sizeof(piece), sizeof(piece)),
			 -ENOSPC);
	close(fd);
	staging_put(s);
	unmount_small(f);
}

static void full_disk_keeps_earlier_bytes_and_says_enospc(void **state)
{
	struct state_fix *f = *state;
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d");
	struct staging *s = NULL, *early = NULL;
	AUTO_FREE char *hog = NULL;
	uint64_t size = 0;
	int fd;

	if (!mount_small(f, "8m"))
		skip();
	f->conf.min_free = 1; /* nothing is held back */
	state_open(f);
	early = state_write(f, "early", "bytes");
	assert_int_equal(staging_create(f->store, "a", NULL, &s), 0);
	hog = test_path(f->root, "states/hog");
	fd = open(hog, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, 4 << 20), 0);
	assert_int_equal(write_until_full(s, &size), -ENOSPC);
	state_expect_bytes(early, "bytes");
	assert_int_equal(ftruncate(fd, 0), 0); /* space returns */
	close(fd);
	clock_advance_ms(1000);
	assert_int_equal(staging_pwrite(early, " more", 5, 5), 0);
	assert_int_equal(staging_close(early, &c, true), 0);
	staging_put(early);
	staging_put(s);
	state_close(f);
	state_open(f);
	state_expect_bytes(state_found(f, "early"), "bytes more");
	assert_int_equal(staging_size(state_found(f, "a")), size);
	unmount_small(f);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(max_bytes_ends_in_enospc_until_space_returns),
		T(recovered_files_count),
		T(min_free_leaves_the_disk_room),
		T(near_the_limit_others_bytes_are_seen_at_once),
		T(full_disk_keeps_earlier_bytes_and_says_enospc),
	};

	log_set_level(LOG_LVL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
