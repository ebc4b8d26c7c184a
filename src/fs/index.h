/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The tree's two hash tables.  A node is chained in both by its own links, one
 * pointer a table: a mount may know hundreds of thousands of nodes, and a
 * handle of uthash is 56 bytes.
 *
 * Layer    fs; part of tree.c.
 * Threads  as the tree: under its lock.
 */
#ifndef ACKFS_FS_INDEX_H
#define ACKFS_FS_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct node;

enum index_kind { INDEX_INO, INDEX_NAME, INDEX_KINDS };

struct index {
	enum index_kind kind;
	struct node **chains;
	size_t size; /* a power of two, or 0 */
	size_t count;
};

void index_init(struct index *x, enum index_kind kind);
/** The nodes are the caller's. */
void index_release(struct index *x);
/** n->ino, or n->name_hash, is set. @return 0 or -ENOMEM */
int index_add(struct index *x, struct node *n);
/** It stands there. */
void index_remove(struct index *x, struct node *n);

uint32_t index_hash_ino(uint64_t ino);
uint32_t index_hash_name(const struct node *dir, const char *name);
/** The first node of the chain; the next one is n->link[kind]. */
struct node *index_chain(const struct index *x, uint32_t hash);
/** Any node, NULL: the first one; NULL behind the last.  What is removed
 *  meanwhile must have been passed already. */
struct node *index_next(const struct index *x, const struct node *n);

#endif
