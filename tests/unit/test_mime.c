/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <string.h>

#include "callback/mime.h"

static const struct {
	const char *name, *type;
} builtin[] = {
	{"a.jpg",				  "image/jpeg"              },
	{"in/a.JPG",			       "image/jpeg"              },
	{"a.b.json",			       "application/json"        },
	{"a.tar.gz",			       "application/gzip"        },
	{"index.html",			     "text/html"               },
	{"a.mp4",				  "video/mp4"               },
	{"README",				 "application/octet-stream"},
	{".jpg",				   "application/octet-stream"},
	{"dir.jpg/README",                         "application/octet-stream"},
	{"dir/.png",			       "application/octet-stream"},
	{"a.",				     "application/octet-stream"},
	{"",				       "application/octet-stream"},
	{"a.no-such-extension",                    "application/octet-stream"},
	{"a.\xe5\xbd\x92",                         "application/octet-stream"},
	{"a.jpgjpgjpgjpgjpgjpgjpgjpgjpgjpgjpgjpg", "application/octet-stream"},
};

static void the_built_in_table_does_without_a_file(void **state)
{
	static const char *const paths[] = {NULL, "/nonexistent/mime.types"};

	(void)state;
	for (size_t p = 0; p < ARRAY_LEN(paths); p++) {
		struct mime *m = NULL;

		assert_int_equal(mime_load(paths[p], &m), 0);
		for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
			if (strcmp(mime_type(m, builtin[i].name),
				   builtin[i].type) != 0)
				fail_msg("%s: %s", builtin[i].name,
					 mime_type(m, builtin[i].name));
		mime_free(m);
	}
}

static struct mime *load_text(const char *dir, const char *text)
{
	AUTO_FREE char *path = test_path(dir, "mime.types");
	struct mime *m = NULL;

	test_file_write(path, text, strlen(text));
	assert_int_equal(mime_load(path, &m), 0);
	return m;
}

static void the_machine_s_file_goes_first(void **state)
{
	struct mime *m = load_text(*state, "# a comment\n"
					   "image/x-own\t\tJPG  own # more\r\n"
					   "text/first dup\n"
					   "text/second dup\n"
					   "text/none\n"
					   "not-a-type png\n"
					   "text/ba\x80 gif\n"
					   "text/last last");

	assert_string_equal(mime_type(m, "a.jpg"), "image/x-own");
	assert_string_equal(mime_type(m, "a.own"), "image/x-own");
	assert_string_equal(mime_type(m, "a.more"), "application/octet-stream");
	assert_string_equal(mime_type(m, "a.dup"), "text/first");
	assert_string_equal(mime_type(m, "a.png"), "image/png");
	assert_string_equal(mime_type(m, "a.gif"), "image/gif");
	assert_string_equal(mime_type(m, "a.last"), "text/last");
	assert_string_equal(mime_type(m, "a.pdf"), "application/pdf");
	mime_free(m);
}

static void an_empty_file_is_none(void **state)
{
	struct mime *m = load_text(*state, "");

	assert_string_equal(mime_type(m, "a.jpg"), "image/jpeg");
	mime_free(m);
	mime_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_built_in_table_does_without_a_file),
		cmocka_unit_test_setup_teardown(the_machine_s_file_goes_first,
						test_dir_setup,
						test_dir_teardown),
		cmocka_unit_test_setup_teardown(an_empty_file_is_none,
						test_dir_setup,
						test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
