/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"

void oss_object_release(struct oss_object *o)
{
	free(o->version_id);
	free(o->storage_class);
	free(o->type);
	free(o->content_type);
	kvs_release(&o->meta);
	kvs_release(&o->kept);
	memset(o, 0, sizeof(*o));
}

int oss_object_copy(struct oss_object *dst, const struct oss_object *src)
{
	*dst = *src;
	dst->version_id = NULL;
	dst->storage_class = NULL;
	dst->type = NULL;
	dst->content_type = NULL;
	dst->meta = (struct kvs)KVS_INIT;
	dst->kept = (struct kvs)KVS_INIT;
	if (str_set(&dst->version_id, src->version_id) < 0 ||
	    str_set(&dst->storage_class, src->storage_class) < 0 ||
	    str_set(&dst->type, src->type) < 0 ||
	    str_set(&dst->content_type, src->content_type) < 0 ||
	    kvs_copy(&dst->meta, &src->meta) < 0 ||
	    kvs_copy(&dst->kept, &src->kept) < 0) {
		oss_object_release(dst);
		return -ENOMEM;
	}
	return 0;
}

void oss_put_result_release(struct oss_put_result *r)
{
	free(r->version_id);
	r->version_id = NULL;
	free(r->body_type);
	r->body_type = NULL;
	buf_release(&r->body);
}

void oss_list_page_release(struct oss_list_page *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->entries[i].key);
	free(p->entries);
	p->entries = NULL;
	p->count = 0;
	free(p->next_token);
	p->next_token = NULL;
}

void oss_uploads_free(struct oss_upload *uploads, size_t count)
{
	if (!uploads)
		return;
	for (size_t i = 0; i < count; i++) {
		free(uploads[i].key);
		free(uploads[i].upload_id);
	}
	free(uploads);
}

/* A word of OSS's as a field: bare when it is plain, else quoted. */
static const char *field(char *out, size_t size, const char *text)
{
	const char *plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
			    "wxyz0123456789-_.";

	if (!*text)
		return "-";
	if (text[strspn(text, plain)] == '\0')
		return text;
	return log_quote(out, size, text);
}

const char *oss_reply_describe(const struct oss_reply *r, char *out,
			       size_t size)
{
	char code[80];
	char id[80];
	char ec[40];
	char message[560];

	/* Cut to the room there is: a line of the log, not data. */
	(void)snprintf(out, size,
		       "http=%d code=%s request_id=%s ec=%s message=%s",
		       r->http, field(code, sizeof(code), r->code),
		       field(id, sizeof(id), r->request_id),
		       field(ec, sizeof(ec), r->ec),
		       log_quote(message, sizeof(message), r->message));
	return out;
}

static ssize_t read_memory(void *arg, void *to, size_t len, uint64_t off)
{
	const struct buf *b = arg;

	if (off >= b->len)
		return 0;
	if (len > b->len - off)
		len = b->len - off;
	memcpy(to, b->data + off, len);
	return (ssize_t)len;
}

struct oss_source oss_memory_source(const struct buf *b)
{
	return (struct oss_source){.read = read_memory,
				   .arg = (void *)(uintptr_t)b,
				   .size = b->len};
}

bool oss_reply_is_spoilt(const struct oss_reply *r)
{
	return strcmp(r->code, "CrcMismatch") == 0;
}

bool oss_type_is_link(const char *type)
{
	return type && strcmp(type, "Symlink") == 0;
}
