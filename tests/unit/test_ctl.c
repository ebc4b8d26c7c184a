/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl's commands on prepared state folders, without a mount. */
#include "../support/ctl.h"
#include "../support/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "callback/outcome.h"
#include "ctl/ctl.h"
#include "state/cblog.h"
#include "util/clock.h"
#include "util/fileio.h"

#define T0 INT64_C(1700000000000)

static int setup(void **state)
{
	static struct state_fix f;

	state_init(&f);
	state_open(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	state_fini(*state);
	return 0;
}

static void add_record(struct state_fix *f, const char *key,
		       enum callback_state s, int64_t time_ms, bool given_up)
{
	AUTO(cb_record_release)
	struct cb_record r = {
		.state = (int)s,
		.time_ms = time_ms,
		.attempt = 1,
		.oss_status = s == CALLBACK_OK ? 200 : 203,
		.given_up = given_up,
		.next_try_ms = s == CALLBACK_FAILED && !given_up ? T0 : 0,
	};

	snprintf(r.object.etag, sizeof(r.object.etag), "ABC");
	str_set(&r.key, key);
	str_set(&r.delivery_id, "d-1");
	if (s == CALLBACK_FAILED)
		str_set(&r.error, "Error status : 502.");
	assert_int_equal(cblog_add(f->db, &r, DB_WAIT), 0);
}

static void three_records(struct state_fix *f)
{
	add_record(f, "in/a.jpg", CALLBACK_OK, T0, false);
	add_record(f, "in/b.jpg", CALLBACK_FAILED, T0 + 60000, false);
	add_record(f, "c.txt", CALLBACK_FAILED, T0 + 120000, true);
}

static int lines_of(const struct buf *b)
{
	int n = 0;

	for (const char *c = buf_str(b); *c; c++)
		n += *c == '\n';
	return n;
}

#define HAS(b, text) assert_non_null(strstr(buf_str(&(b)), text))
#define HAS_NOT(b, text) assert_null(strstr(buf_str(&(b)), text))

/* -- the command line ------------------------------------------------------------------ */

static void every_command_has_help_that_names_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ctl_command_count; i++) {
		const char *name = ctl_commands[i]->name;
		AUTO(ctl_run_release)
		struct ctl_run r = CTL_RUN(name, "--help");

		if (r.status != CTL_OK || !strstr(buf_str(&r.out), name) ||
		    r.err.len)
			fail_msg("%s: status %d", name, r.status);
	}
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *words[4];
		const char *says;
	} cases[] = {
		{{"lgo"},				  "did you mean log" },
		{{"zzzzzzzz"},                             "no such command"  },
		{{"log", "--nonsense"},                    "nonsense"         },
		{{"log", "--state", "fine"},               "want ok, failed"  },
		{{"log", "--since", "noon"},               "want 30m"         },
		{{"log", "-n", "0"},                       "want a number"    },
		{{"log", "--state-dir", "/nonexistent/x"}, "/nonexistent/x"   },
		{{"drop"},				 "want"             },
		{{"incomplete"},                           "want list"        },
		{{"incomplete", "burn"},                   "want list"        },
		{{"wait", "--timeout", "soon"},            "want a time"      },
		{{"retry-callback"},                       "want"             },
		{{"explain"},			      "want"             },
		{{"explain", "--size", "big", "x"},        "want a size"      },
		{{"preflight", "x"},                       "too many operands"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(ctl_run_release)
		struct ctl_run r = ctl_run(cases[i].words);

		if ((r.status != CTL_FAILED && r.status != CTL_ABSENT) ||
		    !strstr(buf_str(&r.err), cases[i].says))
			fail_msg("%s: status %d: %s", cases[i].words[0],
				 r.status, buf_str(&r.err));
	}
}

/* -- log --------------------------------------------------------------------------------- */

static void log_shows_what_is_asked_for(void **state)
{
	static const struct {
		const char *name;
		const char *words[4];
		int lines;
		const char *shows;
	} cases[] = {
		{"all",       {NULL},                              3, "in/a.jpg"},
		{"glob",      {"*.jpg"},                           2, "in/b.jpg"},
		{"path glob", {"in/*"},                            2, "in/b.jpg"},
		{"none",      {"*.png"},                           0, NULL      },
		{"ok",        {"--state", "ok"},                   1, "in/a.jpg"},
		{"failed",    {"--state", "failed"},               2, "c.txt"   },
		{"given up",  {"--state", "given-up"},             1, "c.txt"   },
		{"retrying",  {"--state", "retrying"},             1, "in/b.jpg"},
		{"since",     {"--since", "2023-11-14T22:14:30Z"}, 1, "c.txt"   },
		{"last",      {"-n", "1"},                         1, "c.txt"   },
		{"last two",  {"-n", "2"},                         2, "in/b.jpg"},
		{"last jpg",  {"-n", "1", "*.jpg"},                1, "in/b.jpg"},
	};
	struct state_fix *f = *state;

	three_records(f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const *w = cases[i].words;
		AUTO(ctl_run_release)
		struct ctl_run r =
			CTL_RUN("log", "--state-dir", f->dir, w[0],
				w[0] ? w[1] : NULL, w[0] && w[1] ? w[2] : NULL);

		if (r.status != CTL_OK || lines_of(&r.out) != cases[i].lines ||
		    (cases[i].shows &&
		     !strstr(buf_str(&r.out), cases[i].shows)))
			fail_msg("%s: status %d, got %s%s", cases[i].name,
				 r.status, buf_str(&r.out), buf_str(&r.err));
	}
}

static void log_keeps_the_order_of_time(void **state)
{
	struct state_fix *f = *state;
	const char *a, *c;

	three_records(f);
	for (int i = 0; i < 2; i++) {
		AUTO(ctl_run_release)
		struct ctl_run r =
			i ? CTL_RUN("log", "--state-dir", f->dir, "-n", "3")
			  : CTL_RUN("log", "--state-dir", f->dir);

		a = strstr(buf_str(&r.out), "in/a.jpg");
		c = strstr(buf_str(&r.out), "c.txt");
		assert_non_null(a);
		assert_non_null(c);
		assert_true(a < c);
	}
}

static void log_says_given_up_and_why(void **state)
{
	struct state_fix *f = *state;

	three_records(f);
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("log", "--state-dir", f->dir, "c.txt");

	HAS(r.out, "given up");
	HAS(r.out, "Error status : 502.");
}

static void log_as_json_is_one_object_a_line(void **state)
{
	struct state_fix *f = *state;
	json_t *o;

	three_records(f);
	AUTO(ctl_run_release)
	struct ctl_run r =
		CTL_RUN("log", "--state-dir", f->dir, "--json", "-n", "1");

	assert_int_equal(lines_of(&r.out), 1);
	o = json_loads(buf_str(&r.out), 0, NULL);
	assert_non_null(o);
	assert_string_equal(test_json_str(o, "key"), "c.txt");
	assert_true(json_is_true(json_object_get(o, "given_up")));
	json_decref(o);
}

/* -- status ----------------------------------------------------------------------------- */

static void leave_one(struct state_fix *f, const char *key,
		      enum staging_state want, int64_t next_try_ms)
{
	struct staging *s = state_write(f, key, "12345");
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d-9");

	if (want == STAGING_INCOMPLETE) {
		assert_int_equal(staging_incomplete(s, "killed"), 0);
	} else {
		assert_int_equal(staging_close(s, &c, true), 0);
		if (want == STAGING_RETRYING) {
			assert_int_equal(staging_begin_upload(s), 0);
			assert_int_equal(staging_retry_later(s, -EACCES, "no",
							     next_try_ms),
					 0);
		}
	}
	staging_put(s);
}

static json_t *status_json(struct state_fix *f)
{
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("status", "--json", "--state-dir", f->dir);
	json_t *o = json_loads(buf_str(&r.out), 0, NULL);

	assert_non_null(o);
	return o;
}

static int64_t count(const json_t *o, const char *group, const char *name)
{
	return test_json_int(json_object_get(o, group), name);
}

static void status_counts_a_folder_that_nobody_mounts(void **state)
{
	struct state_fix *f = *state;
	json_t *o;

	three_records(f);
	leave_one(f, "in/w", STAGING_CLOSED, 0);
	leave_one(f, "in/r", STAGING_RETRYING, T0);
	leave_one(f, "in/s", STAGING_RETRYING, INT64_MAX);
	leave_one(f, "in/i", STAGING_INCOMPLETE, 0);
	state_close(f);
	o = status_json(f);
	assert_string_equal(test_json_str(o, "state"), "not_mounted");
	assert_int_equal(count(o, "files", "closed"), 1);
	assert_int_equal(count(o, "files", "retrying"), 2);
	assert_int_equal(count(o, "files", "incomplete"), 1);
	assert_int_equal(count(o, "staging", "files"), 4);
	assert_int_equal(count(o, "staging", "bytes"), 20);
	assert_int_equal(test_json_int(o, "stuck"), 1);
	assert_int_equal(json_array_size(json_object_get(o, "retrying")), 2);
	assert_int_equal(count(o, "callbacks", "ok"), 1);
	assert_int_equal(count(o, "callbacks", "retrying"), 1);
	assert_int_equal(count(o, "callbacks", "given_up"), 1);
	assert_true(json_is_string(json_object_get(o, "oldest_pending")));
	json_decref(o);
}

static void status_exits_with_2_where_nothing_is_mounted(void **state)
{
	struct state_fix *f = *state;

	state_close(f);
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("status", "--state-dir", f->dir);

	assert_int_equal(r.status, CTL_ABSENT);
	HAS(r.out, "not mounted");
}

static void status_reads_beside_a_daemon(void **state)
{
	struct state_fix *f = *state;
	json_t *o;

	leave_one(f, "in/i", STAGING_INCOMPLETE, 0);
	o = status_json(f); /* this process holds the lock */
	assert_string_equal(test_json_str(o, "state"), "mounted");
	assert_int_equal(test_json_int(o, "pid"), getpid());
	json_decref(o);
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("status", "--state-dir", f->dir);

	assert_int_equal(r.status, CTL_NO); /* one is incomplete */
}

static void metrics_are_grouped_and_escaped(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *path = test_path(f->root, "ackfs.prom");
	AUTO(buf_release) struct buf text = BUF_INIT;

	three_records(f);
	leave_one(f, "in/i", STAGING_INCOMPLETE, 0);
	state_close(f);
	AUTO(ctl_run_release)
	struct ctl_run r =
		CTL_RUN("metrics", "--state-dir", f->dir, "--output", path);

	assert_int_equal(r.status, CTL_OK);
	assert_int_equal(r.out.len, 0);
	test_file_read(path, &text);
	HAS(text, "# TYPE ackfs_files gauge\n");
	HAS(text, "state=\"incomplete\"} 1\n");
	HAS(text, "state=\"given_up\"} 1\n");
	HAS(text, "ackfs_up{");
	HAS_NOT(text, "ackfs_staging_room_bytes{"); /* nobody knows */
}

static void wait_ends_when_nothing_waits(void **state)
{
	struct state_fix *f = *state;

	leave_one(f, "in/i", STAGING_INCOMPLETE, 0);
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("wait", "--state-dir", f->dir);

	assert_int_equal(r.status, CTL_OK);
}

static void wait_gives_up_at_its_timeout(void **state)
{
	struct state_fix *f = *state;

	leave_one(f, "in/w", STAGING_CLOSED, 0);
	AUTO(ctl_run_release)
	struct ctl_run r =
		CTL_RUN("wait", "--timeout", "1ms", "--state-dir", f->dir);

	assert_int_equal(r.status, CTL_NO);
	HAS(r.err, "1 still wait");
}

/* -- incomplete, drop ---------------------------------------------------------------------- */

static void incomplete_files_are_listed_and_saved(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *path = test_path(f->root, "saved");

	leave_one(f, "in/half", STAGING_INCOMPLETE, 0);
	leave_one(f, "in/w", STAGING_CLOSED, 0);
	AUTO(ctl_run_release)
	struct ctl_run list =
		CTL_RUN("incomplete", "list", "--state-dir", f->dir);
	AUTO(ctl_run_release)
	struct ctl_run save = CTL_RUN("incomplete", "extract", "in/half", path,
				      "--state-dir", f->dir);
	AUTO(ctl_run_release)
	struct ctl_run again = CTL_RUN("incomplete", "extract", "in/half", path,
				       "--state-dir", f->dir);

	assert_int_equal(list.status, CTL_OK);
	assert_int_equal(lines_of(&list.out), 2);
	HAS(list.out, "in/half");
	HAS(list.out, "killed");
	assert_int_equal(save.status, CTL_OK);
	test_file_equals(path, "12345");
	assert_int_equal(again.status, CTL_FAILED);
	HAS(again.err, "--force");
}

static void extract_writes_to_stdout(void **state)
{
	struct state_fix *f = *state;

	leave_one(f, "in/half", STAGING_INCOMPLETE, 0);
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("incomplete", "extract", "in/half", "-",
				   "--state-dir", f->dir);

	assert_int_equal(r.status, CTL_OK);
	assert_string_equal(buf_str(&r.out), "12345");
}

static void nothing_is_dropped_unasked(void **state)
{
	struct state_fix *f = *state;

	leave_one(f, "in/half", STAGING_INCOMPLETE, 0);
	state_close(f);
	AUTO(ctl_run_release)
	struct ctl_run r =
		CTL_RUN("incomplete", "drop", "in/half", "--state-dir", f->dir);
	AUTO(ctl_run_release)
	struct ctl_run list =
		CTL_RUN("incomplete", "list", "--state-dir", f->dir);

	assert_int_equal(r.status, CTL_FAILED);
	HAS(r.err, "--yes");
	HAS(list.out, "in/half");
}

static void drop_works_without_a_mount(void **state)
{
	struct state_fix *f = *state;

	leave_one(f, "in/half", STAGING_INCOMPLETE, 0);
	leave_one(f, "in/r", STAGING_RETRYING, T0);
	leave_one(f, "in/keep", STAGING_CLOSED, 0);
	state_close(f);
	AUTO(ctl_run_release)
	struct ctl_run a = CTL_RUN("incomplete", "drop", "in/half", "--yes",
				   "--state-dir", f->dir);
	AUTO(ctl_run_release)
	struct ctl_run b =
		CTL_RUN("drop", "in/r", "--yes", "--state-dir", f->dir);

	if (a.status != CTL_OK || b.status != CTL_OK)
		fail_msg("%s%s", buf_str(&a.err), buf_str(&b.err));
	state_open(f);
	assert_null(state_found(f, "in/half"));
	assert_null(state_found(f, "in/r"));
	assert_non_null(state_found(f, "in/keep"));
}

static void drop_refuses_while_a_daemon_has_the_folder(void **state)
{
	struct state_fix *f = *state;

	leave_one(f, "in/r", STAGING_RETRYING, T0);
	AUTO(ctl_run_release)
	struct ctl_run r =
		CTL_RUN("drop", "in/r", "--yes", "--state-dir", f->dir);

	assert_int_equal(r.status, CTL_FAILED);
	HAS(r.err, "in use");
}

static void drop_takes_no_incomplete_file(void **state)
{
	struct state_fix *f = *state;

	leave_one(f, "in/half", STAGING_INCOMPLETE, 0);
	AUTO(ctl_run_release)
	struct ctl_run r =
		CTL_RUN("drop", "in/half", "--yes", "--state-dir", f->dir);

	assert_int_equal(r.status, CTL_ABSENT);
	HAS(r.err, "no such staged file");
}

/* -- configurations ------------------------------------------------------------------------ */

static const char conf_text[] =
	"[oss]\n"
	"endpoint = oss-cn-hangzhou.aliyuncs.com\n"
	"bucket = examplebucket\n"
	"prefix = p\n"
	"[callback]\n"
	"url = https://app.example.com/up\n"
	"body_type = application/json\n"
	"body = {\"id\":${x:ackfs_id},\"object\":${object},\"who\":${x:who}}\n"
	"[callback.vars]\n"
	"who = %{segment:1}\n"
	"[callback \"logs\"]\n"
	"match = *.log\n"
	"enabled = false\n";

static char *write_conf(struct state_fix *f, const char *text)
{
	char *path = test_path(f->root, "ackfs.conf");

	test_file_write(path, text, strlen(text));
	return path;
}

static void explain_fills_in_samples(void **state)
{
	AUTO_FREE char *path = write_conf(*state, conf_text);
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("explain", "--config", path, "acme/a.jpg");

	assert_int_equal(r.status, CTL_OK);
	HAS(r.out, "p/acme/a.jpg");
	HAS(r.out, "image/jpeg");
	HAS(r.out, "\"who\":\"acme\"");
	HAS(r.out, "valid");
}

static void explain_knows_rules_without_a_callback(void **state)
{
	AUTO_FREE char *path = write_conf(*state, conf_text);
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("explain", "--config", path, "acme/a.log");
	AUTO(ctl_run_release)
	struct ctl_run temporary =
		CTL_RUN("explain", "--config", path, "acme/.a.jpg.x1Y2z3");

	assert_int_equal(r.status, CTL_OK);
	HAS(r.out, "[callback \"logs\"]");
	HAS(r.out, "enabled = false");
	HAS(temporary.out, "temporary");
}

static void explain_as_json_can_be_read(void **state)
{
	AUTO_FREE char *path = write_conf(*state, conf_text);
	AUTO(ctl_run_release)
	struct ctl_run r =
		CTL_RUN("explain", "--json", "--config", path, "acme/a.jpg");
	json_t *o = json_loads(buf_str(&r.out), 0, NULL);

	assert_non_null(o);
	assert_string_equal(test_json_str(o, "rule"), "default");
	assert_true(json_is_true(json_object_get(o, "callback")));
	json_decref(o);
}

static void check_config_names_file_and_line(void **state)
{
	AUTO_FREE char *path =
		write_conf(*state, "[oss]\nendpoint = x\nbukket = y\n");
	AUTO(ctl_run_release) struct ctl_run r = CTL_RUN("check-config", path);

	assert_int_equal(r.status, CTL_FAILED);
	HAS(r.err, "ackfs.conf:3");
	HAS(r.err, "bucket"); /* did you mean */
}

static void check_config_needs_no_bucket(void **state)
{
	AUTO_FREE char *path = write_conf(
		*state, "[oss]\nendpoint = oss-cn-hangzhou.aliyuncs.com\n");
	AUTO(ctl_run_release) struct ctl_run r = CTL_RUN("check-config", path);

	assert_int_equal(r.status, CTL_OK);
	HAS(r.err, "no [callback]");
}

static void a_configuration_names_its_state_folder(void **state)
{
	struct state_fix *f = *state;
	AUTO_FREE char *text = str_printf(
		"%s[state]\ndir = %s/states\nname = one\n", conf_text, f->root);
	AUTO_FREE char *path = write_conf(f, text);

	add_record(f, "p/in/a.jpg", CALLBACK_OK, T0, false);
	add_record(f, "in/a.jpg", CALLBACK_OK, T0, false);
	/* A path glob is one inside the mount, whose keys begin with p/. */
	AUTO(ctl_run_release)
	struct ctl_run r = CTL_RUN("log", "--config", path, "in/*");

	assert_int_equal(r.status, CTL_OK);
	assert_int_equal(lines_of(&r.out), 1);
	HAS(r.out, "p/in/a.jpg");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_has_help_that_names_it),
		cmocka_unit_test(mistakes_are_named),
		TEST(log_shows_what_is_asked_for),
		TEST(log_keeps_the_order_of_time),
		TEST(log_says_given_up_and_why),
		TEST(log_as_json_is_one_object_a_line),
		TEST(status_counts_a_folder_that_nobody_mounts),
		TEST(status_exits_with_2_where_nothing_is_mounted),
		TEST(status_reads_beside_a_daemon),
		TEST(metrics_are_grouped_and_escaped),
		TEST(wait_ends_when_nothing_waits),
		TEST(wait_gives_up_at_its_timeout),
		TEST(incomplete_files_are_listed_and_saved),
		TEST(extract_writes_to_stdout),
		TEST(nothing_is_dropped_unasked),
		TEST(drop_works_without_a_mount),
		TEST(drop_refuses_while_a_daemon_has_the_folder),
		TEST(drop_takes_no_incomplete_file),
		TEST(explain_fills_in_samples),
		TEST(explain_knows_rules_without_a_callback),
		TEST(explain_as_json_can_be_read),
		TEST(check_config_names_file_and_line),
		TEST(check_config_needs_no_bucket),
		TEST(a_configuration_names_its_state_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
