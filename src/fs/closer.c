/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/closer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "util/base.h"
#include "util/clock.h"
#include "util/fileio.h"
#include "util/glob.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/strnum.h"
#include "util/thread.h"

/** What may block on a lock of the kernel's gets this long (fuse-facts 1); a
 *  busy machine may need much of it to start a thread. */
#define PROC_LIMIT_MS 250
#define SIGKILL_BIT 0x100

enum { IDLE_MAX = 4 };

struct closer {
	char *exit_is_abort;
	int mnt_id; /* -1: not known; every descriptor of the inode counts */
	_Atomic uint64_t blind;
	struct lock lock; /* guards the two below */
	struct helper *idle;
	int idle_count;
};

/* -- /proc files ----------------------------------------------------------- */

/* One read: the kernel makes the whole text at once.  `path` may be relative
   to the folder `at`. */
static int read_small(int at, const char *path, char *out, size_t size)
{
	AUTO_CLOSE int fd = openat(at, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	out[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, out, size - 1);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

/* The rest of the line that begins with `label`, copied; false: none. */
static bool line_value(const char *text, const char *label, char *out,
		       size_t size)
{
	size_t len = strlen(label);

	while (text && *text) {
		if (strncmp(text, label, len) == 0) {
			size_t n;

			text += len;
			text += strspn(text, " \t");
			n = strcspn(text, "\n");
			if (n >= size)
				n = size - 1;
			memcpy(out, text, n);
			out[n] = '\0';
			return true;
		}
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return false;
}

int process_read(pid_t tid, struct process *out)
{
	char path[48], text[4096], value[64];
	uint64_t n = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	if (tid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	rc = read_small(AT_FDCWD, path, text, sizeof(text));
	if (rc < 0)
		return -ESRCH;
	if (!line_value(text, "Tgid:", value, sizeof(value)) ||
	    parse_u64(value, 1, INT32_MAX, &n) < 0)
		return -ESRCH;
	out->tgid = (pid_t)n;
	line_value(text, "Name:", out->name, sizeof(out->name));
	out->exiting = !line_value(text, "VmSize:", value, sizeof(value));
	/* Inside execve the old image is gone and the new one has no text. */
	out->in_exec = line_value(text, "VmExe:", value, sizeof(value)) &&
		       value[0] == '0';
	return 0;
}

static bool has_sigkill(const char *text, const char *label)
{
	char value[64];
	char *end;
	unsigned long long bits;

	if (!line_value(text, label, value, sizeof(value)))
		return false;
	errno = 0;
	bits = strtoull(value, &end, 16);
	return errno == 0 && end != value && (bits & SIGKILL_BIT);
}

bool process_is_killed(pid_t tid)
{
	char path[48], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return true; /* gone: nobody waits any more */
	return has_sigkill(text, "SigPnd:") || has_sigkill(text, "ShdPnd:");
}

/* -- what may block, on a thread of its own -------------------------------- */

struct question {
	pid_t pid;
	uint64_t ino;
	int mnt_id;
};

static bool fdinfo_is_ours(const struct question *q, const char *text)
{
	char value[32];
	uint64_t n;

	if (!line_value(text, "ino:", value, sizeof(value)) ||
	    parse_u64(value, 0, UINT64_MAX, &n) < 0 || n != q->ino)
		return false;
	if (q->mnt_id < 0 ||
	    !line_value(text, "mnt_id:", value, sizeof(value)) ||
	    parse_u64(value, 0, INT32_MAX, &n) < 0)
		return true;
	return (int)n == q->mnt_id;
}

/* Does the process hold a descriptor of the file? @return 0, 1 or -errno */
static int look_for_descriptor(const struct question *q)
{
	char path[64], text[1024];
	const struct dirent *e;
	DIR *dir;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)q->pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!found && (e = readdir(dir)))
		found = e->d_name[0] != '.' &&
			read_small(dirfd(dir), e->d_name, text, sizeof(text)) ==
				0 &&
			fdinfo_is_ours(q, text);
	closedir(dir);
	return found;
}

/*
 * A thread that looks on behalf of others, one question at a time.  It waits
 * for the next one, as starting a thread costs more than the look; one that the
 * kernel holds up is left behind.  It frees itself.
 */
struct helper {
	struct lock lock;
	struct cond changed;
	enum { HELPER_IDLE, HELPER_ASKED, HELPER_LEFT } state;
	struct question question;
	int answer;
	struct helper *next; /* under the closer's lock */
};

static void helper_free(struct helper *h)
{
	cond_destroy(&h->changed);
	lock_destroy(&h->lock);
	free(h);
}

static void helper_answer(struct helper *h, int answer)
{
	lock_acquire(&h->lock);
	if (h->state == HELPER_ASKED) {
		h->answer = answer;
		h->state = HELPER_IDLE;
	}
	lock_release(&h->lock);
	cond_signal(&h->changed);
}

static void *helper_main(void *arg)
{
	struct helper *h = arg;

	for (;;) {
		struct question q;
		bool left;

		lock_acquire(&h->lock);
		while (h->state == HELPER_IDLE)
			cond_wait(&h->changed, &h->lock);
		left = h->state == HELPER_LEFT;
		q = h->question;
		lock_release(&h->lock);
		if (left)
			break;
		helper_answer(h, look_for_descriptor(&q));
	}
	helper_free(h);
	return NULL;
}

static int helper_new(struct helper **out)
{
	struct helper *h = calloc(1, sizeof(*h));
	int rc;

	if (!h)
		return -ENOMEM;
	lock_init(&h->lock, LOCK_LEAF);
	cond_init(&h->changed);
	rc = thread_start_detached("ackfs-proc", helper_main, h);
	if (rc < 0) {
		helper_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

/* Not the caller's any more. */
static void helper_leave(struct helper *h)
{
	lock_acquire(&h->lock);
	h->state = HELPER_LEFT;
	cond_signal(&h->changed); /* under the lock: then it may be gone */
	lock_release(&h->lock);
}

static int helper_take(struct closer *c, struct helper **out)
{
	struct helper *h;

	lock_acquire(&c->lock);
	h = c->idle;
	if (h) {
		LL_DELETE(c->idle, h);
		c->idle_count--;
	}
	lock_release(&c->lock);
	if (!h)
		return helper_new(out);
	*out = h;
	return 0;
}

static void helper_give_back(struct closer *c, struct helper *h)
{
	bool keep;

	lock_acquire(&c->lock);
	keep = c->idle_count < IDLE_MAX;
	if (keep) {
		LL_PREPEND(c->idle, h);
		c->idle_count++;
	}
	lock_release(&c->lock);
	if (!keep)
		helper_leave(h);
}

/** @return as look_for_descriptor(); -ETIMEDOUT when the kernel holds it up */
static int ask(struct closer *c, pid_t pid, uint64_t ino)
{
	int64_t deadline = clock_mono_ms() + PROC_LIMIT_MS;
	struct helper *h;
	bool late;
	int rc = helper_take(c, &h);

	if (rc < 0)
		return rc;
	lock_acquire(&h->lock);
	h->question = (struct question){pid, ino, c->mnt_id};
	h->state = HELPER_ASKED;
	lock_release(&h->lock);
	cond_signal(&h->changed);
	lock_acquire(&h->lock);
	while (h->state == HELPER_ASKED &&
	       cond_wait_until(&h->changed, &h->lock, deadline))
		;
	late = h->state == HELPER_ASKED;
	rc = late ? -ETIMEDOUT : h->answer;
	lock_release(&h->lock);
	if (late)
		helper_leave(h);
	else
		helper_give_back(c, h);
	return rc;
}

/*
 * The signal that ends a task; 0: none.  Only of one that is exiting: its stat
 * does not block (fuse-facts 1), so it is read here and not by a helper, whose
 * limit a busy machine can miss.  exit_code is the last of stat's 52 fields;
 * the name may hold blanks.
 */
static int exit_signal(pid_t tid)
{
	char path[48], text[1024];
	const char *field;
	int64_t code;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	if (read_small(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	len = strlen(text);
	while (len && text[len - 1] == ' ')
		text[--len] = '\0';
	field = strrchr(text, ' ');
	if (!field || parse_i64(field + 1, INT32_MIN, INT32_MAX, &code) < 0)
		return 0;
	return (int)(code & 0x7f);
}

/* -- the verdict ----------------------------------------------------------- */

static enum close_verdict judge_exiting(const struct closer *c,
					const struct process *who)
{
	if (glob_list_match(c->exit_is_abort, who->name, NULL))
		return CLOSE_ABORTED;
	/* Its descriptors are on their way out one by one: each FLUSH that
	   finds changes may take them, the others find none. */
	return CLOSE_FINAL;
}

enum close_verdict closer_judge(struct closer *c, pid_t tid, pid_t opener,
				uint64_t ino, struct process *who)
{
	struct process local;
	int held;

	if (!who)
		who = &local;
	if (process_read(tid, who) < 0 || !opener) {
		/* Another PID namespace, or a process that is gone. */
		atomic_fetch_add(&c->blind, 1);
		return CLOSE_FINAL;
	}
	/* Whoever it is: a child that is killed finishes nothing either. */
	if (who->exiting && exit_signal(tid))
		return CLOSE_KILLED;
	if (who->tgid != opener)
		return CLOSE_DEFER;
	if (who->exiting)
		return judge_exiting(c, who);
	if (who->in_exec)
		return CLOSE_DEFER;
	held = ask(c, who->tgid, ino);
	if (held == -EACCES || held == -EPERM) {
		atomic_fetch_add(&c->blind, 1);
		return CLOSE_FINAL;
	}
	return held == 0 ? CLOSE_FINAL : CLOSE_DEFER;
}

int closer_new(const char *exit_is_abort, struct closer **out)
{
	struct closer *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->mnt_id = -1;
	c->exit_is_abort = str_dup(exit_is_abort ? exit_is_abort : "");
	if (!c->exit_is_abort) {
		free(c);
		return -ENOMEM;
	}
	lock_init(&c->lock, LOCK_LEAF);
	*out = c;
	return 0;
}

void closer_free(struct closer *c)
{
	struct helper *h, *next;

	if (!c)
		return;
	LL_FOREACH_SAFE(c->idle, h, next)
	helper_leave(h);
	lock_destroy(&c->lock);
	free(c->exit_is_abort);
	free(c);
}

/* The nth word of a line of mountinfo, cut off behind it; NULL: there is none. */
static char *field(char *line, int n)
{
	while (n-- > 0) {
		line = strchr(line, ' ');
		if (!line)
			return NULL;
		line++;
	}
	line[strcspn(line, " ")] = '\0';
	return line;
}

/* "\040" is a blank. @return text */
static char *unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
		    from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
		    from[3] <= '7') {
			*to = (char)((from[1] - '0') << 6 |
				     (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return text;
}

void closer_set_mount(struct closer *c, const char *mountpoint)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	char *save = NULL;

	if (file_read("/proc/self/mountinfo", 4 << 20, &text) < 0)
		return;
	/* "36 35 98:0 /root /mnt/point ...": the last one on top wins. */
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *id = line, *point = field(line, 4);
		uint64_t n;

		if (!point || strcmp(unescape(point), mountpoint) != 0)
			continue;
		id[strcspn(id, " ")] = '\0';
		if (parse_u64(id, 0, INT32_MAX, &n) == 0)
			c->mnt_id = (int)n;
	}
	if (c->mnt_id < 0)
		log_debug("closer: the mount is not in mountinfo: point=%s",
			  LOG_Q(mountpoint));
}

uint64_t closer_blind(const struct closer *c)
{
	return atomic_load(&c->blind);
}
