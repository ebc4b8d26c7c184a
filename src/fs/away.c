/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start = offline_ok: what a program asks of OSS while OSS is away.
 *
 * The client's retries would make each question wait for retry_deadline.  Here
 * the first one that gets no answer at all opens a pause in which the others
 * are answered by what this mount knows; the first one after the pause asks
 * again.
 */
#include "fs/fs.h"

#include "util/clock.h"
#include "util/log.h"

/** Long enough for a slow answer: an unknown name is taken for a new one. */
#define ASK_MS 10000
#define PAUSE_MS 15000

struct oss_ctl fs_ask_ctl(const struct fs *fs)
{
	int64_t ms = fs->conf.retry_deadline_ms;

	if (fs->conf.offline_ok && ms > ASK_MS)
		ms = ASK_MS;
	return (struct oss_ctl){.deadline_ms = clock_mono_ms() + ms};
}

bool fs_is_away(const struct fs *fs)
{
	return clock_mono_ms() < atomic_load(&fs->away_until_ms);
}

bool fs_note_reply(struct fs *fs, int rc, const struct oss_reply *reply)
{
	bool away = rc < 0 && reply->http == 0 && fs->conf.offline_ok;
	bool was_away = atomic_load(&fs->away_until_ms) != 0;
	char text[768];

	atomic_store(&fs->away_until_ms, away ? clock_mono_ms() + PAUSE_MS : 0);
	if (away && !was_away)
		log_warn(
			"fs: OSS is away, names that this mount does not know count as new: %s",
			oss_reply_describe(reply, text, sizeof(text)));
	else if (was_away && !away)
		log_notice("fs: OSS is back");
	return away;
}
