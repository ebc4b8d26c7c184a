/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl preflight: would a mount with this configuration work? */
#include "ctl/preflight.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "callback/conf_rules.h"
#include "ctl/advice.h"
#include "ctl/cli.h"
#include "ctl/out.h"
#include "oss/credentials.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/uuid.h"

#define MIME_TYPES "/etc/mime.types"

/* -- the probe -------------------------------------------------------------------- */

const char preflight_content[] =
	"ackfs preflight: this object may be removed.\n";

enum { CONTENT_LEN = sizeof(preflight_content) - 1 };

static ssize_t read_content(void *arg, void *to, size_t len, uint64_t off)
{
	size_t left = CONTENT_LEN - (size_t)off;

	(void)arg;
	len = len < left ? len : left;
	memcpy(to, preflight_content + off, len);
	return (ssize_t)len;
}

const struct oss_source preflight_source = {read_content, NULL, CONTENT_LEN};
const struct oss_props preflight_props = {.content_type = "text/plain"};

char *preflight_key(const struct preflight *p, const char *name)
{
	return str_printf("%s%s", p->prefix, name);
}

/* -- saying ----------------------------------------------------------------------- */

static void say_json(struct preflight *p, enum check result, const char *what,
		     const char *text, const char *advice)
{
	static const char *const words[] = {"ok", "warning", "failed", "note"};
	json_t *o = json_object();

	json_object_set_new(o, "check", json_text(what));
	json_object_set_new(o, "result", json_string(words[result]));
	json_object_set_new(o, "detail", json_text(text));
	json_object_set_new(o, "advice", json_text(advice));
	json_array_append_new(p->list, o);
}

void preflight_say(struct preflight *p, enum check result, const char *what,
		   const char *advice, const char *fmt, ...)
{
	static const char *const words[] = {"ok", "WARN", "FAIL", "note"};
	AUTO(buf_release) struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	p->failed = p->failed || result == CHECK_FAIL;
	if (p->list) {
		say_json(p, result, what, buf_str(&text), advice);
		return;
	}
	printf("%-4s  %-20s %s\n", words[result], what, buf_str(&text));
	if (advice)
		printf("      %-20s -> %s\n", "", advice);
	fflush(stdout);
}

void preflight_failed(struct preflight *p, const char *what,
		      const struct oss_reply *r, int rc)
{
	char text[768];

	preflight_say(p, CHECK_FAIL, what, oss_advice(r), "%s: %s",
		      strerror(-rc), oss_reply_describe(r, text, sizeof(text)));
}

/* -- without the network ------------------------------------------------------------ */

static void say_warnings(struct preflight *p, char *warnings)
{
	char *rest = NULL;

	for (char *line = warnings ? strtok_r(warnings, "\n", &rest) : NULL;
	     line; line = strtok_r(NULL, "\n", &rest))
		preflight_say(p, CHECK_WARN, "callback", NULL, "%s", line);
}

static int check_configuration(struct preflight *p,
			       const struct target_ask *ask)
{
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *warnings = NULL;
	int rc, status = target_load_conf(ask, &p->conf);

	if (status != CTL_OK)
		return status;
	rc = rules_from_conf(p->conf, &p->rules, &why, &warnings);
	if (rc == 0)
		rc = mime_load(MIME_TYPES, &p->mime);
	if (rc < 0) {
		fprintf(stderr, "%s\n", why ? why : strerror(-rc));
		return CTL_FAILED;
	}
	preflight_say(p, CHECK_OK, "configuration", NULL,
		      "%s: bucket %s, endpoint %s", p->conf->config_file,
		      p->conf->oss.bucket, p->conf->oss.endpoint);
	say_warnings(p, warnings);
	if (!rules_exist(p->rules))
		preflight_say(
			p, CHECK_WARN, "callback",
			"Write [callback] url = https://... into the configuration.",
			"there is none: files are stored, and nobody is told");
	return CTL_OK;
}

static bool check_keys(struct preflight *p)
{
	AUTO_FREE char *why = NULL;
	struct credentials_set keys;

	if (client_find_keys(&p->client, p->conf, &why) < 0 ||
	    credentials_get(p->client.keys, &keys) < 0) {
		preflight_say(
			p, CHECK_FAIL, "access keys",
			"Set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET, or file = in [credentials].",
			"%s", why ? why : "none");
		return false;
	}
	preflight_say(p, CHECK_OK, "access keys", NULL, "%.4s...%s", keys.id,
		      keys.token ? ", temporary (with a security token)" : "");
	credentials_set_release(&keys);
	return true;
}

static bool check_endpoint(struct preflight *p)
{
	AUTO_FREE char *why = NULL;

	if (client_open(&p->client, p->conf, &why) == 0)
		return true;
	preflight_say(p, CHECK_FAIL, "endpoint", NULL, "%s",
		      why ? why : "not usable");
	return false;
}

/* -- the command ---------------------------------------------------------------------- */

static void preflight_release(struct preflight *p)
{
	client_release(&p->client);
	rules_free(p->rules);
	mime_free(p->mime);
	conf_free(p->conf);
	json_decref(p->list);
}

static void name_probe(struct preflight *p)
{
	char id[UUID_LEN];

	snprintf(p->prefix, sizeof(p->prefix), "%s.ackfs-preflight-%.8s/",
		 p->conf->oss.prefix, uuid_make(id));
}

static void check_bucket(struct preflight *p)
{
	name_probe(p);
	preflight_say(p, CHECK_NOTE, "probe", NULL,
		      "writes, reads and removes objects below %s in bucket %s",
		      p->prefix, p->conf->oss.bucket);
	if (preflight_permissions(p) && p->send)
		preflight_callbacks(p);
	preflight_clean(p);
}

static void print_json(const struct preflight *p)
{
	AUTO_FREE char *text =
		json_dumps(p->list, JSON_INDENT(1) | JSON_PRESERVE_ORDER);

	puts(text ? text : "[]");
}

enum { OPT_SEND = CLI_OWN, OPT_PATH };

static const struct option options[] = {
	CLI_CONF,
	{"send", no_argument,       NULL, OPT_SEND},
	{"path", required_argument, NULL, OPT_PATH},
	CLI_END,
};

static int read_option(void *arg, int option, const char *value)
{
	struct preflight *p = arg;

	if (option == OPT_SEND)
		p->send = true;
	else if (option == OPT_PATH)
		p->path = value[0] == '/' ? value + 1 : value;
	return CTL_OK;
}

static int run_preflight(int argc, char **argv)
{
	AUTO(preflight_release) struct preflight p = {0};
	struct cli cli = {.command = &ctl_preflight,
			  .options = options,
			  .own = read_option,
			  .arg = &p};
	int status = cli_read(&cli, argc, argv);

	if (status == CTL_OK)
		status = cli_operands(&cli, argc, argv, 0, 0);
	if (status != CTL_OK)
		return status;
	if (cli.json)
		p.list = json_array();
	status = check_configuration(&p, &cli.ask);
	if (status != CTL_OK)
		return status;
	if (check_keys(&p) && check_endpoint(&p) && preflight_reach(&p))
		check_bucket(&p);
	if (p.list)
		print_json(&p);
	else
		printf("%s\n", p.failed ? "preflight: something failed"
					: "preflight: all is well");
	return p.failed ? CTL_NO : CTL_OK;
}

const struct ctl_command ctl_preflight = {
	.name = "preflight",
	.operands = "[OPTION...]",
	.summary = "Try a configuration before the first mount",
	.help = "Configuration, access keys, endpoint, clock, bucket, and each permission on a\n"
		"probe object below a prefix of its own, which is removed again.\n"
		"\n"
		"  --send            real callbacks too: of a PutObject, of a multipart upload, and\n"
		"                    of a copy inside OSS, with the answers explained\n"
		"  --path PATH       the callback that this path's rule makes\n"
		"  --json            as JSON\n" CLI_CONF_HELP "\n"
		"Exit status 1: something failed.\n",
	.run = run_preflight,
};
