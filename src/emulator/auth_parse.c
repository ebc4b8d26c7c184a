/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "emulator/auth.h"

static int take_text(const char *text, size_t len, char *out, size_t size)
{
	if (len >= size)
		return -EINVAL;
	memcpy(out, text, len);
	out[len] = '\0';
	return 0;
}

static bool is_named(const char *part, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len > n && part[n] == '=' && strncmp(part, name, n) == 0;
}

static enum oss_err take_part(const char *part, size_t len,
			      const char *list_name, struct v4_header *out)
{
	const char *value = memchr(part, '=', len);
	size_t n;
	int rc = -EINVAL;

	if (!value)
		return OE_AUTH_HEADER;
	n = len - (size_t)(++value - part);
	if (is_named(part, len, "Credential"))
		rc = take_text(value, n, out->credential,
			       sizeof(out->credential));
	else if (is_named(part, len, "Signature"))
		rc = take_text(value, n, out->signature,
			       sizeof(out->signature));
	else if (is_named(part, len, list_name)) {
		if (!n)
			return OE_AUTH_EMPTY_ADDITIONAL;
		rc = take_text(value, n, out->headers, sizeof(out->headers));
	}
	return rc < 0 ? OE_AUTH_HEADER : OE_NONE;
}

enum oss_err v4_header_parse(const char *text, const char *list_name,
			     struct v4_header *out)
{
	struct v4_header h = {0};

	while (*text) {
		size_t len;
		enum oss_err err;

		text += strspn(text, " ");
		len = strcspn(text, ",");
		err = take_part(text, len, list_name, &h);
		if (err)
			return err;
		text += len;
		if (*text)
			text++;
	}
	if (!*h.signature)
		return OE_AUTH_NO_SIGNATURE;
	if (!*h.credential)
		return OE_AUTH_HEADER;
	*out = h;
	return OE_NONE;
}

int v4_credential_parse(const char *text, struct v4_credential *out)
{
	struct v4_credential c = {0};
	const struct {
		char *out;
		size_t size;
	} parts[] = {
		{c.id,         sizeof(c.id)        },
		{c.date,       sizeof(c.date)      },
		{c.region,     sizeof(c.region)    },
		{c.product,    sizeof(c.product)   },
		{c.terminator, sizeof(c.terminator)},
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t len = strcspn(text, "/");

		if (!len || take_text(text, len, parts[i].out, parts[i].size))
			return -EINVAL;
		text += len;
		if (i + 1 < ARRAY_LEN(parts) && *text++ != '/')
			return -EINVAL;
	}
	if (*text)
		return -EINVAL;
	*out = c;
	return 0;
}
