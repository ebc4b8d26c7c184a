/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/stack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callback/conf_rules.h"
#include "callback/mime.h"
#include "callback/rules.h"
#include "daemon/house.h"
#include "download/reader.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/mount.h"
#include "oss/client.h"
#include "oss/credentials.h"
#include "state/db.h"
#include "state/statedir.h"
#include "upload/recall.h"
#include "util/clock.h"
#include "util/timer.h"

#define MIME_TYPES "/etc/mime.types"
/** A mount that cannot work says so within ten seconds. */
#define PROBE_MS 8000
#define META_THREADS 16
#define BACKGROUND_THREADS 4
#define PARALLEL_READS 8

struct stack {
	const struct options *o;
	char host[256];
	char *state_path;
	struct statedir *dir;
	struct db *db;
	struct credentials *keys;
	struct oss_client *client;
	struct store store;
	struct rules *rules;
	struct mime *mime;
	struct timer_wheel *timers;
	struct keyq *queue;
	struct read_cache *readers;
	struct staging_store *staging;
	struct closer *closer;
	struct uploader *uploader;
	struct recall *recall;
	struct house *house;
	struct fs *fs;
	struct mount *mount;
	atomic_bool hurry;
	_Atomic int64_t drain_until_ms; /* 0: not yet */
};

/* The one line on stderr: in the background the terminal is still there. */
static int fail(const struct stack *s, int rc, const char *what, char *why)
{
	fprintf(stderr, "ackfs: cannot mount %s: %s%s%s\n", s->o->fsname, what,
		what[0] ? ": " : "", why ? why : strerror(-rc));
	free(why);
	return rc;
}

static int or_fail(const struct stack *s, int rc, const char *what)
{
	return rc < 0 ? fail(s, rc, what, NULL) : 0;
}

/* -- state ----------------------------------------------------------------- */

static int build_state(struct stack *s)
{
	const struct conf *c = s->o->conf;
	const struct staging_conf staging = {
		.max_bytes = c->state.staging_max_bytes,
		.min_free = c->state.staging_min_free,
		.min_free_percent = c->state.staging_min_free_percent,
	};
	char *why = NULL;
	int rc;

	s->state_path = conf_state_path(c);
	if (!s->state_path)
		return fail(s, -ENOMEM, "state folder", NULL);
	rc = statedir_open(s->state_path, s->o->mountpoint, &s->dir, &why);
	if (rc < 0)
		return fail(s, rc, "", why);
	rc = db_open(s->state_path, &s->db, &why);
	if (rc < 0)
		return fail(s, rc, "", why);
	rc = staging_store_open(s->dir, s->db, &staging, &s->staging);
	return rc < 0 ? fail(s, rc, s->state_path, NULL) : 0;
}

/* -- oss ------------------------------------------------------------------- */

static int reread_keys(void *arg, char **id, char **secret, char **token)
{
	const struct stack *s = arg;

	if (!s->o->config_path)
		return -ENOENT;
	return conf_reread_credentials(s->o->config_path, id, secret, token);
}

static int probe(struct stack *s)
{
	const struct conf *c = s->o->conf;
	struct oss_reply reply = {0};
	char text[768];
	bool versioned = false;
	int rc = oss_client_probe(s->client, PROBE_MS, &reply);

	if (rc < 0 && c->mount.start == CONF_START_OFFLINE_OK &&
	    reply.http == 0) {
		log_warn(
			"start: OSS cannot be reached, files are staged until it can: endpoint=%s %s",
			LOG_Q(c->oss.endpoint),
			oss_reply_describe(&reply, text, sizeof(text)));
		return 0;
	}
	if (rc < 0)
		return fail(s, rc, c->oss.endpoint,
			    str_dup(oss_reply_describe(&reply, text,
						       sizeof(text))));
	if (oss_client_versioning(s->client, &versioned) == 0 && versioned)
		log_notice(
			"start: the bucket keeps versions; OSS ignores x-oss-forbid-overwrite there, so O_EXCL guards against writers of this mount alone");
	return 0;
}

static int build_oss(struct stack *s)
{
	const struct conf *c = s->o->conf;
	const struct credentials_conf keys = {
		.file = c->credentials.file,
		.access_key_id = c->credentials.access_key_id,
		.access_key_secret = c->credentials.access_key_secret,
		.security_token = c->credentials.security_token,
		.bucket = c->oss.bucket,
		.reread = reread_keys,
		.reread_arg = s,
	};
	const struct oss_conf oss = {
		.endpoint = c->oss.endpoint,
		.region = c->oss.region,
		.bucket = c->oss.bucket,
		.addressing = (enum oss_addressing)c->oss.addressing,
		.signature = (enum oss_signature)c->oss.signature,
		.ca_file = c->oss.ca_file,
		.proxy = c->oss.proxy,
		.connect_timeout_ms = c->oss.connect_timeout_ms,
		.request_timeout_ms = c->oss.request_timeout_ms,
		.max_connections = c->oss.max_connections,
	};
	char *why = NULL;
	int rc = credentials_new(&keys, &s->keys, &why);

	if (rc < 0)
		return fail(s, rc, "", why);
	rc = oss_client_new(&oss, s->keys, &s->client, &why);
	if (rc < 0)
		return fail(s, rc, "", why);
	s->store = oss_client_store(s->client);
	return probe(s);
}

/* -- callback -------------------------------------------------------------- */

static void log_lines(char *lines)
{
	char *save = NULL;

	if (!lines)
		return;
	for (char *l = strtok_r(lines, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save))
		log_warn("start: %s", l);
}

static int build_rules(struct stack *s)
{
	char *why = NULL;
	AUTO_FREE char *warnings = NULL;
	int rc = rules_from_conf(s->o->conf, &s->rules, &why, &warnings);

	if (rc < 0)
		return fail(s, rc, "", why);
	log_lines(warnings);
	if (!rules_exist(s->rules))
		log_warn("start: no [callback] is configured: files are "
			 "stored, and nobody is told");
	return mime_load(MIME_TYPES, &s->mime);
}

/* -- upload, download, fs -------------------------------------------------- */

static int build_workers(struct stack *s)
{
	const struct conf *c = s->o->conf;
	const struct keyq_conf queue = {
		.limit = {[KEYQ_UPLOAD] = c->upload.parallel_uploads,
			  [KEYQ_META] = META_THREADS,
			  [KEYQ_BACKGROUND] = BACKGROUND_THREADS}
        };
	const struct read_conf reads = {
		.buffer_bytes = c->cache.read_buffer_bytes,
		.parallel = PARALLEL_READS,
		.deadline_ms = c->upload.retry_deadline_ms,
	};
	int rc = timer_wheel_new(&s->timers);

	if (rc == 0)
		rc = keyq_new(&queue, &s->queue);
	if (rc == 0)
		rc = read_cache_new(s->store, &reads, &s->readers);
	if (rc == 0)
		rc = closer_new(c->upload.exit_is_abort, &s->closer);
	return rc;
}

static int build_house(struct stack *s)
{
	const struct conf *c = s->o->conf;
	int rc =
		house_new(c, s->db, s->staging, s->queue, s->timers, &s->house);

	if (rc < 0)
		return fail(s, rc, c->log.callbacks ? c->log.callbacks : "",
			    NULL);
	return 0;
}

static int build_fs(struct stack *s)
{
	const struct conf *c = s->o->conf;
	const struct fs_conf conf = {
		.bucket = c->oss.bucket,
		.prefix = c->oss.prefix,
		.mountpoint = s->o->mountpoint,
		.host = s->host,
		.state_path = s->state_path,
		.config_path = s->o->config_path,
		.close_staged = c->upload.close_returns == CONF_CLOSE_STAGED,
		.fsync_uploads = c->upload.fsync == CONF_FSYNC_UPLOAD,
		.fail_on_conflict = c->upload.on_conflict == CONF_CONFLICT_FAIL,
		.offline_ok = c->mount.start == CONF_START_OFFLINE_OK,
		.read_only = c->mount.read_only,
		.posix_meta = (enum fs_posix_meta)c->mount.posix_meta,
		.incomplete = (enum fs_incomplete)c->upload.incomplete_files,
		.uid = c->mount.has_uid ? c->mount.uid : geteuid(),
		.gid = c->mount.has_gid ? c->mount.gid : getegid(),
		.uid_for_all = c->mount.has_uid,
		.gid_for_all = c->mount.has_gid,
		.umask = c->mount.umask,
		.file_mode = c->mount.file_mode & 07777,
		.dir_mode = c->mount.dir_mode & 07777,
		.ttl_ms = c->cache.metadata_ttl_ms,
		.temporary_hold_ms = c->upload.temporary_hold_ms,
		.empty_hold_ms = c->upload.empty_hold_ms,
		.retry_deadline_ms = c->upload.retry_deadline_ms,
	};
	const struct fs_deps deps = {
		.store = s->store,
		.db = s->db,
		.staging = s->staging,
		.queue = s->queue,
		.timers = s->timers,
		.readers = s->readers,
		.rules = s->rules,
		.mime = s->mime,
		.closer = s->closer,
	};

	return fs_new(&conf, &deps, &s->fs);
}

static int build_uploader(struct stack *s)
{
	const struct conf *c = s->o->conf;
	const struct uploader_conf conf = {
		.bucket = c->oss.bucket,
		.prefix = c->oss.prefix,
		.mount = s->o->mountpoint,
		.host = s->host,
		.multipart_threshold = c->upload.multipart_threshold,
		.part_size = c->upload.part_size,
		.parallel_parts = c->upload.parallel_parts,
		.retry_deadline_ms = c->upload.retry_deadline_ms,
		.stream_parts = true,
	};
	const struct uploader_deps deps = {
		.store = s->store,
		.queue = s->queue,
		.timers = s->timers,
		.db = s->db,
		.rules = s->rules,
		.mime = s->mime,
		.event = fs_upload_event,
		.event_arg = s->fs,
		.stored = fs_upload_stored,
		.stored_arg = s->fs,
		.settle_props = fs_settle_props,
		.settle_arg = s->fs,
		.recalled = fs_recalled,
		.recalled_arg = s->fs,
		.recorded = house_record,
		.recorded_arg = s->house,
		.fetch = fs_fetch_missing,
		.fetch_arg = s->fs,
	};
	int rc = uploader_new(&conf, &deps, &s->uploader);

	if (rc < 0)
		return rc;
	s->fs->d.uploader = s->uploader;
	rc = recall_new(s->uploader, &s->recall);
	s->fs->d.recall = s->recall;
	return rc;
}

static int build_mount(struct stack *s, void (*ready)(void *), void *ready_arg)
{
	const struct mount_conf conf = {
		.mountpoint = s->o->mountpoint,
		.fsname = s->o->fsname,
		.allow_other = s->o->conf->mount.allow_other,
		.read_only = s->o->conf->mount.read_only,
		.debug = s->o->debug && log_get_level() >= LOG_LVL_DEBUG,
		.ready = ready,
		.ready_arg = ready_arg,
	};
	char *why = NULL;
	int rc = mount_new(s->fs, &conf, &s->mount, &why);

	if (rc < 0)
		return fail(s, rc, "", why);
	closer_set_mount(s->closer, s->o->mountpoint);
	return 0;
}

int stack_build(const struct options *o, void (*ready)(void *arg),
		void *ready_arg, struct stack **out)
{
	struct stack *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->o = o;
	if (gethostname(s->host, sizeof(s->host) - 1) < 0)
		snprintf(s->host, sizeof(s->host), "localhost");
	rc = build_rules(s);
	if (rc == 0)
		rc = build_oss(s);
	if (rc == 0)
		rc = build_state(s);
	if (rc == 0)
		rc = or_fail(s, build_workers(s), "");
	if (rc == 0)
		rc = build_house(s);
	if (rc == 0)
		rc = or_fail(s, build_fs(s), "");
	if (rc == 0)
		rc = or_fail(s, build_uploader(s), s->state_path);
	/* First, so that nothing is uploaded where the mount is refused; its
	   requests wait until it is served. */
	if (rc == 0)
		rc = build_mount(s, ready, ready_arg);
	if (rc == 0)
		rc = or_fail(s, fs_recover(s->fs), s->state_path);
	if (rc < 0) {
		stack_free(s);
		return rc;
	}
	recall_start(s->recall);
	house_start(s->house);
	uploader_clean_leftovers(s->uploader);
	*out = s;
	return 0;
}

struct mount *stack_mount(struct stack *s)
{
	return s->mount;
}

void stack_reload(struct stack *s)
{
	int rc = log_reopen();

	if (rc < 0)
		log_err("reload: the log file cannot be opened again: errno=%d",
			-rc);
	rc = house_reopen(s->house);
	if (rc < 0)
		log_err("reload: the callbacks' log file cannot be opened again: errno=%d",
			-rc);
	rc = credentials_reload(s->keys);
	if (rc < 0)
		log_err("reload: access keys were not read, the old ones stay: errno=%d",
			-rc);
	else
		log_notice("reload: access keys were read again: changed=%s",
			   rc ? "yes" : "no");
	uploader_retry_now(s->uploader, NULL);
}

/* -- the end --------------------------------------------------------------- */

size_t stack_left(struct stack *s)
{
	struct staging_totals t;

	staging_store_totals(s->staging, &t);
	return (size_t)(t.by_state[STAGING_OPEN] + t.by_state[STAGING_HELD] +
			t.by_state[STAGING_CLOSED] +
			t.by_state[STAGING_UPLOADING] +
			t.by_state[STAGING_RETRYING]);
}

enum { LEFT_NAMED = 20 };

static int name_left(void *arg, const struct staging_info *info,
		     const struct staging_close *c)
{
	int *named = arg;

	(void)c;
	if (info->state == STAGING_DONE || info->state == STAGING_INCOMPLETE ||
	    ++*named > LEFT_NAMED)
		return 0;
	log_warn("unmounted: left: key=%s state=%s error=%s", LOG_Q(info->key),
		 staging_state_name(info->state), LOG_Q(info->last_error));
	return 0;
}

void stack_name_left(struct stack *s)
{
	int named = 0;

	if (staging_walk(s->db, name_left, &named) < 0)
		log_err("unmounted: what is left cannot be read");
	if (named > LEFT_NAMED)
		log_warn("unmounted: left: and %d more", named - LEFT_NAMED);
}

void stack_hurry(struct stack *s)
{
	atomic_store(&s->hurry, true);
}

static bool is_quiet(struct stack *s, bool serving)
{
	struct uploader_totals t;

	uploader_totals(s->uploader, &t);
	return !(serving && file_count_open(s->fs)) &&
	       t.waiting + t.running == 0 &&
	       !keyq_running(s->queue, KEYQ_UPLOAD) &&
	       !keyq_waiting(s->queue, KEYQ_UPLOAD) &&
	       !keyq_running(s->queue, KEYQ_META) &&
	       !keyq_waiting(s->queue, KEYQ_META);
}

/* One drain_timeout, also when the mount goes on being drained after its end. */
static int64_t drain_until(struct stack *s)
{
	int64_t none = 0;
	int64_t until = clock_mono_ms() + s->o->conf->upload.drain_timeout_ms;

	return atomic_compare_exchange_strong(&s->drain_until_ms, &none, until)
		       ? until
		       : none;
}

void stack_drain(struct stack *s, bool serving)
{
	int64_t deadline = drain_until(s);
	int64_t say = clock_mono_ms() + 1000;

	atomic_store(&s->fs->draining, true);
	if (!serving)
		file_close_promised(s->fs);
	file_finish_holds(s->fs);
	fs_flush_meta(s->fs);
	uploader_retry_now(s->uploader, NULL);
	while (!is_quiet(s, serving) && clock_mono_ms() < deadline &&
	       !atomic_load(&s->hurry)) {
		int64_t slice = clock_mono_ms() + 100;

		if (serving && file_count_open(s->fs))
			usleep(20000);
		keyq_drain(s->queue, slice);
		if (clock_mono_ms() < say)
			continue;
		say += 1000;
		log_notice(
			"drain: waiting: files=%zu open=%zu seconds_left=%" PRId64,
			stack_left(s), file_count_open(s->fs),
			(deadline - clock_mono_ms()) / 1000);
		file_finish_holds(s->fs);
	}
}

void stack_free(struct stack *s)
{
	if (!s)
		return;
	/* No task runs any more, no timer starts one; then what they used.  The
	   mount is among that: requests that wait are answered to it. */
	uploader_break_off(s->uploader);
	if (s->queue)
		keyq_stop(s->queue);
	recall_free(s->recall);
	uploader_stop(s->uploader);
	timer_wheel_free(s->timers);
	keyq_free(s->queue);
	mount_free(s->mount);
	uploader_free(s->uploader);
	house_free(s->house);
	fs_free(s->fs);
	closer_free(s->closer);
	read_cache_free(s->readers);
	staging_store_free(s->staging);
	db_close(s->db);
	statedir_close(s->dir);
	oss_client_free(s->client);
	credentials_free(s->keys);
	mime_free(s->mime);
	rules_free(s->rules);
	free(s->state_path);
	free(s);
}
