/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/outcome.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "util/base.h"

static const char *const state_names[] = {
	[CALLBACK_NONE] = "none",     [CALLBACK_OK] = "ok",
	[CALLBACK_FAILED] = "failed", [CALLBACK_PENDING] = "pending",
	[CALLBACK_HELD] = "held",     [CALLBACK_UNKNOWN] = "unknown",
};

const char *callback_state_name(enum callback_state s)
{
	return state_names[s];
}

int callback_state_parse(const char *text, enum callback_state *out)
{
	for (size_t i = 0; i < ARRAY_LEN(state_names); i++) {
		if (strcmp(text, state_names[i]) == 0) {
			*out = (enum callback_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

void callback_outcome_release(struct callback_outcome *o)
{
	free(o->response);
	free(o->response_type);
	free(o->error);
	free(o->error_code);
	free(o->ec);
	free(o->request_id);
	*o = (struct callback_outcome){.state = CALLBACK_NONE};
}

/* "Error status : 502." and "Error Status : 400.User server ..." name the
 * application's status; -1 means that it gave none (oss-protocol 3.9). */
static int status_of(const char *message)
{
	static const char words[] = "error status";
	const char *p = message;
	int status = 0;

	if (strncasecmp(p, words, sizeof(words) - 1) != 0)
		return 0;
	p += sizeof(words) - 1;
	while (*p == ' ' || *p == ':')
		p++;
	for (int i = 0; i < 3; i++, p++) {
		if (!isdigit((unsigned char)*p))
			return 0;
		status = status * 10 + (*p - '0');
	}
	return isdigit((unsigned char)*p) || status < 100 ? 0 : status;
}

static int set_text(char **to, const char *text)
{
	return text && text[0] ? str_set(to, text) : 0;
}

static int read_failure(const char *code, const char *message, const char *ec,
			struct callback_outcome *o)
{
	o->state = CALLBACK_FAILED;
	o->server_status = status_of(message ? message : "");
	if (!message || !message[0])
		message = "OSS gave no reason that can be read.";
	if (set_text(&o->error_code, code) < 0 ||
	    set_text(&o->error, message) < 0 || set_text(&o->ec, ec) < 0)
		return -ENOMEM;
	return 0;
}

/* Did the application answer this, or OSS itself? */
static bool is_from_oss(const struct buf *body)
{
	static const char root[] = "<CompleteMultipartUploadResult";
	const char *text = buf_str(body);

	text += strspn(text, " \t\r\n");
	if (strncmp(text, "<?xml", 5) == 0) {
		const char *end = strstr(text, "?>");

		text = end ? end + 2 : text;
		text += strspn(text, " \t\r\n");
	}
	return strncmp(text, root, sizeof(root) - 1) == 0;
}

static int read_answer(const struct buf *body, const char *body_type,
		       struct callback_outcome *o)
{
	if (!body || body->len == 0 || is_from_oss(body))
		return read_failure(
			"NotPerformed",
			"OSS stored the object and answered without the application's answer: it did not perform the callback.",
			NULL, o);
	o->state = CALLBACK_OK;
	o->server_status = 200; /* OSS takes no other for a success */
	o->response = malloc(body->len + 1);
	if (!o->response)
		return -ENOMEM;
	memcpy(o->response, body->data, body->len);
	o->response[body->len] = '\0';
	o->response_len = body->len;
	return set_text(&o->response_type, body_type);
}

int callback_outcome_read(int http, const struct buf *body,
			  const char *body_type, const char *code,
			  const char *message, const char *ec,
			  const char *request_id, struct callback_outcome *out)
{
	AUTO(callback_outcome_release)
	struct callback_outcome o = {.oss_status = http};
	int rc;

	if (http == 200)
		rc = read_answer(body, body_type, &o);
	else
		rc = read_failure(code, message, ec, &o);
	if (rc == 0)
		rc = set_text(&o.request_id, request_id);
	if (rc < 0)
		return rc;
	*out = o;
	o = (struct callback_outcome){.state = CALLBACK_NONE};
	return 0;
}

static bool has_words(const char *text, const char *words)
{
	return text && strcasestr(text, words) != NULL;
}

bool callback_is_server_down(const struct callback_outcome *o)
{
	if (o->state != CALLBACK_FAILED)
		return false;
	if (o->server_status >= 500 || o->server_status == 429)
		return true;
	return has_words(o->error, "can not connect") ||
	       has_words(o->error, "timeout") ||
	       has_words(o->error, "too long time") ||
	       has_words(o->error, "too many callback requests") ||
	       has_words(o->error, "error status : -1");
}
