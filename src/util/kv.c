/* SPDX-License-Identifier: Apache-2.0 */
#include "util/kv.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/codec.h"

enum { FIRST_CAP = 8 };

static int kv_make(struct kv *kv, const char *name, size_t name_len,
		   const char *value, size_t value_len)
{
	char *text = malloc(name_len + value_len + 2);

	if (!text)
		return -ENOMEM;
	memcpy(text, name, name_len);
	text[name_len] = '\0';
	kv->name = text;
	kv->value = text + name_len + 1;
	memcpy(kv->value, value, value_len);
	kv->value[value_len] = '\0';
	return 0;
}

/* Cut the list back to count pairs. */
static void kvs_cut(struct kvs *l, size_t count)
{
	while (l->count > count)
		free(l->items[--l->count].name);
}

void kvs_release(struct kvs *l)
{
	kvs_cut(l, 0);
	free(l->items);
	l->items = NULL;
	l->cap = 0;
}

/* Not tolower(): names are bytes, whatever the locale. */
static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static int name_cmp(const char *a, const char *b)
{
	for (; *a && (*a == *b || lower(*a) == lower(*b)); a++, b++)
		;
	return lower(*a) - lower(*b);
}

static const struct kv *kvs_find(const struct kvs *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (name_cmp(l->items[i].name, name) == 0)
			return &l->items[i];
	return NULL;
}

static int kvs_grow(struct kvs *l)
{
	size_t cap = l->cap ? l->cap * 2 : FIRST_CAP;
	struct kv *items;

	if (l->count < l->cap)
		return 0;
	items = reallocarray(l->items, cap, sizeof(*items));
	if (!items)
		return -ENOMEM;
	l->items = items;
	l->cap = cap;
	return 0;
}

int kvs_addn(struct kvs *l, const char *name, size_t name_len,
	     const char *value, size_t value_len)
{
	if (kvs_grow(l) < 0 ||
	    kv_make(&l->items[l->count], name, name_len, value, value_len) < 0)
		return -ENOMEM;
	l->count++;
	return 0;
}

int kvs_add(struct kvs *l, const char *name, const char *value)
{
	return kvs_addn(l, name, strlen(name), value, strlen(value));
}

int kvs_addf(struct kvs *l, const char *name, const char *fmt, ...)
{
	AUTO(buf_release) struct buf value = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&value, fmt, ap);
	va_end(ap);
	if (buf_error(&value) < 0)
		return -ENOMEM;
	return kvs_add(l, name, buf_str(&value));
}

int kvs_set_at(struct kvs *l, size_t at, const char *name, const char *value)
{
	struct kv kv;

	if (kv_make(&kv, name, strlen(name), value, strlen(value)) < 0)
		return -ENOMEM;
	free(l->items[at].name);
	l->items[at] = kv;
	return 0;
}

int kvs_set(struct kvs *l, const char *name, const char *value)
{
	const struct kv *kv = kvs_find(l, name);

	return kv ? kvs_set_at(l, (size_t)(kv - l->items), kv->name, value)
		  : kvs_add(l, name, value);
}

void kvs_remove_at(struct kvs *l, size_t at)
{
	free(l->items[at].name);
	l->count--;
	memmove(&l->items[at], &l->items[at + 1],
		(l->count - at) * sizeof(*l->items));
}

bool kvs_remove(struct kvs *l, const char *name)
{
	const struct kv *kv = kvs_find(l, name);

	if (kv)
		kvs_remove_at(l, (size_t)(kv - l->items));
	return kv != NULL;
}

const char *kvs_get(const struct kvs *l, const char *name)
{
	const struct kv *kv = kvs_find(l, name);

	return kv ? kv->value : NULL;
}

int kvs_copy(struct kvs *dst, const struct kvs *src)
{
	size_t before = dst->count;

	for (size_t i = 0; i < src->count; i++) {
		if (kvs_add(dst, src->items[i].name, src->items[i].value) < 0) {
			kvs_cut(dst, before);
			return -ENOMEM;
		}
	}
	return 0;
}

/* By insertion: lists are short, and equal names keep their order. */
void kvs_sort(struct kvs *l)
{
	for (size_t i = 1; i < l->count; i++) {
		struct kv kv = l->items[i];
		size_t to = i;

		while (to > 0 && name_cmp(l->items[to - 1].name, kv.name) > 0) {
			l->items[to] = l->items[to - 1];
			to--;
		}
		l->items[to] = kv;
	}
}

static void free_json(json_t **j)
{
	json_decref(*j);
}

int kvs_to_json(const struct kvs *l, char **out)
{
	AUTO(free_json) json_t *object = json_object();
	char *text;

	if (!object)
		return -ENOMEM;
	for (size_t i = 0; i < l->count; i++) {
		const struct kv *kv = &l->items[i];

		if (!utf8_is_valid(kv->name, strlen(kv->name)) ||
		    !utf8_is_valid(kv->value, strlen(kv->value)))
			return -EINVAL;
		if (json_object_get(object, kv->name))
			continue; /* the first counts, as for kvs_get() */
		if (json_object_set_new(object, kv->name,
					json_string(kv->value)) < 0)
			return -ENOMEM;
	}
	text = json_dumps(object, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	*out = text;
	return 0;
}
