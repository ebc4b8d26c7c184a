/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Faults: rules, set while the server runs, for what is to go wrong.
 *
 * A rule names operations and keys by glob, how often it applies (count,
 * probability by a seed, a number of matches to let pass), and the fault.
 *
 * Threads  any.
 */
#ifndef ACKFS_EMULATOR_FAULTS_H
#define ACKFS_EMULATOR_FAULTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct faults;

enum fault_kind {
	FAULT_NONE,
	FAULT_STATUS,       /* answer status, code and message; do nothing */
	FAULT_HTML,         /* the same with a body of HTML */
	FAULT_GARBAGE,      /* do it, and answer bytes that are not XML */
	FAULT_RESET_BEFORE, /* reset before the body is read */
	FAULT_RESET_DURING, /* reset after `bytes` of the body */
	FAULT_RESET_STORED, /* do it, but reset before any callback */
	FAULT_RESET_AFTER,  /* do it all, then reset instead of answering */
	FAULT_STALL,        /* wait `ms` (0: until cleared) before doing it */
	FAULT_STALL_AFTER,  /* wait so before answering */
	FAULT_LATENCY,      /* `ms` more before answering */
	FAULT_BANDWIDTH,    /* `rate` bytes a second, both ways */
	FAULT_TRICKLE,      /* the answer's body at `rate` bytes a second */
	FAULT_TRUNCATE,     /* close after `bytes` of the answer's body */
	FAULT_WRONG_CRC,    /* x-oss-hash-crc64ecma is off by one bit */
	FAULT_CORRUPT,      /* one byte of the answer's body is flipped */
	FAULT_SKIP,         /* callbacks: none is made, the answer is `body` */
	FAULT_TIMEOUT,      /* callbacks: as if none came in time */
	FAULT_REFUSE,       /* callbacks: as if nobody listened */
};

/** One fault that hit; plain data. */
struct fault {
	enum fault_kind kind;
	uint64_t rule; /* its number */
	int status;
	char code[64];
	char message[256];
	int64_t ms;
	uint64_t bytes;
	uint64_t rate;
	char body[1024];
};

const char *fault_kind_name(enum fault_kind k);

int faults_new(struct faults **out);
void faults_free(struct faults *f);
/**
 * Add a rule, or an array of them.
 * @param ids  gets a JSON array of their numbers; the caller's
 * @return 0; -EINVAL with what is wrong in *why (static text)
 */
int faults_add(struct faults *f, const json_t *rules, json_t **ids,
	       const char **why);
/** Remove one rule, or all for 0, and let what stalls go on. */
void faults_clear(struct faults *f, uint64_t id);
/** All rules with their hits; NULL: no memory */
json_t *faults_list(struct faults *f);
/**
 * What is to happen to this request: the first rule that matches and is due.
 * @return false: nothing (*out is FAULT_NONE)
 */
bool faults_hit(struct faults *f, const char *operation, const char *bucket,
		const char *key, struct fault *out);
/**
 * Wait ms (0: for ever), or until the rule is cleared, or faults_stop(), or
 * is_gone() says that the client hung up.
 * @return false when the client is gone or the server stops
 */
bool faults_stall(struct faults *f, uint64_t rule, int64_t ms,
		  bool (*is_gone)(int fd), int fd);
/** End all waits for good. */
void faults_stop(struct faults *f);

#endif
