/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the uploading operations share: checks before, body, answer.
 * All return 0 or DECIDED.
 */
#ifndef ACKFS_EMULATOR_PUT_H
#define ACKFS_EMULATOR_PUT_H

#include "emulator/exchange.h"

/** A received body, checked against the sums that the client sent. */
struct upload_body {
	struct body *body; /* one reference */
	uint64_t size;
	uint64_t crc;
	unsigned char digest[16]; /* MD5, or fast_digest() */
	bool has_md5;
};

int check_bucket(struct exchange *x);
/** Content-Length or chunked, at most 5 GB. */
int check_upload_length(struct exchange *x);
bool wants_md5(const struct exchange *x);
bool forbids_overwrite(const struct exchange *x);
/** 409 before the body is sent, where that is known already. */
int check_forbid_overwrite(struct exchange *x);
/** Commit the sink's blob; a wrong sum leaves nothing behind. */
int take_upload(struct exchange *x, struct upload_body *out);
/** Content-MD5, where it is sent, of a body in memory. */
int check_xml_digest(struct exchange *x);
/** A stand-in for the MD5 where that was not computed. */
void fast_digest(uint64_t crc, uint64_t size, unsigned char out[16]);
/** An object with the request's properties. */
int new_object(struct exchange *x, struct object **out);
/** Body and ETag into o, o into the store; u's body is used up. */
int store_upload(struct exchange *x, struct object *o, struct upload_body *u);
/** The answer of an upload, after its callback. */
int reply_upload(struct exchange *x, const struct object *o);

#endif
