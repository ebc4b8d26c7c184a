/* SPDX-License-Identifier: Apache-2.0 */
#include "config/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/strnum.h"

#define EXAMPLE "write a host like oss-cn-hangzhou.aliyuncs.com"

static const char *skip_scheme(const char *text)
{
	if (strncasecmp(text, "https://", 8) == 0)
		return text + 8;
	if (strncasecmp(text, "http://", 7) == 0)
		return text + 7;
	return text;
}

static bool is_host(const char *text, size_t len)
{
	char v6[INET6_ADDRSTRLEN] = "";
	struct in6_addr addr;

	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		if (len - 2 >= sizeof(v6))
			return false;
		memcpy(v6, text + 1, len - 2);
		return inet_pton(AF_INET6, v6, &addr) == 1;
	}
	if (len == 0 || len > 253 || text[0] == '.' || text[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '-' &&
		    text[i] != '.' && text[i] != '_')
			return false;
	return true;
}

const char *endpoint_check(const char *text)
{
	const char *host = skip_scheme(text), *port;
	size_t len;
	uint64_t n = 0;

	if (!text[0])
		return "the value is empty; " EXAMPLE;
	if (strstr(host, "://"))
		return "neither http nor https; " EXAMPLE;
	len = strcspn(host, "/?#");
	if (host[len] != '\0' && strcmp(host + len, "/") != 0)
		return "an endpoint has no path; the bucket goes into bucket =, a folder into prefix =";
	if (host[0] == '[')
		port = memchr(host, ']', len);
	else
		port = host;
	port = port ? memchr(port, ':', len - (size_t)(port - host)) : NULL;
	if (port) {
		char digits[8] = "";
		size_t count = len - (size_t)(port + 1 - host);

		if (count >= sizeof(digits))
			return "not a port; write HOST:PORT with 1 to 65535";
		memcpy(digits, port + 1, count);
		if (parse_u64(digits, 1, 65535, &n) < 0)
			return "not a port; write HOST:PORT with 1 to 65535";
		len = (size_t)(port - host);
	}
	if (!is_host(host, len))
		return "not a host's name; " EXAMPLE;
	return NULL;
}

bool endpoint_has_bucket(const char *text, const char *bucket)
{
	const char *host = skip_scheme(text);
	size_t len = strlen(bucket);

	return strncmp(host, bucket, len) == 0 &&
	       strncmp(host + len, ".oss-", 5) == 0;
}
