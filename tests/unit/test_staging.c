/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "state/sql.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

static int setup(void **state)
{
	static struct state_fix f;

	state_init_in_memory(&f);
	state_open(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	state_fini(*state);
	return 0;
}

static void close_file(struct staging *s, bool durable)
{
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("delivery-1");

	assert_int_equal(staging_close(s, &c, durable), 0);
}

/* Stop and start: what is there then. */
static void restart(struct state_fix *f)
{
	state_close(f);
	state_open(f);
}

/* -- transitions ------------------------------------------------------------- */

enum verb {
	HOLD,
	CLOSE,
	REOPEN,
	BEGIN,
	RETRY,
	DONE,
	INCOMPLETE,
	WRITE,
	PROPS,
	VERBS
};

static const char *const verbs[] = {"hold",       "close", "reopen",
				    "begin",      "retry", "done",
				    "incomplete", "write", "props"};

static int do_verb(struct staging *s, enum verb v)
{
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("delivery-2");
	struct staging_props p = {.exclusive = true};

	switch (v) {
	case HOLD:
		return staging_hold(s, &c, false);
	case CLOSE:
		return staging_close(s, &c, false);
	case REOPEN:
		return staging_reopen(s, NULL);
	case BEGIN:
		return staging_begin_upload(s);
	case RETRY:
		return staging_retry_later(s, -EIO, "no answer", 99);
	case DONE:
		return staging_done(s);
	case INCOMPLETE:
		return staging_incomplete(s, "killed");
	case WRITE:
		return staging_pwrite(s, "x", 1, 0);
	case PROPS:
		return staging_set_props(s, &p);
	case VERBS:
		break;
	}
	return -ENOSYS;
}

/* A file in this state. */
static struct staging *make_state(struct state_fix *f, enum staging_state want)
{
	static const enum verb way[][4] = {
		[STAGING_OPEN] = {VERBS },
		[STAGING_HELD] = {      HOLD, VERBS},
		[STAGING_CLOSED] = {      CLOSE, VERBS},
		[STAGING_UPLOADING] = {      CLOSE, BEGIN, VERBS},
		[STAGING_RETRYING] = { CLOSE,  BEGIN, RETRY, VERBS},
		[STAGING_DONE] = {CLOSE, BEGIN, DONE, VERBS},
		[STAGING_INCOMPLETE] = {      INCOMPLETE, VERBS},
	};
	struct staging *s = state_write(f, "key", "data");

	for (const enum verb *v = way[want]; *v != VERBS; v++)
		assert_int_equal(do_verb(s, *v), 0);
	assert_int_equal(staging_state_of(s), want);
	return s;
}

#define NO (-1)

/* [from][verb]: the state that follows; NO: refused, nothing changes. */
static const int follows[][VERBS] = {
	[STAGING_OPEN] = {STAGING_HELD, STAGING_CLOSED, NO,           NO,                NO,               NO,
			  STAGING_INCOMPLETE,										STAGING_OPEN, STAGING_OPEN},
	[STAGING_HELD] = {NO,           STAGING_CLOSED, STAGING_OPEN, NO,                NO,               NO,
			  STAGING_INCOMPLETE,										NO,           STAGING_HELD},
	[STAGING_CLOSED] = {NO,           NO,             NO,           STAGING_UPLOADING, STAGING_RETRYING,
                          STAGING_DONE,										  NO, NO,           NO          },
	[STAGING_UPLOADING] = {NO,           NO,             NO,           STAGING_UPLOADING, STAGING_RETRYING,
                          STAGING_DONE,										  NO, NO,           NO          },
	[STAGING_RETRYING] = {NO,           NO,             NO,           STAGING_UPLOADING, STAGING_RETRYING,
                          STAGING_DONE,										  NO, NO,           NO          },
	[STAGING_DONE] = {NO,           NO,             STAGING_OPEN, NO,                NO,               STAGING_DONE, NO, NO,
			  NO															   },
	[STAGING_INCOMPLETE] = {NO,           STAGING_CLOSED, NO,           NO,                NO,               NO,
                          STAGING_INCOMPLETE,										NO,           NO          },
};

/* What a start makes of the row; a reopened file's row has not followed. */
static enum staging_state after_start(enum staging_state from, enum verb v,
				      enum staging_state to)
{
	if (v == REOPEN)
		return from;
	if (to == STAGING_UPLOADING)
		return STAGING_CLOSED;
	return to == STAGING_OPEN ? STAGING_INCOMPLETE : to;
}

static void check_transition(enum staging_state from, enum verb v)
{
	int want = follows[from][v];
	enum staging_state to = want == NO ? from : (enum staging_state)want;
	struct state_fix f;
	struct staging *s;
	int rc;

	state_init_in_memory(&f);
	state_open(&f);
	s = make_state(&f, from);
	rc = do_verb(s, v);
	if ((rc == 0) != (want != NO) || staging_state_of(s) != to)
		fail_msg("%s, %s: %d, then %s", staging_state_name(from),
			 verbs[v], rc, staging_state_name(staging_state_of(s)));
	staging_put(s);
	restart(&f);
	if (want == NO)
		v = VERBS;
	if (f.found_count != 1 ||
	    staging_state_of(f.found[0]) != after_start(from, v, to))
		fail_msg("%s, %s: after a start %s", staging_state_name(from),
			 v == VERBS ? "refused" : verbs[v],
			 f.found_count == 1
				 ? staging_state_name(
					   staging_state_of(f.found[0]))
				 : "nothing");
	state_fini(&f);
}

static void every_transition_is_made_or_refused_and_journaled(void **state)
{
	(void)state;
	for (int from = 0; from <= STAGING_INCOMPLETE; from++)
		for (int v = 0; v < VERBS; v++)
			check_transition((enum staging_state)from,
					 (enum verb)v);
}

static void discarded_file_is_gone_from_every_state(void **state)
{
	struct state_fix *f = *state;

	for (int from = 0; from <= STAGING_INCOMPLETE; from++) {
		struct staging *s = make_state(f, (enum staging_state)from);
		AUTO_FREE char *path = NULL;
		struct staging_totals t;

		assert_int_equal(
			staging_file_path(f->dir, staging_id(s), &path), 0);
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(staging_discard(s), 0);
		assert_int_equal(staging_discard(s), 0);
		staging_store_totals(f->store, &t);
		assert_int_equal(t.files, 0);
		state_expect_bytes(s, "data"); /* while it is referenced */
		assert_int_equal(db_commit(f->db), 0);
		assert_int_equal(access(path, F_OK), -1);
		staging_put(s);
	}
	restart(f);
	assert_int_equal(f->found_count, 0);
}

static void unlinked_closed_file_can_be_reopened_and_stays_gone(void **state)
{
	static const enum staging_state from[] = {STAGING_HELD, STAGING_DONE};
	struct state_fix *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		struct staging *s = make_state(f, from[i]);

		assert_int_equal(staging_discard(s), 0);
		assert_int_equal(staging_reopen(s, NULL), 0);
		assert_int_equal(staging_pwrite(s, "DATA", 4, 0), 0);
		state_expect_bytes(s, "DATA");
		staging_put(s);
	}
	restart(f);
	assert_int_equal(f->found_count, 0);
}

static void unlinked_open_file_can_still_be_written(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "data");

	assert_int_equal(staging_promise(s), 0);
	assert_int_equal(staging_discard(s), 0);
	assert_int_equal(staging_pwrite(s, "DATA!", 5, 0), 0);
	assert_int_equal(staging_truncate(s, 4), 0);
	assert_int_equal(staging_promise(s), 0);
	assert_int_equal(staging_sync(s), 0);
	assert_int_equal(staging_rekey(s, "l"), 0);
	state_expect_bytes(s, "DATA");
	staging_put(s);
	restart(f);
	assert_int_equal(f->found_count, 0);
}

/* -- promises ---------------------------------------------------------------- */

static void promised_file_is_closed_after_a_start(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "data");
	struct staging_close c;

	assert_int_equal(staging_promise(s), 0);
	staging_put(s);
	restart(f);
	s = state_found(f, "k");
	assert_int_equal(staging_state_of(s), STAGING_CLOSED);
	assert_int_equal(staging_get_close(s, &c), -ENODATA);
	close_file(s, false); /* it may be given its close now */
	assert_int_equal(staging_get_close(s, &c), 0);
	assert_string_equal(c.delivery_id, "delivery-1");
	staging_close_release(&c);
}

static void write_after_a_promise_takes_it_back(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "data");
	struct staging_info info;

	assert_int_equal(staging_promise(s), 0);
	staging_get_info(s, &info);
	assert_true(info.promised);
	assert_int_equal(staging_pwrite(s, "more", 4, 4), 0);
	staging_get_info(s, &info);
	assert_false(info.promised);
	staging_put(s);
	restart(f);
	assert_int_equal(staging_state_of(state_found(f, "k")),
			 STAGING_INCOMPLETE);
	state_expect_bytes(state_found(f, "k"), "datamore");
}

/* -- reopening --------------------------------------------------------------- */

static void
reopened_held_file_loses_its_close_with_the_first_write(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_HELD);
	struct staging_close c;

	assert_int_equal(staging_reopen(s, NULL), 0);
	assert_int_equal(staging_get_close(s, &c), 0);
	staging_close_release(&c);
	assert_int_equal(staging_pwrite(s, "D", 1, 0), 0);
	assert_int_equal(staging_get_close(s, &c), -ENODATA);
	assert_int_equal(staging_close(s, NULL, false), -EINVAL);
	close_file(s, false);
	state_expect_bytes(s, "Data");
	staging_put(s);
}

static void held_file_closes_with_what_was_frozen(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_HELD);
	struct staging_close c;

	assert_int_equal(staging_close(s, NULL, true), 0);
	assert_int_equal(staging_get_close(s, &c), 0);
	assert_string_equal(c.delivery_id, "delivery-2");
	staging_close_release(&c);
	staging_put(s);
}

static void stored_file_is_done_on_the_disk_before_it_is_in_memory(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_CLOSED);

	assert_int_equal(staging_stored(s, true), -EINVAL);
	assert_int_equal(staging_begin_upload(s), 0);
	assert_int_equal(staging_stored(s, true), 0);
	assert_int_equal(staging_state_of(s), STAGING_UPLOADING);
	assert_int_equal(staging_reopen(s, NULL), -EINVAL);
	staging_put(s);
	restart(f);
	assert_int_equal(staging_state_of(f->found[0]), STAGING_DONE);
}

static void stored_file_that_nobody_waits_for_is_done_soon(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_CLOSED);

	assert_int_equal(staging_begin_upload(s), 0);
	assert_int_equal(staging_stored(s, false), 0);
	assert_int_equal(staging_state_of(s), STAGING_UPLOADING);
	assert_int_equal(staging_done(s), 0);
	staging_put(s);
	restart(f);
	s = f->found[0];
	assert_int_equal(staging_state_of(s), STAGING_DONE);
	/* Its next row takes the place of that one. */
	assert_int_equal(staging_reopen(s, NULL), 0);
	assert_int_equal(staging_pwrite(s, "x", 1, 0), 0);
	close_file(s, true);
	assert_int_equal(staging_begin_upload(s), 0);
	assert_int_equal(staging_stored(s, false), 0);
	assert_int_equal(staging_done(s), 0);
	assert_int_equal(staging_discard(s), 0);
	restart(f);
	assert_int_equal(f->found_count, 0);
}

/* -- what the journal's thread does when ---------------------------------------- */

/* Holds that thread up; not for ever, as what opens it may wait for the thread
   where a busy machine makes two groups of one. */
struct gate {
	struct lock lock;
	struct cond changed;
	bool is_open;
};

static void gate_init(struct gate *g)
{
	*g = (struct gate){.is_open = false};
	lock_init(&g->lock, LOCK_LEAF);
	cond_init(&g->changed);
}

static void gate_destroy(struct gate *g)
{
	cond_destroy(&g->changed);
	lock_destroy(&g->lock);
}

static void gate_open(struct gate *g)
{
	lock_acquire(&g->lock);
	g->is_open = true;
	cond_broadcast(&g->changed);
	lock_release(&g->lock);
}

static void gate_pass(void *arg)
{
	int64_t until = clock_mono_ms() + 2000;
	struct gate *g = arg;

	lock_acquire(&g->lock);
	while (!g->is_open && cond_wait_until(&g->changed, &g->lock, until))
		;
	lock_release(&g->lock);
}

static int do_nothing(sqlite3 *sql, void *arg)
{
	(void)sql;
	(void)arg;
	return 0;
}

static int refuse_done(sqlite3 *sql, void *arg)
{
	(void)arg;
	return sql_exec(sql, "CREATE TRIGGER refuse BEFORE INSERT ON staged"
			     " WHEN NEW.state = 'done'"
			     " BEGIN SELECT RAISE(ABORT, 'refused'); END");
}

static int refuse_no_more(sqlite3 *sql, void *arg)
{
	(void)arg;
	return sql_exec(sql, "DROP TRIGGER refuse");
}

static void
row_that_failed_is_said_again_though_an_older_one_is_told_later(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_CLOSED);
	struct gate gate;

	gate_init(&gate);
	assert_int_equal(db_write(f->db, refuse_done, NULL, DB_WAIT), 0);
	/* Told last, in order: the gate, then "uploading". */
	assert_int_equal(
		db_write_nowait(f->db, do_nothing, &gate, gate_pass, DB_LATER),
		0);
	assert_int_equal(staging_begin_upload(s), 0);
	assert_true(staging_stored(s, true) < 0);
	gate_open(&gate);
	assert_int_equal(db_commit(f->db), 0);
	assert_int_equal(db_write(f->db, refuse_no_more, NULL, DB_WAIT), 0);
	assert_int_equal(staging_done(s), 0);
	staging_put(s);
	restart(f);
	gate_destroy(&gate);
	assert_int_equal(staging_state_of(f->found[0]), STAGING_DONE);
}

/* Its row and its file go with the next commit, which nobody is in a hurry for. */
static void stored_file_makes_room_for_the_next_at_once(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *big = state_big("big");
	struct staging *s;

	state_close(f);
	f->conf.max_bytes = strlen(big) * 3 / 2;
	state_open(f);
	s = state_write(f, "a", big);
	close_file(s, false);
	assert_int_equal(staging_begin_upload(s), 0);
	assert_int_equal(staging_stored(s, false), 0);
	assert_int_equal(staging_done(s), 0);
	assert_int_equal(staging_discard(s), 0);
	staging_put(s);
	assert_int_equal(staging_create(f->store, "b", NULL, &s), 0);
	assert_int_equal(staging_pwrite(s, big, strlen(big), 0), 0);
	staging_put(s);
}

struct grave {
	char *path;
	bool is_empty;
};

static void look_into(void *arg)
{
	struct grave *g = arg;

	g->is_empty = access(g->path, F_OK) != 0;
}

/* Else a daemon that is killed meanwhile calls it incomplete at its start. */
static void unlinked_open_file_is_buried_at_once(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "bytes");
	struct grave grave = {.is_empty = false};
	struct gate gate;

	gate_init(&gate);
	assert_int_equal(staging_file_path(f->dir, staging_id(s), &grave.path),
			 0);
	assert_int_equal(
		db_write_nowait(f->db, do_nothing, &gate, gate_pass, DB_NOWAIT),
		0);
	/* In one commit; what is in no hurry comes last there. */
	assert_int_equal(staging_discard(s), 0);
	assert_int_equal(db_write_nowait(f->db, do_nothing, &grave, look_into,
					 DB_NOWAIT),
			 0);
	gate_open(&gate);
	assert_int_equal(db_commit(f->db), 0);
	gate_destroy(&gate);
	assert_true(grave.is_empty);
	free(grave.path);
	staging_put(s);
}

static void done_file_reopened_and_left_alone_is_done_again(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_DONE);

	assert_int_equal(staging_reopen(s, NULL), 0);
	assert_int_equal(staging_state_of(s), STAGING_OPEN);
	assert_int_equal(staging_done(s), 0);
	assert_int_equal(staging_state_of(s), STAGING_DONE);
	assert_int_equal(staging_reopen(s, NULL), 0);
	assert_int_equal(staging_pwrite(s, "D", 1, 0), 0);
	assert_int_equal(staging_done(s), -EINVAL);
	staging_put(s);
	restart(f);
	assert_int_equal(staging_state_of(f->found[0]), STAGING_INCOMPLETE);
}

static void done_file_reopened_over_its_object_knows_what_changed(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_DONE);
	struct staging_base base = {.key = "key", .etag = "E2", .size = 4};
	uint64_t *ranges = NULL, off, len;
	size_t count = 9;

	assert_int_equal(staging_reopen(s, &base), 0);
	assert_false(staging_missing(s, 0, 100, &off, &len));
	assert_int_equal(staging_changed(s, &ranges, &count), 0);
	assert_int_equal(count, 0);
	free(ranges);
	assert_int_equal(staging_pwrite(s, "A", 1, 1), 0);
	assert_int_equal(staging_pwrite(s, "!", 1, 6), 0);
	assert_int_equal(staging_changed(s, &ranges, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(ranges[0], 1);
	assert_int_equal(ranges[1], 1);
	assert_int_equal(ranges[2], 4);
	assert_int_equal(ranges[3], 3);
	free(ranges);
	staging_put(s);
}

/* -- clones ------------------------------------------------------------------ */

static void clone_leaves_the_frozen_file_alone(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "frozen"), *c = NULL;
	struct staging_props p = {.check_conflict = true}, got = {0};

	assert_int_equal(str_set(&p.content_type, "text/x"), 0);
	assert_int_equal(kvs_add(&p.meta, "a", "b"), 0);
	assert_int_equal(staging_set_props(s, &p), 0);
	staging_props_release(&p);
	close_file(s, false);
	assert_int_equal(staging_begin_upload(s), 0);
	assert_int_equal(staging_clone(s, &c), 0);
	assert_int_equal(staging_state_of(c), STAGING_OPEN);
	assert_int_equal(staging_pwrite(c, "melted", 6, 0), 0);
	state_expect_bytes(s, "frozen");
	state_expect_bytes(c, "melted");
	assert_int_equal(staging_get_props(c, &got), 0);
	assert_string_equal(got.content_type, "text/x");
	assert_string_equal(kvs_get(&got.meta, "a"), "b");
	assert_true(got.check_conflict);
	staging_props_release(&got);
	close_file(c, false);
	staging_put(s);
	staging_put(c);
	restart(f);
	assert_int_equal(f->found_count, 2);
	state_expect_bytes(f->found[0], "frozen"); /* oldest close first */
	state_expect_bytes(f->found[1], "melted");
}

/* -- names, properties, parts ---------------------------------------------------- */

static void rename_of_a_waiting_file_is_journaled(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_HELD);
	char longest[STAGING_KEY_MAX + 1];

	memset(longest, 'k', sizeof(longest));
	longest[STAGING_KEY_MAX] = '\0';
	assert_int_equal(staging_rekey(s, longest), -ENAMETOOLONG);
	longest[STAGING_KEY_MAX - 1] = '\0';
	assert_int_equal(staging_rekey(s, longest), 0);
	staging_put(s);
	restart(f);
	assert_non_null(state_found(f, longest));
}

static void superseded_is_remembered(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_CLOSED);

	assert_false(staging_is_superseded(s));
	staging_supersede(s);
	assert_true(staging_is_superseded(s));
	staging_put(s);
	restart(f);
	assert_true(staging_is_superseded(f->found[0]));
}

static void failure_is_remembered(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_RETRYING);
	struct staging_info info;

	assert_int_equal(staging_retry_later(s, -ETIMEDOUT, "tired", 123456789),
			 0);
	staging_put(s);
	restart(f);
	staging_get_info(f->found[0], &info);
	assert_int_equal(info.attempts, 2);
	assert_int_equal(info.last_errno, ETIMEDOUT);
	assert_string_equal(info.last_error, "tired");
	assert_int_equal(info.next_try_ms, 123456789);
	assert_int_equal(info.size, 4);
}

static void multipart_upload_is_remembered_until_it_is_forgotten(void **state)
{
	const struct staging_part parts[] = {
		{2, 100, 50,  UINT64_MAX, "E2"},
		{1, 0,   100, 7,          "E1"},
	};
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_UPLOADING);
	AUTO_FREE char *id = NULL;
	struct staging_part *got = NULL;
	uint64_t part_size = 0;
	size_t count = 0;

	assert_null(staging_get_upload(s, &part_size));
	assert_int_equal(staging_set_upload(s, "UPLOAD", 100), 0);
	assert_int_equal(staging_add_part(s, &parts[0]), 0);
	assert_int_equal(staging_add_part(s, &parts[1]), 0);
	assert_int_equal(staging_get_parts(s, &got, &count), 0);
	assert_int_equal(count, 2);
	free(got);
	staging_put(s);
	restart(f);
	s = f->found[0];
	id = staging_get_upload(s, &part_size);
	assert_string_equal(id, "UPLOAD");
	assert_int_equal(part_size, 100);
	assert_int_equal(staging_get_parts(s, &got, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(got[0].number, 1);
	assert_int_equal(got[1].off, 100);
	assert_true(got[1].crc64 == UINT64_MAX);
	assert_string_equal(got[1].etag, "E2");
	free(got);
	assert_int_equal(staging_set_upload(s, NULL, 0), 0);
	assert_int_equal(staging_get_parts(s, &got, &count), 0);
	assert_int_equal(count, 0);
	free(got);
}

/* -- the store --------------------------------------------------------------- */

static void totals_tell_states_and_the_oldest(void **state)
{
	struct state_fix *f = *state;
	struct staging *open = make_state(f, STAGING_OPEN), *old, *young;
	struct staging_info info;
	struct staging_totals t;

	staging_store_totals(f->store, &t);
	assert_int_equal(t.oldest_pending_ms, 0);
	old = make_state(f, STAGING_CLOSED);
	clock_advance_ms(5000);
	young = make_state(f, STAGING_HELD);
	staging_get_info(old, &info);
	staging_store_totals(f->store, &t);
	assert_int_equal(t.files, 3);
	assert_int_equal(t.by_state[STAGING_OPEN], 1);
	assert_int_equal(t.by_state[STAGING_CLOSED], 1);
	assert_int_equal(t.by_state[STAGING_HELD], 1);
	assert_int_equal(t.oldest_pending_ms, info.closed_ms);
	assert_true(t.bytes >= 12);
	assert_int_equal(staging_discard(old), 0);
	staging_put(old);
	staging_get_info(young, &info);
	staging_store_totals(f->store, &t);
	assert_int_equal(t.oldest_pending_ms, info.closed_ms);
	staging_put(young);
	staging_put(open);
}

static void file_is_found_by_id(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_INCOMPLETE), *again;
	int64_t id = staging_id(s);

	staging_put(s);
	again = staging_store_find(f->store, id);
	assert_non_null(again);
	assert_int_equal(staging_id(again), id);
	assert_null(staging_store_find(f->store, id + 1));
	staging_put(again);
}

struct seen {
	int count;
	struct staging_info last;
	char delivery[64];
};

static int see(void *arg, const struct staging_info *info,
	       const struct staging_close *c)
{
	struct seen *s = arg;

	s->count++;
	s->last = *info;
	if (c)
		snprintf(s->delivery, sizeof(s->delivery), "%s",
			 c->delivery_id);
	return 0;
}

static void staged_files_are_listed_beside_the_daemon_and_without(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_RETRYING);
	AUTO_FREE char *why = NULL;

	staging_put(s);
	for (int i = 0; i < 2; i++) {
		struct seen seen = {0};
		struct db *db = NULL;

		assert_int_equal(db_open_readonly(f->dir, &db, &why), 0);
		assert_int_equal(staging_walk(db, see, &seen), 0);
		db_close(db);
		assert_int_equal(seen.count, 1);
		assert_string_equal(seen.last.key, "key");
		assert_string_equal(seen.last.last_error, "no answer");
		assert_int_equal(seen.last.state, STAGING_RETRYING);
		assert_string_equal(seen.delivery, "delivery-2");
		if (i == 0)
			state_close(f);
	}
}

static void ids_are_not_used_twice(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = make_state(f, STAGING_CLOSED);
	int64_t id = staging_id(s);

	staging_put(s);
	restart(f);
	s = state_write(f, "other", "x");
	assert_true(staging_id(s) > id);
	staging_put(s);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_transition_is_made_or_refused_and_journaled),
		T(discarded_file_is_gone_from_every_state),
		T(unlinked_open_file_can_still_be_written),
		T(unlinked_closed_file_can_be_reopened_and_stays_gone),
		T(promised_file_is_closed_after_a_start),
		T(write_after_a_promise_takes_it_back),
		T(reopened_held_file_loses_its_close_with_the_first_write),
		T(held_file_closes_with_what_was_frozen),
		T(stored_file_is_done_on_the_disk_before_it_is_in_memory),
		T(stored_file_that_nobody_waits_for_is_done_soon),
		T(row_that_failed_is_said_again_though_an_older_one_is_told_later),
		T(stored_file_makes_room_for_the_next_at_once),
		T(unlinked_open_file_is_buried_at_once),
		T(done_file_reopened_and_left_alone_is_done_again),
		T(done_file_reopened_over_its_object_knows_what_changed),
		T(clone_leaves_the_frozen_file_alone),
		T(rename_of_a_waiting_file_is_journaled),
		T(superseded_is_remembered),
		T(failure_is_remembered),
		T(multipart_upload_is_remembered_until_it_is_forgotten),
		T(totals_tell_states_and_the_oldest),
		T(file_is_found_by_id),
		T(staged_files_are_listed_beside_the_daemon_and_without),
		T(ids_are_not_used_twice),
	};

	log_set_level(LOG_LVL_ERR); /* it says much, rightly */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
