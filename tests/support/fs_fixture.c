/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "download/reader.h"
#include "fs/closer.h"
#include "upload/recall.h"
#include "util/base.h"
#include "util/buf.h"
#include "util/clock.h"

enum { UID = 1000, GID = 100 };

/* -- life ------------------------------------------------------------------ */

void fx_init(struct fs_fix *f, const char *callback)
{
	memset(f, 0, sizeof(*f));
	clock_advance_ms(0); /* waits look whether the clock has moved */
	state_init(&f->state);
	f->oss = fake_store_new();
	f->rules = upload_rules(callback);
	assert_int_equal(mime_load(NULL, &f->mime), 0);
	f->conf = (struct fs_conf){
		.bucket = "bucket",
		.prefix = "",
		.mountpoint = "/mnt/test",
		.host = "host",
		.state_path = f->state.dir,
		.uid = UID,
		.gid = GID,
		.file_mode = 0644,
		.dir_mode = 0755,
		.ttl_ms = 60000,
		.temporary_hold_ms = 30000,
		.empty_hold_ms = 1000,
		.retry_deadline_ms = 60000,
	};
	f->uploads = (struct uploader_conf){
		.bucket = "bucket",
		.prefix = "",
		.mount = "/mnt/test",
		.host = "host",
		.multipart_threshold = 1 << 20,
		.part_size = 128 << 10,
		.parallel_parts = 4,
		.retry_deadline_ms = 60000,
	};
}

static void note_invalid(void *arg, uint64_t ino)
{
	struct fs_fix *f = arg;

	(void)ino;
	atomic_fetch_add(&f->invalidated, 1);
}

static void note_invalid_name(void *arg, uint64_t parent, const char *name)
{
	(void)name;
	note_invalid(arg, parent);
}

static void start_workers(struct fs_fix *f)
{
	static const struct keyq_conf queue = {
		.limit = {4, 4, 2}
        };
	const struct read_conf reads = {.buffer_bytes = 8 << 20, .parallel = 2};

	assert_int_equal(keyq_new(&queue, &f->queue), 0);
	assert_int_equal(timer_wheel_new(&f->timers), 0);
	assert_int_equal(
		read_cache_new(fake_store_store(f->oss), &reads, &f->readers),
		0);
	assert_int_equal(closer_new("sftp-server", &f->closer), 0);
	/* No descriptor of this process is of this mount. */
	closer_set_mount(f->closer, "/proc");
}

static void start_fs(struct fs_fix *f)
{
	const struct fs_deps deps = {
		.store = fake_store_store(f->oss),
		.db = f->state.db,
		.staging = f->state.store,
		.queue = f->queue,
		.timers = f->timers,
		.readers = f->readers,
		.rules = f->rules,
		.mime = f->mime,
		.closer = f->closer,
	};

	assert_int_equal(fs_new(&f->conf, &deps, &f->fs), 0);
	f->fs->notify_arg = f;
	f->fs->invalidate = note_invalid;
	f->fs->invalidate_name = note_invalid_name;
}

/* An upload's end, with what a test does just before the files hear of it. */
static void tell(void *arg, struct staging *s, const struct upload_outcome *o)
{
	struct fs_fix *f = arg;
	void (*before_event)(struct fs_fix *) = f->before_event;

	f->before_event = NULL;
	if (before_event)
		before_event(f);
	fs_upload_event(f->fs, s, o);
}

static void start_uploader(struct fs_fix *f)
{
	const struct uploader_deps deps = {
		.store = fake_store_store(f->oss),
		.queue = f->queue,
		.timers = f->timers,
		.db = f->state.db,
		.rules = f->rules,
		.mime = f->mime,
		.event = tell,
		.event_arg = f,
		.stored = fs_upload_stored,
		.stored_arg = f->fs,
		.settle_props = fs_settle_props,
		.settle_arg = f->fs,
		.recalled = fs_recalled,
		.recalled_arg = f->fs,
		.fetch = fs_fetch_missing,
		.fetch_arg = f->fs,
	};

	assert_int_equal(uploader_new(&f->uploads, &deps, &f->up), 0);
	f->fs->d.uploader = f->up;
	assert_int_equal(recall_new(f->up, &f->recall), 0);
	f->fs->d.recall = f->recall;
}

void fx_start(struct fs_fix *f)
{
	assert_int_equal(state_open_store(&f->state), 0);
	start_workers(f);
	start_fs(f);
	start_uploader(f);
	assert_int_equal(fs_recover(f->fs), 0);
}

void fx_stop(struct fs_fix *f)
{
	uploader_break_off(f->up);
	keyq_stop(f->queue);
	recall_free(f->recall);
	uploader_stop(f->up);
	timer_wheel_free(f->timers);
	keyq_free(f->queue);
	uploader_free(f->up);
	fs_free(f->fs);
	closer_free(f->closer);
	read_cache_free(f->readers);
	state_close(&f->state);
	f->fs = NULL;
}

void fx_remount(struct fs_fix *f)
{
	fx_stop(f);
	fx_start(f);
}

void fx_fini(struct fs_fix *f)
{
	if (f->fs)
		fx_stop(f);
	state_fini(&f->state);
	fake_store_free(f->oss);
	rules_free(f->rules);
	mime_free(f->mime);
}

/* -- answers ------------------------------------------------------------------- */

static void answered(void *arg, int rc)
{
	struct fx_answer *a = arg;

	if (atomic_load(&a->is_done))
		abort(); /* twice */
	a->rc = rc;
	atomic_store(&a->is_done, true);
}

struct fs_done fx_done(struct fx_answer *a)
{
	a->rc = 0;
	atomic_init(&a->is_done, false);
	return (struct fs_done){answered, a};
}

static bool is_answered(void *arg)
{
	struct fx_answer *a = arg;

	return atomic_load(&a->is_done);
}

int fx_wait(struct fx_answer *a)
{
	assert_true(test_wait_until(is_answered, a, TEST_DEADLINE_MS));
	return a->rc;
}

void fx_settle(struct fs_fix *f)
{
	assert_int_equal(
		keyq_drain(f->queue, clock_mono_ms() + TEST_DEADLINE_MS), 0);
}

bool fx_pass_time(bool (*is_true)(void *), void *arg)
{
	return upload_pass_time(is_true, arg);
}

/* -- names --------------------------------------------------------------------- */

static void forget(struct fs_fix *f, uint64_t ino)
{
	struct node *n;

	lock_acquire(&f->fs->tree.lock);
	n = tree_by_ino_locked(&f->fs->tree, ino);
	if (n)
		tree_forget_locked(&f->fs->tree, n, 1);
	lock_release(&f->fs->tree.lock);
}

/* The folder that path's last part is in, and that part. */
static int walk(struct fs_fix *f, const char *path, uint64_t *parent,
		const char **name)
{
	struct fs_attr attr = {.ino = TREE_ROOT};
	const char *slash;

	while ((slash = strchr(path, '/'))) {
		AUTO_FREE char *part = strndup(path, (size_t)(slash - path));
		int rc = fs_lookup(f->fs, attr.ino, part, &attr);

		if (rc < 0)
			return rc;
		forget(f, attr.ino);
		path = slash + 1;
	}
	*parent = attr.ino;
	*name = path;
	return 0;
}

int fx_lookup(struct fs_fix *f, const char *path, struct fs_attr *out)
{
	const char *name;
	uint64_t parent;
	int rc;

	if (!*path)
		return fs_getattr(f->fs, TREE_ROOT, out);
	rc = walk(f, path, &parent, &name);
	if (rc == 0)
		rc = fs_lookup(f->fs, parent, name, out);
	if (rc == 0)
		forget(f, out->ino);
	return rc;
}

static struct fs_attr attr_of(struct fs_fix *f, const char *path)
{
	struct fs_attr attr;
	int rc = fx_lookup(f, path, &attr);

	if (rc < 0)
		fail_msg("%s: %s", path, strerror(-rc));
	return attr;
}

uint64_t fx_ino(struct fs_fix *f, const char *path)
{
	return attr_of(f, path).ino;
}

uint64_t fx_size(struct fs_fix *f, const char *path)
{
	return attr_of(f, path).size;
}

bool fx_exists(struct fs_fix *f, const char *path)
{
	struct fs_attr attr;
	int rc = fx_lookup(f, path, &attr);

	if (rc < 0 && rc != -ENOENT)
		fail_msg("%s: %s", path, strerror(-rc));
	return rc == 0;
}

struct names {
	char *items[256];
	size_t count;
	uint64_t next;
};

static bool take_name(void *arg, const struct listing_entry *e)
{
	struct names *n = arg;
	bool folder = S_ISDIR(e->attr.mode);

	n->next = e->next;
	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
		return true;
	assert_true(n->count < ARRAY_LEN(n->items));
	n->items[n->count++] = str_printf("%s%s", e->name, folder ? "/" : "");
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *fx_names(struct fs_fix *f, const char *path)
{
	AUTO(buf_release) struct buf out = BUF_INIT;
	struct listing *l = NULL;
	struct names n = {.count = 0};
	uint64_t at;

	assert_int_equal(listing_open(f->fs, fx_ino(f, path), &l), 0);
	do {
		at = n.next;
		assert_int_equal(listing_read(l, at, false, take_name, &n), 0);
	} while (n.next != at);
	listing_close(l);
	qsort(n.items, n.count, sizeof(n.items[0]), by_text);
	for (size_t i = 0; i < n.count; i++) {
		buf_addf(&out, "%s%s", i ? " " : "", n.items[i]);
		free(n.items[i]);
	}
	return str_dup(buf_str(&out));
}

void fx_assert_names(struct fs_fix *f, const char *path, const char *want)
{
	AUTO_FREE char *names = fx_names(f, path);

	assert_string_equal(names, want);
}

static void parent_of(struct fs_fix *f, const char *path, uint64_t *parent,
		      const char **name)
{
	int rc = walk(f, path, parent, name);

	if (rc < 0)
		fail_msg("%s: %s", path, strerror(-rc));
}

int fx_mkdir(struct fs_fix *f, const char *path, uint32_t mode)
{
	struct fs_attr attr;
	const char *name;
	uint64_t parent;
	int rc;

	parent_of(f, path, &parent, &name);
	rc = fs_mkdir(f->fs, parent, name, mode, UID, GID, &attr);
	if (rc == 0)
		forget(f, attr.ino);
	return rc;
}

int fx_unlink(struct fs_fix *f, const char *path)
{
	struct fx_answer a;
	const char *name;
	uint64_t parent;

	/* The kernel has looked it up. */
	fx_ino(f, path);
	parent_of(f, path, &parent, &name);
	fs_unlink(f->fs, parent, name, fx_done(&a));
	return fx_wait(&a);
}

int fx_rmdir(struct fs_fix *f, const char *path)
{
	struct fx_answer a;
	const char *name;
	uint64_t parent;

	fx_ino(f, path);
	parent_of(f, path, &parent, &name);
	fs_rmdir(f->fs, parent, name, fx_done(&a));
	return fx_wait(&a);
}

int fx_rename(struct fs_fix *f, const char *from, const char *to)
{
	struct fx_answer a;
	const char *name, *new_name;
	uint64_t parent, new_parent;

	fx_ino(f, from);
	fx_exists(f, to);
	parent_of(f, from, &parent, &name);
	parent_of(f, to, &new_parent, &new_name);
	fs_rename(f->fs, parent, name, new_parent, new_name, false,
		  fx_done(&a));
	return fx_wait(&a);
}

int fx_chmod(struct fs_fix *f, const char *path, uint32_t mode)
{
	const struct fs_meta_change m = {.set_mode = true, .mode = mode};

	return fs_change_meta(f->fs, fx_ino(f, path), &m);
}

static struct caller caller_of(const struct fs_fix *f)
{
	return (struct caller){f->tid ? f->tid : gettid(), UID, GID};
}

int fx_truncate(struct fs_fix *f, const char *path, uint64_t size)
{
	const struct caller who = caller_of(f);
	struct fx_answer a;

	file_truncate(f->fs, fx_ino(f, path), NULL, size, &who, fx_done(&a));
	return fx_wait(&a);
}

char *fx_xattr(struct fs_fix *f, const char *path, const char *name)
{
	AUTO(buf_release) struct buf out = BUF_INIT;
	AUTO_FREE char *full = str_printf("user.oss.%s", name);
	int rc = xattr_get(f->fs, fx_ino(f, path), full, UID, &out);

	if (rc < 0 && rc != -ENODATA)
		fail_msg("%s of %s: %s", name, path, strerror(-rc));
	return rc < 0 ? NULL : str_dup(buf_str(&out));
}

bool fx_xattr_is(struct fs_fix *f, const char *path, const char *name,
		 const char *want)
{
	AUTO_FREE char *has = fx_xattr(f, path, name);

	if (!has || strcmp(has, want) != 0)
		print_message("%s of %s: %s\n", name, path, has ? has : "-");
	return has && strcmp(has, want) == 0;
}

int fx_setxattr(struct fs_fix *f, const char *path, const char *name,
		const char *value, int flags)
{
	AUTO_FREE char *full = str_printf("user.oss.%s", name);
	struct fx_answer a;

	xattr_set(f->fs, fx_ino(f, path), full, value, strlen(value), flags,
		  UID, fx_done(&a));
	return fx_wait(&a);
}

/* -- files ----------------------------------------------------------------------- */

struct handle *fx_create(struct fs_fix *f, const char *path, int flags)
{
	const struct caller who = caller_of(f);
	struct handle *h = NULL;
	struct fs_attr attr;
	const char *name;
	uint64_t parent;

	parent_of(f, path, &parent, &name);
	assert_int_equal(file_create(f->fs, parent, name,
				     flags | O_CREAT | O_RDWR, 0644, &who, &h,
				     &attr),
			 0);
	forget(f, attr.ino);
	return h;
}

struct handle *fx_open(struct fs_fix *f, const char *path, int flags)
{
	const struct caller who = caller_of(f);
	struct handle *h = NULL;
	bool keep;

	assert_int_equal(
		file_open(f->fs, fx_ino(f, path), flags, &who, &h, &keep), 0);
	return h;
}

void fx_write(struct handle *h, const char *text, uint64_t off)
{
	assert_int_equal(file_write(h, text, strlen(text), off, false),
			 (int)strlen(text));
}

char *fx_read(struct handle *h)
{
	AUTO(buf_release) struct buf out = BUF_INIT;
	struct file_read r;
	int rc = file_read_view(h, 0, 1 << 20, &r);

	if (rc < 0)
		return NULL;
	if (r.local)
		buf_add(&out, r.local, r.len);
	for (int i = 0; !r.local && i < r.view.count; i++)
		buf_add(&out, r.view.iov[i].iov_base, r.view.iov[i].iov_len);
	file_read_release(&r);
	return str_dup(buf_str(&out));
}

bool fx_reads(struct handle *h, const char *want)
{
	AUTO_FREE char *has = fx_read(h);

	if (!has || strcmp(has, want) != 0)
		print_message("read: %s\n", has ? has : "(error)");
	return has && strcmp(has, want) == 0;
}

void fx_flush_begin(struct fs_fix *f, struct handle *h, struct fx_answer *a)
{
	const struct caller who = caller_of(f);

	file_note_closing(f->fs, handle_node(h)->ino);
	file_flush(h, &who, fx_done(a));
}

int fx_flush(struct fs_fix *f, struct handle *h)
{
	struct fx_answer a;

	fx_flush_begin(f, h, &a);
	return fx_wait(&a);
}

void fx_release(struct fs_fix *f, struct handle *h)
{
	file_note_closing(f->fs, handle_node(h)->ino);
	file_release(h);
}

int fx_close(struct fs_fix *f, struct handle *h)
{
	int rc = fx_flush(f, h);

	fx_release(f, h);
	return rc;
}

void fx_put(struct fs_fix *f, const char *path, const char *text)
{
	struct handle *h = fx_exists(f, path)
				   ? fx_open(f, path, O_WRONLY | O_TRUNC)
				   : fx_create(f, path, 0);

	fx_write(h, text, 0);
	assert_int_equal(fx_close(f, h), 0);
}

bool fx_holds(struct fs_fix *f, const char *path, const char *want)
{
	struct handle *h = fx_open(f, path, O_RDONLY);
	bool holds = fx_reads(h, want);

	fx_close(f, h);
	return holds;
}

/* -- processes ------------------------------------------------------------------- */

pid_t fx_actor_start(void)
{
	sigset_t set, before;
	pid_t pid;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sigwait(&set, &sig);
		_exit(0);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

void fx_actor_end(pid_t actor, int sig)
{
	siginfo_t info;

	assert_int_equal(kill(actor, sig ? sig : SIGUSR1), 0);
	assert_int_equal(waitid(P_PID, (id_t)actor, &info, WEXITED | WNOWAIT),
			 0);
}

void fx_actor_reap(pid_t actor)
{
	assert_int_equal(waitpid(actor, NULL, 0), actor);
}
