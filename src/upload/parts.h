/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Threads that move parts, shared by all uploads and copies.
 *
 * A part_group is one upload's jobs: add them, then part_group_wait().  The
 * pool's threads take a job from each group in turn; the waiting thread takes
 * jobs of its own group too, so that work goes on when no thread can
 * be started.  The first job that fails ends its group: those that have not
 * begun never run.
 *
 * Layer    upload: uses util.
 * Threads  any.  Jobs run with no lock held.
 */
#ifndef ACKFS_UPLOAD_PARTS_H
#define ACKFS_UPLOAD_PARTS_H

#include <stdbool.h>
#include <stddef.h>

struct part_pool;
struct part_group;

/** No thread is started before the first job; idle ones end. */
int part_pool_new(int threads, struct part_pool **out);
/** All groups are freed. */
void part_pool_free(struct part_pool *p);

/** A job, embedded in what it works on; untouched by the pool once it ran. */
struct part_job {
	int (*run)(struct part_job *job); /* 0 or -errno */
	struct part_job *prev, *next;     /* the pool's */
};

/** @param limit  jobs of this group at once; 0: as many as threads */
int part_group_new(struct part_pool *p, int limit, struct part_group **out);
/** Ends what runs (waits for it) and forgets the rest. NULL is fine. */
void part_group_free(struct part_group *g);
/** Never blocks. A job that was forgotten may be added again. */
void part_group_add(struct part_group *g, struct part_job *job);
/** Help until every job has run, or one has failed and the rest has stopped.
 *  @return 0 or the first failure; the group can be used again then */
int part_group_wait(struct part_group *g);
/** Jobs that have not begun are forgotten. */
void part_group_drop(struct part_group *g);
/** The first failure so far; 0: none. */
int part_group_error(struct part_group *g);

#endif
