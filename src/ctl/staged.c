/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/staged.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/mountinfo.h"
#include "ctl/offline.h"
#include "ctl/out.h"
#include "state/db.h"
#include "util/buf.h"
#include "util/strnum.h"

void staged_list_release(struct staged_list *l)
{
	free(l->items);
	*l = (struct staged_list){0};
}

struct gather {
	struct staged_list *list;
	unsigned states;
};

static int gather_one(void *arg, const struct staging_info *info,
		      const struct staging_close *c)
{
	struct gather *g = arg;
	struct staged_list *l = g->list;
	struct staging_info *more;

	(void)c;
	if (!(g->states & 1U << info->state))
		return 0;
	more = reallocarray(l->items, l->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->items = more;
	more[l->count++] = *info;
	return 0;
}

int staged_list_read(const struct target *t, unsigned states,
		     struct staged_list *out)
{
	AUTO(db_closep) struct db *db = NULL;
	struct gather g = {out, states};
	int rc, status = target_open_db(t, &db);

	if (status != CTL_OK)
		return status;
	rc = staging_walk(db, gather_one, &g);
	return rc < 0 ? ctl_fail_errno(rc, t->state_dir) : CTL_OK;
}

/* -- by operand ------------------------------------------------------------------ */

static bool is_named(const struct staging_info *info, const struct target *t,
		     const char *path, const char *clean)
{
	size_t len = t->mount ? strlen(t->mount) : 0;
	const char *inside = target_path_of_key(t, info->key);

	if (clean && len && strncmp(clean, t->mount, len) == 0 &&
	    clean[len] == '/' && strcmp(clean + len + 1, inside) == 0)
		return true;
	return strcmp(path, inside) == 0 || strcmp(path, info->key) == 0;
}

const struct staging_info *staged_find(const struct staged_list *l,
				       const struct target *t,
				       const char *operand)
{
	AUTO_FREE char *clean = path_clean(operand);
	const struct staging_info *found = NULL;
	int64_t id = 0;

	if (parse_i64(operand + (operand[0] == '#'), 1, INT64_MAX, &id) < 0)
		id = 0;
	for (size_t i = 0; i < l->count; i++) {
		const struct staging_info *info = &l->items[i];

		if (info->id == id)
			return info;
		if (is_named(info, t, operand, clean))
			found = info;
	}
	if (!found)
		ctl_fail("%s: no such staged file", operand);
	return found;
}

/* -- by the mount ------------------------------------------------------------------ */

int staged_command(const struct target *t, const char *word,
		   const struct staging_info *info)
{
	AUTO_FREE char *id = str_printf("#%" PRId64, info->id);
	const char *words[] = {word, id};
	int rc = id ? target_command(t, words, 2) : -ENOMEM;

	switch (-rc) {
	case 0:
		return CTL_OK;
	case ENOENT:
		ctl_fail("%s: its state has changed meanwhile", info->key);
		return CTL_ABSENT;
	case EBUSY:
		ctl_fail("%s: a program has it open", info->key);
		return CTL_NO;
	case EPERM:
		return ctl_fail("%s: only root and the mount's owner may",
				t->mount);
	case ESHUTDOWN:
		return ctl_fail("%s: the mount is ending", t->mount);
	}
	return ctl_fail_errno(rc, info->key);
}

/* -- without one --------------------------------------------------------------- */

int staged_drop_offline(const char *state_dir, const struct staging_info *f)
{
	struct offline *o = NULL;
	struct staging *s;
	int rc, status = offline_open(state_dir, &o);

	if (status != CTL_OK)
		return status;
	s = offline_find(o, f->id);
	rc = s ? staging_discard(s) : -ENOENT;
	offline_close(o);
	return rc < 0 ? ctl_fail_errno(rc, f->key) : CTL_OK;
}
