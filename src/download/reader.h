/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Reading stored objects: ranged GETs, read ahead while the reader is
 * sequential, shared by all readers of one version of an object.
 *
 * A reader belongs to one version (If-Match): bytes of two versions are never
 * mixed; -ESTALE when it changed.  Read-ahead is a window of parallel ranged
 * GETs that grows while reads are sequential, shrinks when they are not, and is
 * bounded for the whole mount (read_buffer_bytes).  Random small reads fetch
 * what they need, rounded to small aligned blocks.
 *
 * Layer    download: uses oss, util.
 * Threads  any.
 * Blocking on the network, without a lock.
 */
#ifndef ACKFS_DOWNLOAD_READER_H
#define ACKFS_DOWNLOAD_READER_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "oss/store.h"

struct read_cache; /* buffers and threads of the whole mount */
struct reader;     /* one version of one object */
struct read_pos;   /* one open file: its own sequential state */

struct read_conf {
	uint64_t buffer_bytes; /* bound of all windows */
	int parallel;          /* GETs at once for one reader */
	int64_t deadline_ms;   /* for one read(2), relative */
};

int read_cache_new(struct store store, const struct read_conf *conf,
		   struct read_cache **out);
void read_cache_free(struct read_cache *c);

/** A shared reader of (key, etag): one reference. @return 0, -ENOMEM */
int reader_open(struct read_cache *c, const char *key, const char *etag,
		uint64_t size, struct reader **out);
void reader_close(struct reader *r);
int read_pos_new(struct reader *r, struct read_pos **out);
void read_pos_free(struct read_pos *p);

/** Buffers that hold one read's bytes, referenced until released: so that a
 *  reply can go out without another copy. */
struct read_view {
	struct iovec iov[8];
	int count;
	size_t len;
	void *hold[8];
};
void read_view_release(struct read_view *v);

/**
 * @param len  at most 1 MiB
 * @return 0 with view filled (len 0 at the end of the object); -ESTALE, -errno
 *         (reply, may be NULL, has OSS's words)
 */
int reader_read(struct reader *r, struct read_pos *p, uint64_t off, size_t len,
		struct read_view *view, struct oss_reply *reply);
/** A range into a function, not through the window: for staged files' missing
 *  ranges. */
int reader_fetch(struct reader *r, uint64_t off, uint64_t len,
		 const struct oss_sink *to, struct oss_reply *reply);

/** Bytes in windows now. */
uint64_t read_cache_used(struct read_cache *c);

#endif
