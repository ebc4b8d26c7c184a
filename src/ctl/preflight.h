/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What ackctl preflight is made of: checks that report.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_PREFLIGHT_H
#define ACKFS_CTL_PREFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "callback/mime.h"
#include "callback/rules.h"
#include "config/conf.h"
#include "ctl/client.h"
#include "ctl/ctl.h"

enum check { CHECK_OK, CHECK_WARN, CHECK_FAIL, CHECK_NOTE };

struct preflight {
	struct conf *conf;
	struct rules *rules;
	struct mime *mime;
	struct client client;
	const char *path;  /* --path: whose rule to send; NULL: the probe's */
	char prefix[1024]; /* of the probe's keys, with '/' at its end */
	bool send;
	json_t *list; /* --json: what was said */
	bool failed;
};

/** What the probe's objects contain, and as what they are stored. */
extern const char preflight_content[];
extern const struct oss_source preflight_source;
extern const struct oss_props preflight_props;

/** One line: the result, what was checked, what came of it; the advice below
 *  it (may be NULL). */
void preflight_say(struct preflight *p, enum check result, const char *what,
		   const char *advice, const char *fmt, ...) ACK_PRINTF(5, 6);
/** A request failed: OSS's words, and what to do. */
void preflight_failed(struct preflight *p, const char *what,
		      const struct oss_reply *r, int rc);
/** A key of the probe. @return heap text, or NULL */
char *preflight_key(const struct preflight *p, const char *name);

/** Endpoint, keys, bucket, clock. @return whether to go on */
bool preflight_reach(struct preflight *p);
/** Each permission on a probe object; leaves PREFIXprobe.txt for what follows.
 *  @return whether it could be written */
bool preflight_permissions(struct preflight *p);
/** Real callbacks of the three kinds of requests. */
void preflight_callbacks(struct preflight *p);
/** Remove the probe's objects. */
void preflight_clean(struct preflight *p);

#endif
