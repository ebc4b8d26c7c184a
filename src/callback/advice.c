/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "callback/outcome.h"
#include "util/base.h"

/* OSS's messages and EC codes (oss-protocol 3.9), the more special first: each
 * with its cause and what to do. */
/* clang-format off */
static const struct {
	const char *message; /* a part of it, case-blind; NULL: by EC alone */
	const char *ec;      /* NULL: by the message alone */
	const char *advice;
} table[] = {
	{"missing content-length", NULL,
	 "The application answered without Content-Length (chunked): send the header and a JSON body."},
	{"invalid conent-length", NULL,
	 "The application's Content-Length is not a positive number: answer with a JSON body that is not empty."},
	{"too long content-length", NULL,
	 "The application's answer is too large: keep it below 1 MB."},
	{"can not connect", NULL,
	 "OSS cannot reach the address from the public network: check host, port, DNS and firewall; private addresses and IPv6 do not work."},
	{"reply timeout", "0007-00000202",
	 "The application did not answer within 5 seconds, which OSS does not change: answer first and work afterwards."},
	{"cost too long time", NULL,
	 "The application did not answer within 5 seconds, which OSS does not change: answer first and work afterwards."},
	{"not valid json", "0007-00000205",
	 "The application's answer is not JSON (a BOM, plain text, HTML of a proxy, or nothing): answer a JSON object."},
	{"get image info failed", NULL,
	 "The body asks for ${imageInfo...} and OSS could not read the picture: leave these variables out for other files (a rule of their own)."},
	{"too many callback requests", NULL,
	 "OSS limits callbacks at the moment: nothing to change, it is repeated."},
	{"error status : 3", NULL,
	 "The address redirects, and OSS does not follow: write the final address into url."},
	{"error status : 401", NULL,
	 "The application wants a login: let it accept OSS's signature instead."},
	{"error status : 403", NULL,
	 "The application, or a firewall before it, refused: check that it verifies OSS's signature over the path and query that OSS called, and lets OSS's addresses in."},
	{"error status : 404", NULL,
	 "The application has nothing at this path: correct url."},
	{"error status : 405", NULL,
	 "The application takes no POST at this path: callbacks are POST requests."},
	{"error status : 502", NULL,
	 "Nothing listens there, the connection was refused, or TLS failed: check the server and its certificate, and that sni is not off for an https address."},
	{"error status : 504", NULL,
	 "A proxy before the application waited in vain: look at the application."},
	{"error status : 5", NULL,
	 "The application failed: look into its log."},
	{"error status : 4", NULL,
	 "The application refused the request: look into its log; body and body_type may not be what it reads."},
	{"error status : 2", NULL,
	 "Only status 200 counts as success: let the application answer 200."},
	{"error status : -1", NULL,
	 "OSS got no answer: check host, port, DNS and firewall; the application must be reachable from the public network."},
	{"error status", "0007-00000203",
	 "The application answered with an error: look into its log."},
	{"not base64 encoded", "0007-00000002",
	 "The callback header was damaged on its way: look for a proxy that changes headers."},
	{"not json format", "0007-00000003",
	 "The callback header was damaged on its way: look for a proxy that changes headers."},
	{"callback url configuration is invalid", "0007-00000004",
	 "OSS does not take the address: correct url (https://HOST[:PORT]/PATH, percent-encoded)."},
	{"number of callback url exceed", "0007-00000005",
	 "More than five addresses: shorten url."},
	{"can not get ip by this host", "0007-00000007",
	 "The host of url has no public DNS entry: correct it, or publish one."},
	{"private address is forbidden", "0007-00000008",
	 "OSS calls public addresses alone: put a public address (a proxy, a load balancer) into url."},
	{"callback host configuration is invalid", "0007-00000009",
	 "OSS does not take the Host header: correct host."},
	{"callback body is empty", "0007-00000011",
	 "There is no body: write body, or remove the line for the default."},
	{"callback body is invalid", "0007-00000010",
	 "OSS cannot read the template: look for ${...} that is not closed, and for $(...)."},
	{"body type configuration is invalid", "0007-00000012",
	 "Write body_type = application/x-www-form-urlencoded or application/json."},
	{"body type of callback is not supported", NULL,
	 "Write body_type = application/x-www-form-urlencoded or application/json."},
	{"length of callback var exceed", NULL,
	 "The variables are more than 5 KB of base64: shorten their values."},
	{"length of callback exceed", "0007-00000001",
	 "Body and addresses are more than 5 KB of base64: shorten body."},
	{NULL, "0007-00000102",
	 "The variables' header was damaged on its way: look for a proxy that changes headers."},
	{"callback var is not", "0007-00000103",
	 "OSS cannot read the variables: names must begin with x: and be lower case."},
	{"should be specified, not both", "0007-00000027",
	 "The callback was given twice: a proxy adds a query to the address of the upload?"},
	{"did not perform the callback", NULL,
	 "OSS makes no callbacks for this bucket's region or this kind of request, or a proxy dropped the x-oss-callback header."},
};
/* clang-format on */

const char *callback_advice(const char *message, const char *ec)
{
	for (size_t i = 0; message && i < ARRAY_LEN(table); i++)
		if (table[i].message && strcasestr(message, table[i].message))
			return table[i].advice;
	for (size_t i = 0; ec && i < ARRAY_LEN(table); i++)
		if (table[i].ec && strcmp(ec, table[i].ec) == 0)
			return table[i].advice;
	return NULL;
}
