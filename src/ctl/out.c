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
#include "util/buf.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/log.h"
#include "util/strnum.h"

enum { ANSWER_SHOWN = 120 };

void db_closep(struct db **db)
{
	db_close(*db);
}

/* -- JSON ---------------------------------------------------------------------- */

json_t *json_time(int64_t real_ms)
{
	char text[CLOCK_TEXT_LEN];

	return real_ms > 0 ? json_string(clock_rfc3339(text, real_ms))
			   : json_null();
}

json_t *json_text(const char *text)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	uint32_t code;

	if (!text)
		return json_null();
	if (utf8_is_valid(text, strlen(text)))
		return json_string(text);
	while (*text) {
		size_t n = utf8_next(text, strlen(text), &code);

		if (n)
			buf_add(&b, text, n);
		else
			buf_addf(&b, "\\x%02x", (unsigned char)*text);
		text += n ? n : 1;
	}
	return json_string(buf_str(&b));
}

/* The answer byte for byte: as text where it is text, else in base64. */
static void add_response(json_t *o, const struct cb_record *r)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	json_t *text = NULL;

	if (!r->response) {
		json_object_set_new(o, "response", json_null());
		return;
	}
	text = json_stringn(r->response, r->response_len);
	if (text) {
		json_object_set_new(o, "response", text);
		return;
	}
	base64_encode(&b, r->response, r->response_len);
	json_object_set_new(o, "response_base64", json_string(buf_str(&b)));
}

static void add_sent(json_t *o, const struct cb_record *r)
{
	json_t *vars = json_object();

	for (size_t i = 0; i < r->vars.count; i++)
		json_object_set_new(vars, r->vars.items[i].name,
				    json_text(r->vars.items[i].value));
	json_object_set_new(o, "url", json_text(r->url));
	json_object_set_new(o, "host", json_text(r->host));
	json_object_set_new(o, "body", json_text(r->body));
	json_object_set_new(o, "body_type", json_text(r->body_type));
	json_object_set_new(o, "vars", vars);
	json_object_set_new(o, "rule", json_text(r->rule));
	json_object_set_new(o, "uid", json_integer(r->uid));
	json_object_set_new(o, "process", json_text(r->process));
}

static void add_object(json_t *o, const struct cb_record *r)
{
	const struct object_id *id = &r->object;

	json_object_set_new(o, "etag", json_text(id->etag));
	json_object_set_new(o, "size", json_integer((json_int_t)id->size));
	json_object_set_new(o, "modified", json_time(id->modified_ms));
	json_object_set_new(
		o, "version_id",
		json_text(id->version_id[0] ? id->version_id : NULL));
}

char *record_json(const struct cb_record *r)
{
	json_t *o = json_object();
	char *text;

	json_object_set_new(o, "id", json_integer(r->id));
	json_object_set_new(o, "time", json_time(r->time_ms));
	json_object_set_new(o, "key", json_text(r->key));
	json_object_set_new(o, "state",
			    json_string(callback_state_name(
				    (enum callback_state)r->state)));
	json_object_set_new(o, "delivery_id", json_text(r->delivery_id));
	json_object_set_new(o, "attempt", json_integer(r->attempt));
	json_object_set_new(o, "elapsed_ms", json_integer(r->elapsed_ms));
	json_object_set_new(o, "oss_status", json_integer(r->oss_status));
	json_object_set_new(o, "server_status", json_integer(r->server_status));
	add_response(o, r);
	json_object_set_new(o, "response_type", json_text(r->response_type));
	json_object_set_new(o, "error", json_text(r->error));
	json_object_set_new(o, "error_code", json_text(r->error_code));
	json_object_set_new(o, "ec", json_text(r->ec));
	json_object_set_new(o, "request_id", json_text(r->request_id));
	json_object_set_new(o, "next_try", json_time(r->next_try_ms));
	json_object_set_new(o, "give_up", json_time(r->give_up_ms));
	json_object_set_new(o, "given_up", json_boolean(r->given_up));
	add_object(o, r);
	add_sent(o, r);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
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
