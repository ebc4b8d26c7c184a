/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/codec.h"
#include "util/log.h"
#include "util/thread.h"

/* The log goes to DIR/log until log_to_stderr(). */
static char *log_to_file(void **state, enum log_level level)
{
	char *path = test_path(*state, "log");

	assert_int_equal(log_open("test", path, level), 0);
	return path;
}

static int log_to_stderr(void **state)
{
	log_open("test", NULL, LOG_LVL_NOTICE);
	return test_dir_teardown(state);
}

/* The text behind "TIME level: "; the time is checked. */
static const char *message_of(const char *line)
{
	char time[CLOCK_TEXT_LEN] = "";
	const char *blank = strchr(line, ' ');
	int64_t ms;

	assert_non_null(blank);
	assert_true(blank - line < CLOCK_TEXT_LEN);
	memcpy(time, line, (size_t)(blank - line));
	assert_int_equal(clock_parse_rfc3339(time, &ms), 0);
	return blank + 1;
}

static void a_line_has_time_level_and_message(void **state)
{
	AUTO_FREE char *path = log_to_file(state, LOG_LVL_INFO);
	AUTO(buf_release) struct buf b = BUF_INIT;

	log_warn("upload: failed: key=%s attempt=%d", LOG_Q("in/a\nb.jpg"), 3);
	test_file_read(path, &b);
	assert_string_equal(message_of(buf_str(&b)),
			    "warn: upload: failed: key=\"in/a\\nb.jpg\" "
			    "attempt=3\n");
}

static void levels_above_the_limit_are_dropped(void **state)
{
	AUTO_FREE char *path = log_to_file(state, LOG_LVL_NOTICE);
	AUTO(buf_release) struct buf b = BUF_INIT;

	log_info("not this");
	log_debug("nor this");
	log_notice("this");
	log_set_level(LOG_LVL_DEBUG);
	log_debug("and this");
	test_file_read(path, &b);
	assert_null(strstr(buf_str(&b), "not this"));
	assert_null(strstr(buf_str(&b), "nor this"));
	assert_non_null(strstr(buf_str(&b), " notice: this\n"));
	assert_non_null(strstr(buf_str(&b), " debug: and this\n"));
}

static void a_message_of_a_megabyte_comes_through_whole(void **state)
{
	enum { BIG = 1 << 20 };
	AUTO_FREE char *path = log_to_file(state, LOG_LVL_INFO);
	AUTO_FREE char *text = malloc(BIG + 1);
	AUTO(buf_release) struct buf b = BUF_INIT;
	const char *message;

	assert_non_null(text);
	for (size_t i = 0; i < BIG; i++)
		text[i] = (char)('a' + i % 26);
	text[BIG] = '\0';
	log_err("%s|", text);
	log_err("next");
	test_file_read(path, &b);
	message = message_of(buf_str(&b)) + strlen("err: ");
	assert_memory_equal(message, text, BIG);
	assert_memory_equal(message + BIG, "|\n", 2);
	assert_string_equal(message_of(message + BIG + 2), "err: next\n");
}

static void a_message_stays_one_line(void **state)
{
	AUTO_FREE char *path = log_to_file(state, LOG_LVL_INFO);
	AUTO(buf_release) struct buf b = BUF_INIT;

	log_info("two\nlines\x1b[31m\n\n");
	log_info("%s", "");
	test_file_read(path, &b);
	assert_string_equal(message_of(buf_str(&b)) +
				    strlen("info: two lines [31m\n"),
			    strchr(buf_str(&b), '\n') + 1);
	assert_non_null(strstr(buf_str(&b), "info: two lines [31m\n"));
	assert_non_null(strstr(buf_str(&b), "info: \n"));
}

static void logging_keeps_errno(void **state)
{
	AUTO_FREE char *path = log_to_file(state, LOG_LVL_INFO);
	AUTO(buf_release) struct buf b = BUF_INIT;

	errno = ENOSPC;
	log_err("staging: %s", strerror(errno));
	assert_int_equal(errno, ENOSPC);
	test_file_read(path, &b);
	assert_non_null(strstr(buf_str(&b), "No space left on device"));
}

static void reopening_follows_a_rotation(void **state)
{
	AUTO_FREE char *path = log_to_file(state, LOG_LVL_INFO);
	AUTO_FREE char *rotated = test_path(*state, "log.1");
	AUTO(buf_release) struct buf old = BUF_INIT;
	AUTO(buf_release) struct buf new = BUF_INIT;

	log_info("before");
	assert_int_equal(rename(path, rotated), 0);
	log_info("between");
	assert_int_equal(log_reopen(), 0);
	log_info("after");
	test_file_read(rotated, &old);
	test_file_read(path, &new);
	assert_non_null(strstr(buf_str(&old), "before"));
	assert_non_null(strstr(buf_str(&old), "between"));
	assert_null(strstr(buf_str(&old), "after"));
	assert_string_equal(message_of(buf_str(&new)), "info: after\n");
}

static void a_log_that_cannot_be_opened_leaves_the_old_one(void **state)
{
	AUTO_FREE char *path = log_to_file(state, LOG_LVL_INFO);
	AUTO_FREE char *bad = test_path(*state, "none/log");
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_int_equal(log_open("test", bad, LOG_LVL_DEBUG), -ENOENT);
	assert_int_equal(log_get_level(), LOG_LVL_INFO);
	log_info("still here");
	test_file_read(path, &b);
	assert_non_null(strstr(buf_str(&b), "still here"));
}

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_info("%s %d %0200d end", (const char *)arg, i, i);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	AUTO_FREE char *path = log_to_file(state, LOG_LVL_INFO);
	AUTO(buf_release) struct buf b = BUF_INIT;
	pthread_t threads[THREADS];
	static char name[] = "thread";
	int lines = 0;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			thread_start(&threads[i], name, write_lines, name), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	test_file_read(path, &b);
	for (char *line = strtok(b.data, "\n"); line;
	     line = strtok(NULL, "\n")) {
		const char *message = message_of(line);

		assert_memory_equal(message, "info: thread ", 13);
		assert_string_equal(line + strlen(line) - 4, " end");
		lines++;
	}
	assert_int_equal(lines, THREADS * LINES);
}

/* Standard error is fd while fn runs. */
static void with_stderr(int fd, void (*fn)(void))
{
	int saved;

	fflush(stderr);
	saved = dup(STDERR_FILENO);
	assert_true(saved >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	fn();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
}

static void log_two_lines(void)
{
	log_open("test", NULL, LOG_LVL_NOTICE);
	log_err("one");
	log_notice("two");
}

static void each_line_is_one_write(void **state)
{
	char packet[256];
	int pair[2];
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	with_stderr(pair[0], log_two_lines);
	n = recv(pair[1], packet, sizeof(packet) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	packet[n] = '\0';
	assert_string_equal(message_of(packet), "err: one\n");
	n = recv(pair[1], packet, sizeof(packet) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	packet[n] = '\0';
	assert_string_equal(message_of(packet), "notice: two\n");
	close(pair[0]);
	close(pair[1]);
}

static void the_journal_gets_numbers_for_levels(void **state)
{
	AUTO_FREE char *path = test_path(*state, "journal");
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char stream[64];
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	with_stderr(fd, log_two_lines);
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	test_file_equals(path, "<3>one\n<5>two\n");
}

static void an_inherited_journal_variable_does_not_count(void **state)
{
	AUTO_FREE char *path = test_path(*state, "redirected");
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO(buf_release) struct buf b = BUF_INIT;

	assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	with_stderr(fd, log_two_lines);
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	test_file_read(path, &b);
	assert_memory_equal(message_of(buf_str(&b)), "err: one\n", 9);
}

static const struct {
	const char *text, *want;
} quotes[] = {
	{NULL,		       "-"			   },
	{"",			 "\"\""			},
	{"plain",		    "\"plain\""                   },
	{"a\nb\tc\rd",               "\"a\\nb\\tc\\rd\""           },
	{"say \"hi\" \\",            "\"say \\\"hi\\\" \\\\\""     },
	{"\x01\x7f\x1b[0m",          "\"\\x01\\x7f\\x1b[0m\""      },
	{"caf\xc3\xa9 \xe4\xb8\xad", "\"caf\xc3\xa9 \xe4\xb8\xad\""},
	{"latin caf\xe9",            "\"latin caf\\xe9\""          },
	{"c1 \xc2\x9b",              "\"c1 \\xc2\\x9b\""           },
};

static void text_from_outside_is_quoted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(quotes); i++)
		assert_string_equal(LOG_Q(quotes[i].text), quotes[i].want);
}

static void long_text_is_cut_with_an_ellipsis(void **state)
{
	char out[64];

	(void)state;
	assert_string_equal(log_quote(out, 16, "1234567890"), "\"1234567890\"");
	assert_string_equal(log_quote(out, 16, "12345678901"),
			    "\"12345678901\"");
	assert_string_equal(log_quote(out, 16, "1234567890123456"),
			    "\"1234567890\"...");
	/* Neither a character nor an escape is cut in two. */
	assert_string_equal(log_quote(out, 16, "123456789\xc3\xa9 and more"),
			    "\"123456789\"...");
	assert_string_equal(log_quote(out, 16, "1234567\x01 and more text"),
			    "\"1234567\"...");
	assert_string_equal(log_quote(out, 1, "x"), "");
}

static void quoted_text_always_fits_and_is_utf8(void **state)
{
	static const char text[] = "a\xc3\xa9\n\xff\xe4\xb8\xad\"x\xf0\x9f\x98"
				   "\x80 and so on";
	char out[64];

	(void)state;
	for (size_t size = 1; size < sizeof(out); size++) {
		memset(out, '#', sizeof(out));
		log_quote(out, size, text);
		assert_true(strnlen(out, sizeof(out)) < size);
		assert_int_equal(out[size], '#');
		assert_true(utf8_is_valid(out, strlen(out)));
	}
}

static void levels_have_names(void **state)
{
	enum log_level level = LOG_LVL_ERR;

	(void)state;
	assert_int_equal(log_parse_level("debug", &level), 0);
	assert_int_equal(level, LOG_LVL_DEBUG);
	assert_int_equal(log_parse_level("Warning", &level), 0);
	assert_int_equal(level, LOG_LVL_WARN);
	assert_int_equal(log_parse_level("verbose", &level), -EINVAL);
	assert_int_equal(log_parse_level("", &level), -EINVAL);
	assert_int_equal(level, LOG_LVL_WARN);
}

#define LOG_TEST(name)                                                         \
	cmocka_unit_test_setup_teardown(name, test_dir_setup, log_to_stderr)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(a_line_has_time_level_and_message),
		LOG_TEST(levels_above_the_limit_are_dropped),
		LOG_TEST(a_message_of_a_megabyte_comes_through_whole),
		LOG_TEST(a_message_stays_one_line),
		LOG_TEST(logging_keeps_errno),
		LOG_TEST(reopening_follows_a_rotation),
		LOG_TEST(a_log_that_cannot_be_opened_leaves_the_old_one),
		LOG_TEST(lines_of_threads_do_not_mix),
		LOG_TEST(each_line_is_one_write),
		LOG_TEST(the_journal_gets_numbers_for_levels),
		LOG_TEST(an_inherited_journal_variable_does_not_count),
		cmocka_unit_test(text_from_outside_is_quoted),
		cmocka_unit_test(long_text_is_cut_with_an_ellipsis),
		cmocka_unit_test(quoted_text_always_fits_and_is_utf8),
		cmocka_unit_test(levels_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
