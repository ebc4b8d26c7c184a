/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Staged files: bytes written through the mount that are not in OSS yet.
 * Each is a file in staging/ and a journal row.
 *
 * A staged file is one generation of one key.  Its life:
 *
 *     staging_create()            OPEN       written, truncated at will
 *       staging_promise()                    a FLUSH was answered 0
 *     staging_hold()              HELD       closed; waits for its name/bytes
 *     staging_close()             CLOSED     frozen: never changes again
 *     staging_begin_upload()      UPLOADING
 *     staging_retry_later()       RETRYING   failed for now, bytes kept
 *       staging_stored()                     its row says DONE already
 *     staging_done()              DONE       OSS has confirmed the CRC-64
 *     staging_incomplete()        INCOMPLETE its writer never finished it
 *     staging_discard()           file and row are gone
 *
 * From HELD and DONE staging_reopen() leads back to OPEN.  A CLOSED,
 * UPLOADING or RETRYING file that is written again is cloned first
 * (staging_clone): an upload owns a frozen generation (fuse-facts 10).
 *
 * Untouched ranges of a changed object are not local: staging_missing() names
 * them, the download layer brings them, staging_fill() stores them.
 *
 * Durability (fuse-facts 22): nothing is fsynced at create; staging_sync(), and
 * every transition made with `durable`, fsyncs data before the row that speaks
 * of it.
 *
 * Layer    state.
 * Threads  any.  The staging lock guards the maps and fields, never a pread, a
 *          fetch or a commit.
 * Blocking local disk only.
 */
#ifndef ACKFS_STATE_STAGING_H
#define ACKFS_STATE_STAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/kv.h"

struct db;
struct statedir;
struct staging_store;
struct staging;

/** Room for any object key, NUL included (OSS: 1,023 bytes). */
#define STAGING_KEY_MAX 1024

/** Bytes of a file up to this size are made durable in its row: beyond, that takes
 *  more CPU time than fdatasync. */
#define STAGING_ROW_BYTES_MAX 16384

enum staging_state {
	STAGING_OPEN,
	STAGING_HELD,
	STAGING_CLOSED,
	STAGING_UPLOADING,
	STAGING_RETRYING,
	STAGING_DONE,
	STAGING_INCOMPLETE,
};

/** "open", "held", "closed", ... as in upload.state. */
const char *staging_state_name(enum staging_state s);

struct staging_conf {
	uint64_t max_bytes; /* 0: no limit */
	uint64_t min_free;  /* bytes; 0: use the percentage */
	int min_free_percent;
	const char *boot_id; /* NULL: the kernel's; for tests */
};

/** The object whose untouched ranges a staged file shares. */
struct staging_base {
	char key[STAGING_KEY_MAX];
	char etag[72];
	uint64_t size;
	int64_t modified_ms;
};

/**
 * What will be uploaded beside the bytes.  Set while OPEN or HELD (chmod, chown,
 * utimens, setxattr of an open file), frozen by staging_close().
 */
struct staging_props {
	char *content_type;  /* NULL: by extension of the key at upload */
	struct kvs meta;     /* user metadata, posix ones included */
	struct kvs kept;     /* Cache-Control, ... of the object replaced */
	bool exclusive;      /* created with O_EXCL: x-oss-forbid-overwrite */
	bool check_conflict; /* on_conflict = fail: base ETag must still hold */
};

/**
 * The callback's inputs, frozen at close; the text is rendered when it is
 * sent, with the name of then (fuse-facts 19).
 */
struct staging_close {
	char *delivery_id;
	char *previous_delivery_id;
	bool no_callback; /* temporary_hold ran out, or a marker */
	char *rule;       /* name in rules.h; matched again when re-keyed */
	uint32_t uid, gid, mode;
	int32_t pid;
	char *process;
	int64_t mtime_ms;
	struct kvs vars;   /* file and folder variables, first wins */
	struct kvs xattrs; /* "user.oss.meta.NAME": staging_close_add_meta() */
};

void staging_props_release(struct staging_props *p);
int staging_props_copy(struct staging_props *dst,
		       const struct staging_props *src);
void staging_close_release(struct staging_close *c);
int staging_close_copy(struct staging_close *dst,
		       const struct staging_close *src);
/** The user metadata, under the names of its attributes. */
int staging_close_add_meta(struct staging_close *c, const struct kvs *meta);

/** A snapshot of one staged file, for status, ackctl and decisions. */
struct staging_info {
	int64_t id;
	char key[STAGING_KEY_MAX];
	enum staging_state state;
	bool promised; /* no write after the last FLUSH answered 0 */
	uint64_t size;
	uint64_t local_bytes;
	int64_t created_ms, closed_ms, next_try_ms;
	int attempts;
	int last_errno;
	char last_error[256];
	bool superseded; /* a newer close of the key has made it void */
};

int staging_store_open(struct statedir *dir, struct db *db,
		       const struct staging_conf *conf,
		       struct staging_store **out);
void staging_store_free(struct staging_store *s);

/**
 * After a start: every row is handed to fn with one reference, oldest close
 * first.  OPEN rows come as CLOSED when their last FLUSH was promised and
 * nothing was written since, else INCOMPLETE; UPLOADING ones as CLOSED.
 * Files without a row, and rows whose file is gone, are moved to aside/ or
 * logged: bytes are never deleted.
 * @return count of rows, or -errno
 */
int staging_recover(struct staging_store *st,
		    void (*fn)(void *arg, struct staging *s), void *arg);

/**
 * A new staged file for key, OPEN.
 * @param base  NULL: nothing of an older object shows through
 * @return 0; -ENOSPC (budget or disk), -EMFILE, -ENOMEM, -EIO
 */
int staging_create(struct staging_store *st, const char *key,
		   const struct staging_base *base, struct staging **out);
/** The same content, key, base and props as a new OPEN file: FICLONE where the
 *  file system can, else a copy. @return 0, -ENOSPC, -errno */
int staging_clone(struct staging *s, struct staging **out);

/** By id, for ackctl's requests. @return a reference, or NULL */
struct staging *staging_store_find(struct staging_store *st, int64_t id);
struct staging *staging_get(struct staging *s);
/** NULL is fine. All come before staging_store_free(). */
void staging_put(struct staging *s);

/* -- bytes --------------------------------------------------------------- */

/** Local bytes only; the caller has filled what was missing.
 *  @return bytes, 0 at the end, -errno */
ssize_t staging_pread(struct staging *s, void *to, size_t len, uint64_t off);
/** The descriptor, for splice and sendfile; the staged file's, good while the
 *  caller holds a reference. @return -errno when it cannot be opened */
int staging_fd(struct staging *s);
/** The first range in [off, off+len) that is not local. @return false: all is */
bool staging_missing(struct staging *s, uint64_t off, uint64_t len,
		     uint64_t *miss_off, uint64_t *miss_len);
/** Bytes of the base; local ones win. Allowed in every state (it changes
 *  nothing that shows). */
int staging_fill(struct staging *s, const void *data, size_t len, uint64_t off);
/** What was filled there is missing again: it was not what the base has. What the
 *  program has written stays. @return 0 or -ENOMEM */
int staging_unfill(struct staging *s, uint64_t off, uint64_t len);
/** What was filled is found after a crash: waits for its row, when there is
 *  news. @return 0 or -errno */
int staging_keep_filled(struct staging *s);
/** OPEN only. Ends a promise (the first time that waits for a commit).
 *  @return 0, -EBUSY (not OPEN: clone or reopen), -ENOSPC, -EFBIG, -EIO */
int staging_pwrite(struct staging *s, const void *data, size_t len,
		   uint64_t off);
/** For callers that splice to staging_fd() themselves: reserve before, note
 *  after. @return 0, -ENOSPC */
int staging_write_begin(struct staging *s, uint64_t off, size_t len);
void staging_write_end(struct staging *s, uint64_t off, size_t len);
int staging_truncate(struct staging *s, uint64_t size);
/** mode as fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE.
 *  @return 0, -EOPNOTSUPP, -ENOSPC */
int staging_fallocate(struct staging *s, int mode, uint64_t off, uint64_t len);
uint64_t staging_size(struct staging *s);
/** Rises with each change of the bytes. */
uint64_t staging_generation(struct staging *s);
/** Ranges that differ from the base, in order, for UploadPartCopy.
 *  *ranges is the caller's (free); pairs of offset and length. */
int staging_changed(struct staging *s, uint64_t **ranges, size_t *count);
/** @return false: there is none */
bool staging_base_of(struct staging *s, struct staging_base *out);
/** fdatasync of the file, then its row, durable. @return 0 or -errno */
int staging_sync(struct staging *s);

/* -- names and properties ------------------------------------------------- */

void staging_key(struct staging *s, char out[STAGING_KEY_MAX]);
int64_t staging_id(const struct staging *s);
/** A rename. The row follows; `exclusive` is over. On failure the old name
 *  stays. @return 0, -ENAMETOOLONG, -ENOMEM, -ENOSPC, -EIO */
int staging_rekey(struct staging *s, const char *key);
/** Copies. OPEN or HELD. */
int staging_set_props(struct staging *s, const struct staging_props *p);
int staging_get_props(struct staging *s, struct staging_props *out);
/** Frozen by staging_close() or staging_hold(). -ENODATA before. */
int staging_get_close(struct staging *s, struct staging_close *out);
void staging_get_info(struct staging *s, struct staging_info *out);
enum staging_state staging_state_of(struct staging *s);

/* -- transitions: each writes the row -------------------------------------- */

/** "flushed, generation g": before a FLUSH is answered 0 without an upload
 *  (fuse-facts 4). */
int staging_promise(struct staging *s);
/** OPEN -> HELD. */
int staging_hold(struct staging *s, const struct staging_close *c,
		 bool durable);
/** OPEN, HELD or INCOMPLETE -> CLOSED. durable: data fsynced first
 *  (close_returns = staged). c NULL: what staging_hold() froze stays. */
int staging_close(struct staging *s, const struct staging_close *c,
		  bool durable);
/** HELD or DONE -> OPEN (a DONE one then has no base: all is local or it
 *  keeps `base`, the object just stored). */
int staging_reopen(struct staging *s, const struct staging_base *base);
int staging_begin_upload(struct staging *s);
/** The object behind the missing ranges has another name or version now, with
 *  the same bytes there: an older generation was stored, or it was renamed. No
 *  effect without a base. Not waited for. @return 0 or -ENOMEM */
int staging_rebase(struct staging *s, const struct staging_base *base);
/** -> RETRYING. Durable: nobody may forget it from here on. The state changes
 *  in memory even when the journal refuses (which is returned).
 *  @param next_try_ms  clock_real_ms(); INT64_MAX: only when asked */
int staging_retry_later(struct staging *s, int err, const char *error,
			int64_t next_try_ms);
/** The row says DONE, in one commit with what was queued before; the state
 *  follows with staging_done(): until then nobody may open it again.
 *  @param is_waited_for  return after the commit; else it goes with the next one
 *  @return 0, -ESTALE (discarded), -EINVAL (not UPLOADING), -errno */
int staging_stored(struct staging *s, bool is_waited_for);
int staging_done(struct staging *s);
int staging_incomplete(struct staging *s, const char *why);
/** A newer close of the same key was stored or closed: never upload it. */
void staging_supersede(struct staging *s);
bool staging_is_superseded(struct staging *s);
/** Row and file go; the file's bytes live while references do, and may be
 *  written: nothing of that is journaled. */
int staging_discard(struct staging *s);
bool staging_is_discarded(struct staging *s);

/* -- multipart uploads in the journal -------------------------------------- */

struct staging_part {
	int number;
	uint64_t off, len;
	uint64_t crc64;
	char etag[72];
};

/** The upload that sends this file, so that a crash can go on with it or
 *  abort it. NULL forgets it and its parts. */
int staging_set_upload(struct staging *s, const char *upload_id,
		       uint64_t part_size);
/** @return heap id, or NULL */
char *staging_get_upload(struct staging *s, uint64_t *part_size);
int staging_add_part(struct staging *s, const struct staging_part *p);
int staging_get_parts(struct staging *s, struct staging_part **parts,
		      size_t *count);

/* -- the store as a whole --------------------------------------------------- */

struct staging_totals {
	uint64_t files, bytes;
	uint64_t by_state[STAGING_INCOMPLETE + 1];
	int64_t oldest_pending_ms; /* closed_ms of the oldest one; 0: none */
};
void staging_store_totals(struct staging_store *st, struct staging_totals *out);
/** Bytes that the budget would still admit. */
uint64_t staging_store_room(struct staging_store *st);
/** The same, of the store that this file is in. */
uint64_t staging_room(struct staging *s);

/* -- for ackctl: no store, no lock, with or without a daemon ---------------- */

/** Every staged file as the journal has it, oldest close first. c is NULL where
 *  nothing is frozen.  A non-zero result of fn ends the walk. @return 0, fn's,
 *  -errno */
int staging_walk(struct db *db,
		 int (*fn)(void *arg, const struct staging_info *info,
			   const struct staging_close *c),
		 void *arg);
/** The path of its bytes below the state directory. @return 0 or -ENOMEM */
int staging_file_path(const char *dir, int64_t id, char **out);

#endif
