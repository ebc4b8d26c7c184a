/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Failed callbacks are made again: OSS never repeats one.
 *
 * What is due stands in the callback log and survives a restart.  A repetition is a
 * server-side copy of the object onto itself with the callback on its Complete
 * (an empty object by PutObject), only while the object is still ours; the
 * delivery id stays.  While the application is down one file probes and the
 * others wait.
 *
 * Layer    upload.
 * Threads  any; work is done on KEYQ_BACKGROUND tasks.
 */
#ifndef ACKFS_UPLOAD_RECALL_H
#define ACKFS_UPLOAD_RECALL_H

struct recall;
struct uploader;

int recall_new(struct uploader *u, struct recall **out);
/** Begin with what is due. */
void recall_start(struct recall *r);
/** Its timer is stopped. NULL is fine. */
void recall_free(struct recall *r);
/** Something failed a moment ago: its time may be the next one. */
void recall_poke(struct recall *r);
/**
 * By hand: the callback of this object again, now, whatever came of the
 * last attempt.  Not waited for.
 * @return 0; -ENOENT: no record of a callback, or another version is stored;
 *         -errno
 */
int recall_now(struct recall *r, const char *key);

#endif
