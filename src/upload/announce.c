/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/announce.h"

#include <errno.h>
#include <string.h>

#include "callback/rules.h"
#include "state/cbvars.h"
#include "upload/record.h"
#include "upload/render.h"
#include "upload/uploader_int.h"
#include "util/log.h"
#include "util/uuid.h"

static const char never_made[] = "no callback had been made for this object";

static const struct rule *rule_of(const struct upload_env *env, const char *key,
				  uint64_t size, struct kvs *captures)
{
	const char *path = upload_path(env, key);
	const struct rule *rule =
		rules_match(env->deps.rules, path, size, captures);

	if (!rule->enabled || !rules_exist(env->deps.rules) ||
	    rules_is_temporary(env->deps.rules, path))
		return NULL;
	return rule;
}

bool uploader_announces(struct uploader *u, const char *key)
{
	return rule_of(&u->env, key, UINT64_MAX, NULL) != NULL;
}

static int fill_close(const struct upload_env *env,
		      const struct object_announce *a, const struct rule *rule,
		      struct staging_close *c)
{
	char id[UUID_LEN];

	c->uid = a->uid;
	c->gid = a->gid;
	c->mode = a->mode;
	c->mtime_ms = a->mtime_ms;
	c->delivery_id = str_dup(uuid_make(id));
	c->previous_delivery_id = str_dup("");
	c->process = str_dup("ackctl");
	c->rule = str_dup(rule->name);
	if (!c->delivery_id || !c->previous_delivery_id || !c->process ||
	    !c->rule)
		return -ENOMEM;
	return cbvars_inherited(env->deps.db, a->key, &c->vars);
}

static void note(const struct upload_env *env, const struct object_announce *a,
		 const struct rule *rule, const struct staging_close *c,
		 const struct callback *callback)
{
	const struct callback_outcome outcome = {
		.state = CALLBACK_FAILED,
		.error = (char *)(uintptr_t)never_made,
	};
	const struct record r = {
		.key = a->key,
		.id = a->id,
		.close = c,
		.rule = rule,
		.callback = callback,
		.outcome = &outcome,
	};

	record_callback(env, &r);
}

int uploader_announce(struct uploader *u, const struct object_announce *a)
{
	AUTO(kvs_release) struct kvs captures = KVS_INIT;
	AUTO(staging_close_release) struct staging_close c = {0};
	AUTO(callback_release) struct callback callback = {0};
	AUTO_FREE char *why = NULL;
	const struct upload_env *env = &u->env;
	const struct rule *rule = rule_of(env, a->key, a->id->size, &captures);
	int rc;

	if (!rule)
		return -ENODATA;
	rc = fill_close(env, a, rule, &c);
	if (rc == 0)
		rc = upload_render(env, a->key, a->id->size, &c, rule,
				   &captures, &callback, &why);
	if (rc < 0)
		return rc;
	if (why) {
		log_err("callback: it cannot be made: key=%s error=%s",
			LOG_Q(a->key), LOG_Q(why));
		return -EINVAL;
	}
	note(env, a, rule, &c, &callback);
	return 0;
}
