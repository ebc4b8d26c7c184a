/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the service and to buckets (protocol 4.15). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/store.h"
#include "emulator/xml.h"
#include "util/clock.h"
#include "util/strnum.h"

static void owner_xml(struct buf *b)
{
	xml_open(b, "Owner");
	xml_elem(b, "ID", EMULATOR_OWNER);
	xml_elem(b, "DisplayName", EMULATOR_OWNER);
	xml_close(b, "Owner");
}

static void endpoints_xml(const struct exchange *x, struct buf *b)
{
	const char *region = x->em->opt->region;

	xml_elemf(b, "ExtranetEndpoint", "oss-%s.aliyuncs.com", region);
	xml_elemf(b, "IntranetEndpoint", "oss-%s-internal.aliyuncs.com",
		  region);
	xml_elemf(b, "Location", "oss-%s", region);
}

static int bucket_of(struct exchange *x, struct bucket_info *out)
{
	int rc = store_bucket_info(x->em->store, x->req.bucket, out);

	return rc < 0 ? fail_errno(x, rc) : 0;
}

/* ---- ListBuckets ---- */

static void bucket_xml(const struct exchange *x, const struct bucket_info *i,
		       struct buf *b)
{
	char when[CLOCK_TEXT_LEN];

	xml_open(b, "Bucket");
	xml_elem(b, "CreationDate", clock_rfc3339(when, i->created_ms));
	endpoints_xml(x, b);
	xml_elem(b, "Name", i->name);
	xml_elem(b, "Region", x->em->opt->region);
	xml_elem(b, "StorageClass", i->storage_class);
	xml_close(b, "Bucket");
}

static bool is_asked_for(const struct exchange *x, const struct bucket_info *i)
{
	const char *prefix = request_query(&x->req, "prefix");
	const char *marker = request_query(&x->req, "marker");

	return (!prefix || strncmp(i->name, prefix, strlen(prefix)) == 0) &&
	       (!marker || strcmp(i->name, marker) > 0);
}

int list_buckets_finish(struct exchange *x)
{
	const char *max_text = request_query(&x->req, "max-keys");
	AUTO_FREE struct bucket_info *list = NULL;
	uint64_t max = 100;
	uint64_t shown = 0;
	const char *last = NULL;
	bool truncated = false;
	size_t count;
	struct buf *b;
	int rc;

	if (max_text && parse_u64(max_text, 1, 1000, &max) < 0)
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL, "max-keys",
				     max_text);
	rc = store_bucket_list(x->em->store, &list, &count);
	if (rc)
		return rc;
	b = reply_xml(x, "ListAllMyBucketsResult");
	owner_xml(b);
	xml_open(b, "Buckets");
	for (size_t i = 0; i < count; i++) {
		if (!is_asked_for(x, &list[i]))
			continue;
		if (shown++ == max) {
			truncated = true;
			break;
		}
		bucket_xml(x, &list[i], b);
		last = list[i].name;
	}
	xml_close(b, "Buckets");
	if (truncated) {
		xml_elem(b, "IsTruncated", "true");
		xml_elem(b, "NextMarker", last);
	}
	xml_close(b, "ListAllMyBucketsResult");
	return 0;
}

/* ---- PutBucket, DeleteBucket ---- */

static int small_xml(struct exchange *x)
{
	return sink_to_memory(x, XML_BODY_MAX);
}

int put_bucket_begin(struct exchange *x)
{
	const char *acl = request_header(&x->req, "x-oss-acl");

	if (acl && !acl_is_known(acl, true))
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL, "x-oss-acl",
				     acl);
	return small_xml(x);
}

static int parse_bucket_configuration(struct exchange *x,
				      struct bucket_info *info)
{
	AUTO(xml_freep) struct xml_node *root = NULL;
	const char *cls;

	if (!x->sink.memory.len)
		return 0;
	if (xml_parse(buf_str(&x->sink.memory), x->sink.memory.len, &root) <
		    0 ||
	    strcmp(root->name, "CreateBucketConfiguration") != 0)
		return fail(x, OE_MALFORMED_XML);
	cls = xml_child_text(root, "StorageClass");
	if (!cls)
		return 0;
	if (!storage_class_is_known(cls))
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL,
				     "StorageClass", cls);
	snprintf(info->storage_class, sizeof(info->storage_class), "%s", cls);
	return 0;
}

int put_bucket_finish(struct exchange *x)
{
	const char *acl = request_header(&x->req, "x-oss-acl");
	struct bucket_info info = {.created_ms = x->now_ms / 1000 * 1000,
				   .storage_class = "Standard"};
	int rc;

	snprintf(info.name, sizeof(info.name), "%s", x->req.bucket);
	snprintf(info.acl, sizeof(info.acl), "%s", acl ? acl : "private");
	rc = parse_bucket_configuration(x, &info);
	if (rc)
		return rc;
	rc = store_bucket_create(x->em->store, &info);
	/* Our own bucket again: fine where nothing changes. */
	if (rc < 0 && rc != -EEXIST)
		return rc;
	reply_status(x, 200);
	reply_headerf(x, "Location", "/%s", x->req.bucket);
	return 0;
}

int delete_bucket_finish(struct exchange *x)
{
	int rc = store_bucket_delete(x->em->store, x->req.bucket);

	if (rc == -ENOTEMPTY)
		return fail_with(x, OE_BUCKET_NOT_EMPTY, "BucketName",
				 x->req.bucket);
	if (rc)
		return rc;
	reply_status(x, 204);
	return 0;
}

int head_bucket_finish(struct exchange *x)
{
	struct bucket_info info;
	int rc = bucket_of(x, &info);

	if (!rc)
		reply_status(x, 200);
	return rc;
}

/* ---- what a bucket is ---- */

static const char *versioning_name(enum versioning v)
{
	switch (v) {
	case VERSIONING_NONE:
		return "";
	case VERSIONING_ENABLED:
		return "Enabled";
	case VERSIONING_SUSPENDED:
		return "Suspended";
	}
	return "";
}

static void acl_xml(struct buf *b, const char *grant)
{
	xml_open(b, "AccessControlList");
	xml_elem(b, "Grant", grant);
	xml_close(b, "AccessControlList");
}

static void info_xml(const struct exchange *x, const struct bucket_info *i,
		     struct buf *b)
{
	char when[CLOCK_TEXT_LEN];

	xml_open(b, "Bucket");
	xml_elem(b, "CreationDate", clock_rfc3339(when, i->created_ms));
	endpoints_xml(x, b);
	xml_elem(b, "StorageClass", i->storage_class);
	xml_elem(b, "DataRedundancyType", "LRS");
	xml_elem(b, "TransferAcceleration", "Disabled");
	xml_elem(b, "CrossRegionReplication", "Disabled");
	if (i->versioning != VERSIONING_NONE)
		xml_elem(b, "Versioning", versioning_name(i->versioning));
	xml_elem(b, "Name", i->name);
	xml_elem(b, "ResourceGroupId", "rg-emulator");
	owner_xml(b);
	acl_xml(b, i->acl);
	xml_elem(b, "Comment", "");
	xml_open(b, "ServerSideEncryptionRule");
	xml_elem(b, "SSEAlgorithm", "None");
	xml_close(b, "ServerSideEncryptionRule");
	xml_open(b, "BucketPolicy");
	xml_elem(b, "LogBucket", "");
	xml_elem(b, "LogPrefix", "");
	xml_close(b, "BucketPolicy");
	xml_close(b, "Bucket");
}

int bucket_info_finish(struct exchange *x)
{
	struct bucket_info info;
	struct buf *b;
	int rc = bucket_of(x, &info);

	if (rc)
		return rc;
	b = reply_xml(x, "BucketInfo");
	info_xml(x, &info, b);
	xml_close(b, "BucketInfo");
	return 0;
}

int bucket_location_finish(struct exchange *x)
{
	struct bucket_info info;
	struct buf *b;
	int rc = bucket_of(x, &info);

	if (rc)
		return rc;
	b = reply_xml(x, "LocationConstraint");
	/* S3 clients take it for the region they sign with: any will do. */
	if (x->req.dialect == DIALECT_OSS)
		buf_addf(b, "oss-%s", x->em->opt->region);
	xml_close(b, "LocationConstraint");
	return 0;
}

int bucket_stat_finish(struct exchange *x)
{
	struct bucket_stat st;
	struct buf *b;
	int rc = store_bucket_stat(x->em->store, x->req.bucket, &st);

	if (rc)
		return rc;
	b = reply_xml(x, "BucketStat");
	xml_elemf(b, "Storage", "%" PRIu64, st.bytes);
	xml_elemf(b, "ObjectCount", "%" PRIu64, st.objects);
	xml_elemf(b, "MultipartUploadCount", "%" PRIu64, st.uploads);
	xml_elemf(b, "LastModifiedTime", "%lld", (long long)(x->now_ms / 1000));
	xml_close(b, "BucketStat");
	return 0;
}

int get_bucket_acl_finish(struct exchange *x)
{
	struct bucket_info info;
	struct buf *b;
	int rc = bucket_of(x, &info);

	if (rc)
		return rc;
	b = reply_xml(x, "AccessControlPolicy");
	owner_xml(b);
	acl_xml(b, info.acl);
	xml_close(b, "AccessControlPolicy");
	return 0;
}

int put_bucket_acl_finish(struct exchange *x)
{
	const char *acl = request_header(&x->req, "x-oss-acl");
	struct bucket_info info;
	int rc = bucket_of(x, &info);

	if (rc)
		return rc;
	if (!acl || !acl_is_known(acl, true))
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL, "x-oss-acl",
				     acl);
	snprintf(info.acl, sizeof(info.acl), "%s", acl);
	rc = store_bucket_update(x->em->store, &info);
	if (!rc)
		reply_status(x, 200);
	return rc;
}

int get_versioning_finish(struct exchange *x)
{
	struct bucket_info info;
	struct buf *b;
	int rc = bucket_of(x, &info);

	if (rc)
		return rc;
	b = reply_xml(x, "VersioningConfiguration");
	if (info.versioning != VERSIONING_NONE)
		xml_elem(b, "Status", versioning_name(info.versioning));
	xml_close(b, "VersioningConfiguration");
	return 0;
}

int put_versioning_begin(struct exchange *x)
{
	return small_xml(x);
}

int put_versioning_finish(struct exchange *x)
{
	AUTO(xml_freep) struct xml_node *root = NULL;
	struct bucket_info info;
	const char *status = NULL;
	int rc = bucket_of(x, &info);

	if (rc)
		return rc;
	if (xml_parse(buf_str(&x->sink.memory), x->sink.memory.len, &root) == 0)
		status = xml_child_text(root, "Status");
	if (status && strcmp(status, "Enabled") == 0)
		info.versioning = VERSIONING_ENABLED;
	else if (status && strcmp(status, "Suspended") == 0)
		info.versioning = VERSIONING_SUSPENDED;
	else
		return fail(x, OE_MALFORMED_XML);
	rc = store_bucket_update(x->em->store, &info);
	if (!rc)
		reply_status(x, 200);
	return rc;
}
