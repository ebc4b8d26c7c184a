/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/finish.h"

#include <errno.h>
#include <string.h>

#include "upload/objects.h"

void finish_adopt(struct oss_object *o, const struct oss_reply *reply,
		  struct oss_put_result *out)
{
	oss_put_result_release(out);
	memset(out, 0, sizeof(*out));
	out->reply = *reply;
	memcpy(out->etag, o->etag, sizeof(out->etag));
	out->version_id = take_ptr(o->version_id);
	out->crc64 = o->crc64;
	out->has_crc64 = o->has_crc64;
	out->modified_ms = o->modified_ms;
}

int finish_by_copy(const struct upload_env *env, struct upload_run *run,
		   const char *key, uint64_t size,
		   const struct upload_want *want, struct oss_put_result *out)
{
	struct oss_props props = upload_props_oss(want->props);
	struct oss_ctl ctl;
	struct object_id id;
	struct object_copy c = {
		.src = key,
		.dst = key,
		.src_id = &id,
		.props = &props,
		.callback = want->callback,
		.callback_urls = want->callback_urls,
		.cancel = &run->cancel,
		.db = env->deps.db,
	};

	run_moved(run); /* the bytes are there */
	ctl = run_ctl(env, run);
	c.deadline_ms = ctl.deadline_ms;
	props.forbid_overwrite = false;
	object_id_of_put(out, size, &id);
	oss_put_result_release(out);
	return object_copy(&env->deps.store, env->parts, &c, out);
}

static bool is_same_content(struct staging *s, const struct oss_object *o)
{
	uint64_t crc;

	return o->size == staging_size(s) && o->has_crc64 &&
	       staged_crc64(s, &crc) == 0 && crc == o->crc64;
}

int finish_own(const struct upload_env *env, struct upload_run *run,
	       struct staging *s, const char *key,
	       const struct upload_want *want, struct oss_put_result *out)
{
	const struct store *store = &env->deps.store;
	struct oss_ctl ctl = run_ctl(env, run);
	struct oss_object o = {.size = 0};
	struct oss_reply reply;
	int rc = store->ops->head(store->self, key, &ctl, &o, &reply);

	if (rc < 0) {
		out->reply = reply;
		return rc;
	}
	if (is_same_content(s, &o))
		finish_adopt(&o, &reply, out);
	else
		rc = -EEXIST;
	oss_object_release(&o);
	if (rc == 0 && want->callback)
		rc = finish_by_copy(env, run, key, staging_size(s), want, out);
	return rc;
}
