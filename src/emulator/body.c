/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "emulator/object.h"
#include "util/crc64.h"
#include "util/fileio.h"

#define READ_CHUNK ((size_t)256 << 10)

struct body *body_new(size_t count)
{
	struct body *b = calloc(1, sizeof(*b) + count * sizeof(b->segs[0]));

	if (b)
		atomic_init(&b->refs, 1);
	return b;
}

struct body *body_get(struct body *b)
{
	atomic_fetch_add(&b->refs, 1);
	return b;
}

void body_put(struct body *b)
{
	if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	for (size_t i = 0; i < b->count; i++)
		blob_put(b->segs[i].blob);
	free(b);
}

void body_putp(struct body **b)
{
	body_put(*b);
}

void body_append(struct body *b, struct segment seg)
{
	b->crc = crc64_combine(b->crc, seg.crc, seg.len);
	b->size += seg.len;
	b->segs[b->count++] = seg;
}

struct body *body_of_blob(struct blob *blob, uint64_t len, uint64_t crc)
{
	struct body *b = body_new(1);

	if (!b)
		return NULL;
	body_append(b, (struct segment){blob, 0, len, crc});
	return b;
}

struct body *body_concat(struct body *const *parts, size_t count)
{
	size_t total = 0;
	struct body *b;

	for (size_t i = 0; i < count; i++)
		total += parts[i]->count;
	b = body_new(total);
	if (!b)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < parts[i]->count; k++) {
			struct segment seg = parts[i]->segs[k];

			blob_get(seg.blob);
			body_append(b, seg);
		}
	}
	return b;
}

/* Call fn for every chunk of [off, off + len) of one blob. */
static int read_range(const struct segment *seg, uint64_t off, uint64_t len,
		      int (*fn)(void *arg, const void *data, size_t len),
		      void *arg)
{
	AUTO_FREE char *chunk = malloc(READ_CHUNK);
	AUTO_CLOSE int fd = blob_open(seg->blob);

	if (!chunk)
		return -ENOMEM;
	if (fd < 0)
		return fd;
	for (uint64_t done = 0; done < len;) {
		size_t want = len - done < READ_CHUNK ? (size_t)(len - done)
						      : READ_CHUNK;
		ssize_t n =
			fd_pread_all(fd, chunk, want, seg->off + off + done);
		int rc;

		if (n < 0 || (size_t)n != want)
			return n < 0 ? (int)n : -EIO;
		rc = fn(arg, chunk, want);
		if (rc < 0)
			return rc;
		done += want;
	}
	return 0;
}

static int add_crc(void *arg, const void *data, size_t len)
{
	uint64_t *crc = arg;

	*crc = crc64_update(*crc, data, len);
	return 0;
}

/* The part of seg inside [off, off + len) of the body; *pos is where seg
 * begins and moves on. */
static int slice_segment(const struct segment *seg, uint64_t pos, uint64_t off,
			 uint64_t len, struct body *out)
{
	uint64_t begin = off > pos ? off - pos : 0;
	uint64_t end = off + len < pos + seg->len ? off + len - pos : seg->len;
	struct segment cut = *seg;
	int rc;

	if (off + len <= pos || begin >= end)
		return 0;
	cut.off += begin;
	cut.len = end - begin;
	if (cut.len != seg->len) {
		cut.crc = 0;
		rc = read_range(seg, begin, cut.len, add_crc, &cut.crc);
		if (rc < 0)
			return rc;
	}
	blob_get(cut.blob);
	body_append(out, cut);
	return 0;
}

int body_slice(const struct body *b, uint64_t off, uint64_t len,
	       struct body **out)
{
	AUTO(body_putp) struct body *cut = body_new(b->count);
	uint64_t pos = 0;

	if (!cut)
		return -ENOMEM;
	for (size_t i = 0; i < b->count; i++) {
		int rc = slice_segment(&b->segs[i], pos, off, len, cut);

		if (rc < 0)
			return rc;
		pos += b->segs[i].len;
	}
	*out = take_ptr(cut);
	return 0;
}

static ssize_t pread_segment(const struct segment *seg, void *data, size_t len,
			     uint64_t off)
{
	AUTO_CLOSE int fd = blob_open(seg->blob);

	if (fd < 0)
		return fd;
	return fd_pread_all(fd, data, len, seg->off + off);
}

ssize_t body_pread(const struct body *b, void *data, size_t len, uint64_t off)
{
	size_t done = 0;
	uint64_t pos = 0;

	for (size_t i = 0; i < b->count && done < len; i++) {
		const struct segment *seg = &b->segs[i];
		uint64_t at = off + done;

		if (at >= pos && at < pos + seg->len) {
			uint64_t left = pos + seg->len - at;
			size_t want =
				len - done < left ? len - done : (size_t)left;
			ssize_t n = pread_segment(seg, (char *)data + done,
						  want, at - pos);

			if (n < 0)
				return n;
			done += (size_t)n;
			if ((size_t)n < want)
				break;
		}
		pos += seg->len;
	}
	return (ssize_t)done;
}

static int add_md5(void *arg, const void *data, size_t len)
{
	return EVP_DigestUpdate(arg, data, len) ? 0 : -EIO;
}

int body_md5(const struct body *b, unsigned char out[16])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = ctx ? 0 : -ENOMEM;

	if (!rc && !EVP_DigestInit_ex(ctx, EVP_md5(), NULL))
		rc = -EIO;
	for (size_t i = 0; !rc && i < b->count; i++)
		rc = read_range(&b->segs[i], 0, b->segs[i].len, add_md5, ctx);
	if (!rc && !EVP_DigestFinal_ex(ctx, out, NULL))
		rc = -EIO;
	EVP_MD_CTX_free(ctx);
	return rc;
}
