/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/answer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <uthash.h>

#include "receiver/fields.h"
#include "util/lock.h"
#include "util/uuid.h"

/* What was answered to one delivery id. */
struct seen {
	UT_hash_handle hh;
	size_t size;
	size_t body_len;
	char *body; /* both point into text */
	char *id;
	char text[];
};

struct answers {
	struct answer_conf conf;
	struct lock lock;  /* rank LOCK_LEAF; guards what follows */
	uint64_t done;     /* pieces of work */
	struct seen *seen; /* uthash: oldest first */
	size_t seen_bytes;
	struct answer_override override;
	bool is_overridden;
	uint64_t override_left;
};

static void freep(struct answers **a)
{
	answers_free(*a);
}

int answers_new(const struct answer_conf *conf, struct answers **out)
{
	AUTO(freep) struct answers *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->conf = *conf;
	if (!a->conf.max_count)
		a->conf.max_count = ANSWERS_MAX_COUNT;
	if (!a->conf.max_bytes)
		a->conf.max_bytes = ANSWERS_MAX_BYTES;
	lock_init(&a->lock, LOCK_LEAF);
	*out = take_ptr(a);
	return 0;
}

static void forget(struct answers *a, struct seen *s)
{
	HASH_DEL(a->seen, s);
	a->seen_bytes -= s->size;
	free(s);
}

void answers_free(struct answers *a)
{
	if (!a)
		return;
	while (a->seen)
		forget(a, a->seen);
	lock_destroy(&a->lock);
	free(a);
}

/* The inside of a JSON string that says text. */
static void add_escaped(struct buf *out, const struct buf *text)
{
	json_t *s = json_stringn(buf_str(text), text->len);
	char *dump = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;

	if (dump)
		buf_add(out, dump + 1, strlen(dump) - 2); /* its quotes */
	free(dump);
	json_decref(s);
}

struct placeholders {
	uint64_t n;
	const char *id;
	const json_t *fields;
};

static void add_value(struct buf *out, const char *name,
		      const struct placeholders *p)
{
	AUTO(buf_release) struct buf text = BUF_INIT;

	if (!strcmp(name, "n"))
		buf_addf(&text, "%" PRIu64, p->n);
	else if (!strcmp(name, "id"))
		buf_adds(&text, p->id ? p->id : "");
	else
		(void)fields_text(p->fields, name, &text);
	add_escaped(out, &text);
}

static void expand(struct buf *out, const char *t, const struct placeholders *p)
{
	const char *open;

	while ((open = strstr(t, "%{"))) {
		AUTO(buf_release) struct buf name = BUF_INIT;
		const char *end = strchr(open, '}');

		if (!end)
			break;
		buf_add(out, t, (size_t)(open - t));
		buf_add(&name, open + 2, (size_t)(end - open - 2));
		add_value(out, buf_str(&name), p);
		t = end + 1;
	}
	buf_adds(out, t);
}

int answer_template_check(const char *template)
{
	const char *open = template;

	while ((open = strstr(open, "%{"))) {
		open = strchr(open, '}');
		if (!open)
			return -EINVAL;
	}
	return 0;
}

/* Without memory for it the callback is answered all the same: its repetition
 * would then count as new, which is what "at least once" allows. */
static void remember_locked(struct answers *a, const char *id,
			    const struct buf *body) ACK_REQUIRES(a->lock)
{
	size_t id_len = strlen(id);
	size_t size = sizeof(struct seen) + id_len + 1 + body->len;
	struct seen *s;

	if (size > a->conf.max_bytes)
		return;
	while (a->seen && (a->seen_bytes + size > a->conf.max_bytes ||
			   HASH_COUNT(a->seen) >= a->conf.max_count))
		forget(a, a->seen);
	s = malloc(size);
	if (!s)
		return;
	s->size = size;
	s->id = s->text;
	memcpy(s->id, id, id_len + 1);
	s->body = s->text + id_len + 1;
	s->body_len = body->len;
	memcpy(s->body, buf_str(body), body->len);
	HASH_ADD_KEYPTR(hh, a->seen, s->id, id_len, s);
	if (!s->hh.tbl) /* HASH_NONFATAL_OOM */
		free(s);
	else
		a->seen_bytes += size;
}

/* Status and delay of this callback; uses up one of the override's. */
static void decide_locked(struct answers *a, struct answer *out)
	ACK_REQUIRES(a->lock)
{
	out->status = a->conf.status;
	out->delay_ms = a->conf.delay_ms;
	if (!a->is_overridden)
		return;
	if (random_below(100) < a->override.percent) {
		out->status = a->override.status;
		out->delay_ms = a->override.delay_ms;
	}
	if (a->override_left && --a->override_left == 0)
		a->is_overridden = false;
}

static void fill_locked(struct answers *a, const char *id, const json_t *fields,
			struct answer *out) ACK_REQUIRES(a->lock)
{
	struct placeholders p = {a->done + 1, id, fields};
	struct seen *s = NULL;

	decide_locked(a, out);
	if (id)
		HASH_FIND(hh, a->seen, id, strlen(id), s);
	out->is_duplicate = s != NULL;
	if (s && out->status == 200) {
		buf_add(&out->body, s->body, s->body_len);
		return;
	}
	if (a->conf.verbatim)
		buf_add(&out->body, a->conf.verbatim->data,
			a->conf.verbatim->len);
	else
		expand(&out->body, a->conf.template, &p);
	if (out->status != 200 || buf_error(&out->body))
		return;
	/* Here your server does the work, and commits it with the id. */
	a->done++;
	if (id)
		remember_locked(a, id, &out->body);
}

int answers_next(struct answers *a, const char *id, const json_t *fields,
		 struct answer *out)
{
	struct answer next = {.body = BUF_INIT};
	int rc;

	/* One lock over "seen?" and "remember": two deliveries of one id at
	 * the same time must not both be the first. */
	lock_acquire(&a->lock);
	fill_locked(a, id, fields, &next);
	lock_release(&a->lock);
	rc = buf_error(&next.body);
	if (rc < 0) {
		buf_release(&next.body);
		return rc;
	}
	*out = next;
	return 0;
}

void answers_override(struct answers *a, const struct answer_override *o)
{
	lock_acquire(&a->lock);
	a->is_overridden = o != NULL;
	if (o) {
		a->override = *o;
		a->override_left = o->count;
	}
	lock_release(&a->lock);
}
