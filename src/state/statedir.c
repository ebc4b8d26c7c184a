/* SPDX-License-Identifier: Apache-2.0 */
#include "state/statedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/fileio.h"
#include "util/log.h"
#include "util/strnum.h"

enum {
	LOCK_TEXT_MAX = 8192,
	/* Others look at the lock for an instant (statedir_owner). */
	LOCK_TRIES = 20,
	LOCK_PAUSE_NS = 10000000,
	NEIGHBOURS_MAX = 1000,
	FILES_MAX = 100000,
};

struct statedir {
	char *path;
	char *mountpoint;
	int lock_fd;
};

static void auto_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int fail(char **why, int rc, const char *path, const char *what,
		const char *advice)
{
	*why = str_printf("state directory %s: %s: %s%s%s", path, what,
			  strerror(-rc), *advice ? "; " : "", advice);
	return rc;
}

static const char *advice_for(int rc)
{
	switch (rc) {
	case -EROFS:
		return "set state.dir to a folder on a disk that can be "
		       "written";
	case -EACCES:
	case -EPERM:
		return "it must belong to the user that runs ackfs; or set "
		       "state.dir to another folder";
	case -ENOSPC:
		return "make room on that disk, or set state.dir to a folder "
		       "on another one";
	case -ENOTDIR:
		return "a file is in the way";
	default:
		return "";
	}
}

static int make_folders(const char *path, char **why)
{
	static const char *const below[] = {"", "/staging", "/aside"};

	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		AUTO_FREE char *dir = str_printf("%s%s", path, below[i]);
		int rc = dir ? dir_make(dir, 0700) : -ENOMEM;

		if (rc < 0)
			return fail(why, rc, dir ? dir : path, "cannot be made",
				    advice_for(rc));
	}
	return 0;
}

/* -- the lock --------------------------------------------------------------- */

/* "pid=N\nmountpoint=PATH\n": what holders write. */
static void read_lock_text(int fd, int *pid, char **mountpoint)
{
	AUTO_FREE char *text = calloc(1, LOCK_TEXT_MAX + 1);
	int64_t n = 0;
	char *line, *rest;

	*pid = 0;
	*mountpoint = NULL;
	if (!text || fd_pread_all(fd, text, LOCK_TEXT_MAX, 0) <= 0)
		return;
	line = strtok_r(text, "\n", &rest);
	if (line && strncmp(line, "pid=", 4) == 0 &&
	    parse_i64(line + 4, 1, INT32_MAX, &n) == 0)
		*pid = (int)n;
	line = strtok_r(NULL, "\n", &rest);
	if (line && strncmp(line, "mountpoint=", 11) == 0)
		*mountpoint = str_dup(line + 11);
}

static int write_lock_text(const struct statedir *d)
{
	AUTO_FREE char *text = str_printf("pid=%d\nmountpoint=%s\n",
					  (int)getpid(), d->mountpoint);

	if (!text)
		return -ENOMEM;
	if (ftruncate(d->lock_fd, 0) < 0)
		return -errno;
	return fd_pwrite_all(d->lock_fd, text, strlen(text), 0);
}

static int try_lock(int fd)
{
	const struct timespec pause = {0, LOCK_PAUSE_NS};

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

static int say_busy(const struct statedir *d, char **why)
{
	AUTO_FREE char *mountpoint = NULL;
	int pid = 0;

	read_lock_text(d->lock_fd, &pid, &mountpoint);
	*why = str_printf("state directory %s is in use by another ackfs "
			  "(pid %d, mounted on %s): unmount that one, or give "
			  "this mount a name of its own with state.name",
			  d->path, pid, mountpoint ? mountpoint : "?");
	return -EBUSY;
}

static int take_lock(struct statedir *d, char **why)
{
	AUTO_FREE char *path = str_printf("%s/lock", d->path);
	int rc;

	if (!path)
		return -ENOMEM;
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0) {
		rc = -errno;
		return fail(why, rc, d->path, "its lock cannot be opened",
			    advice_for(rc));
	}
	rc = try_lock(d->lock_fd);
	if (rc == -EBUSY)
		return say_busy(d, why);
	if (rc == 0)
		rc = write_lock_text(d);
	if (rc < 0)
		return fail(why, rc, d->path, "it cannot be locked",
			    advice_for(rc));
	return 0;
}

int statedir_owner(const char *path, int *pid, char **mountpoint)
{
	AUTO_FREE char *lock = str_printf("%s/lock", path);
	AUTO_CLOSE int fd = -1;

	if (!lock)
		return -ENOMEM;
	fd = open(lock, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return -ENOENT;
	if (errno != EWOULDBLOCK)
		return -errno;
	read_lock_text(fd, pid, mountpoint);
	return 0;
}

/* -- warnings --------------------------------------------------------------- */

static void warn_of_filesystem(const char *path)
{
	static const struct {
		unsigned long magic;
		const char *what;
	} bad[] = {
		{TMPFS_MAGIC,
		 "in memory (tmpfs): a reboot loses what is staged"          },
		{RAMFS_MAGIC,
		 "in memory (ramfs): a reboot loses what is staged"          },
		{OVERLAYFS_SUPER_MAGIC,
		 "on an overlay, as in a container: it goes with the container; "
		 "use a volume"					      },
		{NFS_SUPER_MAGIC,
		 "on NFS, where locks and fsync are less than they should be"},
		{FUSE_SUPER_MAGIC,
		 "on a FUSE filesystem, whose fsync may promise nothing"     },
	};
	struct statfs s;

	if (statfs(path, &s) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if ((unsigned long)s.f_type == bad[i].magic)
			log_warn("state: the state directory is %s: path=%s",
				 bad[i].what, LOG_Q(path));
}

/* Files in DIR/staging, up to a bound. */
static long count_files(const char *path)
{
	AUTO_FREE char *dir = str_printf("%s/staging", path);
	AUTO(auto_closedir) DIR *d = dir ? opendir(dir) : NULL;
	const struct dirent *e;
	long n = 0;

	while (d && n < FILES_MAX && (e = readdir(d)))
		n += e->d_name[0] != '.';
	return n;
}

static void warn_of_neighbour(const char *parent, const char *name,
			      const struct statedir *d)
{
	AUTO_FREE char *path = str_printf("%s/%s", parent, name);
	AUTO_FREE char *mountpoint = NULL;
	struct stat own, other;
	int pid = 0;
	long n;

	if (!path || stat(path, &other) < 0 || stat(d->path, &own) < 0 ||
	    !S_ISDIR(other.st_mode) ||
	    (other.st_ino == own.st_ino && other.st_dev == own.st_dev))
		return;
	n = count_files(path);
	if (n == 0 || statedir_owner(path, &pid, &mountpoint) != -ENOENT)
		return;
	log_warn("state: another mount's files wait for upload, and nobody "
		 "mounts it: path=%s files=%ld",
		 LOG_Q(path), n);
}

static void warn_of_neighbours(const struct statedir *d)
{
	AUTO_FREE char *parent = str_printf("%s/..", d->path);
	AUTO_FREE char *real = parent ? realpath(parent, NULL) : NULL;
	AUTO(auto_closedir) DIR *dir = real ? opendir(real) : NULL;
	const struct dirent *e;

	for (int i = 0; dir && i < NEIGHBOURS_MAX && (e = readdir(dir)); i++)
		if (e->d_name[0] != '.')
			warn_of_neighbour(real, e->d_name, d);
}

static void warn_of_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		log_warn("state: others may look into the state directory, "
			 "which holds what users write: path=%s mode=%03o",
			 LOG_Q(path), (unsigned)(st.st_mode & 0777));
}

/* -- life --------------------------------------------------------------- */

static void statedir_freep(struct statedir **p)
{
	struct statedir *d = *p;

	if (!d)
		return;
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	free(d->path);
	free(d->mountpoint);
	free(d);
}

int statedir_open(const char *path, const char *mountpoint,
		  struct statedir **out, char **why)
{
	AUTO(statedir_freep) struct statedir *d = calloc(1, sizeof(*d));
	int rc;

	*why = NULL;
	if (!d)
		return -ENOMEM;
	d->lock_fd = -1;
	d->path = str_dup(path);
	d->mountpoint = str_dup(mountpoint);
	if (!d->path || !d->mountpoint)
		return -ENOMEM;
	rc = make_folders(path, why);
	if (rc == 0)
		rc = take_lock(d, why);
	if (rc == 0)
		rc = dir_fsync(path);
	if (rc < 0)
		return rc;
	warn_of_filesystem(path);
	warn_of_mode(path);
	warn_of_neighbours(d);
	*out = take_ptr(d);
	return 0;
}

void statedir_close(struct statedir *d)
{
	if (!d)
		return;
	if (ftruncate(d->lock_fd, 0) < 0)
		log_debug("state: the lock keeps its text: errno=%d", errno);
	statedir_freep(&d);
}

const char *statedir_path(const struct statedir *d)
{
	return d->path;
}
