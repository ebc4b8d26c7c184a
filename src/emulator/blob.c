/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "util/buf.h"
#include "util/codec.h"
#include "util/crc64.h"
#include "util/fileio.h"
#include "util/log.h"

/* dir/ab/abcdef...: 256 folders keep each of them short. */
static int blob_path(const struct blob_store *s, const char *name, char **out)
{
	*out = str_printf("%s/%.2s/%s", s->dir, name, name);
	return *out ? 0 : -ENOMEM;
}

/* A new file; its folder is made with the first that needs it. */
static int create_file(const char *path)
{
	AUTO_FREE char *dir = NULL;
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = open(path, flags, 0600);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	if (!dir)
		return -ENOMEM;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, flags, 0600);
	return fd < 0 ? -errno : fd;
}

int blob_store_open(const char *dir, bool durable, struct blob_store **out)
{
	struct blob_store *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->dir = str_dup(dir);
	s->durable = durable;
	rc = s->dir ? dir_make(dir, 0700) : -ENOMEM;
	if (rc < 0) {
		blob_store_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void blob_store_free(struct blob_store *s)
{
	if (!s)
		return;
	free(s->dir);
	free(s);
}

struct blob *blob_adopt(struct blob_store *s, const char *name)
{
	struct blob *b;

	if (strlen(name) != BLOB_NAME_LEN - 1)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->store = s;
	atomic_init(&b->refs, 1);
	memcpy(b->name, name, BLOB_NAME_LEN);
	return b;
}

struct blob *blob_get(struct blob *b)
{
	atomic_fetch_add(&b->refs, 1);
	return b;
}

static void remove_file(const struct blob_store *s, const char *name)
{
	AUTO_FREE char *path = NULL;

	if (blob_path(s, name, &path) < 0 || unlink(path) < 0)
		log_warn("store: cannot remove blob: name=%s errno=%d", name,
			 errno);
}

void blob_put(struct blob *b)
{
	if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	if (!atomic_load(&b->store->closing))
		remove_file(b->store, b->name);
	free(b);
}

int blob_open(const struct blob *b)
{
	AUTO_FREE char *path = NULL;
	int fd;

	if (blob_path(b->store, b->name, &path) < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void sweep_folder(const char *path,
			 bool (*keep)(void *arg, const char *name), void *arg)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.' && !keep(arg, e->d_name))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}

void blob_store_sweep(struct blob_store *s,
		      bool (*keep)(void *arg, const char *name), void *arg)
{
	for (unsigned i = 0; i < 256; i++) {
		AUTO_FREE char *sub = str_printf("%s/%02x", s->dir, i);

		if (sub)
			sweep_folder(sub, keep, arg);
	}
}

/* ---- writing ---- */

static int random_name(char out[BLOB_NAME_LEN])
{
	AUTO(buf_release) struct buf hex = BUF_INIT;
	unsigned char raw[16];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -EIO;
	hex_encode(&hex, raw, sizeof(raw));
	if (buf_error(&hex) < 0)
		return -ENOMEM;
	memcpy(out, buf_str(&hex), BLOB_NAME_LEN);
	return 0;
}

static EVP_MD_CTX *md5_start(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx && !EVP_DigestInit_ex(ctx, EVP_md5(), NULL)) {
		EVP_MD_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int blob_writer_open(struct blob_store *s, bool want_md5, struct blob_writer *w)
{
	AUTO_FREE char *path = NULL;
	struct blob_writer n = {.store = s, .fd = -1};
	int rc = random_name(n.name);

	if (!rc)
		rc = blob_path(s, n.name, &path);
	if (rc < 0)
		return rc;
	if (want_md5) {
		n.md5 = md5_start();
		if (!n.md5)
			return -ENOMEM;
	}
	n.fd = create_file(path);
	if (n.fd < 0) {
		EVP_MD_CTX_free(n.md5);
		return n.fd;
	}
	*w = n;
	return 0;
}

int blob_writer_add(struct blob_writer *w, const void *data, size_t len)
{
	int rc = fd_write_all(w->fd, data, len);

	if (rc < 0)
		return rc;
	w->crc = crc64_update(w->crc, data, len);
	w->size += len;
	if (w->md5 && !EVP_DigestUpdate(w->md5, data, len))
		return -EIO;
	return 0;
}

bool blob_writer_md5(struct blob_writer *w, unsigned char out[16])
{
	EVP_MD_CTX *copy;
	bool ok;

	if (!w->md5)
		return false;
	copy = EVP_MD_CTX_new();
	ok = copy && EVP_MD_CTX_copy_ex(copy, w->md5) &&
	     EVP_DigestFinal_ex(copy, out, NULL);
	EVP_MD_CTX_free(copy);
	return ok;
}

static void writer_close(struct blob_writer *w)
{
	EVP_MD_CTX_free(w->md5);
	w->md5 = NULL;
	w->fd = -1;
}

int blob_writer_commit(struct blob_writer *w, struct blob **out)
{
	struct blob *b = blob_adopt(w->store, w->name);
	int rc = b ? 0 : -ENOMEM;

	if (!rc && w->store->durable && fdatasync(w->fd) < 0)
		rc = -errno;
	if (close(w->fd) < 0 && !rc)
		rc = -errno;
	writer_close(w);
	if (rc < 0) {
		if (b)
			blob_put(b);
		else
			remove_file(w->store, w->name);
		return rc;
	}
	*out = b;
	return 0;
}

void blob_writer_abort(struct blob_writer *w)
{
	if (w->fd < 0)
		return;
	close(w->fd);
	writer_close(w);
	remove_file(w->store, w->name);
}
