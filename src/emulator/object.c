/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/codec.h"

const char *object_type_name(enum object_type t)
{
	switch (t) {
	case OBJECT_NORMAL:
		return "Normal";
	case OBJECT_MULTIPART:
		return "Multipart";
	case OBJECT_APPENDABLE:
		return "Appendable";
	case OBJECT_SYMLINK:
		return "Symlink";
	}
	return "Normal";
}

struct object *object_new(const char *key)
{
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	atomic_init(&o->refs, 1);
	o->key = str_dup(key);
	o->body = body_new(0);
	if (!o->key || !o->body) {
		object_put(o);
		return NULL;
	}
	return o;
}

static int copy_texts(const struct object *from, struct object *to)
{
	if (str_set(&to->acl, from->acl) < 0 ||
	    str_set(&to->storage_class, from->storage_class) < 0 ||
	    str_set(&to->symlink_target, from->symlink_target) < 0 ||
	    kvs_copy(&to->headers, &from->headers) < 0 ||
	    kvs_copy(&to->tags, &from->tags) < 0)
		return -ENOMEM;
	return 0;
}

struct object *object_copy(const struct object *o, const char *key)
{
	struct object *c = object_new(key ? key : o->key);

	if (!c)
		return NULL;
	if (copy_texts(o, c) < 0) {
		object_put(c);
		return NULL;
	}
	object_set_body(c, body_get(o->body));
	c->type = o->type;
	memcpy(c->etag, o->etag, sizeof(c->etag));
	memcpy(c->content_md5, o->content_md5, sizeof(c->content_md5));
	memcpy(c->version_id, o->version_id, sizeof(c->version_id));
	c->mtime_ms = o->mtime_ms;
	c->restore_done_ms = o->restore_done_ms;
	c->restore_expiry_ms = o->restore_expiry_ms;
	return c;
}

struct object *object_get(struct object *o)
{
	atomic_fetch_add(&o->refs, 1);
	return o;
}

void object_put(struct object *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	body_put(o->body);
	kvs_release(&o->headers);
	kvs_release(&o->tags);
	free(o->acl);
	free(o->storage_class);
	free(o->symlink_target);
	free(o->key);
	free(o);
}

void object_putp(struct object **o)
{
	object_put(*o);
}

void object_set_body(struct object *o, struct body *b)
{
	body_put(o->body);
	o->body = b;
}

void etag_format(char out[ETAG_MAX], const unsigned char md5[16],
		 unsigned parts)
{
	hex_upper(out, md5, 16);
	if (parts)
		snprintf(out + 32, ETAG_MAX - 32, "-%u", parts);
}

void object_set_md5(struct object *o, const unsigned char md5[16])
{
	AUTO(buf_release) struct buf text = BUF_INIT;

	etag_format(o->etag, md5, 0);
	base64_encode(&text, md5, 16);
	snprintf(o->content_md5, sizeof(o->content_md5), "%s", buf_str(&text));
}

const char *object_content_type(const struct object *o)
{
	const char *t = kvs_get(&o->headers, "Content-Type");

	return t ? t : "application/octet-stream";
}

const char *object_storage_class(const struct object *o)
{
	return o->storage_class ? o->storage_class : "Standard";
}

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

bool storage_class_is_archive(const char *name)
{
	static const char *const list[] = {"Archive", "ColdArchive",
					   "DeepColdArchive"};

	return is_one_of(name, list, ARRAY_LEN(list));
}

bool storage_class_is_known(const char *name)
{
	static const char *const list[] = {"Standard", "IA"};

	return is_one_of(name, list, ARRAY_LEN(list)) ||
	       storage_class_is_archive(name);
}
