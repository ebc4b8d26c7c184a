/* SPDX-License-Identifier: Apache-2.0 */
/* multipart/form-data in pieces of any size, and the policy of a form. */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "emulator/form.h"
#include "emulator/policy.h"
#include "util/codec.h"

#define TYPE "multipart/form-data; boundary=XX"
#define FIELD(name, value)                                                     \
	"--XX\r\nContent-Disposition: form-data; name=\"" name                 \
	"\"\r\n\r\n" value "\r\n"
#define FILE_PART(data)                                                        \
	"--XX\r\nContent-Disposition: form-data; name=\"file\"; "              \
	"filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\n" data "\r\n"
#define END "--XX--\r\n"

struct capture {
	char *filename;
	char *type;
	struct buf data;
	int files;
};

static int on_file(void *arg, const char *filename, const char *type)
{
	struct capture *c = arg;

	c->files++;
	return str_set(&c->filename, filename) < 0 ||
			       str_set(&c->type, type) < 0
		       ? -ENOMEM
		       : 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct capture *c = arg;

	buf_add(&c->data, data, len);
	return buf_error(&c->data);
}

static const struct form_events events = {on_file, on_data};

static void capture_release(struct capture *c)
{
	free(c->filename);
	free(c->type);
	buf_release(&c->data);
}

static int feed(struct form *f, const char *text, size_t piece)
{
	size_t len = strlen(text);
	int rc = 0;

	for (size_t i = 0; !rc && i < len; i += piece)
		rc = form_feed(f, text + i, len - i < piece ? len - i : piece);
	return rc;
}

static void forms_are_read_in_any_pieces(void **state)
{
	static const char text[] = FIELD("key", "a/b") FIELD("x:Var", "1\r\n2")
		FILE_PART("da\r\n--X\r\n--Xta") FIELD("late", "ignored") END;

	(void)state;
	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		struct capture c = {0};
		struct form *f = NULL;

		assert_int_equal(form_new(TYPE, &events, &c, &f), 0);
		assert_int_equal(feed(f, text, piece), 0);
		assert_true(form_has_file(f) && form_is_complete(f));
		assert_string_equal(kvs_get(form_fields(f), "KEY"), "a/b");
		assert_string_equal(kvs_get(form_fields(f), "x:var"), "1\r\n2");
		assert_null(kvs_get(form_fields(f), "late"));
		assert_string_equal(c.filename, "f.txt");
		assert_string_equal(c.type, "text/plain");
		assert_string_equal(buf_str(&c.data), "da\r\n--X\r\n--Xta");
		assert_int_equal(c.files, 1);
		form_free(f);
		capture_release(&c);
	}
}

static void unfinished_forms_are_not_complete(void **state)
{
	struct capture c = {0};
	struct form *f = NULL;

	(void)state;
	assert_int_equal(form_new(TYPE, &events, &c, &f), 0);
	assert_int_equal(feed(f, FIELD("key", "a") "--XX\r\n", 100), 0);
	assert_false(form_has_file(f));
	form_free(f);
	assert_int_equal(form_new(TYPE, &events, &c, &f), 0);
	assert_int_equal(feed(f, FILE_PART("data"), 100), 0);
	assert_true(form_has_file(f));
	assert_false(form_is_complete(f));
	form_free(f);
	capture_release(&c);
}

static void malformed_forms_are_refused(void **state)
{
	static const char *const types[] = {"", "multipart/form-data",
					    "multipart/form-data; boundary=",
					    "application/json; boundary=x"};
	struct capture c = {0};
	struct form *f = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_int_equal(form_new(types[i], &events, &c, &f), -EINVAL);
	assert_int_equal(form_new(TYPE, &events, &c, &f), 0);
	assert_int_equal(feed(f, "--XXjunk", 100), -EINVAL);
	form_free(f);
	assert_int_equal(form_new(TYPE, &events, &c, &f), 0);
	assert_int_equal(feed(f, "--XX\r\nA: b\r\n\r\n", 100), -EINVAL);
	form_free(f);
}

/* ---- policies ---- */

#define EXPIRES "\"expiration\":\"2100-01-01T00:00:00.000Z\""

static const struct {
	const char *name;
	const char *json;
	int want;
} policies[] = {
	{"least",            "{" EXPIRES ",\"conditions\":[]}",                           0      },
	{"expired",
	 "{\"expiration\":\"2000-01-01T00:00:00Z\",\"conditions\":[]}",                   -ETIME },
	{"no expiration",    "{\"conditions\":[]}",                                       -EINVAL},
	{"no conditions",    "{" EXPIRES "}",					     -EINVAL},
	{"not JSON",         "{",							 -EINVAL},
	{"bucket",           "{" EXPIRES ",\"conditions\":[{\"bucket\":\"b\"}]}",         0      },
	{"other bucket",     "{" EXPIRES ",\"conditions\":[{\"bucket\":\"c\"}]}",
	 -EACCES										 },
	{"eq",	       "{" EXPIRES ",\"conditions\":[[\"eq\",\"$key\",\"in/a\"]]}", 0      },
	{"not eq",           "{" EXPIRES ",\"conditions\":[[\"eq\",\"$key\",\"in\"]]}",
	 -EACCES										 },
	{"starts-with",
	 "{" EXPIRES ",\"conditions\":[[\"starts-with\",\"$key\",\"in/\"]]}",
	 0										       },
	{"starts otherwise",
	 "{" EXPIRES ",\"conditions\":[[\"starts-with\",\"$key\",\"out\"]]}",
	 -EACCES										 },
	{"in",
	 "{" EXPIRES ",\"conditions\":[[\"in\",\"$key\",[\"x\",\"in/a\"]]]}",
	 0										       },
	{"not-in",
	 "{" EXPIRES ",\"conditions\":[[\"not-in\",\"$key\",[\"in/a\"]]]}",
	 -EACCES										 },
	{"unknown",          "{" EXPIRES ",\"conditions\":[[\"gt\",\"$key\",\"a\"]]}",
	 -EINVAL										 },
	{"range",
	 "{" EXPIRES ",\"conditions\":[[\"content-length-range\",1,9]]}",                 0      },
	{"bad range",
	 "{" EXPIRES ",\"conditions\":[[\"content-length-range\",1,\"9\"]]}",
	 -EINVAL										 },
};

static void policies_are_checked(void **state)
{
	static const char *const none[] = {NULL};
	AUTO(kvs_release) struct kvs fields = KVS_INIT;

	(void)state;
	kvs_add(&fields, "key", "in/a");
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		AUTO(buf_release) struct buf b = BUF_INIT;
		AUTO_FREE char *why = NULL;
		struct policy_range range;
		int got;

		base64_encode(&b, policies[i].json, strlen(policies[i].json));
		got = policy_check(buf_str(&b), "b", &fields, none,
				   1700000000000, &range, &why);
		if (got != policies[i].want)
			fail_msg("%s: got %d", policies[i].name, got);
		if (strcmp(policies[i].name, "range") == 0)
			assert_true(range.min == 1 && range.max == 9);
	}
}

static void some_fields_must_be_named(void **state)
{
	static const char *const named[] = {"bucket", "x-oss-date", NULL};
	static const struct {
		const char *conditions;
		int want;
	} cases[] = {
		{"{\"bucket\":\"b\"},{\"x-oss-date\":\"d\"}",                   0      },
		{"[\"eq\",\"$bucket\",\"b\"],[\"in\",\"$x-oss-date\",[\"d\"]]",
		 0								     },
		{"{\"bucket\":\"b\",\"x-oss-date\":\"d\"}",                     0      },
		{"{\"bucket\":\"b\"}",					  -EACCES},
		{"{\"x-oss-date\":\"d\"}",                                      -EACCES},
		{"{\"bucket\":\"b\"},{\"x-oss-date\":\"e\"}",                   -EACCES},
		{"{\"bucket\":\"b\"},[\"eq\",\"x-oss-date\",\"d\"]",            -EINVAL},
	};
	AUTO(kvs_release) struct kvs fields = KVS_INIT;

	(void)state;
	kvs_add(&fields, "x-oss-date", "d");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf b = BUF_INIT;
		AUTO_FREE char *why = NULL;
		AUTO_FREE char *json =
			str_printf("{" EXPIRES ",\"conditions\":[%s]}",
				   cases[i].conditions);
		struct policy_range range;
		int got;

		base64_encode(&b, json, strlen(json));
		got = policy_check(buf_str(&b), "b", &fields, named,
				   1700000000000, &range, &why);
		if (got != cases[i].want)
			fail_msg("%s: got %d", cases[i].conditions, got);
	}
}

/* Values of more than 2 MB, names of more than 8 KB in all. */
static void long_fields_are_refused(void **state)
{
	AUTO(buf_release) struct buf value = BUF_INIT;
	AUTO(buf_release) struct buf names = BUF_INIT;
	struct capture c = {0};
	struct form *f = NULL;

	(void)state;
	buf_adds(&value, "--XX\r\nContent-Disposition: form-data; "
			 "name=\"a\"\r\n\r\n");
	for (size_t i = 0; i <= (size_t)2 << 20; i++)
		buf_addc(&value, 'v');
	buf_adds(&value, "\r\n" END);
	assert_int_equal(form_new(TYPE, &events, &c, &f), 0);
	assert_int_equal(feed(f, buf_str(&value), 1 << 16), -EMSGSIZE);
	form_free(f);
	for (int i = 0; i < 82; i++)
		buf_addf(&names,
			 "--XX\r\nContent-Disposition: form-data; "
			 "name=\"%0100d\"\r\n\r\n\r\n",
			 i);
	assert_int_equal(form_new(TYPE, &events, &c, &f), 0);
	assert_int_equal(feed(f, buf_str(&names), 1 << 16), -EMSGSIZE);
	form_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_are_read_in_any_pieces),
		cmocka_unit_test(unfinished_forms_are_not_complete),
		cmocka_unit_test(malformed_forms_are_refused),
		cmocka_unit_test(policies_are_checked),
		cmocka_unit_test(some_fields_must_be_named),
		cmocka_unit_test(long_fields_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
