/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../support/http_script.h"
#include "http/request.h"
#include "util/clock.h"

enum { PATIENCE_MS = 20000 };

struct env {
	struct http_script *server;
	struct http_pool *pool;
	char url[128];
	struct http_response r;
};

static void env_open(struct env *e, const struct script_step *steps,
		     size_t count, int connections)
{
	struct http_pool_conf conf = {.connect_timeout_ms = PATIENCE_MS,
				      .user_agent = "ackfs-test",
				      .max_connections = connections};

	memset(e, 0, sizeof(*e));
	e->server = http_script_new(steps, count);
	assert_int_equal(http_pool_new(&conf, &e->pool), 0);
	(void)snprintf(e->url, sizeof(e->url), "http://127.0.0.1:%d/a",
		       http_script_port(e->server));
}

static void env_close(struct env *e)
{
	http_response_release(&e->r);
	http_pool_free(e->pool);
	http_script_free(e->server);
}

static struct http_request request(const struct env *e, const char *method)
{
	return (struct http_request){.method = method,
				     .url = e->url,
				     .deadline_ms =
					     clock_mono_ms() + PATIENCE_MS};
}

static int perform(struct env *e, const struct http_request *req)
{
	http_response_release(&e->r);
	memset(&e->r, 0, sizeof(e->r));
	return http_perform(e->pool, req, &e->r);
}

static ssize_t text_read(void *arg, void *to, size_t len, uint64_t off)
{
	const char *text = arg;
	size_t have = strlen(text);

	if (off >= have)
		return 0;
	if (len > have - off)
		len = have - off;
	memcpy(to, text + off, len);
	return (ssize_t)len;
}

static struct http_source text_source(const char *text)
{
	return (struct http_source){.read = text_read,
				    .arg = (void *)(uintptr_t)text,
				    .size = strlen(text)};
}

static ssize_t zero_read(void *arg, void *to, size_t len, uint64_t off)
{
	(void)arg;
	(void)off;
	memset(to, 0, len);
	return (ssize_t)len;
}

static ssize_t broken_read(void *arg, void *to, size_t len, uint64_t off)
{
	(void)arg;
	(void)to;
	(void)len;
	(void)off;
	return -ENXIO;
}

static void connections_are_kept_and_reused(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200, .body = "one"),
		STEP(.status = 200, .body = "two"),
		STEP(.status = 204),
	};
	struct env e;
	struct http_request req;
	char out[64];

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps), 4);
	req = request(&e, "GET");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		assert_int_equal(perform(&e, &req), 0);
	assert_int_equal(e.r.status, 204);
	assert_int_equal(http_script_request(e.server, 2)->connection, 1);
	assert_int_equal(http_pool_idle(e.pool), 1);
	assert_int_equal(http_pool_requests(e.pool), 3);
	assert_null(http_script_header(e.server, 0, "Accept", out, 64));
	assert_null(
		http_script_header(e.server, 0, "Accept-Encoding", out, 64));
	assert_string_equal(
		http_script_header(e.server, 0, "User-Agent", out, 64),
		"ackfs-test");
	env_close(&e);
}

static void paths_go_out_as_they_are(void **state)
{
	static const struct script_step steps[] = {STEP(.status = 200)};
	static const char path[] = "/a/../b/./c//d%2F%2e?x=%20&y";
	struct env e;
	struct http_request req;
	char want[64];

	(void)state;
	env_open(&e, steps, 1, 1);
	(void)snprintf(e.url, sizeof(e.url), "http://127.0.0.1:%d%s",
		       http_script_port(e.server), path);
	req = request(&e, "GET");
	assert_int_equal(perform(&e, &req), 0);
	(void)snprintf(want, sizeof(want), "GET %s HTTP/1.1\r\n", path);
	assert_memory_equal(http_script_request(e.server, 0)->head, want,
			    strlen(want));
	env_close(&e);
}

static void bodies_are_sent_whole_and_counted(void **state)
{
	static const struct script_step steps[] = {STEP(.status = 200),
						   STEP(.status = 200)};
	struct http_source src = text_source("hello, body");
	_Atomic uint64_t progress = 0;
	struct kvs headers = KVS_INIT;
	struct env e;
	struct http_request req;
	char out[64];

	(void)state;
	env_open(&e, steps, 2, 1);
	assert_int_equal(kvs_add(&headers, "X-One", "1"), 0);
	assert_int_equal(kvs_add(&headers, "X-Empty", ""), 0);
	req = request(&e, "PUT");
	req.body = &src;
	req.headers = &headers;
	req.progress = &progress;
	assert_int_equal(perform(&e, &req), 0);
	assert_true(e.r.sent_all);
	assert_int_equal(progress, src.size);
	assert_string_equal(http_script_request(e.server, 0)->body,
			    "hello, body");
	assert_string_equal(http_script_header(e.server, 0, "X-One", out, 64),
			    "1");
	assert_string_equal(http_script_header(e.server, 0, "X-Empty", out, 64),
			    "");
	assert_null(http_script_header(e.server, 0, "Content-Type", out, 64));

	req = request(&e, "POST");
	assert_int_equal(perform(&e, &req), 0);
	assert_true(e.r.sent_all);
	assert_memory_equal(http_script_request(e.server, 1)->head, "POST ", 5);
	assert_string_equal(
		http_script_header(e.server, 1, "Content-Length", out, 64),
		"0");
	kvs_release(&headers);
	env_close(&e);
}

/* Those that go out with the head, and those that libcurl reads. */
static void bodies_of_any_size_arrive(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 300000};
	static const struct script_step step = STEP(.status = 200);
	struct script_step steps[ARRAY_LEN(sizes)];
	struct env e;
	char out[64];
	char want[24];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		steps[i] = step;
	env_open(&e, steps, ARRAY_LEN(steps), 1);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct http_source src = {.read = zero_read, .size = sizes[i]};
		struct http_request req = request(&e, "PUT");
		_Atomic uint64_t progress = 0;

		req.body = &src;
		req.progress = &progress;
		assert_int_equal(perform(&e, &req), 0);
		assert_true(e.r.sent_all);
		assert_int_equal(progress, sizes[i]);
		assert_int_equal(http_script_request(e.server, i)->body_len,
				 sizes[i]);
		(void)snprintf(want, sizeof(want), "%zu", sizes[i]);
		assert_string_equal(http_script_header(e.server, i,
						       "Content-Length", out,
						       sizeof(out)),
				    want);
	}
	env_close(&e);
}

static void the_callers_content_type_is_the_only_one(void **state)
{
	static const struct script_step steps[] = {STEP(.status = 200),
						   STEP(.status = 200)};
	struct http_source src = text_source("a=b");
	struct kvs headers = KVS_INIT;
	struct env e;
	struct http_request req;
	char out[64];

	(void)state;
	env_open(&e, steps, 2, 1);
	assert_int_equal(kvs_add(&headers, "Content-Type", "image/png"), 0);
	req = request(&e, "PUT");
	req.body = &src;
	req.headers = &headers;
	assert_int_equal(perform(&e, &req), 0);
	assert_string_equal(
		http_script_header(e.server, 0, "Content-Type", out, 64),
		"image/png");
	req.headers = NULL;
	assert_int_equal(perform(&e, &req), 0);
	assert_null(http_script_header(e.server, 1, "Content-Type", out, 64));
	kvs_release(&headers);
	env_close(&e);
}

static void nothing_of_a_request_is_left_for_the_next(void **state)
{
	static const char *const methods[] = {"PUT",    "GET", "PUT", "HEAD",
					      "DELETE", "PUT", "POST"};
	static const struct script_step step = STEP(.status = 200);
	struct http_source src = text_source("hello");
	struct kvs headers = KVS_INIT;
	struct script_step steps[ARRAY_LEN(methods)];
	struct env e;
	char out[64];

	(void)state;
	assert_int_equal(kvs_add(&headers, "X-One", "1"), 0);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		steps[i] = step;
	env_open(&e, steps, ARRAY_LEN(steps), 1);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct http_request req = request(&e, methods[i]);
		bool full = i % 2 == 0 && strcmp(methods[i], "DELETE") != 0;
		const struct script_request *got;

		req.body = full ? &src : NULL;
		req.headers = full ? &headers : NULL;
		assert_int_equal(perform(&e, &req), 0);
		got = http_script_request(e.server, i);
		assert_int_equal(got->connection, 1);
		assert_memory_equal(got->head, methods[i], strlen(methods[i]));
		assert_int_equal(got->body_len, full ? src.size : 0);
		assert_int_equal(http_script_header(e.server, i, "X-One", out,
						    sizeof(out)) != NULL,
				 full);
	}
	kvs_release(&headers);
	env_close(&e);
}

static void headers_with_line_breaks_are_refused(void **state)
{
	struct kvs headers = KVS_INIT;
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, NULL, 0, 1);
	assert_int_equal(kvs_add(&headers, "X-A", "1\r\nX-B: 2"), 0);
	req = request(&e, "GET");
	req.headers = &headers;
	assert_int_equal(perform(&e, &req), -EINVAL);
	assert_int_equal(http_script_count(e.server), 0);
	kvs_release(&headers);
	env_close(&e);
}

static void chunked_answers_and_heads_are_understood(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200, .body = "a chunked body of some length",
		     .chunked = true),
		STEP(.status = 200, .length = "12345",
		     .headers = "X-Y:  z \r\n"),
		STEP(.status = 200, .body = "next"),
	};
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps), 1);
	req = request(&e, "GET");
	assert_int_equal(perform(&e, &req), 0);
	assert_string_equal(buf_str(&e.r.body),
			    "a chunked body of some length");
	req = request(&e, "HEAD");
	assert_int_equal(perform(&e, &req), 0);
	assert_int_equal(e.r.body.len, 0);
	assert_string_equal(kvs_get(&e.r.headers, "content-length"), "12345");
	assert_string_equal(kvs_get(&e.r.headers, "x-y"), "z");
	req = request(&e, "GET");
	assert_int_equal(perform(&e, &req), 0);
	assert_string_equal(buf_str(&e.r.body), "next");
	env_close(&e);
}

static void broken_answers_are_errors(void **state)
{
	static const struct {
		const char *name;
		struct script_step step;
		int want;
		int status;
	} cases[] = {
		CASE("cut body",
		     STEP(.status = 200, .body = "0123456789", .cut = 4),
		     -ECONNRESET, 200),
		CASE("cut chunks",
		     STEP(.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				 "5\r\nhel",
			  .close = true),
		     -ECONNRESET, 200),
		CASE("cut head",
		     STEP(.raw = "HTTP/1.1 200 OK\r\nContent-Le",
			  .close = true),
		     -ECONNRESET, 200),
		CASE("reset", STEP(.kind = SCRIPT_RESET), -ECONNRESET, 0),
		CASE("no answer", STEP(.kind = SCRIPT_CLOSE), -ECONNRESET, 0),
		CASE("continue alone",
		     STEP(.raw = "HTTP/1.1 100 Continue\r\n\r\n",
			  .close = true),
		     -ECONNRESET, 0),
		CASE("garbage",
		     STEP(.raw = "SSH-2.0-OpenSSH_9.2\r\n", .close = true),
		     -EPROTO, 0),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct env e;
		struct http_request req;
		int rc;

		env_open(&e, &cases[i].step, 1, 1);
		req = request(&e, "GET");
		rc = perform(&e, &req);
		if (rc != cases[i].want)
			fail_msg("%s: got %d (%s), want %d", cases[i].name, rc,
				 e.r.why, cases[i].want);
		assert_int_equal(e.r.status, cases[i].status);
		assert_string_not_equal(e.r.why, "");
		env_close(&e);
	}
}

static void a_closed_port_is_refused(void **state)
{
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, NULL, 0, 1);
	req = request(&e, "GET");
	http_script_free(e.server);
	e.server = NULL;
	assert_int_equal(perform(&e, &req), -ECONNREFUSED);
	assert_false(e.r.sent_all);
	env_close(&e);
}

static void a_dead_kept_connection_is_replaced(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200),
		STEP(.kind = SCRIPT_CLOSE),
		STEP(.status = 200, .body = "again"),
	};
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps), 1);
	req = request(&e, "GET");
	assert_int_equal(perform(&e, &req), 0);
	assert_int_equal(perform(&e, &req), 0);
	assert_string_equal(buf_str(&e.r.body), "again");
	assert_int_equal(http_script_request(e.server, 2)->connection, 2);
	env_close(&e);
}

static void a_body_that_went_out_is_not_repeated_in_secret(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200),
		STEP(.kind = SCRIPT_CLOSE),
		STEP(.status = 200),
	};
	struct http_source src = text_source("once");
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps), 1);
	req = request(&e, "PUT");
	req.body = &src;
	assert_int_equal(perform(&e, &req), 0);
	assert_int_equal(perform(&e, &req), -ECONNRESET);
	assert_true(e.r.sent_all);
	assert_int_equal(http_script_count(e.server), 2);
	env_close(&e);
}

struct job {
	struct env *e;
	struct http_request req;
	struct http_response r;
	pthread_t thread;
	int rc;
};

static void *run_job(void *arg)
{
	struct job *j = arg;

	j->rc = http_perform(j->e->pool, &j->req, &j->r);
	return NULL;
}

static void job_start(struct job *j, struct env *e, struct http_request req)
{
	*j = (struct job){.e = e, .req = req};
	assert_int_equal(pthread_create(&j->thread, NULL, run_job, j), 0);
}

static int job_end(struct job *j)
{
	pthread_join(j->thread, NULL);
	http_response_release(&j->r);
	return j->rc;
}

static void a_silent_server_is_given_up(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_STALL),
		STEP(.status = 200, .body = "0123456789", .stall = 5),
		STEP(.kind = SCRIPT_STALL),
	};
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps), 2);
	req = request(&e, "GET");
	req.idle_ms = 50;
	assert_int_equal(perform(&e, &req), -ETIMEDOUT);
	assert_int_equal(e.r.status, 0);
	assert_true(e.r.sent_all);
	assert_int_equal(perform(&e, &req), -ETIMEDOUT);
	assert_int_equal(e.r.status, 200);
	assert_string_equal(buf_str(&e.r.body), "01234");
	req.idle_ms = 0;
	req.deadline_ms = clock_mono_ms() + 50;
	assert_int_equal(perform(&e, &req), -ETIMEDOUT);
	env_close(&e);
}

static void cancel_ends_a_request_that_stands_still(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_STALL_EARLY)};
	struct http_source src = {.read = zero_read, .size = 64 << 20};
	atomic_bool cancel = false;
	struct env e;
	struct http_request req;
	struct job j;

	(void)state;
	env_open(&e, steps, 1, 2);
	req = request(&e, "PUT");
	req.body = &src;
	req.cancel = &cancel;
	req.deadline_ms = 0;
	job_start(&j, &e, req);
	assert_true(http_script_wait(e.server, 1, PATIENCE_MS));
	atomic_store(&cancel, true);
	assert_int_equal(job_end(&j), -ECANCELED);
	assert_false(j.r.sent_all);
	env_close(&e);
}

/* fuse-facts 14: OSS holds the answer back while it calls the application. */
static void the_answer_is_awaited_past_deadline_and_idle_limit(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_HOLD, .status = 200),
		STEP(.kind = SCRIPT_STALL),
	};
	struct http_source src = text_source("body");
	struct env e;
	struct http_request req;
	struct job patient;
	struct job other;

	(void)state;
	env_open(&e, steps, 2, 4);
	req = request(&e, "PUT");
	req.body = &src;
	req.deadline_ms = clock_mono_ms() + 600000;
	req.idle_ms = 600000;
	req.answer_ms = 3600000;
	job_start(&patient, &e, req);
	assert_true(http_script_wait(e.server, 1, PATIENCE_MS));
	req.answer_ms = 0;
	job_start(&other, &e, req);
	assert_true(http_script_wait(e.server, 2, PATIENCE_MS));
	clock_advance_ms(700000);
	assert_int_equal(job_end(&other), -ETIMEDOUT);
	http_script_release(e.server);
	assert_int_equal(job_end(&patient), 0);
	assert_int_equal(patient.r.status, 200);
	env_close(&e);
}

static bool has_moved(void *arg)
{
	return atomic_load((_Atomic uint64_t *)arg) > 65536;
}

static void a_body_that_moves_outlives_the_deadline(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_HOLD_EARLY, .status = 200),
		STEP(.kind = SCRIPT_STALL),
	};
	struct http_source src = {.read = zero_read, .size = 32 << 20};
	_Atomic uint64_t moved = 0;
	struct env e;
	struct http_request req;
	struct job mover;
	struct job other;

	(void)state;
	env_open(&e, steps, 2, 4);
	req = request(&e, "PUT");
	req.body = &src;
	req.deadline_ms = clock_mono_ms() + 600000;
	req.min_rate = 1;
	req.progress = &moved;
	job_start(&mover, &e, req);
	assert_true(http_script_wait(e.server, 1, PATIENCE_MS));
	assert_true(test_wait_until(has_moved, &moved, PATIENCE_MS));
	req = request(&e, "GET"); /* moves nothing */
	req.deadline_ms = clock_mono_ms() + 600000;
	req.min_rate = 1;
	job_start(&other, &e, req);
	assert_true(http_script_wait(e.server, 2, PATIENCE_MS));
	clock_advance_ms(602000);
	assert_int_equal(job_end(&other), -ETIMEDOUT);
	http_script_release(e.server);
	assert_int_equal(job_end(&mover), 0);
	env_close(&e);
}

static void a_source_that_fails_breaks_off(void **state)
{
	struct http_source broken = {.read = broken_read, .size = 10};
	struct http_source brief = text_source("brief");
	static const struct script_step steps[] = {STEP(.status = 200),
						   STEP(.status = 200)};
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, steps, 2, 1);
	req = request(&e, "PUT");
	req.body = &broken;
	assert_int_equal(perform(&e, &req), -ENXIO);
	assert_true(e.r.local);
	brief.size = 100;
	req.body = &brief;
	assert_int_equal(perform(&e, &req), -EIO);
	assert_true(e.r.local);
	assert_false(e.r.sent_all);
	env_close(&e);
}

struct taker {
	struct buf got;
	int asked;
	int status;
	int answer; /* begin()'s */
	int error;  /* write()'s */
};

static int take_begin(void *arg, const struct http_response *r)
{
	struct taker *t = arg;

	t->asked++;
	t->status = r->status;
	return t->answer;
}

static int take_write(void *arg, const void *data, size_t len)
{
	struct taker *t = arg;

	buf_add(&t->got, data, len);
	return t->error;
}

static void the_taker_decides_where_the_body_goes(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200, .body = "to the taker"),
		STEP(.status = 404, .body = "to the buffer"),
		STEP(.status = 200),
		STEP(.status = 200, .body = "refused"),
		STEP(.status = 200, .body = "fails"),
	};
	struct taker t = {.answer = 1};
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps), 1);
	req = request(&e, "GET");
	req.begin = take_begin;
	req.write = take_write;
	req.arg = &t;
	assert_int_equal(perform(&e, &req), 0);
	assert_string_equal(buf_str(&t.got), "to the taker");
	assert_int_equal(e.r.received, 12);
	t.answer = 0;
	assert_int_equal(perform(&e, &req), 0);
	assert_string_equal(buf_str(&e.r.body), "to the buffer");
	assert_int_equal(t.status, 404);
	t.answer = 1;
	assert_int_equal(perform(&e, &req), 0); /* asked without a body too */
	assert_int_equal(t.asked, 3);
	t.answer = -ESTALE;
	assert_int_equal(perform(&e, &req), -ESTALE);
	assert_true(e.r.local);
	t.answer = 1;
	t.error = -ENOSPC;
	assert_int_equal(perform(&e, &req), -ENOSPC);
	assert_true(e.r.local);
	assert_int_equal(t.asked, 5);
	buf_release(&t.got);
	env_close(&e);
}

static void a_long_body_is_cut_and_says_so(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 500, .body = "0123456789")};
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, steps, 1, 1);
	req = request(&e, "GET");
	req.body_max = 4;
	assert_int_equal(perform(&e, &req), 0);
	assert_true(e.r.body_cut);
	assert_int_equal(e.r.status, 500);
	assert_string_equal(buf_str(&e.r.body), "0123");
	env_close(&e);
}

static void expect_is_sent_on_request_and_does_not_hang(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200),
		STEP(.status = 200, .no_continue = true),
		STEP(.status = 200),
	};
	struct http_source big = {.read = zero_read, .size = 2 << 20};
	struct env e;
	struct http_request req;
	char out[64];

	(void)state;
	env_open(&e, steps, 3, 1);
	req = request(&e, "PUT");
	req.body = &big;
	assert_int_equal(perform(&e, &req), 0);
	assert_null(http_script_header(e.server, 0, "Expect", out, 64));
	req.expect_continue = true;
	assert_int_equal(perform(&e, &req), 0); /* goes on without it */
	assert_int_equal(perform(&e, &req), 0);
	assert_string_equal(http_script_header(e.server, 2, "Expect", out, 64),
			    "100-continue");
	assert_int_equal(e.r.status, 200);
	assert_int_equal(http_script_request(e.server, 2)->body_len, 2 << 20);
	env_close(&e);
}

static void an_early_refusal_of_a_large_body_is_read(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_EARLY, .status = 403, .body = "no")};
	struct http_source big = {.read = zero_read, .size = 256 << 20};
	struct env e;
	struct http_request req;

	(void)state;
	env_open(&e, steps, 1, 1);
	req = request(&e, "PUT");
	req.body = &big;
	assert_int_equal(perform(&e, &req), 0);
	assert_int_equal(e.r.status, 403);
	assert_false(e.r.sent_all);
	env_close(&e);
}

static void connections_are_bounded_and_bulk_leaves_some_free(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_HOLD, .status = 200),
		STEP(.status = 200),
	};
	struct env e;
	struct http_request req;
	struct job j;

	(void)state;
	env_open(&e, steps, 2, 2); /* one of them for bulk */
	req = request(&e, "GET");
	req.bulk = true;
	job_start(&j, &e, req);
	assert_true(http_script_wait(e.server, 1, PATIENCE_MS));
	req.deadline_ms = clock_mono_ms() + 50;
	assert_int_equal(perform(&e, &req), -ETIMEDOUT);
	assert_int_equal(http_script_count(e.server), 1);
	req = request(&e, "GET");
	assert_int_equal(perform(&e, &req), 0); /* not bulk: passes */
	http_script_release(e.server);
	assert_int_equal(job_end(&j), 0);
	env_close(&e);
}

static void many_threads_share_few_connections(void **state)
{
	struct script_step steps[64];
	struct job jobs[64];
	struct env e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		steps[i] = (struct script_step){.status = 200, .body = "x"};
	env_open(&e, steps, ARRAY_LEN(steps), 8);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		job_start(&jobs[i], &e, request(&e, "GET"));
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		assert_int_equal(job_end(&jobs[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		assert_in_range(http_script_request(e.server, i)->connection, 1,
				8);
	env_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_are_kept_and_reused),
		cmocka_unit_test(paths_go_out_as_they_are),
		cmocka_unit_test(bodies_are_sent_whole_and_counted),
		cmocka_unit_test(bodies_of_any_size_arrive),
		cmocka_unit_test(the_callers_content_type_is_the_only_one),
		cmocka_unit_test(nothing_of_a_request_is_left_for_the_next),
		cmocka_unit_test(headers_with_line_breaks_are_refused),
		cmocka_unit_test(chunked_answers_and_heads_are_understood),
		cmocka_unit_test(broken_answers_are_errors),
		cmocka_unit_test(a_closed_port_is_refused),
		cmocka_unit_test(a_dead_kept_connection_is_replaced),
		cmocka_unit_test(
			a_body_that_went_out_is_not_repeated_in_secret),
		cmocka_unit_test(a_silent_server_is_given_up),
		cmocka_unit_test(cancel_ends_a_request_that_stands_still),
		cmocka_unit_test(
			the_answer_is_awaited_past_deadline_and_idle_limit),
		cmocka_unit_test(a_body_that_moves_outlives_the_deadline),
		cmocka_unit_test(a_source_that_fails_breaks_off),
		cmocka_unit_test(the_taker_decides_where_the_body_goes),
		cmocka_unit_test(a_long_body_is_cut_and_says_so),
		cmocka_unit_test(expect_is_sent_on_request_and_does_not_hang),
		cmocka_unit_test(an_early_refusal_of_a_large_body_is_read),
		cmocka_unit_test(
			connections_are_bounded_and_bulk_leaves_some_free),
		cmocka_unit_test(many_threads_share_few_connections),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
