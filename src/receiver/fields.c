/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/fields.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "util/codec.h"

static void json_freep(json_t **j)
{
	json_decref(*j);
}

static bool type_is(const char *content_type, const char *want)
{
	size_t len = strcspn(content_type, "; \t");

	return len == strlen(want) && !strncasecmp(content_type, want, len);
}

static int parse_json(const void *body, size_t len, json_t **out)
{
	/* A CRC-64 may arrive as a bare number, beyond a signed 64-bit one:
	 * then all numbers are read as floating point. */
	static const size_t flags[] = {
		JSON_ALLOW_NUL, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		AUTO(json_freep) json_t *j = NULL;

		j = json_loadb(body, len, flags[i], NULL);
		if (json_is_object(j)) {
			*out = take_ptr(j);
			return 0;
		}
	}
	return -EINVAL;
}

static int decode(struct buf *out, const char *text, size_t len)
{
	if (percent_decode(out, text, len, true) == 0 &&
	    utf8_is_valid(buf_str(out), out->len))
		return buf_error(out);
	buf_reset(out);
	buf_add(out, text, len);
	if (buf_error(out))
		return buf_error(out);
	return utf8_is_valid(text, len) ? 0 : -EINVAL;
}

/* One "name=value"; a bare "name" has the empty value. */
static int add_pair(json_t *fields, const char *text, size_t len)
{
	AUTO(buf_release) struct buf name = BUF_INIT;
	AUTO(buf_release) struct buf value = BUF_INIT;
	const char *eq = memchr(text, '=', len);
	size_t name_len = eq ? (size_t)(eq - text) : len;
	int rc;

	rc = decode(&name, text, name_len);
	if (rc < 0)
		return rc;
	if (eq) {
		rc = decode(&value, eq + 1, len - name_len - 1);
		if (rc < 0)
			return rc;
	}
	if (json_object_get(fields, buf_str(&name)))
		return 0;
	if (json_object_set_new(fields, buf_str(&name),
				json_stringn(buf_str(&value), value.len)) < 0)
		return -ENOMEM;
	return 0;
}

static int parse_form(const char *body, size_t len, json_t **out)
{
	AUTO(json_freep) json_t *fields = json_object();
	const char *end = body + len;
	int rc;

	if (!fields)
		return -ENOMEM;
	while (body < end) {
		const char *amp = memchr(body, '&', (size_t)(end - body));
		const char *stop = amp ? amp : end;

		if (stop > body) {
			rc = add_pair(fields, body, (size_t)(stop - body));
			if (rc < 0)
				return rc;
		}
		body = amp ? amp + 1 : end;
	}
	*out = take_ptr(fields);
	return 0;
}

int fields_parse(const char *content_type, const void *body, size_t len,
		 json_t **out)
{
	/* An empty body may have no address; the parsers want one. */
	const char *text = len ? body : "";

	if (!content_type ||
	    type_is(content_type, "application/x-www-form-urlencoded"))
		return parse_form(text, len, out);
	if (type_is(content_type, "application/json"))
		return parse_json(text, len, out);
	return -EINVAL;
}

int fields_text(const json_t *fields, const char *name, struct buf *text)
{
	const json_t *field = json_object_get(fields, name);
	char *dump;

	if (!field)
		return -ENOENT;
	if (json_is_null(field))
		return 0;
	if (json_is_string(field)) {
		buf_add(text, json_string_value(field),
			json_string_length(field));
		return buf_error(text);
	}
	dump = json_dumps(field, JSON_COMPACT | JSON_ENCODE_ANY);
	if (!dump)
		return -ENOMEM;
	buf_adds(text, dump);
	free(dump);
	return buf_error(text);
}
