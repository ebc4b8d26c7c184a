/* SPDX-License-Identifier: Apache-2.0 */
#include "http/pool.h"

#include <errno.h>
#include <stdatomic.h>

#include "http/slot.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/lock.h"

enum {
	IDLE_MAX_MS = 60000,
	CANCEL_POLL_MS = 100,
};

struct http_pool {
	struct http_pool_conf conf; /* strings owned */
	CURLSH *share;
	struct lock share_locks[CURL_LOCK_DATA_LAST];
	_Atomic uint64_t requests;

	struct lock lock; /* what follows; rank LOCK_POOL */
	struct cond freed;
	struct http_slot *idle; /* the one used last is first */
	int idle_count;
	int busy;
	int busy_bulk;
};

/* libcurl takes and releases them in calls of its own: not for analysis. */
static void share_lock(CURL *easy, curl_lock_data data, curl_lock_access access,
		       void *arg) ACK_NO_ANALYSIS
{
	struct http_pool *p = arg;

	(void)easy;
	(void)access;
	lock_acquire(&p->share_locks[data]);
}

static void share_unlock(CURL *easy, curl_lock_data data,
			 void *arg) ACK_NO_ANALYSIS
{
	struct http_pool *p = arg;

	(void)easy;
	lock_release(&p->share_locks[data]);
}

static int share_init(struct http_pool *p)
{
	p->share = curl_share_init();
	if (!p->share)
		return -ENOMEM;
	if (curl_share_setopt(p->share, CURLSHOPT_LOCKFUNC, share_lock) ||
	    curl_share_setopt(p->share, CURLSHOPT_UNLOCKFUNC, share_unlock) ||
	    curl_share_setopt(p->share, CURLSHOPT_USERDATA, p) ||
	    curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) ||
	    curl_share_setopt(p->share, CURLSHOPT_SHARE,
			      CURL_LOCK_DATA_SSL_SESSION))
		return -ENOMEM;
	return 0;
}

static int copy_conf(struct http_pool_conf *dst,
		     const struct http_pool_conf *src)
{
	*dst = *src;
	dst->ca_file = str_dup(src->ca_file);
	dst->proxy = str_dup(src->proxy);
	dst->user_agent = str_dup(src->user_agent);
	if ((src->ca_file && !dst->ca_file) || (src->proxy && !dst->proxy) ||
	    (src->user_agent && !dst->user_agent))
		return -ENOMEM;
	return 0;
}

static void free_const(const char *s)
{
	free((void *)(uintptr_t)s);
}

static struct http_pool *pool_alloc(void)
{
	struct http_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	lock_init(&p->lock, LOCK_POOL);
	cond_init(&p->freed);
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		lock_init(&p->share_locks[i], LOCK_LEAF);
	return p;
}

int http_pool_new(const struct http_pool_conf *conf, struct http_pool **out)
{
	struct http_pool *p;
	int rc;

	if (conf->max_connections < 1)
		return -EINVAL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	p = pool_alloc();
	if (!p) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	rc = copy_conf(&p->conf, conf);
	if (rc == 0)
		rc = share_init(p);
	if (rc < 0) {
		http_pool_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

static void slot_free(struct http_slot *s)
{
	/* The easy handle first: the multi's cleanup closes connections with
	   it otherwise. */
	if (s->easy)
		curl_easy_cleanup(s->easy);
	if (s->multi)
		curl_multi_cleanup(s->multi);
	free(s);
}

static void slots_free(struct http_slot *s)
{
	while (s) {
		struct http_slot *next = s->next;

		slot_free(s);
		s = next;
	}
}

void http_pool_free(struct http_pool *p)
{
	if (!p)
		return;
	slots_free(p->idle);
	if (p->share)
		curl_share_cleanup(p->share);
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		lock_destroy(&p->share_locks[i]);
	cond_destroy(&p->freed);
	lock_destroy(&p->lock);
	free_const(p->conf.ca_file);
	free_const(p->conf.proxy);
	free_const(p->conf.user_agent);
	free(p);
	curl_global_cleanup();
}

const struct http_pool_conf *http_pool_config(const struct http_pool *p)
{
	return &p->conf;
}

uint64_t http_pool_requests(const struct http_pool *p)
{
	return atomic_load(&p->requests);
}

int http_pool_idle(struct http_pool *p)
{
	int n;

	lock_acquire(&p->lock);
	n = p->idle_count;
	lock_release(&p->lock);
	return n;
}

/* One in eight is for small requests alone. */
static int bulk_max(const struct http_pool *p)
{
	int max = p->conf.max_connections;
	int kept = max / 8 + (max > 1);

	return max - kept;
}

static bool may_go_locked(const struct http_pool *p, bool bulk)
	ACK_REQUIRES(p->lock)
{
	if (p->busy >= p->conf.max_connections)
		return false;
	return !bulk || p->busy_bulk < bulk_max(p);
}

static int wait_locked(struct http_pool *p, const struct http_request *req)
	ACK_REQUIRES(p->lock)
{
	while (!may_go_locked(p, req->bulk)) {
		int64_t now = clock_mono_ms();
		int64_t until = now + CANCEL_POLL_MS;

		if (req->cancel && atomic_load(req->cancel))
			return -ECANCELED;
		if (req->deadline_ms && now >= req->deadline_ms)
			return -ETIMEDOUT;
		if (req->deadline_ms && until > req->deadline_ms)
			until = req->deadline_ms;
		(void)cond_wait_until(&p->freed, &p->lock, until);
	}
	return 0;
}

static struct http_slot *slot_new(struct http_pool *p)
{
	struct http_slot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->easy = curl_easy_init();
	s->multi = curl_multi_init();
	if (!s->easy || !s->multi ||
	    curl_easy_setopt(s->easy, CURLOPT_SHARE, p->share) != CURLE_OK ||
	    curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK) {
		slot_free(s);
		return NULL;
	}
	return s;
}

static void leave_locked(struct http_pool *p, bool bulk) ACK_REQUIRES(p->lock)
{
	p->busy--;
	p->busy_bulk -= bulk;
	/* Waiters differ in what they may have: each looks for itself. */
	cond_broadcast(&p->freed);
}

int http_slot_take(struct http_pool *p, const struct http_request *req,
		   struct http_slot **out)
{
	struct http_slot *s = NULL;
	int rc;

	lock_acquire(&p->lock);
	rc = wait_locked(p, req);
	if (rc == 0) {
		p->busy++;
		p->busy_bulk += req->bulk;
		s = p->idle;
		if (s) {
			p->idle = s->next;
			p->idle_count--;
		}
	}
	lock_release(&p->lock);
	if (rc < 0)
		return rc;
	if (!s)
		s = slot_new(p);
	if (!s) {
		lock_acquire(&p->lock);
		leave_locked(p, req->bulk);
		lock_release(&p->lock);
		return -ENOMEM;
	}
	s->bulk = req->bulk;
	s->next = NULL;
	atomic_fetch_add(&p->requests, 1);
	*out = s;
	return 0;
}

/* Cut off those that waited too long: the list is by time of last use. */
static struct http_slot *expired_locked(struct http_pool *p, int64_t now)
	ACK_REQUIRES(p->lock)
{
	struct http_slot **at = &p->idle;
	struct http_slot *old;

	while (*at && now - (*at)->idle_since_ms < IDLE_MAX_MS)
		at = &(*at)->next;
	old = *at;
	*at = NULL;
	for (const struct http_slot *s = old; s; s = s->next)
		p->idle_count--;
	return old;
}

void http_slot_give(struct http_pool *p, struct http_slot *s, bool broken)
{
	struct http_slot *old = NULL;
	int64_t now = clock_mono_ms();

	lock_acquire(&p->lock);
	leave_locked(p, s->bulk);
	if (!broken) {
		s->idle_since_ms = now;
		s->next = p->idle;
		p->idle = s;
		p->idle_count++;
	}
	old = expired_locked(p, now);
	lock_release(&p->lock);
	if (broken)
		slot_free(s);
	slots_free(old);
}
