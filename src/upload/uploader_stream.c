/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose parts go out while they are written, and what crashes left. */
#include <errno.h>
#include <string.h>

#include "callback/rules.h"
#include "upload/multipart.h"
#include "upload/props.h"
#include "upload/uploader_int.h"
#include "util/base.h"
#include "util/log.h"

/* A writer that appends, to a file that will be uploaded under this name. */
static bool may_stream(struct uploader *u, struct staging *s, uint64_t end)
{
	struct staging_base base;
	char key[STAGING_KEY_MAX];

	if (staging_size(s) != end || staging_base_of(s, &base))
		return false;
	staging_key(s, key);
	return !rules_is_temporary(u->env.deps.rules,
				   upload_path(&u->env, key));
}

static struct upload *stream_new(struct uploader *u, struct staging *s)
{
	struct upload *up = upload_new(u, s);

	if (!up)
		return NULL;
	up->phase = UPLOAD_STREAM;
	up->generation = staging_generation(s);
	if (multipart_new(&u->env, s, up->run, &up->stream) == 0)
		return up;
	upload_free(up);
	return NULL;
}

static void enter_stream(struct uploader *u, struct staging *s, uint64_t end)
{
	struct upload *fresh, *up;

	if (!may_stream(u, s, end))
		return;
	fresh = stream_new(u, s);
	if (!fresh)
		return;
	lock_acquire(&u->lock);
	up = upload_find_locked(u, fresh->id);
	if (!up && !u->is_stopping && upload_enter_locked(u, fresh) == 0) {
		atomic_fetch_add(&u->streams, 1);
		fresh->position = end;
		multipart_advance(fresh->stream, end);
		fresh = NULL;
	}
	lock_release(&u->lock);
	upload_free(fresh);
}

static struct upload *find_stream_locked(struct uploader *u, struct staging *s)
	ACK_REQUIRES(u->lock)
{
	struct upload *up = upload_find_locked(u, staging_id(s));

	return up && up->phase == UPLOAD_STREAM ? up : NULL;
}

void uploader_wrote(struct uploader *u, struct staging *s, uint64_t off,
		    uint64_t len)
{
	uint64_t end = off + len;
	bool is_long = end >= u->env.conf.multipart_threshold;
	struct upload *up;

	if (!u->env.conf.stream_parts ||
	    (!is_long && atomic_load(&u->streams) == 0))
		return;
	lock_acquire(&u->lock);
	up = find_stream_locked(u, s);
	if (up) {
		up->told++;
		multipart_touch(up->stream, off, len);
		if (off == up->position) {
			up->position = end;
			multipart_advance(up->stream, end);
		}
	}
	lock_release(&u->lock);
	/* One that was unlinked while it is open will never be stored. */
	if (!up && is_long && !staging_is_discarded(s))
		enter_stream(u, s, end);
}

void uploader_changed(struct uploader *u, struct staging *s, uint64_t off,
		      uint64_t len)
{
	struct upload *up;

	if (atomic_load(&u->streams) == 0)
		return;
	lock_acquire(&u->lock);
	up = find_stream_locked(u, s);
	if (up) {
		up->told++;
		multipart_touch(up->stream, off, len);
		if (len == UINT64_MAX && up->position > off)
			up->position = off;
	}
	lock_release(&u->lock);
}

void upload_check_stream(struct uploader *u, struct staging *s)
{
	uint64_t generation = staging_generation(s);
	struct upload *up;

	lock_acquire(&u->lock);
	up = find_stream_locked(u, s);
	if (up && generation != up->generation + up->told) {
		log_info("upload: parts go out again, changes were not told: "
			 "id=%lld",
			 (long long)up->id);
		multipart_touch(up->stream, 0, UINT64_MAX);
	}
	lock_release(&u->lock);
}

void uploader_abandon(struct uploader *u, struct staging *s)
{
	struct upload *up;

	lock_acquire(&u->lock);
	up = find_stream_locked(u, s);
	if (up)
		upload_leave_locked(u, up);
	lock_release(&u->lock);
	if (!up)
		return;
	atomic_store(&up->run->cancel, true);
	upload_bury(u, up, UPLOAD_END_STREAM);
}

/* -- what earlier runs left ---------------------------------------------------- */

static void clean_run(void *arg)
{
	struct uploader *u = arg;
	size_t count = u->leftovers.count;

	for (size_t i = 0; i < count; i++)
		(void)multipart_abort_id(&u->env, u->leftovers.items[i].value,
					 u->leftovers.items[i].name);
	log_notice("upload: left-over uploads of an earlier run: count=%zu",
		   count);
}

void uploader_clean_leftovers(struct uploader *u)
{
	struct keyq_task task = {
		.class = KEYQ_BACKGROUND, .run = clean_run, .arg = u};

	/* Written by uploader_new() alone. */
	if (u->leftovers.count > 0 && keyq_submit(u->env.deps.queue, &task) < 0)
		log_warn("upload: left-over uploads stay until the next start");
}
