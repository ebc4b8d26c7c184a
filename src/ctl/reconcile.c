/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl reconcile: objects of which nobody was told. */
#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "callback/conf_rules.h"
#include "callback/outcome.h"
#include "callback/rules.h"
#include "config/conf.h"
#include "ctl/cli.h"
#include "ctl/out.h"
#include "state/cblog.h"
#include "state/db.h"
#include "util/buf.h"
#include "util/clock.h"

#define STATE_ATTR "user.oss.callback.state"

enum { SETTLE_MS = 300, SETTLE_FOR_MS = 60000 };

struct reconcile {
	struct target target;
	struct conf *conf;   /* NULL: not known */
	struct rules *rules; /* NULL: not known: every object counts */
	bool json, fire, quiet;
	size_t looked, missing, asked, refused;
	size_t answered, failed; /* of those that were asked for */
	char **waiting;          /* keys whose callbacks were asked for */
};

static void reconcile_release(struct reconcile *r)
{
	for (size_t i = 0; i < r->asked; i++)
		free(r->waiting[i]);
	free(r->waiting);
	rules_free(r->rules);
	conf_free(r->conf);
	target_release(&r->target);
}

/* -- which objects lack one --------------------------------------------------------- */

/* Would the configuration of now make a callback for it? */
static bool is_wanted(const struct reconcile *r, const char *path,
		      uint64_t size)
{
	if (!r->rules)
		return true;
	return rules_exist(r->rules) &&
	       rules_match(r->rules, path, size, NULL)->enabled &&
	       !rules_is_temporary(r->rules, path);
}

/* @return the state, CALLBACK_PENDING where it cannot be read */
static enum callback_state state_of(const char *path)
{
	enum callback_state state = CALLBACK_PENDING;
	char text[32];
	ssize_t len = lgetxattr(path, STATE_ATTR, text, sizeof(text) - 1);

	if (len < 0)
		return CALLBACK_PENDING;
	text[len] = '\0';
	if (callback_state_parse(text, &state) < 0)
		return CALLBACK_PENDING;
	return state;
}

static bool lacks_answer(enum callback_state s)
{
	return s == CALLBACK_UNKNOWN || s == CALLBACK_FAILED ||
	       s == CALLBACK_NONE;
}

static void print_one(const struct reconcile *r, const char *path,
		      const char *state, const struct stat *st)
{
	json_t *o;
	AUTO_FREE char *text = NULL;
	char size[16];

	if (!r->json) {
		printf("%-8s %8s  %s\n", state,
		       size_text(size, (uint64_t)st->st_size), path);
		return;
	}
	o = json_object();
	json_object_set_new(o, "path", json_text(path));
	json_object_set_new(o, "state", json_text(state));
	json_object_set_new(o, "size", json_integer(st->st_size));
	json_object_set_new(o, "modified",
			    json_time((int64_t)st->st_mtime * 1000));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	puts(text ? text : "{}");
}

/* -- firing --------------------------------------------------------------------------- */

static int remember(struct reconcile *r, const char *path)
{
	char **more = reallocarray(r->waiting, r->asked + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	r->waiting = more;
	more[r->asked] = str_printf(
		"%s%s", r->target.prefix ? r->target.prefix : "", path);
	if (!more[r->asked])
		return -ENOMEM;
	r->asked++;
	return 0;
}

static void fire(struct reconcile *r, const char *path,
		 enum callback_state state)
{
	const char *words[] = {
		state == CALLBACK_FAILED ? "retry-callback" : "announce", path};
	int rc = target_command(&r->target, words, 2);

	if (rc == 0)
		rc = remember(r, path);
	if (rc == 0)
		return;
	r->refused++;
	if (rc == -ENODATA)
		ctl_fail("%s: its rule makes no callback", path);
	else
		ctl_fail_errno(rc, path);
}

/* Newest first: the first record of a key that was made after we began. */
struct settle {
	struct reconcile *r;
	int64_t after_id;
	size_t open;
};

static int count_record(void *arg, const struct cb_record *rec)
{
	struct settle *s = arg;

	for (size_t i = 0; i < s->r->asked; i++) {
		char *key = s->r->waiting[i];

		/* Attempt 0 says that it will be made. */
		if (!key[0] || strcmp(key, rec->key) != 0 || !rec->attempt)
			continue;
		if (rec->state == CALLBACK_OK)
			s->r->answered++;
		else
			s->r->failed++;
		key[0] = '\0';
		s->open--;
		break;
	}
	s->after_id = rec->id > s->after_id ? rec->id : s->after_id;
	return 0;
}

static int settle(struct reconcile *r, struct db *db, int64_t after_id)
{
	const struct timespec pause = {0, SETTLE_MS * 1000000L};
	struct settle s = {r, after_id, r->asked};
	int64_t end = clock_mono_ms() + SETTLE_FOR_MS;
	int rc = 0;

	while (rc == 0 && s.open && clock_mono_ms() < end) {
		const struct cblog_filter f = {.after_id = s.after_id,
					       .state = -1};

		nanosleep(&pause, NULL);
		rc = cblog_walk(db, &f, count_record, &s);
	}
	if (rc < 0)
		return ctl_fail_errno(rc, "the callback log");
	fprintf(stderr,
		"reconcile: %zu callbacks were asked for: %zu answered, %zu "
		"failed, %zu under way\n",
		r->asked, r->answered, r->failed, s.open);
	return r->failed || s.open || r->refused ? CTL_NO : CTL_OK;
}

/* -- walking the mount ------------------------------------------------------------------ */

static void look(struct reconcile *r, const FTSENT *e)
{
	const char *path = e->fts_path + strlen(r->target.mount);
	enum callback_state state = state_of(e->fts_accpath);

	path += *path == '/';
	r->looked++;
	if (!lacks_answer(state) ||
	    !is_wanted(r, path, (uint64_t)e->fts_statp->st_size))
		return;
	r->missing++;
	print_one(r, path, callback_state_name(state), e->fts_statp);
	if (r->fire)
		fire(r, path, state);
}

static int walk(struct reconcile *r, char *from)
{
	char *const roots[] = {from, NULL};
	FTS *tree =
		fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *e;
	int status = CTL_OK;

	if (!tree)
		return ctl_fail_errno(-errno, from);
	while ((e = fts_read(tree))) {
		switch (e->fts_info) {
		case FTS_F:
			look(r, e);
			break;
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS:
			status = ctl_fail_errno(-e->fts_errno, e->fts_path);
			break;
		default:
			break;
		}
	}
	fts_close(tree);
	return status;
}

/* -- the command ------------------------------------------------------------------------- */

static void load_rules(struct reconcile *r, const struct target_ask *ask)
{
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *warnings = NULL;

	if ((!r->target.config && !ask->config) ||
	    target_conf(&r->target, ask, &r->conf) != CTL_OK)
		return;
	if (rules_from_conf(r->conf, &r->rules, &why, &warnings) < 0)
		r->rules = NULL;
}

static int last_id(void *arg, const struct cb_record *rec)
{
	*(int64_t *)arg = rec->id;
	return 1;
}

static int work(struct reconcile *r)
{
	AUTO(db_closep) struct db *db = NULL;
	AUTO_FREE char *from =
		r->target.inside[0]
			? str_printf("%s/%s", r->target.mount, r->target.inside)
			: str_dup(r->target.mount);
	const struct cblog_filter newest = {.state = -1, .newest_first = true};
	int64_t before = 0;
	int status = CTL_OK;

	if (!from)
		return ctl_fail_errno(-ENOMEM, "path");
	if (r->fire) {
		status = target_open_db(&r->target, &db);
		if (status != CTL_OK)
			return status;
		cblog_walk(db, &newest, last_id, &before);
	}
	status = walk(r, from);
	if (!r->quiet)
		fprintf(stderr,
			"reconcile: %zu files, %zu without an answered "
			"callback\n",
			r->looked, r->missing);
	if (status != CTL_OK)
		return status;
	if (r->fire && r->asked)
		return settle(r, db, before);
	return r->missing ? CTL_NO : CTL_OK;
}

enum { OPT_FIRE = CLI_OWN };

static const struct option options[] = {
	{"config", required_argument, NULL, CLI_CONFIG},
	{"fire",   no_argument,       NULL, OPT_FIRE  },
	{"quiet",  no_argument,       NULL, 'q'       },
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	struct reconcile *r = arg;

	(void)value;
	if (option == OPT_FIRE)
		r->fire = true;
	else
		r->quiet = true;
	return CTL_OK;
}

static int run_reconcile(int argc, char **argv)
{
	AUTO(reconcile_release) struct reconcile r = {0};
	struct target_ask on = {0};
	struct cli cli = {.command = &ctl_reconcile,
			  .options = options,
			  .letters = "q",
			  .own = read_option,
			  .arg = &r};
	int status = cli_read(&cli, argc, argv);

	if (status == CTL_OK)
		status = cli_operands(&cli, argc, argv, 0, 1);
	if (status != CTL_OK)
		return status;
	r.json = cli.json;
	on.path = argv[optind];
	status = target_find(&on, &r.target);
	if (status != CTL_OK)
		return status;
	if (!r.target.mount) {
		ctl_fail("not mounted");
		return CTL_ABSENT;
	}
	load_rules(&r, &cli.ask);
	return work(&r);
}

const struct ctl_command ctl_reconcile = {
	.name = "reconcile",
	.operands = "[OPTION...] [PATH]",
	.summary = "List objects without an answered callback, or fire theirs",
	.help = "PATH is a mount or a folder of one.  Objects that other hosts and tools wrote,\n"
		"those whose callback failed, and those stored without one that would get one\n"
		"now.  Rules without a callback are left out.\n"
		"\n"
		"  --fire            make the missing callbacks, and wait for their answers\n"
		"  --config FILE     whose rules; the mount's own is known\n"
		"  -q, --quiet       no counts\n"
		"  --json            one object a line\n"
		"\n"
		"Exit status: 0 none is missing (any more); 1 some are.\n",
	.run = run_reconcile,
};
