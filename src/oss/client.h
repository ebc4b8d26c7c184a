/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The real store: OSS over HTTP.
 *
 * Layer    oss: uses http, util; knows nothing of FUSE or of the state folder.
 * Threads  any; connections are pooled and shared.
 */
#ifndef ACKFS_OSS_CLIENT_H
#define ACKFS_OSS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "oss/store.h"

struct credentials; /* oss/credentials.h */
struct oss_client;

enum oss_addressing { OSS_ADDR_AUTO, OSS_ADDR_VIRTUAL, OSS_ADDR_PATH };
enum oss_signature { OSS_SIGN_V4, OSS_SIGN_V1 };

struct oss_conf {
	const char *endpoint; /* "host", "host:port", "http://host:port" */
	const char *region;   /* NULL: from a standard endpoint */
	const char *bucket;
	enum oss_addressing addressing;
	enum oss_signature signature;
	const char *ca_file;        /* NULL: the system's */
	const char *proxy;          /* NULL: none (environment ignored) */
	int64_t connect_timeout_ms; /* for one attempt */
	int64_t request_timeout_ms; /* without a byte moving; also the deadline
				       of calls that name none */
	int max_connections;
};

/**
 * Checks endpoint, region, addressing; makes no request.
 * @param why  on failure: what is wrong and what to write (free it)
 * @return 0, -EINVAL, -ENOMEM
 */
int oss_client_new(const struct oss_conf *conf, struct credentials *creds,
		   struct oss_client **out, char **why);
void oss_client_free(struct oss_client *c);
struct store oss_client_store(struct oss_client *c);

/** The region of oss-REGION[-internal].aliyuncs.com or REGION.oss.aliyuncs.com
 *  (oss-protocol 1.4). @return 0, or -EINVAL: there is nothing to derive */
int oss_region_of_endpoint(const char *endpoint, char out[64]);

/**
 * One cheap request (a listing of one key) that proves endpoint, bucket and
 * credentials; at most timeout_ms.
 * @return 0 or -errno; reply has OSS's words
 */
int oss_client_probe(struct oss_client *c, int64_t timeout_ms,
		     struct oss_reply *reply);

/** Is versioning on? Needs GetBucketInfo; -EACCES when that is not allowed. */
int oss_client_versioning(struct oss_client *c, bool *on);

/** Requests sent since start: for ackctl status and metrics. */
uint64_t oss_client_requests(const struct oss_client *c);

#endif
