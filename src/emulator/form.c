/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/form.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A field's value, and all fields' names together (protocol 4.2.1). */
enum {
	HEADERS_MAX = 8192,
	NAMES_MAX = 8192,
	FIELD_MAX = 2 << 20,
};

enum state {
	ST_BOUNDARY, /* before the first part */
	ST_AFTER,    /* right behind a boundary */
	ST_HEADERS,
	ST_FIELD,
	ST_FILE,
	ST_DONE,
};

struct form {
	const struct form_events *events;
	void *arg;
	enum state state;
	char *delimiter; /* CR LF -- boundary */
	struct buf pending;
	struct kvs fields;
	char *name; /* of the part that is being read */
	size_t names_len;
	bool has_file;
	bool is_complete;
};

static char *boundary_of(const char *content_type)
{
	const char *p =
		content_type ? strcasestr(content_type, "boundary=") : NULL;
	size_t len;

	if (!p || strncasecmp(content_type, "multipart/form-data", 19) != 0)
		return NULL;
	p += 9;
	if (*p == '"') {
		p++;
		len = strcspn(p, "\"");
	} else {
		len = strcspn(p, "; \t");
	}
	return len ? str_printf("\r\n--%.*s", (int)len, p) : NULL;
}

int form_new(const char *content_type, const struct form_events *events,
	     void *arg, struct form **out)
{
	struct form *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->events = events;
	f->arg = arg;
	f->delimiter = boundary_of(content_type);
	if (!f->delimiter) {
		free(f);
		return -EINVAL;
	}
	/* The first boundary has no line before it. */
	buf_adds(&f->pending, "\r\n");
	*out = f;
	return 0;
}

void form_free(struct form *f)
{
	if (!f)
		return;
	free(f->delimiter);
	free(f->name);
	buf_release(&f->pending);
	kvs_release(&f->fields);
	free(f);
}

const struct kvs *form_fields(const struct form *f)
{
	return &f->fields;
}

bool form_has_file(const struct form *f)
{
	return f->has_file;
}

bool form_is_complete(const struct form *f)
{
	return f->is_complete;
}

static void consume(struct form *f, size_t len)
{
	memmove(f->pending.data, f->pending.data + len, f->pending.len - len);
	buf_truncate(&f->pending, f->pending.len - len);
}

static char *find(const struct form *f, const char *what)
{
	return f->pending.len ? memmem(f->pending.data, f->pending.len, what,
				       strlen(what))
			      : NULL;
}

/* name="value" in a header line; free() it. */
static char *attribute(const char *line, const char *name)
{
	AUTO_FREE char *key = str_printf("; %s=\"", name);
	const char *p = key ? strcasestr(line, key) : NULL;
	const char *end;

	if (!p)
		return NULL;
	p += strlen(key);
	end = strchr(p, '"');
	return end ? strndup(p, (size_t)(end - p)) : NULL;
}

static char *header_line(char *headers, const char *name)
{
	for (char *line = headers; line && *line;) {
		char *end = strstr(line, "\r\n");
		size_t len = end ? (size_t)(end - line) : strlen(line);

		if (strncasecmp(line, name, strlen(name)) == 0)
			return strndup(line + strlen(name), len - strlen(name));
		line = end ? end + 2 : NULL;
	}
	return NULL;
}

static int start_part(struct form *f, char *headers)
{
	AUTO_FREE char *disposition =
		header_line(headers, "Content-Disposition:");
	AUTO_FREE char *type = header_line(headers, "Content-Type:");
	AUTO_FREE char *filename = NULL;
	const char *t = type ? type + strspn(type, " ") : NULL;

	if (!disposition)
		return -EINVAL;
	free(f->name);
	f->name = attribute(disposition, "name");
	if (!f->name)
		return -EINVAL;
	f->names_len += strlen(f->name);
	if (f->names_len > NAMES_MAX)
		return -EMSGSIZE;
	if (strcasecmp(f->name, "file") != 0) {
		f->state = ST_FIELD;
		return 0;
	}
	filename = attribute(disposition, "filename");
	f->has_file = true;
	f->state = ST_FILE;
	return f->events->file(f->arg, filename ? filename : "", t);
}

/* Each step: 1 it went on, 0 more bytes are needed, negative an error. */

static int step_boundary(struct form *f)
{
	const char *hit = find(f, f->delimiter);

	if (!hit)
		return f->pending.len > HEADERS_MAX ? -EINVAL : 0;
	consume(f, (size_t)(hit - f->pending.data) + strlen(f->delimiter));
	f->state = ST_AFTER;
	return 1;
}

static int step_after(struct form *f)
{
	if (f->pending.len < 2)
		return 0;
	if (memcmp(f->pending.data, "--", 2) == 0) {
		f->state = ST_DONE;
		return 1;
	}
	if (memcmp(f->pending.data, "\r\n", 2) != 0)
		return -EINVAL;
	consume(f, 2);
	f->state = ST_HEADERS;
	return 1;
}

static int step_headers(struct form *f)
{
	char *end = find(f, "\r\n\r\n");
	AUTO_FREE char *headers = NULL;
	int rc;

	if (!end)
		return f->pending.len > HEADERS_MAX ? -EMSGSIZE : 0;
	headers = strndup(f->pending.data, (size_t)(end - f->pending.data));
	if (!headers)
		return -ENOMEM;
	consume(f, (size_t)(end - f->pending.data) + 4);
	rc = start_part(f, headers);
	return rc < 0 ? rc : 1;
}

static int step_field(struct form *f)
{
	char *end = find(f, f->delimiter);
	AUTO_FREE char *value = NULL;

	if ((end ? (size_t)(end - f->pending.data) : f->pending.len) >
	    FIELD_MAX)
		return -EMSGSIZE;
	if (!end)
		return 0;
	value = strndup(f->pending.data, (size_t)(end - f->pending.data));
	if (!value || kvs_add(&f->fields, f->name, value) < 0)
		return -ENOMEM;
	consume(f, (size_t)(end - f->pending.data) + strlen(f->delimiter));
	f->state = ST_AFTER;
	return 1;
}

static int step_file(struct form *f)
{
	const char *end = find(f, f->delimiter);
	size_t keep = strlen(f->delimiter) - 1;
	size_t len;
	int rc;

	if (end)
		len = (size_t)(end - f->pending.data);
	else if (f->pending.len > keep)
		len = f->pending.len - keep;
	else
		return 0;
	rc = len ? f->events->data(f->arg, f->pending.data, len) : 0;
	if (rc < 0)
		return rc;
	consume(f, len);
	if (!end)
		return 0;
	f->is_complete = true;
	f->state = ST_DONE; /* what follows the file is ignored */
	return 1;
}

static int step(struct form *f)
{
	switch (f->state) {
	case ST_BOUNDARY:
		return step_boundary(f);
	case ST_AFTER:
		return step_after(f);
	case ST_HEADERS:
		return step_headers(f);
	case ST_FIELD:
		return step_field(f);
	case ST_FILE:
		return step_file(f);
	case ST_DONE:
		buf_reset(&f->pending);
		return 0;
	}
	return 0;
}

int form_feed(struct form *f, const void *data, size_t len)
{
	int rc;

	buf_add(&f->pending, data, len);
	if (buf_error(&f->pending) < 0)
		return buf_error(&f->pending);
	do {
		rc = step(f);
	} while (rc > 0);
	return rc;
}
