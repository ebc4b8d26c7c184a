/* SPDX-License-Identifier: Apache-2.0 */
/* The fake must be right itself: others' tests stand on it. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../support/fake_store.h"
#include "util/clock.h"

static ssize_t text_read(void *arg, void *to, size_t len, uint64_t off)
{
	const char *text = arg;
	size_t left = strlen(text) - off;

	if (len > left)
		len = left;
	memcpy(to, text + off, len);
	return (ssize_t)len;
}

static struct oss_source text_source(const char *text)
{
	return (struct oss_source){.read = text_read,
				   .arg = (void *)(uintptr_t)text,
				   .size = strlen(text)};
}

static int buf_sink(void *arg, const void *data, size_t len)
{
	buf_add(arg, data, len);
	return 0;
}

static int put_text(struct store s, const char *key, const char *text,
		    struct oss_put_result *r)
{
	struct oss_source src = text_source(text);

	return s.ops->put(s.self, key, &src, NULL, NULL, NULL, r);
}

static void what_is_put_can_be_got_listed_and_removed(void **state)
{
	struct fake_store *f = fake_store_new();
	struct store s = fake_store_store(f);
	AUTO(buf_release) struct buf got = BUF_INIT;
	struct oss_sink sink = {.write = buf_sink, .arg = &got};
	struct oss_put_result r;
	struct oss_object o;
	struct oss_reply reply;

	(void)state;
	assert_int_equal(put_text(s, "a/b", "hello", &r), 0);
	assert_string_equal(r.etag, "5D41402ABC4B2A76B9719D911017C592");
	oss_put_result_release(&r);
	assert_int_equal(
		s.ops->get(s.self, "a/b", 1, 3, NULL, &sink, NULL, &o, &reply),
		0);
	assert_string_equal(buf_str(&got), "ell");
	assert_int_equal(o.size, 5);
	oss_object_release(&o);
	assert_int_equal(s.ops->get(s.self, "a/b", 0, 0, "0000", &sink, NULL,
				    NULL, &reply),
			 -ESTALE);
	assert_int_equal(s.ops->remove(s.self, "a/b", NULL, &reply), 0);
	assert_int_equal(s.ops->remove(s.self, "a/b", NULL, &reply), 0);
	assert_int_equal(s.ops->head(s.self, "a/b", NULL, &o, &reply), -ENOENT);
	assert_string_equal(reply.code, "NoSuchKey");
	assert_int_equal(fake_store_calls(f, FAKE_REMOVE), 2);
	fake_store_free(f);
}

static void listing_pages_merge_keys_and_prefixes(void **state)
{
	static const char *const want[] = {"a", "b/", "c", "d/"};
	static const char *const keys[] = {"a", "b/1", "b/2", "c", "d/x"};
	struct fake_store *f = fake_store_new();
	struct store s = fake_store_store(f);
	struct oss_list l = {.prefix = "", .delimiter = "/", .max_keys = 2};
	AUTO_FREE char *token = NULL;
	struct oss_list_page p;
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		fake_store_put_text(f, keys[i], "x");
	do {
		l.token = token;
		assert_int_equal(s.ops->list(s.self, &l, NULL, &p), 0);
		for (size_t i = 0; i < p.count; i++)
			assert_string_equal(p.entries[i].key, want[seen++]);
		assert_int_equal(str_set(&token, p.next_token), 0);
		oss_list_page_release(&p);
	} while (token);
	assert_int_equal(seen, ARRAY_LEN(want));
	fake_store_free(f);
}

static void faults_hit_the_call_they_name(void **state)
{
	struct fake_store *f = fake_store_new();
	struct store s = fake_store_store(f);
	struct oss_put_result r;

	(void)state;
	fake_store_fail(f, &(struct fake_fault){.op = FAKE_PUT,
						.key = "x",
						.nth = 2,
						.err = -EIO,
						.http = 503,
						.code = "SlowDown"});
	fake_store_fail(f, &(struct fake_fault){.op = FAKE_PUT,
						.key = "y",
						.err = -ECONNRESET,
						.stored = true});
	fake_store_fail(f, &(struct fake_fault){.op = FAKE_PUT,
						.key = "z",
						.err = -ECONNRESET,
						.after_bytes = 2});
	assert_int_equal(put_text(s, "x", "1", &r), 0);
	oss_put_result_release(&r);
	assert_int_equal(put_text(s, "x", "2", &r), -EIO);
	assert_string_equal(r.reply.code, "SlowDown");
	assert_false(r.reply.sent_all);
	assert_true(fake_store_is(f, "x", "1"));
	assert_int_equal(put_text(s, "y", "lost", &r), -ECONNRESET);
	assert_true(r.reply.sent_all);
	assert_true(fake_store_is(f, "y", "lost"));
	assert_int_equal(put_text(s, "z", "broken", &r), -ECONNRESET);
	assert_false(r.reply.sent_all);
	assert_false(fake_store_has(f, "z"));
	assert_int_equal(fake_store_bytes_in(f), 1 + 4 + 2);
	fake_store_free(f);
}

struct put_job {
	struct store s;
	struct oss_ctl ctl;
	int rc;
};

static void *put_thread(void *arg)
{
	struct put_job *j = arg;
	struct oss_source src = text_source("content");
	struct oss_put_result r;

	j->rc = j->s.ops->put(j->s.self, "k", &src, NULL, NULL, &j->ctl, &r);
	oss_put_result_release(&r);
	return NULL;
}

static void blocked_calls_stand_until_released_or_cancelled(void **state)
{
	struct fake_store *f = fake_store_new();
	atomic_bool cancel = false;
	struct put_job j = {.s = fake_store_store(f), .ctl.cancel = &cancel};
	pthread_t t;

	(void)state;
	fake_store_block(f, FAKE_PUT, NULL, FAKE_SENT, 0);
	assert_int_equal(pthread_create(&t, NULL, put_thread, &j), 0);
	assert_true(fake_store_wait_blocked(f, FAKE_PUT, 1, 10000));
	assert_false(fake_store_has(f, "k"));
	fake_store_release(f, FAKE_PUT);
	pthread_join(t, NULL);
	assert_int_equal(j.rc, 0);
	assert_true(fake_store_is(f, "k", "content"));

	assert_true(fake_store_drop(f, "k"));
	fake_store_block(f, FAKE_PUT, "k", FAKE_SENT, 3);
	assert_int_equal(pthread_create(&t, NULL, put_thread, &j), 0);
	assert_true(fake_store_wait_blocked(f, FAKE_PUT, 1, 10000));
	atomic_store(&cancel, true);
	pthread_join(t, NULL);
	assert_int_equal(j.rc, -ECANCELED);
	assert_false(fake_store_has(f, "k"));
	fake_store_free(f);
}

static void completed_uploads_join_their_parts_and_call_back(void **state)
{
	struct fake_store *f = fake_store_new();
	struct store s = fake_store_store(f);
	struct oss_callback cb = {.callback = "Y2I=", .vars = "dmFycw=="};
	struct oss_source src = text_source("tail");
	struct oss_put_result r;
	struct oss_reply reply;
	struct oss_part part;
	char *id;

	(void)state;
	assert_int_equal(s.ops->initiate(s.self, "m", NULL, NULL, &id, &reply),
			 0);
	assert_int_equal(s.ops->upload_part(s.self, "m", id, 1, &src, NULL,
					    &part, &reply),
			 0);
	fake_store_answer(
		f, 1, 203,
		"<Error><Code>CallbackFailed</Code><EC>7</EC></Error>",
		"application/xml");
	assert_int_equal(s.ops->complete(s.self, "m", id, &part, 1, false, &cb,
					 NULL, &r),
			 0);
	assert_int_equal(r.reply.http, 203);
	assert_string_equal(r.reply.code, "CallbackFailed");
	assert_string_equal(r.reply.ec, "7");
	oss_put_result_release(&r);
	assert_int_equal(fake_store_callbacks(f), 1);
	assert_string_equal(fake_store_callback(f, 0)->vars, "dmFycw==");
	assert_true(fake_store_is(f, "m", "tail"));
	assert_int_equal(s.ops->complete(s.self, "m", id, &part, 1, false, &cb,
					 NULL, &r),
			 -ENOENT);
	assert_int_equal(fake_store_uploads(f), 0);
	free(id);
	fake_store_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_can_be_got_listed_and_removed),
		cmocka_unit_test(listing_pages_merge_keys_and_prefixes),
		cmocka_unit_test(faults_hit_the_call_they_name),
		cmocka_unit_test(
			blocked_calls_stand_until_released_or_cancelled),
		cmocka_unit_test(
			completed_uploads_join_their_parts_and_call_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
