/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/client.h"

#include "oss/credentials.h"
#include "util/clock.h"

enum { REQUEST_MS = 20000, CONNECT_MS = 8000 };

int client_find_keys(struct client *c, const struct conf *conf, char **why)
{
	const struct credentials_conf keys = {
		.file = conf->credentials.file,
		.access_key_id = conf->credentials.access_key_id,
		.access_key_secret = conf->credentials.access_key_secret,
		.security_token = conf->credentials.security_token,
		.bucket = conf->oss.bucket,
	};

	return credentials_new(&keys, &c->keys, why);
}

int client_open(struct client *c, const struct conf *conf, char **why)
{
	const struct oss_conf oss = {
		.endpoint = conf->oss.endpoint,
		.region = conf->oss.region,
		.bucket = conf->oss.bucket,
		.addressing = (enum oss_addressing)conf->oss.addressing,
		.signature = (enum oss_signature)conf->oss.signature,
		.ca_file = conf->oss.ca_file,
		.proxy = conf->oss.proxy,
		.connect_timeout_ms = CONNECT_MS,
		.request_timeout_ms = REQUEST_MS,
		.max_connections = 4,
	};
	int rc = oss_client_new(&oss, c->keys, &c->oss, why);

	if (rc == 0)
		c->store = oss_client_store(c->oss);
	return rc;
}

void client_release(struct client *c)
{
	oss_client_free(c->oss);
	credentials_free(c->keys);
	*c = (struct client){0};
}

struct oss_ctl client_ctl(void)
{
	return (struct oss_ctl){.deadline_ms = clock_mono_ms() + REQUEST_MS};
}
