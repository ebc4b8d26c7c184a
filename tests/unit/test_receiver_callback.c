/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "receiver/admin.h"
#include "receiver/callback.h"
#include "util/clock.h"
#include "util/codec.h"

#define KEY_URL "http://127.0.0.1:9/key.pem"

/* A signer with its key, and a receiver that prints into a file. */
struct world {
	char *dir;
	char *log_path;
	EVP_PKEY *signer;
	struct callback_service service;
};

static const char *const trusted[] = {"http://127.0.0.1:9/"};

/* What the key's address serves. */
static struct {
	EVP_PKEY *key;
	int fetches;
	int rc;
} net;

static int fake_fetch(const char *url, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	(void)url;
	net.fetches++;
	if (net.rc == 0 && PEM_write_bio_PUBKEY(bio, net.key) == 1) {
		len = BIO_get_mem_data(bio, &text);
		buf_add(pem, text, (size_t)len);
	}
	BIO_free(bio);
	return net.rc;
}

static int setup(void **state)
{
	const struct keycache_conf keys = {
		.trusted = trusted, .trusted_count = 1, .fetch = fake_fetch};
	const struct answer_conf answer = {.status = 200,
					   .template = ANSWER_DEFAULT};
	struct world *w = calloc(1, sizeof(*w));

	w->dir = test_dir_make();
	w->log_path = test_path(w->dir, "log");
	w->signer = EVP_RSA_gen(512);
	net.key = w->signer;
	net.fetches = 0;
	net.rc = 0;
	w->service.id_field = "id";
	*state = w;
	if (keycache_new(&keys, &w->service.keys) < 0 ||
	    answers_new(&answer, &w->service.answers) < 0 ||
	    recordlog_open(w->log_path, &w->service.log) < 0)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	recordlog_close(w->service.log);
	answers_free(w->service.answers);
	keycache_free(w->service.keys);
	EVP_PKEY_free(w->signer);
	free(w->log_path);
	test_dir_remove(w->dir);
	free(w);
	return 0;
}

static void sign(EVP_PKEY *key, const char *text, size_t text_len,
		 struct buf *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[64];
	size_t len = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_md5(), NULL, key),
			 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len,
					(const unsigned char *)text, text_len),
			 1);
	base64_encode(out, sig, len);
	EVP_MD_CTX_free(ctx);
}

static void handle_body(struct world *w, const char *type,
			const struct buf *body, struct answer *out)
{
	AUTO(kvs_release) struct kvs headers = KVS_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf auth = BUF_INIT;
	AUTO(buf_release) struct buf url = BUF_INIT;

	buf_adds(&text, "/cb\n");
	buf_add(&text, body->data, body->len);
	sign(w->signer, text.data, text.len, &auth);
	base64_encode(&url, KEY_URL, strlen(KEY_URL));
	assert_int_equal(kvs_add(&headers, "authorization", buf_str(&auth)), 0);
	assert_int_equal(kvs_add(&headers, "x-oss-pub-key-url", buf_str(&url)),
			 0);
	assert_int_equal(kvs_add(&headers, "Content-Type", type), 0);
	assert_int_equal(kvs_add(&headers, "Cookie", "secret"), 0);
	callback_handle(&w->service,
			&(struct callback_in){.client = "10.0.0.1",
					      .target = "/cb",
					      .headers = &headers,
					      .body = body},
			out);
}

/* A signed callback with this JSON body. @return the answer's status */
static unsigned handle(struct world *w, const char *json)
{
	AUTO(buf_release) struct buf body = BUF_INIT;
	struct answer out;

	buf_adds(&body, json);
	handle_body(w, "application/json", &body, &out);
	buf_release(&out.body);
	return out.status;
}

/* The last line of the log. */
static json_t *last_line(const struct world *w)
{
	AUTO(buf_release) struct buf log = BUF_INIT;
	const char *line;
	json_t *j;

	test_file_read(w->log_path, &log);
	assert_true(log.len > 1 && log.data[log.len - 1] == '\n');
	buf_truncate(&log, log.len - 1);
	line = strrchr(buf_str(&log), '\n');
	j = json_loads(line ? line + 1 : buf_str(&log), JSON_ALLOW_NUL, NULL);
	assert_non_null(j);
	return j;
}

static void a_genuine_callback_is_answered_and_printed(void **state)
{
	struct world *w = *state;
	json_t *line, *headers;

	assert_int_equal(handle(w, "{\"id\":\"u-1\",\"size\":5}"), 200);
	line = last_line(w);
	assert_true(json_is_true(json_object_get(line, "verified")));
	assert_true(json_is_false(json_object_get(line, "duplicate")));
	assert_string_equal(test_json_str(line, "reason"), "genuine");
	assert_string_equal(test_json_str(line, "id"), "u-1");
	assert_string_equal(test_json_str(line, "path"), "/cb");
	assert_string_equal(test_json_str(line, "client"), "10.0.0.1");
	assert_string_equal(test_json_str(line, "body"),
			    "{\"id\":\"u-1\",\"size\":5}");
	assert_string_equal(test_json_str(line, "answer"),
			    "{\"Status\":\"OK\",\"n\":1,\"id\":\"u-1\"}");
	assert_int_equal(test_json_int(line, "status"), 200);
	assert_int_equal(test_json_int(json_object_get(line, "fields"), "size"),
			 5);
	headers = json_object_get(line, "headers");
	assert_non_null(json_object_get(headers, "x-oss-pub-key-url"));
	assert_null(json_object_get(headers, "authorization"));
	assert_null(json_object_get(headers, "Cookie"));
	json_decref(line);
}

static void a_forged_callback_is_refused_and_does_nothing(void **state)
{
	struct world *w = *state;
	EVP_PKEY *forger = EVP_RSA_gen(512);
	json_t *line;

	net.key = forger; /* the address serves another key than w's */
	assert_int_equal(handle(w, "{\"id\":\"u-1\"}"), 403);
	line = last_line(w);
	assert_true(json_is_false(json_object_get(line, "verified")));
	assert_string_equal(test_json_str(line, "reason"),
			    "signature does not match");
	json_decref(line);
	assert_int_equal(w->service.stats.forged, 1);
	assert_int_equal(w->service.stats.verified, 0);

	/* Its id was not taken. */
	net.key = w->signer;
	clock_advance_ms(60000);
	assert_int_equal(handle(w, "{\"id\":\"u-1\"}"), 200);
	assert_int_equal(w->service.stats.duplicates, 0);
	EVP_PKEY_free(forger);
}

static void a_key_that_oss_changed_is_fetched_again(void **state)
{
	struct world *w = *state;
	EVP_PKEY *first = w->signer;

	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 200);
	w->signer = EVP_RSA_gen(512);
	net.key = w->signer;
	assert_int_equal(handle(w, "{\"id\":\"2\"}"), 403);
	assert_int_equal(net.fetches, 1);
	clock_advance_ms(60000);
	assert_int_equal(handle(w, "{\"id\":\"2\"}"), 200);
	assert_int_equal(net.fetches, 2);
	EVP_PKEY_free(first);
}

static void without_the_key_nothing_is_decided(void **state)
{
	struct world *w = *state;
	json_t *line;

	net.rc = -EHOSTUNREACH;
	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 503);
	line = last_line(w);
	assert_true(json_is_false(json_object_get(line, "verified")));
	json_decref(line);
	assert_int_equal(w->service.stats.undecided, 1);
	assert_int_equal(w->service.stats.forged, 0);
	net.rc = 0;
	clock_advance_ms(60000);
	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 200);
	assert_int_equal(w->service.stats.duplicates, 0);
}

static void a_repetition_is_printed_as_such(void **state)
{
	struct world *w = *state;
	json_t *line;

	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 200);
	assert_int_equal(handle(w, "{\"id\":\"1\",\"again\":true}"), 200);
	line = last_line(w);
	assert_true(json_is_true(json_object_get(line, "duplicate")));
	assert_string_equal(test_json_str(line, "answer"),
			    "{\"Status\":\"OK\",\"n\":1,\"id\":\"1\"}");
	json_decref(line);
	assert_int_equal(w->service.stats.duplicates, 1);
}

static void ids_that_are_no_text_are_none(void **state)
{
	static const char *const bodies[] = {
		"{}", "{\"id\":null}", "{\"id\":\"\"}",
		"{\"id\":\"a\\u0000b\"}", "not json"};
	struct world *w = *state;

	for (size_t i = 0; i < 2 * ARRAY_LEN(bodies); i++) {
		json_t *line;

		assert_int_equal(handle(w, bodies[i / 2]), 200);
		line = last_line(w);
		assert_true(json_is_null(json_object_get(line, "id")));
		json_decref(line);
	}
	assert_int_equal(w->service.stats.duplicates, 0);
}

static void bodies_that_are_no_text_are_printed_as_base64(void **state)
{
	struct world *w = *state;
	AUTO(buf_release) struct buf body = BUF_INIT;
	struct answer out;
	json_t *line;

	buf_add(&body, "a=\xff\xfe", 4);
	handle_body(w, "application/x-www-form-urlencoded", &body, &out);
	assert_int_equal(out.status, 200);
	buf_release(&out.body);
	line = last_line(w);
	assert_null(json_object_get(line, "body"));
	assert_string_equal(test_json_str(line, "body_base64"), "YT3//g==");
	assert_true(json_is_null(json_object_get(line, "fields")));
	json_decref(line);
}

static void the_log_goes_on_in_a_new_file_after_a_rotation(void **state)
{
	struct world *w = *state;
	AUTO_FREE char *old = test_path(w->dir, "log.1");
	AUTO(buf_release) struct buf text = BUF_INIT;
	json_t *line;

	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 200);
	assert_int_equal(rename(w->log_path, old), 0);
	assert_int_equal(handle(w, "{\"id\":\"2\"}"), 200);
	assert_int_equal(recordlog_reopen(w->service.log), 0);
	assert_int_equal(handle(w, "{\"id\":\"3\"}"), 200);
	line = last_line(w);
	assert_string_equal(test_json_str(line, "id"), "3");
	json_decref(line);
	test_file_read(old, &text);
	assert_non_null(strstr(buf_str(&text), "\"id\":\"2\""));
	assert_null(strstr(buf_str(&text), "\"id\":\"3\""));
}

static unsigned admin(struct world *w, const char *method, const char *target,
		      const char *body_text, struct buf *reply)
{
	AUTO(buf_release) struct buf body = BUF_INIT;

	buf_adds(&body, body_text);
	return admin_handle(&w->service, method, target, &body, reply);
}

static void admin_changes_the_answer_and_tells_the_counters(void **state)
{
	struct world *w = *state;
	AUTO(buf_release) struct buf reply = BUF_INIT;
	json_t *stats;

	assert_int_equal(admin(w, "POST", "/-/answer",
			       "{\"status\":503,\"count\":1}", &reply),
			 200);
	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 503);
	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 200);
	assert_int_equal(
		admin(w, "POST", "/-/answer", "{\"status\":500}", &reply), 200);
	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 500);
	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 500);
	assert_int_equal(admin(w, "POST", "/-/answer", "{}", &reply), 200);
	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 200);

	buf_reset(&reply);
	assert_int_equal(admin(w, "GET", "/-/stats", "", &reply), 200);
	stats = json_loads(buf_str(&reply), 0, NULL);
	assert_int_equal(test_json_int(stats, "received"), 5);
	assert_int_equal(test_json_int(stats, "verified"), 5);
	assert_int_equal(test_json_int(stats, "failed"), 3);
	assert_int_equal(test_json_int(stats, "duplicates"), 3);
	assert_int_equal(test_json_int(stats, "forged"), 0);
	json_decref(stats);
}

static void admin_refuses_what_it_does_not_know(void **state)
{
	static const struct {
		const char *method;
		const char *target;
		const char *body;
		unsigned want;
	} cases[] = {
		{"POST", "/-/answer", "",                     400},
		{"POST", "/-/answer", "[]",                   400},
		{"POST", "/-/answer", "{\"status\":\"503\"}", 400},
		{"POST", "/-/answer", "{\"status\":100}",     400},
		{"POST", "/-/answer", "{\"status\":600}",     400},
		{"POST", "/-/answer", "{\"percent\":101}",    400},
		{"POST", "/-/answer", "{\"delay_ms\":-1}",    400},
		{"GET",  "/-/answer", "",                     404},
		{"POST", "/-/stats",  "",                     404},
		{"GET",  "/-/other",  "",                     404},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf reply = BUF_INIT;
		unsigned got = admin(w, cases[i].method, cases[i].target,
				     cases[i].body, &reply);

		if (got != cases[i].want)
			fail_msg("%s %s %s: %u", cases[i].method,
				 cases[i].target, cases[i].body, got);
	}
	assert_int_equal(handle(w, "{\"id\":\"1\"}"), 200);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_genuine_callback_is_answered_and_printed),
		TEST(a_forged_callback_is_refused_and_does_nothing),
		TEST(a_key_that_oss_changed_is_fetched_again),
		TEST(without_the_key_nothing_is_decided),
		TEST(a_repetition_is_printed_as_such),
		TEST(ids_that_are_no_text_are_none),
		TEST(bodies_that_are_no_text_are_printed_as_base64),
		TEST(the_log_goes_on_in_a_new_file_after_a_rotation),
		TEST(admin_changes_the_answer_and_tells_the_counters),
		TEST(admin_refuses_what_it_does_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
