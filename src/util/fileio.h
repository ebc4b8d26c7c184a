/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Whole reads and writes, durable files, directories, copies.
 *
 * All return 0 or -errno.  EINTR is retried, short transfers go on.
 */
#ifndef ACKFS_UTIL_FILEIO_H
#define ACKFS_UTIL_FILEIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util/buf.h"

/** The whole file, at most max bytes. @return 0, -EFBIG past max, -errno */
int file_read(const char *path, size_t max, struct buf *out);
/** Replace path's content durably: temporary file, fsync, rename, fsync of
 *  the directory. */
int file_write_durable(const char *path, const void *data, size_t len,
		       mode_t mode);
/** write(2) until all is out. */
int fd_write_all(int fd, const void *data, size_t len);
/** pwrite(2) until all is out. */
int fd_pwrite_all(int fd, const void *data, size_t len, uint64_t off);
/** pread(2) until len bytes or end of file. @return count or -errno */
ssize_t fd_pread_all(int fd, void *data, size_t len, uint64_t off);
/** fsync a directory by path. */
int dir_fsync(const char *path);
/** mkdir -p; existing directories are fine. */
int dir_make(const char *path, mode_t mode);
/** Copy src's content to the empty dst: a reflink (FICLONE) where the file
 *  system can, else copy_file_range, holes kept. @return 0, -ENOSPC, -errno */
int fd_clone(int src, int dst);

#endif
