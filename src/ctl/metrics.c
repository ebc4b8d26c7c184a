/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl metrics: the same numbers for Prometheus. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/cli.h"
#include "ctl/out.h"
#include "ctl/snapshot.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/fileio.h"

/* One sample of a metric; several with the same name stand together. */
static const struct metric {
	const char *name, *type, *help;
	const char *label; /* state="..."; NULL: none */
	const char *path;  /* of the snapshot */
} metrics[] = {
	{"ackfs_files",                   "gauge",   "Staged files by state",          "open",       "files.open"        },
	{"ackfs_files",                   NULL,      NULL,                             "held",       "files.held"        },
	{"ackfs_files",                   NULL,      NULL,                             "closed",     "files.closed"      },
	{"ackfs_files",                   NULL,      NULL,                             "uploading",  "files.uploading"   },
	{"ackfs_files",                   NULL,      NULL,                             "retrying",   "files.retrying"    },
	{"ackfs_files",                   NULL,      NULL,                             "incomplete", "files.incomplete"  },
	{"ackfs_uploads_stuck",           "gauge",
	 "Uploads that wait for somebody to act",                                      NULL,         "stuck"             },
	{"ackfs_callbacks",               "gauge",
	 "Present objects by the outcome of their callback",                           "ok",
	 "callbacks.ok"												  },
	{"ackfs_callbacks",               NULL,      NULL,                             "retrying",   "callbacks.retrying"},
	{"ackfs_callbacks",               NULL,      NULL,                             "failed",     "callbacks.failed"  },
	{"ackfs_callbacks",               NULL,      NULL,                             "given_up",   "callbacks.given_up"},
	{"ackfs_callbacks",               NULL,      NULL,                             "none",       "callbacks.none"    },
	{"ackfs_staging_bytes",           "gauge",
	 "Bytes that staged files take on the local disk",                             NULL,
	 "staging.bytes"												 },
	{"ackfs_staging_room_bytes",      "gauge",   "Bytes that may still be staged",
	 NULL,										       "staging.room"      },
	{"ackfs_uploads_stored_total",    "counter",
	 "Files stored since the mount began",                                         NULL,         "since_start.stored"},
	{"ackfs_uploads_failed_total",    "counter",
	 "Attempts to store a file that failed",                                       NULL,         "since_start.failed"},
	{"ackfs_uploaded_bytes_total",    "counter", "Bytes of the files stored",
	 NULL,										       "since_start.bytes" },
	{"ackfs_closes_not_judged_total", "counter",
	 "Closes by processes that cannot be looked at",                               NULL,
	 "closes_not_judged"											     },
};

/* A label's value: backslash, quote and newline are escaped. */
static void add_quoted(struct buf *b, const char *text)
{
	buf_addc(b, '"');
	for (; *text; text++) {
		if (*text == '\n') {
			buf_adds(b, "\\n");
			continue;
		}
		if (*text == '"' || *text == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *text);
	}
	buf_addc(b, '"');
}

static void add_labels(struct buf *b, const json_t *s, const char *state)
{
	const char *mount = snapshot_text(s, "mount");

	buf_adds(b, "{mount=");
	add_quoted(b, mount[0] ? mount : snapshot_text(s, "state_dir"));
	buf_adds(b, ",bucket=");
	add_quoted(b, snapshot_text(s, "bucket"));
	if (state) {
		buf_adds(b, ",state=");
		add_quoted(b, state);
	}
	buf_adds(b, "} ");
}

static bool has_number(const json_t *s, const char *path)
{
	size_t len = strcspn(path, ".");
	AUTO_FREE char *head = strndup(path, len);
	const json_t *o = head ? json_object_get(s, head) : NULL;

	if (path[len] == '.')
		o = json_object_get(o, path + len + 1);
	return json_is_integer(o);
}

static void add_head(struct buf *b, const char *name, const char *type,
		     const char *help)
{
	buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_metric(struct buf *b, const struct metric *m,
		       const struct snapshots *l)
{
	if (m->type)
		add_head(b, m->name, m->type, m->help);
	for (size_t i = 0; i < l->count; i++) {
		if (!has_number(l->items[i], m->path))
			continue;
		buf_adds(b, m->name);
		add_labels(b, l->items[i], m->label);
		buf_addf(b, "%" PRId64 "\n",
			 snapshot_number(l->items[i], m->path));
	}
}

static int64_t is_up(const json_t *s)
{
	return snapshot_is_mounted(s);
}

static int64_t is_reachable(const json_t *s)
{
	return strcmp(snapshot_text(s, "state"), "oss_unreachable") != 0;
}

static int64_t oldest_seconds(const json_t *s)
{
	return snapshot_oldest_age_ms(s) / 1000;
}

static int64_t start_seconds(const json_t *s)
{
	int64_t ms = 0;

	clock_parse_rfc3339(snapshot_text(s, "started"), &ms);
	return ms / 1000;
}

static const struct computed {
	const char *name, *help;
	int64_t (*value)(const json_t *s);
	bool mounted_only;
} computed[] = {
	{"ackfs_up",		     "Whether the mount serves",                 is_up,          false},
	{"ackfs_oss_reachable",          "Whether OSS answers",                      is_reachable,   true },
	{"ackfs_oldest_pending_seconds",
	 "How long the oldest file waits to be stored",                              oldest_seconds, false},
	{"ackfs_start_time_seconds",     "When the mount began, seconds since 1970",
	 start_seconds,									      true },
};

static void add_computed(struct buf *b, const struct computed *c,
			 const struct snapshots *l)
{
	add_head(b, c->name, "gauge", c->help);
	for (size_t i = 0; i < l->count; i++) {
		if (c->mounted_only && !snapshot_is_mounted(l->items[i]))
			continue;
		buf_adds(b, c->name);
		add_labels(b, l->items[i], NULL);
		buf_addf(b, "%" PRId64 "\n", c->value(l->items[i]));
	}
}

static void write_metrics(struct buf *b, const struct snapshots *l)
{
	for (size_t i = 0; i < ARRAY_LEN(computed); i++)
		add_computed(b, &computed[i], l);
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
		add_metric(b, &metrics[i], l);
}

/* -- the command -------------------------------------------------------------------- */

enum { OPT_OUTPUT = CLI_OWN };

static const struct option options[] = {
	CLI_TARGET,
	{"output", required_argument, NULL, OPT_OUTPUT},
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	const char **output = arg;

	if (option == OPT_OUTPUT)
		*output = value;
	return CTL_OK;
}

static int put_out(const struct buf *b, const char *output)
{
	int rc = buf_error(b);

	if (rc == 0 && output)
		rc = file_write_durable(output, buf_str(b), b->len, 0644);
	if (rc < 0)
		return ctl_fail_errno(rc, output ? output : "metrics");
	if (!output)
		fputs(buf_str(b), stdout);
	return CTL_OK;
}

static int run_metrics(int argc, char **argv)
{
	AUTO(snapshots_release) struct snapshots l = {0};
	AUTO(buf_release) struct buf b = BUF_INIT;
	const char *output = NULL;
	struct cli cli = {.command = &ctl_metrics,
			  .options = options,
			  .own = read_option,
			  .arg = (void *)&output};
	int status = cli_read_path(&cli, argc, argv);

	if (status != CTL_OK)
		return status;
	status = snapshots_take(&cli.ask, &l);
	if (status != CTL_OK)
		return status;
	write_metrics(&b, &l);
	return put_out(&b, output);
}

const struct ctl_command ctl_metrics = {
	.name = "metrics",
	.operands = "[OPTION...] [MOUNT]",
	.summary = "Print a mount's numbers for Prometheus",
	.help = "Without MOUNT, of every mount.\n"
		"\n"
		"  --output FILE     replace FILE whole, for the node exporter's textfile\n"
		"                    collector: a reader never sees half of it\n" CLI_TARGET_HELP,
	.run = run_metrics,
};
