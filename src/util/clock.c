/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MS_PER_SEC = 1000, NS_PER_MS = 1000000 };

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed",
				     "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr",
					"May", "Jun", "Jul", "Aug",
					"Sep", "Oct", "Nov", "Dec"};

/* Tests alone change these. */
static _Atomic int64_t advanced_ms;
static atomic_bool moved;

static int64_t now_ns(clockid_t id)
{
	struct timespec ts = {0, 0};

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * MS_PER_SEC * NS_PER_MS + ts.tv_nsec;
}

int64_t clock_mono_ns(void)
{
	return now_ns(CLOCK_MONOTONIC) + clock_advanced_ms() * NS_PER_MS;
}

int64_t clock_mono_ms(void)
{
	return clock_mono_ns() / NS_PER_MS;
}

int64_t clock_real_ns(void)
{
	return now_ns(CLOCK_REALTIME) + clock_advanced_ms() * NS_PER_MS;
}

int64_t clock_real_ms(void)
{
	return clock_real_ns() / NS_PER_MS;
}

void clock_advance_ms(int64_t ms)
{
	atomic_store(&moved, true);
	atomic_fetch_add(&advanced_ms, ms);
}

int64_t clock_advanced_ms(void)
{
	return atomic_load(&advanced_ms);
}

bool clock_is_test(void)
{
	return atomic_load(&moved);
}

/* UTC, in types so narrow that the compiler sees how long the texts get. */
struct utc {
	uint16_t year, ms;
	uint8_t month, day, weekday, hour, min, sec;
};

static struct utc utc_of(int64_t real_ms)
{
	struct utc u = {0};
	struct tm tm;
	int64_t sec = real_ms / MS_PER_SEC;
	int ms = (int)(real_ms % MS_PER_SEC);
	time_t t;

	if (ms < 0) {
		ms += MS_PER_SEC;
		sec--;
	}
	t = (time_t)sec;
	if (!gmtime_r(&t, &tm))
		return u;
	u.year = (uint16_t)(tm.tm_year + 1900);
	u.month = (uint8_t)(tm.tm_mon + 1);
	u.day = (uint8_t)tm.tm_mday;
	u.weekday = (uint8_t)tm.tm_wday;
	u.hour = (uint8_t)tm.tm_hour;
	u.min = (uint8_t)tm.tm_min;
	u.sec = (uint8_t)tm.tm_sec;
	u.ms = (uint16_t)ms;
	return u;
}

const char *clock_rfc3339(char out[CLOCK_TEXT_LEN], int64_t real_ms)
{
	struct utc u = utc_of(real_ms);

	snprintf(out, CLOCK_TEXT_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 u.year, u.month, u.day, u.hour, u.min, u.sec, u.ms);
	return out;
}

const char *clock_http_date(char out[CLOCK_TEXT_LEN], int64_t real_ms)
{
	struct utc u = utc_of(real_ms);
	const char *month = month_names[(u.month + 11) % 12];

	/* strftime's names would follow the locale. */
	snprintf(out, CLOCK_TEXT_LEN, "%s, %02u %s %04u %02u:%02u:%02u GMT",
		 day_names[u.weekday], u.day, month, u.year, u.hour, u.min,
		 u.sec);
	return out;
}

const char *clock_iso_basic(char out[CLOCK_TEXT_LEN], int64_t real_ms)
{
	struct utc u = utc_of(real_ms);

	snprintf(out, CLOCK_TEXT_LEN, "%04u%02u%02uT%02u%02u%02uZ", u.year,
		 u.month, u.day, u.hour, u.min, u.sec);
	return out;
}

/* The readers below move *p past what they took; false leaves it anywhere. */

static bool take_digits(const char **p, int count, int *out)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		char c = (*p)[i];

		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (c - '0');
	}
	*p += count;
	*out = value;
	return true;
}

static bool take_text(const char **p, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

static bool take_name(const char **p, const char (*names)[4], int count,
		      int *out)
{
	for (int i = 0; i < count; i++) {
		if (take_text(p, names[i])) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* ".5", ".123456": milliseconds, the rest is dropped. */
static bool take_fraction(const char **p, int *ms)
{
	int value = 0, digits = 0;

	*ms = 0;
	if (**p != '.')
		return true;
	for (++*p; **p >= '0' && **p <= '9'; ++*p, digits++)
		if (digits < 3)
			value = value * 10 + (**p - '0');
	if (digits < 1 || digits > 9)
		return false;
	for (; digits < 3; digits++)
		value *= 10;
	*ms = value;
	return true;
}

/* tm_year and tm_mon as written (2026, 1 to 12). */
static int join_ms(const struct tm *written, int ms, int64_t *real_ms)
{
	struct tm tm = *written;
	time_t t;

	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	tm.tm_sec = 0; /* a leap second may end the day */
	t = timegm(&tm);
	if (tm.tm_mday != written->tm_mday)
		return -EINVAL; /* timegm made 2 March of 30 February */
	*real_ms = ((int64_t)t + written->tm_sec) * MS_PER_SEC + ms;
	return 0;
}

int clock_parse_rfc3339(const char *text, int64_t *real_ms)
{
	struct tm tm = {0};
	const char *p = text;
	int ms;

	if (!take_digits(&p, 4, &tm.tm_year) || !take_text(&p, "-") ||
	    !take_digits(&p, 2, &tm.tm_mon) || !take_text(&p, "-") ||
	    !take_digits(&p, 2, &tm.tm_mday) || !take_text(&p, "T") ||
	    !take_digits(&p, 2, &tm.tm_hour) || !take_text(&p, ":") ||
	    !take_digits(&p, 2, &tm.tm_min) || !take_text(&p, ":") ||
	    !take_digits(&p, 2, &tm.tm_sec) || !take_fraction(&p, &ms) ||
	    !take_text(&p, "Z") || *p != '\0')
		return -EINVAL;
	return join_ms(&tm, ms, real_ms);
}

int clock_parse_http_date(const char *text, int64_t *real_ms)
{
	struct tm tm = {0};
	const char *p = text;

	if (!take_name(&p, day_names, 7, &tm.tm_wday) || !take_text(&p, ", ") ||
	    !take_digits(&p, 2, &tm.tm_mday) || !take_text(&p, " ") ||
	    !take_name(&p, month_names, 12, &tm.tm_mon) ||
	    !take_text(&p, " ") || !take_digits(&p, 4, &tm.tm_year) ||
	    !take_text(&p, " ") || !take_digits(&p, 2, &tm.tm_hour) ||
	    !take_text(&p, ":") || !take_digits(&p, 2, &tm.tm_min) ||
	    !take_text(&p, ":") || !take_digits(&p, 2, &tm.tm_sec) ||
	    !take_text(&p, " GMT") || *p != '\0')
		return -EINVAL;
	tm.tm_mon++;
	return join_ms(&tm, 0, real_ms);
}

int clock_parse_iso_basic(const char *text, int64_t *real_ms)
{
	struct tm tm = {0};
	const char *p = text;

	if (!take_digits(&p, 4, &tm.tm_year) ||
	    !take_digits(&p, 2, &tm.tm_mon) ||
	    !take_digits(&p, 2, &tm.tm_mday) || !take_text(&p, "T") ||
	    !take_digits(&p, 2, &tm.tm_hour) ||
	    !take_digits(&p, 2, &tm.tm_min) ||
	    !take_digits(&p, 2, &tm.tm_sec) || !take_text(&p, "Z") ||
	    *p != '\0')
		return -EINVAL;
	return join_ms(&tm, 0, real_ms);
}
