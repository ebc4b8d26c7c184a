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

struct closer {
	char *exit_is_abort;
	int mnt_id; /* -1: not known; every descriptor of the inode counts */
	_Atomic uint64_t blind;
};

/* -- /proc files ----------------------------------------------------------- */

static int read_small(const char *path, char *out, size_t size)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	out[0] = '\0';
	if (fd < 0)
		return -errno;
	n = fd_pread_all(fd, out, size - 1, 0);
	if (n < 0)
		return (int)n;
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
	rc = read_small(path, text, sizeof(text));
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
	if (read_small(path, text, sizeof(text)) < 0)
		return true; /* gone: nobody waits any more */
	return has_sigkill(text, "SigPnd:") || has_sigkill(text, "ShdPnd:");
}

/* -- what may block, on a thread of its own -------------------------------- */

/* Shared by the asking thread and its helper; the last one frees it. */
struct probe {
	struct lock lock;
	struct cond done_cond;
	int refs;
	bool done;
	pid_t pid;
	uint64_t ino;
	int mnt_id;
	int result;
	void (*fn)(struct probe *p);
};

static void probe_put(struct probe *p)
{
	int left;

	lock_acquire(&p->lock);
	left = --p->refs;
	lock_release(&p->lock);
	if (left)
		return;
	cond_destroy(&p->done_cond);
	lock_destroy(&p->lock);
	free(p);
}

static void *probe_main(void *arg)
{
	struct probe *p = arg;

	p->fn(p);
	lock_acquire(&p->lock);
	p->done = true;
	cond_signal(&p->done_cond);
	lock_release(&p->lock);
	probe_put(p);
	return NULL;
}

/** @return fn's result; -ETIMEDOUT when the kernel holds it up */
static int probe_run(void (*fn)(struct probe *), pid_t pid, uint64_t ino,
		     int mnt_id)
{
	struct probe *p = calloc(1, sizeof(*p));
	int64_t deadline = clock_mono_ms() + PROC_LIMIT_MS;
	int rc;

	if (!p)
		return -ENOMEM;
	lock_init(&p->lock, LOCK_LEAF);
	cond_init(&p->done_cond);
	p->refs = 2;
	p->fn = fn;
	p->pid = pid;
	p->ino = ino;
	p->mnt_id = mnt_id;
	rc = thread_start_detached("ackfs-proc", probe_main, p);
	if (rc < 0) {
		p->refs = 1;
		probe_put(p);
		return rc;
	}
	lock_acquire(&p->lock);
	while (!p->done && cond_wait_until(&p->done_cond, &p->lock, deadline))
		;
	rc = p->done ? p->result : -ETIMEDOUT;
	lock_release(&p->lock);
	probe_put(p);
	return rc;
}

static bool fdinfo_is_ours(const struct probe *p, const char *text)
{
	char value[32];
	uint64_t n;

	if (!line_value(text, "ino:", value, sizeof(value)) ||
	    parse_u64(value, 0, UINT64_MAX, &n) < 0 || n != p->ino)
		return false;
	if (p->mnt_id < 0 ||
	    !line_value(text, "mnt_id:", value, sizeof(value)) ||
	    parse_u64(value, 0, INT32_MAX, &n) < 0)
		return true;
	return (int)n == p->mnt_id;
}

static void probe_descriptors(struct probe *p)
{
	char path[64];
	DIR *dir;
	const struct dirent *e;
	int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)p->pid);
	dir = opendir(path);
	if (!dir) {
		p->result = -errno;
		return;
	}
	while ((e = readdir(dir))) {
		char text[1024];
		AUTO_CLOSE int fd = -1;
		ssize_t n;

		if (e->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = fd_pread_all(fd, text, sizeof(text) - 1, 0);
		if (n <= 0)
			continue;
		text[n] = '\0';
		if (fdinfo_is_ours(p, text))
			count++;
	}
	closedir(dir);
	p->result = count;
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
	if (read_small(path, text, sizeof(text)) < 0)
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
	int count;

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
	count = probe_run(probe_descriptors, who->tgid, ino, c->mnt_id);
	if (count == -EACCES || count == -EPERM) {
		atomic_fetch_add(&c->blind, 1);
		return CLOSE_FINAL;
	}
	return count == 0 ? CLOSE_FINAL : CLOSE_DEFER;
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
	*out = c;
	return 0;
}

void closer_free(struct closer *c)
{
	if (!c)
		return;
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
