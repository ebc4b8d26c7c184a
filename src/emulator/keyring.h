/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The access keys that the emulator knows.
 *
 * Threads  any.
 */
#ifndef ACKFS_EMULATOR_KEYRING_H
#define ACKFS_EMULATOR_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

struct keyring;

struct credential {
	char *id;
	char *secret;
	char *token;        /* NULL: a permanent key */
	int64_t expires_ms; /* 0: never */
};

int keyring_new(struct keyring **out);
void keyring_free(struct keyring *k);
/** Add, or replace the key of that id; copied. @return 0 or -ENOMEM */
int keyring_set(struct keyring *k, const struct credential *c);
/** @return whether it was there */
bool keyring_remove(struct keyring *k, const char *id);
/** A copy of the key; credential_release() it. @return 0, -ENOENT, -ENOMEM */
int keyring_find(struct keyring *k, const char *id, struct credential *out);
/** Whether the token belongs to any key. */
bool keyring_has_token(struct keyring *k, const char *token);
void credential_release(struct credential *c);

#endif
