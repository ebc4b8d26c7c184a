/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "callback/body.h"
#include "callback/template.h"
#include "callback/vars.h"
#include "util/kv.h"

/* ---- filling, against what OSS sent (oss-protocol 3.5) ------------------ */

static const char *from_list(void *arg, enum piece_kind kind, const char *name)
{
	char full[80] = "x:";

	if (kind == PIECE_SYSTEM)
		return kvs_get(arg, name);
	strncat(full, name, sizeof(full) - 3);
	return kvs_get(arg, full);
}

struct fill_case {
	const char *name;
	enum template_type type;
	const char *text;
	const char *vars; /* name=value lines */
	const char *want;
};

/* clang-format off */
static const struct fill_case fills[] = {
	{"the_documentation_s_sample", TEMPLATE_FORM,
	 "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&imageInfo.height=${imageInfo.height}&imageInfo.width=${imageInfo.width}&imageInfo.format=${imageInfo.format}&x:var1=${x:var1}",
	 "bucket=callback-test\nobject=test.txt\netag=D8E8FCA2DC0F896FD7CB4CB0031BA249\nsize=5\nmimeType=text/plain\nx:var1=for-callback-test",
	 "bucket=callback-test&object=test.txt&etag=D8E8FCA2DC0F896FD7CB4CB0031BA249&size=5&mimeType=text%2Fplain&imageInfo.height=&imageInfo.width=&imageInfo.format=&x:var1=for-callback-test"},
	{"a_captured_form", TEMPLATE_FORM,
	 "filename=${object}&size=${size}&mimeType=${mimeType}&height=${imageInfo.height}&width=${imageInfo.width}",
	 "object=headSculpture/jikang2.jpg\nsize=108904\nmimeType=image/jpeg\nimageInfo.height=278\nimageInfo.width=200",
	 "filename=headSculpture%2Fjikang2.jpg&size=108904&mimeType=image%2Fjpeg&height=278&width=200"},
	{"a_captured_json_body", TEMPLATE_JSON,
	 "{\"name\":${x:fname},\"source_name\":${object},\"size\":${size},\"pic_info\":\"${imageInfo.width},${imageInfo.height}\"}",
	 "x:fname=f0d5.jpg\nobject=1/1_hFRtDLgM_f0d5.jpg\nsize=114020\nimageInfo.width=810\nimageInfo.height=539",
	 "{\"name\":\"f0d5.jpg\",\"source_name\":\"1/1_hFRtDLgM_f0d5.jpg\",\"size\":114020,\"pic_info\":\"810,539\"}"},
	{"json_of_no_picture", TEMPLATE_JSON, "{\"p\":\"${imageInfo.width},${imageInfo.height}\",\"w\":${imageInfo.width}}", "",
	 "{\"p\":\",\",\"w\":null}"},
	{"json_escapes", TEMPLATE_JSON, "{\"o\":${object}}", "object=a\"b\\c\t/\xe5\xbd\x92",
	 "{\"o\":\"a\\\"b\\\\c\\t/\xe5\xbd\x92\"}"},
	{"json_string_in_quotes", TEMPLATE_JSON, "{\"o\":\"x ${object}\"}", "object=a\"b", "{\"o\":\"x a\\\"b\"}"},
	{"form_escapes", TEMPLATE_FORM, "o=${object}", "object=a b+c&d=%\xe5\xbd\x92~", "o=a%20b%2Bc%26d%3D%25%E5%BD%92~"},
	{"text_is_copied", TEMPLATE_FORM, "$a=%24%7Bbucket%7D&b=${bucket}$&c={}}", "bucket=x", "$a=%24%7Bbucket%7D&b=x$&c={}}"},
	{"undefined", TEMPLATE_FORM, "a=${x:none}&b=${vpcId}", "", "a=&b="},
	{"undefined_in_json", TEMPLATE_JSON, "[${x:none},${size}]", "", "[\"\",null]"},
};
/* clang-format on */

static void add_lines(struct kvs *l, const char *text)
{
	while (*text) {
		size_t name = strcspn(text, "="), len = strcspn(text, "\n");
		AUTO_FREE char *n = strndup(text, name);
		AUTO_FREE char *v = strndup(text + name + 1, len - name - 1);

		assert_int_equal(kvs_add(l, n, v), 0);
		text += len + (text[len] ? 1 : 0);
	}
}

static void templates_are_filled_as_oss_does_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
		const struct fill_case *c = &fills[i];
		AUTO(kvs_release) struct kvs vars = KVS_INIT;
		AUTO(template_release) struct template t = {NULL, 0};
		AUTO(buf_release) struct buf why = BUF_INIT;
		AUTO(buf_release) struct buf got = BUF_INIT;

		add_lines(&vars, c->vars);
		if (template_parse(c->text, &t, &why) < 0)
			fail_msg("%s: %s", c->name, buf_str(&why));
		assert_int_equal(
			template_fill(&t, c->type, from_list, &vars, &got), 0);
		if (strcmp(buf_str(&got), c->want) != 0)
			fail_msg("%s: %s", c->name, buf_str(&got));
	}
	assert_int_equal(strlen(fills[0].want), 181); /* its Content-Length */
}

static void a_refused_template_leaves_nothing(void **state)
{
	struct piece piece = {.kind = PIECE_TEXT};
	struct template t = {&piece, 7};
	AUTO(buf_release) struct buf why = BUF_INIT;

	(void)state;
	assert_int_equal(template_parse("a=${object}${nothing}", &t, &why),
			 -EINVAL);
	assert_ptr_equal(t.pieces, &piece);
	assert_int_equal(t.count, 7);
	assert_true(why.len > 0);
}

static void default_bodies_are_good_ones(void **state)
{
	static const enum template_type types[] = {TEMPLATE_FORM,
						   TEMPLATE_JSON};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		AUTO(buf_release) struct buf why = BUF_INIT;
		AUTO(buf_release) struct buf doubt = BUF_INIT;

		assert_int_equal(body_check(template_default(types[i]),
					    types[i], &why, &doubt),
				 0);
		assert_int_equal(doubt.len, 0);
		assert_true(body_uses(template_default(types[i]), "ackfs_id"));
	}
}

/* ---- doubts -------------------------------------------------------------- */

static const struct {
	const char *name;
	enum template_type type;
	const char *body;
	const char *doubt;
} doubts[] = {
	{"good_form",                 TEMPLATE_FORM, "a=${object}",           ""																     },
	{"good_json",                 TEMPLATE_JSON, "{\"a\":${object}}",     ""																     },
	{"number_in_quotes",          TEMPLATE_JSON, "{\"a\":\"${size}\"}",   ""																     },
	{"string_in_quotes",          TEMPLATE_JSON, "{\"a\":\"${object}\"}",
	 "${object} stands inside quotes, and OSS may add quotes of its own: write it without"														       },
	{"variable_in_quotes",        TEMPLATE_JSON, "{\"a\":\"${x:b}\"}",
	 "${x:b} stands inside quotes, and OSS may add quotes of its own: write it without"															  },
	{"quote_that_is_escaped",     TEMPLATE_JSON,
	 "{\"a\":\"\\\"\",\"b\":${object}}",                                  ""																     },
	{"picture_outside_of_quotes", TEMPLATE_JSON,
	 "{\"w\":${imageInfo.width}}",					"${imageInfo.width} is empty for files that are no pictures, and the body may then not be JSON: write \"${imageInfo.width}\" in quotes"},
	{"json_without_its_type",     TEMPLATE_FORM, "{\"a\":${object}}",
	 "it looks like JSON, but is filled in as a form: write body_type = application/json"															},
	{"form_in_braces",            TEMPLATE_FORM, "{a}=${object}",         ""																     },
	{"comment_in_a_form",         TEMPLATE_FORM, "a=${object} ; b",
	 "\" ;\" is part of the body: comments stand on lines of their own"																	  },
};

static void what_is_hardly_meant_is_doubted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(doubts); i++) {
		AUTO(buf_release) struct buf why = BUF_INIT;
		AUTO(buf_release) struct buf doubt = BUF_INIT;
		int rc = body_check(doubts[i].body, doubts[i].type, &why,
				    &doubt);

		if (rc != 0 || strcmp(buf_str(&doubt), doubts[i].doubt) != 0)
			fail_msg("%s: rc %d, %s%s", doubts[i].name, rc,
				 buf_str(&why), buf_str(&doubt));
	}
}

/* ---- %{...} -------------------------------------------------------------- */

static const struct {
	const char *text;
	enum vars_place place;
	const char *want;
} expansions[] = {
	{"plain",			  VARS_VALUE, "plain"                   },
	{"%{path}",			VARS_VALUE, "in/A & B/x.tar.gz"       },
	{"%{dir}|%{name}",                 VARS_VALUE, "in/A & B|x.tar.gz"       },
	{"%{stem}|%{ext}",                 VARS_VALUE, "x.tar|gz"                },
	{"%{segment:1}",                   VARS_VALUE, "in"                      },
	{"%{segment:2}",                   VARS_VALUE, "A & B"                   },
	{"%{segment:3}",                   VARS_VALUE, "x.tar.gz"                },
	{"%{segment:4}",                   VARS_VALUE, ""                        },
	{"%{segment:-1}",                  VARS_VALUE, "x.tar.gz"                },
	{"%{segment:-3}",                  VARS_VALUE, "in"                      },
	{"%{segment:-4}",                  VARS_VALUE, ""                        },
	{"%{key} %{bucket}",               VARS_VALUE, "p/in/A & B/x.tar.gz bkt" },
	{"%{uid}:%{gid}:%{mode}",          VARS_VALUE, "1000:100:0644"           },
	{"%{user}@%{host}",                VARS_VALUE, "ann@box"                 },
	{"%{pid} %{process}",              VARS_VALUE, "42 cut\xef\xbf\xbd"      },
	{"%{mount} %{size}",               VARS_VALUE, "/mnt/oss 5"              },
	{"%{mtime}",		       VARS_VALUE, "2026-11-28T19:51:48.000Z"},
	{"%{delivery_id}",                 VARS_VALUE, "id-1"                    },
	{"<%{previous_delivery_id}>",      VARS_VALUE, "<>"                      },
	{"%{xattr:user.job}",              VARS_VALUE, "j7"                      },
	{"%{xattr:job}%{xattr:none}",      VARS_VALUE, "j7"                      },
	{"%{env:ACKFS_TEST_SITE}",         VARS_VALUE, "hz 3"                    },
	{"%{env:ACKFS_TEST_UNSET}",        VARS_VALUE, ""                        },
	{"%{customer}",                    VARS_VALUE, "acme/x"                  },
	{"100%% %1 %",                     VARS_VALUE, "100% %1 %"               },
	{"%%{path}",		       VARS_VALUE, "%{path}"                 },
	{"http://h/%{path}?p=%{path}",     VARS_URL,
	 "http://h/in/A%20%26%20B/x.tar.gz?p=in%2FA%20%26%20B%2Fx.tar.gz"        },
	{"http://h/a?b=%{name};h/%{path}", VARS_URL,
	 "http://h/a?b=x.tar.gz;h/in/A%20%26%20B/x.tar.gz"                       },
	{"http://%{customer}.h/",          VARS_URL,   "http://acme%2Fx.h/"      },
	{"http://h/%{customer}",           VARS_URL,   "http://h/acme%2Fx"       },
	{"http://h/%20%%",                 VARS_URL,   "http://h/%20%25"         },
};

static void expansions_draw_on_the_closed_file(void **state)
{
	struct kv attrs[] = {
		{(char[]){"user.job"}, (char[]){"j7"}}
        };
	struct kv parts[] = {
		{(char[]){"customer"}, (char[]){"acme/x"}}
        };
	const struct kvs xattrs = {attrs, 1, 1}, captures = {parts, 1, 1};
	const struct callback_inputs in = {
		.path = "in/A & B/x.tar.gz",
		.key = "p/in/A & B/x.tar.gz",
		.bucket = "bkt",
		.mount = "/mnt/oss",
		.host = "box",
		.size = 5,
		.uid = 1000,
		.gid = 100,
		.mode = 0100644,
		.pid = 42,
		.process = "cut\xe5",
		.user = "ann",
		.mtime_ms = 1795895508000,
		.delivery_id = "id-1",
		.previous_delivery_id = "",
		.xattrs = &xattrs,
	};

	(void)state;
	setenv("ACKFS_TEST_SITE", "hz 3", 1);
	unsetenv("ACKFS_TEST_UNSET");
	for (size_t i = 0; i < ARRAY_LEN(expansions); i++) {
		AUTO(buf_release) struct buf got = BUF_INIT;
		AUTO(buf_release) struct buf why = BUF_INIT;
		AUTO(buf_release) struct buf doubt = BUF_INIT;
		const char *text = expansions[i].text;

		if (vars_check(text, expansions[i].place, &captures, &why,
			       &doubt) < 0)
			fail_msg("%s: %s", text, buf_str(&why));
		assert_int_equal(vars_expand(text, expansions[i].place, &in,
					     &captures, &got),
				 0);
		if (strcmp(buf_str(&got), expansions[i].want) != 0)
			fail_msg("%s: %s", text, buf_str(&got));
	}
}

static void names_without_extension_or_folder_have_none(void **state)
{
	static const char *const paths[] = {"a", ".profile", "d/", "", "a."};
	static const char *const want[] = {"|a|a|", "|.profile|.profile|",
					   "d|||", "|||", "|a.|a|"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct callback_inputs in = {.path = paths[i]};
		AUTO(buf_release) struct buf got = BUF_INIT;

		assert_int_equal(vars_expand("%{dir}|%{name}|%{stem}|%{ext}",
					     VARS_VALUE, &in, NULL, &got),
				 0);
		assert_string_equal(buf_str(&got), want[i]);
	}
}

static void nothing_known_expands_to_nothing(void **state)
{
	static const char all[] =
		"%{path}%{dir}%{name}%{stem}%{ext}%{segment:1}%{segment:-1}"
		"%{key}%{bucket}%{mount}%{host}%{user}%{process}%{delivery_id}"
		"%{previous_delivery_id}%{xattr:a}%{unknown}";
	struct callback_inputs in = {.path = NULL};
	AUTO(buf_release) struct buf got = BUF_INIT;

	(void)state;
	assert_int_equal(vars_expand(all, VARS_VALUE, &in, NULL, &got), 0);
	assert_string_equal(buf_str(&got), "");
}

static void a_missing_environment_variable_is_doubted(void **state)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO(buf_release) struct buf doubt = BUF_INIT;

	(void)state;
	unsetenv("ACKFS_TEST_UNSET");
	assert_int_equal(vars_check("%{env:ACKFS_TEST_UNSET}", VARS_VALUE, NULL,
				    &why, &doubt),
			 0);
	assert_string_equal(
		buf_str(&doubt),
		"%{env:ACKFS_TEST_UNSET}: the environment does not have it, its value is empty");
}

/* ---- names --------------------------------------------------------------- */

static void variables_have_names_that_oss_takes(void **state)
{
	static const char *const good[] = {"a", "order_id", "var-1", "a.b",
					   "\xe9\x94\xae\xe5\x80\xbc"};
	static const char longer[] =
		"a234567890123456789012345678901234567890123456789012345678901234"
		"5";
	static const char *const bad[] = {"",    "Upper", "a b",  "a}",
					  "a=b", "a\"",   "\xff", longer};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (variable_name_check(good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!variable_name_check(bad[i]))
			fail_msg("\"%s\" is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates_are_filled_as_oss_does_it),
		cmocka_unit_test(a_refused_template_leaves_nothing),
		cmocka_unit_test(default_bodies_are_good_ones),
		cmocka_unit_test(what_is_hardly_meant_is_doubted),
		cmocka_unit_test(expansions_draw_on_the_closed_file),
		cmocka_unit_test(names_without_extension_or_folder_have_none),
		cmocka_unit_test(nothing_known_expands_to_nothing),
		cmocka_unit_test(a_missing_environment_variable_is_doubted),
		cmocka_unit_test(variables_have_names_that_oss_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
