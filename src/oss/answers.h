/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * OSS's answers in XML, and the bodies that it is sent.
 *
 * Parsers take a whole document; unknown elements are ignored, missing or
 * malformed ones that matter are -EBADMSG.  Outputs are untouched on failure
 * unless said otherwise.
 *
 * Layer    oss.
 * Threads  any.
 */
#ifndef ACKFS_OSS_ANSWERS_H
#define ACKFS_OSS_ANSWERS_H

#include "oss/store.h"

/** An ETag as we keep it: upper case, without quotes. */
void oss_etag_set(char out[72], const char *text);

/** <Error> (6.1): fills code, message, ec, and the request id where the
 *  headers had none.  @return 0, -EBADMSG (an HTML page, say), -ENOMEM */
int answer_error(const char *xml, size_t len, struct oss_reply *r);

/** A page of ListObjectsV2 (4.14): entries and next_token.  A key without the
 *  prefix that was asked for, or a token that leads nowhere, is -EBADMSG. */
int answer_list(const char *xml, size_t len, const struct oss_list *asked,
		struct oss_list_page *out);

/** <CopyObjectResult>, <CopyPartResult> (4.8, 5.4).
 *  @param modified_ms  may be NULL */
int answer_copy(const char *xml, size_t len, char etag[72],
		int64_t *modified_ms);

/** <InitiateMultipartUploadResult>: the id; free() it. */
int answer_initiate(const char *xml, size_t len, char **upload_id);

/** A page of ListParts is appended to *parts (realloc).
 *  @param next_marker  0: the last page */
int answer_parts(const char *xml, size_t len, struct oss_part **parts,
		 size_t *count, int *next_marker);

/** A page of ListMultipartUploads is appended to *uploads (realloc).
 *  @param key_marker  of the next page, with id_marker; NULL: the last one */
int answer_uploads(const char *xml, size_t len, struct oss_upload **uploads,
		   size_t *count, char **key_marker, char **id_marker);

/** <DeleteResult>: calls deleted() with each key. */
int answer_deleted(const char *xml, size_t len,
		   void (*deleted)(void *arg, const char *key), void *arg);

/** <Tagging> as "k=v&k2=v2", percent-encoded; free() it. */
int answer_tagging(const char *xml, size_t len, char **tags);

/** The text of ROOT's descendant NAME, the first; free() it.  -ENOENT when
 *  there is none. */
int answer_word(const char *xml, size_t len, const char *root, const char *name,
		char **out);

/** Append text with XML's special and control characters as references. */
void xml_escape(struct buf *out, const char *text);
/** Is there a byte in it that no XML document can hold? */
bool xml_cannot_hold(const char *text);

#endif
