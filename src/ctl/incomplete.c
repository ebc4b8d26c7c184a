/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl incomplete: files whose writers never finished them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/cli.h"
#include "ctl/out.h"
#include "ctl/staged.h"
#include "ctl/table.h"
#include "util/clock.h"
#include "util/fileio.h"

struct incomplete_run {
	struct target target;
	struct staged_list list;
	bool json, yes, force;
};

static void run_release(struct incomplete_run *run)
{
	staged_list_release(&run->list);
	target_release(&run->target);
}

/* -- list -------------------------------------------------------------------------- */

static void print_json(const struct staging_info *f)
{
	json_t *o = json_object();
	AUTO_FREE char *text = NULL;

	json_object_set_new(o, "id", json_integer(f->id));
	json_object_set_new(o, "key", json_text(f->key));
	json_object_set_new(o, "size", json_integer((json_int_t)f->size));
	json_object_set_new(o, "local_bytes",
			    json_integer((json_int_t)f->local_bytes));
	json_object_set_new(o, "created", json_time(f->created_ms));
	json_object_set_new(o, "why", json_text(f->last_error));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	puts(text ? text : "{}");
}

static void add_row(struct table *t, const struct staging_info *f)
{
	char id[24], size[16], age[24];

	snprintf(id, sizeof(id), "%" PRId64, f->id);
	table_row(t,
		  (const char *[]){
			  id, size_text(size, f->size),
			  duration_text(age, clock_real_ms() - f->created_ms),
			  f->key, f->last_error[0] ? f->last_error : "-"},
		  5);
}

static int list(struct incomplete_run *run, int argc, char **argv)
{
	AUTO(table_release) struct table t = {.right = 1U << 0 | 1U << 1};
	static const char *const head[] = {"ID", "SIZE", "AGE", "KEY", "WHY"};

	(void)argc;
	(void)argv;
	if (!run->json && run->list.count)
		table_row(&t, head, ARRAY_LEN(head));
	for (size_t i = 0; i < run->list.count; i++) {
		if (run->json)
			print_json(&run->list.items[i]);
		else
			add_row(&t, &run->list.items[i]);
	}
	return table_print(&t, stdout) < 0 ? CTL_FAILED : CTL_OK;
}

/* -- extract ------------------------------------------------------------------------ */

static int copy_to_stdout(int from)
{
	AUTO_FREE char *piece = malloc(1 << 20);
	uint64_t off = 0;
	ssize_t n = piece ? 1 : -ENOMEM;

	while (n > 0) {
		n = fd_pread_all(from, piece, 1 << 20, off);
		if (n > 0 && fwrite(piece, 1, (size_t)n, stdout) != (size_t)n)
			return -errno;
		off += n > 0 ? (uint64_t)n : 0;
	}
	return (int)n;
}

static int copy_to_file(int from, const char *path, bool force)
{
	AUTO_CLOSE int to = open(path,
				 O_WRONLY | O_CREAT | O_CLOEXEC |
					 (force ? O_TRUNC : O_EXCL),
				 0600);
	int rc;

	if (to < 0)
		return -errno;
	rc = fd_clone(from, to);
	if (rc == 0 && fsync(to) < 0)
		rc = -errno;
	if (close(take_fd(&to)) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int extract(struct incomplete_run *run, int argc, char **argv)
{
	const struct staging_info *f =
		staged_find(&run->list, &run->target, argv[0]);
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int from = -1;
	int rc;

	(void)argc;
	if (!f)
		return CTL_ABSENT;
	rc = staging_file_path(run->target.state_dir, f->id, &path);
	if (rc == 0) {
		from = open(path, O_RDONLY | O_CLOEXEC);
		rc = from < 0 ? -errno : 0;
	}
	if (rc < 0)
		return ctl_fail_errno(rc, path ? path : f->key);
	rc = strcmp(argv[1], "-") == 0
		     ? copy_to_stdout(from)
		     : copy_to_file(from, argv[1], run->force);
	if (rc == -EEXIST)
		return ctl_fail("%s: it is there already (--force)", argv[1]);
	if (rc < 0)
		return ctl_fail_errno(rc, argv[1]);
	if (f->local_bytes >= f->size)
		return CTL_OK;
	ctl_fail("%s: %" PRIu64 " of its %" PRIu64
		 " bytes were never written, and not fetched; they are zeros "
		 "in %s, and in the object that was changed",
		 f->key, f->size - f->local_bytes, f->size, argv[1]);
	return CTL_NO;
}

/* -- publish, drop -------------------------------------------------------------------- */

static int publish(struct incomplete_run *run, int argc, char **argv)
{
	const struct staging_info *f =
		staged_find(&run->list, &run->target, argv[0]);

	(void)argc;
	if (!f)
		return CTL_ABSENT;
	if (!run->target.mount) {
		ctl_fail("%s: mount it first: the upload needs the daemon",
			 f->key);
		return CTL_ABSENT;
	}
	return staged_command(&run->target, "publish", f);
}

static int drop(struct incomplete_run *run, int argc, char **argv)
{
	const struct staging_info *f =
		staged_find(&run->list, &run->target, argv[0]);
	AUTO_FREE char *question = NULL;
	int status;

	(void)argc;
	if (!f)
		return CTL_ABSENT;
	question = str_printf("drop %" PRIu64 " bytes of %s for good?", f->size,
			      f->key);
	status = cli_confirm(run->yes, question ? question : f->key);
	if (status != CTL_OK)
		return status;
	if (run->target.mount)
		return staged_command(&run->target, "drop-incomplete", f);
	return staged_drop_offline(run->target.state_dir, f);
}

/* -- the command ----------------------------------------------------------------------- */

static const struct verb {
	const char *name;
	int operands;
	int (*run)(struct incomplete_run *run, int argc, char **argv);
} verbs[] = {
	{"list",    0, list   },
	{"extract", 2, extract},
	{"publish", 1, publish},
	{"drop",    1, drop   },
};

static const struct option options[] = {
	CLI_TARGET,
	{"mount", required_argument, NULL, 'm'},
	{"yes",   no_argument,       NULL, 'y'},
	{"force", no_argument,       NULL, 'f'},
	CLI_END,
};

struct own {
	struct incomplete_run *run;
	const char *mount;
};

static int read_option(void *arg, int option, const char *value)
{
	struct own *own = arg;

	if (option == 'm')
		own->mount = value;
	else if (option == 'y')
		own->run->yes = true;
	else if (option == 'f')
		own->run->force = true;
	return CTL_OK;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static int run_incomplete(int argc, char **argv)
{
	AUTO(run_release) struct incomplete_run run = {0};
	struct own own = {&run, NULL};
	struct cli cli = {.command = &ctl_incomplete,
			  .options = options,
			  .letters = "yfm:",
			  .own = read_option,
			  .arg = &own};
	const struct verb *v = NULL;
	int status = cli_read(&cli, argc, argv);

	if (status != CTL_OK)
		return status;
	if (optind < argc)
		v = find_verb(argv[optind]);
	if (!v) {
		ctl_fail("incomplete: want list, extract, publish or drop");
		return ctl_usage(&ctl_incomplete);
	}
	status = cli_operands(&cli, argc, argv, 1 + v->operands,
			      1 + v->operands + (v->operands == 0));
	if (status != CTL_OK)
		return status;
	cli.ask.path = own.mount;
	if (optind + 1 < argc && !own.mount &&
	    (!v->operands || target_is_on_mount(argv[optind + 1])))
		cli.ask.path = argv[optind + 1];
	run.json = cli.json;
	status = target_find(&cli.ask, &run.target);
	if (status == CTL_OK)
		status = staged_list_read(&run.target, 1U << STAGING_INCOMPLETE,
					  &run.list);
	return status == CTL_OK
		       ? v->run(&run, argc - optind - 1, argv + optind + 1)
		       : status;
}

const struct ctl_command ctl_incomplete = {
	.name = "incomplete",
	.operands = "list [MOUNT] | extract ID FILE | publish ID | drop ID",
	.summary = "List, save, publish or drop files that were never finished",
	.help = "A file is incomplete when its writer was killed, or a transfer server lost its\n"
		"peer, before it was closed.  Its bytes are kept; no callback tells of it.\n"
		"ID is its number in the list, or its path.\n"
		"\n"
		"  list              what there is\n"
		"  extract ID FILE   copy its bytes to FILE (-: stdout)\n"
		"  publish ID        upload it under its name, with its callback\n"
		"  drop ID           delete its bytes\n"
		"\n"
		"  -m, --mount MOUNT the mount, where there are several\n"
		"  -y, --yes         do not ask\n"
		"  -f, --force       overwrite FILE\n"
		"  --json            list as JSON, one object a line\n" CLI_TARGET_HELP,
	.run = run_incomplete,
};
