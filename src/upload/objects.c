/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "state/mpu.h"
#include "upload/layout.h"
#include "upload/parts.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/log.h"

/* Cleaning up is not worth a long wait. */
enum { ABORT_MS = 10000, COMPLETE_TRIES = 3 };

/* One copy under way. */
struct copying {
	const struct store *store;
	struct part_pool *pool;
	const struct object_copy *c;
	int64_t span_ms;          /* for one step */
	_Atomic int64_t until_ms; /* moves on with each step that is done */
	struct oss_object src;
	/* What the new object is given. */
	struct kvs headers;
	struct oss_props props;
	char *upload_id;
	struct copy_part *parts;
	struct layout layout;
};

struct copy_part {
	struct part_job job;
	struct copying *cp;
	struct layout_part at;
	struct oss_part done;
	struct oss_reply reply;
	int rc;
};

/* -- identities and headers ---------------------------------------------- */

void object_id_of(const struct oss_object *o, struct object_id *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->etag, sizeof(out->etag), "%s", o->etag);
	out->size = o->size;
	out->modified_ms = o->modified_ms;
	snprintf(out->version_id, sizeof(out->version_id), "%s",
		 o->version_id ? o->version_id : "");
}

void object_id_of_put(const struct oss_put_result *r, uint64_t size,
		      struct object_id *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->etag, sizeof(out->etag), "%s", r->etag);
	out->size = size;
	out->modified_ms = r->modified_ms;
	snprintf(out->version_id, sizeof(out->version_id), "%s",
		 r->version_id ? r->version_id : "");
}

static int keep_tags(const struct store *store, const char *key,
		     const struct oss_ctl *ctl, struct kvs *headers,
		     struct oss_reply *reply)
{
	AUTO_FREE char *tags = NULL;
	int rc = store->ops->get_tags(store->self, key, ctl, &tags, reply);

	if (rc == -EACCES) {
		log_warn("copy: no right to read tags, they are lost: key=%s",
			 LOG_Q(key));
		return 0;
	}
	if (rc < 0)
		return rc;
	return *tags ? kvs_add(headers, "x-oss-tagging", tags) : 0;
}

static int keep_acl(const struct store *store, const char *key,
		    const struct oss_ctl *ctl, struct kvs *headers,
		    struct oss_reply *reply)
{
	AUTO_FREE char *acl = NULL;
	int rc = store->ops->get_acl(store->self, key, ctl, &acl, reply);

	if (rc == -EACCES) /* common: RAM policies seldom allow it */
		return 0;
	if (rc < 0)
		return rc;
	return *acl && strcmp(acl, "default") != 0
		       ? kvs_add(headers, "x-oss-object-acl", acl)
		       : 0;
}

int object_keep_headers(const struct store *store, const char *key,
			const struct oss_object *o, bool with_acl,
			const struct oss_ctl *ctl, struct kvs *headers,
			struct oss_reply *reply)
{
	int rc = 0;

	if (o->storage_class && strcmp(o->storage_class, "Standard") != 0 &&
	    !kvs_get(headers, "x-oss-storage-class"))
		rc = kvs_add(headers, "x-oss-storage-class", o->storage_class);
	if (rc == 0 && o->tag_count > 0 && !kvs_get(headers, "x-oss-tagging"))
		rc = keep_tags(store, key, ctl, headers, reply);
	if (rc == 0 && with_acl && !kvs_get(headers, "x-oss-object-acl"))
		rc = keep_acl(store, key, ctl, headers, reply);
	return rc;
}

/* Each step has the time that the caller gave the whole. */
static void step_done(struct copying *cp)
{
	atomic_store(&cp->until_ms, clock_mono_ms() + cp->span_ms);
}

static struct oss_ctl ctl_of(const struct copying *cp)
{
	return (struct oss_ctl){.deadline_ms = atomic_load(&cp->until_ms),
				.cancel = cp->c->cancel};
}

/* -- what is known of the source ---------------------------------------------- */

static bool is_same_key(const struct object_copy *c)
{
	return strcmp(c->src, c->dst) == 0;
}

static int look_up(struct copying *cp, struct oss_put_result *out)
{
	const struct object_copy *c = cp->c;
	struct oss_ctl ctl = ctl_of(cp);
	struct object_id now;
	int rc = c->head ? oss_object_copy(&cp->src, c->head)
			 : cp->store->ops->head(cp->store->self, c->src, &ctl,
						&cp->src, &out->reply);

	if (rc < 0)
		return rc;
	object_id_of(&cp->src, &now);
	return c->src_id && !object_id_equal(c->src_id, &now) ? -ESTALE : 0;
}

/* The caller's properties, else the source's, with what a copy loses. */
static int gather_props(struct copying *cp, bool with_acl,
			struct oss_put_result *out)
{
	const struct oss_props *p = cp->c->props;
	const struct kvs *headers = p ? p->headers : &cp->src.kept;
	struct oss_ctl ctl = ctl_of(cp);
	int rc = headers ? kvs_copy(&cp->headers, headers) : 0;

	cp->props = (struct oss_props){
		.content_type = p ? p->content_type : cp->src.content_type,
		.meta = p ? p->meta : &cp->src.meta,
		.headers = &cp->headers,
		.forbid_overwrite = cp->c->forbid_overwrite,
	};
	if (rc < 0)
		return rc;
	return object_keep_headers(cp->store, cp->c->src, &cp->src, with_acl,
				   &ctl, &cp->headers, &out->reply);
}

/* -- CopyObject ------------------------------------------------------------------ */

static bool is_small(const struct object_copy *c, uint64_t size)
{
	/* In place only the metadata changes, whatever the size. */
	return !c->callback && (is_same_key(c) || size <= OSS_COPY_MAX);
}

static int copy_whole(struct copying *cp, const char *etag,
		      const struct oss_props *props, struct oss_put_result *out)
{
	struct oss_copy copy = {
		.src_key = cp->c->src,
		.src_etag = etag,
		.dst_key = cp->c->dst,
		.props = props,
		.forbid_overwrite = cp->c->forbid_overwrite,
	};

	struct oss_ctl ctl = ctl_of(cp);

	return cp->store->ops->copy(cp->store->self, &copy, &ctl, out);
}

/* With the source's identity known and nothing to set again, CopyObject is the
 * only request. */
static bool needs_head(const struct object_copy *c)
{
	return !c->src_id || (is_same_key(c) && !c->props) ||
	       !is_small(c, c->src_id->size);
}

static int copy_small(struct copying *cp, struct oss_put_result *out)
{
	const struct object_copy *c = cp->c;
	const char *etag = c->src_id ? c->src_id->etag : cp->src.etag;
	const struct oss_props *props = c->props;
	struct oss_ctl ctl = ctl_of(cp);
	int rc = 0;

	if (c->keep_acl)
		rc = keep_acl(cp->store, c->src, &ctl, &cp->headers,
			      &out->reply);
	/* A header to set means that all properties are given anew. */
	if (rc == 0 && cp->headers.count > 0 && !props && !cp->src.content_type)
		rc = look_up(cp, out);
	if (rc == 0 && (cp->headers.count > 0 || (is_same_key(c) && !props))) {
		rc = gather_props(cp, false, out);
		props = &cp->props;
	}
	return rc < 0 ? rc : copy_whole(cp, etag, props, out);
}

/* -- copies in parts ----------------------------------------------------------------- */

static int part_run(struct part_job *job)
{
	struct copy_part *p = (struct copy_part *)job;
	struct copying *cp = p->cp;
	struct oss_ctl ctl = ctl_of(cp);

	p->rc = cp->store->ops->upload_part_copy(
		cp->store->self, cp->c->dst, cp->upload_id, p->at.number,
		cp->c->src, cp->src.etag, p->at.off, p->at.len, &ctl, &p->done,
		&p->reply);
	if (p->rc == 0)
		step_done(cp);
	return p->rc;
}

static int copy_parts(struct copying *cp, struct oss_put_result *out)
{
	AUTO(layout_release) struct layout l = {NULL, 0};
	struct part_group *g = NULL;
	int rc = layout_copy(cp->src.size, &l);

	if (rc == 0)
		rc = part_group_new(cp->pool, 0, &g);
	if (rc < 0)
		return rc;
	cp->parts = calloc(l.count, sizeof(*cp->parts));
	if (!cp->parts) {
		part_group_free(g);
		return -ENOMEM;
	}
	for (size_t i = 0; i < l.count; i++) {
		cp->parts[i].job.run = part_run;
		cp->parts[i].cp = cp;
		cp->parts[i].at = l.parts[i];
		part_group_add(g, &cp->parts[i].job);
	}
	rc = part_group_wait(g);
	part_group_free(g);
	for (size_t i = 0; rc < 0 && i < l.count; i++) {
		if (cp->parts[i].rc == rc) {
			out->reply = cp->parts[i].reply;
			break;
		}
	}
	cp->layout = l;
	l = (struct layout){NULL, 0};
	return rc;
}

static int complete_once(struct copying *cp, struct oss_put_result *out)
{
	size_t count = cp->layout.count;
	AUTO_FREE struct oss_part *parts = calloc(count, sizeof(*parts));
	struct oss_ctl ctl = ctl_of(cp);

	if (!parts)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		parts[i] = cp->parts[i].done;
	ctl.callback_urls = cp->c->callback ? cp->c->callback_urls : 0;
	return cp->store->ops->complete(
		cp->store->self, cp->c->dst, cp->upload_id, parts, count,
		cp->c->forbid_overwrite, cp->c->callback, &ctl, out);
}

static bool is_lost(int rc, const struct oss_reply *r)
{
	return rc < 0 && rc != -ECANCELED && r->http == 0 && r->sent_all;
}

/* Is dst what was copied?  Complete is `certain` to have been carried out when
 * its upload is gone; else the object must be newer than the upload. */
static int find_copy(struct copying *cp, int64_t since_ms, bool certain,
		     struct oss_object *found)
{
	const struct oss_object *src = &cp->src;
	struct oss_ctl ctl = ctl_of(cp);
	struct oss_reply reply;
	bool newer;
	int rc = cp->store->ops->head(cp->store->self, cp->c->dst, &ctl, found,
				      &reply);

	if (rc < 0)
		return rc;
	newer = found->modified_ms >= since_ms &&
		(!is_same_key(cp->c) || found->modified_ms > src->modified_ms ||
		 strcasecmp(found->etag, src->etag) != 0);
	if (found->size == src->size && found->has_crc64 == src->has_crc64 &&
	    found->crc64 == src->crc64 && (certain || newer))
		return 0;
	oss_object_release(found);
	return -ENOENT;
}

static int put_bytes(struct copying *cp, struct oss_put_result *out)
{
	static const struct buf none = BUF_INIT;
	struct oss_source body =
		oss_memory_source(cp->c->bytes ? cp->c->bytes : &none);
	struct oss_ctl ctl = ctl_of(cp);

	ctl.callback_urls = cp->c->callback ? cp->c->callback_urls : 0;
	return cp->store->ops->put(cp->store->self, cp->c->dst, &body,
				   &cp->props, cp->c->callback, &ctl, out);
}

static void forget_upload(struct copying *cp)
{
	if (cp->upload_id && cp->c->db)
		(void)mpu_forget(cp->c->db, cp->upload_id);
	free(cp->upload_id);
	cp->upload_id = NULL;
	free(cp->parts);
	cp->parts = NULL;
	layout_release(&cp->layout);
}

static void abort_upload(struct copying *cp)
{
	struct oss_ctl ctl = {.deadline_ms = clock_mono_ms() + ABORT_MS};
	struct oss_reply reply;
	char text[256];

	if (!cp->upload_id)
		return;
	if (cp->store->ops->abort(cp->store->self, cp->c->dst, cp->upload_id,
				  &ctl, &reply) == 0) {
		forget_upload(cp);
		return;
	}
	log_warn("copy: an upload is left over: key=%s upload_id=%s %s",
		 LOG_Q(cp->c->dst), cp->upload_id,
		 oss_reply_describe(&reply, text, sizeof(text)));
	free(take_ptr(cp->upload_id)); /* the next start looks for it */
	forget_upload(cp);
}

/* The copy is stored, its answer is lost: what HEAD said stands for it, except
 * that a callback's answer is not known: *again. */
static void adopt(struct copying *cp, struct oss_object *found,
		  struct oss_put_result *out, bool *again)
{
	forget_upload(cp);
	*again = cp->c->callback != NULL;
	if (*again && is_same_key(cp->c)) { /* the source from now on */
		memcpy(cp->src.etag, found->etag, sizeof(found->etag));
		cp->src.modified_ms = found->modified_ms;
	}
	memcpy(out->etag, found->etag, sizeof(out->etag));
	out->version_id = take_ptr(found->version_id);
	out->crc64 = found->crc64;
	out->has_crc64 = found->has_crc64;
	out->modified_ms = found->modified_ms;
	out->reply.http = 200;
	oss_object_release(found);
}

static void result_reset(struct oss_put_result *out)
{
	oss_put_result_release(out);
	memset(out, 0, sizeof(*out));
}

static int complete(struct copying *cp, int64_t since_ms,
		    struct oss_put_result *out, bool *again)
{
	int rc = -EIO;

	for (int i = 0; i < COMPLETE_TRIES; i++) {
		struct oss_object found = {.size = 0};
		bool is_gone;
		int look;

		result_reset(out);
		rc = complete_once(cp, out);
		is_gone = rc == -ENOENT && i > 0;
		if (!is_lost(rc, &out->reply) && !is_gone)
			return rc;
		look = find_copy(cp, since_ms, is_gone, &found);
		if (look == 0) {
			adopt(cp, &found, out, again);
			return 0;
		}
		if (look != -ENOENT || is_gone)
			return look;
	}
	return rc;
}

/* One upload from Initiate to Complete. */
static int copy_upload(struct copying *cp, struct oss_put_result *out,
		       bool *again)
{
	struct oss_ctl ctl = ctl_of(cp);
	int64_t since_ms;
	int rc = cp->store->ops->initiate(cp->store->self, cp->c->dst,
					  &cp->props, &ctl, &cp->upload_id,
					  &out->reply);

	if (rc < 0)
		return rc;
	if (cp->c->db && mpu_note(cp->c->db, cp->c->dst, cp->upload_id) < 0)
		log_warn("copy: not noted for cleaning up: key=%s upload_id=%s",
			 LOG_Q(cp->c->dst), cp->upload_id);
	/* Last-Modified has whole seconds. */
	since_ms = out->reply.server_ms ? out->reply.server_ms - 1000 : 0;
	rc = copy_parts(cp, out);
	if (rc == 0)
		rc = complete(cp, since_ms, out, again);
	if (rc == 0)
		forget_upload(cp);
	return rc;
}

static int copy_large(struct copying *cp, struct oss_put_result *out)
{
	bool again = true;
	int rc = gather_props(cp, cp->c->keep_acl, out);

	if (rc < 0)
		return rc;
	if (cp->src.size == 0 || cp->c->bytes)
		return put_bytes(cp, out);
	for (int i = 0; rc == 0 && again && i < COMPLETE_TRIES; i++) {
		again = false;
		result_reset(out);
		rc = copy_upload(cp, out, &again);
		step_done(cp);
	}
	abort_upload(cp);
	return rc == 0 && again ? -ETIMEDOUT : rc;
}

int object_copy(const struct store *store, struct part_pool *parts,
		const struct object_copy *c, struct oss_put_result *out)
{
	struct copying cp = {
		.store = store,
		.pool = parts,
		.c = c,
		.span_ms = c->deadline_ms - clock_mono_ms(),
	};
	int rc = 0;

	memset(out, 0, sizeof(*out));
	step_done(&cp);
	if (needs_head(c))
		rc = look_up(&cp, out);
	else
		cp.src.size = c->src_id->size;
	if (rc == 0)
		rc = is_small(c, cp.src.size) ? copy_small(&cp, out)
					      : copy_large(&cp, out);
	oss_object_release(&cp.src);
	kvs_release(&cp.headers);
	forget_upload(&cp);
	return rc;
}
