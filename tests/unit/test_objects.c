/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "../support/fake_store.h"
#include "upload/objects.h"
#include "upload/parts.h"
#include "util/base.h"
#include "util/clock.h"

struct fix {
	struct fake_store *oss;
	struct store store;
	struct part_pool *pool;
	struct oss_put_result out;
};

static int setup(void **state)
{
	static struct fix f;

	memset(&f, 0, sizeof(f));
	f.oss = fake_store_new();
	f.store = fake_store_store(f.oss);
	assert_int_equal(part_pool_new(4, &f.pool), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	oss_put_result_release(&f->out);
	part_pool_free(f->pool);
	fake_store_free(f->oss);
	return 0;
}

static const struct oss_callback callback = {"Y2FsbGJhY2s=", "dmFycw=="};

static void put_with_meta(struct fix *f, const char *key, const char *text)
{
	AUTO(kvs_release) struct kvs meta = KVS_INIT;

	assert_int_equal(kvs_add(&meta, "mode", "33188"), 0);
	fake_store_put_data(f->oss, key, text, strlen(text), &meta);
	fake_store_set_tags(f->oss, key, "a=1&b=2");
	fake_store_set_acl(f->oss, key, "public-read");
}

static struct object_id id_of(struct fix *f, const char *key)
{
	struct object_id id;
	struct oss_object o;

	assert_int_equal(fake_store_stat(f->oss, key, &o), 0);
	object_id_of(&o, &id);
	oss_object_release(&o);
	return id;
}

static char *acl_of(struct fix *f, const char *key)
{
	struct oss_reply reply;
	char *acl = NULL;

	assert_int_equal(
		f->store.ops->get_acl(f->store.self, key, NULL, &acl, &reply),
		0);
	return acl;
}

static int copy(struct fix *f, struct object_copy c)
{
	oss_put_result_release(&f->out);
	c.deadline_ms = clock_mono_ms() + TEST_DEADLINE_MS;
	return object_copy(&f->store, f->pool, &c, &f->out);
}

/* The object is here, with all that it had. */
static void survived(struct fix *f, const char *key, const char *text)
{
	struct oss_object o;

	assert_true(fake_store_is(f->oss, key, text));
	assert_int_equal(fake_store_stat(f->oss, key, &o), 0);
	assert_string_equal(kvs_get(&o.meta, "mode"), "33188");
	assert_int_equal(o.tag_count, 2);
	oss_object_release(&o);
}

static void copy_of_a_known_object_is_one_request(void **state)
{
	struct fix *f = *state;
	struct object_id id;

	put_with_meta(f, "a", "text");
	id = id_of(f, "a");
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "b",
						      .src_id = &id}),
			 0);
	assert_int_equal(fake_store_calls_total(f->oss), 1);
	survived(f, "b", "text");
	assert_true(f->out.etag[0]);
}

static void unknown_source_is_looked_up(void **state)
{
	struct fix *f = *state;

	put_with_meta(f, "a", "text");
	assert_int_equal(copy(f, (struct object_copy){.src = "a", .dst = "b"}),
			 0);
	assert_int_equal(fake_store_calls_total(f->oss), 2);
	survived(f, "b", "text");
	assert_int_equal(
		copy(f, (struct object_copy){.src = "none", .dst = "b"}),
		-ENOENT);
}

static void changed_source_is_not_copied(void **state)
{
	struct fix *f = *state;
	struct object_id id;

	put_with_meta(f, "a", "text");
	id = id_of(f, "a");
	fake_store_put_text(f->oss, "a", "other");
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "b",
						      .src_id = &id}),
			 -ESTALE);
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "b",
						      .src_id = &id,
						      .callback = &callback,
						      .callback_urls = 1}),
			 -ESTALE);
	assert_false(fake_store_has(f->oss, "b"));
	assert_int_equal(fake_store_uploads(f->oss), 0);
}

static void acl_is_kept_when_asked_for(void **state)
{
	struct fix *f = *state;
	AUTO_FREE char *without = NULL;
	AUTO_FREE char *with = NULL;
	struct object_id id;

	put_with_meta(f, "a", "text");
	id = id_of(f, "a");
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "b",
						      .src_id = &id}),
			 0);
	without = acl_of(f, "b");
	assert_string_not_equal(without, "public-read");
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "c",
						      .src_id = &id,
						      .keep_acl = true}),
			 0);
	with = acl_of(f, "c");
	assert_string_equal(with, "public-read");
	survived(f, "c", "text");
}

static void new_metadata_in_place(void **state)
{
	struct fix *f = *state;
	AUTO(kvs_release) struct kvs meta = KVS_INIT;
	struct oss_props props = {.content_type = "text/x", .meta = &meta};
	struct object_id id;
	struct oss_object o;

	put_with_meta(f, "a", "text");
	id = id_of(f, "a");
	assert_int_equal(kvs_add(&meta, "mode", "33261"), 0);
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "a",
						      .src_id = &id,
						      .props = &props}),
			 0);
	assert_int_equal(fake_store_calls_total(f->oss), 1);
	assert_int_equal(fake_store_stat(f->oss, "a", &o), 0);
	assert_string_equal(kvs_get(&o.meta, "mode"), "33261");
	assert_string_equal(o.content_type, "text/x");
	assert_int_equal(o.tag_count, 2);
	oss_object_release(&o);
}

static void callback_is_made_by_a_copy_in_parts(void **state)
{
	struct fix *f = *state;
	AUTO_FREE char *acl = NULL;
	struct object_id id;

	put_with_meta(f, "a", "text");
	id = id_of(f, "a");
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "a",
						      .src_id = &id,
						      .callback = &callback,
						      .callback_urls = 1,
						      .keep_acl = true}),
			 0);
	assert_int_equal(fake_store_callbacks(f->oss), 1);
	assert_int_equal(fake_store_callback(f->oss, 0)->op, FAKE_COMPLETE);
	assert_string_equal(fake_store_callback(f->oss, 0)->callback,
			    "Y2FsbGJhY2s=");
	assert_string_equal(buf_str(&f->out.body), "{\"Status\":\"OK\"}");
	assert_int_equal(fake_store_bytes_in(f->oss), 0);
	survived(f, "a", "text");
	acl = acl_of(f, "a");
	assert_string_equal(acl, "public-read");
	assert_int_equal(fake_store_uploads(f->oss), 0);
}

static void empty_object_is_put_for_its_callback(void **state)
{
	struct fix *f = *state;

	put_with_meta(f, "a", "");
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "b",
						      .callback = &callback,
						      .callback_urls = 1}),
			 0);
	assert_int_equal(fake_store_callback(f->oss, 0)->op, FAKE_PUT);
	survived(f, "b", "");
}

static void failed_callback_is_a_copy_all_the_same(void **state)
{
	struct fix *f = *state;

	put_with_meta(f, "a", "text");
	fake_store_answer(f->oss, 1, 203, "<Error/>", "application/xml");
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "b",
						      .callback = &callback,
						      .callback_urls = 1}),
			 0);
	assert_int_equal(f->out.reply.http, 203);
	survived(f, "b", "text");
}

static void lost_complete_makes_the_callback_again(void **state)
{
	struct fix *f = *state;

	put_with_meta(f, "a", "text");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COMPLETE,
						     .err = -ECONNRESET,
						     .stored = true});
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "a",
						      .callback = &callback,
						      .callback_urls = 1}),
			 0);
	assert_int_equal(fake_store_callbacks(f->oss), 2);
	assert_string_equal(buf_str(&f->out.body), "{\"Status\":\"OK\"}");
	survived(f, "a", "text");
	assert_int_equal(fake_store_uploads(f->oss), 0);
}

static void failed_copy_leaves_nothing(void **state)
{
	struct fix *f = *state;

	put_with_meta(f, "a", "text");
	fake_store_fail(f->oss,
			&(struct fake_fault){.op = FAKE_UPLOAD_PART_COPY,
					     .err = -EACCES,
					     .http = 403,
					     .code = "InvalidObjectState"});
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "b",
						      .callback = &callback,
						      .callback_urls = 1}),
			 -EACCES);
	assert_string_equal(f->out.reply.code, "InvalidObjectState");
	assert_int_equal(fake_store_uploads(f->oss), 0);
	assert_false(fake_store_has(f->oss, "b"));
}

static void existing_target_is_kept_when_asked(void **state)
{
	struct fix *f = *state;

	put_with_meta(f, "a", "text");
	fake_store_put_text(f->oss, "b", "there");
	assert_int_equal(
		copy(f, (struct object_copy){.src = "a",
					     .dst = "b",
					     .forbid_overwrite = true}),
		-EEXIST);
	assert_int_equal(
		copy(f, (struct object_copy){.src = "a",
					     .dst = "b",
					     .callback = &callback,
					     .callback_urls = 1,
					     .forbid_overwrite = true}),
		-EEXIST);
	assert_true(fake_store_is(f->oss, "b", "there"));
}

static void rights_to_tags_and_acl_are_not_required(void **state)
{
	struct fix *f = *state;

	put_with_meta(f, "a", "text");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_GET_TAGS,
						     .err = -EACCES,
						     .http = 403,
						     .code = "AccessDenied"});
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_GET_ACL,
						     .err = -EACCES,
						     .http = 403,
						     .code = "AccessDenied"});
	assert_int_equal(copy(f, (struct object_copy){.src = "a",
						      .dst = "b",
						      .callback = &callback,
						      .callback_urls = 1,
						      .keep_acl = true}),
			 0);
	assert_true(fake_store_is(f->oss, "b", "text"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(copy_of_a_known_object_is_one_request),
		TEST(unknown_source_is_looked_up),
		TEST(changed_source_is_not_copied),
		TEST(acl_is_kept_when_asked_for),
		TEST(new_metadata_in_place),
		TEST(callback_is_made_by_a_copy_in_parts),
		TEST(empty_object_is_put_for_its_callback),
		TEST(failed_callback_is_a_copy_all_the_same),
		TEST(lost_complete_makes_the_callback_again),
		TEST(failed_copy_leaves_nothing),
		TEST(existing_target_is_kept_when_asked),
		TEST(rights_to_tags_and_acl_are_not_required),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
