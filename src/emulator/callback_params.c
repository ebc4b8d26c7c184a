/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "emulator/callback.h"
#include "emulator/emulator.h"
#include "emulator/template.h"
#include "util/codec.h"

static void url_release(struct callback_url *u)
{
	free(u->text);
	free(u->host);
	free(u->port);
	free(u->path);
	free(u->query);
	memset(u, 0, sizeof(*u));
}

void callback_free(struct callback *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->url_count; i++)
		url_release(&c->urls[i]);
	kvs_release(&c->vars);
	free(c->host);
	free(c->body);
	free(c);
}

void callback_freep(struct callback **c)
{
	callback_free(*c);
}

void callback_error_release(struct callback_error *e)
{
	free(e->name);
	free(e->value);
	memset(e, 0, sizeof(*e));
}

/* ---- errors ---- */

struct parse {
	const struct emu_options *opt;
	struct callback *c;
	struct callback_error *error;
	const char *json; /* the decoded callback, for ArgumentValue */
};

static int bad_value(struct parse *p, enum oss_err err, const char *name,
		     const char *value)
{
	callback_error_release(p->error);
	p->error->err = err;
	p->error->name = str_dup(name);
	p->error->value = str_dup(value ? value : "");
	return -EINVAL;
}

static int bad(struct parse *p, enum oss_err err)
{
	return bad_value(p, err, "callback", p->json);
}

/* ---- URLs ---- */

static bool is_private(const struct in_addr *a)
{
	static const struct {
		uint32_t net;
		uint32_t mask;
	} nets[] = {
		{0x00000000, 0xFF000000}, /* 0/8 */
		{0x0A000000, 0xFF000000}, /* 10/8 */
		{0x64400000, 0xFFC00000}, /* 100.64/10 */
		{0x7F000000, 0xFF000000}, /* loopback */
		{0xA9FE0000, 0xFFFF0000}, /* link local */
		{0xAC100000, 0xFFF00000}, /* 172.16/12 */
		{0xC0A80000, 0xFFFF0000}, /* 192.168/16 */
	};
	uint32_t ip = ntohl(a->s_addr);

	for (size_t i = 0; i < ARRAY_LEN(nets); i++)
		if ((ip & nets[i].mask) == nets[i].net)
			return true;
	return false;
}

static int resolve(struct parse *p, struct callback_url *u)
{
	struct addrinfo hints = {.ai_family = AF_INET,
				 .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct in_addr addr;

	if (getaddrinfo(u->host, NULL, &hints, &list) != 0 || !list)
		return bad_value(p, OE_CB_NO_IP, "callbackUrl", u->text);
	addr = ((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr;
	freeaddrinfo(list);
	if (p->opt->forbid_private_callbacks && is_private(&addr))
		return bad_value(p, OE_CB_PRIVATE, "callbackUrl", u->text);
	if (!inet_ntop(AF_INET, &addr, u->ip, sizeof(u->ip)))
		return bad_value(p, OE_CB_NO_IP, "callbackUrl", u->text);
	return 0;
}

static int url_part(CURLU *h, CURLUPart what, unsigned flags, char **out)
{
	char *text = NULL;

	if (curl_url_get(h, what, &text, flags) != CURLUE_OK)
		return -EINVAL;
	*out = str_dup(text);
	curl_free(text);
	return *out ? 0 : -ENOMEM;
}

static int url_query(CURLU *h, char **out)
{
	AUTO_FREE char *query = NULL;

	if (url_part(h, CURLUPART_QUERY, 0, &query) < 0)
		*out = str_dup("");
	else
		*out = str_printf("?%s", query);
	return *out ? 0 : -ENOMEM;
}

static int url_take_parts(CURLU *h, struct callback_url *u)
{
	int rc = url_part(h, CURLUPART_HOST, 0, &u->host);

	if (!rc)
		rc = url_part(h, CURLUPART_PORT, CURLU_DEFAULT_PORT, &u->port);
	if (!rc)
		rc = url_part(h, CURLUPART_PATH, 0, &u->path);
	if (!rc)
		rc = url_query(h, &u->query);
	return rc;
}

static bool is_plain_ascii(const char *text)
{
	for (; *text; text++)
		if (*text <= 0x20 || *text >= 0x7F)
			return false;
	return true;
}

/* Without a scheme it is HTTP; a "://" in the query makes none. */
static int with_scheme(const char *text, size_t len, struct callback_url *u)
{
	const char *colon = memmem(text, len, "://", 3);
	size_t scheme = colon ? (size_t)(colon - text) : 0;

	if (!colon || memchr(text, '/', scheme) || memchr(text, '?', scheme))
		u->text = str_printf("http://%.*s", (int)len, text);
	else
		u->text = strndup(text, len);
	if (!u->text)
		return -ENOMEM;
	u->is_https = strncasecmp(u->text, "https://", 8) == 0;
	return u->is_https || strncasecmp(u->text, "http://", 7) == 0 ? 0
								      : -EINVAL;
}

/* No IPv6 literal, nothing that would have to be encoded first. */
static int take_url(struct callback_url *u)
{
	CURLU *h = curl_url();
	int rc = -EINVAL;

	if (!h)
		return -ENOMEM;
	if (is_plain_ascii(u->text) &&
	    curl_url_set(h, CURLUPART_URL, u->text, CURLU_PATH_AS_IS) ==
		    CURLUE_OK)
		rc = url_take_parts(h, u);
	curl_url_cleanup(h);
	if (!rc && u->host[0] == '[')
		rc = -EINVAL;
	return rc;
}

static int parse_url(struct parse *p, const char *text, size_t len)
{
	struct callback_url *u = &p->c->urls[p->c->url_count++];
	int rc = with_scheme(text, len, u);

	if (!rc)
		rc = take_url(u);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		return bad_value(p, OE_CB_URL, "callbackUrl", u->text);
	return resolve(p, u);
}

static int parse_urls(struct parse *p, const char *text)
{
	size_t count = 0;

	for (const char *s = text; *s; s += strspn(s, ";")) {
		size_t len = strcspn(s, ";");

		count += len > 0;
		s += len;
	}
	if (!count)
		return bad(p, OE_CB_URL);
	if (count > CALLBACK_MAX_URLS)
		return bad_value(p, OE_CB_TOO_MANY_URLS, "callbackUrl", text);
	for (const char *s = text; *s; s += strspn(s, ";")) {
		size_t len = strcspn(s, ";");
		int rc = len ? parse_url(p, s, len) : 0;

		if (rc < 0)
			return rc;
		s += len;
	}
	return 0;
}

/* ---- the other fields ---- */

static bool is_host(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(".-_:", *text))
			return false;
	return true;
}

static int parse_host(struct parse *p, const json_t *j)
{
	const char *text = json_string_value(j);

	if (!j || (text && !*text))
		return 0;
	if (!text || !is_host(text))
		return bad(p, OE_CB_HOST);
	p->c->host = str_dup(text);
	return p->c->host ? 0 : -ENOMEM;
}

static int parse_body(struct parse *p, const json_t *j)
{
	const char *text = json_string_value(j);

	if (!j || (text && !*text))
		return bad(p, OE_CB_BODY_EMPTY);
	if (!text || template_check(&p->opt->quirks, text) < 0)
		return bad(p, OE_CB_BODY_INVALID);
	p->c->body = str_dup(text);
	return p->c->body ? 0 : -ENOMEM;
}

static int parse_body_type(struct parse *p, const json_t *j)
{
	const char *text = json_string_value(j);

	if (!j || (text && !*text))
		return 0;
	if (!text)
		return bad(p, OE_CB_BODY_TYPE);
	if (strcmp(text, "application/json") == 0)
		p->c->is_json = true;
	else if (strcmp(text, "application/x-www-form-urlencoded") != 0)
		return bad(p, OE_CB_BODY_TYPE_UNKNOWN);
	return 0;
}

static int parse_version(struct parse *p, const json_t *j)
{
	const char *text = json_string_value(j);

	/* 2.0 is by invitation; this server has none. */
	if (j && (!text || strcmp(text, "1.0") != 0))
		return bad(p, OE_CB_SIGNATURE_VERSION);
	return 0;
}

static int parse_object(struct parse *p, const json_t *j)
{
	const json_t *url = json_object_get(j, "callbackUrl");
	int rc;

	if (url && !json_is_string(url))
		return bad(p, OE_CB_URL);
	rc = parse_urls(p, url ? json_string_value(url) : "");
	if (!rc)
		rc = parse_host(p, json_object_get(j, "callbackHost"));
	if (!rc)
		rc = parse_body(p, json_object_get(j, "callbackBody"));
	if (!rc)
		rc = parse_body_type(p, json_object_get(j, "callbackBodyType"));
	if (!rc)
		rc = parse_version(p, json_object_get(j, "signatureVersion"));
	p->c->sni = json_is_true(json_object_get(j, "callbackSNI"));
	return rc;
}

static bool is_known(const char *name)
{
	static const char *const names[] = {
		"callbackUrl",      "callbackHost", "callbackBody",
		"callbackBodyType", "callbackSNI",  "callbackPolicy",
		"signatureVersion",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool has_odd_field(json_t *j)
{
	const char *name;
	json_t *value;

	json_object_foreach(j, name, value) if (!is_known(name)) return true;
	return false;
}

static bool has_no_url(const json_t *j)
{
	const char *url = json_string_value(json_object_get(j, "callbackUrl"));

	return !json_object_get(j, "callbackUrl") || (url && !*url);
}

/* ---- custom variables ---- */

static bool is_lower(const char *name)
{
	for (; *name; name++)
		if (isupper((unsigned char)*name))
			return false;
	return true;
}

static int add_var(struct parse *p, const char *name, const json_t *value)
{
	AUTO_FREE char *text = NULL;

	if (strncmp(name, "x:", 2) != 0 || !name[2] ||
	    (p->opt->quirks.vars_must_be_lower_case && !is_lower(name)))
		return -EINVAL;
	if (json_is_string(value)) {
		text = str_dup(json_string_value(value));
	} else if (p->opt->quirks.vars_may_be_any_type) {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	} else {
		return -EINVAL;
	}
	return text ? kvs_add(&p->c->vars, name, text) : -ENOMEM;
}

static int parse_var_object(struct parse *p, json_t *j, const char *text)
{
	const char *name;
	json_t *value;

	if (!json_is_object(j))
		return bad_value(p, OE_CB_VAR_JSON, "callback-var", text);
	json_object_foreach(j, name, value)
	{
		int rc = add_var(p, name, value);

		if (rc == -EINVAL)
			return bad_value(p, OE_CB_VAR_JSON, "callback-var",
					 text);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int parse_vars(struct parse *p, const char *base64)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	json_t *j;
	int rc;

	if (strlen(base64) > CALLBACK_MAX_BASE64)
		return bad_value(p, OE_CB_VAR_LENGTH, "callback-var", base64);
	if (base64_decode(&text, base64, strlen(base64)) < 0)
		return bad_value(p, OE_CB_VAR_BASE64, "callback-var", base64);
	j = json_loadb(buf_str(&text), text.len, 0, NULL);
	rc = parse_var_object(p, j, buf_str(&text));
	json_decref(j);
	return rc;
}

/* ---- both ---- */

static int parse_callback(struct parse *p, const char *base64, bool *wanted)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	bool is_strict = p->opt->quirks.odd_fields_are_an_error;
	json_t *j;
	int rc;

	*wanted = true;
	p->json = base64;
	if (strlen(base64) > CALLBACK_MAX_BASE64)
		return bad(p, OE_CB_LENGTH);
	if (base64_decode(&text, base64, strlen(base64)) < 0)
		return bad(p, OE_CB_BASE64);
	p->json = buf_str(&text);
	j = json_loadb(buf_str(&text), text.len,
		       is_strict ? JSON_REJECT_DUPLICATES : 0, NULL);
	if (!json_is_object(j) || (is_strict && has_odd_field(j))) {
		rc = bad(p, OE_CB_JSON);
	} else if (has_no_url(j) && p->opt->quirks.empty_url_is_no_callback) {
		*wanted = false;
		rc = 0;
	} else {
		rc = parse_object(p, j);
	}
	json_decref(j);
	return rc;
}

int callback_parse(const struct emu_options *opt, const char *callback,
		   const char *vars, struct callback **out,
		   struct callback_error *error)
{
	AUTO(callback_freep) struct callback *c = calloc(1, sizeof(*c));
	struct parse p = {opt, c, error, ""};
	bool wanted;
	int rc;

	if (!c)
		return -ENOMEM;
	rc = parse_callback(&p, callback, &wanted);
	if (!rc && wanted && vars)
		rc = parse_vars(&p, vars);
	if (rc < 0)
		return rc;
	*out = wanted ? take_ptr(c) : NULL;
	return 0;
}

/* ---- where a request carries them ---- */

static int read_parameters(struct exchange *x, const char *callback,
			   const char *vars)
{
	AUTO(callback_error_release) struct callback_error e = {0};
	int rc = callback_parse(x->em->opt, callback, vars, &x->callback, &e);

	if (rc == -EINVAL)
		return fail_argument(x, e.err, NULL, e.name ? e.name : "",
				     e.value);
	return rc < 0 ? fail_errno(x, rc) : 0;
}

int callback_read(struct exchange *x)
{
	const char *head = kvs_get(&x->req.headers, "x-oss-callback");
	const char *head_var = kvs_get(&x->req.headers, "x-oss-callback-var");
	const char *query = request_query(&x->req, "callback");
	const char *query_var = request_query(&x->req, "callback-var");
	const char *callback = head ? head : query;
	const char *vars = head_var ? head_var : query_var;
	const struct quirks *q = &x->em->opt->quirks;

	if (head && query)
		return fail_argument(x, OE_CB_BOTH_WAYS, NULL, "callback",
				     query);
	if ((head_var && query_var) ||
	    (!q->callback_ways_may_mix &&
	     ((head && query_var) || (query && head_var))))
		return fail_argument(x, OE_CB_VAR_BOTH_WAYS, NULL,
				     "callback-var",
				     query_var ? query_var : head_var);
	if (!callback && vars && q->lone_vars_are_an_error)
		return fail_argument(x, OE_CB_URL, NULL, "callback-var", vars);
	return callback ? read_parameters(x, callback, vars) : 0;
}

int callback_read_form(struct exchange *x, const char *callback,
		       const struct kvs *vars)
{
	int rc = read_parameters(x, callback, NULL);

	if (rc < 0 || !x->callback)
		return rc;
	rc = kvs_copy(&x->callback->vars, vars);
	return rc < 0 ? fail_errno(x, rc) : 0;
}
