/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The rules of a configuration.
 *
 * Layer    callback: the one place where it looks at config.
 */
#ifndef ACKFS_CALLBACK_CONF_RULES_H
#define ACKFS_CALLBACK_CONF_RULES_H

struct conf;
struct rules;

/**
 * rules_new() of the callback sections of a finished configuration, which must
 * outlive the call alone.
 * @param why       one line an error; free it
 * @param warnings  one line a warning; free it
 * @return 0, -EINVAL, -ENOMEM
 */
int rules_from_conf(const struct conf *c, struct rules **out, char **why,
		    char **warnings);

#endif
