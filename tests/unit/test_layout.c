/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "../support/test.h"
#include "oss/store.h"
#include "upload/layout.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

/* What OSS demands of any list of parts. */
static void check_rules(const char *name, const struct layout *l, uint64_t size)
{
	uint64_t pos = 0;

	if (l->count > OSS_PARTS_MAX)
		fail_msg("%s: %zu parts", name, l->count);
	for (size_t i = 0; i < l->count; i++) {
		const struct layout_part *p = &l->parts[i];

		if (p->off != pos || p->len == 0 || p->number != (int)i + 1)
			fail_msg("%s: part %zu does not follow", name, i);
		if (p->len > OSS_PART_MAX ||
		    (p->len < OSS_PART_MIN && i + 1 < l->count))
			fail_msg("%s: part %zu has %llu bytes", name, i,
				 (unsigned long long)p->len);
		pos += p->len;
	}
	if (pos != size)
		fail_msg("%s: covers %llu bytes", name,
			 (unsigned long long)pos);
}

static void any_size_fits_into_10000_parts(void **state)
{
	static const uint64_t sizes[] = {
		1,       100 * KIB,     8 * MIB,       8 * MIB + 1,
		GIB,     78 * GIB,      79 * GIB,      TIB,
		8 * TIB, 20 * TIB + 17, OSS_OBJECT_MAX};
	static const uint64_t wanted[] = {0, 100 * KIB, 5 * MIB, 5 * GIB};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (size_t w = 0; w < ARRAY_LEN(wanted); w++) {
			AUTO(layout_release) struct layout l = {NULL, 0};
			uint64_t ps = layout_part_size(sizes[i], wanted[w]);

			assert_int_equal(layout_whole(sizes[i], ps, &l), 0);
			check_rules("whole", &l, sizes[i]);
			if (ps > 8 * MIB && sizes[i] <= GIB &&
			    wanted[w] < 8 * MIB)
				fail_msg("large parts for a small object");
		}
	}
}

static void parts_sent_early_are_parts_of_the_closed_file(void **state)
{
	uint64_t ps = layout_part_size(0, 0);
	uint64_t size = 3000 * GIB;
	AUTO(layout_release) struct layout l = {NULL, 0};
	struct layout_part p;

	(void)state;
	assert_int_equal(layout_part_size(size, 0), ps);
	assert_int_equal(layout_whole(size, ps, &l), 0);
	for (size_t i = 0; i + 1 < l.count; i++) {
		assert_true(layout_part_at(ps, i, &p));
		assert_int_equal(p.off, l.parts[i].off);
		assert_int_equal(p.len, l.parts[i].len);
	}
	assert_false(layout_part_at(ps, OSS_PARTS_MAX, &p));
}

struct edit_case {
	const char *name;
	uint64_t size, base;
	uint64_t changed[6];
	size_t count;
	uint64_t sent_max; /* bytes that go over the wire at most */
	size_t parts_max;
};

/* clang-format off: one row a line is readable */
static const struct edit_case edits[] = {
	{"append 1 byte to 10 GiB", 10 * GIB + 1,  10 * GIB,  {0},                  0, 1,               41   },
	{"append 1 KiB to 1 GiB",   GIB + KIB,     GIB,       {0},                  0, KIB,             5    },
	{"4 KiB in the middle",
	 GIB,				      GIB,
	 {512 * MIB, 4 * KIB},
	 1,									    100 * KIB,
	 6												   },
	{"first byte",              GIB,           GIB,       {0, 1},               1, 100 * KIB,       5    },
	{"last byte",               GIB,           GIB,       {GIB - 1, 1},         1, 1,               5    },
	{"truncated in the middle", 512 * MIB + 5, GIB,       {0},                  0, 0,               3    },
	{"truncated, then grown",
	 GIB,				      GIB,
	 {100 * MIB, GIB - 100 * MIB},
	 1,									    GIB - 100 * MIB,
	 200												 },
	{"a short gap is sent too",
	 GIB,				      GIB,
	 {100 * MIB, 10, 100 * MIB + 500 * KIB, 10},
	 2,									    800 * KIB,
	 6												   },
	{"near the end",            GIB,           GIB,       {GIB - 50 * KIB, 10}, 1, 100 * KIB,       6    },
	{"nothing changed",         GIB,           GIB,       {0},                  0, 0,               4    },
	{"all changed",             100 * MIB,     100 * MIB, {0, 100 * MIB},       1, 100 * MIB,       13   },
	{"small base",              100 * MIB,     10,        {0},                  0, 100 * MIB,       13   },
	{"48 TiB, one byte",        48 * TIB,      48 * TIB,  {TIB, 1},             1, MIB,             10000},
	{"empty",		   0,             GIB,       {0},                  0, 0,               0    },
};
/* clang-format on */

static void edits_send_what_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		const struct edit_case *c = &edits[i];
		AUTO(layout_release) struct layout l = {NULL, 0};
		uint64_t sent = 0;

		if (layout_edit(c->size, c->base, c->changed, c->count, 8 * MIB,
				&l) != 0)
			fail_msg("%s: failed", c->name);
		check_rules(c->name, &l, c->size);
		for (size_t p = 0; p < l.count; p++) {
			sent += l.parts[p].is_copy ? 0 : l.parts[p].len;
			if (l.parts[p].is_copy &&
			    l.parts[p].off + l.parts[p].len > c->base)
				fail_msg("%s: copies past the base", c->name);
		}
		if (sent > c->sent_max || l.count > c->parts_max)
			fail_msg("%s: sends %llu in %zu parts", c->name,
				 (unsigned long long)sent, l.count);
	}
}

/* No changed byte may come from the base. */
static void check_covers(const struct layout *l, const uint64_t *changed,
			 size_t count)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct layout_part *p = &l->parts[i];

		for (size_t c = 0; p->is_copy && c < count; c++)
			if (changed[2 * c] < p->off + p->len &&
			    changed[2 * c] + changed[2 * c + 1] > p->off)
				fail_msg("part %zu copies what changed", i);
	}
}

static void thousands_of_scattered_changes_fit(void **state)
{
	enum { COUNT = 30000 };
	static uint64_t changed[2 * COUNT];
	unsigned seed = 1;

	(void)state;
	for (uint64_t step = 64 * KIB; step <= 16 * MIB; step *= 16) {
		AUTO(layout_release) struct layout l = {NULL, 0};
		uint64_t size = step * COUNT;

		for (size_t i = 0; i < COUNT; i++) {
			changed[2 * i] =
				step * i + (uint64_t)rand_r(&seed) % (step / 2);
			changed[2 * i + 1] =
				1 + (uint64_t)rand_r(&seed) % (step / 2 - 1);
		}
		assert_int_equal(
			layout_edit(size, size, changed, COUNT, 8 * MIB, &l),
			0);
		check_rules("scattered", &l, size);
		check_covers(&l, changed, COUNT);
	}
}

static void copies_of_any_size_fit(void **state)
{
	static const uint64_t sizes[] = {1, GIB + 1, 10 * GIB, OSS_OBJECT_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO(layout_release) struct layout l = {NULL, 0};

		assert_int_equal(layout_copy(sizes[i], &l), 0);
		check_rules("copy", &l, sizes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_size_fits_into_10000_parts),
		cmocka_unit_test(parts_sent_early_are_parts_of_the_closed_file),
		cmocka_unit_test(edits_send_what_changed),
		cmocka_unit_test(thousands_of_scattered_changes_fit),
		cmocka_unit_test(copies_of_any_size_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
