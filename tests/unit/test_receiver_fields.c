/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "receiver/fields.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

static void bodies_become_fields(void **state)
{
	static const struct {
		const char *name;
		const char *type;
		const char *body;
		const char *want; /* NULL: refused */
	} cases[] = {
		{"form",                    FORM,                   "object=a%2Fb.jpg&size=5",
		 "{\"object\":\"a/b.jpg\",\"size\":\"5\"}"											 },
		{"no type is a form",       NULL,                   "a=1",                                     "{\"a\":\"1\"}"                     },
		{"parameters",              FORM "; charset=utf-8", "a=1",                                     "{\"a\":\"1\"}"                     },
		{"case of the type",        "Application/JSON",     "{\"a\":1}",
		 "{\"a\":1}"														       },
		{"plus and spaces",         FORM,                   "a=x+y%20z&b+c=1",
		 "{\"a\":\"x y z\",\"b c\":\"1\"}"												 },
		{"empty values",            FORM,
		 "h=&w&f=",										    "{\"f\":\"\",\"h\":\"\",\"w\":\"\"}"},
		{"stray separators",        FORM,                   "&&a=1&&",                                 "{\"a\":\"1\"}"                     },
		{"equals in a value",       FORM,                   "a=b=c",                                   "{\"a\":\"b=c\"}"                   },
		{"the first twin counts",   FORM,                   "a=1&a=2",                                 "{\"a\":\"1\"}"                     },
		{"not UTF-8 stays encoded", FORM,                   "a=%ff",                                   "{\"a\":\"%ff\"}"                   },
		{"half an escape stays",    FORM,                   "a=100%",                                  "{\"a\":\"100%\"}"                  },
		{"Chinese",                 FORM,                   "a=%E9%94%AE",                             "{\"a\":\"\\u952E\"}"               },
		{"zero byte",               FORM,                   "a=x%00y",                                 "{\"a\":\"x\\u0000y\"}"             },
		{"raw bytes",               FORM,                   "a=\xff",                                  NULL                                },
		{"empty form",              FORM,                   "",                                        "{}"                                },
		{"json",                    JSON,                   "{\"o\":\"a/b\",\"n\":null,\"l\":[1,{}]}",
		 "{\"l\":[1,{}],\"n\":null,\"o\":\"a/b\"}"											 },
		{"json with zero byte",     JSON,                   "{\"a\":\"x\\u0000y\"}",
		 "{\"a\":\"x\\u0000y\"}"													   },
		{"json array",              JSON,                   "[1]",                                     NULL                                },
		{"json scalar",             JSON,                   "5",                                       NULL                                },
		{"not json",                JSON,                   "{\"a\":}",                                NULL                                },
		{"text after json",         JSON,                   "{} x",                                    NULL                                },
		{"empty json",              JSON,                   "",                                        NULL                                },
		{"other type",              "text/plain",           "a=1",                                     NULL                                },
		{"longer type",             "application/jsonx",    "{}",                                      NULL                                },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *got = NULL;
		AUTO_FREE char *dump = NULL;
		int rc = fields_parse(cases[i].type, cases[i].body,
				      strlen(cases[i].body), &got);

		if (!cases[i].want) {
			if (rc != -EINVAL || got)
				fail_msg("%s: rc %d", cases[i].name, rc);
			continue;
		}
		if (rc != 0)
			fail_msg("%s: rc %d", cases[i].name, rc);
		dump = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS |
					       JSON_ENSURE_ASCII);
		if (strcmp(dump, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].name, dump);
		json_decref(got);
	}
}

static void fields_read_as_text(void **state)
{
	static const char body[] =
		"{\"s\":\"x\\\"y\",\"n\":4711,\"t\":true,\"z\":null,"
		"\"o\":{\"a\":[1,2]},\"e\":\"\"}";
	static const struct {
		const char *field;
		int rc;
		const char *want;
	} cases[] = {
		{"s",       0,       "x\"y"         },
                {"n",       0,       "4711"         },
		{"t",       0,       "true"         },
                {"z",       0,       ""             },
		{"o",       0,       "{\"a\":[1,2]}"},
                {"e",       0,       ""             },
		{"missing", -ENOENT, ""             },
	};
	json_t *fields = NULL;

	(void)state;
	assert_int_equal(fields_parse(JSON, body, strlen(body), &fields), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf text = BUF_INIT;

		assert_int_equal(fields_text(fields, cases[i].field, &text),
				 cases[i].rc);
		assert_string_equal(buf_str(&text), cases[i].want);
	}
	json_decref(fields);
	{
		AUTO(buf_release) struct buf text = BUF_INIT;

		assert_int_equal(fields_text(NULL, "s", &text), -ENOENT);
	}
}

static void a_crc_beyond_signed_numbers_keeps_the_other_fields(void **state)
{
	static const char body[] =
		"{\"crc64\":18446744073709551615,\"id\":\"u-1\"}";
	AUTO(buf_release) struct buf id = BUF_INIT;
	json_t *fields = NULL;

	(void)state;
	assert_int_equal(fields_parse(JSON, body, strlen(body), &fields), 0);
	assert_int_equal(fields_text(fields, "id", &id), 0);
	assert_string_equal(buf_str(&id), "u-1");
	json_decref(fields);
}

static void bodies_that_were_captured_are_read(void **state)
{
	json_t *root = test_vectors("callback-signature.json");
	size_t i;
	json_t *v;

	(void)state;
	json_array_foreach(json_object_get(root, "vectors"), i, v)
	{
		const char *body = test_json_str(v, "body");
		json_t *fields = NULL;
		int rc = fields_parse(body[0] == '{' ? JSON : FORM, body,
				      strlen(body), &fields);

		if (rc != 0 || json_object_size(fields) == 0)
			fail_msg("%s: %d", test_json_str(v, "name"), rc);
		json_decref(fields);
	}
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_become_fields),
		cmocka_unit_test(fields_read_as_text),
		cmocka_unit_test(
			a_crc_beyond_signed_numbers_keeps_the_other_fields),
		cmocka_unit_test(bodies_that_were_captured_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
