/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * An object that is stored already, but whose callback's answer is not known, or
 * whose metadata is not what the file had at close.
 *
 * Layer    upload (internal).
 */
#ifndef ACKFS_UPLOAD_FINISH_H
#define ACKFS_UPLOAD_FINISH_H

#include "upload/env.h"
#include "upload/props.h"

/** What an upload gives its object beside the bytes. */
struct upload_want {
	const struct upload_props *props;
	const struct oss_callback *callback; /* NULL: none */
	int callback_urls;
};

/** What HEAD said, in the place of a PutObject's answer; takes o's strings. */
void finish_adopt(struct oss_object *o, const struct oss_reply *reply,
		  struct oss_put_result *out);

/**
 * Copy the object onto itself with want's metadata and callback.
 * @param out  in: the object as it is stored; out: as from a PutObject
 * @return 0 or -errno
 */
int finish_by_copy(const struct upload_env *env, struct upload_run *run,
		   const char *key, uint64_t size,
		   const struct upload_want *want, struct oss_put_result *out);

/**
 * A create that must not overwrite found an object: is it our own, whose answer
 * was lost?  By size and CRC-64; its callback is made (again) then.
 * @return 0; -EEXIST: it is somebody else's; -errno
 */
int finish_own(const struct upload_env *env, struct upload_run *run,
	       struct staging *s, const char *key,
	       const struct upload_want *want, struct oss_put_result *out);

#endif
