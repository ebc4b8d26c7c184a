/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One request and its answer, apart from the HTTP library.
 *
 * exchange_init(), headers into x->req, exchange_begin(), exchange_body() for
 * what arrives, exchange_finish(), then the reply is in x->reply.  Operations
 * have a `begin` (checks before the body is read) and a `finish`.
 *
 * Layer    emulator.
 * Threads  an exchange belongs to one thread.
 */
#ifndef ACKFS_EMULATOR_EXCHANGE_H
#define ACKFS_EMULATOR_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/blob.h"
#include "emulator/errors.h"
#include "emulator/faults.h"
#include "emulator/object.h"
#include "emulator/request.h"
#include "util/buf.h"

struct emulator;
struct exchange;
struct callback;

enum level {
	LEVEL_SERVICE,
	LEVEL_BUCKET,
	LEVEL_OBJECT,
};

struct operation {
	const char *name; /* as the request log and the faults call it */
	const char *method;
	enum level level;
	const char *query;  /* parameter that must be there; NULL: none */
	const char *query2; /* and another */
	const char *header; /* header that must be there; NULL: none */
	bool is_write;
	bool s3_only;
	/** Before the body: may fail, chooses the sink. NULL: no checks */
	int (*begin)(struct exchange *x);
	/** After the body. */
	int (*finish)(struct exchange *x);
};

enum sink_kind {
	SINK_DISCARD,
	SINK_MEMORY,
	SINK_BLOB,
};

struct sink {
	enum sink_kind kind;
	struct buf memory;
	struct blob_writer blob;
	uint64_t received;
	uint64_t max; /* of SINK_MEMORY */
	int err;      /* sticky */
};

struct reply {
	int status;
	struct kvs headers;
	struct buf body;
	struct object *object; /* its bytes are the body; one reference */
	uint64_t offset;       /* of them */
	uint64_t length;
	char code[64];  /* OSS's, for the log; "" for none */
	bool head_only; /* Content-Length is `length`, no bytes */
};

enum auth_kind {
	AUTH_NONE,
	AUTH_V1,
	AUTH_V1_QUERY,
	AUTH_V4,
	AUTH_V4_QUERY,
	AUTH_AWS4,
	AUTH_AWS4_QUERY,
	AUTH_FORM,
};

struct exchange {
	struct emulator *em;
	struct request req;
	const struct operation *op; /* NULL: none was found */
	enum auth_kind auth;
	struct sink sink;
	struct object *object; /* of an upload: what comes before the body */
	struct reply reply;
	bool is_decided; /* the reply is made; nothing more to do */
	int64_t now_ms;  /* the emulator's clock at the start */
	int64_t start_ms;
	struct callback *callback;  /* of this upload; NULL: none */
	const char *callback_state; /* for the log: NULL, "ok", "failed" */
	struct fault fault;  /* what is to go wrong; kind NONE: nothing */
	struct form *form;   /* PostObject's parser */
	uint64_t rate;       /* x-oss-traffic-limit in bytes; 0: none */
	uint64_t connection; /* number, for the log */
	int socket_fd;       /* -1 in tests */
};

/** @return 0, -EINVAL (target), -ENOMEM; release it in every case */
int exchange_init(struct exchange *x, struct emulator *em, const char *method,
		  const char *target);
void exchange_release(struct exchange *x);
/** Authenticate, route, check.  Afterwards x->is_decided may be set. */
void exchange_begin(struct exchange *x);
void exchange_body(struct exchange *x, const void *data, size_t len);
/** Afterwards the reply is complete. */
void exchange_finish(struct exchange *x);
/** The operation's name, "-" for none. */
const char *exchange_op_name(const struct exchange *x);

/* ---- for operations ---- */

/** What `fail` functions return; begin and finish pass it on. */
#define DECIDED (-125)

/** Make the error reply. @return DECIDED */
int fail(struct exchange *x, enum oss_err err);
/** The same with one more element. */
int fail_with(struct exchange *x, enum oss_err err, const char *name,
	      const char *value);
/** InvalidArgument with ArgumentName, ArgumentValue and a message. */
int fail_argument(struct exchange *x, enum oss_err err, const char *message,
		  const char *name, const char *value);
/** An error of the store: -ENODEV and so on (store.h), or InternalError. */
int fail_errno(struct exchange *x, int rc);
/** Any status and message, with further elements. */
int fail_custom(struct exchange *x, const struct oss_err_info *e,
		const struct kvs *elements);
/** 203: stored, but the callback failed; the upload's headers stay. */
void reply_callback_failed(struct exchange *x, const char *message,
			   const char *ec);

void reply_status(struct exchange *x, int status);
void reply_header(struct exchange *x, const char *name, const char *value);
void reply_headerf(struct exchange *x, const char *name, const char *fmt, ...)
	ACK_PRINTF(3, 4);
/** Content-Type, XML declaration and the root's start tag. */
struct buf *reply_xml(struct exchange *x, const char *root);

/** The ETag with quotes, in the dialect's case. @return out */
const char *quoted_etag(const struct exchange *x, const char *etag,
			char out[ETAG_MAX + 4]);
/** ETag, CRC and version id of a stored object. */
void reply_stored(struct exchange *x, const struct object *o);

/** Route the body. @return 0 or DECIDED */
int sink_to_memory(struct exchange *x, uint64_t max);
int sink_to_blob(struct exchange *x, bool want_md5);

#endif
