/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/posix.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "util/strnum.h"

#define NS_PER_SEC 1000000000LL

static void read_u32(const struct kvs *meta, const char *name, uint32_t *out)
{
	const char *text = kvs_get(meta, name);
	uint64_t v;

	if (text && parse_u64(text, 0, UINT32_MAX, &v) == 0)
		*out = (uint32_t)v;
}

/* "1700000000" or "1700000000.123456789" */
static void read_time(const struct kvs *meta, const char *name, int64_t *ns)
{
	const char *text = kvs_get(meta, name);
	char head[24];
	size_t len;
	int64_t sec, frac = 0, unit = NS_PER_SEC / 10;

	if (!text)
		return;
	len = strcspn(text, ".");
	if (len >= sizeof(head))
		return;
	memcpy(head, text, len);
	head[len] = '\0';
	if (parse_i64(head, -62135596800LL, 9000000000LL, &sec) < 0)
		return;
	for (text += len + (text[len] == '.'); *text >= '0' && *text <= '9';
	     text++) {
		frac += (*text - '0') * unit;
		unit /= 10;
	}
	*ns = sec * NS_PER_SEC + frac;
}

static uint32_t kind_by_type(const char *content_type, bool slash)
{
	if (!content_type)
		return slash ? S_IFDIR : S_IFREG;
	if (strcasecmp(content_type, "application/x-directory") == 0 ||
	    strcasecmp(content_type, "httpd/unix-directory") == 0)
		return S_IFDIR;
	if (slash)
		return S_IFDIR;
	return S_IFREG;
}

void posix_read(const struct kvs *meta, const char *content_type,
		bool key_ends_in_slash, struct posix_attr *a)
{
	uint32_t mode = a->mode;
	uint32_t kind = kind_by_type(content_type, key_ends_in_slash);

	read_u32(meta, "mode", &mode);
	if (S_ISLNK(mode) && kind == S_IFREG)
		kind = S_IFLNK;
	a->mode = kind | (mode & 07777);
	read_u32(meta, "uid", &a->uid);
	read_u32(meta, "gid", &a->gid);
	read_time(meta, "mtime", &a->mtime_ns);
}

int posix_write(struct kvs *meta, const struct posix_attr *a)
{
	char text[48];
	int64_t sec = a->mtime_ns / NS_PER_SEC;
	int64_t ns = a->mtime_ns % NS_PER_SEC;
	const struct {
		const char *name;
		uint32_t value;
	} numbers[] = {
		{"mode", a->mode},
                {"uid",  a->uid },
                {"gid",  a->gid }
        };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(text, sizeof(text), "%" PRIu32, numbers[i].value);
		if (kvs_set(meta, numbers[i].name, text) < 0)
			return -ENOMEM;
	}
	if (ns < 0) {
		ns += NS_PER_SEC;
		sec--;
	}
	if (ns)
		snprintf(text, sizeof(text), "%" PRId64 ".%09" PRId64, sec, ns);
	else
		snprintf(text, sizeof(text), "%" PRId64, sec);
	return kvs_set(meta, "mtime", text);
}

bool posix_owns(const char *name)
{
	static const char *const ours[] = {"mode",  "uid",   "gid",
					   "mtime", "ctime", "atime"};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	}
	return false;
}
