/* SPDX-License-Identifier: Apache-2.0 */
/* Staged files as the journal has them: for ackctl, beside a daemon. */
#include <stdio.h>
#include <string.h>

#include "state/db.h"
#include "state/extents.h"
#include "state/journal.h"
#include "state/staging.h"
#include "state/staging_record.h"
#include "util/base.h"

struct walk {
	int (*fn)(void *arg, const struct staging_info *info,
		  const struct staging_close *c);
	void *arg;
};

/* What is not here of the object that was changed; 0 where that cannot be read. */
static uint64_t missing_bytes(const struct journal_detail *d)
{
	AUTO(extents_release) struct extents local = EXTENTS_INIT;
	const unsigned char *p = d->ranges.data;
	size_t len = d->ranges.len;
	uint64_t limit, here;

	if (!d->base || !p || len < sizeof(limit))
		return 0;
	memcpy(&limit, p, sizeof(limit));
	p += sizeof(limit);
	len -= sizeof(limit);
	if (extents_unpack(&p, &len, &local) < 0)
		return 0;
	here = extents_total(&local);
	return here < limit ? limit - here : 0;
}

static int show_row(void *arg, const struct journal_row *r,
		    const struct journal_detail *d)
{
	AUTO(staging_close_release) struct staging_close c = {0};
	const struct walk *w = arg;
	struct staging_info info = {
		.id = r->id,
		.state = r->state,
		.promised = r->promised,
		.size = r->size,
		.local_bytes = r->size,
		.created_ms = r->created_ms,
		.closed_ms = r->closed_ms,
		.next_try_ms = r->next_try_ms,
		.attempts = r->attempts,
		.last_errno = r->last_errno,
		.superseded = r->superseded,
	};
	uint64_t missing = missing_bytes(d);
	bool has_close = d->close.data != NULL;
	int rc = has_close ? close_unpack(d->close.data, d->close.len, &c) : 0;

	if (rc < 0)
		return rc;
	if (missing <= info.size)
		info.local_bytes -= missing;
	snprintf(info.key, sizeof(info.key), "%s", r->key);
	snprintf(info.last_error, sizeof(info.last_error), "%s", r->last_error);
	return w->fn(w->arg, &info, has_close ? &c : NULL);
}

static int run_walk(sqlite3 *sql, void *arg)
{
	return journal_walk(sql, show_row, arg);
}

int staging_walk(struct db *db,
		 int (*fn)(void *arg, const struct staging_info *info,
			   const struct staging_close *c),
		 void *arg)
{
	struct walk w = {fn, arg};

	return db_read(db, run_walk, &w);
}
