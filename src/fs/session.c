/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device is read without blocking, and waited for with poll() beside an
 * eventfd: so a thread that waits for requests can be told to leave, without
 * signals.
 *
 * libfuse leaves large requests in a pipe (splice), everything below a page in
 * memory: FLUSH, RELEASE and FORGET can always be looked at.
 */
#include "fs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
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
};

struct buffer {
	struct fuse_buf buf;
	struct buffer *next;
};

/*
 * lock guards everything below it; it is never held while receiving or
 * processing.
 */
struct session {
	struct fuse_session *se;
	const struct session_conf *conf;
	int fd;
	int wake;  /* readable once stopped */
	int ended; /* readable when the last thread has gone */
	struct lock lock;
	struct cond turn;
	bool receiving; /* a thread does, or is about to */
	bool stopped;
	int threads;
	int idle; /* wait for their turn */
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
	cond_broadcast(&s->turn);
	signal_fd(s->wake);
}

static void stop(struct session *s, int error)
{
	lock_acquire(&s->lock);
	stop_locked(s, error);
	lock_release(&s->lock);
}

/* ---- receiving --------------------------------------------------------- */

/* Nothing came for a while: what a burst has needed and freed goes back. */
static void rest(struct session *s, struct buffer *b)
{
	free(b->buf.mem); /* libfuse makes a new one */
	b->buf.mem = NULL;
	lock_acquire(&s->lock);
	buffers_drop_locked(s);
	lock_release(&s->lock);
	malloc_trim(0);
}

/* @return 1 when there may be a request, 0 to leave, or -errno */
static int wait_request(struct session *s, struct buffer *b)
{
	struct pollfd fds[] = {
		{.fd = s->fd,   .events = POLLIN},
		{.fd = s->wake, .events = POLLIN}
        };
	int n = poll(fds, ARRAY_LEN(fds), QUIET_MS);

	if (n == 0) {
		rest(s, b);
		n = poll(fds, ARRAY_LEN(fds), -1);
	}
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	return fds[1].revents ? 0 : 1;
}

/* @return the request's length, 0 to leave, or -errno */
static int receive(struct session *s, struct buffer *b)
{
	int rc = fuse_session_receive_buf(s->se, &b->buf);

	while (rc == -EAGAIN || rc == -EINTR) {
		rc = rc == -EAGAIN ? wait_request(s, b) : 1;
		if (rc > 0)
			rc = fuse_session_receive_buf(s->se, &b->buf);
	}
	return rc == -ECONNABORTED ? 0 : rc;
}

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

/* ls -l asks two for each file, and every first write one. */
static bool asks_foreign_xattr(const struct session *s, const struct buffer *b)
{
	const size_t head =
		sizeof(struct fuse_in_header) + sizeof(struct fuse_getxattr_in);
	const char *name = (const char *)b->buf.mem + head;
	const char *own = s->conf->own_xattrs;

	return own && b->buf.size > head + strlen(own) &&
	       strncmp(name, own, strlen(own)) != 0;
}

/* Requests that wait for nothing are not worth waking another thread. */
static bool process_at_once(struct session *s, struct buffer *b)
{
	const struct fuse_in_header *in = header_of(b);

	if (!in)
		return false;
	if (in->opcode == FUSE_INIT)
		process_init(s, b);
	else if (in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET ||
		 (in->opcode == FUSE_GETXATTR && asks_foreign_xattr(s, b)))
		fuse_session_process_buf(s->se, &b->buf);
	else
		return false;
	return true;
}

static int receive_one(struct session *s, struct buffer *b)
{
	int rc;

	do {
		rc = fuse_session_exited(s->se) ? 0 : receive(s, b);
	} while (rc > 0 && process_at_once(s, b));
	if (rc > 0)
		tell_closing(s, b);
	return rc;
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

/* Who received hands the turn on: to one that waits, else to a new thread.  At
   the limit the first to finish takes it.  The lock is released first: who is
   woken wants it. */
static void hand_on_locked(struct session *s) ACK_RELEASE(s->lock)
{
	int max = s->conf->max_threads > 0 ? s->conf->max_threads : THREADS_MAX;
	bool wake = s->idle > 0;
	int rc = 0;

	s->receiving = false;
	if (!wake && s->threads < max)
		rc = thread_add_locked(s);
	lock_release(&s->lock);
	if (wake)
		cond_signal(&s->turn);
	if (rc < 0)
		log_debug("session: no thread: errno=%d", -rc);
}

/* @return false: leave */
static bool take_turn_locked(struct session *s) ACK_REQUIRES(s->lock)
{
	while (s->receiving && !s->stopped) {
		if (s->idle >= IDLE_MAX)
			return false;
		s->idle++;
		cond_wait(&s->turn, &s->lock);
		s->idle--;
	}
	if (s->stopped)
		return false;
	s->receiving = true;
	return true;
}

/* With the turn. @return false: leave */
static bool serve_one_locked(struct session *s) ACK_REQUIRES(s->lock)
{
	struct buffer *b = buffer_get_locked(s);
	int rc = -ENOMEM;

	lock_release(&s->lock);
	if (b)
		rc = receive_one(s, b);
	lock_acquire(&s->lock);
	if (rc <= 0) {
		s->receiving = false;
		stop_locked(s, rc);
		buffer_free(b);
		return false;
	}
	hand_on_locked(s);
	fuse_session_process_buf(s->se, &b->buf);
	lock_acquire(&s->lock);
	buffer_put_locked(s, b);
	if (fuse_session_exited(s->se))
		stop_locked(s, 0);
	return true;
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
	bool stay = true;

	lock_acquire(&s->lock);
	while (stay && take_turn_locked(s))
		stay = serve_one_locked(s);
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
	cond_init(&s.turn);
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
	cond_destroy(&s.turn);
	lock_destroy(&s.lock);
	return rc;
}
