/* SPDX-License-Identifier: Apache-2.0 */
#include "util/failpoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "util/strnum.h"

#ifdef ACK_FAILPOINTS

/* Written once by read_setting(); `left` counts down under the lock. */
static struct {
	pthread_once_t once;
	pthread_mutex_t mutex;
	char name[64]; /* "": none */
	uint64_t left;
} setting = {PTHREAD_ONCE_INIT, PTHREAD_MUTEX_INITIALIZER, "", 1};

static void parse_setting(const char *text)
{
	size_t len = strcspn(text, ":");

	if (len >= sizeof(setting.name) ||
	    (text[len] == ':' &&
	     parse_u64(text + len + 1, 1, UINT64_MAX, &setting.left) < 0)) {
		log_err("failpoint: not NAME[:N]: %s", LOG_Q(text));
		return;
	}
	memcpy(setting.name, text, len);
	setting.name[len] = '\0';
}

static void read_setting(void)
{
	const char *text = getenv("ACKFS_FAILPOINT");

	if (text)
		parse_setting(text);
}

void failpoint_arm(const char *text)
{
	pthread_once(&setting.once, read_setting);
	setting.left = 1;
	parse_setting(text);
}

void failpoint(const char *name)
{
	bool is_now;

	pthread_once(&setting.once, read_setting);
	if (strcmp(setting.name, name) != 0)
		return;
	/* Not a ranked lock: a failpoint may stand under any of them. */
	pthread_mutex_lock(&setting.mutex);
	is_now = --setting.left == 0;
	pthread_mutex_unlock(&setting.mutex);
	if (is_now)
		kill(getpid(), SIGKILL);
}

#endif
