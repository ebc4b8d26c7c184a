/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Open and staged files: what happens to the bytes from open to the last close
 * (design.md, "Life of a written file"; fuse-facts 1 to 14).
 *
 * A struct file hangs on a node while it is open or has staged bytes.  Its
 * current generation is one staged file; generations that were closed and are
 * on their way belong to the uploader, and are kept in `older` so that unlink
 * and rename reach them.
 *
 * Layer    fs; no FUSE types.
 * Threads  any.  The file's lock orders changes of one file; it is held across
 *          the local disk, never across the network.
 */
#ifndef ACKFS_FS_FILE_H
#define ACKFS_FS_FILE_H

#include "download/reader.h"
#include "fs/fs.h"
#include "util/timer.h"

struct file;
struct handle; /* one open(2) */

struct caller {
	pid_t tid;
	uint32_t uid, gid;
};

/**
 * Open an existing node, or the one that file_create() made.
 * @param flags  of open(2)
 * @param keep_cache  set: the kernel's pages are of this very version
 * @return 0, -ENOENT, -EISDIR, -ESHUTDOWN (draining), -errno
 */
int file_open(struct fs *fs, uint64_t ino, int flags, const struct caller *who,
	      struct handle **out, bool *keep_cache);
/** A new file; the name is free (the kernel and fs_lookup() say so). */
int file_create(struct fs *fs, uint64_t parent, const char *name, int flags,
		uint32_t mode, const struct caller *who, struct handle **out,
		struct fs_attr *attr);

/**
 * Shall the kernel hand over what this descriptor writes without a copy in its
 * page cache (FOPEN_DIRECT_IO)?  Nobody can read or map through it, and the next
 * open finds another version: the copy would serve nobody.
 */
bool file_writes_past_cache(const struct handle *h);

/** At most 1 MiB. Local bytes come copied into `local` (len bytes), others as a
 *  view. */
struct file_read {
	char *local; /* malloc'ed; NULL: the view holds the bytes */
	size_t len;
	struct read_view view;
};
/** @return 0 or -errno */
int file_read_view(struct handle *h, uint64_t off, size_t len,
		   struct file_read *out);
void file_read_release(struct file_read *r);

/** @param from_mmap  the kernel wrote back a mapped page (fuse-facts 8)
 *  @return bytes written, or -errno */
ssize_t file_write(struct handle *h, const void *data, size_t len, uint64_t off,
		   bool from_mmap);
/** For a write that is spliced: the descriptor and where to write.
 *  Call file_write_end() in any case, with what was written. */
int file_write_begin(struct handle *h, size_t len, uint64_t off, bool from_mmap,
		     int *fd, uint64_t *at);
void file_write_end(struct handle *h, size_t written, uint64_t off);

/** h NULL: truncate(2) on a path. done may come later (an upload). */
void file_truncate(struct fs *fs, uint64_t ino, struct handle *h, uint64_t size,
		   const struct caller *who, struct fs_done done);
int file_fallocate(struct handle *h, int mode, uint64_t off, uint64_t len);
void file_fsync(struct handle *h, struct fs_done done);

/** A FLUSH or RELEASE was read off /dev/fuse (fuse-facts 5). */
void file_note_closing(struct fs *fs, uint64_t ino);
/** Decide, upload where it is the end, answer when it is done. */
void file_flush(struct handle *h, const struct caller *who,
		struct fs_done done);
void file_release(struct handle *h);
/** The name of who writes, for a handle whose FLUSH does not ask for it.
 *  @param tid  a thread of its that waits for us */
void file_note_writer(struct handle *h, pid_t tid);
/** Without a RELEASE from the kernel, which has never heard of the handle.
 *  @param killed  its opener has been killed meanwhile */
void file_release_unasked(struct handle *h, bool killed);
/** The node's upload outcome is there, or none is coming: getxattr. @return true:
 *  done will be called; false: nothing to wait for */
bool file_wait_outcome(struct fs *fs, uint64_t ino, struct fs_done done);

/** upload.state and friends. */
struct file_state {
	bool staged;
	bool closing; /* a FLUSH or RELEASE is not handled yet */
	struct staging_info info;
};
void file_get_state(struct fs *fs, struct node *n, struct file_state *out);
/** User metadata that the staged bytes will have, as far as it is known.
 *  @return 0, -ENOENT: nothing is staged; -ENOMEM */
int file_get_meta(struct fs *fs, struct node *n, struct kvs *out);

bool file_has_writers_locked(const struct file *f);
struct node *handle_node(const struct handle *h);

/** Is there an open or staged file below the folder? */
bool fs_has_local_below_locked(struct fs *fs, const struct node *dir)
	ACK_REQUIRES(fs->tree.lock);
/** Their nodes, pinned. *list is the caller's (free). @return 0 or -ENOMEM */
int file_nodes_below(struct fs *fs, const struct node *dir, struct node ***list,
		     size_t *count);
/** Do all generations of the node's file have this key? */
bool file_has_key(struct fs *fs, struct node *n, const char *key);

/* -- for change.c and recovery: with the node pinned ----------------------- */

/** The staged file of a node now, with a reference; NULL: none. */
struct staging *file_staging(struct fs *fs, struct node *n);
/** A HELD one found at start waits once more. */
void file_restart_hold(struct fs *fs, struct node *n);
/** At the end: forget what is still staged (the journal keeps it). */
void file_free_all(struct fs *fs);
/** Adopt a staged file found at start. */
int file_adopt(struct fs *fs, struct node *n, struct staging *s);
/** The name goes: uploads are cancelled, open handles go on with bytes that
 *  will never be uploaded.
 *  @return true: one was on its way, and may be stored all the same */
bool file_unlinked(struct fs *fs, struct node *n);
/**
 * A rename of a file that is not stored yet (any generation): the staged files
 * take the new key; a held one whose name is final now is closed and uploaded.
 * @return 0; -EBUSY: an upload is running, rename behind it; -ENOENT: nothing
 *         is staged
 */
int file_rekey(struct fs *fs, struct node *n, const char *new_key);
/** What is staged of n is void once another file's closed bytes have its name: in
 *  the journal, before they get it. */
void file_make_void(struct fs *fs, struct node *n);
/** Are several generations on their way? */
bool file_has_older(struct fs *fs, struct node *n);
/** The same bytes lie under another name or ETag now, by a copy of ours: readers
 *  go on with that. */
void file_moved_locked(struct node *n);
/** The staged file that tells how far a rename has come: the newest that is
 *  closed, else the open one. @return its id; 0: nothing is staged */
int64_t file_staged_id(struct fs *fs, struct node *n);
/** The rename is done: a held file whose name is final now goes up. */
void file_renamed(struct fs *fs, struct node *n);
/** chmod, chown, utimens of an open or held file go into its upload.
 *  @return true: they did */
bool file_take_meta(struct fs *fs, struct node *n);
/** The same for one x-oss-meta-NAME; value NULL removes. */
bool file_set_user_meta(struct fs *fs, struct node *n, const char *name,
			const char *value, int flags, int *rc);
/** Held files go up now (unmount: their names will not change any more). */
void file_finish_holds(struct fs *fs);
/** Nothing is received any more, and RELEASEs may have been lost: what was
 *  answered 0 and not written since is closed. */
void file_close_promised(struct fs *fs);
size_t file_count_open(struct fs *fs);

/* -- for ackctl: file_admin.c ---------------------------------------------- */

/** An INCOMPLETE file goes up under its name, as if it were closed now.
 *  @return 0; -EINVAL (it is not incomplete); -EISDIR (the name is a folder's
 *          now); -ESHUTDOWN; -errno */
int file_publish(struct fs *fs, struct staging *s);
/** At the start: one that file_make_void() spoke of is dropped. */
void file_drop_void(struct fs *fs, struct staging *s);
/** One that waits or retries is dropped; the name shows what OSS has.
 *  @return 0; -EBUSY: it is open */
int file_give_up(struct fs *fs, struct staging *s);

#endif
