/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "oss/keyfile.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

enum {
	CHECK_MS = 1000, /* between looks at the file's time */
	/* A set that expires so soon is read again, if so often only. */
	EXPIRY_MARGIN_MS = 180000,
	EXPIRY_CHECK_MS = 15000,
};

struct credentials {
	struct credentials_conf conf; /* strings owned */

	struct lock lock; /* what follows; rank LOCK_CREDENTIALS */
	struct keys keys;
	uint64_t generation;
	int64_t checked_ms;
	int64_t reloaded_ms;
};

/* ---- sources ----------------------------------------------------------- */

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int none(char **why, char *text, int err)
{
	*why = text;
	return text ? err : -ENOMEM;
}

static int from_environment(struct keys *out, char **why)
{
	const char *id = env("OSS_ACCESS_KEY_ID");
	const char *secret = env("OSS_ACCESS_KEY_SECRET");

	if (!id && !secret)
		return -ENOENT;
	if (!id || !secret)
		return none(why,
			    str_printf("OSS_ACCESS_KEY_ID and "
				       "OSS_ACCESS_KEY_SECRET must both be "
				       "set, or neither"),
			    -EINVAL);
	return keys_set(out, id, secret, env("OSS_SESSION_TOKEN"), why,
			"the environment");
}

static int from_ini(struct credentials_conf *conf, struct keys *out, char **why)
{
	const char *id = conf->access_key_id;
	const char *secret = conf->access_key_secret;

	if (!id && !secret)
		return -ENOENT;
	if (!id || !secret)
		return none(why,
			    str_printf("[credentials] needs both "
				       "access_key_id and access_key_secret"),
			    -EINVAL);
	return keys_set(out, id, secret, conf->security_token, why,
			"[credentials]");
}

static int from_reread(struct credentials_conf *conf, struct keys *out,
		       char **why)
{
	struct credentials_conf fresh = {.file = NULL};
	char *id = NULL;
	char *secret = NULL;
	char *token = NULL;
	int rc = conf->reread(conf->reread_arg, &id, &secret, &token);

	if (rc < 0) {
		rc = none(why,
			  str_printf("the configuration cannot be read again"),
			  rc);
	} else {
		fresh.access_key_id = id;
		fresh.access_key_secret = secret;
		fresh.security_token = token;
		rc = from_ini(&fresh, out, why);
	}
	keys_wipe(&id);
	keys_wipe(&secret);
	keys_wipe(&token);
	return rc;
}

/* In the order of the header; the first source that has keys decides. */
static int load(struct credentials_conf *conf, bool again, struct keys *out,
		char **why)
{
	int rc = from_environment(out, why);

	if (rc == -ENOENT && conf->file)
		return keyfile_read(conf->file, conf->bucket, out, why);
	if (rc == -ENOENT && again && conf->reread)
		rc = from_reread(conf, out, why);
	else if (rc == -ENOENT)
		rc = from_ini(conf, out, why);
	if (rc == -ENOENT)
		return none(why,
			    str_printf("there is no access key; set "
				       "OSS_ACCESS_KEY_ID and "
				       "OSS_ACCESS_KEY_SECRET, or write "
				       "[credentials] file = PATH"),
			    -ENOENT);
	return rc;
}

/* ---- life -------------------------------------------------------------- */

static void wipe_const(const char *s)
{
	char *text = (char *)(uintptr_t)s;

	keys_wipe(&text);
}

static int copy_conf(struct credentials_conf *dst,
		     const struct credentials_conf *src)
{
	*dst = *src;
	dst->file = str_dup(src->file);
	dst->access_key_id = str_dup(src->access_key_id);
	dst->access_key_secret = str_dup(src->access_key_secret);
	dst->security_token = str_dup(src->security_token);
	dst->bucket = str_dup(src->bucket);
	if ((src->file && !dst->file) ||
	    (src->access_key_id && !dst->access_key_id) ||
	    (src->access_key_secret && !dst->access_key_secret) ||
	    (src->security_token && !dst->security_token) ||
	    (src->bucket && !dst->bucket))
		return -ENOMEM;
	return 0;
}

int credentials_new(const struct credentials_conf *conf,
		    struct credentials **out, char **why)
{
	struct credentials *c = calloc(1, sizeof(*c));
	int rc;

	*why = NULL;
	if (!c)
		return -ENOMEM;
	lock_init(&c->lock, LOCK_CREDENTIALS);
	rc = copy_conf(&c->conf, conf);
	if (rc == 0)
		rc = load(&c->conf, false, &c->keys, why);
	if (rc < 0) {
		credentials_free(c);
		return rc;
	}
	c->generation = 1;
	c->checked_ms = clock_mono_ms();
	c->reloaded_ms = c->checked_ms;
	*out = c;
	return 0;
}

void credentials_free(struct credentials *c)
{
	if (!c)
		return;
	keys_release(&c->keys);
	wipe_const(c->conf.file);
	wipe_const(c->conf.access_key_id);
	wipe_const(c->conf.access_key_secret);
	wipe_const(c->conf.security_token);
	wipe_const(c->conf.bucket);
	lock_destroy(&c->lock);
	free(c);
}

/* ---- reading again ----------------------------------------------------- */

/* Takes the keys over. @return whether they are others than before */
static bool adopt(struct credentials *c, struct keys *fresh)
{
	bool changed;

	lock_acquire(&c->lock);
	changed = !keys_equal(&c->keys, fresh);
	if (changed)
		c->generation++;
	keys_release(&c->keys);
	c->keys = *fresh;
	c->reloaded_ms = clock_mono_ms();
	lock_release(&c->lock);
	return changed;
}

int credentials_reload(struct credentials *c)
{
	AUTO_FREE char *why = NULL;
	struct keys fresh = {.id = NULL};
	int rc = load(&c->conf, true, &fresh, &why);

	if (rc < 0) {
		log_warn("credentials: not read again, the old ones stay: %s",
			 why ? why : "out of memory");
		lock_acquire(&c->lock);
		c->reloaded_ms = clock_mono_ms();
		lock_release(&c->lock);
		return rc;
	}
	if (!adopt(c, &fresh))
		return 0;
	log_notice("credentials: read again, they changed");
	return 1;
}

/* The keys expire soon, or have. */
static bool expires_locked(const struct credentials *c, int64_t now)
	ACK_REQUIRES(c->lock)
{
	return c->keys.expires_ms &&
	       clock_real_ms() > c->keys.expires_ms - EXPIRY_MARGIN_MS &&
	       now - c->reloaded_ms >= EXPIRY_CHECK_MS;
}

/* Has the file changed?  A change is tried once, even if it cannot be read. */
static bool file_changed(struct credentials *c)
{
	struct keyfile_stamp stamp;
	bool changed;

	/* Without the lock: this may take long on a network file system. */
	if (keyfile_stamp(c->conf.file, &stamp) < 0)
		return false;
	lock_acquire(&c->lock);
	changed = memcmp(&stamp, &c->keys.stamp, sizeof(stamp)) != 0;
	c->keys.stamp = stamp;
	lock_release(&c->lock);
	return changed;
}

static bool is_stale(struct credentials *c)
{
	int64_t now = clock_mono_ms();
	bool expires;
	bool look;

	lock_acquire(&c->lock);
	/* A size: the keys are from a file. */
	look = c->keys.stamp.size >= 0 && now - c->checked_ms >= CHECK_MS;
	if (look)
		c->checked_ms = now;
	expires = expires_locked(c, now);
	lock_release(&c->lock);
	return (look && file_changed(c)) || expires;
}

int credentials_get(struct credentials *c, struct credentials_set *out)
{
	struct credentials_set set = {.id = NULL};

	if (is_stale(c))
		(void)credentials_reload(c); /* logged; the old ones stay */
	lock_acquire(&c->lock);
	set.id = str_dup(c->keys.id);
	set.secret = str_dup(c->keys.secret);
	set.token = str_dup(c->keys.token);
	set.generation = c->generation;
	if (!set.id || !set.secret || (c->keys.token && !set.token)) {
		lock_release(&c->lock);
		credentials_set_release(&set);
		return -ENOMEM;
	}
	lock_release(&c->lock);
	*out = set;
	return 0;
}

void credentials_set_release(struct credentials_set *s)
{
	keys_wipe(&s->id);
	keys_wipe(&s->secret);
	keys_wipe(&s->token);
}
