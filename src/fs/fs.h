/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The filesystem's core: what a mount is made of, and how its parts find each
 * other.  FUSE's own types stay in session.c, mount.c and ops_*.c.
 *
 *     tree      names and attributes        lookup    names that OSS knows
 *     file      open and staged files       listing   folders, page by page
 *     closer    who closes, and how         change    unlink, rename, chmod
 *     xattr     user.oss.*                  status    for ackctl
 *
 * Lock order: struct file's lock (8), the tree's (10), then those of the layers
 * below.  No lock is held across the network; the tree's not across the disk
 * either.
 */
#ifndef ACKFS_FS_FS_H
#define ACKFS_FS_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/closer.h"
#include "fs/posix.h"
#include "fs/tree.h"
#include "oss/store.h"
#include "state/objmeta.h"
#include "state/staging.h"
#include "upload/uploader.h"

struct read_cache;
struct recall;

enum fs_posix_meta { FS_POSIX_AUTO, FS_POSIX_ALWAYS, FS_POSIX_NEVER };
enum fs_incomplete {
	FS_INCOMPLETE_HOLD,
	FS_INCOMPLETE_UPLOAD,
	FS_INCOMPLETE_DISCARD
};

struct fs_conf {
	const char *bucket;
	const char *prefix;     /* of keys: "" or "a/b/" */
	const char *mountpoint; /* absolute */
	const char *host;
	const char *state_path;  /* for ackctl */
	const char *config_path; /* absolute; NULL: none */
	bool close_staged;       /* close_returns = staged */
	bool fsync_uploads;      /* fsync = upload */
	bool fail_on_conflict;
	bool offline_ok;
	bool read_only;
	enum fs_posix_meta posix_meta;
	enum fs_incomplete incomplete;
	uint32_t uid, gid, file_mode, dir_mode;
	bool uid_for_all, gid_for_all; /* shown in place of what is stored */
	uint32_t umask;                /* taken away from every mode shown */
	int64_t ttl_ms;
	int64_t temporary_hold_ms, empty_hold_ms;
	int64_t retry_deadline_ms;
};

struct fs_deps {
	struct store store;
	struct db *db;
	struct staging_store *staging;
	struct keyq *queue;
	struct timer_wheel *timers;
	struct read_cache *readers;
	const struct rules *rules;
	const struct mime *mime;
	struct closer *closer;
	struct uploader *uploader; /* set after fs_new(): it needs fs_event() */
	struct recall *recall;     /* likewise */
};

struct fs {
	struct fs_conf conf;
	struct fs_deps d;
	struct tree tree;
	/* Tell the kernel that a node's pages or a name are stale; set by the
	   mount, called without locks, from any thread. */
	void (*invalidate)(void *arg, uint64_t ino);
	void (*invalidate_name)(void *arg, uint64_t parent, const char *name);
	void *notify_arg;
	_Atomic bool draining; /* no new opens for writing */
	/* The kernel drops its pages of what is written past them. */
	_Atomic bool cache_is_coherent;
	_Atomic uint64_t incomplete_seen;
	_Atomic int64_t away_until_ms; /* away.c */
	struct file *files;            /* open or staged; the tree's lock */
	_Atomic uint32_t listings;     /* numbers them */
	int64_t started_ms;
};

/** What a parked request continues with. */
struct fs_done {
	void (*fn)(void *arg, int rc);
	void *arg;
};

int fs_new(const struct fs_conf *conf, const struct fs_deps *deps,
	   struct fs **out);
void fs_free(struct fs *fs);
/** Nodes for what staging_recover() hands over, and their uploads. */
int fs_recover(struct fs *fs);

/* The uploader's hooks. */
/** For the uploader's `settle_props` and `recalled`. */
void fs_settle_props(void *fs, struct staging *s);
void fs_recalled(void *fs, const char *key, const struct object_id *id);
void fs_upload_stored(void *fs, struct staging *s, const struct object_id *id);
void fs_upload_event(void *fs, struct staging *s,
		     const struct upload_outcome *o);
int fs_fetch_missing(void *fs, struct staging *s, uint64_t off, uint64_t len);

/* -- names ----------------------------------------------------------------- */

/** Can OSS hold this name (oss-protocol 4.1)? @return 0, -ENAMETOOLONG,
 *  -EINVAL */
int fs_check_name(const struct fs *fs, const char *name, bool in_root);
/** The object key of a node, a folder's with '/' at its end; "" + prefix for
 *  the root. @return 0, -ENAMETOOLONG, -ENOENT (unlinked) */
int fs_key_locked(struct fs *fs, const struct node *n, char out[1024])
	ACK_REQUIRES(fs->tree.lock);
/** The key that a child of dir has or would have. */
int fs_child_key_locked(struct fs *fs, const struct node *dir, const char *name,
			bool folder, char out[1024])
	ACK_REQUIRES(fs->tree.lock);
/** The node of a key; NULL: not in the tree. */
struct node *fs_node_of_key_locked(struct fs *fs, const char *key)
	ACK_REQUIRES(fs->tree.lock);
/** The node of a key, made with its folders where it is missing: recovery. */
struct node *fs_make_path_locked(struct fs *fs, const char *key)
	ACK_REQUIRES(fs->tree.lock);
/** The path inside the mount of a key. */
const char *fs_path_of_key(const struct fs *fs, const char *key);
/** A deadline for an operation that a program waits for. */
struct oss_ctl fs_ctl(const struct fs *fs);
/** One log line about a failed operation. */
void fs_log_failure(const char *what, const char *key,
		    const struct oss_reply *reply, int rc);

/* -- away.c: offline_ok ---------------------------------------------------- */

/** As fs_ctl(), for a question that can be answered without OSS. */
struct oss_ctl fs_ask_ctl(const struct fs *fs);
/** Did OSS not answer a moment ago?  Then it is not asked. */
bool fs_is_away(const struct fs *fs);
/** What came of a question. @return true: OSS is away, and the mount goes on
 *  with what it knows */
bool fs_note_reply(struct fs *fs, int rc, const struct oss_reply *reply);

/* -- lookup.c -------------------------------------------------------------- */

/** Attributes for the kernel, copied out of a node. */
struct fs_attr {
	uint64_t ino;
	uint32_t mode, uid, gid, nlink;
	uint64_t size;
	int64_t mtime_ns;
	int64_t fresh_ms; /* how long the kernel may believe them */
};

void fs_attr_locked(const struct fs *fs, const struct node *n,
		    struct fs_attr *out) ACK_REQUIRES(fs->tree.lock);
/**
 * Find name in the folder: from the tree, else from OSS by one LIST.  On
 * success the node's lookup count is raised by one.
 * @return 0, -ENOENT, -EIO and others when OSS cannot be asked
 */
int fs_lookup(struct fs *fs, uint64_t parent, const char *name,
	      struct fs_attr *out);
/** Attributes, asked for again when they are stale. */
int fs_getattr(struct fs *fs, uint64_t ino, struct fs_attr *out);

/* -- note.c: what is heard of names ---------------------------------------- */

/** Is there an object that can carry the node's metadata? */
static inline bool fs_may_have_meta(const struct node *n)
{
	return n->stored || n->kind == NODE_DIR;
}
/** What the state folder remembers of its metadata. */
void fs_recall_meta(struct fs *fs, struct node *n);
/** Metadata of a stored node, by HEAD unless seen. @return 0, -ENOENT, ... */
int fs_need_meta(struct fs *fs, struct node *n);
/** By HEAD in any case: Content-Type, storage class, user metadata; out may be
 *  NULL. */
int fs_need_head(struct fs *fs, struct node *n, struct objmeta *out);
/** Note an entry of a listing. Called with the tree locked.
 *  @param since  tree.change when the request was made
 *  @return the node, or NULL (hidden, removed since, no memory) */
struct node *fs_note_entry_locked(struct fs *fs, struct node *dir,
				  const char *name,
				  const struct oss_list_entry *e,
				  uint64_t since) ACK_REQUIRES(fs->tree.lock);
/** A symlink of OSS's own (PutSymlink): a listing tells the link's size and ETag,
 *  GET and HEAD the target's (oss-protocol 4.10). So it is asked for by HEAD. */
bool fs_entry_is_link(const struct oss_list_entry *e);
/** tree.change now. */
uint64_t fs_change_now(struct fs *fs);
/** Note what a HEAD told: node and state folder.
 *  @param since  fs_change_now() before it was sent */
void fs_note_object(struct fs *fs, struct node *n, const char *key,
		    const struct oss_object *o, uint64_t since);
/** What is remembered of a folder's objects (names first to last), into the
 *  nodes. */
void fs_apply_remembered(struct fs *fs, uint64_t dir_ino, const char *dir_key,
			 const char *first, const char *last);

/* -- listing.c ------------------------------------------------------------- */

struct listing; /* one opendir */

struct listing_entry {
	const char *name;
	uint64_t next; /* offset to go on from */
	struct fs_attr attr;
};

int listing_open(struct fs *fs, uint64_t ino, struct listing **out);
void listing_close(struct listing *l);
/**
 * The entries from offset on: emit() says whether one fitted; with `lookup`
 * each that fitted has its lookup count raised.
 * @return 0 or -errno (only before the first entry)
 */
int listing_read(struct listing *l, uint64_t off, bool lookup,
		 bool (*emit)(void *arg, const struct listing_entry *e),
		 void *arg);
/** Is the folder without children, on OSS and here? @return 0, -ENOTEMPTY */
int listing_is_empty(struct fs *fs, uint64_t ino);
/** Forget what is cached: a folder and all below, or everything (root). */
void listing_invalidate(struct fs *fs, uint64_t ino);

/* -- change.c: changes of the tree and of stored objects ------------------- */

int fs_mkdir(struct fs *fs, uint64_t parent, const char *name, uint32_t mode,
	     uint32_t uid, uint32_t gid, struct fs_attr *out);
int fs_symlink(struct fs *fs, uint64_t parent, const char *name,
	       const char *target, uint32_t uid, uint32_t gid,
	       struct fs_attr *out);
int fs_readlink(struct fs *fs, uint64_t ino, char *out, size_t size);
void fs_unlink(struct fs *fs, uint64_t parent, const char *name,
	       struct fs_done done);
void fs_rmdir(struct fs *fs, uint64_t parent, const char *name,
	      struct fs_done done);
void fs_rename(struct fs *fs, uint64_t parent, const char *name,
	       uint64_t new_parent, const char *new_name, bool no_replace,
	       struct fs_done done);

/** Which of mode, owner, times to set. */
struct fs_meta_change {
	bool set_mode, set_uid, set_gid, set_mtime;
	uint32_t mode, uid, gid;
	int64_t mtime_ns;
};
/** Into the upload of an open or held file, else one CopyObject a second
 *  later (metadata of a stored object). */
int fs_change_meta(struct fs *fs, uint64_t ino, const struct fs_meta_change *m);
/** One x-oss-meta-NAME; value NULL removes (-ENODATA: there is none).
 *  @param flags  XATTR_CREATE, XATTR_REPLACE */
void fs_set_user_meta(struct fs *fs, uint64_t ino, const char *name,
		      const char *value, int flags, struct fs_done done);
/** A CopyObject for a node's changed metadata, in a second. */
void fs_schedule_meta(struct fs *fs, struct node *n);
/** Finish renames and metadata changes that a crash interrupted: renames before
 *  the uploads that were found are submitted, changes after. */
int fs_recover_renames(struct fs *fs);
int fs_recover_changes(struct fs *fs);
/** Carry out what waits, now: before a drain. */
void fs_flush_meta(struct fs *fs);

/** Of a stored object that this mount has not written: a callback, as a new
 *  delivery, soon. @return 0: queued; -ENODATA: its rule makes none; -errno */
int fs_announce(struct fs *fs, const char *key);

#endif
