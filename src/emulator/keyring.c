/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/keyring.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "util/buf.h"
#include "util/lock.h"

struct node {
	struct credential key;
	struct node *next;
};

struct keyring {
	struct lock lock;
	struct node *first;
};

int keyring_new(struct keyring **out)
{
	struct keyring *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	lock_init(&k->lock, LOCK_LEAF);
	*out = k;
	return 0;
}

void credential_release(struct credential *c)
{
	if (c->secret)
		OPENSSL_cleanse(c->secret, strlen(c->secret));
	free(c->id);
	free(c->secret);
	free(c->token);
	memset(c, 0, sizeof(*c));
}

static int copy(const struct credential *from, struct credential *to)
{
	struct credential c = {.expires_ms = from->expires_ms};

	if (str_set(&c.id, from->id) < 0 ||
	    str_set(&c.secret, from->secret) < 0 ||
	    str_set(&c.token, from->token) < 0) {
		credential_release(&c);
		return -ENOMEM;
	}
	*to = c;
	return 0;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	while (k->first) {
		struct node *n = k->first;

		k->first = n->next;
		credential_release(&n->key);
		free(n);
	}
	lock_destroy(&k->lock);
	free(k);
}

static struct node **find(struct keyring *k, const char *id)
	ACK_REQUIRES(k->lock)
{
	struct node **link = &k->first;

	while (*link && strcmp((*link)->key.id, id) != 0)
		link = &(*link)->next;
	return link;
}

int keyring_set(struct keyring *k, const struct credential *c)
{
	struct node *n = calloc(1, sizeof(*n));
	struct node **link;

	if (!n)
		return -ENOMEM;
	if (copy(c, &n->key) < 0) {
		free(n);
		return -ENOMEM;
	}
	lock_acquire(&k->lock);
	link = find(k, c->id);
	if (*link) {
		struct credential old = (*link)->key;

		(*link)->key = n->key;
		n->key = old;
	} else {
		*link = n;
		n = NULL;
	}
	lock_release(&k->lock);
	if (n) {
		credential_release(&n->key);
		free(n);
	}
	return 0;
}

bool keyring_remove(struct keyring *k, const char *id)
{
	struct node *n;

	lock_acquire(&k->lock);
	n = *find(k, id);
	if (n)
		*find(k, id) = n->next;
	lock_release(&k->lock);
	if (!n)
		return false;
	credential_release(&n->key);
	free(n);
	return true;
}

int keyring_find(struct keyring *k, const char *id, struct credential *out)
{
	const struct node *n;
	int rc = -ENOENT;

	lock_acquire(&k->lock);
	n = *find(k, id);
	if (n)
		rc = copy(&n->key, out);
	lock_release(&k->lock);
	return rc;
}

bool keyring_has_token(struct keyring *k, const char *token)
{
	bool found = false;

	lock_acquire(&k->lock);
	for (const struct node *n = k->first; n && !found; n = n->next)
		found = n->key.token && strcmp(n->key.token, token) == 0;
	lock_release(&k->lock);
	return found;
}
