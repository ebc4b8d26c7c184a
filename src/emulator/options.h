/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The emulator's settings, from its command line and environment.
 *
 * Layer  emulator.
 */
#ifndef ACKFS_EMULATOR_OPTIONS_H
#define ACKFS_EMULATOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What the protocol page marks as unverified; zero is the page's advice. */
struct quirks {
	bool empty_url_is_no_callback; /* else 400 (3.3) */
	bool callback_ways_may_mix;    /* header and query; else 400 (3.2) */
	bool lone_vars_are_an_error;   /* no callback with them (3.2) */
	bool odd_fields_are_an_error; /* unknown or twice; else ignored (3.3) */
	bool unknown_variable_is_empty; /* else 400 (3.4) */
	bool undefined_var_is_null;     /* in JSON; else "" (3.4) */
	bool vars_must_be_lower_case;   /* 3.3 */
	bool vars_may_be_any_type;      /* 3.3 */
	bool bare_strings_in_quotes;    /* "a ${object}" without more quotes */
	bool empty_number_is_nothing;   /* imageInfo in JSON; else null (3.5) */
	bool escape_non_ascii;          /* \u in JSON bodies (3.5) */
	bool space_as_plus;             /* in form bodies (3.5) */
	bool urlencoder_bytes;          /* in form bodies: * and ~ (3.5) */
	bool crc64_is_number;           /* in JSON bodies (3.4) */
	bool scalars_are_json;          /* the application's answer (3.8) */
	bool form_actions_count;        /* after a form's callback (3.9) */
	bool timeout_is_total;          /* over all URLs; else each (3.9) */
	bool report_first_failure;      /* of several URLs; else the last */
	bool no_certificate_check;      /* of https callbacks (3.9) */
	bool missing_date_is_400;       /* else 403 (2.6) */
	bool v4_takes_rfc1123_date;     /* in x-oss-date (2.3) */
	bool no_canonical_request;      /* in V4's mismatch answers (2.7) */
	bool meta_names_are_free;       /* of the 8 KB (4.1) */
	bool no_condition_element;      /* in 412's body (4.3) */
	bool suffix_over_length_is_416; /* with standard behaviour (4.3) */
	bool refuse_path_style;         /* SecondLevelDomainForbidden (1.2) */
	bool copy_limit_1g;             /* the 2021 page's limit (4.8) */
};

struct emu_options {
	const char *dir;
	const char *listen; /* IPv4 address */
	uint16_t port;      /* 0: picked */
	const char *port_file;
	const char *tls_cert; /* PEM; NULL: plain http */
	const char *tls_key;
	const char *const *buckets;
	size_t bucket_count;
	char *access_key_id;
	char *access_key_secret;
	char *security_token; /* NULL: a permanent key */
	const char *region;
	const char *base_host;
	const char *public_url; /* of the callback key; NULL: our address */
	const char *log;        /* NULL: no request log */
	const char *callback_ca;
	bool forbid_private_callbacks;
	bool anonymous; /* no signature needed at all */
	bool fast;
	bool durable;
	int64_t callback_timeout_ms;
	uint64_t callback_answer_max;
	unsigned callback_key_bits;
	int64_t latency_ms;
	uint64_t bandwidth; /* bytes a second and connection; 0: no cap */
	int64_t restore_ms; /* how long POST ?restore takes */
	struct quirks quirks;
};

/**
 * Parse the command line.  --help and --version print and set *done.
 * @param done  set when there is nothing left to do
 * @return 0; -EINVAL or -errno after a message on stderr
 */
int options_parse(struct emu_options *o, int argc, char **argv, bool *done);
void options_release(struct emu_options *o);
/** Defaults, as tests want them. @return 0 or -ENOMEM */
int options_default(struct emu_options *o, const char *dir);

#endif
