/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state     | meaning                                | next
 * ----------+----------------------------------------+----------------------
 * FREE      | nothing here                           | FETCHING
 * FETCHING  | one thread is getting it, others wait  | READY, FAILED
 * READY     | there is a key                         | FETCHING (too old), FREE
 * FAILED    | no key at that address a moment ago    | FETCHING, FREE
 *
 * A slot that is FETCHING is never taken for another address, so KEYCACHE_MAX
 * also bounds how many fetches callbacks can cause at once.
 */
#include "receiver/keycache.h"

#include <errno.h>
#include <string.h>

#include "receiver/keyfetch.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/lock.h"
#include "util/log.h"

/* Long enough not to hammer an address, short enough for OSS's next try. */
#define FAILED_PAUSE_MS 2000
#define URL_MAX_LEN 1024
/* A little more than one fetch takes. */
#define WAIT_MS 4000

enum slot_state { SLOT_FREE, SLOT_FETCHING, SLOT_READY, SLOT_FAILED };

struct slot {
	enum slot_state state;
	char *url;
	struct verify_key *key; /* one reference; stays while fetched again */
	int64_t fetched_ms;     /* when it became READY or FAILED */
	int64_t used_ms;
};

struct keycache {
	struct keycache_conf conf;
	struct lock lock; /* rank LOCK_LEAF; guards the slots */
	struct cond done; /* a slot left FETCHING */
	struct slot slots[KEYCACHE_MAX];
};

static void freep(struct keycache **c)
{
	keycache_free(*c);
}

int keycache_new(const struct keycache_conf *conf, struct keycache **out)
{
	AUTO(freep) struct keycache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->conf = *conf;
	if (!c->conf.fetch)
		c->conf.fetch = keyfetch;
	lock_init(&c->lock, LOCK_LEAF);
	cond_init(&c->done);
	*out = take_ptr(c);
	return 0;
}

void keycache_free(struct keycache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < KEYCACHE_MAX; i++) {
		free(c->slots[i].url);
		verify_key_put(c->slots[i].key);
	}
	cond_destroy(&c->done);
	lock_destroy(&c->lock);
	free(c);
}

bool keycache_prefix_is_safe(const char *prefix)
{
	const char *host;
	size_t len;

	if (!strncmp(prefix, "http://", 7))
		host = prefix + 7;
	else if (!strncmp(prefix, "https://", 8))
		host = prefix + 8;
	else
		return false;
	/* "user@host" would be a host that is not the one at first sight. */
	len = strcspn(host, "/?#@\\");
	return len > 0 && host[len] == '/';
}

bool keycache_is_trusted(const char *const *trusted, size_t count,
			 const char *url)
{
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p >= 0x7f) /* as signed char: > 0x7f too */
			return false;
	for (size_t i = 0; i < count; i++)
		if (!strncmp(url, trusted[i], strlen(trusted[i])))
			return true;
	return false;
}

static int decode_url(const struct keycache *c, const char *header,
		      struct buf *url)
{
	if (!header || base64_decode(url, header, strlen(header)) < 0 ||
	    url->len == 0 || url->len > URL_MAX_LEN ||
	    memchr(url->data, '\0', url->len))
		return buf_error(url) == -ENOMEM ? -ENOMEM : -EINVAL;
	if (!keycache_is_trusted(c->conf.trusted, c->conf.trusted_count,
				 buf_str(url)))
		return -EACCES;
	return 0;
}

static struct slot *find_locked(struct keycache *c, const char *url)
	ACK_REQUIRES(c->lock)
{
	for (size_t i = 0; i < KEYCACHE_MAX; i++)
		if (c->slots[i].url && !strcmp(c->slots[i].url, url))
			return &c->slots[i];
	return NULL;
}

/* Of the slots that nobody is filling: a free one, else the failed or unused
 * for longest. */
static struct slot *victim_locked(struct keycache *c) ACK_REQUIRES(c->lock)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < KEYCACHE_MAX; i++) {
		struct slot *s = &c->slots[i];

		if (s->state == SLOT_FREE)
			return s;
		if (s->state == SLOT_FETCHING)
			continue;
		if (!best ||
		    (s->state == SLOT_FAILED) > (best->state == SLOT_FAILED))
			best = s;
		else if (s->state == best->state && s->used_ms < best->used_ms)
			best = s;
	}
	return best;
}

static struct slot *claim_locked(struct keycache *c, const char *url)
	ACK_REQUIRES(c->lock)
{
	struct slot *s = victim_locked(c);
	char *copy;

	if (!s)
		return NULL;
	copy = strdup(url);
	if (!copy)
		return NULL;
	free(s->url);
	verify_key_put(s->key);
	*s = (struct slot){.state = SLOT_FREE, .url = copy};
	return s;
}

static struct verify_key *fetch(const struct keycache *c, const char *url)
{
	AUTO(buf_release) struct buf pem = BUF_INIT;
	struct verify_key *key = NULL;

	if (c->conf.fetch(url, &pem) < 0)
		return NULL; /* it has said why */
	if (verify_key_parse(buf_str(&pem), &key) < 0)
		log_warn("keycache: not a public key: url=%s", LOG_Q(url));
	return key;
}

/* Called and left with the lock held, which is dropped for the fetch. */
static void refill_locked(struct keycache *c, struct slot *s, const char *url)
	ACK_REQUIRES(c->lock)
{
	struct verify_key *key;

	s->state = SLOT_FETCHING;
	lock_release(&c->lock);
	key = fetch(c, url);
	lock_acquire(&c->lock);
	if (key) {
		verify_key_put(s->key);
		s->key = key;
	}
	/* A key that was good stays so while it cannot be fetched again. */
	s->state = s->key ? SLOT_READY : SLOT_FAILED;
	s->fetched_ms = clock_mono_ms();
	cond_broadcast(&c->done);
}

static bool is_fresh(const struct slot *s, int64_t max_age_ms)
{
	int64_t age = clock_mono_ms() - s->fetched_ms;

	if (s->state == SLOT_FAILED)
		return age < FAILED_PAUSE_MS;
	return s->state == SLOT_READY && age <= max_age_ms;
}

/* The slot of url, READY or FAILED; NULL: too busy, or no memory. */
static struct slot *settle_locked(struct keycache *c, const char *url,
				  int64_t max_age_ms) ACK_REQUIRES(c->lock)
{
	int64_t deadline = clock_mono_ms() + WAIT_MS;
	struct slot *s;

	while ((s = find_locked(c, url)) && s->state == SLOT_FETCHING)
		if (!cond_wait_until(&c->done, &c->lock, deadline))
			return NULL;
	if (!s)
		s = claim_locked(c, url);
	if (s && !is_fresh(s, max_age_ms))
		refill_locked(c, s, url);
	return s;
}

int keycache_get(struct keycache *c, const char *header, int64_t max_age_ms,
		 struct verify_key **out)
{
	AUTO(buf_release) struct buf url = BUF_INIT;
	struct slot *s;
	int rc;

	if (c->conf.pinned) {
		*out = verify_key_get(c->conf.pinned);
		return 0;
	}
	rc = decode_url(c, header, &url);
	if (rc < 0)
		return rc;
	rc = -EAGAIN;
	lock_acquire(&c->lock);
	s = settle_locked(c, buf_str(&url), max_age_ms);
	if (s && s->state == SLOT_READY) {
		s->used_ms = clock_mono_ms();
		*out = verify_key_get(s->key);
		rc = 0;
	}
	lock_release(&c->lock);
	return rc;
}
