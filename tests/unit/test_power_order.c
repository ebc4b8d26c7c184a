/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power loss: no journal state is written before the data it speaks of.
 *
 * This program has its own pwrite, fsync and the like; libackfs and SQLite
 * call these, whoever is linked how.  They note what goes to which file, and
 * then do it.  The first half checks the order of what is noted; the second
 * stops a process at every one of these events, makes of what was fsynced
 * (and of worse mixtures) the disk that a power cut may leave, and starts
 * there.
 *
 *     p  bytes of a staging file        F  fdatasync of it
 *     u  a staging file is unlinked     D  fsync of staging/
 *     w  the journal's WAL is written   W  fsync of it
 *     S  syncfs
 */
#include "../support/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/base.h"
#include "util/fileio.h"
#include "util/log.h"

/* -- the recorder ------------------------------------------------------------- */

enum { EVENTS_MAX = 4000 };

static struct {
	pthread_mutex_t mutex;
	bool is_on;
	char events[EVENTS_MAX];
	size_t count, steps;
	size_t kill_at; /* before the event of this number; 0: never */
	int fail_sync;  /* errno of the next fsync of staged data; 0: none */
	const char *shadow; /* what is safe is copied there; NULL: nowhere */
	const char *dir;
} rec = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Is path dir/staging/NAME? Its NAME. */
static const char *staged_name(const char *path)
{
	const char *at = strstr(path, "/staging/");

	return at && !strchr(at + 9, '/') ? at + 9 : NULL;
}

static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return n >= m && strcmp(path + n - m, end) == 0;
}

static void path_of(int fd, char *out, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
}

static void copy_to_shadow(const char *path, const char *name)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	char to[4096];
	int fd;

	if (file_read(path, 1 << 24, &b) < 0)
		return; /* no WAL yet */
	snprintf(to, sizeof(to), "%s/%s", rec.shadow, name);
	fd = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(syscall(SYS_write, fd, buf_str(&b), b.len) == (long)b.len);
	close(fd);
}

/* Names that are safe are empty files "name.NAME". */
static void copy_names(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char to[4096];

	CHILD_CHECK(d != NULL);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(to, sizeof(to), "%s/name.%s", rec.shadow, e->d_name);
		close(open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	}
	closedir(d);
}

static void keep_safe(char event, const char *path)
{
	char wal[4096];

	if (!rec.shadow)
		return;
	if (event == 'F')
		copy_to_shadow(path, staged_name(path));
	if (event == 'D')
		copy_names(path);
	if (event != 'W')
		return;
	snprintf(wal, sizeof(wal), "%s/journal.db-wal", rec.dir);
	copy_to_shadow(wal, "journal.db-wal");
}

/* Pages of one commit are one event to the killer: a torn WAL is SQLite's. */
static bool is_step(char event)
{
	return event != 'w' || rec.count == 0 ||
	       rec.events[rec.count - 1] != 'w';
}

static void note(char event)
{
	pthread_mutex_lock(&rec.mutex);
	if (rec.is_on && rec.count < EVENTS_MAX - 1) {
		if (is_step(event) && ++rec.steps == rec.kill_at)
			kill(getpid(), SIGKILL);
		rec.events[rec.count++] = event;
	}
	pthread_mutex_unlock(&rec.mutex);
}

/* What a call on this path is; 0: of no interest. */
static char kind_of(const char *path, bool is_sync)
{
	if (staged_name(path))
		return is_sync ? 'F' : 'p';
	if (ends_with(path, "/staging"))
		return is_sync ? 'D' : 0;
	if (ends_with(path, "/journal.db-wal"))
		return is_sync ? 'W' : 'w';
	return 0;
}

static void note_write(int fd)
{
	char path[4096];
	char kind;

	path_of(fd, path, sizeof(path));
	kind = kind_of(path, false);
	if (kind)
		note(kind);
}

static int note_sync(int fd, long number)
{
	char path[4096];
	char kind;
	int rc;

	path_of(fd, path, sizeof(path));
	kind = kind_of(path, true);
	if (kind)
		note(kind);
	if (kind == 'F' && rec.fail_sync) {
		errno = rec.fail_sync;
		rec.fail_sync = 0;
		return -1;
	}
	rc = (int)syscall(number, fd);
	if (kind)
		keep_safe(kind, path);
	return rc;
}

/* Under the linker's names, whatever the headers make of ours. */
ssize_t my_pwrite(int fd, const void *data, size_t len,
		  off_t off) __asm__("pwrite");
ssize_t my_pwrite64(int fd, const void *data, size_t len,
		    off_t off) __asm__("pwrite64");
int my_ftruncate(int fd, off_t size) __asm__("ftruncate64");
int my_fsync(int fd) __asm__("fsync");
int my_fdatasync(int fd) __asm__("fdatasync");
int my_syncfs(int fd) __asm__("syncfs");
int my_unlinkat(int dirfd, const char *name, int flags) __asm__("unlinkat");

ssize_t my_pwrite(int fd, const void *data, size_t len, off_t off)
{
	note_write(fd);
	return syscall(SYS_pwrite64, fd, data, len, off);
}

ssize_t my_pwrite64(int fd, const void *data, size_t len, off_t off)
{
	note_write(fd);
	return syscall(SYS_pwrite64, fd, data, len, off);
}

int my_ftruncate(int fd, off_t size)
{
	note_write(fd);
	return (int)syscall(SYS_ftruncate, fd, size);
}

int my_fsync(int fd)
{
	return note_sync(fd, SYS_fsync);
}

int my_fdatasync(int fd)
{
	return note_sync(fd, SYS_fdatasync);
}

int my_syncfs(int fd)
{
	note('S');
	return (int)syscall(SYS_syncfs, fd);
}

int my_unlinkat(int dirfd, const char *name, int flags)
{
	char path[4096];

	path_of(dirfd, path, sizeof(path));
	if (ends_with(path, "/staging"))
		note('u');
	return (int)syscall(SYS_unlinkat, dirfd, name, flags);
}

static void record(bool on)
{
	pthread_mutex_lock(&rec.mutex);
	if (on)
		rec.count = rec.steps = 0;
	rec.is_on = on;
	rec.events[rec.count] = '\0';
	pthread_mutex_unlock(&rec.mutex);
}

/* -- the order ---------------------------------------------------------------- */

static int setup(void **state)
{
	static struct state_fix f;

	state_init_in_memory(&f);
	state_open(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	state_fini(*state);
	return 0;
}

static int freeze(struct staging *s, bool durable)
{
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d");

	return staging_close(s, &c, durable);
}

static int hold(struct staging *s, bool durable)
{
	AUTO(staging_close_release)
	struct staging_close c = state_close_info("d");

	return staging_hold(s, &c, durable);
}

static int nothing(struct staging *s)
{
	(void)s;
	return 0;
}

static int close_durably(struct staging *s)
{
	return freeze(s, true);
}

static int close_plainly(struct staging *s)
{
	return freeze(s, false);
}

static int hold_durably(struct staging *s)
{
	return hold(s, true);
}

static int fail_upload(struct staging *s)
{
	return staging_retry_later(s, -EIO, "x", 1);
}

static int promise_and_sync(struct staging *s)
{
	int rc = staging_promise(s);

	return rc < 0 ? rc : staging_sync(s);
}

static int hold_and_reopen(struct staging *s)
{
	int rc = hold(s, true);

	return rc < 0 ? rc : staging_reopen(s, NULL);
}

static int write_again(struct staging *s)
{
	return staging_pwrite(s, "again", 5, 0);
}

static int cut(struct staging *s)
{
	return staging_truncate(s, 1);
}

static int rename_it(struct staging *s)
{
	return staging_rekey(s, "other");
}

static int finish(struct staging *s)
{
	int rc = staging_done(s);

	return rc < 0 ? rc : staging_discard(s);
}

static const struct order_case {
	const char *name;
	int (*before)(struct staging *s); /* not recorded */
	int (*act)(struct staging *s);
	const char *want; /* of the events; commits end in w+ or w+W */
} orders[] = {
	{"close, durable",                     nothing,          close_durably,   "^FDw+W$"},
	{"hold, durable",                      nothing,          hold_durably,    "^FDw+W$"},
	{"fsync",			      nothing,          staging_sync,    "^FDw+W$"},
	{"fsync again, nothing new",           staging_sync,     staging_sync,    "^$"     },
	{"first failure",                      close_plainly,    fail_upload,     "^FDw+W$"},
	{"second failure",                     fail_upload,      fail_upload,     "^w+$"   },
	{"close after fsync",                  staging_sync,     close_durably,   "^w+W$"  },
	{"write after a durable promise",      promise_and_sync, write_again,
	 "^w+Wp$"									  },
	{"write after a promise",              staging_promise,  write_again,     "^w+p$"  },
	{"second write",                       write_again,      write_again,     "^p$"    },
	{"write to a reopened held file",      hold_and_reopen,  write_again,
	 "^w+Wp$"									  },
	{"truncate of one",                    hold_and_reopen,  cut,             "^w+Wp$" },
	{"rename of a durably held file",      hold_durably,     rename_it,       "^w+W$"  },
	{"rename of an open file",             nothing,          rename_it,       "^w+$"   },
	{"discard of a durable file",          close_durably,    staging_discard, "^w+Wu$" },
	{"done and discard of a durable file", close_durably,    finish,
	 "^w+(Ww+)?Wu$"								    },
	{"done and discard of a plain one",    close_plainly,    finish,          "^w+u$"  },
	{"close, not durable",                 nothing,          close_plainly,   "^w+$"   },
	{"promise",			    nothing,          staging_promise, "^w+$"   },
};

static void check_order(struct state_fix *f, const struct order_case *c)
{
	struct staging *s = state_write(f, "k", "bytes");
	regex_t want;

	if (c->before == fail_upload)
		assert_int_equal(freeze(s, false), 0);
	assert_int_equal(c->before(s), 0);
	assert_int_equal(db_commit(f->db), 0);
	record(true);
	assert_int_equal(c->act(s), 0);
	assert_int_equal(db_commit(f->db), 0); /* what nobody waited for */
	record(false);
	assert_int_equal(regcomp(&want, c->want, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&want, rec.events, 0, NULL, 0) != 0)
		fail_msg("%s: %s, not %s", c->name, rec.events, c->want);
	regfree(&want);
	staging_discard(s);
	staging_put(s);
}

static void data_goes_before_the_row_that_speaks_of_it(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		check_order(*state, &orders[i]);
}

static void nothing_is_fsynced_at_create(void **state)
{
	struct state_fix *f = *state;
	struct staging *s;

	record(true);
	s = state_write(f, "k", "bytes");
	assert_int_equal(db_commit(f->db), 0);
	record(false);
	assert_null(strpbrk(rec.events, "FDWS"));
	assert_non_null(strchr(rec.events, 'p'));
	staging_put(s);
}

static void clean_stop_syncs_before_it_says_so(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "bytes");
	const char *sync;

	assert_int_equal(freeze(s, false), 0);
	staging_put(s);
	record(true);
	staging_store_free(f->store);
	record(false);
	f->store = NULL;
	sync = strchr(rec.events, 'S');
	assert_non_null(sync);
	assert_string_equal(sync + strspn(sync, "Sw"), "W");
}

static void failed_fsync_is_not_forgiven(void **state)
{
	struct state_fix *f = *state;
	struct staging *s = state_write(f, "k", "bytes");

	rec.fail_sync = EIO;
	assert_int_equal(freeze(s, true), -EIO);
	assert_int_equal(staging_state_of(s), STAGING_OPEN);
	assert_int_equal(freeze(s, true), -EIO);
	assert_int_equal(staging_sync(s), -EIO);
	staging_put(s);
	s = state_write(f, "other", "bytes");
	assert_int_equal(freeze(s, true), 0);
	staging_put(s);
}

/* -- every power cut ----------------------------------------------------------- */

struct cut_fix {
	struct state_fix state;
	char *shadow; /* what was fsynced */
	char *marks;  /* how far the life has come: a file each */
};

static struct cut_fix *the_cut;

/* The program has been answered. */
static void mark(const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", the_cut->marks, name);
	close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static bool is_marked(const struct cut_fix *c, const char *name)
{
	AUTO_FREE char *path = test_path(c->marks, "%s", name);

	return access(path, F_OK) == 0;
}

static void life_of_a(struct state_fix *f)
{
	struct staging *s = state_write(f, "a", "aaaaaaaa");

	CHILD_CHECK(freeze(s, true) == 0);
	mark("a closed");
	CHILD_CHECK(staging_begin_upload(s) == 0);
	CHILD_CHECK(staging_retry_later(s, -EIO, "x", 1) == 0);
	CHILD_CHECK(staging_begin_upload(s) == 0);
	mark("a going");
	CHILD_CHECK(staging_done(s) == 0);
	CHILD_CHECK(staging_discard(s) == 0);
	CHILD_CHECK(db_commit(f->db) == 0);
	staging_put(s);
}

static void life_of_b(struct state_fix *f)
{
	struct staging *s = state_write(f, "b", "one");

	CHILD_CHECK(staging_sync(s) == 0);
	mark("b synced");
	CHILD_CHECK(staging_promise(s) == 0);
	CHILD_CHECK(staging_pwrite(s, "two", 3, 0) == 0);
	CHILD_CHECK(hold(s, true) == 0);
	mark("b held");
	CHILD_CHECK(staging_reopen(s, NULL) == 0);
	mark("b reopened");
	CHILD_CHECK(staging_pwrite(s, "x", 1, 0) == 0);
	CHILD_CHECK(staging_pwrite(s, "thr", 3, 0) == 0);
	CHILD_CHECK(staging_truncate(s, 3) == 0);
	CHILD_CHECK(staging_promise(s) == 0);
	CHILD_CHECK(staging_sync(s) == 0);
	mark("b promised");
	CHILD_CHECK(staging_rekey(s, "c") == 0);
	mark("c renamed");
	CHILD_CHECK(freeze(s, false) == 0);
	staging_put(s);
}

static void life(struct state_fix *f)
{
	rec.dir = f->dir;
	rec.shadow = the_cut->shadow;
	record(true);
	life_of_a(f);
	life_of_b(f);
	record(false);
	mark("end");
}

/* -- the disks that may be left -------------------------------------------------- */

enum disk {
	ONLY_SYNCED,   /* what was fsynced, nothing else */
	JOURNAL_AHEAD, /* the journal got there, the data did not */
	DATA_AHEAD,    /* the other way round */
	DISKS
};

static void copy_file(const char *from_dir, const char *name,
		      const char *to_dir, const char *to_name)
{
	AUTO_FREE char *from = test_path(from_dir, "%s", name);
	AUTO_FREE char *to = test_path(to_dir, "%s", to_name);
	AUTO(buf_release) struct buf b = BUF_INIT;

	if (access(from, F_OK) < 0)
		return;
	test_file_read(from, &b);
	test_file_write(to, buf_str(&b), b.len);
}

/* A staged file as this disk has it: in `dir`/staging. */
static void place_staged(const struct cut_fix *c, enum disk d, const char *name,
			 const char *dir)
{
	AUTO_FREE char *now = test_path(c->state.dir, "staging");
	AUTO_FREE char *to = test_path(dir, "staging");
	AUTO_FREE char *safe_name = test_path(c->shadow, "name.%s", name);
	AUTO_FREE char *safe = test_path(c->shadow, "%s", name);
	AUTO_FREE char *path = test_path(to, "%s", name);

	if (d == DATA_AHEAD) {
		copy_file(now, name, to, name);
		return;
	}
	if (d == ONLY_SYNCED && access(safe_name, F_OK) < 0)
		return;
	if (access(safe, F_OK) == 0)
		copy_file(c->shadow, name, to, name);
	else
		test_file_write(path, "", 0); /* not yet allocated */
}

static char *make_disk(const struct cut_fix *c, enum disk d)
{
	AUTO_FREE char *staging = test_path(c->state.dir, "staging");
	char *dir = test_path(c->state.root, "disk%d", (int)d);
	AUTO_FREE char *below = test_path(dir, "staging");
	DIR *list;
	const struct dirent *e;

	assert_int_equal(dir_make(below, 0700), 0);
	copy_file(c->state.dir, "journal.db", dir, "journal.db");
	copy_file(d == JOURNAL_AHEAD ? c->state.dir : c->shadow,
		  "journal.db-wal", dir, "journal.db-wal");
	list = opendir(staging);
	assert_non_null(list);
	while ((e = readdir(list)))
		if (e->d_name[0] != '.')
			place_staged(c, d, e->d_name, dir);
	closedir(list);
	return dir;
}

/* -- what must hold there -------------------------------------------------------- */

static bool is_publishable(enum staging_state s)
{
	return s == STAGING_CLOSED || s == STAGING_HELD ||
	       s == STAGING_RETRYING;
}

static bool has_bytes(struct staging *s, const char *text)
{
	char got[64] = {0};
	ssize_t n = staging_pread(s, got, sizeof(got) - 1, 0);

	return n == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

/* Published, it would be a file that some program closed. */
static bool is_whole(struct staging *s)
{
	return has_bytes(s, "aaaaaaaa") || has_bytes(s, "one") ||
	       has_bytes(s, "two") || has_bytes(s, "thr");
}

/* Something promised durably that is not there. */
static const char *find_broken_promise(const struct cut_fix *c,
				       struct state_fix *f)
{
	struct staging *a = state_found(f, "a"), *b = state_found(f, "b");

	if (!b)
		b = state_found(f, "c");
	if (is_marked(c, "a closed") && !is_marked(c, "a going") &&
	    (!a || !is_publishable(staging_state_of(a))))
		return "a was closed";
	if (is_marked(c, "b synced") && !b)
		return "b was fsynced";
	if (is_marked(c, "b held") && !is_marked(c, "b reopened") &&
	    (staging_state_of(b) != STAGING_HELD || !has_bytes(b, "two")))
		return "b was held";
	if (is_marked(c, "b promised") &&
	    (staging_state_of(b) != STAGING_CLOSED || !has_bytes(b, "thr")))
		return "b was fsynced and closed";
	if (is_marked(c, "c renamed") && !state_found(f, "c"))
		return "b was renamed";
	return NULL;
}

static void check_disk(const struct cut_fix *c, enum disk d, size_t at)
{
	struct state_fix f = {.dir = make_disk(c, d)};
	const char *broken;

	f.conf.boot_id = "second";
	state_open(&f);
	for (int i = 0; i < f.found_count; i++)
		if (is_publishable(staging_state_of(f.found[i])) &&
		    !is_whole(f.found[i]))
			fail_msg("cut at event %zu, disk %d: half a file "
				 "would be published",
				 at, (int)d);
	broken = find_broken_promise(c, &f);
	if (broken)
		fail_msg("cut at event %zu, disk %d: %s", at, (int)d, broken);
	state_close(&f);
	test_dir_remove(f.dir);
}

/* @return whether the life came to its end before */
static bool cut_power_at(size_t event)
{
	struct cut_fix c = {0};
	bool is_over;

	state_init_in_memory(&c.state);
	c.state.conf.boot_id = "first";
	c.shadow = test_path(c.state.root, "shadow");
	c.marks = test_path(c.state.root, "marks");
	assert_int_equal(mkdir(c.shadow, 0700), 0);
	assert_int_equal(mkdir(c.marks, 0700), 0);
	state_open(&c.state); /* the journal is there, and safe */
	state_close(&c.state);
	the_cut = &c;
	rec.kill_at = event;
	state_crash(&c.state, NULL, life);
	rec.kill_at = 0;
	for (int d = 0; d < DISKS; d++)
		check_disk(&c, (enum disk)d, event);
	is_over = is_marked(&c, "end");
	state_fini(&c.state);
	free(c.shadow);
	free(c.marks);
	return is_over;
}

static void power_may_go_at_any_event(void **state)
{
	size_t event = 1;

	(void)state;
	while (!cut_power_at(event))
		event++;
	assert_in_range(event, 25, 100);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(data_goes_before_the_row_that_speaks_of_it),
		T(nothing_is_fsynced_at_create),
		T(clean_stop_syncs_before_it_says_so),
		T(failed_fsync_is_not_forgiven),
		cmocka_unit_test(power_may_go_at_any_event),
	};

	log_set_level(LOG_LVL_ERR - 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
