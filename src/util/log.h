/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The log: one event, one line; syslog levels.
 *
 * Fixed words first, then fields:
 *     upload: failed, will retry: key="in/a.jpg" attempt=3 http=503 code=SlowDown
 * Text from outside (keys, server messages) goes through LOG_Q(), which quotes
 * it and escapes control bytes.  Secrets, signatures and callback bodies are
 * never logged (callback bodies at debug).
 *
 * Lines begin with RFC 3339 time and level; where stderr is systemd's journal,
 * which adds its own, with "<level>".  Control bytes in a message (a newline
 * above all) become blanks.
 *
 * Threads  all functions from any thread; one write(2) a line, of any length;
 *          errno is kept.
 */
#ifndef ACKFS_UTIL_LOG_H
#define ACKFS_UTIL_LOG_H

#include <stdarg.h>
#include <stddef.h>

#include "util/base.h"

enum log_level {
	LOG_LVL_ERR = 3, /* syslog's numbers */
	LOG_LVL_WARN = 4,
	LOG_LVL_NOTICE = 5,
	LOG_LVL_INFO = 6,
	LOG_LVL_DEBUG = 7,
};

/**
 * Where lines go.  Before the first call: stderr, level notice.
 * @param program  the prefix of syslog lines; borrowed
 * @param path     a file to append to; NULL: stderr; "syslog": syslog(3)
 * @return 0 or -errno of open(2)
 */
int log_open(const char *program, const char *path, enum log_level level);
/** Open the log file again (after a rotation). @return 0 or -errno */
int log_reopen(void);
/** What lies above it is dropped. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/** "err" "warn" "notice" "info" "debug" (and error, warning). @return 0 or -EINVAL */
int log_parse_level(const char *text, enum log_level *out);

void log_write(enum log_level level, const char *fmt, ...) ACK_PRINTF(2, 3);
void log_vwrite(enum log_level level, const char *fmt, va_list ap)
	ACK_PRINTF(2, 0);

#define log_err(...) log_write(LOG_LVL_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LVL_WARN, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LVL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(...)                                                         \
	do {                                                                   \
		if (log_get_level() >= LOG_LVL_DEBUG)                          \
			log_write(LOG_LVL_DEBUG, __VA_ARGS__);                 \
	} while (0)

/**
 * Quote and escape for one line: "a\nb", and cut when it does not fit: "a"...
 * NULL gives "-".  Valid UTF-8 stays as it is, other bytes become \xNN.
 * @return out
 */
const char *log_quote(char *out, size_t size, const char *text);
/** Quoted text for the rest of the full expression's block. */
#define LOG_Q(text) log_quote((char[512]){0}, 512, (text))

#endif
