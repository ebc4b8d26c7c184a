/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of small files in their rows: which, until when, and what a start
   makes of them. */
#include "../support/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "state/sql.h"
#include "util/base.h"
#include "util/log.h"

static int setup(void **state)
{
	static struct state_fix f;

	state_init_in_memory(&f);
	f.conf.boot_id = "first";
	state_open(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	state_fini(*state);
	return 0;
}

static int try_close(struct staging *s)
{
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d");

	return staging_close(s, &c, true);
}

static int try_hold(struct staging *s)
{
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d");

	return staging_hold(s, &c, true);
}

static int run_count(sqlite3 *sql, void *arg)
{
	return sql_int(sql,
		       "SELECT count(*) FROM staged_detail"
		       " WHERE bytes_generation IS NOT NULL",
		       0, arg);
}

/* In how many rows there are bytes. */
static int count_in_rows(struct state_fix *f)
{
	long long n = 0;

	assert_int_equal(db_commit(f->db), 0);
	assert_int_equal(db_read(f->db, run_count, &n), 0);
	return (int)n;
}

/* -- which files ------------------------------------------------------------- */

static void small_file_goes_into_its_row_and_leaves_with_it(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "bytes");

	assert_int_equal(try_close(s), 0);
	assert_int_equal(count_in_rows(f), 1);
	assert_int_equal(staging_discard(s), 0);
	assert_int_equal(count_in_rows(f), 0);
	staging_put(s);
}

static void big_file_does_not(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *text = state_big("");
	struct staging *s = state_write(f, "k", text);

	assert_int_equal(try_close(s), 0);
	assert_int_equal(count_in_rows(f), 0);
	staging_put(s);
	text[STAGING_ROW_BYTES_MAX] = '\0';
	s = state_write(f, "just small enough", text);
	assert_int_equal(try_close(s), 0);
	assert_int_equal(count_in_rows(f), 1);
	staging_put(s);
}

static void file_that_shares_bytes_with_an_object_does_not(void **state)
{
	struct state_fix *f = *state;
	struct staging_base base = {.key = "k", .etag = "E", .size = 10};
	struct staging *s = NULL;

	assert_int_equal(staging_create(f->store, "k", &base, &s), 0);
	assert_int_equal(staging_pwrite(s, "more", 4, 10), 0);
	assert_int_equal(staging_sync(s), 0);
	assert_int_equal(count_in_rows(f), 0);
	/* Cut to nothing and written anew, it shares none. */
	assert_int_equal(staging_truncate(s, 0), 0);
	assert_int_equal(staging_pwrite(s, "new", 3, 0), 0);
	assert_int_equal(staging_sync(s), 0);
	assert_int_equal(count_in_rows(f), 1);
	staging_put(s);
}

static void file_that_outgrows_its_row_takes_its_bytes_out(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *text = state_big("");
	struct staging *s = state_write(f, "k", "bytes");

	assert_int_equal(staging_sync(s), 0);
	assert_int_equal(count_in_rows(f), 1);
	assert_int_equal(staging_pwrite(s, text, strlen(text), 5), 0);
	assert_int_equal(staging_sync(s), 0);
	assert_int_equal(count_in_rows(f), 0);
	assert_int_equal(staging_truncate(s, 2), 0);
	assert_int_equal(try_close(s), 0);
	assert_int_equal(count_in_rows(f), 1);
	staging_put(s);
}

static void clean_stop_takes_all_of_them_out(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "bytes");

	assert_int_equal(try_close(s), 0);
	staging_put(s);
	state_close(f);
	f->conf.boot_id = "second";
	state_open(f);
	assert_int_equal(count_in_rows(f), 0);
	assert_int_equal(staging_state_of(state_found(f, "k")), STAGING_CLOSED);
	state_expect_bytes(state_found(f, "k"), "bytes");
}

/* -- room -------------------------------------------------------------------- */

static void bytes_in_the_row_count_as_staged(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "bytes");
	struct staging_totals before, after;

	staging_store_totals(f->store, &before);
	assert_int_equal(try_close(s), 0);
	staging_store_totals(f->store, &after);
	assert_true(after.bytes >= before.bytes + 5);
	assert_int_equal(staging_retry_later(s, -EIO, "x", 1), 0);
	staging_store_totals(f->store, &before);
	assert_int_equal(before.bytes, after.bytes); /* once */
	staging_discard(s);
	staging_put(s);
	assert_int_equal(db_commit(f->db), 0);
	staging_store_totals(f->store, &after);
	assert_int_equal(after.bytes, 0);
}

static void where_the_budget_has_no_room_the_file_is_fsynced(void **state)
{
	struct state_fix *f = *state;
	struct staging *s;

	state_close(f);
	f->conf.max_bytes = 10000;
	state_open(f);
	s = state_write(f, "a", "bytes");
	assert_int_equal(try_close(s), 0);
	assert_int_equal(count_in_rows(f), 1);
	staging_put(s);
	s = state_write(f, "b", "bytes"); /* two files and a row: no more */
	assert_int_equal(try_close(s), 0);
	assert_int_equal(count_in_rows(f), 1);
	staging_put(s);
}

/* -- a row that cannot be written ----------------------------------------------- */

static int run_refuse(sqlite3 *sql, void *arg)
{
	(void)arg;
	return sql_exec(sql, "CREATE TEMP TRIGGER full BEFORE INSERT"
			     " ON main.staged_detail"
			     " WHEN new.bytes IS NOT NULL BEGIN"
			     " SELECT RAISE(ABORT, 'full'); END");
}

static int run_allow(sqlite3 *sql, void *arg)
{
	(void)arg;
	return sql_exec(sql, "DROP TRIGGER full");
}

static void refused_bytes_fail_the_close_and_go_with_the_next(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "bytes");

	assert_int_equal(db_write(f->db, run_refuse, NULL, DB_WAIT), 0);
	assert_true(try_close(s) < 0);
	assert_int_equal(staging_state_of(s), STAGING_OPEN);
	assert_int_equal(count_in_rows(f), 0);
	assert_true(staging_sync(s) < 0);
	assert_int_equal(db_write(f->db, run_allow, NULL, DB_WAIT), 0);
	assert_int_equal(try_close(s), 0);
	assert_int_equal(count_in_rows(f), 1);
	staging_put(s);
}

/* -- starts ------------------------------------------------------------------- */

/* What a power cut leaves of a file that nobody has fsynced. */
enum left { AS_IT_WAS, MISSING, EMPTY, ZEROS, SHORT, LONG, OTHER, LEFT };

static const char *const left_names[LEFT] = {
	"as it was", "missing", "empty", "zeros", "short", "long", "other",
};

static void leave(struct state_fix *f, enum left how)
{
	AUTO_FREE char *path = test_path(f->dir, "staging/0000000000000001");
	char zeros[8] = {0};

	switch (how) {
	case AS_IT_WAS:
	case LEFT:
		break;
	case MISSING:
		assert_int_equal(unlink(path), 0);
		break;
	case EMPTY:
		test_file_write(path, "", 0);
		break;
	case ZEROS:
		test_file_write(path, zeros, 5);
		break;
	case SHORT:
		test_file_write(path, "by", 2);
		break;
	case LONG:
		test_file_write(path, zeros, 8);
		break;
	case OTHER:
		test_file_write(path, "older", 5);
		break;
	}
}

static void close_it(struct state_fix *f)
{
	CHILD_CHECK(try_close(state_write(f, "k", "bytes")) == 0);
}

static void hold_it(struct state_fix *f)
{
	CHILD_CHECK(try_hold(state_write(f, "k", "bytes")) == 0);
}

static void promise_and_sync(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "bytes");

	CHILD_CHECK(staging_promise(s) == 0);
	CHILD_CHECK(staging_sync(s) == 0);
}

static void sync_and_close_plainly(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "bytes");
	struct staging_close c = state_close_info("d");

	CHILD_CHECK(staging_sync(s) == 0);
	CHILD_CHECK(staging_close(s, &c, false) == 0);
	staging_close_release(&c);
}

static void fail_it(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "bytes");
	struct staging_close c = state_close_info("d");

	CHILD_CHECK(staging_close(s, &c, false) == 0);
	CHILD_CHECK(staging_begin_upload(s) == 0);
	CHILD_CHECK(staging_retry_later(s, -EIO, "x", 1) == 0);
	staging_close_release(&c);
}

static void outgrow_and_shrink(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "b");
	AUTO_FREE char *text = state_big("by");

	CHILD_CHECK(staging_sync(s) == 0);
	CHILD_CHECK(staging_pwrite(s, text, strlen(text), 0) == 0);
	CHILD_CHECK(staging_sync(s) == 0);
	CHILD_CHECK(staging_truncate(s, 2) == 0);
	CHILD_CHECK(staging_pwrite(s, "tes", 3, 2) == 0);
	CHILD_CHECK(try_close(s) == 0);
}

static void hold_and_write_the_same(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "other");

	CHILD_CHECK(try_hold(s) == 0);
	CHILD_CHECK(staging_reopen(s, NULL) == 0);
	CHILD_CHECK(staging_pwrite(s, "bytes", 5, 0) == 0);
	CHILD_CHECK(try_hold(s) == 0);
}

static const struct {
	const char *name;
	void (*life)(struct state_fix *f);
	enum staging_state want;
} lives[] = {
	{"closed",		    close_it,                STAGING_CLOSED  },
	{"held",		      hold_it,                 STAGING_HELD    },
	{"fsync, promised",           promise_and_sync,        STAGING_CLOSED  },
	{"fsync, closed",             sync_and_close_plainly,  STAGING_CLOSED  },
	{"retrying",                  fail_it,                 STAGING_RETRYING},
	{"outgrown, then small",      outgrow_and_shrink,      STAGING_CLOSED  },
	{"held, reopened, held anew", hold_and_write_the_same, STAGING_HELD    },
};

static void check_life(size_t at, enum left how, const char *boot_id)
{
	struct state_fix f;

	state_init_in_memory(&f);
	f.conf.boot_id = "first";
	state_crash(&f, NULL, lives[at].life);
	leave(&f, how);
	f.conf.boot_id = boot_id;
	state_crash(&f, NULL, state_forget); /* a start that is killed */
	leave(&f, how);
	state_open(&f);
	if (f.found_count != 1 ||
	    staging_state_of(f.found[0]) != lives[at].want)
		fail_msg("%s, %s: not so any more", lives[at].name,
			 left_names[how]);
	state_expect_bytes(f.found[0], "bytes");
	state_fini(&f);
}

static void row_brings_back_what_the_disk_lost(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lives); i++)
		for (int how = 0; how < LEFT; how++)
			check_life(i, (enum left)how, "second");
}

/* Its disk was away, say; or the boot id is not known. */
static void row_brings_it_back_without_a_reboot_too(void **state)
{
	(void)state;
	for (int how = 0; how < LEFT; how++)
		check_life(0, (enum left)how, "first");
}

static void empty_file_was_longer(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "bytes");

	CHILD_CHECK(staging_sync(s) == 0);
	CHILD_CHECK(staging_truncate(s, 0) == 0);
	CHILD_CHECK(try_close(s) == 0);
}

static void expect_empty_after(void (*life)(struct state_fix *f), enum left how)
{
	struct state_fix f;

	state_init_in_memory(&f);
	f.conf.boot_id = "first";
	state_crash(&f, NULL, life);
	leave(&f, how);
	f.conf.boot_id = "second";
	state_open(&f);
	assert_int_equal(f.found_count, 1);
	assert_int_equal(staging_state_of(f.found[0]), STAGING_CLOSED);
	state_expect_bytes(f.found[0], "");
	state_fini(&f);
}

static void file_cut_to_nothing_is_empty_after_a_power_loss(void **state)
{
	(void)state;
	for (int how = 0; how < LEFT; how++)
		expect_empty_after(empty_file_was_longer, (enum left)how);
}

static void empty_file_was_longer_and_promised_little(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "bytes");
	struct staging_close c = state_close_info("d");

	CHILD_CHECK(staging_sync(s) == 0);
	CHILD_CHECK(staging_truncate(s, 0) == 0);
	CHILD_CHECK(staging_close(s, &c, false) == 0);
	staging_close_release(&c);
}

/* What is empty needs no fsync; older bytes do not come back into it. */
static void file_cut_to_nothing_stays_empty(void **state)
{
	(void)state;
	expect_empty_after(empty_file_was_longer_and_promised_little, MISSING);
}

/* -- changed since ------------------------------------------------------------- */

static void sync_and_write(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "bytes");

	CHILD_CHECK(staging_sync(s) == 0);
	CHILD_CHECK(staging_pwrite(s, "BYTES and more", 14, 0) == 0);
	CHILD_CHECK(staging_set_props(s, &(struct staging_props){0}) == 0);
	CHILD_CHECK(db_commit(f->db) == 0);
}

static void hold_and_write(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "bytes");

	CHILD_CHECK(try_hold(s) == 0);
	CHILD_CHECK(staging_reopen(s, NULL) == 0);
	CHILD_CHECK(staging_pwrite(s, "BYTES and more", 14, 0) == 0);
}

/* A close that promised nothing of the power. */
static void sync_write_and_close(struct state_fix *f)
{
	struct staging *s = state_write(f, "k", "bytes");
	struct staging_close c = state_close_info("d");

	CHILD_CHECK(staging_sync(s) == 0);
	CHILD_CHECK(staging_pwrite(s, "BYTES and more", 14, 0) == 0);
	CHILD_CHECK(staging_close(s, &c, false) == 0);
	staging_close_release(&c);
}

static void (*const changes[])(struct state_fix *f) = {
	sync_and_write,
	hold_and_write,
	sync_write_and_close,
};

static struct staging *start_after_change(struct state_fix *f, size_t at,
					  const char *left, size_t len)
{
	AUTO_FREE char *path = NULL;

	state_init_in_memory(f);
	f->conf.boot_id = "first";
	state_crash(f, NULL, changes[at]);
	path = test_path(f->dir, "staging/0000000000000001");
	test_file_write(path, left, len);
	f->conf.boot_id = "second";
	state_crash(f, NULL, state_forget); /* and another cut */
	test_file_write(path, left, len);
	f->conf.boot_id = "third";
	state_open(f);
	assert_int_equal(f->found_count, 1);
	assert_int_equal(staging_state_of(f->found[0]), STAGING_INCOMPLETE);
	return f->found[0];
}

static void what_was_promised_before_a_change_is_there_at_least(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct state_fix f;

		state_expect_bytes(start_after_change(&f, i, "", 0), "bytes");
		state_fini(&f);
		state_expect_bytes(
			start_after_change(&f, i, "\0\0\0\0\0 and more", 14),
			"bytes and more");
		state_fini(&f);
	}
}

static void killed_daemon_keeps_the_newer_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct state_fix f;

		state_init_in_memory(&f);
		f.conf.boot_id = "first";
		state_crash(&f, NULL, changes[i]);
		state_open(&f);
		assert_int_equal(f.found_count, 1);
		state_expect_bytes(f.found[0], "BYTES and more");
		state_fini(&f);
	}
}

static void publish(struct state_fix *f)
{
	CHILD_CHECK(f->found_count == 1);
	CHILD_CHECK(try_close(f->found[0]) == 0);
}

/* With `ackctl incomplete`: these bytes, not those that the row had. */
static void unfinished_file_that_is_published_is_made_durable_anew(void **state)
{
	AUTO_FREE char *path = NULL;
	struct state_fix f;

	(void)state;
	state_init_in_memory(&f);
	f.conf.boot_id = "first";
	state_crash(&f, NULL, sync_and_write);
	state_crash(&f, NULL, publish);
	path = test_path(f.dir, "staging/0000000000000001");
	test_file_write(path, "", 0);
	f.conf.boot_id = "second";
	state_open(&f);
	assert_int_equal(f.found_count, 1);
	assert_int_equal(staging_state_of(f.found[0]), STAGING_CLOSED);
	state_expect_bytes(f.found[0], "BYTES and more");
	state_fini(&f);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(small_file_goes_into_its_row_and_leaves_with_it),
		T(big_file_does_not),
		T(file_that_shares_bytes_with_an_object_does_not),
		T(file_that_outgrows_its_row_takes_its_bytes_out),
		T(clean_stop_takes_all_of_them_out),
		T(bytes_in_the_row_count_as_staged),
		T(where_the_budget_has_no_room_the_file_is_fsynced),
		T(refused_bytes_fail_the_close_and_go_with_the_next),
		cmocka_unit_test(row_brings_back_what_the_disk_lost),
		cmocka_unit_test(row_brings_it_back_without_a_reboot_too),
		cmocka_unit_test(
			file_cut_to_nothing_is_empty_after_a_power_loss),
		cmocka_unit_test(file_cut_to_nothing_stays_empty),
		cmocka_unit_test(
			what_was_promised_before_a_change_is_there_at_least),
		cmocka_unit_test(killed_daemon_keeps_the_newer_bytes),
		cmocka_unit_test(
			unfinished_file_that_is_published_is_made_durable_anew),
	};

	log_set_level(LOG_LVL_ERR - 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
