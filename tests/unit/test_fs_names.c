/* SPDX-License-Identifier: Apache-2.0 */
/* Names: what OSS knows, what is here alone, what has gone, without a mount. */
#include "../support/fs_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"

static int setup(void **state)
{
	static struct fs_fix f;

	fx_init(&f, NULL);
	fx_start(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fx_fini(*state);
	return 0;
}

static void pass_ttl(struct fs_fix *f)
{
	clock_advance_ms(f->conf.ttl_ms + 1);
}

static unsigned calls(struct fs_fix *f)
{
	return fake_store_calls_total(f->oss);
}

/* -- lookups ------------------------------------------------------------------- */

static void a_listed_folder_answers_without_a_request(void **state)
{
	struct fs_fix *f = *state;
	unsigned before;

	fake_store_put_text(f->oss, "d/a", "x");
	fx_assert_names(f, "d", "a");
	before = calls(f);
	assert_false(fx_exists(f, "d/missing"));
	assert_int_equal(fx_size(f, "d/a"), 1);
	fx_assert_names(f, "d", "a");
	assert_int_equal(calls(f), before);
}

static void what_others_made_shows_after_the_ttl(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "d/a", "x");
	fx_assert_names(f, "d", "a");
	fake_store_put_text(f->oss, "d/b", "longer");
	fake_store_put_text(f->oss, "d/a", "changed");
	fake_store_put_text(f->oss, "d/sub/c", "x");
	pass_ttl(f);
	assert_int_equal(fx_size(f, "d/b"), 6);
	assert_int_equal(fx_size(f, "d/a"), 7);
	fx_assert_names(f, "d", "a b sub/");
}

static void what_others_removed_goes_after_the_ttl(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "d/a", "x");
	fake_store_put_text(f->oss, "d/b", "x");
	fake_store_put_text(f->oss, "d/sub/c", "x");
	fx_assert_names(f, "d", "a b sub/");
	fx_assert_names(f, "d/sub", "c");
	fake_store_drop(f->oss, "d/a");
	fake_store_drop(f->oss, "d/sub/c");
	pass_ttl(f);
	assert_false(fx_exists(f, "d/a"));
	assert_false(fx_exists(f, "d/sub"));
	fx_assert_names(f, "d", "b");
}

static void a_folder_that_vanished_leaves_the_listing(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "d/b", "x");
	fake_store_put_text(f->oss, "d/sub/c", "x");
	fx_assert_names(f, "d/sub", "c");
	fx_assert_names(f, "d", "b sub/");
	fake_store_drop(f->oss, "d/sub/c");
	pass_ttl(f);
	fx_assert_names(f, "d", "b");
}

static void an_error_is_never_taken_for_absence(void **state)
{
	struct fs_fix *f = *state;
	struct fs_attr attr;

	fake_store_put_text(f->oss, "a", "x");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_LIST,
						     .err = -EIO,
						     .http = 500});
	assert_int_equal(fx_lookup(f, "a", &attr), -EIO);
	assert_int_equal(fx_size(f, "a"), 1);
}

static void a_reader_does_not_keep_the_old_version_for_others(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	fake_store_put_text(f->oss, "a", "old");
	h = fx_open(f, "a", O_RDONLY);
	assert_true(fx_reads(h, "old"));
	fake_store_put_text(f->oss, "a", "newer");
	pass_ttl(f);
	assert_int_equal(fx_size(f, "a"), 5);
	assert_true(fx_holds(f, "a", "newer"));
	fx_close(f, h);
}

static void what_is_written_here_is_not_undone_by_others(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	fx_write(h, "mine", 0);
	fake_store_put_text(f->oss, "a", "theirs!");
	pass_ttl(f);
	assert_int_equal(fx_size(f, "a"), 4);
	fx_assert_names(f, "", "a");
	assert_int_equal(fx_close(f, h), 0);
	assert_true(fake_store_is(f->oss, "a", "mine"));
}

/* -- listings ------------------------------------------------------------------- */

static void a_listing_has_what_is_here_alone(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	fake_store_put_text(f->oss, "b", "x");
	h = fx_create(f, "a", 0);
	fx_write(h, "x", 0);
	fx_assert_names(f, "", "a b");
	assert_int_equal(fx_unlink(f, "b"), 0);
	fx_assert_names(f, "", "a");
	fx_close(f, h);
}

struct slow_listing {
	struct fs_fix *f;
	char *names;
};

static void *list_root(void *arg)
{
	struct slow_listing *l = arg;

	l->names = fx_names(l->f, "");
	return NULL;
}

/* Begin a listing that has its answer, but has not seen it yet. */
static pthread_t list_slowly(struct slow_listing *l)
{
	unsigned before = fake_store_calls(l->f->oss, FAKE_LIST);
	pthread_t t;

	fake_store_block(l->f->oss, FAKE_LIST, NULL, FAKE_STORED, 0);
	assert_int_equal(pthread_create(&t, NULL, list_root, l), 0);
	assert_true(fake_store_wait_calls(l->f->oss, FAKE_LIST, before + 1,
					  TEST_DEADLINE_MS));
	assert_true(fake_store_wait_blocked(l->f->oss, FAKE_LIST, 1,
					    TEST_DEADLINE_MS));
	return t;
}

static void end_listing(struct slow_listing *l, pthread_t t)
{
	fake_store_release(l->f->oss, FAKE_LIST);
	pthread_join(t, NULL);
}

static void a_listing_does_not_bring_back_what_was_removed(void **state)
{
	struct fs_fix *f = *state;
	struct slow_listing l = {.f = f};
	pthread_t t;

	fake_store_put_text(f->oss, "a", "x");
	fake_store_put_text(f->oss, "b", "x");
	fx_assert_names(f, "", "a b");
	pass_ttl(f);
	fx_size(f, "a");
	t = list_slowly(&l);
	assert_int_equal(fx_unlink(f, "a"), 0);
	end_listing(&l, t);
	assert_string_equal(l.names, "b");
	assert_false(fx_exists(f, "a"));
	free(l.names);
}

static void a_listing_does_not_hide_what_was_made_since(void **state)
{
	struct fs_fix *f = *state;
	struct slow_listing l = {.f = f};
	pthread_t t;

	fake_store_put_text(f->oss, "b", "x");
	t = list_slowly(&l);
	assert_int_equal(fx_mkdir(f, "sub", 0755), 0);
	end_listing(&l, t);
	assert_true(fx_exists(f, "sub"));
	fx_assert_names(f, "", "b sub/");
	free(l.names);
}

static bool step(void *arg, const struct listing_entry *e)
{
	uint64_t *next = arg;

	*next = e->next;
	return true;
}

static void end_of(struct listing *l, uint64_t next)
{
	uint64_t at;

	do {
		at = next;
		assert_int_equal(listing_read(l, at, false, step, &next), 0);
	} while (next != at);
	listing_close(l);
}

/* Two that overlap: the later one has put its mark on every name. */
static void two_listings_at_once_hide_nothing(void **state)
{
	struct fs_fix *f = *state;
	struct listing *a, *b;
	uint64_t next = 0;

	for (int i = 0; i < 3; i++) {
		char key[32];

		snprintf(key, sizeof(key), "d/%d", i);
		fake_store_put_text(f->oss, key, "x");
	}
	assert_int_equal(listing_open(f->fs, fx_ino(f, "d"), &a), 0);
	assert_int_equal(listing_open(f->fs, fx_ino(f, "d"), &b), 0);
	assert_int_equal(listing_read(a, 0, false, step, &next), 0);
	end_of(b, 0);
	end_of(a, 0);
	assert_true(fx_exists(f, "d/0"));
	fx_assert_names(f, "d", "0 1 2");
}

/* `ackctl invalidate`, or a name that is dropped, while a program reads the
   folder. */
static void what_is_doubted_during_a_listing_is_asked_for(void **state)
{
	struct fs_fix *f = *state;
	struct listing *l;
	uint64_t next = 0;

	fake_store_put_text(f->oss, "d/0", "x");
	fake_store_put_text(f->oss, "d/1", "x");
	assert_int_equal(listing_open(f->fs, fx_ino(f, "d"), &l), 0);
	assert_int_equal(listing_read(l, 0, false, step, &next), 0);
	fake_store_put_text(f->oss, "d/2", "x");
	listing_invalidate(f->fs, fx_ino(f, "d"));
	end_of(l, next);
	assert_true(fx_exists(f, "d/2"));
}

static void an_object_beside_a_folder_of_its_name_gives_way(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "a", "x");
	fake_store_put_text(f->oss, "a-1", "x");
	fake_store_put_text(f->oss, "a/b", "x");
	fx_assert_names(f, "", "a-1 a/");
	pass_ttl(f);
	fx_assert_names(f, "a", "b");
}

/* -- folders ---------------------------------------------------------------------- */

static void a_folder_is_removed_only_when_it_is_empty(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	assert_int_equal(fx_mkdir(f, "d", 0755), 0);
	h = fx_create(f, "d/a", 0);
	fx_write(h, "x", 0);
	assert_int_equal(fx_rmdir(f, "d"), -ENOTEMPTY);
	assert_int_equal(fx_close(f, h), 0);
	assert_int_equal(fx_rmdir(f, "d"), -ENOTEMPTY);
	assert_int_equal(fx_unlink(f, "d/a"), 0);
	assert_int_equal(fx_rmdir(f, "d"), 0);
	assert_false(fx_exists(f, "d"));
	assert_int_equal(fake_store_count(f->oss), 0);
}

static void a_folder_that_others_emptied_can_be_removed(void **state)
{
	struct fs_fix *f = *state;

	assert_int_equal(fx_mkdir(f, "d", 0755), 0);
	fake_store_put_text(f->oss, "d/sub/x", "x");
	pass_ttl(f);
	fx_assert_names(f, "d/sub", "x");
	fake_store_drop(f->oss, "d/sub/x");
	assert_int_equal(fx_rmdir(f, "d"), 0);
	assert_false(fx_exists(f, "d"));
}

/* -- offline_ok ------------------------------------------------------------------- */

static void go_away(struct fs_fix *f)
{
	for (int op = 0; op < FAKE_OPS; op++)
		fake_store_fail(f->oss,
				&(struct fake_fault){.op = (enum fake_op)op,
						     .times = -1,
						     .err = -ETIMEDOUT});
}

static int setup_offline(void **state)
{
	static struct fs_fix f;

	fx_init(&f, NULL);
	f.conf.offline_ok = true;
	f.conf.close_staged = true;
	fx_start(&f);
	*state = &f;
	return 0;
}

static bool is_stored(void *arg)
{
	struct fs_fix *f = arg;

	return fake_store_is(f->oss, "new", "staged");
}

static void without_oss_new_names_are_staged(void **state)
{
	struct fs_fix *f = *state;

	go_away(f);
	fx_put(f, "new", "staged");
	fx_assert_names(f, "", "new");
	assert_true(fx_holds(f, "new", "staged"));
	fake_store_heal(f->oss);
	assert_true(fx_pass_time(is_stored, f));
}

static void without_oss_known_names_stay(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "a", "x");
	fake_store_put_text(f->oss, "d/b", "x");
	fx_assert_names(f, "", "a d/");
	go_away(f);
	pass_ttl(f);
	assert_true(fx_exists(f, "a"));
	assert_true(fx_exists(f, "d"));
	fx_assert_names(f, "", "a d/");
}

static void without_oss_one_question_is_enough_for_a_while(void **state)
{
	struct fs_fix *f = *state;
	unsigned before;

	go_away(f);
	assert_false(fx_exists(f, "a"));
	before = calls(f);
	assert_false(fx_exists(f, "b"));
	fx_assert_names(f, "", "");
	assert_int_equal(calls(f), before);
	fake_store_heal(f->oss);
	fake_store_put_text(f->oss, "b", "x");
	pass_ttl(f);
	assert_true(fx_exists(f, "b"));
}

static bool has_marker(void *arg)
{
	struct fs_fix *f = arg;

	return fake_store_has(f->oss, "d/");
}

static void without_oss_folders_are_made_here(void **state)
{
	struct fs_fix *f = *state;

	go_away(f);
	assert_int_equal(fx_mkdir(f, "d", 0755), 0);
	fx_put(f, "d/new", "staged");
	fx_assert_names(f, "d", "new");
	pass_ttl(f);
	fx_assert_names(f, "", "d/");
	fake_store_heal(f->oss);
	assert_true(fx_pass_time(has_marker, f));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define O(name) cmocka_unit_test_setup_teardown(name, setup_offline, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_listed_folder_answers_without_a_request),
		T(what_others_made_shows_after_the_ttl),
		T(what_others_removed_goes_after_the_ttl),
		T(a_folder_that_vanished_leaves_the_listing),
		T(an_error_is_never_taken_for_absence),
		T(a_reader_does_not_keep_the_old_version_for_others),
		T(what_is_written_here_is_not_undone_by_others),
		T(a_listing_has_what_is_here_alone),
		T(a_listing_does_not_bring_back_what_was_removed),
		T(a_listing_does_not_hide_what_was_made_since),
		T(two_listings_at_once_hide_nothing),
		T(what_is_doubted_during_a_listing_is_asked_for),
		T(an_object_beside_a_folder_of_its_name_gives_way),
		T(a_folder_is_removed_only_when_it_is_empty),
		T(a_folder_that_others_emptied_can_be_removed),
		O(without_oss_new_names_are_staged),
		O(without_oss_known_names_stay),
		O(without_oss_one_question_is_enough_for_a_while),
		O(without_oss_folders_are_made_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
