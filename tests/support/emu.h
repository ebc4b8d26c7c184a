/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The emulator without its HTTP server: one exchange a call.
 *
 * Uses the emulator's archive: for tests/unit/test_emulator_*.c alone.
 */
#ifndef ACKFS_TESTS_EMU_H
#define ACKFS_TESTS_EMU_H

#include "emulator/emulator.h"
#include "emulator/exchange.h"
#include "emulator/options.h"
#include "test.h"
#include "util/buf.h"
#include "util/kv.h"

struct emu {
	char *dir;
	struct emu_options opt;
	struct emulator *em;
};

/** A server with the bucket "bucket"; anonymous requests may do everything. */
void emu_open(struct emu *e);
/** Close and open again on the same folder. */
void emu_reopen(struct emu *e);
void emu_close(struct emu *e);
/** cmocka's: *state is a server of the test's own. */
int emu_setup(void **state);
int emu_teardown(void **state);

struct answer {
	int status;
	char code[64];
	struct kvs headers;
	struct buf body;
	enum auth_kind auth;
	char operation[64];
};

void answer_release(struct answer *a);

/**
 * Perform one request.
 * @param headers  "Name: value", ended by NULL; may be NULL.  A body gets its
 *                 Content-Length by itself.
 */
void emu_request(struct emu *e, const char *method, const char *target,
		 const char *const *headers, const void *body, size_t len,
		 struct answer *a);
/** The same with a text as body (NULL: none); fails unless it answers
 *  status. */
void emu_expect(struct emu *e, const char *method, const char *target,
		const char *const *headers, const char *body, int status,
		struct answer *a);
/** And without interest in the rest. */
void emu_do(struct emu *e, const char *method, const char *target,
	    const char *const *headers, const char *body, int status);
/** The request fails with that status and code. */
void emu_fails(struct emu *e, const char *method, const char *target,
	       const char *const *headers, const char *body, int status,
	       const char *code);
/** A header of the answer that must be there. */
const char *answer_header(const struct answer *a, const char *name);
/** The text between <name> and </name>, from the n-th such element (0 the
 *  first); free() it; NULL: none. */
char *answer_element(const struct answer *a, const char *name, int n);

#endif
