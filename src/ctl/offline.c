/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/offline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/ctl.h"
#include "state/db.h"
#include "state/staging.h"
#include "state/statedir.h"

struct offline {
	struct statedir *dir;
	struct db *db;
	struct staging_store *store;
	struct staging **files;
	size_t count;
};

static void keep(void *arg, struct staging *s)
{
	struct offline *o = arg;
	struct staging **more =
		reallocarray(o->files, o->count + 1, sizeof(*more));

	if (!more) {
		staging_put(s);
		return;
	}
	o->files = more;
	more[o->count++] = s;
}

void offline_close(struct offline *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->count; i++)
		staging_put(o->files[i]);
	free(o->files);
	if (o->store)
		staging_store_free(o->store);
	db_close(o->db);
	statedir_close(o->dir);
	free(o);
}

static void offline_closep(struct offline **o)
{
	offline_close(*o);
}

static int build(struct offline *o, const char *state_dir, char **why)
{
	const struct staging_conf conf = {.min_free_percent = 0};
	int rc = statedir_open(state_dir, "(ackctl)", &o->dir, why);

	if (rc == 0)
		rc = db_open(state_dir, &o->db, why);
	if (rc == 0)
		rc = staging_store_open(o->dir, o->db, &conf, &o->store);
	if (rc == 0)
		rc = staging_recover(o->store, keep, o);
	return rc < 0 ? rc : 0;
}

int offline_open(const char *state_dir, struct offline **out)
{
	AUTO(offline_closep) struct offline *o = calloc(1, sizeof(*o));
	AUTO_FREE char *why = NULL;
	struct stat st;
	int rc;

	/* Looking must not make a folder. */
	if (stat(state_dir, &st) < 0) {
		ctl_fail_errno(-errno, state_dir);
		return CTL_ABSENT;
	}
	rc = o ? build(o, state_dir, &why) : -ENOMEM;
	if (rc < 0)
		return ctl_fail("%s", why ? why : strerror(-rc));
	*out = take_ptr(o);
	return CTL_OK;
}

struct staging *offline_find(struct offline *o, int64_t id)
{
	for (size_t i = 0; i < o->count; i++) {
		if (staging_id(o->files[i]) == id)
			return o->files[i];
	}
	return NULL;
}
