/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A bucket's objects by key, in byte order: a skip list.
 *
 * The index owns one reference to each object in it.
 *
 * Layer    emulator; uses object.
 * Threads  none: the store's lock guards it.
 */
#ifndef ACKFS_EMULATOR_INDEX_H
#define ACKFS_EMULATOR_INDEX_H

#include <stdbool.h>
#include <stddef.h>

struct object;
struct index;
struct index_node;

struct index *index_new(void);
void index_free(struct index *x);
size_t index_count(const struct index *x);
/** Borrowed, or NULL. */
struct object *index_find(const struct index *x, const char *key);
/**
 * Put o (its reference goes to the index) in place of what has its key.
 * @return 0 or -ENOMEM (o stays the caller's)
 */
int index_set(struct index *x, struct object *o);
/** @return whether it was there */
bool index_remove(struct index *x, const char *key);
/** The first node whose key is >= key ("" is the first of all); NULL: none. */
const struct index_node *index_seek(const struct index *x, const char *key);
const struct index_node *index_next(const struct index_node *n);
struct object *index_object(const struct index_node *n);

#endif
