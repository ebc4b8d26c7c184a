/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/index.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "emulator/object.h"

enum { LEVELS = 20 };

struct index_node {
	struct object *object;
	struct index_node *next[]; /* as many as its level */
};

struct index {
	size_t count;
	uint64_t seed;
	struct index_node *head[LEVELS];
};

struct index *index_new(void)
{
	struct index *x = calloc(1, sizeof(*x));

	if (x)
		x->seed = 0x9e3779b97f4a7c15U;
	return x;
}

void index_free(struct index *x)
{
	struct index_node *n = x ? x->head[0] : NULL;

	while (n) {
		struct index_node *next = n->next[0];

		object_put(n->object);
		free(n);
		n = next;
	}
	free(x);
}

size_t index_count(const struct index *x)
{
	return x->count;
}

/* xorshift: a quarter of the nodes reaches each further level. */
static int random_level(struct index *x)
{
	int level = 1;
	uint64_t s = x->seed;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	x->seed = s;
	while (level < LEVELS && (s & 3) == 0) {
		level++;
		s >>= 2;
	}
	return level;
}

/* For each level, the link that points at the first key >= key. */
static void find_links(struct index *x, const char *key,
		       struct index_node **links[LEVELS])
{
	struct index_node **row = x->head;

	for (int i = LEVELS - 1; i >= 0; i--) {
		while (row[i] && strcmp(row[i]->object->key, key) < 0)
			row = row[i]->next;
		links[i] = &row[i];
	}
}

const struct index_node *index_seek(const struct index *x, const char *key)
{
	struct index_node *const *row = x->head;

	for (int i = LEVELS - 1; i >= 0; i--)
		while (row[i] && strcmp(row[i]->object->key, key) < 0)
			row = row[i]->next;
	return row[0];
}

struct object *index_find(const struct index *x, const char *key)
{
	const struct index_node *n = index_seek(x, key);

	return n && strcmp(n->object->key, key) == 0 ? n->object : NULL;
}

int index_set(struct index *x, struct object *o)
{
	struct index_node **links[LEVELS];
	struct index_node *n;
	int level;

	find_links(x, o->key, links);
	n = *links[0];
	if (n && strcmp(n->object->key, o->key) == 0) {
		object_put(n->object);
		n->object = o;
		return 0;
	}
	level = random_level(x);
	n = malloc(sizeof(*n) + (size_t)level * sizeof(n->next[0]));
	if (!n)
		return -ENOMEM;
	n->object = o;
	for (int i = 0; i < level; i++) {
		n->next[i] = *links[i];
		*links[i] = n;
	}
	x->count++;
	return 0;
}

bool index_remove(struct index *x, const char *key)
{
	struct index_node **links[LEVELS];
	struct index_node *n;

	find_links(x, key, links);
	n = *links[0];
	if (!n || strcmp(n->object->key, key) != 0)
		return false;
	for (int i = 0; i < LEVELS && *links[i] == n; i++)
		*links[i] = n->next[i];
	object_put(n->object);
	free(n);
	x->count--;
	return true;
}

const struct index_node *index_next(const struct index_node *n)
{
	return n->next[0];
}

struct object *index_object(const struct index_node *n)
{
	return n->object;
}
