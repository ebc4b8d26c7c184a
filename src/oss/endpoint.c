/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "util/codec.h"
#include "util/strnum.h"

#define ALIYUN ".aliyuncs.com"

enum { BUCKET_MIN = 3, BUCKET_MAX = 63, HOST_MAX = 253, REGION_MAX = 63 };

static bool starts_with(const char *s, const char *with)
{
	return strncasecmp(s, with, strlen(with)) == 0;
}

static bool ends_with(const char *s, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && strncasecmp(s + len - n, with, n) == 0;
}

/* The error text is the result: losing it to -ENOMEM is no loss. */
static int bad(char **why, char *text)
{
	*why = text;
	return text ? -EINVAL : -ENOMEM;
}

/* ---- the parts of an endpoint ------------------------------------------ */

/* Where the host begins. */
static const char *after_scheme(const char *endpoint)
{
	const char *at = strstr(endpoint, "://");

	return at ? at + 3 : endpoint;
}

static size_t host_len(const char *host)
{
	const char *bracket = *host == '[' ? strchr(host, ']') : NULL;

	return bracket ? (size_t)(bracket - host) + 1 : strcspn(host, ":/");
}

static int parse_scheme(struct endpoint *e, const char *text, char **why)
{
	const char *at = strstr(text, "://");
	const char *scheme = "https";

	if (at && starts_with(text, "http://"))
		scheme = "http";
	else if (at && !starts_with(text, "https://"))
		return bad(why, str_printf("the scheme is neither http nor "
					   "https; write https://HOST"));
	return str_set(&e->scheme, scheme);
}

static bool is_host_name(const char *s, size_t len)
{
	if (len == 0 || len > HOST_MAX || s[0] == '.' || s[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		bool dots = s[i] == '.' && i > 0 && s[i - 1] == '.';

		if (dots || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
				    "QRSTUVWXYZ0123456789.-_",
				    s[i]))
			return false;
	}
	return true;
}

static bool is_ip(const char *host)
{
	unsigned char addr[sizeof(struct in6_addr)];
	AUTO_FREE char *inner = NULL;

	if (*host != '[')
		return inet_pton(AF_INET, host, addr) == 1;
	inner = strndup(host + 1, strlen(host) - 2);
	return inner && inet_pton(AF_INET6, inner, addr) == 1;
}

static int parse_host(struct endpoint *e, const char *text, char **why)
{
	const char *host = after_scheme(text);
	size_t len = host_len(host);
	const char *rest = host + len;
	uint64_t port = 0;

	e->host = strndup(host, len);
	if (!e->host)
		return -ENOMEM;
	if (*host == '[' ? !is_ip(e->host) : !is_host_name(host, len))
		return bad(why, str_printf("\"%s\" is not a host name; write "
					   "for example "
					   "oss-cn-hangzhou.aliyuncs.com",
					   text));
	if (*rest == ':') {
		size_t n = strcspn(rest + 1, "/");
		AUTO_FREE char *digits = strndup(rest + 1, n);

		if (!digits)
			return -ENOMEM;
		if (parse_u64(digits, 1, 65535, &port) < 0)
			return bad(why, str_printf("\"%s\" is not a port; "
						   "write HOST:PORT",
						   digits));
		rest += 1 + n;
	}
	e->port = (int)port;
	if (*rest && strcmp(rest, "/") != 0)
		return bad(why, str_printf("an endpoint has no path (\"%s\"); "
					   "the folder in the bucket is "
					   "\"prefix\"",
					   rest));
	return 0;
}

/* ---- the region -------------------------------------------------------- */

static bool is_region(const char *s, size_t len)
{
	if (len == 0 || len > REGION_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", s[i]))
			return false;
	return true;
}

static bool word_is(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && strncmp(s, word, len) == 0;
}

/* "oss-REGION" or "oss-REGION-internal"; acceleration has no region. */
static size_t region_of_label(const char *label, size_t len, const char **at)
{
	if (len <= 4 || strncmp(label, "oss-", 4) != 0)
		return 0;
	label += 4;
	len -= 4;
	if (ends_with(label, len, "-internal"))
		len -= strlen("-internal");
	if (word_is(label, len, "internal") ||
	    word_is(label, len, "accelerate") ||
	    word_is(label, len, "accelerate-overseas") ||
	    word_is(label, len, "cloudbox") ||
	    word_is(label, len, "cloudbox-control"))
		return 0;
	*at = label;
	return len;
}

/* The label that ends at `end`. */
static const char *last_label(const char *host, size_t end, size_t *len)
{
	size_t from = end;

	while (from > 0 && host[from - 1] != '.')
		from--;
	*len = end - from;
	return host + from;
}

static size_t find_region(const char *host, size_t len, const char **at)
{
	size_t label_len;
	const char *label;

	if (!ends_with(host, len, ALIYUN))
		return 0;
	len -= strlen(ALIYUN);
	label = last_label(host, len, &label_len);
	if (!word_is(label, label_len, "oss"))
		return region_of_label(label, label_len, at);
	if (label == host) /* oss.aliyuncs.com */
		return 0;
	*at = last_label(host, (size_t)(label - host) - 1, &label_len);
	return label_len;
}

int oss_region_of_endpoint(const char *endpoint, char out[64])
{
	const char *host = after_scheme(endpoint);
	const char *at = host;
	size_t len = find_region(host, host_len(host), &at);

	if (!is_region(at, len))
		return -EINVAL;
	memcpy(out, at, len);
	out[len] = '\0';
	return 0;
}

/* cb-ID.REGION.oss-cloudbox.aliyuncs.com: the region is the first label. */
static size_t cloudbox_label(const char *host)
{
	if (strncmp(host, "cb-", 3) != 0 ||
	    !ends_with(host, strlen(host), ".oss-cloudbox" ALIYUN))
		return 0;
	return strcspn(host, ".");
}

static int set_region(struct endpoint *e, const struct oss_conf *conf,
		      char **why)
{
	const char *given = conf->region && *conf->region ? conf->region : NULL;
	size_t cloudbox = cloudbox_label(e->host);
	char derived[64];

	e->product = cloudbox ? "oss-cloudbox" : "oss";
	if (given) {
		/* The APIs' other spelling. */
		if (strncmp(given, "oss-", 4) == 0)
			given += 4;
		if (!is_region(given, strlen(given)))
			return bad(why, str_printf("\"%s\" is not a region; "
						   "write for example region = "
						   "cn-hangzhou",
						   conf->region));
		return str_set(&e->region, given);
	}
	if (cloudbox) {
		e->region = strndup(e->host, cloudbox);
		return e->region ? 0 : -ENOMEM;
	}
	if (oss_region_of_endpoint(e->host, derived) == 0)
		return str_set(&e->region, derived);
	if (conf->signature == OSS_SIGN_V1)
		return 0;
	return bad(why, str_printf("signature V4 needs the region, and the "
				   "endpoint \"%s\" does not tell it; write "
				   "region = cn-hangzhou (the bucket's own) "
				   "in [oss]",
				   conf->endpoint));
}

/* ---- bucket and addressing --------------------------------------------- */

static bool is_bucket(const char *s)
{
	size_t len = strlen(s);

	if (len < BUCKET_MIN || len > BUCKET_MAX || s[0] == '-' ||
	    s[len - 1] == '-')
		return false;
	return is_region(s, len); /* the same bytes */
}

static int set_bucket(struct endpoint *e, const struct oss_conf *conf,
		      char **why)
{
	const char *bucket = conf->bucket ? conf->bucket : "";
	size_t len = strlen(bucket);

	if (!is_bucket(bucket))
		return bad(why,
			   str_printf("\"%s\" is not a bucket's name: 3 to 63 "
				      "of a-z 0-9 -, not at the ends -",
				      bucket));
	if (strncmp(e->host, bucket, len) == 0 && e->host[len] == '.' &&
	    ends_with(e->host, strlen(e->host), ALIYUN) &&
	    conf->addressing != OSS_ADDR_PATH)
		return bad(why, str_printf("the endpoint \"%s\" names the "
					   "bucket; write endpoint = %s",
					   conf->endpoint, e->host + len + 1));
	return str_set(&e->bucket, bucket);
}

static int set_addressing(struct endpoint *e, const struct oss_conf *conf,
			  char **why)
{
	bool ip = is_ip(e->host);

	if (ip && conf->addressing == OSS_ADDR_VIRTUAL)
		return bad(why, str_printf("an address (\"%s\") has no names "
					   "below it; write addressing = path",
					   e->host));
	e->path_style = ip || conf->addressing == OSS_ADDR_PATH;
	return 0;
}

int endpoint_open(struct endpoint *e, const struct oss_conf *conf, char **why)
{
	int rc;

	memset(e, 0, sizeof(*e));
	*why = NULL;
	if (!conf->endpoint || !*conf->endpoint)
		return bad(why, str_printf("there is no endpoint; write for "
					   "example endpoint = "
					   "oss-cn-hangzhou.aliyuncs.com"));
	rc = parse_scheme(e, conf->endpoint, why);
	if (rc == 0)
		rc = parse_host(e, conf->endpoint, why);
	if (rc == 0)
		rc = set_bucket(e, conf, why);
	if (rc == 0)
		rc = set_region(e, conf, why);
	if (rc == 0)
		rc = set_addressing(e, conf, why);
	if (rc < 0)
		endpoint_close(e);
	return rc;
}

void endpoint_close(struct endpoint *e)
{
	free(e->scheme);
	free(e->host);
	free(e->bucket);
	free(e->region);
	memset(e, 0, sizeof(*e));
}

/* ---- URLs -------------------------------------------------------------- */

static void add_encoded(struct buf *out, const char *s, enum percent_set set)
{
	percent_encode(out, s, strlen(s), set);
}

static void add_query(struct buf *out, const struct kvs *query)
{
	for (size_t i = 0; i < query->count; i++) {
		buf_addc(out, i ? '&' : '?');
		add_encoded(out, query->items[i].name, PERCENT_ALL);
		if (!*query->items[i].value)
			continue;
		buf_addc(out, '=');
		add_encoded(out, query->items[i].value, PERCENT_ALL);
	}
}

int endpoint_url(const struct endpoint *e, const char *key,
		 const struct kvs *query, struct buf *out)
{
	buf_addf(out, "%s://", e->scheme);
	if (!e->path_style)
		buf_addf(out, "%s.", e->bucket);
	buf_adds(out, e->host);
	if (e->port)
		buf_addf(out, ":%d", e->port);
	buf_addc(out, '/');
	if (e->path_style)
		buf_addf(out, "%s/", e->bucket);
	if (key)
		add_encoded(out, key, PERCENT_PATH);
	add_query(out, query);
	return buf_error(out);
}
