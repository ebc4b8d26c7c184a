/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What every unit test uses: cmocka with the headers it wants before it, and
 * helpers that fail the running test when they cannot do their work.
 *
 * Uses only util, so that the emulator's tests can link it.  Call the helpers
 * from the test's own thread.
 */
#ifndef ACKFS_TESTS_TEST_H
#define ACKFS_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "util/buf.h"

/** A row of a table of unlike rows: clang-format 14 aligns them beyond
 *  reading, when it does not crash. */
#define CASE(...)                                                              \
	{                                                                      \
		__VA_ARGS__                                                    \
	}

/** How long a test waits for what must happen; ample for a loaded machine. */
#define TEST_DEADLINE_MS 20000

/** A new directory below $TMPDIR or /tmp; give back with test_dir_remove(). */
char *test_dir_make(void);
/** Remove the directory with all that is in it, and free the path. */
void test_dir_remove(char *dir);
/** The same as setup and teardown: *state is the path. */
int test_dir_setup(void **state);
int test_dir_teardown(void **state);

/** DIR/NAME by format; free() it. */
char *test_path(const char *dir, const char *fmt, ...) ACK_PRINTF(2, 3);
/** The file's content, appended to out. */
void test_file_read(const char *path, struct buf *out);
/** Create or replace the file. */
void test_file_write(const char *path, const void *data, size_t len);
/** The file's content is this text and nothing else. */
void test_file_equals(const char *path, const char *text);

/**
 * Ask is_true(arg) every few milliseconds, in real time, whatever
 * clock_advance_ms() did.
 * @return false when deadline_ms passed without it
 */
bool test_wait_until(bool (*is_true)(void *), void *arg, int deadline_ms);

/**
 * A JSON file of vectors, from the folder in the environment's ACKFS_VECTORS,
 * else the macro of that name, else tests/vectors.
 * @param name  "crc64.json"
 * @return the root; json_decref() it
 */
json_t *test_vectors(const char *name);
/** A member of an object that must be there, and a string. */
const char *test_json_str(const json_t *object, const char *key);
/** Such a number. */
int64_t test_json_int(const json_t *object, const char *key);

#endif
