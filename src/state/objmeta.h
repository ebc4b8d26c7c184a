/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What this mount has seen of objects' metadata, remembered by ETag, so that a
 * listing needs no HEAD; and metadata changes that wait for their CopyObject.
 *
 * Layer    state.
 * Threads  any.
 */
#ifndef ACKFS_STATE_OBJMETA_H
#define ACKFS_STATE_OBJMETA_H

#include <stdint.h>

#include "state/cblog.h"
#include "state/db.h"
#include "util/kv.h"

struct objmeta {
	struct object_id id;
	char *content_type;
	struct kvs meta; /* user metadata */
	struct kvs kept;
	char *storage_class;
	uint64_t crc64;
	bool has_crc64;
	int tag_count;
};

void objmeta_release(struct objmeta *m);

/** @param id  NULL: whatever version was seen last
 *  @return 0; -ENOENT: never seen, or another version; -errno */
int objmeta_get(struct db *db, const char *key, const struct object_id *id,
		struct objmeta *out);
/** Not waited for: it may be missed by an objmeta_get() right after.
 *  @param flags  DB_NOWAIT; DB_LATER: another write follows at once */
int objmeta_put(struct db *db, const char *key, const struct objmeta *m,
		int flags);
/** dst NULL: forget. Not waited for. */
int objmeta_move(struct db *db, const char *src, const char *dst,
		 const struct object_id *new_id);
/**
 * All that is known of one folder's own objects (not of what lies deeper), names
 * first to last, in order; a folder's marker has '/' at its end.  fn is called
 * holding no lock.
 * @param dir  the folder's key: "" or "a/b/"
 */
int objmeta_walk(struct db *db, const char *dir, const char *first,
		 const char *last,
		 void (*fn)(void *arg, const char *name,
			    const struct objmeta *m),
		 void *arg);

/**
 * Retention: a row goes once `keep` others have been put after it. What is
 * forgotten costs a HEAD when it is asked for again.
 * @return rows gone, or -errno
 */
int objmeta_prune(struct db *db, uint64_t keep);

/** A metadata change that has been answered 0 and waits for its CopyObject:
 *  journaled, so that a crash does not lose a chmod (fuse-facts 12). */
int metachange_put(struct db *db, const char *key, const struct objmeta *want);
int metachange_remove(struct db *db, const char *key);
int metachange_walk(struct db *db,
		    void (*fn)(void *arg, const char *key,
			       const struct objmeta *want),
		    void *arg);

/** Renames under way: written before the copy, removed after the delete; after
 *  a crash the daemon finishes them (fuse-facts 11).  So too the removal of a
 *  name under which bytes waited: they go first, the object after them. */
struct intent {
	int64_t id;
	char *src, *dst; /* keys; dst is "" for a removal */
	char src_etag[72];
	bool copied;    /* the copy is known to be stored */
	bool is_staged; /* bytes that wait for their upload are renamed: all
			   of it goes on, whatever was done */
	int64_t staged_id; /* of the renamed or removed bytes; 0: an object alone */
};
int intent_add(struct db *db, const struct intent *i, int64_t *id);
int intent_set_copied(struct db *db, int64_t id);
int intent_remove(struct db *db, int64_t id);
int intent_walk(struct db *db, void (*fn)(void *arg, const struct intent *i),
		void *arg);

#endif
