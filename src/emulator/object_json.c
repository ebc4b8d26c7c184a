/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "emulator/object.h"
#include "util/buf.h"
#include "util/codec.h"
#include "util/strnum.h"

/* ---- writing: each PUT does it, so there is no tree in between ---- */

/* A string in quotes, as it is: the whole is checked for UTF-8. */
static void add_text(struct buf *out, const char *text)
{
	const char *plain = text;

	buf_addc(out, '"');
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p >= ' ' && *p != '"' && *p != '\\')
			continue;
		buf_add(out, plain, (size_t)(p - plain));
		buf_addf(out, "\\u%04x", (unsigned)*p);
		plain = p + 1;
	}
	buf_adds(out, plain);
	buf_addc(out, '"');
}

static void add_member(struct buf *out, const char *name, const char *value)
{
	add_text(out, name);
	buf_addc(out, ':');
	add_text(out, value);
}

/* One of those that may be missing. */
static void add_optional(struct buf *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_addc(out, ',');
	add_member(out, name, value);
}

static void add_pairs(struct buf *out, const char *name, const struct kvs *l)
{
	buf_addf(out, ",\"%s\":{", name);
	for (size_t i = 0; i < l->count; i++) {
		if (i)
			buf_addc(out, ',');
		add_member(out, l->items[i].name, l->items[i].value);
	}
	buf_addc(out, '}');
}

/* Sums do not fit JSON's signed numbers: decimal text. */
void body_to_json(const struct body *b, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < b->count; i++) {
		const struct segment *s = &b->segs[i];

		buf_addf(out,
			 "%s{\"blob\":\"%s\",\"off\":\"%" PRIu64
			 "\",\"len\":\"%" PRIu64 "\",\"crc\":\"%" PRIu64 "\"}",
			 i ? "," : "", s->blob->name, s->off, s->len, s->crc);
	}
	buf_addc(out, ']');
}

int object_to_json(const struct object *o, struct buf *out)
{
	buf_addf(out,
		 "{\"type\":%d,\"mtime\":%" PRId64 ",\"restored\":%" PRId64
		 ",\"restored_until\":%" PRId64,
		 (int)o->type, o->mtime_ms, o->restore_done_ms,
		 o->restore_expiry_ms);
	add_pairs(out, "headers", &o->headers);
	add_pairs(out, "tags", &o->tags);
	buf_adds(out, ",\"body\":");
	body_to_json(o->body, out);
	add_optional(out, "key", o->key);
	add_optional(out, "etag", o->etag);
	add_optional(out, "md5", o->content_md5);
	add_optional(out, "version_id", o->version_id);
	add_optional(out, "acl", o->acl);
	add_optional(out, "storage_class", o->storage_class);
	add_optional(out, "symlink", o->symlink_target);
	buf_addc(out, '}');
	if (buf_error(out) < 0)
		return buf_error(out);
	return utf8_is_valid(buf_str(out), out->len) ? 0 : -EILSEQ;
}

/* ---- reading ---- */

static int get_u64(const json_t *j, const char *name, uint64_t *out)
{
	const char *text = json_string_value(json_object_get(j, name));

	return text ? parse_u64(text, 0, UINT64_MAX, out) : -EINVAL;
}

static int segment_from_json(const json_t *j,
			     struct blob *(*blob)(void *, const char *),
			     void *arg, struct segment *out)
{
	const char *name = json_string_value(json_object_get(j, "blob"));
	struct segment s = {0};

	if (!name || get_u64(j, "off", &s.off) < 0 ||
	    get_u64(j, "len", &s.len) < 0 || get_u64(j, "crc", &s.crc) < 0)
		return -EINVAL;
	s.blob = blob(arg, name);
	if (!s.blob)
		return -ENOMEM;
	*out = s;
	return 0;
}

int body_from_json(const json_t *j, struct blob *(*blob)(void *, const char *),
		   void *arg, struct body **out)
{
	AUTO(body_putp) struct body *b = NULL;

	if (!json_is_array(j))
		return -EINVAL;
	b = body_new(json_array_size(j));
	if (!b)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(j); i++) {
		struct segment s;
		int rc = segment_from_json(json_array_get(j, i), blob, arg, &s);

		if (rc < 0)
			return rc;
		body_append(b, s);
	}
	*out = take_ptr(b);
	return 0;
}

static int pairs_from_json(json_t *j, struct kvs *out)
{
	const char *name;
	json_t *value;

	if (!json_is_object(j))
		return -EINVAL;
	json_object_foreach(j, name, value)
	{
		if (!json_is_string(value))
			return -EINVAL;
		if (kvs_add(out, name, json_string_value(value)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static const char *get_text(const json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static void copy_text(const json_t *j, const char *name, char *out, size_t size)
{
	const char *text = get_text(j, name);

	snprintf(out, size, "%s", text ? text : "");
}

static int fill(const json_t *j, struct object *o)
{
	o->type = (enum object_type)json_integer_value(
		json_object_get(j, "type"));
	o->mtime_ms = json_integer_value(json_object_get(j, "mtime"));
	o->restore_done_ms = json_integer_value(json_object_get(j, "restored"));
	o->restore_expiry_ms =
		json_integer_value(json_object_get(j, "restored_until"));
	copy_text(j, "etag", o->etag, sizeof(o->etag));
	copy_text(j, "md5", o->content_md5, sizeof(o->content_md5));
	copy_text(j, "version_id", o->version_id, sizeof(o->version_id));
	if (str_set(&o->acl, get_text(j, "acl")) < 0 ||
	    str_set(&o->storage_class, get_text(j, "storage_class")) < 0 ||
	    str_set(&o->symlink_target, get_text(j, "symlink")) < 0)
		return -ENOMEM;
	if (o->type < OBJECT_NORMAL || o->type > OBJECT_SYMLINK)
		return -EINVAL;
	return 0;
}

static int object_from_tree(const json_t *j,
			    struct blob *(*blob)(void *, const char *),
			    void *arg, struct object **out)
{
	const char *key = get_text(j, "key");
	AUTO(object_putp) struct object *o = NULL;
	struct body *body = NULL;
	int rc;

	if (!key)
		return -EINVAL;
	o = object_new(key);
	if (!o)
		return -ENOMEM;
	rc = fill(j, o);
	if (!rc)
		rc = pairs_from_json(json_object_get(j, "headers"),
				     &o->headers);
	if (!rc)
		rc = pairs_from_json(json_object_get(j, "tags"), &o->tags);
	if (!rc)
		rc = body_from_json(json_object_get(j, "body"), blob, arg,
				    &body);
	if (rc < 0)
		return rc;
	object_set_body(o, body);
	*out = take_ptr(o);
	return 0;
}

int object_from_json(const char *text,
		     struct blob *(*blob)(void *, const char *), void *arg,
		     struct object **out)
{
	json_t *j = json_loads(text, 0, NULL);
	int rc;

	if (!j)
		return -EINVAL;
	rc = object_from_tree(j, blob, arg, out);
	json_decref(j);
	return rc;
}
