/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "emulator/callback_key.h"
#include "util/buf.h"
#include "util/fileio.h"
#include "util/strnum.h"
#include "util/version.h"

#define DEFAULT_ID "emulator-key"
#define DEFAULT_SECRET "emulator-secret"

enum option_type {
	OPT_TEXT,
	OPT_FLAG,
	OPT_PORT,
	OPT_NUMBER,
	OPT_SIZE,
	OPT_MS,
	OPT_SECRET_FILE,
	OPT_BUCKET,
	OPT_HELP,
	OPT_VERSION,
};

struct option_row {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *argument; /* as the help shows it; NULL: a flag */
	const char *help;
};

#define AT(field) offsetof(struct emu_options, field)
#define VALUE(name, type, field, argument, help)                               \
	{                                                                      \
		name, type, AT(field), argument, help                          \
	}
#define FLAG(name, field, help) VALUE(name, OPT_FLAG, field, NULL, help)
#define QUIRK(name, field, help) FLAG(name, quirks.field, help)
#define FIRST_QUIRK AT(quirks.empty_url_is_no_callback)

static const struct option_row rows[] = {
	VALUE("dir", OPT_TEXT, dir, "DIR",
	      "where buckets and the callback key are kept (made when missing)"),
	VALUE("port", OPT_PORT, port, "N",
	      "port to listen on; 0, the default, picks one and prints it"),
	VALUE("listen", OPT_TEXT, listen, "ADDRESS",
	      "IPv4 address to listen on (127.0.0.1)"),
	VALUE("port-file", OPT_TEXT, port_file, "FILE",
	      "write the port there when ready"),
	{.name = "bucket",
	   .type = OPT_BUCKET,
	   .argument = "NAME",
	   .help = "make this bucket unless it exists; may be repeated"},
	VALUE("region", OPT_TEXT, region, "REGION",
	      "region of V4 signatures (cn-hangzhou)"),
	VALUE("base-host", OPT_TEXT, base_host, "HOST",
	      "a host name with dots that is no bucket's (path addressing)"),
	VALUE("access-key-id", OPT_TEXT, access_key_id, "ID",
	      "of the key (ACKFS_EMULATOR_ACCESS_KEY_ID, else " DEFAULT_ID ")"),
	VALUE("access-key-secret-file", OPT_SECRET_FILE, access_key_secret,
	      "FILE",
	      "its secret (ACKFS_EMULATOR_ACCESS_KEY_SECRET, else " DEFAULT_SECRET
	      ")"),
	VALUE("security-token-file", OPT_SECRET_FILE, security_token, "FILE",
	      "makes it an STS key (ACKFS_EMULATOR_SECURITY_TOKEN)"),
	VALUE("tls-cert", OPT_TEXT, tls_cert, "FILE",
	      "serve https with this certificate (PEM; its chain after it)"),
	VALUE("tls-key", OPT_TEXT, tls_key, "FILE", "its private key"),
	FLAG("anonymous", anonymous,
	     "requests without a signature may do everything"),
	VALUE("log", OPT_TEXT, log, "FILE",
	      "request log, a JSON line each; - is standard output"),
	FLAG("fast", fast, "for benchmarks: ETags from CRC-64 instead of MD5"),
	FLAG("durable", durable,
	     "fsync before answering; else the page cache is trusted"),
	VALUE("latency-ms", OPT_MS, latency_ms, "N", "added to every answer"),
	VALUE("bandwidth", OPT_SIZE, bandwidth, "BYTES",
	      "a second, for each connection and direction (K, M, G)"),
	VALUE("restore-ms", OPT_MS, restore_ms, "N",
	      "how long restoring an archived object takes (0)"),
	FLAG("forbid-private-callbacks", forbid_private_callbacks,
	     "refuse private callback addresses, as OSS does"),
	VALUE("callback-timeout-ms", OPT_MS, callback_timeout_ms, "N",
	      "OSS's five seconds (5000)"),
	VALUE("callback-answer-max", OPT_SIZE, callback_answer_max, "BYTES",
	      "largest answer of an application (1M)"),
	VALUE("callback-ca", OPT_TEXT, callback_ca, "FILE",
	      "certificates that https callbacks are checked with"),
	VALUE("callback-key-bits", OPT_NUMBER, callback_key_bits, "N",
	      "of the RSA key, when it is made (512, as OSS's)"),
	VALUE("public-url", OPT_TEXT, public_url, "URL",
	      "x-oss-pub-key-url; default: this server's own"),
	QUIRK("empty-url-is-no-callback", empty_url_is_no_callback,
	      "an empty callbackUrl means none, not an error"),
	QUIRK("callback-ways-may-mix", callback_ways_may_mix,
	      "x-oss-callback with ?callback-var=, and the reverse"),
	QUIRK("lone-vars-are-an-error", lone_vars_are_an_error,
	      "callback-var without a callback, else ignored"),
	QUIRK("odd-fields-are-an-error", odd_fields_are_an_error,
	      "unknown or repeated ones of the callback, else ignored"),
	QUIRK("unknown-variable-is-empty", unknown_variable_is_empty,
	      "${foo} becomes nothing, not an error"),
	QUIRK("undefined-var-is-null", undefined_var_is_null,
	      "an undefined ${x:name} in JSON: null, not \"\""),
	QUIRK("vars-must-be-lower-case", vars_must_be_lower_case,
	      "callback-var keys with capitals are refused"),
	QUIRK("vars-may-be-any-type", vars_may_be_any_type,
	      "callback-var values that are no strings are taken"),
	QUIRK("bare-strings-in-quotes", bare_strings_in_quotes,
	      "a string variable inside quotes brings none of its own"),
	QUIRK("empty-number-is-nothing", empty_number_is_nothing,
	      "an empty imageInfo in JSON: nothing, not null"),
	QUIRK("escape-non-ascii", escape_non_ascii,
	      "\\u escapes in JSON bodies, not raw UTF-8"),
	QUIRK("space-as-plus", space_as_plus,
	      "a space in form bodies: +, not %20"),
	QUIRK("urlencoder-bytes", urlencoder_bytes,
	      "form bodies keep * and encode ~, not the reverse"),
	QUIRK("crc64-is-number", crc64_is_number,
	      "${crc64} in JSON: a number, not a string"),
	QUIRK("scalars-are-json", scalars_are_json,
	      "an application may answer 123 or \"x\""),
	QUIRK("form-actions-count", form_actions_count,
	      "success_action_* after a callback too, not its answer"),
	QUIRK("timeout-is-total", timeout_is_total,
	      "the five seconds are for all URLs together"),
	QUIRK("report-first-failure", report_first_failure,
	      "of several URLs that fail, not the last"),
	QUIRK("no-certificate-check", no_certificate_check,
	      "https callbacks go to anybody"),
	QUIRK("missing-date-is-400", missing_date_is_400,
	      "InvalidArgument, not AccessDenied"),
	QUIRK("v4-takes-rfc1123-date", v4_takes_rfc1123_date, "in x-oss-date"),
	QUIRK("no-canonical-request", no_canonical_request,
	      "V4 mismatches come without <CanonicalRequest>"),
	QUIRK("meta-names-are-free", meta_names_are_free,
	      "values alone count for the 8 KB of metadata"),
	QUIRK("no-condition-element", no_condition_element,
	      "412 comes without <Condition>"),
	QUIRK("suffix-over-length-is-416", suffix_over_length_is_416,
	      "bytes=-N longer than the object, standard behaviour"),
	QUIRK("refuse-path-style", refuse_path_style,
	      "SecondLevelDomainForbidden, as on OSS's own domains"),
	QUIRK("copy-limit-1g", copy_limit_1g,
	      "CopyObject up to 1 GiB, the 2021 page's limit"),
	{.name = "help",                .type = OPT_HELP,    .help = "this text"      },
	{.name = "version",                .type = OPT_VERSION, .help = "the version"},
};

enum { ROWS = ARRAY_LEN(rows) };

static const char intro[] =
	"Usage: ackfs-emulator --dir DIR [OPTIONS]\n"
	"\n"
	"A local server that speaks the protocol of Alibaba Cloud OSS, strict\n"
	"about signatures, and performs upload callbacks as OSS does.  For\n"
	"demonstrations and tests.  Clients that sign as for Amazon S3 get S3's\n"
	"dialect of the same operations.  When ready it prints one line:\n"
	"  ackfs-emulator: ready: url=http://127.0.0.1:PORT\n"
	"\n";

static const char open_points[] =
	"\nWhat OSS's documentation leaves open (default: its most likely "
	"meaning):\n";

static const char admin[] =
	"\n"
	"While it runs, on the same port, from this machine alone:\n"
	"  POST /-/faults        what is to go wrong, an object or an array:\n"
	"      {\"operation\":\"Put*\",\"key\":\"in/*\",\"count\":3,"
	"\"fault\":\"reset_after\"}\n"
	"      operation, bucket, key: globs; a key glob without a slash looks at\n"
	"      the last component.  count, skip, probability and seed: how often.\n"
	"      Faults: status html (with status, code, message), garbage,\n"
	"      reset_before, reset_during (bytes), reset_stored (before the\n"
	"      callback), reset_after, stall, stall_after (ms; 0 until cleared),\n"
	"      latency (ms), bandwidth, trickle (rate), truncate (bytes),\n"
	"      wrong_crc, corrupt.  Of the operation Callback: status, skip (both\n"
	"      with body), timeout, refuse, stall.\n"
	"  GET /-/faults         the rules and their hits\n"
	"  DELETE /-/faults      all of them, or ?id=N\n"
	"  GET /-/stats          counters; DELETE sets them to zero\n"
	"  POST /-/clock         {\"skew_ms\":N}: the server's clock\n"
	"  POST /-/credentials   {\"access_key_id\":..., "
	"\"access_key_secret\":...,\n"
	"      \"security_token\":..., \"expires\":SECONDS}; DELETE "
	"?access_key_id=ID\n"
	"  POST /-/seed          {\"bucket\":..., \"prefix\":..., \"count\":N,"
	"\n"
	"      \"size\":N, \"first\":N}: objects in memory, for listings\n"
	"And from anywhere:\n"
	"  GET " CALLBACK_KEY_PATH "   what callbacks are verified with\n";

static void print_row(const struct option_row *row)
{
	char left[48];

	snprintf(left, sizeof(left), "--%s%s%s", row->name,
		 row->argument ? " " : "", row->argument ? row->argument : "");
	printf("  %-32s %s\n", left, row->help);
}

static void print_help(void)
{
	fputs(intro, stdout);
	for (size_t i = 0; i < ROWS; i++) {
		if (rows[i].type == OPT_FLAG && rows[i].offset == FIRST_QUIRK)
			fputs(open_points, stdout);
		if (rows[i].type == OPT_HELP)
			printf("\n");
		print_row(&rows[i]);
	}
	fputs(admin, stdout);
}

/* ---- values ---- */

static int usage(const char *name, const char *value, const char *what)
{
	fprintf(stderr, "ackfs-emulator: --%s: \"%s\": %s\n", name, value,
		what);
	return -EINVAL;
}

/* The first line of a file; an owned string. */
static int read_secret(const char *name, const char *path, char **out)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	char *end;
	int rc = file_read(path, 4096, &text);

	if (rc < 0)
		return usage(name, path, strerror(-rc));
	end = text.len ? strpbrk(text.data, "\r\n") : NULL;
	if (end)
		*end = '\0';
	if (!*buf_str(&text))
		return usage(name, path, "is empty");
	return str_set(out, buf_str(&text));
}

static int add_bucket(struct emu_options *o, const char *name)
{
	size_t n = o->bucket_count;
	const char **list = calloc(n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		list[i] = o->buckets[i];
	list[n] = name;
	free((void *)(uintptr_t)o->buckets);
	o->buckets = list;
	o->bucket_count = n + 1;
	return 0;
}

static int set_number(struct emu_options *o, const struct option_row *row,
		      const char *value)
{
	char *at = (char *)o + row->offset;
	uint64_t v;

	if (row->type == OPT_SIZE) {
		if (parse_size(value, &v) < 0)
			return usage(row->name, value,
				     "not a size like 1500, 32M or 1G");
		*(uint64_t *)(void *)at = v;
		return 0;
	}
	if (parse_u64(value, 0, row->type == OPT_PORT ? 65535 : 86400000, &v) <
	    0)
		return usage(row->name, value, "not a number in range");
	if (row->type == OPT_PORT)
		*(uint16_t *)(void *)at = (uint16_t)v;
	else if (row->type == OPT_MS)
		*(int64_t *)(void *)at = (int64_t)v;
	else
		*(unsigned *)(void *)at = (unsigned)v;
	return 0;
}

static int set_flag(struct emu_options *o, const struct option_row *row)
{
	*(bool *)((char *)o + row->offset) = true;
	return 0;
}

static int set_text(struct emu_options *o, const struct option_row *row,
		    const char *value)
{
	/* The one text that is owned. */
	if (row->offset == AT(access_key_id))
		return str_set(&o->access_key_id, value);
	*(const char **)(void *)((char *)o + row->offset) = value;
	return 0;
}

static int apply(struct emu_options *o, const struct option_row *row,
		 const char *value, bool *done)
{
	switch (row->type) {
	case OPT_TEXT:
		return set_text(o, row, value);
	case OPT_FLAG:
		return set_flag(o, row);
	case OPT_PORT:
	case OPT_NUMBER:
	case OPT_SIZE:
	case OPT_MS:
		return set_number(o, row, value);
	case OPT_SECRET_FILE:
		return read_secret(row->name, value,
				   (char **)(void *)((char *)o + row->offset));
	case OPT_BUCKET:
		return add_bucket(o, value);
	case OPT_HELP:
		print_help();
		*done = true;
		return 0;
	case OPT_VERSION:
		printf("ackfs-emulator %s\n", ackfs_version);
		*done = true;
		return 0;
	}
	return -EINVAL;
}

/* ---- the whole ---- */

int options_default(struct emu_options *o, const char *dir)
{
	memset(o, 0, sizeof(*o));
	o->dir = dir;
	o->listen = "127.0.0.1";
	o->region = "cn-hangzhou";
	o->callback_timeout_ms = 5000;
	o->callback_answer_max = 1 << 20;
	o->callback_key_bits = 512;
	o->access_key_id = str_dup(DEFAULT_ID);
	o->access_key_secret = str_dup(DEFAULT_SECRET);
	return o->access_key_id && o->access_key_secret ? 0 : -ENOMEM;
}

static int from_environment(struct emu_options *o)
{
	const char *id = getenv("ACKFS_EMULATOR_ACCESS_KEY_ID");
	const char *secret = getenv("ACKFS_EMULATOR_ACCESS_KEY_SECRET");
	const char *token = getenv("ACKFS_EMULATOR_SECURITY_TOKEN");

	if ((id && str_set(&o->access_key_id, id) < 0) ||
	    (secret && str_set(&o->access_key_secret, secret) < 0) ||
	    (token && *token && str_set(&o->security_token, token) < 0))
		return -ENOMEM;
	return 0;
}

static int check(const struct emu_options *o)
{
	struct in_addr addr;

	if (!o->dir) {
		fprintf(stderr, "ackfs-emulator: --dir is missing; "
				"--help lists the options\n");
		return -EINVAL;
	}
	if (!o->tls_cert != !o->tls_key)
		return usage(o->tls_cert ? "tls-cert" : "tls-key",
			     o->tls_cert ? o->tls_cert : o->tls_key,
			     "needs --tls-cert and --tls-key");
	if (inet_pton(AF_INET, o->listen, &addr) != 1)
		return usage("listen", o->listen, "not an IPv4 address");
	if (o->callback_key_bits < 512 || o->callback_key_bits > 4096)
		return usage("callback-key-bits", "", "512 to 4096");
	return 0;
}

static int parse_all(struct emu_options *o, int argc, char **argv, bool *done)
{
	struct option longs[ROWS + 1] = {0};
	int index;
	int c;

	for (size_t i = 0; i < ROWS; i++) {
		longs[i].name = rows[i].name;
		longs[i].has_arg =
			rows[i].argument ? required_argument : no_argument;
	}
	while (!*done &&
	       (c = getopt_long(argc, argv, "h", longs, &index)) != -1) {
		int rc;

		if (c == 'h') {
			print_help();
			*done = true;
			return 0;
		}
		if (c != 0)
			return -EINVAL; /* getopt said why */
		rc = apply(o, &rows[index], optarg, done);
		if (rc < 0)
			return rc;
	}
	if (!*done && optind < argc) {
		fprintf(stderr, "ackfs-emulator: \"%s\": not an option\n",
			argv[optind]);
		return -EINVAL;
	}
	return *done ? 0 : check(o);
}

int options_parse(struct emu_options *o, int argc, char **argv, bool *done)
{
	int rc = options_default(o, NULL);

	*done = false;
	if (!rc)
		rc = from_environment(o);
	return rc < 0 ? rc : parse_all(o, argc, argv, done);
}

void options_release(struct emu_options *o)
{
	free((void *)(uintptr_t)o->buckets);
	free(o->access_key_id);
	free(o->access_key_secret);
	free(o->security_token);
	memset(o, 0, sizeof(*o));
}
