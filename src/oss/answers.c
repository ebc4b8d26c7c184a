/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/answers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oss/xml.h"
#include "util/clock.h"
#include "util/codec.h"

void oss_etag_set(char out[72], const char *text)
{
	static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
	static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t n = 0;

	for (; *text && n < 71; text++) {
		const char *at = strchr(lower, *text);
		const char *from = at ? upper + (at - lower) : text;

		if (*text != '"' && *text != ' ')
			out[n++] = *from;
	}
	out[n] = '\0';
}

/* ---- errors ------------------------------------------------------------ */

static int error_open(void *arg, int depth, const char *name)
{
	(void)arg;
	return xml_check_root(depth, name, "Error");
}

static void copy_word(char *to, size_t size, const char *text)
{
	(void)snprintf(to, size, "%s", text);
}

static int error_close(void *arg, int depth, const char *parent,
		       const char *name, const char *text)
{
	struct oss_reply *r = arg;

	(void)parent;
	if (depth != 2)
		return 0;
	if (strcmp(name, "Code") == 0)
		copy_word(r->code, sizeof(r->code), text);
	else if (strcmp(name, "Message") == 0)
		copy_word(r->message, sizeof(r->message), text);
	else if (strcmp(name, "EC") == 0)
		copy_word(r->ec, sizeof(r->ec), text);
	else if (strcmp(name, "RequestId") == 0)
		copy_word(r->request_id, sizeof(r->request_id), text);
	return 0;
}

int answer_error(const char *xml, size_t len, struct oss_reply *r)
{
	struct oss_reply got = {0};
	struct xml_handler h = {error_open, error_close, &got};
	int rc = xml_parse(xml, len, &h);

	/* Further down stands the key, with whatever bytes it has: what came
	   before is good. */
	if (rc == -ENOMEM || !got.code[0])
		return rc < 0 ? rc : -EBADMSG;
	memcpy(r->code, got.code, sizeof(r->code));
	memcpy(r->message, got.message, sizeof(r->message));
	if (got.ec[0])
		memcpy(r->ec, got.ec, sizeof(r->ec));
	if (!r->request_id[0])
		memcpy(r->request_id, got.request_id, sizeof(r->request_id));
	return 0;
}

/* ---- results of copies and Initiate ------------------------------------ */

struct copy_reader {
	char etag[72];
	int64_t modified_ms;
};

static int copy_open(void *arg, int depth, const char *name)
{
	(void)arg;
	if (depth == 1 && strcmp(name, "CopyObjectResult") != 0 &&
	    strcmp(name, "CopyPartResult") != 0)
		return -EBADMSG;
	return 0;
}

static int copy_close(void *arg, int depth, const char *parent,
		      const char *name, const char *text)
{
	struct copy_reader *c = arg;

	(void)parent;
	if (depth != 2)
		return 0;
	if (strcmp(name, "ETag") == 0)
		oss_etag_set(c->etag, text);
	else if (strcmp(name, "LastModified") == 0 &&
		 clock_parse_rfc3339(text, &c->modified_ms) < 0)
		return -EBADMSG;
	return 0;
}

int answer_copy(const char *xml, size_t len, char etag[72],
		int64_t *modified_ms)
{
	struct copy_reader c = {.modified_ms = 0};
	struct xml_handler h = {copy_open, copy_close, &c};
	int rc = xml_parse(xml, len, &h);

	if (rc == 0 && !c.etag[0])
		rc = -EBADMSG;
	if (rc < 0)
		return rc;
	memcpy(etag, c.etag, sizeof(c.etag));
	if (modified_ms)
		*modified_ms = c.modified_ms;
	return 0;
}

int answer_initiate(const char *xml, size_t len, char **upload_id)
{
	AUTO_FREE char *id = NULL;
	int rc = answer_word(xml, len, "InitiateMultipartUploadResult",
			     "UploadId", &id);

	if (rc == -ENOENT || (rc == 0 && !*id))
		return -EBADMSG;
	if (rc == 0)
		*upload_id = take_ptr(id);
	return rc;
}

/* ---- tags, single words ------------------------------------------------ */

struct tags_reader {
	struct buf out;
	char *key;
	char *value;
};

static int tags_open(void *arg, int depth, const char *name)
{
	(void)arg;
	return xml_check_root(depth, name, "Tagging");
}

static int tag_append(struct tags_reader *t)
{
	if (!t->key)
		return -EBADMSG;
	if (t->out.len)
		buf_addc(&t->out, '&');
	percent_encode(&t->out, t->key, strlen(t->key), PERCENT_ALL);
	buf_addc(&t->out, '=');
	if (t->value)
		percent_encode(&t->out, t->value, strlen(t->value),
			       PERCENT_ALL);
	free(take_ptr(t->key));
	free(take_ptr(t->value));
	return buf_error(&t->out);
}

static int tags_close(void *arg, int depth, const char *parent,
		      const char *name, const char *text)
{
	struct tags_reader *t = arg;

	(void)depth;
	if (strcmp(parent, "Tag") == 0 && strcmp(name, "Key") == 0)
		return str_set(&t->key, text);
	if (strcmp(parent, "Tag") == 0 && strcmp(name, "Value") == 0)
		return str_set(&t->value, text);
	return strcmp(name, "Tag") == 0 ? tag_append(t) : 0;
}

int answer_tagging(const char *xml, size_t len, char **tags)
{
	struct tags_reader t = {.out = BUF_INIT};
	struct xml_handler h = {tags_open, tags_close, &t};
	int rc = xml_parse(xml, len, &h);
	char *text = NULL;

	if (rc == 0) {
		text = str_dup(buf_str(&t.out));
		rc = text ? 0 : -ENOMEM;
	}
	buf_release(&t.out);
	free(t.key);
	free(t.value);
	if (rc == 0)
		*tags = text;
	return rc;
}

struct word_reader {
	const char *root;
	const char *name;
	char *text;
};

static int word_open(void *arg, int depth, const char *name)
{
	const struct word_reader *w = arg;

	return xml_check_root(depth, name, w->root);
}

static int word_close(void *arg, int depth, const char *parent,
		      const char *name, const char *text)
{
	struct word_reader *w = arg;

	(void)depth;
	(void)parent;
	if (w->text || strcmp(name, w->name) != 0)
		return 0;
	return str_set(&w->text, text);
}

int answer_word(const char *xml, size_t len, const char *root, const char *name,
		char **out)
{
	struct word_reader w = {.root = root, .name = name};
	struct xml_handler h = {word_open, word_close, &w};
	int rc = xml_parse(xml, len, &h);

	if (rc == 0 && !w.text)
		rc = -ENOENT;
	if (rc < 0)
		free(w.text);
	else
		*out = w.text;
	return rc;
}

/* ---- what we write ----------------------------------------------------- */

void xml_escape(struct buf *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			buf_adds(out, "&amp;");
			break;
		case '<':
			buf_adds(out, "&lt;");
			break;
		case '>':
			buf_adds(out, "&gt;");
			break;
		case '"':
			buf_adds(out, "&quot;");
			break;
		case '\t':
		case '\n':
		case '\r':
			buf_addf(out, "&#x%X;", (unsigned)*text);
			break;
		default:
			buf_addc(out, *text);
		}
	}
}

bool xml_cannot_hold(const char *text)
{
	for (const char *s = text; *s; s++)
		if ((unsigned char)*s < 0x20 && !strchr("\t\n\r", *s))
			return true;
	/* U+FFFE and U+FFFF are no characters of XML either. */
	return strstr(text, "\xef\xbf\xbe") || strstr(text, "\xef\xbf\xbf") ||
	       !utf8_is_valid(text, strlen(text));
}
