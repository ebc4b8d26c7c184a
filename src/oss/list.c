/* SPDX-License-Identifier: Apache-2.0 */
/** @file Many keys at once: listings, DeleteMultipleObjects. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "oss/answers.h"
#include "oss/call.h"
#include "oss/headers.h"
#include "util/codec.h"

enum {
	PAGE_KEYS = 1000,
	/* 1,000 keys of 1,023 bytes, three characters each, and the rest. */
	PAGE_BYTES_MAX = 8 << 20,
	DELETE_BYTES_MAX = 2 << 20, /* what OSS takes (4.7) */
	/* One more key: each byte may become six, as &quot;. */
	DELETE_KEY_BYTES = 6 * OSS_KEY_MAX + 64,
};

/* ---- ListObjectsV2 ----------------------------------------------------- */

struct listing {
	const struct oss_list *asked;
	struct oss_list_page *page;
};

static int accept_list(void *arg, const struct http_response *r,
		       struct oss_reply *reply)
{
	const struct listing *l = arg;

	(void)reply;
	return answer_list(r->body.data, r->body.len, l->asked, l->page);
}

static int list_query(const struct oss_list *l, struct kvs *query)
{
	const struct {
		const char *name;
		const char *value;
	} words[] = {
		{"prefix",             l->prefix                       },
		{"delimiter",          l->delimiter                    },
		{"start-after",        l->token ? NULL : l->start_after},
		{"continuation-token", l->token                        },
	};
	int rc = kvs_add(query, "list-type", "2");

	if (rc == 0)
		rc = kvs_add(query, "encoding-type", "url");
	if (rc == 0)
		rc = kvs_addf(query, "max-keys", "%d",
			      l->max_keys > 0 ? l->max_keys : PAGE_KEYS);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(words); i++)
		if (words[i].value && *words[i].value)
			rc = kvs_add(query, words[i].name, words[i].value);
	return rc;
}

int oss_list_objects(void *self, const struct oss_list *l,
		     const struct oss_ctl *ctl, struct oss_list_page *out)
{
	struct listing listing = {l, out};
	struct oss_call call = {.name = "ListObjectsV2",
				.method = "GET",
				.answer_max = PAGE_BYTES_MAX,
				.expected_size = PAGE_BYTES_MAX,
				.accept = accept_list,
				.arg = &listing};
	int rc;

	*out = (struct oss_list_page){.count = 0};
	rc = list_query(l, &call.query);
	if (rc == 0)
		rc = oss_call_do(self, &call, ctl, &out->reply);
	oss_call_release(&call);
	return rc;
}

/* ---- DeleteMultipleObjects --------------------------------------------- */

struct deletion {
	const char *const *keys;
	size_t count;
	bool *done;  /* for each */
	size_t left; /* of those that go in XML */
};

/* OSS answers in the order of the request: look from the last hit on. */
struct deletion_cursor {
	struct deletion *d;
	size_t at;
};

static void on_deleted(void *arg, const char *key)
{
	struct deletion_cursor *c = arg;

	for (size_t n = 0; n < c->d->count; n++) {
		size_t i = (c->at + n) % c->d->count;

		if (c->d->done[i] || strcmp(c->d->keys[i], key) != 0)
			continue;
		c->d->done[i] = true;
		c->d->left--;
		c->at = i + 1;
		return;
	}
}

static int accept_deleted(void *arg, const struct http_response *r,
			  struct oss_reply *reply)
{
	struct deletion_cursor c = {.d = arg, .at = 0};

	(void)reply;
	return answer_deleted(r->body.data, r->body.len, on_deleted, &c);
}

static int delete_body(const struct deletion *d, struct buf *xml)
{
	buf_adds(xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<Delete><Quiet>false</Quiet>");
	for (size_t i = 0; i < d->count; i++) {
		if (d->done[i] || xml_cannot_hold(d->keys[i]))
			continue;
		if (xml->len + DELETE_KEY_BYTES > DELETE_BYTES_MAX)
			break; /* the next round's */
		buf_adds(xml, "<Object><Key>");
		xml_escape(xml, d->keys[i]);
		buf_adds(xml, "</Key></Object>");
	}
	buf_adds(xml, "</Delete>");
	return buf_error(xml);
}

static int delete_headers(const struct buf *xml, struct kvs *headers)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	unsigned char md5[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int rc;

	if (EVP_Digest(xml->data, xml->len, md5, &len, EVP_md5(), NULL) != 1)
		return -EIO;
	base64_encode(&text, md5, len);
	rc = buf_error(&text);
	if (rc == 0)
		rc = kvs_add(headers, "Content-MD5", buf_str(&text));
	if (rc == 0)
		rc = kvs_add(headers, "Content-Type", "application/xml");
	return rc;
}

/* One request for all that is left, or as much of it as one takes. */
static int delete_round(struct oss_client *c, struct deletion *d,
			const struct oss_ctl *ctl, struct oss_reply *reply)
{
	AUTO(buf_release) struct buf xml = BUF_INIT;
	struct oss_source body;
	struct oss_ctl own = ctl ? *ctl : (struct oss_ctl){.cancel = NULL};
	struct oss_call call = {.name = "DeleteMultipleObjects",
				.method = "POST",
				.body = &body,
				.answer_max = PAGE_BYTES_MAX,
				.accept = accept_deleted,
				.arg = d};
	int rc = delete_body(d, &xml);

	own.progress = NULL;
	if (rc == 0)
		rc = delete_headers(&xml, &call.headers);
	if (rc == 0)
		rc = kvs_add(&call.query, "delete", "");
	if (rc == 0)
		rc = kvs_add(&call.query, "encoding-type", "url");
	body = oss_memory_source(&xml);
	if (rc == 0)
		rc = oss_call_do(c, &call, &own, reply);
	oss_call_release(&call);
	return rc;
}

/* Keys that no XML can hold go one by one. */
static int delete_odd_ones(struct oss_client *c, struct deletion *d,
			   const struct oss_ctl *ctl, struct oss_reply *reply)
{
	int first = 0;

	for (size_t i = 0; i < d->count; i++) {
		int rc;

		if (!xml_cannot_hold(d->keys[i]))
			continue;
		d->left--;
		rc = oss_remove(c, d->keys[i], ctl, reply);
		d->done[i] = rc == 0;
		if (rc < 0 && first == 0)
			first = rc;
	}
	return first;
}

/* OSS may leave some out under load (4.7): they are asked for again, as long
   as each round gets somewhere. */
static int delete_rounds(struct oss_client *c, struct deletion *d,
			 const struct oss_ctl *ctl, struct oss_reply *reply)
{
	size_t before;
	int rc = 0;

	do {
		before = d->left;
		rc = delete_round(c, d, ctl, reply);
	} while (rc == 0 && d->left && d->left < before);
	if (rc == 0 && d->left) {
		oss_reply_set(reply, "NotDeleted",
			      "OSS left out keys that were to be deleted");
		rc = -EIO;
	}
	return rc;
}

int oss_remove_many(void *self, const char *const *keys, size_t count,
		    const struct oss_ctl *ctl, bool *failed,
		    struct oss_reply *reply)
{
	struct oss_reply spare = {.http = 0};
	struct oss_reply *r = reply ? reply : &spare;
	struct deletion d = {.keys = keys, .count = count, .left = count};
	struct oss_reply odd = {.http = 0};
	int odd_rc;
	int rc = 0;

	*r = (struct oss_reply){.http = 0};
	if (count == 0 || count > OSS_DELETE_MAX)
		return -EINVAL;
	d.done = calloc(count, sizeof(*d.done));
	if (!d.done)
		return -ENOMEM;
	odd_rc = delete_odd_ones(self, &d, ctl, &odd);
	if (d.left)
		rc = delete_rounds(self, &d, ctl, r);
	if (rc == 0 && odd_rc < 0) {
		rc = odd_rc;
		*r = odd;
	}
	for (size_t i = 0; failed && i < count; i++)
		failed[i] = !d.done[i];
	free(d.done);
	return rc;
}
