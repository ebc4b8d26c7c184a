/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/base.h"
#include "util/strnum.h"

#define SIGKILL_BIT 0x100

/* A small file of /proc: the kernel makes the whole text for one read.  What is
   longer than out is cut. */
static int proc_read(int at, const char *path, char *out, size_t size)
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

/* The rest of the line that begins with label. @return false: there is none */
static bool proc_value(const char *text, const char *label, char *out,
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

static pid_t group_of_thread(pid_t tid)
{
	char path[48], text[4096], value[64];
	uint64_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	if (proc_read(AT_FDCWD, path, text, sizeof(text)) < 0 ||
	    !proc_value(text, "Tgid:", value, sizeof(value)) ||
	    parse_u64(value, 1, INT32_MAX, &n) < 0)
		return 0;
	return (pid_t)n;
}

pid_t process_group_of(pid_t tid)
{
	if (tid <= 0)
		return 0;
	/* A signal that is none, for a thread that leads its process; whether we
	   may send it says nothing. */
	if (tgkill(tid, tid, 0) == 0 || errno == EPERM)
		return tid;
	return group_of_thread(tid);
}

void process_name(pid_t tid, char *out, size_t size)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)tid);
	(void)proc_read(AT_FDCWD, path, out, size);
	out[strcspn(out, "\n")] = '\0';
}

/* The nth number, from 0, of a line of them. @return whether it is 0 */
static bool is_zero(const char *line, int n)
{
	while (n-- > 0) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return *line == '0';
}

int process_read(pid_t tid, struct process *out)
{
	char path[48], text[128];

	memset(out, 0, sizeof(*out));
	out->tgid = process_group_of(tid);
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)tid);
	if (!out->tgid || proc_read(AT_FDCWD, path, text, sizeof(text)) < 0) {
		out->tgid = 0;
		return -ESRCH;
	}
	process_name(tid, out->name, sizeof(out->name));
	/* "size resident shared text ...".  Inside execve the old image is gone
	   and the new one has no text. */
	out->exiting = is_zero(text, 0);
	out->in_exec = is_zero(text, 3);
	return 0;
}

static bool has_sigkill(const char *text, const char *label)
{
	char value[64];
	char *end;
	unsigned long long bits;

	if (!proc_value(text, label, value, sizeof(value)))
		return false;
	errno = 0;
	bits = strtoull(value, &end, 16);
	return errno == 0 && end != value && (bits & SIGKILL_BIT);
}

bool process_is_killed(pid_t tid)
{
	char path[48], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	if (proc_read(AT_FDCWD, path, text, sizeof(text)) < 0)
		return true; /* gone: nobody waits any more */
	return has_sigkill(text, "SigPnd:") || has_sigkill(text, "ShdPnd:");
}

/* exit_code is the last of stat's 52 fields; the name may hold blanks. */
int process_exit_signal(pid_t tid)
{
	char path[48], text[1024];
	const char *field;
	int64_t code;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	if (proc_read(AT_FDCWD, path, text, sizeof(text)) < 0)
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

/* -- descriptors ----------------------------------------------------------- */

struct wanted {
	uint64_t ino;
	int mnt_id;
};

static bool fdinfo_is_of(const struct wanted *w, const char *text)
{
	char value[32];
	uint64_t n;

	if (!proc_value(text, "ino:", value, sizeof(value)) ||
	    parse_u64(value, 0, UINT64_MAX, &n) < 0 || n != w->ino)
		return false;
	if (w->mnt_id < 0 ||
	    !proc_value(text, "mnt_id:", value, sizeof(value)) ||
	    parse_u64(value, 0, INT32_MAX, &n) < 0)
		return true;
	return (int)n == w->mnt_id;
}

int process_holds(pid_t pid, uint64_t ino, int mnt_id)
{
	const struct wanted w = {ino, mnt_id};
	char path[48], text[1024];
	const struct dirent *e;
	DIR *dir;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!found && (e = readdir(dir)))
		found = e->d_name[0] != '.' &&
			proc_read(dirfd(dir), e->d_name, text, sizeof(text)) ==
				0 &&
			fdinfo_is_of(&w, text);
	closedir(dir);
	return found;
}
