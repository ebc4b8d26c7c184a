/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "oss/credentials.h"
#include "util/clock.h"
#include "util/log.h"

static char *dir;

static int setup(void **state)
{
	(void)state;
	unsetenv("OSS_ACCESS_KEY_ID");
	unsetenv("OSS_ACCESS_KEY_SECRET");
	unsetenv("OSS_SESSION_TOKEN");
	dir = test_dir_make();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("OSS_ACCESS_KEY_ID");
	unsetenv("OSS_ACCESS_KEY_SECRET");
	unsetenv("OSS_SESSION_TOKEN");
	test_dir_remove(dir);
	return 0;
}

static char *file_with(const char *text, mode_t mode)
{
	char *path = test_path(dir, "keys");

	test_file_write(path, text, strlen(text));
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void expect(struct credentials *c, const char *id, const char *secret,
		   const char *token)
{
	struct credentials_set s;

	assert_int_equal(credentials_get(c, &s), 0);
	assert_string_equal(s.id, id);
	assert_string_equal(s.secret, secret);
	if (token)
		assert_string_equal(s.token, token);
	else
		assert_null(s.token);
	credentials_set_release(&s);
}

static void the_environment_comes_first(void **state)
{
	struct credentials_conf conf = {.file = "/nonexistent",
					.access_key_id = "ini",
					.access_key_secret = "inis"};
	AUTO_FREE char *why = NULL;
	struct credentials *c;

	(void)state;
	setenv("OSS_ACCESS_KEY_ID", "envid", 1);
	setenv("OSS_ACCESS_KEY_SECRET", "envsecret", 1);
	setenv("OSS_SESSION_TOKEN", "envtoken", 1);
	assert_int_equal(credentials_new(&conf, &c, &why), 0);
	expect(c, "envid", "envsecret", "envtoken");
	credentials_free(c);
	unsetenv("OSS_ACCESS_KEY_SECRET");
	assert_int_equal(credentials_new(&conf, &c, &why), -EINVAL);
	assert_non_null(strstr(why, "OSS_ACCESS_KEY_SECRET"));
}

static void the_file_comes_before_the_configuration(void **state)
{
	AUTO_FREE char *path = file_with("fileid:filesecret\n", 0600);
	struct credentials_conf conf = {.file = path,
					.access_key_id = "ini",
					.access_key_secret = "inis",
					.security_token = "initoken"};
	AUTO_FREE char *why = NULL;
	struct credentials *c;

	(void)state;
	assert_int_equal(credentials_new(&conf, &c, &why), 0);
	expect(c, "fileid", "filesecret", NULL);
	credentials_free(c);
	conf.file = NULL;
	assert_int_equal(credentials_new(&conf, &c, &why), 0);
	expect(c, "ini", "inis", "initoken");
	credentials_free(c);
	conf.access_key_secret = NULL;
	assert_int_equal(credentials_new(&conf, &c, &why), -EINVAL);
	assert_non_null(strstr(why, "access_key_secret"));
	free(take_ptr(why));
	conf.access_key_id = NULL;
	assert_int_equal(credentials_new(&conf, &c, &why), -ENOENT);
	assert_non_null(strstr(why, "OSS_ACCESS_KEY_ID"));
}

static const struct {
	const char *text;
	const char *id;
	const char *secret;
	const char *token;
} good[] = {
	{"id:secret",							       "id",    "secret",  NULL},
	{"# a comment\n\nid:secret\r\n",					    "id",    "secret",  NULL},
	{"other:x:y\nbkt:id:secret\n",					      "id",    "secret",  NULL},
	{"all:alls\nbkt:id:secret\n",					       "id",    "secret",  NULL},
	{"bkt:id:secret\nall:alls\n",					       "id",    "secret",  NULL},
	{"other:x:y\nall:alls\n",						   "all",   "alls",    NULL},
	{"OSSAccessKeyId=id\nOSSSecretKey=sec=ret\n",                               "id",    "sec=ret", NULL},
	{"{\"AccessKeyId\":\"STS.N\",\"AccessKeySecret\":\"s\","
	 "\"Expiration\":\"2099-11-01T05:20:01Z\",\"SecurityToken\":\"t\","
	 "\"LastUpdated\":\"2019-10-31T23:20:01Z\",\"Code\":\"Success\"}", "STS.N", "s",       "t" },
	{" \n{\"AccessKeyId\":\"i\",\"AccessKeySecret\":\"s\"}",                    "i",     "s",
	 NULL											       },
};

static void all_forms_of_files_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO_FREE char *path = file_with(good[i].text, 0640);
		struct credentials_conf conf = {.file = path, .bucket = "bkt"};
		AUTO_FREE char *why = NULL;
		struct credentials *c;

		if (credentials_new(&conf, &c, &why) != 0)
			fail_msg("%s: %s", good[i].text, why);
		expect(c, good[i].id, good[i].secret, good[i].token);
		credentials_free(c);
	}
}

static const char *const bad[] = {
	"",
	"nocolon",
	"a:b:c:d",
	"id with blank:secret",
	"[section]",
	"other:x:y",
	":secret",
	"id:",
	"{",
	"{}",
	"[]",
	"{\"AccessKeyId\":\"i\"}",
	"{\"AccessKeyId\":1,\"AccessKeySecret\":\"s\"}",
	"{\"AccessKeyId\":\"i\\r\\nX: y\",\"AccessKeySecret\":\"s\"}",
	"{\"AccessKeyId\":\"i\",\"AccessKeySecret\":\"s\",\"Code\":\"Failed\"}",
	"{\"AccessKeyId\":\"i\",\"AccessKeySecret\":\"s\",\"Expiration\":\"x\"}",
	"OSSAccessKeyId=id",
};

static void broken_files_are_refused_without_telling_secrets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_FREE char *path = file_with(bad[i], 0600);
		struct credentials_conf conf = {.file = path, .bucket = "bkt"};
		AUTO_FREE char *why = NULL;
		struct credentials *c;
		int rc = credentials_new(&conf, &c, &why);

		if (rc != -EINVAL)
			fail_msg("%s: got %d", bad[i], rc);
		assert_non_null(strstr(why, path));
		assert_null(strstr(why, "secret:"));
	}
}

static void files_that_others_can_use_are_refused(void **state)
{
	static const mode_t modes[] = {0644, 0604, 0602, 0601, 0666};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		AUTO_FREE char *path = file_with("id:secret", modes[i]);
		struct credentials_conf conf = {.file = path};
		AUTO_FREE char *why = NULL;
		struct credentials *c;

		assert_int_equal(credentials_new(&conf, &c, &why), -EACCES);
		assert_non_null(strstr(why, path));
		assert_non_null(strstr(why, "chmod"));
	}
}

static void missing_files_and_folders_are_named(void **state)
{
	struct credentials_conf conf = {.file = "/nonexistent/keys"};
	AUTO_FREE char *why = NULL;
	struct credentials *c;

	(void)state;
	assert_int_equal(credentials_new(&conf, &c, &why), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/keys"));
	free(take_ptr(why));
	conf.file = dir;
	assert_int_equal(credentials_new(&conf, &c, &why), -EINVAL);
	assert_non_null(strstr(why, "regular file"));
}

static void a_changed_file_is_read_again_by_itself(void **state)
{
	AUTO_FREE char *path = file_with("old:olds", 0600);
	struct credentials_conf conf = {.file = path};
	AUTO_FREE char *why = NULL;
	struct credentials_set s;
	struct credentials *c;

	(void)state;
	assert_int_equal(credentials_new(&conf, &c, &why), 0);
	assert_int_equal(credentials_get(c, &s), 0);
	assert_int_equal(s.generation, 1);
	credentials_set_release(&s);
	free(file_with("newer:newers", 0600));
	expect(c, "old", "olds", NULL); /* looked at a moment ago */
	clock_advance_ms(5000);
	expect(c, "newer", "newers", NULL);
	assert_int_equal(credentials_get(c, &s), 0);
	assert_int_equal(s.generation, 2);
	credentials_set_release(&s);
	credentials_free(c);
}

static void a_broken_file_keeps_the_old_keys(void **state)
{
	AUTO_FREE char *path = file_with("old:olds", 0600);
	struct credentials_conf conf = {.file = path};
	AUTO_FREE char *why = NULL;
	struct credentials *c;

	(void)state;
	assert_int_equal(credentials_new(&conf, &c, &why), 0);
	assert_int_equal(credentials_reload(c), 0);
	free(file_with("garbage", 0600));
	assert_int_equal(credentials_reload(c), -EINVAL);
	expect(c, "old", "olds", NULL);
	free(file_with("new:news", 0644));
	assert_int_equal(credentials_reload(c), -EACCES);
	expect(c, "old", "olds", NULL);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(credentials_reload(c), 1);
	expect(c, "new", "news", NULL);
	credentials_free(c);
}

static void keys_that_expire_are_read_again(void **state)
{
	AUTO_FREE char *path = test_path(dir, "keys");
	struct credentials_conf conf = {.file = path};
	AUTO_FREE char *why = NULL;
	char when[CLOCK_TEXT_LEN];
	struct stat before;
	struct credentials *c;
	char text[256];

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "{\"AccessKeyId\":\"A\",\"AccessKeySecret\":\"s\","
		       "\"Expiration\":\"%s\"}",
		       clock_rfc3339(when, clock_real_ms() + 600000));
	free(file_with(text, 0600));
	assert_int_equal(credentials_new(&conf, &c, &why), 0);
	expect(c, "A", "s", NULL);
	assert_int_equal(stat(path, &before), 0);
	free(file_with("B:t", 0600));
	clock_advance_ms(500000);
	expect(c, "B", "t", NULL);
	credentials_free(c);
}

static int reread(void *arg, char **id, char **secret, char **token)
{
	const int *rc = arg;

	if (*rc < 0)
		return *rc;
	*id = str_dup("fresh");
	*secret = str_dup("freshs");
	*token = NULL;
	return 0;
}

static void the_configuration_can_be_read_again(void **state)
{
	int rc = 0;
	struct credentials_conf conf = {.access_key_id = "ini",
					.access_key_secret = "inis",
					.reread = reread,
					.reread_arg = &rc};
	AUTO_FREE char *why = NULL;
	struct credentials *c;

	(void)state;
	assert_int_equal(credentials_new(&conf, &c, &why), 0);
	expect(c, "ini", "inis", NULL);
	assert_int_equal(credentials_reload(c), 1);
	expect(c, "fresh", "freshs", NULL);
	rc = -EINVAL;
	assert_int_equal(credentials_reload(c), -EINVAL);
	expect(c, "fresh", "freshs", NULL);
	credentials_free(c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_environment_comes_first),
		TEST(the_file_comes_before_the_configuration),
		TEST(all_forms_of_files_are_read),
		TEST(broken_files_are_refused_without_telling_secrets),
		TEST(files_that_others_can_use_are_refused),
		TEST(missing_files_and_folders_are_named),
		TEST(a_changed_file_is_read_again_by_itself),
		TEST(a_broken_file_keeps_the_old_keys),
		TEST(keys_that_expire_are_read_again),
		TEST(the_configuration_can_be_read_again),
	};

	log_set_level(LOG_LVL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
