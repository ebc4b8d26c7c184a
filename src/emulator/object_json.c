/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "emulator/object.h"
#include "util/buf.h"
#include "util/strnum.h"

/* Sums do not fit JSON's signed numbers: decimal text. */
static json_t *json_u64(uint64_t v)
{
	return json_sprintf("%" PRIu64, v);
}

static int get_u64(const json_t *j, const char *name, uint64_t *out)
{
	const char *text = json_string_value(json_object_get(j, name));

	return text ? parse_u64(text, 0, UINT64_MAX, out) : -EINVAL;
}

json_t *body_to_json(const struct body *b)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < b->count; i++) {
		const struct segment *s = &b->segs[i];
		json_t *e =
			json_pack("{s:s, s:o, s:o, s:o}", "blob", s->blob->name,
				  "off", json_u64(s->off), "len",
				  json_u64(s->len), "crc", json_u64(s->crc));

		if (json_array_append_new(list, e) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
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

static json_t *pairs_to_json(const struct kvs *l)
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < l->count; i++)
		json_object_set_new_nocheck(
			o, l->items[i].name,
			json_string_nocheck(l->items[i].value));
	return o;
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

static void set_text(json_t *j, const char *name, const char *value)
{
	if (value && *value)
		json_object_set_new_nocheck(j, name,
					    json_string_nocheck(value));
}

char *object_to_json(const struct object *o)
{
	char *text;
	json_t *j = json_pack(
		"{s:i, s:I, s:I, s:I, s:o, s:o, s:o}", "type", (int)o->type,
		"mtime", (json_int_t)o->mtime_ms, "restored",
		(json_int_t)o->restore_done_ms, "restored_until",
		(json_int_t)o->restore_expiry_ms, "headers",
		pairs_to_json(&o->headers), "tags", pairs_to_json(&o->tags),
		"body", body_to_json(o->body));

	if (!j)
		return NULL;
	set_text(j, "key", o->key);
	set_text(j, "etag", o->etag);
	set_text(j, "md5", o->content_md5);
	set_text(j, "version_id", o->version_id);
	set_text(j, "acl", o->acl);
	set_text(j, "storage_class", o->storage_class);
	set_text(j, "symlink", o->symlink_target);
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return text;
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
