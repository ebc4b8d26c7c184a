/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/upload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "state/kept.h"
#include "upload/recall.h"
#include "util/base.h"
#include "util/clock.h"

enum { DAY_MS = 24 * 3600000 };

static struct upload_fix fix;
static struct recall *recall;

static const char down[] =
	"<Error><Code>CallbackFailed</Code><Message>Error status : 502."
	"</Message><EC>0007-00000203</EC></Error>";
static const char refused[] =
	"<Error><Code>CallbackFailed</Code><Message>Error status : 400."
	"</Message><EC>0007-00000203</EC></Error>";

static void start(void)
{
	upload_start(&fix);
	assert_int_equal(recall_new(fix.up, &recall), 0);
	recall_start(recall);
}

static void stop(void)
{
	recall_free(recall);
	recall = NULL;
	upload_stop(&fix);
}

static int setup(void **state)
{
	upload_init(&fix, "url = http://app.example.com/oss\nretry_for = 3m");
	start();
	*state = &fix;
	return 0;
}

static int setup_patient(void **state)
{
	upload_init(&fix, "url = http://app.example.com/oss\nretry_for = 1d");
	start();
	*state = &fix;
	return 0;
}

static int setup_path_by_file(void **state)
{
	upload_init(
		&fix,
		"url = http://app.example.com:8080/in/%{name};app.example.com?f=%{name}\nretry_for = 1d");
	start();
	*state = &fix;
	return 0;
}

static int teardown(void **state)
{
	recall_free(recall);
	recall = NULL;
	upload_fini(*state);
	return 0;
}

/* The newest attempt of a key's callback. */
static int state_of(struct upload_fix *f, const char *key, int *attempt,
		    bool *given_up)
{
	struct cb_record r = upload_record(f, key);
	int state = r.state;

	if (attempt)
		*attempt = r.attempt;
	if (given_up)
		*given_up = r.given_up;
	cb_record_release(&r);
	return state;
}

static bool a_is_ok(void *arg)
{
	return state_of(arg, "a", NULL, NULL) == CALLBACK_OK;
}

static bool all_ok(void *arg)
{
	struct upload_fix *f = arg;
	struct cblog_totals t;

	assert_int_equal(cblog_totals(f->state.db, &t), 0);
	return t.failed + t.retrying == 0;
}

static bool a_is_given_up(void *arg)
{
	bool given_up = false;

	(void)state_of(arg, "a", NULL, &given_up);
	return given_up;
}

static void failed_callback_is_made_again_with_its_id(void **state)
{
	struct upload_fix *f = *state;
	AUTO_FREE char *id = NULL;
	struct object_id now;
	struct oss_object o;
	struct cb_record r;
	int attempt;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_true(upload_pass_time(a_is_ok, f));
	assert_int_equal(fake_store_callbacks(f->oss), 2);
	assert_string_equal(fake_store_callback(f->oss, 0)->callback,
			    fake_store_callback(f->oss, 1)->callback);
	assert_string_equal(fake_store_callback(f->oss, 0)->vars,
			    fake_store_callback(f->oss, 1)->vars);
	id = upload_callback_var(f, 1, "x:ackfs_id");
	assert_string_equal(id, "d-1");
	assert_int_equal(state_of(f, "a", &attempt, NULL), CALLBACK_OK);
	assert_int_equal(attempt, 2);
	assert_true(fake_store_is(f->oss, "a", "text"));
	/* The record speaks of the object as it is now. */
	assert_int_equal(fake_store_stat(f->oss, "a", &o), 0);
	memset(&now, 0, sizeof(now));
	memcpy(now.etag, o.etag, sizeof(now.etag));
	now.size = o.size;
	now.modified_ms = o.modified_ms;
	oss_object_release(&o);
	assert_int_equal(cblog_outcome(f->state.db, "a", &now, &r), 0);
	assert_string_equal(r.response, "{\"Status\":\"OK\"}");
	cb_record_release(&r);
}

static void repeating_goes_on_after_a_restart(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	stop();
	start();
	assert_true(upload_pass_time(a_is_ok, f));
	assert_int_equal(fake_store_callbacks(f->oss), 2);
}

static void server_that_is_down_is_asked_by_one_file(void **state)
{
	enum { FILES = 12 };
	struct upload_fix *f = *state;
	unsigned before, during;

	fake_store_answer(f->oss, -1, 203, down, "application/xml");
	for (int i = 0; i < FILES; i++) {
		AUTO_FREE char *key = str_printf("k%d", i);

		assert_int_equal(upload_whole(f, key, "x", key), 0);
	}
	before = fake_store_callbacks(f->oss);
	assert_int_equal(before, FILES);
	/* Ten minutes: pauses of 1, 2, 4, ... 300 s, one callback each. */
	for (int i = 0; i < 300; i++) {
		clock_advance_ms(2000);
		usleep(1000);
	}
	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	during = fake_store_callbacks(f->oss) - before;
	assert_true(during >= 1);
	assert_true(during <= 14);
	fake_store_answer(f->oss, 0, 200, "{\"Status\":\"OK\"}",
			  "application/json");
	assert_true(upload_pass_time(all_ok, f));
	/* Each answered once. */
	assert_int_equal(fake_store_callbacks(f->oss), before + during + FILES);
}

static bool all_but_one_ok(void *arg)
{
	struct upload_fix *f = arg;
	struct cblog_totals t;

	assert_int_equal(cblog_totals(f->state.db, &t), 0);
	return t.failed + t.retrying == 1;
}

static void one_failure_does_not_hold_up_the_others(void **state)
{
	enum { FILES = 12 };
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, FILES, 203, refused, "application/xml");
	for (int i = 0; i < FILES; i++) {
		AUTO_FREE char *key = str_printf("k%d", i);

		assert_int_equal(upload_whole(f, key, "x", key), 0);
	}
	fake_store_answer(f->oss, 1, 203, down, "application/xml");
	state_log_to_file(&f->state);
	clock_advance_ms(5000); /* all are due */
	assert_true(test_wait_until(all_but_one_ok, f, TEST_DEADLINE_MS));
	assert_int_equal(fake_store_callbacks(f->oss), 2 * FILES);
	assert_false(state_logged(&f->state, "the server is down"));
}

static void overwritten_object_is_left_alone(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	fake_store_put_text(f->oss, "a", "somebody else's");
	assert_true(upload_pass_time(a_is_given_up, f));
	assert_true(fake_store_is(f->oss, "a", "somebody else's"));
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 1);
}

static void deleted_object_is_given_up(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_true(fake_store_drop(f->oss, "a"));
	assert_true(upload_pass_time(a_is_given_up, f));
	assert_false(fake_store_has(f->oss, "a"));
}

static void retry_for_ends_it(void **state)
{
	struct upload_fix *f = *state;
	unsigned made;

	fake_store_answer(f->oss, -1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_true(upload_pass_time(a_is_given_up, f));
	made = fake_store_callbacks(f->oss);
	assert_true(made > 5);
	assert_true(made < 40);
	clock_advance_ms(DAY_MS);
	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	assert_int_equal(fake_store_callbacks(f->oss), made);
}

static void by_hand_also_what_was_given_up(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, -1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_true(upload_pass_time(a_is_given_up, f));
	fake_store_answer(f->oss, 0, 200, "{\"Status\":\"OK\"}",
			  "application/json");
	assert_int_equal(recall_now(recall, "a"), 0);
	assert_true(test_wait_until(a_is_ok, f, TEST_DEADLINE_MS));
}

static void by_hand_also_what_was_answered(void **state)
{
	struct upload_fix *f = *state;

	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_int_equal(recall_now(recall, "a"), 0);
	assert_int_equal(keyq_drain(f->queue, clock_mono_ms() + 10000), 0);
	assert_int_equal(fake_store_callbacks(f->oss), 2);
	assert_int_equal(recall_now(recall, "none"), -ENOENT);
}

static void empty_object_is_repeated_too(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "", "d-1"), 0);
	assert_true(upload_pass_time(a_is_ok, f));
	assert_int_equal(fake_store_callback(f->oss, 1)->op, FAKE_PUT);
	assert_true(fake_store_is(f->oss, "a", ""));
}

static void assert_properties_survive(struct upload_fix *f, enum fake_op op)
{
	struct store store = fake_store_store(f->oss);
	AUTO_FREE char *acl = NULL;
	struct oss_object o;

	fake_store_set_tags(f->oss, "a", "x=1");
	fake_store_set_acl(f->oss, "a", "private");
	assert_true(upload_pass_time(a_is_ok, f));
	assert_int_equal(fake_store_callback(f->oss, 1)->op, op);
	assert_int_equal(fake_store_stat(f->oss, "a", &o), 0);
	assert_int_equal(o.tag_count, 1);
	assert_string_equal(o.content_type, "application/octet-stream");
	oss_object_release(&o);
	assert_int_equal(store.ops->get_acl(store.self, "a", NULL, &acl, NULL),
			 0);
	assert_string_equal(acl, "private");
}

static void properties_survive_a_put(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_properties_survive(f, FAKE_PUT);
}

/* Bytes that are not kept any more. */
static int run_forget(sqlite3 *sql, void *arg)
{
	(void)arg;
	return sqlite3_exec(sql, "DELETE FROM kept", NULL, NULL, NULL) ==
			       SQLITE_OK
		       ? 0
		       : -EIO;
}

static void properties_survive_a_copy(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_int_equal(db_write(f->state.db, run_forget, NULL, DB_WAIT), 0);
	assert_properties_survive(f, FAKE_COMPLETE);
}

static bool etag_is(struct upload_fix *f, const char *key, const char *etag)
{
	struct oss_object o;
	bool same;

	assert_int_equal(fake_store_stat(f->oss, key, &o), 0);
	same = strcmp(o.etag, etag) == 0;
	oss_object_release(&o);
	return same;
}

static void small_file_is_put_again_under_its_etag(void **state)
{
	struct upload_fix *f = *state;
	struct oss_object o;

	fake_store_answer(f->oss, 3, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_int_equal(fake_store_stat(f->oss, "a", &o), 0);
	fake_store_reset_counts(f->oss);
	assert_true(upload_pass_time(a_is_ok, f));
	/* Three repetitions: of the second and third too. */
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 3);
	assert_int_equal(fake_store_calls(f->oss, FAKE_HEAD), 3);
	assert_int_equal(fake_store_calls(f->oss, FAKE_GET_ACL), 3);
	assert_int_equal(fake_store_calls_total(f->oss), 9);
	assert_true(etag_is(f, "a", o.etag));
	assert_true(fake_store_is(f->oss, "a", "text"));
	oss_object_release(&o);
}

static void large_file_is_copied(void **state)
{
	struct upload_fix *f = *state;
	struct staging *s = upload_closed_bytes(f, "a", (256 << 10) + 1, "d-1");
	struct waiter w;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	assert_int_equal(waiter_wait(&w), 0);
	fake_store_reset_counts(f->oss);
	assert_true(upload_pass_time(a_is_ok, f));
	assert_int_equal(fake_store_calls(f->oss, FAKE_PUT), 0);
	assert_int_equal(fake_store_calls(f->oss, FAKE_COMPLETE), 1);
	staging_put(s);
}

/* As a crash would: it is stored, nobody has heard the answer. */
static void repetition_whose_answer_was_lost_is_made_again(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_PUT,
						     .err = -ETIMEDOUT,
						     .code = "Timeout",
						     .stored = true});
	assert_true(upload_pass_time(a_is_ok, f));
	assert_int_equal(fake_store_callbacks(f->oss), 3);
	assert_true(fake_store_is(f->oss, "a", "text"));
}

static bool nothing_is_kept(void *arg)
{
	struct upload_fix *f = arg;
	AUTO(buf_release) struct buf b = BUF_INIT;

	return kept_get(f->state.db, "d-1", &b) == -ENOENT;
}

static void bytes_go_when_it_is_answered(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_int_equal(db_commit(f->state.db), 0);
	assert_false(nothing_is_kept(f));
	assert_true(upload_pass_time(a_is_ok, f));
	assert_true(upload_pass_time(nothing_is_kept, f));
}

static void bytes_of_an_answered_callback_are_not_kept(void **state)
{
	struct upload_fix *f = *state;

	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	assert_int_equal(db_commit(f->state.db), 0);
	assert_true(nothing_is_kept(f));
}

static void outage_of_oss_gives_nothing_up(void **state)
{
	struct upload_fix *f = *state;

	fake_store_answer(f->oss, 1, 203, refused, "application/xml");
	assert_int_equal(upload_whole(f, "a", "text", "d-1"), 0);
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_HEAD,
						     .times = 3,
						     .err = -ECONNREFUSED,
						     .code = "ConnectFailed"});
	assert_true(upload_pass_time(a_is_ok, f));
	assert_int_equal(fake_store_callbacks(f->oss), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(failed_callback_is_made_again_with_its_id),
		TEST(repeating_goes_on_after_a_restart),
		cmocka_unit_test_setup_teardown(
			server_that_is_down_is_asked_by_one_file, setup_patient,
			teardown),
		{"server_is_known_by_its_host_not_by_the_path",
		   server_that_is_down_is_asked_by_one_file, setup_path_by_file,
		   teardown, NULL},
		cmocka_unit_test_setup_teardown(
			one_failure_does_not_hold_up_the_others, setup_patient,
			teardown),
		TEST(overwritten_object_is_left_alone),
		TEST(deleted_object_is_given_up),
		TEST(retry_for_ends_it),
		TEST(by_hand_also_what_was_given_up),
		TEST(by_hand_also_what_was_answered),
		TEST(empty_object_is_repeated_too),
		TEST(properties_survive_a_put),
		TEST(properties_survive_a_copy),
		TEST(small_file_is_put_again_under_its_etag),
		TEST(large_file_is_copied),
		TEST(repetition_whose_answer_was_lost_is_made_again),
		TEST(bytes_go_when_it_is_answered),
		TEST(bytes_of_an_answered_callback_are_not_kept),
		cmocka_unit_test_setup_teardown(outage_of_oss_gives_nothing_up,
						setup_patient, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
