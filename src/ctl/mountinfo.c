/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/mountinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/fileio.h"

#define FS_TYPE "fuse.ackfs"
#define MOUNTINFO_MAX ((size_t)16 << 20)

enum { FIELD_POINT = 4 }; /* the fifth field */

void mount_list_release(struct mount_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->points[i]);
	free(l->points);
	*l = (struct mount_list){0};
}

static bool is_octal(const char *c)
{
	return c[0] >= '0' && c[0] <= '3' && c[1] >= '0' && c[1] <= '7' &&
	       c[2] >= '0' && c[2] <= '7';
}

/* The kernel writes blanks and backslashes as \040. */
static char *unescape(const char *text, size_t len)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && len - i > 3 && is_octal(text + i + 1)) {
			buf_addc(&b, (char)((text[i + 1] - '0') << 6 |
					    (text[i + 2] - '0') << 3 |
					    (text[i + 3] - '0')));
			i += 3;
		} else {
			buf_addc(&b, text[i]);
		}
	}
	return buf_detach(&b);
}

static const char *field(const char *line, int number)
{
	for (; number > 0; number--) {
		line += strcspn(line, " ");
		line += *line == ' ';
	}
	return line;
}

static bool is_ours(const char *line)
{
	const char *type = strstr(line, " - ");
	size_t len = strlen(FS_TYPE);

	return type && strncmp(type + 3, FS_TYPE, len) == 0 &&
	       (type[3 + len] == ' ' || type[3 + len] == '\0');
}

static int add_line(struct mount_list *l, const char *line)
{
	const char *point = field(line, FIELD_POINT);
	char **more;

	if (!is_ours(line))
		return 0;
	more = reallocarray(l->points, l->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->points = more;
	more[l->count] = unescape(point, strcspn(point, " "));
	if (!more[l->count])
		return -ENOMEM;
	l->count++;
	return 0;
}

int mountinfo_parse(const char *text, struct mount_list *out)
{
	AUTO_FREE char *copy = str_dup(text);
	AUTO(mount_list_release) struct mount_list l = {0};
	char *rest;
	int rc = copy ? 0 : -ENOMEM;

	for (char *line = rc == 0 ? strtok_r(copy, "\n", &rest) : NULL;
	     rc == 0 && line; line = strtok_r(NULL, "\n", &rest))
		rc = add_line(&l, line);
	if (rc < 0)
		return rc;
	*out = l;
	l = (struct mount_list){0};
	return 0;
}

int mountinfo_read(struct mount_list *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	int rc = file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &text);

	return rc < 0 ? rc : mountinfo_parse(buf_str(&text), out);
}

/* @return whether path lies on the mount; *rest: what stands behind the point */
static bool lies_on(const char *path, const char *point, const char **rest)
{
	size_t len = strcmp(point, "/") == 0 ? 0 : strlen(point);

	if (strncmp(path, point, len) != 0 ||
	    (path[len] != '/' && path[len] != '\0'))
		return false;
	*rest = path + len + (path[len] == '/');
	return true;
}

const char *mount_list_find(const struct mount_list *l, const char *path,
			    const char **inside)
{
	const char *best = NULL;

	for (size_t i = 0; i < l->count; i++) {
		const char *rest = "";

		if ((best && strlen(best) > strlen(l->points[i])) ||
		    !lies_on(path, l->points[i], &rest))
			continue;
		best = l->points[i];
		*inside = rest;
	}
	return best;
}

/* -- paths --------------------------------------------------------------------- */

static void add_component(struct buf *b, const char *name, size_t len)
{
	if (len == 0 || (len == 1 && name[0] == '.'))
		return;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		const char *slash = strrchr(buf_str(b), '/');

		buf_truncate(b, slash ? (size_t)(slash - buf_str(b)) : 0);
		return;
	}
	buf_addc(b, '/');
	buf_add(b, name, len);
}

char *path_clean(const char *path)
{
	AUTO_FREE char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
	AUTO(buf_release) struct buf b = BUF_INIT;
	const char *parts[] = {cwd ? cwd : "", path};

	if (path[0] != '/' && !cwd)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *c = parts[i];

		while (*c) {
			size_t len = strcspn(c, "/");

			add_component(&b, c, len);
			c += len;
			c += *c == '/';
		}
	}
	if (b.len == 0)
		buf_addc(&b, '/');
	return buf_detach(&b);
}
