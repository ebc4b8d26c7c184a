/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/headers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oss/answers.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/strnum.h"

void oss_reply_set(struct oss_reply *r, const char *code, const char *message)
{
	(void)snprintf(r->code, sizeof(r->code), "%s", code);
	(void)snprintf(r->message, sizeof(r->message), "%s", message);
}

int oss_check_key(const char *key, struct oss_reply *reply)
{
	size_t len = strlen(key);
	int rc = 0;

	if (len > OSS_KEY_MAX)
		rc = -ENAMETOOLONG;
	else if (len == 0 || *key == '/' || *key == '\\' ||
		 !utf8_is_valid(key, len))
		rc = -EINVAL;
	if (rc < 0 && reply) {
		*reply = (struct oss_reply){.http = 0};
		oss_reply_set(reply, "InvalidObjectName",
			      "OSS takes no such key");
	}
	return rc;
}

static int add_all(struct kvs *headers, const struct kvs *list,
		   const char *prefix)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && list && i < list->count; i++) {
		AUTO_FREE char *name =
			str_printf("%s%s", prefix, list->items[i].name);

		rc = name ? kvs_set(headers, name, list->items[i].value)
			  : -ENOMEM;
	}
	return rc;
}

int oss_add_props(struct kvs *headers, const struct oss_props *props)
{
	const char *type = props && props->content_type
				   ? props->content_type
				   : "application/octet-stream";
	int rc = kvs_set(headers, "Content-Type", type);

	if (rc < 0 || !props)
		return rc;
	rc = add_all(headers, props->meta, "x-oss-meta-");
	if (rc == 0)
		rc = add_all(headers, props->headers, "");
	if (rc == 0 && props->forbid_overwrite)
		rc = kvs_set(headers, "x-oss-forbid-overwrite", "true");
	return rc;
}

int oss_add_callback(struct kvs *headers, const struct oss_callback *cb)
{
	int rc = 0;

	if (!cb || !cb->callback)
		return 0;
	rc = kvs_set(headers, "x-oss-callback", cb->callback);
	if (rc == 0 && cb->vars)
		rc = kvs_set(headers, "x-oss-callback-var", cb->vars);
	return rc;
}

int oss_add_copy_source(struct kvs *headers, const char *bucket,
			const char *key, const char *etag)
{
	AUTO(buf_release) struct buf source = BUF_INIT;
	int rc;

	buf_addf(&source, "/%s/", bucket);
	percent_encode(&source, key, strlen(key), PERCENT_PATH);
	rc = buf_error(&source);
	if (rc == 0)
		rc = kvs_set(headers, "x-oss-copy-source", buf_str(&source));
	if (rc == 0 && etag)
		rc = kvs_addf(headers, "x-oss-copy-source-if-match", "\"%s\"",
			      etag);
	return rc;
}

bool oss_read_crc(const struct kvs *headers, uint64_t *crc)
{
	const char *text = kvs_get(headers, "x-oss-hash-crc64ecma");

	return text && parse_u64(text, 0, UINT64_MAX, crc) == 0;
}

int oss_read_result(const struct kvs *headers, struct oss_put_result *out)
{
	const char *etag = kvs_get(headers, "ETag");
	const char *version = kvs_get(headers, "x-oss-version-id");

	if (etag)
		oss_etag_set(out->etag, etag);
	out->has_crc64 = oss_read_crc(headers, &out->crc64);
	out->modified_ms = out->reply.server_ms;
	return version ? str_set(&out->version_id, version) : 0;
}

/* ---- reading ----------------------------------------------------------- */

int oss_read_length(const struct kvs *headers, uint64_t *len)
{
	const char *text = kvs_get(headers, "Content-Length");

	if (!text || parse_u64(text, 0, INT64_MAX, len) < 0)
		return -EBADMSG;
	return 0;
}

/* Digits up to a character that must follow, "" for the end. */
static int take_number(const char **at, const char *until, uint64_t *out)
{
	size_t n = strspn(*at, "0123456789");
	AUTO_FREE char *digits = strndup(*at, n);

	if (!digits)
		return -ENOMEM;
	*at += n;
	if (**at != *until || parse_u64(digits, 0, INT64_MAX, out) < 0)
		return -EBADMSG;
	*at += *until != '\0';
	return 0;
}

int oss_read_range(const struct kvs *headers, uint64_t *first, uint64_t *last,
		   uint64_t *total)
{
	const char *at = kvs_get(headers, "Content-Range");
	uint64_t got[3];

	if (!at || strncmp(at, "bytes ", 6) != 0)
		return -EBADMSG;
	at += 6;
	if (take_number(&at, "-", &got[0]) < 0 ||
	    take_number(&at, "/", &got[1]) < 0 ||
	    take_number(&at, "", &got[2]) < 0)
		return -EBADMSG;
	if (got[0] > got[1] || got[1] >= got[2])
		return -EBADMSG;
	*first = got[0];
	*last = got[1];
	*total = got[2];
	return 0;
}

static bool is_kept(const char *name)
{
	static const char *const kept[] = {
		"Cache-Control", "Content-Disposition", "Content-Encoding",
		"Content-Language", "Expires"};

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (strcasecmp(name, kept[i]) == 0)
			return true;
	return false;
}

static int read_lists(const struct kvs *headers, struct oss_object *o)
{
	static const char meta[] = "x-oss-meta-";
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < headers->count; i++) {
		const struct kv *h = &headers->items[i];

		if (strncasecmp(h->name, meta, strlen(meta)) == 0)
			rc = kvs_add(&o->meta, h->name + strlen(meta),
				     h->value);
		else if (is_kept(h->name))
			rc = kvs_add(&o->kept, h->name, h->value);
	}
	return rc;
}

static int read_words(const struct kvs *headers, struct oss_object *o)
{
	const struct {
		const char *name;
		char **to;
	} words[] = {
		{"x-oss-version-id",    &o->version_id   },
		{"x-oss-storage-class", &o->storage_class},
		{"x-oss-object-type",   &o->type         },
		{"Content-Type",        &o->content_type },
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(words); i++) {
		const char *value = kvs_get(headers, words[i].name);

		if (value)
			rc = str_set(words[i].to, value);
	}
	return rc;
}

int oss_read_object(const struct kvs *headers, struct oss_object *out)
{
	struct oss_object o = {.size = 0};
	const char *etag = kvs_get(headers, "ETag");
	const char *modified = kvs_get(headers, "Last-Modified");
	const char *tags = kvs_get(headers, "x-oss-tagging-count");
	uint64_t count = 0;
	int rc;

	if (etag)
		oss_etag_set(o.etag, etag);
	if (modified)
		(void)clock_parse_http_date(modified, &o.modified_ms);
	if (tags && parse_u64(tags, 0, 1000, &count) == 0)
		o.tag_count = (int)count;
	o.has_crc64 = oss_read_crc(headers, &o.crc64);
	rc = read_words(headers, &o);
	if (rc == 0)
		rc = read_lists(headers, &o);
	if (rc < 0) {
		oss_object_release(&o);
		return rc;
	}
	*out = o;
	return 0;
}
