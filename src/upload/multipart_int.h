/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What multipart.c (parts, the open file) and multipart_send.c (the frozen file)
 * share.
 *
 * state of a part | meaning
 * ----------------|-------------------------------------------------------
 * PART_TODO       | to be sent (again)
 * PART_QUEUED     | its job is in the group, or running
 * PART_SENT       | OSS has it; its bytes are the file's
 *
 * A part's generation rises when its bytes change; a job whose part changed
 * under it leaves PART_TODO behind.
 *
 * Layer    upload (internal).
 */
#ifndef ACKFS_UPLOAD_MULTIPART_INT_H
#define ACKFS_UPLOAD_MULTIPART_INT_H

#include "upload/layout.h"
#include "upload/multipart.h"
#include "upload/parts.h"
#include "util/lock.h"

enum part_state { PART_TODO, PART_QUEUED, PART_SENT };

struct mpart {
	struct part_job job;
	struct multipart *m;
	struct layout_part at;
	enum part_state state;
	unsigned generation;
	struct oss_part done; /* PART_SENT */
};

enum begin_state { BEGIN_NOT, BEGIN_QUEUED, BEGIN_DONE, BEGIN_FAILED };

struct multipart {
	const struct upload_env *env;
	struct store store;
	struct staging *s;
	struct upload_run *run;
	char key[OSS_KEY_MAX + 1];
	struct staging_base base;
	bool has_base;
	struct part_group *group;

	char *upload_id; /* once begun; then constant until forgotten */
	uint64_t part_size;
	int64_t since_ms;          /* an object older than this is not ours */
	struct upload_props begun; /* what Initiate carried, when streaming */
	bool is_streamed;
	bool is_journaled; /* the staged file's row names upload_id */
	_Atomic bool
		journals_parts; /* ... as one to go on with after a crash */

	struct lock lock;     /* guards what follows */
	struct mpart **parts; /* in order, by number */
	size_t count, cap;
	bool is_open; /* still written: failures wait for the close */
	enum begin_state begin;
	struct part_job begin_job;
	uint64_t advanced;      /* all below is written */
	struct oss_reply reply; /* of the first part that failed */
};

/** Room for count parts. @return 0 or -ENOMEM */
int multipart_grow_locked(struct multipart *m, size_t count)
	ACK_REQUIRES(m->lock);
/** Those of [from, to) that are to be sent become jobs. */
void multipart_queue_locked(struct multipart *m, size_t from, size_t to)
	ACK_REQUIRES(m->lock);
/** No job runs: what was queued and forgotten is to be sent again. */
void multipart_unqueue(struct multipart *m);
void multipart_journal_part(struct multipart *m, const struct mpart *p);
/** m->upload_id from OSS. */
int multipart_initiate(struct multipart *m, const struct upload_props *props,
		       struct oss_reply *reply);
/** m->upload_id is of no use, nor what was sent to it. */
void multipart_forget(struct multipart *m);

#endif
