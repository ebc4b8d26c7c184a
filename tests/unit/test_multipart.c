/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/upload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "state/mpu.h"
#include "util/base.h"
#include "util/clock.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
enum { PART = 128 << 10 }; /* as the fixture sets it */

static struct upload_fix fix;

static int setup(void **state)
{
	upload_init(&fix, "url = http://app.example.com/oss\nretry_for = 1h");
	fix.conf.stream_parts = true;
	upload_start(&fix);
	*state = &fix;
	return 0;
}

static int teardown(void **state)
{
	upload_fini(*state);
	return 0;
}

static int submit_and_wait(struct upload_fix *f, struct staging *s)
{
	struct waiter w;

	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	return waiter_wait(&w);
}

static bool all_stored(void *arg)
{
	struct upload_fix *f = arg;
	struct uploader_totals t;

	uploader_totals(f->up, &t);
	return t.waiting + t.running + t.retrying == 0;
}

static void count_one(void *arg, const char *key, const char *upload_id)
{
	(void)key;
	(void)upload_id;
	++*(int *)arg;
}

/* Nothing is left on OSS, nor noted as left. */
static void nothing_left(struct upload_fix *f)
{
	int noted = 0;

	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	assert_int_equal(fake_store_uploads(f->oss), 0);
	assert_int_equal(mpu_walk_orphans(f->state.db, count_one, &noted), 0);
	assert_int_equal(noted, 0);
}

/* -- whole files ---------------------------------------------------------------- */

static void large_file_goes_in_parts_with_one_callback(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB + 12345, "d-1");
	AUTO_FREE char *id = NULL;
	struct cb_record r;

	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_INITIATE), 1);
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 9);
	assert_int_equal(fake_store_calls_total(f->oss), 11);
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_int_equal(fake_store_callback(f->oss, 0)->op, FAKE_COMPLETE);
	id = upload_callback_var(f, 0, "x:ackfs_id");
	assert_string_equal(id, "d-1");
	r = upload_record(f, "big");
	assert_int_equal(r.state, CALLBACK_OK);
	assert_string_equal(r.response, "{\"Status\":\"OK\"}");
	cb_record_release(&r);
	nothing_left(f);
	staging_put(s);
}

static void file_at_the_threshold_goes_in_parts(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "a", MIB, "d");
	struct staging *t = upload_closed_bytes(f, "b", MIB - 1, "d");

	assert_int_equal(submit_and_wait(f, s), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_COMPLETE), 1);
	assert_int_equal(submit_and_wait(f, t), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 1);
	staging_put(s);
	staging_put(t);
}

static void failed_callback_on_complete_is_recorded(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");

	fake_store_answer(f->oss, 1, 203, "<Error/>", "application/xml");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_int_equal(f->events[0].o.callback, CALLBACK_FAILED);
	assert_true(upload_is_stored(f, "big", s));
	nothing_left(f);
	staging_put(s);
}

/* -- going on ----------------------------------------------------------------------- */

static void failed_part_alone_is_sent_again(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");

	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_UPLOAD_PART,
					     .nth = 8,
					     .err = -EIO,
					     .http = 503,
					     .code = "ServiceUnavailable"});
	assert_int_equal(submit_and_wait(f, s), -EIO);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_INITIATE), 1);
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 9);
	nothing_left(f);
	staging_put(s);
}

static void restart_goes_on_with_finished_parts(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");

	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_UPLOAD_PART,
					     .nth = 8,
					     .err = -EIO,
					     .http = 503,
					     .code = "ServiceUnavailable"});
	assert_int_equal(submit_and_wait(f, s), -EIO);
	staging_put(s);
	upload_stop(f);
	fake_store_reset_counts(f->oss);
	upload_start(f);
	uploader_clean_leftovers(f->up); /* it is none */
	s = staging_get(state_found(&f->state, "big"));
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_LIST_PARTS), 1);
	assert_int_equal(fake_store_calls(f->oss, FAKE_INITIATE), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 1);
	nothing_left(f);
	staging_put(s);
}

static void dead_upload_is_begun_anew(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");
	struct store store = fake_store_store(f->oss);
	struct oss_upload *uploads = NULL;
	struct oss_reply reply;
	size_t count = 0;

	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_UPLOAD_PART,
					     .nth = 8,
					     .err = -EIO,
					     .http = 503,
					     .code = "ServiceUnavailable"});
	assert_int_equal(submit_and_wait(f, s), -EIO);
	assert_int_equal(store.ops->list_uploads(store.self, "", NULL, &uploads,
						 &count, &reply),
			 0);
	assert_int_equal(count, 1);
	store.ops->abort(store.self, "big", uploads[0].upload_id, NULL, &reply);
	oss_uploads_free(uploads, count);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_INITIATE), 2);
	nothing_left(f);
	staging_put(s);
}

/* -- Complete ------------------------------------------------------------------------- */

static void lost_complete_is_found_and_called_back_again(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d-5");
	AUTO_FREE char *first = NULL;
	AUTO_FREE char *second = NULL;

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COMPLETE,
						     .err = -ECONNRESET,
						     .stored = true});
	assert_int_equal(submit_and_wait(f, s), 0); /* close hears no error */
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 8);
	assert_int_equal(fake_store_callbacks(f->oss), 2);
	first = upload_callback_var(f, 0, "x:ackfs_id");
	second = upload_callback_var(f, 1, "x:ackfs_id");
	assert_string_equal(first, "d-5");
	assert_string_equal(second, "d-5");
	assert_int_equal(f->events[0].o.callback, CALLBACK_OK);
	nothing_left(f);
	staging_put(s);
}

static void spoilt_upload_is_made_again_before_close_hears_of_it(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d-5");

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COMPLETE,
						     .err = -EIO,
						     .http = 200,
						     .code = "CrcMismatch",
						     .stored = true});
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_INITIATE), 2);
	nothing_left(f);
	staging_put(s);
}

static void unanswered_complete_is_found_by_the_next_attempt(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d-5");

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COMPLETE,
						     .err = -ECONNRESET,
						     .stored = true});
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_HEAD,
						     .err = -ECONNREFUSED,
						     .code = "ConnectFailed"});
	assert_true(submit_and_wait(f, s) < 0);
	assert_true(upload_pass_time(all_stored, f));
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 8);
	assert_int_equal(fake_store_callbacks(f->oss), 2);
	assert_true(upload_is_stored(f, "big", s));
	nothing_left(f);
	staging_put(s);
}

static void complete_that_never_arrived_is_sent_again(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COMPLETE,
						     .err = -ECONNRESET,
						     .http = 0});
	(void)submit_and_wait(f, s);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 8);
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	nothing_left(f);
	staging_put(s);
}

static void somebody_elses_object_is_not_taken_for_ours(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");

	fake_store_put_text(f->oss, "big", "theirs");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COMPLETE,
						     .times = 3,
						     .err = -ENOENT,
						     .http = 404,
						     .code = "NoSuchUpload"});
	(void)submit_and_wait(f, s);
	fake_store_heal(f->oss);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	staging_put(s);
}

/* -- giving up --------------------------------------------------------------------------- */

static void cancel_aborts_the_upload(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");
	struct waiter w;

	fake_store_block(f->oss, FAKE_UPLOAD_PART, NULL, FAKE_SENT, 0);
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_true(fake_store_wait_blocked(f->oss, FAKE_UPLOAD_PART, 2,
					    TEST_DEADLINE_MS));
	uploader_cancel(f->up, s);
	assert_int_equal(waiter_wait(&w), -ECANCELED);
	fake_store_release(f->oss, FAKE_UPLOAD_PART);
	nothing_left(f);
	assert_false(fake_store_has(f->oss, "big"));
	assert_int_equal(upload_events(f), 0);
	staging_put(s);
}

static void refused_upload_leaves_no_parts(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COMPLETE,
						     .err = -EACCES,
						     .http = 403,
						     .code = "AccessDenied"});
	assert_int_equal(submit_and_wait(f, s), -EACCES);
	nothing_left(f);
	assert_int_equal(uploader_retry_now(f->up, s), 1);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(upload_is_stored(f, "big", s));
	nothing_left(f);
	staging_put(s);
}

static void rename_while_retrying_drops_the_parts_of_the_old_name(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "big", MIB, "d");

	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_UPLOAD_PART,
					     .nth = 4,
					     .err = -EIO,
					     .http = 503,
					     .code = "ServiceUnavailable"});
	assert_int_equal(submit_and_wait(f, s), -EIO);
	assert_int_equal(uploader_rekey(f->up, s, "big2"), 0);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(upload_is_stored(f, "big2", s));
	assert_false(fake_store_has(f->oss, "big"));
	nothing_left(f);
	staging_put(s);
}

static void what_a_crash_left_is_cleaned_up(void **state)
{
	struct upload_fix *f = *state;
	struct store store = fake_store_store(f->oss);
	struct oss_reply reply;
	char *ours = NULL, *theirs = NULL;

	assert_int_equal(
		store.ops->initiate(store.self, "x", NULL, NULL, &ours, &reply),
		0);
	assert_int_equal(store.ops->initiate(store.self, "x", NULL, NULL,
					     &theirs, &reply),
			 0);
	assert_int_equal(mpu_note(f->state.db, "x", ours), 0);
	upload_stop(f);
	upload_start(f);
	uploader_clean_leftovers(f->up);
	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	assert_int_equal(fake_store_uploads(f->oss), 1); /* not ours */
	assert_int_equal(fake_store_calls(f->oss, FAKE_ABORT), 1);
	free(ours);
	free(theirs);
}

/* -- changed objects ------------------------------------------------------------------------ */

/* Open a stored object of that many bytes for changing. */
static struct staging *opened(struct upload_fix *f, const char *key,
			      size_t size)
{
	struct staging_base base = {.size = size};
	struct oss_object o;
	struct staging *s = NULL;
	char *data = malloc(size);

	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 7 + i / 251);
	fake_store_put_data(f->oss, key, data, size, NULL);
	free(data);
	assert_int_equal(fake_store_stat(f->oss, key, &o), 0);
	snprintf(base.key, sizeof(base.key), "%s", key);
	memcpy(base.etag, o.etag, sizeof(base.etag));
	base.modified_ms = o.modified_ms;
	oss_object_release(&o);
	assert_int_equal(staging_create(f->state.store, key, &base, &s), 0);
	return s;
}

static void check_edit(struct upload_fix *f, const char *key, size_t size,
		       size_t at, const char *text)
{
	size_t len = 0;
	AUTO_FREE char *got = fake_store_read(f->oss, key, &len);

	assert_int_equal(len, size);
	for (size_t i = 0; i < size; i++) {
		char want = (char)(i * 7 + i / 251);

		if (i >= at && i < at + strlen(text))
			want = text[i - at];
		if (got[i] != want)
			fail_msg("byte %zu", i);
	}
}

static void appending_moves_what_is_new(void **state)
{
	struct upload_fix *f = *state;
	size_t size = 8 * MIB;
	struct staging *s = opened(f, "big", size);

	assert_int_equal(staging_pwrite(s, "tail", 4, size), 0);
	upload_close(s, "d");
	fake_store_reset_counts(f->oss);
	assert_int_equal(submit_and_wait(f, s), 0);
	check_edit(f, "big", size + 4, size, "tail");
	assert_int_equal(fake_store_bytes_in(f->oss), 4);
	assert_int_equal(fake_store_bytes_out(f->oss), 0);
	assert_int_equal(fake_store_calls_total(f->oss), 4);
	nothing_left(f);
	staging_put(s);
}

static void change_in_the_middle_fetches_its_neighbourhood(void **state)
{
	struct upload_fix *f = *state;
	size_t size = 8 * MIB;
	struct staging *s = opened(f, "big", size);

	assert_int_equal(staging_pwrite(s, "middle", 6, 4 * MIB), 0);
	upload_close(s, "d");
	fake_store_reset_counts(f->oss);
	assert_int_equal(submit_and_wait(f, s), 0);
	check_edit(f, "big", size, 4 * MIB, "middle");
	assert_true(fake_store_bytes_in(f->oss) <= 100 * KIB);
	assert_true(fake_store_bytes_out(f->oss) <= 100 * KIB);
	staging_put(s);
}

static void changed_base_is_stale_and_leaves_nothing(void **state)
{
	struct upload_fix *f = *state;
	size_t size = 4 * MIB;
	struct staging *s = opened(f, "big", size);

	assert_int_equal(staging_pwrite(s, "tail", 4, size), 0);
	upload_close(s, "d");
	fake_store_put_text(f->oss, "big", "theirs");
	assert_int_equal(submit_and_wait(f, s), -ESTALE);
	assert_true(fake_store_is(f->oss, "big", "theirs"));
	nothing_left(f);
	staging_put(s);
}

static void edit_whose_complete_was_lost_is_found(void **state)
{
	struct upload_fix *f = *state;
	size_t size = 4 * MIB;
	struct staging *s = opened(f, "big", size);

	assert_int_equal(staging_pwrite(s, "tail", 4, size), 0);
	upload_close(s, "d");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COMPLETE,
						     .err = -ECONNRESET,
						     .stored = true});
	assert_int_equal(submit_and_wait(f, s), 0);
	check_edit(f, "big", size + 4, size, "tail");
	assert_int_equal(fake_store_callbacks(f->oss), 2);
	staging_put(s);
}

/* -- sent while written ------------------------------------------------------------------------ */

static struct staging *writing(struct upload_fix *f, const char *key)
{
	struct staging *s = NULL;

	assert_int_equal(staging_create(f->state.store, key, NULL, &s), 0);
	return s;
}

static void write_on(struct upload_fix *f, struct staging *s, size_t upto)
{
	while (staging_size(s) < upto) {
		uint64_t off = staging_size(s);

		upload_fill(s, off, 64 * KIB, (unsigned)off);
		uploader_wrote(f->up, s, off, 64 * KIB);
	}
}

static void whole_parts_go_out_while_the_file_is_written(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	write_on(f, s, 2 * MIB + 64 * KIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 16,
					  TEST_DEADLINE_MS));
	assert_int_equal(staging_state_of(s), STAGING_OPEN);
	assert_false(fake_store_has(f->oss, "big"));
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 17);
	assert_int_equal(fake_store_calls_total(f->oss), 19);
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	nothing_left(f);
	staging_put(s);
}

static void rewritten_part_is_sent_again(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 16,
					  TEST_DEADLINE_MS));
	/* A header that is filled in at the end. */
	assert_int_equal(staging_pwrite(s, "HEAD", 4, 0), 0);
	uploader_wrote(f->up, s, 0, 4);
	write_on(f, s, 2 * MIB + 128 * KIB);
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 18);
	staging_put(s);
}

static void part_written_while_it_is_sent_is_sent_again(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	fake_store_block(f->oss, FAKE_UPLOAD_PART, NULL, FAKE_SENT, 100);
	write_on(f, s, MIB);
	assert_true(fake_store_wait_blocked(f->oss, FAKE_UPLOAD_PART, 4,
					    TEST_DEADLINE_MS));
	assert_int_equal(staging_pwrite(s, "HEAD", 4, 0), 0);
	uploader_wrote(f->up, s, 0, 4);
	fake_store_release(f->oss, FAKE_UPLOAD_PART);
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	staging_put(s);
}

static void truncated_file_sends_its_end_again(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 16,
					  TEST_DEADLINE_MS));
	assert_int_equal(staging_truncate(s, MIB + 1000), 0);
	uploader_changed(f->up, s, MIB + 1000, UINT64_MAX);
	assert_int_equal(staging_truncate(s, MIB + 2000), 0);
	uploader_changed(f->up, s, MIB + 1000, UINT64_MAX);
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART), 17);
	nothing_left(f);
	staging_put(s);
}

static void untold_change_makes_all_parts_go_out_again(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 16,
					  TEST_DEADLINE_MS));
	assert_int_equal(staging_pwrite(s, "untold", 6, 0), 0);
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	staging_put(s);
}

static void file_cut_below_the_threshold_is_put_whole(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 1,
					  TEST_DEADLINE_MS));
	assert_int_equal(staging_truncate(s, 10), 0);
	uploader_changed(f->up, s, 10, UINT64_MAX);
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 1);
	nothing_left(f);
	staging_put(s);
}

static void unlinked_file_is_not_sent_while_it_is_written(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	assert_int_equal(staging_discard(s), 0);
	write_on(f, s, 2 * MIB);
	nothing_left(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_INITIATE), 0);
	staging_put(s);
}

static void abandoned_file_is_aborted(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 4,
					  TEST_DEADLINE_MS));
	uploader_abandon(f->up, s);
	nothing_left(f);
	assert_int_equal(staging_state_of(s), STAGING_OPEN); /* kept */
	staging_put(s);
}

static void temporary_name_is_not_sent_early(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "film.mkv.part");

	write_on(f, s, 2 * MIB);
	assert_int_equal(fake_store_calls_total(f->oss), 0);
	staging_put(s);
}

static void random_writer_is_not_sent_early(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "disk.img");

	assert_int_equal(staging_truncate(s, 4 * MIB), 0);
	upload_fill(s, 3 * MIB, KIB, 1);
	uploader_wrote(f->up, s, 3 * MIB, KIB);
	assert_int_equal(fake_store_calls_total(f->oss), 0);
	staging_put(s);
}

static void set_meta(struct staging *s, const char *name, const char *value)
{
	struct staging_props p = {.content_type = NULL};

	assert_int_equal(staging_get_props(s, &p), 0);
	assert_int_equal(kvs_set(&p.meta, name, value), 0);
	assert_int_equal(staging_set_props(s, &p), 0);
	staging_props_release(&p);
}

static void set_mtime(struct staging *s, int64_t real_ms)
{
	AUTO_FREE char *text = str_printf("%lld", (long long)real_ms / 1000);

	set_meta(s, "mtime", text);
}

static void times_of_writing_need_no_copy(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");
	struct oss_object o;

	set_meta(s, "mode", "33188");
	set_mtime(s, clock_real_ms());
	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 16,
					  TEST_DEADLINE_MS));
	set_mtime(s, clock_real_ms());
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_UPLOAD_PART_COPY), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_COPY), 0);
	assert_int_equal(fake_store_stat(f->oss, "big", &o), 0);
	assert_string_equal(kvs_get(&o.meta, "mode"), "33188");
	oss_object_release(&o);
	staging_put(s);
}

static void metadata_changed_after_the_beginning_is_right(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");
	struct oss_object o;

	set_meta(s, "mode", "33188");
	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 16,
					  TEST_DEADLINE_MS));
	set_meta(s, "mode", "33261");
	set_mtime(s, 1000000000000); /* cp -p */
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_int_equal(fake_store_stat(f->oss, "big", &o), 0);
	assert_string_equal(kvs_get(&o.meta, "mode"), "33261");
	assert_string_equal(kvs_get(&o.meta, "mtime"), "1000000000");
	/* One callback, which names the object as it is now. */
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_string_equal(fake_store_callback(f->oss, 0)->etag, o.etag);
	assert_string_equal(f->events[0].o.id.etag, o.etag);
	assert_true(upload_is_stored(f, "big", s));
	oss_object_release(&o);
	nothing_left(f);
	staging_put(s);
}

static void renamed_while_written_goes_to_the_new_name(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 16,
					  TEST_DEADLINE_MS));
	assert_int_equal(staging_rekey(s, "other"), 0);
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "other", s));
	assert_false(fake_store_has(f->oss, "big"));
	nothing_left(f);
	staging_put(s);
}

static void outage_while_writing_is_no_error_of_the_close(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = writing(f, "big");

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_UPLOAD_PART,
						     .nth = 3,
						     .times = 2,
						     .err = -ECONNRESET});
	write_on(f, s, 2 * MIB);
	assert_true(fake_store_wait_calls(f->oss, FAKE_UPLOAD_PART, 4,
					  TEST_DEADLINE_MS));
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(upload_is_stored(f, "big", s));
	nothing_left(f);
	staging_put(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(large_file_goes_in_parts_with_one_callback),
		TEST(file_at_the_threshold_goes_in_parts),
		TEST(failed_callback_on_complete_is_recorded),
		TEST(failed_part_alone_is_sent_again),
		TEST(restart_goes_on_with_finished_parts),
		TEST(dead_upload_is_begun_anew),
		TEST(lost_complete_is_found_and_called_back_again),
		TEST(spoilt_upload_is_made_again_before_close_hears_of_it),
		TEST(unanswered_complete_is_found_by_the_next_attempt),
		TEST(complete_that_never_arrived_is_sent_again),
		TEST(somebody_elses_object_is_not_taken_for_ours),
		TEST(cancel_aborts_the_upload),
		TEST(refused_upload_leaves_no_parts),
		TEST(rename_while_retrying_drops_the_parts_of_the_old_name),
		TEST(what_a_crash_left_is_cleaned_up),
		TEST(appending_moves_what_is_new),
		TEST(change_in_the_middle_fetches_its_neighbourhood),
		TEST(changed_base_is_stale_and_leaves_nothing),
		TEST(edit_whose_complete_was_lost_is_found),
		TEST(whole_parts_go_out_while_the_file_is_written),
		TEST(rewritten_part_is_sent_again),
		TEST(part_written_while_it_is_sent_is_sent_again),
		TEST(truncated_file_sends_its_end_again),
		TEST(untold_change_makes_all_parts_go_out_again),
		TEST(file_cut_below_the_threshold_is_put_whole),
		TEST(abandoned_file_is_aborted),
		TEST(unlinked_file_is_not_sent_while_it_is_written),
		TEST(temporary_name_is_not_sent_early),
		TEST(random_writer_is_not_sent_early),
		TEST(times_of_writing_need_no_copy),
		TEST(metadata_changed_after_the_beginning_is_right),
		TEST(renamed_while_written_goes_to_the_new_name),
		TEST(outage_while_writing_is_no_error_of_the_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
