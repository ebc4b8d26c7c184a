/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Reading stored objects: ranged GETs, read ahead while the reader is
 * sequential, shared by all readers of one version of an object.
 *
 * A reader belongs to one version (If-Match): bytes of two versions are never
 * mixed; -ESTALE when it changed.  A sequential reader gets a window of bytes
 * ahead of it that grows with what it has read: by one long GET whose bytes are
 * handed out while it still runs, or by several in parallel where one
 * connection is slow (stream.c).  Random reads fetch the aligned blocks that
 * they touch, one request a miss.  Blocks are shared by the readers of a
 * version and bounded for the whole mount (read_buffer_bytes); what was not
 * touched for some seconds is given back.
 *
 * Layer    download: uses oss, util.
 * Threads  any; a read_pos may serve several reads at once.
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
	int64_t deadline_ms;   /* for one read(2), relative; 0: a minute */
};

int read_cache_new(struct store store, const struct read_conf *conf,
		   struct read_cache **out);
/** Cancels what runs.  All readers are closed, all views released before. */
void read_cache_free(struct read_cache *c);

/**
 * A shared reader of (key, etag): one reference.
 *
 * @param etag  NULL or "": any version, without If-Match
 * @return 0, -ENOMEM
 */
int reader_open(struct read_cache *c, const char *key, const char *etag,
		uint64_t size, struct reader **out);
/** Its positions are freed and no read runs.  Does not wait for the network;
 *  NULL is fine. */
void reader_close(struct reader *r);
/** Borrows r. @return 0, -ENOMEM */
int read_pos_new(struct reader *r, struct read_pos **out);
/** No read on it may run.  NULL is fine. */
void read_pos_free(struct read_pos *p);

/** The most bytes of one read, and the most pieces that they come in. */
#define READ_LEN_MAX ((size_t)1 << 20)
#define READ_PIECES_MAX 18

/** Buffers that hold one read's bytes, referenced until released: so that a
 *  reply can go out without another copy. */
struct read_view {
	struct iovec iov[READ_PIECES_MAX];
	int count;
	size_t len;
	void *hold[READ_PIECES_MAX];
};
/** Once; an empty view is fine. */
void read_view_release(struct read_view *v);

/**
 * @param len    at most READ_LEN_MAX: more is cut
 * @param view   filled on success only
 * @param reply  may be NULL; OSS's words when a request failed
 * @return 0 with view filled (len 0 at the end of the object, else all that
 *         was asked for up to the end); -ESTALE, -ETIMEDOUT, -ENOMEM, -errno
 *         of the store
 */
int reader_read(struct reader *r, struct read_pos *p, uint64_t off, size_t len,
		struct read_view *view, struct oss_reply *reply);
/** A range into a function, not through the window: for staged files' missing
 *  ranges.  Cut at the end of the object; the sum of a whole object is
 *  verified. @return 0 or -errno, as store.get and the sink return it */
int reader_fetch(struct reader *r, uint64_t off, uint64_t len,
		 const struct oss_sink *to, struct oss_reply *reply);

/** Bytes of buffers now, idle ones included. */
uint64_t read_cache_used(struct read_cache *c);

#endif
