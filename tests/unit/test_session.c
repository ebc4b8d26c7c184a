/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "fs/session.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/thread.h"

enum { FILE_INO = 2, SLOW_INO = 3, MIB = 1 << 20 };

/*
 * A filesystem of two files: "file" keeps what is written; the attributes of
 * "slow" are not answered while the gate is closed, nor is its LOOKUP.
 */
struct tiny {
	struct fuse_session *se;
	char *dir;
	int stop_fd;
	pthread_t thread;
	int rc;
	bool splice;
	struct lock lock;
	struct cond changed;
	bool closed; /* the gate */
	unsigned waiting;
	unsigned flushes, releases; /* as told by the hook */
	unsigned released;          /* as handled */
	unsigned early;             /* GETXATTR before the hook told */
	unsigned opens;
	unsigned capability; /* GETXATTR of it */
	char data[3 * MIB];
	size_t size;
	_Atomic bool ready;
};

static struct tiny *tiny_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static void pass_gate(struct tiny *t)
{
	lock_acquire(&t->lock);
	t->waiting++;
	cond_broadcast(&t->changed);
	while (t->closed)
		cond_wait(&t->changed, &t->lock);
	t->waiting--;
	lock_release(&t->lock);
}

static void set_gate(struct tiny *t, bool closed)
{
	lock_acquire(&t->lock);
	t->closed = closed;
	cond_broadcast(&t->changed);
	lock_release(&t->lock);
}

static unsigned get(struct tiny *t, const unsigned *what)
{
	unsigned n;

	lock_acquire(&t->lock);
	n = *what;
	lock_release(&t->lock);
	return n;
}

static bool wait_waiting(struct tiny *t, unsigned n)
{
	int64_t until = clock_mono_ms() + TEST_DEADLINE_MS;
	bool ok = true;

	lock_acquire(&t->lock);
	while (ok && t->waiting < n)
		ok = cond_wait_until(&t->changed, &t->lock, until);
	lock_release(&t->lock);
	return ok;
}

/* ---- its operations ---------------------------------------------------- */

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	struct tiny *t = arg;

	conn->max_write = MIB;
	conn->max_background = 200;
	if (t->splice)
		conn->want |= conn->capable & FUSE_CAP_SPLICE_READ;
	else
		conn->want &= ~(unsigned)FUSE_CAP_SPLICE_READ;
	atomic_store(&t->ready, true);
}

static void fill_attr(struct tiny *t, fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	st->st_nlink = 1;
	st->st_uid = getuid();
	lock_acquire(&t->lock);
	st->st_size = ino == FILE_INO ? (off_t)t->size : MIB;
	lock_release(&t->lock);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tiny *t = tiny_of(req);
	struct fuse_entry_param e = {.ino = 0};

	(void)parent;
	if (strcmp(name, "file") == 0)
		e.ino = FILE_INO;
	if (strncmp(name, "slow", 4) == 0) {
		pass_gate(t);
		e.ino = SLOW_INO;
	}
	if (!e.ino) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill_attr(t, e.ino, &e.attr);
	fuse_reply_entry(req, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (ino == SLOW_INO)
		pass_gate(tiny_of(req));
	fill_attr(tiny_of(req), ino, &st);
	fuse_reply_attr(req, &st, 0);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int to_set, struct fuse_file_info *fi)
{
	struct tiny *t = tiny_of(req);

	if (to_set & FUSE_SET_ATTR_SIZE) {
		lock_acquire(&t->lock);
		t->size = (size_t)attr->st_size;
		lock_release(&t->lock);
	}
	op_getattr(req, ino, fi);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct tiny *t = tiny_of(req);

	(void)ino;
	lock_acquire(&t->lock);
	t->opens++;
	lock_release(&t->lock);
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		    struct fuse_file_info *fi)
{
	struct tiny *t = tiny_of(req);

	(void)ino;
	(void)fi;
	if ((size_t)off > t->size)
		off = (off_t)t->size;
	if (len > t->size - (size_t)off)
		len = t->size - (size_t)off;
	fuse_reply_buf(req, t->data + off, len);
}

static void op_write_buf(fuse_req_t req, fuse_ino_t ino,
			 struct fuse_bufvec *from, off_t off,
			 struct fuse_file_info *fi)
{
	struct tiny *t = tiny_of(req);
	size_t len = fuse_buf_size(from);
	struct fuse_bufvec to = FUSE_BUFVEC_INIT(len);
	ssize_t n;

	(void)ino;
	(void)fi;
	if ((size_t)off + len > sizeof(t->data)) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	to.buf[0].mem = t->data + off;
	n = fuse_buf_copy(&to, from, 0);
	lock_acquire(&t->lock);
	if (n > 0 && (size_t)off + (size_t)n > t->size)
		t->size = (size_t)off + (size_t)n;
	lock_release(&t->lock);
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct tiny *t = tiny_of(req);

	(void)ino;
	(void)fi;
	lock_acquire(&t->lock);
	t->released++;
	lock_release(&t->lock);
	fuse_reply_err(req, 0);
}

/* Whoever asks after a close has been told of it. */
static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	struct tiny *t = tiny_of(req);

	(void)ino;
	(void)size;
	if (strcmp(name, "user.closed") == 0) {
		lock_acquire(&t->lock);
		if (t->releases < t->opens || t->flushes < t->opens)
			t->early++;
		lock_release(&t->lock);
	}
	if (strcmp(name, "security.capability") == 0) {
		lock_acquire(&t->lock);
		t->capability++;
		lock_release(&t->lock);
	}
	fuse_reply_err(req, ENODATA);
}

static const struct fuse_lowlevel_ops tiny_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.open = op_open,
	.read = op_read,
	.write_buf = op_write_buf,
	.flush = op_flush,
	.release = op_release,
	.getxattr = op_getxattr,
};

static void note_closing(void *arg, uint64_t nodeid, uint32_t opcode,
			 uint64_t unique)
{
	struct tiny *t = arg;

	lock_acquire(&t->lock);
	if (nodeid == FILE_INO && opcode == FUSE_FLUSH && unique)
		t->flushes++;
	if (nodeid == FILE_INO && opcode == FUSE_RELEASE && unique)
		t->releases++;
	lock_release(&t->lock);
}

/* ---- mounting it ------------------------------------------------------- */

static void *run_session(void *arg)
{
	struct tiny *t = arg;
	struct session_conf conf = {
		.closing = note_closing,
		.arg = t,
		.clears_privileges = true,
		.max_write = t->splice ? MIB : 0,
		.stop_fd = t->stop_fd,
	};

	t->rc = session_run(t->se, &conf);
	return NULL;
}

static void need_fuse(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		print_message("skipped: cannot open /dev/fuse: %s\n",
			      strerror(errno));
		skip();
	}
	close(fd);
}

static bool is_ready(void *arg)
{
	return atomic_load(&((struct tiny *)arg)->ready);
}

static struct tiny *begin(bool splice)
{
	char *argv[] = {(char[]){"test"}, (char[]){"-ofsname=tiny"}, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);
	struct tiny *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->splice = splice;
	t->rc = 1;
	lock_init(&t->lock, LOCK_LEAF);
	cond_init(&t->changed);
	t->dir = test_dir_make();
	t->stop_fd = eventfd(0, EFD_CLOEXEC);
	t->se = fuse_session_new(&args, &tiny_ops, sizeof(tiny_ops), t);
	fuse_opt_free_args(&args);
	assert_non_null(t->se);
	if (fuse_session_mount(t->se, t->dir) != 0) {
		print_message("skipped: cannot mount\n");
		skip();
	}
	assert_int_equal(thread_start(&t->thread, "session", run_session, t),
			 0);
	assert_true(test_wait_until(is_ready, t, TEST_DEADLINE_MS));
	return t;
}

/* After the session has ended. */
static void clean(struct tiny *t)
{
	assert_int_equal(pthread_join(t->thread, NULL), 0);
	assert_int_equal(t->rc, 0);
	fuse_session_unmount(t->se);
	fuse_session_destroy(t->se);
	close(t->stop_fd);
	test_dir_remove(t->dir);
	cond_destroy(&t->changed);
	lock_destroy(&t->lock);
	free(t);
}

static void end(struct tiny *t)
{
	assert_int_equal(eventfd_write(t->stop_fd, 1), 0);
	clean(t);
}

static int open_file(struct tiny *t, int flags)
{
	char *path = test_path(t->dir, "file");
	int fd = open(path, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	free(path);
	return fd;
}

/* ---- tests ------------------------------------------------------------- */

static void data_comes_through_whole(bool splice)
{
	static char out[2 * MIB + 777];
	static char in[sizeof(out)];
	struct tiny *t;
	int fd;

	need_fuse();
	t = begin(splice);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 31 + i / 4096);
	fd = open_file(t, O_RDWR);
	assert_int_equal(pwrite(fd, out, sizeof(out), 0), sizeof(out));
	memset(out + 10, 's', 5);
	assert_int_equal(pwrite(fd, out + 10, 5, 10), 5);
	lock_acquire(&t->lock);
	assert_memory_equal(t->data, out, sizeof(out));
	lock_release(&t->lock);
	close(fd);
	fd = open_file(t, O_RDONLY);
	assert_int_equal(read(fd, in, sizeof(in)), sizeof(in));
	assert_memory_equal(in, out, sizeof(out));
	close(fd);
	end(t);
}

static void data_comes_through_memory(void **state)
{
	(void)state;
	data_comes_through_whole(false);
}

static void data_comes_through_pipes(void **state)
{
	(void)state;
	data_comes_through_whole(true);
}

/* Through memory and through pipes by turns. */
static void small_and_large_writes_take_turns(void **state)
{
	static const size_t sizes[] = {1,     MIB,   MIB,      5,    70000,
				       4096,  4097,  MIB,      4000, 65000,
				       66000, 66000, 3 * 4096, 200,  100000};
	static char out[3 * MIB];
	struct tiny *t;
	size_t at = 0;
	int fd;

	(void)state;
	need_fuse();
	t = begin(true);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 37 + i / 4096);
	fd = open_file(t, O_WRONLY);
	for (size_t i = 0; i < ARRAY_LEN(sizes); at += sizes[i++])
		assert_int_equal(
			pwrite(fd, out + at % MIB, sizes[i], (off_t)(at % MIB)),
			sizes[i]);
	close(fd);
	at = 0;
	for (size_t i = 0; i < ARRAY_LEN(sizes); at += sizes[i++])
		assert_memory_equal(t->data + at % MIB, out + at % MIB,
				    sizes[i]);
	end(t);
}

static void closing_is_told_before_later_requests(void **state)
{
	struct tiny *t;

	(void)state;
	need_fuse();
	t = begin(false);
	for (int i = 0; i < 1000; i++) {
		char *path = test_path(t->dir, "file");
		char value[8];

		close(open_file(t, O_RDONLY));
		assert_int_equal(getxattr(path, "user.closed", value, 8), -1);
		assert_int_equal(errno, ENODATA);
		free(path);
	}
	assert_int_equal(get(t, &t->early), 0);
	assert_int_equal(get(t, &t->flushes), 1000);
	end(t);
}

static void writes_do_not_ask_for_capabilities(void **state)
{
	struct tiny *t;
	int fd;

	(void)state;
	need_fuse();
	t = begin(true);
	fd = open_file(t, O_WRONLY);
	for (int i = 0; i < 50; i++)
		assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_true(get(t, &t->capability) <= 1);
	end(t);
}

struct client {
	struct tiny *t;
	unsigned no;
	int rc;
};

static void *stat_slow(void *arg)
{
	struct client *c = arg;
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/slow%u", c->t->dir, c->no);
	c->rc = stat(path, &st) < 0 ? -errno : 0;
	return NULL;
}

static unsigned count_threads(const char *name)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char *path = test_path("/proc/self/task", "%s/comm", e->d_name);
		FILE *f = fopen(path, "re");
		char comm[32] = "";

		free(path);
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) &&
		    strncmp(comm, name, strlen(name)) == 0)
			n++;
		fclose(f);
	}
	closedir(d);
	return n;
}

static bool few_threads(void *arg)
{
	(void)arg;
	return count_threads("ackfs-fuse") <= 10;
}

static void sleeping_handlers_starve_nobody(void **state)
{
	enum { N = 40 };
	struct client c[N];
	pthread_t id[N];
	struct tiny *t;
	struct stat st;
	char *path;

	(void)state;
	need_fuse();
	t = begin(false);
	set_gate(t, true);
	for (unsigned i = 0; i < N; i++) {
		c[i] = (struct client){.t = t, .no = i, .rc = 1};
		assert_int_equal(
			thread_start(&id[i], "client", stat_slow, &c[i]), 0);
	}
	/* All wait in one folder at once: its LOOKUPs are parallel. */
	assert_true(wait_waiting(t, N));
	path = test_path(t->dir, "file");
	assert_int_equal(stat(path, &st), 0);
	free(path);
	set_gate(t, false);
	for (int i = 0; i < N; i++) {
		assert_int_equal(pthread_join(id[i], NULL), 0);
		assert_int_equal(c[i].rc, 0);
	}
	assert_true(test_wait_until(few_threads, NULL, TEST_DEADLINE_MS));
	end(t);
}

static void unmount_ends_the_session(void **state)
{
	struct tiny *t;

	(void)state;
	need_fuse();
	t = begin(false);
	if (umount2(t->dir, 0) != 0) {
		print_message("skipped: may not unmount\n");
		end(t);
		skip();
	}
	clean(t);
}

static void stop_waits_for_running_handlers(void **state)
{
	struct client c = {.rc = 1};
	struct tiny *t;
	pthread_t id;

	(void)state;
	need_fuse();
	t = begin(false);
	c.t = t;
	set_gate(t, true);
	assert_int_equal(thread_start(&id, "client", stat_slow, &c), 0);
	assert_true(wait_waiting(t, 1));
	assert_int_equal(eventfd_write(t->stop_fd, 1), 0);
	assert_int_equal(t->rc, 1);
	set_gate(t, false);
	assert_int_equal(pthread_join(t->thread, NULL), 0);
	fuse_session_unmount(t->se);
	assert_int_equal(pthread_join(id, NULL), 0);
	assert_int_equal(t->rc, 0);
	fuse_session_destroy(t->se);
	close(t->stop_fd);
	test_dir_remove(t->dir);
	cond_destroy(&t->changed);
	lock_destroy(&t->lock);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_comes_through_memory),
		cmocka_unit_test(data_comes_through_pipes),
		cmocka_unit_test(small_and_large_writes_take_turns),
		cmocka_unit_test(closing_is_told_before_later_requests),
		cmocka_unit_test(writes_do_not_ask_for_capabilities),
		cmocka_unit_test(sleeping_handlers_starve_nobody),
		cmocka_unit_test(unmount_ends_the_session),
		cmocka_unit_test(stop_waits_for_running_handlers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
