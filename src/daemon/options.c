/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "daemon/deadmount.h"
#include "fs/mount.h"
#include "util/buf.h"
#include "util/strnum.h"
#include "util/version.h"

/* What mount(8), fstab and systemd pass along; not for us. */
static const char *const ignored[] = {
	"rw",
	"auto",
	"noauto",
	"user",
	"nouser",
	"users",
	"_netdev",
	"nofail",
	"dev",
	"nodev",
	"suid",
	"nosuid",
	"exec",
	"noexec",
	"async",
	"sync",
	"atime",
	"noatime",
	"relatime",
	"norelatime",
	"nodiratime",
	"defaults",
	"default_permissions",
	"nonempty",
	"bg",
	"nolazytime",
	"lazytime",
	"iversion",
	"noiversion",
};

/* FUSE's own names of our keys. */
static const struct {
	const char *option; /* "name" or "name=" */
	const char *key;
	const char *value; /* NULL: what stands behind '=' */
} fuse_names[] = {
	{"allow_other", "mount.allow_other", "true"},
	{"ro",          "mount.read_only",   "true"},
	{"uid=",        "mount.uid",         NULL  },
	{"gid=",        "mount.gid",         NULL  },
	{"umask=",      "mount.umask",       NULL  },
};

static const char usage[] =
	"usage: ackfs BUCKET[:/PREFIX] MOUNTPOINT [-o OPT[,OPT...]] [-f] [-d]\n"
	"       ackfs --check-config FILE\n"
	"\n"
	"Mounts an Alibaba Cloud OSS bucket. A file that is closed is uploaded with an\n"
	"upload callback; the application's answer is in its extended attributes:\n"
	"    getfattr -n user.oss.callback.response --only-values FILE\n"
	"\n"
	"  -o config=FILE       configuration (default /etc/ackfs/ackfs.conf, when there)\n"
	"  -o state_dir=DIR     where staged files and the journal live\n"
	"  -o endpoint=URL, -o region=REGION\n"
	"  -o SECTION.KEY=VALUE any key of the configuration but the access keys\n"
	"  -o allow_other, ro, uid=N, gid=N, umask=M\n"
	"                       as for every FUSE filesystem\n"
	"  -f                   stay in the foreground, log to stderr\n"
	"  -d                   the same, with debug messages\n"
	"  -h, --help           this text and every key;  -V, --version\n"
	"\n"
	"Access keys come from OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and\n"
	"OSS_SESSION_TOKEN, from [credentials] file, or from the configuration.\n"
	"\n"
	"Keys of the configuration:\n";

#define DEFAULT_CONFIG "/etc/ackfs/ackfs.conf"

/* -- -o -------------------------------------------------------------------- */

struct words {
	char **items;
	size_t count;
};

static bool is_ignored(const char *word)
{
	if (strncmp(word, "x-", 2) == 0 || strncmp(word, "comment=", 8) == 0 ||
	    strncmp(word, "subtype=", 8) == 0 ||
	    strncmp(word, "fsname=", 7) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++) {
		if (strcmp(word, ignored[i]) == 0)
			return true;
	}
	return false;
}

/* "uid=5" -> "mount.uid=5"; NULL: not one of FUSE's. */
static char *translate(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(fuse_names); i++) {
		const char *name = fuse_names[i].option;
		size_t len = strlen(name);

		if (fuse_names[i].value && strcmp(word, name) == 0)
			return str_printf("%s=%s", fuse_names[i].key,
					  fuse_names[i].value);
		if (!fuse_names[i].value && strncmp(word, name, len) == 0)
			return str_printf("%s=%s", fuse_names[i].key,
					  word + len);
	}
	return NULL;
}

static int words_add(struct words *w, const char *text, size_t len)
{
	char **items = realloc(w->items, (w->count + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	w->items = items;
	w->items[w->count] = strndup(text, len);
	if (!w->items[w->count])
		return -ENOMEM;
	w->count++;
	return 0;
}

/* Commas separate; "\," is a comma. */
static int split(const char *list, struct words *w)
{
	AUTO(buf_release) struct buf word = BUF_INIT;
	int rc = 0;

	for (const char *c = list; rc == 0; c++) {
		if (*c == '\\' && c[1] == ',') {
			buf_addc(&word, *++c);
		} else if (*c == ',' || *c == '\0') {
			if (word.len)
				rc = words_add(w, buf_str(&word), word.len);
			buf_reset(&word);
			if (*c == '\0')
				break;
		} else {
			buf_addc(&word, *c);
		}
	}
	return rc < 0 ? rc : buf_error(&word);
}

static void words_free(struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->items[i]);
	free(w->items);
}

static int refuse(const char *fmt, ...) ACK_PRINTF(1, 2);

static int refuse(const char *fmt, ...)
{
	va_list ap;

	fputs("ackfs: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -EINVAL;
}

static int apply_option(struct options *o, const char *word)
{
	AUTO_FREE char *why = NULL;
	AUTO_FREE char *ours = translate(word);
	int rc;

	if (strcmp(word, "remount") == 0)
		return refuse("%s", "a mount cannot be changed by -o remount: "
				    "unmount it, and mount it anew");
	rc = conf_set_option(o->conf, ours ? ours : word, &why);
	if (rc == -ENOENT)
		return refuse("unknown option: -o %s (ackfs --help lists them)",
			      word);
	if (rc < 0)
		return refuse("%s", why ? why : strerror(-rc));
	return 0;
}

static int apply_options(struct options *o, const struct words *w)
{
	for (size_t i = 0; i < w->count; i++) {
		int rc;

		if (is_ignored(w->items[i]) ||
		    strncmp(w->items[i], "config=", 7) == 0)
			continue;
		rc = apply_option(o, w->items[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int find_config(struct options *o, const struct words *w)
{
	const char *path = NULL;

	for (size_t i = 0; i < w->count; i++) {
		if (strncmp(w->items[i], "config=", 7) == 0)
			path = w->items[i] + 7;
	}
	if (!path && access(DEFAULT_CONFIG, F_OK) == 0)
		path = DEFAULT_CONFIG;
	if (!path)
		return 0;
	o->config_path = realpath(path, NULL);
	if (!o->config_path) {
		fprintf(stderr, "ackfs: %s: %s\n", path, strerror(errno));
		return -EINVAL;
	}
	return 0;
}

static int load_config(struct options *o)
{
	AUTO_FREE char *why = NULL;
	int rc;

	o->conf = conf_new();
	if (!o->conf)
		return -ENOMEM;
	if (!o->config_path)
		return 0;
	rc = conf_load_file(o->conf, o->config_path, &why);
	if (rc < 0)
		fprintf(stderr, "%s\n", why ? why : strerror(-rc));
	return rc < 0 ? -EINVAL : 0;
}

/* -- BUCKET[:/PREFIX] MOUNTPOINT ------------------------------------------- */

static int set_key(struct options *o, const char *key, const char *value)
{
	AUTO_FREE char *option = str_printf("%s=%s", key, value);

	return option ? apply_option(o, option) : -ENOMEM;
}

static int set_source(struct options *o, const char *source)
{
	const char *colon = strchr(source, ':');
	AUTO_FREE char *bucket =
		colon ? strndup(source, (size_t)(colon - source))
		      : str_dup(source);
	int rc;

	if (!bucket)
		return -ENOMEM;
	o->fsname = str_dup(source);
	if (!o->fsname)
		return -ENOMEM;
	if (colon && colon[1] != '/' && colon[1])
		return refuse("%s: a prefix begins with '/': BUCKET:/PREFIX",
			      source);
	rc = set_key(o, "oss.bucket", bucket);
	if (rc == 0 && colon && colon[1] && colon[2])
		rc = set_key(o, "oss.prefix", colon + 2);
	return rc;
}

static int refuse_mountpoint(const char *path, int err)
{
	return refuse("mount point %s: %s%s", path, strerror(err),
		      err == ENOTCONN ? "; a dead mount: unmount it first"
				      : "");
}

/* stat(2) may be answered by the kernel for a second longer. */
static bool is_dead(const char *mountpoint)
{
	struct statvfs vfs;

	return statvfs(mountpoint, &vfs) < 0 && errno == ENOTCONN;
}

/* @return 0 or -errno */
static int look_at(const char *mountpoint, struct stat *st)
{
	while (is_dead(mountpoint)) {
		int rc = deadmount_clear(mountpoint);

		if (rc < 0)
			return rc;
		fprintf(stderr,
			"ackfs: %s: its daemon was gone, and the dead mount is taken away\n",
			mountpoint);
	}
	return stat(mountpoint, st) < 0 ? -errno : 0;
}

static int set_mountpoint(struct options *o, const char *path)
{
	struct stat st;
	int rc;

	o->mountpoint = realpath(path, NULL);
	if (!o->mountpoint)
		return refuse_mountpoint(path, errno);
	rc = look_at(o->mountpoint, &st);
	if (rc < 0)
		return refuse_mountpoint(path, -rc);
	if (!S_ISDIR(st.st_mode))
		return refuse("mount point %s: not a folder", path);
	return 0;
}

static int check_only(struct options *o)
{
	AUTO_FREE char *why = NULL;
	int rc = conf_finish(o->conf, &why);

	if (rc < 0) {
		fprintf(stderr, "%s\n", why ? why : strerror(-rc));
		return -EINVAL;
	}
	return 0;
}

/* -- the whole line -------------------------------------------------------- */

static const struct option long_options[] = {
	{"help",         no_argument,       NULL, 'h'},
	{"version",      no_argument,       NULL, 'V'},
	{"foreground",   no_argument,       NULL, 'f'},
	{"debug",        no_argument,       NULL, 'd'},
	{"check-config", required_argument, NULL, 'C'},
	{NULL,           0,                 NULL, 0  },
};

/* mount(8) calls its helper as /sbin/mount.fuse.ackfs SPEC DIR [-sfnv] [-t TYPE]
 * [-o OPTIONS], where -f is "fake": do all but mounting. */
static bool is_mount_helper(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return strncmp(slash ? slash + 1 : argv0, "mount.", 6) == 0;
}

static int read_flags(int argc, char **argv, struct options *o, struct words *w)
{
	const bool helper = is_mount_helper(argv[0]);
	int c, rc = 0;

	while (rc == 0 && (c = getopt_long(argc, argv, "o:fdshVnvt:",
					   long_options, NULL)) != -1) {
		switch (c) {
		case 'o':
			rc = split(optarg, w);
			break;
		case 'd':
			o->debug = true;
			o->foreground = true;
			break;
		case 'f':
			o->foreground = !helper;
			o->fake = helper;
			break;
		case 's': /* mount(8)'s sloppy, FUSE's single thread */
		case 'n':
		case 'v':
		case 't':
			break;
		case 'C':
			o->check_config = true;
			o->config_path = str_dup(optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			conf_print_help();
			return 1;
		case 'V':
			printf("ackfs %s\nFUSE library version %s\n",
			       ackfs_version, mount_fuse_version());
			return 1;
		default:
			fputs("ackfs --help shows how to use it\n", stderr);
			return -EINVAL;
		}
	}
	return rc;
}

static int read_operands(int argc, char **argv, struct options *o)
{
	int rc = 0;

	if (argc - optind > 2)
		return refuse("too many arguments: %s", argv[optind + 2]);
	if (argc - optind < 1)
		return refuse(
			"%s",
			"where to mount? ackfs BUCKET MOUNTPOINT -o config=FILE");
	if (argc - optind == 2)
		rc = set_source(o, argv[optind]);
	if (rc == 0)
		rc = set_mountpoint(o, argv[argc - 1]);
	return rc;
}

static int complete(struct options *o)
{
	int rc = check_only(o);

	if (rc < 0)
		return rc;
	if (!o->fsname)
		o->fsname = str_printf("%s%s%s", o->conf->oss.bucket,
				       o->conf->oss.prefix[0] ? ":/" : "",
				       o->conf->oss.prefix);
	return o->fsname ? 0 : -ENOMEM;
}

int options_parse(int argc, char **argv, struct options *out)
{
	AUTO(words_free) struct words words = {0};
	int rc;

	memset(out, 0, sizeof(*out));
	rc = read_flags(argc, argv, out, &words);
	if (rc == 0 && !out->check_config)
		rc = find_config(out, &words);
	if (rc == 0)
		rc = load_config(out);
	if (rc == 0 && out->check_config) {
		rc = apply_options(out, &words);
		return rc < 0 ? rc : check_only(out);
	}
	if (rc == 0)
		rc = read_operands(argc, argv, out);
	if (rc == 0)
		rc = apply_options(out, &words);
	if (rc == 0)
		rc = complete(out);
	return rc == 0 && out->fake ? 1 : rc;
}

void options_release(struct options *o)
{
	conf_free(o->conf);
	free(o->config_path);
	free(o->mountpoint);
	free(o->fsname);
	memset(o, 0, sizeof(*o));
}
