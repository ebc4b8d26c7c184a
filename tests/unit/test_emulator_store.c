/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets in a folder: order, durability, shared bytes. */
#include "../support/test.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "emulator/index.h"
#include "emulator/store.h"
#include "util/crc64.h"

static struct store *open_store(const char *dir)
{
	struct store *s = NULL;

	assert_int_equal(store_open(dir, false, &s), 0);
	return s;
}

static void make_bucket(struct store *s, const char *name)
{
	struct bucket_info info = {.acl = "private",
				   .storage_class = "Standard"};

	snprintf(info.name, sizeof(info.name), "%s", name);
	assert_int_equal(store_bucket_create(s, &info), 0);
}

static struct body *make_body(struct store *s, const char *text)
{
	struct blob_writer w;
	struct blob *b;
	size_t len = strlen(text);

	assert_int_equal(blob_writer_open(store_blobs(s), false, &w), 0);
	assert_int_equal(blob_writer_add(&w, text, len), 0);
	assert_int_equal(blob_writer_commit(&w, &b), 0);
	return body_of_blob(b, len, crc64_update(0, text, len));
}

static void put(struct store *s, const char *key, const char *text)
{
	struct object *o = object_new(key);

	object_set_body(o, make_body(s, text));
	assert_int_equal(store_put(s, "b", o, false), 0);
}

static void reads(struct store *s, const char *key, const char *want)
{
	AUTO(object_putp) struct object *o = NULL;
	char got[64] = {0};

	assert_int_equal(store_get(s, "b", key, &o), 0);
	assert_int_equal(body_pread(o->body, got, sizeof(got) - 1, 0),
			 strlen(want));
	assert_string_equal(got, want);
}

static int count_files(const char *dir)
{
	AUTO_FREE char *blobs = test_path(dir, "blobs");
	int n = 0;

	for (int i = 0; i < 256; i++) {
		AUTO_FREE char *sub = test_path(blobs, "%02x", (unsigned)i);
		DIR *d = opendir(sub);
		const struct dirent *e;

		while (d && (e = readdir(d)))
			n += e->d_name[0] != '.';
		if (d)
			closedir(d);
	}
	return n;
}

/* ---- the index ---- */

static void index_agrees_with_a_model(void **state)
{
	enum { KEYS = 97, STEPS = 4000 };
	struct index *x = index_new();
	bool there[KEYS] = {0};
	unsigned random = 12345;
	size_t count = 0;

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		unsigned k;
		char key[8];

		random = random * 1103515245U + 12345U;
		k = random >> 16 & 0x7fff;
		snprintf(key, sizeof(key), "%02u", k % KEYS);
		if (k & 0x4000) {
			assert_int_equal(index_remove(x, key), there[k % KEYS]);
			there[k % KEYS] = false;
		} else {
			assert_int_equal(index_set(x, object_new(key)), 0);
			there[k % KEYS] = true;
		}
	}
	for (unsigned k = 0; k < KEYS; k++) {
		char key[8];

		snprintf(key, sizeof(key), "%02u", k);
		assert_int_equal(index_find(x, key) != NULL, there[k]);
		count += there[k];
	}
	assert_int_equal(index_count(x), count);
	for (const struct index_node *n = index_seek(x, ""), *m; n; n = m) {
		m = index_next(n);
		if (m)
			assert_true(strcmp(index_object(n)->key,
					   index_object(m)->key) < 0);
		count--;
	}
	assert_int_equal(count, 0);
	index_free(x);
}

static void index_orders_by_bytes(void **state)
{
	static const char *const keys[] = {
		"\xf0\x9f\x98\x80", "a", "B", "\xc3\xa4", "~", "a/", "a!"};
	static const char *const want[] = {
		"B", "a", "a!", "a/", "~", "\xc3\xa4", "\xf0\x9f\x98\x80"};
	struct index *x = index_new();
	const struct index_node *n;
	size_t i = 0;

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(keys); k++)
		index_set(x, object_new(keys[k]));
	for (n = index_seek(x, ""); n; n = index_next(n))
		assert_string_equal(index_object(n)->key, want[i++]);
	assert_int_equal(i, ARRAY_LEN(want));
	index_free(x);
}

/* ---- files ---- */

static void everything_survives_a_restart(void **state)
{
	struct store *s = open_store(*state);
	AUTO(object_putp) struct object *o = NULL;
	struct object *full = object_new("dir/\xe4\xbd\xa0 \x01");

	make_bucket(s, "b");
	object_set_body(full, make_body(s, "hi oss"));
	full->type = OBJECT_MULTIPART;
	snprintf(full->etag, sizeof(full->etag), "ABC-1");
	full->mtime_ms = 1700000000000;
	kvs_add(&full->headers, "Content-Type", "text/plain");
	kvs_add(&full->headers, "x-oss-meta-a", "\xe4\xbd\xa0");
	kvs_add(&full->tags, "t", "");
	str_set(&full->acl, "public-read");
	str_set(&full->storage_class, "Archive");
	str_set(&full->symlink_target, "x");
	full->restore_done_ms = 5;
	full->restore_expiry_ms = 6;
	assert_int_equal(store_put(s, "b", full, false), 0);
	store_close(s);

	s = open_store(*state);
	assert_int_equal(store_get(s, "b", "dir/\xe4\xbd\xa0 \x01", &o), 0);
	assert_int_equal(o->type, OBJECT_MULTIPART);
	assert_string_equal(o->etag, "ABC-1");
	assert_int_equal(o->mtime_ms, 1700000000000);
	assert_string_equal(object_content_type(o), "text/plain");
	assert_string_equal(kvs_get(&o->headers, "x-oss-meta-a"),
			    "\xe4\xbd\xa0");
	assert_string_equal(kvs_get(&o->tags, "t"), "");
	assert_string_equal(o->acl, "public-read");
	assert_string_equal(object_storage_class(o), "Archive");
	assert_string_equal(o->symlink_target, "x");
	assert_int_equal(o->restore_done_ms, 5);
	assert_int_equal(o->restore_expiry_ms, 6);
	assert_int_equal(o->body->crc, 8707180448768400016U);
	reads(s, "dir/\xe4\xbd\xa0 \x01", "hi oss");
	object_putp(&o);
	o = NULL;
	store_close(s);
}

static void any_utf8_text_survives_a_restart_no_other_is_taken(void **state)
{
	const char *odd =
		"\"q\" \\ back\\\\ \x01\t\n\x1f\x7f / \xc3\xa9\xe2\x82\xac";
	struct store *s = open_store(*state);
	struct object *o = object_new(odd);

	make_bucket(s, "b");
	assert_int_equal(kvs_add(&o->headers, "x-oss-meta-a", odd), 0);
	assert_int_equal(kvs_add(&o->headers, "x-oss-meta-b", ""), 0);
	assert_int_equal(kvs_add(&o->tags, odd, odd), 0);
	assert_int_equal(store_put(s, "b", o, false), 0);
	o = object_new("latin");
	assert_int_equal(kvs_add(&o->headers, "x-oss-meta-a", "\xe9"), 0);
	assert_int_equal(store_put(s, "b", o, false), -EILSEQ);
	object_put(o);
	store_close(s);

	s = open_store(*state);
	assert_int_equal(store_get(s, "b", "latin", &o), -ENOENT);
	assert_int_equal(store_get(s, "b", odd, &o), 0);
	assert_string_equal(kvs_get(&o->headers, "x-oss-meta-a"), odd);
	assert_string_equal(kvs_get(&o->headers, "x-oss-meta-b"), "");
	assert_string_equal(kvs_get(&o->tags, odd), odd);
	object_put(o);
	store_close(s);
}

static void bytes_go_with_their_last_reader(void **state)
{
	struct store *s = open_store(*state);
	struct object *reader = NULL;
	char got[8] = {0};

	make_bucket(s, "b");
	put(s, "k", "old");
	assert_int_equal(store_get(s, "b", "k", &reader), 0);
	put(s, "k", "new");
	assert_int_equal(count_files(*state), 2);
	assert_int_equal(body_pread(reader->body, got, 3, 0), 3);
	assert_string_equal(got, "old");
	object_put(reader);
	assert_int_equal(count_files(*state), 1);
	store_delete(s, "b", "k");
	assert_int_equal(count_files(*state), 0);
	store_close(s);
}

static void unknown_blobs_go_at_start_shared_ones_stay(void **state)
{
	struct store *s = open_store(*state);
	struct object *o = NULL;
	struct body *lost;

	make_bucket(s, "b");
	put(s, "k", "shared");
	assert_int_equal(store_get(s, "b", "k", &o), 0);
	assert_int_equal(store_put(s, "b", object_copy(o, "k2"), false), 0);
	object_put(o);
	lost = make_body(s, "lost");
	store_blobs(s)->closing = true; /* as a crash leaves it */
	body_put(lost);
	store_close(s);
	assert_int_equal(count_files(*state), 2);
	s = open_store(*state);
	assert_int_equal(count_files(*state), 1);
	store_delete(s, "b", "k");
	reads(s, "k2", "shared");
	store_close(s);
}

static void replace_wants_the_object_it_saw(void **state)
{
	struct store *s = open_store(*state);
	struct object *seen = NULL;
	struct object *o = object_new("k");

	make_bucket(s, "b");
	put(s, "k", "one");
	assert_int_equal(store_get(s, "b", "k", &seen), 0);
	put(s, "k", "two");
	assert_int_equal(store_replace(s, "b", seen, o), -EAGAIN);
	reads(s, "k", "two");
	assert_int_equal(store_put(s, "b", object_get(o), true), -EEXIST);
	object_put(o);
	object_put(o);
	object_put(seen);
	store_close(s);
}

static void buckets_are_told_apart(void **state)
{
	struct store *s = open_store(*state);
	struct bucket_info info = {.name = "b"};
	struct object *o;

	make_bucket(s, "b");
	make_bucket(s, "c");
	put(s, "k", "x");
	assert_int_equal(store_bucket_create(s, &info), -EEXIST);
	assert_int_equal(store_get(s, "c", "k", &o), -ENOENT);
	assert_int_equal(store_get(s, "d", "k", &o), -ENODEV);
	assert_int_equal(store_bucket_delete(s, "b"), -ENOTEMPTY);
	assert_int_equal(store_bucket_delete(s, "c"), 0);
	assert_int_equal(store_bucket_delete(s, "c"), -ENODEV);
	store_close(s);
}

/* ---- bodies ---- */

static void slices_and_joins_keep_bytes_and_sums(void **state)
{
	static const char all[] = "0123456789abcdefghij";
	struct store *s = open_store(*state);
	struct body *parts[2] = {make_body(s, "0123456789"),
				 make_body(s, "abcdefghij")};
	struct body *whole = body_concat(parts, 2);

	assert_int_equal(whole->crc, crc64_update(0, all, 20));
	for (size_t off = 0; off <= 20; off++) {
		for (size_t len = 0; off + len <= 20; len++) {
			struct body *cut = NULL;
			char got[24] = {0};

			assert_int_equal(body_slice(whole, off, len, &cut), 0);
			assert_int_equal(cut->size, len);
			assert_int_equal(cut->crc,
					 crc64_update(0, all + off, len));
			assert_int_equal(body_pread(cut, got, 23, 0), len);
			assert_memory_equal(got, all + off, len);
			body_put(cut);
		}
	}
	body_put(whole);
	body_put(parts[0]);
	body_put(parts[1]);
	assert_int_equal(count_files(*state), 0);
	store_close(s);
}

int main(void)
{
#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, test_dir_setup, test_dir_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_agrees_with_a_model),
		cmocka_unit_test(index_orders_by_bytes),
		T(everything_survives_a_restart),
		T(any_utf8_text_survives_a_restart_no_other_is_taken),
		T(bytes_go_with_their_last_reader),
		T(unknown_blobs_go_at_start_shared_ones_stay),
		T(replace_wants_the_object_it_saw),
		T(buckets_are_told_apart),
		T(slices_and_joins_keep_bytes_and_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
