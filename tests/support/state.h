/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A state directory for tests: opened, stopped, crashed and opened again.
 */
#ifndef ACKFS_TESTS_STATE_H
#define ACKFS_TESTS_STATE_H

#include "state/db.h"
#include "state/staging.h"
#include "state/statedir.h"
#include "test.h"
#include "util/log.h"

enum { STATE_FOUND_MAX = 64 };

struct state_fix {
	char *root; /* to remove */
	char *dir;  /* the state directory */
	struct staging_conf conf;
	struct statedir *statedir;
	struct db *db;
	struct staging_store *store;
	/* What staging_recover() handed out, references held. */
	struct staging *found[STATE_FOUND_MAX];
	int found_count;
	bool is_log_file;
	enum log_level level_before; /* state_log_to_file() */
};

/** A new directory, nothing opened. */
void state_init(struct state_fix *f);
/** The same in memory, where fsync costs nothing: for tests that start and
 *  stop very often. */
void state_init_in_memory(struct state_fix *f);
/** Open all, recover nothing; 0 or -errno of the step that failed. */
int state_open_store(struct state_fix *f);
/** Open all and recover; 0 or -errno of the step that failed. */
int state_try_open(struct state_fix *f);
/** The same; fails the test when it cannot. */
void state_open(struct state_fix *f);
/** Stop as the daemon does when it is told to. */
void state_close(struct state_fix *f);
/** Stop (where open) and remove everything. */
void state_fini(struct state_fix *f);
/** Give back what was found. */
void state_forget(struct state_fix *f);
/** The file that was found for key; NULL: none. Borrowed. */
struct staging *state_found(struct state_fix *f, const char *key);

/**
 * Open the state in a child process, run fn there, and kill the child with
 * SIGKILL when fn returns, or at a failpoint before.
 * @param at  name of a failpoint, NULL: after fn
 * fn checks with CHILD_CHECK, not with cmocka.  Fails the test when the child
 * ended in any other way.
 */
void state_crash(struct state_fix *f, const char *at,
		 void (*fn)(struct state_fix *f));

/** In such a fn. */
#define CHILD_CHECK(claim)                                                     \
	do {                                                                   \
		if (!(claim))                                                  \
			child_failed(#claim, __FILE__, __LINE__);              \
	} while (0)
_Noreturn void child_failed(const char *claim, const char *file, int line);

/** A close as a program's, with this delivery id. Release it. */
struct staging_close state_close_info(const char *delivery_id);
/** Create, write text, do not close. For children too. */
struct staging *state_write(struct state_fix *f, const char *key,
			    const char *text);
/** word, then filler: too much for a row (STAGING_ROW_BYTES_MAX), so that the file
 *  itself is fsynced. Free it. */
char *state_big(const char *word);
/** Fails unless the staged bytes are this text. */
void state_expect_bytes(struct staging *s, const char *text);

/** Own mounts for this process (a user namespace where not root).
 *  @return false: not allowed here; skip the test */
bool state_unshare_mounts(void);
/** Log into DIR/log from here on, and see whether a line is there. */
void state_log_to_file(struct state_fix *f);
bool state_logged(struct state_fix *f, const char *words);

#endif
