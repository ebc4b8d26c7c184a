/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../support/pattern_store.h"
#include "download/reader.h"
#include "util/base.h"
#include "util/clock.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define BLOCK ((uint64_t)64 << 10)
#define BUFFERS (32 * MIB)

/* A store with one object "k" of version "v1", and a cache over it. */
struct setup {
	struct pattern_store *store;
	struct read_cache *cache;
	struct reader *r;
	struct read_pos *p;
};

static void begin_with(struct setup *s, uint64_t size,
		       const struct read_conf *conf)
{
	s->store = pattern_store_new();
	pattern_store_put(s->store, "k", "v1", size);
	assert_int_equal(
		read_cache_new(pattern_store_store(s->store), conf, &s->cache),
		0);
	assert_int_equal(reader_open(s->cache, "k", "v1", size, &s->r), 0);
	assert_int_equal(read_pos_new(s->r, &s->p), 0);
}

static void begin(struct setup *s, uint64_t size)
{
	static const struct read_conf conf = {
		.buffer_bytes = BUFFERS,
		.parallel = 8,
		.deadline_ms = TEST_DEADLINE_MS,
	};

	begin_with(s, size, &conf);
}

static void end(struct setup *s)
{
	read_pos_free(s->p);
	reader_close(s->r);
	read_cache_free(s->cache);
	pattern_store_free(s->store);
}

static bool view_matches(const struct read_view *v, const char *etag,
			 uint64_t off)
{
	size_t len = 0;

	for (int i = 0; i < v->count; i++) {
		if (!pattern_matches(etag, off + len, v->iov[i].iov_base,
				     v->iov[i].iov_len))
			return false;
		len += v->iov[i].iov_len;
	}
	return len == v->len;
}

/* One read that must bring want bytes of version v1. */
static void read_at(struct setup *s, uint64_t off, size_t len, size_t want)
{
	struct read_view v;
	struct oss_reply reply;

	assert_int_equal(reader_read(s->r, s->p, off, len, &v, &reply), 0);
	assert_int_equal(v.len, want);
	assert_true(view_matches(&v, "v1", off));
	read_view_release(&v);
}

static void read_all(struct setup *s, uint64_t size, size_t step)
{
	for (uint64_t off = 0; off < size; off += step)
		read_at(s, off, step, size - off < step ? size - off : step);
}

/* Bytes that the store gave, once nothing runs. */
static uint64_t bytes_given(struct setup *s)
{
	assert_true(pattern_store_wait_running(s->store, 0, TEST_DEADLINE_MS));
	return pattern_store_bytes(s->store);
}

/* ---- how many requests ------------------------------------------------- */

static void small_object_is_one_get(void **state)
{
	static const struct {
		const char *name;
		uint64_t size;
		size_t step;
	} cases[] = {
		{"one byte",      1,               4096     },
		{"one page",      4096,            4096     },
		{"in one read",   100 * KIB,       MIB      },
		{"page by page",  100 * KIB,       4096     },
		{"one window",    MIB,             128 * KIB},
		{"a little more", MIB + 200 * KIB, 128 * KIB},
		{"odd size",      5 * BLOCK + 17,  10000    },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct setup s;
		struct pattern_get g;

		begin(&s, cases[i].size);
		read_all(&s, cases[i].size, cases[i].step);
		read_at(&s, cases[i].size, 4096, 0);
		g = pattern_store_call(s.store, 0);
		if (pattern_store_calls(s.store) != 1 || g.off || g.len)
			fail_msg("%s: %u requests, the first %llu+%llu",
				 cases[i].name, pattern_store_calls(s.store),
				 (unsigned long long)g.off,
				 (unsigned long long)g.len);
		end(&s);
	}
}

static void nothing_is_asked_for_at_the_end(void **state)
{
	struct setup s;

	(void)state;
	begin(&s, 10);
	read_at(&s, 10, 1, 0);
	read_at(&s, 1000000, 4096, 0);
	read_at(&s, UINT64_MAX, 4096, 0);
	read_at(&s, 3, 0, 0);
	assert_int_equal(pattern_store_calls(s.store), 0);
	end(&s);
	begin(&s, 0);
	read_at(&s, 0, 4096, 0);
	assert_int_equal(pattern_store_calls(s.store), 0);
	end(&s);
}

static void random_reads_are_one_small_get_each(void **state)
{
	enum { READS = 64 };
	struct setup s;

	(void)state;
	begin(&s, GIB);
	for (uint64_t i = 1; i <= READS; i++) {
		uint64_t at = (i * 0x9E3779B97F4A7C15u) >> 34; /* below 1 GiB */

		read_at(&s, at / 4096 * 4096, 4096, 4096);
	}
	assert_true(pattern_store_calls(s.store) <= READS);
	assert_true(bytes_given(&s) <= READS * BLOCK);
	end(&s);
}

static void miss_of_several_blocks_is_one_get(void **state)
{
	struct setup s;
	struct pattern_get g;

	(void)state;
	begin(&s, GIB);
	read_at(&s, 500 * MIB + 10, MIB, MIB);
	assert_int_equal(pattern_store_calls(s.store), 1);
	g = pattern_store_call(s.store, 0);
	assert_int_equal(g.off, 500 * MIB);
	assert_int_equal(g.len, MIB + BLOCK);
	end(&s);
}

static void sequential_read_is_few_gets_without_waste(void **state)
{
	static const struct read_conf conf = {.buffer_bytes = BUFFERS,
					      .parallel = 1,
					      .deadline_ms = TEST_DEADLINE_MS};
	const uint64_t size = 48 * MIB + 12345;
	struct setup s;

	(void)state;
	begin_with(&s, size, &conf);
	read_all(&s, size, MIB);
	assert_true(pattern_store_calls(s.store) <= 12);
	assert_int_equal(bytes_given(&s), size);
	end(&s);
}

static void slow_connections_are_used_in_parallel(void **state)
{
	const uint64_t size = 64 * MIB;
	struct setup s;

	(void)state;
	begin(&s, size);
	pattern_store_set_rate(s.store, 20 * MIB);
	read_all(&s, size, 128 * KIB);
	assert_true(pattern_store_peak(s.store) >= 4);
	assert_true(pattern_store_peak(s.store) <= 9);
	assert_int_equal(bytes_given(&s), size);
	end(&s);
}

static void jump_ends_read_ahead(void **state)
{
	struct setup s;
	uint64_t before;

	(void)state;
	begin(&s, GIB);
	for (uint64_t off = 0; off < 4 * MIB; off += 128 * KIB)
		read_at(&s, off, 128 * KIB, 128 * KIB);
	read_at(&s, 900 * MIB, 4096, 4096);
	before = bytes_given(&s);
	read_at(&s, 700 * MIB, 4096, 4096);
	assert_int_equal(bytes_given(&s) - before, BLOCK);
	end(&s);
}

/* ---- bytes are handed out while their GET runs ------------------------- */

static void read_returns_before_its_get_ends(void **state)
{
	struct setup s;

	(void)state;
	begin(&s, GIB);
	pattern_store_set_gate(s.store, 300 * KIB);
	read_at(&s, 0, 128 * KIB, 128 * KIB);
	read_at(&s, 128 * KIB, 128 * KIB, 128 * KIB);
	read_at(&s, 290 * KIB, 10 * KIB, 10 * KIB);
	assert_int_equal(pattern_store_call(s.store, 0).given, 0);
	pattern_store_set_gate(s.store, UINT64_MAX);
	end(&s);
}

struct side {
	struct setup *s;
	struct read_pos *p;
	uint64_t off;
	size_t len;
	struct read_view v;
	struct oss_reply reply;
	int rc;
};

static void *read_beside(void *arg)
{
	struct side *b = arg;

	b->rc = reader_read(b->s->r, b->p, b->off, b->len, &b->v, &b->reply);
	return NULL;
}

static void readers_share_a_running_get(void **state)
{
	enum { N = 4 };
	struct side side[N] = {{.s = NULL}};
	struct setup s;
	pthread_t id[N];

	(void)state;
	begin(&s, 200 * KIB);
	pattern_store_set_gate(s.store, 1);
	for (int i = 0; i < N; i++) {
		side[i].s = &s;
		side[i].off = (uint64_t)i * 50 * KIB;
		side[i].len = 50 * KIB;
		assert_int_equal(read_pos_new(s.r, &side[i].p), 0);
		assert_int_equal(
			pthread_create(&id[i], NULL, read_beside, &side[i]), 0);
		assert_true(pattern_store_wait_running(s.store, 1,
						       TEST_DEADLINE_MS));
	}
	pattern_store_set_gate(s.store, UINT64_MAX);
	for (int i = 0; i < N; i++) {
		assert_int_equal(pthread_join(id[i], NULL), 0);
		assert_int_equal(side[i].rc, 0);
		assert_true(view_matches(&side[i].v, "v1", side[i].off));
		read_view_release(&side[i].v);
		read_pos_free(side[i].p);
	}
	assert_int_equal(pattern_store_calls(s.store), 1);
	end(&s);
}

static void same_version_is_one_reader(void **state)
{
	struct setup s;
	struct reader *same = NULL;
	struct reader *other = NULL;

	(void)state;
	begin(&s, 4096);
	assert_int_equal(reader_open(s.cache, "k", "v1", 4096, &same), 0);
	assert_int_equal(reader_open(s.cache, "k", "v2", 4096, &other), 0);
	assert_ptr_equal(same, s.r);
	assert_ptr_not_equal(other, s.r);
	reader_close(other);
	reader_close(same);
	read_at(&s, 0, 4096, 4096);
	end(&s);
}

static void reopened_object_is_not_fetched_again(void **state)
{
	struct setup s;

	(void)state;
	begin(&s, 50000);
	read_all(&s, 50000, 4096);
	read_pos_free(s.p);
	reader_close(s.r);
	assert_int_equal(reader_open(s.cache, "k", "v1", 50000, &s.r), 0);
	assert_int_equal(read_pos_new(s.r, &s.p), 0);
	read_all(&s, 50000, 4096);
	assert_int_equal(pattern_store_calls(s.store), 1);
	end(&s);
}

/* ---- failures ---------------------------------------------------------- */

static void changed_object_is_estale(void **state)
{
	struct setup s;
	struct read_view v = {.len = 77};
	struct oss_reply reply;

	(void)state;
	begin(&s, GIB);
	read_at(&s, 0, 4096, 4096);
	pattern_store_put(s.store, "k", "v2", GIB);
	assert_int_equal(reader_read(s.r, s.p, 500 * MIB, 4096, &v, &reply),
			 -ESTALE);
	assert_int_equal(reply.http, 412);
	assert_int_equal(v.len, 77);
	read_at(&s, 0, 4096, 4096); /* what is here is still of v1 */
	end(&s);
}

static void failed_read_says_why_and_may_be_tried_again(void **state)
{
	struct setup s;
	struct read_view v;
	struct oss_reply reply;

	(void)state;
	begin(&s, GIB);
	pattern_store_fail(s.store, -1, -EACCES, 0);
	assert_int_equal(reader_read(s.r, s.p, 0, 4096, &v, &reply), -EACCES);
	assert_string_equal(reply.code, "Broken");
	assert_int_equal(reader_read(s.r, s.p, 9 * MIB, 4096, &v, NULL),
			 -EACCES);
	pattern_store_fail(s.store, 0, 0, 0);
	read_at(&s, 0, 4096, 4096);
	read_at(&s, 9 * MIB, 4096, 4096);
	end(&s);
}

static void failed_read_ahead_is_not_reported(void **state)
{
	struct setup s;

	(void)state;
	begin(&s, 8 * MIB);
	read_at(&s, 0, 128 * KIB, 128 * KIB);
	assert_true(pattern_store_wait_running(s.store, 0, TEST_DEADLINE_MS));
	pattern_store_fail(s.store, 1, -EIO, 70000);
	for (uint64_t off = 128 * KIB; off < MIB; off += 128 * KIB)
		read_at(&s, off, 128 * KIB, 128 * KIB);
	assert_true(pattern_store_wait_running(s.store, 0, TEST_DEADLINE_MS));
	for (uint64_t off = MIB; off < 8 * MIB; off += 128 * KIB)
		read_at(&s, off, 128 * KIB, 128 * KIB);
	end(&s);
}

static void broken_off_get_goes_on_where_it_broke(void **state)
{
	struct setup s;
	struct pattern_get g;

	(void)state;
	begin(&s, 2 * MIB);
	pattern_store_fail(s.store, 1, -EIO, 100000);
	read_at(&s, 0, 2 * MIB, MIB);
	assert_true(pattern_store_wait_running(s.store, 0, TEST_DEADLINE_MS));
	g = pattern_store_call(s.store, 0);
	assert_int_equal(g.given, 100000);
	read_all(&s, 2 * MIB, MIB);
	assert_int_equal(bytes_given(&s), 2 * MIB);
	end(&s);
}

/* The client finds at the end that the sum is wrong. */
static void wrong_sum_fails_the_last_bytes(void **state)
{
	struct setup s;
	struct read_view v;

	(void)state;
	begin(&s, 300 * KIB);
	pattern_store_fail(s.store, 1, -EBADMSG, UINT64_MAX);
	assert_int_equal(reader_read(s.r, s.p, 200 * KIB, 100 * KIB, &v, NULL),
			 -EBADMSG);
	read_all(&s, 300 * KIB, 128 * KIB);
	assert_int_equal(pattern_store_calls(s.store), 2);
	end(&s);
}

static void server_that_stands_still_times_out(void **state)
{
	static const struct read_conf conf = {
		.buffer_bytes = BUFFERS, .parallel = 4, .deadline_ms = 50};
	struct setup s;
	struct read_view v;

	(void)state;
	begin_with(&s, GIB, &conf);
	pattern_store_set_gate(s.store, 0);
	assert_int_equal(reader_read(s.r, s.p, 0, 4096, &v, NULL), -ETIMEDOUT);
	pattern_store_set_gate(s.store, UINT64_MAX);
	read_at(&s, 0, 4096, 4096);
	end(&s);
}

/* ---- memory ------------------------------------------------------------ */

static void pinned_buffers_do_not_stop_others(void **state)
{
	static const struct read_conf conf = {.buffer_bytes = 4 * BLOCK,
					      .parallel = 4,
					      .deadline_ms = TEST_DEADLINE_MS};
	struct setup s;
	struct read_view v[8];

	(void)state;
	begin_with(&s, GIB, &conf);
	for (uint64_t i = 0; i < ARRAY_LEN(v); i++) {
		assert_int_equal(reader_read(s.r, s.p, i * 99 * MIB, 100000,
					     &v[i], NULL),
				 0);
		assert_true(view_matches(&v[i], "v1", i * 99 * MIB));
	}
	assert_true(read_cache_used(s.cache) <= conf.buffer_bytes);
	for (uint64_t i = 0; i < ARRAY_LEN(v); i++) {
		assert_true(view_matches(&v[i], "v1", i * 99 * MIB));
		read_view_release(&v[i]);
	}
	end(&s);
}

static void works_without_any_buffer(void **state)
{
	static const struct read_conf conf = {.buffer_bytes = 0,
					      .parallel = 1,
					      .deadline_ms = TEST_DEADLINE_MS};
	struct setup s;

	(void)state;
	begin_with(&s, 3 * MIB + 5, &conf);
	read_all(&s, 3 * MIB + 5, 300000);
	assert_int_equal(read_cache_used(s.cache), 0);
	end(&s);
}

static bool uses_nothing(void *arg)
{
	return read_cache_used(arg) == 0;
}

static void idle_buffers_are_given_back(void **state)
{
	struct setup s;

	(void)state;
	clock_advance_ms(0);
	begin(&s, 64 * MIB);
	read_all(&s, 3 * MIB, 128 * KIB);
	read_at(&s, 40 * MIB, 4096, 4096);
	assert_true(pattern_store_wait_running(s.store, 0, TEST_DEADLINE_MS));
	assert_true(read_cache_used(s.cache) > 0);
	for (int i = 0; i < 8 && read_cache_used(s.cache) > 0; i++)
		clock_advance_ms(2500);
	assert_true(test_wait_until(uses_nothing, s.cache, TEST_DEADLINE_MS));
	read_at(&s, 40 * MIB, 4096, 4096);
	end(&s);
}

/* A long GET of a reader that stopped neither fills the buffers nor stays. */
static void stalled_reader_lets_go(void **state)
{
	struct setup s;
	uint64_t bytes;

	(void)state;
	clock_advance_ms(0);
	begin(&s, GIB);
	read_all(&s, 30 * MIB, MIB);
	for (int i = 0; i < 4; i++)
		clock_advance_ms(2000);
	bytes = bytes_given(&s);
	assert_true(bytes < 30 * MIB + BUFFERS);
	read_at(&s, 30 * MIB, MIB, MIB);
	end(&s);
}

static int count_bytes(void *arg, const void *data, size_t len)
{
	(void)data;
	*(uint64_t *)arg += len;
	return 0;
}

static void fetch_is_one_get_of_that_range(void **state)
{
	struct setup s;
	uint64_t n = 0;
	struct oss_sink to = {count_bytes, &n};

	(void)state;
	begin(&s, 10 * MIB);
	assert_int_equal(reader_fetch(s.r, 100, 1000, &to, NULL), 0);
	assert_int_equal(n, 1000);
	assert_int_equal(reader_fetch(s.r, 10 * MIB - 5, 1000, &to, NULL), 0);
	assert_int_equal(n, 1005);
	assert_int_equal(reader_fetch(s.r, 10 * MIB, 1000, &to, NULL), 0);
	assert_int_equal(reader_fetch(s.r, 0, UINT64_MAX, &to, NULL), 0);
	assert_int_equal(n, 1005 + 10 * MIB);
	assert_int_equal(pattern_store_calls(s.store), 3);
	assert_int_equal(pattern_store_call(s.store, 2).len, 0);
	assert_int_equal(read_cache_used(s.cache), 0);
	end(&s);
}

/* ---- a model: anything at once ----------------------------------------- */

struct model {
	struct read_cache *cache;
	unsigned seed;
	unsigned reads;
	bool bad;
	char what[128];
};

static const struct {
	const char *key, *etag;
	uint64_t size;
	int error; /* that reads may return, besides -EIO */
} model_objects[] = {
	{"small", "s",  70001,        -EIO   },
	{"big",   "b",  200 * MIB,    -EIO   },
	{"mid",   "m",  5 * MIB + 13, -EIO   },
	{"gone",  "g1", 3 * MIB,      -ESTALE},
};

static void check(struct model *m, size_t o, uint64_t off, size_t len, int rc,
		  struct read_view *v)
{
	uint64_t size = model_objects[o].size;
	size_t want = off >= size ? 0 : size - off < len ? size - off : len;

	if (rc == 0) {
		if (v->len != want ||
		    !view_matches(v, model_objects[o].etag, off))
			m->bad = true;
		read_view_release(v);
	} else if (rc != -EIO && rc != model_objects[o].error) {
		m->bad = true;
	}
	if (m->bad && !m->what[0])
		(void)snprintf(
			m->what, sizeof(m->what), "%s: read %llu+%zu gave %d",
			model_objects[o].key, (unsigned long long)off, len, rc);
}

static void read_some(struct model *m, size_t o)
{
	struct reader *r = NULL;
	struct read_pos *p = NULL;
	uint64_t size = model_objects[o].size;
	uint64_t off = (uint64_t)rand_r(&m->seed) % 3
			       ? (uint64_t)rand_r(&m->seed) % size
			       : 0;
	int steps = rand_r(&m->seed) % 30;

	if (reader_open(m->cache, model_objects[o].key, model_objects[o].etag,
			size, &r) < 0 ||
	    read_pos_new(r, &p) < 0) {
		m->bad = true;
		return;
	}
	for (int i = 0; i < steps && !m->bad; i++) {
		size_t len = 1 + (size_t)rand_r(&m->seed) % (200 * KIB);
		struct read_view v;
		int rc = reader_read(r, p, off, len, &v, NULL);

		check(m, o, off, len, rc, &v);
		off += len;
		if (rand_r(&m->seed) % 8 == 0)
			off = (uint64_t)rand_r(&m->seed) % size;
		m->reads++;
	}
	read_pos_free(p);
	reader_close(r);
}

static void *run_model(void *arg)
{
	struct model *m = arg;
	int64_t until = clock_mono_ms() + 400;

	while (clock_mono_ms() < until && !m->bad)
		read_some(m,
			  (size_t)rand_r(&m->seed) % ARRAY_LEN(model_objects));
	return NULL;
}

static void run_models(uint64_t buffer_bytes, unsigned seed)
{
	enum { N = 6 };
	struct read_conf conf = {.buffer_bytes = buffer_bytes,
				 .parallel = 4,
				 .deadline_ms = TEST_DEADLINE_MS};
	struct model m[N];
	struct setup s;
	pthread_t id[N];

	begin_with(&s, 1, &conf);
	for (size_t i = 0; i < ARRAY_LEN(model_objects); i++)
		pattern_store_put(s.store, model_objects[i].key,
				  model_objects[i].etag, model_objects[i].size);
	pattern_store_set_faults(s.store, 10, seed);
	for (unsigned i = 0; i < N; i++) {
		m[i] = (struct model){.cache = s.cache, .seed = seed + i};
		assert_int_equal(pthread_create(&id[i], NULL, run_model, &m[i]),
				 0);
	}
	pattern_store_put(s.store, "gone", "g2", 3 * MIB);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(pthread_join(id[i], NULL), 0);
		if (m[i].bad)
			fail_msg("seed %u, %llu bytes: %s", seed,
				 (unsigned long long)buffer_bytes, m[i].what);
	}
	assert_true(read_cache_used(s.cache) <= buffer_bytes);
	end(&s);
}

static void any_reads_at_once_show_the_object(void **state)
{
	static const uint64_t budgets[] = {0, BLOCK, MIB, 4 * MIB, 32 * MIB};
	unsigned seed = (unsigned)clock_mono_ms();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(budgets); i++)
		run_models(budgets[i], seed + (unsigned)i * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_object_is_one_get),
		cmocka_unit_test(nothing_is_asked_for_at_the_end),
		cmocka_unit_test(random_reads_are_one_small_get_each),
		cmocka_unit_test(miss_of_several_blocks_is_one_get),
		cmocka_unit_test(sequential_read_is_few_gets_without_waste),
		cmocka_unit_test(slow_connections_are_used_in_parallel),
		cmocka_unit_test(jump_ends_read_ahead),
		cmocka_unit_test(read_returns_before_its_get_ends),
		cmocka_unit_test(readers_share_a_running_get),
		cmocka_unit_test(same_version_is_one_reader),
		cmocka_unit_test(reopened_object_is_not_fetched_again),
		cmocka_unit_test(changed_object_is_estale),
		cmocka_unit_test(failed_read_says_why_and_may_be_tried_again),
		cmocka_unit_test(failed_read_ahead_is_not_reported),
		cmocka_unit_test(broken_off_get_goes_on_where_it_broke),
		cmocka_unit_test(wrong_sum_fails_the_last_bytes),
		cmocka_unit_test(server_that_stands_still_times_out),
		cmocka_unit_test(pinned_buffers_do_not_stop_others),
		cmocka_unit_test(works_without_any_buffer),
		cmocka_unit_test(fetch_is_one_get_of_that_range),
		cmocka_unit_test(any_reads_at_once_show_the_object),
		/* These move the clock. */
		cmocka_unit_test(idle_buffers_are_given_back),
		cmocka_unit_test(stalled_reader_lets_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
