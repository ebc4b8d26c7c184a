/* SPDX-License-Identifier: Apache-2.0 */
/* Mount lists, texts, times, globs and tables of ackctl. */
#include "../support/test.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "callback/outcome.h"
#include "ctl/mountinfo.h"
#include "ctl/out.h"
#include "ctl/table.h"
#include "state/cblog.h"
#include "util/clock.h"

/* -- mounts ------------------------------------------------------------------------- */

static const char mounts[] =
	"22 1 0:21 / /proc rw,nosuid - proc proc rw\n"
	"40 1 0:40 / /mnt/oss rw,nosuid,nodev - fuse.ackfs bucket rw,user_id=0\n"
	"41 1 0:41 / /mnt/a\\040b\\134c rw shared:7 - fuse.ackfs b:/p rw\n"
	"42 1 0:42 / /mnt/other rw - fuse.sshfs host: rw\n"
	"43 40 0:43 / /mnt/oss/deep rw - fuse.ackfs inner rw\n"
	"44 1 0:44 / /mnt/fuse.ackfs rw - tmpfs - rw\n"
	"45 1 0:45 / /mnt/fake rw - fuse.ackfsx bucket rw\n";

static void mounts_of_our_type_are_found(void **state)
{
	AUTO(mount_list_release) struct mount_list l = {0};

	(void)state;
	assert_int_equal(mountinfo_parse(mounts, &l), 0);
	assert_int_equal(l.count, 3);
	assert_string_equal(l.points[0], "/mnt/oss");
	assert_string_equal(l.points[1], "/mnt/a b\\c");
	assert_string_equal(l.points[2], "/mnt/oss/deep");
}

static void a_path_belongs_to_the_innermost_mount(void **state)
{
	static const struct {
		const char *path, *mount, *inside;
	} cases[] = {
		{"/mnt/oss",        "/mnt/oss",      ""      },
		{"/mnt/oss/a/b",    "/mnt/oss",      "a/b"   },
		{"/mnt/oss/deep/x", "/mnt/oss/deep", "x"     },
		{"/mnt/oss/deeper", "/mnt/oss",      "deeper"},
		{"/mnt/ossuary",    NULL,            NULL    },
		{"/mnt",            NULL,            NULL    },
		{"/mnt/a b\\c/d",   "/mnt/a b\\c",   "d"     },
		{"/mnt/other/x",    NULL,            NULL    },
	};
	AUTO(mount_list_release) struct mount_list l = {0};

	(void)state;
	assert_int_equal(mountinfo_parse(mounts, &l), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *inside = NULL;
		const char *got = mount_list_find(&l, cases[i].path, &inside);

		if (!str_eq(got, cases[i].mount) ||
		    (got && strcmp(inside, cases[i].inside) != 0))
			fail_msg("%s: got %s + %s", cases[i].path,
				 got ? got : "none", inside ? inside : "-");
	}
}

static void garbage_in_mountinfo_is_passed_over(void **state)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		"- fuse.ackfs",
		" - fuse.ackfs",
		"1 2 3 - fuse.ackfs",
		"1 2 3 4 /x\\04 rw - fuse.ackfs b rw",
		"1 2 3 4 \\",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct mount_list l = {0};

		assert_int_equal(mountinfo_parse(texts[i], &l), 0);
		mount_list_release(&l);
	}
}

static void paths_are_cleaned_without_looking_at_them(void **state)
{
	static const struct {
		const char *path, *clean;
	} cases[] = {
		{"/",           "/"   },
                {"/a//b/",      "/a/b"},
                {"/a/./b/../c", "/a/c"},
		{"/../../a",    "/a"  },
                {"/a/..",       "/"   },
                {"/...",        "/..."},
	};
	AUTO_FREE char *here = getcwd(NULL, 0);
	AUTO_FREE char *want = str_printf("%s/x", here);
	AUTO_FREE char *got = path_clean("./y/../x");

	(void)state;
	assert_string_equal(got, want);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *clean = path_clean(cases[i].path);

		assert_string_equal(clean, cases[i].clean);
	}
}

/* -- texts ----------------------------------------------------------------------------- */

static void sizes_have_a_unit(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0,                 "0B"   },
		{1023,              "1023B"},
		{1024,              "1.0K" },
		{10240,             "10K"  },
		{(uint64_t)5 << 30, "5.0G" },
		{UINT64_MAX,        "16E"  },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(size_text(text, cases[i].bytes),
				    cases[i].text);
}

static void durations_are_short(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{-1,       "-"    },
                {0,        "0.0s" },
                {9900,     "9.9s" },
		{59000,    "59s"  },
                {61000,    "1m 1s"},
                {7260000,  "2h 1m"},
		{90000000, "1d 1h"},
	};
	char text[24];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(duration_text(text, cases[i].ms),
				    cases[i].text);
}

static void times_are_read_in_three_forms(void **state)
{
	int64_t at = 0, now = clock_real_ms();

	(void)state;
	assert_int_equal(parse_time("2h", &at), 0);
	assert_true(at <= clock_real_ms() - 7200000);
	assert_true(at >= now - 7200000);
	assert_int_equal(parse_time("1970-01-02", &at), 0);
	assert_int_equal(at, 86400000);
	assert_int_equal(parse_time("1970-01-01T00:00:01Z", &at), 0);
	assert_int_equal(at, 1000);
	assert_int_equal(parse_time("yesterday", &at), -EINVAL);
	assert_int_equal(parse_time("", &at), -EINVAL);
}

static void globs_get_the_mounts_prefix(void **state)
{
	static const struct {
		const char *prefix, *glob, *want;
	} cases[] = {
		{"",      "a/*.jpg", "a/*.jpg"     },
		{NULL,    "a/*.jpg", "a/*.jpg"     },
		{"p/q/",  "a/*.jpg", "p/q/a/*.jpg" },
		{"p/q/",  "*.jpg",   "*.jpg"       },
		{"p[1]/", "a/b",     "p\\[1\\]/a/b"},
		{"p/",    "/a",      "p/a"         },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *got =
			glob_of_keys(cases[i].prefix, cases[i].glob);

		assert_string_equal(got, cases[i].want);
	}
}

static struct cb_record record(void)
{
	struct cb_record r = {
		.id = 7,
		.key = str_dup("in/a.jpg"),
		.delivery_id = str_dup("d-1"),
		.state = CALLBACK_OK,
		.time_ms = 1000,
		.elapsed_ms = 12,
		.attempt = 2,
		.oss_status = 200,
	};

	return r;
}

static void a_record_is_one_line_even_with_a_wild_key(void **state)
{
	AUTO(cb_record_release) struct cb_record r = record();
	AUTO_FREE char *line = NULL;

	(void)state;
	str_set(&r.key, "a\nb\x1b[31m \"c\".jpg");
	str_set(&r.response, "{\"Status\":\"OK\"}\n");
	r.response_len = strlen(r.response);
	line = record_line(&r);
	assert_non_null(line);
	assert_null(strchr(line, '\n'));
	assert_null(strchr(line, '\x1b'));
	assert_non_null(strstr(line, "1970-01-01T00:00:01"));
	assert_non_null(strstr(line, " ok "));
	assert_non_null(strstr(line, "#2"));
}

static void a_plain_key_stands_bare(void **state)
{
	AUTO(cb_record_release) struct cb_record r = record();
	AUTO_FREE char *line = record_line(&r);

	(void)state;
	assert_non_null(strstr(line, " in/a.jpg"));
	assert_null(strstr(line, "\"in/a.jpg\""));
}

static void json_keeps_an_answer_byte_for_byte(void **state)
{
	AUTO(cb_record_release) struct cb_record r = record();
	AUTO_FREE char *text = NULL;
	json_t *o;

	(void)state;
	r.response = malloc(4);
	assert_non_null(r.response);
	memcpy(r.response, "\xff\x00\x01", 4);
	r.response_len = 3;
	text = record_json(&r);
	o = json_loads(text, 0, NULL);
	assert_non_null(o);
	assert_string_equal(test_json_str(o, "response_base64"), "/wAB");
	assert_null(json_object_get(o, "response"));
	json_decref(o);
}

static void json_keeps_text_with_nul(void **state)
{
	AUTO(cb_record_release) struct cb_record r = record();
	AUTO_FREE char *text = NULL;
	const json_t *answer;
	json_t *o;

	(void)state;
	r.response = malloc(4);
	assert_non_null(r.response);
	memcpy(r.response, "a\0b", 4);
	r.response_len = 3;
	text = record_json(&r);
	o = json_loads(text, JSON_ALLOW_NUL, NULL);
	assert_non_null(o);
	answer = json_object_get(o, "response");
	assert_int_equal(json_string_length(answer), 3);
	assert_memory_equal(json_string_value(answer), "a\0b", 3);
	json_decref(o);
}

static void bytes_that_are_no_text_are_escaped(void **state)
{
	json_t *t = json_text("a\xff"
			      "b");

	(void)state;
	assert_string_equal(json_string_value(t), "a\\xffb");
	json_decref(t);
}

/* -- tables ------------------------------------------------------------------------------ */

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	AUTO(table_release) struct table t = {.right = 1U << 1};
	AUTO(buf_release) struct buf out = BUF_INIT;
	char piece[256];
	FILE *f = tmpfile();
	size_t n;

	(void)state;
	table_row(&t, (const char *[]){"ID", "SIZE", "KEY"}, 3);
	table_row(&t, (const char *[]){"1", "10K", "a"}, 3);
	table_row(&t, (const char *[]){"äß€", "7B", NULL}, 3);
	assert_int_equal(table_print(&t, f), 0);
	rewind(f);
	n = fread(piece, 1, sizeof(piece), f);
	fclose(f);
	buf_add(&out, piece, n);
	assert_string_equal(buf_str(&out), "ID   SIZE  KEY\n"
					   "1     10K  a\n"
					   "äß€    7B  -\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mounts_of_our_type_are_found),
		cmocka_unit_test(a_path_belongs_to_the_innermost_mount),
		cmocka_unit_test(garbage_in_mountinfo_is_passed_over),
		cmocka_unit_test(paths_are_cleaned_without_looking_at_them),
		cmocka_unit_test(sizes_have_a_unit),
		cmocka_unit_test(durations_are_short),
		cmocka_unit_test(times_are_read_in_three_forms),
		cmocka_unit_test(globs_get_the_mounts_prefix),
		cmocka_unit_test(a_record_is_one_line_even_with_a_wild_key),
		cmocka_unit_test(a_plain_key_stands_bare),
		cmocka_unit_test(json_keeps_an_answer_byte_for_byte),
		cmocka_unit_test(json_keeps_text_with_nul),
		cmocka_unit_test(bytes_that_are_no_text_are_escaped),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
