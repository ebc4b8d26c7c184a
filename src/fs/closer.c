/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/closer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/fileio.h"
#include "util/glob.h"
#include "util/log.h"
#include "util/strnum.h"

struct closer {
	char *exit_is_abort;
	int mnt_id; /* -1: not known; every descriptor of the inode counts */
	_Atomic uint64_t blind;
};

static enum close_verdict judge_exiting(const struct closer *c,
					const struct process *who)
{
	if (glob_list_match(c->exit_is_abort, who->name, NULL))
		return CLOSE_ABORTED;
	/* Its descriptors are on their way out one by one: each FLUSH that
	   finds changes may take them, the others find none. */
	return CLOSE_FINAL;
}

enum close_verdict closer_judge(struct closer *c, pid_t tid, pid_t opener,
				uint64_t ino, struct process *who)
{
	struct process local;
	int held;

	if (!who)
		who = &local;
	if (process_read(tid, who) < 0 || !opener) {
		/* Another PID namespace, or a process that is gone. */
		atomic_fetch_add(&c->blind, 1);
		return CLOSE_FINAL;
	}
	/* Whoever it is: a child that is killed finishes nothing either. */
	if (who->exiting && process_exit_signal(tid))
		return CLOSE_KILLED;
	if (who->tgid != opener)
		return CLOSE_DEFER;
	if (who->exiting)
		return judge_exiting(c, who);
	if (who->in_exec)
		return CLOSE_DEFER;
	held = process_holds(who->tgid, ino, c->mnt_id);
	if (held == -EACCES || held == -EPERM) {
		atomic_fetch_add(&c->blind, 1);
		return CLOSE_FINAL;
	}
	return held == 0 ? CLOSE_FINAL : CLOSE_DEFER;
}

int closer_new(const char *exit_is_abort, struct closer **out)
{
	struct closer *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->mnt_id = -1;
	c->exit_is_abort = str_dup(exit_is_abort ? exit_is_abort : "");
	if (!c->exit_is_abort) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void closer_free(struct closer *c)
{
	if (!c)
		return;
	free(c->exit_is_abort);
	free(c);
}

/* The nth word of a line of mountinfo, cut off behind it; NULL: there is none. */
static char *field(char *line, int n)
{
	while (n-- > 0) {
		line = strchr(line, ' ');
		if (!line)
			return NULL;
		line++;
	}
	line[strcspn(line, " ")] = '\0';
	return line;
}

/* "\040" is a blank. @return text */
static char *unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
		    from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
		    from[3] <= '7') {
			*to = (char)((from[1] - '0') << 6 |
				     (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return text;
}

void closer_set_mount(struct closer *c, const char *mountpoint)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	char *save = NULL;

	if (file_read("/proc/self/mountinfo", 4 << 20, &text) < 0)
		return;
	/* "36 35 98:0 /root /mnt/point ...": the last one on top wins. */
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *id = line, *point = field(line, 4);
		uint64_t n;

		if (!point || strcmp(unescape(point), mountpoint) != 0)
			continue;
		id[strcspn(id, " ")] = '\0';
		if (parse_u64(id, 0, INT32_MAX, &n) == 0)
			c->mnt_id = (int)n;
	}
	if (c->mnt_id < 0)
		log_debug("closer: the mount is not in mountinfo: point=%s",
			  LOG_Q(mountpoint));
}

uint64_t closer_blind(const struct closer *c)
{
	return atomic_load(&c->blind);
}
