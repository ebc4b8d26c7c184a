/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/properties.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emulator/emulator.h"
#include "emulator/names.h"
#include "util/codec.h"

#define META "x-oss-meta-"
#define SSE "x-oss-server-side-encryption"

static int no_memory(struct exchange *x, int rc)
{
	return rc < 0 ? fail_errno(x, rc) : 0;
}

/* ---- headers that come back on GET ---- */

/* The part after x-oss-meta- (or x-amz-meta-), or NULL. */
static const char *meta_name(const struct exchange *x, const char *name)
{
	if (strncasecmp(name, META, strlen(META)) == 0)
		return name + strlen(META);
	if (x->req.dialect == DIALECT_S3 &&
	    strncasecmp(name, "x-amz-meta-", 11) == 0)
		return name + 11;
	return NULL;
}

static bool meta_name_is_valid(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '-')
			return false;
	return true;
}

static int add_meta(struct exchange *x, struct kvs *headers, const char *name,
		    const char *value)
{
	char full[256];

	if (x->req.dialect == DIALECT_OSS && !meta_name_is_valid(name))
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "The name of the user metadata is "
				     "invalid.",
				     name, value);
	if (snprintf(full, sizeof(full), META "%s", name) >= (int)sizeof(full))
		return fail(x, OE_META_TOO_LARGE);
	for (char *p = full; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return no_memory(x, kvs_add(headers, full, value));
}

static int add_all_meta(struct exchange *x, struct kvs *headers)
{
	size_t total = 0;

	for (size_t i = 0; i < x->req.headers.count; i++) {
		const struct kv *h = &x->req.headers.items[i];
		const char *name = meta_name(x, h->name);
		int rc;

		if (!name)
			continue;
		total += strlen(h->value);
		if (!x->em->opt->quirks.meta_names_are_free)
			total += strlen(name);
		if (total > OBJECT_META_MAX)
			return fail(x, OE_META_TOO_LARGE);
		rc = add_meta(x, headers, name, h->value);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* "name:base64(value),name:base64(value)" */
static int add_persistent(struct exchange *x, struct kvs *headers,
			  const char *text)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		const char *colon = memchr(text, ':', len);
		AUTO(buf_release) struct buf value = BUF_INIT;
		AUTO_FREE char *name =
			colon ? strndup(text, (size_t)(colon - text)) : NULL;

		if (!name ||
		    base64_decode(&value, colon + 1,
				  len - (size_t)(colon + 1 - text)) < 0)
			return fail_argument(x, OE_INVALID_ARGUMENT, NULL,
					     "x-oss-persistent-headers", text);
		if (kvs_add(headers, name, buf_str(&value)) < 0)
			return fail(x, OE_INTERNAL);
		text += len;
		if (*text)
			text++;
	}
	return 0;
}

int properties_read_headers(struct exchange *x, struct object *o)
{
	static const char *const kept[] = {
		"Content-Type",     "Cache-Control", "Content-Disposition",
		"Content-Encoding", "Expires",       "Content-Language",
	};
	const char *persistent =
		request_header(&x->req, "x-oss-persistent-headers");
	struct kvs headers = KVS_INIT;
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_LEN(kept); i++) {
		const char *v = kvs_get(&x->req.headers, kept[i]);

		if (v && *v)
			rc = no_memory(x, kvs_add(&headers, kept[i], v));
	}
	if (!rc)
		rc = add_all_meta(x, &headers);
	if (!rc && persistent)
		rc = add_persistent(x, &headers, persistent);
	if (rc < 0) {
		kvs_release(&headers);
		return rc;
	}
	kvs_release(&o->headers);
	o->headers = headers;
	return 0;
}

/* ---- class, ACL, encryption ---- */

/* S3's spellings; what OSS has no word for is Standard. */
static const char *class_of(const struct exchange *x, const char *text)
{
	if (x->req.dialect == DIALECT_OSS)
		return text;
	return strcasecmp(text, "STANDARD_IA") == 0 ? "IA" : "Standard";
}

static int read_class(struct exchange *x, struct object *o)
{
	const char *cls = request_header(&x->req, "x-oss-storage-class");

	if (!cls)
		return 0;
	cls = class_of(x, cls);
	if (!storage_class_is_known(cls))
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL,
				     "x-oss-storage-class", cls);
	return no_memory(x, str_set(&o->storage_class, cls));
}

static int read_acl(struct exchange *x, struct object *o)
{
	const char *acl = kvs_get(&x->req.headers, "x-oss-object-acl");

	if (!acl)
		return 0;
	if (!acl_is_known(acl, false))
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL,
				     "x-oss-object-acl", acl);
	return no_memory(x, str_set(&o->acl, acl));
}

static int read_encryption(struct exchange *x, struct object *o)
{
	const char *sse = kvs_get(&x->req.headers, SSE);
	const char *key = kvs_get(&x->req.headers, SSE "-key-id");

	if (!sse)
		return 0;
	if (strcmp(sse, "AES256") != 0 && strcmp(sse, "KMS") != 0 &&
	    strcmp(sse, "SM4") != 0)
		return fail_with(x, OE_INVALID_ENCRYPTION, "ArgumentValue",
				 sse);
	if (kvs_set(&o->headers, SSE, sse) < 0 ||
	    (key && kvs_set(&o->headers, SSE "-key-id", key) < 0))
		return fail(x, OE_INTERNAL);
	return 0;
}

int properties_read_class(struct exchange *x, struct object *o)
{
	int rc = read_class(x, o);

	if (!rc)
		rc = read_acl(x, o);
	if (!rc)
		rc = read_encryption(x, o);
	return rc;
}

/* ---- tags ---- */

int tags_add(struct exchange *x, struct kvs *tags, const char *key,
	     const char *value)
{
	if (tag_check(key, value))
		return fail_argument(x, OE_INVALID_TAG, NULL, key, value);
	for (size_t i = 0; i < tags->count; i++)
		if (strcmp(tags->items[i].name, key) == 0)
			return fail_argument(x, OE_REPEATED_TAGS, NULL, key,
					     value);
	if (tags->count == OBJECT_TAGS_MAX)
		return fail(x, OE_TOO_MANY_TAGS);
	return no_memory(x, kvs_add(tags, key, value));
}

/* One "k=v", percent-encoded; without '=' the value is empty. */
static int add_encoded_tag(struct exchange *x, struct kvs *tags,
			   const char *text, size_t len)
{
	AUTO(buf_release) struct buf key = BUF_INIT;
	AUTO(buf_release) struct buf value = BUF_INIT;
	const char *eq = memchr(text, '=', len);
	size_t key_len = eq ? (size_t)(eq - text) : len;

	if (percent_decode(&key, text, key_len, true) < 0 ||
	    (eq && percent_decode(&value, eq + 1, len - key_len - 1, true) < 0))
		return fail(x, OE_INVALID_TAG);
	return tags_add(x, tags, buf_str(&key), buf_str(&value));
}

int properties_read_tags(struct exchange *x, struct object *o)
{
	const char *p = request_header(&x->req, "x-oss-tagging");
	struct kvs tags = KVS_INIT;
	int rc = 0;

	while (p && *p && !rc) {
		size_t len = strcspn(p, "&");

		if (len)
			rc = add_encoded_tag(x, &tags, p, len);
		p += len;
		if (*p)
			p++;
	}
	if (rc < 0) {
		kvs_release(&tags);
		return rc;
	}
	kvs_release(&o->tags);
	o->tags = tags;
	return 0;
}

int properties_read(struct exchange *x, struct object *o)
{
	int rc = properties_read_headers(x, o);

	if (!rc)
		rc = properties_read_class(x, o);
	if (!rc)
		rc = properties_read_tags(x, o);
	return rc;
}
