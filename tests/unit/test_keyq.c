/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "../support/test.h"
#include "upload/keyq.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/thread.h"

static const struct keyq_conf few = {
	.limit = {2, 2, 2}
};

static struct keyq *queue(const struct keyq_conf *conf)
{
	struct keyq *q = NULL;

	assert_int_equal(keyq_new(conf, &q), 0);
	return q;
}

/* A task that says when it runs and waits until it is told to end. */
struct step {
	struct lock lock;
	struct cond changed;
	bool began, may_end, dropped;
	int *order; /* shared counter */
	int place;  /* when it ran */
};

static void step_init(struct step *s, int *order)
{
	memset(s, 0, sizeof(*s));
	lock_init(&s->lock, LOCK_LEAF);
	cond_init(&s->changed);
	s->order = order;
}

static void step_run(void *arg)
{
	struct step *s = arg;

	lock_acquire(&s->lock);
	s->began = true;
	s->place = __atomic_add_fetch(s->order, 1, __ATOMIC_SEQ_CST);
	cond_broadcast(&s->changed);
	while (!s->may_end)
		cond_wait(&s->changed, &s->lock);
	lock_release(&s->lock);
}

static void step_dropped(void *arg)
{
	((struct step *)arg)->dropped = true;
}

static void step_end(struct step *s)
{
	lock_acquire(&s->lock);
	s->may_end = true;
	cond_broadcast(&s->changed);
	lock_release(&s->lock);
}

static bool step_began(struct step *s)
{
	bool began;

	lock_acquire(&s->lock);
	began = s->began;
	lock_release(&s->lock);
	return began;
}

static void step_wait(struct step *s)
{
	int64_t until = clock_mono_ms() + TEST_DEADLINE_MS;
	bool in_time = true;

	lock_acquire(&s->lock);
	while (!s->began && in_time)
		in_time = cond_wait_until(&s->changed, &s->lock, until);
	assert_true(s->began);
	lock_release(&s->lock);
}

static void submit(struct keyq *q, enum keyq_class class, const char *key,
		   const char *key2, struct step *s)
{
	struct keyq_task t = {.class = class,
			      .key = key,
			      .key2 = key2,
			      .run = step_run,
			      .dropped = step_dropped,
			      .arg = s};

	assert_int_equal(keyq_submit(q, &t), 0);
}

static void drain(struct keyq *q)
{
	assert_int_equal(keyq_drain(q, clock_mono_ms() + TEST_DEADLINE_MS), 0);
}

static void second_task_of_a_key_waits_for_the_first(void **state)
{
	struct keyq *q = queue(&few);
	struct step a, b, other;
	int order = 0;

	(void)state;
	step_init(&a, &order);
	step_init(&b, &order);
	step_init(&other, &order);
	submit(q, KEYQ_UPLOAD, "k", NULL, &a);
	submit(q, KEYQ_META, "k", NULL, &b);
	step_wait(&a);
	assert_int_equal(keyq_running(q, KEYQ_UPLOAD), 1);
	assert_int_equal(keyq_waiting(q, KEYQ_META), 1);
	submit(q, KEYQ_META, "other", NULL, &other);
	step_wait(&other); /* not held up by a blocked one of its class */
	assert_false(step_began(&b));
	step_end(&other);
	step_end(&a);
	step_wait(&b);
	step_end(&b);
	drain(q);
	assert_int_equal(keyq_waiting(q, KEYQ_META), 0);
	keyq_free(q);
}

struct pair_case {
	const char *name;
	const char *first, *first2, *second, *second2;
	bool waits;
};

static const struct pair_case pairs[] = {
	{"equal",			     "a/b",   NULL, "a/b",   NULL, true },
	{"different",			 "a/b",   NULL, "a/c",   NULL, false},
	{"a prefix of text only",             "a/b",   NULL, "a/bc",  NULL, false},
	{"folder after a key below",          "a/b/c", NULL, "a/",    NULL, true },
	{"key below after its folder",        "a/",    NULL, "a/b/c", NULL, true },
	{"folder below after its folder",     "a/",    NULL, "a/b/",  NULL, true },
	{"folder after one below",            "a/b/",  NULL, "a/",    NULL, true },
	{"folder and the name without slash", "a/",    NULL, "a",     NULL, false},
	{"neighbouring folders",              "a/",    NULL, "ab/",   NULL, false},
	{"the same folder",                   "a/",    NULL, "a/",    NULL, true },
	{"second key of a rename",            "x",     "y",  "y",     NULL, true },
	{"second key of the later",           "y",     NULL, "x",     "y",  true },
	{"rename of a folder",                "s/",    "d/", "d/f",   NULL, true },
	{"folder renamed after a key",        "d/f",   NULL, "s/",    "d/", true },
	{"rename onto itself",                "x",     "x",  "x",     "x",  true },
	{"a key with //",                     "a//b",  NULL, "a/",    NULL, true },
	{"no key",			    NULL,    NULL, NULL,    NULL, false},
};

static void conflicting_keys_wait(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		const struct pair_case *c = &pairs[i];
		struct keyq *q = queue(&few);
		struct step a, b;
		int order = 0;

		step_init(&a, &order);
		step_init(&b, &order);
		submit(q, KEYQ_META, c->first, c->first2, &a);
		step_wait(&a);
		submit(q, KEYQ_META, c->second, c->second2, &b);
		if (!c->waits) {
			step_wait(&b); /* else the test ends here */
		} else if (keyq_waiting(q, KEYQ_META) != 1) {
			fail_msg("%s: it does not wait", c->name);
		}
		step_end(&a);
		step_wait(&b);
		step_end(&b);
		drain(q);
		keyq_free(q);
	}
}

static void marker_alone_does_not_wait_for_keys_below(void **state)
{
	struct keyq *q = queue(&few);
	struct step below, marker, tree;
	struct keyq_task t = {.class = KEYQ_META,
			      .key = "a/",
			      .is_exact = true,
			      .run = step_run,
			      .arg = &marker};
	int order = 0;

	(void)state;
	step_init(&below, &order);
	step_init(&marker, &order);
	step_init(&tree, &order);
	submit(q, KEYQ_UPLOAD, "a/b", NULL, &below);
	assert_int_equal(keyq_submit(q, &t), 0);
	step_wait(&marker);
	submit(q, KEYQ_BACKGROUND, "a/", NULL, &tree);
	step_end(&below);
	assert_false(step_began(&tree)); /* the marker is unfinished */
	step_end(&marker);
	step_wait(&tree);
	step_end(&tree);
	drain(q);
	keyq_free(q);
}

static void class_keeps_its_limit_and_starves_no_other(void **state)
{
	struct keyq *q = queue(&few);
	struct step s[5];
	struct step meta;
	int order = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		step_init(&s[i], &order);
		submit(q, KEYQ_UPLOAD, key, NULL, &s[i]);
	}
	step_wait(&s[0]);
	step_wait(&s[1]);
	step_init(&meta, &order);
	submit(q, KEYQ_META, "m", NULL, &meta);
	step_wait(&meta);
	step_end(&meta);
	assert_int_equal(keyq_running(q, KEYQ_UPLOAD), 2);
	assert_int_equal(keyq_waiting(q, KEYQ_UPLOAD), 3);
	for (int i = 0; i < 5; i++)
		step_end(&s[i]);
	drain(q);
	for (int i = 0; i < 5; i++)
		assert_true(s[i].began);
	keyq_free(q);
}

static void many_ready_at_once_use_all_threads(void **state)
{
	static const struct keyq_conf wide = {
		.limit = {4, 4, 4}
        };
	struct keyq *q = queue(&wide);
	struct step gate;
	struct step s[4];
	int order = 0;

	(void)state;
	step_init(&gate, &order);
	submit(q, KEYQ_META, "d/", NULL, &gate);
	step_wait(&gate);
	for (int i = 0; i < 4; i++) {
		char key[16];

		snprintf(key, sizeof(key), "d/%d", i);
		step_init(&s[i], &order);
		submit(q, KEYQ_UPLOAD, key, NULL, &s[i]);
	}
	step_end(&gate);
	for (int i = 0; i < 4; i++)
		step_wait(&s[i]); /* all four run side by side */
	for (int i = 0; i < 4; i++)
		step_end(&s[i]);
	drain(q);
	keyq_free(q);
}

static void *free_queue(void *arg)
{
	keyq_free(arg);
	return NULL;
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static bool refuses(void *arg)
{
	struct keyq_task t = {
		.class = KEYQ_META, .key = "z", .run = do_nothing};

	return keyq_submit(arg, &t) == -ESHUTDOWN;
}

static void free_waits_for_running_tasks_and_drops_the_rest(void **state)
{
	struct keyq *q = queue(&few);
	struct step a, b, c;
	pthread_t thread;
	int order = 0;

	(void)state;
	step_init(&a, &order);
	step_init(&b, &order);
	step_init(&c, &order);
	submit(q, KEYQ_UPLOAD, "k", NULL, &a);
	submit(q, KEYQ_UPLOAD, "k", NULL, &b);
	submit(q, KEYQ_UPLOAD, "k", NULL, &c);
	step_wait(&a);
	assert_int_equal(thread_start(&thread, "free", free_queue, q), 0);
	assert_true(test_wait_until(refuses, q, TEST_DEADLINE_MS));
	step_end(&a);
	pthread_join(thread, NULL);
	assert_false(a.dropped);
	assert_true(b.dropped && c.dropped);
	assert_false(b.began || c.began);
}

static void drain_gives_up_at_its_deadline(void **state)
{
	struct keyq *q = queue(&few);
	struct step a;
	int order = 0;

	(void)state;
	step_init(&a, &order);
	submit(q, KEYQ_UPLOAD, "k", NULL, &a);
	assert_int_equal(keyq_drain(q, clock_mono_ms() + 1), 1);
	step_end(&a);
	drain(q);
	keyq_free(q);
}

static void idle_threads_end_and_work_goes_on(void **state)
{
	struct keyq *q;
	struct step a, b;
	int order = 0;

	(void)state;
	clock_advance_ms(0);
	q = queue(&few);
	step_init(&a, &order);
	step_init(&b, &order);
	submit(q, KEYQ_UPLOAD, "k", NULL, &a);
	step_end(&a);
	drain(q);
	clock_advance_ms(60000);
	submit(q, KEYQ_UPLOAD, "k", NULL, &b);
	step_end(&b);
	drain(q);
	assert_int_equal(b.place, 2);
	keyq_free(q);
}

/* -- model: random tasks from several threads ------------------------------ */

enum { LEAVES = 12, THREADS = 4, TASKS = 400 };

static const char *const leaf[LEAVES] = {"a/1",     "a/2", "a/b/1", "a/b/2",
					 "a/b/c/1", "d/1", "d/2",   "d/b/1",
					 "e",       "f",   "g/1",   "g/2"};
static const char *const tree[] = {"a/", "a/b/", "a/b/c/", "d/", "g/"};

struct model {
	struct keyq *q;
	pthread_mutex_t order; /* number and submission together */
	int next;
	pthread_mutex_t mutex;
	int last[LEAVES]; /* number of the last task on this leaf */
	bool busy[LEAVES];
	int errors, ran;
	unsigned seed;
};

struct model_task {
	struct model *m;
	int number;
	const char *key[2];
};

static bool covers(const struct model_task *t, int i)
{
	for (int k = 0; k < 2; k++) {
		size_t len = t->key[k] ? strlen(t->key[k]) : 0;

		if (len == 0)
			continue;
		if (strcmp(leaf[i], t->key[k]) == 0)
			return true;
		if (t->key[k][len - 1] == '/' &&
		    strncmp(leaf[i], t->key[k], len) == 0)
			return true;
	}
	return false;
}

static void model_mark(struct model_task *t, bool begin)
{
	struct model *m = t->m;

	pthread_mutex_lock(&m->mutex);
	for (int i = 0; i < LEAVES; i++) {
		if (!covers(t, i))
			continue;
		if (begin && (m->busy[i] || m->last[i] >= t->number))
			m->errors++;
		m->last[i] = t->number;
		m->busy[i] = begin;
	}
	m->ran += begin;
	pthread_mutex_unlock(&m->mutex);
}

static void model_run(void *arg)
{
	struct model_task *t = arg;

	model_mark(t, true);
	sched_yield();
	model_mark(t, false);
	free(t);
}

static const char *random_key(unsigned *seed)
{
	unsigned r = (unsigned)rand_r(seed);

	return r % 5 == 0 ? tree[r / 5 % ARRAY_LEN(tree)]
			  : leaf[r / 5 % LEAVES];
}

static void *model_thread(void *arg)
{
	struct model *m = arg;
	unsigned seed = __atomic_fetch_add(&m->seed, 1, __ATOMIC_SEQ_CST);

	for (int i = 0; i < TASKS; i++) {
		struct model_task *t = calloc(1, sizeof(*t));
		struct keyq_task task = {.run = model_run, .arg = t};

		if (!t)
			abort();
		t->m = m;
		t->key[0] = random_key(&seed);
		t->key[1] = rand_r(&seed) % 4 == 0 ? random_key(&seed) : NULL;
		task.class = (enum keyq_class)(rand_r(&seed) % KEYQ_CLASSES);
		task.key = t->key[0];
		task.key2 = t->key[1];
		pthread_mutex_lock(&m->order);
		t->number = ++m->next;
		if (keyq_submit(m->q, &task) != 0)
			abort();
		pthread_mutex_unlock(&m->order);
	}
	return NULL;
}

static void random_tasks_keep_order_and_exclusion(void **state)
{
	static const struct keyq_conf wide = {
		.limit = {4, 3, 2}
        };
	struct model m = {.q = queue(&wide),
			  .order = PTHREAD_MUTEX_INITIALIZER,
			  .mutex = PTHREAD_MUTEX_INITIALIZER};
	unsigned first = (unsigned)clock_real_ms();
	pthread_t threads[THREADS];

	(void)state;
	m.seed = first;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			thread_start(&threads[i], "model", model_thread, &m),
			0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	drain(m.q);
	keyq_free(m.q);
	if (m.errors > 0 || m.ran != THREADS * TASKS)
		fail_msg("seed %u: %d out of order, %d ran", first, m.errors,
			 m.ran);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_task_of_a_key_waits_for_the_first),
		cmocka_unit_test(conflicting_keys_wait),
		cmocka_unit_test(marker_alone_does_not_wait_for_keys_below),
		cmocka_unit_test(class_keeps_its_limit_and_starves_no_other),
		cmocka_unit_test(many_ready_at_once_use_all_threads),
		cmocka_unit_test(
			free_waits_for_running_tasks_and_drops_the_rest),
		cmocka_unit_test(drain_gives_up_at_its_deadline),
		cmocka_unit_test(idle_threads_end_and_work_goes_on),
		cmocka_unit_test(random_tasks_keep_order_and_exclusion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
