/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "callback/outcome.h"
#include "state/cblog.h"
#include "util/base.h"

struct log_fix {
	char *dir;
	struct db *db;
};

static void reopen(struct log_fix *f)
{
	AUTO_FREE char *why = NULL;

	db_close(f->db);
	assert_int_equal(db_open(f->dir, &f->db, &why), 0);
}

static int setup(void **state)
{
	static struct log_fix f;

	f = (struct log_fix){.dir = test_dir_make()};
	reopen(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct log_fix *f = *state;

	db_close(f->db);
	test_dir_remove(f->dir);
	return 0;
}

static struct object_id make_id(const char *etag, uint64_t size,
				int64_t modified_ms)
{
	struct object_id id = {.size = size, .modified_ms = modified_ms};

	snprintf(id.etag, sizeof(id.etag), "%s", etag);
	return id;
}

static struct cb_record make_record(const char *key, enum callback_state s)
{
	struct cb_record r = {.state = (int)s,
			      .time_ms = 1000,
			      .elapsed_ms = 12,
			      .attempt = 1,
			      .oss_status = s == CALLBACK_OK ? 200 : 203};

	r.object = make_id("ABC", 3, 5000);
	assert_int_equal(str_set(&r.key, key), 0);
	assert_int_equal(str_set(&r.delivery_id, "d-1"), 0);
	return r;
}

static void add(struct log_fix *f, const char *key, enum callback_state s)
{
	AUTO(cb_record_release) struct cb_record r = make_record(key, s);

	assert_int_equal(cblog_add(f->db, &r, DB_WAIT), 0);
}

/* -- versions ---------------------------------------------------------------- */

static void versions_are_told_apart(void **state)
{
	static const struct {
		const char *name;
		struct object_id a, b;
		bool want;
	} cases[] = {
		{"the same",      {"E", 1, 1000, ""}, {"E", 1, 1000, ""}, true },
		{"case of ETag",  {"abc", 1, 0, ""},  {"ABC", 1, 0, ""},  true },
		{"other ETag",    {"abd", 1, 0, ""},  {"ABC", 1, 0, ""},  false},
		{"other size",    {"E", 1, 0, ""},    {"E", 2, 0, ""},    false},
		{"2 s apart",     {"E", 1, 1000, ""}, {"E", 1, 3000, ""}, true },
		{"2.001 s",       {"E", 1, 3001, ""}, {"E", 1, 1000, ""}, false},
		{"one unknown",   {"E", 1, 0, ""},    {"E", 1, 9000, ""}, true },
		{"version ids",   {"E", 1, 0, "v1"},  {"F", 2, 0, "v1"},  true },
		{"other version", {"E", 1, 0, "v1"},  {"E", 1, 0, "v2"},  false},
		{"one versioned", {"E", 1, 0, "v1"},  {"E", 1, 0, ""},    true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (object_id_equal(&cases[i].a, &cases[i].b) !=
			    cases[i].want ||
		    object_id_equal(&cases[i].b, &cases[i].a) != cases[i].want)
			fail_msg("%s", cases[i].name);
}

/* -- outcomes ---------------------------------------------------------------- */

static struct cb_record full_record(const char *response, size_t len)
{
	struct cb_record r = make_record("in/a b.jpg", CALLBACK_FAILED);

	r.server_status = 502;
	r.response = malloc(len);
	assert_non_null(r.response);
	memcpy(r.response, response, len);
	r.response_len = len;
	r.uid = 4000000000U;
	r.next_try_ms = 7000;
	r.give_up_ms = 9000;
	if (str_set(&r.rule, "archive") < 0 ||
	    str_set(&r.response_type, "application/json") < 0 ||
	    str_set(&r.error, "Error status : 502.") < 0 ||
	    str_set(&r.error_code, "CallbackFailed") < 0 ||
	    str_set(&r.ec, "0007-00000203") < 0 ||
	    str_set(&r.request_id, "REQ") < 0 ||
	    str_set(&r.url, "http://x/") < 0 || str_set(&r.host, "x") < 0 ||
	    str_set(&r.body, "{}") < 0 ||
	    str_set(&r.body_type, "application/json") < 0 ||
	    str_set(&r.process, "rsync") < 0 ||
	    kvs_add(&r.vars, "x:a", "1\n\xfe") < 0)
		fail();
	return r;
}

static void record_comes_back_whole_after_reopening(void **state)
{
	static const char response[] = "{\"a\":\0 \"b\"}\xff";
	struct log_fix *f = *state;
	AUTO(cb_record_release)
	struct cb_record r = full_record(response, sizeof(response));
	AUTO(cb_record_release) struct cb_record got = {0};

	assert_int_equal(cblog_add(f->db, &r, DB_DURABLE), 0);
	reopen(f);
	assert_int_equal(cblog_outcome(f->db, r.key, &r.object, &got), 0);
	assert_int_equal(got.response_len, sizeof(response));
	assert_memory_equal(got.response, response, sizeof(response));
	assert_string_equal(got.key, r.key);
	assert_int_equal(got.state, CALLBACK_FAILED);
	assert_int_equal(got.oss_status, 203);
	assert_int_equal(got.server_status, 502);
	assert_int_equal(got.uid, r.uid);
	assert_string_equal(got.rule, "archive");
	assert_string_equal(got.response_type, r.response_type);
	assert_string_equal(got.error, r.error);
	assert_string_equal(got.error_code, r.error_code);
	assert_string_equal(got.ec, r.ec);
	assert_string_equal(got.request_id, "REQ");
	assert_string_equal(got.url, "http://x/");
	assert_string_equal(got.host, "x");
	assert_string_equal(got.body, "{}");
	assert_string_equal(got.body_type, r.body_type);
	assert_string_equal(got.process, "rsync");
	assert_string_equal(kvs_get(&got.vars, "x:a"), "1\n\xfe");
	assert_int_equal(got.next_try_ms, 7000);
	assert_int_equal(got.give_up_ms, 9000);
	assert_false(got.given_up);
}

static void answer_of_three_megabytes_is_kept_whole(void **state)
{
	struct log_fix *f = *state;
	AUTO(cb_record_release)
	struct cb_record r = make_record("big", CALLBACK_OK);
	AUTO(cb_record_release) struct cb_record got = {0};
	size_t len = 3 << 20;

	r.response = malloc(len);
	assert_non_null(r.response);
	for (size_t i = 0; i < len; i++)
		r.response[i] = (char)(i * 7 + i / 251);
	r.response_len = len;
	assert_int_equal(cblog_add(f->db, &r, DB_WAIT), 0);
	assert_int_equal(cblog_outcome(f->db, "big", &r.object, &got), 0);
	assert_int_equal(got.response_len, len);
	assert_memory_equal(got.response, r.response, len);
}

static void empty_answer_is_not_no_answer(void **state)
{
	struct log_fix *f = *state;
	AUTO(cb_record_release)
	struct cb_record r = make_record("empty", CALLBACK_OK);
	AUTO(cb_record_release) struct cb_record got = {0};
	AUTO(cb_record_release) struct cb_record none = {0};

	assert_int_equal(str_set(&r.response, ""), 0);
	assert_int_equal(cblog_add(f->db, &r, DB_WAIT), 0);
	assert_int_equal(cblog_outcome(f->db, "empty", &r.object, &got), 0);
	assert_non_null(got.response);
	assert_int_equal(got.response_len, 0);
	add(f, "none", CALLBACK_OK);
	assert_int_equal(cblog_outcome(f->db, "none", &r.object, &none), 0);
	assert_null(none.response);
}

static void record_added_later_is_whole_though_its_owner_is_gone(void **state)
{
	struct log_fix *f = *state;
	struct cb_record r = make_record("later", CALLBACK_FAILED);
	AUTO(cb_record_release) struct cb_record got = {0};
	struct object_id id = r.object;

	assert_int_equal(str_set(&r.response, "a\tb"), 0);
	r.response_len = 3;
	assert_int_equal(str_set(&r.process, "cp"), 0);
	assert_int_equal(kvs_add(&r.vars, "x:a", "1"), 0);
	r.give_up_ms = 77;
	assert_int_equal(cblog_add(f->db, &r, DB_LATER), 0);
	cb_record_release(&r);
	assert_int_equal(db_commit(f->db), 0);
	assert_int_equal(cblog_outcome(f->db, "later", &id, &got), 0);
	assert_int_equal(got.state, CALLBACK_FAILED);
	assert_memory_equal(got.response, "a\tb", 3);
	assert_string_equal(got.process, "cp");
	assert_string_equal(kvs_get(&got.vars, "x:a"), "1");
	assert_int_equal(got.give_up_ms, 77);
}

static void overwritten_object_has_no_outcome(void **state)
{
	struct log_fix *f = *state;
	struct object_id other = make_id("DEF", 3, 5000);
	struct cb_record got = {0};

	add(f, "k", CALLBACK_OK);
	assert_int_equal(cblog_outcome(f->db, "k", &other, &got), -ENOENT);
	assert_int_equal(cblog_outcome(f->db, "l", &other, &got), -ENOENT);
	assert_null(got.key);
}

static void latest_attempt_is_the_outcome(void **state)
{
	struct log_fix *f = *state;
	struct object_id id = make_id("abc", 3, 5000);
	AUTO(cb_record_release) struct cb_record got = {0};
	struct cb_record *list = NULL;
	size_t n = 0;

	add(f, "k", CALLBACK_FAILED);
	add(f, "k", CALLBACK_OK);
	assert_int_equal(cblog_outcome(f->db, "k", &id, &got), 0);
	assert_int_equal(got.state, CALLBACK_OK);
	assert_int_equal(cblog_history(f->db, "k", 10, &list, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(list[0].state, CALLBACK_OK);
	assert_int_equal(list[1].state, CALLBACK_FAILED);
	cb_records_free(list, n);
	assert_int_equal(cblog_history(f->db, "k", 1, &list, &n), 0);
	assert_int_equal(n, 1);
	cb_records_free(list, n);
}

static void outcome_follows_a_rename_and_the_log_does_not(void **state)
{
	struct log_fix *f = *state;
	struct object_id old = make_id("abc", 3, 5000);
	struct object_id new = make_id("new-5", 3, 9000);
	AUTO(cb_record_release) struct cb_record got = {0};
	struct cb_record *list = NULL;
	size_t n = 0;

	add(f, "src", CALLBACK_OK);
	add(f, "dst", CALLBACK_FAILED);
	assert_int_equal(cblog_move(f->db, "src", "dst", &new), 0);
	assert_int_equal(cblog_outcome(f->db, "src", &old, &got), -ENOENT);
	assert_int_equal(cblog_outcome(f->db, "dst", &old, &got), -ENOENT);
	assert_int_equal(cblog_outcome(f->db, "dst", &new, &got), 0);
	assert_int_equal(got.state, CALLBACK_OK);
	assert_string_equal(got.key, "dst");
	assert_int_equal(cblog_history(f->db, "dst", 10, &list, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[1].key, "src");
	cb_records_free(list, n);
}

/* What the newest attempt that a name has had is an outcome of. */
static void assert_retry_of(struct log_fix *f, const char *key,
			    int64_t next_try_ms)
{
	struct cb_record *list = NULL;
	size_t n = 0;

	assert_int_equal(cblog_history(f->db, key, 1, &list, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].next_try_ms, next_try_ms);
	cb_records_free(list, n);
}

static void attempts_know_their_outcome_under_any_name(void **state)
{
	struct log_fix *f = *state;

	add(f, "a", CALLBACK_FAILED);
	assert_int_equal(cblog_move(f->db, "a", "b", NULL), 0);
	add(f, "a", CALLBACK_FAILED);
	assert_int_equal(cblog_set_retry(f->db, "a", 11, false), 0);
	assert_int_equal(cblog_set_retry(f->db, "b", 12, false), 0);
	assert_retry_of(f, "a", 11);
	assert_retry_of(f, "b", 12);
	/* Round by a third name: each under the other's. */
	assert_int_equal(cblog_move(f->db, "a", "c", NULL), 0);
	assert_int_equal(cblog_move(f->db, "b", "a", NULL), 0);
	assert_int_equal(cblog_move(f->db, "c", "b", NULL), 0);
	assert_retry_of(f, "b", 11);
	/* Both attempts are of "a", the second one is "b" now. */
	assert_retry_of(f, "a", 11);
	add(f, "b", CALLBACK_OK);
	assert_retry_of(f, "b", 0);
	assert_retry_of(f, "a", 0);
	assert_int_equal(cblog_prune(f->db, 5000, 0), 1);
}

static void copy_onto_itself_moves_the_version(void **state)
{
	struct log_fix *f = *state;
	struct object_id new = make_id("other", 3, 9000);
	AUTO(cb_record_release) struct cb_record got = {0};

	add(f, "k", CALLBACK_OK);
	assert_int_equal(cblog_move(f->db, "k", "k", &new), 0);
	assert_int_equal(cblog_outcome(f->db, "k", &new, &got), 0);
}

static void deleted_object_is_forgotten_but_its_log_stays(void **state)
{
	struct log_fix *f = *state;
	struct object_id id = make_id("abc", 3, 5000);
	struct cb_record got = {0}, *list = NULL;
	size_t n = 0;

	add(f, "k", CALLBACK_OK);
	assert_int_equal(cblog_move(f->db, "k", NULL, NULL), 0);
	assert_int_equal(cblog_outcome(f->db, "k", &id, &got), -ENOENT);
	assert_int_equal(cblog_history(f->db, "k", 10, &list, &n), 0);
	assert_int_equal(n, 1);
	cb_records_free(list, n);
}

/* -- walks ------------------------------------------------------------------- */

struct walk {
	struct db *db;
	struct buf keys;
	int stop_after;
};

static int note(void *arg, const struct cb_record *r)
{
	struct walk *w = arg;

	buf_addf(&w->keys, "%s ", r->key);
	return w->stop_after > 0 && --w->stop_after == 0 ? 7 : 0;
}

static void filters_choose_records(void **state)
{
	static const struct {
		const char *name;
		struct cblog_filter f;
		const char *want;
	} cases[] = {
		{"all",              {.state = -1},                      "a/1 a/2 a/2 b/x.log c "},
		{"newest",
		 {.state = -1, .newest_first = true},
		 "c b/x.log a/2 a/2 a/1 "							},
		{"limit",            {.state = -1, .limit = 2},          "a/1 a/2 "              },
		{"ok",               {.state = CALLBACK_OK},             "a/1 a/2 c "            },
		{"latest",
		 {.state = -1, .latest_only = true},
		 "a/1 a/2 b/x.log c "							    },
		{"latest failed",
		 {.state = CALLBACK_FAILED, .latest_only = true},
		 "b/x.log "								      },
		{"due",              {.state = -1, .due_only = true},    "b/x.log "              },
		{"prefix",           {.state = -1, .key_prefix = "a/"},  "a/1 a/2 a/2 "          },
		{"prefix, present",
		 {.state = -1, .key_prefix = "a/", .latest_only = true},
		 "a/1 a/2 "								      },
		{"glob in a folder",
		 {.state = -1, .key_glob = "a/*"},
		 "a/1 a/2 a/2 "								  },
		{"glob on names",
		 {.state = -1, .key_glob = "*.log"},
		 "b/x.log "								      },
		{"glob and limit",
		 {.state = -1, .key_glob = "**/[12x]*", .limit = 4},
		 "a/1 a/2 a/2 b/x.log "							  },
		{"since",            {.state = -1, .since_ms = 1001},    "a/2 "                  },
		{"until",
		 {.state = -1, .until_ms = 1000, .limit = 3},
		 "a/1 a/2 b/x.log "							      },
		{"follow",           {.state = -1, .after_id = 4},       "c "                    },
	};
	struct log_fix *f = *state;
	AUTO(cb_record_release)
	struct cb_record late = make_record("a/2", CALLBACK_OK);
	AUTO(cb_record_release)
	struct cb_record due = make_record("b/x.log", CALLBACK_FAILED);

	late.time_ms = 2000;
	due.next_try_ms = 1;
	add(f, "a/1", CALLBACK_OK);
	add(f, "a/2", CALLBACK_FAILED);
	assert_int_equal(cblog_add(f->db, &late, DB_WAIT), 0);
	assert_int_equal(cblog_add(f->db, &due, DB_WAIT), 0);
	add(f, "c", CALLBACK_OK);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct walk w = {.keys = BUF_INIT};

		assert_int_equal(cblog_walk(f->db, &cases[i].f, note, &w), 0);
		if (strcmp(buf_str(&w.keys), cases[i].want) != 0)
			fail_msg("%s: got \"%s\"", cases[i].name,
				 buf_str(&w.keys));
		buf_release(&w.keys);
	}
}

static void walk_ends_when_told(void **state)
{
	struct log_fix *f = *state;
	struct cblog_filter all = {.state = -1};
	struct walk w = {.keys = BUF_INIT, .stop_after = 2};

	for (int i = 0; i < 4; i++)
		add(f, "k", CALLBACK_OK);
	assert_int_equal(cblog_walk(f->db, &all, note, &w), 7);
	assert_string_equal(buf_str(&w.keys), "k k ");
	buf_release(&w.keys);
}

static int write_meanwhile(void *arg, const struct cb_record *r)
{
	struct walk *w = arg;

	assert_int_equal(cblog_set_retry(w->db, r->key, 0, true), 0);
	w->stop_after++;
	return 0;
}

static void walker_may_write_to_the_log(void **state)
{
	struct log_fix *f = *state;
	struct cblog_filter all = {.state = -1};
	struct walk w = {.db = f->db};
	struct cblog_totals t;

	add(f, "a", CALLBACK_FAILED);
	add(f, "b", CALLBACK_FAILED);
	assert_int_equal(cblog_walk(f->db, &all, write_meanwhile, &w), 0);
	assert_int_equal(w.stop_after, 2);
	assert_int_equal(cblog_totals(f->db, &t), 0);
	assert_int_equal(t.given_up, 2);
}

static int write_a_lot(void *arg, const struct cb_record *r)
{
	struct walk *w = arg;

	(void)r;
	for (int i = 0; i < 1500; i++)
		if (cblog_set_retry(w->db, "k", i, false) < 0)
			return -EIO;
	return 0;
}

static void slow_walker_does_not_make_the_journal_grow(void **state)
{
	struct log_fix *f = *state;
	AUTO_FREE char *wal = test_path(f->dir, "journal.db-wal");
	struct cblog_filter all = {.state = -1};
	struct walk w = {.db = f->db};
	struct stat st;

	for (int i = 0; i < 3; i++)
		add(f, "k", CALLBACK_FAILED);
	assert_int_equal(cblog_walk(f->db, &all, write_a_lot, &w), 0);
	assert_int_equal(stat(wal, &st), 0);
	assert_in_range(st.st_size, 1, 24 << 20);
}

/* -- retries, totals, retention ------------------------------------------------ */

static void totals_count_present_outcomes(void **state)
{
	struct log_fix *f = *state;
	AUTO(cb_record_release)
	struct cb_record due = make_record("due", CALLBACK_FAILED);
	struct cblog_totals t;

	due.next_try_ms = 99;
	add(f, "ok", CALLBACK_FAILED);
	add(f, "ok", CALLBACK_OK);
	add(f, "failed", CALLBACK_FAILED);
	add(f, "given up", CALLBACK_FAILED);
	add(f, "none", CALLBACK_NONE);
	assert_int_equal(cblog_add(f->db, &due, DB_WAIT), 0);
	assert_int_equal(cblog_set_retry(f->db, "given up", 0, true), 0);
	assert_int_equal(cblog_set_retry(f->db, "nobody", 0, true), -ENOENT);
	assert_int_equal(cblog_totals(f->db, &t), 0);
	assert_int_equal(t.ok, 1);
	assert_int_equal(t.failed, 1);
	assert_int_equal(t.given_up, 1);
	assert_int_equal(t.retrying, 1);
	assert_int_equal(t.none, 1);
}

static void retention_keeps_present_outcomes(void **state)
{
	struct log_fix *f = *state;
	struct object_id id = make_id("abc", 3, 5000);
	AUTO(cb_record_release) struct cb_record got = {0};

	for (int i = 0; i < 10; i++)
		add(f, "a", CALLBACK_OK);
	add(f, "b", CALLBACK_OK);
	assert_int_equal(cblog_prune(f->db, 500, 0), 0);
	assert_int_equal(cblog_prune(f->db, 0, 4), 7);
	assert_int_equal(cblog_prune(f->db, 1001, 0), 2);
	assert_int_equal(cblog_outcome(f->db, "a", &id, &got), 0);
	assert_int_equal(cblog_prune(f->db, 5000, 1), 0);
}

static void retention_keeps_outcomes_of_renamed_objects(void **state)
{
	struct log_fix *f = *state;
	struct object_id id = make_id("abc", 3, 5000);
	AUTO(cb_record_release) struct cb_record got = {0};
	AUTO(cb_record_release) struct cb_record back = {0};

	add(f, "a", CALLBACK_OK);
	add(f, "b", CALLBACK_OK);
	add(f, "last", CALLBACK_OK);
	assert_int_equal(cblog_move(f->db, "a", "there", NULL), 0);
	assert_int_equal(cblog_move(f->db, "b", "there and back", NULL), 0);
	assert_int_equal(cblog_move(f->db, "there and back", "b", NULL), 0);
	assert_int_equal(cblog_prune(f->db, 5000, 1), 0);
	assert_int_equal(cblog_outcome(f->db, "there", &id, &got), 0);
	assert_int_equal(cblog_outcome(f->db, "b", &id, &back), 0);
}

static int note_id(void *arg, const struct cb_record *r)
{
	*(int64_t *)arg = r->id;
	return 0;
}

/* `ackctl log --follow` goes on behind the id that it has seen. */
static void retention_gives_no_id_twice(void **state)
{
	static const struct cblog_filter all = {.state = -1};
	struct log_fix *f = *state;
	int64_t seen = 0, last = 0;

	for (int i = 0; i < 3; i++)
		add(f, "k", CALLBACK_OK);
	assert_int_equal(cblog_move(f->db, "k", NULL, NULL), 0);
	assert_int_equal(cblog_walk(f->db, &all, note_id, &seen), 0);
	assert_int_equal(cblog_prune(f->db, 5000, 0), 2);
	assert_int_equal(cblog_prune(f->db, 5000, 1), 0);
	reopen(f);
	add(f, "k", CALLBACK_OK);
	assert_int_equal(cblog_walk(f->db, &all, note_id, &last), 0);
	assert_true(last > seen);
}

/* Times do not always grow: the clock was set back, or was wrong for a while. */
static void retention_by_age_looks_at_each_time(void **state)
{
	static const int64_t times[] = {1000, 9000, 2000, 8000, 0, 3000, 7000};
	static const struct cblog_filter all = {.state = -1};
	struct log_fix *f = *state;
	struct walk w = {.keys = BUF_INIT};

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		AUTO_FREE char *key = str_printf("%d", (int)times[i]);
		AUTO(cb_record_release)
		struct cb_record r = make_record(key, CALLBACK_OK);

		r.time_ms = times[i];
		assert_int_equal(cblog_add(f->db, &r, DB_WAIT), 0);
		assert_int_equal(cblog_move(f->db, key, NULL, NULL), 0);
	}
	assert_int_equal(cblog_prune(f->db, 5000, 0), 4);
	assert_int_equal(cblog_walk(f->db, &all, note, &w), 0);
	assert_string_equal(buf_str(&w.keys), "9000 8000 7000 ");
	buf_release(&w.keys);
}

/* -- what it costs ------------------------------------------------------------- */

static off_t wal_size(const struct log_fix *f)
{
	AUTO_FREE char *wal = test_path(f->dir, "journal.db-wal");
	struct stat st;

	assert_int_equal(stat(wal, &st), 0);
	return st.st_size;
}

/* The attempt, its key, the outcome: each close() waits for this. */
static void an_outcome_is_three_pages(void **state)
{
	enum { FRAME = 4096 + 24 };
	struct log_fix *f = *state;
	off_t before;

	add(f, "a", CALLBACK_OK);
	add(f, "b", CALLBACK_OK);
	before = wal_size(f);
	add(f, "c", CALLBACK_OK);
	assert_int_equal(wal_size(f) - before, 3 * FRAME);
}

static int count_scanned(sqlite3 *sql, void *arg)
{
	int *rows = arg;
	sqlite3_stmt *st = NULL;

	while ((st = sqlite3_next_stmt(sql, st)))
		*rows += sqlite3_stmt_status(
			st, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
	return 0;
}

static void one_key_is_found_without_walking_the_log(void **state)
{
	struct log_fix *f = *state;
	struct object_id id = make_id("abc", 3, 5000);
	AUTO(cb_record_release) struct cb_record got = {0};
	int rows = 0;

	for (int i = 0; i < 20; i++)
		add(f, i % 2 ? "a" : "b", CALLBACK_FAILED);
	assert_int_equal(cblog_move(f->db, "b", "c", &id), 0);
	assert_int_equal(cblog_set_retry(f->db, "c", 7, false), 0);
	assert_int_equal(cblog_outcome(f->db, "c", &id, &got), 0);
	assert_retry_of(f, "c", 7);
	assert_int_equal(db_read(f->db, count_scanned, &rows), 0);
	assert_int_equal(cblog_prune(f->db, 0, 4), 16);
	assert_int_equal(db_write(f->db, count_scanned, &rows, DB_WAIT), 0);
	assert_int_equal(rows, 0);
}

/* -- the other process --------------------------------------------------------- */

static void log_is_readable_beside_the_daemon_and_without(void **state)
{
	struct log_fix *f = *state;
	struct object_id id = make_id("abc", 3, 5000);
	AUTO(cb_record_release) struct cb_record got = {0};
	AUTO(cb_record_release) struct cb_record again = {0};
	AUTO_FREE char *why = NULL;
	struct db *reader = NULL;

	add(f, "k", CALLBACK_OK);
	assert_int_equal(db_open_readonly(f->dir, &reader, &why), 0);
	assert_int_equal(cblog_outcome(reader, "k", &id, &got), 0);
	assert_int_equal(cblog_move(reader, "k", NULL, NULL), -EROFS);
	db_close(reader);
	db_close(f->db);
	f->db = NULL;
	assert_int_equal(db_open_readonly(f->dir, &reader, &why), 0);
	assert_int_equal(cblog_outcome(reader, "k", &id, &again), 0);
	db_close(reader);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_told_apart),
		T(record_comes_back_whole_after_reopening),
		T(answer_of_three_megabytes_is_kept_whole),
		T(empty_answer_is_not_no_answer),
		T(record_added_later_is_whole_though_its_owner_is_gone),
		T(overwritten_object_has_no_outcome),
		T(latest_attempt_is_the_outcome),
		T(outcome_follows_a_rename_and_the_log_does_not),
		T(attempts_know_their_outcome_under_any_name),
		T(copy_onto_itself_moves_the_version),
		T(deleted_object_is_forgotten_but_its_log_stays),
		T(filters_choose_records),
		T(walk_ends_when_told),
		T(walker_may_write_to_the_log),
		T(slow_walker_does_not_make_the_journal_grow),
		T(totals_count_present_outcomes),
		T(retention_keeps_present_outcomes),
		T(retention_keeps_outcomes_of_renamed_objects),
		T(retention_gives_no_id_twice),
		T(retention_by_age_looks_at_each_time),
		T(an_outcome_is_three_pages),
		T(one_key_is_found_without_walking_the_log),
		T(log_is_readable_beside_the_daemon_and_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
