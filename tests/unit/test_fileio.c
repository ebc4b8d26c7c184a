/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fileio.h"
#include "util/thread.h"

static int entries_of(const char *dir)
{
	DIR *d = opendir(dir);
	int count = 0;

	assert_non_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count - 2;
}

static void a_file_is_read_whole_up_to_the_limit(void **state)
{
	AUTO_FREE char *path = test_path(*state, "f");
	AUTO(buf_release) struct buf b = BUF_INIT;

	test_file_write(path, "0123456789", 10);
	buf_adds(&b, "before:");
	assert_int_equal(file_read(path, 10, &b), 0);
	assert_string_equal(buf_str(&b), "before:0123456789");
	assert_int_equal(file_read(path, 9, &b), -EFBIG);
	assert_string_equal(buf_str(&b), "before:0123456789");
}

static void a_big_or_an_empty_file_is_read_too(void **state)
{
	enum { BIG = 300000 };
	AUTO_FREE char *path = test_path(*state, "f");
	AUTO_FREE char *data = malloc(BIG);
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_non_null(data);
	for (size_t i = 0; i < BIG; i++)
		data[i] = (char)(i * 7 >> 3);
	test_file_write(path, data, BIG);
	assert_int_equal(file_read(path, BIG, &b), 0);
	assert_int_equal(b.len, BIG);
	assert_memory_equal(b.data, data, BIG);
	test_file_write(path, "", 0);
	buf_reset(&b);
	assert_int_equal(file_read(path, 0, &b), 0);
	assert_int_equal(b.len, 0);
}

static void what_cannot_be_read_says_why(void **state)
{
	AUTO_FREE char *path = test_path(*state, "none");
	AUTO(buf_release) struct buf b = BUF_INIT;
	AUTO(buf_release) struct buf small = BUF_INIT_MAX(4);

	assert_int_equal(file_read(path, 10, &b), -ENOENT);
	assert_int_equal(file_read(*state, 10, &b), -EISDIR);
	test_file_write(path, "12345", 5);
	assert_int_equal(file_read(path, 10, &small), -EMSGSIZE);
}

static void a_durable_write_replaces_content_and_mode(void **state)
{
	AUTO_FREE char *path = test_path(*state, "f");
	struct stat st;

	assert_int_equal(file_write_durable(path, "old", 3, 0600), 0);
	test_file_equals(path, "old");
	assert_int_equal(file_write_durable(path, "newer", 5, 0644), 0);
	test_file_equals(path, "newer");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_write_durable(path, "", 0, 0600), 0);
	test_file_equals(path, "");
	assert_int_equal(entries_of(*state), 1);
}

/* In a child: files may not grow past 4 bytes, as on a full disk. */
static int write_on_a_full_disk(const char *path)
{
	static const struct rlimit limit = {4, 4};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int rc;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		rc = file_write_durable(path, "too long", 8, 0600);
		_exit(-rc);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void a_failed_durable_write_keeps_the_old_content(void **state)
{
	AUTO_FREE char *path = test_path(*state, "f");
	AUTO_FREE char *nowhere = test_path(*state, "none/f");

	test_file_write(path, "old", 3);
	assert_int_equal(write_on_a_full_disk(path), -EFBIG);
	test_file_equals(path, "old");
	assert_int_equal(entries_of(*state), 1);
	assert_int_equal(file_write_durable(nowhere, "x", 1, 0600), -ENOENT);
}

static void a_relative_path_is_durable_too(void **state)
{
	AUTO_FREE char *before = getcwd(NULL, 0);
	int rc;

	assert_non_null(before);
	assert_int_equal(chdir(*state), 0);
	rc = file_write_durable("plain", "x", 1, 0600);
	assert_int_equal(chdir(before), 0);
	assert_int_equal(rc, 0);
	assert_int_equal(entries_of(*state), 1);
}

static void positions_are_written_and_read(void **state)
{
	AUTO_FREE char *path = test_path(*state, "f");
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char got[16] = "";

	assert_int_equal(fd_write_all(fd, "abc", 3), 0);
	assert_int_equal(fd_pwrite_all(fd, "xyz", 3, 6), 0);
	assert_int_equal(fd_pread_all(fd, got, sizeof(got), 0), 9);
	assert_memory_equal(got, "abc\0\0\0xyz", 9);
	assert_int_equal(fd_pread_all(fd, got, 2, 7), 2);
	assert_memory_equal(got, "yz", 2);
	assert_int_equal(fd_pread_all(fd, got, 2, 9), 0);
	assert_int_equal(fd_pread_all(fd, got, 2, 1 << 30), 0);
	assert_int_equal(fd_pread_all(-1, got, 2, 0), -EBADF);
	assert_int_equal(fd_pwrite_all(-1, got, 2, 0), -EBADF);
	assert_int_equal(fd_write_all(-1, got, 2), -EBADF);
	assert_int_equal(fd_write_all(-1, got, 0), 0);
}

struct drain {
	int fd;
	size_t got;
};

static void *drain_pipe(void *arg)
{
	struct drain *d = arg;
	char chunk[777];
	ssize_t n;

	while ((n = read(d->fd, chunk, sizeof(chunk))) > 0)
		d->got += (size_t)n;
	return NULL;
}

static void short_writes_go_on(void **state)
{
	enum { BIG = 1 << 20 };
	AUTO_FREE char *data = calloc(1, BIG);
	struct drain d = {-1, 0};
	pthread_t thread;
	int ends[2];

	(void)state;
	assert_non_null(data);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	d.fd = ends[0];
	assert_int_equal(thread_start(&thread, "drain", drain_pipe, &d), 0);
	assert_int_equal(fd_write_all(ends[1], data, BIG), 0);
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	assert_int_equal(d.got, BIG);
}

static void directories_are_made_with_their_parents(void **state)
{
	AUTO_FREE char *deep = test_path(*state, "a//b/c");
	AUTO_FREE char *slash = test_path(*state, "a/b/c/d/");
	AUTO_FREE char *file = test_path(*state, "f");
	AUTO_FREE char *below = test_path(*state, "f/x");
	struct stat st;

	assert_int_equal(dir_make(deep, 0700), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(dir_make(deep, 0700), 0);
	assert_int_equal(dir_make(slash, 0700), 0);
	assert_int_equal(stat(slash, &st), 0);
	assert_int_equal(dir_make("/", 0700), 0);
	test_file_write(file, "", 0);
	assert_int_equal(dir_make(file, 0700), -ENOTDIR);
	assert_int_equal(dir_make(below, 0700), -ENOTDIR);
	assert_int_equal(dir_make("", 0700), -ENOENT);
}

static void syncing_a_directory_needs_a_directory(void **state)
{
	AUTO_FREE char *file = test_path(*state, "f");

	test_file_write(file, "", 0);
	assert_int_equal(dir_fsync(*state), 0);
	assert_int_equal(dir_fsync(file), -ENOTDIR);
}

static void a_clone_equals_its_source_and_keeps_holes(void **state)
{
	enum { SIZE = 8 << 20 };
	AUTO_FREE char *from = test_path(*state, "from");
	AUTO_FREE char *to = test_path(*state, "to");
	AUTO_CLOSE int src = open(from, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO_CLOSE int dst = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO(buf_release) struct buf a = BUF_INIT;
	AUTO(buf_release) struct buf b = BUF_INIT;
	struct stat st_src, st_dst;

	assert_int_equal(fd_pwrite_all(src, "begin", 5, 0), 0);
	assert_int_equal(fd_pwrite_all(src, "middle", 6, SIZE / 2 + 5), 0);
	assert_int_equal(ftruncate(src, SIZE), 0);
	assert_int_equal(fd_clone(src, dst), 0);
	test_file_read(from, &a);
	test_file_read(to, &b);
	assert_int_equal(b.len, SIZE);
	assert_true(memcmp(a.data, b.data, SIZE) == 0);
	assert_int_equal(fstat(src, &st_src), 0);
	assert_int_equal(fstat(dst, &st_dst), 0);
	if (st_src.st_blocks * 512 < SIZE / 2) /* holes are known here */
		assert_true(st_dst.st_blocks * 512 < SIZE / 2);
}

static void a_clone_of_nothing_is_empty(void **state)
{
	AUTO_FREE char *from = test_path(*state, "from");
	AUTO_FREE char *to = test_path(*state, "to");
	AUTO_CLOSE int src = open(from, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO_CLOSE int dst = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(fd_clone(src, dst), 0);
	test_file_equals(to, "");
	assert_int_equal(fd_clone(-1, dst), -EBADF);
	assert_int_equal(fd_clone(src, -1), -EBADF);
}

static void a_clone_crosses_file_systems(void **state)
{
	AUTO_FREE char *to = test_path(*state, "to");
	AUTO_CLOSE int src = memfd_create("from", MFD_CLOEXEC);
	AUTO_CLOSE int dst = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (src < 0)
		skip();
	assert_int_equal(fd_pwrite_all(src, "across", 6, 0), 0);
	assert_int_equal(fd_clone(src, dst), 0);
	test_file_equals(to, "across");
}

#define DIR_TEST(name)                                                         \
	cmocka_unit_test_setup_teardown(name, test_dir_setup, test_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DIR_TEST(a_file_is_read_whole_up_to_the_limit),
		DIR_TEST(a_big_or_an_empty_file_is_read_too),
		DIR_TEST(what_cannot_be_read_says_why),
		DIR_TEST(a_durable_write_replaces_content_and_mode),
		DIR_TEST(a_failed_durable_write_keeps_the_old_content),
		DIR_TEST(a_relative_path_is_durable_too),
		DIR_TEST(positions_are_written_and_read),
		cmocka_unit_test(short_writes_go_on),
		DIR_TEST(directories_are_made_with_their_parents),
		DIR_TEST(syncing_a_directory_needs_a_directory),
		DIR_TEST(a_clone_equals_its_source_and_keeps_holes),
		DIR_TEST(a_clone_of_nothing_is_empty),
		DIR_TEST(a_clone_crosses_file_systems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
