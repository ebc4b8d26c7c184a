/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/mountinfo.h"
#include "ctl/out.h"
#include "state/cblog.h"
#include "state/db.h"
#include "state/staging.h"
#include "state/statedir.h"
#include "util/buf.h"
#include "util/clock.h"

enum { RETRYING_SHOWN = 8 };

/* -- from the state folder -------------------------------------------------------- */

struct count {
	uint64_t by_state[STAGING_INCOMPLETE + 1];
	uint64_t files, bytes, stuck;
	int64_t oldest_ms;
	json_t *retrying;
};

static bool is_pending(enum staging_state s)
{
	return s == STAGING_HELD || s == STAGING_CLOSED ||
	       s == STAGING_UPLOADING || s == STAGING_RETRYING;
}

static int count_file(void *arg, const struct staging_info *info,
		      const struct staging_close *c)
{
	struct count *n = arg;
	enum staging_state state = info->state;

	(void)c;
	if (state == STAGING_DONE)
		return 0;
	/* A promise was made for it: the next mount takes it for closed. */
	if (state == STAGING_OPEN && info->promised)
		state = STAGING_CLOSED;
	n->by_state[state]++;
	n->files++;
	n->bytes += info->local_bytes;
	if (is_pending(state) && info->closed_ms > 0 &&
	    (!n->oldest_ms || info->closed_ms < n->oldest_ms))
		n->oldest_ms = info->closed_ms;
	if (state != STAGING_RETRYING)
		return 0;
	n->stuck += info->next_try_ms == INT64_MAX;
	if (json_array_size(n->retrying) < RETRYING_SHOWN)
		json_array_append_new(n->retrying, retrying_json(info));
	return 0;
}

static void put_number(json_t *o, const char *name, uint64_t n)
{
	json_object_set_new(o, name, json_integer((json_int_t)n));
}

static void put_files(json_t *root, const struct count *n)
{
	json_t *files = json_object();
	json_t *staging = json_object();

	for (int s = STAGING_OPEN; s <= STAGING_INCOMPLETE; s++) {
		if (s != STAGING_DONE)
			put_number(files,
				   staging_state_name((enum staging_state)s),
				   n->by_state[s]);
	}
	put_number(staging, "files", n->files);
	put_number(staging, "bytes", n->bytes);
	json_object_set_new(root, "files", files);
	json_object_set_new(root, "staging", staging);
	json_object_set_new(root, "oldest_pending", json_time(n->oldest_ms));
	json_object_set(root, "retrying", n->retrying);
	put_number(root, "stuck", n->stuck);
	json_object_set_new(root, "uploads", json_array());
}

static void put_callbacks(json_t *root, const struct cblog_totals *t)
{
	json_t *o = json_object();

	put_number(o, "ok", t->ok);
	put_number(o, "failed", t->failed);
	put_number(o, "given_up", t->given_up);
	put_number(o, "retrying", t->retrying);
	put_number(o, "none", t->none);
	json_object_set_new(root, "callbacks", o);
}

static void put_names(json_t *root, const struct target *t, int pid,
		      const char *mountpoint)
{
	json_object_set_new(root, "state",
			    json_string(pid ? "mounted" : "not_mounted"));
	json_object_set_new(root, "mount", json_text(mountpoint));
	json_object_set_new(root, "state_dir", json_text(t->state_dir));
	json_object_set_new(root, "config", json_text(t->config));
	json_object_set_new(root, "prefix", json_text(t->prefix));
	json_object_set_new(root, "now", json_time(clock_real_ms()));
	if (pid)
		json_object_set_new(root, "pid", json_integer(pid));
}

static int read_state(const struct target *t, int pid, const char *mountpoint,
		      json_t **out)
{
	AUTO(db_closep) struct db *db = NULL;
	struct count n = {0};
	struct cblog_totals totals = {0};
	json_t *root;
	int rc, status = target_open_db(t, &db);

	if (status != CTL_OK)
		return status;
	n.retrying = json_array();
	rc = staging_walk(db, count_file, &n);
	if (rc == 0)
		rc = cblog_totals(db, &totals);
	if (rc == 0) {
		root = json_object();
		put_names(root, t, pid, mountpoint);
		put_files(root, &n);
		put_callbacks(root, &totals);
		*out = root;
	}
	json_decref(n.retrying);
	return rc < 0 ? ctl_fail_errno(rc, t->state_dir) : CTL_OK;
}

/* -- one -------------------------------------------------------------------------- */

int snapshot_take(const struct target *t, json_t **out)
{
	AUTO_FREE char *mountpoint = NULL;
	int pid = 0;

	if (t->mount)
		return target_status(t, out);
	if (statedir_owner(t->state_dir, &pid, &mountpoint) == 0 &&
	    mountpoint) {
		const struct target live = {.mount = mountpoint};

		if (target_is_on_mount(mountpoint) &&
		    target_status(&live, out) == CTL_OK)
			return CTL_OK;
	}
	return read_state(t, pid, mountpoint, out);
}

/* -- all -------------------------------------------------------------------------- */

void snapshots_release(struct snapshots *l)
{
	for (size_t i = 0; i < l->count; i++)
		json_decref(l->items[i]);
	free(l->items);
	*l = (struct snapshots){0};
}

static int add(struct snapshots *l, json_t *s)
{
	json_t **more = reallocarray(l->items, l->count + 1, sizeof(json_t *));

	if (!more) {
		json_decref(s);
		return ctl_fail_errno(-ENOMEM, "status");
	}
	l->items = more;
	more[l->count++] = s;
	return CTL_OK;
}

static int add_mount(struct snapshots *l, const char *point)
{
	const struct target_ask ask = {.path = point};
	AUTO(target_release) struct target t = {0};
	json_t *s = NULL;

	if (target_find(&ask, &t) != CTL_OK || snapshot_take(&t, &s) != CTL_OK)
		s = json_pack("{s:s, s:s}", "state", "dead", "mount", point);
	return s ? add(l, s) : ctl_fail("%s: bad name", point);
}

static int take_every_mount(const struct mount_list *mounts,
			    struct snapshots *out)
{
	int status = CTL_OK;

	for (size_t i = 0; status == CTL_OK && i < mounts->count; i++)
		status = add_mount(out, mounts->points[i]);
	return status;
}

int snapshots_take(const struct target_ask *ask, struct snapshots *out)
{
	AUTO(mount_list_release) struct mount_list mounts = {0};
	AUTO(target_release) struct target t = {0};
	json_t *s = NULL;
	int status;

	if (!ask->path && !ask->state_dir && !ask->config &&
	    mountinfo_read(&mounts) == 0 && mounts.count > 1)
		return take_every_mount(&mounts, out);
	status = target_find(ask, &t);
	if (status == CTL_OK)
		status = snapshot_take(&t, &s);
	return status == CTL_OK ? add(out, s) : status;
}

/* -- reading ---------------------------------------------------------------------- */

static const json_t *member(const json_t *s, const char *path)
{
	char name[32];

	while (s && *path) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		s = json_object_get(s, name);
		path += len + (path[len] == '.');
	}
	return s;
}

int64_t snapshot_number(const json_t *s, const char *path)
{
	return json_integer_value(member(s, path));
}

const char *snapshot_text(const json_t *s, const char *path)
{
	const char *text = json_string_value(member(s, path));

	return text ? text : "";
}

bool snapshot_is_mounted(const json_t *s)
{
	const char *state = snapshot_text(s, "state");

	return strcmp(state, "not_mounted") != 0 && strcmp(state, "dead") != 0;
}

int64_t snapshot_pending(const json_t *s)
{
	return snapshot_number(s, "files.held") +
	       snapshot_number(s, "files.closed") +
	       snapshot_number(s, "files.uploading") +
	       snapshot_number(s, "files.retrying");
}

int snapshot_exit(const json_t *s)
{
	if (!snapshot_is_mounted(s))
		return CTL_ABSENT;
	if (snapshot_number(s, "files.incomplete") ||
	    snapshot_number(s, "stuck") ||
	    snapshot_number(s, "callbacks.failed") ||
	    snapshot_number(s, "callbacks.given_up"))
		return CTL_NO;
	return CTL_OK;
}

int64_t snapshot_oldest_age_ms(const json_t *s)
{
	int64_t since, now;

	if (clock_parse_rfc3339(snapshot_text(s, "oldest_pending"), &since) < 0)
		return 0;
	if (clock_parse_rfc3339(snapshot_text(s, "now"), &now) < 0)
		now = clock_real_ms();
	return now > since ? now - since : 0;
}
