/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the parts of the uploader share: its surroundings, and what steers one
 * attempt.
 *
 * Layer    upload (internal).
 */
#ifndef ACKFS_UPLOAD_ENV_H
#define ACKFS_UPLOAD_ENV_H

#include <stdatomic.h>
#include <stdint.h>

#include "upload/uploader.h"

struct part_pool;

/** Constant while uploads run, is_ending excepted. */
struct upload_env {
	struct uploader_conf conf; /* strings owned by the uploader */
	struct uploader_deps deps;
	struct part_pool *parts;
	/* Hears of each callback that was made, or, without an outcome, is to be
	   made (upload/recall.c); set before anything runs. */
	struct {
		void (*made)(void *arg, const char *url,
			     const struct callback_outcome *o);
		void (*release)(void *arg);
		void *arg;
	} recall;
	atomic_bool is_ending;   /* the mount ends: break off what takes long */
	int64_t started_real_ms; /* files closed before were perhaps sent by
				    another run */
};

/** Steers and watches one file's upload; shared with whoever cancels it. */
struct upload_run {
	atomic_int refs;
	atomic_bool cancel;
	_Atomic uint64_t sent;    /* body bytes, repeated ones too */
	_Atomic int64_t began_ms; /* clock_mono_ms() of the attempt */
	_Atomic int64_t last_ms;  /* of the last byte that was read */
	atomic_bool is_sent;      /* the last byte is out: let it finish */
};

/** With one reference; NULL: no memory. */
struct upload_run *run_new(void);
struct upload_run *run_get(struct upload_run *run);
/** NULL is fine. */
void run_put(struct upload_run *run);

/**
 * For one request: it, and the client's repetitions of it, end retry_deadline
 * after the last byte that moved (the client itself lets a transfer that moves
 * go on past that).
 */
struct oss_ctl run_ctl(const struct upload_env *env, struct upload_run *run);
/** Something went forward. */
void run_moved(struct upload_run *run);

/** Bring [off, off+len) of the base into the staged file where it is missing.
 *  @return 0, -ECANCELED, -ESTALE (the base has changed), -errno */
int staged_fill(const struct upload_env *env, struct staging *s,
		struct upload_run *run, uint64_t off, uint64_t len);

/** A range of a staged file as a request's body. */
struct staged_source {
	struct staging *s;
	uint64_t off;
	struct upload_run *run;
	uint64_t whole; /* > 0: the only body of its upload, so many bytes long:
			   run->is_sent follows it */
};
struct oss_source staged_source(struct staged_source *from, uint64_t len);

/** CRC-64 of the whole local file. @return 0; -ENODATA: parts are missing;
 *  -errno */
int staged_crc64(struct staging *s, uint64_t *out);

#endif
