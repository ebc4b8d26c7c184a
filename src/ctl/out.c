/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/out.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "callback/outcome.h"
#include "state/cblog.h"
#include "state/db.h"
#include "upload/json.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/strnum.h"

enum { ANSWER_SHOWN = 120 };

void db_closep(struct db **db)
{
	db_close(*db);
}

/* -- for people ------------------------------------------------------------------- */

/* Bare where it is plain, else quoted with its control bytes escaped. */
static const char *shown(char *out, size_t size, const char *text)
{
	log_quote(out, size, text);
	if (text && text[0] && !strpbrk(text, " \"\\") &&
	    strlen(out) == strlen(text) + 2) {
		size_t len = strlen(text);

		memmove(out, out + 1, len);
		out[len] = '\0';
	}
	return out;
}

static const char *state_word(const struct cb_record *r)
{
	if (r->given_up)
		return "given up";
	return callback_state_name((enum callback_state)r->state);
}

static void add_detail(struct buf *b, const struct cb_record *r)
{
	char text[ANSWER_SHOWN + 8];

	if (r->error && r->error[0])
		buf_addf(b, "  %s", log_quote(text, sizeof(text), r->error));
	else if (r->response)
		buf_addf(b, "  %s", log_quote(text, sizeof(text), r->response));
	if (r->ec && r->ec[0])
		buf_addf(b, " ec=%s", r->ec);
}

char *record_line(const struct cb_record *r)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	char time[CLOCK_TEXT_LEN], key[4 * 1024 + 3];

	buf_addf(&b, "%s  %-8s", clock_rfc3339(time, r->time_ms),
		 state_word(r));
	if (r->oss_status)
		buf_addf(&b, " %3d", r->oss_status);
	else
		buf_adds(&b, "   -");
	buf_addf(&b, " #%-2d %5" PRId64 "ms  %s", r->attempt, r->elapsed_ms,
		 shown(key, sizeof(key), r->key));
	add_detail(&b, r);
	return buf_detach(&b);
}

const char *size_text(char out[16], uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	double n = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(out, 16, "%" PRIu64 "B", bytes);
		return out;
	}
	while (n >= 1024 && units[unit + 1]) {
		n /= 1024;
		unit++;
	}
	snprintf(out, 16, n < 10 ? "%.1f%c" : "%.0f%c", n, units[unit]);
	return out;
}

const char *duration_text(char out[24], int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 0)
		snprintf(out, 24, "-");
	else if (s < 10)
		snprintf(out, 24, "%.1fs", (double)ms / 1000);
	else if (s < 60)
		snprintf(out, 24, "%" PRId64 "s", s);
	else if (s < 3600)
		snprintf(out, 24, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, 24, "%" PRId64 "h %" PRId64 "m", s / 3600,
			 s / 60 % 60);
	else
		snprintf(out, 24, "%" PRId64 "d %" PRId64 "h", s / 86400,
			 s / 3600 % 24);
	return out;
}

const char *user_text(char out[64], uint32_t uid)
{
	struct passwd pw, *found = NULL;
	char text[1024];

	if (getpwuid_r(uid, &pw, text, sizeof(text), &found) == 0 && found)
		snprintf(out, 64, "%s", found->pw_name);
	else
		snprintf(out, 64, "%" PRIu32, uid);
	return out;
}

/* -- reading ---------------------------------------------------------------------- */

int parse_time(const char *text, int64_t *real_ms)
{
	AUTO_FREE char *day = NULL;
	int64_t ago;

	if (parse_duration_ms(text, &ago) == 0) {
		int64_t now = clock_real_ms();

		*real_ms = ago < now ? now - ago : 1;
		return 0;
	}
	if (clock_parse_rfc3339(text, real_ms) == 0)
		return 0;
	day = str_printf("%sT00:00:00Z", text);
	return day ? clock_parse_rfc3339(day, real_ms) : -ENOMEM;
}

char *glob_of_keys(const char *prefix, const char *glob)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	/* One without '/' looks at the last name alone, wherever it is. */
	if (!prefix || !prefix[0] || !strchr(glob, '/'))
		return str_dup(glob);
	for (const char *c = prefix; *c; c++) {
		if (strchr("*?[]{}\\!", *c))
			buf_addc(&b, '\\');
		buf_addc(&b, *c);
	}
	buf_adds(&b, glob[0] == '/' ? glob + 1 : glob);
	return buf_detach(&b);
}
