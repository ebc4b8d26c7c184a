/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/xml.h"

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_DEPTH = 16 };

void xml_begin(struct buf *out)
{
	buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	default:
		return NULL;
	}
}

void xml_text(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		const char *e = entity(*p);

		if (e)
			buf_adds(out, e);
		else if ((unsigned char)*p < 0x20)
			buf_addf(out, "&#x%X;", (unsigned)*p);
		else
			buf_addc(out, *p);
	}
}

void xml_open(struct buf *out, const char *name)
{
	buf_addc(out, '<');
	buf_adds(out, name);
	buf_addc(out, '>');
}

void xml_close(struct buf *out, const char *name)
{
	buf_adds(out, "</");
	buf_adds(out, name);
	buf_addc(out, '>');
}

void xml_elem(struct buf *out, const char *name, const char *text)
{
	xml_open(out, name);
	if (text)
		xml_text(out, text);
	xml_close(out, name);
}

void xml_elemf(struct buf *out, const char *name, const char *fmt, ...)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	xml_elem(out, name, buf_str(&text));
}

/* ---- in ---- */

struct parse {
	XML_Parser parser;
	struct xml_node *root;
	struct xml_node *stack[MAX_DEPTH];
	struct buf text[MAX_DEPTH];
	int depth;
	int err;
};

static void stop(struct parse *p, int err)
{
	if (!p->err)
		p->err = err;
	XML_StopParser(p->parser, XML_FALSE);
}

static void append_child(struct xml_node *parent, struct xml_node *n)
{
	/* Kept in reverse while parsing; turned round when the parent ends. */
	n->next = parent->children;
	parent->children = n;
}

static struct xml_node *reverse(struct xml_node *n)
{
	struct xml_node *done = NULL;

	while (n) {
		struct xml_node *next = n->next;

		n->next = done;
		done = n;
		n = next;
	}
	return done;
}

/* "ns:Name" counts as "Name"; the S3 namespace comes as an attribute. */
static const char *local_name(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon ? colon + 1 : name;
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **atts)
{
	struct parse *p = arg;
	struct xml_node *n;

	(void)atts;
	if (p->err)
		return;
	if (p->depth == MAX_DEPTH) {
		stop(p, -EINVAL);
		return;
	}
	n = calloc(1, sizeof(*n));
	if (n)
		n->name = str_dup(local_name(name));
	if (!n || !n->name) {
		free(n);
		stop(p, -ENOMEM);
		return;
	}
	if (p->depth)
		append_child(p->stack[p->depth - 1], n);
	else
		p->root = n;
	buf_reset(&p->text[p->depth]);
	p->stack[p->depth++] = n;
}

static void on_end(void *arg, const XML_Char *name)
{
	struct parse *p = arg;
	struct xml_node *n;

	(void)name;
	if (p->err)
		return;
	n = p->stack[--p->depth];
	n->children = reverse(n->children);
	n->text = str_dup(buf_str(&p->text[p->depth]));
	if (!n->text)
		stop(p, -ENOMEM);
}

static void on_text(void *arg, const XML_Char *s, int len)
{
	struct parse *p = arg;

	if (p->depth && len > 0)
		buf_add(&p->text[p->depth - 1], s, (size_t)len);
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
		       const XML_Char *pubid, int has_internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)has_internal;
	stop(arg, -EINVAL);
}

int xml_parse(const char *data, size_t len, struct xml_node **out)
{
	struct parse p = {0};
	int rc = 0;

	if (len > INT_MAX)
		return -EINVAL;
	p.parser = XML_ParserCreate("UTF-8");
	if (!p.parser)
		return -ENOMEM;
	XML_SetUserData(p.parser, &p);
	XML_SetElementHandler(p.parser, on_start, on_end);
	XML_SetCharacterDataHandler(p.parser, on_text);
	XML_SetStartDoctypeDeclHandler(p.parser, on_doctype);
	if (XML_Parse(p.parser, data, (int)len, XML_TRUE) != XML_STATUS_OK)
		rc = p.err ? p.err : -EINVAL;
	for (int i = 0; i < MAX_DEPTH; i++) {
		if (!rc)
			rc = buf_error(&p.text[i]);
		buf_release(&p.text[i]);
	}
	XML_ParserFree(p.parser);
	if (rc < 0) {
		xml_free(p.root);
		return rc;
	}
	*out = p.root;
	return 0;
}

/* Children move up behind their parent, so that one loop frees all. */
void xml_free(struct xml_node *n)
{
	while (n) {
		struct xml_node **end = &n->next;
		struct xml_node *next;

		if (n->children) {
			struct xml_node *rest = n->next;

			n->next = n->children;
			while (*end)
				end = &(*end)->next;
			*end = rest;
		}
		next = n->next;
		free(n->name);
		free(n->text);
		free(n);
		n = next;
	}
}

void xml_freep(struct xml_node **root)
{
	xml_free(*root);
}

const struct xml_node *xml_child(const struct xml_node *n, const char *name)
{
	for (const struct xml_node *c = n->children; c; c = c->next)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

const char *xml_child_text(const struct xml_node *n, const char *name)
{
	const struct xml_node *c = xml_child(n, name);

	return c ? c->text : NULL;
}
