/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "emulator/store_internal.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/fileio.h"
#include "util/log.h"

#define JSON_MAX ((size_t)16 << 20)

/* ---- paths ---- */

static int object_path(const struct store *s, const char *bucket,
		       const char *key, struct buf *out)
{
	AUTO(buf_release) struct buf hex = BUF_INIT;
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!EVP_Digest(key, strlen(key), md, &len, EVP_sha256(), NULL))
		return -EIO;
	hex_encode(&hex, md, len);
	buf_addf(out, "%s/buckets/%s/objects/%.2s/%s.json", s->dir, bucket,
		 buf_str(&hex), buf_str(&hex));
	return buf_error(out);
}

/* A new file beside, then rename: a reader never sees half of it.  With
 * `durable` also fsync, else the page cache is trusted. */
static int write_file(const struct store *s, const char *path, const char *text)
{
	AUTO_FREE char *tmp = NULL;
	AUTO_CLOSE int fd = -1;
	int rc;

	if (s->durable)
		return file_write_durable(path, text, strlen(text), 0600);
	tmp = str_printf("%s.tmp", path);
	if (!tmp)
		return -ENOMEM;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = fd_write_all(fd, text, strlen(text));
	if (!rc && rename(tmp, path) < 0)
		rc = -errno;
	return rc;
}

/* write_file() that makes the folder when it is missing. */
static int write_below(const struct store *s, const char *path,
		       const char *text)
{
	AUTO_FREE char *dir = NULL;
	int rc = write_file(s, path, text);

	if (rc != -ENOENT)
		return rc;
	dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	if (!dir)
		return -ENOMEM;
	rc = dir_make(dir, 0700);
	return rc < 0 ? rc : write_file(s, path, text);
}

/* ---- buckets ---- */

int disk_make_bucket(const struct store *s, const struct bucket_info *info)
{
	AUTO_FREE char *path =
		str_printf("%s/buckets/%s/bucket.json", s->dir, info->name);
	AUTO_FREE char *text = NULL;
	json_t *j = json_pack("{s:I, s:s, s:s, s:i}", "created",
			      (json_int_t)info->created_ms, "acl", info->acl,
			      "storage_class", info->storage_class,
			      "versioning", (int)info->versioning);

	if (j)
		text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	if (!path || !text)
		return -ENOMEM;
	return write_below(s, path, text);
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_tree(const char *path)
{
	if (nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) < 0)
		log_warn("store: cannot remove: folder=%s", LOG_Q(path));
}

int disk_remove_bucket(const struct store *s, const char *name)
{
	AUTO_FREE char *path = str_printf("%s/buckets/%s", s->dir, name);

	if (!path)
		return -ENOMEM;
	remove_tree(path);
	return 0;
}

/* ---- objects ---- */

int disk_write_object(const struct store *s, const char *bucket,
		      const struct object *o)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	int rc = object_to_json(o, &text);

	if (!rc)
		rc = object_path(s, bucket, o->key, &path);
	return rc < 0 ? rc : write_below(s, buf_str(&path), buf_str(&text));
}

void disk_remove_object(const struct store *s, const char *bucket,
			const char *key)
{
	AUTO(buf_release) struct buf path = BUF_INIT;

	/* Seeded objects have no file. */
	if (object_path(s, bucket, key, &path) < 0 ||
	    (unlink(buf_str(&path)) < 0 && errno != ENOENT))
		log_warn("store: cannot remove object: key=%s", LOG_Q(key));
}

/* ---- uploads ---- */

int disk_write_upload(const struct store *s, const char *bucket,
		      const struct upload *u)
{
	AUTO_FREE char *path = str_printf(
		"%s/buckets/%s/uploads/%s/upload.json", s->dir, bucket, u->id);
	AUTO(buf_release) struct buf text = BUF_INIT;
	int rc = path ? object_to_json(u->proto, &text) : -ENOMEM;

	return rc < 0 ? rc : write_below(s, path, buf_str(&text));
}

int disk_write_part(const struct store *s, const char *bucket, const char *id,
		    const struct part *p)
{
	AUTO_FREE char *path = str_printf("%s/buckets/%s/uploads/%s/%u.part",
					  s->dir, bucket, id, p->number);
	AUTO(buf_release) struct buf text = BUF_INIT;

	buf_addf(&text,
		 "{\"number\":%u,\"etag\":\"%s\",\"mtime\":%" PRId64
		 ",\"body\":",
		 p->number, p->etag, p->mtime_ms);
	body_to_json(p->body, &text);
	buf_addc(&text, '}');
	if (!path || buf_error(&text) < 0)
		return -ENOMEM;
	return write_below(s, path, buf_str(&text));
}

void disk_remove_upload(const struct store *s, const char *bucket,
			const char *id)
{
	AUTO_FREE char *path =
		str_printf("%s/buckets/%s/uploads/%s", s->dir, bucket, id);

	if (path)
		remove_tree(path);
}

/* ---- loading ---- */

struct known_blob {
	char name[BLOB_NAME_LEN];
	struct blob *blob;
	UT_hash_handle hh;
};

struct loader {
	struct store *store;
	struct known_blob *blobs; /* one reference each while loading */
};

static struct blob *adopt(void *arg, const char *name)
{
	struct loader *l = arg;
	struct known_blob *k;

	HASH_FIND_STR(l->blobs, name, k);
	if (k)
		return blob_get(k->blob);
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->blob = blob_adopt(l->store->blobs, name);
	if (!k->blob) {
		free(k);
		return NULL;
	}
	memcpy(k->name, k->blob->name, sizeof(k->name));
	HASH_ADD_STR(l->blobs, name, k);
	return blob_get(k->blob);
}

static bool is_known(void *arg, const char *name)
{
	const struct loader *l = arg;
	struct known_blob *k;

	HASH_FIND_STR(l->blobs, name, k);
	return k != NULL;
}

/* Call fn for each entry of a folder whose name ends in suffix. */
static int each_entry(const char *dir, const char *suffix,
		      int (*fn)(void *arg, const char *path, const char *name),
		      void *arg)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int rc = 0;

	/* A stray file where a folder belongs holds nothing of ours. */
	if (!d)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (!rc && (e = readdir(d))) {
		AUTO_FREE char *path = str_printf("%s/%s", dir, e->d_name);
		size_t len = strlen(e->d_name);

		if (!path)
			rc = -ENOMEM;
		else if (e->d_name[0] != '.' && len >= strlen(suffix) &&
			 strcmp(e->d_name + len - strlen(suffix), suffix) == 0)
			rc = fn(arg, path, e->d_name);
	}
	closedir(d);
	return rc;
}

struct bucket_loader {
	struct loader *loader;
	struct bucket *bucket;
	struct upload *upload;
};

static int load_object(void *arg, const char *path, const char *name)
{
	const struct bucket_loader *l = arg;
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(object_putp) struct object *o = NULL;
	int rc = file_read(path, JSON_MAX, &text);

	(void)name;
	if (!rc)
		rc = object_from_json(buf_str(&text), adopt, l->loader, &o);
	if (!rc)
		rc = index_set(l->bucket->index, o);
	if (rc < 0) {
		log_err("store: cannot load object: file=%s errno=%d",
			LOG_Q(path), -rc);
		return rc;
	}
	o = NULL; /* the index has it */
	return 0;
}

static int load_object_folder(void *arg, const char *path, const char *name)
{
	(void)name;
	return each_entry(path, ".json", load_object, arg);
}

static int part_from_json(const json_t *j, struct loader *l, struct part *out)
{
	const char *etag = json_string_value(json_object_get(j, "etag"));
	struct part p = {0};
	int rc;

	p.number = (unsigned)json_integer_value(json_object_get(j, "number"));
	p.mtime_ms = json_integer_value(json_object_get(j, "mtime"));
	if (!etag || !p.number)
		return -EINVAL;
	snprintf(p.etag, sizeof(p.etag), "%s", etag);
	rc = body_from_json(json_object_get(j, "body"), adopt, l, &p.body);
	if (rc < 0)
		return rc;
	*out = p;
	return 0;
}

static int load_part(void *arg, const char *path, const char *name)
{
	const struct bucket_loader *l = arg;
	json_t *j = json_load_file(path, 0, NULL);
	struct part p;
	int rc = j ? part_from_json(j, l->loader, &p) : -EINVAL;

	(void)name;
	json_decref(j);
	if (!rc) {
		rc = upload_set_part(l->upload, &p);
		if (rc < 0)
			body_put(p.body);
	}
	if (rc < 0)
		log_err("store: cannot load part: file=%s errno=%d",
			LOG_Q(path), -rc);
	return rc;
}

static int load_upload_object(const char *dir, struct loader *l,
			      struct object **out)
{
	AUTO_FREE char *path = str_printf("%s/upload.json", dir);
	AUTO(buf_release) struct buf text = BUF_INIT;
	int rc = path ? file_read(path, JSON_MAX, &text) : -ENOMEM;

	return rc < 0 ? rc : object_from_json(buf_str(&text), adopt, l, out);
}

static int load_upload(void *arg, const char *path, const char *name)
{
	struct bucket_loader *l = arg;
	struct object *proto = NULL;
	struct upload *u;
	int rc = load_upload_object(path, l->loader, &proto);

	if (rc < 0) {
		/* Died between mkdir and the file: nothing was promised. */
		log_warn("store: upload without its file: folder=%s",
			 LOG_Q(path));
		return 0;
	}
	u = upload_new(name, proto, proto->mtime_ms);
	if (!u) {
		object_put(proto);
		return -ENOMEM;
	}
	l->upload = u;
	rc = each_entry(path, ".part", load_part, l);
	HASH_ADD_STR(l->bucket->uploads, id, u);
	return rc;
}

static int load_bucket_info(const char *dir, const char *name,
			    struct bucket_info *out)
{
	AUTO_FREE char *path = str_printf("%s/bucket.json", dir);
	json_t *j = path ? json_load_file(path, 0, NULL) : NULL;
	const char *acl = json_string_value(json_object_get(j, "acl"));
	const char *cls =
		json_string_value(json_object_get(j, "storage_class"));
	struct bucket_info info = {0};

	if (!acl || !cls) {
		json_decref(j);
		return -EINVAL;
	}
	snprintf(info.name, sizeof(info.name), "%s", name);
	snprintf(info.acl, sizeof(info.acl), "%s", acl);
	snprintf(info.storage_class, sizeof(info.storage_class), "%s", cls);
	info.created_ms = json_integer_value(json_object_get(j, "created"));
	info.versioning = (enum versioning)json_integer_value(
		json_object_get(j, "versioning"));
	json_decref(j);
	*out = info;
	return 0;
}

static int load_bucket(void *arg, const char *path, const char *name)
{
	struct loader *l = arg;
	struct bucket_info info;
	struct bucket_loader bl = {.loader = l};
	AUTO_FREE char *objects = str_printf("%s/objects", path);
	AUTO_FREE char *uploads = str_printf("%s/uploads", path);
	struct store *s = l->store;
	int rc = load_bucket_info(path, name, &info);

	if (rc < 0) {
		log_warn("store: not a bucket: folder=%s", LOG_Q(path));
		return 0;
	}
	bl.bucket = bucket_new(&info);
	if (!bl.bucket || !objects || !uploads)
		return -ENOMEM;
	HASH_ADD_STR(s->buckets, info.name, bl.bucket);
	rc = each_entry(objects, "", load_object_folder, &bl);
	if (!rc)
		rc = each_entry(uploads, "", load_upload, &bl);
	return rc;
}

static void loader_release(struct loader *l)
{
	struct known_blob *k;
	struct known_blob *next;

	HASH_ITER(hh, l->blobs, k, next)
	{
		HASH_DEL(l->blobs, k);
		blob_put(k->blob);
		free(k);
	}
}

int disk_load(struct store *s)
{
	struct loader l = {.store = s};
	AUTO_FREE char *dir = str_printf("%s/buckets", s->dir);
	int rc = dir ? dir_make(dir, 0700) : -ENOMEM;

	if (!rc)
		rc = each_entry(dir, "", load_bucket, &l);
	if (!rc)
		blob_store_sweep(s->blobs, is_known, &l);
	else
		atomic_store(&s->blobs->closing, true); /* keep the files */
	loader_release(&l);
	return rc;
}
