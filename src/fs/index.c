/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/index.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/tree.h"

enum { SIZE_FIRST = 64 };

void index_init(struct index *x, enum index_kind kind)
{
	*x = (struct index){.kind = kind};
}

void index_release(struct index *x)
{
	free(x->chains);
	x->chains = NULL;
	x->size = x->count = 0;
}

/* Numbers come one by one: multiplied, they fall apart in the low bits too. */
uint32_t index_hash_ino(uint64_t ino)
{
	return (uint32_t)((ino * 0x9e3779b97f4a7c15ULL) >> 32);
}

/* FNV-1a, begun with the folder. */
uint32_t index_hash_name(const struct node *dir, const char *name)
{
	uint32_t hash = index_hash_ino(dir->ino);

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash;
}

static uint32_t hash_of(const struct index *x, const struct node *n)
{
	return x->kind == INDEX_INO ? index_hash_ino(n->ino) : n->name_hash;
}

static struct node **slot_of(const struct index *x, uint32_t hash)
{
	return &x->chains[hash & (x->size - 1)];
}

static void chain(struct index *x, struct node *n)
{
	struct node **slot = slot_of(x, hash_of(x, n));

	n->link[x->kind] = *slot;
	*slot = n;
}

/* One node a chain, on average. */
static int grow(struct index *x)
{
	struct index old = *x;
	size_t size = x->size ? x->size * 2 : SIZE_FIRST;
	struct node **chains = calloc(size, sizeof(struct node *));

	if (!chains)
		return x->size ? 0 : -ENOMEM; /* longer chains will do */
	x->chains = chains;
	x->size = size;
	for (size_t i = 0; i < old.size; i++) {
		struct node *n = old.chains[i], *next;

		for (; n; n = next) {
			next = n->link[x->kind];
			chain(x, n);
		}
	}
	free(old.chains);
	return 0;
}

int index_add(struct index *x, struct node *n)
{
	int rc = x->count >= x->size ? grow(x) : 0;

	if (rc < 0)
		return rc;
	chain(x, n);
	x->count++;
	return 0;
}

void index_remove(struct index *x, struct node *n)
{
	struct node **at = slot_of(x, hash_of(x, n));

	while (*at != n)
		at = &(*at)->link[x->kind];
	*at = n->link[x->kind];
	n->link[x->kind] = NULL;
	x->count--;
}

struct node *index_chain(const struct index *x, uint32_t hash)
{
	return x->size ? *slot_of(x, hash) : NULL;
}

struct node *index_next(const struct index *x, const struct node *n)
{
	size_t i = 0;

	if (n && n->link[x->kind])
		return n->link[x->kind];
	if (n)
		i = (hash_of(x, n) & (x->size - 1)) + 1;
	while (i < x->size && !x->chains[i])
		i++;
	return i < x->size ? x->chains[i] : NULL;
}
