/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "emulator/operations.h"

#define COPY_SOURCE "x-oss-copy-source"

/* The first row that fits counts: the particular before the general. */
static const struct operation table[] = {
	{"ListBuckets",                     "GET",         LEVEL_SERVICE,            .finish = list_buckets_finish                               },

	{"GetBucketInfo",			    "GET",  LEVEL_BUCKET,             "bucketInfo",
	 .finish = bucket_info_finish},
	{"GetBucketLocation",                            "GET",  LEVEL_BUCKET,               "location",
	 .finish = bucket_location_finish},
	{"GetBucketStat",			    "GET",  LEVEL_BUCKET,                   "stat",
	 .finish = bucket_stat_finish},
	{"GetBucketAcl",			    "GET",  LEVEL_BUCKET,                    "acl",
	 .finish = get_bucket_acl_finish},
	{"GetBucketVersioning",                            "GET",  LEVEL_BUCKET,             "versioning",
	 .finish = get_versioning_finish},
	{"ListMultipartUploads",                            "GET",  LEVEL_BUCKET,                "uploads",
	 .finish = list_uploads_finish},
	{"ListObjectsV2",			    "GET",  LEVEL_BUCKET,              "list-type",
	 .finish = list_v2_finish},
	{"ListObjects",			    "GET",  LEVEL_BUCKET, .finish = list_v1_finish                                                            },
	{"HeadBucket",                     "HEAD",                   LEVEL_BUCKET,					       .s3_only = true,
	 .finish = head_bucket_finish},
	{"PutBucketAcl",                     "PUT",                             LEVEL_BUCKET,         "acl",													  .is_write = true,
	 .finish = put_bucket_acl_finish},
	{"PutBucketVersioning",                            "PUT",  LEVEL_BUCKET,             "versioning",
	 .is_write = true, .begin = put_versioning_begin,
	 .finish = put_versioning_finish},
	{"PutBucket",				 "PUT",				    LEVEL_BUCKET,                       .is_write = true,
	 .begin = put_bucket_begin, .finish = put_bucket_finish},
	{"DeleteBucket",      "DELETE",                   LEVEL_BUCKET,                              .is_write = true,
	 .finish = delete_bucket_finish},
	{"DeleteMultipleObjects",    "POST",                 LEVEL_BUCKET,                   "delete",
	 .is_write = true, .begin = delete_multiple_begin,
	 .finish = delete_multiple_finish},
	{"PostObject",                  "POST", LEVEL_BUCKET,                                           .is_write = true,
	 .begin = post_object_begin, .finish = post_object_finish},

	{   "UploadPartCopy",                     "PUT",                  LEVEL_OBJECT,						 "uploadId",
	 .header = COPY_SOURCE, .is_write = true, .begin = copy_object_begin,
	 .finish = upload_part_copy_finish},
	{"UploadPart",        "PUT",LEVEL_OBJECT,"uploadId",														    .is_write = true,
	 .begin = upload_part_begin, .finish = upload_part_finish},
	{"PutSymlink", "PUT",              LEVEL_OBJECT,                           "symlink",									   .is_write = true,
	 .finish = put_symlink_finish},
	{"PutObjectACL",                 "PUT",                       LEVEL_OBJECT,                   "acl",									       .is_write = true,
	 .finish = put_acl_finish},
	{"PutObjectTagging",                     "PUT",            LEVEL_OBJECT,"tagging",													     .is_write = true,
	 .begin = put_tagging_begin, .finish = put_tagging_finish},
	{"CopyObject",            "PUT",LEVEL_OBJECT,.header = COPY_SOURCE,
	 .is_write = true, .begin = copy_object_begin,
	 .finish = copy_object_finish},
	{"PutObject",                "PUT",    LEVEL_OBJECT,     .is_write = true,
	 .begin = put_object_begin, .finish = put_object_finish},

	{"ListParts",     "GET",                  LEVEL_OBJECT,                               "uploadId",
	 .finish = list_parts_finish},
	{"GetSymlink",                  "GET",     LEVEL_OBJECT,					       "symlink",
	 .finish = get_symlink_finish},
	{"GetObjectACL",                     "GET",               LEVEL_OBJECT,						  "acl",										   .finish = get_acl_finish},
	{"GetObjectTagging",                        "GET",        LEVEL_OBJECT,"tagging",
	 .finish = get_tagging_finish},
	{"GetObjectMeta",           "GET",        LEVEL_OBJECT,"objectMeta",
	 .finish = get_meta_finish},
	{"GetObject",        "GET",LEVEL_OBJECT,.finish = get_object_finish},
	{"GetObjectMeta",     "HEAD",LEVEL_OBJECT,                       "objectMeta",
	 .finish = get_meta_finish},
	{"HeadObject",                  "HEAD",            LEVEL_OBJECT,						.finish = get_object_finish													       },

	{"InitiateMultipartUpload",                     "POST",                            LEVEL_OBJECT,							     "uploads",
	 .is_write = true, .finish = initiate_finish},
	{																																	      "CompleteMultipartUpload",                     "POST",                        LEVEL_OBJECT,                                                  "uploadId",
	 .is_write = true, .begin = complete_begin, .finish = complete_finish},
	{"AppendObject",                     "POST",LEVEL_OBJECT,"append","position",
	 .is_write = true, .begin = append_begin, .finish = append_finish},
	{"RestoreObject",                        "POST",                                 LEVEL_OBJECT,                                "restore",											    .is_write = true,
	 .begin = restore_begin, .finish = restore_finish},

	{"AbortMultipartUpload",                     "DELETE", LEVEL_OBJECT,							   "uploadId",
	 .is_write = true, .finish = abort_finish},
	{"DeleteObjectTagging",                    "DELETE",       LEVEL_OBJECT,                        "tagging",
	 .is_write = true, .finish = delete_tagging_finish},
	{		   "DeleteObject",            "DELETE",  LEVEL_OBJECT,                          .is_write = true,
	 .finish = delete_object_finish},
};

static enum level level_of(const struct request *r)
{
	if (!r->bucket)
		return LEVEL_SERVICE;
	return r->key ? LEVEL_OBJECT : LEVEL_BUCKET;
}

static bool fits(const struct operation *op, const struct request *r)
{
	return op->level == level_of(r) && strcmp(op->method, r->method) == 0 &&
	       (!op->s3_only || r->dialect == DIALECT_S3) &&
	       (!op->query || request_query(r, op->query)) &&
	       (!op->query2 || request_query(r, op->query2)) &&
	       (!op->header || request_header(r, op->header));
}

const struct operation *route(const struct exchange *x)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (fits(&table[i], &x->req))
			return &table[i];
	return NULL;
}
