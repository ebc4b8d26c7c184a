/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: order, groups, pages, encoding (protocol 4.14, 4.15). */
#include "../support/emu.h"

#include <string.h>

#include "util/codec.h"

static void put(struct emu *e, const char *key)
{
	AUTO(buf_release) struct buf target = BUF_INIT;

	buf_adds(&target, "/bucket/");
	percent_encode(&target, key, strlen(key), PERCENT_PATH);
	emu_do(e, "PUT", buf_str(&target), NULL, "x", 200);
}

static void put_all(struct emu *e, const char *const *keys)
{
	for (; *keys; keys++)
		put(e, *keys);
}

/* "key key prefix/ prefix/" of one answer, for easy comparison. */
static void summary(const struct answer *a, struct buf *out)
{
	char *text;

	for (int i = 0; (text = answer_element(a, "Key", i)); i++) {
		buf_addf(out, "%s ", text);
		free(text);
	}
	/* The first <Prefix> is the request's own. */
	for (int i = 1; (text = answer_element(a, "Prefix", i)); i++) {
		buf_addf(out, "%s ", text);
		free(text);
	}
}

static void lists(struct emu *e, const char *query, const char *want)
{
	AUTO_FREE char *target = str_printf("/bucket?%s", query);
	AUTO(answer_release) struct answer a;
	AUTO(buf_release) struct buf got = BUF_INIT;

	emu_expect(e, "GET", target, NULL, NULL, 200, &a);
	summary(&a, &got);
	if (strcmp(buf_str(&got), want) != 0)
		fail_msg("%s: got \"%s\", want \"%s\"", query, buf_str(&got),
			 want);
}

static const char *const tree[] = {
	"a",    "a/",  "a/b", "a/b/c",          "a/c",  "a0",
	"b//x", "b/y", "Z",   "\xe4\xbd\xa0/1", "e x+", NULL};

static void both_listings_agree_on_keys_and_groups(void **state)
{
	static const struct {
		const char *query;
		const char *want;
	} cases[] = {
		{"prefix=a",                      "a a/ a/b a/b/c a/c a0 "          },
		{"prefix=a/",                     "a/ a/b a/b/c a/c "               },
		{"delimiter=/",                   "Z a a0 e x+ a/ b/ \xe4\xbd\xa0/ "},
		{"prefix=a/&delimiter=/",         "a/ a/b a/c a/b/ "                },
		{"prefix=b/&delimiter=/",         "b/y b// "                        },
		{"prefix=a/b&delimiter=/",        "a/b a/b/ "                       },
		{"prefix=none",                   ""                                },
		{"prefix=a&delimiter=b",          "a a/ a/c a0 a/b "                },
		{"delimiter=/&encoding-type=url",
		 "Z a a0 e%20x%2B a%2F b%2F %E4%BD%A0%2F "                          },
	};

	put_all(*state, tree);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *v2 =
			str_printf("list-type=2&%s", cases[i].query);

		lists(*state, cases[i].query, cases[i].want);
		lists(*state, v2, cases[i].want);
	}
}

static void start_is_exclusive(void **state)
{
	put_all(*state, tree);
	lists(*state, "list-type=2&prefix=a&start-after=a/b", "a/b/c a/c a0 ");
	lists(*state, "prefix=a&marker=a/b", "a/b/c a/c a0 ");
	lists(*state, "list-type=2&start-after=zzz", "\xe4\xbd\xa0/1 ");
	/* A marker that is a group has passed the group. */
	lists(*state, "delimiter=/&marker=a/", "a0 e x+ b/ \xe4\xbd\xa0/ ");
}

static void version_two_counts_and_names_its_parts(void **state)
{
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *count = NULL;
	AUTO_FREE char *etag = NULL;
	AUTO_FREE char *type = NULL;
	AUTO_FREE char *size = NULL;
	AUTO_FREE char *modified = NULL;

	put_all(*state, tree);
	emu_expect(*state, "GET", "/bucket/?list-type=2&delimiter=/", NULL,
		   NULL, 200, &a);
	count = answer_element(&a, "KeyCount", 0);
	etag = answer_element(&a, "ETag", 0);
	type = answer_element(&a, "Type", 0);
	size = answer_element(&a, "Size", 0);
	modified = answer_element(&a, "LastModified", 0);
	assert_string_equal(count, "7");
	assert_string_equal(etag,
			    "&quot;9DD4E461268C8034F5C8564E155C67A6&quot;");
	assert_string_equal(type, "Normal");
	assert_string_equal(size, "1");
	assert_non_null(strstr(modified, ".000Z"));
	assert_null(strstr(buf_str(&a.body), "<Owner>"));
	assert_null(strstr(buf_str(&a.body), "NextContinuationToken"));
}

/* All seven that the protocol page names; a token's text is our own. */
static void all_names_are_encoded_when_asked(void **state)
{
	static const char *const keys[] = {"a b/1+", "a b/2/", "a b/3", NULL};
	static const struct {
		const char *element;
		const char *plain;
		const char *encoded;
	} cases[] = {
		{"Prefix",     "a b/",   "a%20b%2F"    },
		{"Delimiter",  "/",      "%2F"         },
		{"StartAfter", "a ",     "a%20"        },
		{"Key",        "a b/1+", "a%20b%2F1%2B"},
	};
	static const char query[] =
		"/bucket?list-type=2&prefix=a%20b/&delimiter=/&start-after="
		"a%20&max-keys=2";
	AUTO_FREE char *url = str_printf("%s&encoding-type=url", query);
	AUTO(answer_release) struct answer plain;
	AUTO(answer_release) struct answer encoded;
	AUTO_FREE char *group = NULL;
	AUTO_FREE char *next = NULL;
	AUTO_FREE char *next_encoded = NULL;
	AUTO_FREE char *type = NULL;
	AUTO(buf_release) struct buf token = BUF_INIT;

	put_all(*state, keys);
	emu_expect(*state, "GET", query, NULL, NULL, 200, &plain);
	emu_expect(*state, "GET", url, NULL, NULL, 200, &encoded);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *a = answer_element(&plain, cases[i].element, 0);
		AUTO_FREE char *b =
			answer_element(&encoded, cases[i].element, 0);

		assert_string_equal(a, cases[i].plain);
		assert_string_equal(b, cases[i].encoded);
	}
	type = answer_element(&encoded, "EncodingType", 0);
	assert_string_equal(type, "url");
	assert_null(strstr(buf_str(&plain.body), "<EncodingType>"));
	group = answer_element(&encoded, "Prefix", 1);
	assert_string_equal(group, "a%20b%2F2%2F");
	next = answer_element(&plain, "NextContinuationToken", 0);
	next_encoded = answer_element(&encoded, "NextContinuationToken", 0);
	percent_encode(&token, next, strlen(next), PERCENT_ALL);
	assert_string_equal(next_encoded, buf_str(&token));
}

/* The token counts more than start-after, and comes back as it was sent. */
static void a_token_goes_on_where_its_page_ended(void **state)
{
	static const char *const keys[] = {"a", "b", "c", "d", NULL};
	AUTO(answer_release) struct answer first;
	AUTO(answer_release) struct answer second;
	AUTO(buf_release) struct buf target = BUF_INIT;
	AUTO(buf_release) struct buf got = BUF_INIT;
	AUTO_FREE char *next = NULL;
	AUTO_FREE char *sent = NULL;
	AUTO_FREE char *truncated = NULL;

	put_all(*state, keys);
	emu_expect(*state, "GET", "/bucket?list-type=2&max-keys=2", NULL, NULL,
		   200, &first);
	truncated = answer_element(&first, "IsTruncated", 0);
	assert_string_equal(truncated, "true");
	next = answer_element(&first, "NextContinuationToken", 0);
	buf_adds(&target, "/bucket?list-type=2&start-after=zzz&"
			  "continuation-token=");
	percent_encode(&target, next, strlen(next), PERCENT_ALL);
	emu_expect(*state, "GET", buf_str(&target), NULL, NULL, 200, &second);
	summary(&second, &got);
	assert_string_equal(buf_str(&got), "c d ");
	sent = answer_element(&second, "ContinuationToken", 0);
	assert_string_equal(sent, next);
}

static void a_page_has_a_hundred_entries_unless_asked(void **state)
{
	static const struct {
		const char *query;
		const char *count;
	} cases[] = {
		{"list-type=2",               "100"},
		{"list-type=2&max-keys=1000", "101"},
		{"list-type=2&max-keys=1",    "1"  },
	};

	for (int i = 0; i < 101; i++) {
		AUTO_FREE char *key = str_printf("%03d", i);

		put(*state, key);
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *target =
			str_printf("/bucket?%s", cases[i].query);
		AUTO(answer_release) struct answer a;
		AUTO_FREE char *count = NULL;

		emu_expect(*state, "GET", target, NULL, NULL, 200, &a);
		count = answer_element(&a, "KeyCount", 0);
		assert_string_equal(count, cases[i].count);
	}
}

static void a_link_is_listed_as_one(void **state)
{
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *type = NULL;
	AUTO_FREE char *size = NULL;

	emu_do(*state, "PUT", "/bucket/l?symlink",
	       (const char *[]){"x-oss-symlink-target: a%20target", NULL}, NULL,
	       200);
	emu_expect(*state, "GET", "/bucket?list-type=2", NULL, NULL, 200, &a);
	type = answer_element(&a, "Type", 0);
	size = answer_element(&a, "Size", 0);
	assert_string_equal(type, "Symlink");
	assert_string_equal(size, "8");
}

static void owner_comes_when_asked_for(void **state)
{
	AUTO(answer_release) struct answer a;

	put(*state, "k");
	emu_expect(*state, "GET", "/bucket?list-type=2&fetch-owner=true", NULL,
		   NULL, 200, &a);
	assert_non_null(strstr(buf_str(&a.body), "<Owner><ID>"));
}

/* Every page through, by token or marker; the pages together. */
static void walk(struct emu *e, const char *query, bool v2, struct buf *out,
		 int *pages)
{
	AUTO_FREE char *next = NULL;

	*pages = 0;
	do {
		AUTO(buf_release) struct buf target = BUF_INIT;
		AUTO(answer_release) struct answer a;

		buf_addf(&target, "/bucket?%s%s", v2 ? "list-type=2&" : "",
			 query);
		if (next) {
			buf_adds(&target,
				 v2 ? "&continuation-token=" : "&marker=");
			percent_encode(&target, next, strlen(next),
				       PERCENT_ALL);
		}
		free(take_ptr(next));
		emu_expect(e, "GET", buf_str(&target), NULL, NULL, 200, &a);
		summary(&a, out);
		next = answer_element(
			&a, v2 ? "NextContinuationToken" : "NextMarker", 0);
		++*pages;
	} while (next && *pages < 100);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The words of a text, sorted: pages interleave keys and groups. */
static void sorted(struct buf *b)
{
	AUTO_FREE char *text = str_dup(buf_str(b));
	char *words[64];
	size_t n = 0;

	for (char *w = strtok(text, " "); w && n < 64; w = strtok(NULL, " "))
		words[n++] = w;
	qsort(words, n, sizeof(words[0]), compare_text);
	buf_reset(b);
	for (size_t i = 0; i < n; i++)
		buf_addf(b, "%s ", words[i]);
}

static void pages_of_any_size_give_everything_once(void **state)
{
	static const char *const queries[] = {"", "delimiter=/", "prefix=a",
					      "prefix=a/&delimiter=/",
					      "delimiter=/&encoding-type=url"};
	static const char *const keys[] = {"a",    "a/",  "a/b",   "a/b/c",
					   "a/c",  "a0",  "b//x",  "b/y",
					   "c/d/", "c/e", "c0/x/", NULL};

	put_all(*state, keys);
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		AUTO(buf_release) struct buf whole = BUF_INIT;
		int one;

		walk(*state, queries[i], true, &whole, &one);
		sorted(&whole);
		for (int max = 1; max <= 4; max++) {
			AUTO(buf_release) struct buf v1 = BUF_INIT;
			AUTO(buf_release) struct buf v2 = BUF_INIT;
			AUTO_FREE char *q =
				str_printf("%s&max-keys=%d", queries[i], max);
			int pages;

			walk(*state, q, true, &v2, &pages);
			if (!strstr(q, "url"))
				walk(*state, q, false, &v1, &pages);
			sorted(&v2);
			sorted(&v1);
			assert_string_equal(buf_str(&v2), buf_str(&whole));
			if (v1.len)
				assert_string_equal(buf_str(&v1),
						    buf_str(&whole));
		}
	}
}

static void bad_parameters_are_refused(void **state)
{
	static const char *const bad[] = {"list-type=2&max-keys=1001",
					  "list-type=2&max-keys=0",
					  "list-type=2&max-keys=x",
					  "list-type=3",
					  "encoding-type=xml",
					  "list-type=2&continuation-token=a",
					  "max-keys=-1"};
	AUTO(buf_release) struct buf deep = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_FREE char *target = str_printf("/bucket?%s", bad[i]);

		emu_fails(*state, "GET", target, NULL, NULL, 400,
			  "InvalidArgument");
	}
	buf_adds(&deep, "/bucket?prefix=");
	for (int i = 0; i < 1023; i++)
		buf_addc(&deep, 'p');
	emu_do(*state, "GET", buf_str(&deep), NULL, NULL, 200);
	buf_addc(&deep, 'p');
	emu_fails(*state, "GET", buf_str(&deep), NULL, NULL, 400,
		  "InvalidArgument");
	emu_fails(*state, "GET", "/no-bucket?list-type=2", NULL, NULL, 404,
		  "NoSuchBucket");
}

static void buckets_come_and_go(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer list;
	AUTO(answer_release) struct answer info;
	AUTO(answer_release) struct answer stat;
	AUTO_FREE char *first = NULL;
	AUTO_FREE char *location = NULL;
	AUTO_FREE char *objects = NULL;

	emu_do(e, "PUT", "/another", NULL, NULL, 200);
	emu_do(e, "PUT", "/another", NULL, NULL, 200);
	put(e, "k");
	emu_expect(e, "GET", "/", NULL, NULL, 200, &list);
	first = answer_element(&list, "Name", 0);
	assert_string_equal(first, "another");
	emu_expect(e, "GET", "/bucket?bucketInfo", NULL, NULL, 200, &info);
	location = answer_element(&info, "Location", 0);
	assert_string_equal(location, "oss-cn-hangzhou");
	emu_expect(e, "GET", "/bucket?stat", NULL, NULL, 200, &stat);
	objects = answer_element(&stat, "ObjectCount", 0);
	assert_string_equal(objects, "1");
	emu_do(e, "DELETE", "/another", NULL, NULL, 204);
	emu_fails(e, "DELETE", "/another", NULL, NULL, 404, "NoSuchBucket");
	emu_fails(e, "DELETE", "/bucket", NULL, NULL, 409, "BucketNotEmpty");
	emu_do(e, "GET", "/bucket?location", NULL, NULL, 200);
	emu_do(e, "GET", "/bucket?acl", NULL, NULL, 200);
}

static void lists_buckets(struct emu *e, const char *query, const char *want)
{
	AUTO_FREE char *target = str_printf("/?%s", query);
	AUTO(answer_release) struct answer a;
	AUTO(buf_release) struct buf got = BUF_INIT;
	char *name;

	emu_expect(e, "GET", target, NULL, NULL, 200, &a);
	for (int i = 0; (name = answer_element(&a, "Name", i)); i++) {
		buf_addf(&got, "%s ", name);
		free(name);
	}
	if (strcmp(buf_str(&got), want) != 0)
		fail_msg("%s: got \"%s\"", query, buf_str(&got));
}

static void buckets_are_listed_in_pages(void **state)
{
	struct emu *e = *state;
	AUTO(answer_release) struct answer acl;
	AUTO(answer_release) struct answer list;
	AUTO_FREE char *grant = NULL;
	AUTO_FREE char *region = NULL;
	AUTO_FREE char *location = NULL;

	emu_do(e, "PUT", "/b-one",
	       (const char *[]){"x-oss-acl: public-read", NULL}, NULL, 200);
	emu_do(e, "PUT", "/b-two", NULL, NULL, 200);
	lists_buckets(e, "", "b-one b-two bucket ");
	lists_buckets(e, "prefix=b-", "b-one b-two ");
	lists_buckets(e, "marker=b-one", "b-two bucket ");
	lists_buckets(e, "max-keys=1", "b-one ");
	emu_fails(e, "GET", "/?max-keys=1001", NULL, NULL, 400,
		  "InvalidArgument");
	emu_expect(e, "GET", "/", NULL, NULL, 200, &list);
	region = answer_element(&list, "Region", 0);
	location = answer_element(&list, "Location", 0);
	assert_string_equal(region, "cn-hangzhou");
	assert_string_equal(location, "oss-cn-hangzhou");
	emu_expect(e, "GET", "/b-one?acl", NULL, NULL, 200, &acl);
	grant = answer_element(&acl, "Grant", 0);
	assert_string_equal(grant, "public-read");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
	const struct CMUnitTest tests[] = {
		T(both_listings_agree_on_keys_and_groups),
		T(start_is_exclusive),
		T(version_two_counts_and_names_its_parts),
		T(all_names_are_encoded_when_asked),
		T(a_token_goes_on_where_its_page_ended),
		T(a_page_has_a_hundred_entries_unless_asked),
		T(a_link_is_listed_as_one),
		T(owner_comes_when_asked_for),
		T(pages_of_any_size_give_everything_once),
		T(bad_parameters_are_refused),
		T(buckets_come_and_go),
		T(buckets_are_listed_in_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
