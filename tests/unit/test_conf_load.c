/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "callback/conf_rules.h"
#include "callback/rules.h"
#include "config/conf.h"

#define PREAMBLE                                                               \
	"[oss]\nendpoint = oss-cn-hangzhou.aliyuncs.com\n"                     \
	"bucket = examplebucket\n"

static int enter_dir(void **state)
{
	if (test_dir_setup(state) < 0)
		return -1;
	return chdir(*state);
}

static int leave_dir(void **state)
{
	return chdir("/") < 0 ? -1 : test_dir_teardown(state);
}

static void write_conf(const char *text, mode_t mode)
{
	test_file_write("ackfs.conf", text, strlen(text));
	assert_int_equal(chmod("ackfs.conf", mode), 0);
}

/* Loaded and finished, or the test fails with the reason. */
static struct conf *load_good(const char *text)
{
	AUTO_FREE char *why = NULL;
	struct conf *c = conf_new();
	int rc;

	assert_non_null(c);
	write_conf(text, 0640);
	rc = conf_load_file(c, "ackfs.conf", &why);
	if (rc == 0)
		rc = conf_finish(c, &why);
	if (rc < 0)
		fail_msg("%s", why ? why : "no reason");
	return c;
}

static void set_good(struct conf *c, const char *option)
{
	AUTO_FREE char *why = NULL;

	if (conf_set_option(c, option, &why) < 0)
		fail_msg("%s: %s", option, why ? why : "no reason");
}

static const char *var(const struct conf *c, size_t section, const char *name)
{
	return kvs_get(&c->callbacks[section].vars, name);
}

static const char *key(const struct conf *c, size_t section, const char *name)
{
	return kvs_get(&c->callbacks[section].keys, name);
}

/* ---- values -------------------------------------------------------------- */

static void defaults_are_those_of_the_design(void **state)
{
	struct conf *c = conf_new();

	(void)state;
	assert_non_null(c);
	assert_null(c->oss.endpoint);
	assert_string_equal(c->oss.prefix, "");
	assert_int_equal(c->oss.addressing, CONF_ADDR_AUTO);
	assert_int_equal(c->oss.signature, CONF_SIGN_V4);
	assert_int_equal(c->upload.close_returns, CONF_CLOSE_STORED);
	assert_int_equal(c->upload.parallel_uploads, 16);
	assert_int_equal(c->upload.parallel_parts, 8);
	assert_int_equal(c->upload.multipart_threshold, 32 << 20);
	assert_int_equal(c->upload.part_size, 0);
	assert_int_equal(c->upload.fsync, CONF_FSYNC_LOCAL);
	assert_int_equal(c->upload.on_conflict, CONF_CONFLICT_OVERWRITE);
	assert_int_equal(c->upload.incomplete_files, CONF_INCOMPLETE_HOLD);
	assert_int_equal(c->upload.incomplete_max_bytes, 0);
	assert_int_equal(c->upload.incomplete_max_age_ms, 0);
	assert_int_equal(c->upload.temporary_hold_ms, 30000);
	assert_int_equal(c->upload.empty_hold_ms, 1000);
	assert_int_equal(c->upload.retry_deadline_ms, 60000);
	assert_int_equal(c->upload.drain_timeout_ms, 300000);
	assert_int_equal(c->state.staging_max_bytes, 0);
	assert_int_equal(c->state.staging_min_free_percent, 10);
	assert_int_equal(c->mount.start, CONF_START_REQUIRE_OSS);
	assert_int_equal(c->mount.posix_meta, CONF_POSIX_AUTO);
	assert_false(c->mount.has_uid);
	assert_int_equal(c->mount.file_mode, 0644);
	assert_int_equal(c->mount.dir_mode, 0755);
	assert_int_equal(c->log.level, LOG_LVL_NOTICE);
	assert_int_equal(c->log.keep_ms, 90LL * 86400000);
	assert_int_equal(c->log.keep_count, 1000000);
	conf_free(c);
}

static void values_arrive_typed(void **state)
{
	struct conf *c = load_good(
		PREAMBLE
		"region = oss-cn-beijing ; as Location spells it\n"
		"prefix = /incoming/2026\naddressing = path\nsignature = v1\n"
		"connect_timeout = 1500ms\nproxy = http://proxy:3128\n"
		"[upload]\nclose_returns = staged\nparallel_parts = 4\n"
		"part_size = 16M\nexit_is_abort = none\nempty_hold = 0\n"
		"incomplete_max_age = 30d\n"
		"[state]\nname = drop-box\nstaging_max_bytes = 20G\n"
		"staging_min_free = 2G\n"
		"[mount]\nuid = root\ngid = 7\numask = 027\nfile_mode = 600\n"
		"read_only = yes\nposix_meta = never\n"
		"[log]\nlevel = debug\nfile = syslog\nkeep = forever\n");

	(void)state;
	assert_string_equal(c->oss.region, "cn-beijing");
	assert_string_equal(c->oss.prefix, "incoming/2026/");
	assert_int_equal(c->oss.addressing, CONF_ADDR_PATH);
	assert_int_equal(c->oss.signature, CONF_SIGN_V1);
	assert_int_equal(c->oss.connect_timeout_ms, 1500);
	assert_string_equal(c->oss.proxy, "http://proxy:3128");
	assert_int_equal(c->upload.close_returns, CONF_CLOSE_STAGED);
	assert_int_equal(c->upload.parallel_parts, 4);
	assert_int_equal(c->upload.part_size, 16 << 20);
	assert_string_equal(c->upload.exit_is_abort, "");
	assert_int_equal(c->upload.empty_hold_ms, 0);
	assert_int_equal(c->upload.incomplete_max_age_ms, 30LL * 86400000);
	assert_string_equal(c->state.name, "drop-box");
	assert_int_equal(c->state.staging_max_bytes, 20ULL << 30);
	assert_int_equal(c->state.staging_min_free, 2ULL << 30);
	assert_int_equal(c->state.staging_min_free_percent, 0);
	assert_true(c->mount.has_uid && c->mount.has_gid);
	assert_int_equal(c->mount.uid, 0);
	assert_int_equal(c->mount.gid, 7);
	assert_int_equal(c->mount.umask, 027);
	assert_int_equal(c->mount.file_mode, 0600);
	assert_true(c->mount.read_only);
	assert_int_equal(c->mount.posix_meta, CONF_POSIX_NEVER);
	assert_int_equal(c->log.level, LOG_LVL_DEBUG);
	assert_string_equal(c->log.file, "syslog");
	assert_int_equal(c->log.keep_ms, 0);
	conf_free(c);
}

static void relative_paths_begin_at_the_file(void **state)
{
	struct conf *c =
		load_good(PREAMBLE "ca_file = certs/ca.pem\n"
				   "[credentials]\nfile = ./keys\n"
				   "[log]\nfile = /var/log/ackfs.log\n");
	AUTO_FREE char *ca = test_path(*state, "certs/ca.pem");
	AUTO_FREE char *keys = test_path(*state, "keys");
	AUTO_FREE char *conf = test_path(*state, "ackfs.conf");

	assert_string_equal(c->oss.ca_file, ca);
	assert_string_equal(c->credentials.file, keys);
	assert_string_equal(c->log.file, "/var/log/ackfs.log");
	assert_string_equal(c->config_file, conf);
	conf_free(c);
}

/* ---- callback sections --------------------------------------------------- */

/* design.md, "Callback configuration", as it stands there. */
static const char design[] =
	"    [oss]\n"
	"    endpoint = oss-cn-hangzhou.aliyuncs.com       ; no scheme means https\n"
	"    region = cn-hangzhou\n"
	"    bucket = examplebucket                        ; or on the command line\n"
	"\n"
	"    [callback]\n"
	"    url = https://app.example.com/oss/uploaded\n"
	"    host = app.example.com\n"
	"    body_type = application/json\n"
	"    body = {\"id\":${x:ackfs_id},\"object\":${object},\"size\":${size},\"type\":${mimeType},\"customer\":${x:customer}}\n"
	"    on_failure = accept                           ; or fail_close: close() returns EREMOTEIO\n"
	"    retry_for = 1d\n"
	"\n"
	"    [callback.vars]\n"
	"    customer = %{segment:1}                       ; first directory of the path\n"
	"    site = hangzhou-3\n"
	"\n"
	"    [callback \"archive\"]                          ; a rule: the first whose match holds, else [callback]\n"
	"    match = archive/** *.log\n"
	"    enabled = false\n";

static void the_example_of_the_design_is_read_as_it_stands(void **state)
{
	struct conf *c = load_good(design);

	(void)state;
	assert_string_equal(c->oss.endpoint, "oss-cn-hangzhou.aliyuncs.com");
	assert_string_equal(c->oss.bucket, "examplebucket");
	assert_int_equal(c->callback_count, 2);
	assert_null(c->callbacks[0].name);
	assert_string_equal(
		key(c, 0, "body"),
		"{\"id\":${x:ackfs_id},\"object\":${object},\"size\":${size},\"type\":${mimeType},\"customer\":${x:customer}}");
	assert_string_equal(key(c, 0, "on_failure"), "accept");
	assert_string_equal(var(c, 0, "customer"), "%{segment:1}");
	assert_string_equal(var(c, 0, "site"), "hangzhou-3");
	assert_string_equal(c->callbacks[1].name, "archive");
	assert_string_equal(key(c, 1, "match"), "archive/** *.log");
	assert_int_equal(c->callbacks[1].line, 18);
	conf_free(c);
}

static void templates_and_variables_come_through_whole(void **state)
{
	struct conf *c = load_good(
		PREAMBLE
		"[callback]\n"
		"url = http://a.example.com/x;https://b.example.com:8443/y?z=1\n"
		"body = a=${object}&b=1 ;c   ; d: e=${x:var1}\n"
		"[callback.vars]\n"
		"x:var1 = value1\n"
		"note = a;b ; c # d = e: f\n");

	(void)state;
	assert_string_equal(
		key(c, 0, "url"),
		"http://a.example.com/x;https://b.example.com:8443/y?z=1");
	assert_string_equal(key(c, 0, "body"),
			    "a=${object}&b=1 ;c   ; d: e=${x:var1}");
	assert_string_equal(var(c, 0, "var1"), "value1");
	assert_string_equal(var(c, 0, "note"), "a;b ; c # d = e: f");
	conf_free(c);
}

static void the_default_section_goes_first_wherever_it_stands(void **state)
{
	struct conf *c =
		load_good(PREAMBLE "[callback.vars \"b\"]\nk = v\n"
				   "[callback \"a\"]\nmatch = *.a\n"
				   "[callback \"b\"]\nmatch = *.b\n"
				   "[callback]\nurl = http://a.example.com/\n");

	(void)state;
	assert_int_equal(c->callback_count, 3);
	assert_null(c->callbacks[0].name);
	assert_string_equal(c->callbacks[1].name, "b");
	assert_string_equal(var(c, 1, "k"), "v");
	assert_string_equal(c->callbacks[2].name, "a");
	conf_free(c);
}

static void a_body_file_becomes_the_body(void **state)
{
	struct conf *c;

	(void)state;
	assert_int_equal(mkdir("tpl", 0700), 0);
	test_file_write("tpl/body.json", "{\n  \"o\": ${object}\n}\n\n", 22);
	c = load_good(PREAMBLE "[callback]\nurl = http://a.example.com/\n"
			       "body_type = application/json\n"
			       "body_file = tpl/body.json\n");
	assert_string_equal(key(c, 0, "body"), "{\n  \"o\": ${object}\n}");
	assert_null(key(c, 0, "body_file"));
	conf_free(c);
}

static void no_callback_section_is_no_callback(void **state)
{
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *warnings = NULL;
	struct conf *c = load_good(PREAMBLE);
	struct rules *rules = NULL;

	(void)state;
	assert_int_equal(c->callback_count, 0);
	assert_int_equal(rules_from_conf(c, &rules, &why, &warnings), 0);
	assert_false(rules_exist(rules));
	assert_null(warnings);
	rules_free(rules);
	conf_free(c);
}

/* ---- options ------------------------------------------------------------- */

static void options_replace_what_the_file_says(void **state)
{
	struct conf *c =
		load_good(PREAMBLE "[upload]\nfsync = local\n"
				   "[callback]\nurl = http://a.example.com/\n"
				   "body = a=1\n[callback.vars]\nk = v\n");

	(void)state;
	set_good(c, "oss.bucket=otherbucket");
	set_good(c, "endpoint=http://127.0.0.1:8080");
	set_good(c, "region=cn-shanghai");
	set_good(c, "state_dir=/srv/state");
	set_good(c, "upload.fsync=upload");
	set_good(c, "upload.fsync=upload");
	set_good(c, "callback.url=http://b.example.com/;http://c.example.com/");
	set_good(c, "callback.body=x=1 ; y=${x:k}");
	set_good(c, "callback.vars.k=w=1");
	set_good(c, "callback.vars.x:m.n=2");
	set_good(c, "callback \"log.files\".match=*.log");
	set_good(c, "uid=12");
	set_good(c, "ro");
	set_good(c, "allow_other");
	assert_string_equal(c->oss.bucket, "otherbucket");
	assert_string_equal(c->oss.endpoint, "http://127.0.0.1:8080");
	assert_string_equal(c->oss.region, "cn-shanghai");
	assert_string_equal(c->state.dir, "/srv/state");
	assert_int_equal(c->upload.fsync, CONF_FSYNC_UPLOAD);
	assert_string_equal(key(c, 0, "url"),
			    "http://b.example.com/;http://c.example.com/");
	assert_string_equal(key(c, 0, "body"), "x=1 ; y=${x:k}");
	assert_string_equal(var(c, 0, "k"), "w=1");
	assert_string_equal(var(c, 0, "m.n"), "2");
	assert_string_equal(c->callbacks[1].name, "log.files");
	assert_int_equal(c->mount.uid, 12);
	assert_true(c->mount.read_only && c->mount.allow_other);
	conf_free(c);
}

static void an_option_s_template_replaces_the_file_s(void **state)
{
	AUTO_FREE char *why = NULL;
	struct conf *c = conf_new();

	(void)state;
	write_conf(PREAMBLE "[callback]\nurl = http://a.example.com/\n"
			    "body_file = missing\n",
		   0600);
	assert_int_equal(conf_load_file(c, "ackfs.conf", &why), 0);
	set_good(c, "callback.body=a=1");
	assert_int_equal(conf_finish(c, &why), 0);
	assert_string_equal(key(c, 0, "body"), "a=1");
	conf_free(c);
}

static const struct {
	const char *option;
	int rc;
	const char *why;
} options[] = {
	{"nofail",				  -ENOENT, NULL								     },
	{"x-systemd.automount",                     -ENOENT, NULL								     },
	{"fsname=a",				-ENOENT, NULL								     },
	{"upload.fsync=later",                      -EINVAL,
	 "-o upload.fsync: \"later\": none of its words; write local or upload"                                                       },
	{"upload.fsync",			    -EINVAL,
	 "-o upload.fsync: no value; write -o upload.fsync=VALUE"								     },
	{"upload.fsnyc=local",                      -EINVAL,
	 "-o upload.fsnyc: no such key (did you mean fsync?)"									 },
	{"uplaod.fsync=local",                      -EINVAL,
	 "-o uplaod.fsync: no such section (did you mean [upload]?)"                                                                  },
	{"endpoint",				-EINVAL,
	 "-o oss.endpoint: no value; write -o oss.endpoint=VALUE"								     },
	{"config",				  -EINVAL, "-o config: no value; write -o config=FILE"                              },
	{"credentials.access_key_secret=topsecret", -EINVAL,
	 "-o credentials.access_key_secret: not as an option, where every user's ps shows it; write it into a file or the environment"},
	{"callback.ulr=http://a.example.com/",      -EINVAL,
	 "-o callback.ulr: no such key (did you mean url?)"									   },
	{"callback \"a.match=*",                    -ENOENT, NULL								     },
};

static void options_are_ours_or_not_and_wrong_ones_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		AUTO_FREE char *why = NULL;
		struct conf *c = conf_new();
		int rc = conf_set_option(c, options[i].option, &why);

		if (rc != options[i].rc || !str_eq(why, options[i].why))
			fail_msg("%s: rc %d, %s", options[i].option, rc,
				 why ? why : "no reason");
		conf_free(c);
	}
}

/* ---- access keys --------------------------------------------------------- */

#define KEYS                                                                   \
	"[credentials]\naccess_key_id = LTAI5tExample\n"                       \
	"access_key_secret = secret123\n"

static void keys_that_others_can_read_are_refused(void **state)
{
	static const struct {
		mode_t mode;
		int rc;
		const char *why;
	} cases[] = {
		{0600, 0,       NULL								    },
		{0640, 0,       NULL								    },
		{0644, -EACCES,
		 "ackfs.conf: holds access keys, and every user can read it; write chmod o= ackfs.conf" },
		{0602, -EACCES,
		 "ackfs.conf: holds access keys, and every user can write it; write chmod o= ackfs.conf"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *why = NULL;
		struct conf *c = conf_new();

		write_conf(PREAMBLE KEYS, cases[i].mode);
		assert_int_equal(conf_load_file(c, "ackfs.conf", &why),
				 cases[i].rc);
		assert_true(str_eq(why, cases[i].why));
		conf_free(c);
	}
}

static void a_file_without_keys_may_be_public(void **state)
{
	AUTO_FREE char *why = NULL;
	struct conf *c = conf_new();

	(void)state;
	write_conf(PREAMBLE "[credentials]\nfile = keys\n", 0644);
	assert_int_equal(conf_load_file(c, "ackfs.conf", &why), 0);
	conf_free(c);
}

static void credentials_are_read_again_alone(void **state)
{
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *secret = NULL;
	AUTO_FREE char *token = NULL;

	(void)state;
	write_conf("[nonsense]\n[upload]\nfsync = never\n" KEYS, 0600);
	assert_int_equal(
		conf_reread_credentials("ackfs.conf", &id, &secret, &token), 0);
	assert_string_equal(id, "LTAI5tExample");
	assert_string_equal(secret, "secret123");
	assert_null(token);
}

static void credentials_that_cannot_be_read_again_leave_the_old(void **state)
{
	char old[] = "old", *id = old, *secret = old, *token = old;

	(void)state;
	assert_int_equal(
		conf_reread_credentials("missing", &id, &secret, &token),
		-ENOENT);
	write_conf(KEYS, 0644);
	assert_int_equal(
		conf_reread_credentials("ackfs.conf", &id, &secret, &token),
		-EACCES);
	assert_ptr_equal(id, old);
	assert_ptr_equal(secret, old);
	assert_ptr_equal(token, old);
}

/* ---- files and folders --------------------------------------------------- */

static void files_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *path;
		int rc;
		const char *why;
	} cases[] = {
		{"missing",   -ENOENT,
		 "missing: No such file or directory; write the path of a configuration file"},
		{".",         -EISDIR,
		 ".: Is a directory; write the path of a configuration file"                 },
		{"/dev/null", -EINVAL,
		 "/dev/null: not a regular file; write the path of a configuration file"     },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *why = NULL;
		struct conf *c = conf_new();

		assert_int_equal(conf_load_file(c, cases[i].path, &why),
				 cases[i].rc);
		assert_string_equal(why, cases[i].why);
		conf_free(c);
	}
}

static void a_file_without_end_is_refused(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	AUTO_FREE char *why = NULL;
	struct conf *c = conf_new();

	(void)state;
	while (b.len <= (1 << 20))
		buf_adds(&b, "; a comment\n");
	test_file_write("ackfs.conf", b.data, b.len);
	assert_int_equal(conf_load_file(c, "ackfs.conf", &why), -EFBIG);
	assert_string_equal(
		why,
		"ackfs.conf: longer than 1 MiB; write the path of a configuration file");
	conf_free(c);
}

static char *state_path(const char *bucket, const char *prefix)
{
	struct conf *c = conf_new();
	AUTO_FREE char *b = str_printf("oss.bucket=%s", bucket);
	AUTO_FREE char *p = str_printf("oss.prefix=%s", prefix);
	char *path;

	set_good(c, b);
	set_good(c, p);
	set_good(c, "state_dir=/s");
	path = conf_state_path(c);
	conf_free(c);
	return path;
}

static void each_bucket_and_prefix_has_its_own_state(void **state)
{
	static const char *const prefixes[] = {"",      "a",   "a/b",
					       "a%2Fb", "a+b", "\xe5\xbd\x92"};
	static const char *const want[] = {
		"/s/examplebucket",       "/s/examplebucket+a",
		"/s/examplebucket+a%2Fb", "/s/examplebucket+a%252Fb",
		"/s/examplebucket+a%2Bb", "/s/examplebucket+%E5%BD%92"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		AUTO_FREE char *path = state_path("examplebucket", prefixes[i]);

		assert_string_equal(path, want[i]);
	}
}

static void long_prefixes_still_have_their_own_state(void **state)
{
	char a[800], b[800];
	AUTO_FREE char *pa = NULL;
	AUTO_FREE char *pb = NULL;

	(void)state;
	memset(a, 'x', sizeof(a) - 1);
	a[sizeof(a) - 1] = '\0';
	memcpy(b, a, sizeof(a));
	b[sizeof(b) - 2] = 'y';
	pa = state_path("examplebucket", a);
	pb = state_path("examplebucket", b);
	assert_true(strlen(strrchr(pa, '/') + 1) <= 200);
	assert_string_not_equal(pa, pb);
}

static void the_user_s_state_is_in_the_user_s_folder(void **state)
{
	struct conf *c = conf_new();
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *home = NULL;

	(void)state;
	set_good(c, "oss.bucket=examplebucket");
	if (geteuid() == 0) {
		path = conf_state_path(c);
		assert_string_equal(path, "/var/lib/ackfs/examplebucket");
	} else {
		setenv("XDG_STATE_HOME", "/x/state", 1);
		path = conf_state_path(c);
		assert_string_equal(path, "/x/state/ackfs/examplebucket");
		unsetenv("XDG_STATE_HOME");
		setenv("HOME", "/home/u", 1);
		home = conf_state_path(c);
		assert_string_equal(home,
				    "/home/u/.local/state/ackfs/examplebucket");
	}
	conf_free(c);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, enter_dir, leave_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_design),
		IN_DIR(values_arrive_typed),
		IN_DIR(relative_paths_begin_at_the_file),
		IN_DIR(the_example_of_the_design_is_read_as_it_stands),
		IN_DIR(templates_and_variables_come_through_whole),
		IN_DIR(the_default_section_goes_first_wherever_it_stands),
		IN_DIR(a_body_file_becomes_the_body),
		IN_DIR(no_callback_section_is_no_callback),
		IN_DIR(options_replace_what_the_file_says),
		IN_DIR(an_option_s_template_replaces_the_file_s),
		cmocka_unit_test(
			options_are_ours_or_not_and_wrong_ones_are_explained),
		IN_DIR(keys_that_others_can_read_are_refused),
		IN_DIR(a_file_without_keys_may_be_public),
		IN_DIR(credentials_are_read_again_alone),
		IN_DIR(credentials_that_cannot_be_read_again_leave_the_old),
		IN_DIR(files_that_are_none_are_refused),
		IN_DIR(a_file_without_end_is_refused),
		cmocka_unit_test(each_bucket_and_prefix_has_its_own_state),
		cmocka_unit_test(long_prefixes_still_have_their_own_state),
		cmocka_unit_test(the_user_s_state_is_in_the_user_s_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
