/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "util/base.h"
#include "util/strnum.h"

/* The parts of one address, in place. */
struct address {
	bool https;
	const char *host;
	size_t host_len;
	const char *port; /* NULL: none */
	size_t port_len;
	const char *rest; /* path and query */
	size_t rest_len;
};

/* Behind a %{...} at text; NULL: there is none. */
static const char *skip_expansion(const char *text, const char *end)
{
	const char *close;

	if (end - text < 2 || text[0] != '%' || text[1] != '{')
		return NULL;
	close = memchr(text, '}', (size_t)(end - text));
	return close ? close + 1 : NULL;
}

static const char *find_any(const char *text, const char *end, const char *set)
{
	while (text < end) {
		const char *next = skip_expansion(text, end);

		if (next) {
			text = next;
			continue;
		}
		if (strchr(set, *text))
			return text;
		text++;
	}
	return end;
}

static bool has_expansion(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (skip_expansion(text + i, text + len))
			return true;
	return false;
}

/* ---- one address --------------------------------------------------------- */

static const char *scheme_of(const char *text, const char *end, bool *https)
{
	const char *sep;

	*https = false;
	if (end - text >= 8 && strncasecmp(text, "https://", 8) == 0) {
		*https = true;
		return text + 8;
	}
	if (end - text >= 7 && strncasecmp(text, "http://", 7) == 0)
		return text + 7;
	sep = memmem(text, (size_t)(end - text), "://", 3);
	if (sep && find_any(text, sep, "/?") == sep)
		return NULL;
	return text;
}

static const char *check_bytes(const char *text, const char *end)
{
	for (const char *p = text; p < end; p++) {
		const char *next = skip_expansion(p, end);
		unsigned char c;

		if (next) {
			p = next - 1;
			continue;
		}
		c = (unsigned char)*p;
		if (c > '~')
			return "holds a byte that is not ASCII; write it percent-encoded";
		if (c == ' ' || c == '\t')
			return "holds a blank; write ';' between addresses without blanks, comments on a line of their own, %20 for a blank of the address";
		if (c < ' ' || strchr("\"<>\\^`{|}", c))
			return c == '{' && p > text && p[-1] == '$'
				       ? "OSS fills ${...} into the body alone; write %{...}, which ackfs fills in"
				       : "holds a byte that no URL has; write it percent-encoded";
		if (c == '#')
			return "a fragment (#...) is never sent; remove it, or write %23";
	}
	return NULL;
}

static const char *check_host_name(const char *host, size_t len)
{
	if (len == 0)
		return "has no host; write https://HOST/PATH";
	for (const char *p = host; p < host + len; p++) {
		const char *next = skip_expansion(p, host + len);

		if (next)
			p = next - 1;
		else if (!isalnum((unsigned char)*p) && !strchr("-._", *p))
			return "not a host's name; write https://HOST/PATH";
	}
	return NULL;
}

static const char *check_port(const char *port, size_t len)
{
	char digits[8] = "";
	uint64_t n = 0;

	if (!port || has_expansion(port, len))
		return NULL;
	if (len < sizeof(digits)) {
		memcpy(digits, port, len);
		if (parse_u64(digits, 1, 65535, &n) == 0)
			return NULL;
	}
	return "the port is not a number; write HOST:PORT with 1 to 65535";
}

static const char *split_host(const char *host, const char *end,
			      struct address *out)
{
	const char *colon;

	out->host = host;
	if (host < end && *host == '[') {
		const char *close = memchr(host, ']', (size_t)(end - host));

		if (!close)
			return "an IPv6 address without ']'; write a host's name";
		colon = close + 1;
		if (colon < end && *colon != ':')
			return "text behind ']'; write [ADDRESS]:PORT";
	} else {
		colon = find_any(host, end, ":");
	}
	out->host_len = (size_t)(colon - host);
	out->port = colon < end ? colon + 1 : NULL;
	out->port_len = out->port ? (size_t)(end - out->port) : 0;
	return check_port(out->port, out->port_len);
}

static const char *parse_address(const char *text, const char *end,
				 struct address *out)
{
	const char *host, *host_end, *wrong = check_bytes(text, end);

	if (wrong)
		return wrong;
	if (text == end)
		return "an empty address; write up to five with ';' between";
	host = scheme_of(text, end, &out->https);
	if (!host)
		return "neither http nor https; write https://HOST/PATH";
	host_end = find_any(host, end, "/?");
	if (find_any(host, host_end, "@") != host_end)
		return "holds a user or a password; write https://HOST/PATH";
	wrong = split_host(host, host_end, out);
	if (!wrong && *out->host != '[')
		wrong = check_host_name(out->host, out->host_len);
	out->rest = host_end;
	out->rest_len = (size_t)(end - host_end);
	return wrong;
}

/* ---- what OSS cannot reach ----------------------------------------------- */

static bool is_private_v4(uint32_t ip)
{
	static const struct {
		uint32_t net, mask;
	} nets[] = {
		{0x00000000, 0xff000000}, /* this network */
		{0x0a000000, 0xff000000},
                {0x64400000, 0xffc00000},
		{0x7f000000, 0xff000000},
                {0xa9fe0000, 0xffff0000},
		{0xac100000, 0xfff00000},
                {0xc0a80000, 0xffff0000},
		{0xe0000000, 0xe0000000}, /* multicast and above */
	};

	for (size_t i = 0; i < ARRAY_LEN(nets); i++)
		if ((ip & nets[i].mask) == nets[i].net)
			return true;
	return false;
}

static bool ends_in(const char *host, const char *end)
{
	size_t len = strlen(host), n = strlen(end);

	return len >= n && strcasecmp(host + len - n, end) == 0;
}

static const char *doubt_of(const struct address *a)
{
	char host[256] = "";
	struct in_addr v4;

	if (a->host[0] == '[')
		return "OSS takes no IPv6 address";
	if (a->host_len >= sizeof(host) || has_expansion(a->host, a->host_len))
		return NULL;
	memcpy(host, a->host, a->host_len);
	if (inet_pton(AF_INET, host, &v4) == 1)
		return is_private_v4(ntohl(v4.s_addr))
			       ? "OSS refuses private addresses (0007-00000008)"
			       : NULL;
	if (strcasecmp(host, "localhost") == 0 || ends_in(host, ".localhost") ||
	    ends_in(host, ".local") || ends_in(host, ".internal") ||
	    ends_in(host, ".lan") || !strchr(host, '.'))
		return "OSS cannot resolve this name, it calls from the public network (0007-00000007)";
	return NULL;
}

static void add_doubt(struct buf *doubt, const struct address *a)
{
	const char *text = doubt_of(a);

	if (!text)
		return;
	buf_addf(doubt, "%s\"%.*s\": %s", doubt->len ? "; " : "",
		 (int)a->host_len, a->host, text);
}

int addresses_check(const char *text, struct addresses *out, struct buf *why,
		    struct buf *doubt)
{
	const char *end = text + strlen(text), *p = text;
	struct addresses all = {0, false};

	for (;;) {
		const char *stop = find_any(p, end, ";");
		struct address one = {.https = false};
		const char *wrong = parse_address(p, stop, &one);

		if (wrong) {
			buf_adds(why, wrong);
			return -EINVAL;
		}
		add_doubt(doubt, &one);
		all.any_https |= one.https;
		if (++all.count > ADDRESSES_MAX) {
			buf_adds(
				why,
				"more than five addresses; OSS takes up to five");
			return -EINVAL;
		}
		if (stop == end)
			break;
		p = stop + 1;
	}
	*out = all;
	return buf_error(doubt);
}

static bool is_same_text(const char *a, size_t a_len, const char *b,
			 size_t b_len)
{
	return a_len == b_len && (a_len == 0 || strncasecmp(a, b, a_len) == 0);
}

/* The server of the first address at *text, which moves behind it. */
static bool next_server(const char **text, struct address *out)
{
	const char *end = *text + strlen(*text);
	const char *stop = find_any(*text, end, ";");
	bool valid = !parse_address(*text, stop, out);

	*text = stop < end ? stop + 1 : end;
	return valid;
}

bool addresses_same_servers(const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return true;
	while (*a && *b) {
		struct address x = {.https = false}, y = {.https = false};

		if (!next_server(&a, &x) || !next_server(&b, &y) ||
		    x.https != y.https ||
		    !is_same_text(x.host, x.host_len, y.host, y.host_len) ||
		    !is_same_text(x.port, x.port_len, y.port, y.port_len))
			return false;
	}
	return !*a && !*b;
}

const char *host_check(const char *text)
{
	const char *end = text + strlen(text);
	struct address a = {.https = false};
	const char *wrong;

	if (strstr(text, "://") || find_any(text, end, "/?#@ ;") != end)
		return "not a host; write a name or an IP, without scheme and path";
	wrong = check_bytes(text, end);
	if (!wrong)
		wrong = split_host(text, end, &a);
	if (wrong)
		return wrong;
	if (*a.host == '[' || check_host_name(a.host, a.host_len))
		return "not a host; write a name or an IP, without scheme and path";
	return NULL;
}
