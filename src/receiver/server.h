/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * HTTP: collects a request, hands it on, sends what comes back.
 *
 * Threads  one for each connection (SERVER_MAX_CONNECTIONS), because a
 *          callback may wait for a key, and an answer may be delayed.
 */
#ifndef ACKFS_RECEIVER_SERVER_H
#define ACKFS_RECEIVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "receiver/callback.h"

#define SERVER_MAX_CONNECTIONS 256

/** How the length of an answer is told. OSS wants a Content-Length. */
enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

/** All borrowed; outlives the server. */
struct server_conf {
	const char *listen; /* IPv4 or IPv6 address */
	uint16_t port;      /* 0: any free one */
	size_t max_body;    /* longer requests get 413 */
	bool admin;         /* see admin.h */
	enum framing framing;
	const char *content_type; /* of answers */
	const char *redirect;     /* Location of answers; NULL: none */
	const char *tls_cert;     /* PEM texts; NULL: plain HTTP */
	const char *tls_key;
	struct callback_service *service;
};

struct server;

/** @return 0; -EINVAL no such address form; -errno of bind(2); -EIO */
int server_start(const struct server_conf *conf, struct server **out);
uint16_t server_port(const struct server *s);
/** Take nothing new, let delayed answers go out at once, wait a moment for what
 *  is under way, end all threads. */
void server_stop(struct server *s);

#endif
