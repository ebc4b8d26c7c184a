/* SPDX-License-Identifier: Apache-2.0 */
/* ${imageInfo.*} of PNG, JPEG and GIF. */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "emulator/blob.h"
#include "emulator/image.h"

#define PNG "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
#define SOI "\xff\xd8"
#define APP0 "\xff\xe0\0\x10JFIF\0\1\2\0\0\1\0\1\0\0"
#define DHT "\xff\xc4\0\4\0\0"
#define SOF0 "\xff\xc0\0\x11\x08\x01\x16\x00\xc8\3"
#define SOF2 "\xff\xc2\0\x11\x08\x01\x16\x00\xc8\3"

struct image_case {
	const char *name;
	const char *data;
	size_t len;
	int want;
	struct image_info info;
};

#define D(text) text, sizeof(text) - 1

static const struct image_case cases[] = {
	{"png",		  D(PNG "\0\0\2\x80\0\0\1\xe0\x08"), 0,       {640, 480, "PNG"}},
	{"png cut",              D(PNG "\0\0"),                     -EINVAL, {0}              },
	{"png without IHDR",
	 D("\x89PNG\r\n\x1a\n\0\0\0\rJUNK\0\0\0\0\0\0\0\0"),
	 -EINVAL,
	 {0}										  },
	{"gif87",                D("GIF87a\x0a\0\x14\0"),           0,       {10, 20, "GIF"}  },
	{"gif89",                D("GIF89a\xff\xff\1\0"),           0,       {65535, 1, "GIF"}},
	{"gif cut",              D("GIF89a\xff"),                   -EINVAL, {0}              },
	{"jpeg",		 D(SOI APP0 DHT SOF0),              0,       {200, 278, "JPG"}},
	{"jpeg progressive",     D(SOI APP0 SOF2),                  0,       {200, 278, "JPG"}},
	{"jpeg with fill bytes",
	 D(SOI "\xff\xff" APP0 "\xff" SOF0),
	 0,								  {200, 278, "JPG"}},
	{"jpeg cut",             D(SOI APP0),                       -EINVAL, {0}              },
	{"jpeg broken",          D(SOI APP0 "junkjunk"),            -EINVAL, {0}              },
	{"text",		 D("hello"),                        -ENOENT, {0}              },
	{"nothing",              D(""),			     -ENOENT, {0}              },
	{"bmp",		  D("BM\0\0\0\0"),                   -ENOENT, {0}              },
};

static void sizes_are_read_from_the_head(void **state)
{
	struct blob_store *store;

	assert_int_equal(blob_store_open(*state, false, &store), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct image_case *c = &cases[i];
		struct image_info info = {0};
		struct blob_writer w;
		struct blob *blob;
		struct body *b;
		int got;

		assert_int_equal(blob_writer_open(store, false, &w), 0);
		assert_int_equal(blob_writer_add(&w, c->data, c->len), 0);
		assert_int_equal(blob_writer_commit(&w, &blob), 0);
		b = body_of_blob(blob, c->len, 0);
		got = image_read(b, &info);
		if (got != c->want)
			fail_msg("%s: got %d", c->name, got);
		if (!got && (info.width != c->info.width ||
			     info.height != c->info.height ||
			     strcmp(info.format, c->info.format) != 0))
			fail_msg("%s: got %ux%u %s", c->name, info.width,
				 info.height, info.format);
		body_put(b);
	}
	blob_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sizes_are_read_from_the_head,
						test_dir_setup,
						test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
