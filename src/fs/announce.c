/* SPDX-License-Identifier: Apache-2.0 */
/* A callback for an object that this mount has not written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/posix.h"
#include "upload/announce.h"
#include "upload/objects.h"
#include "upload/recall.h"
#include "util/log.h"

struct announcement {
	struct fs *fs;
	char key[1024];
};

static int announce(struct fs *fs, const char *key, const struct oss_object *o)
{
	struct posix_attr attr = {S_IFREG | fs->conf.file_mode, fs->conf.uid,
				  fs->conf.gid, o->modified_ms * 1000000};
	struct object_id id;
	struct object_announce a = {.key = key, .id = &id};
	int rc;

	object_id_of(o, &id);
	posix_read(&o->meta, o->content_type, false, &attr);
	a.uid = attr.uid;
	a.gid = attr.gid;
	a.mode = attr.mode;
	a.mtime_ms = attr.mtime_ns / 1000000;
	rc = uploader_announce(fs->d.uploader, &a);
	return rc < 0 ? rc : recall_now(fs->d.recall, key);
}

static void announce_task(void *arg)
{
	struct announcement *t = arg;
	struct fs *fs = t->fs;
	struct oss_ctl ctl = fs_ctl(fs);
	struct oss_object o = {0};
	struct oss_reply reply = {0};
	int rc = fs->d.store.ops->head(fs->d.store.self, t->key, &ctl, &o,
				       &reply);

	if (rc == 0)
		rc = announce(fs, t->key, &o);
	if (rc < 0)
		fs_log_failure("a callback that was asked for", t->key, &reply,
			       rc);
	oss_object_release(&o);
	free(t);
}

int fs_announce(struct fs *fs, const char *key)
{
	struct announcement *t;
	struct keyq_task task = {.class = KEYQ_META,
				 .key = key,
				 .run = announce_task,
				 .dropped = free};
	int rc;

	if (strlen(key) >= sizeof(t->key))
		return -ENAMETOOLONG;
	if (!uploader_announces(fs->d.uploader, key))
		return -ENODATA;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->fs = fs;
	memcpy(t->key, key, strlen(key) + 1);
	task.arg = t;
	rc = keyq_submit(fs->d.queue, &task);
	if (rc < 0)
		free(t);
	return rc;
}
