/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of fuse-facts 1 to 4 on real processes; any file serves as the
   mount's. */
#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/closer.h"

struct fixture {
	struct closer *closer;
	char *dir;
	char path[256];
	uint64_t ino;
};

static int setup(void **state)
{
	static struct fixture f;
	struct stat st;
	int fd;

	f.dir = test_dir_make();
	snprintf(f.path, sizeof(f.path), "%s/file", f.dir);
	fd = open(f.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	f.ino = st.st_ino;
	assert_int_equal(closer_new("sftp-server rsync sshd*", &f.closer), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	closer_free(f->closer);
	test_dir_remove(f->dir);
	return 0;
}

static void a_process_is_read_from_its_status(void **state)
{
	struct process p;

	(void)state;
	assert_int_equal(process_read(getpid(), &p), 0);
	assert_int_equal(p.tgid, getpid());
	assert_string_equal(p.name, "test_closer");
	assert_false(p.exiting);
	assert_int_equal(process_read(0, &p), -ESRCH);
	assert_int_equal(process_read(INT32_MAX, &p), -ESRCH);
}

struct who {
	pid_t tid, group;
	char name[64];
};

static void *ask_who(void *arg)
{
	struct who *w = arg;

	pthread_setname_np(pthread_self(), "a (thread)\n");
	w->tid = gettid();
	w->group = process_group_of(w->tid);
	process_name(w->tid, w->name, sizeof(w->name));
	return NULL;
}

static void a_thread_belongs_to_its_process(void **state)
{
	pthread_t thread;
	struct who w;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, ask_who, &w), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_not_equal(w.tid, getpid());
	assert_int_equal(w.group, getpid());
	assert_string_equal(w.name, "a (thread)");
	assert_int_equal(process_group_of(getpid()), getpid());
	assert_int_equal(process_group_of(1), 1); /* whoever we are */
}

static void what_cannot_be_seen_has_no_process(void **state)
{
	char name[64] = "old";

	(void)state;
	assert_int_equal(process_group_of(0), 0);
	assert_int_equal(process_group_of(INT32_MAX), 0);
	process_name(INT32_MAX, name, sizeof(name));
	assert_string_equal(name, "");
}

static void the_openers_last_descriptor_is_the_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		closer_judge(f->closer, getpid(), getpid(), f->ino, NULL),
		CLOSE_FINAL);
}

static void another_descriptor_of_the_file_defers(void **state)
{
	struct fixture *f = *state;
	AUTO_CLOSE int fd = open(f->path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(
		closer_judge(f->closer, getpid(), getpid(), f->ino, NULL),
		CLOSE_DEFER);
}

static void *judge_many(void *arg)
{
	struct fixture *f = arg;
	size_t final = 0;

	for (int i = 0; i < 50; i++)
		final += closer_judge(f->closer, getpid(), getpid(), f->ino,
				      NULL) == CLOSE_FINAL;
	return (void *) final;
}

static void closes_at_once_are_judged_each(void **state)
{
	pthread_t threads[8];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, judge_many, *state),
			0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *final;

		assert_int_equal(pthread_join(threads[i], &final), 0);
		assert_int_equal((size_t) final, 50);
	}
}

static void another_process_defers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		closer_judge(f->closer, getpid(), getppid(), f->ino, NULL),
		CLOSE_DEFER);
}

static void a_process_that_cannot_be_seen_is_an_ordinary_close(void **state)
{
	struct fixture *f = *state;
	uint64_t blind = closer_blind(f->closer);

	assert_int_equal(closer_judge(f->closer, 0, getpid(), f->ino, NULL),
			 CLOSE_FINAL);
	assert_int_equal(closer_blind(f->closer), blind + 1);
}

/* A zombie shows what an exiting task shows: no VmSize, and its exit code. */
static enum close_verdict judge_dead(struct fixture *f, int sig)
{
	pid_t child = fork();
	siginfo_t info;
	enum close_verdict v;

	assert_true(child >= 0);
	if (child == 0) {
		if (sig)
			kill(getpid(), sig);
		_exit(3);
	}
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT),
			 0);
	v = closer_judge(f->closer, child, child, f->ino, NULL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return v;
}

static void a_writer_that_was_killed_has_not_finished(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(judge_dead(f, SIGKILL), CLOSE_KILLED);
	assert_int_equal(judge_dead(f, SIGTERM), CLOSE_KILLED);
}

static void exit_without_close_is_a_close(void **state)
{
	assert_int_equal(judge_dead(*state, 0), CLOSE_FINAL);
}

static void a_transfer_server_that_exits_has_not_finished(void **state)
{
	struct fixture *f = *state;
	struct closer *c;
	struct closer *own = f->closer;
	enum close_verdict v;

	assert_int_equal(closer_new("test_clos*", &c), 0);
	f->closer = c;
	v = judge_dead(f, 0);
	f->closer = own;
	closer_free(c);
	assert_int_equal(v, CLOSE_ABORTED);
}

static void a_pending_sigkill_is_seen(void **state)
{
	(void)state;
	assert_false(process_is_killed(getpid()));
	assert_true(process_is_killed(INT32_MAX)); /* gone: nobody waits */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_read_from_its_status),
		cmocka_unit_test(a_thread_belongs_to_its_process),
		cmocka_unit_test(what_cannot_be_seen_has_no_process),
		cmocka_unit_test(the_openers_last_descriptor_is_the_end),
		cmocka_unit_test(another_descriptor_of_the_file_defers),
		cmocka_unit_test(closes_at_once_are_judged_each),
		cmocka_unit_test(another_process_defers),
		cmocka_unit_test(
			a_process_that_cannot_be_seen_is_an_ordinary_close),
		cmocka_unit_test(a_writer_that_was_killed_has_not_finished),
		cmocka_unit_test(exit_without_close_is_a_close),
		cmocka_unit_test(a_transfer_server_that_exits_has_not_finished),
		cmocka_unit_test(a_pending_sigkill_is_seen),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
