/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/render.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>

#include "upload/props.h"

static const char *user_name(uint32_t uid, char *out, size_t size)
{
	struct passwd pw, *found = NULL;
	char text[1024];

	if (getpwuid_r(uid, &pw, text, sizeof(text), &found) == 0 && found)
		snprintf(out, size, "%s", found->pw_name);
	else
		snprintf(out, size, "%" PRIu32, uid);
	return out;
}

int upload_render(const struct upload_env *env, const char *key, uint64_t size,
		  const struct staging_close *c, const struct rule *rule,
		  const struct kvs *captures, struct callback *out, char **why)
{
	const struct uploader_conf *conf = &env->conf;
	char user[64];
	struct callback_inputs in = {
		.path = upload_path(env, key),
		.key = key,
		.bucket = conf->bucket,
		.mount = conf->mount,
		.host = conf->host,
		.size = size,
		.uid = c->uid,
		.gid = c->gid,
		.mode = c->mode,
		.pid = c->pid,
		.process = c->process ? c->process : "",
		.user = user_name(c->uid, user, sizeof(user)),
		.mtime_ms = c->mtime_ms,
		.delivery_id = c->delivery_id,
		.previous_delivery_id =
			c->previous_delivery_id ? c->previous_delivery_id : "",
		.file_vars = &c->vars,
		.xattrs = &c->xattrs,
	};
	int rc = callback_render(rule, captures, &in, out, why);

	/* Bad input costs the callback, never the file. */
	if (rc == -E2BIG || rc == -EINVAL) {
		if (!*why)
			*why = str_dup("it cannot be rendered");
		return *why ? 0 : -ENOMEM;
	}
	return rc;
}
