/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/upload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "upload/mover.h"
#include "util/base.h"
#include "util/clock.h"

static const char callback[] = "url = http://app.example.com/oss\n"
			       "retry_for = 1h\n"
			       "allow_override = v";

enum { HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS };

static struct upload_fix fix;

static int setup(void **state)
{
	upload_init(&fix, callback);
	upload_start(&fix);
	*state = &fix;
	return 0;
}

static int setup_plain(void **state)
{
	upload_init(&fix, NULL);
	upload_start(&fix);
	*state = &fix;
	return 0;
}

static int teardown(void **state)
{
	upload_fini(*state);
	return 0;
}

/* -- outcomes ---------------------------------------------------------------- */

static void look_at_record(struct upload_fix *f, struct staging *s,
			   const struct upload_outcome *o)
{
	struct cb_record r;

	/* The owner finds everything in its place already. */
	if (cblog_outcome(f->state.db, "in/a.txt", &o->id, &r) != 0)
		abort();
	if (r.state != CALLBACK_OK || staging_state_of(s) != STAGING_DONE)
		abort();
	cb_record_release(&r);
}

static void stored_file_is_recorded_before_anybody_hears(void **state)
{
	struct upload_fix *f = *state;
	struct cb_record r;
	AUTO_FREE char *id = NULL;

	f->on_event = look_at_record;
	assert_int_equal(upload_whole(f, "in/a.txt", "hello", "d-1"), 0);
	assert_true(fake_store_is(f->oss, "in/a.txt", "hello"));
	assert_int_equal(upload_events(f), 1);
	assert_int_equal(f->events[0].o.rc, 0);
	assert_int_equal(f->events[0].o.callback, CALLBACK_OK);
	assert_int_equal(f->events[0].o.id.size, 5);
	assert_int_equal(fake_store_calls_total(f->oss), 1);
	id = upload_callback_var(f, 0, "x:ackfs_id");
	assert_string_equal(id, "d-1");
	r = upload_record(f, "in/a.txt");
	assert_string_equal(r.delivery_id, "d-1");
	assert_string_equal(r.response, "{\"Status\":\"OK\"}");
	assert_string_equal(r.url, "http://app.example.com/oss");
	assert_int_equal(r.attempt, 1);
	assert_int_equal(r.oss_status, 200);
	cb_record_release(&r);
}

static void content_type_comes_from_the_name(void **state)
{
	struct upload_fix *f = *state;
	struct oss_object o;

	assert_int_equal(upload_whole(f, "a.png", "x", "d"), 0);
	assert_int_equal(fake_store_stat(f->oss, "a.png", &o), 0);
	assert_string_equal(o.content_type, "image/png");
	oss_object_release(&o);
}

static void empty_file_is_an_empty_object(void **state)
{
	struct upload_fix *f = *state;

	assert_int_equal(upload_whole(f, "x/.done", "", "d"), 0);
	assert_true(fake_store_is(f->oss, "x/.done", ""));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
}

static void without_callback_section_state_is_none(void **state)
{
	struct upload_fix *f = *state;
	struct cb_record r;

	assert_int_equal(upload_whole(f, "a", "x", "d"), 0);
	assert_int_equal(fake_store_callbacks(f->oss), 0);
	r = upload_record(f, "a");
	assert_int_equal(r.state, CALLBACK_NONE);
	cb_record_release(&r);
}

static void failed_callback_leaves_the_upload_a_success(void **state)
{
	struct upload_fix *f = *state;
	struct cb_record r;

	fake_store_answer(
		f->oss, 1, 203,
		"<Error><Code>CallbackFailed</Code><Message>Error status : "
		"502.</Message><EC>0007-00000203</EC></Error>",
		"application/xml");
	assert_int_equal(upload_whole(f, "a", "x", "d"), 0);
	assert_int_equal(f->events[0].o.close_rc, 0);
	assert_int_equal(f->events[0].o.callback, CALLBACK_FAILED);
	r = upload_record(f, "a");
	assert_int_equal(r.state, CALLBACK_FAILED);
	assert_int_equal(r.server_status, 502);
	assert_true(r.next_try_ms > 0 && r.give_up_ms > r.next_try_ms);
	assert_false(r.given_up);
	cb_record_release(&r);
}

static int setup_fail_close(void **state)
{
	upload_init(&fix, "url = http://app.example.com/\n"
			  "on_failure = fail_close");
	upload_start(&fix);
	*state = &fix;
	return 0;
}

static void fail_close_shows_in_close_rc_alone(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, "<Error/>", "application/xml");
	assert_int_equal(upload_whole(f, "a", "x", "d"), 0);
	assert_int_equal(f->events[0].o.close_rc, -EREMOTEIO);
	assert_true(fake_store_is(f->oss, "a", "x"));
}

static void unfit_variable_costs_the_callback_not_the_file(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = state_write(&f->state, "a", "x");
	struct waiter w;
	struct cb_record r;
	char *big = calloc(1, 6001);

	memset(big, 'v', 6000);
	upload_close_with(s, "d", "v", big);
	free(big);
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_int_equal(waiter_wait(&w), 0);
	assert_true(fake_store_is(f->oss, "a", "x"));
	assert_int_equal(fake_store_callbacks(f->oss), 0);
	r = upload_record(f, "a");
	assert_int_equal(r.state, CALLBACK_FAILED);
	assert_true(r.given_up);
	assert_non_null(strstr(r.error, "x:v"));
	cb_record_release(&r);
	staging_put(s);
}

/* -- failures and retries ------------------------------------------------------- */

static bool all_stored(void *arg)
{
	struct upload_fix *f = arg;
	struct uploader_totals t;

	uploader_totals(f->up, &t);
	return t.waiting + t.running + t.retrying == 0;
}

static void lost_answer_is_repeated_with_the_same_delivery_id(void **state)
{
	struct upload_fix *f = *state;
	AUTO_FREE char *first = NULL;
	AUTO_FREE char *second = NULL;

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .err = -ECONNRESET,
						     .stored = true});
	assert_int_equal(upload_whole(f, "a", "x", "d-7"), -ECONNRESET);
	assert_true(upload_pass_time(all_stored, f));
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 2);
	first = upload_callback_var(f, 0, "x:ackfs_id");
	second = upload_callback_var(f, 1, "x:ackfs_id");
	assert_string_equal(first, "d-7");
	assert_string_equal(second, "d-7");
	upload_wait_events(f, 2);
	assert_int_equal(f->events[1].o.rc, 0);
}

static void crc_mismatch_is_sent_again(void **state)
{
	struct upload_fix *f = *state;

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .err = -EIO,
						     .http = 200,
						     .code = "CrcMismatch"});
	assert_int_equal(upload_whole(f, "a", "x", "d"), -EIO);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(fake_store_is(f->oss, "a", "x"));
}

static void failed_file_is_kept_with_its_error(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "a", "bytes", "d");
	struct staging_info info;
	struct waiter w;

	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_PUT,
					     .times = -1,
					     .err = -EIO,
					     .http = 503,
					     .code = "ServiceUnavailable"});
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_int_equal(waiter_wait(&w), -EIO);
	staging_get_info(s, &info);
	assert_int_equal(info.state, STAGING_RETRYING);
	assert_int_equal(info.last_errno, EIO);
	assert_non_null(strstr(info.last_error, "ServiceUnavailable"));
	assert_true(info.next_try_ms > 0 && info.next_try_ms < INT64_MAX);
	state_expect_bytes(s, "bytes");
	fake_store_heal(f->oss);
	assert_true(upload_pass_time(all_stored, f));
	assert_int_equal(staging_state_of(s), STAGING_DONE);
	staging_put(s);
}

static void refused_file_waits_to_be_asked_for(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "a", "x", "d");
	struct staging_info info;
	struct waiter w;

	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .err = -EACCES,
						     .http = 403,
						     .code = "AccessDenied"});
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_int_equal(waiter_wait(&w), -EACCES);
	staging_get_info(s, &info);
	assert_true(info.next_try_ms == INT64_MAX);
	clock_advance_ms(DAY_MS);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 1);
	assert_int_equal(uploader_retry_now(f->up, s), 1);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(fake_store_is(f->oss, "a", "x"));
	staging_put(s);
}

static void what_old_keys_failed_goes_up_soon_after_new_ones_work(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "a", "x", "d");
	int64_t began;
	struct waiter w;

	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_PUT,
					     .err = -EACCES,
					     .http = 403,
					     .code = "SecurityTokenExpired"});
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_int_equal(waiter_wait(&w), -EACCES);
	began = clock_mono_ms();
	assert_int_equal(upload_whole(f, "b", "y", "e"), 0);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(fake_store_is(f->oss, "a", "x"));
	assert_true(clock_mono_ms() - began < 60000); /* not five minutes */
	staging_put(s);
}

static void close_hears_of_a_black_hole_at_its_deadline(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "a", "x", "d");
	struct waiter w;

	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_BEFORE, 0);
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	assert_false(waiter_is_done(&w));
	clock_advance_ms(61000);
	assert_int_equal(waiter_wait(&w), -ETIMEDOUT);
	fake_store_release(f->oss, FAKE_PUT);
	assert_true(upload_pass_time(all_stored, f));
	assert_true(fake_store_is(f->oss, "a", "x"));
	staging_put(s);
}

static void upload_that_stands_still_ends_at_its_deadline(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "a", 900000, "d");
	struct waiter w;

	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 400000);
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	clock_advance_ms(61000);
	assert_int_equal(waiter_wait(&w), -ETIMEDOUT);
	fake_store_release(f->oss, FAKE_PUT);
	assert_true(upload_pass_time(all_stored, f));
	staging_put(s);
}

static void outage_is_asked_about_by_one_request(void **state)
{
	enum { FILES = 20 };
	struct upload_fix *f = *state;
	struct uploader_totals t;
	unsigned puts;

	for (int op = 0; op < FAKE_OPS; op++)
		fake_store_fail(f->oss,
				&(struct fake_fault){.op = (enum fake_op)op,
						     .times = -1,
						     .err = -ECONNREFUSED,
						     .code = "ConnectFailed"});
	assert_int_equal(upload_whole(f, "first", "x", "d"), -ECONNREFUSED);
	for (int i = 0; i < FILES; i++) {
		AUTO_FREE char *key = str_printf("k%d", i);
		struct staging *s = upload_closed(f, key, key, "d");

		assert_int_equal(uploader_submit(f->up, s, NULL, NULL), 0);
		staging_put(s);
	}
	upload_wait_events(f, FILES + 1);
	puts = fake_store_calls(f->oss, FAKE_PUT);
	assert_int_equal(puts, 1); /* the others did not even try */
	for (int i = 0; i < 600; i++)
		clock_advance_ms(1000);
	assert_true(
		fake_store_wait_calls(f->oss, FAKE_HEAD, 1, TEST_DEADLINE_MS));
	uploader_totals(f->up, &t);
	assert_true(t.unreachable);
	assert_int_equal(t.retrying, FILES + 1);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 1);
	fake_store_heal(f->oss);
	assert_true(upload_pass_time(all_stored, f));
	assert_int_equal(fake_store_count(f->oss), FILES + 1);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), FILES + 2);
}

/* -- order ------------------------------------------------------------------------ */

static void two_closes_of_a_key_are_stored_in_order(void **state)
{
	struct upload_fix *f = *state;
	struct staging *a = upload_closed(f, "k", "old", "d-1");
	struct staging *b = upload_closed(f, "k", "new", "d-2");
	AUTO_FREE char *first = NULL;
	AUTO_FREE char *second = NULL;
	struct waiter wa, wb;

	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 0);
	waiter_init(&wa, f);
	waiter_init(&wb, f);
	assert_int_equal(uploader_submit(f->up, a, waiter_done, &wa), 0);
	assert_int_equal(uploader_submit(f->up, b, waiter_done, &wb), 0);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(waiter_wait(&wa), 0);
	assert_int_equal(waiter_wait(&wb), 0);
	assert_true(fake_store_is(f->oss, "k", "new"));
	first = upload_callback_var(f, 0, "x:ackfs_id");
	second = upload_callback_var(f, 1, "x:ackfs_id");
	assert_string_equal(first, "d-1");
	assert_string_equal(second, "d-2");
	staging_put(a);
	staging_put(b);
}

static void fail_first_put(struct upload_fix *f)
{
	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_PUT,
					     .err = -EIO,
					     .http = 503,
					     .code = "ServiceUnavailable"});
}

static void failed_close_is_void_with_the_next(void **state)
{
	struct upload_fix *f = *state;
	struct staging *a = upload_closed(f, "k", "old", "d-1");
	struct waiter w;

	fail_first_put(f);
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, a, waiter_done, &w), 0);
	assert_int_equal(waiter_wait(&w), -EIO);
	assert_int_equal(upload_whole(f, "k", "new", "d-2"), 0);
	upload_wait_events(f, 3);
	clock_advance_ms(HOUR_MS);
	assert_true(fake_store_is(f->oss, "k", "new"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	for (int i = 1; i < 3; i++) {
		if (f->events[i].id != staging_id(a))
			continue;
		assert_int_equal(f->events[i].o.rc, -ECANCELED);
		assert_true(f->events[i].o.superseded);
	}
	assert_true(staging_is_superseded(a));
	staging_put(a);
}

static void promised_close_is_stored_before_the_next(void **state)
{
	struct upload_fix *f = *state;
	struct staging *a = upload_closed(f, "k", "old", "d-1");
	AUTO_FREE char *first = NULL;

	fail_first_put(f);
	assert_int_equal(uploader_submit(f->up, a, NULL, NULL), 0);
	upload_wait_events(f, 1);
	assert_int_equal(upload_whole(f, "k", "new", "d-2"), 0);
	assert_true(fake_store_is(f->oss, "k", "new"));
	assert_int_equal(fake_store_callbacks(f->oss), 2);
	first = upload_callback_var(f, 0, "x:ackfs_id");
	assert_string_equal(first, "d-1");
	staging_put(a);
}

static void newer_file_waits_while_the_promised_one_fails(void **state)
{
	struct upload_fix *f = *state;
	struct staging *a = upload_closed(f, "k", "old", "d-1");
	AUTO_FREE char *first = NULL;

	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_PUT,
					     .times = 2,
					     .err = -EIO,
					     .http = 503,
					     .code = "ServiceUnavailable"});
	assert_int_equal(uploader_submit(f->up, a, NULL, NULL), 0);
	upload_wait_events(f, 1);
	assert_int_equal(upload_whole(f, "k", "new", "d-2"), -EIO);
	assert_false(fake_store_has(f->oss, "k"));
	assert_true(upload_pass_time(all_stored, f));
	assert_true(fake_store_is(f->oss, "k", "new"));
	first = upload_callback_var(f, 0, "x:ackfs_id");
	assert_string_equal(first, "d-1");
	staging_put(a);
}

/* -- cancel ------------------------------------------------------------------------- */

static void cancel_before_its_turn_uploads_nothing(void **state)
{
	struct upload_fix *f = *state;
	struct staging *a = upload_closed(f, "k", "old", "d-1");
	struct staging *b = upload_closed(f, "k", "new", "d-2");
	struct waiter wa, wb;

	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_BEFORE, 0);
	waiter_init(&wa, f);
	waiter_init(&wb, f);
	assert_int_equal(uploader_submit(f->up, a, waiter_done, &wa), 0);
	assert_int_equal(uploader_submit(f->up, b, waiter_done, &wb), 0);
	assert_false(uploader_cancel(f->up, b));
	assert_int_equal(waiter_wait(&wb), -ECANCELED);
	assert_false(wb.o.superseded);
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(waiter_wait(&wa), 0);
	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	assert_true(fake_store_is(f->oss, "k", "old"));
	assert_int_equal(upload_events(f), 1);
	staging_put(a);
	staging_put(b);
}

static void cancel_while_sending_breaks_off(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "k", 500000, "d");
	struct waiter w;

	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 100000);
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	uploader_cancel(f->up, s);
	assert_int_equal(waiter_wait(&w), -ECANCELED);
	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	assert_false(fake_store_has(f->oss, "k"));
	assert_int_equal(upload_events(f), 0);
	fake_store_release(f->oss, FAKE_PUT);
	staging_put(s);
}

static void cancel_after_the_last_byte_lets_it_finish(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "k", "all of it", "d");
	struct waiter w;

	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 0);
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	assert_true(uploader_cancel(f->up, s));
	/* A crash from here on does not bring it back. */
	assert_null(staging_store_find(f->state.store, staging_id(s)));
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(waiter_wait(&w), -ECANCELED);
	/* The caller's own task behind it deletes the object. */
	assert_true(fake_store_has(f->oss, "k"));
	assert_int_equal(upload_events(f), 0);
	staging_put(s);
}

static void cancel_of_a_retrying_file_ends_its_retries(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "k", "x", "d");

	fail_first_put(f);
	assert_int_equal(uploader_submit(f->up, s, NULL, NULL), 0);
	upload_wait_events(f, 1);
	uploader_cancel(f->up, s);
	clock_advance_ms(HOUR_MS);
	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	assert_false(fake_store_has(f->oss, "k"));
	assert_true(all_stored(f));
	staging_put(s);
}

static void cancel_before_submit_uploads_nothing(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "k", "x", "d");
	struct waiter w;

	assert_false(uploader_cancel(f->up, s));
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_int_equal(waiter_wait(&w), -ECANCELED);
	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	assert_false(fake_store_has(f->oss, "k"));
	assert_int_equal(upload_events(f), 0);
	assert_true(all_stored(f)); /* nothing waits for a retry */
	staging_put(s);
}

static void watcher_can_leave(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "k", "x", "d");
	struct waiter w, v;

	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_BEFORE, 0);
	waiter_init(&w, f);
	waiter_init(&v, f);
	assert_int_equal(uploader_watch(f->up, s, waiter_done, &w), -ENOENT);
	assert_int_equal(uploader_submit(f->up, s, NULL, NULL), 0);
	assert_int_equal(uploader_watch(f->up, s, waiter_done, &w), 0);
	assert_int_equal(uploader_watch(f->up, s, waiter_done, &v), 0);
	assert_true(uploader_unwatch(f->up, s, &w));
	assert_false(uploader_unwatch(f->up, s, &w));
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(waiter_wait(&v), 0);
	assert_false(w.is_done);
	staging_put(s);
}

/* -- renames ---------------------------------------------------------------------------- */

static void renamed_while_waiting_goes_to_the_new_name_alone(void **state)
{
	struct upload_fix *f = *state;
	struct staging *a = upload_closed(f, "k", "old", "d-1");
	struct staging *b = upload_closed(f, "k", "new", "d-2");
	struct waiter w;

	fake_store_block(f->oss, FAKE_PUT, "k", FAKE_BEFORE, 0);
	assert_int_equal(uploader_submit(f->up, a, NULL, NULL), 0);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, b, waiter_done, &w), 0);
	assert_int_equal(uploader_rekey(f->up, a, "z"), -EBUSY);
	assert_int_equal(uploader_rekey(f->up, b, "z"), 0);
	assert_int_equal(waiter_wait(&w), 0); /* does not wait for k */
	assert_true(fake_store_is(f->oss, "z", "new"));
	fake_store_release(f->oss, FAKE_PUT);
	assert_true(test_wait_until(all_stored, f, TEST_DEADLINE_MS));
	assert_true(fake_store_is(f->oss, "k", "old"));
	assert_int_equal(uploader_rekey(f->up, b, "y"), -EBUSY);
	staging_put(a);
	staging_put(b);
}

static void renamed_while_retrying_is_retried_at_once(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed(f, "k", "x", "d");

	fail_first_put(f);
	assert_int_equal(uploader_submit(f->up, s, NULL, NULL), 0);
	upload_wait_events(f, 1);
	assert_int_equal(uploader_rekey(f->up, s, "z.png"), 0);
	upload_wait_events(f, 2);
	assert_true(fake_store_is(f->oss, "z.png", "x"));
	assert_false(fake_store_has(f->oss, "k"));
	assert_string_equal(f->events[1].key, "z.png");
	staging_put(s);
}

/* -- conflicts ----------------------------------------------------------------------------- */

static struct staging *opened(struct upload_fix *f, const char *key)
{
	struct staging_base base = {.size = 0};
	struct oss_object o;
	struct staging *s = NULL;

	assert_int_equal(fake_store_stat(f->oss, key, &o), 0);
	snprintf(base.key, sizeof(base.key), "%s", key);
	memcpy(base.etag, o.etag, sizeof(base.etag));
	base.size = o.size;
	base.modified_ms = o.modified_ms;
	oss_object_release(&o);
	assert_int_equal(staging_create(f->state.store, key, &base, &s), 0);
	return s;
}

static void set_flags(struct staging *s, bool exclusive, bool check)
{
	struct staging_props p = {.exclusive = exclusive,
				  .check_conflict = check};

	assert_int_equal(staging_set_props(s, &p), 0);
}

static int submit_and_wait(struct upload_fix *f, struct staging *s)
{
	struct waiter w;

	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	return waiter_wait(&w);
}

static void changed_object_is_a_conflict_when_asked(void **state)
{
	struct upload_fix *f = *state;
	struct staging_info info;
	struct staging *s;

	fake_store_put_text(f->oss, "k", "one");
	s = opened(f, "k");
	set_flags(s, false, true);
	assert_int_equal(staging_truncate(s, 0), 0);
	assert_int_equal(staging_pwrite(s, "mine", 4, 0), 0);
	upload_close(s, "d");
	fake_store_put_text(f->oss, "k", "theirs");
	assert_int_equal(submit_and_wait(f, s), -ESTALE);
	assert_true(fake_store_is(f->oss, "k", "theirs"));
	staging_get_info(s, &info);
	assert_int_equal(info.state, STAGING_RETRYING);
	assert_true(info.next_try_ms == INT64_MAX);
	state_expect_bytes(s, "mine");
	staging_put(s);
}

static void unchanged_object_is_no_conflict(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s;

	fake_store_put_text(f->oss, "k", "one");
	s = opened(f, "k");
	set_flags(s, false, true);
	assert_int_equal(staging_pwrite(s, "X", 1, 1), 0);
	upload_close(s, "d");
	assert_int_equal(submit_and_wait(f, s), 0);
	assert_true(fake_store_is(f->oss, "k", "oXe"));
	assert_true(f->fetched >= 1); /* what was not here */
	staging_put(s);
}

static void base_that_is_gone_is_stale(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s;

	fake_store_put_text(f->oss, "k", "one");
	s = opened(f, "k");
	assert_int_equal(staging_pwrite(s, "X", 1, 1), 0);
	upload_close(s, "d");
	f->fetch_rc = -ENOENT;
	assert_int_equal(submit_and_wait(f, s), -ESTALE);
	staging_put(s);
}

static void exclusive_create_never_overwrites(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = state_write(&f->state, "k", "mine");

	set_flags(s, true, false);
	upload_close(s, "d");
	fake_store_put_text(f->oss, "k", "theirs");
	assert_int_equal(submit_and_wait(f, s), -EEXIST);
	assert_true(fake_store_is(f->oss, "k", "theirs"));
	staging_put(s);
}

static void exclusive_create_knows_its_own_after_a_lost_answer(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = state_write(&f->state, "k", "mine");
	AUTO_FREE char *id = NULL;

	set_flags(s, true, false);
	upload_close(s, "d-3");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .err = -ECONNRESET,
						     .stored = true});
	assert_int_equal(submit_and_wait(f, s), -ECONNRESET);
	assert_true(upload_pass_time(all_stored, f));
	assert_int_equal(staging_state_of(s), STAGING_DONE);
	assert_true(fake_store_is(f->oss, "k", "mine"));
	/* The callback whose answer was lost was made again. */
	assert_int_equal(fake_store_callbacks(f->oss), 2);
	id = upload_callback_var(f, 1, "x:ackfs_id");
	assert_string_equal(id, "d-3");
	staging_put(s);
}

/* -- coming and going -------------------------------------------------------------------------- */

static void retrying_file_goes_on_after_a_restart(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s;
	AUTO_FREE char *id = NULL;

	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_PUT,
					     .times = -1,
					     .err = -EIO,
					     .http = 503,
					     .code = "ServiceUnavailable"});
	assert_int_equal(upload_whole(f, "k", "x", "d-9"), -EIO);
	upload_stop(f);
	fake_store_heal(f->oss);
	upload_start(f);
	s = state_found(&f->state, "k");
	assert_non_null(s);
	assert_int_equal(staging_state_of(s), STAGING_RETRYING);
	assert_int_equal(uploader_submit(f->up, s, NULL, NULL), 0);
	assert_true(test_wait_until(all_stored, f, TEST_DEADLINE_MS));
	assert_true(fake_store_is(f->oss, "k", "x"));
	id = upload_callback_var(f, 0, "x:ackfs_id");
	assert_string_equal(id, "d-9");
}

/* What leans on it must know how long it is. */
static void a_move_of_an_unknown_object_tells_its_size(void **state)
{
	struct upload_fix *f = *state;
	const struct object_move m = {.src = "a", .dst = "b", .process = ""};
	struct object_id id;
	struct oss_reply reply = {0};

	fake_store_put_text(f->oss, "a", "12345");
	assert_int_equal(uploader_move(f->up, &m, &id, &reply), 0);
	assert_int_equal(id.size, 5);
	assert_true(fake_store_is(f->oss, "b", "12345"));
}

static void stopping_answers_those_who_wait(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s[12];
	struct waiter w[12];

	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_BEFORE, 0);
	for (int i = 0; i < 12; i++) {
		AUTO_FREE char *key = str_printf("k%d", i);

		s[i] = upload_closed(f, key, "x", "d");
		waiter_init(&w[i], f);
		assert_int_equal(
			uploader_submit(f->up, s[i], waiter_done, &w[i]), 0);
	}
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 4, TEST_DEADLINE_MS));
	uploader_break_off(f->up);
	upload_stop_queue(f);
	for (int i = 0; i < 12; i++) {
		struct staging_info info;

		assert_true(waiter_wait(&w[i]) < 0);
		staging_get_info(s[i], &info);
		assert_true(info.state == STAGING_UPLOADING ||
			    info.state == STAGING_CLOSED);
		staging_put(s[i]);
	}
	fake_store_release(f->oss, FAKE_PUT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(stored_file_is_recorded_before_anybody_hears),
		TEST(content_type_comes_from_the_name),
		TEST(empty_file_is_an_empty_object),
		cmocka_unit_test_setup_teardown(
			without_callback_section_state_is_none, setup_plain,
			teardown),
		TEST(failed_callback_leaves_the_upload_a_success),
		cmocka_unit_test_setup_teardown(
			fail_close_shows_in_close_rc_alone, setup_fail_close,
			teardown),
		TEST(unfit_variable_costs_the_callback_not_the_file),
		TEST(lost_answer_is_repeated_with_the_same_delivery_id),
		TEST(crc_mismatch_is_sent_again),
		TEST(failed_file_is_kept_with_its_error),
		TEST(refused_file_waits_to_be_asked_for),
		TEST(what_old_keys_failed_goes_up_soon_after_new_ones_work),
		TEST(close_hears_of_a_black_hole_at_its_deadline),
		TEST(upload_that_stands_still_ends_at_its_deadline),
		TEST(outage_is_asked_about_by_one_request),
		TEST(two_closes_of_a_key_are_stored_in_order),
		TEST(failed_close_is_void_with_the_next),
		TEST(promised_close_is_stored_before_the_next),
		TEST(newer_file_waits_while_the_promised_one_fails),
		TEST(cancel_before_its_turn_uploads_nothing),
		TEST(cancel_while_sending_breaks_off),
		TEST(cancel_after_the_last_byte_lets_it_finish),
		TEST(cancel_of_a_retrying_file_ends_its_retries),
		TEST(cancel_before_submit_uploads_nothing),
		TEST(watcher_can_leave),
		TEST(renamed_while_waiting_goes_to_the_new_name_alone),
		TEST(renamed_while_retrying_is_retried_at_once),
		TEST(changed_object_is_a_conflict_when_asked),
		TEST(unchanged_object_is_no_conflict),
		TEST(base_that_is_gone_is_stale),
		TEST(exclusive_create_never_overwrites),
		TEST(exclusive_create_knows_its_own_after_a_lost_answer),
		TEST(retrying_file_goes_on_after_a_restart),
		TEST(a_move_of_an_unknown_object_tells_its_size),
		TEST(stopping_answers_those_who_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
