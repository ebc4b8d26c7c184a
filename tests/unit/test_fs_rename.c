/* SPDX-License-Identifier: Apache-2.0 */
/* Renames of files in every state and of folders, without a mount. */
#include "../support/fs_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/clock.h"

static const char callback[] = "url = http://app.example.com/cb\n"
			       "body = {\"k\":${object}}\n"
			       "body_type = application/json\n";

static int setup(void **state)
{
	static struct fs_fix f;

	fx_init(&f, callback);
	fx_start(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fx_fini(*state);
	return 0;
}

static uint64_t staged(struct fs_fix *f)
{
	struct staging_totals t;

	fx_settle(f);
	staging_store_totals(f->state.store, &t);
	return t.files;
}

/* -- files ------------------------------------------------------------------- */

static void a_stored_file_is_copied_and_deleted(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a", "text");
	fake_store_reset_counts(f->oss);
	assert_int_equal(fx_rename(f, "a", "b"), 0);
	assert_true(fake_store_is(f->oss, "b", "text"));
	assert_false(fake_store_has(f->oss, "a"));
	assert_int_equal(fake_store_calls(f->oss, FAKE_COPY), 1);
	assert_int_equal(fake_store_calls(f->oss, FAKE_REMOVE), 1);
	/* It was told of already. */
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_true(fx_xattr_is(f, "b", "callback.state", "ok"));
	fx_assert_names(f, "", "b");
}

static void an_open_file_goes_up_under_its_new_name(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	fx_write(h, "text", 0);
	assert_int_equal(fx_rename(f, "a", "b"), 0);
	fx_write(h, "TEXT", 0);
	assert_int_equal(fx_close(f, h), 0);
	assert_true(fake_store_is(f->oss, "b", "TEXT"));
	assert_false(fake_store_has(f->oss, "a"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_int_equal(staged(f), 0);
}

static void a_file_that_was_not_stored_replaces_what_was(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "target", "old");
	fx_put(f, "a.part", "new");
	assert_int_equal(fx_rename(f, "a.part", "target"), 0);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "target", "new"));
	assert_true(fx_holds(f, "target", "new"));
	assert_int_equal(fx_unlink(f, "target"), 0);
	assert_int_equal(fake_store_count(f->oss), 0);
}

/* Removed before the bytes were up: the object that was replaced goes too. */
static void what_was_replaced_does_not_come_back(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	fx_put(f, "target", "old");
	h = fx_create(f, "a", 0);
	fx_write(h, "new", 0);
	assert_int_equal(fx_rename(f, "a", "target"), 0);
	assert_int_equal(fx_unlink(f, "target"), 0);
	assert_int_equal(fx_close(f, h), 0);
	fx_settle(f);
	assert_int_equal(fake_store_count(f->oss), 0);
	fx_assert_names(f, "", "");
	assert_int_equal(staged(f), 0);
}

static void a_target_that_is_uploaded_gives_way(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "target", 0), *h2;
	struct fx_answer a;

	fx_write(h, "old", 0);
	fake_store_block(f->oss, FAKE_PUT, "target", FAKE_SENT, 0);
	fx_flush_begin(f, h, &a);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	h2 = fx_create(f, "a", 0);
	fx_write(h2, "new", 0);
	assert_int_equal(fx_rename(f, "a", "target"), 0);
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(fx_wait(&a), 0);
	assert_int_equal(fx_close(f, h2), 0);
	fx_release(f, h);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "target", "new"));
	assert_true(fx_holds(f, "target", "new"));
	assert_int_equal(staged(f), 0);
}

static void a_rename_waits_for_the_upload_that_runs(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);
	struct fx_answer a, renamed;

	fx_write(h, "first", 0);
	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 0);
	fx_flush_begin(f, h, &a);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	fx_write(h, "SECOND", 0); /* a generation of its own */
	fs_rename(f->fs, TREE_ROOT, "a", TREE_ROOT, "b", false,
		  fx_done(&renamed));
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(fx_wait(&a), 0);
	assert_int_equal(fx_wait(&renamed), 0);
	assert_int_equal(fx_close(f, h), 0);
	assert_true(fake_store_is(f->oss, "b", "SECOND"));
	assert_false(fake_store_has(f->oss, "a"));
	assert_int_equal(staged(f), 0);
}

static void bytes_that_lean_on_the_object_go_on_with_it(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	fake_store_put_text(f->oss, "a", "0123456789");
	h = fx_open(f, "a", O_RDWR);
	fx_write(h, "xx", 8);
	assert_int_equal(fx_rename(f, "a", "b"), 0);
	assert_true(fx_reads(h, "01234567xx"));
	assert_int_equal(fx_close(f, h), 0);
	assert_true(fake_store_is(f->oss, "b", "01234567xx"));
	assert_false(fake_store_has(f->oss, "a"));
}

static void a_rename_that_fails_changes_nothing(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "a", "text");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COPY,
						     .err = -EACCES,
						     .http = 403});
	assert_int_equal(fx_rename(f, "a", "b"), -EACCES);
	assert_true(fx_holds(f, "a", "text"));
	assert_false(fx_exists(f, "b"));
	assert_int_equal(fx_rename(f, "a", "b"), 0);
	assert_true(fx_holds(f, "b", "text"));
}

static void a_chmod_goes_with_the_rename(void **state)
{
	struct fs_fix *f = *state;
	struct oss_object o = {0};

	fx_put(f, "a", "text");
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	assert_int_equal(fx_rename(f, "a", "b"), 0);
	fx_settle(f);
	assert_int_equal(fake_store_stat(f->oss, "b", &o), 0);
	assert_string_equal(kvs_get(&o.meta, "mode"), "33152");
	oss_object_release(&o);
	assert_int_equal(fake_store_calls(f->oss, FAKE_COPY), 1);
}

/* A crash came between the new name and the end of what had it. */
static void what_a_rename_has_made_void_is_not_sent_after_a_crash(void **state)
{
	struct fs_fix *f = *state;
	struct staging *s = NULL;
	int64_t id;

	fx_stop(f);
	f->conf.close_staged = true;
	fx_start(f);
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .times = -1,
						     .err = -ECONNREFUSED});
	fx_put(f, "b", "older");
	fx_settle(f);
	for (id = 1; !s && id < 10; id++)
		s = staging_store_find(f->state.store, id);
	assert_non_null(s);
	fx_put(f, "b", "newer");
	staging_supersede(s);
	staging_put(s);
	fx_settle(f);
	fx_stop(f);
	fake_store_heal(f->oss);
	fake_store_reset_counts(f->oss);
	fx_start(f);
	fx_settle(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 1);
	assert_true(fx_holds(f, "b", "newer"));
	assert_int_equal(staged(f), 0);
}

/* A crash came between the intent to unlink and the end of what waited. */
static void what_an_unlink_has_dropped_is_not_sent_after_a_crash(void **state)
{
	struct fs_fix *f = *state;
	struct intent i = {.src = (char[]){"a"}, .dst = (char[]){""}};
	struct staging *s = NULL;
	int64_t id;

	fx_stop(f);
	f->conf.close_staged = true;
	fx_start(f);
	fake_store_put_text(f->oss, "a", "object");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .times = -1,
						     .err = -ECONNREFUSED});
	fx_put(f, "a", "newer");
	fx_settle(f);
	while (!s && i.staged_id < 10)
		s = staging_store_find(f->state.store, ++i.staged_id);
	assert_non_null(s);
	staging_put(s);
	assert_int_equal(intent_add(f->state.db, &i, &id), 0);
	fx_stop(f);
	fake_store_heal(f->oss);
	fake_store_reset_counts(f->oss);
	fx_start(f);
	fx_settle(f);
	assert_false(fx_exists(f, "a"));
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(fake_store_count(f->oss), 0);
	assert_int_equal(staged(f), 0);
}

/* -- folders ------------------------------------------------------------------- */

static void all_that_is_in_a_folder_goes_with_it(void **state)
{
	struct fs_fix *f = *state;
	struct handle *open_one;

	assert_int_equal(fx_mkdir(f, "d", 0755), 0);
	assert_int_equal(fx_mkdir(f, "d/sub", 0755), 0);
	fx_put(f, "d/stored", "stored");
	fake_store_put_text(f->oss, "d/sub/foreign", "foreign");
	clock_advance_ms(f->conf.ttl_ms + 1);
	fx_put(f, "d/sub/held.part", "held");
	open_one = fx_create(f, "d/sub/open", 0);
	fx_write(open_one, "open", 0);
	assert_int_equal(fx_rename(f, "d", "e"), 0);
	assert_false(fx_exists(f, "d"));
	fx_assert_names(f, "e", "stored sub/");
	fx_assert_names(f, "e/sub", "foreign held.part open");
	assert_int_equal(fx_close(f, open_one), 0);
	assert_int_equal(fx_rename(f, "e/sub/held.part", "e/sub/held"), 0);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "e/stored", "stored"));
	assert_true(fake_store_is(f->oss, "e/sub/foreign", "foreign"));
	assert_true(fake_store_is(f->oss, "e/sub/open", "open"));
	assert_true(fake_store_is(f->oss, "e/sub/held", "held"));
	assert_int_equal(fake_store_count(f->oss), 6);
	assert_int_equal(staged(f), 0);
}

static void a_file_that_is_made_meanwhile_goes_with_it(void **state)
{
	struct fs_fix *f = *state;
	struct fx_answer renamed;
	struct handle *h;

	fake_store_put_text(f->oss, "d/x", "x");
	fx_put(f, "d/a", "a");
	fake_store_block(f->oss, FAKE_COPY, NULL, FAKE_BEFORE, 0);
	fs_rename(f->fs, TREE_ROOT, "d", TREE_ROOT, "e", false,
		  fx_done(&renamed));
	assert_true(fake_store_wait_blocked(f->oss, FAKE_COPY, 1,
					    TEST_DEADLINE_MS));
	h = fx_create(f, "d/new", 0);
	fx_write(h, "new", 0);
	fake_store_release(f->oss, FAKE_COPY);
	assert_int_equal(fx_wait(&renamed), 0);
	assert_int_equal(fx_close(f, h), 0);
	assert_true(fake_store_is(f->oss, "e/new", "new"));
	assert_false(fake_store_has(f->oss, "d/new"));
	assert_true(fx_holds(f, "e/new", "new"));
	assert_int_equal(staged(f), 0);
}

static void a_folder_whose_copies_fail_stays_as_it_was(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "d/x", "x");
	fx_put(f, "d/a", "a");
	fx_put(f, "d/b", "b");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COPY,
						     .key = "d/b",
						     .times = -1,
						     .err = -EACCES,
						     .http = 403});
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COPY,
						     .key = "e/b",
						     .times = -1,
						     .err = -EACCES,
						     .http = 403});
	assert_int_equal(fx_rename(f, "d", "e"), -EACCES);
	assert_true(fx_holds(f, "d/a", "a"));
	assert_true(fx_holds(f, "d/b", "b"));
	fx_put(f, "d/a", "newer");
	assert_true(fake_store_is(f->oss, "d/a", "newer"));
}

static void bytes_on_their_way_need_no_copy(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	fake_store_put_text(f->oss, "d/x", "x");
	fx_put(f, "d/a", "old");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .key = "d/a",
						     .err = -EACCES,
						     .http = 403});
	h = fx_open(f, "d/a", O_WRONLY | O_TRUNC);
	fx_write(h, "new", 0);
	assert_int_equal(fx_close(f, h), -EACCES);
	fake_store_reset_counts(f->oss);
	assert_int_equal(fx_rename(f, "d", "e"), 0);
	fx_settle(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_COPY), 1);
	uploader_retry_now(f->up, NULL);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "e/a", "new"));
	assert_int_equal(fake_store_count(f->oss), 2);
}

static bool has_marker(void *arg)
{
	struct fs_fix *f = arg;

	return fake_store_has(f->oss, "e/");
}

static void a_folders_chmod_does_not_make_its_old_name_again(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "d/x", "x");
	fx_put(f, "d/a", "a");
	assert_int_equal(fx_chmod(f, "d", 0700), 0);
	assert_int_equal(fx_rename(f, "d", "e"), 0);
	assert_true(fx_pass_time(has_marker, f));
	fx_settle(f);
	fx_remount(f);
	fx_settle(f);
	clock_advance_ms(5000);
	fx_settle(f);
	fx_assert_names(f, "", "e/");
	assert_false(fake_store_has(f->oss, "d/"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_stored_file_is_copied_and_deleted),
		T(what_a_rename_has_made_void_is_not_sent_after_a_crash),
		T(what_an_unlink_has_dropped_is_not_sent_after_a_crash),
		T(an_open_file_goes_up_under_its_new_name),
		T(a_file_that_was_not_stored_replaces_what_was),
		T(what_was_replaced_does_not_come_back),
		T(a_target_that_is_uploaded_gives_way),
		T(a_rename_waits_for_the_upload_that_runs),
		T(bytes_that_lean_on_the_object_go_on_with_it),
		T(a_rename_that_fails_changes_nothing),
		T(a_chmod_goes_with_the_rename),
		T(all_that_is_in_a_folder_goes_with_it),
		T(a_file_that_is_made_meanwhile_goes_with_it),
		T(a_folder_whose_copies_fail_stays_as_it_was),
		T(bytes_on_their_way_need_no_copy),
		T(a_folders_chmod_does_not_make_its_old_name_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
