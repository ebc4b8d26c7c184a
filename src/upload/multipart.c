/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of one upload, and the file that is still written. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "state/mpu.h"
#include "upload/multipart_int.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"

enum { ABORT_MS = 10000 };

/* -- life ------------------------------------------------------------------ */

int multipart_new(const struct upload_env *env, struct staging *s,
		  struct upload_run *run, struct multipart **out)
{
	struct multipart *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	rc = part_group_new(env->parts, env->conf.parallel_parts, &m->group);
	if (rc < 0) {
		free(m);
		return rc;
	}
	m->env = env;
	m->store = env->deps.store;
	m->s = staging_get(s);
	m->run = run_get(run);
	staging_key(s, m->key);
	m->has_base = staging_base_of(s, &m->base) && m->base.etag[0];
	m->part_size = layout_part_size(0, env->conf.part_size);
	lock_init(&m->lock, LOCK_MULTIPART);
	*out = m;
	return 0;
}

void multipart_free(struct multipart *m)
{
	if (!m)
		return;
	part_group_free(m->group);
	for (size_t i = 0; i < m->cap; i++)
		free(m->parts[i]);
	free(m->parts);
	free(m->upload_id);
	upload_props_release(&m->begun);
	staging_put(m->s);
	run_put(m->run);
	lock_destroy(&m->lock);
	free(m);
}

/* -- parts ------------------------------------------------------------------- */

static int upload_part(struct multipart *m, struct mpart *p,
		       struct oss_part *done, struct oss_reply *reply)
{
	struct staged_source from = {
		.s = m->s, .off = p->at.off, .run = m->run};
	struct oss_source source = staged_source(&from, p->at.len);
	struct oss_ctl ctl = run_ctl(m->env, m->run);
	int rc = staged_fill(m->env, m->s, m->run, p->at.off, p->at.len);

	if (rc < 0)
		return rc;
	return m->store.ops->upload_part(m->store.self, m->key, m->upload_id,
					 p->at.number, &source, &ctl, done,
					 reply);
}

static int copy_part(struct multipart *m, struct mpart *p,
		     struct oss_part *done, struct oss_reply *reply)
{
	struct oss_ctl ctl = run_ctl(m->env, m->run);
	int rc = m->store.ops->upload_part_copy(
		m->store.self, m->key, m->upload_id, p->at.number, m->base.key,
		m->base.etag, p->at.off, p->at.len, &ctl, done, reply);

	/* The base is gone, which is not NoSuchUpload. */
	if (rc == -ENOENT && strcmp(reply->code, "NoSuchKey") == 0)
		rc = -ESTALE;
	if (rc == 0) {
		done->size = p->at.len;
		atomic_fetch_add(&m->run->sent, p->at.len);
		run_moved(m->run);
	}
	return rc;
}

/* A part that the journal does not know is sent again after a crash: no reason
 * to fail an upload that makes room on a full disk. */
void multipart_journal_part(struct multipart *m, const struct mpart *p)
{
	struct staging_part row = {
		.number = p->at.number,
		.off = p->at.off,
		.len = p->at.len,
		.crc64 = p->done.crc64,
	};

	snprintf(row.etag, sizeof(row.etag), "%s", p->done.etag);
	if (staging_add_part(m->s, &row) < 0)
		log_debug("upload: a part is not journaled: key=%s part=%d",
			  LOG_Q(m->key), p->at.number);
}

/* @return whether the failure can wait: the file is still written */
static bool part_ended(struct multipart *m, struct mpart *p, int rc,
		       unsigned generation, const struct oss_part *done,
		       const struct oss_reply *reply)
{
	bool touched, is_open;

	lock_acquire(&m->lock);
	touched = p->generation != generation;
	is_open = m->is_open;
	p->state = rc == 0 && !touched ? PART_SENT : PART_TODO;
	if (p->state == PART_SENT) {
		p->done = *done;
		p->done.number = p->at.number;
	}
	if (rc < 0 && is_open && !touched)
		m->begin = BEGIN_FAILED; /* no more until the close */
	if (rc < 0 && m->reply.code[0] == '\0')
		m->reply = *reply;
	lock_release(&m->lock);
	return touched || is_open;
}

static int part_run(struct part_job *job)
{
	struct mpart *p = (struct mpart *)job;
	struct multipart *m = p->m;
	struct oss_reply reply = {.http = 0};
	struct oss_part done = {.number = 0};
	unsigned generation;
	int rc;

	lock_acquire(&m->lock);
	generation = p->generation;
	lock_release(&m->lock);
	failpoint("multipart.part.before");
	rc = p->at.is_copy ? copy_part(m, p, &done, &reply)
			   : upload_part(m, p, &done, &reply);
	if (part_ended(m, p, rc, generation, &done, &reply))
		return 0;
	if (rc == 0 && m->journals_parts)
		multipart_journal_part(m, p);
	failpoint("multipart.part.after");
	return rc;
}

int multipart_grow_locked(struct multipart *m, size_t count)
	ACK_REQUIRES(m->lock)
{
	if (count > m->cap) {
		size_t cap = count < 16 ? 16 : count + count / 2;
		struct mpart **parts =
			reallocarray(m->parts, cap, sizeof(struct mpart *));

		if (!parts)
			return -ENOMEM;
		memset(parts + m->cap, 0,
		       (cap - m->cap) * sizeof(struct mpart *));
		m->parts = parts;
		m->cap = cap;
	}
	for (; m->count < count; m->count++) {
		struct mpart **p = &m->parts[m->count];

		if (!*p)
			*p = calloc(1, sizeof(**p));
		if (!*p)
			return -ENOMEM;
		(*p)->m = m;
		(*p)->job.run = part_run;
		(*p)->state = PART_TODO;
		(*p)->at = (struct layout_part){.number = 0};
	}
	return 0;
}

void multipart_queue_locked(struct multipart *m, size_t from, size_t to)
	ACK_REQUIRES(m->lock)
{
	for (size_t i = from; i < to; i++) {
		struct mpart *p = m->parts[i];

		if (p->state != PART_TODO)
			continue;
		p->state = PART_QUEUED;
		part_group_add(m->group, &p->job);
	}
}

/* No job runs: what was queued and forgotten is to be sent again. */
void multipart_unqueue(struct multipart *m)
{
	lock_acquire(&m->lock);
	for (size_t i = 0; i < m->count; i++)
		if (m->parts[i]->state == PART_QUEUED)
			m->parts[i]->state = PART_TODO;
	lock_release(&m->lock);
}

/* -- Initiate, forget, abort --------------------------------------------------- */

int multipart_initiate(struct multipart *m, const struct upload_props *props,
		       struct oss_reply *reply)
{
	struct oss_props oss = upload_props_oss(props);
	struct oss_ctl ctl = run_ctl(m->env, m->run);
	AUTO_FREE char *id = NULL;
	int rc = m->store.ops->initiate(m->store.self, m->key, &oss, &ctl, &id,
					reply);

	if (rc < 0)
		return rc;
	if (mpu_note(m->env->deps.db, m->key, id) < 0)
		log_warn("upload: not noted for cleaning up: key=%s "
			 "upload_id=%s",
			 LOG_Q(m->key), id);
	failpoint("multipart.initiated");
	m->since_ms = (reply->server_ms ? reply->server_ms : clock_real_ms()) -
		      1000; /* Last-Modified has whole seconds */
	m->upload_id = take_ptr(id);
	return 0;
}

void multipart_forget(struct multipart *m)
{
	free(m->upload_id);
	m->upload_id = NULL;
	m->is_streamed = false;
	if (m->is_journaled && staging_set_upload(m->s, NULL, 0) < 0)
		log_warn("upload: the journal keeps a dead upload: key=%s",
			 LOG_Q(m->key));
	m->is_journaled = false;
	m->journals_parts = false;
	lock_acquire(&m->lock);
	for (size_t i = 0; i < m->count; i++)
		m->parts[i]->state = PART_TODO;
	m->reply = (struct oss_reply){.http = 0};
	lock_release(&m->lock);
}

int multipart_abort_id(const struct upload_env *env, const char *key,
		       const char *upload_id)
{
	struct oss_ctl ctl = {.deadline_ms = clock_mono_ms() + ABORT_MS};
	const struct store *store = &env->deps.store;
	struct oss_reply reply;
	char text[256];
	int rc = store->ops->abort(store->self, key, upload_id, &ctl, &reply);

	if (rc == 0)
		return mpu_forget(env->deps.db, upload_id);
	log_notice("upload: parts are left over until the next mount: key=%s "
		   "upload_id=%s %s",
		   LOG_Q(key), upload_id,
		   oss_reply_describe(&reply, text, sizeof(text)));
	return rc;
}

bool multipart_is_for(const struct multipart *m, const char *key)
{
	return strcmp(m->key, key) == 0;
}

char *multipart_detach(struct multipart *m)
{
	char *id;

	part_group_drop(m->group);
	(void)part_group_wait(m->group);
	multipart_unqueue(m);
	id = take_ptr(m->upload_id);
	m->is_journaled = false;
	m->journals_parts = false;
	return id;
}

void multipart_abort(struct multipart *m)
{
	part_group_drop(m->group);
	(void)part_group_wait(m->group);
	multipart_unqueue(m);
	if (!m->upload_id) { /* one of an earlier attempt? */
		m->upload_id = staging_get_upload(m->s, &m->part_size);
		m->is_journaled = m->upload_id != NULL;
	}
	if (!m->upload_id)
		return;
	(void)multipart_abort_id(m->env, m->key, m->upload_id);
	multipart_forget(m);
}

/* -- while the file is written -------------------------------------------------- */

/* Queue the parts that lie below what is written. */
static void queue_whole_parts_locked(struct multipart *m) ACK_REQUIRES(m->lock)
{
	struct layout_part at;
	size_t from = m->count;

	while (layout_part_at(m->part_size, m->count, &at) &&
	       at.off + at.len <= m->advanced) {
		if (multipart_grow_locked(m, m->count + 1) < 0)
			break; /* at close then */
		m->parts[m->count - 1]->at = at;
	}
	multipart_queue_locked(m, from, m->count);
}

static int begin_run(struct part_job *job)
{
	struct multipart *m =
		(struct multipart *)((char *)job -
				     offsetof(struct multipart, begin_job));
	const struct uploader_deps *deps = &m->env->deps;
	struct oss_reply reply;
	int rc;

	if (deps->settle_props)
		deps->settle_props(deps->settle_arg, m->s);
	rc = upload_props_make(m->env, m->s, m->key, UINT64_MAX, &m->begun);
	if (rc == 0) {
		upload_props_drop_times(&m->begun);
		rc = multipart_initiate(m, &m->begun, &reply);
	}
	lock_acquire(&m->lock);
	m->begin = rc == 0 ? BEGIN_DONE : BEGIN_FAILED;
	m->is_streamed = rc == 0;
	if (rc == 0)
		queue_whole_parts_locked(m);
	lock_release(&m->lock);
	return 0; /* the close tries again */
}

void multipart_advance(struct multipart *m, uint64_t end)
{
	lock_acquire(&m->lock);
	m->is_open = true;
	if (end > m->advanced)
		m->advanced = end;
	if (m->begin == BEGIN_DONE) {
		queue_whole_parts_locked(m);
	} else if (m->begin == BEGIN_NOT) {
		m->begin = BEGIN_QUEUED;
		m->begin_job.run = begin_run;
		part_group_add(m->group, &m->begin_job);
	}
	lock_release(&m->lock);
}

void multipart_touch(struct multipart *m, uint64_t off, uint64_t len)
{
	uint64_t end = len > UINT64_MAX - off ? UINT64_MAX : off + len;

	lock_acquire(&m->lock);
	for (size_t i = m->count; i-- > 0;) {
		struct mpart *p = m->parts[i];

		if (p->at.off + p->at.len <= off)
			break;
		if (p->at.off >= end)
			continue;
		p->generation++;
		if (p->state == PART_SENT)
			p->state = PART_TODO;
	}
	if (end == UINT64_MAX && m->advanced > off)
		m->advanced = off;
	lock_release(&m->lock);
}
