/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/base.h"
#include "util/log.h"

struct dir_fix {
	struct state_fix state;
	char *why;
};

static int setup(void **state)
{
	static struct dir_fix f;

	f = (struct dir_fix){0};
	state_init(&f.state);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct dir_fix *f = *state;

	free(f->why);
	state_fini(&f->state);
	return 0;
}

static int open_it(struct dir_fix *f, const char *path, struct statedir **out)
{
	free(f->why);
	f->why = NULL;
	return statedir_open(path, "/mnt/one", out, &f->why);
}

static void folder_is_made_private(void **state)
{
	struct dir_fix *f = *state;
	const char *const below[] = {"", "/staging", "/aside"};
	struct statedir *d = NULL;

	assert_int_equal(open_it(f, f->state.dir, &d), 0);
	assert_string_equal(statedir_path(d), f->state.dir);
	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		AUTO_FREE char *path =
			str_printf("%s%s", f->state.dir, below[i]);
		struct stat st;

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
	}
	statedir_close(d);
}

static void second_daemon_hears_whose_it_is(void **state)
{
	struct dir_fix *f = *state;
	struct statedir *d = NULL, *second = NULL;
	char pid[32];

	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	assert_int_equal(open_it(f, f->state.dir, &d), 0);
	assert_int_equal(open_it(f, f->state.dir, &second), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(f->why, pid));
	assert_non_null(strstr(f->why, "/mnt/one"));
	assert_non_null(strstr(f->why, f->state.dir));
	statedir_close(d);
	assert_int_equal(open_it(f, f->state.dir, &second), 0);
	statedir_close(second);
}

static void owner_is_told_while_there_is_one(void **state)
{
	struct dir_fix *f = *state;
	AUTO_FREE char *mountpoint = NULL;
	struct statedir *d = NULL;
	int pid = 0;

	assert_int_equal(statedir_owner(f->state.dir, &pid, &mountpoint),
			 -ENOENT);
	assert_int_equal(open_it(f, f->state.dir, &d), 0);
	assert_int_equal(statedir_owner(f->state.dir, &pid, &mountpoint), 0);
	assert_int_equal(pid, getpid());
	assert_string_equal(mountpoint, "/mnt/one");
	statedir_close(d);
	assert_int_equal(statedir_owner(f->state.dir, &pid, &mountpoint),
			 -ENOENT);
}

static void lock_is_another_process_s_until_it_dies(void **state)
{
	struct dir_fix *f = *state;
	AUTO_FREE char *mountpoint = NULL;
	struct statedir *d = NULL, *second = NULL;
	int ready[2], status, pid = 0;
	char byte = 0;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (open_it(f, f->state.dir, &d) < 0 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(statedir_owner(f->state.dir, &pid, &mountpoint), 0);
	assert_int_equal(pid, child);
	assert_int_equal(open_it(f, f->state.dir, &second), -EBUSY);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(open_it(f, f->state.dir, &second), 0);
	statedir_close(second);
}

static void look_at_the_lock_does_not_fail_a_start(void **state)
{
	struct dir_fix *f = *state;
	struct statedir *d = NULL;
	int status;
	pid_t child;

	assert_int_equal(open_it(f, f->state.dir, &d), 0);
	statedir_close(d);
	child = fork();
	if (child == 0) { /* someone who looks very often */
		for (int i = 0; i < 20000; i++) {
			char *m = NULL;
			int pid = 0;

			statedir_owner(f->state.dir, &pid, &m);
			free(m);
		}
		_exit(0);
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(open_it(f, f->state.dir, &d), 0);
		statedir_close(d);
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
}

/* -- places that will not do ----------------------------------------------------- */

static void read_only_disk_is_said(void **state)
{
	struct dir_fix *f = *state;
	AUTO_FREE char *parent = test_path(f->state.root, "ro");
	AUTO_FREE char *path = test_path(f->state.root, "ro/state");
	struct statedir *d = NULL;

	assert_int_equal(mkdir(parent, 0700), 0);
	if (!state_unshare_mounts())
		skip();
	assert_int_equal(mount("none", parent, "tmpfs", MS_RDONLY, ""), 0);
	assert_int_equal(open_it(f, path, &d), -EROFS);
	assert_non_null(strstr(f->why, path));
	assert_non_null(strstr(f->why, "state.dir"));
	assert_int_equal(umount(parent), 0);
}

static void folder_that_became_read_only_is_said(void **state)
{
	struct dir_fix *f = *state;
	AUTO_FREE char *parent = test_path(f->state.root, "ro");
	AUTO_FREE char *path = test_path(f->state.root, "ro/state");
	struct statedir *d = NULL;

	assert_int_equal(mkdir(parent, 0700), 0);
	if (!state_unshare_mounts())
		skip();
	assert_int_equal(mount("none", parent, "tmpfs", 0, ""), 0);
	assert_int_equal(open_it(f, path, &d), 0);
	statedir_close(d);
	assert_int_equal(
		mount("none", parent, "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
	assert_int_equal(open_it(f, path, &d), -EROFS);
	assert_non_null(strstr(f->why, path));
	assert_int_equal(umount(parent), 0);
}

static void file_in_the_way_is_said(void **state)
{
	struct dir_fix *f = *state;
	AUTO_FREE char *file = test_path(f->state.root, "file");
	AUTO_FREE char *path = test_path(f->state.root, "file/state");
	struct statedir *d = NULL;

	test_file_write(file, "", 0);
	assert_int_equal(open_it(f, path, &d), -ENOTDIR);
	assert_non_null(strstr(f->why, path));
}

/* In a child that is nobody: root may write everywhere. */
static void open_as_nobody(const char *path)
{
	AUTO_FREE char *why = NULL;
	struct statedir *d = NULL;

	CHILD_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHILD_CHECK(statedir_open(path, "/m", &d, &why) == -EACCES);
	CHILD_CHECK(strstr(why, path) != NULL);
	_exit(0);
}

static void folder_of_somebody_else_is_said(void **state)
{
	struct dir_fix *f = *state;
	struct statedir *d = NULL;
	int status = 0;
	pid_t child;

	if (geteuid() != 0)
		skip();
	assert_int_equal(open_it(f, f->state.dir, &d), 0);
	statedir_close(d);
	assert_int_equal(chmod(f->state.root, 0711), 0);
	child = fork();
	if (child == 0)
		open_as_nobody(f->state.dir);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* -- warnings ---------------------------------------------------------------- */

static void memory_is_warned_of(void **state)
{
	struct dir_fix *f = *state;
	AUTO_FREE char *parent = test_path(f->state.root, "mem");
	AUTO_FREE char *path = test_path(f->state.root, "mem/state");
	struct statedir *d = NULL;

	assert_int_equal(mkdir(parent, 0700), 0);
	if (!state_unshare_mounts())
		skip();
	assert_int_equal(mount("none", parent, "tmpfs", 0, ""), 0);
	state_log_to_file(&f->state);
	assert_int_equal(open_it(f, path, &d), 0);
	assert_true(state_logged(&f->state, "tmpfs"));
	assert_true(state_logged(&f->state, path));
	statedir_close(d);
	assert_int_equal(umount(parent), 0);
}

static void overlay_is_warned_of(void **state)
{
	struct dir_fix *f = *state;
	AUTO_FREE char *mem = test_path(f->state.root, "mem");
	AUTO_FREE char *path = test_path(f->state.root, "mem/merged/state");
	AUTO_FREE char *merged = test_path(mem, "merged");
	AUTO_FREE char *options = str_printf(
		"lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", mem, mem,
		mem);
	const char *const names[] = {"merged", "lower", "upper", "work"};
	struct statedir *d = NULL;

	assert_int_equal(mkdir(mem, 0700), 0);
	if (!state_unshare_mounts())
		skip();
	assert_int_equal(mount("none", mem, "tmpfs", 0, ""), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *one = test_path(mem, "%s", names[i]);

		assert_int_equal(mkdir(one, 0700), 0);
	}
	if (mount("overlay", merged, "overlay", 0, options) < 0) {
		umount(mem);
		skip();
	}
	state_log_to_file(&f->state);
	assert_int_equal(open_it(f, path, &d), 0);
	assert_true(state_logged(&f->state, "overlay"));
	statedir_close(d);
	assert_int_equal(umount(merged), 0);
	assert_int_equal(umount(mem), 0);
}

static void neighbour_with_files_and_no_daemon_is_warned_of(void **state)
{
	static const struct {
		const char *name;
		bool has_file, is_locked, want;
	} cases[] = {
		{"deserted", true,  false, true },
		{"served",   true,  true,  false},
		{"empty",    false, false, false},
	};
	struct dir_fix *f = *state;
	struct statedir *held[ARRAY_LEN(cases)] = {NULL}, *d = NULL;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *path =
			test_path(f->state.root, "states/%s", cases[i].name);
		AUTO_FREE char *file = test_path(path, "staging/1");

		assert_int_equal(open_it(f, path, &held[i]), 0);
		if (cases[i].has_file)
			test_file_write(file, "x", 1);
		if (!cases[i].is_locked) {
			statedir_close(held[i]);
			held[i] = NULL;
		}
	}
	state_log_to_file(&f->state);
	assert_int_equal(open_it(f, f->state.dir, &d), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *path =
			test_path(f->state.root, "states/%s", cases[i].name);

		if (state_logged(&f->state, path) != cases[i].want)
			fail_msg("%s", cases[i].name);
		statedir_close(held[i]);
	}
	assert_false(state_logged(&f->state, f->state.dir));
	statedir_close(d);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(folder_is_made_private),
		T(second_daemon_hears_whose_it_is),
		T(owner_is_told_while_there_is_one),
		T(lock_is_another_process_s_until_it_dies),
		T(look_at_the_lock_does_not_fail_a_start),
		T(read_only_disk_is_said),
		T(folder_that_became_read_only_is_said),
		T(file_in_the_way_is_said),
		T(folder_of_somebody_else_is_said),
		T(memory_is_warned_of),
		T(overlay_is_warned_of),
		T(neighbour_with_files_and_no_daemon_is_warned_of),
	};

	log_set_level(LOG_LVL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
