/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>

#include "state/cbvars.h"
#include "state/db.h"

struct fixture {
	char *dir;
	struct db *db;
};

static int setup(void **state)
{
	static struct fixture f;
	char *why = NULL;

	f.dir = test_dir_make();
	assert_int_equal(db_open(f.dir, &f.db, &why), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	test_dir_remove(f->dir);
	return 0;
}

static void the_first_variable_shows_after_none_was_found(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;
	AUTO(kvs_release) struct kvs got = KVS_INIT;
	char *why = NULL;

	assert_false(cbvars_any(db));
	assert_int_equal(cbvars_inherited(db, "first/f", &got), 0);
	assert_int_equal(got.count, 0);
	assert_int_equal(cbvars_set(db, "first/", "v", "1"), 0);
	assert_int_equal(cbvars_inherited(db, "first/f", &got), 0);
	assert_string_equal(kvs_get(&got, "v"), "1");
	/* and after the database was opened again */
	db_close(db);
	assert_int_equal(db_open(((struct fixture *)*state)->dir, &db, &why),
			 0);
	((struct fixture *)*state)->db = db;
	assert_true(cbvars_any(db));
	assert_int_equal(cbvars_set(db, "first/", "v", NULL), 0);
}

static void a_file_inherits_from_its_folders_and_its_own_wins(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;
	AUTO(kvs_release) struct kvs got = KVS_INIT;

	assert_int_equal(cbvars_set(db, "", "site", "root"), 0);
	assert_int_equal(cbvars_set(db, "a/", "customer", "seven"), 0);
	assert_int_equal(cbvars_set(db, "a/b/", "site", "b"), 0);
	assert_int_equal(cbvars_set(db, "a/b/f", "customer", "eight"), 0);
	assert_int_equal(cbvars_inherited(db, "a/b/f", &got), 0);
	assert_string_equal(kvs_get(&got, "customer"), "eight");
	assert_string_equal(kvs_get(&got, "site"), "b");
	assert_int_equal(got.count, 2);
}

static void a_folder_takes_what_lies_below_along(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;
	AUTO(kvs_release) struct kvs moved = KVS_INIT, left = KVS_INIT;

	assert_int_equal(cbvars_set(db, "m/", "v", "1"), 0);
	assert_int_equal(cbvars_set(db, "m/x/f", "v", "2"), 0);
	assert_int_equal(cbvars_set(db, "m0", "v", "other"), 0);
	assert_int_equal(cbvars_move(db, "m/", "n/"), 0);
	assert_int_equal(cbvars_get(db, "n/x/f", &moved), 0);
	assert_string_equal(kvs_get(&moved, "v"), "2");
	assert_int_equal(cbvars_get(db, "m/x/f", &left), 0);
	assert_int_equal(left.count, 0);
	assert_int_equal(cbvars_get(db, "m0", &left), 0);
	assert_string_equal(kvs_get(&left, "v"), "other");
}

static void removing_what_is_not_there_says_so(void **state)
{
	struct db *db = ((struct fixture *)*state)->db;

	assert_int_equal(cbvars_set(db, "r", "v", NULL), -ENODATA);
	assert_int_equal(cbvars_set(db, "r", "v", "1"), 0);
	assert_true(cbvars_any(db));
	assert_int_equal(cbvars_set(db, "r", "v", NULL), 0);
	assert_int_equal(cbvars_move(db, "", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_variable_shows_after_none_was_found),
		cmocka_unit_test(
			a_file_inherits_from_its_folders_and_its_own_wins),
		cmocka_unit_test(a_folder_takes_what_lies_below_along),
		cmocka_unit_test(removing_what_is_not_there_says_so),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
