/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <syslog.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/fileio.h"
#include "util/lock.h"

enum sink { SINK_STDERR, SINK_FILE, SINK_SYSLOG };

static _Atomic int level_now = LOG_LVL_NOTICE;

/* The logger's one state; everything below is guarded by the lock. */
static struct {
	struct lock lock;
	enum sink sink;
	char *path; /* of SINK_FILE */
	int fd;
} sink_now = {LOCK_STATIC(LOCK_LOG), SINK_STDERR, NULL, STDERR_FILENO};

static const struct {
	const char *name;
	enum log_level level;
} level_names[] = {
	{"err",     LOG_LVL_ERR   },
        {"error",   LOG_LVL_ERR   },
	{"warn",    LOG_LVL_WARN  },
        {"warning", LOG_LVL_WARN  },
	{"notice",  LOG_LVL_NOTICE},
        {"info",    LOG_LVL_INFO  },
	{"debug",   LOG_LVL_DEBUG },
};

static const char *level_name(enum log_level level)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (level_names[i].level == level)
			return level_names[i].name;
	return "?";
}

int log_parse_level(const char *text, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcasecmp(text, level_names[i].name) == 0) {
			*out = level_names[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_level(enum log_level level)
{
	atomic_store(&level_now, (int)level);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load(&level_now);
}

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : fd;
}

/* Takes over path and fd (stderr's or an open file's). */
static void set_sink(enum sink sink, char *path, int fd)
{
	char *old_path;
	int old_fd;

	lock_acquire(&sink_now.lock);
	old_path = sink_now.path;
	old_fd = sink_now.fd;
	sink_now.sink = sink;
	sink_now.path = path;
	sink_now.fd = fd;
	lock_release(&sink_now.lock);

	free(old_path);
	if (old_fd != STDERR_FILENO)
		close(old_fd);
}

int log_open(const char *program, const char *path, enum log_level level)
{
	AUTO_FREE char *copy = NULL;
	int fd;

	if (!path) {
		set_sink(SINK_STDERR, NULL, STDERR_FILENO);
	} else if (strcmp(path, "syslog") == 0) {
		openlog(program, LOG_PID, LOG_DAEMON);
		set_sink(SINK_SYSLOG, NULL, STDERR_FILENO);
	} else {
		copy = str_dup(path);
		if (!copy)
			return -ENOMEM;
		fd = open_file(path);
		if (fd < 0)
			return fd;
		set_sink(SINK_FILE, take_ptr(copy), fd);
	}
	log_set_level(level);
	return 0;
}

int log_reopen(void)
{
	AUTO_FREE char *path = NULL;
	bool is_file;
	int fd;

	lock_acquire(&sink_now.lock);
	is_file = sink_now.sink == SINK_FILE;
	path = is_file ? str_dup(sink_now.path) : NULL;
	lock_release(&sink_now.lock);

	if (!is_file)
		return 0;
	if (!path)
		return -ENOMEM;
	fd = open_file(path);
	if (fd < 0)
		return fd;
	set_sink(SINK_FILE, take_ptr(path), fd);
	return 0;
}

/* Whether stderr goes to systemd's journal: JOURNAL_STREAM=device:inode may
 * have been inherited by a program whose stderr goes elsewhere. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char text[48];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return strcmp(stream, text) == 0;
}

static void add_prefix(struct buf *line, enum sink sink, enum log_level level)
{
	char time[CLOCK_TEXT_LEN];

	if (sink == SINK_STDERR && stderr_is_journal())
		buf_addf(line, "<%d>", (int)level);
	else if (sink != SINK_SYSLOG)
		buf_addf(line, "%s %s: ", clock_rfc3339(time, clock_real_ms()),
			 level_name(level));
}

/* One event, one line, whatever the message holds; a terminal's escapes do
 * not get through either. */
static void flatten(char *text, size_t *len)
{
	while (*len > 0 && text[*len - 1] == '\n')
		--*len;
	for (size_t i = 0; i < *len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
}

/* Last resort when memory is out: the format says what happened. */
static void emit_short(enum log_level level, const char *fmt)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%s: %s (no memory for more)\n",
			 level_name(level), fmt);

	if (n > 0)
		(void)fd_write_all(STDERR_FILENO, line,
				   (size_t)n < sizeof(line) ? (size_t)n
							    : sizeof(line) - 1);
}

static void emit(enum log_level level, const struct buf *line)
{
	lock_acquire(&sink_now.lock);
	if (sink_now.sink == SINK_SYSLOG)
		syslog((int)level, "%s", buf_str(line));
	else
		(void)fd_write_all(sink_now.fd, line->data, line->len);
	lock_release(&sink_now.lock);
}

void log_vwrite(enum log_level level, const char *fmt, va_list ap)
{
	AUTO(buf_release) struct buf line = BUF_INIT;
	int saved = errno;
	size_t start, len;
	enum sink sink;

	if (level > log_get_level())
		return;
	lock_acquire(&sink_now.lock);
	sink = sink_now.sink;
	lock_release(&sink_now.lock);

	add_prefix(&line, sink, level);
	start = line.len;
	buf_vaddf(&line, fmt, ap);
	if (buf_error(&line) < 0) {
		emit_short(level, fmt);
	} else {
		len = line.len - start;
		flatten(line.data + start, &len);
		buf_truncate(&line, start + len);
		buf_addc(&line, '\n');
		emit(level, &line);
	}
	errno = saved;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(level, fmt, ap);
	va_end(ap);
}

enum { QUOTED_MAX = 20 }; /* four bytes of four characters, and a NUL */

/* The escaped form of the character at text; *used gets its bytes. */
static size_t quote_one(const char *text, size_t len, size_t *used,
			char out[QUOTED_MAX])
{
	static const char short_from[] = "\n\t\r\"\\";
	static const char short_to[] = "ntr\"\\";
	const char *at = strchr(short_from, text[0]);
	uint32_t code = 0;
	size_t n = utf8_next(text, len, &code);
	size_t out_len = 0;

	*used = n ? n : 1;
	if (at) {
		out[0] = '\\';
		out[1] = short_to[at - short_from];
		return 2;
	}
	/* C1 controls are escapes for a terminal as well. */
	if (n > 0 && code >= 0x20 && !(code >= 0x7f && code < 0xa0)) {
		memcpy(out, text, n);
		return n;
	}
	for (size_t i = 0; i < *used; i++)
		out_len += (size_t)snprintf(out + out_len, 5, "\\x%02x",
					    (unsigned)(unsigned char)text[i]);
	return out_len;
}

const char *log_quote(char *out, size_t size, const char *text)
{
	static const char ellipsis[] = "\"...";
	size_t len = text ? strlen(text) : 0;
	size_t to = 0, cut = 1; /* the ellipsis fits at the cut */

	if (size < 1 + sizeof(ellipsis)) {
		if (size > 0)
			out[0] = '\0';
		return out;
	}
	if (!text) {
		memcpy(out, "-", 2);
		return out;
	}
	out[to++] = '"';
	while (len > 0) {
		char one[QUOTED_MAX];
		size_t used;
		size_t n = quote_one(text, len, &used, one);

		if (to + n + 2 > size) {
			memcpy(out + cut, ellipsis, sizeof(ellipsis));
			return out;
		}
		memcpy(out + to, one, n);
		to += n;
		if (to + sizeof(ellipsis) <= size)
			cut = to;
		text += used;
		len -= used;
	}
	memcpy(out + to, "\"", 2);
	return out;
}
