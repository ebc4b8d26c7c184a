/* SPDX-License-Identifier: Apache-2.0 */
#include "http_script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/crc64.h"
#include "util/lock.h"

enum { CONNECTIONS_MAX = 256, REQUESTS_MAX = 1024 };

struct connection {
	struct http_script *script;
	pthread_t thread;
	int fd;
	int number;
	struct buf in; /* received, not used yet */
};

struct http_script {
	const struct script_step *steps;
	size_t step_count;
	int fd;
	int port;
	pthread_t thread;

	struct lock lock;
	struct cond changed;
	bool stopping;
	bool released;
	struct connection *connections[CONNECTIONS_MAX];
	size_t connection_count;
	struct script_request *requests[REQUESTS_MAX];
	size_t request_count;
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

/* ---- sockets ----------------------------------------------------------- */

static bool send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool fill(struct connection *c)
{
	char piece[65536];
	ssize_t n;

	do
		n = recv(c->fd, piece, sizeof(piece), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	buf_add(&c->in, piece, (size_t)n);
	return buf_error(&c->in) == 0;
}

/* close() answers with RST instead of FIN. */
static void reset(struct connection *c)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void use(struct connection *c, size_t len)
{
	memmove(c->in.data, c->in.data + len, c->in.len - len);
	buf_truncate(&c->in, c->in.len - len);
}

static void stand_still(struct connection *c, bool for_ever)
{
	struct http_script *s = c->script;

	lock_acquire(&s->lock);
	while (!s->stopping && (for_ever || !s->released))
		cond_wait(&s->changed, &s->lock);
	lock_release(&s->lock);
}

/* ---- requests ---------------------------------------------------------- */

static bool read_head(struct connection *c, struct script_request *r)
{
	const char *end;

	while (!(end = strstr(buf_str(&c->in), "\r\n\r\n")))
		if (!fill(c))
			return false;
	r->head = must(strndup(c->in.data, (size_t)(end - c->in.data) + 2));
	r->connection = c->number;
	use(c, (size_t)(end - c->in.data) + 4);
	return true;
}

static const char *find_header(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(head, "\r\n"); at && at[2];
	     at = strstr(at + 2, "\r\n"))
		if (strncasecmp(at + 2, name, len) == 0 && at[2 + len] == ':')
			return at + 3 + len;
	return NULL;
}

static bool read_body(struct connection *c, struct script_request *r,
		      const struct script_step *step)
{
	const char *length = find_header(r->head, "Content-Length");
	const char *expect = find_header(r->head, "Expect");
	size_t want = length ? strtoull(length, NULL, 10) : 0;
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (expect && !step->no_continue &&
	    !send_all(c->fd, go_on, strlen(go_on)))
		return false;
	r->body = must(malloc(want + 1));
	while (r->body_len < want) {
		size_t n = want - r->body_len;

		if (c->in.len == 0 && !fill(c))
			return false;
		if (n > c->in.len)
			n = c->in.len;
		memcpy(r->body + r->body_len, c->in.data, n);
		r->body_len += n;
		use(c, n);
	}
	r->body[want] = '\0';
	return true;
}

/* The step is taken when the head is in, so that order is arrival's. */
static const struct script_step *record(struct http_script *s,
					struct script_request *r)
{
	static const struct script_step over = {.status = 599};
	const struct script_step *step = &over;

	lock_acquire(&s->lock);
	if (s->request_count == REQUESTS_MAX)
		abort();
	if (s->request_count < s->step_count)
		step = &s->steps[s->request_count];
	s->requests[s->request_count++] = r;
	cond_broadcast(&s->changed);
	lock_release(&s->lock);
	return step;
}

/* ---- answers ----------------------------------------------------------- */

static void add_headers(struct buf *out, const char *text,
			const struct script_request *r)
{
	const char *mark = strstr(text, "@CRC@");

	if (!mark) {
		buf_adds(out, text);
		return;
	}
	buf_add(out, text, (size_t)(mark - text));
	buf_addf(out, "%" PRIu64, crc64_update(0, r->body, r->body_len));
	buf_adds(out, mark + strlen("@CRC@"));
}

static void make_head(struct buf *out, const struct script_step *step,
		      const struct script_request *r, size_t body_len)
{
	char date[CLOCK_TEXT_LEN];

	buf_addf(out, "HTTP/1.1 %d Scripted\r\n", step->status);
	if (!step->bare)
		buf_addf(out,
			 "Server: AliyunOSS\r\nDate: %s\r\n"
			 "x-oss-request-id: 5C3D9175B6FC201293AD%04d\r\n",
			 clock_http_date(date, clock_real_ms()), r->connection);
	if (step->chunked)
		buf_adds(out, "Transfer-Encoding: chunked\r\n");
	else if (!step->length && step->status != 204 && step->status != 304)
		buf_addf(out, "Content-Length: %zu\r\n", body_len);
	else if (step->length && *step->length)
		buf_addf(out, "Content-Length: %s\r\n", step->length);
	if (step->headers)
		add_headers(out, step->headers, r);
	buf_adds(out, "\r\n");
}

static void add_chunks(struct buf *out, const char *body, size_t len)
{
	while (len > 0) {
		size_t n = len < 7 ? len : 7;

		buf_addf(out, "%zx\r\n", n);
		buf_add(out, body, n);
		buf_adds(out, "\r\n");
		body += n;
		len -= n;
	}
	buf_adds(out, "0\r\n\r\n");
}

/* @return whether the connection goes on */
static bool answer(struct connection *c, const struct script_step *step,
		   const struct script_request *r)
{
	const char *body = step->body ? step->body : "";
	size_t len = step->body_len ? step->body_len : strlen(body);
	bool head_only = strncmp(r->head, "HEAD ", 5) == 0;
	AUTO(buf_release) struct buf out = BUF_INIT;
	size_t limit = len;
	bool ok;

	if (step->raw) {
		ok = send_all(c->fd, step->raw, strlen(step->raw));
		return ok && !step->close;
	}
	make_head(&out, step, r, len);
	if (step->cut)
		limit = step->cut;
	if (step->stall)
		limit = step->stall;
	if (step->chunked)
		add_chunks(&out, body, len);
	else if (!head_only)
		buf_add(&out, body, limit);
	ok = send_all(c->fd, out.data, out.len);
	if (step->stall)
		stand_still(c, true);
	return ok && limit == len && !step->close;
}

static bool serve_one(struct connection *c)
{
	struct script_request *r = must(calloc(1, sizeof(*r)));
	const struct script_step *step;
	bool early;

	if (!read_head(c, r)) {
		free(r);
		return false;
	}
	step = record(c->script, r);
	early = step->kind == SCRIPT_RESET_EARLY ||
		step->kind == SCRIPT_STALL_EARLY || step->kind == SCRIPT_EARLY;
	if (step->kind == SCRIPT_HOLD_EARLY)
		stand_still(c, false);
	if (!early && !read_body(c, r, step))
		return false;
	switch (step->kind) {
	case SCRIPT_ANSWER:
	case SCRIPT_HOLD_EARLY:
		return answer(c, step, r);
	case SCRIPT_EARLY:
		(void)answer(c, step, r);
		/* Closing with bytes unread would be a reset. */
		(void)shutdown(c->fd, SHUT_WR);
		while (fill(c))
			buf_reset(&c->in);
		return false;
	case SCRIPT_RESET:
	case SCRIPT_RESET_EARLY:
		reset(c);
		return false;
	case SCRIPT_STALL:
	case SCRIPT_STALL_EARLY:
		stand_still(c, true);
		return false;
	case SCRIPT_HOLD:
		stand_still(c, false);
		return answer(c, step, r);
	case SCRIPT_CLOSE:
		return false;
	}
	return false;
}

static void *serve(void *arg)
{
	struct connection *c = arg;

	while (serve_one(c))
		;
	lock_acquire(&c->script->lock);
	close(take_fd(&c->fd));
	lock_release(&c->script->lock);
	return NULL;
}

static void *accept_loop(void *arg)
{
	struct http_script *s = arg;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		struct connection *c;

		if (fd < 0)
			return NULL;
		c = must(calloc(1, sizeof(*c)));
		c->script = s;
		c->fd = fd;
		lock_acquire(&s->lock);
		if (s->stopping || s->connection_count == CONNECTIONS_MAX) {
			close(fd);
			free(c);
		} else {
			c->number = (int)s->connection_count + 1;
			s->connections[s->connection_count++] = c;
			if (pthread_create(&c->thread, NULL, serve, c) != 0)
				abort();
		}
		lock_release(&s->lock);
	}
}

/* ---- the script -------------------------------------------------------- */

struct http_script *http_script_new(const struct script_step *steps,
				    size_t count)
{
	struct http_script *s = must(calloc(1, sizeof(*s)));
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);

	s->steps = steps;
	s->step_count = count;
	lock_init(&s->lock, LOCK_LEAF);
	cond_init(&s->changed);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 ||
	    bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(s->fd, 64) < 0 ||
	    getsockname(s->fd, (struct sockaddr *)&addr, &len) < 0)
		abort();
	s->port = ntohs(addr.sin_port);
	if (pthread_create(&s->thread, NULL, accept_loop, s) != 0)
		abort();
	return s;
}

static void stop(struct http_script *s)
{
	lock_acquire(&s->lock);
	s->stopping = true;
	cond_broadcast(&s->changed);
	for (size_t i = 0; i < s->connection_count; i++)
		if (s->connections[i]->fd >= 0)
			(void)shutdown(s->connections[i]->fd, SHUT_RDWR);
	lock_release(&s->lock);
	(void)shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->connection_count; i++)
		pthread_join(s->connections[i]->thread, NULL);
	close(s->fd);
}

void http_script_free(struct http_script *s)
{
	if (!s)
		return;
	stop(s);
	for (size_t i = 0; i < s->connection_count; i++) {
		buf_release(&s->connections[i]->in);
		free(s->connections[i]);
	}
	for (size_t i = 0; i < s->request_count; i++) {
		free(s->requests[i]->head);
		free(s->requests[i]->body);
		free(s->requests[i]);
	}
	cond_destroy(&s->changed);
	lock_destroy(&s->lock);
	free(s);
}

int http_script_port(const struct http_script *s)
{
	return s->port;
}

size_t http_script_count(struct http_script *s)
{
	size_t n;

	lock_acquire(&s->lock);
	n = s->request_count;
	lock_release(&s->lock);
	return n;
}

bool http_script_wait(struct http_script *s, size_t n, int timeout_ms)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	bool enough;

	lock_acquire(&s->lock);
	while (s->request_count < n &&
	       cond_wait_until(&s->changed, &s->lock, until))
		;
	enough = s->request_count >= n;
	lock_release(&s->lock);
	return enough;
}

void http_script_release(struct http_script *s)
{
	lock_acquire(&s->lock);
	s->released = true;
	cond_broadcast(&s->changed);
	lock_release(&s->lock);
}

const struct script_request *http_script_request(struct http_script *s,
						 size_t i)
{
	const struct script_request *r = NULL;

	lock_acquire(&s->lock);
	if (i < s->request_count)
		r = s->requests[i];
	lock_release(&s->lock);
	return r;
}

const char *http_script_header(struct http_script *s, size_t i,
			       const char *name, char *out, size_t size)
{
	const struct script_request *r = http_script_request(s, i);
	const char *at = r ? find_header(r->head, name) : NULL;

	if (!at)
		return NULL;
	at += strspn(at, " ");
	(void)snprintf(out, size, "%.*s", (int)strcspn(at, "\r\n"), at);
	return out;
}
