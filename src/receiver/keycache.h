/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * OSS's public key: which addresses it may come from, and a small cache.
 *
 * A callback names the address of the key that it is signed with, in the
 * header x-oss-pub-key-url (base64).  Anybody can make a key, sign with it and
 * name it: so the address must begin with a trusted prefix, or all the
 * checking is worth nothing.
 *
 * The cache holds KEYCACHE_MAX keys.  An address that many callbacks name at
 * once is fetched once; one that failed is left alone for a moment.
 *
 * Threads  keycache_get() from any; it may block for one fetch (seconds), and
 *          holds no lock meanwhile.
 */
#ifndef ACKFS_RECEIVER_KEYCACHE_H
#define ACKFS_RECEIVER_KEYCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "receiver/verify.h"
#include "util/buf.h"

#define KEYCACHE_MAX 8

/** OSS's own address, in both schemes. */
#define KEYCACHE_OSS_HTTP "http://gosspublic.alicdn.com/"
#define KEYCACHE_OSS_HTTPS "https://gosspublic.alicdn.com/"

struct keycache_conf {
	/** Prefixes that are trusted (borrowed; they outlive the cache). Each
	 *  passes keycache_prefix_is_safe(). */
	const char *const *trusted;
	size_t trusted_count;
	/** The key, for a server that cannot or need not fetch one: then
	 *  nothing is fetched, and the address in the header does not matter.
	 *  NULL: fetch.  Borrowed. */
	struct verify_key *pinned;
	/** How to fetch; NULL: keyfetch(). Tests bring their own. */
	int (*fetch)(const char *url, struct buf *pem);
};

struct keycache;

/** @return 0; -ENOMEM */
int keycache_new(const struct keycache_conf *conf, struct keycache **out);
void keycache_free(struct keycache *c);

/**
 * The key that a callback names.
 *
 * @param header      the value of x-oss-pub-key-url; NULL: none came
 * @param max_age_ms  fetch again what is older; INT64_MAX: any age will do
 * @param out         set on success only: a reference, give it back with
 *                    verify_key_put()
 * @return 0; -EINVAL the header is missing, or not the base64 of an address;
 *         -EACCES the address is not trusted; -EAGAIN the key cannot be had
 *         now (worth another try later); -ENOMEM
 */
int keycache_get(struct keycache *c, const char *header, int64_t max_age_ms,
		 struct verify_key **out);

/**
 * Whether prefix names a whole host: "http://host/", with whatever path.
 * "http://host" would trust "http://host.evil.example/" too.
 */
bool keycache_prefix_is_safe(const char *prefix);

/** Whether url begins with one of the prefixes, and has no byte that an
 *  address cannot have. */
bool keycache_is_trusted(const char *const *trusted, size_t count,
			 const char *url);

#endif
