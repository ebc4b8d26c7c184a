/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/reqlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "emulator/callback.h"
#include "emulator/exchange.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/fileio.h"
#include "util/lock.h"

struct request_log {
	struct lock lock; /* one line at a time */
	int fd;           /* -1: none */
};

int request_log_open(const char *path, struct request_log **out)
{
	struct request_log *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->fd = -1;
	if (path && strcmp(path, "-") == 0)
		l->fd = dup(STDOUT_FILENO);
	else if (path)
		l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			     0644);
	if (path && l->fd < 0) {
		int rc = -errno;

		free(l);
		return rc;
	}
	lock_init(&l->lock, LOCK_LEAF);
	*out = l;
	return 0;
}

void request_log_close(struct request_log *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	lock_destroy(&l->lock);
	free(l);
}

static void write_line(struct request_log *l, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	AUTO_FREE char *line = text ? str_printf("%s\n", text) : NULL;

	if (line) {
		lock_acquire(&l->lock);
		/* A full disk costs the log, not the request. */
		(void)!fd_write_all(l->fd, line, strlen(line));
		lock_release(&l->lock);
	}
	free(text);
	json_decref(j);
}

/* Keys may be refused ones: text that is not UTF-8 goes without. */
static void set_text(json_t *j, const char *name, const char *value)
{
	if (value && *value && json_object_set_new(j, name, json_string(value)))
		json_object_set_new(j, name, json_string("(not UTF-8)"));
}

static void set_number(json_t *j, const char *name, int64_t value)
{
	json_object_set_new(j, name, json_integer(value));
}

static json_t *common(const struct exchange *x, const char *operation)
{
	json_t *j = json_object();
	char when[CLOCK_TEXT_LEN];

	if (!j)
		return NULL;
	set_text(j, "time", clock_rfc3339(when, clock_real_ms()));
	set_text(j, "operation", operation);
	set_text(j, "bucket", x->req.bucket);
	set_text(j, "key", x->req.key);
	set_text(j, "request_id", x->req.id);
	return j;
}

static const char *auth_name(enum auth_kind k)
{
	switch (k) {
	case AUTH_NONE:
		return "anonymous";
	case AUTH_V1:
		return "v1";
	case AUTH_V1_QUERY:
		return "v1-url";
	case AUTH_V4:
		return "v4";
	case AUTH_V4_QUERY:
		return "v4-url";
	case AUTH_AWS4:
		return "aws4";
	case AUTH_AWS4_QUERY:
		return "aws4-url";
	case AUTH_FORM:
		return "form";
	}
	return "";
}

void request_log_request(struct request_log *l, const struct exchange *x,
			 uint64_t bytes_out)
{
	json_t *j;

	if (l->fd < 0)
		return;
	j = common(x, exchange_op_name(x));
	set_text(j, "method", x->req.method);
	set_text(j, "query", x->req.raw_query);
	set_text(j, "range", kvs_get(&x->req.headers, "Range"));
	set_number(j, "status", x->reply.status);
	set_text(j, "code", x->reply.code);
	set_number(j, "bytes_in", (int64_t)x->sink.received);
	set_number(j, "bytes_out", (int64_t)bytes_out);
	set_number(j, "ms", clock_mono_ms() - x->start_ms);
	set_text(j, "callback", x->callback_state);
	set_text(j, "auth", auth_name(x->auth));
	if (x->fault.kind != FAULT_NONE)
		set_text(j, "fault", fault_kind_name(x->fault.kind));
	set_text(j, "user_agent", kvs_get(&x->req.headers, "User-Agent"));
	set_number(j, "connection", (int64_t)x->connection);
	write_line(l, j);
}

void request_log_callback(struct request_log *l, const struct exchange *x,
			  const char *url, size_t body_len,
			  const struct callback_result *r)
{
	json_t *j;

	if (l->fd < 0)
		return;
	j = common(x, "Callback");
	set_text(j, "url", url);
	set_number(j, "status", r->status);
	set_text(j, "outcome", r->ok ? "ok" : "failed");
	set_text(j, "error", r->message);
	set_number(j, "bytes_out", (int64_t)body_len);
	set_number(j, "bytes_in", (int64_t)r->body.len);
	set_number(j, "ms", r->elapsed_ms);
	write_line(l, j);
}

/* ---- counters ---- */

enum { MAX_OPERATIONS = 64 };

struct counter {
	const char *operation; /* static text */
	uint64_t count;
};

struct stats {
	struct lock lock;
	uint64_t requests;
	uint64_t bytes_in;
	uint64_t bytes_out;
	struct counter counters[MAX_OPERATIONS];
	size_t count;
};

int stats_new(struct stats **out)
{
	struct stats *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	lock_init(&s->lock, LOCK_LEAF);
	*out = s;
	return 0;
}

void stats_free(struct stats *s)
{
	if (!s)
		return;
	lock_destroy(&s->lock);
	free(s);
}

static struct counter *counter_of(struct stats *s, const char *operation)
	ACK_REQUIRES(s->lock)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->counters[i].operation, operation) == 0)
			return &s->counters[i];
	if (s->count == MAX_OPERATIONS)
		return NULL;
	s->counters[s->count].operation = operation;
	return &s->counters[s->count++];
}

void stats_add(struct stats *s, const char *operation, uint64_t bytes_in,
	       uint64_t bytes_out)
{
	struct counter *c;

	lock_acquire(&s->lock);
	s->requests++;
	s->bytes_in += bytes_in;
	s->bytes_out += bytes_out;
	c = counter_of(s, operation);
	if (c)
		c->count++;
	lock_release(&s->lock);
}

void stats_reset(struct stats *s)
{
	lock_acquire(&s->lock);
	s->requests = 0;
	s->bytes_in = 0;
	s->bytes_out = 0;
	s->count = 0;
	memset(s->counters, 0, sizeof(s->counters));
	lock_release(&s->lock);
}

json_t *stats_json(struct stats *s)
{
	json_t *ops = json_object();
	json_t *j;

	lock_acquire(&s->lock);
	for (size_t i = 0; i < s->count; i++)
		json_object_set_new(
			ops, s->counters[i].operation,
			json_integer((json_int_t)s->counters[i].count));
	j = json_pack("{s:I, s:I, s:I, s:o}", "requests",
		      (json_int_t)s->requests, "bytes_in",
		      (json_int_t)s->bytes_in, "bytes_out",
		      (json_int_t)s->bytes_out, "operations", ops);
	lock_release(&s->lock);
	return j;
}
