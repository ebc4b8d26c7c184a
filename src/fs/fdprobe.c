/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fdprobe.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "fs/process.h"
#include "util/base.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/strnum.h"
#include "util/thread.h"

/** What may block on a lock of the kernel's gets this long; a busy machine may
 *  need much of it to start a thread. */
#define LIMIT_MS 250

enum { IDLE_MAX = 4 };

struct fdprobe {
	struct lock lock; /* guards the two below */
	struct helper *idle;
	int idle_count;
};

struct question {
	pid_t pid;
	uint64_t ino;
	int mnt_id;
};

static bool fdinfo_is_ours(const struct question *q, const char *text)
{
	char value[32];
	uint64_t n;

	if (!proc_value(text, "ino:", value, sizeof(value)) ||
	    parse_u64(value, 0, UINT64_MAX, &n) < 0 || n != q->ino)
		return false;
	if (q->mnt_id < 0 ||
	    !proc_value(text, "mnt_id:", value, sizeof(value)) ||
	    parse_u64(value, 0, INT32_MAX, &n) < 0)
		return true;
	return (int)n == q->mnt_id;
}

/* Does the process hold a descriptor of the file? @return 0, 1 or -errno */
static int look_for_descriptor(const struct question *q)
{
	char path[64], text[1024];
	const struct dirent *e;
	DIR *dir;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)q->pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!found && (e = readdir(dir)))
		found = e->d_name[0] != '.' &&
			proc_read(dirfd(dir), e->d_name, text, sizeof(text)) ==
				0 &&
			fdinfo_is_ours(q, text);
	closedir(dir);
	return found;
}

/*
 * A thread that looks on behalf of others, one question at a time.  It waits
 * for the next one, as starting a thread costs more than the look; one that the
 * kernel holds up is left behind.  It frees itself.
 */
struct helper {
	struct lock lock;
	struct cond changed;
	enum { HELPER_IDLE, HELPER_ASKED, HELPER_LEFT } state;
	struct question question;
	int answer;
	struct helper *next; /* under the probe's lock */
};

static void helper_free(struct helper *h)
{
	cond_destroy(&h->changed);
	lock_destroy(&h->lock);
	free(h);
}

static void helper_answer(struct helper *h, int answer)
{
	lock_acquire(&h->lock);
	if (h->state == HELPER_ASKED) {
		h->answer = answer;
		h->state = HELPER_IDLE;
	}
	lock_release(&h->lock);
	cond_signal(&h->changed);
}

static void *helper_main(void *arg)
{
	struct helper *h = arg;

	for (;;) {
		struct question q;
		bool left;

		lock_acquire(&h->lock);
		while (h->state == HELPER_IDLE)
			cond_wait(&h->changed, &h->lock);
		left = h->state == HELPER_LEFT;
		q = h->question;
		lock_release(&h->lock);
		if (left)
			break;
		helper_answer(h, look_for_descriptor(&q));
	}
	helper_free(h);
	return NULL;
}

static int helper_new(struct helper **out)
{
	struct helper *h = calloc(1, sizeof(*h));
	int rc;

	if (!h)
		return -ENOMEM;
	lock_init(&h->lock, LOCK_LEAF);
	cond_init(&h->changed);
	rc = thread_start_detached("ackfs-proc", helper_main, h);
	if (rc < 0) {
		helper_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

/* Not the caller's any more. */
static void helper_leave(struct helper *h)
{
	lock_acquire(&h->lock);
	h->state = HELPER_LEFT;
	cond_signal(&h->changed); /* under the lock: then it may be gone */
	lock_release(&h->lock);
}

static int helper_take(struct fdprobe *p, struct helper **out)
{
	struct helper *h;

	lock_acquire(&p->lock);
	h = p->idle;
	if (h) {
		LL_DELETE(p->idle, h);
		p->idle_count--;
	}
	lock_release(&p->lock);
	if (!h)
		return helper_new(out);
	*out = h;
	return 0;
}

static void helper_give_back(struct fdprobe *p, struct helper *h)
{
	bool keep;

	lock_acquire(&p->lock);
	keep = p->idle_count < IDLE_MAX;
	if (keep) {
		LL_PREPEND(p->idle, h);
		p->idle_count++;
	}
	lock_release(&p->lock);
	if (!keep)
		helper_leave(h);
}

int fdprobe_ask(struct fdprobe *p, pid_t pid, uint64_t ino, int mnt_id)
{
	int64_t deadline = clock_mono_ms() + LIMIT_MS;
	struct helper *h;
	bool late;
	int rc = helper_take(p, &h);

	if (rc < 0)
		return rc;
	lock_acquire(&h->lock);
	h->question = (struct question){pid, ino, mnt_id};
	h->state = HELPER_ASKED;
	lock_release(&h->lock);
	cond_signal(&h->changed);
	lock_acquire(&h->lock);
	while (h->state == HELPER_ASKED &&
	       cond_wait_until(&h->changed, &h->lock, deadline))
		;
	late = h->state == HELPER_ASKED;
	rc = late ? -ETIMEDOUT : h->answer;
	lock_release(&h->lock);
	if (late)
		helper_leave(h);
	else
		helper_give_back(p, h);
	return rc;
}

int fdprobe_new(struct fdprobe **out)
{
	struct fdprobe *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	lock_init(&p->lock, LOCK_LEAF);
	*out = p;
	return 0;
}

void fdprobe_free(struct fdprobe *p)
{
	struct helper *h, *next;

	if (!p)
		return;
	LL_FOREACH_SAFE(p->idle, h, next)
	helper_leave(h);
	lock_destroy(&p->lock);
	free(p);
}
