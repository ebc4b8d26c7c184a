/* SPDX-License-Identifier: Apache-2.0 */
#include "upload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/base.h"
#include "util/clock.h"
#include "util/codec.h"

/* -- set up ------------------------------------------------------------------ */

struct rules *upload_rules(const char *text)
{
	struct rules *rules = NULL;
	struct kvs keys = KVS_INIT, vars = KVS_INIT;
	struct rule_text section = {
		.file = "test", .keys = &keys, .vars = &vars};
	int lines[32] = {0};
	char *why = NULL, *warnings = NULL;

	section.key_lines = section.var_lines = lines;
	while (text && *text) {
		char key[64], value[512];
		size_t len = strcspn(text, "\n");
		char line[600];

		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		assert_int_equal(
			sscanf(line, " %63[^ =] = %511[^\n]", key, value), 2);
		assert_int_equal(kvs_add(&keys, key, value), 0);
		text += len + (text[len] == '\n');
	}
	if (rules_new(&section, keys.count ? 1 : 0, &rules, &why, &warnings) !=
	    0)
		fail_msg("rules: %s", why);
	free(why);
	free(warnings);
	kvs_release(&keys);
	kvs_release(&vars);
	return rules;
}

void upload_init(struct upload_fix *f, const char *callback)
{
	memset(f, 0, sizeof(*f));
	clock_advance_ms(0); /* waits look whether the clock has moved */
	state_init(&f->state);
	f->oss = fake_store_new();
	lock_init(&f->lock, LOCK_LEAF);
	cond_init(&f->changed);
	f->rules = upload_rules(callback);
	assert_int_equal(mime_load(NULL, &f->mime), 0);
	f->conf = (struct uploader_conf){
		.bucket = "bucket",
		.prefix = "",
		.mount = "/mnt/test",
		.host = "host",
		.multipart_threshold = 1 << 20,
		.part_size = 128 << 10,
		.parallel_parts = 4,
		.retry_deadline_ms = 60000,
	};
}

static void note_event(void *arg, struct staging *s,
		       const struct upload_outcome *o)
{
	struct upload_fix *f = arg;
	struct upload_event e = {.id = staging_id(s), .o = *o};

	staging_key(s, e.key);
	if (f->on_event)
		f->on_event(f, s, o);
	lock_acquire(&f->lock);
	if (f->event_count < UPLOAD_EVENTS)
		f->events[f->event_count] = e;
	f->event_count++;
	cond_broadcast(&f->changed);
	lock_release(&f->lock);
}

struct filling {
	struct staging *s;
	uint64_t off;
};

static int fill_write(void *arg, const void *data, size_t len)
{
	struct filling *w = arg;
	int rc = staging_fill(w->s, data, len, w->off);

	w->off += len;
	return rc;
}

static int fetch(void *arg, struct staging *s, uint64_t off, uint64_t len)
{
	struct upload_fix *f = arg;
	struct store store = fake_store_store(f->oss);
	struct filling w = {s, off};
	struct oss_sink sink = {fill_write, &w};
	struct staging_base base;
	struct oss_reply reply;

	lock_acquire(&f->lock);
	f->fetched++;
	lock_release(&f->lock);
	if (f->fetch_rc < 0)
		return f->fetch_rc;
	if (!staging_base_of(s, &base))
		return -EIO;
	return store.ops->get(store.self, base.key, off, len, base.etag, &sink,
			      NULL, NULL, &reply);
}

void upload_start(struct upload_fix *f)
{
	static const struct keyq_conf conf = {
		.limit = {4, 2, 2}
        };
	struct uploader_deps deps = {
		.store = fake_store_store(f->oss),
		.event = note_event,
		.event_arg = f,
		.fetch = fetch,
		.fetch_arg = f,
		.rules = f->rules,
		.mime = f->mime,
	};

	state_open(&f->state);
	assert_int_equal(keyq_new(&conf, &f->queue), 0);
	assert_int_equal(timer_wheel_new(&f->timers), 0);
	deps.queue = f->queue;
	deps.timers = f->timers;
	deps.db = f->state.db;
	assert_int_equal(uploader_new(&f->conf, &deps, &f->up), 0);
}

void upload_stop_queue(struct upload_fix *f)
{
	keyq_free(f->queue);
	f->queue = NULL;
}

void upload_stop(struct upload_fix *f)
{
	upload_stop_queue(f);
	uploader_stop(f->up);
	timer_wheel_free(f->timers);
	uploader_free(f->up);
	f->up = NULL;
	f->timers = NULL;
	state_close(&f->state);
}

void upload_fini(struct upload_fix *f)
{
	upload_stop(f);
	state_fini(&f->state);
	fake_store_free(f->oss);
	rules_free(f->rules);
	mime_free(f->mime);
	cond_destroy(&f->changed);
	lock_destroy(&f->lock);
}

/* -- waiting -------------------------------------------------------------------- */

void waiter_init(struct waiter *w, struct upload_fix *f)
{
	*w = (struct waiter){.f = f};
}

void waiter_done(void *arg, const struct upload_outcome *o)
{
	struct waiter *w = arg;

	lock_acquire(&w->f->lock);
	if (w->is_done)
		abort(); /* called twice */
	w->o = *o;
	w->is_done = true;
	cond_broadcast(&w->f->changed);
	lock_release(&w->f->lock);
}

bool waiter_is_done(struct waiter *w)
{
	bool done;

	lock_acquire(&w->f->lock);
	done = w->is_done;
	lock_release(&w->f->lock);
	return done;
}

static bool waiter_poll(void *arg)
{
	return waiter_is_done(arg);
}

int waiter_wait(struct waiter *w)
{
	assert_true(test_wait_until(waiter_poll, w, TEST_DEADLINE_MS));
	return w->o.rc;
}

int upload_events(struct upload_fix *f)
{
	int n;

	lock_acquire(&f->lock);
	n = f->event_count;
	lock_release(&f->lock);
	return n;
}

struct events_wanted {
	struct upload_fix *f;
	int n;
};

static bool events_poll(void *arg)
{
	struct events_wanted *w = arg;

	return upload_events(w->f) >= w->n;
}

void upload_wait_events(struct upload_fix *f, int n)
{
	struct events_wanted w = {f, n};

	if (!test_wait_until(events_poll, &w, TEST_DEADLINE_MS))
		fail_msg("%d events of %d", upload_events(f), n);
}

struct passing {
	bool (*is_true)(void *);
	void *arg;
};

static bool pass_some(void *arg)
{
	struct passing *p = arg;

	if (p->is_true(p->arg))
		return true;
	clock_advance_ms(500);
	return false;
}

bool upload_pass_time(bool (*is_true)(void *), void *arg)
{
	struct passing p = {is_true, arg};

	return test_wait_until(pass_some, &p, TEST_DEADLINE_MS);
}

/* -- files ------------------------------------------------------------------------ */

void upload_close(struct staging *s, const char *delivery_id)
{
	upload_close_with(s, delivery_id, NULL, NULL);
}

void upload_close_with(struct staging *s, const char *delivery_id,
		       const char *var, const char *value)
{
	AUTO(staging_close_release)
	struct staging_close c = {
		.uid = 1000, .gid = 100, .mode = 0640, .pid = 4711};

	assert_int_equal(str_set(&c.delivery_id, delivery_id), 0);
	assert_int_equal(str_set(&c.process, "cp"), 0);
	if (var)
		assert_int_equal(kvs_add(&c.vars, var, value), 0);
	assert_int_equal(staging_close(s, &c, false), 0);
}

struct staging *upload_closed(struct upload_fix *f, const char *key,
			      const char *text, const char *delivery_id)
{
	struct staging *s = state_write(&f->state, key, text);

	upload_close(s, delivery_id);
	return s;
}

void upload_fill(struct staging *s, uint64_t off, size_t size, unsigned seed)
{
	unsigned char *data = malloc(size ? size : 1);

	assert_non_null(data);
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1103515245U + 12345U;
		data[i] = (unsigned char)(seed >> 16);
	}
	assert_int_equal(staging_pwrite(s, data, size, off), 0);
	free(data);
}

struct staging *upload_closed_bytes(struct upload_fix *f, const char *key,
				    size_t size, const char *delivery_id)
{
	struct staging *s = NULL;

	assert_int_equal(staging_create(f->state.store, key, NULL, &s), 0);
	upload_fill(s, 0, size, 1);
	upload_close(s, delivery_id);
	return s;
}

int upload_whole(struct upload_fix *f, const char *key, const char *text,
		 const char *delivery_id)
{
	struct staging *s = upload_closed(f, key, text, delivery_id);
	struct waiter w;
	int rc;

	waiter_init(&w, f);
	assert_int_equal(uploader_submit(f->up, s, waiter_done, &w), 0);
	rc = waiter_wait(&w);
	staging_put(s);
	return rc;
}

bool upload_is_stored(struct upload_fix *f, const char *key, struct staging *s)
{
	size_t len = 0, size = (size_t)staging_size(s);
	AUTO_FREE char *got = fake_store_read(f->oss, key, &len);
	AUTO_FREE char *want = malloc(size + 1);
	size_t have = 0;

	assert_non_null(want);
	while (have < size) {
		ssize_t n = staging_pread(s, want + have, size - have, have);

		assert_true(n > 0);
		have += (size_t)n;
	}
	return got && len == size && memcmp(got, want, size) == 0;
}

/* -- callbacks --------------------------------------------------------------------- */

struct cb_record upload_record(struct upload_fix *f, const char *key)
{
	struct cb_record r, *all = NULL;
	size_t count = 0;

	assert_int_equal(cblog_history(f->state.db, key, 1, &all, &count), 0);
	assert_int_equal(count, 1);
	r = all[0];
	memset(&all[0], 0, sizeof(all[0]));
	cb_records_free(all, count);
	return r;
}

char *upload_callback_var(struct upload_fix *f, unsigned i, const char *name)
{
	const struct fake_callback *cb = fake_store_callback(f->oss, i);
	AUTO(buf_release) struct buf b = BUF_INIT;
	json_t *root;
	char *value;

	assert_non_null(cb);
	assert_int_equal(base64_decode(&b, cb->vars, strlen(cb->vars)), 0);
	root = json_loads(buf_str(&b), 0, NULL);
	assert_non_null(root);
	value = str_dup(json_string_value(json_object_get(root, name)));
	json_decref(root);
	return value;
}
