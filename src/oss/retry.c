/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/retry.h"

#include <errno.h>
#include <time.h>

#include "util/clock.h"
#include "util/uuid.h"

enum {
	SLICE_MS = 50,  /* between looks at cancel */
	LEAST_MS = 100, /* less time than this is none */
};

void retry_init(struct retry *r, int64_t deadline_ms, const atomic_bool *cancel)
{
	*r = (struct retry){.deadline_ms = deadline_ms, .cancel = cancel};
}

int64_t retry_ceiling_ms(int n)
{
	int64_t ms = RETRY_BASE_MS;

	while (n-- > 0 && ms < RETRY_CAP_MS)
		ms *= 2;
	return ms < RETRY_CAP_MS ? ms : RETRY_CAP_MS;
}

static void sleep_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000,
			     .tv_nsec = ms % 1000 * 1000000};

	/* Woken early is as good: the caller looks at the clock. */
	(void)nanosleep(&t, NULL);
}

int retry_wait(struct retry *r)
{
	int64_t now = clock_mono_ms();
	int64_t left = r->deadline_ms - now;
	int64_t max = retry_ceiling_ms(r->waits);
	int64_t until;

	if (left < LEAST_MS)
		return -ETIMEDOUT;
	if (max > left / 2)
		max = left / 2;
	until = now + (int64_t)random_below((uint64_t)max + 1);
	r->waits++;
	for (;;) {
		if (r->cancel && atomic_load(r->cancel))
			return -ECANCELED;
		now = clock_mono_ms();
		if (now >= until)
			return 0;
		sleep_ms(until - now < SLICE_MS ? until - now : SLICE_MS);
	}
}
