/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "emulator/store_internal.h"
#include "util/buf.h"

void list_page_release(struct list_page *p)
{
	for (size_t i = 0; i < p->object_count; i++)
		object_put(p->objects[i]);
	for (size_t i = 0; i < p->prefix_count; i++)
		free(p->prefixes[i]);
	free(p->objects);
	free(p->prefixes);
	free(p->next);
	memset(p, 0, sizeof(*p));
}

/* The first key that no longer begins with prefix: its last byte plus one.
 * Keys are UTF-8, so that byte is never 0xFF. */
static char *successor(const char *prefix)
{
	char *next = str_dup(prefix);

	if (next && *next)
		next[strlen(next) - 1]++;
	return next;
}

/* The common prefix that key rolls up into, or NULL; free() it. */
static int common_prefix(const struct list_query *q, const char *key,
			 char **out)
{
	const char *hit;

	*out = NULL;
	if (!*q->delimiter)
		return 0;
	hit = strstr(key + strlen(q->prefix), q->delimiter);
	if (!hit)
		return 0;
	*out = strndup(key, (size_t)(hit - key) + strlen(q->delimiter));
	return *out ? 0 : -ENOMEM;
}

static const struct index_node *first_node(const struct index *x,
					   const struct list_query *q)
{
	const struct index_node *n;

	if (strcmp(q->marker, q->prefix) < 0)
		return index_seek(x, q->prefix);
	n = index_seek(x, q->marker);
	if (n && *q->marker && strcmp(index_object(n)->key, q->marker) == 0)
		n = index_next(n);
	return n;
}

struct lister {
	const struct index *index;
	const struct list_query *query;
	struct list_page *page;
	const char *last; /* borrowed from the page */
};

static bool is_full(const struct lister *l)
{
	return l->page->object_count + l->page->prefix_count >= l->query->max;
}

/* Take the group of keys below prefix (takes it over) and go past it. */
static int take_prefix(struct lister *l, char *prefix,
		       const struct index_node **n)
{
	AUTO_FREE char *after = successor(prefix);

	if (!after) {
		free(prefix);
		return -ENOMEM;
	}
	*n = index_seek(l->index, after);
	/* A marker that names this group has passed it. */
	if (strcmp(prefix, l->query->marker) == 0) {
		free(prefix);
		return 0;
	}
	if (is_full(l)) {
		l->page->truncated = true;
		free(prefix);
		return 0;
	}
	l->page->prefixes[l->page->prefix_count++] = prefix;
	l->last = prefix;
	return 0;
}

static void take_object(struct lister *l, struct object *o,
			const struct index_node **n)
{
	if (is_full(l)) {
		l->page->truncated = true;
		return;
	}
	l->page->objects[l->page->object_count++] = object_get(o);
	l->last = o->key;
	*n = index_next(*n);
}

static int list_index(struct lister *l)
{
	const struct list_query *q = l->query;
	const struct index_node *n = first_node(l->index, q);
	size_t len = strlen(q->prefix);

	while (n && !l->page->truncated) {
		struct object *o = index_object(n);
		char *prefix;
		int rc;

		if (strncmp(o->key, q->prefix, len) != 0)
			break;
		rc = common_prefix(q, o->key, &prefix);
		if (!rc && prefix)
			rc = take_prefix(l, prefix, &n);
		else if (!rc)
			take_object(l, o, &n);
		if (rc < 0)
			return rc;
	}
	l->page->next = str_dup(l->last ? l->last : "");
	return l->page->next ? 0 : -ENOMEM;
}

int store_list(struct store *s, const char *bucket, const struct list_query *q,
	       struct list_page *out)
{
	struct list_page page = {0};
	struct lister l = {.query = q, .page = &page};
	const struct bucket *b;
	int rc = -ENODEV;

	page.objects = calloc((size_t)q->max + 1, sizeof(page.objects[0]));
	page.prefixes = calloc((size_t)q->max + 1, sizeof(page.prefixes[0]));
	if (!page.objects || !page.prefixes) {
		list_page_release(&page);
		return -ENOMEM;
	}
	lock_acquire(&s->lock);
	b = store_find_bucket(s, bucket);
	if (b) {
		l.index = b->index;
		rc = list_index(&l);
	}
	lock_release(&s->lock);
	if (rc < 0) {
		list_page_release(&page);
		return rc;
	}
	*out = page;
	return 0;
}
