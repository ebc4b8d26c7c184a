/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "util/clock.h"
#include "util/codec.h"
#include "util/fileio.h"
#include "util/lock.h"
#include "util/log.h"

#define ANSWER_PRINT_MAX 4096

struct recordlog {
	struct lock lock; /* rank LOCK_LEAF; guards fd */
	int fd;
	char *path; /* NULL: standard output */
};

static void json_freep(json_t **j)
{
	json_decref(*j);
}

static void freep(struct recordlog **l)
{
	free(*l);
}

static json_t *text_or_null(const char *text)
{
	json_t *j = text ? json_string(text) : NULL;

	return j ? j : json_null(); /* not UTF-8: null */
}

/* NAME for text, NAME_base64 for the rest. */
static int set_bytes(json_t *line, const char *name, const struct buf *bytes)
{
	AUTO(buf_release) struct buf coded = BUF_INIT;
	AUTO(buf_release) struct buf coded_name = BUF_INIT;

	if (utf8_is_valid(buf_str(bytes), bytes->len))
		return json_object_set_new(
			line, name, json_stringn(buf_str(bytes), bytes->len));
	base64_encode(&coded, bytes->data, bytes->len);
	buf_addf(&coded_name, "%s_base64", name);
	return json_object_set_new(line, buf_str(&coded_name),
				   json_string(buf_str(&coded)));
}

static bool is_of_interest(const char *header)
{
	static const char *const names[] = {"host", "date", "user-agent",
					    "content-md5"};

	if (!strncasecmp(header, "x-oss-", 6))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcasecmp(header, names[i]))
			return true;
	return false;
}

static json_t *headers_json(const struct kvs *headers)
{
	json_t *j = json_object();

	for (size_t i = 0; j && i < headers->count; i++)
		if (is_of_interest(headers->items[i].name))
			json_object_set_new(
				j, headers->items[i].name,
				text_or_null(headers->items[i].value));
	return j;
}

static json_t *record_json(const struct record *r)
{
	AUTO(json_freep) json_t *j = NULL;
	char when[CLOCK_TEXT_LEN];

	clock_rfc3339(when, r->time_ms);
	j = json_pack("{s:s, s:o, s:b, s:s, s:o, s:b, s:i, s:o, s:o, s:I}",
		      "time", when, "path", text_or_null(r->target), "verified",
		      r->is_verified, "reason", r->reason, "id",
		      text_or_null(r->id), "duplicate", r->is_duplicate,
		      "status", (int)r->status, "client",
		      text_or_null(r->client), "content_type",
		      text_or_null(kvs_get(r->headers, "Content-Type")),
		      "length", (json_int_t)r->body->len);
	if (!j || set_bytes(j, "body", r->body) < 0 ||
	    json_object_set_new(j, "fields",
				r->fields ? json_deep_copy(r->fields)
					  : json_null()) < 0 ||
	    json_object_set_new(j, "headers", headers_json(r->headers)) < 0)
		return NULL;
	if (r->answer->len <= ANSWER_PRINT_MAX &&
	    set_bytes(j, "answer", r->answer) < 0)
		return NULL;
	return take_ptr(j);
}

int record_format(const struct record *r, struct buf *line)
{
	AUTO(json_freep) json_t *j = record_json(r);
	char *dump = j ? json_dumps(j, JSON_COMPACT) : NULL;

	if (!dump)
		return -ENOMEM;
	buf_adds(line, dump);
	buf_addc(line, '\n');
	free(dump);
	return buf_error(line);
}

static int open_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : fd;
}

int recordlog_open(const char *path, struct recordlog **out)
{
	AUTO(freep) struct recordlog *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->fd = path ? open_path(path) : STDOUT_FILENO;
	if (l->fd < 0)
		return l->fd;
	if (str_set(&l->path, path) < 0) {
		close(l->fd);
		return -ENOMEM;
	}
	lock_init(&l->lock, LOCK_LEAF);
	*out = take_ptr(l);
	return 0;
}

void recordlog_close(struct recordlog *l)
{
	if (!l)
		return;
	if (l->path)
		close(l->fd);
	lock_destroy(&l->lock);
	free(l->path);
	free(l);
}

int recordlog_reopen(struct recordlog *l)
{
	int fd, old;

	if (!l->path)
		return 0;
	fd = open_path(l->path);
	if (fd < 0)
		return fd;
	lock_acquire(&l->lock);
	old = l->fd;
	l->fd = fd;
	lock_release(&l->lock);
	close(old);
	return 0;
}

void recordlog_write(struct recordlog *l, const struct record *r)
{
	AUTO(buf_release) struct buf line = BUF_INIT;
	int rc = record_format(r, &line);

	if (rc == 0) {
		lock_acquire(&l->lock);
		rc = fd_write_all(l->fd, line.data, line.len);
		lock_release(&l->lock);
	}
	if (rc < 0)
		log_err("record: a callback's line is lost: id=%s errno=%s",
			LOG_Q(r->id), strerrorname_np(-rc));
}
