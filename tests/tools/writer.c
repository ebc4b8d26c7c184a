/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that write a file in a way shells and coreutils do not:
 *
 *     writer VERB FILE [ARGUMENT]
 *
 * Each writes lines "one", "two", ... and ends with status 0 only when every
 * call did what it should.  The mount tests count the uploads that follow.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/base.h"
#include "util/strnum.h"

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "writer: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static int open_new(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CREAT | flags, 0644);

	check(fd >= 0, "open");
	return fd;
}

static void put(int fd, const char *line)
{
	size_t len = strlen(line);

	check(write(fd, line, len) == (ssize_t)len, "write");
}

static void shut(int fd)
{
	check(close(fd) == 0, "close");
}

static pid_t split(void)
{
	pid_t pid = fork();

	check(pid >= 0, "fork");
	return pid;
}

static void join(pid_t pid)
{
	int status;

	check(waitpid(pid, &status, 0) == pid && status == 0, "child");
}

/* A pipe: one process tells another to go on. */
struct signal_pipe {
	int fd[2];
};

static struct signal_pipe pipe_new(void)
{
	struct signal_pipe p;

	check(pipe2(p.fd, O_CLOEXEC) == 0, "pipe");
	return p;
}

static void tell(const struct signal_pipe *p)
{
	check(write(p->fd[1], "", 1) == 1, "tell");
}

static void hear(const struct signal_pipe *p)
{
	char c;

	check(read(p->fd[0], &c, 1) == 1, "hear");
}

/* -- descriptors ------------------------------------------------------------ */

static void use_dup(const char *path, const char *arg)
{
	int fd = open_new(path, 0), second = dup(fd);

	(void)arg;
	check(second >= 0, "dup");
	put(fd, "one\n");
	shut(fd);
	put(second, "two\n");
	shut(second);
}

/* Another process closes a descriptor that came through a socket last. */
static void send_fd(int to, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 'x';
	struct iovec one = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &one,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	check(sendmsg(to, &m, 0) == 1, "sendmsg");
}

static int receive_fd(int from)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	struct iovec one = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &one,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	int fd = -1;

	check(recvmsg(from, &m, 0) == 1, "recvmsg");
	c = CMSG_FIRSTHDR(&m);
	if (c)
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	check(fd >= 0, "a descriptor");
	return fd;
}

static void pass_fd(const char *path, const char *arg)
{
	int pair[2], fd;
	pid_t child;

	(void)arg;
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
	child = split();
	if (child == 0) {
		fd = receive_fd(pair[1]);
		put(fd, "one\n");
		shut(fd);
		_exit(0);
	}
	fd = open_new(path, 0);
	send_fd(pair[0], fd);
	shut(fd);
	join(child);
}

/* -- processes -------------------------------------------------------------- */

/* The child's close is the last, and the only one with changes. */
static void fork_child_last(const char *path, const char *arg)
{
	struct signal_pipe go = pipe_new();
	int fd = open_new(path, 0);
	pid_t child = split();

	(void)arg;
	if (child == 0) {
		hear(&go);
		put(fd, "one\n");
		shut(fd);
		_exit(0);
	}
	shut(fd);
	tell(&go);
	join(child);
}

/* The child closes in between, by exit; the parent goes on. */
static void fork_parent_last(const char *path, const char *arg)
{
	int fd = open_new(path, 0);
	pid_t child;

	(void)arg;
	put(fd, "one\n");
	child = split();
	if (child == 0) {
		put(fd, "two\n");
		_exit(0);
	}
	join(child);
	put(fd, "three\n");
	shut(fd);
}

/* The parent has finished, as far as anybody can know; the child has not. */
static void fork_child_goes_on(const char *path, const char *arg)
{
	struct signal_pipe go = pipe_new();
	int fd = open_new(path, 0);
	pid_t child;

	(void)arg;
	put(fd, "one\n");
	child = split();
	if (child == 0) {
		hear(&go);
		put(fd, "two\n");
		shut(fd);
		_exit(0);
	}
	shut(fd);
	tell(&go);
	join(child);
}

/* As daemons do: the opener exits before anything is written. */
static void daemonize(const char *path, const char *arg)
{
	struct signal_pipe gone = pipe_new(), done = pipe_new();
	int fd;
	pid_t child = split();

	(void)arg;
	if (child == 0) {
		fd = open_new(path, 0);
		if (split() == 0) {
			hear(&gone);
			put(fd, "one\n");
			shut(fd);
			tell(&done);
			_exit(0);
		}
		_exit(0);
	}
	join(child);
	tell(&gone);
	hear(&done);
}

/* Two programs that know nothing of each other. */
static void two_writers(const char *path, const char *arg)
{
	struct signal_pipe opened = pipe_new(), go = pipe_new();
	pid_t child = split();
	int fd;

	(void)arg;
	if (child == 0) {
		fd = open_new(path, O_APPEND);
		tell(&opened);
		hear(&go);
		put(fd, "two\n");
		shut(fd);
		_exit(0);
	}
	hear(&opened);
	fd = open_new(path, O_APPEND);
	put(fd, "one\n");
	shut(fd);
	tell(&go);
	join(child);
}

/* execve() closes the descriptor, in the kernel, under its own locks. */
static void exec_cloexec(const char *path, const char *arg)
{
	int fd = open_new(path, O_CLOEXEC);

	put(fd, "one\n");
	execl(arg ? arg : "/bin/true", "true", (char *)NULL);
	check(false, "exec");
}

/* -- threads ---------------------------------------------------------------- */

struct baton {
	const char *path;
	int fd;
};

static void *thread_open(void *arg)
{
	struct baton *b = arg;

	b->fd = open_new(b->path, 0);
	put(b->fd, "one\n");
	return NULL;
}

static void *thread_close(void *arg)
{
	struct baton *b = arg;

	put(b->fd, "two\n");
	shut(b->fd);
	return NULL;
}

static void run_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	check(pthread_create(&t, NULL, fn, arg) == 0, "thread");
	check(pthread_join(t, NULL) == 0, "join");
}

static void two_threads(const char *path, const char *arg)
{
	struct baton b = {.path = path};

	(void)arg;
	run_thread(thread_open, &b);
	run_thread(thread_close, &b);
}

static void *thread_wait(void *arg)
{
	(void)arg;
	while (true)
		pause();
	return NULL;
}

static void start_threads(int n)
{
	pthread_t t;

	while (n-- > 0)
		check(pthread_create(&t, NULL, thread_wait, NULL) == 0,
		      "thread");
}

/* -- time and again --------------------------------------------------------- */

static void reopen(const char *path, const char *arg)
{
	int fd = open_new(path, O_EXCL);

	(void)arg;
	shut(fd);
	fd = open_new(path, O_TRUNC);
	put(fd, "one\n");
	shut(fd);
}

static void seek_back(const char *path, const char *arg)
{
	int fd = open_new(path, O_TRUNC);

	(void)arg;
	put(fd, "???\ntwo\n");
	check(lseek(fd, 0, SEEK_SET) == 0, "seek");
	put(fd, "one\n");
	shut(fd);
}

/* Stores through a mapping, before and after close(2). */
static void map(const char *path, const char *arg)
{
	int fd = open_new(path, 0);
	char *p;

	(void)arg;
	check(ftruncate(fd, 8) == 0, "ftruncate");
	p = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(p != MAP_FAILED, "mmap");
	memcpy(p, "one\n", 4);
	shut(fd);
	memcpy(p + 4, "two\n", 4);
	check(munmap(p, 8) == 0, "munmap");
}

/* -- ends without close ------------------------------------------------------ */

/* ARG, or what stands for none. */
static int number(const char *arg, int none)
{
	int64_t n = none;

	check(!arg || parse_i64(arg, 0, INT_MAX, &n) == 0, "number");
	return (int)n;
}

static void leave(const char *path, const char *arg)
{
	put(open_new(path, 0), "one\n");
	exit(number(arg, 0));
}

static void leave_threads(const char *path, const char *arg)
{
	put(open_new(path, 0), "one\n");
	start_threads(8);
	exit(number(arg, 0));
}

static void *thread_exit(void *arg)
{
	(void)arg;
	exit(0);
}

static void leave_by_thread(const char *path, const char *arg)
{
	(void)arg;
	put(open_new(path, 0), "one\n");
	start_threads(8);
	run_thread(thread_exit, NULL);
}

static void die(int sig)
{
	/* No core file in the working directory. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	signal(sig, SIG_DFL);
	raise(sig);
	_exit(1);
}

static void fault(const char *path, const char *arg)
{
	(void)arg;
	put(open_new(path, 0), "one\n");
	die(SIGSEGV);
}

static void fault_threads(const char *path, const char *arg)
{
	(void)arg;
	put(open_new(path, 0), "one\n");
	start_threads(8);
	die(SIGSEGV);
}

static void give_up(const char *path, const char *arg)
{
	(void)arg;
	put(open_new(path, 0), "one\n");
	die(SIGABRT);
}

/* The opener dies while its child still has the file, and closes it. */
static void orphan(const char *path, const char *arg)
{
	struct signal_pipe gone = pipe_new(), done = pipe_new();
	pid_t opener = split();
	int fd, status;

	(void)arg;
	if (opener == 0) {
		fd = open_new(path, 0);
		put(fd, "one\n");
		if (split() == 0) {
			hear(&gone);
			put(fd, "two\n");
			shut(fd);
			tell(&done);
			_exit(0);
		}
		die(SIGKILL);
	}
	check(waitpid(opener, &status, 0) == opener && WIFSIGNALED(status),
	      "opener");
	tell(&gone);
	hear(&done);
}

/* Writes SIZE bytes, says so, and keeps the file open until standard input
 * ends; then another line, and a close whose error is the exit status. */
static void hold(const char *path, const char *arg)
{
	static char block[65536];
	long left = number(arg, 4);
	int fd = open_new(path, O_TRUNC);
	char c;

	memset(block, 'x', sizeof(block));
	for (long n; left > 0; left -= n) {
		n = left < (long)sizeof(block) ? left : (long)sizeof(block);
		check(write(fd, block, (size_t)n) == n, "write");
	}
	check(write(STDOUT_FILENO, "ready\n", 6) == 6, "stdout");
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	if (close(fd) != 0) {
		fprintf(stderr, "close: %s\n", strerrorname_np(errno));
		_exit(1);
	}
}

static const struct verb {
	const char *name;
	void (*fn)(const char *path, const char *arg);
} verbs[] = {
	{"dup",              use_dup           },
	{"pass-fd",          pass_fd           },
	{"fork-child-last",  fork_child_last   },
	{"fork-parent-last", fork_parent_last  },
	{"fork-child-on",    fork_child_goes_on},
	{"daemonize",        daemonize         },
	{"two-writers",      two_writers       },
	{"exec",             exec_cloexec      },
	{"threads",          two_threads       },
	{"reopen",           reopen            },
	{"seek-back",        seek_back         },
	{"map",              map               },
	{"exit",             leave             },
	{"exit-threads",     leave_threads     },
	{"exit-by-thread",   leave_by_thread   },
	{"segfault",         fault             },
	{"segfault-threads", fault_threads     },
	{"abort",            give_up           },
	{"orphan",           orphan            },
	{"hold",             hold              },
};

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("Usage: writer VERB FILE [ARGUMENT]\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0) {
			verbs[i].fn(argv[2], argv[3]);
			return 0;
		}
	fprintf(stderr, "writer: %s: no such verb\n", argv[1]);
	return 2;
}
