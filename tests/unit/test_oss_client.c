/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../support/http_script.h"
#include "oss/client.h"
#include "oss/credentials.h"
#include "util/clock.h"
#include "util/crc64.h"
#include "util/log.h"

struct env {
	struct http_script *server;
	struct credentials *creds;
	struct oss_client *client;
	struct store s;
	struct oss_ctl ctl;
	struct oss_reply reply;
};

static void env_open_with(struct env *e, const struct script_step *steps,
			  size_t count, enum oss_signature signature,
			  const struct credentials_conf *keys)
{
	AUTO_FREE char *why = NULL;
	char endpoint[64];
	struct oss_conf conf = {.endpoint = endpoint,
				.region = "cn-hangzhou",
				.bucket = "bkt",
				.signature = signature,
				.connect_timeout_ms = TEST_DEADLINE_MS,
				.request_timeout_ms = TEST_DEADLINE_MS,
				.max_connections = 8};

	memset(e, 0, sizeof(*e));
	e->server = http_script_new(steps, count);
	(void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d",
		       http_script_port(e->server));
	assert_int_equal(credentials_new(keys, &e->creds, &why), 0);
	assert_int_equal(oss_client_new(&conf, e->creds, &e->client, &why), 0);
	e->s = oss_client_store(e->client);
	e->ctl.deadline_ms = clock_mono_ms() + TEST_DEADLINE_MS;
}

static void env_open(struct env *e, const struct script_step *steps,
		     size_t count)
{
	const struct credentials_conf keys = {.access_key_id = "ak",
					      .access_key_secret = "sk"};

	env_open_with(e, steps, count, OSS_SIGN_V4, &keys);
}

/* A test whose operation must fail has its time cut short. */
static void hurry(struct env *e)
{
	e->ctl.deadline_ms = clock_mono_ms() + 800;
}

static void env_close(struct env *e)
{
	oss_client_free(e->client);
	credentials_free(e->creds);
	http_script_free(e->server);
}

static void request_line_is(struct env *e, size_t i, const char *want)
{
	const struct script_request *r = http_script_request(e->server, i);

	assert_non_null(r);
	if (strncmp(r->head, want, strlen(want)) != 0)
		fail_msg("request %zu is %.200s, want %s", i, r->head, want);
}

static void header_is(struct env *e, size_t i, const char *name,
		      const char *want)
{
	char out[512];
	const char *got =
		http_script_header(e->server, i, name, out, sizeof(out));

	if (!want)
		assert_null(got);
	else if (!got || strcmp(got, want) != 0)
		fail_msg("request %zu: %s is %s, want %s", i, name,
			 got ? got : "missing", want);
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

static struct oss_source text_source(const char *text)
{
	return (struct oss_source){.read = text_read,
				   .arg = (void *)(uintptr_t)text,
				   .size = strlen(text)};
}

struct sink {
	struct buf got;
	int error;
};

static int sink_write(void *arg, const void *data, size_t len)
{
	struct sink *s = arg;

	buf_add(&s->got, data, len);
	return s->error;
}

static int put_text(struct env *e, const char *text,
		    const struct oss_props *props,
		    const struct oss_callback *cb, struct oss_put_result *r)
{
	struct oss_source src = text_source(text);

	return e->s.ops->put(e->s.self, "dir/k 1", &src, props, cb, &e->ctl, r);
}

static int get_range(struct env *e, uint64_t off, uint64_t len, struct sink *s,
		     struct oss_object *o)
{
	struct oss_sink to = {.write = sink_write, .arg = s};

	return e->s.ops->get(e->s.self, "k", off, len, NULL, &to, &e->ctl, o,
			     &e->reply);
}

#define ERROR(code)                                                            \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>" code         \
	"</Code><Message>m</Message><EC>0001-00000001</EC></Error>"
#define WRONG_CRC "x-oss-hash-crc64ecma: 1\r\n"
#define CRC_OK "x-oss-hash-crc64ecma: @CRC@\r\n"
#define STORED                                                                 \
	{                                                                      \
		.status = 200, .headers = "ETag: \"abc\"\r\n" CRC_OK           \
	}

/* ---- put --------------------------------------------------------------- */

static void put_sends_everything_and_reads_the_result(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .headers = "ETag: \"5d41402abc4b2a76b9719d911017c592\"\r\n"
				"x-oss-version-id: V1\r\n" CRC_OK),
	};
	struct kvs meta = KVS_INIT;
	struct kvs headers = KVS_INIT;
	struct oss_props props = {.content_type = "text/plain",
				  .meta = &meta,
				  .headers = &headers,
				  .forbid_overwrite = true};
	_Atomic uint64_t progress = 0;
	struct oss_put_result r;
	struct env e;
	char out[512];

	(void)state;
	env_open(&e, steps, 1);
	e.ctl.progress = &progress;
	assert_int_equal(kvs_add(&meta, "mode", "33188"), 0);
	assert_int_equal(kvs_add(&headers, "Cache-Control", "no-cache"), 0);
	assert_int_equal(put_text(&e, "hello", &props, NULL, &r), 0);
	assert_string_equal(r.etag, "5D41402ABC4B2A76B9719D911017C592");
	assert_string_equal(r.version_id, "V1");
	assert_true(r.has_crc64);
	assert_true(r.crc64 == crc64_update(0, "hello", 5));
	assert_int_equal(r.reply.http, 200);
	assert_int_equal(r.reply.attempts, 1);
	assert_true(r.reply.sent_all);
	assert_true(r.modified_ms > 0);
	assert_false(r.callback_sent);
	assert_int_equal(progress, 5);
	request_line_is(&e, 0, "PUT /bkt/dir/k%201 HTTP/1.1\r\n");
	header_is(&e, 0, "Content-Type", "text/plain");
	header_is(&e, 0, "Content-Length", "5");
	header_is(&e, 0, "x-oss-meta-mode", "33188");
	header_is(&e, 0, "Cache-Control", "no-cache");
	header_is(&e, 0, "x-oss-forbid-overwrite", "true");
	header_is(&e, 0, "x-oss-callback", NULL);
	header_is(&e, 0, "x-oss-content-sha256", "UNSIGNED-PAYLOAD");
	assert_memory_equal(http_script_header(e.server, 0, "Authorization",
					       out, sizeof(out)),
			    "OSS4-HMAC-SHA256 Credential=ak/", 31);
	assert_int_equal(oss_client_requests(e.client), 1);
	oss_put_result_release(&r);
	kvs_release(&meta);
	kvs_release(&headers);
	env_close(&e);
}

static void version_1_signs_too_and_sends_tokens(void **state)
{
	static const struct script_step steps[] = {STORED};
	const struct credentials_conf keys = {.access_key_id = "ak",
					      .access_key_secret = "sk",
					      .security_token = "tok"};
	struct oss_put_result r;
	struct env e;
	char out[512];

	(void)state;
	env_open_with(&e, steps, 1, OSS_SIGN_V1, &keys);
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), 0);
	assert_memory_equal(http_script_header(e.server, 0, "Authorization",
					       out, sizeof(out)),
			    "OSS ak:", 7);
	header_is(&e, 0, "x-oss-security-token", "tok");
	header_is(&e, 0, "Content-Type", "application/octet-stream");
	oss_put_result_release(&r);
	env_close(&e);
}

/* What goes wrong, and goes away when tried again. */
static const struct {
	const char *name;
	struct script_step step;
} transient[] = {
	CASE("wrong CRC", STEP(.status = 200, .headers = WRONG_CRC)),
	CASE("wrong CRC and a failed callback",
	     STEP(.status = 203, .headers = WRONG_CRC,
		  .body = ERROR("CallbackFailed"))),
	CASE("203 of somebody", STEP(.status = 203, .bare = true)),
	CASE("HTML 500",
	     STEP(.status = 500, .body = "<html>oops", .bare = true)),
	CASE("503 SlowDown", STEP(.status = 503, .body = ERROR("SlowDown"))),
	CASE("408", STEP(.status = 408)),
	CASE("429", STEP(.status = 429)),
	CASE("timeout", STEP(.status = 400, .body = ERROR("RequestTimeout"))),
	CASE("reset", STEP(.kind = SCRIPT_RESET)),
	CASE("closed", STEP(.kind = SCRIPT_CLOSE)),
	CASE("portal", STEP(.status = 200, .body = "<html>", .bare = true)),
	CASE("a proxy's 404",
	     STEP(.status = 404, .body = "<html>", .bare = true)),
	CASE("not HTTP", STEP(.raw = "BUSY\r\n", .close = true)),
	CASE("cut answer", STEP(.status = 200, .body = "0123456789", .cut = 3)),
};

static void what_may_pass_is_tried_again_from_the_first_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(transient); i++) {
		struct script_step steps[] = {transient[i].step, STORED};
		struct oss_put_result r;
		struct env e;
		int rc;

		env_open(&e, steps, 2);
		rc = put_text(&e, "the content", NULL, NULL, &r);
		if (rc != 0 || r.reply.attempts != 2)
			fail_msg("%s: got %d after %d attempts: %s %s",
				 transient[i].name, rc, r.reply.attempts,
				 r.reply.code, r.reply.message);
		assert_string_equal(http_script_request(e.server, 1)->body,
				    "the content");
		oss_put_result_release(&r);
		env_close(&e);
	}
}

static const struct {
	const char *name;
	struct script_step step;
	int want;
	const char *code;
} final[] = {
	CASE("AccessDenied", STEP(.status = 403, .body = ERROR("AccessDenied")),
	     -EACCES, "AccessDenied"),
	CASE("NoSuchBucket", STEP(.status = 404, .body = ERROR("NoSuchBucket")),
	     -ENODEV, "NoSuchBucket"),
	CASE("exists", STEP(.status = 409, .body = ERROR("FileAlreadyExists")),
	     -EEXIST, "FileAlreadyExists"),
	CASE("too large", STEP(.status = 400, .body = ERROR("EntityTooLarge")),
	     -EFBIG, "EntityTooLarge"),
	CASE("unknown code", STEP(.status = 403, .body = ERROR("Brand.New")),
	     -EACCES, "Brand.New"),
	CASE("HTML 403", STEP(.status = 403, .body = "<html>", .bare = true),
	     -EACCES, ""),
	CASE("wrong key",
	     STEP(.status = 403, .body = ERROR("InvalidAccessKeyId")), -EACCES,
	     "InvalidAccessKeyId"),
};

static void what_will_not_pass_is_not_tried_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(final); i++) {
		struct oss_put_result r;
		struct env e;
		int rc;

		env_open(&e, &final[i].step, 1);
		rc = put_text(&e, "x", NULL, NULL, &r);
		if (rc != final[i].want ||
		    strcmp(r.reply.code, final[i].code) != 0)
			fail_msg("%s: got %d %s", final[i].name, rc,
				 r.reply.code);
		assert_int_equal(http_script_count(e.server), 1);
		assert_int_equal(r.reply.http, final[i].step.status);
		if (!final[i].step.bare) {
			assert_string_equal(r.reply.message, "m");
			assert_string_equal(r.reply.ec, "0001-00000001");
			assert_string_equal(r.reply.request_id,
					    "5C3D9175B6FC201293AD0001");
		}
		env_close(&e);
	}
}

static void a_lasting_failure_ends_with_the_deadline(void **state)
{
	static const struct script_step crc =
		STEP(.status = 200, .headers = "x-oss-hash-crc64ecma: 1\r\n");
	struct script_step steps[100];
	struct oss_put_result r;
	struct env e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		steps[i] = crc;
	env_open(&e, steps, ARRAY_LEN(steps));
	hurry(&e);
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), -EIO);
	assert_string_equal(r.reply.code, "CrcMismatch");
	assert_true(r.reply.attempts > 1);
	env_close(&e);
}

static void a_portal_stores_nothing(void **state)
{
	struct script_step steps[50];
	struct sink s = {.error = 0};
	struct oss_put_result r;
	struct env e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		steps[i] = (struct script_step){
			.status = 200, .body = "<html>log in", .bare = true};
	env_open(&e, steps, ARRAY_LEN(steps));
	hurry(&e);
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), -EIO);
	assert_string_equal(r.reply.code, "NotOss");
	hurry(&e);
	assert_int_equal(get_range(&e, 0, 0, &s, NULL), -EIO);
	assert_string_equal(e.reply.code, "NotOss");
	assert_int_equal(s.got.len, 0);
	env_close(&e);
}

static void odd_keys_are_refused_without_a_request(void **state)
{
	static const char *const keys[] = {"", "/a", "\\a", "a\xff"};
	struct oss_object o;
	AUTO(buf_release) struct buf longest = BUF_INIT;
	struct env e;

	(void)state;
	env_open(&e, NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(
			e.s.ops->head(e.s.self, keys[i], &e.ctl, &o, &e.reply),
			-EINVAL);
	for (int i = 0; i <= OSS_KEY_MAX; i++)
		buf_addc(&longest, 'k');
	assert_int_equal(e.s.ops->head(e.s.self, buf_str(&longest), &e.ctl, &o,
				       &e.reply),
			 -ENAMETOOLONG);
	assert_int_equal(http_script_count(e.server), 0);
	env_close(&e);
}

/* ---- callbacks --------------------------------------------------------- */

static void the_applications_answer_is_handed_on(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .headers =
			     "ETag: \"AB\"\r\nContent-Type: application/json\r\n" CRC_OK,
		     .body = "{\"Status\":\"OK\",\"id\":4711}"),
		STEP(.status = 203,
		     .headers =
			     "ETag: \"AB\"\r\nContent-Type: application/xml\r\n" CRC_OK,
		     .body = ERROR("CallbackFailed")),
	};
	struct oss_callback cb = {.callback = "Y2FsbGJhY2s=",
				  .vars = "dmFycw=="};
	struct oss_put_result r;
	struct env e;

	(void)state;
	env_open(&e, steps, 2);
	e.ctl.callback_urls = 1;
	assert_int_equal(put_text(&e, "x", NULL, &cb, &r), 0);
	assert_true(r.callback_sent);
	assert_string_equal(buf_str(&r.body), steps[0].body);
	assert_string_equal(r.body_type, "application/json");
	header_is(&e, 0, "x-oss-callback", "Y2FsbGJhY2s=");
	header_is(&e, 0, "x-oss-callback-var", "dmFycw==");
	oss_put_result_release(&r);

	assert_int_equal(put_text(&e, "x", NULL, &cb, &r), 0);
	assert_int_equal(r.reply.http, 203);
	assert_string_equal(r.reply.code, "CallbackFailed");
	assert_string_equal(r.reply.ec, "0001-00000001");
	assert_string_equal(r.etag, "AB");
	assert_string_equal(buf_str(&r.body), steps[1].body);
	oss_put_result_release(&r);
	env_close(&e);
}

/* ---- lost answers ------------------------------------------------------ */

static void our_own_object_in_the_way_is_overwritten(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_RESET),
		STEP(.status = 409, .body = ERROR("FileAlreadyExists")),
		STEP(.status = 200, .length = "3",
		     .headers =
			     "x-oss-hash-crc64ecma: 3231342946509354535\r\n"),
		STORED,
	};
	struct oss_props props = {.forbid_overwrite = true};
	struct oss_put_result r;
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(put_text(&e, "abc", &props, NULL, &r), 0);
	request_line_is(&e, 2, "HEAD ");
	header_is(&e, 1, "x-oss-forbid-overwrite", "true");
	header_is(&e, 3, "x-oss-forbid-overwrite", NULL);
	oss_put_result_release(&r);
	env_close(&e);
}

static void somebody_elses_object_in_the_way_stays(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_RESET),
		STEP(.status = 409, .body = ERROR("FileAlreadyExists")),
		STEP(.status = 200, .length = "3",
		     .headers = "x-oss-hash-crc64ecma: 77\r\n"),
	};
	struct oss_props props = {.forbid_overwrite = true};
	struct oss_put_result r;
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(put_text(&e, "abc", &props, NULL, &r), -EEXIST);
	assert_int_equal(http_script_count(e.server), 3);
	env_close(&e);
}

static void a_lost_answer_is_remembered_through_later_failures(void **state)
{
	struct script_step steps[50];
	struct oss_put_result r;
	struct env e;

	(void)state;
	steps[0] = (struct script_step){.kind = SCRIPT_RESET};
	for (size_t i = 1; i < ARRAY_LEN(steps); i++)
		steps[i] = (struct script_step){.kind = SCRIPT_EARLY,
						.status = 503};
	env_open(&e, steps, ARRAY_LEN(steps));
	hurry(&e);
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), -EIO);
	assert_true(r.reply.sent_all);
	env_close(&e);
}

/* ---- limits ------------------------------------------------------------ */

struct job {
	struct env *e;
	struct oss_put_result r;
	int rc;
};

static void *put_job(void *arg)
{
	struct job *j = arg;

	j->rc = put_text(j->e, "x", NULL, NULL, &j->r);
	oss_put_result_release(&j->r);
	return NULL;
}

static void cancel_is_heard_while_the_server_is_silent(void **state)
{
	static const struct script_step steps[] = {STEP(.kind = SCRIPT_STALL)};
	atomic_bool cancel = false;
	struct env e;
	struct job j = {.e = &e};
	pthread_t t;

	(void)state;
	env_open(&e, steps, 1);
	e.ctl.cancel = &cancel;
	assert_int_equal(pthread_create(&t, NULL, put_job, &j), 0);
	assert_true(http_script_wait(e.server, 1, TEST_DEADLINE_MS));
	atomic_store(&cancel, true);
	pthread_join(t, NULL);
	assert_int_equal(j.rc, -ECANCELED);
	assert_string_equal(j.r.reply.code, "Canceled");
	assert_true(j.r.reply.sent_all);
	env_close(&e);
}

static void a_silent_server_is_a_timeout(void **state)
{
	static const struct script_step steps[] = {STEP(.kind = SCRIPT_STALL)};
	struct oss_object o;
	struct env e;

	(void)state;
	env_open(&e, steps, 1);
	e.ctl.deadline_ms = clock_mono_ms() + 50;
	assert_int_equal(e.s.ops->head(e.s.self, "k", &e.ctl, &o, &e.reply),
			 -ETIMEDOUT);
	assert_string_equal(e.reply.code, "Timeout");
	assert_int_equal(e.reply.http, 0);
	env_close(&e);
}

static void an_absent_server_is_told_so(void **state)
{
	struct oss_object o;
	struct env e;

	(void)state;
	env_open(&e, NULL, 0);
	http_script_free(e.server);
	e.server = NULL;
	hurry(&e);
	assert_int_equal(e.s.ops->head(e.s.self, "k", &e.ctl, &o, &e.reply),
			 -EIO);
	assert_string_equal(e.reply.code, "ConnectFailed");
	assert_true(e.reply.attempts > 1);
	assert_int_equal(oss_client_probe(e.client, 300, &e.reply), -EIO);
	env_close(&e);
}

/* ---- credentials, clock ------------------------------------------------ */

static void new_keys_are_read_when_the_old_ones_are_refused(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 403, .body = ERROR("SecurityTokenExpired")),
		STORED,
		STEP(.status = 403, .body = ERROR("InvalidAccessKeyId")),
	};
	char *dir = test_dir_make();
	AUTO_FREE char *path = test_path(dir, "keys");
	struct credentials_conf keys = {.file = path};
	struct oss_put_result r;
	struct env e;
	char out[512];

	(void)state;
	test_file_write(path, "old:olds", 8);
	assert_int_equal(chmod(path, 0600), 0);
	env_open_with(&e, steps, 3, OSS_SIGN_V1, &keys);
	test_file_write(path, "new:news", 8);
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), 0);
	oss_put_result_release(&r);
	assert_memory_equal(http_script_header(e.server, 0, "Authorization",
					       out, sizeof(out)),
			    "OSS old:", 8);
	assert_memory_equal(http_script_header(e.server, 1, "Authorization",
					       out, sizeof(out)),
			    "OSS new:", 8);
	/* The same keys again would be refused again. */
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), -EACCES);
	assert_int_equal(http_script_count(e.server), 3);
	env_close(&e);
	test_dir_remove(dir);
}

static void the_servers_clock_is_followed(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 403, .bare = true,
		     .headers = "x-oss-request-id: 1\r\n"
				"Date: Thu, 10 Apr 2025 10:00:57 GMT\r\n",
		     .body = ERROR("RequestTimeTooSkewed")),
		STORED,
		STEP(.status = 403, .body = ERROR("RequestTimeTooSkewed")),
		STEP(.status = 403, .body = ERROR("RequestTimeTooSkewed")),
	};
	struct oss_put_result r;
	struct env e;
	char out[64];

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), 0);
	oss_put_result_release(&r);
	assert_memory_equal(
		http_script_header(e.server, 1, "x-oss-date", out, sizeof(out)),
		"20250410T10", 11);
	/* Once: a server that says so again is not to be pleased. */
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), -EACCES);
	assert_int_equal(http_script_count(e.server), 4);
	env_close(&e);
}

/* ---- head -------------------------------------------------------------- */

static void head_reads_all_about_an_object(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200, .length = "123456789012",
		     .headers =
			     "ETag: \"fba9dede5f27731c9771645a39863328\"\r\n"
			     "Last-Modified: Fri, 24 Feb 2012 06:07:48 GMT\r\n"
			     "x-oss-hash-crc64ecma: 18446744073709551615\r\n"
			     "x-oss-object-type: Multipart\r\n"
			     "x-oss-storage-class: IA\r\n"
			     "x-oss-tagging-count: 2\r\n"
			     "x-oss-version-id: V9\r\n"
			     "Content-Type: image/jpeg\r\n"
			     "Cache-Control: no-store\r\n"
			     "X-Oss-Meta-Mode: 33188\r\n"),
	};
	struct oss_object o;
	struct env e;

	(void)state;
	env_open(&e, steps, 1);
	assert_int_equal(e.s.ops->head(e.s.self, "k", &e.ctl, &o, &e.reply), 0);
	assert_true(o.size == 123456789012);
	assert_string_equal(o.etag, "FBA9DEDE5F27731C9771645A39863328");
	assert_int_equal(o.modified_ms, 1330063668000);
	assert_true(o.has_crc64 && o.crc64 == UINT64_MAX);
	assert_string_equal(o.type, "Multipart");
	assert_string_equal(o.storage_class, "IA");
	assert_string_equal(o.version_id, "V9");
	assert_string_equal(o.content_type, "image/jpeg");
	assert_int_equal(o.tag_count, 2);
	assert_string_equal(kvs_get(&o.meta, "mode"), "33188");
	assert_string_equal(kvs_get(&o.kept, "Cache-Control"), "no-store");
	oss_object_release(&o);
	env_close(&e);
}

/* base64 of <Error><Code>NoSuchBucket</Code></Error> and of ...NoSuchKey... */
#define ERR_BUCKET "PEVycm9yPjxDb2RlPk5vU3VjaEJ1Y2tldDwvQ29kZT48L0Vycm9yPg=="
#define ERR_KEY "PEVycm9yPjxDb2RlPk5vU3VjaEtleTwvQ29kZT48L0Vycm9yPg=="

static const struct {
	const char *name;
	struct script_step step;
	int want;
	const char *code;
} heads[] = {
	CASE("no key",
	     STEP(.status = 404, .headers = "x-oss-err: " ERR_KEY "\r\n"),
	     -ENOENT, "NoSuchKey"),
	CASE("no bucket",
	     STEP(.status = 404, .headers = "x-oss-err: " ERR_BUCKET "\r\n"),
	     -ENODEV, "NoSuchBucket"),
	CASE("broken x-oss-err",
	     STEP(.status = 403, .headers = "x-oss-err: !!\r\nx-oss-ec: 7\r\n"),
	     -EACCES, ""),
	CASE("status alone, of OSS", STEP(.status = 404), -ENOENT, ""),
	CASE("status alone, of somebody", STEP(.status = 404, .bare = true),
	     -EIO, "NotOss"),
};

static void an_error_is_not_taken_for_absence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct oss_object o;
		struct env e;
		int rc;

		env_open(&e, &heads[i].step, 1);
		e.ctl.deadline_ms = clock_mono_ms() + 90;
		rc = e.s.ops->head(e.s.self, "k", &e.ctl, &o, &e.reply);
		if (rc != heads[i].want && rc != -ETIMEDOUT)
			fail_msg("%s: got %d %s", heads[i].name, rc,
				 e.reply.code);
		if (rc == heads[i].want)
			assert_string_equal(e.reply.code, heads[i].code);
		env_close(&e);
	}
}

/* ---- get --------------------------------------------------------------- */

#define ETAG "ETag: \"E1\"\r\n"

static void get_gives_the_bytes_and_the_object(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .headers = ETAG
		     "x-oss-hash-crc64ecma: 11051210869376104954\r\n",
		     .body = "123456789"),
		STEP(.status = 206,
		     .headers = ETAG "Content-Range: bytes 2-4/9\r\n"
				     "x-oss-hash-crc64ecma: 1\r\n",
		     .body = "345"),
	};
	_Atomic uint64_t progress = 0;
	struct sink s = {.error = 0};
	struct oss_object o;
	struct env e;

	(void)state;
	env_open(&e, steps, 2);
	e.ctl.progress = &progress;
	assert_int_equal(get_range(&e, 0, 0, &s, &o), 0);
	assert_string_equal(buf_str(&s.got), "123456789");
	assert_int_equal(o.size, 9);
	assert_int_equal(progress, 9);
	oss_object_release(&o);
	header_is(&e, 0, "Range", NULL);
	buf_reset(&s.got);
	assert_int_equal(get_range(&e, 2, 3, &s, &o), 0);
	assert_string_equal(buf_str(&s.got), "345");
	assert_int_equal(o.size, 9);
	assert_string_equal(o.etag, "E1");
	oss_object_release(&o);
	header_is(&e, 1, "Range", "bytes=2-4");
	header_is(&e, 1, "x-oss-range-behavior", "standard");
	buf_release(&s.got);
	env_close(&e);
}

static void a_broken_get_goes_on_where_it_was(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .headers = ETAG
		     "x-oss-hash-crc64ecma: 11051210869376104954\r\n",
		     .body = "123456789", .cut = 4),
		STEP(.status = 503, .body = ERROR("ServiceUnavailable")),
		STEP(.status = 206,
		     .headers = ETAG "Content-Range: bytes 4-8/9\r\n",
		     .body = "56789", .cut = 2),
		/* Somebody in between knows no ranges. */
		STEP(.status = 200, .headers = ETAG, .body = "123456789"),
	};
	struct sink s = {.error = 0};
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(get_range(&e, 0, 0, &s, NULL), 0);
	assert_string_equal(buf_str(&s.got), "123456789");
	header_is(&e, 0, "If-Match", NULL);
	header_is(&e, 1, "Range", "bytes=4-");
	header_is(&e, 1, "If-Match", "\"E1\"");
	header_is(&e, 3, "Range", "bytes=6-");
	assert_int_equal(e.reply.attempts, 4);
	buf_release(&s.got);
	env_close(&e);
}

static void a_whole_answer_to_a_range_is_cut_to_it(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200, .headers = ETAG, .body = "123456789"),
		STEP(.status = 200, .headers = ETAG, .body = "123456789"),
		STEP(.status = 206,
		     .headers = ETAG "Content-Range: bytes 7-8/9\r\n",
		     .body = "89"),
	};
	struct sink s = {.error = 0};
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(get_range(&e, 2, 3, &s, NULL), 0);
	assert_string_equal(buf_str(&s.got), "345");
	buf_reset(&s.got);
	assert_int_equal(get_range(&e, 5, 0, &s, NULL), 0);
	assert_string_equal(buf_str(&s.got), "6789");
	buf_reset(&s.got);
	assert_int_equal(get_range(&e, 7, 100, &s, NULL), 0);
	assert_string_equal(buf_str(&s.got), "89");
	buf_release(&s.got);
	env_close(&e);
}

/* Of a link OSS sends the target's bytes, but the link's other headers. */
static void a_link_is_not_judged_by_its_sum(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .headers = ETAG WRONG_CRC "x-oss-object-type: Symlink\r\n",
		     .body = "123456789"),
		STEP(.status = 200,
		     .headers = ETAG WRONG_CRC "x-oss-object-type: Normal\r\n",
		     .body = "123456789"),
	};
	struct sink s = {.error = 0};
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(get_range(&e, 0, 0, &s, NULL), 0);
	assert_string_equal(buf_str(&s.got), "123456789");
	assert_int_equal(get_range(&e, 0, 0, &s, NULL), -EIO);
	assert_string_equal(e.reply.code, "CrcMismatch");
	buf_release(&s.got);
	env_close(&e);
}

static void less_than_asked_for_is_completed(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 206,
		     .headers = ETAG "Content-Range: bytes 2-3/9\r\n",
		     .body = "34"),
		STEP(.status = 206,
		     .headers = ETAG "Content-Range: bytes 4-5/9\r\n",
		     .body = "56"),
	};
	struct sink s = {.error = 0};
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(get_range(&e, 2, 4, &s, NULL), 0);
	assert_string_equal(buf_str(&s.got), "3456");
	buf_release(&s.got);
	env_close(&e);
}

static const struct {
	const char *name;
	struct script_step steps[2];
	uint64_t off, len;
	int want;
	const char *code;
	const char *got;
} bad_gets[] = {
	CASE("wrong CRC of the whole",
	     {STEP(.status = 200, .headers = ETAG "x-oss-hash-crc64ecma: 5\r\n",
		   .body = "123456789")},
	     0, 0, -EIO, "CrcMismatch", "123456789"),
	CASE("changed meanwhile (412)",
	     {STEP(.status = 200, .headers = ETAG, .body = "123456789",
		   .cut = 4),
	      STEP(.status = 412, .body = ERROR("PreconditionFailed"))},
	     0, 0, -ESTALE, "PreconditionFailed", "1234"),
	CASE("changed meanwhile (another ETag)",
	     {STEP(.status = 200, .headers = ETAG, .body = "123456789",
		   .cut = 4),
	      STEP(.status = 200, .headers = "ETag: \"E2\"\r\n",
		   .body = "abcdefghi")},
	     0, 0, -ESTALE, "PreconditionFailed", "1234"),
	CASE("range past the end (416)",
	     {STEP(.status = 416, .body = ERROR("InvalidRange"))}, 100, 5,
	     -EINVAL, "InvalidRange", ""),
	CASE("range past the end (200)",
	     {STEP(.status = 200, .headers = ETAG, .body = "123456789")}, 100,
	     5, -EINVAL, "InvalidRange", ""),
	CASE("missing", {STEP(.status = 404, .body = ERROR("NoSuchKey"))}, 0, 0,
	     -ENOENT, "NoSuchKey", ""),
	CASE("archived",
	     {STEP(.status = 403, .body = ERROR("InvalidObjectState"))}, 0, 0,
	     -EACCES, "InvalidObjectState", ""),
};

static void gets_that_cannot_be_right_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_gets); i++) {
		struct sink s = {.error = 0};
		struct oss_object o;
		struct env e;
		int rc;

		env_open(&e, bad_gets[i].steps, 2);
		rc = get_range(&e, bad_gets[i].off, bad_gets[i].len, &s, &o);
		if (rc != bad_gets[i].want ||
		    strcmp(e.reply.code, bad_gets[i].code) != 0 ||
		    strcmp(buf_str(&s.got), bad_gets[i].got) != 0)
			fail_msg("%s: got %d %s \"%s\"", bad_gets[i].name, rc,
				 e.reply.code, buf_str(&s.got));
		oss_object_release(&o);
		buf_release(&s.got);
		env_close(&e);
	}
}

static const struct script_step odd_answers[] = {
	STEP(.status = 200, .headers = ETAG, .body = "123", .chunked = true),
	STEP(.status = 206, .headers = ETAG, .body = "345"),
	STEP(.status = 206, .headers = ETAG "Content-Range: bytes 9-11/20\r\n",
	     .body = "345"),
	STEP(.status = 206, .headers = ETAG "Content-Range: bytes 4-2/9\r\n",
	     .body = "345"),
	STEP(.status = 206, .headers = ETAG "Content-Range: bytes 2-4/*\r\n",
	     .body = "345"),
};

static void answers_of_unknown_extent_are_not_trusted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd_answers); i++) {
		struct script_step steps[] = {
			odd_answers[i],
			STEP(.status = 206,
			     .headers = ETAG "Content-Range: bytes 2-4/9\r\n",
			     .body = "345")};
		struct sink s = {.error = 0};
		struct env e;
		int rc;

		env_open(&e, steps, 2);
		rc = get_range(&e, 2, 3, &s, NULL);
		if (rc != 0 || strcmp(buf_str(&s.got), "345") != 0 ||
		    e.reply.attempts != 2)
			fail_msg("%zu: got %d %s \"%s\"", i, rc, e.reply.code,
				 buf_str(&s.got));
		buf_release(&s.got);
		env_close(&e);
	}
}

static void a_sink_that_fails_ends_the_get(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200, .headers = ETAG, .body = "123456789")};
	struct sink s = {.error = -ENOSPC};
	struct env e;

	(void)state;
	env_open(&e, steps, 1);
	assert_int_equal(get_range(&e, 0, 0, &s, NULL), -ENOSPC);
	assert_int_equal(http_script_count(e.server), 1);
	buf_release(&s.got);
	env_close(&e);
}

static void an_empty_object_can_be_got(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .headers = ETAG "x-oss-hash-crc64ecma: 0\r\n")};
	struct sink s = {.error = 0};
	struct oss_object o;
	struct env e;

	(void)state;
	env_open(&e, steps, 1);
	assert_int_equal(get_range(&e, 0, 0, &s, &o), 0);
	assert_int_equal(o.size, 0);
	assert_string_equal(o.etag, "E1");
	oss_object_release(&o);
	env_close(&e);
}

/* ---- the other calls --------------------------------------------------- */

static void listings_ask_page_by_page(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .body = "<ListBucketResult><IsTruncated>true</IsTruncated>"
			     "<NextContinuationToken>T=1</NextContinuationToken>"
			     "<Contents><Key>p/a</Key><Size>1</Size></Contents>"
			     "</ListBucketResult>"),
		STEP(.status = 200, .body = "<html>"),
		STEP(.status = 200, .body = "<ListBucketResult/>"),
	};
	struct oss_list l = {.prefix = "p/", .delimiter = "/", .max_keys = 7};
	struct oss_list_page p;
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(e.s.ops->list(e.s.self, &l, &e.ctl, &p), 0);
	assert_int_equal(p.count, 1);
	assert_string_equal(p.next_token, "T=1");
	request_line_is(&e, 0,
			"GET /bkt/?list-type=2&encoding-type=url&max-keys=7&"
			"prefix=p%2F&delimiter=%2F HTTP/1.1");
	oss_list_page_release(&p);
	l = (struct oss_list){.token = "T=1", .start_after = "ignored"};
	assert_int_equal(e.s.ops->list(e.s.self, &l, &e.ctl, &p), 0);
	assert_int_equal(p.count, 0);
	assert_int_equal(p.reply.attempts, 2); /* the page of HTML */
	request_line_is(&e, 2,
			"GET /bkt/?list-type=2&encoding-type=url&max-keys=1000&"
			"continuation-token=T%3D1 HTTP/1.1");
	oss_list_page_release(&p);
	env_close(&e);
}

static void what_a_mass_deletion_left_is_deleted_too(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 204), /* the key that XML cannot hold */
		STEP(.status = 200,
		     .body = "<DeleteResult><EncodingType>url</EncodingType>"
			     "<Deleted><Key>b%26</Key></Deleted></DeleteResult>"),
		STEP(.status = 200,
		     .body = "<DeleteResult><Deleted><Key>a</Key></Deleted>"
			     "</DeleteResult>"),
	};
	static const char *const keys[] = {"a", "b&", "c\x01"};
	bool failed[3];
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(e.s.ops->remove_many(e.s.self, keys, 3, &e.ctl, failed,
					      &e.reply),
			 0);
	request_line_is(&e, 0, "DELETE /bkt/c%01 ");
	request_line_is(&e, 1, "POST /bkt/?delete&encoding-type=url ");
	assert_non_null(strstr(http_script_request(e.server, 1)->body,
			       "<Key>a</Key></Object><Object><Key>b&amp;"));
	assert_null(strstr(http_script_request(e.server, 2)->body, "b&amp;"));
	assert_false(failed[0] || failed[1] || failed[2]);
	env_close(&e);
}

static void deleted_keys(struct buf *out, char *const *keys, size_t from,
			 size_t to)
{
	buf_adds(out, "<DeleteResult>");
	for (size_t i = from; i < to; i++) {
		buf_adds(out, "<Deleted><Key>");
		buf_adds(out, keys[i]);
		buf_adds(out, "</Key></Deleted>");
	}
	buf_adds(out, "</DeleteResult>");
}

/* OSS takes 2 MB of XML; a quotation mark needs six bytes of it. */
static void a_large_mass_deletion_goes_in_pieces(void **state)
{
	enum { COUNT = 450, FIRST = 300 };
	AUTO(buf_release) struct buf first = BUF_INIT;
	AUTO(buf_release) struct buf second = BUF_INIT;
	struct script_step steps[] = {STEP(.status = 200), STEP(.status = 200)};
	const struct script_request *r;
	char *keys[COUNT];
	struct env e;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		keys[i] = str_printf("%0*d", OSS_KEY_MAX, i);
		memset(keys[i], '"', OSS_KEY_MAX - 3);
	}
	deleted_keys(&first, keys, 0, FIRST);
	deleted_keys(&second, keys, FIRST, COUNT);
	steps[0].body = buf_str(&first);
	steps[1].body = buf_str(&second);
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(e.s.ops->remove_many(
				 e.s.self, (const char *const *)(uintptr_t)keys,
				 COUNT, &e.ctl, NULL, &e.reply),
			 0);
	assert_int_equal(http_script_count(e.server), 2);
	r = http_script_request(e.server, 0);
	assert_in_range(r->body_len, 2000000, 2 << 20);
	assert_string_equal(r->body + r->body_len - 9, "</Delete>");
	assert_null(strstr(r->body, "449</Key>"));
	r = http_script_request(e.server, 1);
	assert_non_null(strstr(r->body, "449</Key>"));
	assert_null(strstr(r->body, "299</Key>"));
	for (int i = 0; i < COUNT; i++)
		free(keys[i]);
	env_close(&e);
}

static void keys_that_stay_are_named(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .body = "<DeleteResult><Deleted><Key>a</Key></Deleted>"
			     "</DeleteResult>"),
		STEP(.status = 200, .body = "<DeleteResult/>"),
	};
	static const char *const keys[] = {"a", "b"};
	bool failed[2];
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(e.s.ops->remove_many(e.s.self, keys, 2, &e.ctl, failed,
					      &e.reply),
			 -EIO);
	assert_false(failed[0]);
	assert_true(failed[1]);
	env_close(&e);
}

#define COPIED                                                                 \
	"<CopyObjectResult><ETag>\"C1\"</ETag><LastModified>"                  \
	"2018-12-28T09:41:56.000Z</LastModified></CopyObjectResult>"

static void copies_name_their_source(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200, .body = COPIED),
		STEP(.status = 200, .body = COPIED),
		STEP(.status = 412, .body = ERROR("PreconditionFailed")),
	};
	struct oss_copy c = {
		.src_key = "a b/c+d", .src_etag = "E1", .dst_key = "dst"};
	struct oss_put_result r;
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(e.s.ops->copy(e.s.self, &c, &e.ctl, &r), 0);
	assert_string_equal(r.etag, "C1");
	assert_int_equal(r.modified_ms, 1545990116000);
	header_is(&e, 0, "x-oss-copy-source", "/bkt/a%20b/c%2Bd");
	header_is(&e, 0, "x-oss-copy-source-if-match", "\"E1\"");
	header_is(&e, 0, "x-oss-metadata-directive", NULL);
	header_is(&e, 0, "Content-Length", "0");
	oss_put_result_release(&r);
	c.src_key = "dst";
	c.forbid_overwrite = true;
	assert_int_equal(e.s.ops->copy(e.s.self, &c, &e.ctl, &r), 0);
	header_is(&e, 1, "x-oss-metadata-directive", "REPLACE");
	header_is(&e, 1, "x-oss-forbid-overwrite", "true");
	oss_put_result_release(&r);
	assert_int_equal(e.s.ops->copy(e.s.self, &c, &e.ctl, &r), -ESTALE);
	env_close(&e);
}

static void a_missing_key_is_deleted_already(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 204),
		STEP(.status = 404, .body = ERROR("NoSuchKey")),
		STEP(.status = 404, .body = ERROR("NoSuchBucket")),
	};
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(e.s.ops->remove(e.s.self, "k", &e.ctl, NULL), 0);
	assert_int_equal(e.s.ops->remove(e.s.self, "k", &e.ctl, NULL), 0);
	assert_int_equal(e.s.ops->remove(e.s.self, "k", &e.ctl, NULL), -ENODEV);
	env_close(&e);
}

static const struct script_step multipart_steps[] = {
	STEP(.status = 200, .headers = "",
	     .body = "<InitiateMultipartUploadResult><UploadId>ID</UploadId>"
		     "</InitiateMultipartUploadResult>"),
	/* No ETag: again. */
	STEP(.status = 200, .headers = CRC_OK, .body = ""),
	STEP(.status = 200, .headers = "ETag: \"p1\"\r\n" CRC_OK, .body = ""),
	STEP(.status = 200, .headers = "",
	     .body = "<CopyPartResult><ETag>\"p2\"</ETag></CopyPartResult>"),
	STEP(.status = 503, .headers = "", .body = ERROR("ServiceUnavailable")),
	STEP(.status = 200,
	     .headers = "ETag: \"M-2\"\r\nx-oss-hash-crc64ecma: 42\r\n",
	     .body = "{\"Status\":\"OK\"}"),
};

static void a_multipart_upload_goes_its_way(void **state)
{
	struct oss_callback cb = {.callback = "Y2I="};
	struct oss_source src = text_source("part one");
	struct oss_part parts[2];
	struct oss_put_result r;
	char *id = NULL;
	struct env e;

	(void)state;
	env_open(&e, multipart_steps, ARRAY_LEN(multipart_steps));
	assert_int_equal(
		e.s.ops->initiate(e.s.self, "k", NULL, &e.ctl, &id, &e.reply),
		0);
	assert_string_equal(id, "ID");
	request_line_is(&e, 0, "POST /bkt/k?uploads HTTP/1.1");
	assert_int_equal(e.s.ops->upload_part(e.s.self, "k", id, 1, &src,
					      &e.ctl, &parts[0], &e.reply),
			 0);
	request_line_is(&e, 2, "PUT /bkt/k?partNumber=1&uploadId=ID HTTP/1.1");
	assert_string_equal(parts[0].etag, "P1");
	assert_true(parts[0].has_crc64);
	assert_int_equal(e.s.ops->upload_part_copy(e.s.self, "k", id, 2, "src",
						   "E1", 100, 50, &e.ctl,
						   &parts[1], &e.reply),
			 0);
	header_is(&e, 3, "x-oss-copy-source", "/bkt/src");
	header_is(&e, 3, "x-oss-copy-source-range", "bytes=100-149");
	assert_int_equal(parts[1].size, 50);
	assert_int_equal(e.s.ops->complete(e.s.self, "k", id, parts, 2, true,
					   &cb, &e.ctl, &r),
			 0);
	assert_non_null(
		strstr(http_script_request(e.server, 5)->body,
		       "<PartNumber>2</PartNumber><ETag>\"P2\"</ETag>"));
	header_is(&e, 5, "x-oss-callback", "Y2I=");
	header_is(&e, 5, "x-oss-forbid-overwrite", "true");
	assert_string_equal(r.etag, "M-2");
	assert_true(r.crc64 == 42);
	assert_string_equal(buf_str(&r.body), "{\"Status\":\"OK\"}");
	oss_put_result_release(&r);
	free(id);
	env_close(&e);
}

static void complete_is_not_repeated_when_its_answer_is_lost(void **state)
{
	static const struct script_step steps[] = {
		STEP(.kind = SCRIPT_RESET),
		STEP(.status = 200, .body = "<CompleteMulti", .cut = 3),
		STEP(.status = 404, .body = ERROR("NoSuchUpload")),
		STEP(.status = 404, .body = ERROR("NoSuchUpload")),
	};
	struct oss_part part = {.number = 1, .etag = "P"};
	struct oss_put_result r;
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(e.s.ops->complete(e.s.self, "k", "ID", &part,
						   1, false, NULL, &e.ctl, &r),
				 -EIO);
		assert_true(r.reply.sent_all);
		assert_int_equal(r.reply.http, 0);
		assert_int_equal(r.reply.attempts, 1);
	}
	assert_int_equal(e.s.ops->complete(e.s.self, "k", "ID", &part, 1, false,
					   NULL, &e.ctl, &r),
			 -ENOENT);
	assert_int_equal(e.s.ops->abort(e.s.self, "k", "ID", &e.ctl, &e.reply),
			 0);
	env_close(&e);
}

static void parts_and_uploads_are_listed_to_the_end(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .body = "<ListPartsResult><IsTruncated>true</IsTruncated>"
			     "<NextPartNumberMarker>1</NextPartNumberMarker><Part>"
			     "<PartNumber>1</PartNumber><ETag>a</ETag><Size>5"
			     "</Size></Part></ListPartsResult>"),
		STEP(.status = 200,
		     .body = "<ListPartsResult><Part><PartNumber>2</PartNumber>"
			     "<ETag>b</ETag></Part></ListPartsResult>"),
		STEP(.status = 200,
		     .body = "<ListMultipartUploadsResult><IsTruncated>true"
			     "</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
			     "<NextUploadIdMarker>I</NextUploadIdMarker><Upload>"
			     "<Key>k</Key><UploadId>I</UploadId></Upload>"
			     "</ListMultipartUploadsResult>"),
		STEP(.status = 200, .body = "<ListMultipartUploadsResult/>"),
	};
	struct oss_part *parts = NULL;
	struct oss_upload *uploads = NULL;
	size_t count = 0;
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(e.s.ops->list_parts(e.s.self, "k", "ID", &e.ctl,
					     &parts, &count, &e.reply),
			 0);
	assert_int_equal(count, 2);
	request_line_is(&e, 1,
			"GET /bkt/k?uploadId=ID&max-parts=1000&"
			"part-number-marker=1 ");
	free(parts);
	assert_int_equal(e.s.ops->list_uploads(e.s.self, "p", &e.ctl, &uploads,
					       &count, &e.reply),
			 0);
	assert_int_equal(count, 1);
	request_line_is(&e, 3,
			"GET /bkt/?uploads&encoding-type=url&max-uploads=1000&"
			"prefix=p&key-marker=k&upload-id-marker=I ");
	oss_uploads_free(uploads, count);
	env_close(&e);
}

static void tags_acl_and_versioning_are_read(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200,
		     .body = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value>"
			     "</Tag></TagSet></Tagging>"),
		STEP(.status = 200,
		     .body = "<AccessControlPolicy><Owner><ID>0</ID></Owner>"
			     "<AccessControlList><Grant>public-read</Grant>"
			     "</AccessControlList></AccessControlPolicy>"),
		STEP(.status = 200,
		     .body = "<BucketInfo><Bucket><Versioning>Enabled</Versioning>"
			     "</Bucket></BucketInfo>"),
		STEP(.status = 200,
		     .body = "<BucketInfo><Bucket/></BucketInfo>"),
		STEP(.status = 403, .body = ERROR("AccessDenied")),
	};
	char *tags = NULL;
	char *acl = NULL;
	bool on = false;
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(e.s.ops->get_tags(e.s.self, "k", &e.ctl, &tags, NULL),
			 0);
	assert_string_equal(tags, "a=1");
	assert_int_equal(e.s.ops->get_acl(e.s.self, "k", &e.ctl, &acl, NULL),
			 0);
	assert_string_equal(acl, "public-read");
	request_line_is(&e, 1, "GET /bkt/k?acl HTTP/1.1");
	assert_int_equal(oss_client_versioning(e.client, &on), 0);
	assert_true(on);
	assert_int_equal(oss_client_versioning(e.client, &on), 0);
	assert_false(on);
	assert_int_equal(oss_client_versioning(e.client, &on), -EACCES);
	free(tags);
	free(acl);
	env_close(&e);
}

static void the_probe_says_what_is_wrong(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 200, .body = "<ListBucketResult/>"),
		STEP(.status = 404, .body = ERROR("NoSuchBucket")),
	};
	char line[900];
	struct env e;

	(void)state;
	env_open(&e, steps, ARRAY_LEN(steps));
	assert_int_equal(oss_client_probe(e.client, TEST_DEADLINE_MS, &e.reply),
			 0);
	assert_int_equal(oss_client_probe(e.client, TEST_DEADLINE_MS, &e.reply),
			 -ENODEV);
	assert_string_equal(
		oss_reply_describe(&e.reply, line, sizeof(line)),
		"http=404 code=NoSuchBucket "
		"request_id=5C3D9175B6FC201293AD0001 ec=0001-00000001 "
		"message=\"m\"");
	env_close(&e);
}

static void secrets_never_reach_the_log(void **state)
{
	static const struct script_step steps[] = {
		STEP(.status = 503, .body = ERROR("SlowDown")),
		STEP(.status = 403, .body = ERROR("SignatureDoesNotMatch")),
	};
	const struct credentials_conf keys = {.access_key_id = "akid",
					      .access_key_secret = "topsecret",
					      .security_token = "secrettoken"};
	AUTO(buf_release) struct buf text = BUF_INIT;
	char *dir = test_dir_make();
	AUTO_FREE char *path = test_path(dir, "log");
	struct oss_put_result r;
	struct env e;

	(void)state;
	env_open_with(&e, steps, 2, OSS_SIGN_V4, &keys);
	assert_int_equal(log_open("test", path, LOG_LVL_DEBUG), 0);
	assert_int_equal(put_text(&e, "x", NULL, NULL, &r), -EACCES);
	assert_int_equal(log_open("test", NULL, LOG_LVL_ERR), 0);
	test_file_read(path, &text);
	assert_non_null(strstr(buf_str(&text), "will try again"));
	assert_null(strstr(buf_str(&text), "topsecret"));
	assert_null(strstr(buf_str(&text), "secrettoken"));
	assert_null(strstr(buf_str(&text), "Signature="));
	env_close(&e);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_sends_everything_and_reads_the_result),
		cmocka_unit_test(version_1_signs_too_and_sends_tokens),
		cmocka_unit_test(
			what_may_pass_is_tried_again_from_the_first_byte),
		cmocka_unit_test(what_will_not_pass_is_not_tried_again),
		cmocka_unit_test(a_lasting_failure_ends_with_the_deadline),
		cmocka_unit_test(a_portal_stores_nothing),
		cmocka_unit_test(odd_keys_are_refused_without_a_request),
		cmocka_unit_test(the_applications_answer_is_handed_on),
		cmocka_unit_test(our_own_object_in_the_way_is_overwritten),
		cmocka_unit_test(somebody_elses_object_in_the_way_stays),
		cmocka_unit_test(
			a_lost_answer_is_remembered_through_later_failures),
		cmocka_unit_test(cancel_is_heard_while_the_server_is_silent),
		cmocka_unit_test(a_silent_server_is_a_timeout),
		cmocka_unit_test(an_absent_server_is_told_so),
		cmocka_unit_test(
			new_keys_are_read_when_the_old_ones_are_refused),
		cmocka_unit_test(the_servers_clock_is_followed),
		cmocka_unit_test(head_reads_all_about_an_object),
		cmocka_unit_test(an_error_is_not_taken_for_absence),
		cmocka_unit_test(get_gives_the_bytes_and_the_object),
		cmocka_unit_test(a_broken_get_goes_on_where_it_was),
		cmocka_unit_test(a_whole_answer_to_a_range_is_cut_to_it),
		cmocka_unit_test(a_link_is_not_judged_by_its_sum),
		cmocka_unit_test(less_than_asked_for_is_completed),
		cmocka_unit_test(gets_that_cannot_be_right_fail),
		cmocka_unit_test(answers_of_unknown_extent_are_not_trusted),
		cmocka_unit_test(a_sink_that_fails_ends_the_get),
		cmocka_unit_test(an_empty_object_can_be_got),
		cmocka_unit_test(listings_ask_page_by_page),
		cmocka_unit_test(what_a_mass_deletion_left_is_deleted_too),
		cmocka_unit_test(a_large_mass_deletion_goes_in_pieces),
		cmocka_unit_test(keys_that_stay_are_named),
		cmocka_unit_test(copies_name_their_source),
		cmocka_unit_test(a_missing_key_is_deleted_already),
		cmocka_unit_test(a_multipart_upload_goes_its_way),
		cmocka_unit_test(
			complete_is_not_repeated_when_its_answer_is_lost),
		cmocka_unit_test(parts_and_uploads_are_listed_to_the_end),
		cmocka_unit_test(tags_acl_and_versioning_are_read),
		cmocka_unit_test(the_probe_says_what_is_wrong),
		cmocka_unit_test(secrets_never_reach_the_log),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LVL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
