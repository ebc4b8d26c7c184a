/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl status: what a mount does, at a glance; for monitoring by its exit
   status. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/cli.h"
#include "ctl/out.h"
#include "ctl/snapshot.h"
#include "util/clock.h"

enum { WATCH_SECONDS = 1 };

/* -- lines for people ------------------------------------------------------------- */

static const char *state_words(const json_t *s)
{
	static const struct {
		const char *state, *words;
	} table[] = {
		{"serving",         "serving"					},
		{"draining",        "ending: takes no new files, uploads what it has"},
		{"oss_unreachable", "OSS does not answer; files wait for it"         },
		{"mounted",
		 "mounted, and cannot be asked: from its state folder"               },
		{"not_mounted",     "not mounted"                                    },
		{"dead",            "dead: its daemon is gone, or may not be asked"  },
	};
	const char *state = snapshot_text(s, "state");

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].state, state) == 0)
			return table[i].words;
	}
	return state;
}

static void print_head(const json_t *s)
{
	const char *mount = snapshot_text(s, "mount");
	const char *bucket = snapshot_text(s, "bucket");
	const char *prefix = snapshot_text(s, "prefix");
	int64_t since, now;
	char up[24];

	printf("%s", mount[0] ? mount : snapshot_text(s, "state_dir"));
	if (bucket[0])
		printf("  %s%s%s", bucket, prefix[0] ? ":/" : "", prefix);
	printf("\n  state      %s", state_words(s));
	if (clock_parse_rfc3339(snapshot_text(s, "started"), &since) == 0 &&
	    clock_parse_rfc3339(snapshot_text(s, "now"), &now) == 0)
		printf(", for %s", duration_text(up, now - since));
	printf("\n");
}

static void print_files(const json_t *s)
{
	static const struct {
		const char *path, *word;
	} columns[] = {
		{"files.open",       "open"      },
		{"files.held",       "held"      },
		{"files.closed",     "waiting"   },
		{"files.uploading",  "uploading" },
		{"files.retrying",   "retrying"  },
		{"files.incomplete", "incomplete"},
	};
	int64_t age = snapshot_oldest_age_ms(s);
	char text[24];

	printf("  files     ");
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		printf(" %" PRId64 " %s%s", snapshot_number(s, columns[i].path),
		       columns[i].word,
		       i + 1 < ARRAY_LEN(columns) ? "," : "\n");
	if (age > 0)
		printf("  oldest     waits for %s\n", duration_text(text, age));
}

static void print_staging(const json_t *s)
{
	char bytes[16], room[16];

	printf("  staging    %s in %" PRId64 " files",
	       size_text(bytes, (uint64_t)snapshot_number(s, "staging.bytes")),
	       snapshot_number(s, "staging.files"));
	if (json_object_get(json_object_get(s, "staging"), "room"))
		printf(", room for %s",
		       size_text(room,
				 (uint64_t)snapshot_number(s, "staging.room")));
	printf(", in %s\n", snapshot_text(s, "state_dir"));
}

static void print_counters(const json_t *s)
{
	char bytes[16];
	int64_t blind = snapshot_number(s, "closes_not_judged");

	if (json_object_get(s, "since_start"))
		printf("  uploaded   %" PRId64 " files, %s since it was "
		       "mounted; %" PRId64 " attempts failed\n",
		       snapshot_number(s, "since_start.stored"),
		       size_text(bytes, (uint64_t)snapshot_number(
						s, "since_start.bytes")),
		       snapshot_number(s, "since_start.failed"));
	printf("  callbacks  %" PRId64 " ok, %" PRId64
	       " being repeated, %" PRId64 " failed, %" PRId64
	       " given up, %" PRId64 " not wanted\n",
	       snapshot_number(s, "callbacks.ok"),
	       snapshot_number(s, "callbacks.retrying"),
	       snapshot_number(s, "callbacks.failed"),
	       snapshot_number(s, "callbacks.given_up"),
	       snapshot_number(s, "callbacks.none"));
	if (blind)
		printf("  note       %" PRId64
		       " closes by processes that cannot be looked at: taken "
		       "as finished\n",
		       blind);
}

/* -- uploads under way ------------------------------------------------------------- */

static const json_t *upload_of(const json_t *before, const char *key)
{
	const json_t *list = json_object_get(before, "uploads");
	const json_t *u;
	size_t i;

	json_array_foreach(list, i, u)
	{
		if (strcmp(snapshot_text(u, "key"), key) == 0)
			return u;
	}
	return NULL;
}

/* Bytes a second: since the last look, else since it began. */
static double rate_of(const json_t *u, const json_t *before)
{
	const json_t *old = upload_of(before, snapshot_text(u, "key"));
	int64_t sent = snapshot_number(u, "sent");
	int64_t ms = snapshot_number(u, "elapsed_ms");

	if (old && snapshot_number(old, "sent") <= sent &&
	    snapshot_number(old, "elapsed_ms") < ms) {
		sent -= snapshot_number(old, "sent");
		ms -= snapshot_number(old, "elapsed_ms");
	}
	return ms > 0 ? (double)sent * 1000 / (double)ms : 0;
}

static void print_upload(const json_t *u, const json_t *before)
{
	int64_t size = snapshot_number(u, "size");
	int64_t sent = snapshot_number(u, "sent");
	double rate = rate_of(u, before);
	char a[16], b[16], c[16], left[24];

	printf("    %s  %s of %s, %d%%, %s/s", snapshot_text(u, "key"),
	       size_text(a, (uint64_t)sent), size_text(b, (uint64_t)size),
	       size > 0 ? (int)(sent * 100 / size) : 100,
	       size_text(c, (uint64_t)rate));
	if (sent >= size)
		printf(", waits for the answer\n");
	else if (rate > 0)
		printf(", %s left\n",
		       duration_text(left, (int64_t)((double)(size - sent) *
						     1000 / rate)));
	else
		printf("\n");
}

static void print_uploads(const json_t *s, const json_t *before)
{
	const json_t *list = json_object_get(s, "uploads");
	const json_t *u;
	size_t i;

	if (json_array_size(list))
		printf("  uploading\n");
	json_array_foreach(list, i, u)
	{
		print_upload(u, before);
	}
}

static void print_retry(const json_t *r)
{
	char in[24];
	int64_t next;

	printf("    #%" PRId64 " %s  failed %" PRId64 " times: %s; ",
	       snapshot_number(r, "id"), snapshot_text(r, "key"),
	       snapshot_number(r, "attempts"), snapshot_text(r, "error"));
	if (clock_parse_rfc3339(snapshot_text(r, "next_try"), &next) < 0)
		printf("waits for you\n");
	else if (next <= clock_real_ms())
		printf("next try now\n");
	else
		printf("next try in %s\n",
		       duration_text(in, next - clock_real_ms()));
}

static void print_troubles(const json_t *s)
{
	const json_t *list = json_object_get(s, "retrying");
	const json_t *r;
	size_t i;

	if (json_array_size(list))
		printf("  retrying   (ackctl retry-upload: now; ackctl drop: give up)\n");
	json_array_foreach(list, i, r)
	{
		print_retry(r);
	}
	if (snapshot_number(s, "files.incomplete"))
		printf("  incomplete files: ackctl incomplete list\n");
	if (snapshot_number(s, "callbacks.failed") ||
	    snapshot_number(s, "callbacks.given_up"))
		printf("  failed callbacks: ackctl log --state failed; ackctl retry-callback --failed\n");
}

static void print_people(const json_t *s, const json_t *before)
{
	print_head(s);
	if (!json_object_get(s, "files"))
		return;
	print_files(s);
	print_staging(s);
	print_counters(s);
	print_uploads(s, before);
	print_troubles(s);
}

/* -- the command -------------------------------------------------------------------- */

static void print_json(const json_t *s)
{
	AUTO_FREE char *text = json_dumps(s, JSON_COMPACT);

	puts(text ? text : "{}");
}

/* The worst of all: absent over failed over well. */
static int print_all(const struct snapshots *now, const struct snapshots *old,
		     bool json)
{
	int worst = CTL_OK;

	for (size_t i = 0; i < now->count; i++) {
		int status = snapshot_exit(now->items[i]);
		const json_t *before = i < old->count ? old->items[i] : NULL;

		if (json)
			print_json(now->items[i]);
		else
			print_people(now->items[i], before);
		worst = status > worst ? status : worst;
	}
	return worst;
}

static int watch(const struct target_ask *ask, bool json)
{
	AUTO(snapshots_release) struct snapshots old = {0};
	const struct timespec pause = {WATCH_SECONDS, 0};
	int status;

	do {
		struct snapshots now = {0};

		status = snapshots_take(ask, &now);
		if (status != CTL_OK) {
			snapshots_release(&now);
			return status;
		}
		if (!json && isatty(STDOUT_FILENO))
			printf("\033[H\033[J");
		status = print_all(&now, &old, json);
		snapshots_release(&old);
		old = now;
		if (fflush(stdout) != 0)
			return CTL_FAILED;
		nanosleep(&pause, NULL);
	} while (status != CTL_ABSENT);
	return status;
}

enum { OPT_WATCH = CLI_OWN };

static const struct option options[] = {
	CLI_TARGET,
	{"watch", no_argument, NULL, OPT_WATCH},
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	bool *is_watch = arg;

	(void)value;
	*is_watch = option == OPT_WATCH;
	return CTL_OK;
}

static int run_status(int argc, char **argv)
{
	AUTO(snapshots_release) struct snapshots now = {0};
	const struct snapshots none = {0};
	bool is_watch = false;
	struct cli cli = {.command = &ctl_status,
			  .options = options,
			  .own = read_option,
			  .arg = &is_watch};
	int status = cli_read_path(&cli, argc, argv);

	if (status != CTL_OK)
		return status;
	if (is_watch)
		return watch(&cli.ask, cli.json);
	status = snapshots_take(&cli.ask, &now);
	return status == CTL_OK ? print_all(&now, &none, cli.json) : status;
}

const struct ctl_command ctl_status = {
	.name = "status",
	.operands = "[OPTION...] [MOUNT]",
	.summary = "Show what a mount does: files, uploads, callbacks",
	.help = "Without MOUNT, every mount.  Progress is of uploads under way.\n"
		"\n"
		"  --watch           again and again, each second\n"
		"  --json            one JSON object a line\n" CLI_TARGET_HELP
		"\n"
		"Exit status: 0 all is well; 1 a callback failed or was given up, an upload waits\n"
		"for you, or a file was never finished; 2 not mounted; 3 it could not be found out.\n",
	.run = run_status,
};
