/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/admin.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "emulator/callback_key.h"
#include "emulator/emulator.h"
#include "emulator/keyring.h"
#include "emulator/put.h"
#include "emulator/reqlog.h"
#include "emulator/store.h"
#include "util/strnum.h"

#define PREFIX "/-/"
#define SEED_CHUNK ((size_t)64 << 10)

bool admin_is_path(const char *path)
{
	return strncmp(path, PREFIX, strlen(PREFIX)) == 0;
}

/* ---- answers ---- */

static void answer(struct exchange *x, int status, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	x->is_decided = true;
	reply_status(x, text ? status : 500);
	reply_header(x, "Content-Type", "application/json");
	buf_adds(&x->reply.body, text ? text : "{}");
	buf_addc(&x->reply.body, '\n');
	free(text);
	json_decref(j);
}

static void refuse(struct exchange *x, int status, const char *why)
{
	answer(x, status, json_pack("{s:s}", "error", why));
}

static void done(struct exchange *x)
{
	answer(x, 200, json_object());
}

/* ---- faults, stats, clock ---- */

static void post_faults(struct exchange *x, const json_t *body)
{
	const char *why = "";
	json_t *ids = NULL;

	if (faults_add(x->em->faults, body, &ids, &why) < 0)
		refuse(x, 400, why);
	else
		answer(x, 200, json_pack("{s:o}", "ids", ids));
}

static void get_faults(struct exchange *x, const json_t *body)
{
	(void)body;
	answer(x, 200, faults_list(x->em->faults));
}

static void delete_faults(struct exchange *x, const json_t *body)
{
	const char *text = request_query(&x->req, "id");
	uint64_t id = 0;

	(void)body;
	if (text && parse_u64(text, 1, UINT64_MAX, &id) < 0) {
		refuse(x, 400, "id is a number");
		return;
	}
	faults_clear(x->em->faults, id);
	done(x);
}

static void get_stats(struct exchange *x, const json_t *body)
{
	(void)body;
	answer(x, 200, stats_json(x->em->stats));
}

static void delete_stats(struct exchange *x, const json_t *body)
{
	(void)body;
	stats_reset(x->em->stats);
	done(x);
}

static void post_clock(struct exchange *x, const json_t *body)
{
	const json_t *skew = json_object_get(body, "skew_ms");

	if (!json_is_integer(skew)) {
		refuse(x, 400, "skew_ms is a number");
		return;
	}
	x->em->skew_ms = json_integer_value(skew);
	done(x);
}

/* ---- keys ---- */

static char *text_field(const json_t *j, const char *name)
{
	return str_dup(json_string_value(json_object_get(j, name)));
}

static void post_credentials(struct exchange *x, const json_t *body)
{
	AUTO(credential_release)
	struct credential c = {
		text_field(body, "access_key_id"),
		text_field(body, "access_key_secret"),
		text_field(body, "security_token"),
		json_integer_value(json_object_get(body, "expires")) * 1000,
	};

	if (!c.id || !c.secret) {
		refuse(x, 400, "access_key_id or access_key_secret is missing");
		return;
	}
	if (keyring_set(x->em->keys, &c) < 0)
		refuse(x, 500, "out of memory");
	else
		done(x);
}

static void delete_credentials(struct exchange *x, const json_t *body)
{
	const char *id = request_query(&x->req, "access_key_id");

	(void)body;
	if (!id || !keyring_remove(x->em->keys, id))
		refuse(x, 404, "no such key");
	else
		done(x);
}

/* ---- seeded objects ---- */

/* Bytes that are the same in every run. */
static int write_pattern(struct blob_writer *w, uint64_t size)
{
	AUTO_FREE unsigned char *chunk = malloc(SEED_CHUNK);
	int rc = 0;

	if (!chunk)
		return -ENOMEM;
	for (size_t i = 0; i < SEED_CHUNK; i++)
		chunk[i] = (unsigned char)(i * 31 + (i >> 8));
	while (!rc && w->size < size) {
		uint64_t left = size - w->size;

		rc = blob_writer_add(w, chunk,
				     left < SEED_CHUNK ? (size_t)left
						       : SEED_CHUNK);
	}
	return rc;
}

static int pattern_body(struct exchange *x, uint64_t size, struct body **out,
			unsigned char md5[16])
{
	struct blob_writer w = BLOB_WRITER_INIT;
	struct blob *blob;
	uint64_t crc;
	int rc = blob_writer_open(store_blobs(x->em->store), true, &w);

	if (!rc)
		rc = write_pattern(&w, size);
	if (!rc && !blob_writer_md5(&w, md5))
		rc = -EIO;
	crc = w.crc;
	if (!rc)
		rc = blob_writer_commit(&w, &blob);
	if (rc) {
		blob_writer_abort(&w);
		return rc;
	}
	*out = body_of_blob(blob, size, crc);
	if (!*out)
		blob_put(blob);
	return *out ? 0 : -ENOMEM;
}

static int seed(struct exchange *x, const char *bucket, const char *prefix,
		uint64_t first, uint64_t count, uint64_t size)
{
	AUTO(object_putp) struct object *like = object_new("seed");
	unsigned char md5[16];
	struct body *body;
	int rc = like ? pattern_body(x, size, &body, md5) : -ENOMEM;

	if (rc)
		return rc;
	object_set_body(like, body);
	object_set_md5(like, md5);
	like->mtime_ms = x->now_ms / 1000 * 1000;
	return store_seed(x->em->store, bucket, like, prefix, first, count);
}

static uint64_t number_field(const json_t *j, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(j, name));

	return v > 0 ? (uint64_t)v : 0;
}

static void post_seed(struct exchange *x, const json_t *body)
{
	const char *bucket = json_string_value(json_object_get(body, "bucket"));
	const char *prefix = json_string_value(json_object_get(body, "prefix"));
	int rc;

	if (!bucket || !prefix) {
		refuse(x, 400, "bucket or prefix is missing");
		return;
	}
	rc = seed(x, bucket, prefix, number_field(body, "first"),
		  number_field(body, "count"), number_field(body, "size"));
	if (rc < 0)
		refuse(x, rc == -ENODEV ? 404 : 500, strerror(-rc));
	else
		done(x);
}

/* ---- the callback key ---- */

static void get_key(struct exchange *x, const json_t *body)
{
	(void)body;
	x->is_decided = true;
	reply_status(x, 200);
	reply_header(x, "Content-Type", "application/x-pem-file");
	buf_adds(&x->reply.body, callback_key_pem(x->em->key));
}

/* ---- which ---- */

static const struct {
	const char *method;
	const char *path;
	void (*fn)(struct exchange *x, const json_t *body);
} table[] = {
	{"POST",   PREFIX "faults",      post_faults       },
	{"GET",    PREFIX "faults",      get_faults        },
	{"DELETE", PREFIX "faults",      delete_faults     },
	{"GET",    PREFIX "stats",       get_stats         },
	{"DELETE", PREFIX "stats",       delete_stats      },
	{"POST",   PREFIX "clock",       post_clock        },
	{"POST",   PREFIX "credentials", post_credentials  },
	{"DELETE", PREFIX "credentials", delete_credentials},
	{"POST",   PREFIX "seed",        post_seed         },
	{"GET",    CALLBACK_KEY_PATH,    get_key           },
};

void admin_perform(struct exchange *x)
{
	json_t *body = NULL;
	size_t i;

	if (x->sink.memory.len)
		body = json_loadb(buf_str(&x->sink.memory), x->sink.memory.len,
				  0, NULL);
	for (i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].method, x->req.method) == 0 &&
		    strcmp(table[i].path, x->req.path) == 0)
			break;
	if (i == ARRAY_LEN(table))
		refuse(x, 404,
		       "no such request; ackfs-emulator --help has "
		       "them all");
	else if (!body && strcmp(x->req.method, "POST") == 0)
		refuse(x, 400, "the body is not JSON");
	else
		table[i].fn(x, body);
	json_decref(body);
}
