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
#define FIRST_OPEN QUIRK(empty_url_is_no_callback)
#define QUIRK(field) offsetof(struct emu_options, quirks.field)

static const struct option_row rows[] = {
	{"dir",		       OPT_TEXT,        AT(dir),                         "DIR",
	 "where buckets and the callback key are kept (made when missing)"										 },
	{"port",		      OPT_PORT,        AT(port),                        "N",
	 "port to listen on; 0, the default, picks one and prints it"										      },
	{"listen",		    OPT_TEXT,        AT(listen),                      "ADDRESS",
	 "IPv4 address to listen on (127.0.0.1)"													   },
	{"port-file",                 OPT_TEXT,        AT(port_file),                   "FILE",
	 "write the port there when ready"														 },
	{"bucket",		    OPT_BUCKET,      0,                               "NAME",
	 "make this bucket unless it exists; may be repeated"											      },
	{"region",		    OPT_TEXT,        AT(region),                      "REGION",
	 "region of V4 signatures (cn-hangzhou)"													   },
	{"base-host",                 OPT_TEXT,        AT(base_host),                   "HOST",
	 "a host name with dots that is no bucket's (path addressing)"										     },
	{"access-key-id",             OPT_TEXT,        AT(access_key_id),               "ID",
	 "of the key (ACKFS_EMULATOR_ACCESS_KEY_ID, else " DEFAULT_ID ")"										  },
	{"access-key-secret-file",    OPT_SECRET_FILE, AT(access_key_secret),
	 "FILE",										   "its secret (ACKFS_EMULATOR_ACCESS_KEY_SECRET, else " DEFAULT_SECRET
	 ")"															       },
	{"security-token-file",       OPT_SECRET_FILE, AT(security_token),              "FILE",
	 "makes it an STS key (ACKFS_EMULATOR_SECURITY_TOKEN)"											     },
	{"anonymous",                 OPT_FLAG,        AT(anonymous),                   NULL,
	 "requests without a signature may do everything"												  },
	{"log",		       OPT_TEXT,        AT(log),                         "FILE",
	 "request log, a JSON line each; - is standard output"											     },
	{"fast",		      OPT_FLAG,        AT(fast),                        NULL,
	 "for benchmarks: ETags from CRC-64 instead of MD5"												},
	{"durable",                   OPT_FLAG,        AT(durable),                     NULL,
	 "fsync before answering; else the page cache is trusted"											  },
	{"latency-ms",                OPT_MS,          AT(latency_ms),                  "N",       "added to every answer"                                 },
	{"bandwidth",                 OPT_SIZE,        AT(bandwidth),                   "BYTES",
	 "a second, for each connection and direction (K, M, G)"											   },
	{"restore-ms",                OPT_MS,          AT(restore_ms),                  "N",
	 "how long restoring an archived object takes (0)"												 },
	{"forbid-private-callbacks",  OPT_FLAG,        AT(forbid_private_callbacks),
	 NULL,										     "refuse private callback addresses, as OSS does"        },
	{"callback-timeout-ms",       OPT_MS,          AT(callback_timeout_ms),         "N",
	 "OSS's five seconds (5000)"														       },
	{"callback-answer-max",       OPT_SIZE,        AT(callback_answer_max),         "BYTES",
	 "largest answer of an application (1M)"													   },
	{"callback-ca",               OPT_TEXT,        AT(callback_ca),                 "FILE",
	 "certificates that https callbacks are checked with"											      },
	{"callback-key-bits",         OPT_NUMBER,      AT(callback_key_bits),           "N",
	 "of the RSA key, when it is made (512, as OSS's)"												 },
	{"public-url",                OPT_TEXT,        AT(public_url),                  "URL",
	 "x-oss-pub-key-url; default: this server's own"												   },

	{"empty-url-is-no-callback",  OPT_FLAG,        QUIRK(empty_url_is_no_callback),
	 NULL,										     "an empty callbackUrl means none, not an error"         },
	{"callback-ways-may-mix",     OPT_FLAG,        QUIRK(callback_ways_may_mix),    NULL,
	 "x-oss-callback with ?callback-var=, and the reverse"											     },
	{"lone-vars-are-an-error",    OPT_FLAG,        QUIRK(lone_vars_are_an_error),
	 NULL,										     "callback-var without a callback, else ignored"         },
	{"odd-fields-are-an-error",   OPT_FLAG,        QUIRK(odd_fields_are_an_error),
	 NULL,										     "unknown or repeated ones of the callback, else ignored"},
	{"unknown-variable-is-empty", OPT_FLAG,
	 QUIRK(unknown_variable_is_empty),					      NULL,
	 "${foo} becomes nothing, not an error"													    },
	{"undefined-var-is-null",     OPT_FLAG,        QUIRK(undefined_var_is_null),    NULL,
	 "an undefined ${x:name} in JSON: null, not \"\""												  },
	{"vars-must-be-lower-case",   OPT_FLAG,        QUIRK(vars_must_be_lower_case),
	 NULL,										     "callback-var keys with capitals are refused"           },
	{"vars-may-be-any-type",      OPT_FLAG,        QUIRK(vars_may_be_any_type),     NULL,
	 "callback-var values that are no strings are taken"											       },
	{"bare-strings-in-quotes",    OPT_FLAG,        QUIRK(bare_strings_in_quotes),
	 NULL,										     "a string variable inside quotes brings none of its own"},
	{"empty-number-is-nothing",   OPT_FLAG,        QUIRK(empty_number_is_nothing),
	 NULL,										     "an empty imageInfo in JSON: nothing, not null"         },
	{"escape-non-ascii",          OPT_FLAG,        QUIRK(escape_non_ascii),         NULL,
	 "\\u escapes in JSON bodies, not raw UTF-8"												       },
	{"space-as-plus",             OPT_FLAG,        QUIRK(space_as_plus),            NULL,
	 "a space in form bodies: +, not %20"													      },
	{"urlencoder-bytes",          OPT_FLAG,        QUIRK(urlencoder_bytes),         NULL,
	 "form bodies keep * and encode ~, not the reverse"												},
	{"crc64-is-number",           OPT_FLAG,        QUIRK(crc64_is_number),          NULL,
	 "${crc64} in JSON: a number, not a string"													},
	{"scalars-are-json",          OPT_FLAG,        QUIRK(scalars_are_json),         NULL,
	 "an application may answer 123 or \"x\""													  },
	{"form-actions-count",        OPT_FLAG,        QUIRK(form_actions_count),       NULL,
	 "success_action_* after a callback too, not its answer"											   },
	{"timeout-is-total",          OPT_FLAG,        QUIRK(timeout_is_total),         NULL,
	 "the five seconds are for all URLs together"												      },
	{"report-first-failure",      OPT_FLAG,        QUIRK(report_first_failure),     NULL,
	 "of several URLs that fail, not the last"													 },
	{"no-certificate-check",      OPT_FLAG,        QUIRK(no_certificate_check),     NULL,
	 "https callbacks go to anybody"														   },
	{"missing-date-is-400",       OPT_FLAG,        QUIRK(missing_date_is_400),      NULL,
	 "InvalidArgument, not AccessDenied"													       },
	{"v4-takes-rfc1123-date",     OPT_FLAG,        QUIRK(v4_takes_rfc1123_date),    NULL,
	 "in x-oss-date"																   },
	{"no-canonical-request",      OPT_FLAG,        QUIRK(no_canonical_request),     NULL,
	 "V4 mismatches come without <CanonicalRequest>"												   },
	{"meta-names-are-free",       OPT_FLAG,        QUIRK(meta_names_are_free),      NULL,
	 "values alone count for the 8 KB of metadata"												     },
	{"no-condition-element",      OPT_FLAG,        QUIRK(no_condition_element),     NULL,
	 "412 comes without <Condition>"														   },
	{"suffix-over-length-is-416", OPT_FLAG,
	 QUIRK(suffix_over_length_is_416),					      NULL,
	 "bytes=-N longer than the object, standard behaviour"											     },
	{"refuse-path-style",         OPT_FLAG,        QUIRK(refuse_path_style),        NULL,
	 "SecondLevelDomainForbidden, as on OSS's own domains"											     },
	{"copy-limit-1g",             OPT_FLAG,        QUIRK(copy_limit_1g),            NULL,
	 "CopyObject up to 1 GiB, the 2021 page's limit"												   },

	{"help",		      OPT_HELP,        0,			       NULL,      "this text"                                             },
	{"version",                   OPT_VERSION,     0,                               NULL,      "the version"                                           },
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
		if (rows[i].type == OPT_FLAG && rows[i].offset == FIRST_OPEN)
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
