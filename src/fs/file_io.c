/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing, truncating: the bytes of open and staged files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/file_impl.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

/** Missing ranges of a changed object are fetched in blocks of this size. */
#define FETCH_BLOCK ((uint64_t)1 << 20)
enum {
	TRIES_MAX = 8,
	FETCH_TRIES = 3,
	CHECKED_MAX = 4 << 20, /* longer ones are not kept in memory */
};

/* -- reading --------------------------------------------------------------- */

/* The staged generation that shows, with a reference; NULL: read the object. */
static struct staging *staged_now(struct file *f)
{
	struct staging *s;

	lock_acquire(&f->lock);
	s = f->now ? staging_get(f->now) : NULL;
	lock_release(&f->lock);
	return s;
}

/* An older generation over the same base that has those bytes here: it is on
 * its way, and OSS may have it already, unheard, instead of the base. */
static struct staging *find_older(struct file *f, struct staging *s,
				  uint64_t off, uint64_t len)
{
	struct staging_base base, other;
	struct staging *found = NULL;
	struct generation *g;
	uint64_t at, miss;

	if (!staging_base_of(s, &base))
		return NULL;
	lock_acquire(&f->lock);
	LL_FOREACH(f->older, g)
	{
		if (g->staging != s && staging_base_of(g->staging, &other) &&
		    strcmp(base.key, other.key) == 0 &&
		    strcmp(base.etag, other.etag) == 0 &&
		    staging_size(g->staging) >= off + len &&
		    !staging_missing(g->staging, off, len, &at, &miss)) {
			found = staging_get(g->staging);
			break;
		}
	}
	lock_release(&f->lock);
	return found;
}

/* @return false: it must be fetched */
static bool copy_from_older(struct file *f, struct staging *s, uint64_t off,
			    uint64_t len)
{
	AUTO_FREE char *block = NULL;
	struct staging *older;
	ssize_t n = -1;

	if (len > FETCH_BLOCK)
		len = FETCH_BLOCK;
	older = find_older(f, s, off, len);
	if (!older)
		return false;
	block = malloc(len);
	if (block)
		n = staging_pread(older, block, len, off);
	staging_put(older);
	return n == (ssize_t)len && staging_fill(s, block, len, off) == 0;
}

/* -- waiting for an upload --------------------------------------------------- */

struct upload_wait {
	struct lock lock; /* guards what follows */
	struct cond changed;
	bool ended;
};

static void upload_ended(void *arg, const struct upload_outcome *o)
{
	struct upload_wait *w = arg;

	(void)o;
	lock_acquire(&w->lock);
	w->ended = true;
	cond_signal(&w->changed);
	lock_release(&w->lock);
}

static void wait_for_end(struct uploader *u, struct staging *s,
			 struct upload_wait *w, int64_t until_ms)
{
	bool in_time = true;

	lock_acquire(&w->lock);
	while (!w->ended && in_time)
		in_time = cond_wait_until(&w->changed, &w->lock, until_ms);
	lock_release(&w->lock);
	if (in_time || uploader_unwatch(u, s, w))
		return;
	/* It is being told. */
	lock_acquire(&w->lock);
	while (!w->ended)
		cond_wait(&w->changed, &w->lock);
	lock_release(&w->lock);
}

/* Of the oldest generation; it may be `now` itself.
   @return false: none runs */
static bool await_upload(struct file *f, struct staging *now)
{
	struct uploader *u = f->fs->d.uploader;
	struct upload_wait w = {.ended = false};
	struct staging *s;
	bool watched;

	lock_acquire(&f->lock);
	s = staging_get(f->older ? f->older->staging : now);
	lock_release(&f->lock);
	lock_init(&w.lock, LOCK_LEAF);
	cond_init(&w.changed);
	watched = uploader_watch(u, s, upload_ended, &w) == 0;
	if (watched)
		wait_for_end(u, s, &w,
			     clock_mono_ms() + f->fs->conf.retry_deadline_ms);
	cond_destroy(&w.changed);
	lock_destroy(&w.lock);
	staging_put(s);
	return watched;
}

/* The base is another object now.  Perhaps OSS has stored a generation of ours,
 * and is still making its callback, or its answer was lost: the upload's end
 * ties the file to that object. */
static bool is_settled(struct file *f, struct staging *s,
		       const struct staging_base *asked)
{
	struct staging_base now;

	if (staging_base_of(s, &now) && strcmp(now.etag, asked->etag) != 0)
		return true;
	return await_upload(f, s);
}

/* Bring in what is missing of [off, off+len), in aligned blocks. */
static int bring_in(struct file *f, struct staging *s, uint64_t off,
		    uint64_t len)
{
	struct staging_base base = {.size = 0};
	struct fs *fs = f->fs;
	uint64_t at, miss, fetched = UINT64_MAX;
	int tries = 0;

	while (staging_missing(s, off, len, &at, &miss)) {
		uint64_t first = at / FETCH_BLOCK * FETCH_BLOCK;
		uint64_t last = at + miss;
		int rc;

		if (copy_from_older(f, s, at, miss))
			continue;
		if (at == fetched) /* the object ends before */
			return -EIO;
		last = (last + FETCH_BLOCK - 1) / FETCH_BLOCK * FETCH_BLOCK;
		(void)staging_base_of(s, &base);
		rc = fs_fetch_missing(fs, s, first, last - first);
		fetched = rc == 0 ? at : UINT64_MAX;
		if (rc == -ESTALE && tries++ < TRIES_MAX &&
		    is_settled(f, s, &base))
			continue;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_staged(struct file *f, struct staging *s, uint64_t off,
		       size_t len, struct file_read *out)
{
	AUTO_FREE char *local = malloc(len ? len : 1);
	uint64_t size = staging_size(s);
	ssize_t n;
	int rc;

	if (!local)
		return -ENOMEM;
	if (off >= size)
		len = 0;
	else if (len > size - off)
		len = (size_t)(size - off);
	rc = bring_in(f, s, off, len);
	if (rc < 0)
		return rc;
	n = staging_pread(s, local, len, off);
	if (n < 0)
		return (int)n;
	out->local = take_ptr(local);
	out->len = (size_t)n;
	return 0;
}

/* The version that the node shows now. */
struct version {
	char key[1024], etag[NODE_ETAG_LEN];
	uint64_t size;
	uint32_t moves;
};

/* @return 0; -ENODATA: nothing is stored; -ESTALE: the name is gone */
static int version_now(struct file *f, struct version *v)
{
	struct node *n = f->node;
	int rc;

	lock_acquire(&f->fs->tree.lock);
	rc = fs_key_locked(f->fs, n, v->key);
	memcpy(v->etag, n->etag, sizeof(v->etag));
	v->size = n->object_size;
	v->moves = f->moves;
	if (rc == 0 && !n->stored)
		rc = -ENODATA;
	lock_release(&f->fs->tree.lock);
	return rc == -ENOENT ? -ESTALE : rc;
}

static int source_open(struct fs *fs, const struct version *v,
		       struct read_source **out)
{
	struct read_source *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	rc = reader_open(fs->d.readers, v->key, v->etag[0] ? v->etag : NULL,
			 v->size, &s->reader);
	if (rc == 0)
		rc = read_pos_new(s->reader, &s->pos);
	if (rc < 0) {
		read_source_free(s);
		return rc;
	}
	s->moves = v->moves;
	*out = s;
	return 0;
}

void read_source_free(struct read_source *s)
{
	read_pos_free(s->pos);
	reader_close(s->reader);
	free(s);
}

/* Where the handle reads: what it has read of so far, unless that lies under
   another name by now.  Good while the handle is. */
static int handle_source(struct handle *h, struct read_source **out)
{
	struct file *f = h->file;
	struct read_source *s;
	struct version v;
	int rc = 0;

	lock_acquire(&f->lock);
	lock_acquire(&f->fs->tree.lock);
	s = h->sources;
	if (s && s->moves != f->moves)
		s = NULL;
	lock_release(&f->fs->tree.lock);
	if (!s)
		rc = version_now(f, &v);
	if (!s && rc == 0) {
		rc = source_open(f->fs, &v, &s);
		/* A read may run on the one before. */
		if (rc == 0)
			LL_PREPEND(h->sources, s);
	}
	lock_release(&f->lock);
	*out = s;
	return rc;
}

static bool has_moved(struct handle *h, const struct read_source *s)
{
	bool moved;

	lock_acquire(&h->file->fs->tree.lock);
	moved = s->moves != h->file->moves;
	lock_release(&h->file->fs->tree.lock);
	return moved;
}

static void note_read_failure(struct file *f, const struct oss_reply *reply,
			      int rc)
{
	struct fs *fs = f->fs;
	char key[1024];

	lock_acquire(&fs->tree.lock);
	if (fs_key_locked(fs, f->node, key) < 0)
		key[0] = '\0';
	/* Ask anew at the next look. */
	if (rc == -ESTALE)
		f->node->fresh_until_ms = 0;
	lock_release(&fs->tree.lock);
	fs_log_failure("reading an object", key, reply, rc);
}

static int read_object(struct handle *h, uint64_t off, size_t len,
		       struct file_read *out)
{
	struct oss_reply reply = {0};
	struct read_source *s;
	int rc;

	do {
		rc = handle_source(h, &s);
		if (rc == -ENODATA)
			return 0; /* nothing stored, nothing staged: empty */
		if (rc < 0 || !s)
			return rc;
		rc = reader_read(s->reader, s->pos, off, len, &out->view,
				 &reply);
		/* A rename, or a change of its metadata, by this mount. */
	} while (rc < 0 && has_moved(h, s));
	out->len = out->view.len;
	if (rc < 0)
		note_read_failure(h->file, &reply, rc);
	return rc;
}

int file_read_view(struct handle *h, uint64_t off, size_t len,
		   struct file_read *out)
{
	struct staging *s = staged_now(h->file);
	int rc;

	memset(out, 0, sizeof(*out));
	if (!s)
		return read_object(h, off, len, out);
	rc = read_staged(h->file, s, off, len, out);
	staging_put(s);
	return rc;
}

void file_read_release(struct file_read *r)
{
	free(r->local);
	read_view_release(&r->view);
	memset(r, 0, sizeof(*r));
}

/* -- missing ranges of changed objects ------------------------------------- */

struct fill {
	struct staging *staging;
	uint64_t off;
};

static int buf_write(void *arg, const void *data, size_t len)
{
	struct buf *b = arg;

	buf_add(b, data, len);
	return buf_error(b);
}

static int fill_write(void *arg, const void *data, size_t len)
{
	struct fill *to = arg;
	int rc = staging_fill(to->staging, data, len, to->off);

	to->off += len;
	return rc;
}

/* Into memory first: the sum of a whole object is known at its end. */
static int fetch_checked(struct reader *reader, struct staging *s, uint64_t off,
			 uint64_t len, struct oss_reply *reply)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	const struct oss_sink sink = {buf_write, &b};
	int rc = reader_fetch(reader, off, len, &sink, reply);

	return rc < 0 ? rc : staging_fill(s, b.data, b.len, off);
}

static int fetch_straight(struct reader *reader, struct staging *s,
			  uint64_t off, uint64_t len, struct oss_reply *reply)
{
	struct fill to = {s, off};
	const struct oss_sink sink = {fill_write, &to};
	int rc = reader_fetch(reader, off, len, &sink, reply);

	if (rc < 0 && oss_reply_is_spoilt(reply) &&
	    staging_unfill(s, off, len) < 0)
		rc = -ENOMEM;
	return rc;
}

int fs_fetch_missing(void *arg, struct staging *s, uint64_t off, uint64_t len)
{
	struct fs *fs = arg;
	struct staging_base base;
	struct reader *reader;
	struct oss_reply reply;
	int rc;

	if (!staging_base_of(s, &base) || off >= base.size)
		return 0;
	if (len > base.size - off)
		len = base.size - off;
	rc = reader_open(fs->d.readers, base.key,
			 base.etag[0] ? base.etag : NULL, base.size, &reader);
	if (rc < 0)
		return rc;
	for (int i = 0; i < FETCH_TRIES; i++) {
		memset(&reply, 0, sizeof(reply));
		rc = len <= CHECKED_MAX
			     ? fetch_checked(reader, s, off, len, &reply)
			     : fetch_straight(reader, s, off, len, &reply);
		if (rc == 0 || !oss_reply_is_spoilt(&reply))
			break;
	}
	reader_close(reader);
	if (rc < 0)
		fs_log_failure("fetching the unchanged part of an object",
			       base.key, &reply, rc);
	return rc;
}

/* -- writing --------------------------------------------------------------- */

/* The file is locked on success; the caller does the bytes and calls end. */
int file_write_begin(struct handle *h, size_t len, uint64_t off, bool from_mmap,
		     int *fd, uint64_t *at) ACK_NO_ANALYSIS
{
	struct file *f = h->file;
	int rc;

	if (off > INT64_MAX - len || off + len > OSS_OBJECT_MAX)
		return -EFBIG;
	lock_acquire(&f->lock);
	rc = file_make_writable_locked(f);
	if (rc == 0) {
		*fd = staging_fd(f->now);
		rc = *fd < 0 ? *fd : staging_write_begin(f->now, off, len);
	}
	if (rc < 0) {
		lock_release(&f->lock);
		return rc;
	}
	f->mmapped = f->mmapped || from_mmap;
	*at = off;
	return 0;
}

void file_write_end(struct handle *h, size_t written,
		    uint64_t off) ACK_NO_ANALYSIS
{
	struct file *f = h->file;

	staging_write_end(f->now, off, written);
	if (written)
		file_changed_locked(f, CHANGE_WRITTEN, staging_size(f->now));
	/* Under the lock: a close right behind it knows of this write. */
	if (written)
		uploader_wrote(f->fs->d.uploader, f->now, off, written);
	lock_release(&f->lock);
}

ssize_t file_write(struct handle *h, const void *data, size_t len, uint64_t off,
		   bool from_mmap)
{
	uint64_t at = off;
	int fd = -1, rc;
	ssize_t n;
	size_t done = 0;

	rc = file_write_begin(h, len, off, from_mmap, &fd, &at);
	if (rc < 0)
		return rc;
	while (done < len) {
		n = pwrite(fd, (const char *)data + done, len - done,
			   (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? -errno : -EIO;
			break;
		}
		done += (size_t)n;
	}
	file_write_end(h, done, off);
	return done ? (ssize_t)done : rc;
}

/* -- truncate, fallocate, fsync -------------------------------------------- */

static int truncate_locked(struct file *f, uint64_t size) ACK_REQUIRES(f->lock)
{
	uint64_t old = 0;
	int rc;

	if (size == 0)
		rc = file_start_empty_locked(f);
	else
		rc = file_make_writable_locked(f);
	if (rc == 0 && size) {
		old = staging_size(f->now);
		rc = staging_truncate(f->now, size);
		if (rc == 0)
			uploader_changed(f->fs->d.uploader, f->now,
					 old < size ? old : size, UINT64_MAX);
	}
	if (rc < 0)
		return rc;
	/* A new file that is cut to nothing is as new as before. */
	if (size || f->change != CHANGE_CREATED)
		file_changed_locked(f, CHANGE_SIZED, size);
	return 0;
}

static void truncated_path(struct file *f, const struct caller *who,
			   struct fs_done done)
{
	struct process p;
	bool open;

	lock_acquire(&f->fs->tree.lock);
	open = f->writers > 0;
	lock_release(&f->fs->tree.lock);
	/* Whoever has it open will close it: one upload of both. */
	if (open) {
		done.fn(done.arg, 0);
		return;
	}
	if (process_read(who->tid, &p) < 0)
		memset(&p, 0, sizeof(p));
	lock_acquire(&f->lock);
	f->uid = who->uid;
	f->gid = who->gid;
	lock_release(&f->lock);
	file_close_now(f, &p, true, done);
}

void file_truncate(struct fs *fs, uint64_t ino, struct handle *h, uint64_t size,
		   const struct caller *who, struct fs_done done)
{
	struct file *f = file_get(fs, ino);
	int rc;

	if (!f) {
		done.fn(done.arg, -ENOENT);
		return;
	}
	if (size > OSS_OBJECT_MAX) {
		done.fn(done.arg, -EFBIG);
		file_put(f);
		return;
	}
	if (!h)
		file_start_head(f);
	lock_acquire(&f->lock);
	rc = truncate_locked(f, size);
	if (rc < 0 && !h)
		file_undo_writable_locked(f);
	lock_release(&f->lock);
	if (rc < 0 || h)
		done.fn(done.arg, rc);
	else
		truncated_path(f, who, done);
	file_put(f);
}

int file_fallocate(struct handle *h, int mode, uint64_t off, uint64_t len)
{
	struct file *f = h->file;
	int rc;

	if (off > INT64_MAX - len || off + len > OSS_OBJECT_MAX)
		return -EFBIG;
	lock_acquire(&f->lock);
	rc = file_make_writable_locked(f);
	if (rc == 0)
		rc = staging_fallocate(f->now, mode, off, len);
	if (rc == 0) {
		uploader_changed(f->fs->d.uploader, f->now, off, len);
		file_changed_locked(f, CHANGE_SIZED, staging_size(f->now));
	}
	lock_release(&f->lock);
	return rc;
}

/* fsync makes the bytes and the row durable here; with fsync = upload it goes
   on to OSS, and the file stays open.  A temporary name stays here all the
   same. */
void file_fsync(struct handle *h, struct fs_done done)
{
	struct file *f = h->file;
	struct staging *s = staged_now(f);
	bool upload;
	int rc = 0;

	if (s) {
		rc = staging_sync(s);
		if (rc < 0)
			log_err("fs: fsync of staged bytes failed: file=%" PRId64
				" errno=%d",
				staging_id(s), -rc);
		staging_put(s);
	}
	lock_acquire(&f->lock);
	upload = rc == 0 && f->fs->conf.fsync_uploads &&
		 f->change != CHANGE_NONE && !f->unlinked;
	lock_release(&f->lock);
	upload = upload && !file_is_temporary(f);
	if (upload)
		file_close_now(f, NULL, true, done);
	else
		done.fn(done.arg, rc);
}
