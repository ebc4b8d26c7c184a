/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One staged file as a multipart upload.
 *
 * While the file is written, multipart_wrote() sends whole parts in the
 * background; a later write into one of them makes it stale, and it is sent
 * again.  Once the file is closed, multipart_send() sends the rest, copies
 * untouched ranges of the base on the server's side, and completes.
 *
 * The upload's id and finished parts are journaled once the file is frozen (a
 * part sent from an open file may be stale after a crash), and every
 * upload stands in state/mpu.h until it is completed or aborted.
 *
 * An answer to Complete that was lost, or that came while we were dead, is
 * looked for by HEAD.  Where the callback's answer is not known then, it
 * is made again by a copy of the object onto itself; the same copy gives an
 * object that was begun while it was written the metadata it had at close, before
 * its callback is made.
 *
 * Layer    upload (internal).
 * Threads  wrote: any; the rest: one at a time.
 */
#ifndef ACKFS_UPLOAD_MULTIPART_H
#define ACKFS_UPLOAD_MULTIPART_H

#include "upload/env.h"
#include "upload/finish.h"
#include "upload/props.h"

struct multipart;

/** Nothing is asked of OSS yet. env must outlive it; s and run are
 *  referenced. */
int multipart_new(const struct upload_env *env, struct staging *s,
		  struct upload_run *run, struct multipart **out);
/** Waits for parts under way; neither aborts nor completes. NULL is fine. */
void multipart_free(struct multipart *m);

/** Bytes of the open file were written, zeroed or cut off (len to the end of
 *  everything then).  Never blocks. */
void multipart_touch(struct multipart *m, uint64_t off, uint64_t len);
/** All below `end` is written: whole parts may go out. Never blocks. */
void multipart_advance(struct multipart *m, uint64_t end);

/**
 * The file is frozen: store it.
 * @param out     as from a PutObject; always to be released
 * @param stored  the properties that the object has got: want's, or without
 *                times; borrowed from m or want
 * @return 0, -ECANCELED, -ESTALE (the base has changed), -EEXIST, -errno
 */
int multipart_send(struct multipart *m, const struct upload_want *want,
		   struct oss_put_result *out,
		   const struct upload_props **stored);

/** Give up what was sent: abort on OSS, forget in the journal. */
void multipart_abort(struct multipart *m);

/** Was it begun under this key? */
bool multipart_is_for(const struct multipart *m, const char *key);
/** Waits for what runs.  @return the upload's id (heap; NULL: none), which m
 *  knows no longer: the caller aborts it and sees to the journal */
char *multipart_detach(struct multipart *m);

/** Abort one upload (10 s at most) and forget it where that succeeded.
 *  @return 0 or -errno */
int multipart_abort_id(const struct upload_env *env, const char *key,
		       const char *upload_id);

#endif
