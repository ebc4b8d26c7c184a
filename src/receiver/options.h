/* SPDX-License-Identifier: Apache-2.0 */
/** @file The command line of ackfs-receiver. */
#ifndef ACKFS_RECEIVER_OPTIONS_H
#define ACKFS_RECEIVER_OPTIONS_H

#include <stdio.h>

#include "receiver/answer.h"
#include "receiver/keycache.h"
#include "receiver/server.h"
#include "util/buf.h"

#define OPTIONS_MAX_TRUSTED 16

struct options {
	struct server_conf server; /* but for its service */
	struct answer_conf answer;
	struct keycache_conf keys;
	const char *trusted[OPTIONS_MAX_TRUSTED]; /* what keys points to */
	const char *port_file;                    /* NULL: none */
	const char *log_file;                     /* NULL: standard output */
	const char *id_field;
	struct buf answer_file, tls_cert, tls_key;
};

enum options_outcome { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/**
 * Read argv; --help and --version print to stdout and are DONE; a mistake is
 * one line on stderr and WRONG.
 *
 * @param o  release it with options_release() whatever comes back; it points
 *           into argv and must not be moved
 */
enum options_outcome options_parse(struct options *o, int argc, char **argv);
void options_release(struct options *o);

#endif
