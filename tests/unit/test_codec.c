/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "util/codec.h"

static const struct {
	const char *plain, *coded;
} base64_pairs[] = {
  /* RFC 4648 section 10 */
	{"",	     ""        },
	{"f",            "Zg=="    },
	{"fo",           "Zm8="    },
	{"foo",          "Zm9v"    },
	{"foob",         "Zm9vYg=="},
	{"fooba",        "Zm9vYmE="},
	{"foobar",       "Zm9vYmFy"},
	{"\xfb\xff\xfe", "+//+"    },
};

static void base64_agrees_with_the_rfc_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(base64_pairs); i++) {
		AUTO(buf_release) struct buf coded = BUF_INIT;
		AUTO(buf_release) struct buf plain = BUF_INIT;
		const char *want = base64_pairs[i].plain;

		base64_encode(&coded, want, strlen(want));
		assert_string_equal(buf_str(&coded), base64_pairs[i].coded);
		assert_int_equal(
			base64_decode(&plain, buf_str(&coded), coded.len), 0);
		assert_string_equal(buf_str(&plain), want);
	}
}

static void bad_base64_is_refused_and_the_buffer_kept(void **state)
{
	static const char *const bad[] = {
		"Z",    "Zg",   "Zg=",  "Zg==\n",   "Zm9v Zg==",
		"Zm=v", "====", "Z===", "Zg==Zg==", "Zh==",
		"Zm9=", "Zm9-", "Zm9_", "=Zg=",     "Zm9vZm8"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(buf_release) struct buf out = BUF_INIT;

		buf_adds(&out, "kept");
		if (base64_decode(&out, bad[i], strlen(bad[i])) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_string_equal(buf_str(&out), "kept");
	}
}

static void a_nul_inside_base64_is_refused(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(base64_decode(&out, "Zm\0v", 4), -EINVAL);
}

static void every_byte_survives_each_code(void **state)
{
	char all[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	for (size_t len = 0; len <= sizeof(all); len += 5) {
		AUTO(buf_release) struct buf coded = BUF_INIT;
		AUTO(buf_release) struct buf back = BUF_INIT;

		base64_encode(&coded, all, len);
		assert_int_equal(
			base64_decode(&back, buf_str(&coded), coded.len), 0);
		buf_reset(&coded);
		hex_encode(&coded, all, len);
		assert_int_equal(coded.len, 2 * len);
		assert_int_equal(hex_decode(&back, buf_str(&coded), coded.len),
				 0);
		buf_reset(&coded);
		percent_encode(&coded, all, len, PERCENT_ALL);
		assert_int_equal(
			percent_decode(&back, buf_str(&coded), coded.len, true),
			0);
		assert_int_equal(back.len, 3 * len);
		for (size_t i = 0; i < 3; i++)
			assert_memory_equal(buf_str(&back) + i * len, all, len);
	}
}

static void hex_is_written_in_one_case_and_read_in_both(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT;
	char upper[7];

	(void)state;
	hex_encode(&out, "\x00\xaf\x7e", 3);
	assert_string_equal(buf_str(&out), "00af7e");
	hex_upper(upper, "\x00\xaf\x7e", 3);
	assert_string_equal(upper, "00AF7E");
	buf_reset(&out);
	assert_int_equal(hex_decode(&out, "4aFF", 4), 0);
	assert_memory_equal(out.data, "\x4a\xff", 2);
	assert_int_equal(hex_decode(&out, "4a4", 3), -EINVAL);
	assert_int_equal(hex_decode(&out, "4ag0", 4), -EINVAL);
	assert_int_equal(hex_decode(&out, "4a 0", 4), -EINVAL);
	assert_int_equal(out.len, 2);
}

static void percent_encoding_leaves_the_unreserved_alone(void **state)
{
	static const char text[] = "aZ09-._~ /+%?&=\xc3\xa9*'()";
	AUTO(buf_release) struct buf all = BUF_INIT;
	AUTO(buf_release) struct buf path = BUF_INIT;

	(void)state;
	percent_encode(&all, text, strlen(text), PERCENT_ALL);
	assert_string_equal(buf_str(&all),
			    "aZ09-._~%20%2F%2B%25%3F%26%3D%C3%A9%2A%27%28%29");
	percent_encode(&path, text, strlen(text), PERCENT_PATH);
	assert_string_equal(buf_str(&path),
			    "aZ09-._~%20/%2B%25%3F%26%3D%C3%A9%2A%27%28%29");
}

static void percent_decoding_is_strict(void **state)
{
	static const char *const bad[] = {"%",   "%4",   "a%4", "%g0",
					  "%0g", "%%41", "abc%"};
	AUTO(buf_release) struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(percent_decode(&out, "a+b%2b%C3%a9", 12, false), 0);
	assert_string_equal(buf_str(&out), "a+b+\xc3\xa9");
	buf_reset(&out);
	assert_int_equal(percent_decode(&out, "a+b%2b", 6, true), 0);
	assert_string_equal(buf_str(&out), "a b+");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (percent_decode(&out, bad[i], strlen(bad[i]), false) !=
		    -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_string_equal(buf_str(&out), "a b+");
	}
	/* The digits past the length do not count. */
	assert_int_equal(percent_decode(&out, "%41", 2, false), -EINVAL);
}

static void a_full_buffer_is_reported_by_decoders(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT_MAX(2);

	(void)state;
	assert_int_equal(base64_decode(&out, "Zm9v", 4), -EMSGSIZE);
}

static const struct {
	const char *name, *text;
	bool is_valid;
} utf8_cases[] = {
	{"empty",              "",                 true },
	{"ascii",              "plain",            true },
	{"two bytes",          "\xc3\xa9",         true },
	{"smallest of two",    "\xc2\x80",         true },
	{"smallest of three",  "\xe0\xa0\x80",     true },
	{"before surrogates",  "\xed\x9f\xbf",     true },
	{"after surrogates",   "\xee\x80\x80",     true },
	{"smallest of four",   "\xf0\x90\x80\x80", true },
	{"U+10FFFF",           "\xf4\x8f\xbf\xbf", true },
	{"overlong slash",     "\xc0\xaf",         false},
	{"overlong of three",  "\xe0\x9f\xbf",     false},
	{"overlong of four",   "\xf0\x8f\xbf\xbf", false},
	{"surrogate",          "\xed\xa0\x80",     false},
	{"past U+10FFFF",      "\xf4\x90\x80\x80", false},
	{"no such first byte", "\xf5\x80\x80\x80", false},
	{"lone continuation",  "a\x80",            false},
	{"cut sequence",       "\xe2\x82",         false},
	{"broken sequence",    "\xe2\x82z",        false},
	{"latin 1",            "caf\xe9",          false},
};

static void utf8_is_judged_by_rfc_3629(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(utf8_cases); i++) {
		const char *text = utf8_cases[i].text;

		if (utf8_is_valid(text, strlen(text)) != utf8_cases[i].is_valid)
			fail_msg("%s", utf8_cases[i].name);
	}
}

static void utf8_next_gives_the_number(void **state)
{
	uint32_t code = 0;

	(void)state;
	assert_int_equal(utf8_next("\xe2\x82\xac!", 4, &code), 3);
	assert_int_equal(code, 0x20ac);
	assert_int_equal(utf8_next("\xf4\x8f\xbf\xbf", 4, &code), 4);
	assert_int_equal(code, 0x10ffff);
	assert_int_equal(utf8_next("\0", 1, &code), 1);
	assert_int_equal(code, 0);
	code = 5;
	assert_int_equal(utf8_next("\xe2\x82\xac", 2, &code), 0);
	assert_int_equal(utf8_next("", 0, &code), 0);
	assert_int_equal(code, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_agrees_with_the_rfc_both_ways),
		cmocka_unit_test(bad_base64_is_refused_and_the_buffer_kept),
		cmocka_unit_test(a_nul_inside_base64_is_refused),
		cmocka_unit_test(every_byte_survives_each_code),
		cmocka_unit_test(hex_is_written_in_one_case_and_read_in_both),
		cmocka_unit_test(percent_encoding_leaves_the_unreserved_alone),
		cmocka_unit_test(percent_decoding_is_strict),
		cmocka_unit_test(a_full_buffer_is_reported_by_decoders),
		cmocka_unit_test(utf8_is_judged_by_rfc_3629),
		cmocka_unit_test(utf8_next_gives_the_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
