/* SPDX-License-Identifier: Apache-2.0 */
/* The callback body: substitution rules of both types, and their switches. */
#include "../support/test.h"

#include <string.h>

#include "emulator/template.h"

static const struct template_var values[] = {
	{"bucket",           "callback-test",                      false},
	{"object",           "test.txt",                           false},
	{"etag",             "D8E8FCA2DC0F896FD7CB4CB0031BA249",   false},
	{"size",             "5",				  true },
	{"mimeType",         "text/plain",                         false},
	{"imageInfo.height", "",				   true },
	{"imageInfo.width",  "",				   true },
	{"imageInfo.format", "",				   false},
	{"contentMd5",       "",				   false},
	{"x:var1",           "for-callback-test",                  false},
	{"x:odd",            "a b&c=d+e%f/g\"h\\i\nj\xe4\xbd\xa0", false},
	{"x:java",           "a *~-_.",                            false},
	{"x:emoji",          "\xf0\x9f\x98\x80",                   false},
};

static const struct template_vars vars = {values, ARRAY_LEN(values)};

struct template_case {
	const char *name;
	bool is_json;
	struct quirks quirks;
	const char *text;
	const char *want;
};

static const struct template_case cases[] = {
	{"constants stay",                      false, {0},					       " a=b & c\t%20",       " a=b & c\t%20"                                           },
	{"slash is encoded",                    false, {0},					       "t=${mimeType}",       "t=text%2Fplain"                                          },
	{"form bytes",
	 false,					{0},
	 "${x:odd}",													     "a%20b%26c%3Dd%2Be%25f%2Fg%22h%5Ci%0Aj%E4%BD%A0"          },
	{"form space as plus",
	 false,					{.space_as_plus = true},
	 "${x:odd}",													     "a+b%26c%3Dd%2Be%25f%2Fg%22h%5Ci%0Aj%E4%BD%A0"            },
	{"form bytes as a URLEncoder has them",
	 false,					{.urlencoder_bytes = true, .space_as_plus = true},
	 "${x:java}",													    "a+*%7E-_."					       },
	{"form bytes otherwise",                false, {0},					       "${x:java}",           "a%20%2A~-_."                                             },
	{"undefined in a form",                 false, {0},					       "a=${x:none}&b=1",     "a=&b=1"                                                  },
	{"encoded placeholder is text",
	 false,					{0},
	 "%24%7Bbucket%7D",												      "%24%7Bbucket%7D"					 },
	{"names keep their case",               false, {0},					       "${Bucket}${x:VAR1}",  ""                                                        },
	{"lone dollar",			 false, {0},					       "1$ ${size}$",         "1$ 5$"                                                   },
	{"json string brings quotes",
	 true,					 {0},
	 "{\"o\":${object}}",												    "{\"o\":\"test.txt\"}"				    },
	{"json number is bare",                 true,  {0},					       "{\"s\":${size}}",     "{\"s\":5}"                                               },
	{"json slash is not escaped",
	 true,					 {0},
	 "${mimeType}",													  "\"text/plain\""					  },
	{"json escapes",
	 true,					 {0},
	 "${x:odd}",													     "\"a b&c=d+e%f/g\\\"h\\\\i\\nj\xe4\xbd\xa0\""             },
	{"json escapes as ascii",
	 true,					 {.escape_non_ascii = true},
	 "${x:odd}${x:emoji}",												   "\"a b&c=d+e%f/g\\\"h\\\\i\\nj\\u4f60\"\"\\ud83d\\ude00\""},
	{"number in quotes",                    true,  {0},					       "{\"s\":\"${size}\"}", "{\"s\":\"5\"}"                                           },
	{"empty number outside quotes",
	 true,					 {0},
	 "{\"h\":${imageInfo.height}}",											  "{\"h\":null}"					    },
	{"empty number as nothing",
	 true,					 {.empty_number_is_nothing = true},
	 "{\"h\":${imageInfo.height}}",											  "{\"h\":}"						},
	{"empty numbers in quotes",
	 true,					 {0},
	 "{\"p\":\"${imageInfo.width},${imageInfo.height}\"}",								   "{\"p\":\",\"}"					   },
	{"empty string",
	 true,					 {0},
	 "{\"f\":${imageInfo.format}}",											  "{\"f\":\"\"}"					    },
	{"string in quotes doubles them",
	 true,					 {0},
	 "{\"a\":\"b ${object}\"}",											      "{\"a\":\"b \"test.txt\"\"}"                              },
	{"string in quotes, bare",
	 true,					 {.bare_strings_in_quotes = true},
	 "{\"a\":\"b ${object}\",\"c\":${object}}",									      "{\"a\":\"b test.txt\",\"c\":\"test.txt\"}"               },
	{"escaped quote is inside",
	 true,					 {.bare_strings_in_quotes = true},
	 "{\"a\":\"\\\"${object}\"}",											    "{\"a\":\"\\\"test.txt\"}"                                },
	{"undefined in json",                   true,  {0},					       "{\"a\":${x:none}}",   "{\"a\":\"\"}"                                            },
	{"undefined as null",
	 true,					 {.undefined_var_is_null = true},
	 "{\"a\":${x:none}}",												    "{\"a\":null}"					    },
	{"not json at all",
	 true,					 {0},
	 "\xe4\xbd\xa0\xe5\xa5\xbd",											     "\xe4\xbd\xa0\xe5\xa5\xbd"                                },
};

static void variables_are_substituted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct template_case *c = &cases[i];
		AUTO(buf_release) struct buf out = BUF_INIT;

		assert_int_equal(template_expand(&c->quirks, c->text,
						 c->is_json, &vars, &out),
				 0);
		if (strcmp(buf_str(&out), c->want) != 0)
			fail_msg("%s: got %s, want %s", c->name, buf_str(&out),
				 c->want);
	}
}

static void documentation_sample_has_its_181_bytes(void **state)
{
	static const char text[] =
		"bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&"
		"mimeType=${mimeType}&imageInfo.height=${imageInfo.height}&"
		"imageInfo.width=${imageInfo.width}&imageInfo.format="
		"${imageInfo.format}&x:var1=${x:var1}";
	AUTO(buf_release) struct buf out = BUF_INIT;
	struct quirks q = {0};

	(void)state;
	assert_int_equal(template_expand(&q, text, false, &vars, &out), 0);
	assert_int_equal(out.len, 181);
}

static void captured_json_body_is_reproduced(void **state)
{
	static const struct template_var captured[] = {
		{"x:fname",          "2f7b2ccf30e9270ea920f1ab8a4037a546a2f0d5.jpg",
		 false								    },
		{"object",
		 "1/1_hFRtDLgM_2f7b2ccf30e9270ea920f1ab8a4037a546a2f0d5.jpg",        false},
		{"size",             "114020",				       true },
		{"imageInfo.width",  "810",                                          true },
		{"imageInfo.height", "539",                                          true },
	};
	static const struct template_vars v = {captured, ARRAY_LEN(captured)};
	json_t *root = test_vectors("callback-signature.json");
	const json_t *list = json_object_get(root, "vectors");
	AUTO(buf_release) struct buf out = BUF_INIT;
	struct quirks q = {0};

	(void)state;
	template_expand(&q,
			"{\"name\":${x:fname},\"source_name\":${object},"
			"\"size\":${size},\"pic_info\":\"${imageInfo.width},"
			"${imageInfo.height}\"}",
			true, &v, &out);
	assert_string_equal(buf_str(&out),
			    test_json_str(json_array_get(list, 1), "body"));
	json_decref(root);
}

static void malformed_templates_are_refused(void **state)
{
	static const struct {
		const char *text;
		int want;
	} checks[] = {
		{"a=${bucket}&b=${x:any.thing}", 0 },
		{"no variables $ at all",        0 },
		{"object=$(object)",             -1},
		{"a=${bucket",                   -1},
		{"a=${}",                        -1},
		{"a=${x:}",                      -1},
		{"a=${foo}",                     -1},
		{"a=${Bucket}",                  -1},
	};
	struct quirks q = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		if ((template_check(&q, checks[i].text) < 0) !=
		    (checks[i].want < 0))
			fail_msg("%s", checks[i].text);
	q.unknown_variable_is_empty = true;
	assert_int_equal(template_check(&q, "a=${foo}"), 0);
}

static void use_of_a_variable_is_seen(void **state)
{
	(void)state;
	assert_true(template_uses("a ${imageInfo.width}", "imageInfo."));
	assert_false(template_uses("a imageInfo.width", "imageInfo."));
	assert_false(template_uses("${image}", "imageInfo."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_are_substituted),
		cmocka_unit_test(documentation_sample_has_its_181_bytes),
		cmocka_unit_test(captured_json_body_is_reproduced),
		cmocka_unit_test(malformed_templates_are_refused),
		cmocka_unit_test(use_of_a_variable_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
