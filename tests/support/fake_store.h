/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A store in memory (oss/store.h) for tests of the layers above: it keeps
 * objects and uploads, records callbacks, counts calls, and fails, breaks off,
 * loses an answer or stands still on demand.
 *
 *     struct fake_store *f = fake_store_new();
 *     struct store s = fake_store_store(f);
 *     fake_store_fail(f, &(struct fake_fault){
 *             .op = FAKE_PUT, .nth = 2, .err = -EIO, .http = 503,
 *             .code = "ServiceUnavailable"});
 *     ...
 *     fake_store_free(f);
 *
 * It does not retry: each call of the table is one attempt.  Running out of
 * memory aborts the test.
 *
 * Threads  any.  Sources, sinks and the hook run without a lock held.
 */
#ifndef ACKFS_TESTS_FAKE_STORE_H
#define ACKFS_TESTS_FAKE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oss/store.h"

struct fake_store;

enum fake_op {
	FAKE_PUT,
	FAKE_GET,
	FAKE_HEAD,
	FAKE_REMOVE,
	FAKE_REMOVE_MANY,
	FAKE_COPY,
	FAKE_LIST,
	FAKE_INITIATE,
	FAKE_UPLOAD_PART,
	FAKE_UPLOAD_PART_COPY,
	FAKE_COMPLETE,
	FAKE_ABORT,
	FAKE_LIST_PARTS,
	FAKE_LIST_UPLOADS,
	FAKE_GET_TAGS,
	FAKE_GET_ACL,
	FAKE_OPS /* their number */
};

struct fake_store *fake_store_new(void);
/** No call may be running. */
void fake_store_free(struct fake_store *f);
struct store fake_store_store(struct fake_store *f);

/* ---- failures ---------------------------------------------------------- */

struct fake_fault {
	enum fake_op op;
	const char *key;  /* calls about this key only; NULL: any */
	int nth;          /* the nth such call from now; 0 or 1: the next */
	int times;        /* how many calls from there; 0: one; -1: all */
	int err;          /* what the call returns: -errno */
	int http;         /* reply.http; 0: no answer came */
	const char *code; /* reply.code; NULL: "" */
	/* The body breaks off after so many bytes of source or sink (nothing
	   is stored).  0: the call fails at once, nothing is read. */
	uint64_t after_bytes;
	/* The operation takes place, then its answer is lost: err is returned
	   with reply.sent_all. */
	bool stored;
};

/** Strings are copied.  Faults set first are consulted first. */
void fake_store_fail(struct fake_store *f, const struct fake_fault *fault);
/** Forget all faults. */
void fake_store_heal(struct fake_store *f);

/* ---- standing still ---------------------------------------------------- */

enum fake_point {
	FAKE_BEFORE, /* at the call, nothing read yet */
	FAKE_SENT,   /* the body was read (to half_bytes when given), nothing
			is stored */
	FAKE_STORED, /* it took place; the answer has not come */
};

/**
 * Calls of op (about key; NULL: any) stand still at that point until
 * fake_store_release(), their deadline (-ETIMEDOUT) or their cancel
 * (-ECANCELED).  For FAKE_SENT, bytes > 0 stops in the middle of the body.
 */
void fake_store_block(struct fake_store *f, enum fake_op op, const char *key,
		      enum fake_point at, uint64_t bytes);
/** Let go every call of op, and block no more. */
void fake_store_release(struct fake_store *f, enum fake_op op);
/** Wait until n calls of op stand still. @return false after timeout_ms */
bool fake_store_wait_blocked(struct fake_store *f, enum fake_op op, unsigned n,
			     int timeout_ms);
/** Wait until op was called n times in all. @return false after timeout_ms */
bool fake_store_wait_calls(struct fake_store *f, enum fake_op op, unsigned n,
			   int timeout_ms);

/** Called at the start of each call, before faults and blocks. */
void fake_store_set_hook(struct fake_store *f,
			 void (*fn)(void *arg, enum fake_op op,
				    const char *key),
			 void *arg);

/* ---- counting ---------------------------------------------------------- */

unsigned fake_store_calls(struct fake_store *f, enum fake_op op);
/** Calls of all operations. */
unsigned fake_store_calls_total(struct fake_store *f);
/** Body bytes sent to and received from the store. */
uint64_t fake_store_bytes_in(struct fake_store *f);
uint64_t fake_store_bytes_out(struct fake_store *f);
void fake_store_reset_counts(struct fake_store *f);

/* ---- callbacks --------------------------------------------------------- */

struct fake_callback {
	enum fake_op op; /* FAKE_PUT or FAKE_COMPLETE */
	char *key;
	char *callback; /* the two headers as given (base64) */
	char *vars;     /* may be NULL */
	uint64_t size;
	char etag[72];
};

/** Those performed so far. */
unsigned fake_store_callbacks(struct fake_store *f);
/** The i-th, borrowed until the store is freed. */
const struct fake_callback *fake_store_callback(struct fake_store *f,
						unsigned i);
/**
 * What callbacks answer from now on (times calls, then 200 {"Status":"OK"}
 * again; -1: for ever).
 * @param http  200: body is the application's; 203: body is OSS's XML and
 *              code, message and ec of the reply are set from it
 */
void fake_store_answer(struct fake_store *f, int times, int http,
		       const char *body, const char *body_type);

/* ---- content, as another client would see and change it ---------------- */

/** Store an object as somebody else would: a new ETag and Last-Modified; no
 *  call is counted. */
void fake_store_put_text(struct fake_store *f, const char *key,
			 const char *text);
void fake_store_put_data(struct fake_store *f, const char *key,
			 const void *data, size_t len, const struct kvs *meta);
/** @return whether it was there */
bool fake_store_drop(struct fake_store *f, const char *key);
bool fake_store_has(struct fake_store *f, const char *key);
size_t fake_store_count(struct fake_store *f);
/** A heap copy of the content, NUL-terminated; NULL when there is none. */
char *fake_store_read(struct fake_store *f, const char *key, size_t *len);
/** Is the content exactly this text? */
bool fake_store_is(struct fake_store *f, const char *key, const char *text);
/** Its properties as HEAD tells them. @return 0 or -ENOENT */
int fake_store_stat(struct fake_store *f, const char *key,
		    struct oss_object *out);
/** Multipart uploads that are neither completed nor aborted. */
size_t fake_store_uploads(struct fake_store *f);
/** Give tags ("k=v&k2=v2") or an ACL to an object. */
void fake_store_set_tags(struct fake_store *f, const char *key,
			 const char *tags);
void fake_store_set_acl(struct fake_store *f, const char *key, const char *acl);
/** Answers carry version ids from now on. */
void fake_store_set_versioning(struct fake_store *f, bool on);

#endif
