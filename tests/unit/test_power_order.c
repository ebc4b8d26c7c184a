/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power loss: no journal state is written before the data it speaks of.
 *
 * This program has its own pwrite, fsync and the like; libackfs and SQLite
 * call these, whoever is linked how.  They note what goes to which file, and
 * then do it.  The first half checks the order of what is noted; the second
 * stops a process at every one of these events, makes of what was fsynced
 * (and of worse mixtures) the disk that a power cut may leave, and starts
 * there.  All of it with files whose bytes go into their rows, and with big ones.
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

static int sync_and_grow(struct staging *s)
{
	AUTO_FREE char *more = state_big("");
	int rc = staging_sync(s);

	return rc < 0 ? rc : staging_pwrite(s, more, strlen(more), 5);
}

static const struct order_case {
	const char *name;
	int (*before)(struct staging *s); /* not recorded */
	int (*act)(struct staging *s);
	const char *big;   /* events; commits end in w+ or w+W */
	const char *small; /* NULL: the same */
} orders[] = {
	{"close, durable",                     nothing,          close_durably,   "^FDw+W$", "^w+W$"},
	{"hold, durable",                      nothing,          hold_durably,    "^FDw+W$", "^w+W$"},
	{"fsync",			      nothing,          staging_sync,    "^FDw+W$", "^w+W$"},
	{"fsync again, nothing new",           staging_sync,     staging_sync,    "^$",      NULL   },
	{"fsync of what has grown",            sync_and_grow,    staging_sync,    "^F$",
	 "^FDw+W$"										  },
	{"first failure",                      close_plainly,    fail_upload,     "^FDw+W$", "^w+W$"},
	{"second failure",                     fail_upload,      fail_upload,     "^w+$",    NULL   },
	{"close after fsync",                  staging_sync,     close_durably,   "^w+W$",   NULL   },
	{"write after a durable promise",      promise_and_sync, write_again,
	 "^w+Wp$",									   NULL   },
	{"write after a promise",              staging_promise,  write_again,     "^w+p$",   NULL   },
	{"second write",                       write_again,      write_again,     "^p$",     NULL   },
	{"write to a reopened held file",      hold_and_reopen,  write_again,
	 "^w+Wp$",									   NULL   },
	{"truncate of one",                    hold_and_reopen,  cut,             "^w+Wp$",  NULL   },
	{"rename of a durably held file",      hold_durably,     rename_it,       "^w+W$",
	 NULL										       },
	{"rename of an open file",             nothing,          rename_it,       "^w+$",    NULL   },
	{"discard of a durable file",          close_durably,    staging_discard, "^w+Wu$",
	 NULL										       },
	{"done and discard of a durable file", close_durably,    finish,
	 "^w+(Ww+)?Wu$",								     NULL   },
	{"done and discard of a plain one",    close_plainly,    finish,          "^w+u$",
	 NULL										       },
	{"close, not durable",                 nothing,          close_plainly,   "^w+$",    NULL   },
	{"promise",			    nothing,          staging_promise, "^w+$",    NULL   },
};

static void check_order(struct state_fix *f, const struct order_case *c,
			const char *bytes, const char *events)
{
	struct staging *s = state_write(f, "k", bytes);
	regex_t want;

	if (c->before == fail_upload)
		assert_int_equal(freeze(s, false), 0);
	assert_int_equal(c->before(s), 0);
	assert_int_equal(db_commit(f->db), 0);
	record(true);
	assert_int_equal(c->act(s), 0);
	assert_int_equal(db_commit(f->db), 0); /* what nobody waited for */
	record(false);
	assert_int_equal(regcomp(&want, events, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&want, rec.events, 0, NULL, 0) != 0)
		fail_msg("%s, %zu bytes: %s, not %s", c->name, strlen(bytes),
			 rec.events, events);
	regfree(&want);
	staging_discard(s);
	staging_put(s);
}

static void data_goes_before_the_row_that_speaks_of_it(void **state)
{
	AUTO_FREE char *big = state_big("bytes");

	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		const struct order_case *c = &orders[i];

		check_order(*state, c, big, c->big);
		check_order(*state, c, "bytes", c->small ? c->small : c->big);
	}
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
	AUTO_FREE char *big = state_big("bytes");
	struct staging *s = state_write(f, "k", big);

	rec.fail_sync = EIO;
	assert_int_equal(freeze(s, true), -EIO);
	assert_int_equal(staging_state_of(s), STAGING_OPEN);
	assert_int_equal(freeze(s, true), -EIO);
	assert_int_equal(staging_sync(s), -EIO);
	/* However small it gets: reading it back is no better. */
	assert_int_equal(staging_truncate(s, 5), 0);
	assert_int_equal(freeze(s, true), -EIO);
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
	bool is_big;  /* too big for rows */
};

static struct cut_fix *the_cut;

/* What is written for this word. */
static char *full(const char *word)
{
	char *text = the_cut->is_big ? state_big(word) : str_dup(word);

	if (!text)
		abort();
	return text;
}

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

static struct staging *write_full(struct state_fix *f, const char *key,
				  const char *word)
{
	AUTO_FREE char *text = full(word);

	return state_write(f, key, text);
}

static void life_of_a(struct state_fix *f)
{
	struct staging *s = write_full(f, "a", "aaaaaaaa");

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
	AUTO_FREE char *one = full("one");
	struct staging *s = state_write(f, "b", one);

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
	CHILD_CHECK(staging_truncate(s, strlen(one)) == 0);
	CHILD_CHECK(staging_promise(s) == 0);
	CHILD_CHECK(staging_sync(s) == 0);
	mark("b promised");
	CHILD_CHECK(staging_rekey(s, "c") == 0);
	mark("c renamed");
	CHILD_CHECK(freeze(s, false) == 0);
	staging_put(s);
}

/* Small, big and small again. */
static void life_of_d(struct state_fix *f)
{
	AUTO_FREE char *big = state_big("ee");
	struct staging *s = state_write(f, "d", "dd");

	CHILD_CHECK(staging_sync(s) == 0);
	mark("d small");
	CHILD_CHECK(staging_pwrite(s, big, strlen(big), 0) == 0);
	CHILD_CHECK(staging_sync(s) == 0);
	mark("d big");
	CHILD_CHECK(staging_pwrite(s, "f", 1, 0) == 0);
	CHILD_CHECK(staging_rekey(s, "d") == 0); /* a row as it is */
	mark("d cut");
	CHILD_CHECK(staging_truncate(s, 0) == 0);
	CHILD_CHECK(staging_pwrite(s, "four", 4, 0) == 0);
	CHILD_CHECK(freeze(s, true) == 0);
	mark("d closed");
	staging_put(s);
}

static void life(struct state_fix *f)
{
	rec.dir = f->dir;
	rec.shadow = the_cut->shadow;
	record(true);
	life_of_a(f);
	life_of_b(f);
	if (!the_cut->is_big)
		life_of_d(f);
	record(false);
	mark("end");
}

/* -- the disks that may be left -------------------------------------------------- */

enum disk {
	ONLY_SYNCED,   /* what was fsynced, nothing else */
	JOURNAL_AHEAD, /* the journal got there, the data did not */
	DATA_AHEAD,    /* the other way round */
	NAMES_GONE,    /* the journal, and no name that was not fsynced */
	ZEROS,         /* the journal; what was not fsynced has its size */
	TOO_LONG, /* what was fsynced; the rest is longer than it ever was */
	DISKS
};

static bool is_journal_ahead(enum disk d)
{
	return d == JOURNAL_AHEAD || d == NAMES_GONE || d == ZEROS;
}

/* Bytes that nobody wrote, where those that somebody wrote have not got. */
static void place_zeros(const char *now, size_t more, const char *path)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	AUTO_FREE char *zeros = NULL;

	test_file_read(now, &b);
	zeros = calloc(1, b.len + more + 1);
	assert_non_null(zeros);
	test_file_write(path, zeros, b.len + more);
}

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
	AUTO_FREE char *file = test_path(now, "%s", name);
	AUTO_FREE char *path = test_path(to, "%s", name);

	if (d == DATA_AHEAD) {
		copy_file(now, name, to, name);
		return;
	}
	if ((d == ONLY_SYNCED || d == NAMES_GONE) &&
	    access(safe_name, F_OK) < 0)
		return;
	if (access(safe, F_OK) == 0)
		copy_file(c->shadow, name, to, name);
	else if (d == ZEROS || d == TOO_LONG)
		place_zeros(file, d == TOO_LONG ? 10 : 0, path);
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
	copy_file(is_journal_ahead(d) ? c->state.dir : c->shadow,
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

/* The first bytes, as a string. */
static void read_start(struct staging *s, char out[64])
{
	ssize_t n = staging_pread(s, out, 63, 0);

	out[n > 0 ? n : 0] = '\0';
}

static bool has_bytes(struct staging *s, const char *text)
{
	size_t len = strlen(text);
	AUTO_FREE char *got = malloc(len + 1);

	return got && staging_pread(s, got, len + 1, 0) == (ssize_t)len &&
	       memcmp(got, text, len) == 0;
}

static bool has_full(struct staging *s, const char *word)
{
	AUTO_FREE char *text = full(word);

	return has_bytes(s, text);
}

/* Published, it would be a file that some program closed. */
static bool is_whole(struct staging *s)
{
	return has_full(s, "aaaaaaaa") || has_full(s, "one") ||
	       has_full(s, "two") || has_full(s, "thr") || has_bytes(s, "four");
}

/* What was held, or any of the writes after it. */
static bool is_two_or_later(struct staging *s)
{
	char got[64];

	read_start(s, got);
	return strlen(got) >= 3 && strchr("txt", got[0]) &&
	       strchr("wh", got[1]) && strchr("or", got[2]);
}

static const char *find_broken_promise_of_b(const struct cut_fix *c,
					    struct state_fix *f)
{
	struct staging *b = state_found(f, "b");

	if (!b)
		b = state_found(f, "c");
	if (is_marked(c, "b synced") && !b)
		return "b was fsynced";
	if (is_marked(c, "b held") && !is_marked(c, "b reopened") &&
	    (staging_state_of(b) != STAGING_HELD || !has_full(b, "two")))
		return "b was held";
	if (is_marked(c, "b held") && !is_two_or_later(b))
		return "what was held of b is gone";
	if (is_marked(c, "b promised") &&
	    (staging_state_of(b) != STAGING_CLOSED || !has_full(b, "thr")))
		return "b was fsynced and closed";
	if (is_marked(c, "c renamed") && !state_found(f, "c"))
		return "b was renamed";
	return NULL;
}

static const char *find_broken_promise_of_d(const struct cut_fix *c,
					    struct state_fix *f)
{
	struct staging *d = state_found(f, "d");
	char got[64];

	if (!is_marked(c, "d small"))
		return NULL;
	if (!d)
		return "d was fsynced";
	read_start(d, got);
	if (!is_marked(c, "d cut") &&
	    (strlen(got) < 2 || !strchr("def", got[0]) ||
	     !strchr("de", got[1])))
		return "what was fsynced of d is gone";
	if (is_marked(c, "d big") && !is_marked(c, "d cut") &&
	    (staging_size(d) <= STAGING_ROW_BYTES_MAX || got[1] != 'e'))
		return "what was fsynced last of d is gone";
	if (is_marked(c, "d closed") &&
	    (staging_state_of(d) != STAGING_CLOSED || !has_bytes(d, "four")))
		return "d was closed";
	return NULL;
}

/* Something promised durably that is not there. */
static const char *find_broken_promise(const struct cut_fix *c,
				       struct state_fix *f)
{
	struct staging *a = state_found(f, "a");
	const char *broken;

	if (is_marked(c, "a closed") && !is_marked(c, "a going") &&
	    (!a || !is_publishable(staging_state_of(a))))
		return "a was closed";
	broken = find_broken_promise_of_b(c, f);
	return broken ? broken : find_broken_promise_of_d(c, f);
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
static bool cut_power_at(size_t event, bool is_big)
{
	struct cut_fix c = {.is_big = is_big};
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

static void cut_power_everywhere(bool is_big)
{
	size_t event = 1;

	while (!cut_power_at(event, is_big))
		event++;
	assert_in_range(event, 25, 100);
}

static void power_may_go_at_any_event(void **state)
{
	(void)state;
	cut_power_everywhere(true);
}

static void power_may_go_where_bytes_stand_in_rows(void **state)
{
	(void)state;
	cut_power_everywhere(false);
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
		cmocka_unit_test(power_may_go_where_bytes_stand_in_rows),
	};

	log_set_level(LOG_LVL_ERR - 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
