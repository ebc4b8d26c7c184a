/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle threads wait for the device, each with an epoll of its own: EPOLLEXCLUSIVE
 * makes the kernel wake one of them for a request, the one that came first, so
 * that requests which follow each other find the same thread and wake no other.
 * An eventfd beside it tells them to leave, without signals.
 *
 * A request is read into memory, in one system call, unless the one before was
 * large: then libfuse receives it, by way of a pipe, and leaves it there if it is
 * large too (splice), so that its bytes are copied once less.  FLUSH, RELEASE and
 * FORGET can always be looked at.
 */
#include "fs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "fs/session_init.h"
#include "util/base.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/thread.h"

enum {
	THREADS_MAX = 200,
	IDLE_MAX = 8,
	/* Without requests for so long, buffers are given back. */
	QUIET_MS = 5000,
	/* A request whose copy is worth two more system calls. */
	LARGE = 64 << 10,
};

struct buffer {
	struct fuse_buf buf;
	struct buffer *next;
};

/*
 * lock guards everything below it, and the order of arrival: it is held while a
 * request is read, which does not block, and never while one is processed.
 */
struct session {
	struct fuse_session *se;
	const struct session_conf *conf;
	int fd;
	int wake;  /* readable once stopped */
	int ended; /* readable when the last thread has gone */
	struct lock lock;
	bool stopped;
	int threads;
	int idle;      /* wait for a request */
	bool is_large; /* the last request was */
	/* Who left last, and joined who left before it.  Joined, not detached:
	   libfuse keeps something for each thread. */
	pthread_t left;
	bool any_left;
	int error;
	/* Spare buffers, the one used last first: it is in the cache. */
	struct buffer *spare;
};

/* ---- buffers ----------------------------------------------------------- */

static void buffer_free(struct buffer *b)
{
	if (!b)
		return;
	free(b->buf.mem);
	free(b);
}

static struct buffer *buffer_get_locked(struct session *s) ACK_REQUIRES(s->lock)
{
	struct buffer *b = s->spare;

	if (!b)
		return calloc(1, sizeof(*b));
	s->spare = b->next;
	return b;
}

static void buffer_put_locked(struct session *s, struct buffer *b)
	ACK_REQUIRES(s->lock)
{
	b->next = s->spare;
	s->spare = b;
}

static void buffers_drop_locked(struct session *s) ACK_REQUIRES(s->lock)
{
	while (s->spare) {
		struct buffer *b = s->spare;

		s->spare = b->next;
		buffer_free(b);
	}
}

/* ---- ending ------------------------------------------------------------ */

static void signal_fd(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		log_err("session: cannot signal: errno=%d", errno);
}

static void stop_locked(struct session *s, int error) ACK_REQUIRES(s->lock)
{
	if (error < 0 && s->error == 0)
		s->error = error;
	if (s->stopped)
		return;
	s->stopped = true;
	signal_fd(s->wake);
}

static void stop(struct session *s, int error)
{
	lock_acquire(&s->lock);
	stop_locked(s, error);
	lock_release(&s->lock);
}

/* ---- receiving --------------------------------------------------------- */

/* NULL for a large one, whose header is in a pipe. */
static const struct fuse_in_header *header_of(const struct buffer *b)
{
	if (b->buf.flags & FUSE_BUF_IS_FD)
		return NULL;
	return b->buf.mem;
}

static void tell_closing(const struct session *s, const struct buffer *b)
{
	const struct fuse_in_header *in = header_of(b);

	if (in && s->conf->closing &&
	    (in->opcode == FUSE_FLUSH || in->opcode == FUSE_RELEASE))
		s->conf->closing(s->conf->arg, in->nodeid, in->opcode,
				 in->unique);
}

/* Into memory of libfuse's. @return as receive_locked() */
static int read_request(const struct session *s, struct buffer *b)
{
	ssize_t n =
		read(s->fd, b->buf.mem, s->conf->max_write + SESSION_HEADER);

	if (n < 0 && errno == ENODEV) { /* unmounted */
		fuse_session_exit(s->se);
		return 0;
	}
	if (n < 0) /* ENOENT: its caller was killed just now */
		return errno == ENOENT ? -EINTR : -errno;
	b->buf.flags = 0;
	b->buf.size = (size_t)n;
	return (int)n;
}

/* @return the request's length, 0 to leave, -EAGAIN: none is there, or -errno */
static int receive_locked(struct session *s, struct buffer *b)
	ACK_REQUIRES(s->lock)
{
	bool reads = s->conf->max_write && b->buf.mem && !s->is_large;
	int rc;

	do
		rc = reads ? read_request(s, b)
			   : fuse_session_receive_buf(s->se, &b->buf);
	while (rc == -EINTR);
	if (rc > 0) {
		s->is_large = rc > LARGE;
		tell_closing(s, b);
	}
	return rc == -ECONNABORTED ? 0 : rc;
}

static void process_init(struct session *s, struct buffer *b)
{
	uint32_t flags = FUSE_PARALLEL_DIROPS;

	if (s->conf->clears_privileges)
		flags |= FUSE_HANDLE_KILLPRIV_V2;
	session_init_begin(b->buf.mem, b->buf.size, flags);
	fuse_session_process_buf(s->se, &b->buf);
	session_init_end();
	/* What was agreed on decides how large buffers are. */
	free(b->buf.mem);
	b->buf.mem = NULL;
}

static void process(struct session *s, struct buffer *b)
{
	const struct fuse_in_header *in = header_of(b);

	if (in && in->opcode == FUSE_INIT)
		process_init(s, b);
	else
		fuse_session_process_buf(s->se, &b->buf);
}

/* ---- threads ----------------------------------------------------------- */

static void *work(void *arg);

static int thread_add_locked(struct session *s) ACK_REQUIRES(s->lock)
{
	pthread_t id;
	int rc = thread_start(&id, "ackfs-fuse", work, s);

	if (rc == 0)
		s->threads++;
	return rc;
}

/* Somebody must be there to receive while this thread is at work.  At the limit
   the first to finish is. */
static void find_successor_locked(struct session *s) ACK_REQUIRES(s->lock)
{
	int max = s->conf->max_threads > 0 ? s->conf->max_threads : THREADS_MAX;
	int rc = 0;

	if (s->idle == 0 && s->threads < max)
		rc = thread_add_locked(s);
	if (rc < 0)
		log_debug("session: no thread: errno=%d", -rc);
}

/* There may be a request. @return whether the session goes on */
static bool serve_one_locked(struct session *s) ACK_REQUIRES(s->lock)
{
	struct buffer *b = buffer_get_locked(s);
	int rc = b ? receive_locked(s, b) : -ENOMEM;

	if (rc > 0) {
		find_successor_locked(s);
		lock_release(&s->lock);
		process(s, b);
		lock_acquire(&s->lock);
	}
	if (b)
		buffer_put_locked(s, b);
	if (rc == -EAGAIN) /* another thread was faster */
		return true;
	if (rc <= 0 || fuse_session_exited(s->se))
		stop_locked(s, rc);
	return !s->stopped;
}

/* Nothing came for a while: what a burst has needed and freed goes back. */
static void rest(struct session *s)
{
	lock_acquire(&s->lock);
	buffers_drop_locked(s);
	lock_release(&s->lock);
	malloc_trim(0);
}

/* Until there may be a request, or the end. @return 0, -errno */
static int wait_request(struct session *s, int epoll)
{
	struct epoll_event event;
	int n = epoll_wait(epoll, &event, 1, QUIET_MS);

	if (n == 0) {
		rest(s);
		n = epoll_wait(epoll, &event, 1, -1);
	}
	return n < 0 && errno != EINTR ? -errno : 0;
}

static int wait_request_locked(struct session *s, int epoll)
	ACK_REQUIRES(s->lock)
{
	int rc;

	s->idle++;
	lock_release(&s->lock);
	rc = wait_request(s, epoll);
	lock_acquire(&s->lock);
	s->idle--;
	return rc;
}

static int watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* @return a descriptor, or -errno */
static int epoll_new(const struct session *s)
{
	AUTO_CLOSE int epoll = epoll_create1(EPOLL_CLOEXEC);
	int rc = epoll < 0 ? -errno : 0;

	if (rc == 0)
		rc = watch(epoll, s->fd, EPOLLIN | EPOLLEXCLUSIVE);
	if (rc == 0)
		rc = watch(epoll, s->wake, EPOLLIN);
	return rc < 0 ? rc : take_fd(&epoll);
}

static void serve_locked(struct session *s) ACK_REQUIRES(s->lock)
{
	AUTO_CLOSE int epoll = epoll_new(s);
	int rc = epoll < 0 ? epoll : 0;

	while (rc == 0 && !s->stopped && s->idle < IDLE_MAX) {
		rc = wait_request_locked(s, epoll);
		if (rc == 0 && !s->stopped && !serve_one_locked(s))
			return;
	}
	/* The others go on, if there are any. */
	if (rc < 0 && s->threads == 1)
		stop_locked(s, rc);
}

/* The lock is released; s may be gone then. */
static void leave_locked(struct session *s) ACK_RELEASE(s->lock)
{
	pthread_t before = s->left;
	bool any = s->any_left;

	s->left = pthread_self();
	s->any_left = true;
	if (--s->threads == 0)
		signal_fd(s->ended);
	lock_release(&s->lock);
	if (any)
		pthread_join(before, NULL);
}

static void *work(void *arg)
{
	struct session *s = arg;

	lock_acquire(&s->lock);
	serve_locked(s);
	leave_locked(s);
	return NULL;
}

/* ---- the whole --------------------------------------------------------- */

/* Wait for whatever ends the session. */
static void wait_end(struct session *s)
{
	struct pollfd fds[] = {
		{.fd = s->ended,         .events = POLLIN},
		{.fd = s->conf->stop_fd, .events = POLLIN}
        };

	while (!fds[0].revents) {
		int n = poll(fds, ARRAY_LEN(fds), -1);

		if (n < 0 && errno != EINTR) {
			stop(s, -errno);
			fds[1].fd = -1;
		}
		if (n < 0) {
			fds[0].revents = 0;
			if (fuse_session_exited(s->se))
				stop(s, 0);
		} else if (fds[1].revents) {
			stop(s, 0);
			fds[1].fd = -1; /* poll() passes over it */
		}
	}
}

static int set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int start(struct session *s)
{
	int rc = set_nonblock(s->fd);

	if (rc < 0)
		return rc;
	rc = session_init_install(s->se);
	if (rc < 0)
		log_warn("session: INIT stays as libfuse answers it: errno=%d",
			 -rc);
	lock_acquire(&s->lock);
	rc = thread_add_locked(s);
	lock_release(&s->lock);
	return rc;
}

int session_run(struct fuse_session *se, const struct session_conf *conf)
{
	AUTO_CLOSE int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	AUTO_CLOSE int ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct session s = {.se = se, .conf = conf, .wake = wake};
	int rc;

	if (wake < 0 || ended < 0)
		return -errno;
	s.ended = ended;
	s.fd = fuse_session_fd(se);
	lock_init(&s.lock, LOCK_SESSION);
	rc = start(&s);
	if (rc == 0) {
		wait_end(&s);
		lock_acquire(&s.lock); /* the last thread has left it */
		rc = s.error;
		buffers_drop_locked(&s);
		lock_release(&s.lock);
		pthread_join(s.left, NULL);
	}
	fuse_session_exit(se);
	lock_destroy(&s.lock);
	return rc;
}
