/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Multipart uploads that this mount has begun and neither completed nor
 * aborted, so that none is left over on OSS, where its parts cost money: not
 * after a crash, nor when a file is renamed or discarded while OSS cannot be
 * reached.
 *
 * Layer    state.
 * Threads  any.
 */
#ifndef ACKFS_STATE_MPU_H
#define ACKFS_STATE_MPU_H

struct db;

/** @return 0 or -errno */
int mpu_note(struct db *db, const char *key, const char *upload_id);
/** Completed or aborted. Not waited for. */
int mpu_forget(struct db *db, const char *upload_id);
/** Those that no staged file goes on with. fn is called outside the database.
 *  @return 0 or -errno */
int mpu_walk_orphans(struct db *db,
		     void (*fn)(void *arg, const char *key,
				const char *upload_id),
		     void *arg);

#endif
