/* SPDX-License-Identifier: Apache-2.0 */
/** @file What rename.c and rename_folder.c share. Layer: fs. */
#ifndef ACKFS_FS_RENAME_IMPL_H
#define ACKFS_FS_RENAME_IMPL_H

#include "fs/change.h"
#include "fs/file.h"

struct rename {
	struct fs *fs;
	struct node *n;      /* pinned */
	struct node *target; /* pinned; NULL: the name was free */
	uint64_t old_parent, new_parent;
	char old_name[256], new_name[256];
	char src[1024], dst[1024];
	int64_t intent;      /* of the staged bytes; 0: none */
	int64_t move_intent; /* of the object; until what waited under the new
				name is gone */
	struct fs_done done;
};

/* What the object is to the staged bytes of its node. */
struct stake {
	bool is_staged;
	bool is_closed; /* they will replace it, whatever happens */
	bool leans;     /* they show a part of it */
};

struct stake rename_stake(struct fs *fs, struct node *n);
/**
 * The node's object, copied to dst with changes of metadata that wait.
 * @param intent  the source goes too, see object_move; NULL: it stays
 * @param out     what lies at dst now: the node is told by rename_note_copy()
 *                when it has that name
 */
int rename_copy(struct fs *fs, struct node *n, const char *src, const char *dst,
		int64_t *intent, struct object_id *out);
int rename_note_copy(struct fs *fs, struct node *n,
		     const struct object_id *now);
/** Open bytes that lean on the node's object go on with it under dst. */
void rename_rebase(struct fs *fs, struct node *n, const char *dst);
/** The tree follows: what had the new name has none any more. */
int rename_move_node(struct rename *r);
/** Answer; r is gone. */
void rename_done(struct rename *r, int rc);
/** A task of both keys. */
void rename_folder_run(void *arg);

#endif
