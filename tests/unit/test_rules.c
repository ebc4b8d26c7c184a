/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "callback/address.h"
#include "callback/conf_rules.h"
#include "callback/rules.h"
#include "config/conf.h"
#include "util/codec.h"

#define PREAMBLE                                                               \
	"[oss]\nendpoint = oss-cn-hangzhou.aliyuncs.com\n"                     \
	"bucket = examplebucket\n"
#define CALLBACK PREAMBLE "[callback]\nurl = https://app.example.com/cb\n"

/* The rules of a configuration; *warnings may be NULL. */
static struct rules *rules_of(void **state, const char *text, char **warnings)
{
	AUTO_FREE char *path = test_path(*state, "ackfs.conf");
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *unwanted = NULL;
	struct conf *c = conf_new();
	struct rules *r = NULL;
	int rc;

	test_file_write(path, text, strlen(text));
	rc = conf_load_file(c, path, &why);
	if (rc == 0)
		rc = conf_finish(c, &why);
	if (rc == 0)
		rc = rules_from_conf(c, &r, &why,
				     warnings ? warnings : &unwanted);
	if (rc < 0)
		fail_msg("%s", why ? why : "no reason");
	conf_free(c);
	return r;
}

static const char *rule_of(const struct rules *r, const char *path,
			   uint64_t size)
{
	return rules_match(r, path, size, NULL)->name;
}

/* ---- matching ------------------------------------------------------------ */

static void the_first_rule_that_matches_decides(void **state)
{
	static const struct {
		const char *path;
		uint64_t size;
		const char *want;
	} cases[] = {
		{"archive/a.jpg",         5,          "archive"},
		{"archive/deep/er/a.jpg", 5,          "archive"},
		{"in/x.log",              5,          "archive"},
		{"archive/keep.me",       5,          "default"},
		{"a.jpg",                 5,          "small"  },
		{"a.jpg",                 10,         "small"  },
		{"a.jpg",                 11,         "default"},
		{"a.jpg",                 1048576,    "big"    },
		{"a.jpg",                 UINT64_MAX, "small"  },
		{"archive",               0,          "small"  },
	};
	struct rules *r = rules_of(
		state,
		CALLBACK
		"[callback \"archive\"]\nmatch = archive/** *.log !archive/keep.me\nenabled = false\n"
		"[callback \"small\"]\nmatch = ** !keep.me\nmax_size = 10\n"
		"[callback \"big\"]\nmin_size = 1M\n",
		NULL);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (strcmp(rule_of(r, cases[i].path, cases[i].size),
			   cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].path,
				 rule_of(r, cases[i].path, cases[i].size));
	assert_false(rules_by_name(r, "archive")->enabled);
	assert_true(rules_by_name(r, "default")->enabled);
	assert_null(rules_by_name(r, "none"));
	assert_true(rules_exist(r));
	rules_free(r);
}

static void without_a_section_there_is_a_rule_that_calls_nobody(void **state)
{
	struct rules *r = rules_of(state, PREAMBLE, NULL);
	const struct rule *none = rules_match(r, "a/b", 5, NULL);

	assert_false(rules_exist(r));
	assert_string_equal(none->name, "none");
	assert_false(none->enabled);
	assert_true(rules_is_temporary(r, "a/b.part"));
	rules_free(r);
}

static void a_rule_alone_leaves_other_files_without_callback(void **state)
{
	struct rules *r = rules_of(
		state,
		PREAMBLE
		"[callback \"a\"]\nmatch = a/**\nurl = http://a.example.com/\n",
		NULL);

	assert_true(rules_exist(r));
	assert_true(rules_match(r, "a/x", 5, NULL)->enabled);
	assert_false(rules_match(r, "b/x", 5, NULL)->enabled);
	rules_free(r);
}

static void what_a_rule_does_not_say_is_the_default_s(void **state)
{
	struct rules *r = rules_of(
		state,
		CALLBACK
		"host = app.example.com\nbody = a=${x:a}&b=${x:b}\n"
		"on_failure = fail_close\nretry_for = 2h\non_rename = never\n"
		"temporary = *.mine\ncontent_type = image/x\nallow_override = a x:b\n"
		"[callback.vars]\na = 1\nb = 2\n"
		"[callback \"bare\"]\nmatch = bare/**\n"
		"[callback \"own\"]\nmatch = own/**\nurl = http://own.example.com/;http://two.example.com/\n"
		"host = own.example.com\nbody = {\"b\":${x:b}}\nbody_type = application/json\n"
		"on_failure = accept\nretry_for = 0\non_rename = always\ntemporary = none\n"
		"content_type = text/plain\nallow_override = c\n"
		"[callback.vars \"own\"]\nb = 3\n",
		NULL);
	const struct rule *bare = rules_by_name(r, "bare");
	const struct rule *own = rules_by_name(r, "own");

	assert_string_equal(bare->url, "https://app.example.com/cb");
	assert_string_equal(bare->host, "app.example.com");
	assert_string_equal(bare->body, "a=${x:a}&b=${x:b}");
	assert_string_equal(bare->body_type,
			    "application/x-www-form-urlencoded");
	assert_true(bare->has_sni && bare->sni && bare->fail_close);
	assert_int_equal(bare->retry_for_ms, 7200000);
	assert_int_equal(bare->on_rename, ON_RENAME_NEVER);
	assert_string_equal(bare->temporary, "*.mine");
	assert_string_equal(bare->content_type, "image/x");
	assert_string_equal(bare->allow_override, "a b");
	assert_string_equal(kvs_get(&bare->vars, "b"), "2");

	assert_int_equal(own->url_count, 2);
	assert_string_equal(own->host, "own.example.com");
	assert_string_equal(own->body, "{\"b\":${x:b}}");
	assert_string_equal(own->body_type, "application/json");
	assert_false(own->has_sni || own->fail_close);
	assert_int_equal(own->retry_for_ms, 0);
	assert_int_equal(own->on_rename, ON_RENAME_ALWAYS);
	assert_string_equal(own->temporary, "");
	assert_string_equal(own->content_type, "text/plain");
	assert_string_equal(own->allow_override, "c");
	assert_string_equal(kvs_get(&own->vars, "a"), "1");
	assert_string_equal(kvs_get(&own->vars, "b"), "3");
	rules_free(r);
}

static void a_rule_may_change_the_type_of_the_default_body(void **state)
{
	struct rules *r = rules_of(
		state,
		CALLBACK
		"[callback \"j\"]\nmatch = *.j\nbody_type = application/json\n",
		NULL);

	assert_string_equal(
		rules_by_name(r, "default")->body,
		"bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&id=${x:ackfs_id}");
	assert_string_equal(
		rules_by_name(r, "j")->body,
		"{\"bucket\":${bucket},\"object\":${object},\"etag\":${etag},\"size\":${size},\"mimeType\":${mimeType},\"id\":${x:ackfs_id}}");
	rules_free(r);
}

static void sni_is_sent_for_https_unless_set(void **state)
{
	static const struct {
		const char *keys;
		bool has, on;
	} cases[] = {
		{"url = https://a.example.com/\n",                       true,  true },
		{"url = http://a.example.com/;https://b.example.com/\n", true,
		 true								},
		{"url = http://a.example.com/\n",                        false, false},
		{"url = a.example.com/x\n",                              false, false},
		{"url = https://a.example.com/\nsni = false\n",          true,  false},
		{"url = http://a.example.com/\nsni = true\n",            true,  true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text =
			str_printf(PREAMBLE "[callback]\n%s", cases[i].keys);
		struct rules *r = rules_of(state, text, NULL);
		const struct rule *d = rules_by_name(r, "default");

		if (d->has_sni != cases[i].has || d->sni != cases[i].on)
			fail_msg("%s", cases[i].keys);
		rules_free(r);
	}
}

/* ---- temporary names ----------------------------------------------------- */

static void programs_temporary_names_are_known(void **state)
{
	static const char *const temporary[] = {
		".photo.jpg.Ab3dEf",
		"in/.photo.jpg.Ab3dEf",
		"a.part",
		"d/a.mkv.filepart",
		"a.tmp",
		"a.crdownload",
		".in.photo.jpg.",
		".pureftpd-upload.5c.15.2fb5",
		".~tmp~/a.jpg",
		"d/.~tmp~/a.jpg",
		".rsync-partial/a.jpg",
		"d/e/.rsync-partial/a.jpg",
		"notes.txt~",
		".notes.txt.swp",
		".notes.txt.swx",
		"d/.goutputstream-ABC123",
		".fuse_hidden0000001",
		".~lock.a.odt#",
		"4913",
		"a.download",
		"a.partial",
		".smbdelete1234",
		".nfs00000000",
		"#notes#",
		".#notes",
		"~$report.docx",
		"r/.git/index.lock",
		".git/config.lock",
		"r.git/packed-refs.lock",
		".git/objects/ab/tmp_obj_x1Y2z3",
	};
	static const char *const final[] = {
		"photo.jpg",       "a.part.jpg",     "part",       "d/.profile",
		"a.tmp/b.txt",     "yarn.lock",      ".gitignore", "1.4913",
		"in.jpg",          "archive.tar.gz", "a.json",     "swp",
		"d/.hidden/a.jpg", ".config.json",   "core",
	};
	struct rules *r = rules_of(state, CALLBACK, NULL);

	for (size_t i = 0; i < ARRAY_LEN(temporary); i++)
		if (!rules_is_temporary(r, temporary[i]))
			fail_msg("%s is not temporary", temporary[i]);
	for (size_t i = 0; i < ARRAY_LEN(final); i++)
		if (rules_is_temporary(r, final[i]))
			fail_msg("%s is temporary", final[i]);
	rules_free(r);
}

static void temporary_names_can_be_chosen(void **state)
{
	struct rules *r = rules_of(
		state,
		CALLBACK
		"temporary = builtin *.upload !keep.part\n"
		"[callback \"n\"]\nmatch = n/**\ntemporary = none\n"
		"[callback \"own\"]\nmatch = o/**\ntemporary = *.own\n",
		NULL);

	assert_true(rules_is_temporary(r, "a.part"));
	assert_true(rules_is_temporary(r, "a.upload"));
	assert_false(rules_is_temporary(r, "keep.part"));
	assert_false(rules_is_temporary(r, "n/a.part"));
	assert_false(rules_is_temporary(r, "o/a.part"));
	assert_true(rules_is_temporary(r, "o/a.own"));
	rules_free(r);
}

/* ---- rendering ----------------------------------------------------------- */

#define ID "6f1c0b6e-97a5-4a1e-9d3b-1f2e3d4c5b6a"

static struct callback_inputs inputs(const char *path)
{
	return (struct callback_inputs){
		.path = path,
		.key = path,
		.bucket = "examplebucket",
		.mount = "/mnt/oss",
		.host = "box",
		.user = "ann",
		.process = "cp",
		.delivery_id = ID,
		.previous_delivery_id = "",
	};
}

static void decoded(const char *base64, struct buf *out)
{
	assert_int_equal(base64_decode(out, base64, strlen(base64)), 0);
}

static void assert_decodes(const char *base64, const char *want)
{
	AUTO(buf_release) struct buf got = BUF_INIT;

	decoded(base64, &got);
	assert_string_equal(buf_str(&got), want);
}

static int render(const struct rules *r, const struct callback_inputs *in,
		  struct callback *out, char **why)
{
	AUTO(kvs_release) struct kvs captures = KVS_INIT;
	const struct rule *rule = rules_match(r, in->path, in->size, &captures);

	return callback_render(rule, &captures, in, out, why);
}

static void the_two_headers_say_what_the_rule_says(void **state)
{
	struct rules *r = rules_of(
		state,
		PREAMBLE
		"[callback]\nurl = https://app.example.com/%{segment:1}/up?by=%{user}\n"
		"host = %{segment:1}.example.com\nbody_type = application/json\n"
		"body = {\"o\":${object},\"c\":${x:customer},\"s\":${x:site},\"n\":${x:note}}\n"
		"[callback.vars]\ncustomer = none\nsite = hangzhou-3\n"
		"[callback \"customers\"]\nmatch = customers/{customer}/**\n"
		"[callback.vars \"customers\"]\ncustomer = %{customer}\n",
		NULL);
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO_FREE char *why = NULL;
	struct callback_inputs in = inputs("customers/a b/in/x.jpg");

	assert_int_equal(render(r, &in, &cb, &why), 0);
	assert_string_equal(cb.rule, "customers");
	assert_int_equal(cb.url_count, 1);
	assert_decodes(
		cb.param,
		"{\"callbackUrl\":\"https://app.example.com/customers/up?by=ann\","
		"\"callbackHost\":\"customers.example.com\","
		"\"callbackBody\":\"{\\\"o\\\":${object},\\\"c\\\":${x:customer},\\\"s\\\":${x:site},\\\"n\\\":${x:note}}\","
		"\"callbackBodyType\":\"application/json\",\"callbackSNI\":true}");
	assert_decodes(cb.param_vars,
		       "{\"x:ackfs_id\":\"" ID "\",\"x:customer\":\"a b\","
		       "\"x:site\":\"hangzhou-3\",\"x:note\":\"\"}");
	rules_free(r);
}

static void what_is_not_set_is_not_sent(void **state)
{
	struct rules *r = rules_of(
		state,
		PREAMBLE
		"[callback]\nurl = http://a.example.com/\nbody = a=1\n",
		NULL);
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO_FREE char *why = NULL;
	struct callback_inputs in = inputs("a");

	assert_int_equal(render(r, &in, &cb, &why), 0);
	assert_decodes(
		cb.param,
		"{\"callbackUrl\":\"http://a.example.com/\",\"callbackBody\":\"a=1\",\"callbackBodyType\":\"application/x-www-form-urlencoded\"}");
	assert_decodes(cb.param_vars, "{\"x:ackfs_id\":\"" ID "\"}");
	assert_null(cb.host);
	rules_free(r);
}

static void the_administrator_s_variables_are_his(void **state)
{
	struct kv items[] = {
		{(char[]){"customer"}, (char[]){"mallory"}},
		{(char[]){"job"},      (char[]){"7"}      },
		{(char[]){"ackfs_id"}, (char[]){"forged"} },
		{(char[]){"free"},     (char[]){"mine"}   },
		{(char[]){"free"},     (char[]){"folder"} },
	};
	const struct kvs file_vars = {items, ARRAY_LEN(items),
				      ARRAY_LEN(items)};
	struct rules *r =
		rules_of(state,
			 CALLBACK "body = ${x:customer}${x:job}${x:free}\n"
				  "allow_override = job\n"
				  "[callback.vars]\ncustomer = acme\njob = 0\n",
			 NULL);
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO_FREE char *why = NULL;
	struct callback_inputs in = inputs("a");

	in.file_vars = &file_vars;
	assert_int_equal(render(r, &in, &cb, &why), 0);
	assert_decodes(cb.param_vars,
		       "{\"x:ackfs_id\":\"" ID "\",\"x:customer\":\"acme\","
		       "\"x:job\":\"7\",\"x:free\":\"mine\"}");
	rules_free(r);
}

static void odd_values_arrive_byte_for_byte(void **state)
{
	static const char odd[] =
		"\xe5\xbd\x92\xe6\xa1\xa3 \"q\" & % \\ \n\t;+= \xf0\x9f\x98\x80 ${x:a} %{path} </a>";
	struct kv items[] = {
		{(char[]){"v"}, (char[sizeof(odd)]){0}}
        };
	const struct kvs file_vars = {items, 1, 1};
	struct rules *r = rules_of(
		state,
		CALLBACK
		"body_type = application/json\nbody = {\"v\":${x:v}}\n",
		NULL);
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO(buf_release) struct buf json = BUF_INIT;
	AUTO(buf_release) struct buf body = BUF_INIT;
	AUTO_FREE char *why = NULL;
	struct callback_inputs in = inputs("a");
	json_t *root;

	memcpy(items[0].value, odd, sizeof(odd));
	in.file_vars = &file_vars;
	assert_int_equal(render(r, &in, &cb, &why), 0);
	decoded(cb.param_vars, &json);
	root = json_loadb(json.data, json.len, 0, NULL);
	assert_string_equal(test_json_str(root, "x:v"), odd);
	json_decref(root);

	assert_int_equal(callback_sample_body(&cb, NULL, &body), 0);
	root = json_loadb(body.data, body.len, 0, NULL);
	assert_string_equal(test_json_str(root, "v"), odd);
	json_decref(root);
	rules_free(r);
}

static char *text_of(size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'n', len);
	text[len] = '\0';
	return text;
}

static void variables_past_the_limit_are_refused_by_name(void **state)
{
	AUTO_FREE char *big = text_of(3756);
	struct kv items[] = {
		{(char[]){"a"},    (char[]){"1234567890"}},
		{(char[]){"note"}, big                   }
        };
	const struct kvs file_vars = {items, 2, 2};
	struct rules *r = rules_of(state, CALLBACK, NULL);
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO_FREE char *why = NULL;
	struct callback_inputs in = inputs("a");

	in.file_vars = &file_vars;
	assert_int_equal(render(r, &in, &cb, &why), 0);
	assert_true(strlen(cb.param_vars) <= CALLBACK_HEADER_MAX);
	callback_release(&cb);

	items[1].value = text_of(3757);
	assert_int_equal(render(r, &in, &cb, &why), -E2BIG);
	assert_string_equal(
		why,
		"x:note: the variables are 5124 bytes of base64, OSS takes 5120; shorten this one (3757 bytes)");
	assert_null(cb.param);
	free(items[1].value);
	rules_free(r);
}

static void values_that_are_no_text_are_refused_by_name(void **state)
{
	struct kv items[] = {
		{(char[]){"v"}, (char[]){"\xff\xfe"}}
        };
	const struct kvs file_vars = {items, 1, 1};
	struct rules *r = rules_of(state, CALLBACK, NULL);
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO_FREE char *why = NULL;
	struct callback_inputs in = inputs("a");

	in.file_vars = &file_vars;
	assert_int_equal(render(r, &in, &cb, &why), -EINVAL);
	assert_string_equal(why, "x:v: the value is not UTF-8 text");
	rules_free(r);
}

static void a_url_that_a_path_breaks_is_refused(void **state)
{
	struct rules *r = rules_of(
		state, PREAMBLE "[callback]\nurl = http://%{segment:2}/cb\n",
		NULL);
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO_FREE char *why = NULL;
	struct callback_inputs in = inputs("a");

	assert_int_equal(render(r, &in, &cb, &why), -EINVAL);
	assert_string_equal(why, "url: has no host; write https://HOST/PATH");
	rules_free(r);
}

static void a_host_that_a_path_breaks_is_refused(void **state)
{
	static const char *const keys[] = {
		"url = http://%{segment:1}.example.com/cb\n",
		"url = http://app.example.com/cb\nhost = %{segment:1}.example.com\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		AUTO_FREE char *text =
			str_printf(PREAMBLE "[callback]\n%s", keys[i]);
		struct rules *r = rules_of(state, text, NULL);
		AUTO(callback_release) struct callback good = {.rule = NULL};
		AUTO(callback_release) struct callback bad = {.rule = NULL};
		AUTO_FREE char *none = NULL;
		AUTO_FREE char *why = NULL;
		struct callback_inputs in = inputs("acme/a");

		assert_int_equal(render(r, &in, &good, &none), 0);
		in = inputs("M\xc3\xbcller & Co/a"); /* OSS would refuse it */
		assert_int_equal(render(r, &in, &bad, &why), -EINVAL);
		assert_non_null(strstr(why, "not a host"));
		rules_free(r);
	}
}

static void samples_show_what_oss_will_send(void **state)
{
	struct kv items[] = {
		{(char[]){"bucket"}, (char[]){"examplebucket"}},
		{(char[]){"object"}, (char[]){"in/a b.jpg"}   },
		{(char[]){"size"},   (char[]){"5"}            }
        };
	const struct kvs system = {items, 3, 3};
	struct rules *r = rules_of(
		state,
		CALLBACK
		"body = b=${bucket}&o=${object}&s=${size}&e=${etag}&id=${x:ackfs_id}\n",
		NULL);
	AUTO(callback_release) struct callback cb = {.rule = NULL};
	AUTO(buf_release) struct buf body = BUF_INIT;
	AUTO_FREE char *why = NULL;
	struct callback_inputs in = inputs("in/a b.jpg");

	assert_int_equal(render(r, &in, &cb, &why), 0);
	assert_int_equal(callback_sample_body(&cb, &system, &body), 0);
	assert_string_equal(buf_str(&body),
			    "b=examplebucket&o=in%2Fa%20b.jpg&s=5&e=&id=" ID);
	rules_free(r);
}

/* ---- a file's variables -------------------------------------------------- */

static void a_file_s_variables_are_checked_when_they_are_set(void **state)
{
	AUTO_FREE char *fits = text_of(3760);
	AUTO_FREE char *big = text_of(3800);
	const struct {
		const char *path, *name, *value;
		int rc;
	} cases[] = {
		{"a",       "free",     "1",    0      },
		{"a",       "open",     "1",    0      },
		{"a",       "customer", "1",    -EPERM },
		{"other/a", "customer", "1",    -EPERM },
		{"other/a", "rule_s",   "1",    -EPERM },
		{"a",       "rule_s",   "1",    0      },
		{"a",       "ackfs_id", "1",    -EPERM },
		{"a",       "Upper",    "1",    -EINVAL},
		{"a",       "",         "1",    -EINVAL},
		{"a",       "free",     "\xff", -EINVAL},
		{"a",       "free",     fits,   0      },
		{"a",       "free",     big,    -E2BIG },
	};
	struct rules *r = rules_of(
		state,
		CALLBACK
		"allow_override = x:open ackfs_other\nbody = ${x:open}${x:customer}${x:rule_s}\n"
		"[callback.vars]\nopen = 0\ncustomer = acme\n"
		"[callback \"o\"]\nmatch = other/**\n[callback.vars \"o\"]\nrule_s = 1\n",
		NULL);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int rc = rules_check_file_var(r, cases[i].path, cases[i].name,
					      cases[i].value);

		if (rc != cases[i].rc)
			fail_msg("%zu %s: %d", i, cases[i].name, rc);
	}
	rules_free(r);
}

/* ---- warnings ------------------------------------------------------------ */

static const struct {
	const char *keys;
	const char *want; /* behind FILE:LINE: ; NULL: none */
} warned[] = {
	{"url = https://app.example.com/",							     NULL																	     },
	{"url = http://203.0.113.7:8080/",							     NULL																	     },
	{"url = http://127.0.0.1:8000/cb",
	 "callback.url: \"http://127.0.0.1:8000/cb\": \"127.0.0.1\": OSS refuses private addresses (0007-00000008)"																     },
	{"url = 10.1.2.3/cb",
	 "callback.url: \"10.1.2.3/cb\": \"10.1.2.3\": OSS refuses private addresses (0007-00000008)"																		   },
	{"url = http://172.31.0.1/;http://172.32.0.1/",
	 "callback.url: \"http://172.31.0.1/;http://172.32.0.1/\": \"172.31.0.1\": OSS refuses private addresses (0007-00000008)"                                                                                                                       },
	{"url = http://[2001:db8::1]:80/cb",
	 "callback.url: \"http://[2001:db8::1]:80/cb\": \"[2001:db8::1]\": OSS takes no IPv6 address"																		   },
	{"url = http://localhost:80/",
	 "callback.url: \"http://localhost:80/\": \"localhost\": OSS cannot resolve this name, it calls from the public network (0007-00000007)"                                                                                                        },
	{"url = http://nas/;http://app.internal/",
	 "callback.url: \"http://nas/;http://app.internal/\": \"nas\": OSS cannot resolve this name, it calls from the public network (0007-00000007); \"app.internal\": OSS cannot resolve this name, it calls from the public network (0007-00000007)"},
	{"url = https://app.example.com/\nbody_type = application/json\nbody = {\"o\":\"${object}\"}",
	 "callback.body: \"{\\\"o\\\":\\\"${object}\\\"}\": ${object} stands inside quotes, and OSS may add quotes of its own: write it without"                                                                                                        },
	{"url = https://app.example.com/\n[callback.vars]\nunused = 1",
	 "callback.vars.unused: the body has no ${x:unused}, so the application will not see it"																			},
};

static void doubtful_settings_are_warned_of(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(warned); i++) {
		AUTO_FREE char *text =
			str_printf(PREAMBLE "[callback]\n%s\n", warned[i].keys);
		AUTO_FREE char *warnings = NULL;
		struct rules *r = rules_of(state, text, &warnings);
		const char *at = warnings ? strstr(warnings, ": callback") : "";

		if (!warned[i].want != !warnings ||
		    (warnings && strcmp(at + 2, warned[i].want) != 0))
			fail_msg("%s: %s", warned[i].keys,
				 warnings ? warnings : "no warning");
		rules_free(r);
	}
}

static void servers_are_compared_without_their_paths(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"http://a/x",            "http://a/y?z=1",       true },
		{"http://a",              "a/x",                  true },
		{"http://A.example/x",    "http://a.EXAMPLE",     true },
		{"http://a/x;https://b/", "http://a;https://b/y", true },
		{"http://a/x",            "https://a/x",          false},
		{"http://a:80/x",         "http://a:81/x",        false},
		{"http://a/x;http://b",   "http://b;http://a/x",  false},
		{"http://a/x;http://b",   "http://a/x",           false},
		{"http://a/",             "http://ab/",           false},
		{"ftp://a/x",             "ftp://a/x",            true },
		{"ftp://a/x",             "ftp://a/y",            false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (addresses_same_servers(rows[i].a, rows[i].b) !=
			    rows[i].same ||
		    addresses_same_servers(rows[i].b, rows[i].a) !=
			    rows[i].same)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
	}
}

#define IN_DIR(test)                                                           \
	cmocka_unit_test_setup_teardown(test, test_dir_setup, test_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(the_first_rule_that_matches_decides),
		IN_DIR(without_a_section_there_is_a_rule_that_calls_nobody),
		IN_DIR(a_rule_alone_leaves_other_files_without_callback),
		IN_DIR(what_a_rule_does_not_say_is_the_default_s),
		IN_DIR(a_rule_may_change_the_type_of_the_default_body),
		IN_DIR(sni_is_sent_for_https_unless_set),
		IN_DIR(programs_temporary_names_are_known),
		IN_DIR(temporary_names_can_be_chosen),
		IN_DIR(the_two_headers_say_what_the_rule_says),
		IN_DIR(what_is_not_set_is_not_sent),
		IN_DIR(the_administrator_s_variables_are_his),
		IN_DIR(odd_values_arrive_byte_for_byte),
		IN_DIR(variables_past_the_limit_are_refused_by_name),
		IN_DIR(values_that_are_no_text_are_refused_by_name),
		IN_DIR(a_url_that_a_path_breaks_is_refused),
		IN_DIR(a_host_that_a_path_breaks_is_refused),
		IN_DIR(samples_show_what_oss_will_send),
		IN_DIR(a_file_s_variables_are_checked_when_they_are_set),
		IN_DIR(doubtful_settings_are_warned_of),
		cmocka_unit_test(servers_are_compared_without_their_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
