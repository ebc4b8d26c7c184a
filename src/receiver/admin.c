/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#define DELAY_MAX_MS (INT64_C(600) * 1000)

static void json_freep(json_t **j)
{
	json_decref(*j);
}

bool admin_is_target(const char *target)
{
	return !strncmp(target, "/-/", 3);
}

static void add_stats(const struct callback_stats *n, struct buf *reply)
{
	buf_addf(reply,
		 "{\"received\":%" PRIuFAST64 ",\"verified\":%" PRIuFAST64
		 ",\"forged\":%" PRIuFAST64 ",\"undecided\":%" PRIuFAST64
		 ",\"duplicates\":%" PRIuFAST64 ",\"failed\":%" PRIuFAST64
		 "}\n",
		 n->received, n->verified, n->forged, n->undecided,
		 n->duplicates, n->failed);
}

/* An integer member in [min, max]; missing leaves *out alone. */
static int member(const json_t *j, const char *name, int64_t min, int64_t max,
		  int64_t *out)
{
	const json_t *m = json_object_get(j, name);

	if (!m)
		return 0;
	if (!json_is_integer(m) || json_integer_value(m) < min ||
	    json_integer_value(m) > max)
		return -EINVAL;
	*out = json_integer_value(m);
	return 0;
}

static int parse_override(const json_t *j, struct answer_override *out)
{
	int64_t status = 200, delay_ms = 0, count = 0, percent = 100;

	if (member(j, "status", 200, 599, &status) < 0 ||
	    member(j, "delay_ms", 0, DELAY_MAX_MS, &delay_ms) < 0 ||
	    member(j, "count", 0, INT64_MAX, &count) < 0 ||
	    member(j, "percent", 0, 100, &percent) < 0)
		return -EINVAL;
	out->status = (unsigned)status;
	out->delay_ms = delay_ms;
	out->count = (uint64_t)count;
	out->percent = (unsigned)percent;
	return 0;
}

static unsigned set_answer(struct answers *a, const struct buf *body,
			   struct buf *reply)
{
	AUTO(json_freep) json_t *j = NULL;
	struct answer_override o;

	j = json_loadb(buf_str(body), body->len, 0, NULL);
	if (!json_is_object(j) || parse_override(j, &o) < 0) {
		buf_adds(reply,
			 "{\"error\":\"want an object of integers: "
			 "status 200-599, delay_ms, count, percent\"}\n");
		return 400;
	}
	answers_override(a, json_object_size(j) ? &o : NULL);
	buf_adds(reply, "{\"Status\":\"OK\"}\n");
	return 200;
}

unsigned admin_handle(struct callback_service *s, const char *method,
		      const char *target, const struct buf *body,
		      struct buf *reply)
{
	bool is_post = !strcmp(method, "POST");

	if (!strcmp(target, "/-/stats") && !is_post) {
		add_stats(&s->stats, reply);
		return 200;
	}
	if (!strcmp(target, "/-/answer") && is_post)
		return set_answer(s->answers, body, reply);
	buf_adds(reply, "{\"error\":\"GET /-/stats or POST /-/answer\"}\n");
	return 404;
}
