/* SPDX-License-Identifier: Apache-2.0 */
#include "upload/env.h"

#include <errno.h>

#include "util/base.h"
#include "util/clock.h"
#include "util/crc64.h"

/* A request that is nearly over gets a chance. */
enum { LEAST_MS = 1000, CRC_BLOCK = 256 << 10 };

struct upload_run *run_new(void)
{
	struct upload_run *run = calloc(1, sizeof(*run));

	if (run)
		atomic_init(&run->refs, 1);
	return run;
}

struct upload_run *run_get(struct upload_run *run)
{
	atomic_fetch_add(&run->refs, 1);
	return run;
}

void run_put(struct upload_run *run)
{
	if (run && atomic_fetch_sub(&run->refs, 1) == 1)
		free(run);
}

struct oss_ctl run_ctl(const struct upload_env *env, struct upload_run *run)
{
	int64_t now = clock_mono_ms();
	int64_t began = atomic_load(&run->began_ms);
	int64_t last = atomic_load(&run->last_ms);
	int64_t until = last > began ? last : began;

	/* Of a file that is still written no attempt has begun. */
	until = (until ? until : now) + env->conf.retry_deadline_ms;
	if (until < now + LEAST_MS)
		until = now + LEAST_MS;
	return (struct oss_ctl){
		.deadline_ms = until,
		.cancel = &run->cancel,
		.progress = &run->sent,
	};
}

void run_moved(struct upload_run *run)
{
	atomic_store(&run->last_ms, clock_mono_ms());
}

int staged_fill(const struct upload_env *env, struct staging *s,
		struct upload_run *run, uint64_t off, uint64_t len)
{
	uint64_t miss_off, miss_len, fetched = UINT64_MAX;
	int rc = 0;

	while (rc == 0 && staging_missing(s, off, len, &miss_off, &miss_len)) {
		if (miss_off == fetched) /* the object ends before */
			return -ESTALE;
		fetched = miss_off;
		if (atomic_load(&run->cancel))
			return -ECANCELED;
		if (!env->deps.fetch)
			return -ENODATA;
		rc = env->deps.fetch(env->deps.fetch_arg, s, miss_off,
				     miss_len);
		/* The object that it shares bytes with is gone. */
		if (rc == -ENOENT)
			rc = -ESTALE;
		if (rc == 0)
			run_moved(run);
	}
	return rc;
}

static ssize_t source_read(void *arg, void *to, size_t len, uint64_t off)
{
	struct staged_source *from = arg;
	ssize_t n = staging_pread(from->s, to, len, from->off + off);

	if (n == 0) /* it was truncated meanwhile */
		return -EIO;
	if (n > 0) {
		run_moved(from->run);
		if (from->whole > 0)
			atomic_store(&from->run->is_sent,
				     off + (uint64_t)n == from->whole);
	}
	return n;
}

struct oss_source staged_source(struct staged_source *from, uint64_t len)
{
	return (struct oss_source){
		.read = source_read, .arg = from, .size = len};
}

int staged_crc64(struct staging *s, uint64_t *out)
{
	AUTO_FREE char *block = malloc(CRC_BLOCK);
	uint64_t size = staging_size(s);
	uint64_t crc = 0, miss_off, miss_len;

	if (!block)
		return -ENOMEM;
	if (size > 0 && staging_missing(s, 0, size, &miss_off, &miss_len))
		return -ENODATA;
	for (uint64_t off = 0; off < size;) {
		ssize_t n = staging_pread(s, block, CRC_BLOCK, off);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		crc = crc64_update(crc, block, (size_t)n);
		off += (uint64_t)n;
	}
	*out = crc;
	return 0;
}
