/* SPDX-License-Identifier: Apache-2.0 */
/* What is there after kill -9, power loss, and a user with rm. */
#include "../support/state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/base.h"
#include "util/log.h"

static int setup(void **state)
{
	static struct state_fix f;

	state_init_in_memory(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	state_fini(*state);
	return 0;
}

static void freeze(struct staging *s, bool durable)
{
	struct staging_close c = state_close_info("delivery-1");

	CHILD_CHECK(staging_close(s, &c, durable) == 0);
	staging_close_release(&c);
}

static void hold(struct staging *s, bool durable)
{
	struct staging_close c = state_close_info("delivery-1");

	CHILD_CHECK(staging_hold(s, &c, durable) == 0);
	staging_close_release(&c);
}

/* -- kill -9 in every state ---------------------------------------------------- */

/* What each life writes: a small file's bytes and a big one's become durable in
   different ways. */
static const char *content = "bytes";

static struct staging *write_content(struct state_fix *f)
{
	return state_write(f, "k", content);
}

static struct staging *write_all_but_last(struct state_fix *f)
{
	struct staging *s = write_content(f);

	CHILD_CHECK(staging_truncate(s, strlen(content) - 1) == 0);
	return s;
}

static void write_last(struct staging *s)
{
	size_t at = strlen(content) - 1;

	CHILD_CHECK(staging_pwrite(s, content + at, 1, at) == 0);
}

static void leave_open(struct state_fix *f)
{
	write_content(f);
	CHILD_CHECK(db_commit(f->db) == 0);
}

static void leave_promised(struct state_fix *f)
{
	CHILD_CHECK(staging_promise(write_content(f)) == 0);
}

static void leave_written_after_promise(struct state_fix *f)
{
	struct staging *s = write_all_but_last(f);

	CHILD_CHECK(staging_promise(s) == 0);
	write_last(s);
}

static void leave_held(struct state_fix *f)
{
	hold(write_content(f), false);
}

static void leave_reopened(struct state_fix *f)
{
	struct staging *s = write_content(f);

	hold(s, true);
	CHILD_CHECK(staging_reopen(s, NULL) == 0);
	CHILD_CHECK(db_commit(f->db) == 0);
}

static void leave_reopened_and_written(struct state_fix *f)
{
	struct staging *s = write_all_but_last(f);

	hold(s, true);
	CHILD_CHECK(staging_reopen(s, NULL) == 0);
	write_last(s);
}

static void leave_closed(struct state_fix *f)
{
	freeze(write_content(f), false);
}

static void leave_uploading(struct state_fix *f)
{
	struct staging *s = write_content(f);

	freeze(s, false);
	CHILD_CHECK(staging_begin_upload(s) == 0);
	CHILD_CHECK(db_commit(f->db) == 0);
}

static void leave_retrying(struct state_fix *f)
{
	struct staging *s = write_content(f);

	freeze(s, false);
	CHILD_CHECK(staging_retry_later(s, -EIO, "x", 1) == 0);
}

static void leave_done(struct state_fix *f)
{
	struct staging *s = write_content(f);

	freeze(s, false);
	CHILD_CHECK(staging_done(s) == 0);
	CHILD_CHECK(db_commit(f->db) == 0);
}

static void leave_incomplete(struct state_fix *f)
{
	CHILD_CHECK(staging_incomplete(write_content(f), "killed") == 0);
}

static void leave_closed_durably(struct state_fix *f)
{
	freeze(write_content(f), true);
}

static void leave_synced_open(struct state_fix *f)
{
	CHILD_CHECK(staging_sync(write_content(f)) == 0);
}

static void leave_empty_closed(struct state_fix *f)
{
	freeze(state_write(f, "k", ""), false);
}

enum { GONE = -1 };

struct crash_case {
	const char *name;
	void (*leave)(struct state_fix *f);
	int killed;   /* state after kill -9 */
	int rebooted; /* the same, and the machine has booted since */
};

static const struct crash_case crashes[] = {
	{"open",		  leave_open,                  STAGING_INCOMPLETE, STAGING_INCOMPLETE},
	{"promised",              leave_promised,              STAGING_CLOSED,     STAGING_INCOMPLETE},
	{"written after promise", leave_written_after_promise,
	 STAGING_INCOMPLETE,						       STAGING_INCOMPLETE},
	{"held",		  leave_held,                  STAGING_HELD,       STAGING_INCOMPLETE},
	{"reopened",              leave_reopened,              STAGING_HELD,       STAGING_HELD      },
	{"reopened and written",  leave_reopened_and_written,  STAGING_INCOMPLETE,
	 STAGING_INCOMPLETE									  },
	{"closed",                leave_closed,                STAGING_CLOSED,     STAGING_INCOMPLETE},
	{"uploading",             leave_uploading,             STAGING_CLOSED,     STAGING_INCOMPLETE},
	{"retrying",              leave_retrying,              STAGING_RETRYING,   STAGING_RETRYING  },
	{"done",		  leave_done,                  STAGING_DONE,       GONE              },
	{"incomplete",            leave_incomplete,            STAGING_INCOMPLETE,
	 STAGING_INCOMPLETE									  },
	{"closed durably",        leave_closed_durably,        STAGING_CLOSED,
	 STAGING_CLOSED									      },
	{"open, fsynced",         leave_synced_open,           STAGING_INCOMPLETE,
	 STAGING_INCOMPLETE									  },
	{"empty, closed",         leave_empty_closed,          STAGING_CLOSED,     STAGING_CLOSED    },
};

static void check_crash(const struct crash_case *c, bool is_rebooted)
{
	int want = is_rebooted ? c->rebooted : c->killed;
	struct state_fix f;

	state_init_in_memory(&f);
	f.conf.boot_id = "first";
	state_crash(&f, NULL, c->leave);
	if (is_rebooted)
		f.conf.boot_id = "second";
	for (int start = 0; start < 2;
	     start++) { /* the second changes nothing */
		state_open(&f);
		if (f.found_count != (want == GONE ? 0 : 1))
			fail_msg("%s: %d files", c->name, f.found_count);
		if (want != GONE) {
			enum staging_state got = staging_state_of(f.found[0]);

			if ((int)got != want)
				fail_msg("%s, rebooted %d, start %d: %s",
					 c->name, is_rebooted, start,
					 staging_state_name(got));
			state_expect_bytes(
				f.found[0],
				c->leave == leave_empty_closed ? "" : content);
		}
		state_close(&f);
	}
	state_fini(&f);
}

static void check_crashes(bool is_rebooted)
{
	AUTO_FREE char *big = state_big("bytes");

	for (size_t i = 0; i < ARRAY_LEN(crashes); i++) {
		check_crash(&crashes[i], is_rebooted);
		content = big;
		check_crash(&crashes[i], is_rebooted);
		content = "bytes";
	}
}

static void killed_daemon_goes_on_where_it_was(void **state)
{
	(void)state;
	check_crashes(false);
}

static void after_a_power_loss_only_what_was_fsynced_is_believed(void **state)
{
	(void)state;
	check_crashes(true);
}

static void clean_stop_is_believed_after_a_reboot(void **state)
{
	struct state_fix *f = *state;
	struct staging *s;

	f->conf.boot_id = "first";
	state_open(f);
	s = state_write(f, "a", "bytes");
	freeze(s, false);
	staging_put(s);
	s = state_write(f, "b", "bytes");
	hold(s, false);
	staging_put(s);
	state_close(f);
	f->conf.boot_id = "second";
	state_open(f);
	assert_int_equal(staging_state_of(state_found(f, "a")), STAGING_CLOSED);
	assert_int_equal(staging_state_of(state_found(f, "b")), STAGING_HELD);
}

/* -- named crash points --------------------------------------------------------- */

static void live(struct state_fix *f)
{
	struct staging *s = write_content(f);

	CHILD_CHECK(staging_promise(s) == 0);
	CHILD_CHECK(staging_pwrite(s, content, 5, 0) == 0);
	hold(s, true);
	CHILD_CHECK(staging_reopen(s, NULL) == 0);
	CHILD_CHECK(staging_truncate(s, strlen(content)) == 0);
	hold(s, false);
	CHILD_CHECK(staging_rekey(s, "k") == 0);
	freeze(s, false);
	CHILD_CHECK(staging_begin_upload(s) == 0);
	CHILD_CHECK(staging_retry_later(s, -EIO, "x", 1) == 0);
	CHILD_CHECK(staging_begin_upload(s) == 0);
	CHILD_CHECK(staging_stored(s, true) == 0);
	CHILD_CHECK(staging_done(s) == 0);
	CHILD_CHECK(staging_discard(s) == 0);
	CHILD_CHECK(db_commit(f->db) == 0);
}

#define S(state) (1U << STAGING_##state)
enum { S_GONE = 1U << 30 };

/* Where a life may stand after a crash at a point: never published half, never
   forgotten before it is done. */
static const struct {
	const char *at;
	unsigned may;
	bool is_big; /* of big files only */
} points[] = {
	{"staging.create.file_made",     S_GONE,                  false},
	{"staging.create.row_queued",    S_GONE | S(INCOMPLETE),  false},
	{"staging.pwrite.before_data",   S_GONE | S(INCOMPLETE),  false},
	{"staging.pwrite.written:1",     S_GONE | S(INCOMPLETE),  false},
	{"staging.promise.committed",    S(CLOSED),               false},
	{"staging.unclaimed:1",          S(INCOMPLETE),           false},
	{"staging.pwrite.before_data:2", S(INCOMPLETE),           false},
	{"staging.pwrite.written:2",     S(INCOMPLETE),           false},
	{"staging.sync.before_data:1",   S(INCOMPLETE),           false},
	{"staging.sync.data_synced:1",   S(INCOMPLETE),           true },
	{"staging.sync.dir_synced:1",    S(INCOMPLETE),           true },
	{"staging.hold.committed:1",     S(HELD),                 false},
	{"staging.unclaimed:2",          S(INCOMPLETE),           false},
	{"staging.truncated",            S(INCOMPLETE),           false},
	{"staging.hold.committed:2",     S(HELD),                 false},
	{"staging.rekey.committed",      S(HELD),                 false},
	{"staging.close.committed",      S(CLOSED),               false},
	{"staging.upload.begun",         S(CLOSED),               false},
	{"staging.sync.data_synced:2",   S(CLOSED),               true },
	{"staging.retry.committed",      S(RETRYING),             false},
	{"staging.upload.begun:2",       S(RETRYING) | S(CLOSED), false},
	{"staging.stored.committed",     S(DONE),                 false},
	{"staging.done.queued",          S(DONE),                 false},
	{"staging.discard.buried",       S_GONE,                  false},
	{"staging.discard.unlinked",     S_GONE,                  false},
};

static void check_point(const char *at, unsigned may)
{
	struct state_fix f;
	unsigned got = S_GONE;

	state_init_in_memory(&f);
	state_crash(&f, at, live);
	state_open(&f);
	if (f.found_count > 0)
		got = 1U << staging_state_of(f.found[0]);
	if (f.found_count > 1 || !(got & may))
		fail_msg("%s: %d files, %s", at, f.found_count,
			 f.found_count > 0
				 ? staging_state_name(
					   staging_state_of(f.found[0]))
				 : "gone");
	if (got & (S(CLOSED) | S(HELD) | S(RETRYING)))
		state_expect_bytes(f.found[0], content);
	state_fini(&f);
}

static void every_crash_point_leaves_something_true(void **state)
{
	AUTO_FREE char *big = state_big("bytes");

	(void)state;
#ifndef ACK_FAILPOINTS
	skip();
#endif
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		if (!points[i].is_big)
			check_point(points[i].at, points[i].may);
		content = big;
		check_point(points[i].at, points[i].may);
		content = "bytes";
	}
}

/* Of the recovery itself: a start that dies there, then another. */
static void die_while_recovering(const char *at)
{
	struct state_fix f;
	AUTO_FREE char *orphan = NULL;

	state_init_in_memory(&f);
	f.conf.boot_id = "first";
	state_crash(&f, NULL, leave_closed);
	orphan = test_path(f.dir, "staging/00000000000000ff");
	test_file_write(orphan, "lost", 4);
	f.conf.boot_id = "second";
	state_crash(&f, at, leave_open); /* dies before it gets there */
	state_open(&f);
	assert_int_equal(f.found_count, 1);
	if (staging_state_of(f.found[0]) != STAGING_INCOMPLETE)
		fail_msg("%s: forgot that the machine had booted", at);
	state_expect_bytes(f.found[0], "bytes");
	assert_int_equal(access(orphan, F_OK), -1);
	state_fini(&f);
}

static void recovery_may_be_killed_too(void **state)
{
	(void)state;
#ifndef ACK_FAILPOINTS
	skip();
#endif
	die_while_recovering("staging.recover.moved_aside");
	die_while_recovering("staging.recover.before_commit");
	die_while_recovering("staging.recover.committed");
}

/* -- files and rows that lost each other ----------------------------------------- */

/* The content of the only file in aside/ whose name begins so. */
static void expect_aside(struct state_fix *f, const char *begin,
			 const char *text)
{
	AUTO_FREE char *dir = test_path(f->dir, "aside");
	AUTO(buf_release) struct buf b = BUF_INIT;
	DIR *d = opendir(dir);
	const struct dirent *e;
	int found = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		AUTO_FREE char *path = test_path(dir, "%s", e->d_name);

		if (strncmp(e->d_name, begin, strlen(begin)) != 0)
			continue;
		found++;
		test_file_read(path, &b);
	}
	closedir(d);
	assert_int_equal(found, 1);
	assert_non_null(strstr(buf_str(&b), text));
}

static void file_without_a_row_is_moved_aside_and_named(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *hex = NULL, *other = NULL, *empty = NULL;
	struct staging *s;

	state_open(f);
	hex = test_path(f->dir, "staging/0000000000000abc");
	other = test_path(f->dir, "staging/notes.txt");
	empty = test_path(f->dir, "staging/0000000000000abd");
	state_close(f);
	test_file_write(hex, "orphan", 6);
	test_file_write(other, "stray", 5);
	test_file_write(empty, "", 0);
	state_log_to_file(f);
	state_open(f);
	assert_int_equal(f->found_count, 0);
	expect_aside(f, "0000000000000abc-", "orphan");
	expect_aside(f, "notes.txt-", "stray");
	assert_int_equal(access(hex, F_OK), -1);
	assert_int_equal(access(empty, F_OK), -1);
	assert_true(state_logged(f, "0000000000000abc-"));
	assert_true(state_logged(f, "notes.txt-"));
	assert_true(state_logged(f, "0000000000000abd"));
	s = state_write(f, "k", "x"); /* ids go on above what was there */
	assert_true(staging_id(s) > 0xabc);
	staging_put(s);
}

static void row_without_its_file_is_logged_as_lost(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *path = NULL;
	struct staging *s;

	state_open(f);
	s = state_write(f, "in/lost", "bytes");
	freeze(s, true);
	assert_int_equal(staging_file_path(f->dir, staging_id(s), &path), 0);
	staging_put(s);
	state_close(f);
	assert_int_equal(unlink(path), 0);
	state_log_to_file(f);
	state_open(f);
	assert_int_equal(f->found_count, 0);
	assert_true(state_logged(f, "bytes are lost"));
	assert_true(state_logged(f, "key=\"in/lost\""));
	expect_aside(f, "0000000000000001.lost",
		     "key=in/lost\nstate=closed\nsize=5\n");
	expect_aside(f, "0000000000000001.lost", "delivery_id=delivery-1");
}

static void empty_file_that_is_missing_is_made_again(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *path = NULL;
	struct staging *s;

	state_open(f);
	s = state_write(f, "a.done", "");
	freeze(s, false);
	assert_int_equal(staging_file_path(f->dir, staging_id(s), &path), 0);
	staging_put(s);
	state_close(f);
	assert_int_equal(unlink(path), 0);
	state_open(f);
	s = state_found(f, "a.done");
	assert_non_null(s);
	assert_int_equal(staging_state_of(s), STAGING_CLOSED);
	state_expect_bytes(s, "");
}

static void file_of_another_size_is_not_published(void **state)
{
	static const struct {
		const char *key, *text;
		off_t size;
	} cases[] = {
		{"short", "bytes", 4},
                {"long",  "bytes", 6}
        };
	struct state_fix *f = *state;

	state_open(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct staging *s = state_write(f, cases[i].key, cases[i].text);
		AUTO_FREE char *path = NULL;

		freeze(s, true);
		assert_int_equal(
			staging_file_path(f->dir, staging_id(s), &path), 0);
		assert_int_equal(truncate(path, cases[i].size), 0);
		staging_put(s);
	}
	state_close(f);
	state_log_to_file(f);
	state_open(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct staging *s = state_found(f, cases[i].key);

		assert_int_equal(staging_state_of(s), STAGING_INCOMPLETE);
		assert_int_equal(staging_size(s), cases[i].size);
	}
	assert_true(state_logged(f, "shorter than its journal row"));
	assert_true(state_logged(f, "longer than its journal row"));
}

static void damaged_journal_costs_no_bytes(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *path = test_path(f->dir, "journal.db");
	struct staging *s;

	state_open(f);
	s = state_write(f, "k", "precious");
	freeze(s, true);
	staging_put(s);
	state_close(f);
	assert_int_equal(truncate(path, 5000), 0);
	state_log_to_file(f);
	state_open(f);
	assert_int_equal(f->found_count, 0);
	expect_aside(f, "0000000000000001-", "precious");
	assert_true(state_logged(f, "journal.db.corrupt-"));
}

static void truncated_wal_goes_back_to_a_whole_commit(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *wal = test_path(f->dir, "journal.db-wal");
	struct stat st;

	state_crash(f, NULL, leave_closed_durably);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(truncate(wal, st.st_size - 3000), 0);
	state_open(f); /* the last row is torn: incomplete, or without a row */
	if (f->found_count == 0)
		expect_aside(f, "0000000000000001-", "bytes");
	else
		state_expect_bytes(f->found[0], "bytes");
}

/* -- an unfinished file over a base --------------------------------------------- */

#define BLOCK ((uint64_t)4096)

static void leave_half_changed(struct state_fix *f)
{
	static const char block[BLOCK] = {7};
	struct staging_base base = {.key = "k", .etag = "E", .size = 4 * BLOCK};
	struct staging *s = NULL;

	CHILD_CHECK(staging_create(f->store, "k", &base, &s) == 0);
	CHILD_CHECK(staging_pwrite(s, block, BLOCK, BLOCK) == 0);
	CHILD_CHECK(db_commit(f->db) == 0);
}

static void unfinished_change_keeps_the_blocks_that_were_written(void **state)
{
	struct state_fix *f = *state;
	uint64_t off = 0, len = 0;
	struct staging *s;

	state_crash(f, NULL, leave_half_changed);
	state_open(f);
	s = state_found(f, "k");
	assert_int_equal(staging_state_of(s), STAGING_INCOMPLETE);
	assert_false(staging_missing(s, BLOCK, BLOCK, &off, &len));
	assert_true(staging_missing(s, 0, 4 * BLOCK, &off, &len));
	assert_int_equal(off, 0);
	assert_int_equal(len, BLOCK);
	assert_true(staging_missing(s, 2 * BLOCK, 9 * BLOCK, &off, &len));
	assert_int_equal(len, 2 * BLOCK);
}

static void leave_filled(struct state_fix *f)
{
	static const char block[BLOCK] = {7};
	struct staging_base base = {.key = "k", .etag = "E", .size = 3 * BLOCK};
	struct staging_close c = state_close_info("delivery-1");
	struct staging *s = NULL;

	CHILD_CHECK(staging_create(f->store, "k", &base, &s) == 0);
	CHILD_CHECK(staging_pwrite(s, block, BLOCK, BLOCK) == 0);
	CHILD_CHECK(staging_close(s, &c, true) == 0);
	CHILD_CHECK(staging_fill(s, block, BLOCK, 0) == 0);
	CHILD_CHECK(staging_keep_filled(s) == 0);
	CHILD_CHECK(staging_fill(s, block, BLOCK, 2 * BLOCK) == 0);
	staging_close_release(&c);
}

/* An upload whose answer is lost has replaced the base. */
static void
filled_ranges_that_were_kept_need_no_base_after_a_crash(void **state)
{
	struct state_fix *f = *state;
	uint64_t off = 0, len = 0;
	struct staging *s;

	state_crash(f, NULL, leave_filled);
	state_open(f);
	s = state_found(f, "k");
	assert_int_equal(staging_state_of(s), STAGING_CLOSED);
	assert_true(staging_missing(s, 0, 3 * BLOCK, &off, &len));
	assert_int_equal(off, 2 * BLOCK);
	assert_int_equal(len, BLOCK);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_daemon_goes_on_where_it_was),
		cmocka_unit_test(
			after_a_power_loss_only_what_was_fsynced_is_believed),
		T(clean_stop_is_believed_after_a_reboot),
		cmocka_unit_test(every_crash_point_leaves_something_true),
		cmocka_unit_test(recovery_may_be_killed_too),
		T(file_without_a_row_is_moved_aside_and_named),
		T(row_without_its_file_is_logged_as_lost),
		T(empty_file_that_is_missing_is_made_again),
		T(file_of_another_size_is_not_published),
		T(damaged_journal_costs_no_bytes),
		T(truncated_wal_goes_back_to_a_whole_commit),
		T(unfinished_change_keeps_the_blocks_that_were_written),
		T(filled_ranges_that_were_kept_need_no_base_after_a_crash),
	};

	log_set_level(LOG_LVL_ERR - 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
