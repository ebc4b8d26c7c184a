/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The one table that maps what OSS says to errno and to "try again".
 * Source: oss-protocol 6.2.
 */
#ifndef ACKFS_OSS_ERROR_H
#define ACKFS_OSS_ERROR_H

enum oss_retry {
	OSS_RETRY_NO,
	OSS_RETRY_YES,         /* with backoff */
	OSS_RETRY_CREDENTIALS, /* once, after reading the credentials again */
	OSS_RETRY_CLOCK,       /* once, with the server's time */
};

/** @param http  0: no answer;  @param code  "" when unknown
 *  @return a negative errno; 0 for 2xx and 203 */
int oss_errno(int http, const char *code);
enum oss_retry oss_retry_class(int http, const char *code);

#endif
