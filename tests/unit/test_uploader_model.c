/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random closes, cancels and renames of a few keys, while one request in eight
 * fails somehow; a model says what must be stored in the end.
 */
#include "../support/upload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/base.h"
#include "util/clock.h"
#include "util/log.h"

enum { KEYS = 6, STEPS = 300, LARGE = 1200000 };

/* One close. */
struct deed {
	char id[24]; /* delivery id */
	char key[16];
	struct staging *s;
	struct waiter w;
	bool is_promised, is_cancelled;
};

struct model {
	struct upload_fix *f;
	unsigned seed;
	atomic_uint hook_seed;
	atomic_bool faulty;
	struct deed deeds[STEPS];
	int count;
};

static struct upload_fix fix;

static unsigned draw(struct model *m, unsigned n)
{
	return (unsigned)rand_r(&m->seed) % n;
}

/* Make some later call fail: before, in the middle, or after it was done. */
static void spoil(void *arg, enum fake_op op, const char *key)
{
	struct model *m = arg;
	unsigned x = atomic_fetch_add(&m->hook_seed, 2654435761U);
	struct fake_fault fault = {.op = op, .err = -EIO};

	(void)key;
	x ^= x >> 15;
	if (!atomic_load(&m->faulty) || x % 8 != 0)
		return;
	switch (x / 8 % 4) {
	case 0:
		fault.http = 503;
		fault.code = "ServiceUnavailable";
		break;
	case 1:
		fault.err = -ECONNRESET;
		break;
	case 2:
		fault.after_bytes = 1000;
		fault.err = -ECONNRESET;
		break;
	default:
		/* An upload whose id never arrived is for the bucket's
		   lifecycle rules. */
		fault.stored = op != FAKE_INITIATE;
		fault.err = -ECONNRESET;
		break;
	}
	fake_store_fail(m->f->oss, &fault);
}

static void close_one(struct model *m)
{
	struct upload_fix *f = m->f;
	struct deed *d = &m->deeds[m->count];
	bool large = draw(m, 8) == 0;

	snprintf(d->id, sizeof(d->id), "d-%d", m->count);
	snprintf(d->key, sizeof(d->key), "k%u", draw(m, KEYS));
	d->is_promised = draw(m, 2) == 0;
	assert_int_equal(staging_create(f->state.store, d->key, NULL, &d->s),
			 0);
	upload_fill(d->s, 0, large ? LARGE : 3000 + draw(m, 3000),
		    (unsigned)m->count);
	upload_close(d->s, d->id);
	waiter_init(&d->w, f);
	assert_int_equal(uploader_submit(f->up, d->s,
					 d->is_promised ? NULL : waiter_done,
					 &d->w),
			 0);
	m->count++;
}

static struct deed *some_deed(struct model *m)
{
	return m->count ? &m->deeds[draw(m, (unsigned)m->count)] : NULL;
}

static void step(struct model *m)
{
	struct deed *d = some_deed(m);

	switch (draw(m, 8)) {
	case 0:
		/* Only what nobody will ask for in the end. */
		if (d && d->key[1] == '0' && !d->is_cancelled &&
		    staging_state_of(d->s) != STAGING_DONE) {
			uploader_cancel(m->f->up, d->s);
			d->is_cancelled = true;
		}
		break;
	case 1:
		clock_advance_ms(draw(m, 3000));
		break;
	case 2:
		if (d && !d->is_cancelled &&
		    uploader_rekey(m->f->up, d->s, "moved/x") == 0)
			snprintf(d->key, sizeof(d->key), "moved/x");
		break;
	default:
		close_one(m);
		break;
	}
}

static bool all_settled(void *arg)
{
	struct upload_fix *f = arg;
	struct uploader_totals t;

	uploader_retry_now(f->up, NULL);
	uploader_totals(f->up, &t);
	return t.waiting + t.running + t.retrying == 0;
}

static bool was_called_back(struct upload_fix *f, const char *id)
{
	bool found = false;

	for (unsigned i = 0; !found && i < fake_store_callbacks(f->oss); i++) {
		AUTO_FREE char *got = upload_callback_var(f, i, "x:ackfs_id");

		found = strcmp(got, id) == 0;
	}
	return found;
}

/* The last close of each key is what OSS has. */
static void check_contents(struct model *m, unsigned seed)
{
	for (int k = 1; k < KEYS; k++) {
		struct deed *last = NULL;

		for (int i = 0; i < m->count; i++)
			if (m->deeds[i].key[0] == 'k' &&
			    m->deeds[i].key[1] - '0' == k)
				last = &m->deeds[i];
		/* A failed one that became void with a newer one, which was
		   renamed then: its close() was told. */
		if (last && staging_is_superseded(last->s))
			continue;
		if (last && !upload_is_stored(m->f, last->key, last->s))
			fail_msg(
				"seed %u: %s is not %s's: promised=%d size=%llu "
				"state=%s rc=%d",
				seed, last->key, last->id, last->is_promised,
				(unsigned long long)staging_size(last->s),
				staging_state_name(staging_state_of(last->s)),
				last->w.o.rc);
	}
}

static void check_callbacks(struct model *m, unsigned seed)
{
	for (int i = 0; i < m->count; i++) {
		struct deed *d = &m->deeds[i];
		bool stored = d->is_promised ||
			      (waiter_is_done(&d->w) && d->w.o.rc == 0);

		if (!d->is_promised && !waiter_is_done(&d->w))
			fail_msg("seed %u: %s was never told", seed, d->id);
		if (stored && !d->is_cancelled && !was_called_back(m->f, d->id))
			fail_msg("seed %u: no callback for %s", seed, d->id);
	}
}

static void run(unsigned seed)
{
	static struct model m;

	memset(&m, 0, sizeof(m));
	m.f = &fix;
	m.seed = seed;
	atomic_store(&m.hook_seed, seed);
	atomic_store(&m.faulty, true);
	upload_init(&fix, "url = http://app.example.com/oss\nretry_for = 1h");
	fake_store_set_hook(fix.oss, spoil, &m);
	upload_start(&fix);
	for (int i = 0; i < STEPS; i++)
		step(&m);
	atomic_store(&m.faulty, false);
	fake_store_heal(fix.oss);
	if (!upload_pass_time(all_settled, &fix))
		fail_msg("seed %u: not settled", seed);
	assert_int_equal(keyq_drain(fix.queue, clock_mono_ms() + 100000), 0);
	check_contents(&m, seed);
	check_callbacks(&m, seed);
	for (int i = 0; i < m.count; i++)
		staging_put(m.deeds[i].s);
	/* What could not be aborted goes at the next start. */
	upload_stop(&fix);
	upload_start(&fix);
	uploader_clean_leftovers(fix.up);
	assert_int_equal(keyq_drain(fix.queue, clock_mono_ms() + 100000), 0);
	assert_int_equal(fake_store_uploads(fix.oss), 0);
	upload_fini(&fix);
}

static void last_close_wins_and_every_promise_is_called_back(void **state)
{
	const char *set = getenv("ACKFS_TEST_SEED");
	unsigned seed = set ? (unsigned)strtoul(set, NULL, 10)
			    : (unsigned)clock_real_ms();

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		run(seed + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			last_close_wins_and_every_promise_is_called_back),
	};

	log_set_level(getenv("ACKFS_TEST_LOG") ? LOG_LVL_INFO : LOG_LVL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
