/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/lookup.h"

#include <errno.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/store.h"

int lookup_object(struct exchange *x, const char *bucket, const char *key,
		  const char *version, struct object **out)
{
	struct object *o;
	int rc = store_get(x->em->store, bucket, key, &o);

	if (rc < 0)
		return fail_errno(x, rc);
	/* Only the current version is kept. */
	if (version && *version && strcmp(version, o->version_id) != 0) {
		object_put(o);
		return fail_with(x, OE_NO_SUCH_VERSION, "VersionId", version);
	}
	*out = o;
	return 0;
}

int lookup_own(struct exchange *x, struct object **out)
{
	return lookup_object(x, x->req.bucket, x->req.key,
			     request_query(&x->req, "versionId"), out);
}

int lookup_target(struct exchange *x, struct object *link, struct object **out)
{
	struct object *o;
	int rc;

	if (link->type != OBJECT_SYMLINK) {
		*out = object_get(link);
		return 0;
	}
	rc = store_get(x->em->store, x->req.bucket, link->symlink_target, &o);
	if (rc == -ENOENT)
		return fail_with(x, OE_SYMLINK_NO_TARGET, "SymlinkTarget",
				 link->symlink_target);
	if (rc < 0)
		return fail_errno(x, rc);
	if (o->type == OBJECT_SYMLINK) {
		object_put(o);
		return fail(x, OE_INVALID_TARGET_TYPE);
	}
	*out = o;
	return 0;
}

bool is_restored(const struct exchange *x, const struct object *o)
{
	return o->restore_done_ms && o->restore_done_ms <= x->now_ms &&
	       x->now_ms < o->restore_expiry_ms;
}

int check_readable(struct exchange *x, const struct object *o)
{
	if (!storage_class_is_archive(object_storage_class(o)) ||
	    is_restored(x, o))
		return 0;
	return fail_with(x, OE_INVALID_OBJECT_STATE, "ObjectName", o->key);
}
