/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteObject and DeleteMultipleObjects (protocol 4.6, 4.7). */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/put.h"
#include "emulator/store.h"
#include "emulator/xml.h"
#include "util/codec.h"

enum { DELETE_MAX_KEYS = 1000 };

int delete_object_finish(struct exchange *x)
{
	struct bucket_info info;
	int rc = store_bucket_info(x->em->store, x->req.bucket, &info);

	if (!rc)
		rc = store_delete(x->em->store, x->req.bucket, x->req.key);
	if (rc)
		return rc;
	reply_status(x, 204);
	if (info.versioning != VERSIONING_NONE) {
		reply_header(x, "x-oss-delete-marker", "true");
		reply_headerf(x, "x-oss-version-id", "CAEQ%s", x->req.id);
	}
	return 0;
}

int delete_multiple_begin(struct exchange *x)
{
	/* Chunks will not do here (protocol 4.7). */
	if (x->req.content_length < 0)
		return fail(x, OE_MISSING_CONTENT_LENGTH);
	return sink_to_memory(x, XML_BODY_MAX);
}

/* Content-MD5 is required here; S3 clients may send another checksum. */
static int check_digest(struct exchange *x)
{
	if (!kvs_get(&x->req.headers, "Content-MD5") &&
	    x->req.dialect == DIALECT_OSS)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "Missing Some Required Arguments.",
				     "Content-MD5", "");
	return check_xml_digest(x);
}

static int fail_root(struct exchange *x)
{
	AUTO(kvs_release) struct kvs e = KVS_INIT;
	struct oss_err_info info = *oss_err_info(OE_MALFORMED_XML);

	info.ec = "0016-00000608";
	if (kvs_add(&e, "ErrorDetail", "the root node is not named Delete.") <
	    0)
		return fail(x, OE_INTERNAL);
	return fail_custom(x, &info, &e);
}

static int parse_body(struct exchange *x, struct xml_node **out)
{
	size_t count = 0;
	struct xml_node *root;

	if (xml_parse(buf_str(&x->sink.memory), x->sink.memory.len, &root) < 0)
		return fail(x, OE_MALFORMED_XML);
	*out = root; /* the caller frees it in every case */
	if (strcmp(root->name, "Delete") != 0)
		return fail_root(x);
	for (const struct xml_node *n = root->children; n; n = n->next) {
		if (strcmp(n->name, "Object") != 0)
			continue;
		if (!xml_child(n, "Key"))
			return fail(x, OE_MALFORMED_XML);
		count++;
	}
	if (!count || count > DELETE_MAX_KEYS)
		return fail(x, OE_MALFORMED_XML);
	return 0;
}

static void deleted_xml(struct buf *b, const char *key, bool url_encoded,
			const struct bucket_info *info)
{
	xml_open(b, "Deleted");
	if (url_encoded) {
		xml_open(b, "Key");
		percent_encode(b, key, strlen(key), PERCENT_ALL);
		xml_close(b, "Key");
	} else {
		xml_elem(b, "Key", key);
	}
	if (info->versioning != VERSIONING_NONE)
		xml_elem(b, "DeleteMarker", "true");
	xml_close(b, "Deleted");
}

static int delete_all(struct exchange *x, const struct xml_node *root,
		      bool quiet, const struct bucket_info *info)
{
	bool url_encoded = request_query(&x->req, "encoding-type") != NULL;
	struct buf *b = quiet ? NULL : reply_xml(x, "DeleteResult");

	if (b && url_encoded)
		xml_elem(b, "EncodingType", "url");
	for (const struct xml_node *n = root->children; n; n = n->next) {
		const char *key = xml_child_text(n, "Key");
		int rc;

		if (!key)
			continue;
		rc = store_delete(x->em->store, x->req.bucket, key);
		if (rc < 0)
			return fail_errno(x, rc);
		if (b)
			deleted_xml(b, key, url_encoded, info);
	}
	if (b)
		xml_close(b, "DeleteResult");
	reply_status(x, 200);
	return 0;
}

int delete_multiple_finish(struct exchange *x)
{
	AUTO(xml_freep) struct xml_node *root = NULL;
	struct bucket_info info;
	const char *quiet;
	int rc = store_bucket_info(x->em->store, x->req.bucket, &info);

	if (rc)
		return rc;
	rc = check_digest(x);
	if (!rc)
		rc = parse_body(x, &root);
	if (rc)
		return rc;
	assert(root);
	quiet = xml_child_text(root, "Quiet");
	return delete_all(x, root, quiet && strcmp(quiet, "true") == 0, &info);
}
