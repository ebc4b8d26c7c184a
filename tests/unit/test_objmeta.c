/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "state/objmeta.h"
#include "util/base.h"

struct meta_fix {
	char *dir;
	struct db *db;
};

static void reopen(struct meta_fix *f)
{
	AUTO_FREE char *why = NULL;

	db_close(f->db);
	assert_int_equal(db_open(f->dir, &f->db, &why), 0);
}

static int setup(void **state)
{
	static struct meta_fix f;

	f = (struct meta_fix){.dir = test_dir_make()};
	reopen(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct meta_fix *f = *state;

	db_close(f->db);
	test_dir_remove(f->dir);
	return 0;
}

static const struct object_id id_one = {"E1", 10, 1000, ""};
static const struct object_id id_two = {"E2", 10, 1000, ""};

static struct objmeta make_meta(const char *mode)
{
	struct objmeta m = {
		.id = id_one,
		.crc64 = UINT64_MAX - 1,
		.has_crc64 = true,
		.tag_count = 3,
	};

	if (str_set(&m.content_type, "image/jpeg") < 0 ||
	    str_set(&m.storage_class, "IA") < 0 ||
	    kvs_add(&m.meta, "mode", mode) < 0 ||
	    kvs_add(&m.kept, "Cache-Control", "no-cache") < 0)
		fail();
	return m;
}

static void put(struct meta_fix *f, const char *key, const char *mode)
{
	AUTO(objmeta_release) struct objmeta m = make_meta(mode);

	assert_int_equal(objmeta_put(f->db, key, &m, DB_NOWAIT), 0);
	assert_int_equal(db_commit(f->db), 0);
}

static void what_was_seen_is_remembered(void **state)
{
	struct meta_fix *f = *state;
	AUTO(objmeta_release) struct objmeta got = {0};

	put(f, "a/b", "33188");
	reopen(f);
	assert_int_equal(objmeta_get(f->db, "a/b", &id_one, &got), 0);
	assert_string_equal(got.content_type, "image/jpeg");
	assert_string_equal(got.storage_class, "IA");
	assert_string_equal(kvs_get(&got.meta, "mode"), "33188");
	assert_string_equal(kvs_get(&got.kept, "cache-control"), "no-cache");
	assert_true(got.has_crc64);
	assert_true(got.crc64 == UINT64_MAX - 1);
	assert_int_equal(got.tag_count, 3);
}

static void another_version_is_not_remembered(void **state)
{
	struct meta_fix *f = *state;
	struct objmeta got = {0};

	put(f, "k", "1");
	assert_int_equal(objmeta_get(f->db, "k", &id_two, &got), -ENOENT);
	assert_int_equal(objmeta_get(f->db, "l", &id_one, &got), -ENOENT);
	assert_null(got.content_type);
}

static void rename_takes_it_along(void **state)
{
	struct meta_fix *f = *state;
	AUTO(objmeta_release) struct objmeta got = {0};

	put(f, "dir/src", "1");
	put(f, "dst", "2");
	assert_int_equal(objmeta_move(f->db, "dir/src", "dst", &id_two), 0);
	assert_int_equal(db_commit(f->db), 0);
	assert_int_equal(objmeta_get(f->db, "dir/src", &id_one, &got), -ENOENT);
	assert_int_equal(objmeta_get(f->db, "dst", &id_two, &got), 0);
	assert_string_equal(kvs_get(&got.meta, "mode"), "1");
	assert_int_equal(objmeta_move(f->db, "dst", NULL, NULL), 0);
	assert_int_equal(db_commit(f->db), 0);
	objmeta_release(&got);
	assert_int_equal(objmeta_get(f->db, "dst", &id_two, &got), -ENOENT);
}

static void note_name(void *arg, const char *name, const struct objmeta *m)
{
	buf_addf(arg, "%s=%s ", name, kvs_get(&m->meta, "mode"));
}

static void listing_sees_one_folder(void **state)
{
	static const struct {
		const char *dir, *first, *last, *want;
	} cases[] = {
		{"a/",   "",  "\xff", "b=1 c/=4 d=2 "},
		{"a/",   "c", "d",    "c/=4 d=2 "    },
		{"a/",   "b", "b",    "b=1 "         },
		{"a/c/", "",  "\xff", "deep=3 "      },
		{"",     "",  "\xff", "top=5 "       },
		{"b/",   "",  "\xff", ""             },
	};
	struct meta_fix *f = *state;

	put(f, "a/b", "1");
	put(f, "a/d", "2");
	put(f, "a/c/deep", "3");
	put(f, "a/c/", "4");
	put(f, "top", "5");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf b = BUF_INIT;

		assert_int_equal(objmeta_walk(f->db, cases[i].dir,
					      cases[i].first, cases[i].last,
					      note_name, &b),
				 0);
		assert_string_equal(buf_str(&b), cases[i].want);
	}
}

static bool is_known(struct meta_fix *f, const char *key)
{
	AUTO(objmeta_release) struct objmeta got = {0};
	int rc = objmeta_get(f->db, key, NULL, &got);

	assert_true(rc == 0 || rc == -ENOENT);
	return rc == 0;
}

static void what_was_seen_longest_ago_is_forgotten(void **state)
{
	struct meta_fix *f = *state;
	char key[16];

	assert_int_equal(objmeta_prune(f->db, 3), 0); /* an empty table */
	for (int i = 0; i < 1205; i++) {
		AUTO(objmeta_release) struct objmeta m = make_meta("1");

		snprintf(key, sizeof(key), "d/%d", i);
		assert_int_equal(objmeta_put(f->db, key, &m, DB_NOWAIT), 0);
	}
	assert_int_equal(objmeta_prune(f->db, 1205), 0);
	put(f, "d/0", "2"); /* seen again */
	assert_int_equal(objmeta_prune(f->db, 3), 1202);
	assert_true(is_known(f, "d/0"));
	assert_true(is_known(f, "d/1204"));
	assert_true(is_known(f, "d/1203"));
	assert_false(is_known(f, "d/1202"));
	assert_false(is_known(f, "d/1"));
	assert_int_equal(objmeta_prune(f->db, 3), 0);
}

static void metadata_changes_wait_in_the_journal(void **state)
{
	struct meta_fix *f = *state;
	AUTO(objmeta_release) struct objmeta one = make_meta("1");
	AUTO(objmeta_release) struct objmeta two = make_meta("2");
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_int_equal(metachange_put(f->db, "z/a", &one), 0);
	assert_int_equal(metachange_put(f->db, "b", &one), 0);
	assert_int_equal(metachange_put(f->db, "z/a", &two), 0);
	assert_int_equal(metachange_remove(f->db, "b"), 0);
	reopen(f);
	assert_int_equal(metachange_walk(f->db, note_name, &b), 0);
	assert_string_equal(buf_str(&b), "z/a=2 ");
}

static void note_intent(void *arg, const struct intent *i)
{
	buf_addf(arg, "%s>%s(%s)%s%lld ", i->src, i->dst, i->src_etag,
		 i->copied      ? "+"
		 : i->is_staged ? "s"
				: "",
		 (long long)i->staged_id);
}

static void renames_under_way_survive(void **state)
{
	struct meta_fix *f = *state;
	char a[] = "a", b[] = "b", dir[] = "d/", to[] = "e/";
	struct intent one = {.src = a, .dst = b, .src_etag = "E"};
	struct intent two = {
		.src = dir, .dst = to, .is_staged = true, .staged_id = 7};
	struct intent three = {.src = b, .dst = a};
	AUTO(buf_release) struct buf got = BUF_INIT;
	int64_t id1 = 0, id2 = 0, id3 = 0;

	assert_int_equal(intent_add(f->db, &one, &id1), 0);
	assert_int_equal(intent_add(f->db, &two, &id2), 0);
	assert_int_equal(intent_add(f->db, &three, &id3), 0);
	assert_int_equal(intent_set_copied(f->db, id1), 0);
	assert_int_equal(intent_remove(f->db, id3), 0);
	reopen(f);
	assert_int_equal(intent_walk(f->db, note_intent, &got), 0);
	assert_string_equal(buf_str(&got), "a>b(E)+0 d/>e/()s7 ");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_was_seen_is_remembered),
		T(another_version_is_not_remembered),
		T(rename_takes_it_along),
		T(listing_sees_one_folder),
		T(what_was_seen_longest_ago_is_forgotten),
		T(metadata_changes_wait_in_the_journal),
		T(renames_under_way_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
