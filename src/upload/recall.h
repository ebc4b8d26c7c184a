/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Callbacks that failed are made again.
 *
 * OSS never repeats a callback.  From the callback log (so it survives a
 * restart) each failed one is repeated for its rule's retry_for with
 * growing pauses, with the same delivery id: by PutObject where the object is
 * empty or its bytes are kept (state/kept.h), else by a copy of the object onto
 * itself whose CompleteMultipartUpload carries the callback; and only while HEAD
 * says that the object is still ours, by its ETag.  While the application server
 * is down one file asks and the others wait.  What is given up is `failed` for
 * good.
 *
 * Content, metadata, content type, storage class, tags and ACL stay;
 * Last-Modified changes, and with a copy the ETag (MD5 to the multipart form).
 * What another writer stores between HEAD and PutObject, which is begun within
 * seconds, is replaced.  Between HEAD and the copy it could be copied over
 * itself: x-oss-copy-source-if-match closes that, except for a write between the
 * copy of the parts and Complete, which the copy then replaces.  In a versioned
 * bucket each repetition is a new version; archived objects and those under a
 * retention policy cannot be repeated (OSS refuses), and are given up.
 *
 * Layer    upload: uses state, callback, oss.
 * Threads  any.  Callers may hold locks of a rank below LOCK_UPLOADER.
 */
#ifndef ACKFS_UPLOAD_RECALL_H
#define ACKFS_UPLOAD_RECALL_H

struct recall;
struct uploader;

/** Uses the uploader's store, queue, timers, log and rules, and its `recalled`
 *  (upload/uploader.h). */
int recall_new(struct uploader *u, struct recall **out);
/** Its timer is stopped; tasks that are still queued do nothing. Before
 *  uploader_free(). NULL is fine. */
void recall_free(struct recall *r);
/** Begin with what the log says is due. Once, after recovery. */
void recall_start(struct recall *r);
/**
 * By hand: make the callback of this key's present object again, whether it
 * failed, was given up or was answered; not waited for.
 * @return 0: queued; -ENOENT: no record of its callback; -ENODATA: it was stored
 *         without one; -ESHUTDOWN, -errno
 */
int recall_now(struct recall *r, const char *key);

#endif
