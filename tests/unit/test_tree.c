/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/tree.h"
#include "util/clock.h"

/* The lock is taken for a whole test, by its fixture. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

static int setup(void **state)
{
	static struct tree t;

	assert_int_equal(tree_init(&t, 1, 2, 0640, 0750), 0);
	lock_acquire(&t.lock);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	lock_release(&t->lock);
	tree_release(t);
	return 0;
}

static struct node *add(struct tree *t, struct node *dir, const char *name,
			enum node_kind kind)
{
	struct node *n = tree_add_locked(t, dir, name, kind);

	assert_non_null(n);
	return n;
}

static void assert_path(struct tree *t, const struct node *n, const char *want)
{
	char path[1024];

	assert_true(tree_path_locked(t, n, path, sizeof(path)) >= 0);
	assert_string_equal(path, want);
}

static void names_are_found_in_their_folder_alone(void **state)
{
	struct tree *t = *state;
	struct node *a = add(t, t->root, "a", NODE_DIR);
	struct node *b = add(t, t->root, "b", NODE_DIR);
	struct node *f = add(t, a, "f", NODE_FILE);

	assert_ptr_equal(tree_child_locked(t, a, "f"), f);
	assert_null(tree_child_locked(t, b, "f"));
	assert_null(tree_child_locked(t, a, "ff"));
	assert_ptr_equal(tree_by_ino_locked(t, f->ino), f);
	assert_path(t, f, "a/f");
	assert_path(t, t->root, "");
}

static void a_moved_folder_takes_its_children_along(void **state)
{
	struct tree *t = *state;
	struct node *a = add(t, t->root, "a", NODE_DIR);
	struct node *b = add(t, t->root, "b", NODE_DIR);
	struct node *f = add(t, a, "f", NODE_FILE);

	assert_int_equal(tree_move_locked(t, a, b, "renamed"), 0);
	assert_path(t, f, "b/renamed/f");
	assert_null(tree_child_locked(t, t->root, "a"));
	assert_ptr_equal(tree_child_locked(t, a, "f"), f);
}

static void an_unlinked_node_lives_while_it_is_held(void **state)
{
	struct tree *t = *state;
	struct node *f = add(t, t->root, "f", NODE_FILE);
	uint64_t ino = f->ino;
	char path[64];

	f->nlookup = 2;
	tree_detach_locked(t, f);
	assert_null(tree_child_locked(t, t->root, "f"));
	assert_int_equal(tree_path_locked(t, f, path, sizeof(path)), -ENOENT);
	tree_forget_locked(t, f, 1);
	assert_ptr_equal(tree_by_ino_locked(t, ino), f);
	tree_forget_locked(t, f, 1);
	assert_null(tree_by_ino_locked(t, ino));
}

static void a_pin_keeps_a_detached_node(void **state)
{
	struct tree *t = *state;
	struct node *f = add(t, t->root, "f", NODE_FILE);
	uint64_t ino = f->ino;

	tree_pin_locked(f);
	tree_detach_locked(t, f);
	tree_drop_locked(t, f);
	assert_ptr_equal(tree_by_ino_locked(t, ino), f);
	tree_unpin_locked(t, f);
	assert_null(tree_by_ino_locked(t, ino));
}

static void numbers_are_never_used_twice(void **state)
{
	struct tree *t = *state;
	struct node *f = add(t, t->root, "f", NODE_FILE);
	uint64_t first = f->ino;

	tree_detach_locked(t, f);
	tree_drop_locked(t, f);
	assert_true(add(t, t->root, "f", NODE_FILE)->ino > first);
}

static void
removed_names_are_remembered_for_listings_that_began_before(void **state)
{
	struct tree *t = *state;
	struct node *f = add(t, t->root, "f", NODE_FILE);
	uint64_t before = t->change;

	tree_tomb_locked(t, t->root, "f");
	tree_detach_locked(t, f);
	tree_drop_locked(t, f);
	assert_true(tree_removed_since_locked(t, t->root, "f", before));
	assert_false(tree_removed_since_locked(t, t->root, "f", t->change));
	assert_false(tree_removed_since_locked(t, t->root, "g", before));
}

static void shrinking_drops_cached_names_and_nothing_that_is_held(void **state)
{
	struct tree *t = *state;
	struct node *dir = add(t, t->root, "dir", NODE_DIR);
	struct node *held = add(t, dir, "held", NODE_FILE);
	char name[16];

	held->nlookup = 1;
	dir->listed_until_ms = clock_mono_ms() + 60000;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add(t, dir, name, NODE_FILE);
	}
	tree_shrink_locked(t, 2000);
	assert_int_equal(t->inos.count, 1003);
	tree_shrink_locked(t, 100);
	assert_true(t->inos.count <= 100);
	assert_ptr_equal(tree_child_locked(t, dir, "held"), held);
	assert_int_equal(dir->listed_until_ms, 0);
}

static void a_long_path_is_an_error_not_a_cut(void **state)
{
	struct tree *t = *state;
	struct node *n = t->root;
	char name[256], path[1024];

	memset(name, 'x', 255);
	name[255] = '\0';
	for (int i = 0; i < 4; i++)
		n = add(t, n, name, NODE_DIR);
	assert_int_equal(tree_path_locked(t, n, path, sizeof(path)), 1023);
	n = add(t, n, "y", NODE_FILE);
	assert_int_equal(tree_path_locked(t, n, path, sizeof(path)),
			 -ENAMETOOLONG);
}

static void an_object_that_is_noted_is_told_again(void **state)
{
	struct tree *t = *state;
	struct node *f = add(t, t->root, "f", NODE_FILE);
	struct object_id id = {.size = 5, .modified_ms = 1700000000000};
	struct object_id got;

	strcpy(id.etag, "0123456789ABCDEF0123456789ABCDEF-9");
	strcpy(id.version_id, "v1");
	assert_int_equal(node_set_object(f, &id), 0);
	node_object_id(f, &got);
	assert_true(object_id_equal(&id, &got));
	assert_string_equal(got.etag, id.etag);
	/* One that has no room is not kept half. */
	memset(id.etag, 'A', sizeof(id.etag) - 1);
	assert_int_equal(node_set_object(f, &id), 0);
	assert_string_equal(f->etag, "");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_are_found_in_their_folder_alone),
		TEST(a_moved_folder_takes_its_children_along),
		TEST(an_unlinked_node_lives_while_it_is_held),
		TEST(a_pin_keeps_a_detached_node),
		TEST(numbers_are_never_used_twice),
		TEST(removed_names_are_remembered_for_listings_that_began_before),
		TEST(shrinking_drops_cached_names_and_nothing_that_is_held),
		TEST(a_long_path_is_an_error_not_a_cut),
		TEST(an_object_that_is_noted_is_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
