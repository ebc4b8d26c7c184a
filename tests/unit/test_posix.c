/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/posix.h"

#define SEC 1000000000LL

static const struct read_case {
	const char *name;
	const char *mode, *uid, *mtime; /* NULL: not there */
	const char *content_type;
	bool slash;
	uint32_t want_mode;
	uint32_t want_uid;
	int64_t want_mtime;
} read_cases[] = {
	{"a regular file of ossfs",                        "33188",          "1000",       "1700000000",           "text/plain",
	 false,																       S_IFREG | 0644, 1000, 1700000000 * SEC            },
	{"nanoseconds after the point",                    "33188",          NULL,         "1700000000.000000123",
	 NULL,																 false, S_IFREG | 0644, 7,    1700000000 * SEC + 123      },
	{"rclone's shorter fraction",                      NULL,             NULL,         "1700000000.5",         NULL,                       false,
	 S_IFREG | 0640,																	      7,    1700000000 * SEC + 500000000},
	{"a symlink",				      "41471",          NULL,         NULL,                   "application/octet-stream", false,
	 S_IFLNK | 0777,																	      7,    42                          },
	{"a folder's marker",			      "16877",          NULL,         NULL,                   "application/x-directory",
	 true,																	S_IFDIR | 0755, 7,    42                          },
	{"a mode that lacks the folder's bit",             "493",            NULL,         NULL,
	 "application/x-directory",													    true,  S_IFDIR | 0755, 7,    42                          },
	{"no metadata: the defaults stay",                 NULL,             NULL,         NULL,                   NULL,                       false,
	 S_IFREG | 0640,																	      7,    42                          },
	{"garbage is not read",                            "rwxr",           "-5",         "yesterday",            NULL,                       false,
	 S_IFREG | 0640,																	      7,    42                          },
	{"a number that is too large",                     "99999999999999", "4294967296", "1e9",
	 NULL,																 false, S_IFREG | 0640, 7,    42                          },
	{"a link's mode under a folder's key is a folder", "41471",          NULL,         NULL,
	 NULL,																 true,  S_IFDIR | 0777, 7,    42                          },
};

static void add(struct kvs *meta, const char *name, const char *value)
{
	if (value)
		assert_int_equal(kvs_add(meta, name, value), 0);
}

static void metadata_is_read_as_ossfs_writes_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(read_cases); i++) {
		const struct read_case *c = &read_cases[i];
		AUTO(kvs_release) struct kvs meta = KVS_INIT;
		struct posix_attr a = {S_IFREG | 0640, 7, 8, 42};

		add(&meta, "mode", c->mode);
		add(&meta, "uid", c->uid);
		add(&meta, "mtime", c->mtime);
		posix_read(&meta, c->content_type, c->slash, &a);
		if (a.mode != c->want_mode || a.uid != c->want_uid ||
		    a.mtime_ns != c->want_mtime || a.gid != 8)
			fail_msg("%s: mode %o uid %u mtime %lld", c->name,
				 a.mode, a.uid, (long long)a.mtime_ns);
	}
}

static void what_is_written_is_read_back(void **state)
{
	const struct posix_attr cases[] = {
		{S_IFREG | 04755, 0,           0,     0                   },
		{S_IFDIR | 0700,  4294967294u, 65534, 1700000000 * SEC + 1},
		{S_IFLNK | 0777,  1,           2,     -1 * SEC            },
		{S_IFREG | 0600,  1,           2,     -1                  },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(kvs_release) struct kvs meta = KVS_INIT;
		struct posix_attr got = {0};

		assert_int_equal(posix_write(&meta, &cases[i]), 0);
		posix_read(&meta, NULL, S_ISDIR(cases[i].mode), &got);
		assert_int_equal(got.mode, cases[i].mode);
		assert_int_equal(got.uid, cases[i].uid);
		assert_int_equal(got.gid, cases[i].gid);
		if (cases[i].mtime_ns >= 0)
			assert_int_equal(got.mtime_ns, cases[i].mtime_ns);
	}
}

static void modes_are_decimal_with_type_bits(void **state)
{
	AUTO(kvs_release) struct kvs meta = KVS_INIT;
	const struct posix_attr a = {S_IFREG | 0644, 1, 2, 5 * SEC};

	(void)state;
	assert_int_equal(posix_write(&meta, &a), 0);
	assert_string_equal(kvs_get(&meta, "mode"), "33188");
	assert_string_equal(kvs_get(&meta, "mtime"), "5");
}

static void our_names_are_not_user_metadata(void **state)
{
	(void)state;
	assert_true(posix_owns("mode"));
	assert_true(posix_owns("MTIME"));
	assert_false(posix_owns("author"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_is_read_as_ossfs_writes_it),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(modes_are_decimal_with_type_bits),
		cmocka_unit_test(our_names_are_not_user_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
