/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "state/extents.h"
#include "util/base.h"
#include "util/uuid.h"

/* Random operations on a set and on a map of bytes must agree. */

enum { MAP = 200, ROUNDS = 20000 };

struct model {
	struct extents x;
	bool byte[MAP];
};

static void check_shape(const struct extents *x)
{
	for (size_t i = 0; i < x->count; i++) {
		assert_true(x->items[i].start < x->items[i].end);
		if (i > 0)
			assert_true(x->items[i - 1].end < x->items[i].start);
	}
}

static void check_bytes(const struct model *m)
{
	uint64_t total = 0;
	size_t at = 0;

	for (uint64_t i = 0; i < MAP; i++) {
		bool is_in;

		while (at < m->x.count && m->x.items[at].end <= i)
			at++;
		is_in = at < m->x.count && m->x.items[at].start <= i;
		if (is_in != m->byte[i])
			fail_msg("byte %d: set says %d", (int)i, is_in);
		total += is_in;
	}
	assert_int_equal(extents_total(&m->x), total);
}

static void check_gap(const struct model *m, uint64_t start, uint64_t end)
{
	struct extent gap = {0, 0};
	uint64_t want = start, want_end;
	bool found = extents_gap(&m->x, start, end, &gap);

	while (want < end && m->byte[want])
		want++;
	for (want_end = want; want_end < end && !m->byte[want_end];)
		want_end++;
	assert_int_equal(found, want < end);
	if (found) {
		assert_int_equal(gap.start, want);
		assert_int_equal(gap.end, want_end);
	}
}

static void check_round_trip(const struct extents *x)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	AUTO(extents_release) struct extents again = EXTENTS_INIT;
	const unsigned char *p;
	size_t len;

	extents_pack(&b, x);
	buf_addc(&b, 'x');
	p = (const unsigned char *)buf_str(&b);
	len = b.len;
	assert_int_equal(extents_unpack(&p, &len, &again), 0);
	assert_int_equal(len, 1);
	assert_int_equal(again.count, x->count);
	if (x->count > 0)
		assert_memory_equal(again.items, x->items,
				    x->count * sizeof(*x->items));
}

static void step(struct model *m)
{
	uint64_t start = random_below(MAP);
	uint64_t end =
		start + random_below(MAP - start < 30 ? MAP - start + 1 : 30);

	switch (random_below(8)) {
	case 0:
	case 1:
	case 2:
		assert_int_equal(extents_add(&m->x, start, end), 0);
		memset(m->byte + start, 1, end - start);
		break;
	case 3:
	case 4:
		assert_int_equal(extents_remove(&m->x, start, end), 0);
		memset(m->byte + start, 0, end - start);
		break;
	case 5:
		if (random_below(10) > 0)
			break;
		extents_cut(&m->x, start);
		memset(m->byte + start, 0, MAP - start);
		break;
	default:
		check_gap(m, start, end);
	}
}

static void set_agrees_with_a_map_of_bytes(void **state)
{
	struct model m = {.x = EXTENTS_INIT};

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		step(&m);
		check_shape(&m.x);
		if (i % 16 == 0) {
			check_bytes(&m);
			check_round_trip(&m.x);
		}
	}
	extents_release(&m.x);
}

static void appending_keeps_one_range(void **state)
{
	AUTO(extents_release) struct extents x = EXTENTS_INIT;

	(void)state;
	for (uint64_t i = 0; i < 100000; i++)
		assert_int_equal(extents_add(&x, i * 4096, (i + 1) * 4096), 0);
	assert_int_equal(x.count, 1);
}

static void ends_of_the_number_range_are_no_trouble(void **state)
{
	AUTO(extents_release) struct extents x = EXTENTS_INIT;
	struct extent gap;

	(void)state;
	assert_int_equal(extents_add(&x, UINT64_MAX - 1, UINT64_MAX), 0);
	assert_int_equal(extents_add(&x, 0, 1), 0);
	assert_true(extents_gap(&x, 0, UINT64_MAX, &gap));
	assert_true(gap.start == 1 && gap.end == UINT64_MAX - 1);
	assert_int_equal(extents_add(&x, 5, 5), 0);
	assert_int_equal(extents_add(&x, 7, 6), 0);
	assert_int_equal(x.count, 2);
	check_round_trip(&x);
}

static void reserved_room_is_enough(void **state)
{
	AUTO(extents_release) struct extents x = EXTENTS_INIT;
	const struct extent *before;

	(void)state;
	assert_int_equal(extents_add(&x, 0, 100), 0);
	assert_int_equal(extents_reserve(&x, 50), 0);
	before = x.items;
	for (uint64_t i = 1; i < 50; i++)
		assert_int_equal(extents_remove(&x, 2 * i, 2 * i + 1), 0);
	assert_ptr_equal(before, x.items);
}

static void damaged_text_is_refused(void **state)
{
	static const struct {
		const char *name;
		const char *data;
		size_t len;
	} cases[] = {
		{"nothing",              "",				 0 },
		{"cut",                  "\x02\x01\x01",                     3 },
		{"endless number",
		 "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff"
		 "\xff\xff\xff",					     13},
		{"empty range",          "\x01\x01\x00",                     3 },
		{"overflow",
		 "\x02\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x01", 14},
		{"count without ranges", "\xff\xff\xff\xff\x0f",             5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const unsigned char *p = (const void *)cases[i].data;
		size_t len = cases[i].len;
		struct extents x = EXTENTS_INIT;

		if (extents_unpack(&p, &len, &x) != -EINVAL)
			fail_msg("%s", cases[i].name);
		assert_int_equal(x.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_agrees_with_a_map_of_bytes),
		cmocka_unit_test(appending_keeps_one_range),
		cmocka_unit_test(ends_of_the_number_range_are_no_trouble),
		cmocka_unit_test(reserved_room_is_enough),
		cmocka_unit_test(damaged_text_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
