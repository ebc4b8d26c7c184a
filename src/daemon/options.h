/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The command line of ackfs: BUCKET[:/PREFIX] MOUNTPOINT [-o OPTS] and the
 * flags that FUSE's users expect.
 *
 * Layer    main.
 */
#ifndef ACKFS_DAEMON_OPTIONS_H
#define ACKFS_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "config/conf.h"

struct options {
	struct conf *conf;
	char *config_path; /* absolute; NULL: none */
	char *mountpoint;  /* absolute, real path */
	char *fsname;      /* BUCKET or BUCKET:/PREFIX */
	bool foreground;
	bool debug;
	bool check_config;
	bool fake; /* mount(8)'s: do all but mounting */
};

/**
 * Parse, load the configuration, check what can be checked without the network.
 * Errors and help go to stderr and stdout.
 * @return 0: go on; 1: done (help, version, fake); -EINVAL: refused
 */
int options_parse(int argc, char **argv, struct options *out);
void options_release(struct options *o);

#endif
