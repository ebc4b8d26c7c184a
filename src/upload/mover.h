/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A stored object gets another name, or other metadata: the copy, the callback
 * that the new name asks for (on_rename), the records that move along.
 *
 * Layer    upload.
 * Threads  any; blocking.  Callers run on a keyq task of the keys concerned.
 */
#ifndef ACKFS_UPLOAD_MOVER_H
#define ACKFS_UPLOAD_MOVER_H

#include "oss/store.h"
#include "state/cblog.h"

struct uploader;

struct object_move {
	const char *src, *dst; /* the same: metadata alone, never a callback */
	const struct object_id *src_id; /* NULL: it is asked for */
	const struct oss_props *props;  /* NULL: the source's are kept */
	/* for the callback's inputs */
	uint32_t uid, gid, mode;
	int64_t mtime_ms;
	int32_t pid;
	const char *process;
	bool is_passing;    /* newer bytes will replace it: no callback tells of
			    it under that name */
	bool remove_source; /* a rename of one file; a folder's are removed
			       together by the caller */
	int64_t staged_id;  /* staged bytes that are renamed with it; 0: none */
	int64_t *intent;    /* out: the journaled rename, for the caller to end
			    with intent_remove(); 0: none.  NULL: it ends
			    with the move */
};

/**
 * @param out_id  the object under its new name
 * @return 0 (a callback that failed is recorded and repeated like any other: a
 *         rename whose callback fails is still a rename), -ENOENT, -ESTALE,
 *         -errno; reply has OSS's words
 */
int uploader_move(struct uploader *u, const struct object_move *m,
		  struct object_id *out_id, struct oss_reply *reply);

#endif
