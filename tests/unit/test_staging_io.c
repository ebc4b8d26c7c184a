/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <errno.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/base.h"
#include "util/log.h"
#include "util/uuid.h"

enum { BASE = 3000, MAX = 5000, ROUNDS = 3000 };

static int setup(void **state)
{
	static struct state_fix f;

	state_init(&f);
	state_open(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	state_fini(*state);
	return 0;
}

static struct staging *create_over_base(struct state_fix *f, uint64_t size)
{
	struct staging_base base = {
		.key = "k", .etag = "E", .size = size, .modified_ms = 5};
	struct staging *s = NULL;

	assert_int_equal(staging_create(f->store, "k", &base, &s), 0);
	return s;
}

/* -- the model: what a program that reads the file must see ---------------------- */

struct model {
	unsigned char base[BASE], now[MAX];
	bool changed[MAX]; /* by the program, not by a fill */
	uint64_t size;
	struct staging *s;
};

static void model_init(struct model *m, struct staging *s)
{
	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < BASE; i++)
		m->base[i] = (unsigned char)(1 + i % 251);
	memcpy(m->now, m->base, BASE);
	m->size = BASE;
	m->s = s;
}

static void model_set_size(struct model *m, uint64_t size)
{
	if (size < m->size)
		memset(m->now + size, 0, m->size - size);
	for (uint64_t i = m->size; i < size; i++)
		m->changed[i] = true;
	if (size < m->size)
		memset(m->changed + size, 0, m->size - size);
	m->size = size;
}

static void do_write(struct model *m, uint64_t off, size_t len)
{
	unsigned char data[MAX] = {0};

	for (size_t i = 0; i < len; i++)
		data[i] = (unsigned char)random_below(256);
	assert_int_equal(staging_pwrite(m->s, data, len, off), 0);
	if (len == 0)
		return;
	if (off + len > m->size)
		model_set_size(m, off + len);
	memcpy(m->now + off, data, len);
	memset(m->changed + off, 1, len);
}

static void do_fill_wanted(struct model *m, uint64_t off, uint64_t len)
{
	uint64_t at = 0, n = 0;

	while (staging_missing(m->s, off, len, &at, &n)) {
		assert_true(at >= off && at + n <= BASE && n > 0);
		if (n > 1 && random_below(2))
			n = 1 + random_below(n); /* fetches come in pieces */
		assert_int_equal(staging_fill(m->s, m->base + at, n, at), 0);
	}
}

static void check_read(struct model *m, uint64_t off, uint64_t len)
{
	unsigned char got[MAX];
	uint64_t want = off >= m->size ? 0 : m->size - off;

	if (want > len)
		want = len;
	do_fill_wanted(m, off, len);
	assert_int_equal(staging_pread(m->s, got, len, off), want);
	for (uint64_t i = 0; i < want; i++)
		if (got[i] != m->now[off + i])
			fail_msg("byte %d: %d, not %d", (int)(off + i), got[i],
				 m->now[off + i]);
}

/* Whatever differs from the base must be named, in order and within the file;
   what the program did not touch must not. */
static void check_changed(struct model *m)
{
	AUTO_FREE uint64_t *r = NULL;
	bool named[MAX] = {false};
	uint64_t last = 0;
	size_t n = 0;

	assert_int_equal(staging_changed(m->s, &r, &n), 0);
	for (size_t i = 0; i < n; i++) {
		assert_true(r[2 * i] >= last && r[2 * i + 1] > 0);
		last = r[2 * i] + r[2 * i + 1];
		assert_true(last <= m->size);
		memset(named + r[2 * i], 1, r[2 * i + 1]);
	}
	for (uint64_t i = 0; i < m->size; i++)
		if (named[i] != m->changed[i])
			fail_msg("byte %d: named %d", (int)i, named[i]);
}

static void do_fallocate(struct model *m, uint64_t off, uint64_t len)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_ZERO_RANGE,
				    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	int mode = modes[random_below(ARRAY_LEN(modes))];
	int rc = staging_fallocate(m->s, mode, off, len);
	uint64_t end = off + len;

	if (rc == -EOPNOTSUPP)
		return; /* this file system */
	assert_int_equal(rc, 0);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > m->size)
		model_set_size(m, end);
	if (end > m->size)
		end = m->size;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && off < end) {
		memset(m->now + off, 0, end - off);
		memset(m->changed + off, 1, end - off);
	}
}

static void model_step(struct model *m)
{
	uint64_t off = random_below(MAX - 400), len = random_below(400);

	switch (random_below(10)) {
	case 0:
	case 1:
	case 2:
		do_write(m, off, len);
		break;
	case 3:
		do_write(m, m->size < MAX - 10 ? m->size : off, 10);
		break;
	case 4:
		if (random_below(5) > 0)
			break;
		assert_int_equal(staging_truncate(m->s, off), 0);
		model_set_size(m, off);
		break;
	case 5:
		do_fallocate(m, off, len + 1);
		break;
	default:
		check_read(m, off, len);
	}
}

static void file_over_a_base_reads_as_a_model_says(void **state)
{
	struct state_fix *f = *state;
	struct model *m = malloc(sizeof(*m));

	assert_non_null(m);
	for (int round = 0; round < 4; round++) {
		model_init(m, create_over_base(f, BASE));
		for (int i = 0; i < ROUNDS / 4; i++) {
			model_step(m);
			if (i % 20 == 0)
				check_changed(m);
		}
		check_read(m, 0, MAX);
		staging_put(m->s);
	}
	free(m);
}

static void ranges_survive_a_start(void **state)
{
	struct state_fix *f = *state;
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d");
	struct model *m = malloc(sizeof(*m));
	struct staging_base base;

	assert_non_null(m);
	model_init(m, create_over_base(f, BASE));
	do_write(m, 100, 50);
	do_write(m, 2990, 100);
	assert_int_equal(staging_close(m->s, &c, false), 0);
	staging_put(m->s);
	state_close(f);
	state_open(f);
	m->s = state_found(f, "k");
	assert_int_equal(staging_state_of(m->s), STAGING_CLOSED);
	assert_true(staging_base_of(m->s, &base));
	assert_string_equal(base.etag, "E");
	assert_int_equal(base.size, BASE);
	check_changed(m);
	check_read(m, 0, MAX);
	free(m);
}

static void what_was_filled_wrongly_is_missing_again(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = create_over_base(f, BASE);
	static const char bytes[BASE] = {1};
	uint64_t off = 0, len = 0;

	assert_int_equal(staging_pwrite(s, "abc", 3, 100), 0);
	assert_int_equal(staging_fill(s, bytes, BASE, 0), 0);
	assert_false(staging_missing(s, 0, BASE, &off, &len));
	assert_int_equal(staging_unfill(s, 50, 1000), 0);
	assert_true(staging_missing(s, 0, BASE, &off, &len));
	assert_int_equal(off, 50);
	assert_int_equal(len, 50);
	assert_false(
		staging_missing(s, 100, 3, &off, &len)); /* the program's */
	assert_true(staging_missing(s, 103, BASE, &off, &len));
	assert_int_equal(off, 103);
	assert_int_equal(len, 947);
	staging_put(s);
}

static void rebase_keeps_the_bytes_and_names_the_new_version(void **state)
{
	struct state_fix *f = *state;
	struct staging_base next = {.key = "n", .etag = "E2", .size = 3500};
	struct staging_base got;
	struct model *m = malloc(sizeof(*m));

	assert_non_null(m);
	model_init(m, create_over_base(f, BASE));
	do_write(m, 10, 10);
	assert_int_equal(staging_rebase(m->s, &next), 0);
	assert_true(staging_base_of(m->s, &got));
	assert_string_equal(got.key, "n");
	check_changed(m);
	check_read(m, 0, MAX);
	staging_put(m->s);
	m->s = state_write(f, "nobase", "x");
	assert_int_equal(staging_rebase(m->s, &next), 0);
	assert_false(staging_base_of(m->s, &got));
	staging_put(m->s);
	free(m);
}

static void impossible_offsets_are_refused(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "x");
	char c = 0;

	assert_int_equal(staging_pwrite(s, &c, 1, INT64_MAX), -EFBIG);
	assert_int_equal(staging_pwrite(s, &c, 1, UINT64_MAX), -EFBIG);
	assert_int_equal(staging_truncate(s, UINT64_MAX), -EFBIG);
	assert_int_equal(staging_fallocate(s, 0, INT64_MAX, 2), -EFBIG);
	assert_int_equal(staging_fallocate(s, 0, 0, 0), -EINVAL);
	assert_int_equal(staging_fallocate(s, FALLOC_FL_COLLAPSE_RANGE, 0, 1),
			 -EOPNOTSUPP);
	state_expect_bytes(s, "x");
	staging_put(s);
}

static void spliced_write_counts_like_any_other(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = create_over_base(f, 100);
	uint64_t off = 0, len = 0, before = staging_generation(s);
	AUTO_FREE uint64_t *r = NULL;
	size_t n = 0;

	assert_int_equal(staging_write_begin(s, 20, 50), 0);
	assert_int_equal(pwrite(staging_fd(s), "0123456789", 10, 20), 10);
	staging_write_end(s, 20, 10); /* less than was asked for */
	assert_true(staging_generation(s) > before);
	assert_true(staging_missing(s, 20, 80, &off, &len));
	assert_int_equal(off, 30);
	assert_int_equal(len, 70);
	assert_int_equal(staging_changed(s, &r, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(r[0], 20);
	assert_int_equal(r[1], 10);
	assert_int_equal(staging_write_begin(s, 100, 5), 0);
	staging_write_end(s, 100, 0); /* nothing came */
	assert_int_equal(staging_size(s), 100);
	staging_put(s);
}

/* -- threads ----------------------------------------------------------------- */

enum { BLOCK = 4096, BLOCKS = 64, THREADS = 4 };

struct worker {
	struct staging *s;
	int number;
	atomic_bool *stop;
	int rc; /* of the first call that failed */
};

/* Thread i owns the blocks of its number. */
static void *write_blocks(void *arg)
{
	struct worker *w = arg;
	char block[BLOCK];

	memset(block, 'A' + w->number, sizeof(block));
	for (int i = 0; i < 4 * BLOCKS && w->rc == 0; i++) {
		uint64_t b = (uint64_t)i % BLOCKS;

		if (b % THREADS != (uint64_t)w->number)
			continue;
		w->rc = staging_pwrite(w->s, block, BLOCK, b * BLOCK);
		if (w->rc == 0 && b % 16 == 0)
			w->rc = staging_promise(w->s);
	}
	return NULL;
}

static void *fill_blocks(void *arg)
{
	struct worker *w = arg;
	char base[BLOCK], one;
	uint64_t off, len;

	memset(base, 'z', sizeof(base));
	while (!atomic_load(w->stop) && w->rc == 0) {
		uint64_t at = random_below(BLOCKS) * BLOCK;

		if (staging_missing(w->s, at, BLOCK, &off, &len))
			w->rc = staging_fill(w->s, base, len, off);
		if (staging_pread(w->s, &one, 1, at) != 1)
			w->rc = -EIO;
	}
	return NULL;
}

static void fills_never_undo_writes(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = create_over_base(f, (uint64_t)(BLOCKS + 1) * BLOCK);
	struct worker w[THREADS + 1];
	pthread_t t[THREADS + 1];
	atomic_bool stop = false;
	char got[BLOCK];

	for (int i = 0; i <= THREADS; i++) {
		w[i] = (struct worker){s, i, &stop, 0};
		assert_int_equal(
			pthread_create(&t[i], NULL,
				       i < THREADS ? write_blocks : fill_blocks,
				       &w[i]),
			0);
	}
	for (int i = 0; i <= THREADS; i++) {
		if (i == THREADS)
			atomic_store(&stop, true);
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].rc, 0);
	}
	for (int b = 0; b < BLOCKS; b++) {
		assert_int_equal(
			staging_pread(s, got, BLOCK, (uint64_t)b * BLOCK),
			BLOCK);
		for (int i = 0; i < BLOCK; i++)
			assert_int_equal(got[i], 'A' + b % THREADS);
	}
	staging_put(s);
}

static void *write_until_frozen(void *arg)
{
	struct worker *w = arg;
	char block[BLOCK];

	memset(block, 'A' + w->number, sizeof(block));
	while (w->rc == 0)
		w->rc = staging_pwrite(w->s, block, sizeof(block), 0);
	return NULL;
}

static void file_does_not_change_once_it_is_closed(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "");
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d");
	char before[BLOCK] = {0}, after[BLOCK] = {0};
	struct worker w[THREADS];
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){s, i, NULL, 0};
		assert_int_equal(
			pthread_create(&t[i], NULL, write_until_frozen, &w[i]),
			0);
	}
	while (staging_generation(s) < 50)
		sched_yield();
	assert_int_equal(staging_close(s, &c, true), 0);
	assert_int_equal(staging_pread(s, before, BLOCK, 0), BLOCK);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].rc, -EBUSY);
	}
	assert_int_equal(staging_pread(s, after, BLOCK, 0), BLOCK);
	assert_memory_equal(before, after, BLOCK);
	staging_put(s);
}

struct lives {
	struct state_fix *f;
	int number, rc;
};

static int one_life(struct state_fix *f, const char *key,
		    const struct staging_close *c, bool durable)
{
	struct staging *s = NULL;
	int rc = staging_create(f->store, key, NULL, &s);

	if (rc == 0)
		rc = staging_pwrite(s, key, strlen(key), 0);
	if (rc == 0)
		rc = staging_promise(s);
	if (rc == 0)
		rc = staging_close(s, c, durable);
	if (rc == 0)
		rc = staging_begin_upload(s);
	if (rc == 0)
		rc = staging_done(s);
	if (rc == 0)
		rc = staging_discard(s);
	staging_put(s);
	return rc;
}

static void *live_many(void *arg)
{
	struct lives *l = arg;
	struct staging_close c = state_close_info("d");
	struct staging_totals t;

	for (int i = 0; i < 50 && l->rc == 0; i++) {
		char key[32];

		snprintf(key, sizeof(key), "t%d/%d", l->number, i);
		l->rc = one_life(l->f, key, &c, i % 8 == 0);
		staging_store_totals(l->f->store, &t);
	}
	staging_close_release(&c);
	return NULL;
}

static void many_lives_at_once_leave_nothing_behind(void **state)
{
	struct state_fix *f = *state;
	struct lives l[THREADS];
	pthread_t t[THREADS];
	struct staging_totals totals;

	for (int i = 0; i < THREADS; i++) {
		l[i] = (struct lives){f, i, 0};
		assert_int_equal(pthread_create(&t[i], NULL, live_many, &l[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(l[i].rc, 0);
	}
	assert_int_equal(db_commit(f->db), 0);
	staging_store_totals(f->store, &totals);
	assert_int_equal(totals.files, 0);
	assert_int_equal(totals.bytes, 0);
	state_close(f);
	state_open(f);
	assert_int_equal(f->found_count, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(file_over_a_base_reads_as_a_model_says),
		T(ranges_survive_a_start),
		T(what_was_filled_wrongly_is_missing_again),
		T(rebase_keeps_the_bytes_and_names_the_new_version),
		T(impossible_offsets_are_refused),
		T(spliced_write_counts_like_any_other),
		T(fills_never_undo_writes),
		T(file_does_not_change_once_it_is_closed),
		T(many_lives_at_once_leave_nothing_behind),
	};

	log_set_level(LOG_LVL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
