/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The HTTP server: libmicrohttpd in front of exchanges.
 *
 * One thread for each connection, so that a stalled request or a callback
 * holds up nobody else.
 *
 * Layer  emulator.
 */
#ifndef ACKFS_EMULATOR_SERVER_H
#define ACKFS_EMULATOR_SERVER_H

#include <stdint.h>

struct emulator;
struct server;

/** Listen and serve; sets em->url. @return 0 or -errno, logged */
int server_start(struct emulator *em, struct server **out);
uint16_t server_port(const struct server *s);
/** End stalls, close connections, wait for the threads. */
void server_stop(struct server *s);

#endif
