/* SPDX-License-Identifier: Apache-2.0 */
/** @file Runs ackctl's commands inside the test and keeps what they say. */
#ifndef ACKFS_TESTS_CTL_H
#define ACKFS_TESTS_CTL_H

#include "util/buf.h"

struct ctl_run {
	int status;
	struct buf out, err;
};

void ctl_run_release(struct ctl_run *r);
/** `ackctl WORD...`; the words end with NULL. stdin is empty. */
struct ctl_run ctl_run(const char *const *words);
#define CTL_RUN(...) ctl_run((const char *const[]){__VA_ARGS__, NULL})

#endif
