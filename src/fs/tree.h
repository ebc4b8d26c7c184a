/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The tree of nodes: what this mount knows of names, with or without an inode
 * number that the kernel holds.
 *
 * A node is one name in one folder.  It lives while the kernel has looked it up
 * (nlookup), while something pins it (refs: handles, tasks), while it has
 * children, or while it is worth keeping as a cached listing entry.  An
 * unlinked node that is still open has no parent and no name.
 *
 * One lock guards the whole tree; it is held for memory alone, never across
 * disk or network.  Functions that end in _locked want it held.
 *
 * Layer    fs; no FUSE types.
 */
#ifndef ACKFS_FS_TREE_H
#define ACKFS_FS_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "fs/index.h"
#include "state/cblog.h"
#include "util/lock.h"

struct file;

/** The root's inode number, FUSE's. */
#define TREE_ROOT 1

/** ETags that do not fit are not kept: their objects are read without
 *  If-Match and their records show `unknown`. */
#define NODE_ETAG_LEN 40

enum node_kind { NODE_FILE, NODE_DIR, NODE_LINK };

struct node {
	uint64_t ino;
	uint64_t nlookup;
	uint32_t refs;
	uint8_t kind; /* enum node_kind */

	bool stored : 1;       /* an object lies under the key (a folder: its
				 marker) */
	bool maybe_stored : 1; /* an upload was begun and its end is not known */
	bool meta_known : 1;   /* mode, owner, mtime are the object's own */
	bool meta_dirty : 1;   /* changed here; a CopyObject is due */
	bool meta_scheduled : 1;
	bool is_staged : 1; /* its bytes are here (file->now): what OSS has does
			     not show */

	char *name;
	struct node *parent; /* NULL: the root, or unlinked */
	struct node *children, *prev, *next;
	struct node *link[INDEX_KINDS]; /* index.c */
	uint32_t name_hash;

	uint32_t mode; /* with type bits */
	uint32_t uid, gid;
	uint64_t size;
	int64_t mtime_ns;

	/* The stored object */
	uint64_t object_size;
	int64_t modified_ms;
	char etag[NODE_ETAG_LEN];
	char *version_id;

	int64_t fresh_until_ms;  /* attributes and existence, mono; 0: in
				    doubt, whatever the folder's listing says */
	int64_t listed_until_ms; /* a folder: all children are known */
	uint64_t doubted;        /* tree->change when they were not any more */
	uint64_t change;         /* tree->change at our last change of it */
	struct tomb *tombs;      /* a folder: names removed lately */
	struct file *file;       /* open or staged; NULL else */
	uint32_t listing;        /* the last listing that named it */
	uint32_t opens_etag;     /* hash of the ETag of the last open, for
				    the kernel's page cache */
};

struct tree {
	struct lock lock;
	struct node *root;
	struct index inos, names;
	uint64_t next_ino;
	uint64_t change;  /* rises with each local change */
	size_t shrink_at; /* do not look for what can go below this many */
	/* What a new node looks like before its metadata is seen. */
	uint32_t uid, gid, file_mode, dir_mode;
};

int tree_init(struct tree *t, uint32_t uid, uint32_t gid, uint32_t file_mode,
	      uint32_t dir_mode);
void tree_release(struct tree *t);

/** All nodes, in no order: NULL gives the first, NULL comes behind the last. */
struct node *tree_next_locked(struct tree *t, const struct node *n)
	ACK_REQUIRES(t->lock);
/** The next one below top in the order of folders before what is in them; NULL
 *  behind the last. Begin with top. */
struct node *tree_walk_locked(const struct node *top, struct node *n);
struct node *tree_by_ino_locked(struct tree *t, uint64_t ino)
	ACK_REQUIRES(t->lock);
struct node *tree_child_locked(struct tree *t, struct node *dir,
			       const char *name) ACK_REQUIRES(t->lock);
/** A new child, with defaults of its kind. @return NULL: no memory */
struct node *tree_add_locked(struct tree *t, struct node *dir, const char *name,
			     enum node_kind kind) ACK_REQUIRES(t->lock);
/** Take it out of its folder; it lives on while it is held. */
void tree_detach_locked(struct tree *t, struct node *n) ACK_REQUIRES(t->lock);
/** Move to another folder and name; a node there must be gone already.
 *  @return 0 or -ENOMEM */
int tree_move_locked(struct tree *t, struct node *n, struct node *dir,
		     const char *name) ACK_REQUIRES(t->lock);
/** Free it if nothing holds it and it is detached. */
void tree_drop_locked(struct tree *t, struct node *n) ACK_REQUIRES(t->lock);
/** The kernel forgets n lookups. */
void tree_forget_locked(struct tree *t, struct node *n, uint64_t nlookup)
	ACK_REQUIRES(t->lock);
void tree_pin_locked(struct node *n);
void tree_unpin_locked(struct tree *t, struct node *n) ACK_REQUIRES(t->lock);
/** Free cached entries that nothing holds when there are more than `keep` nodes.
 *  Where nearly all are held it looks again only when there are many more. */
void tree_shrink_locked(struct tree *t, size_t keep) ACK_REQUIRES(t->lock);

/**
 * The path inside the mount, no leading '/', "" for the root, a folder's
 * without a slash at its end.  @return length, or -ENAMETOOLONG, or -ENOENT
 * (unlinked)
 */
int tree_path_locked(struct tree *t, const struct node *n, char *out,
		     size_t size) ACK_REQUIRES(t->lock);

/** Note a local change of n (its folder's listing must not undo it). */
void tree_changed_locked(struct tree *t, struct node *n) ACK_REQUIRES(t->lock);
/** Names of dir are not all known any more, whatever a listing under way says. */
void tree_doubt_locked(struct tree *t, struct node *dir) ACK_REQUIRES(t->lock);
/** Remember that name was removed just now. */
void tree_tomb_locked(struct tree *t, struct node *dir, const char *name)
	ACK_REQUIRES(t->lock);
/** Was name removed after `since` (a value of tree->change)? */
bool tree_removed_since_locked(struct tree *t, struct node *dir,
			       const char *name, uint64_t since)
	ACK_REQUIRES(t->lock);

/** The stored object's identity, as records want it. */
void node_object_id(const struct node *n, struct object_id *out);
/** Note what is stored now. */
int node_set_object(struct node *n, const struct object_id *id);
/** What a write or a change of owner takes away: set-user-ID, set-group-ID (the
 *  kernel leaves it to us: session_conf.clears_privileges). */
void node_drop_privileges(struct node *n);
/** Is there an open handle, staged bytes, or a pin? */
bool node_is_busy(const struct node *n);
/** Bytes or attributes that are here and not (yet) there: OSS has no say. */
static inline bool node_is_local(const struct node *n)
{
	return n->is_staged || n->meta_dirty;
}

#endif
