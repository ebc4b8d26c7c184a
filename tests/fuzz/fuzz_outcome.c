/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to uploads with a callback.  The first byte picks the status, then
 * come message, EC code and body, a line feed between each.
 *
 * Promises: an outcome is ok or failed; an answer is kept byte for byte; a
 * status is one of HTTP.
 */
#include "callback/outcome.h"
#include "fuzz.h"

static char *next(char **rest)
{
	return *rest ? strsep(rest, "\n") : NULL;
}

static void check(int http, const char *message, const char *ec,
		  const struct buf *body)
{
	AUTO(callback_outcome_release)
	struct callback_outcome o = {.state = CALLBACK_NONE};
	enum callback_state parsed;
	const char *advice;

	PROMISE(callback_outcome_read(http, body, "application/json",
				      "CallbackFailed", message, ec, "5C3D",
				      &o) == 0);
	PROMISE(o.state == CALLBACK_OK || o.state == CALLBACK_FAILED);
	PROMISE(http == 200 || o.state == CALLBACK_FAILED);
	PROMISE(o.server_status == 0 ||
		(o.server_status >= 100 && o.server_status <= 999));
	PROMISE((o.state == CALLBACK_OK) == (o.response != NULL));
	if (o.response)
		PROMISE(o.response_len == body->len &&
			memcmp(o.response, buf_str(body), body->len) == 0);
	PROMISE(!callback_is_server_down(&o) || o.state == CALLBACK_FAILED);
	advice = callback_advice(message, ec);
	PROMISE(!advice || advice[0]);
	PROMISE(!message || callback_state_parse(message, &parsed) < 0 ||
		strcmp(callback_state_name(parsed), message) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 203, 204, 500};
	AUTO(buf_release) struct buf body = BUF_INIT;
	char *text, *rest, *message, *ec;

	if (size == 0)
		return 0;
	text = fuzz_text(data + 1, size - 1);
	rest = text;
	message = next(&rest);
	ec = next(&rest);
	if (rest)
		buf_add(&body, rest, size - 1 - (size_t)(rest - text));
	check(statuses[data[0] % 4], message, ec, &body);
	free(text);
	return 0;
}
