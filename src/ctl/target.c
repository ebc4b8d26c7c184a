/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/target.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "config/conf.h"
#include "ctl/ctl.h"
#include "ctl/mountinfo.h"
#include "state/db.h"
#include "util/buf.h"

#define DEFAULT_CONFIG "/etc/ackfs/ackfs.conf"
#define ATTR "user.oss.mount."

enum { ATTR_MAX = 64 << 10 }; /* the kernel's limit */

void target_release(struct target *t)
{
	free(t->mount);
	free(t->inside);
	free(t->state_dir);
	free(t->config);
	free(t->prefix);
	free(t->bucket);
	*t = (struct target){0};
}

const char *target_path_of_key(const struct target *t, const char *key)
{
	size_t len = t->prefix ? strlen(t->prefix) : 0;

	return len && strncmp(key, t->prefix, len) == 0 ? key + len : key;
}

/* -- a mount's attributes -------------------------------------------------------- */

/* @return 0, -errno */
static int read_attr(const char *mount, const char *name, char **out)
{
	AUTO_FREE char *text = malloc(ATTR_MAX + 1);
	ssize_t len;

	if (!text)
		return -ENOMEM;
	len = getxattr(mount, name, text, ATTR_MAX);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	*out = take_ptr(text);
	return 0;
}

static int cannot_ask(const char *mount, int rc)
{
	switch (-rc) {
	case ENOTCONN:
		ctl_fail("%s: its daemon is gone; mount it again", mount);
		return CTL_ABSENT;
	case EACCES:
		return ctl_fail(
			"%s: only the user who mounted it may look at it (mount with -o allow_other, or use --state-dir)",
			mount);
	case ENODATA:
	case EOPNOTSUPP:
		return ctl_fail("%s: the mount does not tell", mount);
	}
	return ctl_fail_errno(rc, mount);
}

static int load_status(const char *mount, json_t **out)
{
	AUTO_FREE char *text = NULL;
	json_error_t why;
	int rc = read_attr(mount, ATTR "status", &text);

	if (rc < 0)
		return cannot_ask(mount, rc);
	*out = json_loads(text, 0, &why);
	return *out ? CTL_OK : ctl_fail("%s: bad answer: %s", mount, why.text);
}

int target_status(const struct target *t, json_t **out)
{
	return load_status(t->mount, out);
}

int target_command(const struct target *t, const char *const *words,
		   size_t count)
{
	json_t *list = json_array();
	AUTO_FREE char *text = NULL;
	int rc = 0;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(words[i]));
	if (json_array_size(list) == count)
		text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	if (!text)
		return -EINVAL;
	if (setxattr(t->mount, ATTR "command", text, strlen(text), 0) < 0)
		rc = -errno;
	return rc;
}

/* -- the configuration -------------------------------------------------------------- */

static int set_bucket(struct conf *c, const char *source, char **why)
{
	size_t len = strcspn(source, ":");
	AUTO_FREE char *bucket =
		str_printf("oss.bucket=%.*s", (int)len, source);
	AUTO_FREE char *prefix = NULL;
	const char *rest = source[len] ? source + len + 1 : "";
	int rc;

	rest += *rest == '/';
	prefix = str_printf("oss.prefix=%s", rest);
	if (!bucket || !prefix)
		return -ENOMEM;
	rc = conf_set_option(c, bucket, why);
	if (rc == 0 && *rest)
		rc = conf_set_option(c, prefix, why);
	return rc;
}

static void conf_freep(struct conf **c)
{
	conf_free(*c);
}

int target_load_conf(const struct target_ask *ask, struct conf **out)
{
	AUTO(conf_freep) struct conf *c = conf_new();
	AUTO_FREE char *why = NULL;
	int rc;

	if (!c)
		return ctl_fail_errno(-ENOMEM, "configuration");
	rc = conf_load_file(c, ask->config ? ask->config : DEFAULT_CONFIG,
			    &why);
	if (rc == 0 && ask->bucket)
		rc = set_bucket(c, ask->bucket, &why);
	else if (rc == 0 && ask->bucket_may_miss && !c->oss.bucket)
		rc = set_bucket(c, "examplebucket", &why);
	if (rc == 0)
		rc = conf_finish(c, &why);
	if (rc < 0) {
		fprintf(stderr, "%s\n", why ? why : strerror(-rc));
		return CTL_FAILED;
	}
	*out = take_ptr(c);
	return CTL_OK;
}

int target_conf(const struct target *t, const struct target_ask *ask,
		struct conf **out)
{
	AUTO_FREE char *source = NULL;
	struct target_ask of_mount = {.config = t->config};

	if (ask->config || !t->mount)
		return target_load_conf(ask, out);
	if (!t->config)
		return ctl_fail("%s: it was mounted without a configuration "
				"file: name one with --config",
				t->mount);
	source = str_printf("%s:/%s", t->bucket ? t->bucket : "",
			    t->prefix ? t->prefix : "");
	if (!source)
		return ctl_fail_errno(-ENOMEM, t->mount);
	of_mount.bucket = t->bucket ? source : NULL;
	return target_load_conf(&of_mount, out);
}

static int from_config(const struct target_ask *ask, struct target *t)
{
	AUTO(conf_freep) struct conf *c = NULL;

	if (target_load_conf(ask, &c) != CTL_OK || !c)
		return CTL_FAILED;
	t->state_dir = conf_state_path(c);
	t->prefix = str_dup(c->oss.prefix);
	t->config = str_dup(c->config_file);
	if (!t->state_dir)
		return ctl_fail_errno(-ENOMEM, "state folder");
	return CTL_OK;
}

/* -- the mount ------------------------------------------------------------------------ */

/* Its mount point; as written first, because a dead mount cannot be walked,
   then by its real path.  Outputs: heap text. */
static int locate(const struct mount_list *l, const char *path, char **mount,
		  char **inside)
{
	AUTO_FREE char *clean = path_clean(path);
	AUTO_FREE char *real = NULL;
	const char *rest = NULL, *point = NULL;

	if (clean)
		point = mount_list_find(l, clean, &rest);
	if (!point) {
		real = realpath(path, NULL);
		point = real ? mount_list_find(l, real, &rest) : NULL;
	}
	if (!point)
		return -ENOENT;
	*mount = str_dup(point);
	*inside = str_dup(rest);
	return *mount && *inside ? 0 : -ENOMEM;
}

bool target_is_on_mount(const char *path)
{
	AUTO(mount_list_release) struct mount_list l = {0};
	AUTO_FREE char *mount = NULL;
	AUTO_FREE char *inside = NULL;

	return mountinfo_read(&l) == 0 &&
	       locate(&l, path, &mount, &inside) == 0;
}

static int several(const struct mount_list *l)
{
	ctl_fail("which mount?");
	for (size_t i = 0; i < l->count; i++)
		fprintf(stderr, "  %s\n", l->points[i]);
	return CTL_FAILED;
}

static int find_mount(const char *path, struct target *t)
{
	AUTO(mount_list_release) struct mount_list l = {0};
	int rc = mountinfo_read(&l);

	if (rc < 0)
		return ctl_fail_errno(rc, "/proc/self/mountinfo");
	if (!path && l.count == 0)
		return CTL_ABSENT;
	if (!path && l.count == 1)
		path = l.points[0];
	/* Of several, the one that we stand in. */
	rc = locate(&l, path ? path : ".", &t->mount, &t->inside);
	if (rc == -ENOENT && !path)
		return several(&l);
	if (rc == -ENOENT)
		return CTL_ABSENT;
	return rc < 0 ? ctl_fail_errno(rc, path) : CTL_OK;
}

static char *status_text(const json_t *status, const char *name)
{
	return str_dup(json_string_value(json_object_get(status, name)));
}

static int ask_mount(struct target *t)
{
	json_t *status = NULL;
	int rc = load_status(t->mount, &status);

	if (rc != CTL_OK)
		return rc;
	t->state_dir = status_text(status, "state_dir");
	t->config = status_text(status, "config");
	t->prefix = status_text(status, "prefix");
	t->bucket = status_text(status, "bucket");
	json_decref(status);
	return t->state_dir ? CTL_OK
			    : ctl_fail("%s: the mount names no state folder",
				       t->mount);
}

static int not_mounted(const struct target_ask *ask, struct target *t)
{
	if (ask->path) {
		ctl_fail(
			"%s: no ackfs is mounted there (--state-dir or --config look into a state folder without a mount)",
			ask->path);
		return CTL_ABSENT;
	}
	if (access(DEFAULT_CONFIG, R_OK) == 0)
		return from_config(ask, t);
	ctl_fail(
		"no ackfs is mounted; name a state folder with --state-dir or --config");
	return CTL_ABSENT;
}

static int find(const struct target_ask *ask, struct target *t)
{
	int status;

	if (ask->state_dir) {
		t->state_dir = path_clean(ask->state_dir);
		return t->state_dir ? CTL_OK
				    : ctl_fail_errno(-ENOMEM, ask->state_dir);
	}
	if (ask->config)
		return from_config(ask, t);
	status = find_mount(ask->path, t);
	if (status == CTL_ABSENT)
		return not_mounted(ask, t);
	return status == CTL_OK ? ask_mount(t) : status;
}

int target_find(const struct target_ask *ask, struct target *out)
{
	AUTO(target_release) struct target t = {0};
	int status = find(ask, &t);

	if (status != CTL_OK)
		return status;
	*out = t;
	t = (struct target){0};
	return CTL_OK;
}

int target_open_db(const struct target *t, struct db **out)
{
	AUTO_FREE char *why = NULL;
	int rc = db_open_readonly(t->state_dir, out, &why);

	if (rc == 0)
		return CTL_OK;
	ctl_fail("%s", why ? why : strerror(-rc));
	return rc == -ENOENT ? CTL_ABSENT : CTL_FAILED;
}
