/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "util/clock.h"
#include "util/glob.h"

static const struct {
	const char *pattern, *path;
	bool want;
} matches[] = {
	{"a.txt",		       "a.txt",             true },
	{"a.txt",		       "a.txt2",            false},
	{"a.txt",		       "dir/a.txt",         true },
	{"a.txt",		       "dir/ba.txt",        false},
	{"*.log",		       "a.log",             true },
	{"*.log",		       "x/y/a.log",         true },
	{"*.log",		       ".log",              true },
	{"*.log",		       "a.log.gz",          false},
	{"*",			   "x/y",               true },
	{"**",			  "x/y",               true },
	{"x/*",			 "x/y",               true },
	{"x/*",			 "x/y/z",             false},
	{"x/*",			 "y/x/y",             false},
	{"x/*",			 "x/",                true },
	{"*/y",			 "x/y",               true },
	{"*/y",			 "w/x/y",             false},
	{"/a.txt",		      "a.txt",             true },
	{"/a.txt",		      "dir/a.txt",         false},
	{"/*.txt",		      "dir/a.txt",         false},
	{"archive/**",                  "archive/a",         true },
	{"archive/**",                  "archive/a/b",       true },
	{"archive/**",                  "archive",           false},
	{"archive/**",                  "xarchive/a",        false},
	{"a/**/b",		      "a/b",               true },
	{"a/**/b",		      "a/x/b",             true },
	{"a/**/b",		      "a/x/y/b",           true },
	{"a/**/b",		      "a/xb",              false},
	{"a/**/b",		      "ab",                false},
	{"a/**/b",		      "a/b/c",             false},
	{"**/b",			"b",                 true },
	{"**/b",			"a/b",               true },
	{"**/b",			"a/a/b",             true },
	{"**/b",			"ab",                false},
	{"**/*.tmp/**",                 "x/y.tmp/z",         true },
	{"**/*.tmp/**",                 "y.tmp/z/w",         true },
	{".~tmp~/**",                   ".~tmp~/x",          true },
	{"**/.~tmp~/**",                "in/.~tmp~/x",       true },
	{"a**b/c",		      "a/x/b/c",           true },
	{"a**b/c",		      "ab/c",              true },
	{"a/**b",		       "a/x/yb",            true },
	{"?",			   "a",                 true },
	{"?",			   "",		  false},
	{"?",			   "ab",                false},
	{"?",			   "\xe4\xb8\xad",      true },
	{"??",			  "\xe4\xb8\xad",      false},
	{"??",			  "\xff\xfe",          true },
	{"a?b/c",		       "a/b/c",             false},
	{".*.??????",                   ".photo.jpg.aB3dE6", true },
	{".*.??????",                   ".photo.jpg",        false},
	{"[abc]",		       "b",                 true },
	{"[abc]",		       "d",                 false},
	{"[a-c]x",		      "bx",                true },
	{"[!a-c]",		      "b",                 false},
	{"[!a-c]",		      "d",                 true },
	{"[^a-c]",		      "d",                 true },
	{"[!a]x/y",		     "/x/y",              false},
	{"x[/]y",		       "x/y",               false},
	{"[]a]",			"]",                 true },
	{"[!]a]",		       "]",                 false},
	{"[!]a]",		       "b",                 true },
	{"[a-]",			"-",                 true },
	{"[-a]",			"-",                 true },
	{"[\\]]",		       "]",                 true },
	{"[\\!a]",		      "!",                 true },
	{"[\xe4\xb8\xad-\xe4\xb8\xaf]", "\xe4\xb8\xae",      true },
	{".*.sw[a-p]",                  ".x.swp",            true },
	{"\\*",			 "*",                 true },
	{"\\*",			 "a",                 false},
	{"a\\?b",		       "a?b",               true },
	{"\\{x}",		       "{x}",               true },
	{"}",			   "}",                 true },
	{"*~",			  "letter~",           true },
	{"in/{customer}/*",             "in/acme/a.jpg",     true },
	{"in/{customer}/*",             "in//a.jpg",         false},
	{"{a}",			 "",                  false},
	{"*a*b*",		       "xxaxxbxx",          true },
	{"*a*b*",		       "xxbxxaxx",          false},
	{"A",			   "a",                 false},
};

static void paths_match_as_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
		if (glob_match(matches[i].pattern, matches[i].path, NULL) !=
		    matches[i].want)
			fail_msg("%s against %s: wanted %d", matches[i].pattern,
				 matches[i].path, matches[i].want);
	}
}

static void bad_patterns_are_named_and_match_nothing(void **state)
{
	static const char *const bad[] = {"",    "[",     "[a",    "[]",
					  "[!]", "[z-a]", "[a\\]", "{",
					  "{}",  "{a",    "{a b}", "{a}/{a}",
					  "a\\", "dir/",  "/",     "{a/b}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *why = NULL;

		if (glob_check(bad[i], &why) != -EINVAL || !why)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_false(glob_match(bad[i], bad[i], NULL));
	}
}

static void good_patterns_pass_the_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
		const char *why = "untouched";

		if (glob_check(matches[i].pattern, &why) != 0)
			fail_msg("%s: %s", matches[i].pattern, why);
		assert_string_equal(why, "untouched");
	}
}

static const struct {
	const char *pattern, *path, *a, *b;
} captures[] = {
	{"{a}",		  "x/name",            "name", NULL   },
	{"in/{a}/{b}.jpg",       "in/acme/photo.jpg", "acme", "photo"},
	{"in/{a}/**",            "in/acme/x/y",       "acme", NULL   },
	{"**/{a}/{b}",           "x/y/z/w",           "z",    "w"    },
	{"{a}-{b}",              "x-y-z",             "x-y",  "z"    },
	{"{a}{b}",               "xyz",               "xy",   "z"    },
	{"*{a}",		 "xyz",               "z",    NULL   },
	{"**/in/{a}/**/{b}.txt", "q/in/c1/d/e/f.txt", "c1",   "f"    },
	{"{a}/[0-9]*",           "x/7y",              "x",    NULL   },
};

static void captures_take_as_much_as_they_can_left_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(captures); i++) {
		AUTO(kvs_release) struct kvs got = KVS_INIT;

		if (!glob_match(captures[i].pattern, captures[i].path, &got))
			fail_msg("%s does not match", captures[i].pattern);
		assert_string_equal(kvs_get(&got, "a"), captures[i].a);
		if (captures[i].b)
			assert_string_equal(kvs_get(&got, "b"), captures[i].b);
		else
			assert_null(kvs_get(&got, "b"));
	}
}

static void a_mismatch_captures_nothing(void **state)
{
	AUTO(kvs_release) struct kvs got = KVS_INIT;

	(void)state;
	assert_false(glob_match("{a}/{b}.jpg", "x/y.png", &got));
	assert_int_equal(got.count, 0);
}

static const struct {
	const char *list, *path;
	bool want;
} lists[] = {
	{"",		 "a",         false},
	{"  ",	       "a",         false},
	{"*.log archive/**", "archive/x", true },
	{"*.log archive/**", "b/x.log",   true },
	{"*.log archive/**", "x.txt",     false},
	{"*.log !debug.log", "debug.log", false},
	{"*.log !debug.log", "error.log", true },
	{"!debug.log *.log", "debug.log", true },
	{"!debug.log",       "error.log", false},
	{"a* !ab* abc",      "abc",       true },
	{"\t*.a\n*.b ",      "x.b",       true },
	{"a\\ b",            "a b",       true },
	{"\\!x",             "!x",        true },
};

static void the_last_glob_of_a_list_that_matches_decides(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (glob_list_match(lists[i].list, lists[i].path, NULL) !=
		    lists[i].want)
			fail_msg("\"%s\" against %s", lists[i].list,
				 lists[i].path);
	}
}

static void a_list_captures_by_the_glob_that_decides(void **state)
{
	AUTO(kvs_release) struct kvs got = KVS_INIT;

	(void)state;
	assert_true(glob_list_match("{a}/** in/{b}/*", "in/x/f", &got));
	assert_int_equal(got.count, 1);
	assert_string_equal(kvs_get(&got, "b"), "x");
}

static void a_list_with_one_bad_glob_is_bad(void **state)
{
	const char *why = NULL;

	(void)state;
	assert_int_equal(glob_list_check("*.a !x/** {n}", &why), 0);
	assert_int_equal(glob_list_check("", &why), 0);
	assert_int_equal(glob_list_check("*.a [x", &why), -EINVAL);
	assert_non_null(why);
	assert_int_equal(glob_list_check("*.a !", &why), -EINVAL);
}

/* With backtracking this would outlive the machine. */
static void a_malicious_pattern_costs_little(void **state)
{
	char pattern[402], path[1025];

	(void)state;
	for (size_t i = 0; i < 400; i += 2)
		memcpy(&pattern[i], i % 4 ? "*a" : "**", 2);
	pattern[400] = 'b';
	pattern[401] = '\0';
	memset(path, 'a', sizeof(path));
	path[1024] = '\0';
	assert_false(glob_match(pattern, path, NULL));
	path[1023] = 'b';
	assert_true(glob_match(pattern, path, NULL));
}

/* The obvious matcher, to compare with: for '*', '?', "**" and bytes. */
/* NOLINTNEXTLINE(misc-no-recursion): that is what makes it obvious */
static bool slow_match(const char *begin, const char *p, const char *s,
		       bool at_start)
{
	bool component = p == begin || p[-1] == '/';

	if (!*p)
		return !*s;
	if (p[0] == '*' && p[1] == '*') {
		while (*p == '*')
			p++;
		if (component && *p == '/') {
			if (slow_match(begin, p + 1, s, at_start))
				return true;
			for (; *s; s++)
				if (*s == '/' &&
				    slow_match(begin, p + 1, s + 1, true))
					return true;
			return false;
		}
		for (;; s++) {
			if (slow_match(begin, p, s, false))
				return true;
			if (!*s)
				return false;
		}
	}
	if (*p == '*') {
		for (;; s++) {
			if (slow_match(begin, p + 1, s, false))
				return true;
			if (!*s || *s == '/')
				return false;
		}
	}
	if (!*s || (*p == '?' ? *s == '/' : *p != *s))
		return false;
	return slow_match(begin, p + 1, s + 1, *s == '/');
}

static void random_text(unsigned *seed, const char *alphabet, size_t max,
			char *out)
{
	size_t len = 1 + (size_t)rand_r(seed) % max;

	for (size_t i = 0; i < len; i++)
		out[i] = alphabet[(size_t)rand_r(seed) % strlen(alphabet)];
	out[len] = '\0';
}

static void random_patterns_agree_with_the_obvious_matcher(void **state)
{
	unsigned seed = (unsigned)clock_real_ns();
	int compared = 0, matched = 0;

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 100000; i++) {
		char pattern[10], path[12];
		bool want;

		random_text(&seed, "ab/**?", 8, pattern);
		random_text(&seed, "ab/", 9, path);
		if (pattern[0] == '/' || !strchr(pattern, '/') ||
		    glob_check(pattern, NULL) < 0)
			continue;
		want = slow_match(pattern, pattern, path, true);
		if (glob_match(pattern, path, NULL) != want)
			fail_msg("%s against %s: wanted %d", pattern, path,
				 want);
		compared++;
		matched += want;
	}
	assert_true(compared > 10000);
	assert_true(matched > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_match_as_documented),
		cmocka_unit_test(bad_patterns_are_named_and_match_nothing),
		cmocka_unit_test(good_patterns_pass_the_check),
		cmocka_unit_test(captures_take_as_much_as_they_can_left_first),
		cmocka_unit_test(a_mismatch_captures_nothing),
		cmocka_unit_test(the_last_glob_of_a_list_that_matches_decides),
		cmocka_unit_test(a_list_captures_by_the_glob_that_decides),
		cmocka_unit_test(a_list_with_one_bad_glob_is_bad),
		cmocka_unit_test(a_malicious_pattern_costs_little),
		cmocka_unit_test(
			random_patterns_agree_with_the_obvious_matcher),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
