/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Upload callbacks (protocol section 3): the parameters, what becomes of
 * them, and the answer.
 *
 * callback_read() before the body, callback_perform() when the object is
 * stored.
 *
 * Blocking callback_perform() waits for the application, five seconds a URL.
 */
#ifndef ACKFS_EMULATOR_CALLBACK_H
#define ACKFS_EMULATOR_CALLBACK_H

#include <stdbool.h>

#include "emulator/exchange.h"

struct emu_options;

enum { CALLBACK_MAX_URLS = 5, CALLBACK_MAX_BASE64 = 5120 };

struct callback_url {
	char *text; /* with its scheme */
	char *host; /* name or IPv4 address */
	char *port;
	char *path;  /* raw, begins with '/' */
	char *query; /* raw with its '?', or "" */
	bool is_https;
	char ip[16]; /* what the host resolved to */
};

struct callback {
	struct callback_url urls[CALLBACK_MAX_URLS];
	size_t url_count;
	char *host; /* of the Host header; NULL: the URL's */
	char *body; /* the template */
	bool is_json;
	bool sni;
	struct kvs vars; /* "x:name" -> value */
};

void callback_free(struct callback *c);
void callback_freep(struct callback **c);

/** What is wrong with parameters, for the 400. */
struct callback_error {
	enum oss_err err;
	char *name;  /* ArgumentName */
	char *value; /* ArgumentValue */
};

void callback_error_release(struct callback_error *e);

/**
 * Check and take apart the two parameters.
 * @param callback  base64 as sent
 * @param vars      base64 as sent, or NULL
 * @param out       NULL when they ask for no callback
 * @return 0, -EINVAL with *error filled, -ENOMEM
 */
int callback_parse(const struct emu_options *opt, const char *callback,
		   const char *vars, struct callback **out,
		   struct callback_error *error);

/** The request's callback, if any, into x->callback. @return 0 or DECIDED */
int callback_read(struct exchange *x);
/** The same from a form's field and its x: fields. @return 0 or DECIDED */
int callback_read_form(struct exchange *x, const char *callback,
		       const struct kvs *vars);

/** Make the callback and turn x's reply into its outcome. @return 0 */
int callback_perform(struct exchange *x, const struct object *o);

/* ---- parts that tests reach ---- */

/** One attempt's outcome. */
struct callback_result {
	bool ok;
	int status;         /* the application's; 0: none came */
	struct buf body;    /* its answer */
	char *content_type; /* of it; NULL: none */
	char message[256];  /* failure in OSS's words */
	const char *ec;
	int64_t elapsed_ms;
};

void callback_result_release(struct callback_result *r);
/** What the answer's status, length and body are worth (3.8). */
void callback_judge(const struct emu_options *opt, const char *length,
		    struct callback_result *r);
/** Headers and signature of a callback request; appended to out. */
int callback_headers(struct exchange *x, const struct callback *c,
		     const struct callback_url *u, const char *body, size_t len,
		     struct kvs *out);
/** POST the body. Always fills *r. */
void callback_send(struct exchange *x, const struct callback *c,
		   const struct callback_url *u, const char *body, size_t len,
		   int64_t timeout_ms, struct callback_result *r);

#endif
