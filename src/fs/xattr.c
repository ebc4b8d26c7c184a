/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/xattr_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "fs/status.h"
#include "state/cbvars.h"
#include "util/clock.h"

void xattr_view_release(struct xattr_view *v)
{
	if (!v->n)
		return;
	cb_record_release(&v->record);
	objmeta_release(&v->meta);
	kvs_release(&v->user_meta);
	lock_acquire(&v->fs->tree.lock);
	tree_unpin_locked(&v->fs->tree, v->n);
	lock_release(&v->fs->tree.lock);
}

int xattr_view_make(struct fs *fs, uint64_t ino, struct xattr_view *v)
{
	int rc;

	memset(v, 0, sizeof(*v));
	v->fs = fs;
	lock_acquire(&fs->tree.lock);
	v->n = tree_by_ino_locked(&fs->tree, ino);
	rc = v->n ? fs_key_locked(fs, v->n, v->key) : -ENOENT;
	if (rc == -ENOENT && v->n)
		rc = 0; /* unlinked: no key */
	if (rc < 0)
		v->n = NULL;
	if (v->n) {
		tree_pin_locked(v->n);
		v->owner = fs->conf.uid_for_all ? fs->conf.uid : v->n->uid;
		v->kind = v->n->kind;
		v->size = v->n->size;
		v->stored = v->n->stored;
		node_object_id(v->n, &v->id);
	}
	lock_release(&fs->tree.lock);
	if (!v->n)
		return rc;
	file_get_state(fs, v->n, &v->file);
	db_settle(fs->d.db); /* outcomes are in no hurry */
	v->has_user_meta = file_get_meta(fs, v->n, &v->user_meta) == 0;
	if (v->stored && v->key[0]) {
		v->has_record = cblog_outcome(fs->d.db, v->key, &v->id,
					      &v->record) == 0;
		v->has_meta =
			objmeta_get(fs->d.db, v->key, &v->id, &v->meta) == 0;
	}
	if (!v->has_user_meta && v->has_meta)
		v->has_user_meta = kvs_copy(&v->user_meta, &v->meta.meta) == 0;
	return 0;
}

/* -- values ---------------------------------------------------------------- */

static int put_text(struct buf *out, const char *text)
{
	if (!text || !text[0])
		return -ENODATA;
	buf_adds(out, text);
	return 0;
}

static int put_number(struct buf *out, bool has, uint64_t n)
{
	if (!has)
		return -ENODATA;
	buf_addf(out, "%" PRIu64, n);
	return 0;
}

static int get_key(struct xattr_view *v, struct buf *out)
{
	return put_text(out, v->key);
}

static int get_etag(struct xattr_view *v, struct buf *out)
{
	return v->stored ? put_text(out, v->id.etag) : -ENODATA;
}

static int get_crc64(struct xattr_view *v, struct buf *out)
{
	return put_number(out, v->has_meta && v->meta.has_crc64, v->meta.crc64);
}

static int get_content_type(struct xattr_view *v, struct buf *out)
{
	return v->has_meta ? put_text(out, v->meta.content_type) : -ENODATA;
}

static int get_storage_class(struct xattr_view *v, struct buf *out)
{
	return v->has_meta ? put_text(out, v->meta.storage_class) : -ENODATA;
}

static int get_version_id(struct xattr_view *v, struct buf *out)
{
	return put_text(out, v->id.version_id);
}

static int get_request_id(struct xattr_view *v, struct buf *out)
{
	return v->has_record ? put_text(out, v->record.request_id) : -ENODATA;
}

static int get_size(struct xattr_view *v, struct buf *out)
{
	return put_number(out, true, v->size);
}

static int get_modified(struct xattr_view *v, struct buf *out)
{
	char text[CLOCK_TEXT_LEN];

	if (!v->stored)
		return -ENODATA;
	return put_text(out, clock_rfc3339(text, v->id.modified_ms));
}

static int get_upload_state(struct xattr_view *v, struct buf *out)
{
	return put_text(out, v->file.staged
				     ? staging_state_name(v->file.info.state)
				     : "done");
}

static int get_upload_error(struct xattr_view *v, struct buf *out)
{
	return v->file.staged ? put_text(out, v->file.info.last_error)
			      : -ENODATA;
}

static enum callback_state callback_state_of(const struct xattr_view *v)
{
	if (v->file.staged && v->file.info.state == STAGING_HELD)
		return CALLBACK_HELD;
	if (v->file.staged || v->file.closing)
		return CALLBACK_PENDING;
	return v->has_record ? (enum callback_state)v->record.state
			     : CALLBACK_UNKNOWN;
}

static int get_state(struct xattr_view *v, struct buf *out)
{
	return put_text(out, callback_state_name(callback_state_of(v)));
}

/* An outcome belongs to what is stored; while newer bytes are on their way it
   is not told. */
static const struct cb_record *outcome(const struct xattr_view *v)
{
	return v->has_record && !v->file.staged ? &v->record : NULL;
}

static int get_response(struct xattr_view *v, struct buf *out)
{
	const struct cb_record *r = outcome(v);

	if (!r || !r->response)
		return -ENODATA;
	if (r->response_len > XATTR_VALUE_MAX - 1)
		buf_addf(
			out,
			"(an answer of %zu bytes, too large for an attribute: ackctl log --json shows it)",
			r->response_len);
	else
		buf_add(out, r->response, r->response_len);
	return 0;
}

static int get_oss_status(struct xattr_view *v, struct buf *out)
{
	const struct cb_record *r = outcome(v);

	return put_number(out, r && r->oss_status,
			  r ? (uint64_t)r->oss_status : 0);
}

static int get_server_status(struct xattr_view *v, struct buf *out)
{
	const struct cb_record *r = outcome(v);

	return put_number(out, r && r->server_status > 0,
			  r ? (uint64_t)r->server_status : 0);
}

#define RECORD_TEXT(name, field)                                               \
	static int name(struct xattr_view *v, struct buf *out)                 \
	{                                                                      \
		const struct cb_record *r = outcome(v);                        \
                                                                               \
		return r ? put_text(out, r->field) : -ENODATA;                 \
	}

RECORD_TEXT(get_error, error)
RECORD_TEXT(get_error_code, error_code)
RECORD_TEXT(get_ec, ec)
RECORD_TEXT(get_callback_request_id, request_id)
RECORD_TEXT(get_delivery_id, delivery_id)
RECORD_TEXT(get_url, url)
RECORD_TEXT(get_host, host)
RECORD_TEXT(get_body, body)
RECORD_TEXT(get_body_type, body_type)

static int get_time(struct xattr_view *v, struct buf *out)
{
	const struct cb_record *r = outcome(v);
	char text[CLOCK_TEXT_LEN];

	return r && r->time_ms ? put_text(out, clock_rfc3339(text, r->time_ms))
			       : -ENODATA;
}

static int get_elapsed(struct xattr_view *v, struct buf *out)
{
	const struct cb_record *r = outcome(v);

	return put_number(out, r && r->attempt > 0,
			  r ? (uint64_t)r->elapsed_ms : 0);
}

static int get_attempts(struct xattr_view *v, struct buf *out)
{
	const struct cb_record *r = outcome(v);

	return put_number(out, r && r->attempt > 0,
			  r ? (uint64_t)r->attempt : 0);
}

static int get_vars(struct xattr_view *v, struct buf *out)
{
	const struct cb_record *r = outcome(v);
	AUTO_FREE char *json = NULL;

	if (!r || !r->vars.count || kvs_to_json(&r->vars, &json) < 0)
		return -ENODATA;
	return put_text(out, json);
}

static json_t *history_entry(const struct cb_record *r)
{
	char text[CLOCK_TEXT_LEN];

	return json_pack("{s:s, s:i, s:s?, s:s, s:i, s:s?, s:s?}", "time",
			 clock_rfc3339(text, r->time_ms), "attempt", r->attempt,
			 "delivery_id", r->delivery_id, "state",
			 callback_state_name((enum callback_state)r->state),
			 "oss_status", r->oss_status, "error", r->error,
			 "request_id", r->request_id);
}

/* The last ten attempts of the key, newest first: whatever version. */
static int get_history(struct xattr_view *v, struct buf *out)
{
	struct cb_record *records = NULL;
	size_t count = 0;
	json_t *list;
	char *text = NULL;
	int rc = v->key[0] ? cblog_history(v->fs->d.db, v->key, 10, &records,
					   &count)
			   : -ENODATA;

	if (rc < 0 || !count) {
		cb_records_free(records, count);
		return -ENODATA;
	}
	list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, history_entry(&records[i]));
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	cb_records_free(records, count);
	rc = text ? put_text(out, text) : -ENOMEM;
	free(text);
	return rc;
}

/* -- the mount's own, on its root ------------------------------------------ */

static int get_mount_status(struct xattr_view *v, struct buf *out)
{
	AUTO_FREE char *text = NULL;
	int rc = fs_status_json(v->fs, &text);

	return rc < 0 ? rc : put_text(out, text);
}

static int get_mount_state_dir(struct xattr_view *v, struct buf *out)
{
	return put_text(out, v->fs->conf.state_path);
}

static int get_mount_config(struct xattr_view *v, struct buf *out)
{
	return put_text(out, v->fs->conf.config_path);
}

enum {
	WAITS = 1,   /* for a running upload's outcome */
	OWNER = 2,   /* the file's owner and root alone */
	FILES = 4,   /* not of folders */
	ROOT = 8,    /* of the mount's root alone, and not listed */
	OBJECTS = 16 /* a HEAD may be worth it */
};

static const struct attr {
	const char *name; /* without user.oss. */
	int flags;
	int (*get)(struct xattr_view *v, struct buf *out);
} attrs[] = {
	{"key",		    0,		     get_key                },
	{"etag",		   FILES,                 get_etag               },
	{"size",		   FILES,                 get_size               },
	{"last_modified",          FILES,                 get_modified           },
	{"crc64",		  FILES | OBJECTS,       get_crc64              },
	{"content_type",           FILES | OBJECTS,       get_content_type       },
	{"storage_class",          FILES | OBJECTS,       get_storage_class      },
	{"version_id",             FILES,                 get_version_id         },
	{"request_id",             FILES,                 get_request_id         },
	{"upload.state",           FILES,                 get_upload_state       },
	{"upload.error",           FILES,                 get_upload_error       },
	{"callback.state",         FILES,                 get_state              },
	{"callback.response",      FILES | WAITS,         get_response           },
	{"callback.oss_status",    FILES | WAITS,         get_oss_status         },
	{"callback.server_status", FILES | WAITS,         get_server_status      },
 /* OSS's words may name the address, as those of a timeout do. */
	{"callback.error",         FILES | WAITS | OWNER, get_error              },
	{"callback.error_code",    FILES | WAITS,         get_error_code         },
	{"callback.ec",            FILES | WAITS,         get_ec                 },
	{"callback.time",          FILES | WAITS,         get_time               },
	{"callback.elapsed_ms",    FILES | WAITS,         get_elapsed            },
	{"callback.attempts",      FILES | WAITS,         get_attempts           },
	{"callback.request_id",    FILES | WAITS,         get_callback_request_id},
	{"callback.delivery_id",   FILES | WAITS,         get_delivery_id        },
	{"callback.url",           FILES | WAITS | OWNER, get_url                },
	{"callback.host",          FILES | WAITS | OWNER, get_host               },
	{"callback.body",          FILES | WAITS | OWNER, get_body               },
	{"callback.body_type",     FILES | WAITS | OWNER, get_body_type          },
	{"callback.vars",          FILES | WAITS | OWNER, get_vars               },
	{"callback.history",       FILES | WAITS | OWNER, get_history            },
	{"mount.status",           ROOT,                  get_mount_status       },
	{"mount.state_dir",        ROOT,                  get_mount_state_dir    },
	{"mount.config",           ROOT,                  get_mount_config       },
};

static const struct attr *attr_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
		if (strcmp(attrs[i].name, name) == 0)
			return &attrs[i];
	}
	return NULL;
}

bool xattr_is_readable(const char *name)
{
	return attr_find(name) != NULL;
}

static bool may_see(const struct xattr_view *v, const struct attr *a,
		    uint32_t uid)
{
	if ((a->flags & FILES) && v->kind == NODE_DIR)
		return false;
	if ((a->flags & ROOT) && v->n != v->fs->tree.root)
		return false;
	return !(a->flags & OWNER) || uid == 0 || uid == v->owner;
}

bool xattr_is_ours(const char *name)
{
	return strncmp(name, XATTR_PREFIX, strlen(XATTR_PREFIX)) == 0;
}

bool xattr_waits(const char *name)
{
	const struct attr *a;

	if (!xattr_is_ours(name))
		return false;
	a = attr_find(name + strlen(XATTR_PREFIX));
	return a && (a->flags & WAITS);
}

/* -- named families: callback.var.*, meta.* -------------------------------- */

bool xattr_has_prefix(const char *name, const char *prefix, const char **rest)
{
	size_t len = strlen(prefix);

	if (strncmp(name, prefix, len) != 0 || !name[len])
		return false;
	*rest = name + len;
	return true;
}

static int get_family(struct xattr_view *v, const char *name, struct buf *out)
{
	AUTO(kvs_release) struct kvs vars = KVS_INIT;
	const char *rest, *value;

	if (xattr_has_prefix(name, XATTR_VAR, &rest)) {
		if (!v->key[0] && v->n != v->fs->tree.root)
			return -ENODATA;
		if (cbvars_get(v->fs->d.db, v->key, &vars) < 0)
			return -EIO;
		value = kvs_get(&vars, rest);
	} else if (xattr_has_prefix(name, XATTR_META, &rest) &&
		   !posix_owns(rest)) {
		value = kvs_get(&v->user_meta, rest);
	} else {
		return -ENODATA;
	}
	if (!value)
		return -ENODATA;
	buf_adds(out, value);
	return 0;
}

/* An attribute of the object itself that nobody has asked for yet. */
static int look_closer(struct xattr_view *v)
{
	int rc;

	if (v->has_meta || !v->stored || v->kind == NODE_DIR || !v->key[0])
		return 0;
	rc = fs_need_head(v->fs, v->n, &v->meta);
	v->has_meta = rc == 0;
	if (rc == 0 && !v->has_user_meta)
		rc = kvs_copy(&v->user_meta, &v->meta.meta);
	return rc;
}

int xattr_get(struct fs *fs, uint64_t ino, const char *name, uint32_t uid,
	      struct buf *out)
{
	AUTO(xattr_view_release) struct xattr_view v;
	const struct attr *a;
	int rc;

	rc = xattr_view_make(fs, ino, &v);
	if (rc < 0)
		return rc;
	name += strlen(XATTR_PREFIX);
	a = attr_find(name);
	if ((a && (a->flags & OBJECTS)) ||
	    strncmp(name, XATTR_META, strlen(XATTR_META)) == 0)
		rc = look_closer(&v);
	if (rc < 0)
		return rc;
	if (!a)
		rc = get_family(&v, name, out);
	else if (!may_see(&v, a, uid))
		rc = (a->flags & OWNER) ? -EPERM : -ENODATA;
	else
		rc = a->get(&v, out);
	return rc < 0 ? rc : buf_error(out);
}

static void add_name(struct buf *out, const char *family, const char *name)
{
	buf_adds(out, XATTR_PREFIX);
	buf_adds(out, family);
	buf_adds(out, name);
	buf_addc(out, '\0');
}

int xattr_list(struct fs *fs, uint64_t ino, uint32_t uid, struct buf *out)
{
	AUTO(xattr_view_release) struct xattr_view v;
	AUTO(buf_release) struct buf value = BUF_INIT;
	AUTO(kvs_release) struct kvs vars = KVS_INIT;
	int rc = xattr_view_make(fs, ino, &v);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
		if ((attrs[i].flags & ROOT) || !may_see(&v, &attrs[i], uid))
			continue;
		buf_reset(&value);
		if (attrs[i].get(&v, &value) == 0)
			add_name(out, "", attrs[i].name);
	}
	if (cbvars_get(fs->d.db, v.key, &vars) == 0) {
		for (size_t i = 0; i < vars.count; i++)
			add_name(out, XATTR_VAR, vars.items[i].name);
	}
	for (size_t i = 0; i < v.user_meta.count; i++) {
		if (!posix_owns(v.user_meta.items[i].name))
			add_name(out, XATTR_META, v.user_meta.items[i].name);
	}
	return buf_error(out);
}
