/* SPDX-License-Identifier: Apache-2.0 */
#include "util/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 };

/* Not more than a read or write may return. */
static size_t io_len(uint64_t len)
{
	return len > (1U << 30) ? 1U << 30 : (size_t)len;
}

static int read_rest(int fd, size_t max, struct buf *out)
{
	size_t total = 0;

	for (;;) {
		char *to = buf_reserve(out, CHUNK);
		ssize_t n;

		if (!to)
			return buf_error(out);
		n = read(fd, to, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		total += (size_t)n;
		if (total > max)
			return -EFBIG;
		buf_commit(out, (size_t)n);
	}
}

int file_read(const char *path, size_t max, struct buf *out)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t before = out->len;
	int rc;

	if (fd < 0)
		return -errno;
	rc = read_rest(fd, max, out);
	if (rc < 0)
		buf_truncate(out, before);
	return rc;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, io_len(len));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_pwrite_all(int fd, const void *data, size_t len, uint64_t off)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, io_len(len), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t fd_pread_all(int fd, void *data, size_t len, uint64_t off)
{
	char *p = data;
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, p + got, io_len(len - got),
				  (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

int dir_fsync(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

/* fsync the directory that path is in. */
static int parent_fsync(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = NULL;

	if (!slash)
		return dir_fsync(".");
	if (slash == path)
		return dir_fsync("/");
	dir = strndup(path, (size_t)(slash - path));
	return dir ? dir_fsync(dir) : -ENOMEM;
}

/* All of data on the disk, and the descriptor closed, whatever happens. */
static int fill_and_close(int fd, const void *data, size_t len, mode_t mode)
{
	int rc = fd_write_all(fd, data, len);

	if (rc == 0 && fchmod(fd, mode) < 0)
		rc = -errno;
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

int file_write_durable(const char *path, const void *data, size_t len,
		       mode_t mode)
{
	AUTO_FREE char *temp = str_printf("%s.XXXXXX", path);
	int fd, rc;

	if (!temp)
		return -ENOMEM;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fill_and_close(fd, data, len, mode);
	if (rc == 0 && rename(temp, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(temp);
		return rc;
	}
	return parent_fsync(path);
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;
	int rc = mkdir(path, mode) < 0 ? -errno : 0;

	/* EROFS, EACCES: it may exist all the same. */
	if (rc < 0 && stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	return rc;
}

int dir_make(const char *path, mode_t mode)
{
	AUTO_FREE char *copy = str_dup(path);
	int rc = copy ? make_one(path, mode) : -ENOMEM;

	/* Its parents are mostly there. */
	if (rc != -ENOENT)
		return rc;
	for (char *p = copy + 1; copy[0] && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		rc = make_one(copy, mode);
		*p = '/';
		if (rc < 0)
			return rc;
	}
	return make_one(copy, mode);
}

/* Through memory, for file systems that cannot copy by themselves. */
static int copy_by_hand(int src, int dst, uint64_t off, uint64_t len)
{
	AUTO_FREE char *chunk = malloc(CHUNK);

	if (!chunk)
		return -ENOMEM;
	while (len > 0) {
		size_t want = len < CHUNK ? (size_t)len : CHUNK;
		ssize_t n = fd_pread_all(src, chunk, want, off);
		int rc;

		if (n <= 0)
			return (int)n; /* shorter by now: the rest is a hole */
		rc = fd_pwrite_all(dst, chunk, (size_t)n, off);
		if (rc < 0)
			return rc;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static bool is_unsupported(int err)
{
	return err == EXDEV || err == EINVAL || err == ENOSYS ||
	       err == EOPNOTSUPP || err == EBADF || err == EPERM;
}

static int copy_range(int src, int dst, uint64_t off, uint64_t len)
{
	while (len > 0) {
		loff_t in = (loff_t)off, out = (loff_t)off;
		ssize_t n =
			copy_file_range(src, &in, dst, &out, io_len(len), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !is_unsupported(errno))
			return -errno;
		/* 0 also comes from kernels that cannot copy this file. */
		if (n <= 0)
			return copy_by_hand(src, dst, off, len);
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* The next stretch of data at or behind off; *end == *start: none. */
static int next_data(int fd, off_t off, off_t size, off_t *start, off_t *end)
{
	off_t from = lseek(fd, off, SEEK_DATA);
	off_t to;

	if (from < 0 && errno == ENXIO) {
		*start = *end = size;
		return 0;
	}
	if (from < 0 && errno == EINVAL) { /* knows no holes: all is data */
		*start = off;
		*end = size;
		return 0;
	}
	if (from < 0)
		return -errno;
	to = lseek(fd, from, SEEK_HOLE);
	if (to < 0)
		return -errno;
	*start = from;
	*end = to;
	return 0;
}

int fd_clone(int src, int dst)
{
	struct stat st;
	off_t off = 0;

	if (ioctl(dst, FICLONE, src) == 0)
		return 0;
	if (fstat(src, &st) < 0 || ftruncate(dst, st.st_size) < 0)
		return -errno;
	while (off < st.st_size) {
		off_t start = 0, end = 0;
		int rc = next_data(src, off, st.st_size, &start, &end);

		if (rc == 0 && end > start)
			rc = copy_range(src, dst, (uint64_t)start,
					(uint64_t)(end - start));
		if (rc < 0)
			return rc;
		off = end;
	}
	return 0;
}
