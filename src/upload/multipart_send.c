/* SPDX-License-Identifier: Apache-2.0 */
/* The frozen file: which parts, sending them, Complete and what became of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "state/mpu.h"
#include "upload/multipart_int.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/crc64.h"
#include "util/failpoint.h"
#include "util/log.h"

enum {
	COMPLETE_TRIES = 3,
	SEND_ROUNDS = 3,
	/* Clocks may differ by so much (oss-protocol 2.6). */
	SKEW_MS = 15 * 60 * 1000,
};

/* -- the frozen file: which parts ------------------------------------------------ */

static int make_layout(struct multipart *m, struct layout *out)
{
	uint64_t size = staging_size(m->s);
	AUTO_FREE uint64_t *changed = NULL;
	size_t count = 0;
	int rc;

	if (!m->upload_id)
		m->part_size = layout_part_size(size, m->env->conf.part_size);
	if (!m->has_base)
		return layout_whole(size, m->part_size, out);
	rc = staging_changed(m->s, &changed, &count);
	if (rc < 0)
		return rc;
	return layout_edit(size, m->base.size, changed, count, m->part_size,
			   out);
}

static bool is_same_part(const struct layout_part *a,
			 const struct layout_part *b)
{
	return a->number == b->number && a->off == b->off && a->len == b->len &&
	       a->is_copy == b->is_copy;
}

/* Do the parts that went out early lie where the closed file has them? */
static bool parts_fit(struct multipart *m, const struct layout *l)
{
	bool fit;

	lock_acquire(&m->lock);
	fit = m->count <= l->count;
	for (size_t i = 0; fit && i < m->count; i++)
		fit = is_same_part(&m->parts[i]->at, &l->parts[i]);
	lock_release(&m->lock);
	return fit;
}

/* Bring the parts into the layout's order; those that fit stay as they are. */
static int take_layout(struct multipart *m, const struct layout *l)
{
	int rc;

	if (!parts_fit(m, l) || part_group_error(m->group) < 0) {
		part_group_drop(m->group);
		(void)part_group_wait(m->group);
		multipart_unqueue(m);
	}
	lock_acquire(&m->lock);
	if (m->count > l->count)
		m->count = l->count;
	rc = multipart_grow_locked(m, l->count);
	for (size_t i = 0; rc == 0 && i < l->count; i++) {
		struct mpart *p = m->parts[i];

		if (is_same_part(&p->at, &l->parts[i]))
			continue;
		p->at = l->parts[i];
		p->state = PART_TODO;
	}
	m->is_open = false;
	m->reply = (struct oss_reply){.http = 0};
	lock_release(&m->lock);
	return rc;
}

/* -- resuming --------------------------------------------------------------------- */

static const struct oss_part *find_listed(const struct oss_part *list,
					  size_t count, int number)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].number == number)
			return &list[i];
	return NULL;
}

/* Mark the journal's parts that OSS confirms. */
static int take_parts(struct multipart *m, const struct oss_part *listed,
		      size_t listed_count)
{
	AUTO_FREE struct staging_part *rows = NULL;
	size_t count = 0;
	int rc = staging_get_parts(m->s, &rows, &count);

	if (rc < 0)
		return rc;
	lock_acquire(&m->lock);
	for (size_t i = 0; i < count; i++) {
		const struct staging_part *r = &rows[i];
		const struct oss_part *o =
			find_listed(listed, listed_count, r->number);
		struct mpart *p = r->number >= 1 && r->number <= (int)m->count
					  ? m->parts[r->number - 1]
					  : NULL;

		if (!p || !o || p->state != PART_TODO || p->at.off != r->off ||
		    p->at.len != r->len || o->size != r->len ||
		    strcasecmp(o->etag, r->etag) != 0)
			continue;
		p->done = *o;
		p->done.has_crc64 = !p->at.is_copy;
		p->done.crc64 = r->crc64;
		p->state = PART_SENT;
	}
	lock_release(&m->lock);
	return 0;
}

/* An earlier attempt's upload, in the journal.  @return 0 (m->upload_id says
 * whether there is one); -ENOENT: there was, and OSS does not know it */
static int find_upload(struct multipart *m, struct oss_part **listed,
		       size_t *count, struct oss_reply *reply)
{
	struct oss_ctl ctl = run_ctl(m->env, m->run);
	struct staging_info info;
	uint64_t part_size = 0;
	int rc;

	m->upload_id = staging_get_upload(m->s, &part_size);
	if (!m->upload_id)
		return 0;
	staging_get_info(m->s, &info);
	m->since_ms = info.closed_ms - SKEW_MS;
	m->is_journaled = true;
	rc = m->store.ops->list_parts(m->store.self, m->key, m->upload_id, &ctl,
				      listed, count, reply);
	m->journals_parts = part_size > 0;
	if (rc == 0 && part_size == 0) {
		/* Begun with other metadata: only its end was of interest. */
		(void)multipart_abort_id(m->env, m->key, m->upload_id);
		multipart_forget(m);
	} else if (part_size > 0) {
		m->part_size = part_size;
	}
	return rc;
}

/* -- sending ----------------------------------------------------------------------- */

/* @param part_size  0: not to go on with, only to be looked for */
static void journal_upload(struct multipart *m, uint64_t part_size)
{
	m->is_journaled = true; /* perhaps: forgetting it does no harm */
	if (staging_set_upload(m->s, m->upload_id, part_size) == 0)
		m->journals_parts = part_size > 0;
	else
		log_warn("upload: cannot be resumed after a crash: key=%s",
			 LOG_Q(m->key));
}

static bool is_sent(struct multipart *m, size_t i)
{
	bool sent;

	lock_acquire(&m->lock);
	sent = m->parts[i]->state == PART_SENT;
	lock_release(&m->lock);
	return sent;
}

/* Those that went out while the file was open. */
static void journal_sent_parts(struct multipart *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (is_sent(m, i))
			multipart_journal_part(m, m->parts[i]);
}

static bool all_sent(struct multipart *m)
{
	bool all = true;

	lock_acquire(&m->lock);
	for (size_t i = 0; all && i < m->count; i++)
		all = m->parts[i]->state == PART_SENT;
	lock_release(&m->lock);
	return all;
}

static int send_parts(struct multipart *m, struct oss_reply *reply)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < SEND_ROUNDS && !all_sent(m); i++) {
		lock_acquire(&m->lock);
		multipart_queue_locked(m, 0, m->count);
		lock_release(&m->lock);
		if (i == 0 && m->is_streamed && m->journals_parts)
			journal_sent_parts(m);
		rc = part_group_wait(m->group);
		multipart_unqueue(m);
	}
	if (rc < 0)
		*reply = m->reply;
	if (rc == 0 && atomic_load(&m->run->cancel))
		rc = -ECANCELED;
	return rc == 0 && !all_sent(m) ? -EIO : rc;
}

/* The whole's CRC-64 from its parts'.  @return false: OSS copied some */
static bool combined_crc(const struct multipart *m, uint64_t *out)
{
	uint64_t crc = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct mpart *p = m->parts[i];

		if (!p->done.has_crc64)
			return false;
		crc = crc64_combine(crc, p->done.crc64, p->at.len);
	}
	*out = crc;
	return true;
}

/* -- Complete, and what may have become of it --------------------------------------- */

static bool is_lost(int rc, const struct oss_reply *r)
{
	return rc < 0 && rc != -ECANCELED && r->http == 0 && r->sent_all;
}

/* Is it our content?  By CRC-64, or, where the bytes are not all here, by what
 * else a HEAD shows. */
static bool is_ours(struct multipart *m, const struct oss_object *o)
{
	uint64_t crc;
	bool known = all_sent(m) && m->count > 0 && combined_crc(m, &crc);

	if (o->size != staging_size(m->s) || o->modified_ms < m->since_ms)
		return false;
	if (!known)
		known = staged_crc64(m->s, &crc) == 0;
	if (known && o->has_crc64)
		return crc == o->crc64;
	return o->type && strcmp(o->type, "Multipart") == 0 &&
	       (!m->has_base || strcasecmp(o->etag, m->base.etag) != 0);
}

/* @return 0: it is stored; -ENOENT: it is not; -errno */
static int find_stored(struct multipart *m, struct oss_put_result *out)
{
	struct oss_ctl ctl = run_ctl(m->env, m->run);
	struct oss_object o = {.size = 0};
	struct oss_reply reply;
	int rc = m->store.ops->head(m->store.self, m->key, &ctl, &o, &reply);

	if (rc < 0) {
		if (rc != -ENOENT)
			out->reply = reply;
		return rc;
	}
	if (is_ours(m, &o)) {
		finish_adopt(&o, &reply, out);
	} else {
		rc = -ENOENT;
	}
	oss_object_release(&o);
	return rc;
}

static int complete_once(struct multipart *m, bool forbid,
			 const struct oss_callback *cb, int urls,
			 struct oss_put_result *out)
{
	AUTO_FREE struct oss_part *parts = calloc(m->count, sizeof(*parts));
	struct oss_ctl ctl = run_ctl(m->env, m->run);

	if (!parts)
		return -ENOMEM;
	for (size_t i = 0; i < m->count; i++)
		parts[i] = m->parts[i]->done;
	ctl.callback_urls = cb ? urls : 0;
	return m->store.ops->complete(m->store.self, m->key, m->upload_id,
				      parts, m->count, forbid, cb, &ctl, out);
}

static void result_reset(struct oss_put_result *out)
{
	oss_put_result_release(out);
	memset(out, 0, sizeof(*out));
}

/* Complete; where its answer is lost, see what became of it.
 * *looked_up: it is stored, but HEAD said so, not Complete. */
static int complete(struct multipart *m, bool forbid,
		    const struct oss_callback *cb, int urls,
		    struct oss_put_result *out, bool *looked_up)
{
	int rc = -EIO;

	for (int i = 0; i < COMPLETE_TRIES; i++) {
		struct oss_reply reply;
		int look;

		result_reset(out);
		failpoint("multipart.complete.before");
		rc = complete_once(m, forbid, cb, urls, out);
		failpoint("multipart.complete.after");
		if (!is_lost(rc, &out->reply) && rc != -ENOENT)
			return rc;
		reply = out->reply;
		look = find_stored(m, out);
		if (look == 0)
			*looked_up = true;
		if (look != -ENOENT)
			return look;
		out->reply = reply;
		if (rc == -ENOENT)
			return rc;
	}
	return rc;
}

static int check_crc(const struct multipart *m, struct oss_put_result *out)
{
	uint64_t crc;

	if (!combined_crc(m, &crc) || !out->has_crc64 || crc == out->crc64)
		return 0;
	snprintf(out->reply.code, sizeof(out->reply.code), "CrcMismatch");
	snprintf(out->reply.message, sizeof(out->reply.message),
		 "OSS stored other bytes than were sent");
	return -EIO;
}

static bool begun_fits(struct multipart *m, const struct upload_want *want)
{
	struct staging_info info;

	if (!m->is_streamed)
		return true;
	staging_get_info(m->s, &info);
	return upload_props_fit(&m->begun, want->props, info.created_ms,
				info.closed_ms);
}

/* From an upload id to a stored object with its callback. */
static int finish(struct multipart *m, const struct upload_want *want,
		  struct oss_put_result *out,
		  const struct upload_props **stored)
{
	bool fits = begun_fits(m, want);
	bool looked_up = false;
	int rc;

	if (fits && !m->is_journaled)
		journal_upload(m, m->part_size);
	rc = send_parts(m, &out->reply);
	if (rc < 0)
		return rc;
	if (!fits && !m->is_journaled)
		journal_upload(m, 0);
	*stored = fits && m->is_streamed ? &m->begun : want->props;
	atomic_store(&m->run->is_sent, true);
	rc = complete(m, want->props->forbid_overwrite,
		      fits ? want->callback : NULL, want->callback_urls, out,
		      &looked_up);
	if (rc == 0)
		rc = check_crc(m, out);
	if (rc == 0 && (!fits || (looked_up && want->callback))) {
		rc = finish_by_copy(m->env, m->run, m->key, staging_size(m->s),
				    want, out);
		*stored = want->props;
	}
	return rc;
}

static bool is_no_upload(int rc, const struct oss_reply *r)
{
	return rc == -ENOENT && strcmp(r->code, "NoSuchUpload") == 0;
}

/* Go on with what the journal or the stream has begun, else begin. */
static int prepare(struct multipart *m, const struct upload_want *want,
		   struct oss_put_result *out)
{
	AUTO(layout_release) struct layout l = {NULL, 0};
	AUTO_FREE struct oss_part *listed = NULL;
	size_t count = 0;
	int rc = 0;

	if (!m->upload_id)
		rc = find_upload(m, &listed, &count, &out->reply);
	if (rc == 0)
		rc = make_layout(m, &l);
	if (rc == 0)
		rc = take_layout(m, &l);
	if (rc == 0 && listed && m->upload_id)
		rc = take_parts(m, listed, count);
	if (rc == 0 && !m->upload_id)
		rc = multipart_initiate(m, want->props, &out->reply);
	return rc;
}

/* The upload is gone: completed by an attempt that never heard so, or dead. */
static int after_gone(struct multipart *m, const struct upload_want *want,
		      struct oss_put_result *out,
		      const struct upload_props **stored)
{
	int rc;

	result_reset(out);
	rc = find_stored(m, out);
	if (rc == 0) {
		*stored = want->props;
		if (m->journals_parts && !want->callback)
			return 0; /* Initiate carried its metadata */
		return finish_by_copy(m->env, m->run, m->key,
				      staging_size(m->s), want, out);
	}
	if (rc == -ENOENT) {
		(void)mpu_forget(m->env->deps.db, m->upload_id);
		multipart_forget(m);
	}
	return rc;
}

/* The Initiate of an open file may still be under way. */
static void settle_begin(struct multipart *m)
{
	bool waits;

	lock_acquire(&m->lock);
	waits = m->begin == BEGIN_QUEUED;
	lock_release(&m->lock);
	if (waits)
		(void)part_group_wait(m->group);
}

int multipart_send(struct multipart *m, const struct upload_want *want,
		   struct oss_put_result *out,
		   const struct upload_props **stored)
{
	int rc = -EIO;

	memset(out, 0, sizeof(*out));
	settle_begin(m);
	for (int i = 0; i < SEND_ROUNDS; i++) {
		result_reset(out);
		rc = prepare(m, want, out);
		if (rc == 0)
			rc = finish(m, want, out, stored);
		if (rc < 0 && oss_reply_is_spoilt(&out->reply)) {
			(void)mpu_forget(m->env->deps.db, m->upload_id);
			multipart_forget(m); /* its parts are spent */
			continue;
		}
		if (!m->upload_id || !is_no_upload(rc, &out->reply))
			break;
		rc = after_gone(m, want, out, stored);
		if (rc != -ENOENT)
			break;
	}
	if (rc == 0 && m->upload_id)
		(void)mpu_forget(m->env->deps.db, m->upload_id);
	return rc;
}
