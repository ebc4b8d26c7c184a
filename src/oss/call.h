/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One operation: signed, sent, judged, and repeated while that makes sense.
 * The operations themselves are in object.c, get.c, list.c and multipart.c.
 *
 * Layer    oss, private to it.
 * Threads  a call belongs to one thread; clients are shared.
 */
#ifndef ACKFS_OSS_CALL_H
#define ACKFS_OSS_CALL_H

#include "http/request.h"
#include "oss/client.h"
#include "oss/endpoint.h"

struct oss_client {
	struct endpoint endpoint;
	enum oss_signature signature;
	struct credentials *creds; /* borrowed */
	struct signer *signer;
	struct http_pool *pool;
	int64_t request_timeout_ms;
	_Atomic int64_t clock_offset_ms; /* the server's minus ours */
};

struct oss_call {
	const char *name; /* "PutObject", for the log */
	const char *method;
	const char *key; /* NULL: the bucket */
	struct kvs query;
	struct kvs headers;
	const struct oss_source *body; /* NULL: none */
	bool is_data; /* the body is an object's, or a part's: compare CRC-64s */
	bool bulk;    /* not ahead of small requests */
	bool once;    /* not again when it may have worked */
	size_t answer_max;      /* of the answer's body; 0: 1 MiB */
	uint64_t expected_size; /* of what take() gets */

	/** Before each attempt; sets headers.  May be NULL. */
	int (*prepare)(void *arg, struct oss_call *call);
	/** The head of a 2xx of OSS's: for calls whose body goes to write().
	 *  @return 0; -errno with a code in reply; -EBADMSG: "BadAnswer" */
	int (*begin)(void *arg, const struct http_response *r,
		     struct oss_reply *reply);
	int (*write)(void *arg, const void *data, size_t len);
	/** A complete 2xx of OSS's: read it.  @return as begin() */
	int (*accept)(void *arg, const struct http_response *r,
		      struct oss_reply *reply);
	void *arg;
	bool enough; /* set by write(): it has all that is wanted */

	/* Results besides the response. */
	uint64_t sent_crc; /* CRC-64 of the last body that was sent whole */
};

void oss_call_release(struct oss_call *call);

/**
 * @param resp   initialised; the last attempt's, the caller's to release
 * @param reply  may be NULL
 * @return 0 or -errno, as store.h says
 */
int oss_call_run(struct oss_client *c, struct oss_call *call,
		 const struct oss_ctl *ctl, struct http_response *resp,
		 struct oss_reply *reply);
/** The same for callers that need accept() alone. */
int oss_call_do(struct oss_client *c, struct oss_call *call,
		const struct oss_ctl *ctl, struct oss_reply *reply);

/** The answer of a write that may have had a callback: its body moves. */
int oss_take_result(struct http_response *resp, const struct oss_callback *cb,
		    struct oss_put_result *out);

/* The operations (store.h); self is the client. */
int oss_put(void *self, const char *key, const struct oss_source *body,
	    const struct oss_props *props, const struct oss_callback *cb,
	    const struct oss_ctl *ctl, struct oss_put_result *out);
int oss_get(void *self, const char *key, uint64_t off, uint64_t len,
	    const char *if_match, const struct oss_sink *to,
	    const struct oss_ctl *ctl, struct oss_object *object,
	    struct oss_reply *reply);
int oss_head(void *self, const char *key, const struct oss_ctl *ctl,
	     struct oss_object *out, struct oss_reply *reply);
int oss_remove(void *self, const char *key, const struct oss_ctl *ctl,
	       struct oss_reply *reply);
int oss_remove_many(void *self, const char *const *keys, size_t count,
		    const struct oss_ctl *ctl, bool *failed,
		    struct oss_reply *reply);
int oss_copy_object(void *self, const struct oss_copy *cp,
		    const struct oss_ctl *ctl, struct oss_put_result *out);
int oss_list_objects(void *self, const struct oss_list *l,
		     const struct oss_ctl *ctl, struct oss_list_page *out);
int oss_initiate(void *self, const char *key, const struct oss_props *props,
		 const struct oss_ctl *ctl, char **upload_id,
		 struct oss_reply *reply);
int oss_upload_part(void *self, const char *key, const char *upload_id,
		    int number, const struct oss_source *body,
		    const struct oss_ctl *ctl, struct oss_part *out,
		    struct oss_reply *reply);
int oss_upload_part_copy(void *self, const char *key, const char *upload_id,
			 int number, const char *src_key, const char *src_etag,
			 uint64_t off, uint64_t len, const struct oss_ctl *ctl,
			 struct oss_part *out, struct oss_reply *reply);
int oss_complete(void *self, const char *key, const char *upload_id,
		 const struct oss_part *parts, size_t count,
		 bool forbid_overwrite, const struct oss_callback *cb,
		 const struct oss_ctl *ctl, struct oss_put_result *out);
int oss_abort(void *self, const char *key, const char *upload_id,
	      const struct oss_ctl *ctl, struct oss_reply *reply);
int oss_list_parts(void *self, const char *key, const char *upload_id,
		   const struct oss_ctl *ctl, struct oss_part **parts,
		   size_t *count, struct oss_reply *reply);
int oss_list_uploads(void *self, const char *prefix, const struct oss_ctl *ctl,
		     struct oss_upload **uploads, size_t *count,
		     struct oss_reply *reply);
int oss_get_tags(void *self, const char *key, const struct oss_ctl *ctl,
		 char **tags, struct oss_reply *reply);
int oss_get_acl(void *self, const char *key, const struct oss_ctl *ctl,
		char **acl, struct oss_reply *reply);

#endif
