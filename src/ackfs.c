/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ackfs: mount an OSS bucket.  Command line, signals, lifetime.
 *
 * In the background mode the process forks before it starts a thread; the
 * parent waits on a pipe until the mount answers, and exits with its status:
 * mistakes reach the terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/options.h"
#include "daemon/stack.h"
#include "daemon/utab.h"
#include "fs/mount.h"
#include "util/base.h"
#include "util/log.h"
#include "util/thread.h"

enum {
	EXIT_FILES_LEFT = 3, /* staged files wait for the next mount */
};

struct daemon {
	struct options o;
	struct stack *stack;
	int ready_fd; /* the parent waits at its other end; -1: foreground */
	pthread_t signals, drain;
	bool is_draining;    /* the drain thread was started */
	atomic_bool is_over; /* the next SIGUSR1 is for the signals' thread */
	sigset_t set;
};

/* -- background ------------------------------------------------------------ */

static _Noreturn void wait_for_child(int fd, pid_t child)
{
	char ok;
	int status;
	ssize_t n;

	do
		n = read(fd, &ok, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(EXIT_SUCCESS);
	/* It ended before it was ready: its message is on the terminal. */
	if (waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	    WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
	_exit(EXIT_FAILURE);
}

static int go_background(struct daemon *d)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		close(fds[1]);
		wait_for_child(fds[0], child);
	}
	close(fds[0]);
	d->ready_fd = fds[1];
	if (setsid() < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static void detach_from_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

/* The kernel has answered: on a thread of the session. */
static void ready(void *arg)
{
	struct daemon *d = arg;
	const char ok = 1;

	log_notice("mounted: bucket=%s on=%s", LOG_Q(d->o.fsname),
		   LOG_Q(d->o.mountpoint));
	utab_register(d->o.fsname, d->o.mountpoint);
	if (d->ready_fd < 0)
		return;
	detach_from_terminal();
	if (write(d->ready_fd, &ok, 1) != 1)
		log_warn("start: the parent is gone");
	close(take_fd(&d->ready_fd));
}

static int open_log(const struct daemon *d)
{
	const struct conf *c = d->o.conf;
	const char *file = c->log.file;
	int rc;

	if (!file && !d->o.foreground)
		file = "syslog";
	rc = log_open("ackfs", file, d->o.debug ? LOG_LVL_DEBUG : c->log.level);
	if (rc < 0)
		fprintf(stderr, "ackfs: log file %s: %s\n", file ? file : "-",
			strerror(-rc));
	return rc;
}

/* -- signals --------------------------------------------------------------- */

static void toggle_debug(const struct daemon *d)
{
	const enum log_level usual = d->o.conf->log.level;

	if (log_get_level() != LOG_LVL_DEBUG) {
		log_set_level(LOG_LVL_DEBUG);
		log_debug("log: debug messages begin");
		return;
	}
	log_debug("log: debug messages end");
	log_set_level(usual == LOG_LVL_DEBUG ? LOG_LVL_NOTICE : usual);
}

static void *drain_main(void *arg)
{
	struct daemon *d = arg;

	stack_drain(d->stack, true);
	utab_forget(d->o.mountpoint);
	mount_stop(stack_mount(d->stack));
	return NULL;
}

static void *signals_main(void *arg)
{
	struct daemon *d = arg;
	bool stopping = false;
	int sig;

	while (sigwait(&d->set, &sig) == 0) {
		switch (sig) {
		case SIGHUP:
			stack_reload(d->stack);
			break;
		case SIGUSR2:
			toggle_debug(d);
			break;
		case SIGUSR1:
			if (atomic_load(&d->is_over))
				return NULL;
			break;
		default:
			if (stopping) {
				stack_hurry(d->stack);
				break;
			}
			stopping = true;
			log_notice(
				"stop: signal=%d, uploads are drained; a second one leaves at once",
				sig);
			d->is_draining = thread_start(&d->drain, "ackfs-drain",
						      drain_main, d) == 0;
			if (!d->is_draining)
				mount_stop(stack_mount(d->stack));
		}
	}
	return NULL;
}

static int start_signals(struct daemon *d)
{
	return thread_start(&d->signals, "ackfs-signal", signals_main, d);
}

static void block_signals(struct daemon *d)
{
	const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

	sigemptyset(&d->set);
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		sigaddset(&d->set, ours[i]);
	pthread_sigmask(SIG_BLOCK, &d->set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* -- lifetime -------------------------------------------------------------- */

static int finish(struct daemon *d, int rc)
{
	size_t left;

	stack_drain(d->stack, false);
	left = stack_left(d->stack);
	atomic_store(&d->is_over, true);
	pthread_kill(d->signals, SIGUSR1);
	pthread_join(d->signals, NULL);
	if (d->is_draining) {
		stack_hurry(d->stack); /* it may wait for what nobody closes */
		pthread_join(d->drain, NULL);
	}
	if (left)
		stack_name_left(d->stack);
	if (left)
		log_warn(
			"unmounted: files_left=%zu; they are staged, the next mount goes on with them",
			left);
	else
		log_notice("unmounted: files_left=0");
	stack_free(d->stack);
	if (rc < 0)
		return EXIT_FAILURE;
	return left ? EXIT_FILES_LEFT : EXIT_SUCCESS;
}

/* Each staged file and each connection is a descriptor. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("start: the limit of open files stays low: errno=%d",
			 errno);
}

static int run(struct daemon *d)
{
	int rc;

	raise_descriptor_limit();
	block_signals(d);
	rc = stack_build(&d->o, ready, d, &d->stack);
	if (rc < 0)
		return EXIT_FAILURE;
	rc = start_signals(d);
	if (rc < 0) {
		stack_free(d->stack);
		return EXIT_FAILURE;
	}
	rc = mount_run(stack_mount(d->stack));
	if (rc < 0)
		log_err("fuse: the session ended: errno=%d", -rc);
	return finish(d, rc);
}

int main(int argc, char **argv)
{
	struct daemon d = {.ready_fd = -1};
	int rc = options_parse(argc, argv, &d.o);

	if (rc != 0 || d.o.check_config) {
		options_release(&d.o);
		return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	rc = d.o.foreground ? 0 : go_background(&d);
	if (rc < 0)
		fprintf(stderr, "ackfs: cannot go to the background: %s\n",
			strerror(-rc));
	if (rc == 0)
		rc = open_log(&d);
	rc = rc == 0 ? run(&d) : EXIT_FAILURE;
	options_release(&d.o);
	return rc;
}
