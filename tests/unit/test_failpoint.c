/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/failpoint.h"
#include "util/log.h"

/* How often a child passes "x" before the setting kills it; -1: never. */
static int passes_until_killed(const char *setting)
{
	int status = 0, ends[2];
	int passes = -1;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		log_open("test", "/dev/null", LOG_LVL_ERR);
		setenv("ACKFS_FAILPOINT", setting, 1);
		for (int i = 0; i < 5; i++) {
			if (write(ends[1], "x", 1) != 1)
				_exit(1);
			failpoint("other");
			failpoint("x");
		}
		_exit(0);
	}
	close(ends[1]);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		for (passes = 0; read(ends[0], &byte, 1) == 1;)
			passes++;
	} else {
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	close(ends[0]);
	return passes;
}

static void the_named_point_kills_at_its_nth_passage(void **state)
{
	(void)state;
#ifdef ACK_FAILPOINTS
	assert_int_equal(passes_until_killed("x"), 1);
	assert_int_equal(passes_until_killed("x:1"), 1);
	assert_int_equal(passes_until_killed("x:3"), 3);
#else
	assert_int_equal(passes_until_killed("x"), -1);
#endif
}

static void other_points_and_bad_settings_do_nothing(void **state)
{
	(void)state;
	assert_int_equal(passes_until_killed(""), -1);
	assert_int_equal(passes_until_killed("y"), -1);
	assert_int_equal(passes_until_killed("x:0"), -1);
	assert_int_equal(passes_until_killed("x:two"), -1);
	assert_int_equal(passes_until_killed("x:9"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_named_point_kills_at_its_nth_passage),
		cmocka_unit_test(other_points_and_bad_settings_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
