/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The operations: a `begin` and a `finish` each (exchange.h), and the table
 * that finds them.
 */
#ifndef ACKFS_EMULATOR_OPERATIONS_H
#define ACKFS_EMULATOR_OPERATIONS_H

#include "emulator/exchange.h"

/** The operation that the request asks for, or NULL. */
const struct operation *route(const struct exchange *x);

/* op_bucket.c */
int list_buckets_finish(struct exchange *x);
int put_bucket_begin(struct exchange *x);
int put_bucket_finish(struct exchange *x);
int delete_bucket_finish(struct exchange *x);
int bucket_info_finish(struct exchange *x);
int bucket_location_finish(struct exchange *x);
int bucket_stat_finish(struct exchange *x);
int get_bucket_acl_finish(struct exchange *x);
int put_bucket_acl_finish(struct exchange *x);
int get_versioning_finish(struct exchange *x);
int put_versioning_begin(struct exchange *x);
int put_versioning_finish(struct exchange *x);
int head_bucket_finish(struct exchange *x);

/* op_list.c */
int list_v1_finish(struct exchange *x);
int list_v2_finish(struct exchange *x);

/* op_put.c */
int put_object_begin(struct exchange *x);
int put_object_finish(struct exchange *x);
int append_begin(struct exchange *x);
int append_finish(struct exchange *x);

/* op_get.c */
int get_object_finish(struct exchange *x);
int get_meta_finish(struct exchange *x);

/* op_copy.c */
int copy_object_begin(struct exchange *x);
int copy_object_finish(struct exchange *x);
int upload_part_copy_finish(struct exchange *x);

/* op_delete.c */
int delete_object_finish(struct exchange *x);
int delete_multiple_begin(struct exchange *x);
int delete_multiple_finish(struct exchange *x);

/* op_subresource.c */
int get_acl_finish(struct exchange *x);
int put_acl_finish(struct exchange *x);
int get_tagging_finish(struct exchange *x);
int put_tagging_begin(struct exchange *x);
int put_tagging_finish(struct exchange *x);
int delete_tagging_finish(struct exchange *x);
int get_symlink_finish(struct exchange *x);
int put_symlink_finish(struct exchange *x);
int restore_begin(struct exchange *x);
int restore_finish(struct exchange *x);

/* op_multipart.c */
int initiate_finish(struct exchange *x);
int upload_part_begin(struct exchange *x);
int upload_part_finish(struct exchange *x);
int complete_begin(struct exchange *x);
int complete_finish(struct exchange *x);
int abort_finish(struct exchange *x);
/** The part number of the query. @return 0 or DECIDED */
int part_number(struct exchange *x, unsigned *out);

/* op_multipart_list.c */
int list_parts_finish(struct exchange *x);
int list_uploads_finish(struct exchange *x);

/* op_post.c */
int post_object_begin(struct exchange *x);
int post_object_finish(struct exchange *x);
void post_object_body(struct exchange *x, const void *data, size_t len);

#endif
