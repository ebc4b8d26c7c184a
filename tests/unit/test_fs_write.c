/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a written file (design.md), row by row, without a mount. */
#include "../support/fs_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

static bool is_uploaded(void *arg)
{
	struct fs_fix *f = arg;

	return fake_store_callbacks(f->oss) > 0;
}

/* Pass time until the queue is empty and nothing is held. */
static void pass_holds(struct fs_fix *f)
{
	struct staging_totals t;

	do {
		clock_advance_ms(500);
		fx_settle(f);
		staging_store_totals(f->state.store, &t);
	} while (t.by_state[STAGING_HELD]);
	fx_settle(f);
}

static uint64_t staged(struct fs_fix *f)
{
	struct staging_totals t;

	staging_store_totals(f->state.store, &t);
	return t.files;
}

/* -- closing ------------------------------------------------------------- */

static void close_by_the_opener_stores_the_file(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	fx_write(h, "hello", 0);
	assert_int_equal(fx_flush(f, h), 0);
	assert_true(fake_store_is(f->oss, "a", "hello"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	fx_release(f, h);
	fx_settle(f);
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_int_equal(staged(f), 0);
	assert_true(fx_xattr_is(f, "a", "upload.state", "done"));
	assert_true(fx_xattr_is(f, "a", "callback.state", "ok"));
}

static void an_upload_that_fails_is_told_to_close(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .err = -EACCES,
						     .http = 403});
	fx_write(h, "hello", 0);
	assert_int_equal(fx_close(f, h), -EACCES);
	assert_true(fx_xattr_is(f, "a", "upload.state", "retrying"));
	assert_int_equal(fx_size(f, "a"), 5);
	assert_true(fx_holds(f, "a", "hello"));
}

static void nothing_changed_uploads_nothing(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	fake_store_put_text(f->oss, "a", "old");
	h = fx_open(f, "a", O_RDWR);
	assert_int_equal(fx_close(f, h), 0);
	fx_settle(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(staged(f), 0);
}

static void close_without_a_write_of_a_new_file_is_left_to_release(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	assert_int_equal(fx_flush(f, h), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	fx_write(h, "x", 0);
	assert_int_equal(fx_close(f, h), 0);
	assert_int_equal(fake_store_callbacks(f->oss), 1);
}

static void an_empty_new_file_waits_for_its_first_byte(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	assert_int_equal(fx_close(f, h), 0);
	assert_true(fx_xattr_is(f, "a", "callback.state", "held"));
	h = fx_open(f, "a", O_WRONLY);
	fx_write(h, "now", 0);
	assert_int_equal(fx_close(f, h), 0);
	pass_holds(f);
	assert_true(fake_store_is(f->oss, "a", "now"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
}

static void an_empty_file_is_stored_after_its_hold(void **state)
{
	struct fs_fix *f = *state;

	assert_int_equal(fx_close(f, fx_create(f, "x.done", 0)), 0);
	assert_true(fx_pass_time(is_uploaded, f));
	assert_true(fake_store_is(f->oss, "x.done", ""));
}

static void a_temporary_name_goes_up_once_under_its_final_one(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a.part", "bytes");
	assert_true(fx_xattr_is(f, "a.part", "callback.state", "held"));
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(fx_rename(f, "a.part", "a"), 0);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "bytes"));
	assert_false(fake_store_has(f->oss, "a.part"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_int_equal(fake_store_calls(f->oss, FAKE_COPY), 0);
}

static void a_temporary_hold_that_runs_out_makes_no_callback(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a.part", "bytes");
	pass_holds(f);
	assert_true(fake_store_is(f->oss, "a.part", "bytes"));
	assert_int_equal(fake_store_callbacks(f->oss), 0);
	assert_true(fx_xattr_is(f, "a.part", "callback.state", "none"));
}

/* The chmod of rsync comes when the temporary file is closed. */
static void what_is_held_goes_up_with_the_mode_of_then(void **state)
{
	struct fs_fix *f = *state;
	struct oss_object o = {0};

	fx_put(f, "a.part", "bytes");
	assert_int_equal(fx_chmod(f, "a.part", 0600), 0);
	assert_int_equal(fx_rename(f, "a.part", "a"), 0);
	fx_settle(f);
	assert_int_equal(fake_store_stat(f->oss, "a", &o), 0);
	assert_string_equal(kvs_get(&o.meta, "mode"), "33152");
	oss_object_release(&o);
	assert_int_equal(fake_store_calls(f->oss, FAKE_COPY), 0);
}

static void truncate_of_a_path_is_one_upload(void **state)
{
	struct fs_fix *f = *state;

	fake_store_put_text(f->oss, "a", "0123456789");
	assert_int_equal(fx_truncate(f, "a", 4), 0);
	assert_true(fake_store_is(f->oss, "a", "0123"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_int_equal(fx_size(f, "a"), 4);
	fx_settle(f);
	assert_int_equal(staged(f), 0);
}

static void an_overwrite_in_the_middle_keeps_the_rest(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	fake_store_put_text(f->oss, "a", "0123456789");
	h = fx_open(f, "a", O_RDWR);
	fx_write(h, "xx", 4);
	assert_true(fx_reads(h, "0123xx6789"));
	assert_int_equal(fx_close(f, h), 0);
	assert_true(fake_store_is(f->oss, "a", "0123xx6789"));
}

static void bytes_with_a_wrong_sum_are_fetched_again(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	fake_store_put_text(f->oss, "a", "0123456789");
	h = fx_open(f, "a", O_RDWR);
	fx_write(h, "xx", 10);
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_GET,
						     .err = -EIO,
						     .http = 200,
						     .code = "CrcMismatch",
						     .after_bytes = 10});
	assert_int_equal(fx_close(f, h), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_GET), 2);
	assert_true(fake_store_is(f->oss, "a", "0123456789xx"));
}

static void an_overwrite_keeps_what_a_listing_does_not_show(void **state)
{
	struct fs_fix *f = *state;
	AUTO(kvs_release) struct kvs meta = KVS_INIT;
	struct oss_object o = {0};

	assert_int_equal(kvs_add(&meta, "owner-tool", "scanner"), 0);
	fake_store_put_data(f->oss, "a", "old", 3, &meta);
	fake_store_set_tags(f->oss, "a", "k=v");
	fx_put(f, "a", "new");
	assert_int_equal(fake_store_stat(f->oss, "a", &o), 0);
	assert_string_equal(kvs_get(&o.meta, "owner-tool"), "scanner");
	assert_int_equal(o.tag_count, 1);
	oss_object_release(&o);
}

static void check_conflict(struct fs_fix *f, int flags)
{
	struct handle *h;

	fake_store_put_text(f->oss, "a", "old");
	clock_advance_ms(f->conf.ttl_ms + 1);
	h = fx_open(f, "a", O_RDWR | flags);
	fx_write(h, "x", 0);
	fake_store_put_text(f->oss, "a", "theirs");
	assert_int_equal(fx_close(f, h), -ESTALE);
	assert_true(fake_store_is(f->oss, "a", "theirs"));
	assert_true(fx_xattr_is(f, "a", "upload.state", "retrying"));
	assert_int_equal(fx_unlink(f, "a"), 0);
	fx_settle(f);
}

static void a_conflict_is_seen_where_that_is_asked_for(void **state)
{
	struct fs_fix *f = *state;

	fx_stop(f);
	f->conf.fail_on_conflict = true;
	fx_start(f);
	check_conflict(f, 0);
	check_conflict(f, O_TRUNC);
	/* Our own versions are none. */
	fx_put(f, "a", "one");
	fx_put(f, "a", "two");
	assert_true(fake_store_is(f->oss, "a", "two"));
}

/* -- mmap (fuse-facts 8) --------------------------------------------------- */

static void a_sized_new_file_waits_for_what_is_mapped(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);
	struct fx_answer a;

	file_truncate(f->fs, handle_node(h)->ino, h, 4, NULL, fx_done(&a));
	assert_int_equal(fx_wait(&a), 0);
	assert_int_equal(fx_flush(f, h), 0); /* close(fd) with the map there */
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(file_write(h, "mmap", 4, 0, true), 4);
	fx_release(f, h);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "mmap"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
}

static void a_sized_old_file_waits_for_what_is_mapped(void **state)
{
	struct fs_fix *f = *state;
	struct fx_answer a;
	struct handle *h;

	fake_store_put_text(f->oss, "a", "something longer");
	h = fx_open(f, "a", O_RDWR | O_TRUNC);
	file_truncate(f->fs, handle_node(h)->ino, h, 4, NULL, fx_done(&a));
	assert_int_equal(fx_wait(&a), 0);
	assert_int_equal(fx_flush(f, h), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(file_write(h, "mmap", 4, 0, true), 4);
	fx_release(f, h);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "mmap"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
}

static void a_preallocated_file_waits_for_what_is_mapped(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	assert_int_equal(file_fallocate(h, 0, 0, 4), 0);
	assert_int_equal(fx_flush(f, h), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(file_write(h, "mmap", 4, 0, true), 4);
	fx_release(f, h);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "mmap"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
}

/* -- writers that are killed ------------------------------------------------ */

static void a_killed_writer_publishes_nothing(void **state)
{
	struct fs_fix *f = *state;
	pid_t actor = fx_actor_start();
	struct handle *h;

	fake_store_put_text(f->oss, "a", "old");
	f->tid = actor;
	h = fx_open(f, "a", O_WRONLY | O_TRUNC);
	fx_write(h, "half", 0);
	fx_actor_end(actor, SIGKILL);
	assert_int_equal(fx_close(f, h), 0);
	fx_actor_reap(actor);
	fx_settle(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(fx_size(f, "a"), 3);
	assert_true(fx_holds(f, "a", "old"));
	assert_int_equal(atomic_load(&f->fs->incomplete_seen), 1);
}

static void exit_without_close_is_a_close(void **state)
{
	struct fs_fix *f = *state;
	pid_t actor = fx_actor_start();
	struct handle *h;

	f->tid = actor;
	h = fx_create(f, "a", 0);
	fx_write(h, "whole", 0);
	fx_actor_end(actor, 0);
	assert_int_equal(fx_close(f, h), 0);
	fx_actor_reap(actor);
	assert_true(fake_store_is(f->oss, "a", "whole"));
}

/* `cat > existing` and Ctrl-C before a byte: the shell closed a duplicate
 * first, and that is no promise of anything. */
static void a_writer_killed_before_its_first_byte_empties_nothing(void **state)
{
	struct fs_fix *f = *state;
	pid_t actor = fx_actor_start();
	struct handle *h;

	fake_store_put_text(f->oss, "a", "old");
	f->tid = actor;
	h = fx_open(f, "a", O_WRONLY | O_TRUNC);
	f->tid = 0;
	assert_int_equal(fx_flush(f, h), 0); /* by another process: deferred */
	f->tid = actor;
	fx_actor_end(actor, SIGINT);
	assert_int_equal(fx_close(f, h), 0);
	fx_actor_reap(actor);
	fx_settle(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_true(fx_holds(f, "a", "old"));
}

static void a_new_file_whose_writer_is_killed_at_once_is_not_there(void **state)
{
	struct fs_fix *f = *state;
	pid_t actor = fx_actor_start();
	struct handle *h;

	f->tid = actor;
	h = fx_create(f, "a", 0);
	f->tid = 0;
	assert_int_equal(fx_flush(f, h), 0);
	f->tid = actor;
	fx_actor_end(actor, SIGINT);
	assert_int_equal(fx_close(f, h), 0);
	fx_actor_reap(actor);
	pass_holds(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_false(fx_exists(f, "a"));
	assert_int_equal(staged(f), 0);
}

static void a_promise_survives_the_kill_of_the_opener(void **state)
{
	struct fs_fix *f = *state;
	pid_t actor = fx_actor_start();
	struct handle *h;

	f->tid = actor;
	h = fx_create(f, "a", 0);
	fx_write(h, "a\n", 0);
	f->tid = 0;
	assert_int_equal(fx_flush(f, h), 0); /* a child's close: promised */
	f->tid = actor;
	fx_actor_end(actor, SIGKILL);
	assert_int_equal(fx_close(f, h), 0);
	fx_actor_reap(actor);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "a\n"));
}

/* Its RELEASE was on its way when the mount ended. */
static void what_was_promised_goes_up_at_the_end(void **state)
{
	struct fs_fix *f = *state;
	pid_t actor = fx_actor_start();
	struct handle *h, *h2;

	f->tid = actor;
	h = fx_create(f, "a", 0);
	h2 = fx_create(f, "b", 0);
	fx_write(h, "whole", 0);
	fx_write(h2, "half", 0);
	f->tid = 0;
	assert_int_equal(fx_flush(f, h), 0); /* a child's: promised */
	file_close_promised(f->fs);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "whole"));
	assert_false(fake_store_has(f->oss, "b"));
	f->tid = actor;
	fx_actor_end(actor, SIGKILL);
	fx_release(f, h);
	assert_int_equal(fx_close(f, h2), 0);
	fx_actor_reap(actor);
	assert_int_equal(fake_store_callbacks(f->oss), 1);
}

/* -- writing while it is uploaded -------------------------------------------- */

static void a_write_during_the_upload_makes_a_generation(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);
	struct fx_answer a;

	fx_write(h, "first", 0);
	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 0);
	fx_flush_begin(f, h, &a);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	fx_write(h, "SECOND", 0);
	assert_true(fx_reads(h, "SECOND"));
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(fx_wait(&a), 0);
	assert_true(fake_store_is(f->oss, "a", "first"));
	assert_int_equal(fx_size(f, "a"), 6);
	assert_int_equal(fx_close(f, h), 0);
	assert_true(fake_store_is(f->oss, "a", "SECOND"));
	fx_settle(f);
	assert_int_equal(staged(f), 0);
}

static void unlink_during_the_upload_leaves_nothing(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);
	struct fx_answer a, gone;

	fx_write(h, "bytes", 0);
	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_STORED, 0);
	fx_flush_begin(f, h, &a);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	fs_unlink(f->fs, TREE_ROOT, "a", fx_done(&gone));
	assert_true(fx_reads(h, "bytes"));
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(fx_wait(&gone), 0);
	assert_int_equal(fx_wait(&a), 0);
	fx_settle(f);
	assert_false(fake_store_has(f->oss, "a"));
	assert_false(fx_exists(f, "a"));
	assert_true(fx_reads(h, "bytes"));
	fx_release(f, h);
	assert_int_equal(staged(f), 0);
}

static void unlink_after_a_lost_answer_leaves_nothing(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .err = -ETIMEDOUT,
						     .stored = true});
	fx_write(h, "bytes", 0);
	assert_int_equal(fx_close(f, h), -ETIMEDOUT);
	assert_true(fake_store_has(f->oss, "a"));
	assert_int_equal(fx_unlink(f, "a"), 0);
	fx_settle(f);
	assert_false(fake_store_has(f->oss, "a"));
	assert_int_equal(staged(f), 0);
}

static void
an_unlinked_file_is_read_and_written_until_its_last_close(void **state)
{
	struct fs_fix *f = *state;
	struct handle *w = fx_create(f, "a", 0), *r;

	fx_write(w, "bytes", 0);
	r = fx_open(f, "a", O_RDONLY);
	assert_int_equal(fx_unlink(f, "a"), 0);
	fx_write(w, "BYTES", 0);
	assert_int_equal(fx_close(f, w), 0);
	assert_true(fx_reads(r, "BYTES"));
	assert_int_equal(fx_close(f, r), 0);
	fx_settle(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(staged(f), 0);
}

static void a_name_that_is_made_anew_is_another_file(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0), *h2;
	struct fx_answer a, gone;

	fx_write(h, "first", 0);
	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_STORED, 0);
	fx_flush_begin(f, h, &a);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	fs_unlink(f->fs, TREE_ROOT, "a", fx_done(&gone));
	h2 = fx_create(f, "a", 0);
	fx_write(h2, "other", 0);
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(fx_wait(&gone), 0);
	assert_int_equal(fx_wait(&a), 0);
	fx_settle(f);
	assert_false(fake_store_has(f->oss, "a"));
	assert_true(fx_reads(h2, "other"));
	assert_int_equal(fx_close(f, h2), 0);
	assert_true(fake_store_is(f->oss, "a", "other"));
	fx_release(f, h);
	fx_settle(f);
	assert_int_equal(staged(f), 0);
}

/* -- reading on ------------------------------------------------------------------- */

static void a_reader_follows_a_rename(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h, *deep;

	fake_store_put_text(f->oss, "a", "text");
	fake_store_put_text(f->oss, "d/e/f", "deep");
	h = fx_open(f, "a", O_RDONLY);
	deep = fx_open(f, "d/e/f", O_RDONLY);
	assert_true(fx_reads(h, "text"));
	assert_int_equal(fx_rename(f, "a", "b"), 0);
	assert_int_equal(fx_rename(f, "d", "x"), 0);
	clock_advance_ms(60000); /* what was read ahead is given back */
	assert_true(fx_reads(h, "text"));
	assert_true(fx_reads(deep, "deep"));
	assert_int_equal(fx_chmod(f, "b", 0600), 0);
	fs_flush_meta(f->fs);
	fx_settle(f);
	assert_true(fx_reads(h, "text"));
	fx_close(f, h);
	fx_close(f, deep);
}

static void a_reader_never_mixes_two_versions(void **state)
{
	struct fs_fix *f = *state;
	AUTO_FREE char *text = NULL;
	struct handle *h;

	fake_store_put_text(f->oss, "a", "one");
	h = fx_open(f, "a", O_RDONLY);
	fx_size(f, "a");
	fake_store_put_text(f->oss, "a", "other");
	text = fx_read(h);
	assert_null(text);
	/* Whoever opens it anew has the new one, at once. */
	assert_int_equal(fx_size(f, "a"), 5);
	assert_true(fx_holds(f, "a", "other"));
	fx_close(f, h);
}

/* -- waiting for the outcome ----------------------------------------------------- */

static void an_outcome_is_waited_for(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);
	struct fx_answer a, outcome;

	fx_write(h, "bytes", 0);
	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 0);
	fx_flush_begin(f, h, &a);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	assert_true(
		file_wait_outcome(f->fs, fx_ino(f, "a"), fx_done(&outcome)));
	assert_false(atomic_load(&outcome.is_done));
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(fx_wait(&outcome), 0);
	assert_int_equal(fx_wait(&a), 0);
	assert_false(file_wait_outcome(f->fs, fx_ino(f, "a"), fx_done(&a)));
	fx_release(f, h);
}

static bool is_done(void *arg)
{
	struct fx_answer *a = arg;

	return atomic_load(&a->is_done);
}

static void an_outcome_is_not_waited_for_for_ever(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);
	struct fx_answer a, outcome;

	fx_write(h, "bytes", 0);
	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 0);
	fx_flush_begin(f, h, &a);
	assert_true(
		file_wait_outcome(f->fs, fx_ino(f, "a"), fx_done(&outcome)));
	assert_true(fx_pass_time(is_done, &outcome));
	fake_store_release(f->oss, FAKE_PUT);
	fx_wait(&a);
	fx_release(f, h);
}

/* `cmd > f; getfattr f` of an object whose metadata is still asked for. */
static void a_close_that_waits_for_metadata_is_waited_for(void **state)
{
	struct fs_fix *f = *state;
	struct fx_answer outcome;
	struct handle *h;

	fake_store_put_text(f->oss, "a", "old");
	fake_store_block(f->oss, FAKE_HEAD, NULL, FAKE_BEFORE, 0);
	h = fx_open(f, "a", O_WRONLY | O_TRUNC);
	fx_write(h, "new", 0);
	fx_release(f, h);
	assert_true(
		file_wait_outcome(f->fs, fx_ino(f, "a"), fx_done(&outcome)));
	assert_false(atomic_load(&outcome.is_done));
	fake_store_release(f->oss, FAKE_HEAD);
	assert_int_equal(fx_wait(&outcome), 0);
	assert_true(fake_store_is(f->oss, "a", "new"));
	assert_true(fx_xattr_is(f, "a", "callback.state", "ok"));
}

/* -- full disk ------------------------------------------------------------------ */

static void a_held_file_is_not_lost_by_a_write_that_fails(void **state)
{
	struct fs_fix *f = *state;
	AUTO_FREE char *big = calloc(1, 1 << 20);
	struct handle *h;

	fx_stop(f);
	f->state.conf.max_bytes = 256 << 10;
	fx_start(f);
	fx_put(f, "a.part", "bytes");
	h = fx_open(f, "a.part", O_RDWR);
	assert_non_null(big);
	assert_int_equal(file_write(h, big, 1 << 20, 4096, false), -ENOSPC);
	assert_int_equal(fx_close(f, h), 0);
	assert_int_equal(fx_rename(f, "a.part", "a"), 0);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "bytes"));
}

static void a_stored_file_is_not_changed_by_a_write_that_fails(void **state)
{
	struct fs_fix *f = *state;
	AUTO_FREE char *big = calloc(1, 1 << 20);
	struct handle *h;

	fx_stop(f);
	f->state.conf.max_bytes = 256 << 10;
	fx_start(f);
	fake_store_put_text(f->oss, "a", "old");
	h = fx_open(f, "a", O_RDWR);
	assert_non_null(big);
	assert_int_equal(file_write(h, big, 1 << 20, 0, false), -ENOSPC);
	assert_int_equal(fx_close(f, h), 0);
	fx_settle(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(staged(f), 0);
}

/* -- two at once --------------------------------------------------------------- */

static void the_last_of_two_writers_leaves_nothing_staged(void **state)
{
	struct fs_fix *f = *state;
	struct handle *a = fx_create(f, "a", 0), *b;

	fx_write(a, "one", 0);
	b = fx_open(f, "a", O_RDWR);
	fx_write(b, "two", 0);
	fx_release(f, a);
	fx_release(f, b);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "two"));
	assert_int_equal(staged(f), 0);
}

/* -- just when an upload ends --------------------------------------------------- */

static void release_handle(struct fs_fix *f)
{
	fx_release(f, f->handle);
}

/* A reader's was the last descriptor. */
static void
the_version_just_stored_is_what_the_next_writer_leans_on(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	f->conf.ttl_ms = 60000;
	fx_remount(f);
	fake_store_put_text(f->oss, "a", "0123456789");
	h = fx_open(f, "a", O_WRONLY | O_TRUNC);
	fx_write(h, "new", 0);
	f->handle = fx_open(f, "a", O_RDONLY);
	f->before_event = release_handle;
	fx_release(f, h);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "new"));
	h = fx_open(f, "a", O_RDWR);
	fx_write(h, "!", 3);
	assert_int_equal(fx_close(f, h), 0);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "new!"));
	assert_int_equal(staged(f), 0);
}

static void append_by_handle(struct fs_fix *f)
{
	fx_write(f->handle, "two", 3);
}

static void what_is_written_as_an_upload_ends_goes_up_too(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	f->conf.fail_on_conflict = true;
	fx_remount(f);
	fake_store_put_text(f->oss, "a", "0123456789");
	h = f->handle = fx_open(f, "a", O_WRONLY | O_TRUNC);
	fx_write(h, "one", 0);
	f->before_event = append_by_handle;
	assert_int_equal(fx_flush(f, h), 0);
	assert_int_equal(fx_close(f, h), 0);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "onetwo"));
	assert_int_equal(staged(f), 0);
}

static void truncate_to_two(struct fs_fix *f)
{
	static const struct caller who = {.tid = 0};
	static struct fx_answer a;

	file_truncate(f->fs, fx_ino(f, "a"), NULL, 2, &who, fx_done(&a));
}

static void what_is_cut_as_an_upload_ends_goes_up_too(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	fx_write(h, "one", 0);
	f->before_event = truncate_to_two;
	fx_release(f, h);
	fx_settle(f);
	assert_true(fake_store_is(f->oss, "a", "on"));
	assert_int_equal(fx_size(f, "a"), 2);
	assert_int_equal(staged(f), 0);
}

/* Copied on OSS, never fetched: the object that was written over is gone. */
static void what_was_not_written_is_read_on_after_the_upload(void **state)
{
	struct fs_fix *f = *state;
	const size_t size = 2 << 20;
	AUTO_FREE char *data = malloc(size + 1);
	AUTO_FREE char *got = NULL;
	struct handle *h;

	assert_non_null(data);
	memset(data, 'x', size);
	data[size] = '\0';
	fake_store_put_data(f->oss, "a", data, size, NULL);
	h = fx_open(f, "a", O_RDWR);
	fx_write(h, "more", size);
	assert_int_equal(fx_flush(f, h), 0);
	got = fx_read(h);
	assert_non_null(got);
	assert_memory_equal(got, data, 1 << 20);
	fx_release(f, h);
	fx_settle(f);
	assert_int_equal(staged(f), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(close_by_the_opener_stores_the_file),
		T(an_upload_that_fails_is_told_to_close),
		T(nothing_changed_uploads_nothing),
		T(close_without_a_write_of_a_new_file_is_left_to_release),
		T(an_empty_new_file_waits_for_its_first_byte),
		T(an_empty_file_is_stored_after_its_hold),
		T(a_temporary_name_goes_up_once_under_its_final_one),
		T(a_temporary_hold_that_runs_out_makes_no_callback),
		T(what_is_held_goes_up_with_the_mode_of_then),
		T(truncate_of_a_path_is_one_upload),
		T(an_overwrite_in_the_middle_keeps_the_rest),
		T(bytes_with_a_wrong_sum_are_fetched_again),
		T(an_overwrite_keeps_what_a_listing_does_not_show),
		T(a_conflict_is_seen_where_that_is_asked_for),
		T(a_sized_new_file_waits_for_what_is_mapped),
		T(a_sized_old_file_waits_for_what_is_mapped),
		T(a_preallocated_file_waits_for_what_is_mapped),
		T(a_killed_writer_publishes_nothing),
		T(exit_without_close_is_a_close),
		T(a_writer_killed_before_its_first_byte_empties_nothing),
		T(a_new_file_whose_writer_is_killed_at_once_is_not_there),
		T(a_promise_survives_the_kill_of_the_opener),
		T(what_was_promised_goes_up_at_the_end),
		T(a_write_during_the_upload_makes_a_generation),
		T(unlink_during_the_upload_leaves_nothing),
		T(unlink_after_a_lost_answer_leaves_nothing),
		T(an_unlinked_file_is_read_and_written_until_its_last_close),
		T(a_name_that_is_made_anew_is_another_file),
		T(a_reader_follows_a_rename),
		T(a_reader_never_mixes_two_versions),
		T(an_outcome_is_waited_for),
		T(an_outcome_is_not_waited_for_for_ever),
		T(a_close_that_waits_for_metadata_is_waited_for),
		T(a_held_file_is_not_lost_by_a_write_that_fails),
		T(a_stored_file_is_not_changed_by_a_write_that_fails),
		T(the_last_of_two_writers_leaves_nothing_staged),
		T(the_version_just_stored_is_what_the_next_writer_leans_on),
		T(what_is_written_as_an_upload_ends_goes_up_too),
		T(what_is_cut_as_an_upload_ends_goes_up_too),
		T(what_was_not_written_is_read_on_after_the_upload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
