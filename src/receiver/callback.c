/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/callback.h"

#include <errno.h>
#include <string.h>

#include "receiver/fields.h"
#include "receiver/verify.h"
#include "util/clock.h"

/* When a signature does not match a key older than this, OSS may have changed
 * the key; younger ones are believed, so that forgers cause few fetches. */
#define KEY_DOUBT_MS 10000

enum judgement {
	GENUINE,
	FORGED,
	DOUBTFUL, /* forged, unless the key has changed */
	UNDECIDED,
};

static void json_freep(json_t **j)
{
	json_decref(*j);
}

static void key_putp(struct verify_key **k)
{
	verify_key_put(*k);
}

static enum judgement key_missing(int rc, const char **reason)
{
	switch (rc) {
	case -EINVAL:
		*reason = "x-oss-pub-key-url is missing or no address";
		return FORGED;
	case -EACCES:
		*reason = "x-oss-pub-key-url is not a trusted address";
		return FORGED;
	default:
		*reason = "the public key cannot be had now";
		return UNDECIDED;
	}
}

static enum judgement judge_with(const struct verify_key *key,
				 const struct callback_in *in,
				 const char **reason)
{
	struct callback_request req = {
		.target = in->target,
		.body = in->body->data,
		.body_len = in->body->len,
		.authorization = kvs_get(in->headers, "Authorization"),
	};
	enum verdict v = verify_callback(key, &req);

	*reason = verdict_text(v);
	switch (v) {
	case VERDICT_GENUINE:
		return GENUINE;
	case VERDICT_BAD_SIGNATURE:
		return DOUBTFUL;
	case VERDICT_FAILED:
		return UNDECIDED;
	case VERDICT_UNSIGNED:
	case VERDICT_BAD_TARGET:
		break;
	}
	return FORGED;
}

static enum judgement judge(struct keycache *keys, const struct callback_in *in,
			    const char **reason)
{
	static const int64_t max_age_ms[] = {INT64_MAX, KEY_DOUBT_MS};
	const char *key_url = kvs_get(in->headers, "x-oss-pub-key-url");

	for (size_t i = 0; i < ARRAY_LEN(max_age_ms); i++) {
		AUTO(key_putp) struct verify_key *key = NULL;
		enum judgement j;
		int rc;

		rc = keycache_get(keys, key_url, max_age_ms[i], &key);
		if (rc < 0)
			return key_missing(rc, reason);
		j = judge_with(key, in, reason);
		if (j != DOUBTFUL)
			return j;
	}
	return FORGED;
}

static void refuse(struct answer *out, unsigned status, const char *reason)
{
	out->status = status;
	buf_reset(&out->body);
	buf_addf(&out->body, "{\"Status\":\"refused\",\"reason\":\"%s\"}",
		 reason);
}

/* The delivery id in id, or NULL. */
static const char *delivery_id(const json_t *fields, const char *name,
			       struct buf *id)
{
	if (fields_text(fields, name, id) < 0 || id->len == 0 ||
	    memchr(id->data, '\0', id->len))
		return NULL;
	return buf_str(id);
}

static void count(struct callback_stats *n, enum judgement j,
		  const struct answer *out)
{
	n->received++;
	switch (j) {
	case GENUINE:
		n->verified++;
		n->duplicates += out->is_duplicate;
		n->failed += out->status != 200;
		break;
	case FORGED:
	case DOUBTFUL:
		n->forged++;
		break;
	case UNDECIDED:
		n->undecided++;
		break;
	}
}

void callback_handle(struct callback_service *s, const struct callback_in *in,
		     struct answer *out)
{
	AUTO(buf_release) struct buf id_text = BUF_INIT;
	AUTO(json_freep) json_t *fields = NULL;
	const char *reason = "";
	const char *id;
	enum judgement j;

	*out = (struct answer){.body = BUF_INIT};
	j = judge(s->keys, in, &reason);
	/* A forged one's fields are read for the line alone. */
	(void)fields_parse(kvs_get(in->headers, "Content-Type"), in->body->data,
			   in->body->len, &fields);
	id = delivery_id(fields, s->id_field, &id_text);
	if (j == FORGED)
		refuse(out, 403, reason);
	else if (j == UNDECIDED)
		refuse(out, 503, reason);
	else if (answers_next(s->answers, id, fields, out) < 0)
		refuse(out, 503, "no memory");
	count(&s->stats, j, out);
	recordlog_write(s->log, &(struct record){
					.time_ms = clock_real_ms(),
					.client = in->client,
					.target = in->target,
					.headers = in->headers,
					.body = in->body,
					.fields = fields,
					.is_verified = j == GENUINE,
					.reason = reason,
					.id = id,
					.is_duplicate = out->is_duplicate,
					.status = out->status,
					.answer = &out->body,
				});
}
