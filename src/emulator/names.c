/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/names.h"

#include <ctype.h>
#include <string.h>

#include "util/codec.h"

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool bucket_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len < 3 || len > 63)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_lower_or_digit(name[i]) && name[i] != '-')
			return false;
	return name[0] != '-' && name[len - 1] != '-';
}

enum oss_err key_check(const char *key)
{
	size_t len = strlen(key);

	if (!len)
		return OE_KEY_EMPTY;
	if (len > OBJECT_KEY_MAX)
		return OE_KEY_TOO_LONG;
	if (key[0] == '/' || key[0] == '\\' || !utf8_is_valid(key, len))
		return OE_KEY_INVALID;
	return OE_NONE;
}

bool acl_is_known(const char *acl, bool is_bucket)
{
	return strcmp(acl, "private") == 0 || strcmp(acl, "public-read") == 0 ||
	       strcmp(acl, "public-read-write") == 0 ||
	       (!is_bucket && strcmp(acl, "default") == 0);
}

/* Letters (of any script), digits, space and + - = . _ : / */
static bool is_tag_text(const char *s)
{
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) &&
		    !((unsigned char)*s & 0x80) && !strchr(" +-=._:/", *s))
			return false;
	return true;
}

enum oss_err tag_check(const char *key, const char *value)
{
	if (!*key || strlen(key) > 128 || strlen(value) > 256 ||
	    !is_tag_text(key) || !is_tag_text(value))
		return OE_INVALID_TAG;
	return OE_NONE;
}
