/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The emulator's parts, put together: what every exchange can reach.
 *
 * Threads  the struct is constant after emulator_open(); its parts lock
 *          themselves.
 */
#ifndef ACKFS_EMULATOR_EMULATOR_H
#define ACKFS_EMULATOR_EMULATOR_H

#include <stdatomic.h>
#include <stdint.h>

#include "emulator/options.h"

struct callback_key;
struct faults;
struct keyring;
struct request_log;
struct sign_memo;
struct stats;
struct store;

/** The account that owns everything. */
#define EMULATOR_OWNER "1050784833268046"

struct emulator {
	const struct emu_options *opt; /* borrowed */
	struct store *store;
	struct keyring *keys;
	struct sign_memo *sign_memo;
	struct faults *faults;
	struct request_log *log;
	struct stats *stats;
	struct callback_key *key;
	_Atomic int64_t skew_ms; /* the emulator's clock minus the real one */
	char *url;               /* http://127.0.0.1:PORT, set by the server */
};

/** Load DIR, make the buckets that are named. @return 0 or -errno, logged */
int emulator_open(const struct emu_options *opt, struct emulator **out);
void emulator_close(struct emulator *em);
/** The emulator's clock, milliseconds since 1970. */
int64_t emulator_now_ms(struct emulator *em);

#endif
