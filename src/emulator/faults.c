/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/faults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/glob.h"
#include "util/lock.h"

enum { GLOB_MAX = 256 };

#define POLL_MS 100
#define NS_PER_MS INT64_C(1000000)

struct rule {
	struct fault fault;
	char operation[GLOB_MAX];
	char bucket[GLOB_MAX];
	char key[GLOB_MAX]; /* "": any */
	uint64_t skip;      /* matches to let pass first */
	uint64_t count;     /* hits left; UINT64_MAX: no limit */
	double probability;
	uint64_t seed; /* state of this rule's random numbers */
	uint64_t matches;
	uint64_t hits;
	struct rule *next;
};

struct faults {
	struct lock lock; /* guards everything below */
	struct cond changed;
	struct rule *first;
	uint64_t last_id;
	bool stopped;
};

static const struct {
	const char *name;
	enum fault_kind kind;
} kinds[] = {
	{"none",         FAULT_NONE        },
	{"status",       FAULT_STATUS      },
	{"html",         FAULT_HTML        },
	{"garbage",      FAULT_GARBAGE     },
	{"reset_before", FAULT_RESET_BEFORE},
	{"reset_during", FAULT_RESET_DURING},
	{"reset_stored", FAULT_RESET_STORED},
	{"reset_after",  FAULT_RESET_AFTER },
	{"stall",        FAULT_STALL       },
	{"stall_after",  FAULT_STALL_AFTER },
	{"latency",      FAULT_LATENCY     },
	{"bandwidth",    FAULT_BANDWIDTH   },
	{"trickle",      FAULT_TRICKLE     },
	{"truncate",     FAULT_TRUNCATE    },
	{"wrong_crc",    FAULT_WRONG_CRC   },
	{"corrupt",      FAULT_CORRUPT     },
	{"skip",         FAULT_SKIP        },
	{"timeout",      FAULT_TIMEOUT     },
	{"refuse",       FAULT_REFUSE      },
};

const char *fault_kind_name(enum fault_kind k)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == k)
			return kinds[i].name;
	return "none";
}

int faults_new(struct faults **out)
{
	struct faults *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	lock_init(&f->lock, LOCK_LEAF);
	cond_init(&f->changed);
	*out = f;
	return 0;
}

void faults_free(struct faults *f)
{
	if (!f)
		return;
	while (f->first) {
		struct rule *r = f->first;

		f->first = r->next;
		free(r);
	}
	cond_destroy(&f->changed);
	lock_destroy(&f->lock);
	free(f);
}

/* ---- rules from JSON ---- */

static int take_text(const json_t *j, const char *name, char *out, size_t size)
{
	const json_t *v = json_object_get(j, name);

	if (!v)
		return 0;
	if (!json_is_string(v) || json_string_length(v) >= size)
		return -EINVAL;
	snprintf(out, size, "%s", json_string_value(v));
	return 0;
}

static int take_number(const json_t *j, const char *name, uint64_t *out)
{
	const json_t *v = json_object_get(j, name);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EINVAL;
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

static int take_kind(const json_t *j, struct rule *r)
{
	const char *name = json_string_value(json_object_get(j, "fault"));

	for (size_t i = 1; name && i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			r->fault.kind = kinds[i].kind;
			return 0;
		}
	}
	return -EINVAL;
}

static int take_globs(const json_t *j, struct rule *r, const char **why)
{
	*why = "operation, bucket and key are globs below 256 bytes";
	if (take_text(j, "operation", r->operation, GLOB_MAX) < 0 ||
	    take_text(j, "bucket", r->bucket, GLOB_MAX) < 0 ||
	    take_text(j, "key", r->key, GLOB_MAX) < 0)
		return -EINVAL;
	if (glob_check(r->operation, why) < 0 ||
	    (*r->bucket && glob_check(r->bucket, why) < 0) ||
	    (*r->key && glob_check(r->key, why) < 0))
		return -EINVAL;
	return 0;
}

static int take_numbers(const json_t *j, struct rule *r, const char **why)
{
	const json_t *p = json_object_get(j, "probability");
	uint64_t ms = 0;
	uint64_t status = 500;

	*why = "count, skip, seed, ms, bytes, rate, status are numbers, not "
	       "negative; probability lies between 0 and 1";
	if (take_number(j, "count", &r->count) < 0 ||
	    take_number(j, "skip", &r->skip) < 0 ||
	    take_number(j, "seed", &r->seed) < 0 ||
	    take_number(j, "ms", &ms) < 0 ||
	    take_number(j, "bytes", &r->fault.bytes) < 0 ||
	    take_number(j, "rate", &r->fault.rate) < 0 ||
	    take_number(j, "status", &status) < 0 || status > 999)
		return -EINVAL;
	if (p && (!json_is_number(p) || json_number_value(p) < 0 ||
		  json_number_value(p) > 1))
		return -EINVAL;
	if (p)
		r->probability = json_number_value(p);
	r->fault.ms = (int64_t)ms;
	r->fault.status = (int)status;
	return 0;
}

static const char *default_code(int status)
{
	switch (status) {
	case 400:
		return "InvalidArgument";
	case 403:
		return "AccessDenied";
	case 404:
		return "NoSuchKey";
	case 503:
		return "ServiceUnavailable";
	default:
		return "InternalError";
	}
}

static int take_texts(const json_t *j, struct rule *r, const char **why)
{
	struct fault *f = &r->fault;

	*why = "code, message and body are short texts";
	snprintf(f->code, sizeof(f->code), "%s", default_code(f->status));
	snprintf(f->message, sizeof(f->message), "Injected fault.");
	snprintf(f->body, sizeof(f->body), "{\"Status\":\"OK\"}");
	if (take_text(j, "code", f->code, sizeof(f->code)) < 0 ||
	    take_text(j, "message", f->message, sizeof(f->message)) < 0 ||
	    take_text(j, "body", f->body, sizeof(f->body)) < 0)
		return -EINVAL;
	return 0;
}

static int rule_from_json(const json_t *j, struct rule *r, const char **why)
{
	static const char *const names[] = {
		"operation", "bucket", "key",     "fault", "count",
		"skip",      "seed",   "ms",      "bytes", "rate",
		"status",    "code",   "message", "body",  "probability"};
	size_t known = 0;

	*why = "a rule is an object of known fields";
	if (!json_is_object(j))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		known += json_object_get(j, names[i]) != NULL;
	if (known != json_object_size(j))
		return -EINVAL;
	r->count = UINT64_MAX;
	r->probability = 1;
	r->seed = 1;
	snprintf(r->operation, sizeof(r->operation), "*");
	*why = "no such fault";
	if (take_kind(j, r) < 0)
		return -EINVAL;
	if (take_globs(j, r, why) < 0 || take_numbers(j, r, why) < 0)
		return -EINVAL;
	return take_texts(j, r, why);
}

static void append(struct faults *f, struct rule *r) ACK_REQUIRES(f->lock)
{
	struct rule **link = &f->first;

	while (*link)
		link = &(*link)->next;
	*link = r;
	r->fault.rule = ++f->last_id;
}

static int add_one(struct faults *f, const json_t *j, json_t *ids,
		   const char **why)
{
	struct rule *r = calloc(1, sizeof(*r));
	json_int_t id;
	int rc;

	if (!r)
		return -ENOMEM;
	rc = rule_from_json(j, r, why);
	if (rc < 0) {
		free(r);
		return rc;
	}
	lock_acquire(&f->lock);
	append(f, r);
	id = (json_int_t)r->fault.rule;
	lock_release(&f->lock);
	return json_array_append_new(ids, json_integer(id)) ? -ENOMEM : 0;
}

int faults_add(struct faults *f, const json_t *rules, json_t **ids,
	       const char **why)
{
	json_t *list = json_array();
	int rc = list ? 0 : -ENOMEM;

	*why = "out of memory";
	if (!rc && json_is_array(rules))
		for (size_t i = 0; !rc && i < json_array_size(rules); i++)
			rc = add_one(f, json_array_get(rules, i), list, why);
	else if (!rc)
		rc = add_one(f, rules, list, why);
	if (rc < 0) {
		json_decref(list);
		return rc;
	}
	*ids = list;
	return 0;
}

void faults_clear(struct faults *f, uint64_t id)
{
	struct rule **link;

	lock_acquire(&f->lock);
	link = &f->first;
	while (*link) {
		struct rule *r = *link;

		if (id && r->fault.rule != id) {
			link = &r->next;
			continue;
		}
		*link = r->next;
		free(r);
	}
	cond_broadcast(&f->changed);
	lock_release(&f->lock);
}

json_t *faults_list(struct faults *f)
{
	json_t *list = json_array();

	lock_acquire(&f->lock);
	for (const struct rule *r = f->first; list && r; r = r->next) {
		json_t *j = json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:f}",
				      "id", (json_int_t)r->fault.rule, "fault",
				      fault_kind_name(r->fault.kind),
				      "operation", r->operation, "key", r->key,
				      "matches", (json_int_t)r->matches, "hits",
				      (json_int_t)r->hits, "probability",
				      r->probability);

		if (j && r->count != UINT64_MAX)
			json_object_set_new(j, "left",
					    json_integer((json_int_t)r->count));
		json_array_append_new(list, j);
	}
	lock_release(&f->lock);
	return list;
}

/* ---- hits ---- */

/* splitmix64: the same seed gives the same sequence of hits. */
static double random_unit(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	z ^= z >> 31;
	return (double)(z >> 11) * 0x1.0p-53;
}

static bool fits(const struct rule *r, const char *operation,
		 const char *bucket, const char *key)
{
	return glob_match(r->operation, operation, NULL) &&
	       (!*r->bucket || glob_match(r->bucket, bucket, NULL)) &&
	       (!*r->key || glob_match(r->key, key, NULL));
}

static bool is_due(struct rule *r)
{
	r->matches++;
	if (r->skip) {
		r->skip--;
		return false;
	}
	if (!r->count ||
	    (r->probability < 1 && random_unit(&r->seed) >= r->probability))
		return false;
	if (r->count != UINT64_MAX)
		r->count--;
	r->hits++;
	return true;
}

bool faults_hit(struct faults *f, const char *operation, const char *bucket,
		const char *key, struct fault *out)
{
	bool hit = false;

	out->kind = FAULT_NONE;
	lock_acquire(&f->lock);
	for (struct rule *r = f->first; r && !hit; r = r->next) {
		if (fits(r, operation, bucket, key) && is_due(r)) {
			*out = r->fault;
			hit = true;
		}
	}
	lock_release(&f->lock);
	return hit;
}

/* ---- stalls ---- */

static bool rule_exists(const struct faults *f, uint64_t id)
	ACK_REQUIRES(f->lock)
{
	const struct rule *r = f->first;

	while (r && r->fault.rule != id)
		r = r->next;
	return r != NULL;
}

static int64_t end_of_stall(int64_t ms)
{
	if (!ms || ms > INT64_MAX / 2 / NS_PER_MS)
		return INT64_MAX; /* in centuries */
	return clock_mono_ns() + ms * NS_PER_MS;
}

bool faults_stall(struct faults *f, uint64_t rule, int64_t ms,
		  bool (*is_gone)(int fd), int fd)
{
	int64_t end = end_of_stall(ms);
	bool gone = false;

	lock_acquire(&f->lock);
	while (!f->stopped && !gone && (!rule || rule_exists(f, rule))) {
		int64_t now = clock_mono_ns();
		int64_t next = now + POLL_MS * NS_PER_MS;

		if (now >= end)
			break;
		cond_wait_until_ns(&f->changed, &f->lock,
				   next < end ? next : end);
		gone = is_gone && is_gone(fd);
	}
	gone |= f->stopped;
	lock_release(&f->lock);
	return !gone;
}

void faults_stop(struct faults *f)
{
	lock_acquire(&f->lock);
	f->stopped = true;
	cond_broadcast(&f->changed);
	lock_release(&f->lock);
}
