/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_store_int.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/crc64.h"

void *fake_alloc(size_t len)
{
	void *p = calloc(1, len ? len : 1);

	if (!p)
		abort();
	return p;
}

char *fake_dup(const char *s)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		abort();
	return copy;
}

struct fake_store *fake_store_new(void)
{
	struct fake_store *f = fake_alloc(sizeof(*f));

	lock_init(&f->lock, LOCK_LEAF);
	cond_init(&f->changed);
	return f;
}

void fake_store_free(struct fake_store *f)
{
	if (!f)
		return;
	fake_store_heal(f);
	for (size_t i = 0; i < f->count; i++)
		fake_object_clear(&f->objects[i]);
	free(f->objects);
	while (f->upload_count)
		fake_upload_drop(f, 0);
	free(f->uploads);
	for (unsigned i = 0; i < f->callback_count; i++) {
		free(f->callbacks[i]->key);
		free(f->callbacks[i]->callback);
		free(f->callbacks[i]->vars);
		free(f->callbacks[i]);
	}
	for (int i = 0; i < FAKE_OPS; i++)
		free(f->blocks[i].key);
	free(f->answer_body);
	free(f->answer_type);
	cond_destroy(&f->changed);
	lock_destroy(&f->lock);
	free(f);
}

struct store fake_store_store(struct fake_store *f)
{
	return (struct store){.ops = &fake_store_ops, .self = f};
}

/* ---- failures ---------------------------------------------------------- */

void fake_store_fail(struct fake_store *f, const struct fake_fault *fault)
{
	struct fault *now;

	lock_acquire(&f->lock);
	now = realloc(f->faults, (f->fault_count + 1) * sizeof(*now));
	if (!now)
		abort();
	f->faults = now;
	now += f->fault_count++;
	*now = (struct fault){.set = *fault};
	now->set.key = fake_dup(fault->key);
	now->set.code = fake_dup(fault->code ? fault->code : "");
	if (now->set.nth < 1)
		now->set.nth = 1;
	if (now->set.times == 0)
		now->set.times = 1;
	lock_release(&f->lock);
}

void fake_store_heal(struct fake_store *f)
{
	lock_acquire(&f->lock);
	for (size_t i = 0; i < f->fault_count; i++) {
		free((char *)(uintptr_t)f->faults[i].set.key);
		free((char *)(uintptr_t)f->faults[i].set.code);
	}
	free(f->faults);
	f->faults = NULL;
	f->fault_count = 0;
	lock_release(&f->lock);
}

/* Every fault counts the calls that it is about; the first that is due wins. */
static void pick_fault_locked(struct call *c)
{
	struct fake_store *f = c->f;

	for (size_t i = 0; i < f->fault_count; i++) {
		struct fault *t = &f->faults[i];
		bool due;

		if (t->set.op != c->op ||
		    (t->set.key && strcmp(t->set.key, c->key) != 0))
			continue;
		t->seen++;
		due = t->seen >= t->set.nth &&
		      (t->set.times < 0 || t->seen < t->set.nth + t->set.times);
		if (due && !c->faulty) {
			c->faulty = true;
			c->fault = t->set;
			(void)snprintf(c->fault_code, sizeof(c->fault_code),
				       "%s", t->set.code);
			c->fault.code = c->fault_code;
		}
	}
}

int fake_call_error(struct call *c, int err, int http, const char *code)
{
	c->reply->http = http;
	(void)snprintf(c->reply->code, sizeof(c->reply->code), "%s", code);
	(void)snprintf(c->reply->message, sizeof(c->reply->message),
		       "the fake store says %s", code);
	return err;
}

static int call_fail(struct call *c)
{
	return fake_call_error(c, c->fault.err, c->fault.http, c->fault.code);
}

static void reply_init(struct call *c)
{
	struct oss_reply *r = c->reply;

	memset(r, 0, sizeof(*r));
	r->attempts = 1;
	r->server_ms = clock_real_ms() / 1000 * 1000;
	(void)snprintf(r->request_id, sizeof(r->request_id), "FAKE%020" PRIX64,
		       ++c->f->serial);
}

int fake_call_begin(struct call *c, struct fake_store *f, enum fake_op op,
		    const char *key, const struct oss_ctl *ctl,
		    struct oss_reply *reply)
{
	int rc;

	*c = (struct call){
		.f = f, .op = op, .key = key, .ctl = ctl, .reply = reply};
	lock_acquire(&f->lock);
	reply_init(c);
	f->calls[op]++;
	pick_fault_locked(c);
	cond_broadcast(&f->changed);
	lock_release(&f->lock);
	if (f->hook)
		f->hook(f->hook_arg, op, key);
	rc = fake_call_stand(c, FAKE_BEFORE);
	if (rc < 0)
		return rc;
	if (c->faulty && !c->fault.stored && c->fault.after_bytes == 0)
		return call_fail(c);
	return 0;
}

int fake_call_end(struct call *c)
{
	int rc;

	c->reply->sent_all = true;
	rc = fake_call_stand(c, FAKE_STORED);
	if (rc < 0)
		return rc;
	if (c->faulty && c->fault.stored)
		return call_fail(c);
	c->reply->http = c->reply->http ? c->reply->http : 200;
	return 0;
}

/* ---- standing still ---------------------------------------------------- */

static int interrupted(struct call *c)
{
	if (!c->ctl)
		return 0;
	if (c->ctl->cancel && atomic_load(c->ctl->cancel))
		return fake_call_error(c, -ECANCELED, 0, "Canceled");
	if (c->ctl->deadline_ms && clock_mono_ms() >= c->ctl->deadline_ms)
		return fake_call_error(c, -ETIMEDOUT, 0, "Timeout");
	return 0;
}

static bool stands_locked(const struct call *c, enum fake_point at)
{
	const struct block *b = &c->f->blocks[c->op];

	return b->on && b->at == at && (!b->key || strcmp(b->key, c->key) == 0);
}

int fake_call_stand(struct call *c, enum fake_point at)
{
	struct fake_store *f = c->f;
	struct block *b = &f->blocks[c->op];
	unsigned epoch;
	int rc;

	lock_acquire(&f->lock);
	rc = interrupted(c);
	epoch = b->epoch;
	if (rc == 0 && stands_locked(c, at)) {
		b->standing++;
		cond_broadcast(&f->changed);
		while (rc == 0 && b->epoch == epoch) {
			/* The caller's cancel flag signals nobody. */
			(void)cond_wait_until(&f->changed, &f->lock,
					      clock_mono_ms() + 5);
			rc = interrupted(c);
		}
		b->standing--;
	}
	lock_release(&f->lock);
	return rc;
}

void fake_store_block(struct fake_store *f, enum fake_op op, const char *key,
		      enum fake_point at, uint64_t bytes)
{
	struct block *b = &f->blocks[op];

	lock_acquire(&f->lock);
	free(b->key);
	b->key = fake_dup(key);
	b->at = at;
	b->bytes = bytes;
	b->on = true;
	lock_release(&f->lock);
}

void fake_store_release(struct fake_store *f, enum fake_op op)
{
	lock_acquire(&f->lock);
	f->blocks[op].on = false;
	f->blocks[op].epoch++;
	cond_broadcast(&f->changed);
	lock_release(&f->lock);
}

static bool wait_for(struct fake_store *f, const unsigned *count, unsigned n,
		     int timeout_ms)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	bool ok = true;

	lock_acquire(&f->lock);
	while (ok && *count < n)
		ok = cond_wait_until(&f->changed, &f->lock, until);
	ok = *count >= n;
	lock_release(&f->lock);
	return ok;
}

bool fake_store_wait_blocked(struct fake_store *f, enum fake_op op, unsigned n,
			     int timeout_ms)
{
	return wait_for(f, &f->blocks[op].standing, n, timeout_ms);
}

bool fake_store_wait_calls(struct fake_store *f, enum fake_op op, unsigned n,
			   int timeout_ms)
{
	return wait_for(f, &f->calls[op], n, timeout_ms);
}

void fake_store_set_hook(struct fake_store *f,
			 void (*fn)(void *arg, enum fake_op op,
				    const char *key),
			 void *arg)
{
	f->hook = fn;
	f->hook_arg = arg;
}

/* Where the body stops for good or for now, else its end. */
static uint64_t next_stop(struct call *c, uint64_t pos, uint64_t size)
{
	uint64_t stop = size;

	if (c->faulty && !c->fault.stored && c->fault.after_bytes > pos &&
	    c->fault.after_bytes < stop)
		stop = c->fault.after_bytes;
	lock_acquire(&c->f->lock);
	if (stands_locked(c, FAKE_SENT) && c->f->blocks[c->op].bytes > pos &&
	    c->f->blocks[c->op].bytes < stop)
		stop = c->f->blocks[c->op].bytes;
	lock_release(&c->f->lock);
	return stop;
}

static void count_in(struct call *c, uint64_t n)
{
	lock_acquire(&c->f->lock);
	c->f->bytes_in += n;
	lock_release(&c->f->lock);
	if (c->ctl && c->ctl->progress)
		atomic_fetch_add(c->ctl->progress, n);
}

/* Read up to stop, in pieces, as a connection takes them. */
static int read_until(struct call *c, const struct oss_source *src, char *to,
		      uint64_t *pos, uint64_t stop)
{
	while (*pos < stop) {
		uint64_t want = stop - *pos < 65536 ? stop - *pos : 65536;
		ssize_t n = src->read(src->arg, to + *pos, want, *pos);
		int rc = interrupted(c);

		if (rc < 0)
			return rc;
		if (n <= 0)
			return fake_call_error(c, n < 0 ? (int)n : -EIO, 0,
					       "SourceFailed");
		*pos += (uint64_t)n;
		count_in(c, (uint64_t)n);
	}
	return 0;
}

int fake_call_read(struct call *c, const struct oss_source *src,
		   struct blob **out)
{
	uint64_t size = src ? src->size : 0;
	struct blob *b = fake_blob_new(NULL, size);
	uint64_t pos = 0;
	int rc = 0;

	while (rc == 0 && pos < size) {
		uint64_t stop = next_stop(c, pos, size);

		rc = read_until(c, src, b->data, &pos, stop);
		if (rc == 0 && c->faulty && !c->fault.stored &&
		    c->fault.after_bytes == pos)
			rc = call_fail(c);
		if (rc == 0 && pos < size)
			rc = fake_call_stand(c, FAKE_SENT);
	}
	c->reply->sent_all = pos == size;
	/* A fault past the end breaks off at the end. */
	if (rc == 0 && c->faulty && !c->fault.stored)
		rc = call_fail(c);
	if (rc == 0)
		rc = fake_call_stand(c, FAKE_SENT);
	if (rc < 0) {
		fake_blob_put(b);
		return rc;
	}
	*out = b;
	return 0;
}

/* ---- counting, callbacks ----------------------------------------------- */

unsigned fake_store_calls(struct fake_store *f, enum fake_op op)
{
	unsigned n;

	lock_acquire(&f->lock);
	n = f->calls[op];
	lock_release(&f->lock);
	return n;
}

unsigned fake_store_calls_total(struct fake_store *f)
{
	unsigned n = 0;

	for (int i = 0; i < FAKE_OPS; i++)
		n += fake_store_calls(f, (enum fake_op)i);
	return n;
}

uint64_t fake_store_bytes_in(struct fake_store *f)
{
	uint64_t n;

	lock_acquire(&f->lock);
	n = f->bytes_in;
	lock_release(&f->lock);
	return n;
}

uint64_t fake_store_bytes_out(struct fake_store *f)
{
	uint64_t n;

	lock_acquire(&f->lock);
	n = f->bytes_out;
	lock_release(&f->lock);
	return n;
}

void fake_store_reset_counts(struct fake_store *f)
{
	lock_acquire(&f->lock);
	memset(f->calls, 0, sizeof(f->calls));
	f->bytes_in = 0;
	f->bytes_out = 0;
	lock_release(&f->lock);
}

unsigned fake_store_callbacks(struct fake_store *f)
{
	unsigned n;

	lock_acquire(&f->lock);
	n = f->callback_count;
	lock_release(&f->lock);
	return n;
}

const struct fake_callback *fake_store_callback(struct fake_store *f,
						unsigned i)
{
	const struct fake_callback *cb;

	lock_acquire(&f->lock);
	cb = i < f->callback_count ? f->callbacks[i] : NULL;
	lock_release(&f->lock);
	return cb;
}

void fake_store_answer(struct fake_store *f, int times, int http,
		       const char *body, const char *body_type)
{
	lock_acquire(&f->lock);
	free(f->answer_body);
	free(f->answer_type);
	f->answer_body = fake_dup(body);
	f->answer_type = fake_dup(body_type);
	f->answer_http = http;
	f->answer_times = times;
	lock_release(&f->lock);
}

/* ---- content ----------------------------------------------------------- */

struct blob *fake_blob_new(const void *data, size_t len)
{
	struct blob *b = fake_alloc(sizeof(*b));

	b->data = fake_alloc(len + 1);
	if (data && len)
		memcpy(b->data, data, len);
	b->len = len;
	b->refs = 1;
	return b;
}

struct blob *fake_blob_get(struct blob *b)
{
	b->refs++;
	return b;
}

void fake_blob_put(struct blob *b)
{
	if (!b || --b->refs)
		return;
	free(b->data);
	free(b);
}

void fake_etag(const struct blob *b, char out[72])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_Digest(b->data, b->len, md, &len, EVP_md5(), NULL) != 1)
		abort();
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(out + (size_t)i * 2, 3, "%02X", md[i]);
}

void fake_object_clear(struct fake_object *o)
{
	fake_blob_put(o->blob);
	free(o->key);
	free(o->version_id);
	free(o->type);
	free(o->content_type);
	free(o->storage_class);
	free(o->tags);
	free(o->acl);
	kvs_release(&o->meta);
	kvs_release(&o->kept);
	memset(o, 0, sizeof(*o));
}

struct fake_object *fake_find(struct fake_store *f, const char *key, size_t *at)
{
	size_t low = 0;
	size_t high = f->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int cmp = strcmp(f->objects[mid].key, key);

		if (cmp == 0) {
			if (at)
				*at = mid;
			return &f->objects[mid];
		}
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (at)
		*at = low;
	return NULL;
}

void fake_remove_at(struct fake_store *f, size_t at)
{
	fake_object_clear(&f->objects[at]);
	f->count--;
	memmove(&f->objects[at], &f->objects[at + 1],
		(f->count - at) * sizeof(f->objects[0]));
}

static struct fake_object *insert_at(struct fake_store *f, size_t at)
{
	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		void *now = realloc(f->objects, cap * sizeof(f->objects[0]));

		if (!now)
			abort();
		f->objects = now;
		f->cap = cap;
	}
	memmove(&f->objects[at + 1], &f->objects[at],
		(f->count - at) * sizeof(f->objects[0]));
	f->count++;
	memset(&f->objects[at], 0, sizeof(f->objects[at]));
	return &f->objects[at];
}

struct fake_object *fake_store_set(struct fake_store *f, const char *key,
				   struct blob *blob)
{
	size_t at;
	struct fake_object *o = fake_find(f, key, &at);

	if (o)
		fake_object_clear(o);
	else
		o = insert_at(f, at);
	o->key = fake_dup(key);
	o->blob = blob;
	o->type = fake_dup("Normal");
	o->modified_ms = clock_real_ms() / 1000 * 1000;
	fake_etag(blob, o->etag);
	if (f->versioning) {
		o->version_id = fake_alloc(32);
		(void)snprintf(o->version_id, 32, "V%020" PRIu64, ++f->serial);
	}
	return o;
}

static bool is_kept(const char *name)
{
	static const char *const kept[] = {
		"Cache-Control", "Content-Disposition", "Content-Encoding",
		"Content-Language", "Expires"};

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (strcasecmp(name, kept[i]) == 0)
			return true;
	return false;
}

void fake_props(struct fake_object *o, const struct oss_props *p)
{
	const struct kvs none = KVS_INIT;
	const struct kvs *headers = p && p->headers ? p->headers : &none;

	o->content_type =
		fake_dup(p && p->content_type ? p->content_type
					      : "application/octet-stream");
	if (p && p->meta && kvs_copy(&o->meta, p->meta) < 0)
		abort();
	for (size_t i = 0; i < headers->count; i++) {
		const struct kv *h = &headers->items[i];

		if (is_kept(h->name) &&
		    kvs_add(&o->kept, h->name, h->value) < 0)
			abort();
	}
	o->tags = fake_dup(kvs_get(headers, "x-oss-tagging"));
	o->acl = fake_dup(kvs_get(headers, "x-oss-object-acl"));
	o->storage_class = fake_dup(kvs_get(headers, "x-oss-storage-class"));
}

void fake_describe(const struct fake_object *o, struct oss_object *out)
{
	struct oss_object d = {
		.size = o->blob->len,
		.modified_ms = o->modified_ms,
		.crc64 = crc64_update(0, o->blob->data, o->blob->len),
		.has_crc64 = true,
		.version_id = fake_dup(o->version_id),
		.storage_class = fake_dup(o->storage_class ? o->storage_class
							   : "Standard"),
		.type = fake_dup(o->type),
		.content_type = fake_dup(o->content_type),
		.tag_count = o->tags && *o->tags ? 1 : 0,
	};

	(void)snprintf(d.etag, sizeof(d.etag), "%s", o->etag);
	for (const char *t = o->tags; t && *t; t++)
		d.tag_count += *t == '&';
	if (kvs_copy(&d.meta, &o->meta) < 0 || kvs_copy(&d.kept, &o->kept) < 0)
		abort();
	*out = d;
}

void fake_upload_drop(struct fake_store *f, size_t at)
{
	struct fake_upload *u = &f->uploads[at];

	for (size_t i = 0; i < u->count; i++)
		fake_blob_put(u->parts[i].blob);
	free(u->parts);
	free(u->key);
	free(u->id);
	fake_object_clear(&u->props);
	f->upload_count--;
	memmove(u, u + 1, (f->upload_count - at) * sizeof(*u));
}

void fake_store_put_data(struct fake_store *f, const char *key,
			 const void *data, size_t len, const struct kvs *meta)
{
	struct oss_props props = {.meta = meta};

	lock_acquire(&f->lock);
	fake_props(fake_store_set(f, key, fake_blob_new(data, len)), &props);
	lock_release(&f->lock);
}

void fake_store_put_text(struct fake_store *f, const char *key,
			 const char *text)
{
	fake_store_put_data(f, key, text, strlen(text), NULL);
}

bool fake_store_drop(struct fake_store *f, const char *key)
{
	size_t at;
	bool was;

	lock_acquire(&f->lock);
	was = fake_find(f, key, &at) != NULL;
	if (was)
		fake_remove_at(f, at);
	lock_release(&f->lock);
	return was;
}

bool fake_store_has(struct fake_store *f, const char *key)
{
	bool has;

	lock_acquire(&f->lock);
	has = fake_find(f, key, NULL) != NULL;
	lock_release(&f->lock);
	return has;
}

size_t fake_store_count(struct fake_store *f)
{
	size_t n;

	lock_acquire(&f->lock);
	n = f->count;
	lock_release(&f->lock);
	return n;
}

char *fake_store_read(struct fake_store *f, const char *key, size_t *len)
{
	const struct fake_object *o;
	char *copy = NULL;

	lock_acquire(&f->lock);
	o = fake_find(f, key, NULL);
	if (o) {
		copy = fake_alloc(o->blob->len + 1);
		memcpy(copy, o->blob->data, o->blob->len);
		if (len)
			*len = o->blob->len;
	}
	lock_release(&f->lock);
	return copy;
}

bool fake_store_is(struct fake_store *f, const char *key, const char *text)
{
	size_t len = 0;
	AUTO_FREE char *data = fake_store_read(f, key, &len);

	return data && len == strlen(text) && memcmp(data, text, len) == 0;
}

int fake_store_stat(struct fake_store *f, const char *key,
		    struct oss_object *out)
{
	const struct fake_object *o;

	lock_acquire(&f->lock);
	o = fake_find(f, key, NULL);
	if (o)
		fake_describe(o, out);
	lock_release(&f->lock);
	return o ? 0 : -ENOENT;
}

size_t fake_store_uploads(struct fake_store *f)
{
	size_t n;

	lock_acquire(&f->lock);
	n = f->upload_count;
	lock_release(&f->lock);
	return n;
}

static void set_word(struct fake_store *f, const char *key, const char *word,
		     size_t offset)
{
	struct fake_object *o;

	lock_acquire(&f->lock);
	o = fake_find(f, key, NULL);
	if (o) {
		char **at = (char **)(void *)((char *)o + offset);

		free(*at);
		*at = fake_dup(word);
	}
	lock_release(&f->lock);
}

void fake_store_set_tags(struct fake_store *f, const char *key,
			 const char *tags)
{
	set_word(f, key, tags, offsetof(struct fake_object, tags));
}

void fake_store_set_acl(struct fake_store *f, const char *key, const char *acl)
{
	set_word(f, key, acl, offsetof(struct fake_object, acl));
}

void fake_store_set_versioning(struct fake_store *f, bool on)
{
	lock_acquire(&f->lock);
	f->versioning = on;
	lock_release(&f->lock);
}
