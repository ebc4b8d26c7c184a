/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transfer runs on a multi handle of its own instead of curl_easy_perform(),
 * whose loop looks at nothing for up to a second while no byte moves: here the
 * limits and the caller's cancel are looked at every POLL_MS.
 */
#include "http/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "http/slot.h"
#include "util/clock.h"
#include "util/log.h"

enum {
	POLL_MS = 100,
	RATE_WINDOW_MS = 5000,
	EXPECT_MS = 500,
	KEEPALIVE_SEC = 30,
	HEADERS_MAX = 256,
	HEADER_BYTES_MAX = 128 << 10,
	BODY_MAX = 1 << 20,
	SMALL = 64 << 10,
	LARGE = 256 << 10, /* more was no faster, and 64 of them count */
};

/* How much had moved at a time. */
struct mark {
	int64_t at_ms;
	uint64_t bytes;
};

struct transfer {
	const struct http_request *req;
	struct http_response *resp;
	struct http_slot *slot;
	struct curl_slist *headers;
	size_t header_bytes;
	uint64_t source_off;
	struct buf small; /* the whole body, if is_small() */
	bool head_done;   /* the empty line after the headers came */
	bool began;       /* begin() was asked */
	bool to_caller;   /* and takes the body */
	bool lost;     /* the connection died, after it had begun to go out */
	int local_err; /* what a callback of the caller's returned */
	uint64_t sent; /* body bytes, as last looked at */
	uint64_t got;
	struct mark now, before; /* begins of the last two windows */
	int64_t moved_ms;
	int64_t sent_all_ms; /* 0: not yet */
	char curl_why[CURL_ERROR_SIZE];
};

void http_response_release(struct http_response *r)
{
	kvs_release(&r->headers);
	buf_release(&r->body);
}

static int fail(struct transfer *t, int err, const char *why)
{
	(void)snprintf(t->resp->why, sizeof(t->resp->why), "%s", why);
	return err;
}

/* libcurl sends what it has in memory together with the head, and needs no
   further look at the socket for it. */
static bool is_small(const struct http_request *req)
{
	return !req->expect_continue && (!req->body || req->body->size < SMALL);
}

/* ---- what libcurl calls ------------------------------------------------ */

static int local_error(struct transfer *t, int err, const char *why)
{
	t->local_err = err;
	t->resp->local = true;
	return fail(t, err, why);
}

/* @return bytes, 1..len, or -errno */
static ssize_t read_source(struct transfer *t, void *to, size_t len,
			   uint64_t off)
{
	const struct http_source *src = t->req->body;
	ssize_t n = src->read(src->arg, to, len, off);

	if (n > 0)
		return n;
	return local_error(t, n < 0 ? (int)n : -EIO,
			   n < 0 ? "reading the body failed"
				 : "the body is shorter than announced");
}

static int read_small(struct transfer *t)
{
	const struct http_source *src = t->req->body;

	if (!src || !is_small(t->req))
		return 0;
	while (t->small.len < src->size) {
		size_t left = (size_t)src->size - t->small.len;
		char *to = buf_reserve(&t->small, left);
		ssize_t n;

		if (!to)
			return -ENOMEM;
		n = read_source(t, to, left, t->small.len);
		if (n < 0)
			return (int)n;
		buf_commit(&t->small, (size_t)n);
	}
	return 0;
}

static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * count;
	ssize_t n;

	if (len > t->req->body->size - t->source_off)
		len = t->req->body->size - t->source_off;
	if (len == 0)
		return 0;
	n = read_source(t, to, len, t->source_off);
	if (n < 0)
		return CURL_READFUNC_ABORT;
	t->source_off += (uint64_t)n;
	return (size_t)n;
}

/* libcurl begins anew when a kept-alive connection was dead. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_FAIL;
	t->source_off = 0;
	return CURL_SEEKFUNC_OK;
}

static bool has_begun(const struct transfer *t)
{
	long sent = 0;

	(void)curl_easy_getinfo(t->slot->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent > 0;
}

/* A request that is given up, by us or by SIGKILL, must not arrive later from
   the kernel's buffers, over what was stored since: the socket's end is a reset
   and throws them away.
   The second socket of a request that has begun: libcurl takes the kept-alive
   connection for dead.  But the server may have acted on what it got. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	const struct linger none = {.l_onoff = 1, .l_linger = 0};
	struct transfer *t = arg;

	(void)purpose;
	t->lost = t->req->body && has_begun(t);
	if (t->lost) {
		t->resp->sent_all |= is_small(t->req); /* in one go */
		return CURL_SOCKOPT_ERROR;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	return CURL_SOCKOPT_OK;
}

static void status_line(struct transfer *t, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	int status = 0;

	for (int i = 1; space && i <= 3; i++) {
		if (space + i >= line + len || space[i] < '0' || space[i] > '9')
			return;
		status = status * 10 + (space[i] - '0');
	}
	kvs_release(&t->resp->headers);
	/* "100 Continue" is no answer yet. */
	t->resp->status = status >= 200 ? status : 0;
}

static int header_line(struct transfer *t, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const char *from, *end = line + len;

	if (!colon || t->resp->headers.count >= HEADERS_MAX)
		return 0;
	from = colon + 1;
	while (end > from && strchr("\r\n\t ", end[-1]))
		end--;
	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	return kvs_addn(&t->resp->headers, line, (size_t)(colon - line), from,
			(size_t)(end - from));
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * count;
	int rc;

	t->header_bytes += len;
	if (t->began) /* a trailer */
		return len;
	if (t->header_bytes > HEADER_BYTES_MAX) {
		fail(t, -EPROTO, "too many headers in the answer");
		return 0;
	}
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
		status_line(t, line, len);
		t->head_done = false;
		return len;
	}
	t->head_done = len <= 2; /* the empty line */
	rc = header_line(t, line, len);
	if (rc < 0) {
		local_error(t, rc, "out of memory");
		return 0;
	}
	return len;
}

static int begin(struct transfer *t)
{
	int rc = 0;

	t->began = true;
	if (t->req->begin)
		rc = t->req->begin(t->req->arg, t->resp);
	if (rc < 0)
		return local_error(t, rc, "the answer was refused");
	t->to_caller = rc > 0;
	return 0;
}

static int keep_body(struct transfer *t, const void *data, size_t len)
{
	struct http_response *r = t->resp;
	size_t room = r->body.max - r->body.len;

	if (len > room) {
		r->body_cut = true;
		len = room;
	}
	buf_add(&r->body, data, len);
	return buf_error(&r->body);
}

static size_t on_write(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * count;
	int rc = 0;

	if (!t->began)
		rc = begin(t);
	if (rc < 0)
		return CURL_WRITEFUNC_ERROR;
	if (t->to_caller)
		rc = t->req->write(t->req->arg, data, len);
	else
		rc = keep_body(t, data, len);
	if (rc < 0) {
		local_error(t, rc, "writing the answer's body failed");
		return CURL_WRITEFUNC_ERROR;
	}
	t->resp->received += len;
	if (t->req->progress && t->to_caller)
		atomic_fetch_add(t->req->progress, len);
	/* What was kept is all there will be. */
	return t->resp->body_cut ? CURL_WRITEFUNC_ERROR : len;
}

/* ---- setting up -------------------------------------------------------- */

static bool is_clean(const char *s)
{
	return strpbrk(s, "\r\n") == NULL;
}

static int add_header(struct transfer *t, const char *line)
{
	struct curl_slist *l = curl_slist_append(t->headers, line);

	if (!l)
		return -ENOMEM;
	t->headers = l;
	return 0;
}

/* "Name;" is libcurl's way to send a header without a value. */
static int add_pair(struct transfer *t, const struct kv *h, struct buf *line)
{
	if (!is_clean(h->name) || !is_clean(h->value) || !*h->name)
		return fail(t, -EINVAL, "a header with a line break in it");
	buf_truncate(line, 0);
	buf_adds(line, h->name);
	buf_adds(line, *h->value ? ": " : ";");
	buf_adds(line, h->value);
	return buf_error(line) < 0 ? -ENOMEM : add_header(t, buf_str(line));
}

/* "Name:" is none, not even libcurl's own. */
static int make_headers(struct transfer *t)
{
	AUTO(buf_release) struct buf line = BUF_INIT;
	const struct kvs *list = t->req->headers;
	int rc = add_header(t, "Accept:");

	if (rc == 0)
		rc = add_header(t, "Content-Type:");
	if (rc == 0 && t->req->expect_continue)
		rc = add_header(t, "Expect: 100-continue");
	else if (rc == 0)
		rc = add_header(t, "Expect:");
	for (size_t i = 0; rc == 0 && list && i < list->count; i++)
		rc = add_pair(t, &list->items[i], &line);
	return rc;
}

/* One option after the other, as long as all is well. */
#define SET(option, value)                                                     \
	do {                                                                   \
		if (rc == CURLE_OK)                                            \
			rc = curl_easy_setopt(easy, (option), (value));        \
	} while (0)

static CURLcode set_connection(CURL *easy, const struct http_pool_conf *c)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_SEC);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
	SET(CURLOPT_PROXY, c->proxy ? c->proxy : "");
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	/* A name server that does not answer must not hold an abort up. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	if (c->ca_file)
		SET(CURLOPT_CAINFO, c->ca_file);
	if (c->user_agent)
		SET(CURLOPT_USERAGENT, c->user_agent);
	return rc;
}

static CURLcode set_callbacks(CURL *easy, struct transfer *t)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_ERRORBUFFER, t->curl_why);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
	SET(CURLOPT_SOCKOPTDATA, t);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_READDATA, t);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, t);
	return rc;
}

static long buffer_for(uint64_t size)
{
	return size > SMALL ? (long)LARGE : (long)SMALL;
}

static CURLcode set_body(CURL *easy, const struct transfer *t)
{
	const struct http_request *req = t->req;
	uint64_t size = req->body ? req->body->size : 0;
	CURLcode rc = CURLE_OK;

	if (is_small(req)) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
		SET(CURLOPT_POSTFIELDS, buf_str(&t->small));
		return rc;
	}
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, buffer_for(size));
	return rc;
}

static CURLcode set_message(CURL *easy, const struct transfer *t)
{
	const struct http_request *req = t->req;
	bool sends = req->body || strcmp(req->method, "PUT") == 0 ||
		     strcmp(req->method, "POST") == 0;
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_URL, req->url);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_EXPECT_100_TIMEOUT_MS, (long)EXPECT_MS);
	SET(CURLOPT_BUFFERSIZE, buffer_for(req->expected_size));
	if (rc == CURLE_OK && sends)
		rc = set_body(easy, t);
	if (strcmp(req->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	else
		SET(CURLOPT_CUSTOMREQUEST, req->method);
	return rc;
}

#undef SET

static int set_up(struct transfer *t, const struct http_pool_conf *conf)
{
	CURL *easy = t->slot->easy;
	CURLcode cc;
	int rc = make_headers(t);

	if (rc == 0)
		rc = read_small(t);
	if (rc < 0)
		return rc;
	cc = set_connection(easy, conf);
	if (cc == CURLE_OK)
		cc = set_callbacks(easy, t);
	if (cc == CURLE_OK)
		cc = set_message(easy, t);
	if (cc == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	return cc == CURLE_OK ? 0 : fail(t, -EINVAL, curl_easy_strerror(cc));
}

/* ---- running ----------------------------------------------------------- */

/* All of the request, with or without a body, is in the kernel's hands. */
static bool is_sent(const struct transfer *t)
{
	if (t->req->body && t->req->body->size)
		return t->sent >= t->req->body->size;
	return has_begun(t);
}

/* See what moved since the last look. */
static void look(struct transfer *t, int64_t now)
{
	curl_off_t sent = 0;
	curl_off_t got = 0;

	(void)curl_easy_getinfo(t->slot->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	(void)curl_easy_getinfo(t->slot->easy, CURLINFO_SIZE_DOWNLOAD_T, &got);
	if ((uint64_t)sent > t->sent && t->req->progress)
		atomic_fetch_add(t->req->progress, (uint64_t)sent - t->sent);
	if ((uint64_t)sent != t->sent || (uint64_t)got != t->got)
		t->moved_ms = now;
	t->sent = (uint64_t)sent;
	t->got = (uint64_t)got;
	if (now - t->now.at_ms >= RATE_WINDOW_MS) {
		t->before = t->now;
		t->now = (struct mark){now, t->sent + t->got};
	}
	if (!t->sent_all_ms && is_sent(t)) {
		t->sent_all_ms = now;
		t->resp->sent_all = true;
	}
}

/* Over the window that runs and the one before it. */
static bool is_slow(const struct transfer *t, int64_t now)
{
	uint64_t moved = t->sent + t->got - t->before.bytes;
	uint64_t ms = (uint64_t)(now - t->before.at_ms) + 1;

	return moved * 1000 / ms < t->req->min_rate;
}

static int check_limits(struct transfer *t, int64_t now)
{
	const struct http_request *req = t->req;
	bool waits = t->sent_all_ms && now < t->sent_all_ms + req->answer_ms;

	if (req->cancel && atomic_load(req->cancel))
		return fail(t, -ECANCELED, "cancelled");
	if (waits)
		return 0;
	if (req->deadline_ms && now >= req->deadline_ms &&
	    (req->min_rate == 0 || is_slow(t, now)))
		return fail(t, -ETIMEDOUT, "the deadline passed");
	if (req->idle_ms && now - t->moved_ms >= req->idle_ms)
		return fail(t, -ETIMEDOUT, "no byte moved for too long");
	return 0;
}

/* Until when the connection may be waited on. */
static int poll_ms(const struct transfer *t, int64_t now)
{
	int64_t left = t->req->deadline_ms - now;

	return left > 0 && left < POLL_MS ? (int)left : POLL_MS;
}

static int errno_of(struct transfer *t, CURLcode cc)
{
	long os = 0;

	switch (cc) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		(void)curl_easy_getinfo(t->slot->easy, CURLINFO_OS_ERRNO, &os);
		return os > 0 && os < 4096 ? (int)-os : -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: garbage */
	case CURLE_WEIRD_SERVER_REPLY:
		return -EPROTO;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	default:
		return -ECONNRESET;
	}
}

static int outcome(struct transfer *t, CURLcode cc)
{
	int err;

	if (t->local_err)
		return t->local_err;
	if (t->lost)
		return fail(t, -ECONNRESET,
			    "the connection was lost before the answer came");
	if (cc == CURLE_OK && !t->head_done) /* no error to libcurl */
		return fail(t, -ECONNRESET, "the answer ends in its headers");
	if (cc == CURLE_OK || t->resp->body_cut)
		return 0;
	err = errno_of(t, cc);
	if (t->resp->why[0])
		return err;
	return fail(t, err,
		    t->curl_why[0] ? t->curl_why : curl_easy_strerror(cc));
}

static int result(struct transfer *t)
{
	CURLMsg *msg;
	int left;

	msg = curl_multi_info_read(t->slot->multi, &left);
	if (!msg || msg->msg != CURLMSG_DONE)
		return fail(t, -EIO, "libcurl has no result");
	return outcome(t, msg->data.result);
}

static int drive(struct transfer *t)
{
	CURLM *multi = t->slot->multi;

	for (;;) {
		int running = 0;
		CURLMcode mc = curl_multi_perform(multi, &running);
		int64_t now = clock_mono_ms();
		int rc;

		if (mc != CURLM_OK)
			return fail(t,
				    mc == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO,
				    curl_multi_strerror(mc));
		look(t, now);
		if (!running)
			return result(t);
		rc = check_limits(t, now);
		if (rc < 0)
			return rc;
		mc = curl_multi_poll(multi, NULL, 0, poll_ms(t, now), NULL);
		if (mc != CURLM_OK)
			return fail(t, -EIO, curl_multi_strerror(mc));
	}
}

/* Removing the handle before its end closes the connection. */
static int run(struct transfer *t, bool *broken)
{
	int rc;

	if (curl_multi_add_handle(t->slot->multi, t->slot->easy) != CURLM_OK)
		return fail(t, -ENOMEM, "libcurl takes no transfer");
	t->moved_ms = clock_mono_ms();
	t->now.at_ms = t->moved_ms;
	t->before = t->now;
	rc = drive(t);
	*broken = curl_multi_remove_handle(t->slot->multi, t->slot->easy) !=
		  CURLM_OK;
	if (rc == 0 && !t->began)
		rc = begin(t);
	return rc;
}

/* The headers, which have the keys' signature, are left out. */
static void note(const struct http_request *req,
		 const struct http_response *resp, int64_t since_ms, int rc)
{
	log_debug(
		"http: %s %s status=%d sent=%llu received=%llu ms=%lld errno=%d%s%s",
		req->method, LOG_Q(req->url), resp->status,
		(unsigned long long)(req->body ? req->body->size : 0),
		(unsigned long long)resp->received,
		(long long)(clock_mono_ms() - since_ms), -rc,
		resp->why[0] ? " why=" : "",
		resp->why[0] ? LOG_Q(resp->why) : "");
}

int http_perform(struct http_pool *p, const struct http_request *req,
		 struct http_response *resp)
{
	struct transfer t = {.req = req, .resp = resp};
	const int64_t since_ms = clock_mono_ms();
	bool broken = false;
	int rc;

	resp->body.max = req->body_max ? req->body_max : BODY_MAX;
	rc = http_slot_take(p, req, &t.slot);
	if (rc < 0)
		return fail(&t, rc, "no free connection");
	rc = set_up(&t, http_pool_config(p));
	if (rc == 0)
		rc = run(&t, &broken);
	/* Nothing may point here any more, nor be left for the next. */
	curl_easy_reset(t.slot->easy);
	buf_release(&t.small);
	curl_slist_free_all(t.headers);
	http_slot_give(p, t.slot, broken);
	note(req, resp, since_ms, rc);
	return rc;
}
