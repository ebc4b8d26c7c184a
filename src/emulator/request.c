/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "util/buf.h"
#include "util/codec.h"
#include "util/strnum.h"

/* A heap string of the decoded text; a NUL byte inside is refused. */
static int decode(const char *text, size_t len, bool plus_is_space, char **out)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	int rc = percent_decode(&b, text, len, plus_is_space);

	if (rc < 0)
		return rc;
	if (memchr(buf_str(&b), '\0', b.len))
		return -EINVAL;
	*out = b.len ? buf_detach(&b) : str_dup("");
	return *out ? 0 : -ENOMEM;
}

static int parse_parameter(struct request *r, const char *text, size_t len)
{
	const char *eq = memchr(text, '=', len);
	size_t name_len = eq ? (size_t)(eq - text) : len;
	AUTO_FREE char *name = NULL;
	AUTO_FREE char *value = NULL;
	int rc = decode(text, name_len, true, &name);

	if (!rc && eq)
		rc = decode(eq + 1, len - name_len - 1, true, &value);
	if (rc < 0)
		return rc;
	return kvs_add(&r->query, name, value ? value : "");
}

static int parse_query(struct request *r)
{
	const char *p = r->raw_query;

	while (*p) {
		size_t len = strcspn(p, "&");
		int rc = len ? parse_parameter(r, p, len) : 0;

		if (rc < 0)
			return rc;
		p += len;
		if (*p)
			p++;
	}
	return 0;
}

/* "http://host/path", as a proxy's client sends it, counts from its path. */
static const char *skip_origin(const char *target)
{
	const char *p = target;

	if (*p == '/')
		return p;
	p = strstr(p, "://");
	if (!p)
		return target;
	p += 3;
	return p + strcspn(p, "/?");
}

static void make_id(char id[25])
{
	unsigned char raw[12] = {0};

	if (getrandom(raw, sizeof(raw), 0) < 0)
		memset(raw, 0xEE, sizeof(raw));
	hex_upper(id, raw, sizeof(raw));
}

int request_init(struct request *r, const char *method, const char *target)
{
	const char *path = skip_origin(target);
	size_t len = strcspn(path, "?");
	int rc;

	memset(r, 0, sizeof(*r));
	r->content_length = -1;
	make_id(r->id);
	r->method = str_dup(method);
	r->raw_path = len ? strndup(path, len) : str_dup("/");
	r->raw_query = str_dup(path[len] ? path + len + 1 : "");
	if (!r->method || !r->raw_path || !r->raw_query)
		return -ENOMEM;
	rc = decode(r->raw_path, strlen(r->raw_path), false, &r->path);
	if (!rc)
		rc = parse_query(r);
	return rc;
}

void request_release(struct request *r)
{
	free(r->method);
	free(r->raw_path);
	free(r->path);
	free(r->raw_query);
	free(r->bucket);
	free(r->key);
	kvs_release(&r->query);
	kvs_release(&r->headers);
	memset(r, 0, sizeof(*r));
}

int request_add_header(struct request *r, const char *name, const char *value)
{
	return kvs_add(&r->headers, name, value ? value : "");
}

static bool is_s3(const struct request *r)
{
	const char *auth = kvs_get(&r->headers, "Authorization");

	if (auth && strncmp(auth, "AWS", 3) == 0)
		return true;
	if (request_query(r, "X-Amz-Algorithm"))
		return true;
	for (size_t i = 0; i < r->headers.count; i++)
		if (strncasecmp(r->headers.items[i].name, "x-amz-", 6) == 0)
			return true;
	return false;
}

int request_finish_headers(struct request *r)
{
	const char *length = kvs_get(&r->headers, "Content-Length");
	const char *coding = kvs_get(&r->headers, "Transfer-Encoding");

	if (is_s3(r))
		r->dialect = DIALECT_S3;
	r->has_body = length || coding;
	if (length && !coding &&
	    parse_i64(length, 0, INT64_MAX, &r->content_length) < 0)
		return -EINVAL;
	return 0;
}

const char *request_query(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->query.count; i++)
		if (strcmp(r->query.items[i].name, name) == 0)
			return r->query.items[i].value;
	return NULL;
}

const char *request_header(const struct request *r, const char *name)
{
	const char *value = kvs_get(&r->headers, name);
	char amz[80];

	if (value || r->dialect != DIALECT_S3 ||
	    strncasecmp(name, "x-oss-", 6) != 0)
		return value;
	snprintf(amz, sizeof(amz), "x-amz-%s", name + 6);
	return kvs_get(&r->headers, amz);
}

bool request_header_is(const struct request *r, const char *name,
		       const char *value)
{
	const char *v = request_header(r, name);

	return v && strcasecmp(v, value) == 0;
}

/* ---- addressing ---- */

static bool is_ip(const char *host)
{
	unsigned char a[sizeof(struct in6_addr)];

	return host[0] == '[' || inet_pton(AF_INET, host, a) == 1 ||
	       inet_pton(AF_INET6, host, a) == 1;
}

/* Host without its port; free() it. */
static char *host_name(const struct request *r)
{
	const char *host = kvs_get(&r->headers, "Host");
	const char *end;

	if (!host)
		return str_dup("");
	end = host[0] == '[' ? strchr(host, ']') : NULL;
	end = strchr(end ? end : host, ':');
	return end ? strndup(host, (size_t)(end - host)) : str_dup(host);
}

/* The label that could be a bucket's name, or NULL; free() it. */
static char *bucket_label(const struct request *r, const char *base_host)
{
	AUTO_FREE char *host = host_name(r);
	const char *dot = host ? strchr(host, '.') : NULL;

	if (!dot || is_ip(host) ||
	    (base_host && strcasecmp(host, base_host) == 0))
		return NULL;
	return strndup(host, (size_t)(dot - host));
}

enum addressing request_addressing(const struct request *r,
				   const char *base_host)
{
	AUTO_FREE char *label = bucket_label(r, base_host);
	size_t len;

	if (!label)
		return ADDRESS_PATH;
	len = strlen(label);
	if (strncmp(r->path + 1, label, len) == 0 &&
	    (r->path[1 + len] == '\0' || r->path[1 + len] == '/'))
		return ADDRESS_EITHER;
	return ADDRESS_VIRTUAL;
}

static int set_virtual(struct request *r)
{
	AUTO_FREE char *label = bucket_label(r, NULL);

	if (!label)
		return -ENOMEM;
	if (str_set(&r->bucket, label) < 0)
		return -ENOMEM;
	return str_set(&r->key, r->path[1] ? r->path + 1 : NULL);
}

static int set_path(struct request *r)
{
	const char *p = r->path + 1;
	size_t len = strcspn(p, "/");
	AUTO_FREE char *bucket = len ? strndup(p, len) : NULL;
	const char *key = p[len] && p[len + 1] ? p + len + 1 : NULL;

	if (len && !bucket)
		return -ENOMEM;
	if (str_set(&r->bucket, bucket) < 0)
		return -ENOMEM;
	return str_set(&r->key, len ? key : NULL);
}

int request_address(struct request *r, enum addressing how)
{
	return how == ADDRESS_VIRTUAL ? set_virtual(r) : set_path(r);
}
