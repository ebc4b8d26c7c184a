/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What file*.c share: the struct behind file.h and its inner functions.
 */
#ifndef ACKFS_FS_FILE_IMPL_H
#define ACKFS_FS_FILE_IMPL_H

#include "fs/file.h"

struct flush_wait; /* file_close.c */
struct hold_shot;  /* file_hold.c */

/** A generation that was closed and then written again: the uploader's. */
struct generation {
	struct generation *next;
	struct staging *staging;
};

/** A request that waits: for a registered close, or for a HEAD. */
struct parked {
	struct parked *next;
	struct fs_done done;
};

/** What was done to the bytes since they were closed last; what comes later
 *  outweighs what stands before it. */
enum file_change {
	CHANGE_NONE,
	CHANGE_CREATED, /* a new name; nothing was written to it yet */
	CHANGE_EMPTIED, /* an old one, likewise: O_TRUNC */
	CHANGE_SIZED, /* ftruncate, fallocate: a map may follow (fuse-facts 8) */
	CHANGE_WRITTEN,
};

/*
 * state of the bytes         now       change  what a close does
 * nothing local              NULL      NONE    nothing
 * changed, not closed        OPEN      others  promise, hold, or upload
 * held for its name/bytes    HELD      NONE    -
 * on its way                 CLOSED..  NONE    - (watch for the outcome)
 * stored, still open         DONE      NONE    nothing
 */
struct file {
	struct fs *fs;
	struct node *node;
	struct lock lock;

	/* Guarded by the tree's lock. */
	struct file *prev, *next; /* of fs->files */
	uint32_t refs;
	struct handle *opens; /* not released yet */
	uint32_t handles, writers;
	uint32_t closing;
	uint32_t
		moves; /* how often the object got another name or ETag by us */
	struct parked *waiters;

	/* Changed under both locks: either is enough to look. */
	struct staging *now;
	struct generation *older;

	/* Guarded by the file's lock. */
	struct staging_props props; /* of the object replaced, and set here */
	bool props_known;
	bool head_pending;
	struct parked *on_head;
	enum file_change change;
	bool mmapped;
	bool killed;
	bool promised; /* a normal FLUSH after the last write */
	bool unlinked;
	uint32_t uid, gid; /* of whoever opened or truncated it last */
	pid_t pid;
	char process[64]; /* its name, as of its last FLUSH */
	timer_id hold;
	struct hold_shot
		*hold_shot; /* the timer's; ours when it is cancelled */
	uint64_t hold_turn; /* an old timer's shot is recognised */
	bool hold_is_temporary;
};

/** One version of the object under one name, as a handle reads it. */
struct read_source {
	struct read_source *next;
	struct reader *reader;
	struct read_pos *pos;
	uint32_t moves; /* file->moves when it was opened */
};

/** Was nothing but a name made, or emptied? */
static inline bool file_is_untouched(const struct file *f)
{
	return f->change == CHANGE_CREATED || f->change == CHANGE_EMPTIED;
}

struct handle {
	struct file *file;
	struct handle *prev, *next; /* of file->opens */
	bool writable, write_only;
	pid_t opener;                /* tgid; 0: not known */
	struct read_source *sources; /* the newest first; the file's lock */
};

/** The node's file, made when there is none; one reference. NULL: no memory,
 *  no such node. */
struct file *file_get(struct fs *fs, uint64_t ino);
struct file *file_get_node_locked(struct fs *fs, struct node *n)
	ACK_REQUIRES(fs->tree.lock);
struct file *file_ref_locked(struct file *f);
/** The open and staged files now, each with a reference; NULL: no memory. */
struct file **file_all(struct fs *fs, size_t *count);
/** The last one frees it when nothing is open or staged. */
void file_put(struct file *f);

void read_source_free(struct read_source *s);
/** It does not count as open any more. The next calls say that the last one,
 *  the last writable one has gone: exactly one caller of several hears it. */
void handle_leave(struct handle *h, bool *last, bool *last_writer);
/** After handle_leave(). Gives back its reference to the file. */
void handle_free(struct handle *h);
/** At the end of the mount: those whose RELEASE will not come. */
void handle_free_all(struct file *f);

/** Make `now` a staged file that may be written. */
int file_make_writable_locked(struct file *f) ACK_REQUIRES(f->lock);
/** A new, empty generation: O_TRUNC, truncate to 0. On failure all is as it
 *  was. */
int file_start_empty_locked(struct file *f) ACK_REQUIRES(f->lock);
/** What was made writable was not changed after all. */
void file_undo_writable_locked(struct file *f) ACK_REQUIRES(f->lock);
/** Note a change of the bytes: flags, size and mtime of the node. */
void file_changed_locked(struct file *f, enum file_change change, uint64_t size)
	ACK_REQUIRES(f->lock);
/** s shows from here on (its reference is taken); what showed before is the
 *  caller's. */
void file_set_now_locked(struct file *f, struct staging *s)
	ACK_REQUIRES(f->lock);
void file_drop_now_locked(struct file *f) ACK_REQUIRES(f->lock);
/** Nothing is `now`: the newest of the older generations shows again.
 *  @return false: there is none */
bool file_fall_back_locked(struct file *f) ACK_REQUIRES(f->lock);
/** `now` goes among the older ones. @return 0 or -ENOMEM */
int file_push_older_locked(struct file *f) ACK_REQUIRES(f->lock);
/** Take s from the older ones; the reference is the caller's.
 *  @return false: it is none of them */
bool file_remove_older_locked(struct file *f, struct staging *s)
	ACK_REQUIRES(f->lock);
/** Is s one of its generations? */
bool file_has_locked(const struct fs *fs, const struct file *f,
		     const struct staging *s) ACK_REQUIRES(fs->tree.lock);
/** No row speaks of it any more, its bytes live with its references: what an
 *  unlinked file is made of. */
void file_make_anonymous(struct staging *s);
/** The key of the file's name now, "" when it has none. */
int file_key(struct file *f, char key[1024]);
/** Ask for the metadata of the object that will be replaced, unless it has
 *  been seen; behind the caller's back (keyq). */
void file_start_head(struct file *f);

/** Freeze and hand to the uploader. who NULL: the opener.
 *  @param done  called when it is stored or failed (stored mode), or at once */
void file_close_now(struct file *f, const struct process *who, bool wait,
		    struct fs_done done);
/** What the frozen close of this file says. */
int file_make_close_locked(struct file *f, const struct process *who,
			   struct staging_close *out) ACK_REQUIRES(f->lock);
int file_make_props_locked(struct file *f, struct staging_props *out)
	ACK_REQUIRES(f->lock);
/** Both of the above, the properties set on `now`. */
int file_freeze_locked(struct file *f, const struct process *who,
		       struct staging_close *c) ACK_REQUIRES(f->lock);
/** Hand a CLOSED one to the uploader; w NULL: nobody waits. */
void file_submit(struct file *f, struct staging *s, struct flush_wait *w,
		 struct fs_done done);
/** OPEN -> HELD; its timer starts. */
int file_hold_locked(struct file *f, const struct process *who, bool temporary)
	ACK_REQUIRES(f->lock);
/** Is the node's name one that will be renamed? */
bool file_is_temporary(struct file *f);
/** A HELD one goes up. @param no_callback  its temporary_hold ran out */
void file_release_hold(struct file *f, bool no_callback);
void file_cancel_hold_locked(struct file *f) ACK_REQUIRES(f->lock);
/** Where nothing is staged any more, the name shows what OSS has: the object as
 *  it was, or nothing. */
void file_show_stored(struct file *f);
/** Wait until every FLUSH and RELEASE that was read before has been judged:
 *  they are handled by other threads, and never wait for the network. */
void file_wait_closing(struct file *f);
/** closing--, and the waiters when it is 0. */
void file_closing_done(struct file *f);

#endif
