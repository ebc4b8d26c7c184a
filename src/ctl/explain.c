/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl explain: which callback a path gets, and how it would look. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "callback/conf_rules.h"
#include "callback/mime.h"
#include "callback/rules.h"
#include "config/conf.h"
#include "ctl/cli.h"
#include "ctl/out.h"
#include "state/cbvars.h"
#include "state/db.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/strnum.h"

#define MIME_TYPES "/etc/mime.types"
/* Nobody's: what a reader sees that it is a sample. */
#define SAMPLE_ID "00000000-0000-4000-8000-000000000000"

enum { SAMPLE_SIZE = 12345 };

struct explain {
	struct conf *conf;
	struct rules *rules;
	struct mime *mime;
	struct kvs captures, file_vars, system;
	const struct rule *rule;
	struct callback callback;
	struct buf body; /* as OSS would send it */
	char *key, *path;
	char *why; /* it cannot be rendered */
	const char *type, *mount;
	struct stat st; /* of the local file, or samples */
	char user[64], host[256];
	bool has_callback, json_is_bad;
	char json_error[200];
};

static void explain_release(struct explain *e)
{
	conf_free(e->conf);
	rules_free(e->rules);
	mime_free(e->mime);
	kvs_release(&e->captures);
	kvs_release(&e->file_vars);
	kvs_release(&e->system);
	callback_release(&e->callback);
	buf_release(&e->body);
	free(e->key);
	free(e->path);
	free(e->why);
}

/* -- gathering -------------------------------------------------------------------- */

static int load_rules(struct explain *e)
{
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *warnings = NULL;
	int rc = rules_from_conf(e->conf, &e->rules, &why, &warnings);

	if (rc < 0) {
		fprintf(stderr, "%s\n", why ? why : strerror(-rc));
		return CTL_FAILED;
	}
	if (warnings)
		fprintf(stderr, "%s\n", warnings);
	rc = mime_load(MIME_TYPES, &e->mime);
	return rc < 0 ? ctl_fail_errno(rc, MIME_TYPES) : CTL_OK;
}

/* What the file itself tells, where it is there. */
static void look_at_file(struct explain *e, const char *operand)
{
	if (stat(operand, &e->st) == 0 && S_ISREG(e->st.st_mode))
		return;
	memset(&e->st, 0, sizeof(e->st));
	e->st.st_size = SAMPLE_SIZE;
	e->st.st_mode = S_IFREG | 0644;
	e->st.st_uid = getuid();
	e->st.st_gid = getgid();
	e->st.st_mtime = clock_real_ms() / 1000;
}

static void look_at_host(struct explain *e)
{
	user_text(e->user, e->st.st_uid);
	if (gethostname(e->host, sizeof(e->host) - 1) < 0)
		e->host[0] = '\0';
}

/* Variables that setfattr has set, where there is a state folder. */
static void look_at_vars(struct explain *e, const char *state_dir)
{
	AUTO(db_closep) struct db *db = NULL;
	AUTO_FREE char *why = NULL;

	if (!state_dir || db_open_readonly(state_dir, &db, &why) < 0)
		return;
	if (cbvars_inherited(db, e->key, &e->file_vars) < 0)
		kvs_release(&e->file_vars);
}

/* -- rendering --------------------------------------------------------------------- */

static int sample_system(struct explain *e)
{
	bool image = strncmp(e->type, "image/", 6) == 0;
	bool parts =
		(uint64_t)e->st.st_size >= e->conf->upload.multipart_threshold;
	const struct {
		const char *name, *value;
	} samples[] = {
		{"bucket",           e->conf->oss.bucket                            },
		{"object",           e->key					 },
		{"etag",             "0123456789ABCDEF0123456789ABCDEF"             },
		{"mimeType",         e->type					},
		{"crc64",            "12345678901234567890"                         },
		{"contentMd5",       parts ? "" : "ASNFZ4mrze8BI0VniavN7w=="        },
		{"clientIp",         "203.0.113.7"                                  },
		{"reqId",            "5C3D9175B6FC201293AD0000"                     },
		{"operation",        parts ? "CompleteMultipartUpload" : "PutObject"},
		{"vpcId",            ""					     },
		{"imageInfo.width",  image ? "1920" : ""                            },
		{"imageInfo.height", image ? "1080" : ""                            },
		{"imageInfo.format", image ? "JPG" : ""                             },
	};
	int rc = kvs_addf(&e->system, "size", "%" PRIu64,
			  (uint64_t)e->st.st_size);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(samples); i++)
		rc = kvs_add(&e->system, samples[i].name, samples[i].value);
	return rc;
}

static int render(struct explain *e)
{
	const struct callback_inputs in = {
		.path = e->path,
		.key = e->key,
		.bucket = e->conf->oss.bucket,
		.mount = e->mount,
		.host = e->host,
		.size = (uint64_t)e->st.st_size,
		.uid = e->st.st_uid,
		.gid = e->st.st_gid,
		.mode = e->st.st_mode,
		.pid = getpid(),
		.process = "cp",
		.user = e->user,
		.mtime_ms = (int64_t)e->st.st_mtime * 1000,
		.delivery_id = SAMPLE_ID,
		.previous_delivery_id = "",
		.file_vars = &e->file_vars,
	};
	int rc = callback_render(e->rule, &e->captures, &in, &e->callback,
				 &e->why);

	if (rc < 0)
		return e->why ? 0 : rc;
	rc = sample_system(e);
	if (rc == 0)
		rc = callback_sample_body(&e->callback, &e->system, &e->body);
	return rc;
}

static void check_json(struct explain *e)
{
	json_error_t error;
	json_t *value;

	if (!e->body.len ||
	    strcmp(e->callback.body_type, "application/json") != 0)
		return;
	value = json_loadb(buf_str(&e->body), e->body.len, JSON_DECODE_ANY,
			   &error);
	if (!value) {
		e->json_is_bad = true;
		snprintf(e->json_error, sizeof(e->json_error), "%s",
			 error.text);
	}
	json_decref(value);
}

static int explain_path(struct explain *e)
{
	int rc;

	e->rule = rules_match(e->rules, e->path, (uint64_t)e->st.st_size,
			      &e->captures);
	e->has_callback = e->rule->enabled && rules_exist(e->rules) &&
			  !rules_is_temporary(e->rules, e->path);
	e->type = e->rule->content_type ? e->rule->content_type
					: mime_type(e->mime, e->path);
	if (!e->rule->enabled || !rules_exist(e->rules))
		return CTL_OK;
	rc = render(e);
	if (rc < 0)
		return ctl_fail_errno(rc, e->path);
	check_json(e);
	return e->why || e->json_is_bad ? CTL_NO : CTL_OK;
}

/* -- telling ------------------------------------------------------------------------ */

static const char *verdict(const struct explain *e)
{
	if (!rules_exist(e->rules))
		return "none: the configuration has no [callback]";
	if (!e->rule->enabled)
		return "none: enabled = false";
	if (rules_is_temporary(e->rules, e->path))
		return "none under this name: it is temporary, the upload "
		       "waits for its final one";
	return "yes";
}

static void print_rule(const struct explain *e)
{
	char size[16];

	printf("path          %s\n", e->path);
	printf("object        %s  in bucket %s\n", e->key, e->conf->oss.bucket);
	printf("size          %s\n", size_text(size, (uint64_t)e->st.st_size));
	printf("content type  %s\n", e->type);
	if (strcmp(e->rule->name, "default") == 0)
		printf("rule          [callback]\n");
	else
		printf("rule          [callback \"%s\"]  match = %s\n",
		       e->rule->name,
		       e->rule->match ? e->rule->match : "(everything)");
	for (size_t i = 0; i < e->captures.count; i++)
		printf("captured      {%s} = %s\n", e->captures.items[i].name,
		       e->captures.items[i].value);
	printf("callback      %s\n", verdict(e));
}

static void print_callback(const struct explain *e)
{
	const struct callback *cb = &e->callback;
	char retry_for[24];

	printf("url           %s\n", cb->url);
	if (cb->host)
		printf("host          %s\n", cb->host);
	if (cb->has_sni)
		printf("sni           %s\n", cb->sni ? "true" : "false");
	printf("body type     %s\n", cb->body_type);
	for (size_t i = 0; i < cb->vars.count; i++)
		printf("variable      %s = %s\n", cb->vars.items[i].name,
		       cb->vars.items[i].value);
	printf("template      %s\n", cb->body);
	printf("sample        %s\n", buf_str(&e->body));
	if (e->json_is_bad)
		printf("JSON          no: %s\n", e->json_error);
	else if (strcmp(cb->body_type, "application/json") == 0)
		printf("JSON          valid\n");
	printf("headers       x-oss-callback %zu, x-oss-callback-var %zu of "
	       "%d bytes\n",
	       strlen(cb->param), strlen(cb->param_vars), CALLBACK_HEADER_MAX);
	printf("on failure    %s; repeated for %s\n",
	       e->rule->fail_close ? "close() returns EREMOTEIO"
				   : "close() returns 0",
	       duration_text(retry_for, e->rule->retry_for_ms));
}

static json_t *kvs_json(const struct kvs *l)
{
	json_t *o = json_object();

	for (size_t i = 0; i < l->count; i++)
		json_object_set_new(o, l->items[i].name,
				    json_text(l->items[i].value));
	return o;
}

static void print_json(const struct explain *e)
{
	const struct callback *cb = &e->callback;
	json_t *o = json_object();
	AUTO_FREE char *text = NULL;

	json_object_set_new(o, "path", json_text(e->path));
	json_object_set_new(o, "key", json_text(e->key));
	json_object_set_new(o, "content_type", json_text(e->type));
	json_object_set_new(o, "rule", json_text(e->rule->name));
	json_object_set_new(o, "captures", kvs_json(&e->captures));
	json_object_set_new(o, "callback", json_boolean(e->has_callback));
	json_object_set_new(o, "error", json_text(e->why));
	json_object_set_new(o, "url", json_text(cb->url));
	json_object_set_new(o, "host", json_text(cb->host));
	json_object_set_new(o, "body_type", json_text(cb->body_type));
	json_object_set_new(o, "template", json_text(cb->body));
	json_object_set_new(o, "vars", kvs_json(&cb->vars));
	json_object_set_new(o, "sample", json_text(e->body.data));
	json_object_set_new(o, "json_error",
			    json_text(e->json_is_bad ? e->json_error : NULL));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	puts(text ? text : "{}");
}

static void tell(const struct explain *e, bool json)
{
	if (json) {
		print_json(e);
		return;
	}
	print_rule(e);
	if (e->why)
		printf("error         %s\n", e->why);
	else if (e->callback.url)
		print_callback(e);
}

/* -- the command ---------------------------------------------------------------------- */

struct own {
	uint64_t size;
	bool has_size;
};

enum { OPT_SIZE = CLI_OWN };

static const struct option options[] = {
	CLI_CONF,
	{"size", required_argument, NULL, OPT_SIZE},
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	struct own *own = arg;

	if (option == OPT_SIZE && parse_size(value, &own->size) < 0)
		return ctl_fail("--size %s: want a size, such as 300 or 2M",
				value);
	own->has_size = true;
	return CTL_OK;
}

/* A path on a mount gets that mount's configuration. */
static int find_conf(struct explain *e, struct target_ask *ask,
		     const char *operand, struct target *t)
{
	const char *inside = operand[0] == '/' ? operand + 1 : operand;
	int status = CTL_OK;

	if (target_is_on_mount(operand)) {
		const struct target_ask on = {.path = operand};

		status = target_find(&on, t);
		if (status != CTL_OK)
			return status;
		inside = t->inside;
	}
	status = target_conf(t, ask, &e->conf);
	if (status != CTL_OK)
		return status;
	e->path = str_dup(inside);
	e->key = str_printf("%s%s", e->conf->oss.prefix, inside);
	if (!e->path || !e->key)
		return ctl_fail_errno(-ENOMEM, operand);
	if (!t->state_dir)
		t->state_dir = conf_state_path(e->conf);
	return CTL_OK;
}

static int run_explain(int argc, char **argv)
{
	AUTO(explain_release) struct explain e = {0};
	AUTO(target_release) struct target t = {0};
	struct own own = {0};
	struct cli cli = {.command = &ctl_explain,
			  .options = options,
			  .own = read_option,
			  .arg = &own};
	int status = cli_read(&cli, argc, argv);

	if (status == CTL_OK)
		status = cli_operands(&cli, argc, argv, 1, 1);
	if (status == CTL_OK)
		status = find_conf(&e, &cli.ask, argv[optind], &t);
	if (status == CTL_OK)
		status = load_rules(&e);
	if (status != CTL_OK)
		return status;
	look_at_file(&e, argv[optind]);
	if (own.has_size)
		e.st.st_size = (off_t)own.size;
	look_at_host(&e);
	e.mount = t.mount ? t.mount : "/mnt/oss";
	look_at_vars(&e, t.state_dir);
	status = explain_path(&e);
	if (status != CTL_FAILED)
		tell(&e, cli.json);
	return status;
}

const struct ctl_command ctl_explain = {
	.name = "explain",
	.operands = "[OPTION...] PATH",
	.summary =
		"Show which rule a path gets, and its callback as it would be sent",
	.help = "PATH lies on a mount, or is one inside it.  Nothing is sent: the values that\n"
		"OSS fills in are samples.\n"
		"\n"
		"  --size N          of the file (its own where it is there, else 12345)\n"
		"  --json            as JSON\n" CLI_CONF_HELP "\n"
		"Exit status 1: the callback cannot be made, or its body is not JSON.\n",
	.run = run_explain,
};
