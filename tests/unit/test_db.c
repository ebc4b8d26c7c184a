/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state/sql.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/log.h"

static struct db *open_db(const char *dir)
{
	AUTO_FREE char *why = NULL;
	struct db *db = NULL;
	int rc = db_open(dir, &db, &why);

	if (rc < 0)
		fail_msg("db_open: %d %s", rc, why ? why : "-");
	return db;
}

static void with_sql(const char *dir, const char *text)
{
	AUTO_FREE char *path = test_path(dir, "journal.db");
	sqlite3 *sql = NULL;

	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sql_exec(sql, text), 0);
	assert_int_equal(sqlite3_close(sql), SQLITE_OK);
}

static int set_meta(sqlite3 *sql, const char *name, const char *value)
{
	AUTO(sql_done) sqlite3_stmt *st = NULL;
	int rc = sql_get(
		sql, "INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)",
		&st);

	if (rc < 0)
		return rc;
	sql_bind_text(st, 1, name);
	sql_bind_text(st, 2, value);
	return sql_run(st);
}

static int put_name(sqlite3 *sql, void *arg)
{
	return set_meta(sql, arg, "there");
}

static int put_and_fail(sqlite3 *sql, void *arg)
{
	int rc = set_meta(sql, arg, "there");

	return rc < 0 ? rc : -EDOM;
}

static int count_names(sqlite3 *sql, void *arg)
{
	return sql_int(sql, "SELECT count(*) FROM meta WHERE value='there'", -1,
		       arg);
}

static long long names_in(struct db *db)
{
	long long n = -1;

	assert_int_equal(db_read(db, count_names, &n), 0);
	return n;
}

/* -- writing ----------------------------------------------------------------- */

static void write_is_visible_when_it_returns(void **state)
{
	char one[] = "one", two[] = "two";
	struct db *db = open_db(*state);

	assert_int_equal(db_write(db, put_name, one, DB_WAIT), 0);
	assert_int_equal(names_in(db), 1);
	assert_int_equal(db_write(db, put_name, two, DB_DURABLE), 0);
	assert_int_equal(names_in(db), 2);
	db_close(db);
	db = open_db(*state);
	assert_int_equal(names_in(db), 2);
	db_close(db);
}

static void failed_write_is_rolled_back_alone(void **state)
{
	char bad[] = "bad", good[] = "good";
	struct db *db = open_db(*state);
	struct db_job jobs[] = {
		{.fn = put_name,     .arg = good},
		{.fn = put_and_fail, .arg = bad },
	};

	db_post(db, &jobs[0]);
	db_post(db, &jobs[1]);
	assert_int_equal(db_wait(db, &jobs[0]), 0);
	assert_int_equal(db_wait(db, &jobs[1]), -EDOM);
	assert_int_equal(names_in(db), 1);
	db_close(db);
}

static int put_heap_name(sqlite3 *sql, void *arg)
{
	return set_meta(sql, arg, "there");
}

static void unwaited_writes_are_done_by_close(void **state)
{
	enum { COUNT = 2000 };
	struct db *db = open_db(*state);

	for (int i = 0; i < COUNT; i++)
		assert_int_equal(db_write_nowait(db, put_heap_name,
						 str_printf("n%d", i), free,
						 DB_NOWAIT),
				 0);
	db_close(db);
	db = open_db(*state);
	assert_int_equal(names_in(db), COUNT);
	db_close(db);
}

static int count_commit(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return 0;
}

static int count_commits(sqlite3 *sql, void *arg)
{
	sqlite3_commit_hook(sql, count_commit, arg);
	return 0;
}

static void writes_in_no_hurry_go_with_the_next(void **state)
{
	enum { TRIES = 1000, WITHIN_MS = 20 };
	char now[] = "now";
	struct db *db = open_db(*state);
	bool in_time = false;
	atomic_int commits;

	atomic_init(&commits, 0);
	assert_int_equal(db_write(db, count_commits, &commits, DB_WAIT), 0);
	for (int i = 0; i < TRIES && !in_time; i++) {
		int64_t began = clock_mono_ms();

		atomic_store(&commits, 0);
		for (int k = 0; k < 3; k++)
			assert_int_equal(db_write_nowait(db, put_heap_name,
							 str_printf("l%d", k),
							 free, DB_LATER),
					 0);
		assert_int_equal(db_write(db, put_name, now, DB_WAIT), 0);
		in_time = clock_mono_ms() - began < WITHIN_MS;
		if (in_time)
			assert_int_equal(atomic_load(&commits), 1);
		assert_int_equal(names_in(db), 4);
	}
	assert_true(in_time);
	db_close(db);
}

static int leave_free_pages(sqlite3 *sql, void *arg)
{
	(void)arg;
	return sql_exec(sql, "CREATE TABLE big(bytes);"
			     "INSERT INTO big VALUES(zeroblob(30 << 20));"
			     "DROP TABLE big");
}

static int count_free(sqlite3 *sql, void *arg)
{
	return sql_int(sql, "PRAGMA freelist_count", 0, arg);
}

static void free_pages_go_back_to_the_disk_but_for_some(void **state)
{
	struct db *db = open_db(*state);
	long long before = 0, after = 0;

	assert_int_equal(db_shrink(db), 0); /* nothing to do */
	assert_int_equal(db_write(db, leave_free_pages, NULL, DB_WAIT), 0);
	assert_int_equal(db_write(db, count_free, &before, DB_WAIT), 0);
	assert_true(before >= (30 << 20) / 4096);
	assert_int_equal(db_shrink(db), 0);
	assert_int_equal(db_write(db, count_free, &after, DB_WAIT), 0);
	assert_in_range(after, 1024, 4096);
	db_close(db);
}

static void writes_in_no_hurry_are_there_for_who_asks(void **state)
{
	struct db *db = open_db(*state);

	for (int i = 1; i <= 100; i++) {
		assert_int_equal(db_write_nowait(db, put_heap_name,
						 str_printf("n%d", i), free,
						 DB_LATER),
				 0);
		assert_int_equal(db_settle(db), 0);
		assert_int_equal(names_in(db), i);
	}
	db_close(db);
}

static void writes_in_no_hurry_wait_for_nobody_for_ever(void **state)
{
	int64_t until = clock_mono_ms() + TEST_DEADLINE_MS;
	struct db *db = open_db(*state);

	assert_int_equal(db_write_nowait(db, put_heap_name, str_printf("later"),
					 free, DB_LATER),
			 0);
	while (names_in(db) == 0 && clock_mono_ms() < until)
		usleep(1000);
	assert_int_equal(names_in(db), 1);
	db_close(db);
}

struct group {
	pthread_mutex_t gate; /* the next group gathers until it is free */
	atomic_bool is_there;
	int released;
};

static int wait_for_gate(sqlite3 *sql, void *arg)
{
	struct group *g = arg;

	(void)sql;
	pthread_mutex_lock(&g->gate);
	pthread_mutex_unlock(&g->gate);
	return 0;
}

static void told_at_gate(void *arg, int rc)
{
	struct group *g = arg;

	(void)rc;
	pthread_mutex_lock(&g->gate);
	pthread_mutex_unlock(&g->gate);
	g->released++;
}

static int nothing(sqlite3 *sql, void *arg)
{
	(void)sql;
	(void)arg;
	return 0;
}

/* With the gate closed: this would wait for ever. */
static void who_waits_is_told_before_what_is_in_no_hurry(void **state)
{
	struct group g = {.gate = PTHREAD_MUTEX_INITIALIZER};
	char name[] = "now";
	struct db *db = open_db(*state);
	struct db_job later = {.fn = nothing,
			       .done = told_at_gate,
			       .arg = &g,
			       .flags = DB_LATER};

	pthread_mutex_lock(&g.gate);
	db_post(db, &later);
	assert_int_equal(db_write(db, put_name, name, DB_WAIT), 0);
	assert_int_equal(names_in(db), 1);
	pthread_mutex_unlock(&g.gate);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(g.released, 1); /* db_commit() waits for that too */
	db_close(db);
}

static int lose_transaction(sqlite3 *sql, void *arg)
{
	(void)arg;
	return sql_exec(sql, "ROLLBACK") < 0 ? -EIO : -ENOSPC;
}

/* A group's first job has no savepoint of its own. */
static void failed_first_write_is_rolled_back_alone(void **state)
{
	struct group g = {.gate = PTHREAD_MUTEX_INITIALIZER};
	char bad[] = "bad", good[] = "good", better[] = "better";
	struct db *db = open_db(*state);
	struct db_job jobs[] = {
		{.fn = wait_for_gate, .arg = &g    },
		{.fn = put_and_fail,  .arg = bad   },
		{.fn = put_and_fail,  .arg = bad   },
		{.fn = put_name,      .arg = good  },
		{.fn = put_name,      .arg = better},
	};

	pthread_mutex_lock(&g.gate);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		db_post(db, &jobs[i]);
	pthread_mutex_unlock(&g.gate);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		assert_int_equal(db_wait(db, &jobs[i]),
				 jobs[i].fn == put_and_fail ? -EDOM : 0);
	assert_int_equal(names_in(db), 2);
	/* One by one: it is all there is. */
	assert_int_equal(db_write(db, put_and_fail, bad, DB_WAIT), -EDOM);
	assert_int_equal(names_in(db), 2);
	db_close(db);
}

static int arrive_at_gate(sqlite3 *sql, void *arg)
{
	struct group *g = arg;

	atomic_store(&g->is_there, true);
	return wait_for_gate(sql, g);
}

static bool is_at_gate(void *arg)
{
	return atomic_load(&((struct group *)arg)->is_there);
}

static void note_told(void *arg, int rc)
{
	*(int *)arg = rc == 0 ? 1 : -1;
}

static void retracted_write_is_told_but_not_run(void **state)
{
	struct group g = {.gate = PTHREAD_MUTEX_INITIALIZER};
	char good[] = "good";
	int told = 0;
	struct db *db = open_db(*state);
	struct db_job gate = {.fn = arrive_at_gate, .arg = &g};
	struct db_job first = {
		.fn = put_and_fail, .done = note_told, .arg = &told};
	struct db_job second = {.fn = put_name, .arg = good};

	pthread_mutex_lock(&g.gate);
	db_post(db, &gate);
	assert_true(test_wait_until(is_at_gate, &g, TEST_DEADLINE_MS));
	db_post(db, &first);
	db_post(db, &second);
	db_retract(db, &first);
	pthread_mutex_unlock(&g.gate);
	assert_int_equal(db_wait(db, &second), 0);
	assert_int_equal(told, 1);
	db_retract(db, &second); /* too late */
	assert_int_equal(names_in(db), 1);
	assert_int_equal(db_wait(db, &gate), 0);
	db_close(db);
}

static void count_released(void *arg)
{
	((struct group *)arg)->released++;
}

static void unwaited_writes_are_released_though_the_disk_is_full(void **state)
{
	int (*const fns[])(sqlite3 *,
			   void *) = {wait_for_gate, lose_transaction,
				      lose_transaction, lose_transaction};
	struct group g = {.gate = PTHREAD_MUTEX_INITIALIZER};
	struct db *db = open_db(*state);

	pthread_mutex_lock(&g.gate);
	for (size_t i = 0; i < ARRAY_LEN(fns); i++)
		assert_int_equal(db_write_nowait(db, fns[i], &g, count_released,
						 DB_NOWAIT),
				 0);
	pthread_mutex_unlock(&g.gate);
	db_close(db);
	assert_int_equal(g.released, ARRAY_LEN(fns));
}

struct order {
	struct db_job job;
	int number;
	int *ran, *told;
};

static int run_order(sqlite3 *sql, void *arg)
{
	struct order *o = arg;

	(void)sql;
	if (o->number != *o->ran)
		return -EILSEQ;
	(*o->ran)++;
	return 0;
}

static void told_order(void *arg, int rc)
{
	struct order *o = arg;

	if (rc == 0 && o->number == *o->told)
		(*o->told)++;
	free(o);
}

static void jobs_run_and_are_told_in_order(void **state)
{
	enum { COUNT = 1500 };
	struct db *db = open_db(*state);
	int ran = 0, told = 0;

	for (int i = 0; i < COUNT; i++) {
		struct order *o = calloc(1, sizeof(*o));

		assert_non_null(o);
		*o = (struct order){
			{.fn = run_order, .done = told_order},
                        i, &ran, &told
                };
		o->job.arg = o;
		o->job.flags = i % 7 == 0 ? DB_DURABLE : 0;
		db_post(db, &o->job);
	}
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(told, COUNT);
	db_close(db);
}

struct writer {
	struct db *db;
	int number, rc;
};

static void *write_many(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; i < 200 && w->rc == 0; i++) {
		char name[32];

		snprintf(name, sizeof(name), "t%d.%d", w->number, i);
		w->rc = db_write(w->db, put_name, name,
				 i % 20 == 0 ? DB_DURABLE : DB_WAIT);
	}
	return NULL;
}

static void threads_share_commits_and_lose_nothing(void **state)
{
	enum { THREADS = 8 };
	struct writer w[THREADS];
	pthread_t t[THREADS];
	struct db *db = open_db(*state);

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct writer){db, i, 0};
		assert_int_equal(pthread_create(&t[i], NULL, write_many, &w[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].rc, 0);
	}
	assert_int_equal(names_in(db), THREADS * 200);
	db_close(db);
}

/* -- a journal that is not as it should be --------------------------------------- */

static void journal_from_the_future_is_refused(void **state)
{
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *why_ro = NULL;
	AUTO_FREE char *path = test_path(*state, "journal.db");
	AUTO(buf_release) struct buf before = BUF_INIT;
	AUTO(buf_release) struct buf after = BUF_INIT;
	struct db *db = open_db(*state);

	db_close(db);
	with_sql(*state, "PRAGMA user_version = 7");
	test_file_read(path, &before);
	db = NULL;
	assert_int_equal(db_open(*state, &db, &why), -EPROTO);
	assert_null(db);
	assert_non_null(strstr(why, "newer ackfs"));
	assert_non_null(strstr(why, "version 7"));
	assert_non_null(strstr(why, path));
	assert_int_equal(db_open_readonly(*state, &db, &why_ro), -EPROTO);
	test_file_read(path, &after);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
}

/* The name of the file in dir that begins like this. */
static char *find_file(const char *dir, const char *begin)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char *found = NULL;

	assert_non_null(d);
	while (!found && (e = readdir(d)))
		if (strncmp(e->d_name, begin, strlen(begin)) == 0)
			found = str_dup(e->d_name);
	closedir(d);
	return found;
}

static void overwrite(const char *path, off_t from, off_t to)
{
	char junk[512];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	memset(junk, 0xa5, sizeof(junk));
	for (; from < to; from += (off_t)sizeof(junk))
		assert_int_equal(pwrite(fd, junk, sizeof(junk), from),
				 sizeof(junk));
	close(fd);
}

static void damage(const char *dir, const char *how)
{
	AUTO_FREE char *path = test_path(dir, "journal.db");
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	if (strcmp(how, "cut within its first page") == 0)
		assert_int_equal(truncate(path, 1000), 0);
	else if (strcmp(how, "truncated") == 0)
		assert_int_equal(truncate(path, st.st_size / 2), 0);
	else if (strcmp(how, "one page short") == 0)
		assert_int_equal(truncate(path, st.st_size - 4096), 0);
	else
		overwrite(path, strcmp(how, "garbage") == 0 ? 0 : 4096,
			  st.st_size);
}

static void damaged_journal_is_moved_aside_by_name(void **state)
{
	static const char *const ways[] = {
		"truncated", "cut within its first page", "one page short",
		"garbage", "torn pages"};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		AUTO_FREE char *dir = test_path(*state, "%zu", i);
		AUTO_FREE char *log = test_path(*state, "log%zu", i);
		AUTO_FREE char *aside = NULL;
		AUTO(buf_release) struct buf said = BUF_INIT;
		char name[] = "one";
		struct db *db;

		assert_int_equal(mkdir(dir, 0700), 0);
		db = open_db(dir);
		assert_int_equal(db_write(db, put_name, name, DB_WAIT), 0);
		db_close(db);
		damage(dir, ways[i]);
		log_open("test", log, LOG_LVL_INFO);
		db = open_db(dir);
		log_open("test", NULL, LOG_LVL_NOTICE);
		assert_int_equal(names_in(db), 0);
		db_close(db);
		aside = find_file(dir, "journal.db.corrupt-");
		if (!aside)
			fail_msg("%s: not moved aside", ways[i]);
		test_file_read(log, &said);
		assert_non_null(
			strstr(buf_str(&said), aside ? aside : ways[i]));
	}
}

static void empty_journal_is_a_new_one(void **state)
{
	AUTO_FREE char *path = test_path(*state, "journal.db");
	struct db *db;

	test_file_write(path, "", 0);
	db = open_db(*state);
	assert_int_equal(names_in(db), 0);
	db_close(db);
}

/* -- other openers --------------------------------------------------------------- */

static void reading_needs_a_journal(void **state)
{
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *path = test_path(*state, "journal.db");
	struct db *db = NULL;

	assert_int_equal(db_open_readonly(*state, &db, &why), -ENOENT);
	assert_non_null(strstr(why, path));
	assert_int_equal(access(path, F_OK), -1);
}

static void write_and_die(const char *dir)
{
	char name[] = "one";
	AUTO_FREE char *why = NULL;
	struct db *db = NULL;

	CHILD_CHECK(db_open(dir, &db, &why) == 0);
	CHILD_CHECK(db_write(db, put_name, name, DB_WAIT) == 0);
	raise(SIGKILL);
	_exit(1);
}

static void reader_sees_what_a_killed_daemon_committed(void **state)
{
	AUTO_FREE char *why = NULL;
	struct db *db = NULL;
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		write_and_die(*state);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	for (int i = 0; i < 2; i++) { /* and leaves it as it is */
		assert_int_equal(db_open_readonly(*state, &db, &why), 0);
		assert_int_equal(names_in(db), 1);
		db_close(db);
	}
	db = open_db(*state);
	assert_int_equal(names_in(db), 1);
	db_close(db);
}

static void long_view_does_not_stop_writers(void **state)
{
	AUTO(db_view_close) sqlite3 *view = NULL;
	AUTO(sql_finalize) sqlite3_stmt *st = NULL;
	struct db *db = open_db(*state);

	for (int i = 0; i < 100; i++)
		assert_int_equal(db_write_nowait(db, put_heap_name,
						 str_printf("a%d", i), free,
						 DB_NOWAIT),
				 0);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_view_open(db, &view), 0);
	assert_int_equal(sql_prepare(view, "SELECT name FROM meta", &st), 0);
	assert_int_equal(sql_step(st), 1);
	for (int i = 0; i < 3000; i++)
		assert_int_equal(db_write_nowait(db, put_heap_name,
						 str_printf("b%d", i), free,
						 DB_NOWAIT),
				 0);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(names_in(db), 3100);
	for (int i = 1; i < 100; i++)
		assert_int_equal(sql_step(st), 1);
	assert_int_equal(sql_step(st), 0);
	sql_finalize(&st);
	db_view_close(&view);
	db_close(db);
}

static void lists_survive_packing(void **state)
{
	AUTO(kvs_release) struct kvs in = KVS_INIT, out = KVS_INIT;
	AUTO(buf_release) struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(kvs_add(&in, "a", ""), 0);
	assert_int_equal(kvs_add(&in, "a", "\xff\n"), 0);
	assert_int_equal(kvs_add(&in, "", "x"), 0);
	kvs_pack(&b, &in);
	assert_int_equal(kvs_unpack(b.data, b.len, &out), 0);
	assert_int_equal(out.count, 3);
	assert_string_equal(out.items[1].value, "\xff\n");
	assert_string_equal(out.items[2].name, "");
	assert_int_equal(kvs_unpack("a", 1, &out), -EINVAL);
	assert_int_equal(kvs_unpack("a\0", 2, &out), -EINVAL);
	assert_int_equal(kvs_unpack("a\0b", 3, &out), -EINVAL);
}

int main(void)
{
#define T(fn)                                                                  \
	cmocka_unit_test_setup_teardown(fn, test_dir_setup, test_dir_teardown)
	const struct CMUnitTest tests[] = {
		T(write_is_visible_when_it_returns),
		T(failed_write_is_rolled_back_alone),
		T(failed_first_write_is_rolled_back_alone),
		T(retracted_write_is_told_but_not_run),
		T(unwaited_writes_are_done_by_close),
		T(writes_in_no_hurry_go_with_the_next),
		T(writes_in_no_hurry_are_there_for_who_asks),
		T(free_pages_go_back_to_the_disk_but_for_some),
		T(writes_in_no_hurry_wait_for_nobody_for_ever),
		T(who_waits_is_told_before_what_is_in_no_hurry),
		T(unwaited_writes_are_released_though_the_disk_is_full),
		T(jobs_run_and_are_told_in_order),
		T(threads_share_commits_and_lose_nothing),
		T(journal_from_the_future_is_refused),
		T(damaged_journal_is_moved_aside_by_name),
		T(empty_journal_is_a_new_one),
		T(reading_needs_a_journal),
		T(reader_sees_what_a_killed_daemon_committed),
		T(long_view_does_not_stop_writers),
		cmocka_unit_test(lists_survive_packing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
