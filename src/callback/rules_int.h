/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the files that build rules share; nobody else includes it.
 */
#ifndef ACKFS_CALLBACK_RULES_INT_H
#define ACKFS_CALLBACK_RULES_INT_H

#include <stdbool.h>

#include "callback/rules.h"
#include "callback/template.h"
#include "util/complaint.h"

#define ID_VARIABLE "ackfs_id" /* x:ackfs_id, always sent */

struct rules {
	struct rule *items; /* in file order */
	size_t count;
	struct rule fallback; /* "default" or "none" */
	bool exist;
};

/** A rule that is being built: what its keys said, beside what they mean. */
struct draft {
	struct rule rule;
	enum template_type type;
	bool body_given; /* here or in the default section */
	bool sni_given;
	bool any_https;
};

/** Presets of a section that nothing stands in. @return 0 or -ENOMEM */
int draft_init(struct draft *d, const char *name);
/** What a rule takes over from the default section. @return 0 or -ENOMEM */
int draft_inherit(struct draft *d, const struct draft *from, const char *name);
void draft_release(struct draft *d);

/**
 * Give one key its meaning.
 * @param why    empty; on -EINVAL what is wrong and what to write
 * @param doubt  empty; gets what OSS would refuse or is hardly meant
 * @return 0, -EINVAL, -ENOMEM, -ENOENT (no such key)
 */
int draft_set(struct draft *d, const char *key, const char *value,
	      struct buf *why, struct buf *doubt);

void rule_release(struct rule *r);
/** May the file's attributes define this variable under this rule? */
bool rule_allows(const struct rule *r, const char *name);

#endif
