/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * How much of the local disk staged files may take: a sum of their own, and
 * what must stay free for everybody else.  -ENOSPC comes from here, before the
 * disk is full; one line in the log names the folder.
 *
 *     budget_reserve()   before a write: may it grow by so much?
 *     budget_settle()    after it: what it really took
 *
 * Layer    state.
 * Threads  any.
 * Blocking statvfs(2), now and then.
 */
#ifndef ACKFS_STATE_BUDGET_H
#define ACKFS_STATE_BUDGET_H

#include <stdint.h>

struct budget;
struct staging_conf;

/** @param dir   for the log; copied
 *  @param dirfd borrowed: where to ask for free space
 *  @return 0, -ENOMEM, -errno of fstatvfs */
int budget_new(const struct staging_conf *conf, const char *dir, int dirfd,
	       struct budget **out);
void budget_free(struct budget *b);

/** @return 0; -ENOSPC: it would pass a limit (logged once in a while) */
int budget_reserve(struct budget *b, uint64_t bytes);
/** Of `reserved` bytes the file kept `change` (negative: it gave some
 *  back). */
void budget_settle(struct budget *b, uint64_t reserved, int64_t change);
/** The disk itself said ENOSPC: say so, and ask it again next time. */
void budget_disk_full(struct budget *b);
/** Bytes that staged files take now. */
uint64_t budget_used(struct budget *b);
/** Bytes that budget_reserve() would grant. */
uint64_t budget_room(struct budget *b);

#endif
