/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * OSS, as a configuration names it, for commands that ask it themselves.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_CLIENT_H
#define ACKFS_CTL_CLIENT_H

#include "config/conf.h"
#include "oss/client.h"
#include "oss/store.h"

struct credentials;

struct client {
	struct credentials *keys;
	struct oss_client *oss;
	struct store store;
};

/** Find access keys. @param why  what is wrong (free it). @return 0 or -errno */
int client_find_keys(struct client *c, const struct conf *conf, char **why);
/** Then: make the client; no request is made. */
int client_open(struct client *c, const struct conf *conf, char **why);
void client_release(struct client *c);
/** A deadline for one request of a command. */
struct oss_ctl client_ctl(void);

#endif
