/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "config/conf_int.h"
#include "config/endpoint.h"

static void need(const struct conf *c, const char *value, const char *section,
		 const char *key, const char *what, struct complaints *l)
{
	struct complaint_at at = conf_at(c, 0, section, key);

	if (!value)
		complain(l, &at, NULL, "is missing; %s", what);
}

static struct complaint_at at_key(const struct conf *c, const char *section,
				  const char *key)
{
	return conf_at(c, conf_line(c, section, key), section, key);
}

static void check_oss(const struct conf *c, struct complaints *l)
{
	struct complaint_at at = at_key(c, "oss", "endpoint");

	need(c, c->oss.endpoint, "oss", "endpoint",
	     "write endpoint = oss-cn-hangzhou.aliyuncs.com (your region's) in [oss]",
	     l);
	need(c, c->oss.bucket, "oss", "bucket",
	     "name the bucket on the command line, or write bucket = NAME in [oss]",
	     l);
	if (c->oss.endpoint && c->oss.bucket &&
	    endpoint_has_bucket(c->oss.endpoint, c->oss.bucket))
		complain(
			l, &at, c->oss.endpoint,
			"begins with the bucket, which ackfs adds by itself; write the endpoint without \"%s.\"",
			c->oss.bucket);
}

static void check_credentials(const struct conf *c, struct complaints *l)
{
	struct complaint_at at;

	if (c->credentials.access_key_id && !c->credentials.access_key_secret) {
		at = at_key(c, "credentials", "access_key_id");
		complain(
			l, &at, NULL,
			"access_key_secret is missing; write both, or neither");
	}
	if (c->credentials.access_key_secret && !c->credentials.access_key_id) {
		at = at_key(c, "credentials", "access_key_secret");
		complain(l, &at, NULL,
			 "access_key_id is missing; write both, or neither");
	}
	if (c->credentials.security_token && !c->credentials.access_key_id) {
		at = at_key(c, "credentials", "security_token");
		complain(
			l, &at, NULL,
			"a token belongs to access keys; write access_key_id and access_key_secret too");
	}
}

static void check_files(const struct conf *c, struct complaints *l)
{
	struct complaint_at at = at_key(c, "log", "callbacks");

	if (c->log.file && c->log.callbacks &&
	    strcmp(c->log.file, c->log.callbacks) == 0)
		complain(l, &at, c->log.callbacks,
			 "the same file as log.file; write another");
}

static void check_state(const struct conf *c, struct complaints *l)
{
	struct complaint_at at = at_key(c, "state", "dir");
	AUTO_FREE char *path = NULL;

	if (!c->oss.bucket)
		return;
	path = conf_state_path(c);
	if (!path)
		complain(
			l, &at, NULL,
			"there is no home folder for it; write dir = PATH in [state]");
}

int conf_finish(struct conf *c, char **why)
{
	struct complaints l = COMPLAINTS_INIT;
	int rc;

	check_oss(c, &l);
	check_credentials(c, &l);
	check_state(c, &l);
	check_files(c, &l);
	callback_finish(c, &l);
	rc = complaints_error(&l);
	if (rc < 0)
		*why = complaints_take(&l);
	complaints_release(&l);
	return rc;
}
