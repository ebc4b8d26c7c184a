/* SPDX-License-Identifier: Apache-2.0 */
/* ?acl, ?tagging, ?symlink, ?restore of an object (protocol 4.10 to 4.12). */
#include <errno.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/lookup.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/properties.h"
#include "emulator/put.h"
#include "emulator/store.h"
#include "emulator/xml.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/strnum.h"

#define DAY_MS INT64_C(86400000)

/* ---- changing one thing of an object ---- */

typedef int (*change_fn)(struct exchange *x, struct object *o, void *arg);

/* Copy, change, put in place; again when somebody else was faster. */
static int change_object(struct exchange *x, change_fn change, void *arg)
{
	int rc;

	do {
		AUTO(object_putp) struct object *old = NULL;
		AUTO(object_putp) struct object *o = NULL;

		rc = lookup_own(x, &old);
		if (rc)
			return rc;
		o = object_copy(old, NULL);
		rc = o ? change(x, o, arg) : -ENOMEM;
		if (rc)
			return rc;
		rc = store_replace(x->em->store, x->req.bucket, old, o);
		if (!rc)
			o = NULL; /* the store has it */
	} while (rc == -EAGAIN);
	return rc;
}

/* ---- ACL ---- */

int get_acl_finish(struct exchange *x)
{
	AUTO(object_putp) struct object *o = NULL;
	struct buf *b;
	int rc = lookup_own(x, &o);

	if (rc)
		return rc;
	b = reply_xml(x, "AccessControlPolicy");
	xml_open(b, "Owner");
	xml_elem(b, "ID", EMULATOR_OWNER);
	xml_elem(b, "DisplayName", EMULATOR_OWNER);
	xml_close(b, "Owner");
	xml_open(b, "AccessControlList");
	xml_elem(b, "Grant", o->acl ? o->acl : "default");
	xml_close(b, "AccessControlList");
	xml_close(b, "AccessControlPolicy");
	return 0;
}

static int set_acl(struct exchange *x, struct object *o, void *arg)
{
	(void)x;
	return str_set(&o->acl, arg);
}

int put_acl_finish(struct exchange *x)
{
	const char *sent = request_header(&x->req, "x-oss-object-acl");
	AUTO_FREE char *acl = str_dup(sent);
	int rc;

	/* S3 clients send theirs in other words; they get the default. */
	if (!sent && x->req.dialect == DIALECT_S3) {
		reply_status(x, 200);
		return 0;
	}
	if (!acl || !acl_is_known(acl, false))
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL,
				     "x-oss-object-acl", sent);
	rc = change_object(x, set_acl, acl);
	if (!rc)
		reply_status(x, 200);
	return rc;
}

/* ---- tags ---- */

int get_tagging_finish(struct exchange *x)
{
	AUTO(object_putp) struct object *o = NULL;
	struct buf *b;
	int rc = lookup_own(x, &o);

	if (rc)
		return rc;
	b = reply_xml(x, "Tagging");
	xml_open(b, "TagSet");
	for (size_t i = 0; i < o->tags.count; i++) {
		xml_open(b, "Tag");
		xml_elem(b, "Key", o->tags.items[i].name);
		xml_elem(b, "Value", o->tags.items[i].value);
		xml_close(b, "Tag");
	}
	xml_close(b, "TagSet");
	xml_close(b, "Tagging");
	return 0;
}

int put_tagging_begin(struct exchange *x)
{
	return sink_to_memory(x, XML_BODY_MAX);
}

static int parse_tags(struct exchange *x, struct kvs *out)
{
	AUTO(xml_freep) struct xml_node *root = NULL;
	const struct xml_node *set = NULL;

	if (xml_parse(buf_str(&x->sink.memory), x->sink.memory.len, &root) == 0)
		set = xml_child(root, "TagSet");
	if (!set || strcmp(root->name, "Tagging") != 0)
		return fail(x, OE_MALFORMED_XML);
	for (const struct xml_node *n = set->children; n; n = n->next) {
		const char *key = xml_child_text(n, "Key");
		const char *value = xml_child_text(n, "Value");
		int rc;

		if (!key)
			return fail(x, OE_MALFORMED_XML);
		rc = tags_add(x, out, key, value ? value : "");
		if (rc)
			return rc;
	}
	return 0;
}

static int set_tags(struct exchange *x, struct object *o, void *arg)
{
	(void)x;
	kvs_release(&o->tags);
	return kvs_copy(&o->tags, arg);
}

int put_tagging_finish(struct exchange *x)
{
	AUTO(kvs_release) struct kvs tags = KVS_INIT;
	int rc = parse_tags(x, &tags);

	if (!rc)
		rc = change_object(x, set_tags, &tags);
	if (!rc)
		reply_status(x, 200);
	return rc;
}

int delete_tagging_finish(struct exchange *x)
{
	struct kvs none = KVS_INIT;
	int rc = change_object(x, set_tags, &none);

	if (!rc)
		reply_status(x, 204);
	return rc;
}

/* ---- symlinks ---- */

static int symlink_target(struct exchange *x, struct buf *out)
{
	const char *sent = request_header(&x->req, "x-oss-symlink-target");
	enum oss_err err;

	if (!sent || percent_decode(out, sent, strlen(sent), false) < 0 ||
	    strlen(buf_str(out)) != out->len)
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL,
				     "x-oss-symlink-target", sent);
	err = key_check(buf_str(out));
	return err ? fail_argument(x, err, NULL, "x-oss-symlink-target", sent)
		   : 0;
}

int put_symlink_finish(struct exchange *x)
{
	AUTO(buf_release) struct buf target = BUF_INIT;
	AUTO(object_putp) struct object *o = NULL;
	unsigned char md5[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int rc = symlink_target(x, &target);

	if (!rc)
		rc = new_object(x, &o);
	if (rc)
		return rc;
	if (!EVP_Digest(buf_str(&target), target.len, md5, &len, EVP_md5(),
			NULL) ||
	    str_set(&o->symlink_target, buf_str(&target)) < 0)
		return fail(x, OE_INTERNAL);
	etag_format(o->etag, md5, 0);
	o->type = OBJECT_SYMLINK;
	rc = store_put(x->em->store, x->req.bucket, object_get(o),
		       forbids_overwrite(x));
	if (rc < 0) {
		object_put(o);
		return fail_errno(x, rc);
	}
	reply_status(x, 200);
	reply_stored(x, o);
	return 0;
}

int get_symlink_finish(struct exchange *x)
{
	AUTO(object_putp) struct object *o = NULL;
	AUTO(buf_release) struct buf target = BUF_INIT;
	char when[CLOCK_TEXT_LEN];
	char etag[ETAG_MAX + 4];
	int rc = lookup_own(x, &o);

	if (rc)
		return rc;
	if (o->type != OBJECT_SYMLINK)
		return fail(x, OE_NOT_SYMLINK);
	percent_encode(&target, o->symlink_target, strlen(o->symlink_target),
		       PERCENT_ALL);
	reply_status(x, 200);
	reply_header(x, "x-oss-symlink-target", buf_str(&target));
	reply_header(x, "ETag", quoted_etag(x, o->etag, etag));
	reply_header(x, "Last-Modified", clock_http_date(when, o->mtime_ms));
	if (*o->version_id)
		reply_header(x, "x-oss-version-id", o->version_id);
	for (size_t i = 0; i < o->headers.count; i++)
		reply_header(x, o->headers.items[i].name,
			     o->headers.items[i].value);
	return 0;
}

/* ---- restore ---- */

int restore_begin(struct exchange *x)
{
	return sink_to_memory(x, XML_BODY_MAX);
}

static int restore_days(struct exchange *x, int64_t *out)
{
	AUTO(xml_freep) struct xml_node *root = NULL;
	const char *days = NULL;

	*out = 1;
	if (!x->sink.memory.len)
		return 0;
	if (xml_parse(buf_str(&x->sink.memory), x->sink.memory.len, &root) == 0)
		days = xml_child_text(root, "Days");
	if (!root || (days && parse_i64(days, 1, 365, out) < 0))
		return fail(x, OE_MALFORMED_XML);
	return 0;
}

struct restore {
	int64_t days;
	int status;
};

static int set_restore(struct exchange *x, struct object *o, void *arg)
{
	struct restore *r = arg;

	if (!storage_class_is_archive(object_storage_class(o)))
		return fail(x, OE_RESTORE_NOT_SUPPORTED);
	if (o->restore_done_ms > x->now_ms)
		return fail(x, OE_RESTORE_IN_PROGRESS);
	if (is_restored(x, o)) {
		r->status = 200;
	} else {
		o->restore_done_ms = x->now_ms + x->em->opt->restore_ms;
		r->status = 202;
	}
	o->restore_expiry_ms = o->restore_done_ms + r->days * DAY_MS;
	return 0;
}

int restore_finish(struct exchange *x)
{
	struct restore r = {0};
	int rc = restore_days(x, &r.days);

	if (!rc)
		rc = change_object(x, set_restore, &r);
	if (!rc)
		reply_status(x, r.status);
	return rc;
}
