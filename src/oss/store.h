/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The object store as the layers above see it: one function an operation,
 * behind a table of pointers.  oss/client.c implements it over HTTP;
 * tests/support/fake_store.c in memory, failing on demand.
 *
 * Every call blocks until the operation succeeded, failed for good, its
 * deadline passed or it was cancelled.  Calls retry by themselves (oss/retry.h)
 * what is worth a retry, signing anew each time.  They return 0 or -errno; OSS's
 * own words are in struct oss_reply, filled on failure too.  Structs that a call
 * fills need not be initialised; after a failure they hold nothing but the
 * reply (releasing them is harmless).  A reply pointer may be NULL.
 *
 * Keys are whole keys of the bucket: raw UTF-8, no leading '/', NUL-terminated.
 *
 * Layer    oss.
 * Threads  any; no lock may be held by the caller.
 */
#ifndef ACKFS_OSS_STORE_H
#define ACKFS_OSS_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/kv.h"

/** OSS's limits (oss-protocol 4.1, 4.8, 5.1). */
#define OSS_KEY_MAX 1023
#define OSS_PUT_MAX ((uint64_t)5 << 30)
#define OSS_COPY_MAX ((uint64_t)1 << 30) /* above: UploadPartCopy */
#define OSS_PART_MIN ((uint64_t)100 << 10)
#define OSS_PART_MAX ((uint64_t)5 << 30)
#define OSS_PARTS_MAX 10000
#define OSS_OBJECT_MAX ((uint64_t)48 << 40)
#define OSS_META_MAX 8192
#define OSS_DELETE_MAX 1000

/** What a caller may steer; NULL means the client's defaults, no cancel. */
struct oss_ctl {
	/* clock_mono_ms(); 0: request_timeout from now.  No attempt begins
	   later; a body that is under way then may end, while it moves. */
	int64_t deadline_ms;
	const atomic_bool *cancel;  /* true: give up, -ECANCELED */
	_Atomic uint64_t *progress; /* counts body bytes moved; may be NULL */
	int callback_urls;          /* after the last byte wait for them too
			      (fuse-facts 14); 0: no callback */
};

/** What OSS answered.  Embedded; no ownership. */
struct oss_reply {
	int http; /* status of the last attempt; 0: no answer came */
	int attempts;
	bool sent_all;     /* all of the body was sent: it may be stored */
	int64_t server_ms; /* the Date header, ms since 1970; 0: none */
	char code[64];     /* "NoSuchKey"; ours: "CrcMismatch", "Timeout",
			      "ConnectFailed", "NotOss", ... */
	char message[512];
	char request_id[64];
	char ec[24];
};

/** What OSS knows about one object.  Strings are the holder's. */
struct oss_object {
	uint64_t size;
	int64_t modified_ms; /* Last-Modified, ms since 1970 */
	uint64_t crc64;
	bool has_crc64;
	char etag[72];       /* upper case, without quotes */
	char *version_id;    /* NULL: not versioned */
	char *storage_class; /* may be NULL */
	char *type;          /* Normal, Multipart, Appendable, Symlink */
	char *content_type;  /* NULL from a listing */
	struct kvs meta;     /* user metadata, names without x-oss-meta- */
	struct kvs kept;     /* Cache-Control, Content-Disposition,
				Content-Encoding, Content-Language, Expires as
				stored */
	int tag_count;       /* x-oss-tagging-count */
};

void oss_object_release(struct oss_object *o);
/** @return 0 or -ENOMEM (dst is empty then) */
int oss_object_copy(struct oss_object *dst, const struct oss_object *src);

/** Bytes to send.  read() may be called for any offset again (a retry). */
struct oss_source {
	/** @return bytes (1..len) at off, or -errno */
	ssize_t (*read)(void *arg, void *to, size_t len, uint64_t off);
	void *arg;
	uint64_t size;
};

/** Bytes in memory; b must stay. */
struct oss_source oss_memory_source(const struct buf *b);

/** Where received bytes go; called in order. */
struct oss_sink {
	/** @return 0, or -errno to break the transfer off */
	int (*write)(void *arg, const void *data, size_t len);
	void *arg;
};

/** Properties of an object that is written (PutObject, Initiate, Copy). */
struct oss_props {
	const char *content_type;  /* NULL: application/octet-stream */
	const struct kvs *meta;    /* user metadata; may be NULL */
	const struct kvs *headers; /* kept and other headers; may be NULL */
	bool forbid_overwrite;     /* 409 FileAlreadyExists -> -EEXIST */
};

/** The two callback headers, base64; callback NULL: no callback. */
struct oss_callback {
	const char *callback;
	const char *vars; /* may be NULL */
};

/** What came of a PutObject, a Complete or a copy. */
struct oss_put_result {
	struct oss_reply reply;
	char etag[72];
	char *version_id;
	uint64_t crc64;
	bool has_crc64;
	int64_t modified_ms; /* CopyObject's LastModified, else the answer's
				Date: seconds' precision */
	/* The body of the answer when a callback was sent: the application's
	   (200), or OSS's XML (203; reply.code etc. are read from it). */
	bool callback_sent;
	struct buf body;
	char *body_type; /* its Content-Type */
};

void oss_put_result_release(struct oss_put_result *r);

struct oss_list_entry {
	char *key; /* whole key; ends in '/' for a common prefix */
	bool is_prefix;
	uint64_t size;
	int64_t modified_ms;
	char etag[72];
	char type[16];
	char storage_class[24];
};

struct oss_list {
	const char *prefix;
	const char *delimiter;   /* NULL: none */
	const char *start_after; /* NULL: none */
	const char *token;       /* NULL: first page */
	int max_keys;            /* 0: 1000 */
};

struct oss_list_page {
	struct oss_reply reply;
	struct oss_list_entry *entries; /* in key order, both kinds merged */
	size_t count;
	char *next_token; /* NULL: the last page */
};

void oss_list_page_release(struct oss_list_page *p);

struct oss_part {
	int number;
	uint64_t size;
	uint64_t crc64;
	bool has_crc64;
	char etag[72];
};

struct oss_copy {
	const char *src_key;
	const char *src_etag; /* x-oss-copy-source-if-match; NULL: any */
	const char *dst_key;
	/* NULL keeps the source's metadata, else it is replaced.  A copy of a
	   key onto itself always replaces. */
	const struct oss_props *props;
	bool forbid_overwrite;
};

struct oss_upload { /* one entry of ListMultipartUploads */
	char *key;
	char *upload_id;
	int64_t initiated_ms;
};

struct store_ops {
	int (*put)(void *self, const char *key, const struct oss_source *body,
		   const struct oss_props *props, const struct oss_callback *cb,
		   const struct oss_ctl *ctl, struct oss_put_result *out);
	/** len 0: from off to the end (off 0: the whole, CRC-64 checked).
	 *  if_match NULL: any version; else -ESTALE when it changed.  object
	 *  may be NULL, else it is filled before the first byte reaches the
	 *  sink. */
	int (*get)(void *self, const char *key, uint64_t off, uint64_t len,
		   const char *if_match, const struct oss_sink *to,
		   const struct oss_ctl *ctl, struct oss_object *object,
		   struct oss_reply *reply);
	int (*head)(void *self, const char *key, const struct oss_ctl *ctl,
		    struct oss_object *out, struct oss_reply *reply);
	/** A missing key is success. */
	int (*remove)(void *self, const char *key, const struct oss_ctl *ctl,
		      struct oss_reply *reply);
	/** At most OSS_DELETE_MAX keys; what OSS left out is sent again.
	 *  @return 0, or the first key's error; failed (count entries, may be
	 *  NULL) says which */
	int (*remove_many)(void *self, const char *const *keys, size_t count,
			   const struct oss_ctl *ctl, bool *failed,
			   struct oss_reply *reply);
	int (*copy)(void *self, const struct oss_copy *c,
		    const struct oss_ctl *ctl, struct oss_put_result *out);
	int (*list)(void *self, const struct oss_list *l,
		    const struct oss_ctl *ctl, struct oss_list_page *out);
	int (*initiate)(void *self, const char *key,
			const struct oss_props *props,
			const struct oss_ctl *ctl, char **upload_id,
			struct oss_reply *reply);
	int (*upload_part)(void *self, const char *key, const char *upload_id,
			   int number, const struct oss_source *body,
			   const struct oss_ctl *ctl, struct oss_part *out,
			   struct oss_reply *reply);
	/** len 0: the whole source. src_etag as in struct oss_copy. */
	int (*upload_part_copy)(void *self, const char *key,
				const char *upload_id, int number,
				const char *src_key, const char *src_etag,
				uint64_t off, uint64_t len,
				const struct oss_ctl *ctl, struct oss_part *out,
				struct oss_reply *reply);
	/** -ENOENT: no such upload (a lost answer? HEAD the key first).  Not
	 *  retried inside once the request was sent whole. */
	int (*complete)(void *self, const char *key, const char *upload_id,
			const struct oss_part *parts, size_t count,
			bool forbid_overwrite, const struct oss_callback *cb,
			const struct oss_ctl *ctl, struct oss_put_result *out);
	/** An unknown id is success. */
	int (*abort)(void *self, const char *key, const char *upload_id,
		     const struct oss_ctl *ctl, struct oss_reply *reply);
	/** *parts is the caller's: free(). */
	int (*list_parts)(void *self, const char *key, const char *upload_id,
			  const struct oss_ctl *ctl, struct oss_part **parts,
			  size_t *count, struct oss_reply *reply);
	/** *uploads is the caller's: oss_uploads_free(). */
	int (*list_uploads)(void *self, const char *prefix,
			    const struct oss_ctl *ctl,
			    struct oss_upload **uploads, size_t *count,
			    struct oss_reply *reply);
	/** Tags as a header value "k=v&k2=v2"; "" when there are none. */
	int (*get_tags)(void *self, const char *key, const struct oss_ctl *ctl,
			char **tags, struct oss_reply *reply);
	/** "private", "public-read", "default", ... */
	int (*get_acl)(void *self, const char *key, const struct oss_ctl *ctl,
		       char **acl, struct oss_reply *reply);
};

/** A store: the table and its state, passed by value. */
struct store {
	const struct store_ops *ops;
	void *self;
};

void oss_uploads_free(struct oss_upload *uploads, size_t count);

/** Other bytes arrived than were sent (their CRC-64 tells): the same again may go
 *  well. */
bool oss_reply_is_spoilt(const struct oss_reply *r);
/** Of an object or an entry: a symlink of OSS's own (4.10). type may be NULL. */
bool oss_type_is_link(const char *type);

/** One line for the log about a failed operation:
 *  `http=403 code=AccessDenied request_id=... ec=... message="..."`. */
const char *oss_reply_describe(const struct oss_reply *r, char *out,
			       size_t size);

#endif
