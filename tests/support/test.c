/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util/fileio.h"

#ifndef ACKFS_VECTORS
#define ACKFS_VECTORS "tests/vectors"
#endif

enum { POLL_NS = 2000000, FILE_MAX = 256 << 20 };

char *test_dir_make(void)
{
	const char *parent = getenv("TMPDIR");
	char *dir = str_printf("%s/ackfs-test.XXXXXX",
			       parent && *parent ? parent : "/tmp");

	if (!dir || !mkdtemp(dir))
		fail_msg("no temporary directory: %s", strerror(errno));
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

/* A test may have taken away its own rights to a directory. */
static int unlock_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	(void)st;
	(void)where;
	if (type == FTW_D || type == FTW_DNR)
		(void)chmod(path, 0700);
	return 0;
}

void test_dir_remove(char *dir)
{
	if (!dir)
		return;
	(void)nftw(dir, unlock_one, 16, FTW_PHYS | FTW_MOUNT);
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		print_error("cannot remove %s: %s\n", dir, strerror(errno));
	free(dir);
}

int test_dir_setup(void **state)
{
	*state = test_dir_make();
	return 0;
}

int test_dir_teardown(void **state)
{
	test_dir_remove(*state);
	return 0;
}

char *test_path(const char *dir, const char *fmt, ...)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	va_list ap;

	buf_addf(&b, "%s/", dir);
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	assert_int_equal(buf_error(&b), 0);
	return buf_detach(&b);
}

void test_file_read(const char *path, struct buf *out)
{
	int rc;

	if (!out->max)
		out->max = FILE_MAX;
	rc = file_read(path, FILE_MAX, out);
	if (rc < 0)
		fail_msg("%s: %s", path, strerror(-rc));
}

void test_file_write(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "we");

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

void test_file_equals(const char *path, const char *text)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	test_file_read(path, &b);
	assert_string_equal(buf_str(&b), text);
	assert_int_equal(b.len, strlen(text));
}

/* Not clock_mono_ms(): tests move that one. */
static int64_t real_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool test_wait_until(bool (*is_true)(void *), void *arg, int deadline_ms)
{
	static const struct timespec pause = {0, POLL_NS};
	int64_t end = real_mono_ms() + deadline_ms;

	while (!is_true(arg)) {
		if (real_mono_ms() >= end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

json_t *test_vectors(const char *name)
{
	const char *dir = getenv("ACKFS_VECTORS");
	AUTO_FREE char *path =
		str_printf("%s/%s", dir && *dir ? dir : ACKFS_VECTORS, name);
	json_error_t error;
	json_t *root;

	assert_non_null(path);
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return root;
}

static json_t *member(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		fail_msg("the vectors have no \"%s\" here", key);
	return value;
}

const char *test_json_str(const json_t *object, const char *key)
{
	const char *text = json_string_value(member(object, key));

	if (!text)
		fail_msg("the vectors' \"%s\" is no string", key);
	return text;
}

int64_t test_json_int(const json_t *object, const char *key)
{
	const json_t *value = member(object, key);

	if (!json_is_integer(value))
		fail_msg("the vectors' \"%s\" is no number", key);
	return json_integer_value(value);
}
