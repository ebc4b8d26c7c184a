/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/pace.h"

#include <time.h>

#include "emulator/faults.h"

#define MIN_SLEEP_US 1000

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void pace_bytes(struct pace *p, struct faults *f, uint64_t rate, size_t len)
{
	int64_t now = now_us();
	int64_t wait;

	if (!rate)
		return;
	if (p->next_us < now)
		p->next_us = now;
	p->next_us += (int64_t)((double)len * 1e6 / (double)rate);
	wait = p->next_us - now;
	/* Shorter debts are paid with the next block. */
	if (wait >= MIN_SLEEP_US)
		faults_stall(f, 0, (wait + 500) / 1000, NULL, -1);
}

size_t pace_block(uint64_t rate, size_t max)
{
	uint64_t block = rate / 50;

	if (block < 1)
		block = 1;
	return block < max ? (size_t)block : max;
}
