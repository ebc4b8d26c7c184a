/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/xml.h"

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "util/base.h"
#include "util/buf.h"

struct reader {
	XML_Parser parser;
	const struct xml_handler *handler;
	char *stack[XML_DEPTH_MAX]; /* names of the open elements */
	int depth;
	struct buf text; /* of the innermost element */
	int err;
};

static void stop(struct reader *r, int err)
{
	if (r->err == 0)
		r->err = err;
	(void)XML_StopParser(r->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon ? colon + 1 : name;
}

static void on_open(void *arg, const char *name, const char **attributes)
{
	struct reader *r = arg;
	char *own;
	int rc = 0;

	(void)attributes;
	if (r->err)
		return;
	if (r->depth == XML_DEPTH_MAX) {
		stop(r, -EBADMSG);
		return;
	}
	own = str_dup(local_name(name));
	if (!own) {
		stop(r, -ENOMEM);
		return;
	}
	r->stack[r->depth++] = own;
	buf_reset(&r->text);
	if (r->handler->open)
		rc = r->handler->open(r->handler->arg, r->depth, own);
	if (rc < 0)
		stop(r, rc);
}

static void on_close(void *arg, const char *name)
{
	struct reader *r = arg;
	const char *parent;
	char *own;
	int rc;

	(void)name;
	if (r->err)
		return;
	own = r->stack[r->depth - 1];
	parent = r->depth > 1 ? r->stack[r->depth - 2] : "";
	rc = r->handler->close(r->handler->arg, r->depth, parent, own,
			       buf_str(&r->text));
	buf_reset(&r->text);
	r->depth--;
	free(own);
	if (rc < 0)
		stop(r, rc);
}

static void on_text(void *arg, const char *text, int len)
{
	struct reader *r = arg;

	if (r->err)
		return;
	buf_add(&r->text, text, (size_t)len);
	if (buf_error(&r->text) < 0)
		stop(r, buf_error(&r->text) == -ENOMEM ? -ENOMEM : -EBADMSG);
}

static void on_doctype(void *arg, const char *name, const char *system_id,
		       const char *public_id, int internal)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)internal;
	stop(arg, -EBADMSG);
}

static int run(struct reader *r, const char *data, size_t len)
{
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, on_open, on_close);
	XML_SetCharacterDataHandler(r->parser, on_text);
	XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
	if (XML_Parse(r->parser, data, (int)len, XML_TRUE) == XML_STATUS_OK &&
	    r->err == 0)
		return 0;
	if (r->err)
		return r->err;
	return XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM
								  : -EBADMSG;
}

int xml_check_root(int depth, const char *name, const char *want)
{
	return depth == 1 && strcmp(name, want) != 0 ? -EBADMSG : 0;
}

int xml_parse(const char *data, size_t len, const struct xml_handler *h)
{
	struct reader r = {.handler = h, .text = BUF_INIT_MAX(XML_TEXT_MAX)};
	int rc;

	if (!data || len == 0 || len > INT_MAX)
		return -EBADMSG;
	r.parser = XML_ParserCreate(NULL);
	if (!r.parser)
		return -ENOMEM;
	rc = run(&r, data, len);
	XML_ParserFree(r.parser);
	while (r.depth > 0)
		free(r.stack[--r.depth]);
	buf_release(&r.text);
	return rc;
}
