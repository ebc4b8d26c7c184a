/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/base.h"
#include "util/failpoint.h"

void state_init(struct state_fix *f)
{
	*f = (struct state_fix){0};
	f->root = test_dir_make();
	f->dir = test_path(f->root, "states/one");
}

void state_init_in_memory(struct state_fix *f)
{
	char dir[] = "/dev/shm/ackfs-test.XXXXXX";

	if (!mkdtemp(dir)) {
		state_init(f);
		return;
	}
	*f = (struct state_fix){.root = str_dup(dir)};
	assert_non_null(f->root);
	f->dir = test_path(f->root, "states/one");
}

static void keep(void *arg, struct staging *s)
{
	struct state_fix *f = arg;

	if (f->found_count == STATE_FOUND_MAX) {
		staging_put(s);
		return;
	}
	f->found[f->found_count++] = s;
}

static int complain(const char *what, int rc, const char *why)
{
	if (rc < 0)
		print_message("%s: %s (%s)\n", what, why ? why : "-",
			      strerror(-rc));
	return rc;
}

int state_open_store(struct state_fix *f)
{
	AUTO_FREE char *why = NULL;
	int rc = statedir_open(f->dir, "/mnt/test", &f->statedir, &why);

	if (rc < 0)
		return complain("statedir", rc, why);
	rc = db_open(f->dir, &f->db, &why);
	if (rc < 0)
		return complain("db", rc, why);
	rc = staging_store_open(f->statedir, f->db, &f->conf, &f->store);
	return complain("store", rc, NULL);
}

int state_try_open(struct state_fix *f)
{
	int rc = state_open_store(f);

	if (rc < 0)
		return rc;
	rc = staging_recover(f->store, keep, f);
	return complain("recover", rc < 0 ? rc : 0, NULL);
}

void state_open(struct state_fix *f)
{
	assert_int_equal(state_try_open(f), 0);
}

void state_forget(struct state_fix *f)
{
	for (int i = 0; i < f->found_count; i++)
		staging_put(f->found[i]);
	f->found_count = 0;
}

void state_close(struct state_fix *f)
{
	state_forget(f);
	staging_store_free(f->store);
	db_close(f->db);
	statedir_close(f->statedir);
	f->store = NULL;
	f->db = NULL;
	f->statedir = NULL;
}

void state_fini(struct state_fix *f)
{
	state_close(f);
	if (f->is_log_file)
		log_open("test", NULL, f->level_before);
	free(f->dir);
	test_dir_remove(f->root);
}

struct staging *state_found(struct state_fix *f, const char *key)
{
	char has[STAGING_KEY_MAX];

	for (int i = 0; i < f->found_count; i++) {
		staging_key(f->found[i], has);
		if (strcmp(has, key) == 0)
			return f->found[i];
	}
	return NULL;
}

void child_failed(const char *claim, const char *file, int line)
{
	fprintf(stderr, "child: %s:%d: not true: %s\n", file, line, claim);
	_exit(3);
}

static _Noreturn void child(struct state_fix *f, const char *at,
			    void (*fn)(struct state_fix *f))
{
#ifdef ACK_FAILPOINTS
	if (at)
		failpoint_arm(at);
#endif
	CHILD_CHECK(state_try_open(f) == 0);
	fn(f);
	CHILD_CHECK(!at); /* it must have died there */
	raise(SIGKILL);
	_exit(4);
}

void state_crash(struct state_fix *f, const char *at,
		 void (*fn)(struct state_fix *f))
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(f, at, fn);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("%s: the child was not killed: status %x",
			 at ? at : "-", (unsigned)status);
}

struct staging_close state_close_info(const char *delivery_id)
{
	struct staging_close c = {
		.uid = 1000, .gid = 100, .mode = 0640, .pid = 4711};

	if (str_set(&c.delivery_id, delivery_id) < 0 ||
	    str_set(&c.process, "cp") < 0 || str_set(&c.rule, "default") < 0 ||
	    kvs_add(&c.vars, "customer", "a\nb\"\xff") < 0)
		abort();
	return c;
}

struct staging *state_write(struct state_fix *f, const char *key,
			    const char *text)
{
	struct staging *s = NULL;

	if (staging_create(f->store, key, NULL, &s) < 0 ||
	    staging_pwrite(s, text, strlen(text), 0) < 0)
		abort();
	return s;
}

char *state_big(const char *word)
{
	size_t size = STAGING_ROW_BYTES_MAX + 1, len = strlen(word);
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memset(text, '.', size);
	memcpy(text, word, len);
	text[size] = '\0';
	return text;
}

void state_expect_bytes(struct staging *s, const char *text)
{
	size_t len = strlen(text);
	AUTO_FREE char *got = calloc(1, len + 2);

	assert_non_null(got);
	assert_int_equal(staging_size(s), len);
	assert_int_equal(staging_pread(s, got, len + 1, 0), len);
	assert_memory_equal(got, text, len);
}

static bool write_text(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 &&
	       write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

bool state_unshare_mounts(void)
{
	int flags = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
	char map[64];

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(flags) < 0)
		return false;
	if (flags & CLONE_NEWUSER && !write_text("/proc/self/uid_map", map))
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

void state_log_to_file(struct state_fix *f)
{
	AUTO_FREE char *path = test_path(f->root, "log");

	f->is_log_file = true;
	f->level_before = log_get_level();
	assert_int_equal(log_open("test", path, LOG_LVL_INFO), 0);
}

bool state_logged(struct state_fix *f, const char *words)
{
	AUTO_FREE char *path = test_path(f->root, "log");
	AUTO(buf_release) struct buf b = BUF_INIT;

	test_file_read(path, &b);
	return strstr(buf_str(&b), words) != NULL;
}
