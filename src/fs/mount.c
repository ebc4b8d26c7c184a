/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/ops.h"
#include "fs/session.h"
#include "fs/xattr.h"
#include "util/buf.h"
#include "util/log.h"
#include "util/thread.h"

/** One WRITE's most, and a READ's. */
#define MAX_IO (1u << 20)
/** RELEASEs queue behind this in the kernel (fuse-facts 5). */
#define MAX_BACKGROUND 4096

/** Something for the kernel to forget. */
struct notice {
	struct notice *next;
	uint64_t ino;
	char name[]; /* "": the inode's pages and attributes */
};

struct mount {
	struct fs *fs;
	struct mount_conf conf;
	struct fuse_session *session;
	int stop_fd; /* an eventfd */
	unsigned max_write;
	bool mounted;
	/* Notices go out from a thread of their own: inside a handler they can
	   deadlock with the kernel (fuse-facts 20). */
	struct lock lock;
	struct cond wake;
	/* A folder that is invalidated sends one for each name: append in one
	   step. */
	struct notice *first, **end;
	bool stopping, notifying;
	pthread_t notifier;
};

/* The first minor version of the protocol, 7.39 of Linux 6.6, whose kernels drop
   the pages of a file that is written with FOPEN_DIRECT_IO. */
enum { DIRECT_WRITE_INVALIDATES = 39 };

/* The largest WRITE that, with its header, fits into a pipe: libfuse copies
   larger ones.  Pipes over pipe-max-size (1 MiB) are for the privileged. */
static unsigned write_size(void)
{
	const int need = (int)MAX_IO + SESSION_HEADER;
	unsigned size = MAX_IO / 2;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return size;
	if (fcntl(fds[0], F_SETPIPE_SZ, need) >= need)
		size = MAX_IO;
	close(fds[0]);
	close(fds[1]);
	return size;
}

static void init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	const struct mount *m = fs->notify_arg;

	atomic_store(&fs->cache_is_coherent,
		     conn->proto_minor >= DIRECT_WRITE_INVALIDATES);
	conn->max_write = m->max_write;
	conn->max_readahead = MAX_IO;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND;
	conn->time_gran = 1;
	conn->want |= conn->capable &
		      (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS |
		       FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
		       FUSE_CAP_ASYNC_READ | FUSE_CAP_SPLICE_READ |
		       FUSE_CAP_SPLICE_MOVE | FUSE_CAP_CACHE_SYMLINKS |
		       FUSE_CAP_AUTO_INVAL_DATA);
	/* No writeback cache: its WRITEs hide who wrote (fuse-facts 15). */
	conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
#ifdef __SANITIZE_THREAD__
	/* It knows that a reply comes before the next request by read() and
	   write() of the same descriptor, not by splice(). */
	conn->want &= ~(unsigned)FUSE_CAP_SPLICE_READ;
#endif
	if (m->conf.ready)
		m->conf.ready(m->conf.ready_arg);
}

/* -- notices --------------------------------------------------------------- */

static void push(struct mount *m, uint64_t ino, const char *name)
{
	size_t len = strlen(name) + 1;
	struct notice *n = malloc(sizeof(*n) + len);

	if (!n)
		return; /* the kernel's own time-out sees to it */
	n->next = NULL;
	n->ino = ino;
	memcpy(n->name, name, len);
	lock_acquire(&m->lock);
	*m->end = n;
	m->end = &n->next;
	cond_signal(&m->wake);
	lock_release(&m->lock);
}

static void notice_inode(void *arg, uint64_t ino)
{
	push(arg, ino, "");
}

static void notice_name(void *arg, uint64_t parent, const char *name)
{
	push(arg, parent, name);
}

static void send_notice(struct mount *m, const struct notice *n)
{
	if (n->name[0])
		fuse_lowlevel_notify_inval_entry(m->session, n->ino, n->name,
						 strlen(n->name));
	else
		fuse_lowlevel_notify_inval_inode(m->session, n->ino, 0, 0);
}

static void *notifier_main(void *arg)
{
	struct mount *m = arg;

	lock_acquire(&m->lock);
	while (!m->stopping) {
		struct notice *n = m->first;

		if (!n) {
			cond_wait(&m->wake, &m->lock);
			continue;
		}
		m->first = n->next;
		if (!m->first)
			m->end = &m->first;
		lock_release(&m->lock);
		send_notice(m, n);
		free(n);
		lock_acquire(&m->lock);
	}
	lock_release(&m->lock);
	return NULL;
}

/* -- mounting -------------------------------------------------------------- */

static void fuse_log_line(enum fuse_log_level level, const char *fmt,
			  va_list ap) ACK_PRINTF(2, 0);

static void fuse_log_line(enum fuse_log_level level, const char *fmt,
			  va_list ap)
{
	AUTO(buf_release) struct buf line = BUF_INIT;

	buf_vaddf(&line, fmt, ap);
	while (line.len && line.data[line.len - 1] == '\n')
		buf_truncate(&line, line.len - 1);
	log_write(level <= FUSE_LOG_ERR      ? LOG_LVL_ERR
		  : level <= FUSE_LOG_NOTICE ? LOG_LVL_NOTICE
					     : LOG_LVL_DEBUG,
		  "libfuse: %s", buf_str(&line));
}

/* A comma in a prefix is no end of an option. */
static void add_escaped(struct buf *opts, const char *text)
{
	for (; *text; text++) {
		if (*text == ',' || *text == '\\')
			buf_addc(opts, '\\');
		buf_addc(opts, *text);
	}
}

static int make_session(struct mount *m)
{
	static const char program[] = "ackfs";
	struct fuse_lowlevel_ops ops = {.init = init};
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	AUTO(buf_release) struct buf opts = BUF_INIT;
	int rc;

	ops_add_file(&ops);
	ops_add_dir(&ops);
	ops_add_meta(&ops);
	ops_add_xattr(&ops);
	buf_adds(&opts, "default_permissions,subtype=ackfs,fsname=");
	add_escaped(&opts, m->conf.fsname);
	buf_addf(&opts, "%s%s", m->conf.allow_other ? ",allow_other" : "",
		 m->conf.read_only ? ",ro" : "");
	rc = buf_error(&opts);
	if (rc == 0 && (fuse_opt_add_arg(&args, program) < 0 ||
			fuse_opt_add_arg(&args, "-o") < 0 ||
			fuse_opt_add_arg(&args, buf_str(&opts)) < 0 ||
			(m->conf.debug && fuse_opt_add_arg(&args, "-d") < 0)))
		rc = -ENOMEM;
	if (rc == 0) {
		m->session = fuse_session_new(&args, &ops, sizeof(ops), m->fs);
		if (!m->session)
			rc = -EINVAL;
	}
	fuse_opt_free_args(&args);
	return rc;
}

/* libfuse has said why, to a log that who mounts may not see. */
static char *why_not_mounted(const char *mountpoint)
{
	const int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return str_printf("cannot mount on %s: /dev/fuse: %s",
				  mountpoint, strerror(errno));
	close(fd);
	return str_printf("cannot mount on %s: %s", mountpoint,
			  geteuid() == 0
				  ? "the kernel refuses it"
				  : "fusermount3 refuses it, or is not there");
}

int mount_new(struct fs *fs, const struct mount_conf *conf, struct mount **out,
	      char **why)
{
	struct mount *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	m->fs = fs;
	m->end = &m->first;
	m->conf = *conf;
	m->max_write = write_size();
	m->stop_fd = eventfd(0, EFD_CLOEXEC);
	lock_init(&m->lock, LOCK_LEAF);
	cond_init(&m->wake);
	fuse_set_log_func(fuse_log_line);
	fs->notify_arg = m;
	fs->invalidate = notice_inode;
	fs->invalidate_name = notice_name;
	rc = m->stop_fd < 0 ? -errno : make_session(m);
	if (rc == 0 && fuse_session_mount(m->session, conf->mountpoint) != 0) {
		rc = -EIO;
		*why = why_not_mounted(conf->mountpoint);
	}
	m->mounted = rc == 0;
	if (rc == 0)
		rc = thread_start(&m->notifier, "ackfs-notify", notifier_main,
				  m);
	m->notifying = rc == 0 && m->mounted;
	if (rc < 0) {
		mount_free(m);
		return rc;
	}
	*out = m;
	return 0;
}

static void closing(void *arg, uint64_t ino, uint32_t opcode, uint64_t unique)
{
	(void)opcode;
	(void)unique;
	file_note_closing(arg, ino);
}

int mount_run(struct mount *m)
{
	const struct session_conf conf = {.closing = closing,
					  .arg = m->fs,
					  .max_write = m->max_write,
					  .stop_fd = m->stop_fd,
					  .clears_privileges = true};

	return session_run(m->session, &conf);
}

void mount_stop(struct mount *m)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(m->stop_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

void mount_free(struct mount *m)
{
	struct notice *n, *tmp;

	if (!m)
		return;
	if (m->notifying) {
		lock_acquire(&m->lock);
		m->stopping = true;
		cond_signal(&m->wake);
		lock_release(&m->lock);
		pthread_join(m->notifier, NULL);
	}
	m->fs->invalidate = NULL;
	m->fs->invalidate_name = NULL;
	if (m->mounted)
		fuse_session_unmount(m->session);
	if (m->session)
		fuse_session_destroy(m->session);
	if (m->stop_fd >= 0)
		close(m->stop_fd);
	LL_FOREACH_SAFE(m->first, n, tmp)
	{
		free(n);
	}
	cond_destroy(&m->wake);
	lock_destroy(&m->lock);
	free(m);
}

const char *mount_fuse_version(void)
{
	return fuse_pkgversion();
}
