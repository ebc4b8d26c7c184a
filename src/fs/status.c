/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount tells of itself: one JSON object for ackctl. */
#include "fs/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs.h"
#include "upload/json.h"
#include "util/clock.h"
#include "util/version.h"

/** An attribute holds 64 KiB; uploads under way take what this leaves. */
#define UPLOADS_BYTES_MAX 32000
#define TROUBLES_BYTES_MAX 12000

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static const char *phase(const struct fs *fs,
			 const struct uploader_totals *uploads)
{
	if (fs->draining)
		return "draining";
	return uploads->unreachable ? "oss_unreachable" : "serving";
}

static void add_mount(json_t *root, struct fs *fs,
		      const struct uploader_totals *uploads)
{
	const struct fs_conf *c = &fs->conf;

	json_object_set_new(root, "state", json_string(phase(fs, uploads)));
	json_object_set_new(root, "version", json_string(ackfs_version));
	json_object_set_new(root, "pid", json_integer(getpid()));
	json_object_set_new(root, "bucket", json_text(c->bucket));
	json_object_set_new(root, "prefix", json_text(c->prefix));
	json_object_set_new(root, "mount", json_text(c->mountpoint));
	json_object_set_new(root, "state_dir", json_text(c->state_path));
	json_object_set_new(root, "config", json_text(c->config_path));
	json_object_set_new(root, "read_only", json_boolean(c->read_only));
	json_object_set_new(root, "close_returns",
			    json_string(c->close_staged ? "staged" : "stored"));
	json_object_set_new(root, "started", json_time(fs->started_ms));
	json_object_set_new(root, "now", json_time(clock_real_ms()));
	json_object_set_new(root, "closes_not_judged",
			    number(closer_blind(fs->d.closer)));
}

static void add_files(json_t *root, struct fs *fs)
{
	struct staging_totals t;
	json_t *files = json_object();
	json_t *staging = json_object();

	staging_store_totals(fs->d.staging, &t);
	for (int s = STAGING_OPEN; s <= STAGING_INCOMPLETE; s++) {
		if (s != STAGING_DONE)
			json_object_set_new(
				files,
				staging_state_name((enum staging_state)s),
				number(t.by_state[s]));
	}
	json_object_set_new(root, "files", files);
	json_object_set_new(staging, "files", number(t.files));
	json_object_set_new(staging, "bytes", number(t.bytes));
	json_object_set_new(staging, "room",
			    number(staging_store_room(fs->d.staging)));
	json_object_set_new(root, "staging", staging);
	json_object_set_new(root, "oldest_pending",
			    json_time(t.oldest_pending_ms));
}

/* @return how long its text is */
static size_t append_object(json_t *list, json_t *o)
{
	AUTO_FREE char *text = json_dumps(o, JSON_COMPACT);

	json_array_append_new(list, o);
	return text ? strlen(text) : 0;
}

static json_t *upload_json(const struct upload_progress *p, int64_t now)
{
	json_t *o = json_object();

	json_object_set_new(o, "key", json_text(p->key));
	json_object_set_new(o, "size", number(p->size));
	json_object_set_new(o, "sent", number(p->sent));
	/* A file that is sent while it is written has no beginning yet. */
	json_object_set_new(
		o, "elapsed_ms",
		json_integer(p->started_ms ? now - p->started_ms : 0));
	json_object_set_new(o, "attempts", json_integer(p->attempts));
	return o;
}

static bool is_under_way(const struct upload_progress *p)
{
	return p->state == STAGING_UPLOADING ||
	       (p->state == STAGING_OPEN && p->sent > 0);
}

static void add_progress(json_t *root, struct fs *fs)
{
	AUTO_FREE struct upload_progress *list = NULL;
	json_t *uploads = json_array();
	int64_t now = clock_mono_ms();
	size_t count = 0, running = 0, bytes = 0;

	if (uploader_progress(fs->d.uploader, &list, &count) < 0)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		if (!is_under_way(&list[i]))
			continue;
		running++;
		if (bytes < UPLOADS_BYTES_MAX)
			bytes += append_object(uploads,
					       upload_json(&list[i], now));
	}
	json_object_set_new(root, "uploads", uploads);
	json_object_set_new(root, "uploads_running", number(running));
}

/* -- files whose upload has failed so far ---------------------------------- */

enum { TROUBLES_SHOWN = 8 };

struct troubles {
	json_t *list;
	size_t bytes;   /* of its text */
	uint64_t stuck; /* they wait for somebody to act */
};

static int add_trouble(void *arg, const struct staging_info *info,
		       const struct staging_close *c)
{
	struct troubles *t = arg;

	(void)c;
	if (info->state != STAGING_RETRYING)
		return 0;
	t->stuck += info->next_try_ms == INT64_MAX;
	if (json_array_size(t->list) < TROUBLES_SHOWN &&
	    t->bytes < TROUBLES_BYTES_MAX)
		t->bytes += append_object(t->list, retrying_json(info));
	return 0;
}

static int add_troubles(json_t *root, struct fs *fs)
{
	struct troubles t = {.list = json_array()};
	const json_t *files = json_object_get(root, "files");
	int rc = 0;

	if (json_integer_value(json_object_get(files, "retrying")) > 0)
		rc = staging_walk(fs->d.db, add_trouble, &t);
	json_object_set_new(root, "retrying", t.list);
	json_object_set_new(root, "stuck", number(t.stuck));
	return rc;
}

static void add_uploads(json_t *root, const struct uploader_totals *t)
{
	json_t *o = json_object();

	json_object_set_new(o, "stored", number(t->stored));
	json_object_set_new(o, "failed", number(t->failed));
	json_object_set_new(o, "bytes", number(t->bytes));
	json_object_set_new(o, "waiting", number(t->waiting));
	json_object_set_new(o, "running", number(t->running));
	json_object_set_new(o, "retrying", number(t->retrying));
	json_object_set_new(o, "oss_unreachable", json_boolean(t->unreachable));
	json_object_set_new(root, "since_start", o);
}

static void add_tasks(json_t *root, struct fs *fs)
{
	static const char *const names[KEYQ_CLASSES] = {"upload", "meta",
							"background"};
	json_t *o = json_object();

	for (int i = 0; i < KEYQ_CLASSES; i++) {
		enum keyq_class class = (enum keyq_class)i;

		json_object_set_new(o, names[i],
				    number(keyq_running(fs->d.queue, class) +
					   keyq_waiting(fs->d.queue, class)));
	}
	json_object_set_new(root, "tasks", o);
}

static int add_callbacks(json_t *root, struct fs *fs)
{
	struct cblog_totals t = {0};
	json_t *o;
	int rc = cblog_totals(fs->d.db, &t);

	if (rc < 0)
		return rc;
	o = json_object();
	json_object_set_new(o, "ok", number(t.ok));
	json_object_set_new(o, "failed", number(t.failed));
	json_object_set_new(o, "given_up", number(t.given_up));
	json_object_set_new(o, "retrying", number(t.retrying));
	json_object_set_new(o, "none", number(t.none));
	json_object_set_new(root, "callbacks", o);
	return 0;
}

int fs_status_json(struct fs *fs, char **out)
{
	struct uploader_totals uploads = {0};
	json_t *root = json_object();
	char *text = NULL;
	int rc;

	uploader_totals(fs->d.uploader, &uploads);
	add_mount(root, fs, &uploads);
	add_files(root, fs);
	add_progress(root, fs);
	add_uploads(root, &uploads);
	add_tasks(root, fs);
	rc = add_troubles(root, fs);
	if (rc == 0)
		rc = add_callbacks(root, fs);
	if (rc == 0) {
		text = json_dumps(root, JSON_COMPACT);
		rc = text ? 0 : -ENOMEM;
	}
	json_decref(root);
	if (rc == 0)
		*out = text;
	return rc;
}
