/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/ini.h"

/* What was read, as text: "[section]", "key|value", "!line what". */
static void note_entry(void *arg, const struct inifile_entry *e)
{
	if (e->key)
		buf_addf(arg, "%d %s.%s|%s\n", e->line, e->section, e->key,
			 e->value);
	else
		buf_addf(arg, "%d [%s]\n", e->line, e->section);
}

static void note_error(void *arg, int line, const char *what)
{
	buf_addf(arg, "!%d %s\n", line, what);
}

/* Keys named whole, wide and others show the three rules. */
static enum inifile_comments rule_for(const char *section, const char *key)
{
	(void)section;
	if (strncmp(key, "whole", 5) == 0)
		return INIFILE_COMMENT_NEVER;
	return strncmp(key, "wide", 4) == 0 ? INIFILE_COMMENT_WIDE
					    : INIFILE_COMMENT_BLANK;
}

static int read_text(const char *text, size_t len, struct buf *out)
{
	struct inifile_reader r = {rule_for, note_entry, note_error, out};

	return inifile_read(text, len, &r);
}

struct ini_case {
	const char *name;
	const char *text;
	const char *want; /* NULL: refused; then error says how it begins */
	const char *error;
};

/* clang-format off */
static const struct ini_case cases[] = {
	{"empty", "", "", NULL},
	{"plain", "[a]\nk = v\n", "1 [a]\n2 a.k|v\n", NULL},
	{"no_end_of_last_line", "[a]\nk=v", "1 [a]\n2 a.k|v\n", NULL},
	{"bom_and_crlf", "\xef\xbb\xbf[a]\r\nk = v\r\n", "1 [a]\n2 a.k|v\n", NULL},
	{"empty_section_is_told", "[a]\n[b]\n", "1 [a]\n2 [b]\n", NULL},
	{"key_before_a_section", "k = v\n", "1 .k|v\n", NULL},
	{"comment_lines", "; x = 1\n# y = 2\n  ; z\n[a]\n", "4 [a]\n", NULL},
	{"colon_is_part_of_a_name", "[a]\nx:var1 = value1\n", "1 [a]\n2 a.x:var1|value1\n", NULL},
	{"colon_is_part_of_a_value", "[a]\nurl = http://h:80/\n", "1 [a]\n2 a.url|http://h:80/\n", NULL},
	{"equals_in_a_value", "[a]\nk = a=b=c\n", "1 [a]\n2 a.k|a=b=c\n", NULL},
	{"comment_after_a_blank", "[a]\nk = v ; c\n", "1 [a]\n2 a.k|v\n", NULL},
	{"comment_after_a_tab", "[a]\nk = v\t;c\n", "1 [a]\n2 a.k|v\n", NULL},
	{"semicolon_without_a_blank_stays", "[a]\nk = v;w\n", "1 [a]\n2 a.k|v;w\n", NULL},
	{"hash_behind_a_value_stays", "[a]\nk = v # w\n", "1 [a]\n2 a.k|v # w\n", NULL},
	{"value_that_is_a_comment", "[a]\nk = ; c\n", "1 [a]\n2 a.k|\n", NULL},
	{"whole_value_keeps_semicolons", "[a]\nwhole = a ; b   ; c\n", "1 [a]\n2 a.whole|a ; b   ; c\n", NULL},
	{"wide_value_keeps_one_blank", "[a]\nwide = a ; b\n", "1 [a]\n2 a.wide|a ; b\n", NULL},
	{"wide_value_keeps_glued_text", "[a]\nwide = a   ;b\n", "1 [a]\n2 a.wide|a   ;b\n", NULL},
	{"wide_comment_after_two_blanks", "[a]\nwide = a  ; b\n", "1 [a]\n2 a.wide|a\n", NULL},
	{"wide_comment_after_a_tab", "[a]\nwide = a\t; b\n", "1 [a]\n2 a.wide|a\n", NULL},
	{"wide_comment_behind_quotes", "[a]\nwide = \"a\"  ; b\n", "1 [a]\n2 a.wide|\"a\"\n", NULL},
	{"indented_line_is_a_key_of_its_own", "[a]\nk = v\n  m = n\n", "1 [a]\n2 a.k|v\n3 a.m|n\n", NULL},
	{"brackets_in_a_value", "[a]\nk = [b]\n", "1 [a]\n2 a.k|[b]\n", NULL},
	{"rule_name", "[callback \"a;b c\"] ; text\n", "1 [callback \"a;b c\"]\n", NULL},
	{"blanks_inside_brackets", "[ a ]\n", "1 [a]\n", NULL},
	{"percent_in_names", "[a%41]\nk%20 = v\n", "1 [a%41]\n2 a%41.k%20|v\n", NULL},
	{"chinese", "[\xe5\xbd\x92]\n\xe9\x94\xae = \xe5\x80\xbc\n", "1 [\xe5\xbd\x92]\n2 \xe5\xbd\x92.\xe9\x94\xae|\xe5\x80\xbc\n", NULL},
	{"longest_section", "[1234567890123456789012345678901234567890123456789]\nk=v\n", "1 [1234567890123456789012345678901234567890123456789]\n2 1234567890123456789012345678901234567890123456789.k|v\n", NULL},

	{"section_without_end", "[a\nk=v\n", NULL, "!1 a section without ']'; write [NAME]\n"},
	{"text_behind_a_section", "[a] b\n", NULL, "!1 text behind a section's ']'; write it on a line of its own\n"},
	{"longer_section", "[12345678901234567890123456789012345678901234567890]\nk=v\n", NULL, "!1 a section's name of more than 49 bytes; write a shorter one\n"},
	{"no_separator", "[a]\njust words\n", NULL, "1 [a]\n!2 no '='; write KEY = VALUE in one line (a value does not go on in the next), or a comment with ';' in front\n"},
	{"continued_value", "[a]\nbody = {\n  \"a\"}\n", NULL, "1 [a]\n2 a.body|{\n!3 no '='; write KEY = VALUE in one line (a value does not go on in the next), or a comment with ';' in front\n"},
	{"colon_as_separator", "[a]\nk: v\n", NULL, "1 [a]\n!2 no '='; write KEY = VALUE (':' does not separate them)\n"},
	{"no_name", "[a]\n= v\n", NULL, "1 [a]\n!2 nothing before '='; write KEY = VALUE\n"},
	{"not_utf8", "[a]\nk = \xff\n", NULL, "1 [a]\n!2 the line is not UTF-8 text; save the file as UTF-8\n"},
	{"wide_comment_inside_quotes", "[a]\nwide = {\"x\":\"a  ; b\"}\n", NULL, "1 [a]\n!2 is the ';' inside quotes text or a comment? Write the comment on a line of its own, or one blank before a ';' that is text\n"},
	{"goes_on_after_errors", "[a\nk=v\n[b]\nm=n\n", NULL, "!1 a section without ']'; write [NAME]\n3 [b]\n4 b.m|n\n"},
};
/* clang-format on */

static void lines_become_entries_whole_or_not_at_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct ini_case *c = &cases[i];
		AUTO(buf_release) struct buf got = BUF_INIT;
		int rc = read_text(c->text, strlen(c->text), &got);
		const char *want = c->want ? c->want : c->error;

		if (rc != (c->want ? 0 : -EINVAL))
			fail_msg("%s: rc %d", c->name, rc);
		if (strcmp(buf_str(&got), want) != 0)
			fail_msg("%s: got\n%s", c->name, buf_str(&got));
	}
}

/* The value of "whole" in a file whose second line has len bytes. */
static int read_long_line(size_t len, struct buf *got)
{
	AUTO(buf_release) struct buf text = BUF_INIT;

	buf_adds(&text, "[a]\nwhole = ");
	while (text.len < len + 4)
		buf_addc(&text, (char)('a' + text.len % 26));
	buf_adds(&text, "\nk = v\n");
	return read_text(buf_str(&text), text.len, got);
}

static void long_lines_come_through_whole(void **state)
{
	static const size_t lens[] = {150,  190,  197,  198,  199,  200,
				      201,  255,  256,  1000, 4095, 4096,
				      5120, 8000, 8191, 8192};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		AUTO(buf_release) struct buf got = BUF_INIT;

		assert_int_equal(read_long_line(lens[i], &got), 0);
		/* "1 [a]\n" "2 a.whole|" value "\n" "3 a.k|v\n" */
		assert_int_equal(got.len, 6 + 10 + lens[i] - 8 + 1 + 8);
		assert_string_equal(buf_str(&got) + got.len - 8, "3 a.k|v\n");
	}
}

static void longer_lines_are_refused_with_their_number(void **state)
{
	AUTO(buf_release) struct buf got = BUF_INIT;

	(void)state;
	assert_int_equal(read_long_line(8193, &got), -EINVAL);
	assert_string_equal(
		buf_str(&got),
		"1 [a]\n!2 a line of more than 8192 bytes; a long template belongs in a file of its own: write body_file = NAME\n3 a.k|v\n");
}

static void nul_bytes_are_refused(void **state)
{
	static const char text[] = "[a]\nk = v\0w\n";
	AUTO(buf_release) struct buf got = BUF_INIT;

	(void)state;
	assert_int_equal(read_text(text, sizeof(text) - 1, &got), -EINVAL);
	assert_string_equal(
		buf_str(&got),
		"1 [a]\n!2 the line is not UTF-8 text; save the file as UTF-8\n");
}

/* Every byte that inih knows, at every place of a name and a value. */
static void no_byte_is_lost_on_the_way(void **state)
{
	static const char bytes[] = ":;#[]\"'%\\=!@$ {}&*~";

	(void)state;
	for (size_t i = 0; bytes[i]; i++) {
		AUTO(buf_release) struct buf got = BUF_INIT;
		char text[64], want[96];
		char c = bytes[i];

		snprintf(text, sizeof(text), "[s]\nwhole%cn = v%cw%cx\n",
			 c == '=' ? '_' : c, c, c);
		snprintf(want, sizeof(want), "1 [s]\n2 s.whole%cn|v%cw%cx\n",
			 c == '=' ? '_' : c, c, c);
		assert_int_equal(read_text(text, strlen(text), &got), 0);
		assert_string_equal(buf_str(&got), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_entries_whole_or_not_at_all),
		cmocka_unit_test(long_lines_come_through_whole),
		cmocka_unit_test(longer_lines_are_refused_with_their_number),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(no_byte_is_lost_on_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
