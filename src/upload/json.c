/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/json.h"

#include <string.h>

#include "callback/outcome.h"
#include "state/cblog.h"
#include "state/staging.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/codec.h"

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

json_t *retrying_json(const struct staging_info *info)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", json_integer(info->id));
	json_object_set_new(o, "key", json_text(info->key));
	json_object_set_new(o, "size", json_integer((json_int_t)info->size));
	json_object_set_new(o, "attempts", json_integer(info->attempts));
	json_object_set_new(o, "error", json_text(info->last_error));
	json_object_set_new(o, "next_try",
			    info->next_try_ms == INT64_MAX
				    ? json_null()
				    : json_time(info->next_try_ms));
	return o;
}
