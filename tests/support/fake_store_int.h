/* SPDX-License-Identifier: Apache-2.0 */
/** @file What the two halves of the fake store share; see fake_store.h. */
#ifndef ACKFS_TESTS_FAKE_STORE_INT_H
#define ACKFS_TESTS_FAKE_STORE_INT_H

#include "fake_store.h"
#include "util/lock.h"

/* Content is shared between an object and its readers. */
struct blob {
	char *data;
	size_t len;
	unsigned refs;
};

struct fake_object {
	char *key;
	struct blob *blob;
	char etag[72];
	int64_t modified_ms;
	char *version_id;
	char *type;
	char *content_type;
	char *storage_class;
	char *tags;
	char *acl;
	struct kvs meta;
	struct kvs kept;
};

struct fake_part {
	int number;
	struct blob *blob;
	char etag[72];
};

struct fake_upload {
	char *key;
	char *id;
	int64_t initiated_ms;
	struct fake_object props; /* without key and content */
	struct fake_part *parts;  /* by number */
	size_t count;
};

struct fault {
	struct fake_fault set; /* strings owned */
	int seen;
};

struct block {
	bool on;
	char *key;
	enum fake_point at;
	uint64_t bytes;
	unsigned standing;
	unsigned epoch;
};

struct fake_store {
	struct lock lock;
	struct cond changed;

	struct fake_object *objects; /* by key */
	size_t count;
	size_t cap;
	struct fake_upload *uploads;
	size_t upload_count;
	uint64_t serial;
	bool versioning;

	struct fault *faults;
	size_t fault_count;
	struct block blocks[FAKE_OPS];
	unsigned calls[FAKE_OPS];
	uint64_t bytes_in;
	uint64_t bytes_out;
	void (*hook)(void *arg, enum fake_op op, const char *key);
	void *hook_arg;

	struct fake_callback *callbacks[4096];
	unsigned callback_count;
	int answer_times;
	int answer_http;
	char *answer_body;
	char *answer_type;
};

/* One call of the table. */
struct call {
	struct fake_store *f;
	enum fake_op op;
	const char *key;
	const struct oss_ctl *ctl;
	struct oss_reply *reply;
	bool faulty;
	struct fake_fault fault;
	char fault_code[64]; /* fault.code: fake_store_heal() frees its own */
};

extern const struct store_ops fake_store_ops;

void *fake_alloc(size_t len);
char *fake_dup(const char *s);
int fake_call_begin(struct call *c, struct fake_store *f, enum fake_op op,
		    const char *key, const struct oss_ctl *ctl,
		    struct oss_reply *reply);
/* Stand still here if the test said so. @return 0, -ECANCELED, -ETIMEDOUT */
int fake_call_stand(struct call *c, enum fake_point at);
/* The operation took place: stand, lose the answer, or succeed. */
int fake_call_end(struct call *c);
int fake_call_error(struct call *c, int err, int http, const char *code);
int fake_call_read(struct call *c, const struct oss_source *src,
		   struct blob **out);

struct blob *fake_blob_new(const void *data, size_t len);
struct blob *fake_blob_get(struct blob *b);
void fake_blob_put(struct blob *b);
void fake_etag(const struct blob *b, char out[72]);
void fake_object_clear(struct fake_object *o);
struct fake_object *fake_find(struct fake_store *f, const char *key,
			      size_t *at);
/* The object under key, made when missing; its content is taken over. */
struct fake_object *fake_store_set(struct fake_store *f, const char *key,
				   struct blob *blob);
void fake_remove_at(struct fake_store *f, size_t at);
void fake_props(struct fake_object *o, const struct oss_props *p);
void fake_describe(const struct fake_object *o, struct oss_object *out);
void fake_upload_drop(struct fake_store *f, size_t at);

#endif
