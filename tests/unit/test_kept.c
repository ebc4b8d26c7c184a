/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "callback/outcome.h"
#include "state/cblog.h"
#include "state/kept.h"
#include "util/base.h"

struct kept_fix {
	char *dir;
	struct db *db;
};

static void reopen(struct kept_fix *f)
{
	AUTO_FREE char *why = NULL;

	db_close(f->db);
	assert_int_equal(db_open(f->dir, &f->db, &why), 0);
}

static int setup(void **state)
{
	static struct kept_fix f;

	f = (struct kept_fix){.dir = test_dir_make()};
	reopen(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct kept_fix *f = *state;

	db_close(f->db);
	test_dir_remove(f->dir);
	return 0;
}

static void keep(struct kept_fix *f, const char *id, const void *data,
		 size_t len)
{
	struct buf b = BUF_INIT;

	buf_add(&b, data, len);
	assert_int_equal(buf_error(&b), 0);
	assert_int_equal(kept_put(f->db, id, &b), 0);
	assert_null(b.data); /* it was taken */
}

static void keep_text(struct kept_fix *f, const char *id, const char *text)
{
	keep(f, id, text, strlen(text));
	assert_int_equal(db_commit(f->db), 0);
}

static bool is_kept(struct kept_fix *f, const char *id)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	int rc = kept_get(f->db, id, &b);

	assert_true(rc == 0 || rc == -ENOENT);
	return rc == 0;
}

static void assert_kept(struct kept_fix *f, const char *id, const char *text)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_int_equal(kept_get(f->db, id, &b), 0);
	assert_string_equal(buf_str(&b), text);
}

static void bytes_are_found_by_their_delivery(void **state)
{
	struct kept_fix *f = *state;
	static const char odd[] = {'a', '\0', 'b', '\xff'};
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_false(is_kept(f, "d-1"));
	keep_text(f, "d-1", "one");
	keep(f, "d-2", odd, sizeof(odd));
	reopen(f);
	assert_kept(f, "d-1", "one");
	assert_int_equal(kept_get(f->db, "d-2", &b), 0);
	assert_int_equal(b.len, sizeof(odd));
	assert_memory_equal(b.data, odd, sizeof(odd));
	assert_false(is_kept(f, "d-3"));
}

static void same_delivery_replaces_its_bytes(void **state)
{
	struct kept_fix *f = *state;

	keep_text(f, "d-1", "one");
	keep_text(f, "d-1", "two");
	assert_kept(f, "d-1", "two");
}

static void oldest_give_way(void **state)
{
	enum { FILES = 2 * KEPT_ALL_MAX / KEPT_FILE_MAX };
	struct kept_fix *f = *state;
	AUTO_FREE char *data = calloc(1, KEPT_FILE_MAX);
	size_t kept = 0;
	bool before = false;
	char id[32];

	assert_non_null(data);
	for (int i = 0; i < FILES; i++) {
		snprintf(id, sizeof(id), "d-%d", i);
		keep(f, id, data, KEPT_FILE_MAX);
	}
	assert_int_equal(db_commit(f->db), 0);
	for (int i = 0; i < FILES; i++) {
		bool now;

		snprintf(id, sizeof(id), "d-%d", i);
		now = is_kept(f, id);
		assert_true(now || !before); /* the newest, without gaps */
		before = now;
		kept += now;
	}
	assert_true(before);
	assert_true(kept * KEPT_FILE_MAX <= KEPT_ALL_MAX);
	assert_true(kept * KEPT_FILE_MAX >= KEPT_ALL_MAX / 10 * 9);
}

static void record(struct kept_fix *f, const char *key, const char *id,
		   enum callback_state outcome, bool given_up)
{
	struct cb_record r = {
		.key = (char *)(uintptr_t)key,
		.object = {"E1", 3, 1000, ""},
		.delivery_id = (char *)(uintptr_t)id,
		.rule = (char *)(uintptr_t) "",
		.state = (int)outcome,
		.attempt = 1,
		.next_try_ms = outcome == CALLBACK_FAILED && !given_up,
		.given_up = given_up,
	};

	assert_int_equal(cblog_add(f->db, &r, DB_WAIT), 0);
}

static void what_is_not_repeated_goes(void **state)
{
	struct kept_fix *f = *state;
	static const char *const ids[] = {"due", "ok", "given-up", "replaced",
					  "removed"};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		record(f, ids[i], ids[i], CALLBACK_FAILED, false);
		keep_text(f, ids[i], "x");
	}
	assert_int_equal(kept_prune(f->db), 0);
	record(f, "ok", "ok", CALLBACK_OK, false);
	record(f, "given-up", "given-up", CALLBACK_FAILED, true);
	record(f, "replaced", "another", CALLBACK_FAILED, false);
	record(f, "no-id", NULL, CALLBACK_FAILED, false);
	assert_int_equal(cblog_move(f->db, "removed", NULL, NULL), 0);
	assert_int_equal(cblog_move(f->db, "due", "renamed", NULL), 0);
	assert_int_equal(kept_prune(f->db), 4);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		assert_int_equal(is_kept(f, ids[i]), i == 0);
	assert_int_equal(kept_prune(f->db), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bytes_are_found_by_their_delivery),
		TEST(same_delivery_replaces_its_bytes),
		TEST(oldest_give_way),
		TEST(what_is_not_repeated_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
