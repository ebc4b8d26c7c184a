/* SPDX-License-Identifier: Apache-2.0 */
/* setxattr and removexattr: variables, user metadata, and what is asked of the
   mount. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "callback/rules.h"
#include "fs/status.h"
#include "fs/xattr_impl.h"
#include "state/cbvars.h"
#include "upload/recall.h"

static int set_var(struct xattr_view *v, const char *name, const char *value,
		   int flags)
{
	AUTO(kvs_release) struct kvs vars = KVS_INIT;
	struct fs *fs = v->fs;
	int rc = 0;

	if (!v->key[0] && v->n != fs->tree.root)
		return -ENOENT;
	if (value)
		rc = rules_check_file_var(
			fs->d.rules, fs_path_of_key(fs, v->key), name, value);
	if (rc == 0 && flags)
		rc = cbvars_get(fs->d.db, v->key, &vars);
	if (rc == 0 && (flags & XATTR_CREATE) && kvs_get(&vars, name))
		rc = -EEXIST;
	if (rc == 0 && (flags & XATTR_REPLACE) && !kvs_get(&vars, name))
		rc = -ENODATA;
	return rc < 0 ? rc : cbvars_set(fs->d.db, v->key, name, value);
}

/* Header text: letters, digits and '-' name it (oss-protocol 4.1). */
static int check_meta(const char *name, const char *value)
{
	if (posix_owns(name))
		return -EPERM;
	for (const char *c = name; *c; c++) {
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '-'))
			return -EINVAL;
	}
	for (const char *c = value ? value : ""; *c; c++) {
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			return -EINVAL;
	}
	return 0;
}

static int set_other(struct xattr_view *v, const char *name, uint32_t uid,
		     const char *value)
{
	struct fs *fs = v->fs;
	bool owner = uid == 0 || uid == v->owner;

	if (strcmp(name, "callback.retry") == 0) {
		if (!owner)
			return -EPERM;
		return value ? recall_now(fs->d.recall, v->key) : -ENODATA;
	}
	if (strcmp(name, "mount.command") == 0 && v->n == fs->tree.root) {
		/* Whoever runs the mount, not whom its files belong to. */
		if (uid != 0 && uid != geteuid())
			return -EPERM;
		return value ? fs_command(fs, value) : -ENODATA;
	}
	/* cp --preserve=xattr and rsync -X bring what another mount showed, and
	   rsync -X takes away what the source has not, also of files that are
	   finished: neither changes anything, nor makes them fail. */
	return xattr_is_readable(name) ? 0 : -EOPNOTSUPP;
}

static void change(struct fs *fs, uint64_t ino, const char *name,
		   const char *value, int flags, uint32_t uid,
		   struct fs_done done)
{
	AUTO(xattr_view_release) struct xattr_view v;
	const char *rest;
	int rc = xattr_view_make(fs, ino, &v);

	name += strlen(XATTR_PREFIX);
	if (rc == 0 && xattr_has_prefix(name, XATTR_VAR, &rest)) {
		rc = set_var(&v, rest, value, flags);
	} else if (rc == 0 && xattr_has_prefix(name, XATTR_META, &rest)) {
		rc = check_meta(rest, value);
		if (rc == 0 && v.kind == NODE_DIR)
			rc = -EOPNOTSUPP;
		if (rc == 0) {
			fs_set_user_meta(fs, ino, rest, value, flags, done);
			return;
		}
	} else if (rc == 0) {
		rc = set_other(&v, name, uid, value);
	}
	done.fn(done.arg, rc);
}

void xattr_set(struct fs *fs, uint64_t ino, const char *name, const char *value,
	       size_t len, int flags, uint32_t uid, struct fs_done done)
{
	AUTO_FREE char *text = NULL;

	if (!xattr_is_ours(name)) {
		done.fn(done.arg, -EOPNOTSUPP);
		return;
	}
	/* All of ours are text. */
	if (memchr(value, '\0', len)) {
		done.fn(done.arg, -EINVAL);
		return;
	}
	text = strndup(value, len);
	if (!text) {
		done.fn(done.arg, -ENOMEM);
		return;
	}
	change(fs, ino, name, text, flags, uid, done);
}

void xattr_remove(struct fs *fs, uint64_t ino, const char *name, uint32_t uid,
		  struct fs_done done)
{
	if (!xattr_is_ours(name)) {
		done.fn(done.arg, -ENODATA);
		return;
	}
	change(fs, ino, name, NULL, 0, uid, done);
}
