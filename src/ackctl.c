/* SPDX-License-Identifier: Apache-2.0 */
/* ackctl: looks into a mount and its state folder.  See --help. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "util/log.h"

/* What was asked for is out only when stdout took it. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "ackctl: cannot write: %s\n", strerror(errno));
	return CTL_FAILED;
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "");
	log_open("ackctl", NULL, LOG_LVL_WARN);
	return finish(ctl_main(argc, argv));
}
