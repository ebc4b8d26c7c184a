/* SPDX-License-Identifier: Apache-2.0 */
/* Upload callbacks: parameters, the request that goes out, its outcome
 * (protocol section 3). */
#include "../support/emu.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <string.h>

#include "emulator/callback.h"
#include "emulator/callback_key.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/lock.h"

#define H(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- parameters ---- */

struct parse_case {
	const char *name;
	const char *json; /* "=" in front: base64 as it stands */
	const char *vars; /* the same; NULL: none */
	enum oss_err want;
};

#define U "\"callbackUrl\":\"127.0.0.1/\""
#define B "\"callbackBody\":\"a=${bucket}\""

static const struct parse_case parse_cases[] = {
	{"least",		    "{" U "," B "}",					 NULL,                                       OE_NONE                },
	{"unknown field",            "{" U "," B ",\"other\":1}",                             NULL,                                       OE_NONE                },
	{"not base64",               "=@@@",						  NULL,				       OE_CB_BASE64           },
	{"base64 with a line break", "=e30=\n",                                               NULL,                                       OE_CB_BASE64           },
	{"not json",                 "{",						     NULL,				       OE_CB_JSON             },
	{"not an object",            "[1]",						   NULL,				       OE_CB_JSON             },
	{"no url",		   "{" B "}",					       NULL,				       OE_CB_URL              },
	{"empty url",                "{\"callbackUrl\":\"\"," B "}",                          NULL,                                       OE_CB_URL              },
	{"only separators",          "{\"callbackUrl\":\";;\"," B "}",                        NULL,                                       OE_CB_URL              },
	{"url no string",            "{\"callbackUrl\":1," B "}",                             NULL,                                       OE_CB_URL              },
	{"port no number",           "{\"callbackUrl\":\"10.101.166.30:test\"," B "}",
	 NULL,															    OE_CB_URL              },
	{"other scheme",             "{\"callbackUrl\":\"ftp://127.0.0.1/\"," B "}",          NULL,
	 OE_CB_URL																	       },
	{"IPv6 literal",             "{\"callbackUrl\":\"http://[::1]/\"," B "}",             NULL,
	 OE_CB_URL																	       },
	{"not ASCII",                "{\"callbackUrl\":\"http://127.0.0.1/\xc3\xa4\"," B "}",
	 NULL,															    OE_CB_URL              },
	{"blank",		    "{\"callbackUrl\":\"http://127.0.0.1/a b\"," B "}",      NULL,
	 OE_CB_URL																	       },
	{"does not resolve",
	 "{\"callbackUrl\":\"http://no-such-host.invalid/\"," B "}",                          NULL,
	 OE_CB_NO_IP																	     },
	{"six urls",
	 "{\"callbackUrl\":\"127.0.0.1;127.0.0.1;127.0.0.1;127.0.0.1;"
	 "127.0.0.1;127.0.0.1;\"," B "}",
	 NULL,															    OE_CB_TOO_MANY_URLS    },
	{"five urls",
	 "{\"callbackUrl\":\"127.0.0.1;127.0.0.1;127.0.0.1;127.0.0.1;"
	 "127.0.0.1;\"," B "}",
	 NULL,															    OE_NONE                },
	{"no body",                  "{" U "}",					       NULL,				       OE_CB_BODY_EMPTY       },
	{"empty body",               "{" U ",\"callbackBody\":\"\"}",                         NULL,                                       OE_CB_BODY_EMPTY       },
	{"body no string",           "{" U ",\"callbackBody\":{}}",                           NULL,
	 OE_CB_BODY_INVALID																      },
	{"round brackets",           "{" U ",\"callbackBody\":\"$(object)\"}",                NULL,
	 OE_CB_BODY_INVALID																      },
	{"unknown variable",         "{" U ",\"callbackBody\":\"${foo}\"}",                   NULL,
	 OE_CB_BODY_INVALID																      },
	{"host no string",           "{" U "," B ",\"callbackHost\":1}",                      NULL,
	 OE_CB_HOST																	      },
	{"host no host",             "{" U "," B ",\"callbackHost\":\"a b\"}",                NULL,
	 OE_CB_HOST																	      },
	{"type no string",           "{" U "," B ",\"callbackBodyType\":1}",                  NULL,
	 OE_CB_BODY_TYPE																	 },
	{"type unknown",             "{" U "," B ",\"callbackBodyType\":\"text/plain\"}",
	 NULL,															    OE_CB_BODY_TYPE_UNKNOWN},
	{"version no string",        "{" U "," B ",\"signatureVersion\":1}",                  NULL,
	 OE_CB_SIGNATURE_VERSION																 },
	{"version unknown",          "{" U "," B ",\"signatureVersion\":\"9\"}",              NULL,
	 OE_CB_SIGNATURE_VERSION																 },
	{"url in the query",
	 "{\"callbackUrl\":\"127.0.0.1/?next=http://b/[]\"," B "}",                           NULL,
	 OE_NONE																		 },
	{"scheme in capitals",
	 "{\"callbackUrl\":\"HTTPS://127.0.0.1:9/\"," B "}",                                  NULL,                                       OE_NONE                },
	{"port too large",           "{\"callbackUrl\":\"127.0.0.1:65536\"," B "}",           NULL,
	 OE_CB_URL																	       },
	{"no host",                  "{\"callbackUrl\":\"http://?x\"," B "}",                 NULL,                                       OE_CB_URL              },
	{"version 1.0",              "{" U "," B ",\"signatureVersion\":\"1.0\"}",            NULL,
	 OE_NONE																		 },
	{"field twice",              "{" U "," U "," B "}",                                   NULL,                                       OE_NONE                },
	{"more behind it",           "{" U "," B "} {}",                                      NULL,                                       OE_CB_JSON             },
	{"base64 of URLs",           "=e30_",						 NULL,                                       OE_CB_BASE64           },
	{"base64 without padding",   "=e30",						  NULL,                                       OE_CB_BASE64           },
	{"vars with another prefix", "{" U "," B "}",                                         "{\"y:a\":\"1\"}",
	 OE_CB_VAR_JSON																	  },
	{"vars with x: alone",       "{" U "," B "}",                                         "{\"x:\":\"1\"}",
	 OE_CB_VAR_JSON																	  },
	{"vars",		     "{" U "," B "}",					 "{\"x:a\":\"1\",\"x:\xe9\x94\xae\":\"2\"}",
	 OE_NONE																		 },
	{"vars not base64",          "{" U "," B "}",                                         "=@",                                       OE_CB_VAR_BASE64       },
	{"vars not json",            "{" U "," B "}",                                         "x",                                        OE_CB_VAR_JSON         },
	{"vars no object",           "{" U "," B "}",                                         "[]",                                       OE_CB_VAR_JSON         },
	{"vars without x:",          "{" U "," B "}",                                         "{\"a\":\"1\"}",                            OE_CB_VAR_JSON         },
	{"vars no string",           "{" U "," B "}",                                         "{\"x:a\":1}",                              OE_CB_VAR_JSON         },
};

static void encode(const char *text, struct buf *out)
{
	if (*text == '=')
		buf_adds(out, text + 1);
	else
		base64_encode(out, text, strlen(text));
}

static enum oss_err parse(const struct emu_options *opt, const char *json,
			  const char *vars, struct callback **out)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	AUTO(buf_release) struct buf v = BUF_INIT;
	AUTO(callback_error_release) struct callback_error e = {0};

	encode(json, &b);
	if (vars)
		encode(vars, &v);
	*out = NULL;
	callback_parse(opt, buf_str(&b), vars ? buf_str(&v) : NULL, out, &e);
	return e.err;
}

static void parameters_are_checked(void **state)
{
	struct emu_options opt = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parse_cases); i++) {
		const struct parse_case *p = &parse_cases[i];
		AUTO(callback_freep) struct callback *c = NULL;
		enum oss_err got = parse(&opt, p->json, p->vars, &c);

		if (got != p->want)
			fail_msg("%s: got \"%s\"", p->name,
				 oss_err_info(got)->message);
		if (!got != (c != NULL))
			fail_msg("%s: callback %p", p->name, (void *)c);
	}
}

/* The words and EC codes of protocol 3.9; "" where it has none. */
static const struct {
	enum oss_err err;
	const char *message;
	const char *ec;
} words[] = {
	{OE_CB_BASE64,            "The callback configuration is not base64 encoded.",
	 "0007-00000002"														  },
	{OE_CB_JSON,              "The callback configuration is not json format.",
	 "0007-00000003"														  },
	{OE_CB_URL,               "The callback url configuration is invalid.",
	 "0007-00000004"														  },
	{OE_CB_NO_IP,             "Can not get ip by this host.",							  "0007-00000007"},
	{OE_CB_PRIVATE,           "Private address is forbidden to callback.",
	 "0007-00000008"														  },
	{OE_CB_BODY_EMPTY,        "The callback body is empty.",							   "0007-00000011"},
	{OE_CB_BODY_INVALID,      "The callback body is invalid.",                                                         "0007-00000010"},
	{OE_CB_HOST,              "The callback host configuration is invalid.",                                           ""             },
	{OE_CB_BODY_TYPE,         "The callback body type configuration is invalid.",
	 "0007-00000012"														  },
	{OE_CB_BODY_TYPE_UNKNOWN, "The body type of callback is not supported.",
	 ""															       },
	{OE_CB_TOO_MANY_URLS,     "The number of callback url exceed max value.",
	 ""															       },
	{OE_CB_LENGTH,            "The length of callback exceed max value.",
	 "0007-00000001"														  },
	{OE_CB_VAR_LENGTH,        "The length of callback var exceed max value.",                                          ""             },
	{OE_CB_VAR_BASE64,        "The callback var is not base64 encoded.",
	 "0007-00000102"														  },
	{OE_CB_VAR_JSON,          "The callback var is not expecten json.",
	 "0007-00000103"														  },
	{OE_CB_SIGNATURE_VERSION, "The callback signature version is invalid.",
	 ""															       },
	{OE_CB_BOTH_WAYS,
	 "Either the callback query string parameter or the x-oss-callback header should be specified, not both.",
	 "0007-00000027"														  },
	{OE_CB_VAR_BOTH_WAYS,
	 "Either the callback-var query string parameter or the x-oss-callback-var header should be specified, not both.",
	 "0007-00000027"														  },
};

static void refusals_have_oss_s_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const struct oss_err_info *e = oss_err_info(words[i].err);

		assert_int_equal(e->status, 400);
		assert_string_equal(e->code, "InvalidArgument");
		assert_string_equal(e->message, words[i].message);
		assert_string_equal(e->ec, words[i].ec);
	}
}

static void switches_change_the_checks(void **state)
{
	AUTO(callback_freep) struct callback *c = NULL;
	AUTO(callback_freep) struct callback *number = NULL;
	AUTO(callback_freep) struct callback *upper = NULL;
	struct emu_options opt = {0};

	(void)state;
	opt.quirks.empty_url_is_no_callback = true;
	assert_int_equal(parse(&opt, "{" B "}", NULL, &c), OE_NONE);
	assert_null(c);
	opt.quirks.vars_may_be_any_type = true;
	assert_int_equal(parse(&opt, "{" U "," B "}", "{\"x:a\":12}", &number),
			 OE_NONE);
	assert_string_equal(number->vars.items[0].value, "12");
	opt.quirks.vars_must_be_lower_case = true;
	assert_int_equal(parse(&opt, "{" U "," B "}", "{\"x:A\":\"\"}", &upper),
			 OE_CB_VAR_JSON);
	opt.quirks.odd_fields_are_an_error = true;
	assert_int_equal(parse(&opt, "{" U "," B ",\"a\":1}", NULL, &upper),
			 OE_CB_JSON);
	assert_int_equal(parse(&opt, "{" U "," U "," B "}", NULL, &upper),
			 OE_CB_JSON);
}

static void private_addresses_can_be_forbidden(void **state)
{
	static const char *const hosts[] = {
		"127.0.0.1",   "10.1.2.3",    "172.16.0.1", "172.31.255.255",
		"192.168.1.1", "169.254.1.1", "0.0.0.0"};
	struct emu_options opt = {.forbid_private_callbacks = true};
	AUTO(callback_freep) struct callback *public = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		AUTO_FREE char *json = str_printf(
			"{\"callbackUrl\":\"%s:80\"," B "}", hosts[i]);
		AUTO(callback_freep) struct callback *c = NULL;

		if (parse(&opt, json, NULL, &c) != OE_CB_PRIVATE)
			fail_msg("%s", hosts[i]);
	}
	assert_int_equal(parse(&opt,
			       "{\"callbackUrl\":\"172.32.0.1:80\"," B "}",
			       NULL, &public),
			 OE_NONE);
}

static void five_kilobytes_are_the_limit(void **state)
{
	struct emu_options opt = {0};
	AUTO(buf_release) struct buf json = BUF_INIT;
	AUTO(buf_release) struct buf vars = BUF_INIT;
	AUTO(callback_freep) struct callback *c = NULL;
	AUTO(callback_freep) struct callback *none = NULL;
	size_t frame = strlen("{" U ",\"callbackBody\":\"\"}");

	(void)state;
	buf_adds(&json, "{" U ",\"callbackBody\":\"");
	for (size_t i = frame; i < (size_t)CALLBACK_MAX_BASE64 / 4 * 3; i++)
		buf_addc(&json, 'b');
	buf_adds(&json, "\"}");
	assert_int_equal(parse(&opt, buf_str(&json), NULL, &c), OE_NONE);
	json.data[json.len - 2] = 'b';
	json.data[json.len - 1] = '"';
	buf_adds(&json, "}");
	assert_int_equal(parse(&opt, buf_str(&json), NULL, &none),
			 OE_CB_LENGTH);
	buf_adds(&vars, "{\"x:a\":\"");
	for (size_t i = 0; i < CALLBACK_MAX_BASE64; i++)
		buf_addc(&vars, 'v');
	buf_adds(&vars, "\"}");
	assert_int_equal(parse(&opt, "{" U "," B "}", buf_str(&vars), &none),
			 OE_CB_VAR_LENGTH);
}

/* ---- what an answer is worth ---- */

static void answers_are_judged(void **state)
{
	static const struct {
		const char *name;
		int status;
		const char *length;
		const char *type;
		const char *body;
		const char *message; /* NULL: fine */
	} cases[] = {
		{"object",          200, "2",       "application/json", "{}",             NULL                 },
		{"array",           200, "2",       NULL,               "[]",             NULL                 },
		{"big numbers",     200, "30",      NULL,
		 "{\"a\":123456789012345678901234}",                                      NULL                 },
		{"escaped NUL",     200, "9",       NULL,               "[\"\\u0000\"]",  NULL                 },
		{"created",         201, "2",       NULL,               "{}",             "Error status : 201."},
		{"no content",      204, NULL,      NULL,               "",               "Error status : 204."},
		{"moved",           301, "2",       NULL,               "{}",             "Error status : 301."},
		{"broken",          500, "2",       NULL,               "{}",             "Error status : 500."},
		{"no length",       200, NULL,      NULL,               "{}",
		 "Error Status : 400.User server missing content-length."                                      },
		{"no body",         200, "0",       NULL,               "",
		 "Error Status : 400.User server return invalid conent-length "
		 "value."										      },
		{"negative",        200, "-1",      NULL,               "",
		 "Error Status : 400.User server return invalid conent-length "
		 "value."										      },
		{"just fits",       200, "1048576", NULL,               "{}",             NULL                 },
		{"too long",        200, "1048577", NULL,               "{}",
		 "Error Status : 400.User server return too long "
		 "content-length value."								       },
		{"plain",           200, "2",       NULL,               "OK",
		 "Response body is not valid json format."                                                     },
		{"BOM",             200, "5",       NULL,               "\xef\xbb\xbf{}",
		 "Response body is not valid json format."                                                     },
		{"two values",      200, "4",       NULL,               "{}{}",
		 "Response body is not valid json format."                                                     },
		{"scalar",          200, "3",       NULL,               "123",
		 "Response body is not valid json format."                                                     },
		{"XML by its type", 200, "4",       "application/xml",  "<a/>",           NULL                 },
		{"XML without",     200, "4",       "application/json", "<a/>",
		 "Response body is not valid json format."                                                     },
	};
	struct emu_options opt = {.callback_answer_max = 1 << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(callback_result_release)
		struct callback_result r = {.status = cases[i].status,
					    .ec = ""};

		r.content_type = str_dup(cases[i].type);
		buf_adds(&r.body, cases[i].body);
		callback_judge(&opt, cases[i].length, &r);
		if (r.ok != !cases[i].message)
			fail_msg("%s: ok=%d", cases[i].name, r.ok);
		if (cases[i].message &&
		    strcmp(r.message, cases[i].message) != 0)
			fail_msg("%s: %s", cases[i].name, r.message);
	}
	opt.quirks.scalars_are_json = true;
	{
		AUTO(callback_result_release)
		struct callback_result r = {.status = 200, .ec = ""};

		buf_adds(&r.body, "123");
		callback_judge(&opt, "3", &r);
		assert_true(r.ok);
	}
}

/* ---- an application to call ---- */

enum manner {
	PLAIN,
	CHUNKED, /* without Content-Length */
	ENDLESS, /* the headers come, the body does not */
};

struct app {
	struct MHD_Daemon *daemon;
	atomic_bool stopped;
	uint16_t port;
	struct lock lock; /* guards everything below */
	int status;
	const char *answer; /* NULL: do not answer in time */
	enum manner manner;
	const char *location;
	struct MHD_Connection *hung; /* waits for its answer */
	int calls;
	char method[8];
	char target[256];
	struct kvs headers;
	struct buf body;
};

static enum MHD_Result take(void *cls, enum MHD_ValueKind kind,
			    const char *name, const char *value)
{
	(void)kind;
	assert_int_equal(kvs_add(cls, name, value ? value : ""), 0);
	return MHD_YES;
}

static void *keep_target(void *cls, const char *uri,
			 struct MHD_Connection *conn)
{
	struct app *app = cls;

	(void)conn;
	lock_acquire(&app->lock);
	snprintf(app->target, sizeof(app->target), "%s", uri);
	lock_release(&app->lock);
	return NULL;
}

static ssize_t read_answer(void *arg, uint64_t pos, char *to, size_t max)
{
	const char *rest = (const char *)arg + pos;
	size_t n = 0;

	for (; n < max && rest[n]; n++)
		to[n] = rest[n];
	return n ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t read_never(void *arg, uint64_t pos, char *to, size_t max)
{
	struct app *app = arg;

	(void)pos;
	(void)to;
	(void)max;
	return atomic_load(&app->stopped) ? MHD_CONTENT_READER_END_WITH_ERROR
					  : 0;
}

static struct MHD_Response *make_answer(struct app *app)
{
	char *text = (char *)(uintptr_t)app->answer;

	switch (app->manner) {
	case CHUNKED:
		return MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, 64, read_answer, text, NULL);
	case ENDLESS:
		return MHD_create_response_from_callback(2, 64, read_never, app,
							 NULL);
	case PLAIN:
		break;
	}
	return MHD_create_response_from_buffer(strlen(text), text,
					       MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result answer(struct app *app, struct MHD_Connection *conn)
{
	struct MHD_Response *r = make_answer(app);
	enum MHD_Result rc;

	MHD_add_response_header(r, "Content-Type", "application/json");
	if (app->location)
		MHD_add_response_header(r, "Location", app->location);
	rc = MHD_queue_response(conn, (unsigned)app->status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result on_call_locked(void *cls, struct MHD_Connection *conn,
				      const char *url, const char *method,
				      const char *version, const char *data,
				      size_t *size, void **context)
{
	struct app *app = cls;

	(void)url;
	(void)version;
	if (!*context) {
		*context = app;
		app->calls++;
		snprintf(app->method, sizeof(app->method), "%s", method);
		kvs_release(&app->headers);
		buf_reset(&app->body);
		MHD_get_connection_values(conn, MHD_HEADER_KIND, take,
					  &app->headers);
		return MHD_YES;
	}
	if (*size) {
		buf_add(&app->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (app->answer)
		return answer(app, conn);
	app->hung = conn;
	MHD_suspend_connection(conn);
	return MHD_YES;
}

static enum MHD_Result on_call(void *cls, struct MHD_Connection *conn,
			       const char *url, const char *method,
			       const char *version, const char *data,
			       size_t *size, void **context)
{
	struct app *app = cls;
	enum MHD_Result rc;

	lock_acquire(&app->lock);
	rc = on_call_locked(cls, conn, url, method, version, data, size,
			    context);
	lock_release(&app->lock);
	return rc;
}

static void app_start(struct app *app)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};

	memset(app, 0, sizeof(*app));
	lock_init(&app->lock, LOCK_LEAF);
	app->status = 200;
	app->answer = "{\"Status\":\"OK\"}";
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	app->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0,
		NULL, NULL, on_call, app, MHD_OPTION_SOCK_ADDR,
		(struct sockaddr *)(void *)&addr, MHD_OPTION_URI_LOG_CALLBACK,
		keep_target, app, MHD_OPTION_END);
	assert_non_null(app->daemon);
	app->port = MHD_get_daemon_info(app->daemon, MHD_DAEMON_INFO_BIND_PORT)
			    ->port;
}

static void app_stop(struct app *app)
{
	lock_acquire(&app->lock);
	app->answer = "{}";
	atomic_store(&app->stopped, true);
	if (app->hung)
		MHD_resume_connection(app->hung);
	lock_release(&app->lock);
	MHD_stop_daemon(app->daemon);
	lock_destroy(&app->lock);
	kvs_release(&app->headers);
	buf_release(&app->body);
}

struct fixture {
	struct emu emu;
	struct app app;
};

/* What the application saw, when nothing is under way. */
static struct app *seen(struct fixture *f)
{
	lock_acquire(&f->app.lock);
	lock_release(&f->app.lock);
	return &f->app;
}

static void app_answers(struct fixture *f, int status, const char *answer)
{
	lock_acquire(&f->app.lock);
	f->app.status = status;
	f->app.answer = answer;
	f->app.location = "/elsewhere"; /* counts with 3xx alone */
	lock_release(&f->app.lock);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	emu_open(&f->emu);
	f->emu.em->url = str_dup("http://127.0.0.1:1");
	app_start(&f->app);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	app_stop(&f->app);
	emu_close(&f->emu);
	free(f);
	return 0;
}

/* "x-oss-callback: <base64>", free() it. */
static char *header_of(const char *name, const char *fmt, ...) ACK_PRINTF(2, 3);
static char *header_of(const char *name, const char *fmt, ...)
{
	AUTO(buf_release) struct buf json = BUF_INIT;
	AUTO(buf_release) struct buf line = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&json, fmt, ap);
	va_end(ap);
	buf_addf(&line, "%s: ", name);
	base64_encode(&line, buf_str(&json), json.len);
	return buf_detach(&line);
}

static char *form_callback(const struct fixture *f, const char *path)
{
	return header_of("x-oss-callback",
			 "{\"callbackUrl\":\"127.0.0.1:%u%s\","
			 "\"callbackBody\":\"bucket=${bucket}&object=${object}"
			 "&size=${size}&v=${x:v}&op=${operation}\"}",
			 f->app.port, path);
}

static void application_gets_the_body_and_its_answer_comes_back(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/a/b?c=d");
	AUTO_FREE char *var =
		header_of("x-oss-callback-var", "{\"x:v\":\"1 2\"}");
	AUTO(answer_release) struct answer a;
	const struct kvs *h;
	int64_t when;
	AUTO_FREE char *host = str_printf("127.0.0.1:%u", f->app.port);

	emu_expect(&f->emu, "PUT", "/bucket/d/k", H(cb, var), "hi oss", 200,
		   &a);
	h = &seen(f)->headers;
	assert_string_equal(buf_str(&a.body), "{\"Status\":\"OK\"}");
	assert_string_equal(answer_header(&a, "Content-Type"),
			    "application/json");
	assert_string_equal(answer_header(&a, "ETag"),
			    "\"B22E0DC370A7F7067FACF5F75D7FA385\"");
	assert_string_equal(seen(f)->method, "POST");
	assert_string_equal(seen(f)->target, "/a/b?c=d");
	assert_string_equal(
		buf_str(&seen(f)->body),
		"bucket=bucket&object=d%2Fk&size=6&v=1%202&op=PutObject");
	assert_string_equal(kvs_get(h, "Host"), host);
	assert_string_equal(kvs_get(h, "Content-Type"),
			    "application/x-www-form-urlencoded");
	assert_string_equal(kvs_get(h, "User-Agent"), "aliyun-oss-callback");
	assert_string_equal(kvs_get(h, "Connection"), "close");
	assert_string_equal(kvs_get(h, "Content-Length"), "54");
	assert_string_equal(kvs_get(h, "Content-MD5"),
			    "mamnZ1Tdqzpi1EiduxsWiw==");
	assert_int_equal(clock_parse_http_date(kvs_get(h, "Date"), &when), 0);
	assert_non_null(kvs_get(h, "x-oss-owner"));
	assert_string_equal(kvs_get(h, "x-oss-requester"),
			    kvs_get(h, "x-oss-owner"));
	assert_int_equal(strlen(kvs_get(h, "x-oss-request-id")), 24);
	assert_string_equal(kvs_get(h, "x-oss-bucket"), "bucket");
	assert_string_equal(kvs_get(h, "x-oss-tag"), "CALLBACK");
	assert_string_equal(kvs_get(h, "x-oss-signature-version"), "1.0");
	assert_string_equal(kvs_get(h, "x-oss-additional-headers"), "");
	assert_int_equal(strlen(kvs_get(h, "Authorization")), 88);
	assert_null(kvs_get(h, "Expect"));
	assert_null(kvs_get(h, "Accept"));
	assert_null(kvs_get(h, "Transfer-Encoding"));
}

static bool verify(const char *pem, const char *text, const char *base64)
{
	AUTO(buf_release) struct buf sig = BUF_INIT;
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	assert_int_equal(base64_decode(&sig, base64, strlen(base64)), 0);
	ok = EVP_DigestVerifyInit(ctx, NULL, EVP_md5(), NULL, key) == 1 &&
	     EVP_DigestVerify(ctx, (const unsigned char *)sig.data, sig.len,
			      (const unsigned char *)text, strlen(text)) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok;
}

static void signature_covers_decoded_path_query_and_body(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/a%2Fb%20c+/./%c3%A9?d=%20e&f");
	AUTO_FREE char *text = NULL;
	AUTO(buf_release) struct buf url = BUF_INIT;
	const char *pem = callback_key_pem(f->emu.em->key);
	const char *auth;
	const char *encoded;

	emu_do(&f->emu, "PUT", "/bucket/k", H(cb), "x", 200);
	auth = kvs_get(&seen(f)->headers, "Authorization");
	/* The target goes as it is configured; a '+' in a path is one. */
	assert_string_equal(seen(f)->target, "/a%2Fb%20c+/./%c3%A9?d=%20e&f");
	text = str_printf("/a/b c+/./\xc3\xa9?d=%%20e&f\n%s",
			  buf_str(&seen(f)->body));
	assert_true(verify(pem, text, auth));
	text[1] = 'z';
	assert_false(verify(pem, text, auth));
	encoded = kvs_get(&seen(f)->headers, "x-oss-pub-key-url");
	assert_int_equal(base64_decode(&url, encoded, strlen(encoded)), 0);
	assert_string_equal(buf_str(&url),
			    "http://127.0.0.1:1/-/callback_pub_key_v1.pem");
}

static void key_is_the_same_after_a_restart(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *before = str_dup(callback_key_pem(f->emu.em->key));

	emu_reopen(&f->emu);
	assert_string_equal(callback_key_pem(f->emu.em->key), before);
}

static void json_type_and_host_are_used(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = header_of(
		"x-oss-callback",
		"{\"callbackUrl\":\"http://127.0.0.1:%u\",\"callbackHost\":"
		"\"app.example.com\",\"callbackBodyType\":\"application/json\","
		"\"callbackBody\":\"{\\\"o\\\":${object},\\\"s\\\":${size},"
		"\\\"h\\\":${imageInfo.height},\\\"m\\\":${contentMd5}}\"}",
		f->app.port);

	emu_do(&f->emu, "PUT", "/bucket/k", H(cb), "hi oss", 200);
	assert_string_equal(kvs_get(&seen(f)->headers, "Host"),
			    "app.example.com");
	assert_string_equal(kvs_get(&seen(f)->headers, "Content-Type"),
			    "application/json");
	assert_string_equal(seen(f)->target, "/");
	assert_string_equal(buf_str(&seen(f)->body),
			    "{\"o\":\"k\",\"s\":6,\"h\":null,"
			    "\"m\":\"si4Nw3Cn9wZ/rPX3XX+jhQ==\"}");
}

static void query_form_works_and_mixing_does_not(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/");
	AUTO_FREE char *var =
		header_of("x-oss-callback-var", "{\"x:v\":\"7\"}");
	AUTO(buf_release) struct buf target = BUF_INIT;
	AUTO(buf_release) struct buf both = BUF_INIT;
	const char *value = strchr(cb, ' ') + 1;
	const char *var_value = strchr(var, ' ') + 1;

	buf_adds(&target, "/bucket/k?callback=");
	percent_encode(&target, value, strlen(value), PERCENT_ALL);
	buf_adds(&both, buf_str(&target));
	buf_adds(&both, "&callback-var=");
	percent_encode(&both, var_value, strlen(var_value), PERCENT_ALL);
	emu_do(&f->emu, "PUT", buf_str(&both), NULL, "x", 200);
	assert_non_null(strstr(buf_str(&seen(f)->body), "v=7"));
	emu_fails(&f->emu, "PUT", buf_str(&target), H(cb), "x", 400,
		  "InvalidArgument");
	emu_fails(&f->emu, "PUT", buf_str(&target), H(var), "x", 400,
		  "InvalidArgument");
	emu_fails(&f->emu, "PUT", buf_str(&both), H(var), "x", 400,
		  "InvalidArgument");
	assert_int_equal(seen(f)->calls, 1);
	/* Variables without a callback are ignored. */
	emu_do(&f->emu, "PUT", "/bucket/k", H(var), "x", 200);
	assert_int_equal(seen(f)->calls, 1);
	f->emu.opt.quirks.lone_vars_are_an_error = true;
	emu_fails(&f->emu, "PUT", "/bucket/k", H(var), "x", 400,
		  "InvalidArgument");
	f->emu.opt.quirks.callback_ways_may_mix = true;
	emu_do(&f->emu, "PUT", buf_str(&target), H(var), "x", 200);
	assert_non_null(strstr(buf_str(&seen(f)->body), "v=7"));
	assert_int_equal(seen(f)->calls, 2);
	emu_fails(&f->emu, "PUT", buf_str(&target), H(cb), "x", 400,
		  "InvalidArgument");
}

static void bad_parameters_store_nothing(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb =
		header_of("x-oss-callback",
			  "{\"callbackUrl\":\"127.0.0.1:%u\"}", f->app.port);
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *name = NULL;
	AUTO_FREE char *value = NULL;

	emu_expect(&f->emu, "PUT", "/bucket/k", H(cb), "x", 400, &a);
	name = answer_element(&a, "ArgumentName", 0);
	value = answer_element(&a, "ArgumentValue", 0);
	assert_string_equal(name, "callback");
	assert_non_null(strstr(value, "callbackUrl"));
	assert_string_equal(answer_header(&a, "x-oss-ec"), "0007-00000011");
	emu_fails(&f->emu, "GET", "/bucket/k", NULL, NULL, 404, "NoSuchKey");
	assert_int_equal(seen(f)->calls, 0);
}

static char *start_upload(struct fixture *f)
{
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *part = NULL;

	emu_expect(&f->emu, "POST", "/bucket/k?uploads", NULL, NULL, 200, &a);
	id = answer_element(&a, "UploadId", 0);
	part = str_printf("/bucket/k?partNumber=1&uploadId=%s", id);
	emu_do(&f->emu, "PUT", part, NULL, "hi oss", 200);
	return str_printf("/bucket/k?uploadId=%s", id);
}

/* A refused one leaves the upload; a failed callback uses it up. */
static void complete_is_refused_or_done(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *target = start_upload(f);
	AUTO_FREE char *bad =
		header_of("x-oss-callback",
			  "{\"callbackUrl\":\"127.0.0.1:%u\"}", f->app.port);
	AUTO_FREE char *good = form_callback(f, "/");

	emu_fails(&f->emu, "POST", target, H("x-oss-complete-all: yes", bad),
		  NULL, 400, "InvalidArgument");
	emu_fails(&f->emu, "GET", "/bucket/k", NULL, NULL, 404, "NoSuchKey");
	app_answers(f, 500, "{}");
	emu_fails(&f->emu, "POST", target, H("x-oss-complete-all: yes", good),
		  NULL, 203, "CallbackFailed");
	emu_do(&f->emu, "GET", "/bucket/k", NULL, NULL, 200);
	emu_fails(&f->emu, "POST", target, H("x-oss-complete-all: yes", good),
		  NULL, 404, "NoSuchUpload");
	assert_int_equal(seen(f)->calls, 1);
}

static void uploads_that_fail_make_no_callback(void **state)
{
	static const struct {
		const char *target;
		const char *header;
		int status;
		const char *code;
	} cases[] = {
		{"/bucket/k",     "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==", 400,
		 "InvalidDigest"							      },
		{"/bucket/k",     "x-oss-hash-crc64ecma: 1",               400, "InvalidCRC64"},
		{"/bucket/k",     "x-oss-storage-class: Gold",             400,
		 "InvalidArgument"							    },
		{"/bucket/there", "x-oss-forbid-overwrite: true",          409,
		 "FileAlreadyExists"							  },
		{"/none/k",       "x-oss-meta-a: 1",                       404, "NoSuchBucket"},
	};
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/");

	emu_do(&f->emu, "PUT", "/bucket/there", NULL, "x", 200);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		emu_fails(&f->emu, "PUT", cases[i].target,
			  H(cb, cases[i].header), "x", cases[i].status,
			  cases[i].code);
	assert_int_equal(seen(f)->calls, 0);
}

static void every_variable_has_its_value(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = header_of(
		"x-oss-callback",
		"{\"callbackUrl\":\"127.0.0.1:%u\",\"callbackBody\":\""
		"${bucket}|${object}|${etag}|${size}|${mimeType}|"
		"${imageInfo.height}|${imageInfo.width}|${imageInfo.format}|"
		"${crc64}|${contentMd5}|${vpcId}|${clientIp}|${operation}|"
		"${reqId}\"}",
		f->app.port);
	AUTO_FREE char *json = header_of(
		"x-oss-callback",
		"{\"callbackUrl\":\"127.0.0.1:%u\",\"callbackBodyType\":"
		"\"application/json\",\"callbackBody\":\"[${crc64},"
		"${contentMd5},${operation}]\"}",
		f->app.port);
	AUTO_FREE char *want = NULL;
	AUTO_FREE char *target = NULL;

	emu_do(&f->emu, "PUT", "/bucket/d/k", H(cb, "Content-Type: a/b"),
	       "hi oss", 200);
	want = str_printf("bucket|d%%2Fk|B22E0DC370A7F7067FACF5F75D7FA385|6|"
			  "a%%2Fb||||8707180448768400016|"
			  "si4Nw3Cn9wZ%%2FrPX3XX%%2BjhQ%%3D%%3D||127.0.0.1|"
			  "PutObject|%s",
			  kvs_get(&seen(f)->headers, "x-oss-request-id"));
	assert_string_equal(buf_str(&seen(f)->body), want);
	target = start_upload(f);
	emu_do(&f->emu, "POST", target, H("x-oss-complete-all: yes", json),
	       NULL, 200);
	assert_string_equal(buf_str(&seen(f)->body),
			    "[\"8707180448768400016\",\"\","
			    "\"CompleteMultipartUpload\"]");
	f->emu.opt.quirks.crc64_is_number = true;
	emu_do(&f->emu, "PUT", "/bucket/k", H(json), "hi oss", 200);
	assert_string_equal(buf_str(&seen(f)->body),
			    "[8707180448768400016,"
			    "\"si4Nw3Cn9wZ/rPX3XX+jhQ==\",\"PutObject\"]");
}

static void failed_callbacks_answer_203_and_keep_the_object(void **state)
{
	static const struct {
		int status;
		const char *answer;
		const char *message;
		const char *ec;
	} cases[] = {
		{500, "{}", "Error status : 500.",                     "0007-00000203"},
		{301, "{}", "Error status : 301.",                     "0007-00000203"},
		{404, "{}", "Error status : 404.",                     "0007-00000203"},
		{200, "OK", "Response body is not valid json format.",
		 "0007-00000205"						      },
		{200, "",
		 "Error Status : 400.User server return invalid conent-length "
		 "value.",					     NULL           },
	};
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(answer_release) struct answer a;
		AUTO_FREE char *message = NULL;

		app_answers(f, cases[i].status, cases[i].answer);
		emu_expect(&f->emu, "PUT", "/bucket/k", H(cb), "hi oss", 203,
			   &a);
		message = answer_element(&a, "Message", 0);
		assert_string_equal(a.code, "CallbackFailed");
		assert_string_equal(message, cases[i].message);
		assert_string_equal(answer_header(&a, "ETag"),
				    "\"B22E0DC370A7F7067FACF5F75D7FA385\"");
		assert_string_equal(answer_header(&a, "Content-Type"),
				    "application/xml");
		if (cases[i].ec)
			assert_string_equal(answer_header(&a, "x-oss-ec"),
					    cases[i].ec);
		emu_do(&f->emu, "GET", "/bucket/k", NULL, NULL, 200);
	}
	/* A redirect was not followed. */
	assert_int_equal(seen(f)->calls, ARRAY_LEN(cases));
}

static void silence_is_a_timeout(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/");
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *message = NULL;

	app_answers(f, 200, NULL);
	f->emu.opt.callback_timeout_ms = 200;
	emu_expect(&f->emu, "PUT", "/bucket/k", H(cb), "x", 203, &a);
	message = answer_element(&a, "Message", 0);
	assert_non_null(strstr(message, "reply timeout"));
	assert_string_equal(answer_header(&a, "x-oss-ec"), "0007-00000202");
}

static char *message_of_203(struct fixture *f, const char *cb, const char *ec)
{
	AUTO(answer_release) struct answer a;

	emu_expect(&f->emu, "PUT", "/bucket/k", H(cb), "x", 203, &a);
	assert_string_equal(a.code, "CallbackFailed");
	if (ec)
		assert_string_equal(answer_header(&a, "x-oss-ec"), ec);
	return answer_element(&a, "Message", 0);
}

static void an_answer_has_a_length_and_an_end(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/");
	AUTO_FREE char *chunked = NULL;
	AUTO_FREE char *endless = NULL;

	f->app.manner = CHUNKED;
	chunked = message_of_203(f, cb, NULL);
	assert_string_equal(
		chunked,
		"Error Status : 400.User server missing content-length.");
	f->app.manner = ENDLESS;
	f->emu.opt.callback_timeout_ms = 200;
	endless = message_of_203(f, cb, "0007-00000202");
	assert_string_equal(endless, "Cost too long time.");
}

/* No route leads to the broadcast address. */
static void an_unreachable_address_is_not_a_refusal(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb =
		header_of("x-oss-callback",
			  "{\"callbackUrl\":\"%s:9/\",\"callbackBody\":\"x\"}",
			  "255.255.255.255");
	AUTO_FREE char *message = message_of_203(f, cb, "0007-00000203");

	assert_string_equal(message,
			    "Error status : -1.OSS can not connect to your "
			    "callbackUrl, please check it.");
}

static void each_address_has_its_own_time(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb =
		header_of("x-oss-callback",
			  "{\"callbackUrl\":\"127.0.0.1:%u/1;127.0.0.1:%u/2;"
			  "127.0.0.1:%u/3\",\"callbackBody\":\"x\"}",
			  f->app.port, f->app.port, f->app.port);
	AUTO_FREE char *each = NULL;
	AUTO_FREE char *total = NULL;

	f->app.manner = ENDLESS;
	f->emu.opt.callback_timeout_ms = 200;
	each = message_of_203(f, cb, "0007-00000202");
	assert_int_equal(seen(f)->calls, 3);
	f->emu.opt.quirks.timeout_is_total = true;
	total = message_of_203(f, cb, "0007-00000202");
	assert_in_range(seen(f)->calls, 4, 5);
}

static uint16_t unused_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(
		bind(fd, (struct sockaddr *)(void *)&addr, sizeof(addr)), 0);
	getsockname(fd, (struct sockaddr *)(void *)&addr, &len);
	close(fd);
	return ntohs(addr.sin_port);
}

static void addresses_are_tried_in_order(void **state)
{
	struct fixture *f = *state;
	uint16_t dead = unused_port();
	AUTO_FREE char *good = header_of(
		"x-oss-callback",
		"{\"callbackUrl\":\"http://127.0.0.1:%u/1;127.0.0.1:%u/2;"
		"127.0.0.1:%u/3\",\"callbackBody\":\"x\"}",
		dead, f->app.port, f->app.port);
	AUTO_FREE char *bad =
		header_of("x-oss-callback",
			  "{\"callbackUrl\":\"127.0.0.1:%u/1;127.0.0.1:%u/2\","
			  "\"callbackBody\":\"x\"}",
			  f->app.port, dead);
	AUTO(answer_release) struct answer last;
	AUTO(answer_release) struct answer first;

	emu_do(&f->emu, "PUT", "/bucket/k", H(good), "x", 200);
	assert_int_equal(seen(f)->calls, 1);
	assert_string_equal(seen(f)->target, "/2");
	app_answers(f, 500, "{}");
	emu_expect(&f->emu, "PUT", "/bucket/k", H(bad), "x", 203, &last);
	assert_non_null(strstr(buf_str(&last.body), "Error status : 502."));
	f->emu.opt.quirks.report_first_failure = true;
	emu_expect(&f->emu, "PUT", "/bucket/k", H(bad), "x", 203, &first);
	assert_non_null(strstr(buf_str(&first.body), "Error status : 500."));
}

static void other_operations_make_none(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/");
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *part = NULL;

	emu_do(&f->emu, "PUT", "/bucket/k", NULL, "x", 200);
	emu_do(&f->emu, "PUT", "/bucket/c",
	       H(cb, "x-oss-copy-source: /bucket/k"), "", 200);
	emu_do(&f->emu, "POST", "/bucket/a?append&position=0", H(cb), "x", 200);
	emu_do(&f->emu, "PUT", "/bucket/l?symlink",
	       H(cb, "x-oss-symlink-target: k"), NULL, 200);
	emu_expect(&f->emu, "POST", "/bucket/m?uploads", H(cb), NULL, 200, &a);
	id = answer_element(&a, "UploadId", 0);
	part = str_printf("/bucket/m?partNumber=1&uploadId=%s", id);
	emu_do(&f->emu, "PUT", part, H(cb), "x", 200);
	assert_int_equal(seen(f)->calls, 0);
}

static void complete_makes_one_and_its_xml_is_replaced(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/");
	AUTO(answer_release) struct answer init;
	AUTO(answer_release) struct answer a;
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *part = NULL;
	AUTO_FREE char *target = NULL;

	emu_expect(&f->emu, "POST", "/bucket/k?uploads", NULL, NULL, 200,
		   &init);
	id = answer_element(&init, "UploadId", 0);
	part = str_printf("/bucket/k?partNumber=1&uploadId=%s", id);
	target = str_printf("/bucket/k?uploadId=%s", id);
	emu_do(&f->emu, "PUT", part, NULL, "hi oss", 200);
	emu_expect(&f->emu, "POST", target, H(cb, "x-oss-complete-all: yes"),
		   NULL, 200, &a);
	assert_string_equal(buf_str(&a.body), "{\"Status\":\"OK\"}");
	assert_string_equal(answer_header(&a, "Content-Type"),
			    "application/json");
	assert_non_null(strstr(answer_header(&a, "ETag"), "-1\""));
	assert_string_equal(answer_header(&a, "x-oss-hash-crc64ecma"),
			    "8707180448768400016");
	assert_non_null(strstr(buf_str(&seen(f)->body),
			       "size=6&v=&op=CompleteMultipartUpload"));
	assert_int_equal(seen(f)->calls, 1);
}

/* "--XX" and so on, with that callback and a variable. */
static void make_form(struct buf *form, const char *callback)
{
	static const char part[] =
		"--XX\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n"
		"%s\r\n";

	buf_addf(form, part, "key", "", "k");
	buf_addf(form, part, "callback", "", strchr(callback, ' ') + 1);
	buf_addf(form, part, "x:v", "", "1 2");
	buf_addf(form, part, "success_action_status", "", "201");
	buf_addf(form, part, "file", "; filename=\"f\"", "hi oss");
	buf_adds(form, "--XX--\r\n");
}

static void a_form_s_callback_answers_it(void **state)
{
	struct fixture *f = *state;
	const char *type = "Content-Type: multipart/form-data; boundary=XX";
	AUTO_FREE char *cb = form_callback(f, "/");
	AUTO_FREE char *bad = header_of("x-oss-callback", "{}");
	AUTO(buf_release) struct buf form = BUF_INIT;
	AUTO(buf_release) struct buf bad_form = BUF_INIT;
	AUTO(answer_release) struct answer a;
	AUTO(answer_release) struct answer b;

	make_form(&bad_form, bad);
	emu_fails(&f->emu, "POST", "/bucket", H(type), buf_str(&bad_form), 400,
		  "InvalidArgument");
	emu_fails(&f->emu, "GET", "/bucket/k", NULL, NULL, 404, "NoSuchKey");
	make_form(&form, cb);
	emu_expect(&f->emu, "POST", "/bucket", H(type), buf_str(&form), 200,
		   &a);
	assert_string_equal(buf_str(&a.body), "{\"Status\":\"OK\"}");
	assert_string_equal(buf_str(&seen(f)->body),
			    "bucket=bucket&object=k&size=6&v=1%202&"
			    "op=PostObject");
	f->emu.opt.quirks.form_actions_count = true;
	emu_expect(&f->emu, "POST", "/bucket", H(type), buf_str(&form), 201,
		   &b);
	assert_string_equal(answer_header(&b, "Content-Type"),
			    "application/xml");
	assert_non_null(strstr(buf_str(&b.body), "<Key>k</Key>"));
	app_answers(f, 500, "{}");
	emu_fails(&f->emu, "POST", "/bucket", H(type), buf_str(&form), 203,
		  "CallbackFailed");
}

static void unreadable_image_fails_the_callback(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb =
		header_of("x-oss-callback",
			  "{\"callbackUrl\":\"127.0.0.1:%u\",\"callbackBody\":"
			  "\"w=${imageInfo.width}&f=${imageInfo.format}\"}",
			  f->app.port);
	AUTO(answer_release) struct answer a;

	emu_do(&f->emu, "PUT", "/bucket/k", H(cb), "GIF89a\x05\x01\x07\x02",
	       200);
	assert_string_equal(buf_str(&seen(f)->body), "w=261&f=GIF");
	emu_expect(&f->emu, "PUT", "/bucket/k", H(cb), "GIF89a", 203, &a);
	assert_non_null(strstr(buf_str(&a.body), "Get image info failed."));
	assert_int_equal(seen(f)->calls, 1);
}

static void faults_speak_for_the_application(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *cb = form_callback(f, "/");
	static const struct {
		const char *fault;
		int status;
		const char *text;
	} cases[] = {
		{"\"status\",\"status\":503",           203, "Error status : 503."},
		{"\"timeout\"",                         203, "reply timeout"      },
		{"\"refuse\"",                          203, "Error status : 502."},
		{"\"skip\",\"body\":\"{\\\"a\\\":1}\"", 200, "{\"a\":1}"          },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(answer_release) struct answer a;
		AUTO_FREE char *json =
			str_printf("{\"operation\":\"Callback\",\"fault\":%s}",
				   cases[i].fault);
		json_t *rule = json_loads(json, 0, NULL);
		json_t *ids = NULL;
		const char *why;

		assert_int_equal(
			faults_add(f->emu.em->faults, rule, &ids, &why), 0);
		json_decref(ids);
		json_decref(rule);
		emu_expect(&f->emu, "PUT", "/bucket/k", H(cb), "x",
			   cases[i].status, &a);
		if (!strstr(buf_str(&a.body), cases[i].text))
			fail_msg("%s: %s", cases[i].fault, buf_str(&a.body));
		faults_clear(f->emu.em->faults, 0);
	}
	assert_int_equal(seen(f)->calls, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_are_checked),
		cmocka_unit_test(refusals_have_oss_s_words),
		cmocka_unit_test(switches_change_the_checks),
		cmocka_unit_test(private_addresses_can_be_forbidden),
		cmocka_unit_test(five_kilobytes_are_the_limit),
		cmocka_unit_test(answers_are_judged),
		T(application_gets_the_body_and_its_answer_comes_back),
		T(signature_covers_decoded_path_query_and_body),
		T(key_is_the_same_after_a_restart),
		T(json_type_and_host_are_used),
		T(query_form_works_and_mixing_does_not),
		T(bad_parameters_store_nothing),
		T(complete_is_refused_or_done),
		T(uploads_that_fail_make_no_callback),
		T(every_variable_has_its_value),
		T(failed_callbacks_answer_203_and_keep_the_object),
		T(an_answer_has_a_length_and_an_end),
		T(an_unreachable_address_is_not_a_refusal),
		T(each_address_has_its_own_time),
		T(silence_is_a_timeout),
		T(addresses_are_tried_in_order),
		T(other_operations_make_none),
		T(complete_makes_one_and_its_xml_is_replaced),
		T(a_form_s_callback_answers_it),
		T(unreadable_image_fails_the_callback),
		T(faults_speak_for_the_application),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
