/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "receiver/verify.h"
#include "util/fileio.h"
#include "util/strnum.h"
#include "util/version.h"

#define FILE_MAX ((size_t)64 << 20)
#define DELAY_MAX_MS (INT64_C(600) * 1000)
#define BODY_MAX_DEFAULT ((size_t)1 << 20)

/* What an option does with its value. @return NULL or what is wrong */
typedef const char *option_fn(struct options *o, const char *value);

static const char *set_listen(struct options *o, const char *value)
{
	o->server.listen = value;
	return NULL;
}

static const char *set_port(struct options *o, const char *value)
{
	uint64_t n;

	if (parse_u64(value, 0, 65535, &n) < 0)
		return "want a port, 0 to 65535";
	o->server.port = (uint16_t)n;
	return NULL;
}

static const char *set_port_file(struct options *o, const char *value)
{
	o->port_file = value;
	return NULL;
}

static const char *set_log(struct options *o, const char *value)
{
	o->log_file = value;
	return NULL;
}

static const char *add_trusted(struct options *o, const char *value)
{
	if (!keycache_prefix_is_safe(value))
		return "want the beginning of an address, with a '/' after "
		       "the host: http://127.0.0.1:9000/";
	if (o->keys.trusted_count == OPTIONS_MAX_TRUSTED)
		return "too many of them";
	o->trusted[o->keys.trusted_count++] = value;
	return NULL;
}

static const char *read_into(const char *path, struct buf *out)
{
	buf_reset(out);
	return file_read(path, FILE_MAX, out) < 0 ? "cannot be read" : NULL;
}

static const char *set_key_file(struct options *o, const char *value)
{
	AUTO(buf_release) struct buf pem = BUF_INIT;
	const char *wrong = read_into(value, &pem);

	if (wrong)
		return wrong;
	verify_key_put(o->keys.pinned);
	o->keys.pinned = NULL;
	return verify_key_parse(buf_str(&pem), &o->keys.pinned) < 0
		       ? "is not the PEM of an RSA public key"
		       : NULL;
}

static const char *set_id_field(struct options *o, const char *value)
{
	o->id_field = value;
	return NULL;
}

static const char *set_max_body(struct options *o, const char *value)
{
	uint64_t n;

	if (parse_size(value, &n) < 0 || n == 0 || n > FILE_MAX)
		return "want a size up to 64M";
	o->server.max_body = (size_t)n;
	return NULL;
}

static const char *set_tls_cert(struct options *o, const char *value)
{
	const char *wrong = read_into(value, &o->tls_cert);

	o->server.tls_cert = buf_str(&o->tls_cert);
	return wrong;
}

static const char *set_tls_key(struct options *o, const char *value)
{
	const char *wrong = read_into(value, &o->tls_key);

	o->server.tls_key = buf_str(&o->tls_key);
	return wrong;
}

static const char *set_answer(struct options *o, const char *value)
{
	if (answer_template_check(value) < 0)
		return "a \"%{\" has no \"}\"";
	o->answer.template = value;
	return NULL;
}

static const char *set_answer_file(struct options *o, const char *value)
{
	const char *wrong = read_into(value, &o->answer_file);

	o->answer.verbatim = &o->answer_file;
	return wrong;
}

static const char *set_content_type(struct options *o, const char *value)
{
	o->server.content_type = value;
	return NULL;
}

static const char *set_status(struct options *o, const char *value)
{
	uint64_t n;

	if (parse_u64(value, 200, 599, &n) < 0)
		return "want an HTTP status, 200 to 599";
	o->answer.status = (unsigned)n;
	return NULL;
}

static const char *set_delay(struct options *o, const char *value)
{
	return parse_i64(value, 0, DELAY_MAX_MS, &o->answer.delay_ms) < 0
		       ? "want milliseconds, up to 600000"
		       : NULL;
}

static const char *set_redirect(struct options *o, const char *value)
{
	o->server.redirect = value;
	return NULL;
}

static const char *set_chunked(struct options *o, const char *value)
{
	(void)value;
	o->server.framing = FRAMING_CHUNKED;
	return NULL;
}

static const char *set_no_length(struct options *o, const char *value)
{
	(void)value;
	o->server.framing = FRAMING_CLOSE;
	return NULL;
}

static const char *set_admin(struct options *o, const char *value)
{
	(void)value;
	o->server.admin = true;
	return NULL;
}

static const struct option_def {
	const char *name;
	const char *arg; /* NULL: takes none */
	option_fn *set;
	const char *help;
} defs[] = {
	{"listen",            "ADDR", set_listen,       "IPv4 or IPv6 address (127.0.0.1)" },
	{"port",              "N",    set_port,         "port; 0: any free one (8081)"     },
	{"port-file",         "FILE", set_port_file,    "write the port there when ready"  },
	{"log",               "FILE", set_log,
	 "JSON lines go there (standard output); SIGHUP: reopen"                           },
	{"trust-key-url",     "URL",  add_trusted,
	 "trust keys below URL, as OSS's own; may be repeated"                             },
	{"key-file",          "FILE", set_key_file,
	 "OSS's public key (PEM); nothing is fetched then"                                 },
	{"id-field",          "NAME", set_id_field,
	 "field of the body with the delivery id (id)"                                     },
	{"max-body",          "SIZE", set_max_body,     "longer callbacks are refused (1M)"},
	{"tls-cert",          "FILE", set_tls_cert,     "serve HTTPS; certificate chain"   },
	{"tls-key",           "FILE", set_tls_key,      "and its private key (PEM)"        },
	{"answer",            "TEXT", set_answer,
	 "%{n} number, %{id} delivery id, %{NAME} any field"                               },
	{"answer-file",       "FILE", set_answer_file,  "answer these bytes"               },
	{"content-type",      "TYPE", set_content_type,
	 "of answers (application/json)"						   },
	{"status",            "N",    set_status,       "answer another status than 200"   },
	{"delay-ms",          "N",    set_delay,        "wait before answering"            },
	{"redirect",          "URL",  set_redirect,     "answer 302 and this Location"     },
	{"chunked",           NULL,   set_chunked,      "answer in chunks"                 },
	{"no-content-length", NULL,   set_no_length,    "end answers by closing"           },
	{"admin",             NULL,   set_admin,
	 "GET /-/stats, POST /-/answer, for loopback clients"                              },
};

#define OPT_HELP 'h'
#define OPT_VERSION 'V'
#define OPT_FIRST 256
#define HELP_COLUMN 19

static void print_help(void)
{
	fputs("Usage: ackfs-receiver [OPTIONS]\n\n"
	      "Receives upload callbacks of Alibaba Cloud OSS: verifies that "
	      "they are OSS's,\nprints each as a JSON line, and answers.\n\n",
	      stdout);
	for (size_t i = 0; i < ARRAY_LEN(defs); i++)
		printf("  --%s %-*s %s\n", defs[i].name,
		       HELP_COLUMN - (int)strlen(defs[i].name),
		       defs[i].arg ? defs[i].arg : "", defs[i].help);
	fputs("  -h, --help\n  -V, --version\n\n"
	      "A callback that is not OSS's gets 403; one whose key cannot be "
	      "fetched, 503.\nFor trying things out, POST /-/answer takes "
	      "{\"status\":503,\"delay_ms\":0,\n\"count\":3,\"percent\":100} "
	      "for the next callbacks; {} ends it.\n",
	      stdout);
}

static void defaults(struct options *o)
{
	*o = (struct options){
		.server = {.listen = "127.0.0.1",
			   .port = 8081,
			   .max_body = BODY_MAX_DEFAULT,
			   .content_type = "application/json"},
		.answer = {.template = ANSWER_DEFAULT},
		.id_field = "id",
	};
	o->trusted[0] = KEYCACHE_OSS_HTTP;
	o->trusted[1] = KEYCACHE_OSS_HTTPS;
	o->keys.trusted = o->trusted;
	o->keys.trusted_count = 2;
}

static void long_options(struct option out[ARRAY_LEN(defs) + 3])
{
	size_t n = 0;

	for (; n < ARRAY_LEN(defs); n++)
		out[n] = (struct option){defs[n].name, defs[n].arg != NULL,
					 NULL, OPT_FIRST + (int)n};
	out[n++] = (struct option){"help", no_argument, NULL, OPT_HELP};
	out[n++] = (struct option){"version", no_argument, NULL, OPT_VERSION};
	out[n] = (struct option){NULL, 0, NULL, 0};
}

static enum options_outcome apply(struct options *o, int opt)
{
	const struct option_def *def;
	const char *wrong;

	if (opt == OPT_HELP) {
		print_help();
		return OPTIONS_DONE;
	}
	if (opt == OPT_VERSION) {
		printf("ackfs-receiver %s\n", ackfs_version);
		return OPTIONS_DONE;
	}
	if (opt < OPT_FIRST)
		return OPTIONS_WRONG; /* getopt has said why */
	def = &defs[opt - OPT_FIRST];
	wrong = def->set(o, optarg);
	if (!wrong)
		return OPTIONS_RUN;
	fprintf(stderr, "ackfs-receiver: --%s: \"%s\": %s\n", def->name,
		optarg ? optarg : "", wrong);
	return OPTIONS_WRONG;
}

/* What no single option can know. */
static enum options_outcome finish(struct options *o, bool has_operand)
{
	const char *wrong = NULL;

	if (has_operand)
		wrong = "takes options only; see --help";
	else if (!o->server.tls_cert != !o->server.tls_key)
		wrong = "--tls-cert and --tls-key need each other";
	if (wrong) {
		fprintf(stderr, "ackfs-receiver: %s\n", wrong);
		return OPTIONS_WRONG;
	}
	if (!o->answer.status)
		o->answer.status = o->server.redirect ? 302 : 200;
	return OPTIONS_RUN;
}

enum options_outcome options_parse(struct options *o, int argc, char **argv)
{
	struct option longs[ARRAY_LEN(defs) + 3];
	int opt;

	defaults(o);
	long_options(longs);
	while ((opt = getopt_long(argc, argv, "hV", longs, NULL)) != -1) {
		enum options_outcome outcome = apply(o, opt);

		if (outcome != OPTIONS_RUN)
			return outcome;
	}
	return finish(o, optind < argc);
}

void options_release(struct options *o)
{
	buf_release(&o->answer_file);
	verify_key_put(o->keys.pinned);
	buf_release(&o->tls_cert);
	if (o->tls_key.data)
		explicit_bzero(o->tls_key.data, o->tls_key.len);
	buf_release(&o->tls_key);
}
